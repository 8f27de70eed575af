#!/usr/bin/env python3
"""What each program costs on each board, against what is promised.

    budget.py [--details BOARD] [--boards BOARDS] [--promises FILE] [--stack FILE] [NAME...]

NAME is a build directory under out/ (a board, or board-configuration); without one all that
something is promised of, of all boards or of those that are given.  Flash is the stripped file, which is what is promised; beside it stands what it takes in a squashfs as
OpenWrt writes it.  RAM is every writable section plus the worst-case stack.  The stack comes from the compiler's own
call graph (gcc -fcallgraph-info=su) of our code, musl and the libraries; what a compiler cannot know
(depth of a recursion, targets of a function pointer, assembler) is stated in toolchain/stack.txt.
Exit status 1: something is over its promise, or the stack has no bound.
"""
import argparse
import collections
import fnmatch
import lzma
import pathlib
import re
import subprocess
import sys

PROGRAMS = {"nefia-beacon": ("beacon", "CONFIG_BEACON_RAM_KB"), "nefia": ("hub", "CONFIG_HUB_RAM_KB")}
NODE = re.compile(r'node: \{ title: "([^"]*)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"(?: label: "([^"]*)")?')
CALLED = re.compile(r"[^(]*?(\w+)\(")
FRAME = re.compile(r"(\d+) bytes \((static|dynamic|dynamic,bounded)\)")
INDIRECT = "__indirect_call"
# OpenWrt's image.mk: mksquashfs -b 256k -comp xz -Xpreset 9 -Xe -Xlc 0 -Xlp 2 -Xpb 2, and -Xbcj for the processors that it names.
BLOCK = 256 * 1024
XZ = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": BLOCK, "lc": 0, "lp": 2, "pb": 2}
BCJ = {"arm": lzma.FILTER_ARM, "armel": lzma.FILTER_ARM, "x86_64": lzma.FILTER_X86}
LTO_SUFFIX = re.compile(r"\.lto_priv\.\d+")
CLONE = re.compile(r"\.(?:constprop|isra|part|cold)\b.*")
# ` .text.name   0xaddress 0xsize object.o`: code in a linker's map; a long name has a line of its own.
PLACED = re.compile(r"^ \.(?:text|init|fini|mips16)(?:\w|[.$-])*\s+0x([0-9a-f]+) +0x([0-9a-f]+) (\S+)$", re.M)
MEMBER = re.compile(r"(.*/)sysroot([^/]*)/lib/lib(\w+)\.a\(([\w.-]+?)\.l?o\)")
BUILDS = {"c": "musl", "yaml": "libyaml"}  # where a library is built, if not under its name


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def short(title):
    """A function's name without the file that qualifies a static one."""
    return title.rsplit(":", 1)[-1]


def stated(title):
    """The name that stack.txt has for a function, also where the compiler made a special copy of it."""
    return CLONE.sub("", short(title))


def in_squashfs(data, arch):
    """Bytes of a file's blocks in a squashfs: each compressed by itself, with or without the filter for machine code, whichever is
    smaller. mksquashfs has the same figures to within 40 bytes; its patch for these parameters is OpenWrt's, so liblzma is asked."""
    chains = [[XZ]] + ([[{"id": BCJ[arch]}, XZ]] if arch in BCJ else [])
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)]
    return sum(min(len(b), *(len(lzma.compress(b, check=lzma.CHECK_CRC32, filters=c)) for c in chains)) for b in blocks)


class Sources:
    """Our own source text, asked whom it stores in a member or hands to a function."""

    def __init__(self):
        self.text = {str(p): re.sub(r'"(?:[^"\\\\\n]|\\\\.)*"', '""', p.read_text())
                     for p in sorted(pathlib.Path("src").rglob("*.c"))}
        self.known = {}

    def named(self, target):
        """(file, identifier) of each `=member` (assigned to it) or `@function` (an argument of it),
        in all of src/ or in the files of a glob: `=run:src/*/main.c`."""
        if target not in self.known:
            word, _, where = target[1:].partition(":")
            find = self.assigned if target[0] == "=" else self.passed
            self.known[target] = {(f, n) for f, text in self.text.items()
                                  if fnmatch.fnmatchcase(f, where or "*") for n in find(word, text)}
        return self.known[target]

    @staticmethod
    def assigned(member, text):
        return re.findall(rf"(?:\.|->){member}\s*=\s*(\w+)", text)

    @staticmethod
    def passed(function, text):
        for call in re.finditer(rf"\b{function}\(", text):
            depth, end = 1, call.end()
            while depth and end < len(text):
                depth += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
            yield from re.findall(r"\w+", text[call.end():end])


SOURCES = Sources()


class Facts:
    """toolchain/stack.txt: what is known of functions beyond the compiler's output."""

    def __init__(self, path):
        self.pointers, self.depth, self.frames, self.edges = [], {}, {}, {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] == "pointer" and words[2] == "->":
                self.pointers.append((words[1], words[3:]))
            elif words[0] == "also" and words[2] == "->":
                self.edges.setdefault(words[1], []).extend(words[3:])
            elif words[0] == "depth":
                self.depth[words[1]] = int(words[2])
            elif words[0] == "frame":
                self.frames[words[1]] = int(words[2])
            else:
                sys.exit(f"{path}:{number}: cannot be read: {line}")

    def targets(self, place):
        """Whom the call at a place, `file:member`, may reach: what stack.txt says, else whatever our
        sources assign to that member; None when that is nobody."""
        for pattern, targets in self.pointers:
            if fnmatch.fnmatchcase(place, pattern):
                return targets
        path, _, member = place.partition(":")
        if path.startswith(("src/", "include/")) and SOURCES.named("=" + member):
            return ["=" + member]
        return None


def place_of(label, sources={}):
    """`src/sys/loop.c:215:13` is `src/sys/loop.c:on_signal`: the pointer that is called there."""
    path, row, column = label.rsplit(":", 2)
    if path not in sources:
        sources[path] = pathlib.Path(path).read_text(errors="replace").splitlines()
    text = " ".join(sources[path][int(row) - 1:int(row) + 2])
    called = CALLED.match(text[int(column) - 1:])
    root = str(pathlib.Path.cwd()) + "/"
    return f"{path.removeprefix(root)}:{called[1] if called else row}"


def with_sources(text):
    """Link-time optimization names static functions by its own temporary file: name them by their
    source, as a compilation of that one does."""
    titles = {}
    for title, label in NODE.findall(text):
        name, _, place = label.partition("\\n")
        if ":" in title:
            titles[title] = place.split(":")[0] + ":" + LTO_SUFFIX.sub("", short(title))
    return re.sub(r'"([^"]*\.ltrans[^"]*)"', lambda m: f'"{titles.get(m[1], short(m[1]))}"', text)


class Map:
    """What a linker's map says: which objects gave code to a program, and where it is."""

    def __init__(self, path):
        text = path.read_text()
        placed = PLACED.findall(text[text.index("Linker script and memory map"):])
        self.places = sorted((int(a, 16), int(size, 16), o) for a, size, o in placed if int(a, 16) and int(size, 16))
        self.objects = {o for _, _, o in self.places}

    def object_at(self, address):
        return next((o for start, size, o in self.places if start <= address < start + size), "")

    @staticmethod
    def graphs_of(name):
        """The compiler's call graphs of an object: several where a library has files of one name, none of
        assembler. (What link-time optimization made has one for the whole program.)"""
        member = MEMBER.fullmatch(name)
        if member:
            build = pathlib.Path(member[1] + "build" + member[2]) / BUILDS.get(member[3], member[3])
            if not any(build.rglob(member[4] + ".*o")):
                sys.exit(f"budget: {build}: {member[4]} was not built here, its call graph is unknown")
            return list(build.rglob(member[4] + ".ci"))
        start = re.fullmatch(r"(.*/)sysroot([^/]*)/lib/(\w*crt\w)\.o", name)
        if start:
            return list(pathlib.Path(f"{start[1]}build{start[2]}/musl").rglob(start[3] + ".ci"))
        return [p for p in [pathlib.Path(name).with_suffix(".ci")] if p.exists()]


class Graph:
    """The call graph of one linked program: frames, and edges between what the linker kept."""

    def __init__(self, ci_files, elf, cross, facts, layout):
        self.frame, self.edges, self.facts, self.layout = {}, collections.defaultdict(set), facts, layout
        self.problems = []
        self.address, self.named_at = {}, collections.defaultdict(set)
        mode_bit = 1 if cross.startswith(("arm", "mips")) else 0  # Thumb and MIPS16 are odd to a caller
        for line in run(cross + "nm", "--defined-only", elf).splitlines():
            words = line.split()  # address, kind, name; a weak symbol nobody defined has no address
            if len(words) == 3 and words[1] in "tTwWiV":
                name, where = LTO_SUFFIX.sub("", words[2]), int(words[0], 16) & ~mode_bit
                self.address.setdefault(name, where)
                self.named_at[where].add(name)
        for path in ci_files:
            self.read(path)
        self.by_name = collections.defaultdict(set)
        for title in self.frame:
            self.by_name[short(title)].add(title)
        self.alias = {}
        self.find_aliases()

    def read(self, path):
        text = path.read_text().replace('"*', '"')  # *name: an assembler label
        if ".ltrans" in path.name:
            text = with_sources(text)
        for line in text.splitlines():
            node = NODE.match(line)
            if node:
                frame = FRAME.search(node[2])
                if frame:
                    self.add_frame(node[1], int(frame[1]), frame[2])
                continue
            edge = EDGE.match(line)
            if edge:
                place = place_of(edge[3]) if edge[2] == INDIRECT and edge[3] else ""
                self.edges[edge[1]].add((edge[2], place))

    def add_frame(self, title, size, kind):
        if kind == "dynamic":
            size += self.facts.frames.get(stated(title), 0)
            if stated(title) not in self.facts.frames and short(title) in self.address:
                self.problems.append(f"{title}: a dynamic frame without a bound")
        self.frame[title] = max(self.frame.get(title, 0), size)

    def find_aliases(self):
        """A call of open64 is a call of open: the same address under a name that has a frame."""
        for names in self.named_at.values():
            known = {t for n in names for t in self.by_name.get(n, ())}
            for name in names:
                if name not in self.by_name and known:
                    self.alias[name] = known

    def resolve(self, target):
        if target in self.frame:
            return {target}
        name = short(target)  # a weak one has the file of its caller before its name
        return self.alias.get(name) or self.by_name.get(name) or {target}

    def callees(self, title):
        found = set(self.facts.edges.get(stated(title), ()))
        for target, place in self.edges.get(title, ()):
            if target != INDIRECT:
                found |= self.resolve(target)
                continue
            patterns = self.facts.targets(place or short(title))
            if patterns is None:
                self.problems.append(f"{place or title}: a call through a pointer, stack.txt does not "
                                     f"say whom (in {short(title)})")
            for pattern in patterns or ():
                found |= self.matching(pattern)
        return found

    def matching(self, pattern):
        """The linked functions that a TARGET of stack.txt names."""
        if pattern[0] in "=@":
            return {t for f, n in SOURCES.named(pattern) for t in (f"{f}:{n}", n) if t in self.frame
                    and n in self.address}
        return {t for t in self.frame if short(t) in self.address and
                fnmatch.fnmatchcase(t if "/" in pattern else short(t), pattern)}

    def own(self, title):
        """The frame itself; assembler and libgcc have none recorded, 64 bytes stand for them."""
        if title in self.frame:
            return self.frame[title]
        for name in (title, stated(title)):
            if name in self.facts.frames:
                return self.facts.frames[name]
        where = self.layout.object_at(self.address.get(short(title), 0))
        if where and "libgcc.a" not in where and (self.layout.graphs_of(where) or ".ltrans" in where):
            self.problems.append(f"{title}: the compiler's call graph does not know it ({where})")
        return 64

    def worst(self, root):
        """Bytes of the deepest path from root, and that path."""
        order, component = self.components(root)
        total, path = {}, {}
        for members in order:  # callees first
            key = component[members[0]]
            own = sum(self.own(m) for m in members)
            if len(members) > 1 or members[0] in self.callees_of[members[0]]:
                own *= self.bound(members)
            below = [component[c] for m in members for c in self.callees_of[m] if component[c] != key]
            deepest = max(below, key=lambda k: total[k], default=None)
            total[key] = own + (total[deepest] if deepest is not None else 0)
            path[key] = [(members, own)] + (path[deepest] if deepest is not None else [])
        return total[component[root]], path[component[root]]

    def bound(self, members):
        depths = [self.facts.depth[stated(m)] for m in members if stated(m) in self.facts.depth]
        if not depths:
            names = " ".join(sorted(short(m) for m in members))
            self.problems.append(f"recursion without a stated depth: {names}")
            return 1
        return max(depths)

    def components(self, root):
        """Tarjan's strongly connected components, without recursion; callees come first."""
        index, low, stack, on_stack, order, component = {}, {}, [], set(), [], {}
        self.callees_of = {}
        work = [(root, None)]
        while work:
            node, rest = work.pop()
            if rest is None:
                if node in index:
                    continue
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
                self.callees_of[node] = self.callees(node)
                rest = iter(sorted(self.callees_of[node]))
            for child in rest:
                if child not in index:
                    work.append((node, rest))
                    work.append((child, None))
                    break
                if child in on_stack:
                    low[node] = min(low[node], index[child])
            else:
                if low[node] == index[node]:
                    members = []
                    while True:
                        members.append(stack.pop())
                        on_stack.discard(members[-1])
                        component[members[-1]] = index[node]
                        if members[-1] == node:
                            break
                    order.append(members)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
        return order, component


class Build:
    """One build directory."""

    def __init__(self, name, boards, facts):
        self.name, self.facts = name, facts
        self.dir = pathlib.Path("out") / name
        self.board = next(b for b in sorted(boards, key=len, reverse=True)
                          if name == b or name.startswith(b + "-"))
        self.arch = re.search(r"ARCH := (\S+)", pathlib.Path(f"board/{self.board}/board.mk").read_text())[1]
        text = pathlib.Path(f"toolchain/{self.arch}.mk").read_text()
        self.cross = re.search(r"CROSS *:= *(\S*)", text)[1]
        self.config = dict(line.split("=", 1) for line in
                           (self.dir / ".config").read_text().splitlines() if line.startswith("CONFIG_"))

    def sections(self, elf):
        text = data = bss = 0
        for line in run(self.cross + "readelf", "-SW", elf).splitlines():
            m = re.match(r" *\[ *\d+\] (\S+) +(\S+) +\S+ \S+ (\S+) \S+ +(\S*) ", line)
            if not m or "A" not in m[4]:
                continue
            if m[1] == ".relro_padding":  # as between any two segments
                continue
            size = int(m[3], 16)
            if "W" not in m[4]:
                text += size
            elif m[2] == "NOBITS":
                bss += size
            else:
                data += size
        return text, data, bss

    def measure(self, program):
        elf = self.dir / (program + ".elf")
        symbol = PROGRAMS[program][1]
        layout = Map(self.dir / (program + ".map"))
        graphs = [p for o in sorted(layout.objects) for p in layout.graphs_of(o)]
        if any(".ltrans" in o for o in layout.objects):
            graphs += self.dir.glob(program + ".elf.ltrans*.ci")
        graph = Graph(graphs, elf, self.cross, self.facts, layout)
        stack, path = graph.worst("_start_c")
        text, data, bss = self.sections(elf)
        return {"board": self.name, "program": program, "text": text, "data": data, "bss": bss,
                "stack": stack, "path": path, "flash": (self.dir / program).stat().st_size,
                "squashfs": in_squashfs((self.dir / program).read_bytes(), self.arch),
                "ram": data + bss + stack, "problems": graph.problems,
                "configured": int(self.config[symbol]) * 1024, "pools": self.pools(elf)}

    def pools(self, elf):
        found = {}
        for line in run(self.cross + "nm", "-S", "--defined-only", elf).splitlines():
            words = line.split()
            if len(words) == 4 and words[3].startswith("pool_"):
                found[words[3][5:]] = int(words[1], 16)
        return found

    def pool_lines(self, program):
        """POOL lines of one program after the preprocessor: name, count, type, what it is for."""
        source = '#define POOL(program, name, count, type, what) @program|name|count|type|what\n' \
                 '#include "src/budget.def"\n'
        text = subprocess.run([self.cross + "gcc", "-E", "-P", "-include", self.dir / "gen/autoconf.h",
                               "-I.", "-xc", "-"], input=source, check=True, capture_output=True,
                              text=True).stdout
        for line in re.findall(r"@(.*)", text):
            who, name, count, kind, what = (f.strip() for f in line.split("|", 4))
            if who in (PROGRAMS[program][0], "both"):
                yield name, count, kind, "".join(re.findall(r'"([^"]*)"', what))


def read_promises(path, boards):
    """(build, program): the flash and RAM promised; boards: only of these, if there are any."""
    promises = {}
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if words and (not boards or words[0] in boards):
            board, profile, program = words[:3]
            build = board if profile == "-" else f"{board}-{profile}"
            promises[build, program] = tuple(None if w == "-" else int(w) * 1024 for w in words[3:])
    return promises


def kib(n):
    return f"{n / 1024:.1f}"


def print_pools(build, program, row):
    print(f"\n{program} on {build.name}: pools (src/budget.def)")
    print(f"  {'bytes':>9}  {'pool':<18} what")
    rest = row["bss"] + row["data"]
    for name, count, kind, what in build.pool_lines(program):
        size = row["pools"].get(name, 0)
        rest -= size
        unused = "" if size else " (not used by this build)"
        print(f"  {size:>9}  {name:<18} {what}{unused}")
    print(f"  {rest:>9}  {'(others)':<18} variables and relocated constants of ours and of the libraries")
    print(f"  {row['stack']:>9}  {'(stack)':<18} worst case:")
    for members, own in row["path"]:
        names = " ".join(short(m) for m in members[:4]) + (" …" if len(members) > 4 else "")
        if own >= 128:
            print(f"  {'':>9}    {own:>7} {names}")


def verdict(row, promises):
    """What is over the promise or over what the configuration allows; the two limits."""
    flash, ram = promises.get((row["board"], row["program"]), (None, None))
    ram = min(ram, row["configured"]) if ram else row["configured"]
    over = []
    if flash and row["flash"] > flash:
        over.append(f"flash {kib(row['flash'])} KiB, promised {kib(flash)}")
    if row["ram"] > ram:
        over.append(f"RAM {kib(row['ram'])} KiB, promised {kib(ram)}")
    return over, flash, ram


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--details", default="")
    parser.add_argument("--boards", default="", type=str.split)
    parser.add_argument("--promises", default="toolchain/promises.txt", type=pathlib.Path)
    parser.add_argument("--stack", default="toolchain/stack.txt", type=pathlib.Path)
    parser.add_argument("builds", nargs="*")
    args = parser.parse_args()
    facts = Facts(args.stack)
    promises = read_promises(args.promises, args.boards)
    boards = [p.parent.name for p in pathlib.Path("board").glob("*/board.mk")]
    rows, passed, failed, complaints = [], 0, 0, []
    for name in args.builds or dict.fromkeys(build for build, _ in promises):
        build = Build(name, boards, facts)
        for program in PROGRAMS:
            if name != build.board and (name, program) not in promises and any(b == name for b, _ in promises):
                continue  # a profile of the other program
            if not (build.dir / program).exists() or not (build.dir / (program + ".map")).exists():
                complaints.append(f"{name} {program}: is not built")
                failed += 1
                continue
            row = build.measure(program)
            rows.append(row)
            if args.details and (name == args.details or name.startswith(args.details + "-")):
                print_pools(build, program, row)
    print(f"\n{'build':<24} {'program':<13} {'text':>7} {'data':>6} {'bss':>8} {'stack':>7} "
          f"{'flash KiB':>9} {'bound':>6} {'left':>6} {'squashfs':>8} {'RAM KiB':>8} {'bound':>7} {'left':>6}")
    for row in rows:
        over, flash, ram = verdict(row, promises)
        problems = sorted(set(row["problems"]))
        complaints += [f"{row['board']} {row['program']}: {o}" for o in over + problems]
        bad = bool(over or problems)
        failed, passed = failed + bad, passed + (not bad)
        bound, left = (f"{flash // 1024}", kib(flash - row["flash"])) if flash else ("-", "-")
        print(f"{row['board']:<24} {row['program']:<13} {row['text']:>7} {row['data']:>6} {row['bss']:>8} "
              f"{row['stack']:>7} {kib(row['flash']):>9} {bound:>6} {left:>6} {kib(row['squashfs']):>8} {kib(row['ram']):>8} "
              f"{ram // 1024:>7} {kib(ram - row['ram']):>6}{'  OVER' if over else ''}")
    for line in sorted(set(complaints)):
        print(f"budget: {line}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
