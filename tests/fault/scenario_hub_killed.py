#!/usr/bin/env python3
"""The hub is killed with SIGKILL 200 times at random moments (its start among them) under load, and started again on the same
state_dir. Each time the beacons are told to try again now (SIGHUP), so that events flow when it strikes."""
import signal
import threading
import time

from rig import Beacon, Hub, Rig, Sender, account, settle

with Rig("hub killed") as rig:
    rounds = rig.rounds(200)
    hub = Hub(rig, command="sleep 0.01; ", journal_kb=64)
    beacons = [Beacon(rig, "beacon-%d" % i, hub) for i in range(6)]
    senders = [Sender(hub, "sender-%d" % i, rate=40, burst=16) for i in range(3)]
    hub.start()
    rig.check("the hub starts", hub.ready())
    for b in beacons:
        b.start()
    rig.check("all beacons start", all(b.ready() for b in beacons))
    for s in senders:
        s.start()
    over = threading.Event()

    def load():
        """Six beacons of 120 a minute each, first in a hurry and then at that pace."""
        moment = 0
        while not over.wait(0.02):
            moment += 1
            for b in beacons:
                if moment % 3 == 0:
                    b.signal(signal.SIGHUP)
            beacons[moment % len(beacons)].emit(("info", "warning", "critical")[moment // 6 % 3])

    emitter = threading.Thread(target=load)
    emitter.start()
    began = time.monotonic()
    killed = 0
    try:
        for _ in range(rounds):
            rig.pause(0.0, 0.4)
            killed += hub.alive()
            hub.kill()
            hub.start()
    finally:
        over.set()
        emitter.join()
    rig.say("%d rounds in %.0f s" % (rounds, time.monotonic() - began))
    rig.check("it never ended by itself", killed == rounds,
              (killed, [line for line in hub.lines() if "error:" in line][:5]))
    rig.check("it starts for the last time", hub.ready())
    for b in beacons:
        b.signal(signal.SIGHUP)
    settle(rig, hub, beacons, senders)
    emitted = set().union(*(x.emitted() for x in beacons + senders))
    lost = sum(sum(b.status()["lost"].values()) for b in beacons)
    rig.say("%d connections of senders, %d lines for %d events" %
            (sum(s.connects for s in senders), sum(s.sent for s in senders), sum(s.last for s in senders)))
    rig.say("%d actions reported as begun and not finished, %d taken up" % (len(hub.unfinished()), hub.logged("resumed after the restart")))
    rig.check("unfinished actions were resumed", hub.logged("resumed after the restart") > 0 or rounds < 50)
    rig.check("no queue was full", not hub.logged("queue full"))
    rig.check("it stops in order", hub.stop() == 0)
    account(rig, hub, emitted, lost)
    rig.finish()
