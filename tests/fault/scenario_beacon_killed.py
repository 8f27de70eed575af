#!/usr/bin/env python3
"""The beacon is killed with SIGKILL 200 times at random moments under load, and started again on the same state_dir, first
without and then with spool_file. In every third life the hub is stopped (SIGSTOP) somewhere, and goes on after the kill.

Its RAM spool dies with it. What is lost then is known: of what it emitted, at most what was not delivered when it was last
asked (just before the kill), with what it emitted since. With spool_file for all events nothing is lost: what it said it
accepted is acted on."""
import signal
import time

from rig import Beacon, Hub, Rig, account, within


def lives(rig, hub, beacon, rounds):
    """All numbers that were given out, those that may be lost, and the boots."""
    emitted, exposed, boots, unanswered = set(), set(), [], 0
    for _ in range(rounds):
        beacon.start()
        end = time.monotonic() + rig.random.uniform(0.0, 0.3) * rig.slow()
        stop = end - rig.random.uniform(0.0, 0.3) * rig.slow() if rig.random.random() < 0.33 else end
        known, delivered, boot = set(), 0, None
        while time.monotonic() < end:
            if time.monotonic() > stop:
                hub.signal(signal.SIGSTOP)
            said = beacon.emit(rig.random.choice(("info", "warning", "critical")))
            if said:
                boot = said[0]
                known.add(said[1])
            elif said is None and known:
                unanswered += 1
            if rig.random.random() < 0.2 and (s := beacon.status()):
                boot, delivered = s["boot"], s["uplink"]["delivered"]
                known.update(range(1, s["seq"] + 1))
            rig.pause(0, 0.01)
        beacon.kill()
        hub.signal(signal.SIGCONT)
        if boot is None:
            continue
        boots.append(boot)
        # The events of its own come between those it was asked for, and the first is one of them.
        numbers = {(beacon.host, boot, seq) for seq in range(1, max(known) + 1)}
        emitted |= numbers
        exposed.add((boot, len(numbers) - delivered))
    return emitted, dict(exposed), boots, unanswered


def last_life(rig, beacon):
    """It comes back and lives until all is delivered."""
    beacon.start()
    rig.check("%s: it delivers what it has" % beacon.name, within(beacon.drained), beacon.status())
    emitted = beacon.emitted()
    lost = sum(beacon.status()["lost"].values())
    rig.check("%s: it stops in order" % beacon.name, beacon.stop() == 0)
    return emitted, lost


def in_ram(rig, hub):
    beacon = Beacon(rig, "ram", hub)
    emitted, exposed, boots, _ = lives(rig, hub, beacon, rig.rounds(200))
    rig.say("%d lives, %d of which emitted" % (rig.rounds(200), len(boots)))
    more, lost = last_life(rig, beacon)
    rig.check("ram: every action ends", within(hub.idle))
    rig.check("ram: every life has a number of its own, counting up", boots == sorted(set(boots)), boots)
    acts = hub.acts()
    # An event that was accepted, with the answer cut off by the kill, is none we know of.
    beyond = {e for e in acts if e[0] == "ram" and e not in emitted | more}
    rig.check("ram: at most one event of a life is one it could not tell us of",
              all(sum(e[1] == boot for e in beyond) <= 1 for boot in boots), sorted(beyond)[:5])
    gone = {}
    for _, boot, _ in emitted - set(acts):
        gone[boot] = gone.get(boot, 0) + 1
    rig.say("%d emitted, %d in the spool of one that was killed: gone with it (at most %d by its last word)"
            % (len(emitted | more | beyond), sum(gone.values()), sum(exposed.values())))
    rig.check("ram: no life lost more than it held", all(n <= exposed[boot] for boot, n in gone.items()),
              [(boot, n, exposed[boot]) for boot, n in gone.items() if n > exposed[boot]][:5])
    rig.check("ram: most is delivered all the same, and something was lost",
              0 < sum(gone.values()) < len(emitted) / 2 or rig.rounds(200) < 50)
    account(rig, hub, (emitted & set(acts)) | more | beyond, lost, "ram")


def on_flash(rig, hub):
    beacon = Beacon(rig, "flash", hub, flash=True)
    before = set(hub.acts())
    emitted, _, boots, _ = lives(rig, hub, beacon, rig.rounds(200))
    more, lost = last_life(rig, beacon)
    rig.check("flash: every action ends", within(hub.idle))
    rig.check("flash: every life has a number of its own, counting up", boots == sorted(set(boots)), boots)
    acts = set(hub.acts())
    beyond = {e for e in acts - before if e not in emitted | more}
    rig.check("flash: at most one event of a life is one it could not tell us of",
              all(sum(e[1] == boot for e in beyond) <= 1 for boot in boots), sorted(beyond)[:5])
    account(rig, hub, before | emitted | more | beyond, lost, "flash")


with Rig("beacon killed") as rig:
    hub = rig.hub = Hub(rig, journal_kb=64)
    hub.start()
    rig.check("the hub starts", hub.ready())
    began = time.monotonic()
    in_ram(rig, hub)
    on_flash(rig, hub)
    rig.say("%.0f s" % (time.monotonic() - began))
    rig.check("the hub stops in order", hub.stop() == 0)
    rig.finish()
