#!/usr/bin/env python3
"""The wall clocks of hub and beacons jump forward and back by years, each by itself, and the programs are killed and started
again at any date. No test may set the clock of the machine it runs on: these are the programs' own objects, linked with a
clock_gettime whose CLOCK_REALTIME the test moves (clock.c)."""
import datetime
import json
import os
import struct
import time

from rig import Beacon, Hub, Rig, account, within

YEAR = 365 * 86400
BUILT = datetime.datetime(2024, 1, 1)  # at the earliest; older than the program is unsynced


class Clock:
    def __init__(self, rig, name):
        self.random, self.path = rig.random, rig.path(name)
        self.file = open(self.path, "wb", buffering=0)
        self.set(0)

    def set(self, shift):
        self.file.seek(0)
        self.file.write(struct.pack("=q", shift))

    def jump(self, number):
        """To 1970, twenty years ahead, then to any time till 2100, by seconds, or to now."""
        now = int(time.time())
        ways = (-now + 5, 20 * YEAR, self.random.randint(-now + 5, 130 * YEAR - now), self.random.randint(-5, 5), 0)
        self.set(ways[number] if number < 2 else self.random.choice(ways))

    def environment(self):
        return {**os.environ, "NEFIA_CLOCK": self.path}


def acted(rig, hub, beacon, count, waits):
    """It emits an event, and the hub acts on it."""
    for _ in range(count):
        began = time.monotonic()
        said = beacon.emit("critical")
        if said is not None and said != () and within(lambda: hub.acts()[(beacon.host, *said)], 0.005):
            waits.append(time.monotonic() - began)
        else:
            waits.append(None)


with Rig("clock", "fault") as rig:
    clocks = [Clock(rig, "clock-%d" % i) for i in range(3)]
    hub = Hub(rig, journal_kb=64)
    kept = Beacon(rig, "kept", hub, flash=True)
    bare = Beacon(rig, "bare", hub, state_dir="")
    people = (hub, kept, bare)
    for who, clock in zip(people, clocks):
        who.start(clock.environment())
        rig.check("%s starts" % who.name, who.ready())
    emitted, boots, waits, jumps = set(), [bare.status()["boot"]], [], rig.rounds(200)
    for i in range(jumps):
        for clock in clocks:
            clock.jump(i)
        if i % 4 == 1:
            hub.kill()
            hub.start(clocks[0].environment())
            hub.ready()
            kept.signal(1)
            bare.signal(1)
        elif i % 4 == 2:
            emitted |= kept.emitted()
            kept.kill()
            kept.start(clocks[1].environment())
            kept.ready()
        elif i % 4 == 3:
            within(bare.drained)
            emitted |= bare.emitted()
            bare.kill()
            bare.start(clocks[2].environment())
            boots.append(bare.ready()["boot"])
        acted(rig, hub, kept, 2, waits)
        acted(rig, hub, bare, 2, waits)
    came = [w for w in waits if w is not None]
    rig.say("%d jumps; %d events, the slowest action after %.1f s" % (jumps, len(waits), max(came, default=0)))
    rig.check("events of any date are acted on, and soon", len(came) == len(waits), len(waits) - len(came))
    rig.check("without a state_dir each start has a number of its own", len(set(boots)) == len(boots), boots)
    rig.check("all is delivered", within(lambda: kept.drained() and bare.drained()))
    rig.check("every action ends", within(hub.idle))
    emitted |= kept.emitted() | bare.emitted()
    with open(hub.acted) as f:
        events = [json.loads(line) for line in f]
    years = {int(e["timestamp"][:4]) for e in events}
    rig.say("events of the years %d to %d" % (min(years), max(years)))
    rig.check("the clocks did jump", min(years) == 1970 and max(years) > 2038, years)
    rig.check("a clock older than the program is called unsynced",
              all(e["clock"] == "unsynced" for e in events
                  if datetime.datetime.fromisoformat(e["timestamp"][:19]) < BUILT) and
              any(e["clock"] == "synced" for e in events))
    account(rig, hub, emitted)
    rig.finish()
