#!/usr/bin/env python3
"""What a hub's journal says (include/nefia/hub/journal.h), read by other means than the hub's own.

    qemu/journal.py FILE        the file's generation, and how many events it says were taken (SEEN) in turns that count
"""
import struct
import sys
import zlib

HEADER = struct.Struct(">2sBxII")
SEEN, COMMIT = 3, 7

with open(sys.argv[1], "rb") as f:
    data = f.read()
at = generation = taken = counted = 0
while len(data) - at >= HEADER.size:
    magic, kind, length, crc = HEADER.unpack_from(data, at)
    body = data[at + HEADER.size:at + HEADER.size + length]
    if magic != b"NF" or len(body) < length or crc != zlib.crc32(data[at + 2:at + 8] + body):
        break
    at += HEADER.size + length
    taken += kind == SEEN
    if kind == COMMIT:
        generation, counted = struct.unpack_from(">Q", body)[0], taken
print(generation, counted)
