#!/usr/bin/env python3
"""Commands through a man in the middle (mitm.py): a hub, and beacons that take commands (board/profiles/guarded.config), all with the same
key. Rules of which some are idempotent, with short lives and long ones, are set off by the beacons' events; people have commands carried
out with `nefia exec`. He drops, cuts, doubles, swaps, delays and replays lines, also those of other sessions and other devices; hub and
beacons (the last one has no state_dir) are killed, and beacons stopped for a while. At the end he lets everything pass, and the account
is exact: each order ended once; what was done ran once; what expired or was denied never did; nothing ran after its life, on another
device, out of its order, or without one.

A command that runs appends a line to the file `ran` of its working directory, which is its device's: which it is, and when its process
was made, by the kernel's clock. When a command's life ends is known from the man in the middle: he sees when it passes, and how much
of its life is left.

    scenario_mitm_commands.py [COMMANDS] [OPTION]...     until he has seen so many: by default 3 times FAULT_ROUNDS
    --beacons=N       so many
    --mutant=NAME     with the hub of tests/fault/mutants/NAME.patch, or the beacon where NAME begins with commands/: the account must not
                      come out even"""
import argparse
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import time

import mitm
from rig import KEY, Beacon, Daemon, Hub, Rig, ask, audited, within

Ordered = collections.namedtuple("Ordered", "place host who job")
TICKS = os.sysconf("SC_CLK_TCK")
NOTE = "read -r s </proc/self/stat; set -- $s; echo \"%s ${22}\" >>ran"
OF_RULE = NOTE % "$NEFIA_RULE/$NEFIA_HOST/$NEFIA_DATA_N"
# name: (life, idempotent, command)
RULES = {
    "brief": ("1s", False, OF_RULE),
    "lasting": ("5m", False, OF_RULE + "; sleep 0.2"),
    "again": ("1s", True, OF_RULE),
    "lasting-again": ("5m", True, OF_RULE + "; sleep 0.2"),
    "forbidden": ("5m", False, OF_RULE + "; forbidden"),
}
WAITS = ("150ms", "500ms", "1s", "20s")
CLIENTS = 4  # people at a time
SLACK = 0.3  # seconds between the check of a life and the process, on a quiet machine


class Device(Daemon):
    """A beacon that takes commands, in a working directory of its own. kept: it remembers them over a restart."""

    def __init__(self, rig, name, port, kept):
        self.host, self.said = name, 0
        self.home = rig.path(name + ".home")
        os.mkdir(self.home)
        config = {"reactor": "127.0.0.1:%d" % port, "hmac_key": KEY, "control_socket": rig.path(name + ".sock"),
                  "state_dir": rig.path(name + ".state") if kept else "", "max_events_per_min": 120, "dedup_window": 0, "remote": {"enabled": True}}
        super().__init__(rig, name, "beacon-guarded", ["run"],
                         {"host_id": name, "beacons": config, "policy": {"deny_commands": ["forbidden"]}})

    ready, status = Beacon.ready, Beacon.status

    def start(self, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home)

    def emit(self, rule):
        self.said += 1
        ask(self.socket, 'emit info load.%s {"n":"%d"}' % (rule, self.said))

    def ran(self):
        """(order, seconds of time.monotonic) of each run."""
        try:
            with open(os.path.join(self.home, "ran")) as f:
                return [(line.split(" ")[0], int(line.split(" ")[1]) / TICKS) for line in f]
        except FileNotFoundError:
            return []


class Witness:
    """What the man in the middle sees of the hub's commands, by id."""

    def __init__(self):
        self.order, self.until, self.device, self.last = {}, {}, {}, {}
        self.wrong = []

    def see(self, session, direction, unit):
        if direction != mitm.DOWN or not unit.startswith(b'{"command":') or session.hub is None:
            return
        said = json.loads(unit.partition(b"\n")[0])["command"]
        number = said["id"]
        if "op" not in said:  # a question, about what he has seen or lost himself
            return
        env = said["op"].get("env", {})
        person = re.search(r"person/[^/ ]+/\d+", said["op"]["run"])
        order = person[0] if person else "/".join(env["NEFIA_" + key] for key in ("RULE", "HOST", "DATA_N"))
        self.last[session.way.label] = (time.monotonic(), order)
        if self.order.setdefault(number, order) != order or self.device.setdefault(number, session.way.label) != session.way.label:
            self.wrong.append((number, order, session.way.label))
        until = time.monotonic() + said["life_ms"] / 1000
        if said["life_ms"]:
            self.until[number] = min(self.until.get(number, until), until)


class People:
    """Those who have commands carried out, with the real program."""

    def __init__(self, rig, hub, devices):
        self.rig, self.hub, self.devices = rig, hub, devices
        self.running, self.ended, self.count = [], [], 0

    def reap(self):
        for one in [p for p in self.running if p.poll() is not None]:
            self.running.remove(one)
            self.ended.append((one.order, one.returncode, one.stdout.read()))

    def press(self, standing):
        """What a device that stands still is sent may be too late when it goes on: half of the time it is one of those."""
        self.reap()
        if len(self.running) < CLIENTS and self.rig.random.random() < 0.2:
            self.count += 1
            host = self.rig.random.choice(standing if standing and self.rig.random.random() < 0.5 else self.devices).host
            order = "person/%s/%d" % (host, self.count)
            command = NOTE % order + self.rig.random.choice(("", "; exit 3", "; sleep 0.1"))
            one = subprocess.Popen([self.hub.program, "exec", "-c", self.hub.config, "--json", "--wait", self.rig.random.choice(WAITS),
                                    "--target", host, "--", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            one.order = order
            self.running.append(one)
            self.rig.ends.append(lambda: one.poll() is None and one.kill())

    def gone(self):
        return all(p.poll() is not None for p in self.running)


class Troubles:
    """What he does not do: kills, and beacons that stand still."""

    def __init__(self, rig, hub, devices, witness):
        self.rig, self.hub, self.devices, self.witness = rig, hub, devices, witness
        self.counts, self.standing = collections.Counter(), {}

    def is_at_work(self, device):
        """Has it just been sent something that takes a while?"""
        at, order = self.witness.last.get(device.host, (0, ""))
        return order.startswith("lasting") and time.monotonic() < at + 0.2

    def press(self):
        chance = self.rig.random
        for device, until in list(self.standing.items()):
            if time.monotonic() > until:
                device.signal(signal.SIGCONT)
                del self.standing[device]
        device = chance.choice(self.devices)
        if device in self.standing:
            return
        if chance.random() < (0.3 if self.is_at_work(device) else 0.02):
            self.counts["beacon killed"] += 1
            device.kill()
            device.start()
            device.ready()
        elif chance.random() < 0.05:
            self.counts["beacon stood still"] += 1
            device.signal(signal.SIGSTOP)
            self.standing[device] = time.monotonic() + chance.uniform(0.5, 2.5) * self.rig.slow()
        elif chance.random() < 0.015:
            self.counts["hub killed"] += 1
            self.hub.kill()
            self.hub.start()
            self.hub.ready()

    def end(self):
        for device in self.standing:
            device.signal(signal.SIGCONT)
        self.standing = {}


def load(rig, man, witness, devices, people, troubles, commands):
    since, last = time.monotonic(), -1
    while len(witness.order) < commands and time.monotonic() < since + 600:
        for device in devices:
            if device in troubles.standing:
                continue
            if rig.random.random() < 0.15:
                device.emit(rig.random.choice(list(RULES)))
            if rig.random.random() < 0.5:
                device.signal(signal.SIGHUP)  # no waiting between two connections
        people.press(list(troubles.standing))
        troubles.press()
        if len(witness.order) != last:
            last, since = len(witness.order), time.monotonic()
        time.sleep(0.05)
    troubles.end()


def settled(hub, people):
    c = hub.status()
    return (people.gone() and c is not None and c["commands"]["waiting"] + c["commands"]["sent"] == 0 and hub.idle() and
            all(q.get("sent_to_device", 0) == 0 for q in c["actions"].values()))


def audit_of(hub):
    """All its records of commands, and of the ends of actions."""
    said = subprocess.run([hub.program, "audit", "show", "--json", "-c", hub.config], capture_output=True, text=True)
    return [r for r in map(json.loads, said.stdout.splitlines()) if r["kind"].startswith("command_") or r["kind"] == "action_ended"]


def swapped(ordered):
    """A rule's jobs are numbered as its events came; the one that is begun again has its own once more."""
    last, found, seen = {}, [], set()
    for o in ordered.values():
        if o.job and o.job not in seen:
            seen.add(o.job)
            if o.job < last.get((o.who, o.host), 0):
                found.append(o)
            last[o.who, o.host] = o.job
    return found


def account(rig, hub, witness, devices, people, kills, slack):
    outcomes, actions, ordered = collections.defaultdict(set), collections.defaultdict(list), {}
    for r in audit_of(hub):
        number = r.get("command_id")
        if r["kind"] == "action_ended":
            actions[r["job"]].append(r["outcome"])
        elif r["kind"] == "command_ended":
            outcomes[number].add(r["outcome"])
        elif r["kind"] == "command_ordered":
            ordered.setdefault(number, Ordered(len(ordered), r["host"], r["who"], r.get("job")))
    runs = [(device.host, order, at) for device in devices for order, at in device.ran()]
    times = collections.Counter(order for _, order, _ in runs)
    ids = collections.defaultdict(list)
    for number, order in witness.order.items():
        ids[order].append(number)
    ends = collections.Counter(next(iter(o)) for o in outcomes.values())
    rig.say("%d ordered, %d of them passed him; %d runs; ended: %s" %
            (len(ordered), len(witness.order), len(runs), ", ".join("%d %s" % (n, what) for what, n in sorted(ends.items()))))

    rig.check("a command has one text and one device, however often it is sent", not witness.wrong, witness.wrong[:5])
    rig.check("none passed him that was not ordered", not set(witness.order) - set(ordered), sorted(set(witness.order) - set(ordered))[:5])
    twice = {n: sorted(o) for n, o in outcomes.items() if len(o) > 1}
    rig.check("the account: none has two ends", not twice, twice)
    endless = [n for n in ordered if n not in outcomes and n in witness.order]
    rig.check("the account: none that was sent has no end", not endless, endless[:5])
    forgotten = [n for n in ordered if n not in outcomes]
    rig.check("the account: none has no end, unless the hub was killed when it was ordered", not forgotten or kills, forgotten)
    amiss = [(job, ends) for job, ends in actions.items() if len(set(ends)) != 1]
    amiss += [(o.job, n) for n, o in ordered.items() if o.job and n in outcomes and o.job not in actions]
    rig.check("the account: the action that waits for a command ends once", not amiss, amiss[:5])
    rig.say("actions of rules: " + ", ".join("%d %s" % (n, what) for what, n in
                                             sorted(collections.Counter(e for ends in actions.values() for e in set(ends)).items())))

    unordered = [r for r in runs if r[1] not in ids]
    rig.check("the account: nothing ran that was not ordered", not unordered, unordered[:5])
    elsewhere = [r for r in runs if r[1].split("/")[1] != r[0]]
    rig.check("the account: nothing ran on another device", not elsewhere, elsewhere[:5])

    wrong, often, repeated = [], [], 0
    for order, numbers in ids.items():
        all_ends = [o for n in numbers for o in outcomes[n]]
        done, unknown = all_ends.count("done"), all_ends.count("unknown")
        if not done <= times[order] <= done + unknown:
            wrong.append((order, times[order], all_ends))
        rule = RULES.get(order.split("/")[0])
        repeated += max(0, times[order] - 1)
        if times[order] > 1 and not (rule and rule[1]) or done > 1:
            often.append((order, times[order], all_ends))
    rig.check("the account: what was done ran, what was refused or expired did not, what is unknown ran at most once", not wrong, wrong[:5])
    rig.check("the account: none ran twice but idempotent ones whose end was unknown", not often, often[:5])

    offset = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    late = []
    for host, order, at in runs:
        until = max((witness.until[n] for n in ids[order] if n in witness.until), default=0)
        if at - offset > until + slack:
            late.append((host, order, "%.2f s" % (at - offset - until)))
    rig.check("the account: nothing ran after its life", not late, late[:5])

    place = {order: min(known) for order, numbers in ids.items() if (known := [ordered[n].place for n in numbers if n in ordered])}
    reordered = []
    for device in devices:
        mine = sorted((at, place[order], order) for order, at in device.ran() if order in place)
        reordered += [(one, other) for one, other in zip(mine, mine[1:]) if one[0] < other[0] and one[1] > other[1]]
    rig.check("the account: nothing ran out of the order of the hub's", not reordered, reordered[:5])
    rig.check("the account: no rule's commands for a device were ordered in another order than it matched", not swapped(ordered),
              swapped(ordered)[:5])

    lies = []
    for order, status, output in people.ended:
        said = json.loads(output)["result"] if output.strip().startswith("{") and '"result"' in output else None
        if said and {said["outcome"]} != outcomes[said["id"]]:
            lies.append((order, said, outcomes[said["id"]]))
    rig.check("people were told the same", not lies, lies[:5])
    rig.say("%d people asked; %d idempotent ones ran again" % (len(people.ended), repeated))
    return ends


def run(rig, commands, beacons, mutant):
    of_hub = mutant and not mutant.startswith("commands/")
    beacon = os.path.join("out/host-guarded", "mutant" if mutant and not of_hub else "", "" if of_hub else mutant, "nefia-beacon")
    shutil.copy(beacon, rig.path("beacon-guarded"))
    if of_hub:
        shutil.copy(os.path.join("out/host/mutant", mutant, "nefia"), rig.dir)
    man = mitm.Mitm(rig.seed, mitm.COMMAND_ACTS)
    rig.ends.append(man.close)
    witness = Witness()
    man.witness = witness.see
    rules = [{"name": name, "event_pattern": "^load\\.%s$" % name, "idempotent": again,
              "action": {"type": "exec", "target": "host", "command": command, "life": life}} for name, (life, again, command) in RULES.items()]
    hub = Hub(rig, rules=rules, audit={"max_kb": 1 << 20})  # from the first record on
    devices = [Device(rig, "r%d" % i, man.way("r%d" % i, (hub.address, hub.port)).port, i < beacons - 1)
               for i in range(beacons)]
    people, troubles = People(rig, hub, devices), Troubles(rig, hub, devices, witness)
    hub.start()
    rig.check("the hub starts", hub.ready())
    man.start()
    for device in devices:
        device.start()
    rig.check("the beacons start", all([d.ready() for d in devices]))
    began, slowest = time.monotonic(), rig.slow()
    load(rig, man, witness, devices, people, troubles, commands)
    rig.say("%d sessions, %d commands in %.0f s; %s" % (man.total(), len(witness.order), time.monotonic() - began,
                                                         ", ".join("%d times %s" % (n, what) for what, n in troubles.counts.items())))
    man.quiet()
    for device in devices:
        device.signal(signal.SIGHUP)
    rig.check("when he lets everything pass, everything ends", within(lambda: settled(hub, people)), hub.status())
    people.reap()
    rig.check("no program ended by itself", hub.alive() and all(d.alive() for d in devices))
    rig.check("the hub stops in order", hub.stop() == 0)
    counts = man.account()
    rig.say("he: " + ", ".join("%d %s" % (n, what) for what, n in counts.items() if what != "seed"))
    audited(rig, hub, "the account")
    ends = account(rig, hub, witness, devices, people, troubles.counts["hub killed"], SLACK * max(slowest, rig.slow()))
    missing = [end for end in ("done", "denied", "expired", "unknown") if not ends[end]]
    rig.check("there were all kinds of ends", not missing or commands < 150, missing)
    errors = [line for line in hub.lines() if "error:" in line]
    rig.check("the hub wrote no error", not errors, errors[:5])
    rig.finish()


options = argparse.ArgumentParser()
options.add_argument("commands", type=int, nargs="?", default=0)
options.add_argument("--beacons", type=int, default=3)
options.add_argument("--mutant", default="")
options = options.parse_args()
with Rig("commands and the man in the middle") as rig:
    run(rig, options.commands or rig.rounds(50) * 3, options.beacons, options.mutant)
