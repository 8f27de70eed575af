#!/usr/bin/env python3
"""Ask `nefia policy` what the tables of tests/golden/policy_*.txt say; tests/policy_test.sh calls it.

    policy.py NEFIA cases       tests/golden/policy_cases.txt: the decision, the list and role it is from, and the pattern
    policy.py NEFIA bypass      tests/golden/policy_bypass.txt: denied, but for those that docs/policy.md names
    policy.py NEFIA harmless    tests/golden/policy_harmless.txt: allowed
    policy.py NEFIA deciders    every pattern of the fleet's policy decides one of the lines of the bypass table
    policy.py NEFIA plan        `plan exec` prints the same decisions, and runs nothing

Prints what is wrong, one line each, and what it looked at. Exit status 1: something is wrong, or there was too little to look at.
"""
import json
import pathlib
import re
import subprocess
import sys

BATCH = 50
OUTSIDE = 20
GOLDEN = pathlib.Path("tests/golden")
FLEET = ("fleet", "gw-1")
LISTS = ("deny_commands", "allow_commands", "deny_paths", "allowed_roots")
problems = []


def wrong(*words):
    problems.append(": ".join(map(str, words)))


def decode(text):
    text = re.sub(r"\{(\d+)\*(.)\}", lambda m: int(m[1]) * m[2], text)
    return re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())


def rows(name, columns):
    """The rows of a table: cells, the last of them whatever is left."""
    for number, line in enumerate((GOLDEN / name).read_text().splitlines(), 1):
        if line and not line.startswith("# "):
            cells = line.split("\t", columns - 1)
            if len(cells) == columns:
                yield cells
            else:
                wrong(f"{name}:{number}", "not a row")


def run(nefia, verb, policy, *arguments, given=b""):
    done = subprocess.run([nefia, *verb.split(), "-c", f"tests/configs/policy-{policy}.yaml", *arguments], input=given,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def judge(nefia, policy, host, commands):
    """The answers to commands (bytes), by test-batch; what it cannot be given, by test."""
    answers = {}
    batch = [c for c in dict.fromkeys(commands) if c]
    for i in range(0, len(batch), BATCH):
        some = batch[i:i + BATCH]
        status, out, err = run(nefia, "policy test-batch", policy, "--json", "--null", "--host", host, given=b"\0".join(some) + b"\0")
        lines = [json.loads(line.decode(errors="replace")) for line in out.splitlines()]
        if len(lines) != len(some) or status != any(a["verdict"] == "denied" for a in lines):
            sys.exit(f"{policy}: {host}: {len(some)} commands, {len(lines)} answers, exit status {status}: {err.strip()}")
        answers.update(zip(some, lines))
    if b"" in commands:
        answers[b""] = one(nefia, policy, host, b"")
    return answers


def one(nefia, policy, host, *arguments):
    status, out, err = run(nefia, "policy test", policy, "--json", "--host", host, *arguments)
    if not out:
        wrong(policy, host, arguments, f"exit status {status}", err.strip())
        return {"verdict": "none"}
    answer = json.loads(out.decode(errors="replace"))
    if status != (answer["verdict"] == "denied"):
        wrong(policy, host, arguments, f"{answer['verdict']} with exit status {status}")
    return answer


def decision(answer):
    """(verdict, list, role, pattern) as the tables have them."""
    named = [word for word in LISTS if word in answer.get("reason", "")]
    return (answer["verdict"], named[0] if named else "-", answer.get("rule_of_role", "-"), answer.get("rule", "-"))


def cases(nefia):
    table = list(rows("policy_cases.txt", 8))
    asked = {}
    for policy, host, kind, *_, subject in table:
        if kind == "command":
            asked.setdefault((policy, host), []).append(decode(subject))
    answers = {key: judge(nefia, *key, commands) for key, commands in asked.items()}
    for policy, host, kind, *wanted, subject in table:
        answer = answers[policy, host].get(decode(subject), {"verdict": "none"}) if kind == "command" else \
            one(nefia, policy, host, "--path", decode(subject))
        if any(want not in ("*", got) for want, got in zip(wanted, decision(answer))):
            wrong(policy, host, subject[:80], " | ".join(decision(answer)), answer.get("reason", ""))
    return len(table), 120


def documented():
    """The rows of "What a string rule cannot see"."""
    text = pathlib.Path("docs/policy.md").read_text()
    part = re.search(r"^## What a string rule cannot see\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return set(re.findall(r"^\| ([a-z]+) \|", part[1] if part else "", re.M)) - {"name"}


def bypass(nefia):
    table = [(name.split(" "), line) for name, line in rows("policy_bypass.txt", 2)]
    answers = judge(nefia, *FLEET, [decode(line) for _, line in table])
    outside = [name[1] for name, _ in table if len(name) == 2 and name[0] == "outside"]
    for name, line in table:
        answer = answers.get(decode(line), {"verdict": "none"})
        if name != ["denied"] and name[0] != "outside":
            wrong(line, "neither denied nor outside")
        if answer["verdict"] != ("denied" if name == ["denied"] else "allowed"):
            wrong(" ".join(name), line, answer["verdict"], answer.get("reason", ""), answer.get("rule", ""))
    if len(outside) > OUTSIDE:
        wrong(f"{len(outside)} lines are outside")
    for name in sorted(set(outside) ^ documented()):
        wrong(name, "in one of the bypass table and docs/policy.md only")
    return len(table) - len(outside), 220


def harmless(nefia):
    lines = [line for line, in rows("policy_harmless.txt", 1)]
    answers = judge(nefia, *FLEET, [decode(line) for line in lines])
    for line in lines:
        answer = answers.get(decode(line), {"verdict": "none"})
        if answer["verdict"] != "allowed":
            wrong(line, answer["verdict"], answer.get("reason", ""), answer.get("rule", ""))
    return len(lines), 150


def deciders(nefia):
    answers = judge(nefia, *FLEET, [decode(line) for _, line in rows("policy_bypass.txt", 2)])
    used = {answer.get("rule") for answer in answers.values()}
    _, out, _ = run(nefia, "policy capabilities", "fleet", "--json", "--host", "gw-1")
    patterns = json.loads(out)["deny_commands"]
    for pattern in patterns:
        if pattern not in used:
            wrong(pattern, "decides no line of the bypass table")
    return len(patterns), 50


def plan(nefia):
    looked = 0
    for policy, host, kind, verdict, _, _, pattern, subject in rows("policy_cases.txt", 8):
        command = decode(subject)
        if kind != "command" or not command or len(command) > 200:
            continue
        looked += 1
        status, out, _ = run(nefia, "plan exec", policy, "--target", host, "--", command)
        lines = out.decode(errors="replace").splitlines()
        word = {"denied": "DENIED", "allowed": "ALLOWED", "notify": "WARNED"}[verdict]
        if status != (verdict == "denied") or len(lines) != 4 or lines[3] != "No commands were executed." or \
           not lines[0].startswith("Command: ") or not re.fullmatch(rf"Target: {host} \([0-9.]+\)", lines[1]) or \
           not lines[2].startswith(f"Policy: {word} \u2014 ") or (pattern != "-" and f'pattern: "{pattern}"' not in lines[2]):
            wrong(policy, host, subject, status, lines)
    return looked, 100


if __name__ == "__main__":
    found, least = {"cases": cases, "bypass": bypass, "harmless": harmless, "deciders": deciders, "plan": plan}[sys.argv[2]](sys.argv[1])
    if found < least:
        wrong(f"{found} looked at, {least} wanted")
    print(*problems, f"{found} looked at", sep="\n")
    sys.exit(bool(problems))
