#!/bin/sh
# strip-headers.sh READELF FILE: cut off what a 32-bit program does not need to run: everything
# behind its last loaded byte, which is the table of section headers.
set -eu

end=$("$1" -lW "$2" | awk '$1 == "LOAD" { print $2, $5 }' |
    while read -r offset size; do echo $((offset + size)); done | sort -n | tail -n 1)
[ "$end" -gt 0 ]
head -c "$end" "$2" >"$2.cut"
# ELF32: e_shoff at 32; e_shnum and e_shstrndx at 48.
dd if=/dev/zero of="$2.cut" bs=1 seek=32 count=4 conv=notrunc 2>/dev/null
dd if=/dev/zero of="$2.cut" bs=1 seek=48 count=4 conv=notrunc 2>/dev/null
chmod +x "$2.cut"
mv "$2.cut" "$2"
