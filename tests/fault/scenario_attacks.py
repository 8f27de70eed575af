#!/usr/bin/env python3
"""Attacks on the wire and accidents of it, each against the programs and with an account of its own.

    scenario_attacks.py [NAME]...

| attack or accident | name | what must come out |
|---|---|---|
| acknowledgements recorded in one session, replayed in a later one | replayed_acks | nothing leaves the spool; all is acted on once |
| events of a session in each other's place | moved_lines | the session ends; nothing is lost |
| the hub dies while it writes its journal | killed_at_the_write | nothing was acknowledged that is not in it |
| hub stopped while a beacon connects, then killed | stalled_hub | the beacon gives up and keeps its events |
| the same with `require_ack: false`, the hub goes on | late_greeting | the greeting that comes late upgrades the connection |
| silence, rubbish, another version or key in place of a hub | false_hubs | no event is sent to it |
| plain delivery of seq more than 256 apart | plain_span | acted on or reported, never taken for a repetition |
| greeting rewritten | rewritten_greeting | no session; nothing is lost |
| two devices from one image under one host_id | twins | each event once, and hub.host_conflict |
| the hub's state_dir from a backup | restored_hub | nothing twice; what may have acted is reported |
| recorded plain events of older starts | replayed_plain | refused from a host that speaks the link, also after a restart |
| one recorded event repeated on 64 connections | proof_by_repetition | a beacon gets in |
| 100 connects a second from one address | flood_of_connects | a beacon gets in |
| one host floods a rule | flood_of_events | another host's actions run meanwhile |
| badly signed lines against many keys | bad_signatures | refused; a beacon gets in |
| insider with the shared key | insider | powerless against a host with its own key; otherwise what he does is reported |
"""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import mitm
from rig import KEY, Beacon, Hub, Rig, Sender, account, event, free_ports, link2, own_address, sign, within


# ---- helpers ----

def the_hub(rig, name, make=Hub, **more):
    hub = make(rig, name, acted=name + ".acted", **more)
    hub.start()
    rig.check(name + ": the hub starts", hub.ready())
    return hub


def between(rig, name, hub):
    """A man in the middle with a way to that hub; he does what its script says."""
    man = mitm.Mitm(rig.seed)
    rig.ends.append(man.close)
    way = man.way(name, (hub.address, hub.port))
    man.start()
    return way


def through(rig, name, hub, way, **more):
    return Beacon(rig, name, hub, reactor="127.0.0.1:%d" % way.port, **more)


def emit(rig, beacon, count, severity="critical"):
    said = [beacon.emit(severity) for _ in range(count)]
    return rig.check("%s: %d events are accepted" % (beacon.name, count), all(said), said)


def failures(beacon):
    s = beacon.status()
    return s["uplink"]["failures"] if s else 0


def closing(rig, hub, beacons, emitted=(), lost=None):
    """All is delivered, the hub stops, and the account. lost: by default what the beacons report."""
    for b in beacons:
        b.signal(signal.SIGHUP)
    rig.check(hub.name + ": everything is settled", within(lambda: all(b.drained() for b in beacons)), [b.status() for b in beacons])
    rig.check(hub.name + ": every action ends", within(hub.idle))
    everything = set(emitted).union(*(b.emitted() for b in beacons))
    if lost is None:
        lost = sum(sum(b.status()["lost"].values()) for b in beacons)
    for b in beacons:
        b.kill()
    rig.check(hub.name + ": the hub stops in order", hub.stop() == 0)
    account(rig, hub, everything, lost, hub.name)


def connect(hub, source=None):
    return socket.create_connection((hub.address, hub.port), 10, (source or own_address(), 0))


def talk(hub, spool, key=KEY, source=None, seconds=10):
    """One session that delivers the spool. Return: the Delivery, and why it ended."""
    d = link2.Delivery(spool, key.encode())
    try:
        with connect(hub, source) as s:
            s.settimeout(seconds)
            while d.end.error is None and (d.end.welcome is None or spool.waiting):
                got = s.recv(65536)
                if not got:
                    d.end.end()
                    return d, d.end.error or "closed"
                s.sendall(d.feed(got))
    except socket.timeout:
        return d, "silent"
    except (OSError, link2.LinkError) as error:
        return d, str(error)
    return d, d.end.error or "open"


def spool_of(host, boot, seqs):
    spool = link2.Spool(host, boot)
    for seq in seqs:
        spool.add(seq, event(host, boot, seq))
    return spool


def send_plain(hub, lines, source=None):
    """Return: did the hub close the connection before we did?"""
    try:
        with connect(hub, source) as s:
            s.sendall(b"".join(lines))
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
            return False
    except OSError:
        return True


def taken(hub, event_key):
    return within(lambda: hub.acts()[event_key] > 0)


def rejected(hub, *names):
    s = hub.status()
    return sum(s["rejected"].get(name, 0) for name in names) if s else 0


# ---- acknowledgements and greetings ----

def replayed_acks(rig):
    """First everything passes and is recorded. Then the sessions are the true ones, except that the hub's acknowledgements are replaced by
    recorded ones; then he plays the hub with the whole recording."""
    hub = the_hub(rig, "replayed_acks")
    way = between(rig, "acks", hub)
    way.script = lambda session, flow, unit: [unit]
    beacon = through(rig, "acked", hub, way)
    beacon.start()
    rig.check("replayed_acks: sessions are recorded", beacon.ready() and emit(rig, beacon, 4) and within(beacon.drained))
    for _ in range(2):  # the second recording begins anew
        for session, _ in list(way.mitm.sessions.values()):
            session.close()
        within(lambda: beacon.signal(signal.SIGHUP) or way.recordings)
        emit(rig, beacon, 2)
        within(beacon.drained)
    recorded = [u for r in way.recordings for u in r.units[mitm.DOWN] if u.startswith(b'{"ack"')]
    rig.check("replayed_acks: there is something to replay", len(recorded) > 0)
    told = []

    def replace(session, flow, unit):
        if flow.direction == mitm.UP or not unit.startswith((b'{"ack"', b'{"refused"')):
            return [unit]
        told.append(rig.random.choice(recorded))
        return [told[-1]]

    way.script = replace
    for session, _ in list(way.mitm.sessions.values()):
        session.close()
    delivered = beacon.status()["uplink"]["delivered"]
    emit(rig, beacon, 4)
    rig.check("replayed_acks: recorded acknowledgements are sent", within(lambda: beacon.signal(signal.SIGHUP) or len(told) >= 3, 0.2))
    way.script = None
    playing = way.mitm
    weights = mitm.WHOLE
    mitm.WHOLE = {"hub-played": 1}
    for session, _ in list(way.mitm.sessions.values()):
        session.close()
    emit(rig, beacon, 2)  # the hub has not seen them
    rig.check("replayed_acks: whole recordings are played",
              within(lambda: beacon.signal(signal.SIGHUP) or playing.counts["hub-played"] >= 3, 0.2))
    rig.check("replayed_acks: nothing is taken for delivered", beacon.status()["uplink"]["delivered"] == delivered and
              beacon.status()["spool"]["events"] >= 4, beacon.status())
    mitm.WHOLE = weights
    playing.quiet()
    closing(rig, hub, [beacon])


def moved_lines(rig):
    """In place of each event but a session's first one, the hub gets the one before once more: as many lines, and one event less."""
    hub = the_hub(rig, "moved_lines")
    way = between(rig, "moved", hub)
    before, moved = {}, []

    def repeat(session, flow, unit):
        if flow.direction == mitm.DOWN or not unit.startswith(b'{"type":'):
            return [unit]
        if session in before:
            moved.append(unit)
        return [before.setdefault(session, unit)]

    way.script = lambda session, flow, unit: [unit]
    beacon = through(rig, "moved", hub, way)
    beacon.start()
    rig.check("moved_lines: the beacon delivers", beacon.ready() and within(beacon.drained))
    way.script = repeat
    rig.check("moved_lines: lines are moved", within(lambda: all(beacon.emit("critical") for _ in range(3)) and beacon.signal(signal.SIGHUP) or
                                                    len(moved) >= 3, 0.2))
    way.script = lambda session, flow, unit: [unit]
    closing(rig, hub, [beacon])


class PipedHub(Hub):
    """Its log goes through a pipe, so that a limit on the size of its files spares that."""

    def start(self, env=None):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
        threading.Thread(target=self.copy, args=(self.process.stderr,), daemon=True).start()

    def copy(self, pipe):
        with pipe, open(self.log, "ab", buffering=0) as log:
            while data := pipe.read1(65536):
                log.write(data)


def killed_at_the_write(rig):
    """The kernel ends the hub at the first byte that it writes to a file from now on, or a few later, in the middle of a record."""
    hub = the_hub(rig, "killed_at_the_write", make=PipedHub)
    beacon = Beacon(rig, "hurried", hub)
    beacon.start()
    rig.check("killed_at_the_write: the beacon delivers", beacon.ready() and within(beacon.drained) and within(hub.idle))
    died = []
    for extra in (0, 1, 30):
        sizes = [os.path.getsize(os.path.join(hub.state_dir, name)) for name in os.listdir(hub.state_dir)]
        resource.prlimit(hub.process.pid, resource.RLIMIT_CORE, (0, 0))
        resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (max(sizes) + extra,) * 2)
        emit(rig, beacon, 1)
        within(lambda: not hub.alive())
        died.append(hub.process.poll())
        hub.kill()
        hub.start()
        rig.check("killed_at_the_write: the hub comes back", hub.ready())
        rig.check("killed_at_the_write: it gets the event", within(lambda: beacon.signal(signal.SIGHUP) or beacon.drained(), 0.2))
        within(hub.idle)
    rig.check("killed_at_the_write: it died of that", set(died) == {-signal.SIGXFSZ}, died)
    closing(rig, hub, [beacon])


def stalled_hub(rig):
    """No greeting comes: as from a hub whose disk is slow, or one that a man in the middle plays."""
    hub = the_hub(rig, "stalled_hub")
    beacon = Beacon(rig, "patient", hub)
    hub.signal(signal.SIGSTOP)
    beacon.start()
    rig.check("stalled_hub: the beacon starts", beacon.ready() and emit(rig, beacon, 4))
    rig.check("stalled_hub: it gives the connection up", within(lambda: failures(beacon) > 0))
    rig.check("stalled_hub: and keeps its events", beacon.status()["uplink"]["delivered"] == 0)
    hub.kill()
    hub.start()
    rig.check("stalled_hub: the hub comes back", hub.ready())
    closing(rig, hub, [beacon])


def late_greeting(rig):
    """It goes on after the beacon has taken it for a plain hub. What is sent then, on the same connection, is acknowledged."""
    hub = the_hub(rig, "late_greeting")
    beacon = Beacon(rig, "upgraded", hub, require_ack=False)
    hub.signal(signal.SIGSTOP)
    beacon.start()
    rig.check("late_greeting: the beacon starts", beacon.ready())
    rig.check("late_greeting: it takes the hub for a plain one", within(lambda: beacon.logged("does not acknowledge") > 0))
    hub.signal(signal.SIGCONT)
    hosts = within(lambda: (hub.status() or {}).get("events", 0) > 0)
    rig.check("late_greeting: it delivers", hosts and emit(rig, beacon, 4))
    within(beacon.drained)
    connects = beacon.status()["uplink"]["connects"]
    rig.check("late_greeting: over one connection", connects == 1, connects)
    closing(rig, hub, [beacon])


def false_hubs(rig):
    hub = Hub(rig, "false_hubs", acted="false_hubs.acted")
    beacon = Beacon(rig, "careful", hub)
    with open(rig.path("other.key"), "w") as f:
        f.write("another key, of the same length.")
    script = os.path.join(os.path.dirname(__file__), "..", "fake", "hub.py")
    beacon.start()
    rig.check("false_hubs: the beacon starts", beacon.ready() and emit(rig, beacon, 4))
    for modes in ([], ["rubbish"], ["version=1"], ["version=3"], ["link", "key=" + rig.path("other.key")], ["error=come in"]):
        heard = rig.path("heard")
        false = subprocess.Popen([sys.executable, script, str(hub.port), heard, *modes])
        rig.ends.append(false.kill)
        before = failures(beacon)
        gave_up = within(lambda b=before: beacon.signal(signal.SIGHUP) or failures(beacon) > b + 1, 0.2)
        false.kill()
        false.wait()
        got = open(heard, "rb").read() if os.path.exists(heard) else b""
        rig.check("false_hubs: %s gets no event" % (" ".join(modes)[:12] or "silence"), gave_up and b'"type"' not in got, got[:80])
    rig.check("false_hubs: nothing counts as delivered", beacon.status()["uplink"]["delivered"] == 0)
    hub.start()
    rig.check("false_hubs: the true hub starts", hub.ready())
    closing(rig, hub, [beacon])


def plain_span(rig):
    """As a beacon after a long outage: the newest and most severe first. From a plain sender, and over the link by a sender that
    does not keep within 256."""
    hub = the_hub(rig, "plain_span")
    order = [300, 1, 2, 3, 299, 45, 44]
    send_plain(hub, [sign(event("plainly", 7, seq)) for seq in order])
    with connect(hub) as s:
        s.settimeout(60)
        end = link2.BeaconEnd(KEY.encode(), "linked", 7)
        said = []
        while not any("ack" in m and m["ack"]["line"] == 1 + len(order) for m in said):
            got = s.recv(65536)
            if not got:
                break
            for m in end.feed(got):
                said.append(m)
                if "nefia" in m:
                    s.sendall(end.hello())
                elif "welcome" in m:
                    s.sendall(b"".join(end.put(event("linked", 7, seq)) for seq in order))
    refused = {order[m["refused"]["line"] - 2] for m in said if "refused" in m}
    rig.check("plain_span: over the link what lies below the window is refused", refused == {1, 2, 3, 44}, refused)
    rig.check("plain_span: what was not acted on is reported", within(lambda: hub.unknown() == {"plainly": 4, "linked": 4}), hub.unknown())
    rig.check("plain_span: and counted", hub.status()["unknown"] == 8, hub.status())
    closing(rig, hub, [], {(host, 7, seq) for host in ("plainly", "linked") for seq in order}, 0)


def rewritten_greeting(rig):
    """Each connection another change: the nonce, members that version 1 had, another version, a second greeting."""
    hub = the_hub(rig, "rewritten_greeting")
    way = between(rig, "greeting", hub)
    changes = [lambda g: {**g, "nonce": "0" * 32}, lambda g: {**g, "window": 1, "span": 1, "bytes": 64}, lambda g: {**g, "features": ["x"]},
               lambda g: {**g, "auth": "none"}, lambda g: {**g, "nefia": 1}, lambda g: {"nonce": g["nonce"]}]
    done = []

    def rewrite(session, flow, unit):
        if flow.direction == mitm.UP or flow.index > 0:
            return [unit]
        change = changes[len(done) % len(changes)]
        done.append(change)
        return [link2.pack(change(json.loads(unit))) + b"\n"]

    way.script = rewrite
    beacon = through(rig, "greeted", hub, way)
    beacon.start()
    rig.check("rewritten_greeting: the beacon starts", beacon.ready() and emit(rig, beacon, 3))
    rig.check("rewritten_greeting: it tries", within(lambda: beacon.signal(signal.SIGHUP) or len(done) >= 2 * len(changes), 0.2))
    rig.check("rewritten_greeting: no session comes about", beacon.status()["uplink"]["delivered"] == 0 and not hub.acts())
    way.script = lambda session, flow, unit: [unit]
    closing(rig, hub, [beacon])


# ---- who is who ----

def twins(rig):
    """The second device is a copy of the first, its state_dir included."""
    hub = the_hub(rig, "twins")
    first = Beacon(rig, "twin", hub)
    first.start()
    rig.check("twins: the first one delivers", first.ready() and within(first.drained))
    emitted = first.emitted()
    rig.check("twins: it stops", first.stop() == 0)
    second = Beacon(rig, "twin-copy", hub)
    second.host = "twin"
    with open(second.config) as f:
        config = json.load(f)
    config["host_id"] = "twin"
    second.configure(config)
    shutil.copytree(rig.path("twin.state"), rig.path("twin-copy.state"), dirs_exist_ok=True)
    first.start()
    second.start()
    rig.check("twins: both start", first.ready() and second.ready())
    boots = {b.status()["boot"] for b in (first, second)}
    rig.check("twins: two starts never share a number", len(boots) == 2, boots)

    def until_reported():
        for b in (first, second):
            b.emit("critical")
            b.signal(signal.SIGHUP)
        return hub.reports("hub.host_conflict")["twin"] > 0

    rig.check("twins: hub.host_conflict is reported", within(until_reported, 0.5))
    # One after the other: together they would go on ending each other's sessions.
    second.signal(signal.SIGSTOP)
    first.signal(signal.SIGHUP)
    rig.check("twins: the first delivers all", within(first.drained), first.status())
    emitted |= first.emitted()
    lost = sum(first.status()["lost"].values())
    first.kill()
    second.signal(signal.SIGCONT)
    second.signal(signal.SIGHUP)
    within(second.drained)
    lost += sum(second.status()["lost"].values())
    closing(rig, hub, [second], emitted, lost)


def restored_hub(rig):
    """A backup of the hub's state_dir from before some events, in place of what it had when it was killed. The acknowledgements of the
    last ones were cut off, so they come again: the hub has forgotten them, and the sender knows."""
    hub = the_hub(rig, "restored_hub")
    spool = spool_of("kept", 7, range(1, 6))
    talk(hub, spool)
    rig.check("restored_hub: five events are delivered", not spool.waiting and within(hub.idle))
    rig.check("restored_hub: the hub stops", hub.stop() == 0)
    shutil.copytree(hub.state_dir, rig.path("backup"))
    hub.start()
    hub.ready()
    for seq in range(6, 9):
        spool.add(seq, event("kept", 7, seq))
    talk(hub, spool)
    rig.check("restored_hub: three more are", not spool.waiting)
    for seq in range(9, 12):
        spool.add(seq, event("kept", 7, seq))
    with connect(hub) as s:  # they arrive, and their acknowledgements do not
        s.settimeout(60)
        d = link2.Delivery(spool, KEY.encode())
        while d.end.welcome is None and (got := s.recv(65536)):
            s.sendall(d.feed(got))
        rig.check("restored_hub: the last ones act", taken(hub, ("kept", 7, 11)))
    within(hub.idle)
    hub.kill()
    shutil.rmtree(hub.state_dir)
    shutil.copytree(rig.path("backup"), hub.state_dir)
    hub.start()
    rig.check("restored_hub: it starts from the backup", hub.ready())
    d, why = talk(hub, spool)
    rig.check("restored_hub: the sender knows that they may have acted", d.unsure == 3 and not spool.waiting, (d.unsure, why))
    rig.check("restored_hub: they are reported", within(lambda: hub.unknown()["kept"] == 3), hub.unknown())
    closing(rig, hub, [], {("kept", 7, seq) for seq in range(1, 12)}, 0)


def replayed_plain(rig):
    """Signed plain events, recorded before their host spoke the link."""
    hub = the_hub(rig, "replayed_plain")
    recorded = [sign(event("grown", 5, seq)) for seq in range(1, 6)]
    send_plain(hub, recorded)
    rig.check("replayed_plain: plain events act at first", within(lambda: len(hub.acts()) == 5))
    for boot in (101, 102, 103):  # so that the old start is no longer among those remembered
        talk(hub, spool_of("grown", boot, (1,)))
    within(hub.idle)
    before = rejected(hub, "plain_not_allowed")
    for _ in range(3):
        send_plain(hub, recorded)
    rig.check("replayed_plain: refused once it speaks the link", within(lambda: rejected(hub, "plain_not_allowed") >= before + 3), hub.status()["rejected"])
    hub.kill()
    hub.start()
    rig.check("replayed_plain: the hub comes back", hub.ready())
    for _ in range(3):
        send_plain(hub, recorded)
    rig.check("replayed_plain: and still refused", within(lambda: rejected(hub, "plain_not_allowed") >= 3), hub.status()["rejected"])
    forgotten = subprocess.run([rig.path("nefia"), "reactor", "forget", "grown", "-c", hub.config], capture_output=True, text=True)
    send_plain(hub, [sign(event("grown", 6, 1))])
    rig.check("replayed_plain: until it is forgotten", forgotten.returncode == 0 and taken(hub, ("grown", 6, 1)), forgotten.stderr)
    closing(rig, hub, [], {("grown", 5, s) for s in range(1, 6)} | {("grown", b, 1) for b in (101, 102, 103)} | {("grown", 6, 1)}, 0)


# ---- floods ----

def gets_in(rig, hub, name):
    """A beacon that comes now delivers. Said, not judged: how long that takes."""
    beacon = Beacon(rig, name, hub)
    began = time.monotonic()
    beacon.start()
    rig.check("%s: a beacon gets in" % hub.name, within(beacon.drained), beacon.status())
    rig.say("%s: it has delivered after %.1f s" % (hub.name, time.monotonic() - began))
    emit(rig, beacon, 3)
    return beacon


class Crowd:
    """Threads that do the same again and again until stop()."""

    def __init__(self, rig, count, what):
        self.over = False
        self.threads = [threading.Thread(target=self.live, args=(what, i), daemon=True) for i in range(count)]
        for t in self.threads:
            t.start()
        rig.ends.append(self.stop)

    def live(self, what, number):
        while not self.over:
            try:
                what(self, number)
            except OSError:
                time.sleep(0.01)

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()


def proof_by_repetition(rig):
    """64 connections from as many addresses, each kept alive with one and the same recorded event."""
    hub = the_hub(rig, "proof_by_repetition")
    line = sign(event("recorded", 5, 1))
    send_plain(hub, [line])
    rig.check("proof_by_repetition: the event acts", taken(hub, ("recorded", 5, 1)))
    addresses = [own_address() for _ in range(64)]

    def repeat(crowd, number):
        with connect(hub, addresses[number]) as s:
            s.settimeout(0.5)
            for _ in range(600):
                s.sendall(line)
                try:
                    if not s.recv(4096):
                        return
                except socket.timeout:
                    pass
                if crowd.over:
                    return

    crowd = Crowd(rig, 64, repeat)
    rig.check("proof_by_repetition: all places are taken", within(lambda: (s := hub.status()) and s["connections"]["open"] >= 48),
              (hub.status() or {}).get("connections"))
    beacon = gets_in(rig, hub, "late")
    crowd.stop()
    closing(rig, hub, [beacon], {("recorded", 5, 1)})


def flood_of_connects(rig):
    """From one address, without a key, as fast as about 100 a second; each is kept until the hub closes it."""
    hub = the_hub(rig, "flood_of_connects")
    address = own_address()

    def knock(crowd, _):
        with connect(hub, address) as s:
            s.settimeout(0.1)
            try:
                while s.recv(4096) and not crowd.over:
                    pass
            except socket.timeout:
                pass

    crowd = Crowd(rig, 10, knock)
    rig.check("flood_of_connects: it comes", within(lambda: (s := hub.status()) and sum(s["rejected"].values()) > 100))
    beacon = gets_in(rig, hub, "newcomer")
    crowd.stop()
    reasons = {name: n for name, n in hub.status()["rejected"].items() if n}
    rig.say("flood_of_connects: refused: %s" % reasons)
    named = hub.logged(address)
    rig.check("flood_of_connects: the log names the address now and then only", named <= 3 + sum(reasons.values()) // 100, named)
    closing(rig, hub, [beacon])


def flood_of_events(rig):
    """Actions take a while, and one host has more of them than the hub gets done."""
    hub = the_hub(rig, "flood_of_events", command="sleep 0.05; ")
    flooder = Sender(hub, "flooder", rate=4000, burst=64)
    flooder.start()
    rig.check("flood_of_events: it floods", within(lambda: len(flooder.waiting) > 100 and hub.acts()))
    beacon = Beacon(rig, "calm", hub)
    beacon.start()
    rig.check("flood_of_events: another host comes", beacon.ready() and emit(rig, beacon, 5))
    rig.check("flood_of_events: its actions run", within(lambda: beacon.emitted() <= set(hub.acts()) and beacon.drained()), beacon.status())
    rig.check("flood_of_events: while the flood goes on", len(flooder.waiting) > 0)
    rig.check("flood_of_events: no queue was full", not hub.logged("queue full"))
    flooder.quit()
    rig.check("flood_of_events: the flooder waits itself, and loses nothing", within(flooder.done), len(flooder.waiting))
    flooder.over = True
    flooder.join()
    closing(rig, hub, [beacon], flooder.emitted())


def cpu_ms(hub):
    with open("/proc/%d/stat" % hub.process.pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) * 1000 // os.sysconf("SC_CLK_TCK")


def bad_signatures(rig):
    """Long lines that nobody of many hosts has signed, each with a key and a next one: hellos, and events."""
    hosts = []
    for i in range(48):
        files = [rig.path("host-%d.%s" % (i, which)) for which in ("key", "next")]
        for name in files:
            with open(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
                f.write(os.urandom(16).hex())
        hosts.append({"host_id": "host-%d" % i, "key_file": files[0], "next_key_file": files[1]})
    hub = the_hub(rig, "bad_signatures", hosts=hosts)
    hello = link2.pack({"hello": {"host_id": "host-7", "nonce": "0" * 32, "boot": 7, "plain": False, "features": ["x" * 1800]}})
    long = event("host-7", 7, 1)[:-1] + b',"more":"' + b"x" * 7800 + b'"}'
    sent = 0
    before = cpu_ms(hub)
    for line in (hello, long):
        for _ in range(rig.rounds(200)):
            send_plain(hub, [sign(line)])
            sent += 1
    rig.say("bad_signatures: %d lines cost the hub %.2f ms of CPU each" % (sent, (cpu_ms(hub) - before) / sent))
    wrong = hub.status()["rejected"]["signature_wrong"]
    rig.check("bad_signatures: each is refused", wrong == sent, (wrong, sent))
    beacon = gets_in(rig, hub, "shared")
    closing(rig, hub, [beacon])


def insider(rig):
    """He has the shared key."""
    with open(os.open(rig.path("own.key"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write("a key of one host, no other's")
    hub = the_hub(rig, "insider", hosts=[{"host_id": "own", "key_file": rig.path("own.key")}])
    own = Beacon(rig, "own", hub, hmac_key="a key of one host, no other's")
    shared = Beacon(rig, "victim", hub)
    for b in (own, shared):
        b.start()
    rig.check("insider: both deliver", all(b.ready() for b in (own, shared)) and within(lambda: own.drained() and shared.drained()))
    _, why = talk(hub, spool_of("own", own.status()["boot"], (100000,)))
    rig.check("insider: no session as a host with its own key", why != "open", why)
    send_plain(hub, [sign(event("own", own.status()["boot"], 100001))])
    # As the other one: a high number, in the start of the victim.
    his = {("victim", shared.status()["boot"], 100000)}
    d, why = talk(hub, spool_of("victim", shared.status()["boot"], (100000,)))
    rig.check("insider: as a host with the shared key he is believed", why == "open", why)
    emit(rig, own, 3)
    emit(rig, shared, 3)
    for b in (own, shared):
        b.signal(signal.SIGHUP)
    rig.check("insider: the victim reports what was refused", within(lambda: sum(shared.status()["lost"].values()) >= 3), shared.status())
    rig.check("insider: the hub reports it, too", within(lambda: hub.unknown()["victim"] >= 3), hub.unknown())
    for i in range(600):
        talk(hub, spool_of("invented-%d" % i, 7, ()))
    emit(rig, own, 3)
    closing(rig, hub, [own, shared], his, 0)  # what the victim lost is what the hub called unknown


ATTACKS = (replayed_acks, moved_lines, killed_at_the_write, stalled_hub, late_greeting, false_hubs, plain_span, rewritten_greeting, twins,
           restored_hub, replayed_plain, proof_by_repetition, flood_of_connects, flood_of_events, bad_signatures, insider)

if __name__ == "__main__":
    with Rig("attacks") as rig:
        for attack in ATTACKS:
            if not sys.argv[1:] or attack.__name__ in sys.argv[1:]:
                attack(rig)
        rig.finish()
