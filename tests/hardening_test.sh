#!/bin/sh
# Hardening as it is in the running program; what is in the files on disk is checked by promises_test.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

pid=
processes='pid'

printf 'reactor:\n  listen_address: 127.0.0.1\n  listen_port: %s\n  peers: [127.0.0.1]\n  control_socket: %s\n' \
    "$(free_port)" "$dir/hub.sock" >"$dir/hub.yaml"
background hub.log out/host/nefia reactor run -c "$dir/hub.yaml"
pid=$!
within out/host/nefia reactor status -c "$dir/hub.yaml"

# The segments of /proc/PID/maps against the program's own headers: all of PT_GNU_RELRO but a last part of a page is read-only.
python3 - "$pid" out/host/nefia.elf >"$dir/out" 2>"$dir/err" <<'PY'
import subprocess, sys

pid, elf = sys.argv[1:]
maps = [line.split() for line in open(f"/proc/{pid}/maps")]
ours = [m for m in maps if len(m) > 5 and m[5].endswith("/nefia")]
base = min(int(m[0].split("-")[0], 16) for m in ours)
relro = next(line.split() for line in subprocess.check_output(["readelf", "-lW", elf], text=True).splitlines()
             if "GNU_RELRO" in line)
start = base + int(relro[2], 16)
end = (start + int(relro[5], 16)) & ~4095
spans = [(int(m[0].split("-")[0], 16), int(m[0].split("-")[1], 16), m[1]) for m in maps]
rights = {r for a, b, r in spans if a < end and b > start}
print("relro", hex(start), hex(end), rights)
sys.exit(0 if end > start and rights == {"r--p"} else 1)
PY
result "tables of addresses are read-only in the running program" $?
! grep -q '^[^ ]* rwx' "/proc/$pid/maps"
result "nothing is both writable and executable in it" $?

finish
