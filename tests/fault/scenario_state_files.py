#!/usr/bin/env python3
"""Every state file, truncated and corrupted, under the running programs: the hub's journal at 300 places of chance, the beacon's
count of starts at every byte and its events on flash at 60 places. (At every byte of the journal: tests/unit/test_journal.c.)

The journal is that of a hub that was killed twice: 10 events, of which two actions had begun; then 30 more. None of them has
had an effect. What has to become of each event is worked out here from the bytes, by a reader of its own."""
import json
import os
import re
import shutil
import socket
import struct
import time
import zlib

from rig import ANSWER, KEY, Beacon, Hub, Rig, account, event, link2, within

HOST, EVENTS = "h", 40
EVENT, JOB, START, END, COMMIT = 2, 4, 5, 6, 7


def deliver(hub, numbers):
    """One after the other, each when the one before is acknowledged: so each is a turn of its own."""
    spool = link2.Spool(HOST, 1)
    with socket.create_connection((hub.address, hub.port), timeout=ANSWER) as s:
        d = link2.Delivery(spool, KEY.encode())
        for seq in numbers:
            spool.add(seq, event(HOST, 1, seq))
            s.sendall(d.more())
            while spool.waiting:
                got = s.recv(1 << 16)
                assert got
                s.sendall(d.feed(got))
    assert not spool.refused


def key_of(line):
    e = json.loads(line)
    return e["host_id"], e["boot"], e["seq"]


class Frames:
    """A file of frames, undamaged."""

    def __init__(self, data):
        self.frames, self.turns, at, begin = [], [], 0, 0
        while at < len(data):
            kind, length, crc = struct.unpack_from(">2xBxII", data, at)
            body = data[at + 12:at + 12 + length]
            assert data[at:at + 2] == b"NF" and crc == zlib.crc32(data[at + 2:at + 8] + body)
            self.frames.append((at, at + 12 + length, kind, body))
            at += 12 + length
            if kind == COMMIT:
                self.turns.append(self.frames[begin:])
                begin = len(self.frames)

    def good(self, data, damaged):
        """The frames that count in what became of data. The last turn counts whole or not at all."""
        def whole(f):
            return damaged[f[0]:f[1]] == data[f[0]:f[1]]

        turns = list(self.turns)
        while turns:
            last = turns.pop()
            if all(map(whole, last)):
                turns.append(last)
                break
            if whole(last[-1]):
                break
        return [f for turn in turns for f in turn if whole(f)]


def fate(frames):
    """Who is acted on after the start, who is reported as begun."""
    lines, jobs, begun = {}, {}, set()
    for _, _, kind, body in frames:
        if kind == EVENT:
            lines[body[:8]] = key_of(body[8:])
        elif kind == JOB:
            jobs[body[:8]] = body[8:16]
        elif kind == START:
            begun.add(body[:8])
        elif kind == END:
            jobs.pop(body[:8], None)
    named = {row: lines[of] for row, of in jobs.items() if of in lines}
    return {e for row, e in named.items() if row not in begun}, {e for row, e in named.items() if row in begun}


def make_base(rig):
    """Files as two killed hubs leave them; and whom the second one reported."""
    hub = Hub(rig, "base", command="hub=$PPID; while kill -0 $hub; do sleep 0.1; done 2>/dev/null; exit 1; ")
    for numbers in (range(1, 11), range(11, EVENTS + 1)):
        hub.start()
        rig.check("a hub to begin with", hub.ready())
        deliver(hub, numbers)
        within(lambda: hub.status()["actions"]["exec"]["running"] == 2)
        hub.kill()
    rig.check("what it was doing when it was killed is reported", len(hub.unfinished()) == 2)
    files = {}
    for name in ("journal.0", "journal.1"):
        with open(os.path.join(hub.state_dir, name), "rb") as f:
            files[name] = f.read()
    in_use = max(files, key=lambda n: struct.unpack_from(">Q", Frames(files[n]).turns[-1][-1][3])[0])
    return files, in_use, hub.unfinished()


def run(hub, files, resend):
    """A hub on these files, until it has nothing more to do. Its log and what it acted on are for the caller."""
    shutil.rmtree(hub.state_dir, ignore_errors=True)
    os.mkdir(hub.state_dir, 0o700)
    for name, data in files.items():
        with open(os.path.join(hub.state_dir, name), "wb") as f:
            f.write(data)
    for name in (hub.log, hub.acted):
        if os.path.exists(name):
            os.unlink(name)
    hub.start()
    if not hub.ready():
        return False
    if resend:
        deliver(hub, range(1, EVENTS + 1))
    done = within(hub.idle)
    hub.kill()
    return done


def truncated(rig, hub, files, in_use, reported, count):
    """Whole turns are missing then, so senders have not been told that these were taken: they send again. Each event is acted
    on once, or was reported as begun."""
    everything, bad = {(HOST, 1, seq) for seq in range(1, EVENTS + 1)}, []
    for _ in range(count):
        name = in_use if rig.random.random() < 0.9 else next(n for n in files if n != in_use)
        at = rig.random.randrange(len(files[name]))
        if not run(hub, {**files, name: files[name][:at]}, resend=True):
            bad.append((name, at, "does not run"))
            continue
        acts = hub.acts()
        if set(acts.values()) - {1} or set(acts) | hub.unfinished() | reported != everything:
            bad.append((name, at, sorted(everything - set(acts) - hub.unfinished() - reported),
                        [e for e, n in acts.items() if n > 1]))
    rig.check("truncated %d times: each event is acted on once or reported" % count, not bad, bad[:3])


def corrupted(rig, hub, files, in_use, count):
    """Frames are missing then, of which some were acknowledged; no more is lost than what they held."""
    whole, bad, hit = Frames(files[in_use]), [], 0
    for i in range(count):
        data = bytearray(files[in_use])
        at = rig.random.randrange(len(data))
        if i % 3:
            data[at] ^= 1 << rig.random.randrange(8)
        else:
            size = min(len(data) - at, rig.random.randint(1, 600))
            data[at:at + size] = bytes(size)
        data = bytes(data)
        if not run(hub, {**files, in_use: data}, resend=False):
            bad.append((at, "does not run"))
            continue
        acted, begun = fate(whole.good(files[in_use], data))
        hit += (acted, begun) != fate(whole.frames)
        acts = hub.acts()
        if dict(acts) != dict.fromkeys(acted, 1) or hub.unfinished() != begun:
            bad.append((at, sorted(set(acts) ^ acted), sorted(hub.unfinished() ^ begun)))
        elif whole.good(files[in_use], data) != whole.frames and not hub.logged("their contents are lost"):
            bad.append((at, "not reported"))
    rig.check("corrupted %d times (%d of which cost something): no more is lost than was hit, and it is reported" %
              (count, hit), not bad, bad[:3])


def count_of_starts(rig):
    """A beacon whose count of starts is damaged begins anew, with a number the hub has never seen."""
    hub = Hub(rig, "counting")
    beacon = Beacon(rig, "counted", hub)
    path = os.path.join(rig.path("counted.state"), "boot")
    hub.start()
    beacon.start()
    rig.check("a beacon to begin with", hub.ready() and within(beacon.drained))
    emitted, boots, bad = beacon.emitted(), [], []
    beacon.kill()
    with open(path, "rb") as f:
        good = f.read()
    kinds = [good[:at] for at in range(len(good))]
    kinds += [good[:at] + bytes([good[at] ^ 1 << rig.random.randrange(8)]) + good[at + 1:] for at in range(len(good))]
    if rig.rounds(200) < 200:
        kinds = rig.random.sample(kinds, 12)
    for data in kinds:
        with open(path, "wb") as f:
            f.write(data)
        beacon.start()
        if not within(beacon.drained):
            bad.append(data)
        emitted |= beacon.emitted()
        boots.append(beacon.status()["boot"])
        beacon.kill()
    rig.check("the count of starts damaged in %d ways: it starts and delivers" % len(kinds), not bad, bad[:3])
    rig.check("it is reported each time", beacon.logged("damaged; starting over") == len(kinds))
    rig.check("no number comes twice", len(set(boots)) == len(boots), len(boots) - len(set(boots)))
    within(hub.idle)
    account(rig, hub, emitted, name="starts")
    hub.kill()


def on_flash(rig, count):
    """A beacon that was killed with all its events on flash and none delivered: what is whole there arrives."""
    hub = Hub(rig, "waiting")
    beacon = Beacon(rig, "flash", hub, flash=True)
    beacon.start()
    rig.check("a beacon without a hub", beacon.ready() and all(beacon.emit("critical") for _ in range(30)))
    numbers = beacon.emitted()
    beacon.kill()
    with open(beacon.flash, "rb") as f:
        good = f.read()
    whole = Frames(good).frames
    rig.check("all its events are on flash", {(beacon.host, *struct.unpack_from(">QQ", f[3])) for f in whole} == numbers)
    shutil.copytree(rig.path("flash.state"), rig.path("kept.state"))
    hub.start()
    bad, marks = [], hub.state_dir
    for i in range(count):
        at = rig.random.randrange(len(good))
        data = good[:at] if i % 2 else good[:at] + bytes([good[at] ^ 1 << rig.random.randrange(8)]) + good[at + 1:]
        expected = {(beacon.host, *struct.unpack_from(">QQ", f[3])) for f in whole if data[f[0]:f[1]] == good[f[0]:f[1]]}
        hub.kill()
        for left in (marks, rig.path("flash.state")):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(rig.path("kept.state"), rig.path("flash.state"))
        if os.path.exists(hub.acted):
            os.unlink(hub.acted)
        if os.path.exists(beacon.log):
            os.unlink(beacon.log)
        with open(beacon.flash, "wb") as f:
            f.write(data)
        hub.start()
        hub.ready()
        beacon.start()
        if not beacon.ready() or not within(lambda: beacon.status()["spool"]["events"] == 0) or not within(hub.idle):
            bad.append((at, "does not deliver"))
            continue
        acts = {e: n for e, n in hub.acts().items() if e in numbers}
        # Notes of what was written to whom may be among what is damaged: then all is sent as unsure.
        unknown = set() if i % 2 else expected - set(acts)
        if acts != dict.fromkeys(expected - unknown, 1) or not within(lambda n=len(unknown): hub.unknown()["flash"] == n):
            bad.append((at, sorted(expected ^ set(acts)), {n for n in acts.values()}, hub.unknown()))
        elif not i % 2 and not re.search("[1-9][0-9]* damaged bytes? skipped", "\n".join(beacon.lines())):
            bad.append((at, "not reported"))
        beacon.kill()
    rig.check("flash damaged %d times: intact events act once or are reported as unknown, and damage is reported" % count, not bad, bad[:3])
    hub.kill()


with Rig("state files") as rig:
    began = time.monotonic()
    files, in_use, reported = make_base(rig)
    whole = Frames(files[in_use])
    rig.say("the journal: %d bytes, %d frames, %d turns" % (len(files[in_use]), len(whole.frames), len(whole.turns)))
    hub = Hub(rig, "hub")
    rig.check("undamaged, everything continues", run(hub, files, False) and
              (set(hub.acts()), hub.unfinished()) == fate(whole.frames))
    count = rig.rounds(200) * 3 // 4
    truncated(rig, hub, files, in_use, reported, count)
    corrupted(rig, hub, files, in_use, count)
    os.unlink(hub.acted)
    count_of_starts(rig)
    on_flash(rig, rig.rounds(200) * 3 // 10)
    rig.say("%d damaged files in %.0f s" % (2 * count + rig.rounds(200) * 3 // 10, time.monotonic() - began))
    rig.finish()
