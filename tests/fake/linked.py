#!/usr/bin/env python3
"""A sender of foreign make that speaks link 2, written from docs/wire.md alone: no other file of the tests is used.

    linked.py PORT KEYFILE HOST TYPE COUNT [RECORD]

It sends COUNT events of a start of its own, reads their acknowledgements, verifies everything the hub signs, and prints how many are
acknowledged and how many were refused, and how the connection stands: "3 0 open". KEYFILE "-": no key. All bytes that it sent go to
the file RECORD."""
import hashlib
import hmac
import json
import os
import secrets
import socket
import sys

port, key_file, host, kind, count = sys.argv[1:6]
key = None
if key_file != "-":
    with open(key_file, "rb") as f:
        key = f.read().rstrip(b"\n")
boot = secrets.randbelow((1 << 53) - 1) + 1
numbers = {"up": 0, "down": 0}
keys = {}
sent = b""


def signature(way, line):
    numbers[way] += 1
    return hmac.new(keys[way], numbers[way].to_bytes(8, "big") + line, hashlib.sha256).hexdigest().encode()


def say(message):
    global sent
    line = json.dumps(message, separators=(",", ":")).encode()
    if not keys and key:  # the hello
        for way in ("up", "down"):
            secret = b"nefia 2 " + way.encode() + b"\0" + hashlib.sha256(greeting).digest() + hashlib.sha256(line).digest()
            keys[way] = hmac.new(key, secret, hashlib.sha256).digest()
    if key:
        line += b"\n" + signature("up", line)
    else:
        numbers["up"] += 1
    sent += line + b"\n"
    s.sendall(line + b"\n")
    return numbers["up"]


def hear():
    line = heard.readline()[:-1]
    if not line:
        return {}
    if key:
        signed = heard.readline()[:-1]
        if not signed and "error" in json.loads(line) and numbers["down"] == 0:
            sys.exit("refused: %s" % line.decode())
        if signed != signature("down", line):
            sys.exit("not signed as it should be: %s" % line.decode())
    return json.loads(line)


with socket.create_connection(("127.0.0.1", int(port)), timeout=600) as s:
    heard = s.makefile("rb")
    greeting = heard.readline()[:-1]
    if json.loads(greeting)["nefia"] != 2:
        sys.exit("not a hub of version 2")
    hello = say({"hello": {"host_id": host, "nonce": os.urandom(16).hex(), "boot": boot, "plain": False, "features": []}})
    said = hear()
    window, settled, lines, refused = said.get("welcome", {}).get("window", 0), hello, [], 0
    state = "open" if "welcome" in said else "refused"
    while state == "open" and settled < hello + int(count):
        while len(lines) < int(count) and len(lines) - (settled - hello) < window:
            seq = len(lines) + 1
            lines.append(say({"type": kind, "source": "linked", "host_id": host, "timestamp": "2026-03-10T15:30:00Z",
                              "severity": "warning", "data": {"n": seq}, "seq": seq, "boot": boot}))
        said = hear()
        window = said.get("window", window)
        if "ack" in said:
            settled = said["ack"]["line"]
        elif "refused" in said:
            refused += 1
        elif not said or "error" in said:
            state = "refused" if said else "closed"
    if len(sys.argv) > 6:
        with open(sys.argv[6], "wb") as f:
            f.write(sent)
    print(settled - hello - refused, refused, state)
