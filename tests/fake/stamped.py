#!/usr/bin/env python3
"""A sender of foreign make that understands acknowledged delivery.

    stamped.py PORT KEYFILE HOST TYPE COUNT [RECORD]

It sends COUNT events, reads their acknowledgements, checks everything the hub signs, and prints the greeting's `auth`, how many
are acknowledged, and how the connection stands: "host 3 open". All that it sent goes to the file RECORD."""
import hashlib
import hmac
import json
import socket
import sys

port, key_file, host, kind, count = sys.argv[1:6]
with open(key_file, "rb") as f:
    key = f.read().rstrip(b"\n")


def sign(line):
    return hmac.new(key, line, hashlib.sha256).hexdigest().encode()


def event(nonce, n):
    line = json.dumps({"type": kind, "source": "stamped", "host_id": host, "timestamp": "2026-03-10T15:30:00Z",
                       "severity": "warning", "data": {"n": n}, "boot": 1, "seq": n,
                       "link": {"nonce": nonce, "count": n, "low": 1}}, separators=(",", ":")).encode()
    return line + b"\n" + sign(line) + b"\n"


with socket.create_connection(("127.0.0.1", int(port)), timeout=600) as s:
    heard = s.makefile("rb")

    def hear():
        line, signature = heard.readline()[:-1], heard.readline()[:-1]
        said = json.loads(line) if line else {}
        expected = b"-" if said.get("auth") == "host" else sign(line)
        if line and signature != expected:
            sys.exit("not signed as it should be: %s" % line.decode())
        return said

    greeting = hear()
    sent = b"".join(event(greeting["nonce"], n + 1) for n in range(int(count)))
    if len(sys.argv) > 6:
        with open(sys.argv[6], "wb") as f:
            f.write(sent)
    s.sendall(sent)
    acknowledged, state = 0, "open"
    while acknowledged < int(count):
        said = hear()
        if "ack" not in said or said["nonce"] != greeting["nonce"]:
            state = "refused" if said else "closed"
            break
        acknowledged = said["ack"]["count"]
    print(greeting["auth"], acknowledged, state)
