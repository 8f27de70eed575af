"""Ports of loopback that are free: ports.py [N] prints N of them, 1 without N.

They are below those that the kernel gives to who connects: while a hub is away nobody may come to have its port. Tests that run
beside each other (TEST_SLOT, see toolchain/run-tests.sh) choose among different ones."""
import os
import random
import socket
import sys

LANES = 16


def free_ports(count=1):
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        least = int(f.read().split()[0])
    slot = os.environ.get("TEST_SLOT")
    lane = int(slot) % LANES if slot else random.randrange(LANES)
    width = least // 2 // LANES
    low = least // 2 + lane * width
    ports = []
    while len(ports) < count:
        port = random.randrange(low, low + width)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
