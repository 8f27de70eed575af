#!/usr/bin/env python3
"""A device that takes commands, as its end of link 2 (link2.py), and does what the files of its directory say.

    device.py PORT KEYFILE HOST DIR [plain]

DIR/mode says what it does with the next command; it is read for each one:
    run       carry it out with /bin/sh (the default)
    deny, unsupported, unknown, expired, busy    answer that
    drop      close the connection and forget it
    cut       carry it out, close the connection before the result, and come back as the start after a power cut
    hold      carry it out, but answer only once DIR/go is there
    deaf      do nothing with it, and answer nothing
DIR/emit: a line TYPE [JSON]: send that event, and remove the file. DIR/away: stay away while it is there.
DIR/log has what came: "command ID LIFE OP CAUSE", "again ID", "ran ID". An id it knows is answered, not carried out again. With `plain`
it does not name the feature."""
import json
import os
import select
import socket
import subprocess
import sys
import time

import link2

port, key_file, host, where = sys.argv[1:5]
features = [] if "plain" in sys.argv[5:] else ["exec"]
with open(key_file, "rb") as f:
    key = f.read().rstrip(b"\n")
known = {}  # id: members of its result
boot, seq = int(time.time() * 1000) % (1 << 40) + 1, 0


def path(name):
    return os.path.join(where, name)


def mode():
    try:
        with open(path("mode"), encoding="utf-8") as f:
            return f.read().strip() or "run"
    except FileNotFoundError:
        return "run"


def log(*words):
    with open(path("log"), "a", encoding="utf-8") as f:
        print(*words, file=f)


def carry_out(number, op):
    environment = {"PATH": os.environ["PATH"], **op.get("env", {})}
    argv = op.get("argv") or ["/bin/sh", "-c", op["run"]]
    began = time.monotonic()
    log("ran", "%016x" % number)
    timed_out = False
    try:
        done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=op["timeout_ms"] / 1000)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        output, status, timed_out = e.stdout or b"", -9, True
    known[number] = {"state": "done", "ms": int((time.monotonic() - began) * 1000), "bytes": len(output),
                     "output": output[:4096].decode(errors="replace"), "exit": max(status, 0)}
    if status < 0:
        known[number].update(signal=-status, timed_out=timed_out)


class Gone(Exception):
    """The session ends."""


def take(end, send, command):
    number, now = int(command["id"], 16), mode()
    log("command", command["id"], command["life_ms"], json.dumps(command.get("op")), json.dumps(command.get("cause", [])))
    if number in known:
        log("again", command["id"])
        send(end.result(number, **known[number]))
    elif now == "drop":
        raise Gone
    elif now == "deaf":
        return
    elif now in ("deny", "unsupported", "unknown", "expired", "busy"):
        state = {"deny": "denied"}.get(now, now)
        if now != "busy":
            known[number] = {"state": state, "reason": "says the test" if now in ("deny", "unsupported") else ""}
        send(end.result(number, **known.get(number, {"state": "busy"})))
    elif command["life_ms"] == 0:
        send(end.result(number, state="expired"))
    else:
        carry_out(number, command["op"])
        if now == "cut":
            global boot
            boot += 1
            known[number] = {"state": "unknown"}
            raise Gone
        while now == "hold" and not os.path.exists(path("go")):
            time.sleep(0.05)
        send(end.result(number, **known[number]))


def emit(end, send):
    global seq
    if end.welcome is None or not os.path.exists(path("emit")):
        return
    with open(path("emit"), encoding="utf-8") as f:
        kind, _, data = f.read().strip().partition(" ")
    os.unlink(path("emit"))
    seq += 1
    send(end.put(link2.pack({"type": kind, "source": "device", "host_id": host, "timestamp": "2026-03-10T15:30:00Z",
                             "severity": "warning", "data": json.loads(data or "{}"), "seq": seq, "boot": boot})))


def session():
    end = link2.BeaconEnd(key, host, boot, features=features)
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as s:
        while not os.path.exists(path("away")):
            emit(end, s.sendall)
            if not select.select([s], [], [], 0.05)[0]:
                continue
            data = s.recv(65536)
            if not data:
                return
            for said in end.feed(data):
                if "nefia" in said:
                    s.sendall(end.hello())
                elif "welcome" in said:
                    log("welcome", json.dumps(said["welcome"].get("features")))
                elif "command" in said:
                    take(end, s.sendall, said["command"])


while True:
    if not os.path.exists(path("away")):
        try:
            session()
        except (Gone, OSError):
            pass
        except link2.LinkError as e:
            log("error", e)
    time.sleep(0.1)
