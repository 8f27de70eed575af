#!/usr/bin/env python3
"""A hub that only listens: hub.py PORT FILE appends every whole line to FILE.

SIGTERM ends it as a real one does: it closes its sending side, reads what is still under way, and leaves."""
import selectors
import signal
import socket
import sys

ending = False


def end(*_):
    global ending
    ending = True


def main():
    signal.signal(signal.SIGTERM, end)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    out = open(sys.argv[2], "ab", buffering=0)
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    rest = {}
    told = False
    while not (told and not rest):
        if ending and not told:
            told = True
            waiting.unregister(listener)
            listener.close()
            for peer in rest:
                peer.shutdown(socket.SHUT_WR)
        for key, _ in waiting.select(0.05):
            peer = key.fileobj
            if peer is listener:
                peer = listener.accept()[0]
                waiting.register(peer, selectors.EVENT_READ)
                rest[peer] = b""
                continue
            try:
                data = peer.recv(65536)
            except OSError:
                data = b""
            if not data:
                waiting.unregister(peer)
                peer.close()
                del rest[peer]
                continue
            lines = (rest[peer] + data).split(b"\n")
            rest[peer] = lines.pop()
            out.write(b"".join(line + b"\n" for line in lines))


main()
