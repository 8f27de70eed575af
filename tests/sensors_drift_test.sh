#!/bin/sh
# Sensors that compare with a manifest, against the real thing: files and what sha256sum says of them, this machine's packages as
# dpkg-query lists them, its lists of apt, the kernel's modules where it has some; in a running beacon with its filter of
# system calls, and by the command line. (qemu/scenario_device.sh loads modules.) The databases of opkg and apk are written here, in
# the form of their programs: no package of Debian has those.
#   tests/sensors_drift_test.sh [BEACON]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh
export LC_ALL=C

# verb_config LINES: of `beacons:`, for the command line.
verb_config()
{
    printf 'beacons:\n  reactor: 127.0.0.1\n%s\n' "$1" >"$dir/verb.yaml"
}

# manifest NAME STATUS KIND OPTION…
manifest()
{
    name=$1
    status=$2
    shift 2
    expect "$name" "$status" "$beacon" manifest "$@" -c "$dir/verb.yaml"
}

# is_exactly NAME FILE TEXT
is_exactly()
{
    [ "$(cat "$2")" = "$3" ]
    result "$1" $?
}

# ---- files: the command line, and sha256sum ----
etc=$dir/etc
mkdir -p "$etc/sub/deep" "$etc/empty"
echo network >"$etc/network"
echo shadow >"$etc/sub/deep/shadow"
chmod 600 "$etc/sub/deep/shadow"
ln -s network "$etc/link"
ln -s nowhere "$etc/dangling"
mkfifo "$etc/pipe"
odd=$(printf 'odd \\ name\nof two lines')
echo odd >"$etc/$odd"
head -c 3000000 /dev/urandom >"$etc/large"

verb_config "  config_drift: {manifest: $dir/m, paths: [$etc]}"
manifest "without a manifest nothing can be compared" 1 config --check
says "and it says so" 'not measured: .*/m: No such file' err
[ "$(wc -l <"$dir/err")" -eq 1 ]
result "once" $?
manifest "a manifest is written" 0 config -o "$dir/m"
is_exactly "to a file, and nothing to stdout" "$dir/out" ""
manifest "or to stdout" 0 config
cmp -s "$dir/out" "$dir/m"
result "the same each time" $?
expect "sha256sum accepts it" 0 sha256sum --strict -c "$dir/m"
[ "$(grep -c ': OK$' "$dir/out")" -eq 4 ] # all but the links
result "and has looked at each file" $?
manifest "nothing differs" 0 config --check
is_exactly "and nothing is printed" "$dir/out" ""
find "$etc" -type f -exec sha256sum {} + >"$dir/foreign"
grep '^#link' "$dir/m" >>"$dir/foreign"
mv "$dir/m" "$dir/ours"
mv "$dir/foreign" "$dir/m"
manifest "what sha256sum writes is accepted" 0 config --check

echo changed >>"$etc/network"
rm "$etc/sub/deep/shadow"
echo new >"$etc/empty/new"
ln -sf network "$etc/dangling"
manifest "differences are exit status 1" 1 config --check
sort "$dir/out" >"$dir/sorted"
is_exactly "and a line each" "$dir/sorted" "$etc/dangling: changed
$etc/empty/new: extra
$etc/network: changed
$etc/sub/deep/shadow: missing"
manifest "for programs" 1 config --check --json
python3 - "$dir/out" "$etc" <<'PY'
import json, sys
found = {line["name"]: line["difference"] for line in map(json.loads, open(sys.argv[1]))}
etc = sys.argv[2]
sys.exit(found != {f"{etc}/dangling": "changed", f"{etc}/empty/new": "extra", f"{etc}/network": "changed",
                   f"{etc}/sub/deep/shadow": "missing"})
PY
result "in JSON Lines" $?

manifest "an unknown kind is wrong use" 2 nothing --check
says "with the known ones" 'is not one of config, modules, packages, storage' err
manifest "so is one that is not configured" 2 modules
says "with the key" 'has no beacons.module_drift that is enabled; add it' err
"$beacon" manifest config -c "$dir/verb.yaml" 2>"$dir/err" >/dev/full
says "a full disk is named" 'manifest: standard output: No space left on device' err
verb_config "  config_drift: {manifest: $dir/m}"
manifest "without paths there is nothing to write" 1 config -o "$dir/m"
says "which it says" 'not measured: no paths are configured' err
verb_config "  config_drift: {manifest: $dir/m, paths: [$etc]}"
manifest "so is -o with --check" 2 config --check -o "$dir/x"
manifest "and no kind at all" 2
chmod 666 "$dir/m"
expect "a manifest that all can write to is a warning" 0 "$beacon" check -c "$dir/verb.yaml"
says "by name" 'warning.*others can write to .*/m' err
chmod 600 "$dir/m"
cp "$dir/m" "$dir/kept"
mkdir "$dir/not-a-file"
manifest "what cannot be written is exit status 1" 1 config -o "$dir/not-a-file"
mkdir -p "$etc/1/2/3/4/5/6/7/8/9"
manifest "nor can what is too deep" 1 config -o "$dir/m"
cmp -s "$dir/m" "$dir/kept"
result "the manifest stays as it was" $?
rm -r "$etc/1"

# ---- files: a running beacon ----
manifest "the manifest of a running beacon" 0 config -o "$dir/m"
run "  dedup_window: 1s
  config_drift: {interval: 1s, manifest: $dir/m, paths: [$etc]}"
within status_has '^  config_drift .* ok$'
result "in a running beacon nothing differs" $?
! heard config.drift
result "and nothing is reported" $?
echo again >>"$etc/network"
within heard "\"type\":\"config.drift_detected\".*\"severity\":\"warning\".*\"changed\":1,\"missing\":0,\"extra\":0,\"differences\":\"$etc/network: changed\""
result "a change is reported" $?
manifest "it becomes the manifest" 0 config -o "$dir/m"
within heard '"type":"config.drift_resolved".*"severity":"info".*"state":"recovered"'
result "and that it is over" $?
head -c 50000000 /dev/zero >"$etc/large"
within heard "\"differences\":\"$etc/large: changed\""
result "50 MB are read" $?
emit "test.alive" info
[ -s "$dir/out" ]
result "and the beacon answers" $?
halt

# ---- packages: this machine's ----
opkg_database=$dir/opkg-status
cat >"$opkg_database" <<'TEXT'
Package: busybox
Version: 1.36.1-1
Depends: libc
Status: install user installed
Architecture: mips_24kc
Installed-Time: 1700000000

Package: kmod-gone
Version: 5.15.150-1
Status: deinstall user not-installed
Architecture: mips_24kc

Package: base-files
Version: 1559-r23809
Status: install hold installed
Essential: yes
Architecture: mips_24kc
Conffiles:
 /etc/hosts 0123456789abcdef
TEXT
printf 'C:Q1eVpkasfqZAukAXFYbgwt4xAMZWU=\nP:musl\nV:1.2.4_git20230717-r4\nA:x86_64\nS:407278\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1aaaa=\n\nC:Q1sSNCl4MTQ0d1V/0NTAhIjY7Nqo=\nP:busybox\nV:1.36.1-r15\nA:x86_64\nF:bin\nM:0:0:1777\n\n' >"$dir/apk-installed"
for manager in opkg-status apk-installed; do
    verb_config "  package_drift: {database: $dir/$manager, manifest: $dir/packages}"
    manifest "packages of $manager" 0 packages -o "$dir/packages"
    manifest "are those that are there" 0 packages --check
    sed -i 's/1\.36\.1/1.36.2/' "$dir/$manager"
    manifest "another version differs" 1 packages --check
    is_exactly "by name" "$dir/out" "busybox: changed"
done

if command -v dpkg-query >/dev/null && [ -s /var/lib/dpkg/status ]; then
    verb_config "  package_drift: {manifest: $dir/packages, database: /var/lib/dpkg/status}"
    manifest "this machine's packages" 0 packages -o "$dir/packages"
    # shellcheck disable=SC2016 # dpkg's own variables
    dpkg-query -W -f '${db:Status-Status} ${Version}  ${Package}\n' | sed -n 's/^installed //p' | sort -k 2 -u >"$dir/expected"
    sort -k 2 "$dir/packages" | cmp -s - "$dir/expected"
    result "are those that dpkg-query lists ($(wc -l <"$dir/packages"))" $?
    manifest "none differs" 0 packages --check
    cp /var/lib/dpkg/status "$dir/status"
    sed -i -e '/^Package: dpkg$/,/^$/s/^Version: .*/Version: 0.1/' -e '/^Package: tar$/,/^$/d' -e '/^Package: bash$/,/^$/s/^Status: .*/Status: deinstall ok config-files/' "$dir/status"
    printf 'Package: nefia-extra\nStatus: install ok installed\nVersion: 1\n' >>"$dir/status"
    verb_config "  package_drift: {manifest: $dir/packages, database: $dir/status}"
    manifest "a changed copy differs" 1 packages --check
    sort "$dir/out" >"$dir/sorted"
    is_exactly "in what was changed" "$dir/sorted" "bash: missing
dpkg: changed
nefia-extra: extra
tar: missing"
    run "  package_drift: {interval: 1s, manifest: $dir/packages, database: $dir/status, lists: $dir/lists}"
    within heard '"type":"system.package_drift_pressure".*"severity":"critical","data":{"level":"high","manifest":.*"changed":1,"missing":2,"extra":1'
    result "a running beacon reports it, and no age of lists that were never fetched" $?
    within status_has '^  package_drift .* not measured: .*no lists were fetched'
    result "which are not measured" $?
    halt
else
    echo "skip: this machine's packages take dpkg"
fi

# The lists of apt, or where it has none what another manager would have left.
lists=/var/lib/apt/lists
[ -n "$(find "$lists" -maxdepth 1 -type f -size +0 2>/dev/null | head -n 1)" ] || {
    echo "skip: this machine has no lists of apt"
    lists=$dir/lists
    mkdir -p "$lists"
    echo Package: x >"$lists/base"
}
verb_config "  package_drift: {lists: $lists, max_age: 1m}"
age=$(($(date +%s) - $(find "$lists" -maxdepth 1 \( -type f -size +0 -o -path "$lists" \) -printf '%T@\n' | sort -n | tail -n 1 | cut -d . -f 1)))
expect "the lists have an age" 0 "$beacon" once -c "$dir/verb.yaml"
if [ "$age" -gt 70 ]; then
    told=$(sed -n 's/.*"lists_age_s":\([0-9]*\).*/\1/p' "$dir/out")
    [ "${told:-0}" -ge "$age" ] && [ "${told:-0}" -le $((age + 60)) ]
    result "that of the newest ($age s)" $?
fi
cp -r "$lists" "$dir/old"
find "$dir/old" -exec touch -d '3 days ago' {} +
verb_config "  package_drift: {lists: $dir/old}"
expect "old lists are stale" 0 "$beacon" once -c "$dir/verb.yaml"
says "low for less than a week" '"severity":"info","data":{"level":"low","lists_age_s":2592' out
find "$dir/old" -exec touch -d '8 days ago' {} +
expect "older ones" 0 "$beacon" once -c "$dir/verb.yaml"
says "are medium" '"severity":"warning","data":{"level":"medium","lists_age_s":6912' out

# ---- the kernel's modules ----
beacon_path=$(realpath "$beacon")
verb_config "  module_drift: {manifest: $dir/modules, packages: false, paths: [$beacon_path]}"
manifest "what runs" 0 modules -o "$dir/modules"
says "has the program" "^[0-9a-f]\{64\}  $beacon_path\$" modules
manifest "and does not differ" 0 modules --check
if [ -s /proc/modules ]; then
    sed 's/ .*//; s/^/module:/' /proc/modules | sort >"$dir/expected"
    sed -n 's/.*  module:/module:/p' "$dir/modules" | cmp -s - "$dir/expected"
    result "it has the kernel's modules ($(wc -l <"$dir/expected"))" $?
else
    echo "skip: this kernel has no modules"
fi
printf '%064d  module:nefia_none\n' 0 >>"$dir/modules"
manifest "a module that is not there" 1 modules --check
is_exactly "is missing" "$dir/out" "module:nefia_none: missing"
expect "one or two are medium" 0 "$beacon" once -c "$dir/verb.yaml"
says "and a warning" '"type":"module.drift_detected".*"severity":"warning","data":{"level":"medium"' out
finish
