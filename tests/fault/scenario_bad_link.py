#!/usr/bin/env python3
"""The link between beacons and hub is lossy, overtakes, doubles and damages packets, is cut in one or both directions and
restored, and the hub is killed while it is cut, so that connections are half open; in between it is whole. One beacon
knows the hub by an address that is dead for more than a minute: its connection must be given up without a word from the other
side.

Where it runs: two network namespaces, and between them wire.py in place of `tc netem`, since kernels such as small virtual
machines have come without sch_netem."""
import collections
import signal
import threading
import time

import wire
from rig import Beacon, Hub, Rig, Sender, account, settle, skip, within

MANNERS = {
    "lossy": {"loss": 0.2, "delay": (0.0, 0.05)},
    "overtaking": {"double": 0.2, "delay": (0.0, 0.2)},
    "damaging": {"damage": 0.1, "loss": 0.05, "delay": (0.01, 0.03)},
    "slow": {"delay": (0.3, 0.5)},
    "cut": {"cut": "both"},
    "deaf hub": {"cut": "from 1"},
    "dumb hub": {"cut": "from 0"},
    "hub killed, cut": {"cut": "both"},
}


class FarSender(Sender):
    """On the other side of the wire."""

    def run(self):
        self.hub = collections.namedtuple("Place", "address port")(wire.NEAR, self.hub.port)
        bad.enter(1)
        super().run()


def phases(rig, hub, far):
    """Go through them, in an order of chance; every manner comes up in a full run."""
    count = rig.rounds(200) // 8
    names = [list(MANNERS)[i % len(MANNERS)] for i in range(count)]
    rig.random.shuffle(names)
    for i, name in enumerate(names):
        if i == 2 and count > 9:
            bad.silent.add(wire.FAR)
        bad.set(**MANNERS[name])
        rig.pause(0.2, 0.8)
        if name == "hub killed, cut":
            hub.kill()
            hub.start()
        rig.pause(0.2, 0.8)
        bad.set()
        rig.pause(0.5, 2.0)
    if count > 9:
        seen = far.status()["uplink"]["failures"]
        rig.check("a minute of silence from the hub ends the connection",
                  within(lambda: far.status()["uplink"]["failures"] > 0, 0.5), seen)
        bad.silent.clear()
    return names


why = wire.missing()
if why:
    skip(why)
with Rig("bad link") as rig:
    bad = wire.Wire(rig)
    hub = Hub(rig, prefix=bad.prefix(0), address="0.0.0.0", journal_kb=64)
    far = Beacon(rig, "far", hub, prefix=bad.prefix(1), address=wire.FAR)
    beacons = [far] + [Beacon(rig, "near-%d" % i, hub, prefix=bad.prefix(1), address=wire.NEAR) for i in range(3)]
    senders = [FarSender(hub, "sender-%d" % i, rate=20, burst=5) for i in range(2)]
    hub.start()
    rig.check("the hub starts", hub.ready())
    for b in beacons:
        b.start()
    rig.check("all beacons start and deliver", within(lambda: all(b.ready() and b.drained() for b in beacons)))
    for s in senders:
        s.start()
    over = threading.Event()

    def load():
        while not over.wait(0.2):
            for b in beacons:
                b.emit(rig.random.choice(("info", "warning", "critical")))

    emitter = threading.Thread(target=load)
    emitter.start()
    began = time.monotonic()
    try:
        done = phases(rig, hub, far)
    finally:
        over.set()
        emitter.join()
    rig.say("%d phases in %.0f s; packets: %s" %
            (len(done), time.monotonic() - began, ", ".join("%d %s" % (n, what) for what, n in bad.counts.items())))
    for b in beacons:
        b.signal(signal.SIGHUP)
    settle(rig, hub, beacons, senders)
    emitted = set().union(*(x.emitted() for x in beacons + senders))
    lost = sum(sum(b.status()["lost"].values()) for b in beacons)
    again = sum(s.sent - s.last for s in senders)
    rig.say("connections: %d of senders, %d of beacons; %d lines of senders were sent again" %
            (sum(s.connects for s in senders), sum(b.status()["uplink"]["connects"] for b in beacons), again))
    rig.check("the hub stops in order", hub.stop() == 0)
    account(rig, hub, emitted, lost)
    rig.finish()
