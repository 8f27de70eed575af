#!/bin/sh
# The build itself: every kind of configuration builds, and what is built is not built again.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/build.log

build()
{
    make "-j$(nproc)" "$@" >"$log" 2>&1
}

build BOARD=host
result "the host's defconfig builds" $?

make -q BOARD=host >"$log" 2>&1
result "a second make has nothing to do" $?

# features PROGRAM: its list of features, one per line, sorted.
features()
{
    "out/host/$1" --version | sed -n 's/^features: //p' | tr ' ' '\n' | sort
}

# Each program lists its own features, and together they list everything that can be selected.
features nefia-beacon >"$dir/beacon"
features nefia >"$dir/hub"
out/host/nefia-beacon --version | grep -q '^sensors: .*\<memory\>' && grep -qx yaml "$dir/beacon" && ! grep '^action-' "$dir/beacon" >"$log"
result "nefia-beacon --version tells the features of the beacon alone" $?
grep -q '^action-' "$dir/hub" && grep -qx yaml "$dir/hub" && ! grep '^sensor\|^beacon-\|^fleet-' "$dir/hub" >"$log"
result "nefia --version tells the features of the hub alone" $?
find Kconfig src -name Kconfig -exec awk '$1 == "config" { symbol = $2 } /^\tbool$/ || $1 == "def_bool" { print symbol }' {} + |
    tr '[:upper:]_' '[:lower:]-' >"$dir/without-prompt"
sed -n 's/^CONFIG_\([A-Z0-9_]*\)=y$/\1/p' out/host/.config | tr '[:upper:]_' '[:lower:]-' |
    grep -vxF -f "$dir/without-prompt" | grep -v '^sensor-' | sort >"$dir/chosen"
sort -u "$dir/beacon" "$dir/hub" | diff "$dir/chosen" - >"$log"
result "no feature is missing, and none is listed that cannot be selected" $?

if build CONFIG=no-such-file; then false; else grep -q 'CONFIG=no-such-file: no such configuration; there are ' "$log"; fi
result "a configuration that is not there is named" $?
printf 'CONFIG_SENSOR_DISC=y\n' >"$dir/misspelled.config"
build CONFIG="$dir/misspelled.config" out/host-misspelled/gen/auto.conf &&
    grep -q 'misspelled.config: CONFIG_SENSOR_DISC is not a symbol of this tree; ignored' "$log"
result "a misspelled symbol is named" $?
rm -rf out/host-misspelled

# Linking is what takes the time; without LTO it is quick, and what is said of a configuration is the same.
quickly='LTO_CFLAGS= LTO_LINK=-fno-lto'
for config in allno allyes; do
    # shellcheck disable=SC2086 # two words
    build BOARD=host CONFIG=$config $quickly
    result "$config builds" $?
done

# Of the profiles one is always chosen.
! grep '=y$' out/host-allno/.config | grep -v '^CONFIG_PROFILE_' >"$log"
result "allno really has nothing" $?

! grep '^# CONFIG.*is not set' out/host-allyes/.config | grep -v 'CONFIG_PROFILE_\|CONFIG_SMALL_' >"$log"
result "allyes really has everything" $?

# A random configuration; RANDOM_SEED tries another one.
# shellcheck disable=SC2086 # two words
KCONFIG_SEED=${RANDOM_SEED:-8} build BOARD=host CONFIG=random $quickly
result "a random configuration builds (RANDOM_SEED=${RANDOM_SEED:-8})" $?

# ---- profiles ----
build BOARD=arm-virt CONFIG=minimal
result "arm-virt's minimal configuration builds" $?

# The host's defconfig is that of PROFILE_HUB.
profiles=$(sed -n 's/^config PROFILE_//p' Kconfig)
for profile in $profiles; do
    [ "$profile" != HUB ] || continue
    name=profile-$(echo "$profile" | tr '[:upper:]_' '[:lower:]-')
    printf 'CONFIG_PROFILE_%s=y\n# CONFIG_LTO is not set\n' "$profile" >"$dir/$name.config"
    build BOARD=host CONFIG="$dir/$name.config"
    result "$name builds" $?
    for program in nefia nefia-beacon; do
        "out/host-$name/$program" --version >"$log" 2>&1 && grep -q "^features: $name\\( \\|\$\\)" "$log"
        result "$program tells $name" $?
    done
done

# What the profiles are for.
grep -q '^# CONFIG_YAML is not set' out/host-profile-minimal/.config &&
    grep -q '^CONFIG_SENSOR_SCRIPT=y' out/host-profile-sensors/.config &&
    grep -q '^# CONFIG_ACTION_ALERT is not set' out/host-profile-minimal-hub/.config &&
    grep -q '^CONFIG_CONNECTIONS=16$' out/host-profile-minimal-hub/.config
result "profiles set features and sizes" $?

# ---- without YAML ----
echo 0123456789abcdef0123456789abcdef >"$dir/hmac.key"
chmod 600 "$dir/hmac.key"
sed "s|/etc/nefia/hmac.key|$dir/hmac.key|" rootfs-overlay/etc/nefia/nefia.json >"$dir/nefia.json"
for name in profile-minimal profile-minimal-hub; do
    out/host-$name/nefia-beacon check -c "$dir/nefia.json" >"$log" 2>&1 &&
        out/host-$name/nefia reactor check -c "$dir/nefia.json" >>"$log" 2>&1
    result "$name: both programs accept the example in JSON" $?
done
sed 's|"reactor": {|&"state_dir": "/tmp", |' "$dir/nefia.json" >"$dir/stateful.json"
out/host-profile-minimal-hub/nefia reactor check -c "$dir/stateful.json" >"$log" 2>&1
[ $? = 2 ] && grep -q 'reactor.state_dir: unknown key, or not in this build' "$log"
result "profile-minimal-hub: state_dir, which it cannot keep, is refused" $?
! out/host-profile-minimal/nefia-beacon check -c rootfs-overlay/etc/nefia/nefia.yaml >"$log" 2>&1 &&
    grep -q 'nefia.yaml:1: not JSON: .*; this build reads JSON only: convert the file' "$log"
result "a YAML file is answered with what to do" $?
make BOARD=host CONFIG="$dir/profile-minimal.config" INIT=sysv DESTDIR="$dir/root" install >"$log" 2>&1 &&
    cmp rootfs-overlay/etc/nefia/nefia.json "$dir/root/etc/nefia/nefia.json.example" >>"$log" 2>&1 &&
    [ ! -e "$dir/root/etc/nefia/nefia.yaml.example" ] &&
    grep -q '/etc/nefia/nefia\.json' "$dir/root/etc/init.d/S95nefia-beacon" && ! grep '/etc/nefia/nefia\.yaml' "$dir/root/etc/init.d/S95nefia-beacon" >>"$log"
result "such a build installs the example in JSON, and starts with such a file" $?
make BOARD=host CONFIG="$dir/profile-minimal.config" INIT=sysv DESTDIR="$dir/root" uninstall >"$log" 2>&1 &&
    [ -z "$(find "$dir/root" -type f)" ]
result "and removes it again" $?

# Choosing another profile in the menu brings its defaults, and keeps what was chosen beside the old one.
cat >"$dir/mconf" <<'EOF'
#!/bin/sh
sed -i -e '/CONFIG_PROFILE_/d' "$KCONFIG_CONFIG"
echo 'CONFIG_PROFILE_MINIMAL=y' >>"$KCONFIG_CONFIG"
exec kconfig-conf --olddefconfig "$1"
EOF
chmod +x "$dir/mconf"
rm -rf out/kconfig-test
toolchain/config.sh seed out/kconfig-test board/host/defconfig >"$log" 2>&1
sed -i 's/^CONFIG_RATE_MAX=.*/CONFIG_RATE_MAX=77/' out/kconfig-test/.config
make O=out/kconfig-test KCONFIG_MCONF="$dir/mconf" menuconfig >"$log" 2>&1 &&
    grep -q '^# CONFIG_YAML is not set' out/kconfig-test/.config && grep -q '^CONFIG_SPOOL_KB=4$' out/kconfig-test/.config
result "make menuconfig: another profile brings its features and sizes" $?
grep -q '^CONFIG_RATE_MAX=77$' out/kconfig-test/.config
result "and keeps what the user has chosen" $?
cp out/kconfig-test/.config "$dir/before"
make O=out/kconfig-test KCONFIG_MCONF=true menuconfig >"$log" 2>&1 && cmp -s "$dir/before" out/kconfig-test/.config
result "leaving the menu without saving changes nothing" $?

# The real menu, on a terminal: into a group of its first submenu and out again.
if command -v kconfig-mconf >/dev/null; then
    python3 - >"$dir/screen" 2>"$log" <<'EOF'
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execlp("sh", "sh", "-c", "stty rows 40 cols 100; exec make O=out/kconfig-test menuconfig")
# The first letter of an entry has a colour of its own. Two ESC leave a menu, and four that come together are ignored: they are
# sent when a menu is drawn, and nothing more comes for a second.
keys = [(b"ensors", b"+\n"), (b"torage", b"+\n"), (b"isk usage", b"")]
screen = seen = b""
try:
    while True:
        if not select.select([terminal], [], [], 60 if keys else 1)[0]:
            if keys:  # what is waited for does not come
                sys.exit(f"the menu does not show {keys[0][0]}")
            os.write(terminal, b"\033\033")
            continue
        part = os.read(terminal, 4096)
        if not part:
            break
        screen, seen = screen + part, seen + part
        if keys and keys[0][0] in seen:
            os.write(terminal, keys.pop(0)[1])
            seen = b""
        if b"save your" in screen:  # nothing was changed
            os.close(terminal)
            break
except OSError:  # its end
    pass
sys.stdout.buffer.write(screen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
    status=$?
    [ $status -eq 0 ] && grep -aq "isk usage" "$dir/screen" && grep -aqF '.config - nefia-edge' "$dir/screen" &&
        ! grep -aq '(NEW)' "$dir/screen" && cmp -s "$dir/before" out/kconfig-test/.config
    result "make menuconfig: nothing in it counts as new" $?
    for shown in ystem torage twork ervices ecurity 'isk usage (disk_usage): [0-9.]* KiB'; do
        grep -aq "$shown" "$dir/screen"
        result "make menuconfig: the sensors' menus show ?$shown" $?
    done
else
    echo "skip: the menu on a terminal, without kconfig-mconf"
fi
[ -z "$(find out/kconfig-test -name '.config.*' ! -name '.config.seeded*')" ] && [ ! -e ..config.tmp ]
result "and it leaves nothing behind" $?

# Every module that has a Kconfig entry has a file, and the other way round.
for kind in SENSOR:src/beacon/sensors ACTION:src/hub/actions; do
    folder=${kind#*:}
    for file in "$folder"/*.c; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .c | tr '[:lower:]' '[:upper:]')
        grep -q "^config ${kind%%:*}_$name\$" "$folder/Kconfig" 2>"$log"
        result "$file has its entry in $folder/Kconfig" $?
    done
done

# A sensor selects what its class uses: in a build with others it would work without.
python3 - >"$log" <<'EOF'
import pathlib, re, sys
USES = {"BEACON_SENSOR_LEVELS": r"\bSENSOR_NAME\(|^    \.limits =", "BEACON_SENSOR_LISTS": r"\bSENSOR_LIST\b",
        "BEACON_SENSOR_STARTS": r"^    \.start = \w+,", "BEACON_WATCHES": r"^    \.watches =", "BEACON_FOLLOWS": r"^    \.follows =",
        "BEACON_INOTIFY": r"\bpath_watch\(", "BEACON_NETLINK": r"\b(?:emitter_netlink|netlink_ask)\(",
        "BEACON_MANIFEST": r"\b(?:drift_note|manifest_put)\(", "BEACON_STATE": r"\bemitter_state_\w+\(", "BEACON_CLOCK_STATE": r"\bclock_disciplined\("}
entries = dict(re.findall(r"^config (\w+)\n(.*?)(?=^config|^menu|^endmenu|\Z)", pathlib.Path("src/beacon/sensors/Kconfig").read_text(), re.M | re.S))
def selected(symbol):
    return {s for direct in re.findall(r"^\tselect (\w+)", entries.get(symbol, ""), re.M) for s in {direct} | selected(direct)}
looked = 0
for path in pathlib.Path("src/beacon/sensors").glob("*.c"):
    symbol = "SENSOR_" + path.stem.upper()
    for needed, used in USES.items():
        if re.search(used, path.read_text(), re.M):
            looked += 1
            if needed not in selected(symbol):
                print(f"{path}: {symbol} lacks: select {needed}")
                looked = -1000
sys.exit(looked <= 0)
EOF
result "every sensor selects what its class uses" $?

# ---- files ----
# A defconfig must say what Kconfig says: no symbol that is gone or out of range.
for defconfig in board/*/defconfig board/*/*.config; do
    [ -e "$defconfig" ] || continue
    rm -rf out/kconfig-test
    toolchain/config.sh seed out/kconfig-test "$defconfig" >"$log" 2>&1
    sed -n 's/^\(CONFIG_[A-Z0-9_]*=.*\|# CONFIG_.* is not set\)$/\1/p' "$defconfig" >out/kconfig-test/said
    grep -vxF -f out/kconfig-test/.config out/kconfig-test/said >>"$log"
    [ $? -eq 1 ]
    result "$defconfig is taken as it is" $?
done

# What is edited by hand is kept when the sources change.
toolchain/config.sh seed out/kconfig-test board/host/defconfig &&
    sed -i 's/^CONFIG_EVENT_BYTES=.*/CONFIG_EVENT_BYTES=2048/' out/kconfig-test/.config &&
    toolchain/config.sh sync out/kconfig-test host 0 >"$log" 2>&1 &&
    toolchain/config.sh seed out/kconfig-test board/host/defconfig >>"$log" 2>&1 &&
    grep -q '^CONFIG_EVENT_BYTES=2048$' out/kconfig-test/.config &&
    grep -q '^#define CONFIG_EVENT_BYTES 2048$' out/kconfig-test/gen/autoconf.h
result "a configuration that was edited by hand is kept" $?

# make help names every target that has a comment.
make help >"$log" 2>&1 && grep -q '^budget ' "$log" && grep -q '^menuconfig ' "$log" && grep -q '^DESTDIR ' "$log" && grep -q '^CC ' "$log"
result "make help lists targets and variables" $?
make -q BOARD=host >"$log" 2>&1
result "and leaves what is built alone" $?

if make BOARD=nonsense >"$log" 2>&1; then false; else grep -q 'no such board' "$log"; fi
result "an unknown board is named" $?

finish
