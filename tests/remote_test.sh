#!/bin/sh
# Commands from the hub on a device (board/profiles/guarded.config), and runs of playbooks that it undoes by itself: tests/remote.py.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

make BOARD=host CONFIG=guarded out/host-guarded/nefia-beacon >"$dir/host.log" 2>&1
result "a beacon that takes commands builds" $?

# device NAME CASE: a case of tests/remote.py.
device()
{
    expect "$1" 0 python3 tests/remote.py "${BEACON:-out/host-guarded/nefia-beacon}" "$2"
}
device "a command runs, and its result says how it ended" once
device "what the device's policy denies, or what it cannot do, is refused with a reason" refused
device "a command begins within its life or never" life
device "one that is seen again is answered and not run again" twice
device "a lost connection loses no result" cut
device "what was cut in the middle is unknown" power
device "what cannot be remembered does not begin" unkept
device "no key, or not enabled: no commands" off
device "what a command leads to has its cause" cause
device "operations that are no commands" ops
device "a playbook's run that is not committed is undone" undo

finish
