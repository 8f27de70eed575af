#!/bin/sh
# OpenWrt without OpenWrt: what `make install INIT=procd` installs runs under BusyBox ash with doubles of rc.common, procd, UCI and jshn
# (tests/fake/openwrt). With OPENWRT=DIR, an OpenWrt tree that has been configured, the package too.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/openwrt.log
root=$dir/root
fake=tests/fake/openwrt
processes=
[ "$(id -u)" -ne 0 ] || chmod 755 "$dir"

# ---- a root of OpenWrt's ----

# under FILE…: all absolute paths in these scripts, but for the devices and the interpreter, are below the root.
under()
{
    for script; do
        sed -i "2,\$s#\\([^A-Za-z0-9_/.\$}\"]\\|\"\\|^\\)/\\(etc\\|var\\|usr\\|lib\\|sys\\)/#\\1$root/\\2/#g" "$script"
    done
}

make_root()
{
    make install DESTDIR="$root" PREFIX=/usr INIT=procd >"$log" 2>&1 || return 1
    mkdir -p "$root/etc/config" "$root/etc/init.d" "$root/lib/functions" "$root/usr/share/libubox" "$root/bin" "$root/procd" \
        "$root/var/run" "$root/sys/class/net/eth0" "$root/sys/class/net/lo"
    cp "$fake/functions.sh" "$root/lib/functions.sh"
    cp "$fake/procd.sh" "$root/lib/functions/procd.sh"
    cp "$fake/jshn.sh" "$root/usr/share/libubox/jshn.sh"
    cp "$fake/rc.common" "$root/etc/rc.common"
    for tool in uci jshn.py procd.py jsonfilter logger; do
        cp "$fake/$tool" "$root/bin/$tool"
    done
    printf 'root:x:0:0:root:/root:/bin/ash\n' >"$root/etc/passwd"
    printf 'root:x:0:\n' >"$root/etc/group"
    echo 00:00:00:00:00:00 >"$root/sys/class/net/lo/address"
    echo 02:00:5e:1a:2b:3c >"$root/sys/class/net/eth0/address"
    printf "config system\n\toption hostname 'OpenWrt'\n" >"$root/etc/config/system"
    under "$root"/etc/init.d/nefia-* "$root"/usr/lib/nefia/*.sh "$root"/etc/uci-defaults/* "$root"/usr/libexec/rpcd/nefia
}

# ash ARGUMENT…: BusyBox's shell in that root.
ash()
{
    OPENWRT_ROOT=$root PATH=$root/bin:$PATH busybox ash "$@"
}

# service NAME ACTION
service()
{
    ash "$root/etc/rc.common" "$root/etc/init.d/$1" "$2"
}

# convert PROGRAM: the JSON of /etc/config/nefia, without what the root and the system add.
convert()
{
    binary=nefia
    [ "$1" = hub ] || binary=nefia-beacon
    # shellcheck disable=SC2016 # for the other shell
    ash -c '. "$1/lib/functions.sh"; . "$1/usr/share/libubox/jshn.sh"; . "$1/usr/lib/nefia/$2.sh"
        nefia_init "$2" "$1/usr/sbin/$3"; nefia_json' convert "$root" "$1" "$binary"
}

pid_of()
{
    sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$root/procd/$1"
}

make_root
result "make install INIT=procd makes what OpenWrt needs" $?

end_services()
{
    for state in "$root"/procd/*; do
        [ ! -e "$state" ] || kill "$(pid_of "${state##*/}")" 2>/dev/null
    done
    end_all
}
trap end_services EXIT

# ---- /etc/config/nefia becomes JSON ----
# A file of tests/fake/openwrt/uci.d: the UCI file, a line `--- beacon` or `--- hub`, the JSON, a line `--- fine` or `--- wrong`, and of
# a wrong one a part of what check says to it.
key=$root/etc/nefia/hmac.key
mkdir -p "$root/etc/nefia"
echo 0123456789abcdef0123456789abcdef >"$key"
chmod 600 "$key"

case_of()
{
    name=${1##*/}
    program=$(sed -n 's/^--- \(beacon\|hub\)$/\1/p' "$1")
    sed '/^--- /,$d' "$1" >"$root/etc/config/nefia"
    sed "0,/^--- $program/d; /^--- /,\$d" "$1" | tr -d '\n' | sed "s#@ROOT@#$root#g" >"$dir/wanted"
    convert "$program" >"$dir/case.json" 2>"$dir/err"
    python3 - "$dir/wanted" "$dir/case.json" >"$dir/out" 2>&1 <<'PYTHON'
import json, sys
wanted, got = (json.load(open(p, encoding='utf-8'), object_pairs_hook=list) for p in sys.argv[1:])
if wanted != got:
    sys.exit('wanted %r\ngot    %r' % (wanted, got))
PYTHON
    result "$name: the JSON is exactly what was meant" $?
    chmod 600 "$dir/case.json"
    if [ "$program" = beacon ]; then
        "$root/usr/sbin/nefia-beacon" check -c "$dir/case.json" >"$dir/out" 2>&1
    else
        "$root/usr/sbin/nefia" reactor check -c "$dir/case.json" >"$dir/out" 2>&1
    fi
    status=$?
    if grep -qx -e '--- fine' "$1"; then
        [ "$status" -eq 0 ]
        result "$name: check accepts it" $?
    else
        [ "$status" -eq 2 ] && grep -qF "$(sed '1,/^--- wrong/d' "$1")" "$dir/out"
        result "$name: check refuses it, and says why" $?
    fi
}

for file in "$fake"/uci.d/*; do
    case_of "$file"
done

# ---- names that a shell would take for more ----
# uci lets no such name of a section through; what it would let through is not run either.
# shellcheck disable=SC2016 # it is the other shell that must not expand it
ash -c '. "$1"; CONFIG_SECTION="x;touch $2;"; nefia_remember command' ash "$root/usr/lib/nefia/beacon.sh" "$dir/injected" 2>"$dir/err"
[ ! -e "$dir/injected" ]
result "the name of a section is never run" $?
for type in remote policy; do
    printf "config beacon 'beacon'\nconfig %s\n\toption a 1\nconfig %s\n\toption b 2\n" $type $type >"$root/etc/config/nefia"
    if convert beacon >"$dir/case.json" 2>"$dir/err"; then false; else grep -q "config $type: there are 2 of it" "$dir/err"; fi
    result "two sections $type: none of them is dropped silently" $?
done

# ---- a first boot ----
# first_boot: as often as a device is powered on.
first_boot()
{
    status=0
    for script in "$root"/etc/uci-defaults/*; do
        ash "$script" >"$dir/out" 2>"$dir/err" || status=1
    done
    return $status
}
rm -f "$root/etc/config/nefia" "$key"
printf '#!/bin/sh\nexit 1\n' >"$root/bin/head"
chmod +x "$root/bin/head"
if first_boot; then false; else [ ! -s "$key" ]; fi
result "without random bytes there is no key, and the next boot tries again" $?
rm -f "$root/bin/head"
: >"$key"
first_boot && grep -Eqx '[0-9a-f]{64}' "$key"
result "an empty key, as a power cut leaves it, is made anew" $?
rm -f "$root/etc/config/nefia" "$key"
for script in "$root"/etc/uci-defaults/*; do
    ash "$script" >"$dir/out" 2>"$dir/err"
    result "${script##*/} is done" $?
done
grep -Eqx '[0-9a-f]{64}' "$key" && [ "$(stat -c %a "$key")" = 640 ]
result "the first boot makes a key of 256 bits that others cannot read" $?
ash "$root/bin/uci" -q export nefia >"$dir/out" 2>/dev/null || OPENWRT_ROOT=$root "$root/bin/uci" -q export nefia >"$dir/out"
grep -q "option enabled '0'" "$dir/out" && grep -q "option host_id 'OpenWrt-1a2b3c'" "$dir/out" && ! grep "enabled '1'" "$dir/out" >"$log"
result "and a configuration that starts nothing, with a host id of its own" $?
cp "$root/etc/config/nefia" "$dir/config"
cp "$key" "$dir/key"
for script in "$root"/etc/uci-defaults/*; do
    ash "$script"
done
cmp -s "$dir/config" "$root/etc/config/nefia" && cmp -s "$dir/key" "$key"
result "an upgrade changes neither" $?
for program in beacon hub; do
    convert $program >"$dir/case.json"
    chmod 600 "$dir/case.json"
    if [ $program = beacon ]; then set --; else set -- reactor; fi
    binary=nefia
    [ $program = hub ] || binary=nefia-beacon
    expect "check accepts what the first boot made for the $program" 0 "$root/usr/sbin/$binary" "$@" check -c "$dir/case.json"
done

# ---- a build without `user` ----
if [ "$(id -u)" -eq 0 ]; then
    echo "$(id -un nobody):x:$(id -u nobody):$(id -g nobody)::/:/bin/false" >>"$root/etc/passwd"
    # shellcheck disable=SC2016 # for the other shell
    ash -c '. "$1/lib/functions.sh"; . "$1/usr/share/libubox/jshn.sh"; . "$1/usr/lib/nefia/beacon.sh"
        nefia_init beacon "$1/usr/sbin/nefia-beacon"; NEFIA_FEATURES=beacon-control; NEFIA_USER=nobody; nefia_prepare' ash "$root" 2>"$dir/err"
    for directory in run/nefia lib/nefia/beacon; do
        [ "$(stat -c %U "$root/var/$directory")" = nobody ]
        result "what procd starts as its user may write in /var/$directory" $?
    done
    rm -rf "$root/var/run/nefia" "$root/var/lib/nefia" "$root/var/etc/nefia" "$root/etc/nefia/state"
    sed -i '/^nobody:/d' "$root/etc/passwd"
else
    echo "skip: directories of another user (root)"
fi

# ---- the beacon's service ----
calls=$root/calls
conf=$root/var/etc/nefia/beacon.json

# uci ARGUMENT…
uci()
{
    OPENWRT_ROOT=$root "$root/bin/uci" "$@"
}

# beacon ARGUMENT…
beacon()
{
    verb=$1
    shift
    "$root/usr/sbin/nefia-beacon" "$verb" -c "$conf" "$@"
}

# gone PID: it has ended, whoever is to collect it.
gone()
{
    [ ! -e "/proc/$1/status" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}

alive()
{
    ! gone "$(pid_of "$1")"
}

service nefia-beacon start >"$dir/out" 2>"$dir/err"
[ ! -s "$dir/err" ] && [ ! -e "$root/procd/nefia-beacon" ] && ! grep '^set_param' "$calls" >"$log"
result "a disabled beacon is not started, silently" $?
grep -qx 'add_reload_trigger nefia' "$calls"
result "but a change of /etc/config/nefia will be seen" $?

uci set nefia.beacon.enabled=1
uci add_list nefia.beacon.interface=wan
uci add_list nefia.beacon.interface=wg0
: >"$calls"
service nefia-beacon start >"$dir/out" 2>"$dir/err"
within beacon status
result "enabled with one option, it runs, also without a hub" $?
pid=$(pid_of nefia-beacon)
cat >"$dir/wanted" <<CALLS
open_service nefia-beacon
set_param command $root/usr/sbin/nefia-beacon run --syslog -c $conf
set_param respawn 3600 10 20
set_param file $conf
set_param reload_signal HUP
set_param term_timeout 7
set_param no_new_privs 1
add_reload_trigger nefia
add_interface_trigger interface.* wan $root/etc/init.d/nefia-beacon retry
add_interface_trigger interface.* wg0 $root/etc/init.d/nefia-beacon retry
CALLS
diff "$dir/wanted" "$calls" >"$log"
result "procd is told: the command, a bounded respawn, the file, SIGHUP, no new privileges, triggers" $?
[ "$(stat -c %a "$conf")" = 640 ] && grep -q "\"state_dir\": \"$(echo "$root/var/lib/nefia/beacon" | sed 's#/#\\\\/#g')\"" "$conf"
result "its configuration is in RAM, closed to others, and so is its state" $?
[ "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$pid/status")" = 1 ]
result "it runs with no_new_privs" $?
beacon status | grep -q 'not configured: no hub'
result "status says that there is no hub" $?

: >"$root/logread"
: >"$calls"
service nefia-beacon reload
[ "$(pid_of nefia-beacon)" = "$pid" ] && beacon status --json | grep -q '"reloads":0' && [ ! -s "$root/logread" ]
result "a reload that changes nothing is not seen by the beacon, and logs nothing" $?

uci set nefia.beacon.host_id=renamed
service nefia-beacon reload
within sh -c "'$root/usr/sbin/nefia-beacon' status --json -c '$conf' | grep -q '\"host_id\":\"renamed\"'"
result "a change is taken over" $?
[ "$(pid_of nefia-beacon)" = "$pid" ] && alive nefia-beacon
result "by the same process" $?

cp "$conf" "$dir/before.json"
uci set nefia.beacon.dedup_window=often
uci set nefia.beacon.max_events_per_min=0
: >"$root/logread"
service nefia-beacon reload
cmp -s "$conf" "$dir/before.json" && alive nefia-beacon && beacon status --json | grep -q '"reloads":1.*"failed_reloads":0'
result "a wrong change replaces nothing, and the old configuration keeps running" $?
grep -v 'warning' "$root/logread" >"$dir/out"
[ "$(wc -l <"$dir/out")" -eq 2 ] && grep -q "daemon.err -- $root/etc/config/nefia: beacons.dedup_window: " "$dir/out" &&
    grep -q "beacons.max_events_per_min: \"0\" is not within" "$dir/out"
result "the log has a line for each mistake" $?
uci set nefia.beacon.dedup_window=5m
uci set nefia.beacon.max_events_per_min=10

cp "$root/etc/config/nefia" "$dir/config"
printf "config beacon 'beacon\n" >"$root/etc/config/nefia"
: >"$root/logread"
service nefia-beacon reload 2>/dev/null
alive nefia-beacon && grep -q 'cannot be parsed' "$root/logread"
result "a file that is no UCI stops nothing" $?
cp "$dir/config" "$root/etc/config/nefia"

# ---- a link that comes up ----
uci add_list nefia.beacon.reactor=127.0.0.1:1
service nefia-beacon reload
within sh -c "'$root/usr/sbin/nefia-beacon' status --json -c '$conf' | grep -q '\"state\":\"waiting\"'"
result "a hub that cannot be reached is waited for" $?
: >"$calls"
service nefia-beacon retry
grep -q '^send_signal nefia-beacon \* HUP$' "$calls" && [ "$(pid_of nefia-beacon)" = "$pid" ]
result "an interface that comes up has it tried at once" $?

# ---- ubus ----
# As in OpenWrt's BusyBox: tr without classes, which are letters then.
cat >"$root/bin/tr" <<'TR'
#!/bin/sh
case $* in *'[:'*) exec sed 's/[^][:print]/ /g' ;; *) exec /usr/bin/tr "$@" ;; esac
TR
chmod +x "$root/bin/tr"
rpcd()
{
    ash "$root/usr/libexec/rpcd/nefia" "$@"
}

# answers NAME PYTHON METHOD [ARGUMENTS]: what the plugin answers, as a, satisfies this expression.
answers()
{
    echo "${4-{\}}" | rpcd call "$3" >"$dir/out" 2>"$dir/err"
    python3 -c 'import json, sys; a = json.load(open(sys.argv[1], encoding="utf-8")); sys.exit(not ('"$2"'))' "$dir/out" 2>"$log" && [ ! -s "$dir/err" ]
    status=$?
    cat "$dir/out" "$dir/err" >>"$log"
    result "$1" $status
}

rpcd list </dev/null | python3 -c 'import json, sys; sys.exit(sorted(json.load(sys.stdin)) != ["emit", "events", "status"])'
result "the plugin lists status, events and emit" $?
answers "ubus call nefia status: the beacon's status, and a hub that is not there" \
    'a["beacon"]["host_id"] == "renamed" and a["hub"] is None' status
answers "ubus call nefia emit takes an event" 'a["accepted"] and "seq" in a["message"]' emit \
    '{"type":"door.open","severity":"warning","data":{"door":"front \u00e4 \"x\"","count":2}}'
answers "the same again is suppressed, and it says so" 'not a["accepted"] and "duplicate" in a["message"]' emit \
    '{"type":"door.open","severity":"warning","data":{"door":"front \u00e4 \"x\"","count":2}}'
answers "a severity that there is not" 'not a["accepted"] and "not one of info, warning, critical" in a["message"]' emit '{"type":"a.b","severity":"bad"}'
answers "arguments that are options are none" 'not a["accepted"]' emit '{"type":"--help","severity":"-c"}'
answers "arguments that are no JSON" 'not a["accepted"] and "JSON" in a["message"]' emit '{"type":'
answers "no arguments" 'not a["accepted"]' emit ''
answers "ubus call nefia events: what became of the beacon's events" \
    'a["beacon"]["accepted"]["warning"] >= 1 and a["beacon"]["repeated"]["warning"] >= 1 and a["beacon"]["spool"]["events"] >= 1' events
for acl in beacon hub; do
    python3 -c 'import json, sys; a = json.load(open(sys.argv[1]))["nefia-" + sys.argv[2]]; sys.exit(a["read"] != {"ubus": {"nefia": ["status", "events"]}} or
        ("write" in a) != (sys.argv[2] == "beacon") or a.get("write", {"ubus": {"nefia": ["emit"]}}) != {"ubus": {"nefia": ["emit"]}})' \
        "$root/usr/share/rpcd/acl.d/nefia-$acl.json" $acl
    result "its ACL of the $acl: status and events to read, emit to write" $?
done

# ---- the hub's service ----
port=$(free_port)
printf "\nconfig rule 'all'\n\toption action 'exec'\n\toption command 'true'\n\toption target 'hub'\n" >>"$root/etc/config/nefia"
uci set nefia.hub.enabled=1
uci set nefia.hub.listen_address=127.0.0.1
uci set "nefia.hub.listen_port=$port"
uci add_list nefia.hub.interface=lan
: >"$calls"
service nefia-reactor start >"$dir/out" 2>"$dir/err"
within "$root/usr/sbin/nefia" reactor status -c "$root/var/etc/nefia/hub.json"
result "the hub runs" $?
hub_pid=$(pid_of nefia-reactor)
grep -qx "set_param command $root/usr/sbin/nefia reactor run --syslog -c $root/var/etc/nefia/hub.json" "$calls" &&
    grep -qx 'add_reload_interface_trigger lan' "$calls" && grep -qx 'set_param no_new_privs 1' "$calls"
result "procd is told of it" $?
uci set nefia.beacon.reactor="127.0.0.1:$port"
service nefia-beacon reload
service nefia-reactor reload
within sh -c "'$root/usr/sbin/nefia' reactor events --json -c '$root/var/etc/nefia/hub.json' | grep -q '\"door.open\"'"
result "the beacon's events, from before there was a hub, reach it with the key of the first boot" $?
[ "$(pid_of nefia-beacon)" = "$pid" ] && [ "$(pid_of nefia-reactor)" = "$hub_pid" ]
result "both are the same processes still" $?
answers "ubus call nefia events: those of the hub" '"door.open" in [e["type"] for e in a["hub"]]' events
answers "ubus call nefia status: both" 'a["beacon"]["uplink"]["delivered"] >= 1 and a["hub"]["rules"][0]["name"] == "all"' status
: >"$calls"
service nefia-beacon retry
! grep send_signal "$calls" >"$log"
result "a link that comes up leaves a connected beacon alone" $?

# ---- a file of one's own, and the end ----
cat >"$root/etc/nefia/own.yaml" <<YAML
host_id: own-file
beacons:
  control_socket: $root/var/run/nefia/own.sock
YAML
chmod 600 "$root/etc/nefia/own.yaml"
uci set "nefia.beacon.config_file=$root/etc/nefia/own.yaml"
service nefia-beacon reload
within "$root/usr/sbin/nefia-beacon" status -c "$root/etc/nefia/own.yaml"
result "config_file is used as it is" $?
gone "$pid" && [ "$(pid_of nefia-beacon)" != "$pid" ]
result "which takes another command line: a restart" $?
uci set nefia.beacon.host_id=elsewhere
own=$(pid_of nefia-beacon)
echo 'wrong: true' >"$root/etc/nefia/wrong.yaml"
for file in "$root/etc/nefia/wrong.yaml" "$root/etc/nefia/none.yaml"; do
    uci set "nefia.beacon.config_file=$file"
    service nefia-beacon reload
    ! gone "$own" && [ "$(pid_of nefia-beacon)" = "$own" ] && "$root/usr/sbin/nefia-beacon" status --json -c "$root/etc/nefia/own.yaml" | grep -q own-file
    result "another config_file, ${file##*/}, does not end what runs" $?
done
uci set nefia.beacon.config_file=
uci set nefia.beacon.dedup_window=often
service nefia-beacon reload
! gone "$own" && [ "$(pid_of nefia-beacon)" = "$own" ]
result "nor do wrong sections in its place" $?
service nefia-beacon start
! gone "$own" && [ "$(pid_of nefia-beacon)" = "$own" ]
result "nor a start" $?
uci set nefia.beacon.dedup_window=5m
uci set nefia.beacon.enabled=0
own=$(pid_of nefia-beacon)
service nefia-beacon reload
gone "$own"
result "enabled=0 ends it" $?
service nefia-reactor stop
gone "$hub_pid"
result "stop ends the hub" $?
answers "ubus: nothing runs" 'a == {"beacon": None, "hub": None}' status
rm -f "$root/var/etc/nefia/beacon.json"
uci set nefia.beacon.config_file=
uci set nefia.beacon.enabled=1
uci set nefia.beacon.dedup_window=never
: >"$root/logread"
service nefia-beacon start
[ ! -e "$root/procd/nefia-beacon" ] && grep -q 'not started: .* no earlier configuration' "$root/logread"
result "a wrong file at the first start: not started, and the log says why" $?

# ---- the package ----
package=board/openwrt/nefia
top=$PWD

# openwrt_make ARGUMENT…: the package's Makefile, in a double of OpenWrt's tree whose .config is $dir/openwrt/.config.
openwrt_make()
{
    make -s -C "$package" TOPDIR="$dir/openwrt" PKG_BUILD_DIR="$top" "$@"
}
mkdir -p "$dir/openwrt/include"
cp "$fake/rules.mk" "$dir/openwrt/rules.mk"
: >"$dir/openwrt/include/package.mk"

version=$(sed -n 's/^VERSION := //p' Makefile)
openwrt_make info-nefia-beacon info-nefia-hub >"$dir/out" 2>"$dir/err"
cat >"$dir/wanted" <<METADATA
Package: nefia-beacon
Version: $version-1
License: ISC
Section: utils
Category: Utilities
Title: Monitors this device and sends signed events
Depends: @USE_MUSL +jshn +jsonfilter
Require-User: nefia=905:nefia=905
Alternatives: 200:/usr/libexec/rpcd/nefia:/usr/lib/nefia/rpcd-beacon
Conffiles: /etc/config/nefia /etc/nefia/
Symbols: $(grep -c '^config NEFIA_' $package/Config.in)
Package: nefia-hub
Version: $version-1
License: ISC
Section: utils
Category: Utilities
Title: Receives events of beacons, decides and acts
Depends: @USE_MUSL +jshn +jsonfilter
Require-User: nefia=905:nefia=905
Alternatives: 100:/usr/libexec/rpcd/nefia:/usr/lib/nefia/rpcd-hub
Conffiles: /etc/config/nefia /etc/nefia/
Symbols: $(grep -c '^config NEFIA_' $package/Config.in)
METADATA
diff "$dir/wanted" "$dir/out" >"$log"
result "one Makefile has both packages, of this version, with user, conffiles and all symbols of the menu" $?

printf '%s\n' CONFIG_TARGET_ath79=y CONFIG_PACKAGE_nefia-beacon=y CONFIG_NEFIA_YAML=y '# CONFIG_NEFIA_HELP is not set' CONFIG_NEFIA_SPOOL_KB=16 \
    '# CONFIG_PIE is not set' >"$dir/openwrt/.config"
mkdir "$dir/build"
make -s -C "$package" TOPDIR="$dir/openwrt" PKG_BUILD_DIR="$dir/build" ARCH=mips configure-nefia-beacon >"$dir/out" 2>"$dir/err" &&
    printf '%s\n' CONFIG_YAML=y '# CONFIG_HELP is not set' CONFIG_SPOOL_KB=16 '# CONFIG_PIE is not set' | diff - "$dir/build/openwrt.config" >"$log"
result "the menu's choices become our configuration; on MIPS without PIE" $?
make -s -C "$package" TOPDIR="$dir/openwrt" PKG_BUILD_DIR="$dir/build" ARCH=arm configure-nefia-beacon >"$dir/out" 2>"$dir/err" &&
    printf '%s\n' CONFIG_YAML=y '# CONFIG_HELP is not set' CONFIG_SPOOL_KB=16 | diff - "$dir/build/openwrt.config" >"$log"
result "elsewhere PIE is the menu's" $?

# contents PACKAGE: what it installs, a line each.
contents()
{
    rm -rf "${dir:?}/$1"
    openwrt_make DESTINATION="$dir/$1" NEFIA_FLAGS= "install-$1" >"$dir/out" 2>"$dir/err" || return 1
    (cd "$dir/$1" && find . -type f | sort)
}
contents nefia-beacon >"$dir/list-beacon"
diff "$fake/nefia-beacon.list" "$dir/list-beacon" >"$log"
result "nefia-beacon has what its list says" $?
contents nefia-hub >"$dir/list-hub"
diff "$fake/nefia-hub.list" "$dir/list-hub" >"$log"
result "nefia-hub has what its list says" $?
sort "$dir/list-beacon" "$dir/list-hub" | uniq -d >"$log"
[ ! -s "$log" ]
result "no file is in both" $?
for p in nefia-beacon nefia-hub; do
    PATH=$dir/$p/usr/sbin:$PATH $package/test.sh $p "$version" >"$dir/out" 2>&1
    result "test.sh of $p: its program says the version" $?
    ! PATH=$dir/$p/usr/sbin:$PATH $package/test.sh $p 99.9 >"$dir/out" 2>&1
    result "test.sh of $p: another version fails" $?
done

# ---- the reference ----
# The first column of a table of docs/openwrt.md, below a heading.
column()
{
    awk -v heading="$1" '/^#/ { on = ($0 == heading) } on && /^\| `/ { print $2 }' docs/openwrt.md | tr -d '`' | sort
}
# Words of a variable of uci.sh.
words_of()
{
    sed -n "s/^$1='\(.*\)'\$/\1/p" rootfs-overlay/usr/lib/nefia/uci.sh | tr ' ' '\n' | sort
}

column '### Options of the service' >"$dir/out"
words_of NEFIA_OWN | diff - "$dir/out" >"$log"
result "docs/openwrt.md has every option that is the service's own" $?
column '### Sections' >"$dir/out"
{ words_of NEFIA_BEACON_TYPES; words_of NEFIA_HUB_TYPES; words_of NEFIA_POLICY_TYPES; } | sort >"$dir/wanted"
diff "$dir/wanted" "$dir/out" >"$log"
result "and every type of section" $?
# Those that the configuration reference calls truth values, and lists of items.
# shellcheck disable=SC2016 # the backquotes are the document's
grep -rhE '^\| `[a-z_]+` \|[^|]*\|( truth value| `true`, `false`| `true` or `false`) \|' docs/configuration.md docs/sensors.md |
    sed 's/^| `\([a-z_]*\)`.*/\1/' | sort -u >"$dir/wanted"
words_of NEFIA_TRUTHS | diff "$dir/wanted" - >"$log"
result "the truth values of the reference are those that may be 1 and 0" $?
# shellcheck disable=SC2016
sed -n 's/^### `beacons\.\([a-z_]*\)\[\]`$/\1/p' docs/sensors.md | sed 's/^scripts$/script/' | sort >"$dir/wanted"
words_of NEFIA_LISTS | diff "$dir/wanted" - >"$log"
result "the sensors of which there may be several are those of the reference" $?
# shellcheck disable=SC2016
sed -n '/^### `reactor.rules\[\].action`/,/^### `reactor.webhooks/s/^| `\([a-z_]*\)` .*/\1/p' docs/configuration.md | grep -vx type | sort -u >"$dir/wanted"
words_of NEFIA_ACTION | diff "$dir/wanted" - >"$log"
result "the keys of actions are those of the reference" $?
! grep -nE '^[[:space:]]*(option|list|config|package)(\(\)|[[:space:]]*\(\))' rootfs-overlay/usr/lib/nefia/uci.sh rootfs-overlay/etc/init.d/nefia-* >"$log"
result "no function is called option, list, config or package" $?
if command -v shellcheck >/dev/null; then
    shellcheck -x rootfs-overlay/etc/init.d/nefia-* rootfs-overlay/etc/uci-defaults/* rootfs-overlay/usr/lib/nefia/uci.sh rootfs-overlay/usr/libexec/rpcd/nefia \
        $package/test.sh "$fake"/*.sh "$fake/rc.common" "$fake/logger" >"$log" 2>&1
    result "shellcheck finds nothing" $?
else
    echo "skip: shellcheck is not here"
fi

# ---- in a tree of OpenWrt's ----
if [ -z "${OPENWRT-}" ]; then
    echo "skip: OPENWRT=DIR: the scan of metadata and the package's build in an OpenWrt tree"
    finish
fi
cp -R "$package" "$OPENWRT/package/nefia" && cp "out/nefia-edge-$version.tar.xz" "$OPENWRT/package/nefia/"
result "the package is in the tree" $?
make -C "$OPENWRT" defconfig >"$log" 2>&1 && grep -q '^Package: nefia-beacon$' "$OPENWRT/tmp/.packageinfo" && grep -q '^Package: nefia-hub$' "$OPENWRT/tmp/.packageinfo"
result "the scan of metadata shows both packages" $?
printf '%s\n' CONFIG_PACKAGE_nefia-beacon=m CONFIG_PACKAGE_nefia-hub=m >>"$OPENWRT/.config"
make -C "$OPENWRT" defconfig >"$log" 2>&1 && make -C "$OPENWRT" "-j$(nproc)" package/nefia/compile V=s >"$log" 2>&1
result "the packages build" $?
for p in nefia-beacon nefia-hub; do
    built=$(find "$OPENWRT"/build_dir/target-*/nefia-edge-"$version"/.pkgdir/$p -maxdepth 0 2>"$log")
    (cd "$built" && find . -type f | sort) | diff "$fake/$p.list" - >>"$log"
    result "the built $p has what its list says" $?
done
rm -rf "$OPENWRT/package/nefia"
finish
