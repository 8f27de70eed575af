#!/usr/bin/env python3
"""A host that answers pings later than its kernel would, which is silenced: echo.py DELAY TIMES LOG. Each request adds a line to LOG, and gets
TIMES answers after as many seconds as the file DELAY has."""
import pathlib
import socket
import struct
import sys
import threading


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def answer(to, rest):
    message = b"\0\0" + checksum(b"\0\0\0\0" + rest).to_bytes(2, "big") + rest
    for _ in range(int(sys.argv[2])):
        sock.sendto(message, to)


pathlib.Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
with open(sys.argv[3], "w", buffering=1, encoding="ascii") as log:
    print("ready", file=log)
    while True:
        packet, peer = sock.recvfrom(2048)
        icmp = packet[(packet[0] & 15) * 4:]
        if icmp[0] == 8 and len(icmp) % 2 == 0:
            print("echo", file=log)
            delay = float(pathlib.Path(sys.argv[1]).read_text(encoding="ascii"))
            threading.Timer(delay, answer, (peer, icmp[4:])).start()
