#!/usr/bin/env python3
"""A sender of foreign make, for what a shell does badly.

    sender.py hold PORT COUNT              open COUNT connections, print how many the hub keeps open
    sender.py steady PORT KEYFILE COUNT    send COUNT signed events; where the hub closes its side, end this
                                           connection after the event that is on its way, and go on with a new one
    sender.py raw PORT FILE…               send each file's bytes over a connection of its own, print "closed"
                                           or "open" for what the hub does with it within two seconds
"""
import hashlib
import hmac
import socket
import sys
import time

port = int(sys.argv[2])


def connect():
    deadline = time.time() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            if time.time() > deadline:
                raise
            time.sleep(0.02)


def is_closed(s, seconds):
    """What the hub says is passed over."""
    s.settimeout(seconds)
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
        return socket.create_connection(("127.0.0.1", port), timeout=10)
    except ConnectionResetError:
        return None


def hold(count):
    held = [connect_once() for _ in range(count)]
    print(sum(s is not None and not is_closed(s, 0.05) for s in held), flush=True)


def event(key, i):
    line = ('{"type":"load.test","source":"sender","host_id":"h%d","timestamp":"2026-03-10T15:30:00Z",'
            '"severity":"info","data":{"n":%d}}' % (i % 10, i)).encode()
    return line + b"\n" + hmac.new(key, line, hashlib.sha256).hexdigest().encode() + b"\n"


def steady(key, count):
    s, connections = connect(), 1
    for i in range(count):
        s.setblocking(False)
        try:
            asked_to_end = s.recv(4096) == b""
        except BlockingIOError:
            asked_to_end = False
        if asked_to_end:
            s.close()
            s, connections = connect(), connections + 1
        s.setblocking(True)
        s.sendall(event(key, i))
        if i % 50 == 0:
            time.sleep(0.001)
    s.shutdown(socket.SHUT_WR)
    is_closed(s, 10)
    print(connections, flush=True)


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
        print("closed" if s is None or is_closed(s, 2) else "open", flush=True)


if sys.argv[1] == "hold":
    hold(int(sys.argv[3]))
elif sys.argv[1] == "steady":
    with open(sys.argv[3], "rb") as f:
        steady(f.read().rstrip(b"\n"), int(sys.argv[4]))
else:
    raw(sys.argv[3:])
