#!/usr/bin/env python3
"""Put connections into the kernel's table of tracked ones, in the network namespace that this runs in: track.py NUMBER
By ctnetlink (<linux/netfilter/nfnetlink_conntrack.h>), so that no rule and no traffic is needed. Exit status 3: the kernel cannot."""
import errno
import socket
import struct
import sys

NETLINK_NETFILTER, CTNETLINK_NEW = 12, 1 << 8
REQUEST, ACK, CREATE = 1, 4, 0x400
NESTED = 1 << 15
UDP = 17


def attribute(kind, body):
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def flow(source, destination, source_port, destination_port):
    addresses = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(destination))
    ports = attribute(1, bytes([UDP])) + attribute(2, struct.pack(">H", source_port)) + attribute(3, struct.pack(">H", destination_port))
    return attribute(1 | NESTED, addresses) + attribute(2 | NESTED, ports)


def put(kernel, port):
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += attribute(1 | NESTED, flow("192.0.2.1", "192.0.2.2", port, 53)) + attribute(2 | NESTED, flow("192.0.2.2", "192.0.2.1", 53, port))
    body += attribute(3, struct.pack(">I", 1 << 3)) + attribute(7, struct.pack(">I", 600))  # IPS_CONFIRMED; seconds
    kernel.send(struct.pack("=IHHII", 16 + len(body), CTNETLINK_NEW, REQUEST | ACK | CREATE, port, 0) + body)
    return -struct.unpack_from("=i", kernel.recv(4096), 16)[0]


try:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    answers = {put(netlink, 1024 + i) for i in range(int(sys.argv[1]))}
except OSError as error:
    sys.exit(3 if error.errno == errno.EPROTONOSUPPORT else f"track.py: {error}")
if answers - {0}:
    print(*(errno.errorcode.get(a, a) for a in answers), file=sys.stderr)
sys.exit(0 if answers == {0} else 3 if answers <= {errno.EINVAL, errno.EOPNOTSUPP} else 1)
