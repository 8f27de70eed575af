#!/usr/bin/env python3
"""Three bad disks under the hub's state_dir: one that fills and has room again (a small tmpfs), one that returns errors, and one
that forgets on a power cut what was not synced (disk.py serves both; device-mapper is not everywhere). The hub must not
acknowledge what it could not keep, must say so, and must go on by itself when the disk is well again."""
import errno
import os
import signal
import subprocess
import time

import disk
from rig import Beacon, Hub, Rig, Sender, account, settle, skip, within

TROUBLE, AGAIN = "cannot write the journal", "the journal is writable again"
REFUSED = "events are not acknowledged and actions not started"


def in_trouble(hub):
    """By its own last word."""
    last = [line for line in hub.lines() if TROUBLE in line or AGAIN in line][-1:]
    return last != [] and TROUBLE in last[0]


def heard(beacon, sender):
    """How far the hub has acknowledged."""
    return beacon.status()["uplink"]["delivered"], sender.last - len(sender.waiting)


def fill(path):
    with open(path, "ab", buffering=0) as f:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    f.write(bytes(size))
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise


def trouble(rig, hub, beacon, sender, what, worsen=lambda: None):
    """The disk does not work from now on. With a full one it may take a while: the hub removes its file before last."""
    since = None

    def lasts():
        nonlocal since
        worsen()
        beacon.emit()
        bad = in_trouble(hub)
        since = (since or time.monotonic()) if bad else None
        return bad and time.monotonic() - since > 1.5

    rig.check(what + ": it is reported", within(lasts, 0.1))
    rig.check(what + ": running actions end", within(lambda: hub.status()["actions"]["exec"]["running"] == 0))
    # It may recover for a while by reusing the space of its own files; that is logged, too.
    helped, then, acts = hub.logged(AGAIN), heard(beacon, sender), hub.acts()
    time.sleep(2.5)
    helped = hub.logged(AGAIN) > helped
    rig.check(what + ": it acknowledges nothing", heard(beacon, sender) == then or helped, (then, heard(beacon, sender)))
    rig.check(what + ": no action starts", hub.acts() == acts or helped)


def recovery(rig, hub, beacon, sender, what):
    """The disk is well again."""
    then = heard(beacon, sender)
    rig.check(what + ": it recovers by itself",
              within(lambda: not in_trouble(hub) and beacon.drained() and heard(beacon, sender) > then),
              (then, heard(beacon, sender)))


def people(rig, hub, name):
    beacon, sender = Beacon(rig, name + "-beacon", hub), Sender(hub, name + "-sender", rate=40, burst=8)
    hub.start()
    rig.check(name + ": the hub starts", hub.ready())
    beacon.start()
    rig.check(name + ": the beacon delivers", within(beacon.drained))
    sender.start()
    return beacon, sender


def closing(rig, hub, beacon, sender, name):
    settle(rig, hub, [beacon], [sender])
    emitted = beacon.emitted() | sender.emitted()
    lost = sum(beacon.status()["lost"].values())
    beacon.kill()
    sender.over = True
    rig.check(name + ": the hub stops in order", hub.stop() == 0)
    acts = hub.acts
    hub.acts = lambda: {e: n for e, n in acts().items() if e[0].startswith(name + "-")}
    account(rig, hub, emitted, lost, name)


def filling(rig):
    place = rig.path("small")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320k", "none", place], check=True)
    rig.ends.append(lambda: subprocess.run(["umount", "-l", place]))
    hub = Hub(rig, "full", state_dir=place + "/state", journal_kb=64, audit={"max_kb": 16, "files": 2})
    beacon, sender = people(rig, hub, "full")
    for turn in range(2 if rig.rounds(200) < 50 else 3):
        what = "full, %d" % (turn + 1)
        trouble(rig, hub, beacon, sender, what, lambda: fill(place + "/ballast"))
        if turn == 1:
            hub.kill()
            fill(place + "/ballast")  # what the kill has freed, too
            refused = hub.logged(REFUSED)
            hub.start()
            # It reports that when it starts, or when the room is used up that its start has found in its own files.
            rig.check(what + ": it starts on a full disk and reports it",
                      within(lambda: hub.status() and (hub.logged("events are not acknowledged until there is room") or
                                                       hub.logged(REFUSED) > refused)))
            helped, then = hub.logged(AGAIN), heard(beacon, sender)
            time.sleep(1)
            rig.check(what + ": and acknowledges nothing", heard(beacon, sender) == then or hub.logged(AGAIN) > helped)
        os.unlink(place + "/ballast")
        if turn == 1:
            rig.check(what + ": started on a full disk, it recovers by itself", within(beacon.drained))
        else:
            recovery(rig, hub, beacon, sender, what)
    closing(rig, hub, beacon, sender, "full")


def refusing(rig):
    bad = disk.Disk(rig.path("refusing"), rig.seed)
    rig.ends.append(bad.close)
    hub = Hub(rig, "errors", state_dir=bad.path, journal_kb=64)
    beacon, sender = people(rig, hub, "errors")
    bad.refusing = 1.0
    trouble(rig, hub, beacon, sender, "errors, always")
    bad.refusing = 0.0
    recovery(rig, hub, beacon, sender, "errors, always")
    lived, turns = 0, max(2, rig.rounds(200) // 20)
    for _ in range(turns):
        bad.error = rig.random.choice((errno.EIO, errno.EROFS, errno.EDQUOT, errno.ENOSPC))
        bad.refusing = rig.random.choice((0.05, 0.2, 0.5))
        rig.pause(0.1, 1.0)
        beacon.emit()
        kill = rig.random.random() < 0.4
        lived += hub.alive()
        if kill:
            hub.kill()
        bad.refusing = 0.0
        if kill:
            hub.start()
        rig.pause(0.0, 0.2)
    rig.check("errors, now and then: the hub never ended by itself", lived == turns, (lived, turns))
    rig.say("%d calls refused" % bad.refused)
    closing(rig, hub, beacon, sender, "errors")


def forgetting(rig):
    bad = disk.Disk(rig.path("forgetting"), rig.seed + 1)
    rig.ends.append(bad.close)
    hub = Hub(rig, "power", state_dir=bad.path, command="sleep 0.01; ", journal_kb=64)
    beacon, sender = people(rig, hub, "power")
    bad.slow = 0.03
    for _ in range(max(5, rig.rounds(200) // 4)):
        rig.pause(0.0, 0.4)
        beacon.emit()
        hub.signal(signal.SIGKILL)
        bad.cut_power()
        hub.kill()
        hub.start()
    rig.say("%d power cuts, %d files that were not whole, %d syncs; %d actions taken up, %d begun and not finished" %
            (max(5, rig.rounds(200) // 4), bad.forgotten, bad.syncs, hub.logged("resumed after the restart"), len(hub.unfinished())))
    rig.check("power: it starts for the last time", hub.ready())
    closing(rig, hub, beacon, sender, "power")


why = disk.private_mounts()
if why:
    skip(why)
with Rig("bad disk") as rig:
    filling(rig)
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        refusing(rig)
        forgetting(rig)
    else:
        rig.say("skip: there is no /dev/fuse for disks with errors and power cuts")
    rig.finish()
