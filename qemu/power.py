#!/usr/bin/env python3
"""The account of scenario_power.sh: what the device's disk says of each command against what the hub's audit log says became of it.

    qemu/power.py WANTED NOTED AUDIT    WANTED: `N TYPE` of each event; NOTED: `begun N`, `ended N`; AUDIT: the hub's log

Jobs count up as the events came. Prints the sums, then `ok` or `FAIL` and a sentence for each check."""
import collections
import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as f:
        return [line.split() for line in f]


def check(what, wrong):
    print(("FAIL " if wrong else "ok ") + what + (": %s" % sorted(wrong)[:6] if wrong else ""))


wanted = {int(n): kind for n, kind in lines(sys.argv[1])}
noted = collections.Counter((what, int(n)) for what, n in lines(sys.argv[2]))
records = [json.loads(line) for line in open(sys.argv[3], encoding="utf-8")]
ended = {r["job"]: r for r in records if r["kind"] == "action_ended"}
number = {job: n for n, job in enumerate(sorted({r["job"] for r in records if r["kind"] == "action_begun"} | set(ended)), 1)}
outcome = {number[job]: "done" if r["outcome"] == "done" else r["error"] for job, r in ended.items()}
unknown = collections.Counter(number[r["job"]] for r in records if r["kind"] == "command_ended" and r["outcome"] == "unknown")
begun, finished = ({n: noted[what, n] for n in wanted} for what in ("begun", "ended"))

sums = collections.Counter(outcome.values())
print("   %d commands = %s; %d had begun on the device, %d of them ended there, %d ran again after an unknown end" % (
    len(wanted), " + ".join("%d %s" % (count, what) for what, count in sums.items()),
    sum(1 for n in wanted if begun[n]), sum(1 for n in wanted if finished[n]), sum(begun.values()) - sum(map(bool, begun.values()))))
once = {n for n, kind in wanted.items() if kind == "power.once"}
done = {n for n in wanted if outcome.get(n) == "done"}
maybe = {n for n in wanted if outcome.get(n, "").startswith("end unknown")}
check("each command has one end, in words", set(wanted) ^ set(outcome))
check("nothing ran that was not ordered", {n for _, n in noted} - set(wanted))
check("what is not idempotent never ran twice", {n for n in once if begun[n] > 1})
check("what is done ran to its end", {n for n in done if finished[n] == 0})
check("what is idempotent ran again only after an unknown end", {n for n in set(wanted) - once if begun[n] > 1 + unknown[n]})
check("what neither is done nor has an unknown end never began", {n for n in set(wanted) - done - maybe if begun[n]})
check("an end on the device is known at the hub, or unknown because of a cut", {n for n in wanted if finished[n] and n not in done | maybe})
