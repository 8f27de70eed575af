#!/bin/sh
# Sensors of the device, against the real thing: processes that come and go, what of them another user may see, and the mark that
# tells starts of the device from starts of the beacon. Real flash, crashes and watchdogs are in qemu/scenario_device.sh.
#   tests/sensors_device_test.sh [BEACON]      default: out/host/nefia-beacon
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/beacon_lib.sh
first_pid=
second_pid=
processes='beacon_pid hub_pid first_pid second_pid'

# What nobody else has: a program of 19 bytes, of which the kernel keeps 15, and one that is called by another name.
program=nefia-test-$$-process
cp "$(command -v sleep)" "$dir/$program"

# is SENSOR RESULT [REASON]: as `status` has it.
is()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | grep -q "\"sensor\":\"$1\",\"name\":\"$1\",\"result\":\"$2\"${3:+,\"reason\":\"$3}"
}

# ---- processes ----
run "  dedup_window: 0s
  process:
    - {name: $program, interval: 1s}
    - {name: called, interval: 1s, max: 0, min: 0}"
within heard "\"type\":\"process.missing\".*\"severity\":\"critical\".*\"process\":\"$program\",\"count\":0"
result "a process that is not there" $?
"$dir/$program" 1000000 &
first_pid=$!
within heard "\"type\":\"process.missing\".*\"state\":\"recovered\",\"process\":\"$program\",\"count\":1"
result "is found by its name" $?
python3 -c 'import os; os.execv("/bin/sleep", ["/none/called", "1000000"])' &
second_pid=$!
within heard '"type":"process.count".*"severity":"warning".*"process":"called","count":1'
result "another by how it was called" $?
kill "$second_pid" && wait "$second_pid" 2>/dev/null
second_pid=
within heard '"type":"process.count".*"state":"recovered","process":"called","count":0'
result "its end is seen" $?
kill "$first_pid" && wait "$first_pid" 2>/dev/null
first_pid=
within sh -c "[ \$(grep -c '\"type\":\"process.missing\".*\"severity\":\"critical\"' '$dir/hub.log') -ge 2 ]"
result "and that of the first" $?
halt

# ---- memory and descriptors ----
sh -c "exec 7</dev/null 8</dev/null; exec '$dir/$program' 1000000" &
first_pid=$!
within sh -c "[ \"\$(readlink /proc/$first_pid/exe)\" = '$dir/$program' ]"
cat >"$dir/once.yaml" <<YAML
beacons:
  process:
    - {name: $program, max_memory_kib: 1, max_descriptors: 4}
YAML
chmod 755 "$dir"
chmod 644 "$dir/once.yaml"
expect "once measures them" 0 "$beacon" once -c "$dir/once.yaml"
says "memory" "\"type\":\"process.memory\".*\"process\":\"$program\",\"memory_bytes\":[1-9]" out
# shellcheck disable=SC2012 # numbers
says "descriptors" "\"type\":\"process.descriptors\".*\"descriptors\":$(ls "/proc/$first_pid/fd" | wc -l)}" out
if [ "$(id -u)" -eq 0 ]; then
    cp "$beacon" "$dir/beacon"
    expect "to another user they are not measured" 1 \
        setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/beacon" once -c "$dir/once.yaml"
    says "descriptors, with the reason" "^process $program: not measured: /proc/$first_pid/fd: Permission denied" err
    says "memory is" "\"type\":\"process.memory\"" out
    printf 'beacons:\n  process:\n    - {name: %s}\n' "$program" >"$dir/hidden.yaml"
    # shellcheck disable=SC2016 # the inner shell expands them
    expect "processes that are hidden from it are not missing" 1 unshare -m sh -c \
        'mount -t proc -o hidepid=invisible proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1" once -c "$2"' \
        sh "$dir/beacon" "$dir/hidden.yaml"
    says "but not measured" "^process $program: not measured: /proc/1/stat: No such file or directory" err
    says "so there is no event" "^process $program: .*, no events" err
else
    echo "not root: what another user may see of a process is not tested"
fi
kill "$first_pid" && wait "$first_pid" 2>/dev/null
first_pid=

# ---- starts ----
mkdir "$dir/state"
starts="  state_dir: $dir/state
  reboot: {interval: 1s}
  flash: {interval: 1s}"
run "$starts"
within is reboot 'not measured' 'state_dir: no mark of an earlier start'
result "the first start is not measured" $?
within is flash 'not measured' 'no UBI and no eMMC that reports wear'
result "without flash that tells there is a reason" $?
halt
run "$starts"
within is reboot ok
result "the beacon was started again, not the device" $?
kill -9 "$beacon_pid"
wait "$beacon_pid" 2>/dev/null
stop_hub
run "$starts"
within is reboot ok
result "or was killed" $?
halt
! heard reboot.unexpected
result "that is no event" $?
mark=$(cut -d ' ' -f 1 "$dir/state/reboot-mark")
expect "once looks" 0 sh -c "printf 'beacons:\n  state_dir: %s\n  reboot: {}\n' '$dir/state' >'$dir/once.yaml' && '$beacon' once -c '$dir/once.yaml'"
[ "$mark" = "$(cut -d ' ' -f 1 "$dir/state/reboot-mark")" ]
result "and does not touch the mark" $?

finish
