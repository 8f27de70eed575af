#!/bin/sh
# The console (board/profiles/guarded.config), driven over terminals: tests/console.py. qemu/scenario_console.sh has it on a serial port.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

make BOARD=host CONFIG=guarded out/host-guarded/nefia-beacon >"$dir/host.log" 2>&1
result "a beacon with a console builds" $?

printf '0123456789abcdef0123\n' >"$dir/key"
chmod 600 "$dir/key"
python3 tests/docs.py block console | sed "s|/etc/nefia/hmac.key|$dir/key|" >"$dir/nefia.yaml"
expect "the configuration of docs/console.md is accepted" 0 "${BEACON:-out/host-guarded/nefia-beacon}" check -c "$dir/nefia.yaml"

# console NAME CASE: a case of tests/console.py.
console()
{
    expect "$1" 0 python3 tests/console.py "${BEACON:-out/host-guarded/nefia-beacon}" "$2"
}
console "every command works on a dumb terminal" commands
console "net goes the whole way to a hub that is there" hub
console "lines are edited and come back without escape sequences" editing
console "^C ends a command and not the session" interrupt
console "without a terminal there is neither prompt nor echo" piped
console "it works while the daemon is stuck, and when it is dead" without_daemon
console "a bare line opens with the right answer only" key
console "it needs a key unless the configuration says otherwise" unlocked
console "the line of the configuration is opened, by one console at a time" configured
console "that line asks for the answer by whatever name it is opened" same_line
console "an idle session ends" idle
console "a line that hangs up ends it, whatever it does" hang_up
console "a reader of 960 bytes a second keeps nobody waiting" slow
console "what a line is too slow for is dropped and counted" dropped
console "a key ends watch however much comes" stops
console "a minute of noise opens nothing and costs nothing" garbage

finish
