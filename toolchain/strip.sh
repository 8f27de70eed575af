#!/bin/sh
# strip.sh CROSS PROGRAM OUTPUT: what the kernel loads of a program, and nothing else. After strip(1) that is still the table of sections
# and their names, which debuggers want and find in PROGRAM.
set -eu
cross=$1 program=$2 output=$3

# number TEXT: of readelf, decimal or hexadecimal.
number()
{
    echo $(($1))
}

# zero OFFSET COUNT: bytes of the header.
zero()
{
    dd if=/dev/zero of="$whole" bs=1 seek="$1" count="$2" conv=notrunc 2>/dev/null
}

whole=$output.whole
trap 'rm -f "$whole"' EXIT
trap 'exit 1' HUP INT TERM
"${cross}strip" -s -o "$whole" "$program"
end=0
for segment in $("${cross}readelf" -lW "$whole" | awk '$1 ~ /^[A-Z_]+$/ && $2 ~ /^0x/ { print $2 "+" $5 }'); do
    last=$(number "$segment")
    [ "$last" -le "$end" ] || end=$last
done
# elf(5): e_shoff; e_shnum and e_shstrndx.
case $("${cross}readelf" -h "$whole") in
*'Class:'*ELF32*) zero 32 4 && zero 48 4 ;;
*'Class:'*ELF64*) zero 40 8 && zero 60 4 ;;
*) exit 1 ;;
esac
dd if="$whole" of="$output" bs="$end" count=1 2>/dev/null
chmod 755 "$output"
