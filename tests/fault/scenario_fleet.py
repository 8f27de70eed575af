#!/usr/bin/env python3
"""After a power cut of the whole region 10,000 beacons come back at once to a hub that takes 64 connections. Each has six
events in its spool. The hub stays within its memory, every event is taken once, and how long that takes is said."""
import glob
import json
import os
import subprocess

from rig import KEY, Hub, Rig

BEACONS, EVENTS = 10000, 6

with Rig("fleet") as rig:
    count = max(500, rig.rounds(200) * BEACONS // 200)
    out = "out/host-fleet"
    made = subprocess.run(["make", "--no-print-directory", "BOARD=host", "CONFIG=fleet", "all"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    if not rig.check("a hub for so many is built", made.returncode == 0, made.stderr[-500:]):
        rig.finish()
    os.environ["NEFIA_OUT"] = out
    fleet = rig.path("fleet")
    sysroot = "out/host/sysroot"
    include = rig.path("include")
    os.mkdir(include)
    for name in os.listdir(sysroot + "/include"):
        if name.startswith(("bearssl", "jsmn")):
            os.symlink(os.path.abspath(os.path.join(sysroot, "include", name)), os.path.join(include, name))
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-Iinclude", "-isystem", include, "-include", "out/host/gen/autoconf.h",
                    "-o", fleet, "-Isrc", "tests/fault/fleet.c", "src/crypto/mac.c", "src/sys/file.c",
                    *glob.glob("src/base/*.c"), *glob.glob("src/json/*.c"), *glob.glob("src/link/*.c"), "src/event/event.c", sysroot + "/lib/libbearssl.a"], check=True)
    with open(os.open(rig.path("key"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write(KEY)

    hub = Hub(rig, journal_kb=4096)
    hub.argv[0] = os.path.abspath(out + "/nefia")
    hub.reactor["rules"] = [{"name": "some", "event_pattern": "^never$",
                             "action": {"type": "exec", "target": "hub", "command": "true"}}]
    hub.reactor["max_connections_per_peer"] = 0  # they all come from one address
    hub.configure({"reactor": hub.reactor})
    hub.start()
    rig.check("the hub starts", hub.ready())
    ran = subprocess.run([fleet, rig.path("key"), str(hub.port), str(count), str(EVENTS), "400", str(rig.seed)],
                         stdout=subprocess.PIPE, text=True)
    said = json.loads(ran.stdout)
    rig.say("%(done)d of %(beacons)d beacons delivered %(events)d events each: half of them after %(half_ms)d ms, 99 %% after "
            "%(nearly_ms)d ms, all after %(all_ms)d ms; %(connects)d connections tried, %(turned_away)d turned away" % said)
    rig.check("all are delivered", ran.returncode == 0 and said["done"] == count, said)
    c = hub.status()
    taken = c["events"] - c["duplicates"]
    rig.check("each event is taken once", taken == count * EVENTS, (taken, count * EVENTS))
    rig.check("no host is forgotten", c["hosts"]["known"] == count and c["hosts"]["forgotten"] == 0, c["hosts"])
    with open("/proc/%d/status" % hub.process.pid) as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    budget = int(next(line for line in open("board/host/fleet.config") if "HUB_RAM_KB" in line).split("=")[1])
    rig.say("memory of the hub at its peak: %d KiB of %d, its program and journal included" % (peak, budget))
    rig.check("it stays within its budget", peak <= budget + 512, peak)
    rig.check("it stops in order", hub.stop() == 0)
    rig.finish()
