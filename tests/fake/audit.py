#!/usr/bin/env python3
"""An audit log as anybody else reads it: Python's json, hashlib and hmac.

    audit.py KEYFILE FILE...        the files of a log, oldest first

Checks that each line is JSON, signed, and chained to the one before, and that they are numbered without a gap. Prints the head, then
how many records there are of each kind. Exit status: 0 all is in order, 1 it is not (the first line that is not is on stderr).
"""
import collections
import hashlib
import hmac
import json
import sys

with open(sys.argv[1], "rb") as file:
    key = file.read().rstrip(b"\n")
last, number, kinds = None, None, collections.Counter()
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    if lines.pop() != b"":
        sys.exit(f"{path}: ends in an incomplete line")
    for at, line in enumerate(lines, 1):
        record = json.loads(line)
        signed, _, mac = line.rpartition(b',"mac":"')
        if hmac.new(key, signed, hashlib.sha256).hexdigest().encode() + b'"}' != mac:
            sys.exit(f"{path}:{at}: not signed")
        if record["prev"] != (last or ("0" * 64 if record["n"] == 1 else record["prev"])):
            sys.exit(f"{path}:{at}: does not follow the line before")
        if record["n"] != (number or record["n"] - 1) + 1:
            sys.exit(f"{path}:{at}: record {record['n']} follows record {number}")
        last, number = hashlib.sha256(line).hexdigest(), record["n"]
        kinds[record["kind"]] += 1
print(f"{number}:{last}")
for kind, count in sorted(kinds.items()):
    print(kind, count)
