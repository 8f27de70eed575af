#!/usr/bin/env python3
"""64 clients, of which 63 are slow or hostile (hostile.py) and one is an honest beacon, whose every event has to arrive."""
import os
import statistics
import subprocess
import sys
import time

from rig import Beacon, Hub, Rig, account, slowness, within


def latencies(hub, beacon, count):
    """Seconds from the event to its action."""
    found = []
    for _ in range(count):
        began = time.monotonic()
        said = beacon.emit("critical")
        if said and within(lambda e=(beacon.host, *said): hub.acts()[e], 0.002):
            found.append(time.monotonic() - began)
        time.sleep(0.1)
    return found


def tell(rig, what, found):
    rig.say("%s: %d events, from event to action %.1f ms median, %.1f ms at worst" %
            (what, len(found), statistics.median(found) * 1000, max(found) * 1000))


def invade(rig, hub):
    crowd = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "hostile.py"), str(hub.port), "63"],
                             stdout=subprocess.PIPE)
    rig.ends.append(crowd.wait)
    rig.ends.append(crowd.kill)
    crowd.stdout.readline()

    def there():
        connections = (hub.status() or {"connections": {"accepted": 0, "open": 0}})["connections"]
        return connections["accepted"] > 100 and connections["open"] > 20

    rig.check("63 hostile clients are there, those that are not closed at once stay", within(there))
    return crowd


with Rig("hostile") as rig:
    hub = Hub(rig)
    alone, beacon, late = (Beacon(rig, name, hub) for name in ("alone", "honest", "late"))
    count = 100 if rig.rounds(200) == 200 else 20
    hub.start()
    rig.check("the hub starts", hub.ready())
    alone.start()
    rig.check("a beacon to compare with", within(alone.drained))
    tell(rig, "alone", latencies(hub, alone, min(count, 50)))
    emitted = alone.emitted()
    rig.check("it ends in order", alone.stop() == 0)

    beacon.start()
    rig.check("the honest beacon is there", within(beacon.drained))
    crowd = invade(rig, hub)
    began = time.monotonic()
    found = latencies(hub, beacon, count)
    rig.check("all of its events are acted on", len(found) == count, len(found))
    tell(rig, "among 63 hostile clients", found)
    rig.check("none takes more than 10 s", found and max(found) < 10 * slowness())
    # Who comes when they are there already.
    rig.check("it leaves in order", (emitted := emitted | beacon.emitted()) and beacon.stop() == 0)
    came = time.monotonic()
    late.start()
    rig.check("a beacon that comes later gets in", within(lambda: (late.status() or {"uplink": {"delivered": 0}})
                                                         ["uplink"]["delivered"] > 0))
    rig.say("one that comes later has delivered after %.1f s" % (time.monotonic() - came))
    found = latencies(hub, late, count // 2)
    rig.check("all of its events are acted on, too", len(found) == count // 2, len(found))
    tell(rig, "the later one", found)
    within(late.drained)
    emitted |= late.emitted()

    rejected = ("line_too_long", "signature_wrong", "signature_malformed")
    deserved = within(lambda: (status := hub.status()) and all(status["rejected"][what] > 0 for what in rejected))
    status = hub.status()
    rig.check("the hub answers", status is not None)
    crowd.kill()
    rig.say("%.0f s; %d connections accepted; refused: %s" %
            (time.monotonic() - began, status["connections"]["accepted"],
             ", ".join("%d %s" % (n, what) for what, n in status["rejected"].items() if n)))
    rig.check("it rejected the malformed ones", deserved)
    rig.check("every action ends", within(hub.idle))
    rig.check("it stops in order", hub.stop() == 0)
    # The one event of each of the hostile clients that have the key.
    account(rig, hub, emitted | {e for e in hub.acts() if e[0].startswith("hostile-") and e[1:] == (1, 1)})
    rig.finish()
