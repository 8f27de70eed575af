#!/usr/bin/env python3
"""The attacks notice what they are for: against programs with one fault of the protocol each (mutants/NAME.patch, built by `make
fault-programs`), the same that the model is given (tests/model), an attack of scenario_attacks.py takes events for delivered, or loses them silently (which of both depends on what a replayed
acknowledgement happens to name). Those of beacons that take commands (mutants/commands/NAME.patch) the man in the middle of
scenario_mitm_commands.py has to show."""
import os
import subprocess
import sys

from rig import Rig

MUTANTS = {
    "nonce": ("replayed_acks", "the beacon's nonce is not in the keys"),
    "counter": ("moved_lines", "a line's number is not under its signature"),
    "early": ("killed_at_the_write", "acknowledged before it is in the journal"),
}

COMMAND_MUTANTS = {
    "commands/forget": ("what was done ran", "the beacon forgets which commands it has carried out"),
    "commands/late": ("nothing ran after its life", "the beacon begins what is too late"),
    "anew": ("what was done ran", "the hub sends a command that it has sent before as another one"),
    "last": ("nothing ran out of the order", "the hub sends a device's last command first"),
}
TRIES = 20  # seeds until the one thing that shows it has happened, which for the rarest is in three of eight


def shown(rig, script, mutant, finding):
    """Return: None, or what the last run printed."""
    for n in range(TRIES):
        ran = subprocess.run([sys.executable, script, "60", "--mutant=" + mutant], env={**os.environ, "FAULT_SEED": str(rig.seed + n)},
                             capture_output=True, text=True)
        if ran.returncode == 1 and "FAIL the account: " + finding in ran.stdout and " passed, " in ran.stdout:
            return None
    return ran.stdout[-2000:] + ran.stderr[-2000:]


with Rig("mutants") as rig:
    out = os.environ.get("NEFIA_OUT", "out/host")
    script = os.path.join(os.path.dirname(__file__), "scenario_attacks.py")
    for mutant, (attack, what) in MUTANTS.items():
        env = {**os.environ, "NEFIA_OUT": os.path.join(out, "mutant", mutant), "FAULT_SEED": str(rig.seed)}
        ran = subprocess.run([sys.executable, script, attack], env=env, capture_output=True, text=True)
        lines = ran.stdout.split("\n")
        ran_through = any(line.endswith("failed") and " passed, " in line for line in lines)
        lost = any(line.startswith("FAIL %s: nothing is %s" % (attack, of)) for line in lines for of in
                   ("lost silently", "taken for delivered"))
        rig.check("%s: %s shows that %s" % (mutant, attack, what), ran.returncode == 1 and ran_through and lost,
                  ran.stdout[-2000:] + ran.stderr[-2000:])
    script = os.path.join(os.path.dirname(__file__), "scenario_mitm_commands.py")
    for mutant, (finding, what) in COMMAND_MUTANTS.items():
        said = shown(rig, script, mutant, finding)
        rig.check("%s: the man in the middle shows that %s" % (mutant, what), said is None, said)
    rig.finish()
