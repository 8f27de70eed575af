"""A bad wire between two network namespaces: packets go from one TUN device to the other through this process, which loses,
delays, overtakes, doubles and damages them. What `tc netem` does, for kernels without sch_netem; needed are root, network
namespaces and /dev/net/tun."""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
CLONE_NEWNET = 0x40000000
MANNER = {"loss": 0.0, "double": 0.0, "damage": 0.0, "delay": (0.0, 0.0), "cut": ""}
NEAR, FAR = "10.99.0.1", "10.99.0.2"
PREFIX = "nefia-fault-"


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True)


def inside(namespace):
    """What a command that is to run there begins with. Not `ip netns exec`: that mounts, and a root directory that is not
    a mount point, as under chroot(8), will not have it."""
    return ["nsenter", "--net=/run/netns/" + namespace]


def missing():
    """Why there can be no wire here, or None."""
    if os.geteuid() != 0:
        return "a bad wire takes root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    name = "%s%d-try" % (PREFIX, os.getpid())
    made = ip("netns", "add", name)
    ip("netns", "del", name)
    return None if made.returncode == 0 else "no network namespaces: " + made.stderr.strip()


def remove_stale():
    """Of runs that were killed."""
    for line in ip("netns", "list").stdout.split("\n"):
        name = line.split(" ")[0]
        pid = name[len(PREFIX):].split("-")[0]
        if name.startswith(PREFIX) and pid.isdigit() and not os.path.exists("/proc/" + pid):
            ip("netns", "del", name)


class Wire:
    """Side 0 has the addresses NEAR and FAR, side 1 has one."""

    def __init__(self, rig):
        remove_stale()
        rig.ends.append(self.close)
        self.random = random.Random(rig.seed)
        self.namespaces = ["%s%d-%d" % (PREFIX, os.getpid(), side) for side in (0, 1)]
        self.fds = []
        self.over = False
        self.manner = dict(MANNER)
        self.silent = set()  # addresses that nothing reaches, and nothing comes from
        self.counts = dict.fromkeys(("packets", "lost", "doubled", "damaged", "overtaken"), 0)
        for side, addresses in enumerate(([NEAR, FAR], ["10.99.0.3"])):
            self.open(side, self.namespaces[side], addresses)
        self.thread = threading.Thread(target=self.forward, daemon=True)
        self.thread.start()

    def open(self, side, namespace, addresses):
        device = "nf%d-%d" % (os.getpid(), side)
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        self.fds.append(fd)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        there = inside(namespace) + ["ip"]
        for words in (["ip", "netns", "add", namespace], ["ip", "link", "set", device, "netns", namespace],
                      there + ["link", "set", "lo", "up"], there + ["link", "set", device, "up"],
                      *(there + ["address", "add", a + "/24", "dev", device] for a in addresses)):
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError("%s: %s" % (" ".join(words), done.stderr))

    def prefix(self, side):
        return inside(self.namespaces[side])

    def enter(self, side):
        """This thread's new sockets are on that side."""
        with open("/run/netns/" + self.namespaces[side]) as f:
            if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def set(self, **manner):
        self.manner = {**MANNER, **manner}

    def close(self):
        self.over = True
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        for namespace in self.namespaces:
            ip("netns", "del", namespace)

    def pass_on(self, side, packet, m):
        """Yields (delay, packet)."""
        if m["cut"] in ("both", "from %d" % side) or \
           {".".join(map(str, packet[at:at + 4])) for at in (12, 16)} & self.silent:
            self.counts["lost"] += 1
            return
        for chance, what in ((m["loss"], "lost"), (m["damage"], "damaged"), (m["double"], "doubled")):
            if self.random.random() >= chance:
                continue
            self.counts[what] += 1
            if what == "lost":
                return
            if what == "damaged":
                at = self.random.randrange(20, len(packet))
                packet = packet[:at] + bytes([packet[at] ^ 1 << self.random.randrange(8)]) + packet[at + 1:]
            else:
                yield self.random.uniform(*m["delay"]), packet
        yield self.random.uniform(*m["delay"]), packet

    def forward(self):
        fds, queue, order, left = list(self.fds), [], 0, [0, 0]
        while not self.over:
            now = time.monotonic()
            wait = max(0, min(0.1, queue[0][0] - now)) if queue else 0.1
            try:
                readable = select.select(fds, [], [], wait)[0]
                for fd in readable:
                    side, packet = fds.index(fd), os.read(fd, 65536)
                    if not packet or packet[0] >> 4 != 4:
                        continue  # closed, or IPv6 that looks for neighbours
                    self.counts["packets"] += 1
                    for delay, out in self.pass_on(side, packet, self.manner):
                        order += 1
                        heapq.heappush(queue, (time.monotonic() + delay, order, 1 - side, out))
                while queue and queue[0][0] <= time.monotonic():
                    _, number, side, packet = heapq.heappop(queue)
                    self.counts["overtaken"] += number < left[side]
                    left[side] = max(left[side], number)
                    os.write(fds[side], packet)
            except (OSError, ValueError):
                if not self.over:
                    time.sleep(0.01)
