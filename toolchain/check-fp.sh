#!/bin/sh
# Does a program use a floating-point unit?  The kernels of routers without one (MIPS, PowerPC e500) emulate none: one such
# instruction and the process dies.
#
#   check-fp.sh CROSS_PREFIX PROGRAM…      prints each instruction found; exit 1 if there is one
set -eu

cross=$1
shift
log=$(mktemp)
data=$(mktemp)
trap 'rm -f "$log" "$data"' EXIT
found=0
for program in "$@"; do
    "${cross}objdump" -d --no-show-raw-insn "$program" >"$log"
    count=$(grep -cE '^ +[0-9a-f]+:' "$log" || true)
    if [ "$count" -lt 1000 ]; then
        echo "check-fp: $program: only $count instructions seen, this is no program" >&2
        exit 1
    fi
    # MIPS16 functions are followed by their constants. Those are objects in the symbol table, and objdump
    # prints their bytes as text, which may read like the name of an instruction.
    "${cross}readelf" -sW "$program" | awk '$4 == "OBJECT" { print "<" $8 ">:" }' >"$data"
    # Coprocessor 1 by name: arithmetic (add.s, c.eq.d, cvt.*), loads and stores (lwc1, sdc1, swxc1),
    # moves (mtc1, ctc1, mfhc1), branches (bc1t), conditional moves (movf, movt); and by register ($f0; PowerPC: f0).
    if awk -v program="$program" '
        FNR == NR { is_data[$0]; next }
        /^[0-9a-f]+ <.*>:$/ { name = $2; next }
        /^ +[0-9a-f]+:/ && !(name in is_data) {
            if ($2 ~ /\.(s|d|ps|w|l|pu|pl|ob|qh)$/ || $2 ~ /c1x?$/ || $2 ~ /^bc1/ ||
                $2 ~ /^mov[ft]$/ || $0 ~ /\$f[0-9]/ || $0 ~ /[ \t,]f[0-9]+(,|$)/) {
                sub(/^ +/, "")
                print program ": " name " " $0
                bad = 1
            }
        }
        END { exit !bad }' "$data" "$log"
    then
        found=1
    fi
done
if [ $found -ne 0 ]; then
    echo "0 passed, 1 failed"
    exit 1
fi
echo "$# passed, 0 failed"
