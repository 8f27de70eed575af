#!/usr/bin/env python3
"""A sender of foreign make, for what a shell does badly.

    sender.py hold PORT COUNT              open COUNT connections at the same time, print how many the hub has greeted
    sender.py steady PORT KEYFILE COUNT [FILE]  send signed events until there is FILE, and then COUNT; where the hub closes
                                           its side, end this connection after the event that is on its way, and go on with
                                           a new one. Prints how many were sent
    sender.py raw PORT FILE…               send each file's bytes over a connection of its own, print "closed" when the hub
                                           closes it, "open" when it never does

SOURCE in the environment is the address to send from.
"""
import hashlib
import hmac
import os
import socket
import sys
import time

port = int(sys.argv[2])
source = (os.environ["SOURCE"], 0) if "SOURCE" in os.environ else None
NEVER = 600  # seconds: what has not come until then does not come


def connect():
    deadline = time.time() + NEVER
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=NEVER, source_address=source)
        except OSError:
            if time.time() > deadline:
                raise
            time.sleep(0.02)


def is_closed(s):
    """The hub's output is ignored."""
    try:
        while s.recv(4096) != b"":
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True


def connect_once():
    """None: refused so quickly that already the connect saw it."""
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=NEVER, source_address=source)
    except ConnectionResetError:
        return None


def is_greeted(s):
    try:
        return s is not None and s.recv(4096) != b""
    except OSError:
        return False


def hold(count):
    held = [connect_once() for _ in range(count)]
    print(sum(is_greeted(s) for s in held), flush=True)


def event(key, i):
    line = ('{"type":"load.test","source":"sender","host_id":"h%d","timestamp":"2026-03-10T15:30:00Z",'
            '"severity":"info","data":{"n":%d}}' % (i % 10, i)).encode()
    return line + b"\n" + hmac.new(key, line, hashlib.sha256).hexdigest().encode() + b"\n"


def steady(key, count, until=None):
    s, i, end = connect(), 0, None
    while i != end:
        if end is None and (until is None or os.path.exists(until)):
            end = i + count
        s.setblocking(False)
        try:
            asked_to_end = s.recv(4096) == b""
        except BlockingIOError:
            asked_to_end = False
        if asked_to_end:
            s.close()
            s = connect()
        s.setblocking(True)
        s.sendall(event(key, i))
        if i % 50 == 0:
            time.sleep(0.001)
        i += 1
    s.shutdown(socket.SHUT_WR)
    s.settimeout(NEVER)
    is_closed(s)
    print(i, flush=True)


def raw(files):
    for name in files:
        s = connect_once()
        with open(name, "rb") as f:
            data = f.read()
        try:
            if s:
                s.sendall(data)
        except OSError:
            pass
        print("closed" if s is None or is_closed(s) else "open", flush=True)


if sys.argv[1] == "hold":
    hold(int(sys.argv[3]))
elif sys.argv[1] == "steady":
    with open(sys.argv[3], "rb") as f:
        steady(f.read().rstrip(b"\n"), *map(int, sys.argv[4:5]), *sys.argv[5:])
else:
    raw(sys.argv[3:])
