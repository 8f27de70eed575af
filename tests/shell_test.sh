#!/bin/sh
# The splitter of command lines against real shells: BusyBox ash and dash run generated lines, as nobody, in a root directory with
# nothing but stubs that log what they are called with. Where the splitter claims to have taken a line apart, the shell runs no other
# commands than those, and all of them where nothing is conditional. SHELL_LINES, SHELL_SEED: how many lines for each shell, and which.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

lines=${SHELL_LINES:-10000}
seed=${SHELL_SEED:-1}
admin=tests/golden/admin_lines.txt

skip()
{
    echo "skip: lines in real shells, which need $1"
    result "nothing to compare with" 0
    finish
}

[ "$(id -u)" -eq 0 ] || skip "root, to change the root directory"
for p in dash busybox musl-gcc; do
    command -v $p >/dev/null || skip $p
done
unshare -pfn true 2>/dev/null || skip "namespaces"

expect "the comparison builds" 0 gcc -O1 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -Isrc \
    -o "$dir/compare" -static tests/shell/compare.c src/guard/shell*.c src/base/text.c src/base/utf8.c
expect "the stub builds" 0 musl-gcc -static -O1 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$dir/stub" tests/shell/stub.c

# root_of NAME PROGRAM: a root directory with a shell and the stubs.
root_of()
{
    root=$dir/$1
    mkdir -p "$root/bin" "$root/tmp" "$root/dev"
    chmod 755 "$dir" "$root"
    chmod 1777 "$root/tmp"
    mknod -m 666 "$root/dev/null" c 1 3
    echo a >"$root/in"
    cp "$2" "$root/shell"
    for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ )]*'); do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
    cp "$dir/stub" "$root/bin/.stub"
    python3 tests/shell/generate.py --names "$admin" | while read -r name; do
        ln "$root/bin/.stub" "$root/bin/$name"
    done
}

# Each shell has lines of its own.
compare()
{
    python3 tests/shell/generate.py "$2" "$lines" "$admin" >"$dir/$1.lines" &&
        unshare -pfn --kill-child "$dir/compare" "$dir/$1" /shell <"$dir/$1.lines" >"$dir/$1.out" 2>&1
}

root_of dash "$(command -v dash)" && root_of ash "$(command -v busybox)"
result "the roots are laid out" $?
compare dash "$seed" &
first=$!
compare ash "$((seed + 1))" &
second=$!
# shellcheck disable=SC2034 # lib.sh ends them
processes="first second"
for shell in dash ash; do
    if [ $shell = dash ]; then wait $first; else wait $second; fi
    status=$?
    [ $status -eq 0 ] || head -n 60 "$dir/$shell.out"
    result "$shell runs what the splitter says" $status
    last=$(tail -n 1 "$dir/$shell.out")
    echo "  $last"
    # Neither is the claim empty, nor do lines end before they have run.
    sure=$(echo "$last" | sed -n 's/.* \([0-9]*\) taken apart.*/\1/p')
    [ "${sure:-0}" -ge $((lines / 2)) ]
    result "most lines are taken apart" $?
done
finish
