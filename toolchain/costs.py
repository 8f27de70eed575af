#!/usr/bin/env python3
"""What each feature costs: builds a board with and without it and compares the programs.

    costs.py [--write | --check] [--some N] [SYMBOL...]
    costs.py --alone BOARD... [--some N]      build beacons with none and with one sensor each

A feature is a bool of the Kconfig files that a user can choose (not how programs are built, not one
of a choice).  Its help ends with what is measured here, of the program in which it costs most:

    Costs: ARM 3.1 KiB flash, 0.5 KiB RAM; MIPS 4.0 and 0.5 KiB.

--write puts that line there and into docs/sensors.md, and ARM's flash into the prompt of a sensor, which the menu shows; --check complains
where it is not true; neither only prints.  --some N looks at N features, others at each commit.  Flash is code and data without the file's padding,
RAM is data, bss and worst-case stack.  What depends on a feature goes with it.

A variant is cheap: only what mentions a symbol that differs is compiled again, the other objects are
those of the board.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

import budget

BOARDS = {"ARM": "arm-virt", "MIPS": "mips-malta"}
NO_FEATURE = {"LTO", "PIE"}  # how programs are built: other libraries, or other objects
NONE = 0.15  # KiB: what alignment and the depth of a path make
# What is measured beside all other features is the least that a feature costs: the more of them share its code, the less is its own, and
# no commit that lets another feature share is to fail for that. So the help may say more by so many KiB or such a share of it, but
# less only by little.
MORE, LESS = (1.0, 0.25), (0.5, 0.1)
# What only one program has; the other rooms are of both.
COMMON = tuple(f"src/{room}/" for room in "base sys json config crypto net event link guard ops play control".split())
ROOMS = {"nefia-beacon": ("src/beacon/", *COMMON), "nefia": ("src/hub/", "src/cmd/", *COMMON)}
ENTRY = re.compile(r"^\t?(config|menuconfig|choice|endchoice|menu|endmenu|source|comment|if|endif)\b *(.*)$")


def say(text):
    print(text, flush=True)


def make(*args):
    alone = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "--no-print-directory", f"-j{os.cpu_count()}", *args], capture_output=True,
                          text=True, env=alone)
    if done.returncode:
        sys.exit(f"costs: make {' '.join(args)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def features():
    """Symbol: its Kconfig file, in the order of the files."""
    found, in_choice = {}, False
    for path in [pathlib.Path("Kconfig"), *sorted(pathlib.Path("src").rglob("Kconfig"))]:
        symbol = None
        for line in path.read_text().splitlines():
            entry = ENTRY.match(line)
            if entry:
                in_choice = entry[1] == "choice" or (in_choice and entry[1] != "endchoice")
                symbol = entry[2] if entry[1] in ("config", "menuconfig") and not in_choice else None
            elif symbol and re.match(r'\tbool +"', line) and symbol not in NO_FEATURE:
                found[symbol] = path
    return found


def costs_line(text, symbol):
    """(start, end) of the costs in a Kconfig file's lines, where they are or belong; None without a help."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if re.match(rf"\s*(menu)?config {symbol}$", line))
    helps = at + 1
    while helps < len(lines) and lines[helps].strip() != "help":
        if ENTRY.match(lines[helps]):
            return None
        helps += 1
    if helps == len(lines):
        return None
    end = helps + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith("\t  ")):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    start = next((i for i in range(helps + 1, end) if lines[i].startswith("\t  Costs: ")), end)
    return start, end


def macros(path):
    return dict(re.findall(r"^#define (\w+) (.*)$", path.read_text(), re.M))


def dependencies(dep_file):
    text = dep_file.read_text().replace("\\\n", " ")
    return [p for p in text.split("\n", 1)[0].split()[1:] if not p.startswith("/")]


class Board:
    """One board as it is, and its variants, all in one build directory."""

    def __init__(self, name, facts):
        self.name, self.facts = name, facts
        self.base, self.dir = pathlib.Path("out") / name, pathlib.Path("out") / (name + "-cost")
        make(f"BOARD={name}", "lib", "all")  # objects for both kinds of linking
        self.config = (self.base / ".config").read_text()

    def measure_base(self):
        self.as_it_is = self.measure(self.name)
        return self

    def measure(self, build, programs=tuple(budget.PROGRAMS)):
        found = {}
        for program in programs:
            row = budget.Build(build, BOARDS.values(), self.facts).measure(program)
            if row["problems"]:
                sys.exit("costs: " + "\n".join(row["problems"]))
            found[program] = row["text"] + row["data"], row["ram"]
        return found

    def without(self, symbol):
        """Both programs with the symbol turned round; None where the configuration does not let go of it."""
        has = f"CONFIG_{symbol}=y" in self.config.splitlines()
        self.configure(f"# CONFIG_{symbol} is not set\n" if has else f"CONFIG_{symbol}=y\n")
        if f"CONFIG_{symbol}" in macros(self.dir / "gen/autoconf.h") and has:
            return None
        return has, self.as_it_is | self.measure(self.dir.name, self.build(budget.PROGRAMS))

    def configure(self, changes):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        fragment = self.dir / "fragment"
        fragment.write_text(changes)
        for step in (["seed", self.dir, f"board/{self.name}/defconfig", fragment], ["sync", self.dir, self.name, "0.1.0"]):
            subprocess.run(["toolchain/config.sh", *step], check=True, stdout=subprocess.DEVNULL)

    def build(self, programs, *variables):
        """Return: which of the programs had to be linked; the others are the board's."""
        was, now = (macros(d / "gen/autoconf.h") for d in (self.base, self.dir))
        changed = {m for m in was.keys() | now.keys() if was.get(m) != now.get(m)} - {"NEFIA_VERSION"}
        touched = self.take_objects(re.compile(r"\b(?:" + "|".join(sorted(changed)) + r")\b"))
        programs = [p for p in programs if any(source.startswith(ROOMS[p]) for source in touched)]
        make(f"BOARD={self.name}", "CONFIG=cost", *variables, *(f"{self.dir}/{p}" for p in programs))
        return programs

    def take_objects(self, mentions):
        """The board's objects, but for those of sources that mention what differs. Return: these sources."""
        differs, left_out = {}, []
        for inc in (self.dir / "gen").glob("*.inc"):
            differs[f"{self.base}/gen/{inc.name}"] = inc.read_text() != (self.base / "gen" / inc.name).read_text()

        def touched(path):
            if path not in differs:
                skip = path.endswith("/gen/autoconf.h")  # all include it; what counts is who uses it
                source = pathlib.Path(path)
                differs[path] = not skip and (not source.exists() or bool(mentions.search(source.read_text())))
            return differs[path]

        shutil.copytree(self.base / "obj/src", self.dir / "obj/src")
        for dep in (self.dir / "obj/src").rglob("*.d"):
            sources = dependencies(dep)
            if any(touched(p) for p in sources):
                left_out.append(sources[0])
                for kind in (".o", ".d", ".ci", ".su"):
                    dep.with_suffix(kind).unlink(missing_ok=True)
        oldest = min(p.stat().st_mtime for p in (self.dir / "obj").rglob("*.o"))
        os.utime(self.dir / "gen/autoconf.h", (oldest - 1, oldest - 1))
        return left_out

    def cost(self, symbol):
        """KiB of flash and RAM, of the program in which the feature costs most."""
        variant = self.without(symbol)
        if not variant:
            return None
        has, other = variant
        sign = 1 if has else -1
        most = max(budget.PROGRAMS, key=lambda p: sign * (self.as_it_is[p][0] - other[p][0]))
        costs = [sign * (self.as_it_is[most][i] - other[most][i]) / 1024 for i in (0, 1)]
        return [0.0 if abs(c) < NONE else c for c in costs]


def text_of(costs):
    (flash, ram), (mips_flash, mips_ram) = costs["ARM"], costs["MIPS"]
    return f"Costs: ARM {flash:.1f} KiB flash, {ram:.1f} KiB RAM; MIPS {mips_flash:.1f} and {mips_ram:.1f} KiB."


def is_near(stated, measured):
    kib, share = MORE if stated > measured else LESS
    return abs(stated - measured) <= max(kib, share * abs(measured))


def wrong(stated, costs):
    """What is not true of a help's last lines."""
    figures = [float(n) for n in re.findall(r"-?\d+\.\d", stated)]
    measured = [n for pair in costs.values() for n in pair]
    if len(figures) != len(measured):
        return "has no line of costs"
    if all(is_near(a, b) for a, b in zip(figures, measured)):
        return ""
    return f"says {stated!r}"


def with_cost_in_prompt(lines, symbol, costs):
    """Of a sensor and its parts, so that the menu shows it."""
    at = lines.index(f"config {symbol}") if symbol.startswith(("SENSOR_", "DISK_")) else len(lines)
    for i in range(at + 1, min(at + 3, len(lines))):
        prompt = re.match(r'\tbool "([^"]*\))[^")]*"', lines[i])
        if prompt:
            lines[i] = f'\tbool "{prompt[1]}: {costs["ARM"][0]:.1f} KiB"'
            break


def write_reference(symbol, costs):
    """The same line in the section of a sensor."""
    source = pathlib.Path("src/beacon/sensors") / (symbol.removeprefix("SENSOR_").lower() + ".c")
    name = re.search(r'struct sensor_class \w+ = \{[^{}]*SENSOR_NAME(?:_OF)?\("(\w+)"', source.read_text()) if source.exists() else None
    if not name:
        return
    reference = pathlib.Path("docs/sensors.md")
    reference.write_text(re.sub(rf"(^### `beacons\.{name[1]}(?:\[\])?`\n(?:(?!^#).*\n)*?)Cost: .*$",
                                lambda found: found[1] + "Cost: " + text_of(costs)[7:], reference.read_text(), flags=re.M))


def alone(names, some):
    """Beacons with no sensor, and with each alone. Return: how many of them are not as they should be."""
    sensors = [symbol for symbol in features() if re.fullmatch(r"SENSOR_\w+", symbol)]
    facts = budget.Facts(pathlib.Path("toolchain/stack.txt"))
    passed = failed = 0
    for name in names:
        board = Board(name, facts)
        for only in ["", *some_of(sensors, some)]:
            board.configure("".join(f"# CONFIG_{s} is not set\n" if s != only else f"CONFIG_{s}=y\n" for s in sensors))
            found = [s for s in sensors if f"CONFIG_{s}" in macros(board.dir / "gen/autoconf.h")]
            fine = found == ([only] if only else [])
            if fine:
                board.build(["nefia-beacon"], "LTO_CFLAGS=", "LTO_LINK=-fno-lto")  # the same objects, linked in a tenth of the time
            else:
                print(f"costs: {name}, {only or 'no sensor'}: the configuration has {found}", file=sys.stderr)
            say(f"{'ok' if fine else 'FAIL'} {name}: a beacon with {only + ' alone' if only else 'no sensor'}")
            passed, failed = passed + fine, failed + (not fine)
    say(f"{passed} passed, {failed} failed")
    return failed


def some_of(chosen, some):
    if not some:
        return chosen
    # The check is here at each fourth commit only (TURNS in tests.mk).
    commits = int(subprocess.run(["git", "rev-list", "--count", "HEAD"], capture_output=True, text=True).stdout or 0) // 4
    return [chosen[(commits * some + i) % len(chosen)] for i in range(min(some, len(chosen)))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--some", type=int)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("symbols", nargs="*")
    args = parser.parse_args()
    known = features()
    chosen = args.symbols or list(known)
    if args.alone:
        return 1 if alone(args.symbols, args.some) else 0
    chosen = some_of(chosen, args.some)
    facts = budget.Facts(pathlib.Path("toolchain/stack.txt"))
    boards = {cpu: Board(name, facts).measure_base() for cpu, name in BOARDS.items()}
    passed = failed = 0
    for symbol in chosen:
        costs = {cpu: board.cost(symbol) for cpu, board in boards.items()}
        if None in costs.values():
            say(f"{symbol}: other features need it, nothing to compare")
            continue
        say(f"{symbol}: {text_of(costs)[7:]}")
        path = known[symbol]
        lines = path.read_text().splitlines()
        place = costs_line(path.read_text(), symbol)
        if args.write and place:
            lines[place[0]:place[1]] = ["\t  " + text_of(costs)]
            with_cost_in_prompt(lines, symbol, costs)
            path.write_text("\n".join(lines) + "\n")
            write_reference(symbol, costs)
        elif args.check:
            stated = " ".join(line.strip() for line in lines[place[0]:place[1]]) if place else ""
            complaint = wrong(stated, costs)
            if complaint:
                print(f"costs: {path}: the help of {symbol} {complaint}; measured: {text_of(costs)[7:]} "
                      "(`make costs` writes it)", file=sys.stderr)
            passed, failed = passed + (not complaint), failed + bool(complaint)
    if args.write:
        subprocess.run(["toolchain/menus.sh"], check=True)  # the same texts in the menus of other build systems
    if args.check:
        say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
