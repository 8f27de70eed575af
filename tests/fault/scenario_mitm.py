#!/usr/bin/env python3
"""Everything between the senders and the hub goes through a man in the middle (mitm.py), in seeded sessions: senders of link 2 in
Python, which start anew now and then, and real beacons, of which one is killed now and then. The hub is killed now and then. Its
rule is not idempotent. At the end he lets everything pass, and each event was acted on once, or is reported as unknown.

    scenario_mitm.py [SESSIONS] [OPTION]...     SESSIONS: by default FAULT_SESSIONS, or ten times FAULT_ROUNDS
    --fake      tests/fake/hub.py instead of the programs: tests the tool itself
    --acts=A,B  only these of mitm.ACTS
    --beacons=N so many real ones
    --mutant=counter | nonce | early | sessions      with --fake: lines without numbers, keys without the beacon's nonce, a hub that
                acknowledges what it forgets, or that lets other sessions of a host live on (which takes thousands of sessions to show): the account must not come
                out even"""
import argparse
import collections
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import mitm
from rig import KEY, Beacon, Hub, Rig, account, event, free_ports, link2, own_address, within

SILENCE = 0.6  # seconds without a word after which a sender gives a session up


class Volume(threading.Thread):
    """A sender that makes sessions: a few new events in each, and now and then a new start."""

    def __init__(self, rig, way, host):
        super().__init__(daemon=True)
        self.rig, self.way, self.host = rig, way, host
        self.chance = random.Random("%d/%s" % (rig.seed, host))
        self.spool = link2.Spool(host, self.number())
        self.seq = 0
        self.emitted = set()
        self.sessions = self.opened = self.unsure = self.starts = self.broken = 0
        self.last_error = None
        self.finishing = self.over = False

    def number(self):
        return self.chance.randrange(1, 1 << 53)

    def make(self):
        if self.chance.random() < 0.06:
            self.spool.restart(self.number())
            self.seq = 0
            self.starts += 1
        for _ in range(self.chance.choice((0, 1, 1, 2, 3, 5))):
            if len(self.spool.waiting) < 48:
                self.seq += 1
                self.emitted.add((self.host, self.spool.boot, self.seq))
                self.spool.add(self.seq, event(self.host, self.spool.boot, self.seq))

    def run(self):
        while not self.over and not (self.finishing and not self.spool.waiting):
            if not self.finishing:
                self.make()
            self.sessions += 1
            opened = self.opened
            try:
                with socket.create_connection(("127.0.0.1", self.way.port), 5, (own_address(), 0)) as s:
                    s.settimeout(SILENCE * self.rig.slow())
                    self.talk(s)
            except link2.LinkError as error:
                self.broken += 1
                self.last_error = error
            except OSError:
                pass
            if self.opened == opened:
                time.sleep(0.02)

    def talk(self, s):
        d = link2.Delivery(self.spool, KEY.encode(), nonce=self.chance.randbytes(16))
        try:
            while not self.over and d.end.error is None and (d.end.welcome is None or self.spool.waiting):
                got = s.recv(65536)
                if not got:
                    return
                s.sendall(d.feed(got))
        finally:
            self.opened += d.end.welcome is not None
            self.unsure += d.unsure


class FakeHub:
    """tests/fake/hub.py with the manners of rig.Hub. A kill costs it its memory, and what has come until then is kept."""

    def __init__(self, rig, mutant):
        self.rig, self.mutant = rig, mutant
        self.address, [self.port] = "127.0.0.1", free_ports()
        self.acted = rig.path("acted")
        self.process = None
        rig.ends.append(self.kill)
        with open(rig.path("key"), "w") as f:
            f.write(KEY)

    def start(self):
        script = os.path.join(os.path.dirname(__file__), "..", "fake", "hub.py")
        self.process = subprocess.Popen([sys.executable, script, str(self.port), self.acted, "link", "once", "key=" + self.rig.path("key"),
                                         *(["mutant=" + self.mutant] if self.mutant else [])])

    def ready(self):
        def reachable():
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            except OSError:
                return False
        return within(reachable)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait()

    def idle(self):
        return True

    def acts(self):
        with open(self.acted) as f:
            return collections.Counter(key_of(json.loads(line)) for line in f)

    def unknown(self):
        with open(self.acted + ".link") as f:
            return collections.Counter(json.loads(line[6:])["host_id"] for line in f if line.startswith("maybe "))

    def unfinished(self):
        return set()

    def alive(self):
        return self.process.poll() is None


def key_of(e):
    return e["host_id"], e.get("boot"), e.get("seq")


class Beacons:
    """Real ones, each with its way; all events of the last one are on flash, and it is killed now and then."""

    def __init__(self, rig, man, hub, count):
        self.rig = rig
        self.all, self.emitted, self.boots, self.killed = [], set(), set(), 0
        for i in range(count):
            way = man.way("beacon-%d" % i, (hub.address, hub.port))
            self.all.append(Beacon(rig, "beacon-%d" % i, hub, address="127.0.0.1", flash=i == count - 1,
                                   reactor="127.0.0.1:%d" % way.port))

    def start(self):
        for b in self.all:
            b.start()
        return all(b.ready() for b in self.all)

    def press(self):
        """Some events, and no waiting between two connections."""
        for b in self.all:
            if self.rig.random.random() < 0.3:
                said = b.emit(self.rig.random.choice(("info", "warning", "critical")))
                if said:
                    self.emitted.add((b.host, *said))
            b.signal(signal.SIGHUP)
        if self.all and self.rig.random.random() < 0.02 and self.all[-1].status():
            self.emitted |= self.all[-1].emitted()
            self.boots.add(self.all[-1].status()["boot"])
            self.all[-1].kill()
            self.all[-1].start()
            self.all[-1].ready()
            self.killed += 1


def load(rig, man, hub, beacons, count, kills):
    """Until there were so many sessions."""
    done, since, last = 0, time.monotonic(), -1
    while man.total() < count and time.monotonic() < since + 600:
        beacons.press()
        if man.total() != last:
            last, since = man.total(), time.monotonic()
        if done < kills and man.total() > (done + 1) * count // (kills + 1):
            hub.kill()
            hub.start()
            hub.ready()
            done += 1
        time.sleep(0.05)
    return done


def run(rig, sessions, fake, mutant, acts, beacon_count):
    man = mitm.Mitm(rig.seed, acts)
    rig.ends.append(man.close)
    hub = FakeHub(rig, mutant) if fake else Hub(rig, journal_kb=64)
    volume = [Volume(rig, man.way("sender-%d" % i, (hub.address, hub.port)), "sender-%d" % i) for i in range(12)]
    beacons = Beacons(rig, man, hub, 0 if fake else beacon_count)
    hub.start()
    rig.check("the hub starts", hub.ready())
    man.start()
    rig.check("the beacons start", beacons.start())
    began = time.monotonic()
    for v in volume:
        v.start()
    kills = load(rig, man, hub, beacons, sessions, sessions // 500 if mutant != "early" else 3)
    rig.say("%d sessions in %.0f s; the hub was killed %d times, a beacon %d times" %
            (man.total(), time.monotonic() - began, kills, beacons.killed))
    if not fake:
        rig.check("the hub never ended by itself", hub.alive(), [line for line in hub.lines() if "error:" in line][:5])

    man.quiet()
    broken = [v.broken for v in volume]
    for v in volume:
        v.finishing = True
    for b in beacons.all:
        b.signal(signal.SIGHUP)
    rig.check("when he lets everything pass, everything is settled",
              within(lambda: not any(v.spool.waiting for v in volume) and all(b.drained() for b in beacons.all)),
              [(v.host, len(v.spool.waiting), v.last_error) for v in volume if v.spool.waiting] +
              [(b.name, b.status()) for b in beacons.all if not b.drained()])
    for v in volume:
        v.over = True
        v.join()
    rig.check("every action ends", within(hub.idle))
    emitted = beacons.emitted.union(*(v.emitted for v in volume), *(b.emitted() for b in beacons.all))
    # What the killed beacon said of its own between its last answer and its end.
    beyond = {e for e in hub.acts() if beacons.all and e[0] == beacons.all[-1].host and e[1] in beacons.boots} - emitted
    rig.check("at most one event of a life is one it could not tell us of", len({e[1] for e in beyond}) == len(beyond), sorted(beyond))
    emitted |= beyond
    lost = sum(sum(b.status()["lost"].values()) for b in beacons.all)
    rig.check("the hub stops in order", hub.stop() == 0)

    counts = man.account()
    rig.say("he: " + ", ".join("%d %s" % (n, what) for what, n in counts.items() if what != "seed"))
    rig.say("senders: %d sessions, %d opened, %d ended by a line that proved false; %d starts; %d events, %d of them sent again as unsure" %
            (sum(v.sessions for v in volume), sum(v.opened for v in volume), sum(v.broken for v in volume),
             sum(v.starts for v in volume), sum(len(v.emitted) for v in volume), sum(v.unsure for v in volume)))
    rig.say("reported as unknown: %d" % sum(hub.unknown().values()))
    missing = [what for what in (*mitm.ACTS, *(w for w in mitm.WHOLE if w not in ("acts", "clean"))) if not counts.get(what)]
    rig.check("he has done all he can", not missing or acts or sessions < 1000, missing)
    rig.check("he got many lines refused", sum(broken) > 0)
    rig.check("a quarter of the sessions were opened all the same", sum(v.opened for v in volume) * 4 > sum(v.sessions for v in volume),
              [(v.opened, v.sessions) for v in volume])
    rig.check("none was refused as anything but unknown", not any(set(v.spool.refused.values()) - {"below the window"} for v in volume),
              [v.spool.refused for v in volume])
    refused = {(v.host, *e) for v in volume for e in v.spool.refused}
    rig.check("nothing lay below the window", not refused, sorted(refused)[:5])
    maybe = {(v.host, *e) for v in volume for e in v.spool.doubted}
    hosts = {v.host for v in volume}
    silent = {e for e in emitted - set(hub.acts()) - hub.unfinished() if e[0] in hosts} - maybe
    rig.check("the account: only what its sender called unsure is unknown", not silent, sorted(silent)[:5])
    account(rig, hub, emitted, lost)
    rig.finish()


options = argparse.ArgumentParser()
options.add_argument("sessions", type=int, nargs="?", default=int(os.environ.get("FAULT_SESSIONS") or 0))
options.add_argument("--fake", action="store_true")
options.add_argument("--mutant", default="")
options.add_argument("--acts", default="")
options.add_argument("--beacons", type=int, default=4)
options = options.parse_args()
link2.mutate(options.mutant)
with Rig("man in the middle") as rig:
    run(rig, options.sessions or max(200, rig.rounds(200) * 10), options.fake, options.mutant,
        {act: mitm.ACTS[act] for act in options.acts.split(",") if act}, options.beacons)
