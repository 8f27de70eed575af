#!/usr/bin/env python3
"""A syslogd: what comes through the socket goes to FILE, as Debian's writes it. syslogd.py SOCKET FILE."""
import os
import re
import socket
import sys

server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
with open(sys.argv[2], "ab", buffering=0) as log:
    while True:
        message = server.recv(8192).rstrip(b"\n\0")
        log.write(re.sub(rb"^<\d+>(.{15} )", rb"\1gw ", message) + b"\n")
