#!/bin/sh
# The checks of the promises can fail: each is shown something that breaks its promise.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/check.log

# refuses WORDS COMMAND…: the command fails and says WORDS.
refuses()
{
    words=$1
    shift
    if "$@" >"$log" 2>&1; then
        return 1
    fi
    grep -q "$words" "$log"
}

for board in arm-virt mips-malta; do
    make "-j$(nproc)" BOARD=$board >"$log" 2>&1
    result "$board builds" $?
done

# ---- the budget ----
python3 toolchain/budget.py arm-virt >"$log" 2>&1
result "arm-virt is within its budget" $?

echo 'arm-virt - nefia-beacon 20 256' >"$dir/flash"
refuses 'arm-virt nefia-beacon: flash' python3 toolchain/budget.py --promises "$dir/flash" arm-virt
result "too much flash is refused" $?

echo 'arm-virt - nefia 384 100' >"$dir/ram"
refuses 'arm-virt nefia: RAM' python3 toolchain/budget.py --promises "$dir/ram" arm-virt
result "too much RAM is refused" $?

grep -v '^depth tre_ast_to_tnfa' toolchain/stack.txt >"$dir/stack"
refuses 'recursion without a stated depth' python3 toolchain/budget.py --stack "$dir/stack" arm-virt
result "a recursion without a stated depth is refused" $?

grep -v 'stdlib/qsort.c' toolchain/stack.txt >"$dir/stack"
refuses 'does not say whom' python3 toolchain/budget.py --stack "$dir/stack" arm-virt
result "a pointer that may lead anywhere is refused" $?

{
    cat toolchain/stack.txt
    echo 'also loop_turn -> test:deep'
    echo 'frame test:deep 300000'
} >"$dir/stack"
refuses 'RAM' python3 toolchain/budget.py --stack "$dir/stack" arm-virt
result "a deeper stack counts" $?

# ---- several parts of one check ----
toolchain/sum.sh 'echo first; echo 2 passed, 0 failed' 'echo 3 passed, 0 failed' >"$dir/sum" 2>"$log" &&
    [ "$(cat "$dir/sum")" = "first
5 passed, 0 failed" ]
result "what all parts of a check count is added up" $?
toolchain/sum.sh -j 'sleep 1; echo first; echo 2 passed, 0 failed' 'echo second; echo 3 passed, 0 failed' >"$dir/sum" 2>"$log" &&
    [ "$(tr '\n' ' ' <"$dir/sum")" = "first second 5 passed, 0 failed " ]
result "parts that run side by side are shown in their order" $?
# Each of the two waits for the other.
toolchain/check.sh -d "$dir/check" 'before=echo 1 passed, 0 failed' \
    -- "left=[ -e $dir/check/before.log ] && mkfifo $dir/meet; echo met >$dir/meet; echo 2 passed, 0 failed" \
    -- "right=until [ -p $dir/meet ]; do sleep 0.1; done; read -r word <$dir/meet; echo 3 passed, 0 failed" 'after=exit 3' >"$dir/sum" 2>"$log"
[ $? -eq 1 ] && [ "$(tail -n 1 "$dir/sum")" = "6 passed, 1 failed" ]
result "tiers run side by side, and are all counted" $?
if toolchain/sum.sh 'echo 2 passed, 1 failed; exit 1' 'exit 3' 'echo 4 passed, 0 failed' >"$dir/sum" 2>"$log"; then false; else
    [ "$(cat "$dir/sum")" = '6 passed, 2 failed' ]
fi
result "a part that fails, or dies, fails all of them" $?

# A budget that the pools alone exceed stops the compiler.
sed 's/^#define CONFIG_BEACON_RAM_KB .*/#define CONFIG_BEACON_RAM_KB 16/' out/host/gen/autoconf.h \
    >"$dir/autoconf.h"
refuses 'exceed the program' gcc -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -Iout/host/gen \
    -isystem out/host/sysroot/include -include "$dir/autoconf.h" -c -o "$dir/pools.o" src/beacon/pools.c
result "pools beyond the configured RAM do not compile" $?

# ---- symbols and floating point ----
cat >"$dir/bad.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    double d = argc;
    char *p = malloc((size_t)argc);
    return printf("%s %f %p\n", argv[0], d * 2.5, (void *)p) < 0;
}
C
mips-linux-gnu-gcc -O1 -static -o "$dir/bad" "$dir/bad.c" >"$log" 2>&1
result "a program that breaks the rules links" $?
refuses 'printf family' toolchain/check-symbols.sh mips-linux-gnu- "$dir/bad"
result "printf is found" $?
refuses "'s allocator" toolchain/check-symbols.sh mips-linux-gnu- "$dir/bad"
result "an allocator is found" $?
refuses 'main' toolchain/check-fp.sh mips-linux-gnu- "$dir/bad"
result "a floating-point instruction is found" $?
toolchain/check-fp.sh mips-linux-gnu- out/mips-malta/nefia.elf >"$log" 2>&1
result "constants between MIPS16 functions are no floating point" $?
# add.s $f0,$f2,$f4 in place of an instruction of the hash.
python3 - out/mips-malta/nefia.elf "$dir/planted" <<'PY'
import re, subprocess, sys

source, target = sys.argv[1:]
symbols = subprocess.run(["mips-linux-gnu-nm", source], capture_output=True, text=True, check=True).stdout
address = int(re.search(r"^([0-9a-f]+) t br_sha2small_round$", symbols, re.M | re.I)[1], 16)
headers = subprocess.run(["mips-linux-gnu-readelf", "-lW", source], capture_output=True, text=True, check=True).stdout
offset, start = (int(n, 16) for n in re.search(r"LOAD +(0x\w+) (0x\w+).* R E ", headers).groups())
program = bytearray(open(source, "rb").read())
at = address - start + offset + 8
program[at:at + 4] = bytes.fromhex("46041000")
open(target, "wb").write(program)
PY
refuses 'add.s' toolchain/check-fp.sh mips-linux-gnu- "$dir/planted"
result "one floating-point instruction in a program of MIPS16 code is found" $?
refuses 'stripped' toolchain/check-symbols.sh mips-linux-gnu- out/mips-malta/nefia
result "a stripped program cannot pass" $?

# ---- hardening ----
for board in arm-virt mips-malta; do
    cross=$(sed -n 's/^CROSS *:= *//p' "toolchain/$(sed -n 's/^ARCH := //p' board/$board/board.mk).mk")
    for program in nefia nefia-beacon; do
        "${cross}readelf" -hldW "out/$board/$program" >"$log" 2>&1
        if grep -q '^CONFIG_PIE=y' "out/$board/.config"; then
            grep -q 'Type: *DYN' "$log" && grep -q 'GNU_RELRO' "$log" && grep -Eq 'BIND_NOW|FLAGS.*NOW' "$log" &&
                ! grep -q 'TEXTREL' "$log"
            result "$program on $board: static-pie, full RELRO" $?
        else
            # Nothing is relocated: what is constant is in the segment that nobody can write.
            grep -q 'Type: *EXEC' "$log" && ! grep -q 'DYNAMIC' "$log" && "${cross}readelf" -SW "out/$board/$program.elf" |
                awk '{ sub(/^ *\[ *[0-9]+\] /, "") }
                     $1 == ".data.rel.ro" || $1 == ".init_array" || $1 ~ /^\.rel/ { bad = 1 } $1 == ".rodata" && $7 == "A" { seen = 1 }
                     END { exit bad || !seen }'
            result "$program on $board: at a fixed address, nothing that is constant is writable" $?
        fi
        ! grep -q 'INTERP' "$log" && grep -q 'GNU_STACK.* RW ' "$log"
        result "$program on $board: no executable stack" $?
    done
done

finish
