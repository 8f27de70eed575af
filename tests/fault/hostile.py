#!/usr/bin/env python3
"""hostile.py PORT COUNT: so many slow or hostile clients, each with an address and a connection that it opens again when it is
closed, until this process is ended. Those that say something valid say one and the same event, again and again."""
import os
import socket
import struct
import sys
import threading
import time

from rig import KEY, event, link2, sign

port, count = int(sys.argv[1]), int(sys.argv[2])


def half_line(s, who):
    """And nothing more, until the hub has had enough."""
    s.sendall(event(who, 1, 1)[:40])
    s.recv(1 << 16)
    s.recv(1)


def dribble(s, _):
    for byte in sign(b'{"type":"' + b"x" * 200):
        s.sendall(bytes([byte]))
        time.sleep(0.05)


def deaf(s, who):
    """Reads the welcome, and not one acknowledgement."""
    end = link2.BeaconEnd(KEY.encode(), who, 1)
    while end.welcome is None:
        got = s.recv(1 << 16)
        if not got:
            return
        for said in end.feed(got):
            if "nefia" in said:
                s.sendall(end.hello())
    for _ in range(100000):
        s.sendall(end.put(event(who, 1, 1)))
        time.sleep(0.002)


def garbage(s, who):
    s.sendall(sign(event(who, 1, 1)))
    for _ in range(64):
        s.sendall(os.urandom(4096))


def huge(s, _):
    s.sendall(b'{"type":"' + b"x" * 1000000)


def forged(s, who):
    s.sendall(sign(event(who, 1, 2), "another key, of the same length.") * 10)
    s.recv(1 << 16)
    s.recv(1)


def churn(s, who):
    """Reset at once."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


KINDS = (half_line, dribble, deaf, garbage, huge, forged, churn)


def live(number):
    kind = KINDS[number % len(KINDS)]
    while True:
        try:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                s.settimeout(10)
                s.bind(("127.2.0.%d" % (1 + number), 0))
                s.connect(("127.0.0.1", port))
                kind(s, "hostile-%d" % number)
        except (OSError, ValueError):
            pass
        time.sleep(0.05)


for i in range(count):
    threading.Thread(target=live, args=(i,), daemon=True).start()
sys.stdout.write("%d\n" % count)
sys.stdout.flush()
threading.Event().wait()
