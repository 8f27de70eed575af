#!/usr/bin/env python3
"""Check README.md and docs/*.md against each other, the sources and the programs; tests/readme_test.sh calls it.

    docs.py block NAME              print the fenced block with test=NAME, wrong=NAME or output=NAME
    docs.py fences NAME...          every block says how it is tested; the names are the tests that there are
    docs.py configurations DIR      write every YAML block into DIR, with DIR for /etc/nefia
    docs.py json | links | paths | defaults | limits | events | sensors | policies | messages | bench | wire
    docs.py symbols | targets FILE  FILE: what `make help` prints
    docs.py keys | verbs BIN        BIN: the directory with both programs
    docs.py status BEACON HUB TEXT  files: what `status --json` of both programs prints, and the hub's `status`

A check prints what is wrong, one line each, and what it looked at as its last line. Exit status 1: something is wrong, or
there was nothing to look at.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

DOCUMENTS = [pathlib.Path("README.md"), *sorted(pathlib.Path("docs").glob("*.md"))]
REFERENCE = pathlib.Path("docs/configuration.md")
SENSORS = pathlib.Path("docs/sensors.md")
POLICY = pathlib.Path("docs/policy.md")
PLAYBOOKS = pathlib.Path("docs/playbooks.md")
TESTED = {"c", "diff", "kconfig", "sh"}
PLAIN = {"", "json", "text", "yaml"}
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
CELL = re.compile(r"(?<!\\)\|")
# Made by a reader of docs/extending.md.
EXAMPLES = {"src/beacon/sensors/uptime.c", "src/beacon/sensors/battery.c", "src/hub/actions/append.c"}
# Words in capitals that are no symbol of Kconfig.
VARIABLES = re.compile(r"(CAP|NEFIA|FAULT|FUZZ)_[A-Z<>_]+|PATH|POST|LICENSE|K|Z|"
                       r"ACLDIR|AR|BOARD|BR2_CONFIG|CC|CFLAGS|CONFIG|CPPFLAGS|CROSS_COMPILE|DEPS|DESTDIR|DOCDIR|DOCS|INIT|INSTALL_PROGRAMS|"
                       r"KCONFIG_CONF|KCONFIG_CONFIG|KERNEL_HEADERS|LDFLAGS|LIBC|PLAYBOOKDIR|PREFIX|SBINDIR|SOURCES_DIR|STRIP|SYSCONFDIR|"
                       r"SYSROOT_LIBS|UNITDIR|CONF|PATIENCE")

problems = []
looked = 0


def wrong(*words):
    problems.append(": ".join(map(str, words)))


def check(fine, *words):
    global looked
    looked += 1
    if not fine:
        wrong(*words)


# ---- documents ----

class Block:
    def __init__(self, document, line, info):
        self.document, self.line = document, line
        self.language, _, attribute = info.partition(" ")
        self.attribute, _, self.value = attribute.strip().partition("=")
        self.text = ""

    def __str__(self):
        return f"{self.document}:{self.line}"


def split(document):
    """Return: the fenced blocks, and the text without them (their lines empty)."""
    blocks, prose, block = [], [], None
    for number, line in enumerate(document.read_text().splitlines(), 1):
        fence = line.startswith("```")
        if fence and block is None:
            block = Block(document, number, line[3:])
            blocks.append(block)
        elif fence:
            block = None
        elif block is not None:
            block.text += line + "\n"
        prose.append(line if block is None and not fence else "")
    if block is not None:
        wrong(block, "the block has no end")
    return blocks, "\n".join(prose)


PARTS = {document: split(document) for document in DOCUMENTS}
BLOCKS = [block for blocks, _ in PARTS.values() for block in blocks]


def cells(row):
    return [cell.strip().replace("\\|", "|") for cell in CELL.split(row.strip())[1:-1]]


def tables(document):
    """(heading of level 2 or more, cells of a row) of every table, without its own headings."""
    heading, head = "", True
    for line in PARTS[document][1].splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            head = True
        elif re.match(r"\|[ :|-]+\|?$", line):
            head = False
        elif not head:
            yield heading, cells(line)


def codes(document, prose=None):
    return CODE.findall(PARTS[document][1] if prose is None else prose)


# ---- sources ----

def plain(text):
    """With the parts of a string literal put together, and the members of a class that its name has."""
    return re.sub(r'SENSOR_NAME(?:_OF)?\(("[^"]*"), ("[^"]*")(?:, "[^"]*")?\)', r'.name = \1, .interval = \2',
                  re.sub(r'"\s*\n\s*"', "", text))


def sources(*where):
    """path: text, with the parts of a string literal put together."""
    found = {}
    for directory in where:
        for path in sorted(pathlib.Path(directory).rglob("*.[ch]")):
            found[path] = plain(path.read_text())
    return found


# ---- blocks ----

def block_of(name):
    for block in BLOCKS:
        if block.attribute in ("test", "wrong", "output") and block.value == name:
            return block
    sys.exit(f"docs.py: no document has a block of the name {name}")


def fences(*tests):
    names = [b.value for b in BLOCKS if b.attribute == "test"]
    for block in BLOCKS:
        check(block.language in TESTED | PLAIN, block, "a block of this language is not tested", block.language)
        check(block.attribute in ("", "test", "norun", "wrong", "output"), block, "unknown attribute", block.attribute)
        check("`" not in block.value, block, "with a ` here it is no block")
        if block.language in TESTED:
            said = block.attribute == "test" or block.language == "sh" and block.attribute == "norun" and len(block.value) > 15
            check(said, block, "say test=NAME, or for sh norun= with a reason")
        if block.attribute == "test":
            check(names.count(block.value) == 1, block, "the name is used twice", block.value)
            check(block.value in tests, block, "there is no such test", block.value)
    for test in tests:
        check(test in names, test, "no document has this block")


def configurations(directory):
    for number, block in enumerate(b for b in BLOCKS if b.language == "yaml" and b.attribute == ""):
        check("beacons:" in block.text or "reactor:" in block.text, block, "a configuration has beacons: or reactor:")
        path = pathlib.Path(directory, f"{number}-{block.document.stem}-{block.line}.yaml")
        path.write_text(block.text.replace("/etc/nefia/", directory + "/"))


def json_blocks():
    for block in BLOCKS:
        for line in block.text.splitlines() if block.language == "json" else []:
            try:
                json.loads(line)
                check(True)
            except ValueError as error:
                check(False, block, error)


# ---- links and names ----

def anchors(document):
    found = []
    for line in PARTS[document][1].splitlines():
        if line.startswith("#"):
            slug = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
            found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return found


def links():
    for document in DOCUMENTS:
        prose = CODE.sub("", PARTS[document][1])
        targets = re.findall(r"\[[^\]]+\]\(([^)\s]+)\)", prose)
        for target in targets:
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = document.parent / name if name else document
            check(path.exists(), document, "no such file", target)
            if anchor and path.exists():
                path = pathlib.Path(*[p for p in path.parts if p != ".."]) if ".." in path.parts else path
                check(path in PARTS and anchor in anchors(path), document, "no such heading", target)
        if "Contents:" in prose:
            for line in PARTS[document][1].splitlines():
                if line.startswith("## "):
                    slug = re.sub(r"[^\w\- ]", "", line[3:].lower()).replace(" ", "-")
                    check(f"#{slug}" in targets, document, "not in its contents", line)
        elif document.parent.name == "docs":
            check(prose.count("\n## ") < 3, document, "it needs a line of contents")
    for document in DOCUMENTS[1:]:
        check(f"({document})" in DOCUMENTS[0].read_text(), document, "README.md has no link to it")


def paths():
    tops = r"(src|tests|toolchain|board|rootfs-overlay|docs|qemu|include)/[\w.*/-]+"
    for document in DOCUMENTS:
        for code in codes(document):
            if not re.fullmatch(tops, code) or code in EXAMPLES or re.search(r"[A-Z]{4}", code):
                continue
            check(any(pathlib.Path(".").glob(code.rstrip("/"))), document, "no such file", code)


def kconfig_symbols():
    texts = [path.read_text() for path in [pathlib.Path("Kconfig"), *pathlib.Path("src").rglob("Kconfig")]]
    return set(re.findall(r"^\s*(?:menu)?config (\w+)", "\n".join(texts), re.M))


def buildroot_symbols():
    package = pathlib.Path("board/buildroot/package/nefia-edge")
    return {"BR2_EXTERNAL", "BR2_GLOBAL_PATCH_DIR"} | set(re.findall(r"^config (\w+)", "".join(
        (package / name).read_text() for name in ("Config.in", "Config.features.in")), re.M))


def symbols():
    known = kconfig_symbols()
    for document in DOCUMENTS:
        for code in codes(document):
            if not re.fullmatch(r"(CONFIG_)?[A-Z][A-Z0-9_]*", code) or VARIABLES.fullmatch(code):
                continue
            if code.startswith("BR2_"):
                check(code in buildroot_symbols(), document, "no option of Buildroot", code)
                continue
            check(code in known or code.removeprefix("CONFIG_") in known or code == "CONFIG_", document, "no such symbol of Kconfig", code)


def targets(help_file):
    known = re.findall(r"^([a-z-]+) ", pathlib.Path(help_file).read_text(), re.M)
    for document in DOCUMENTS:
        for code in codes(document):
            command = re.fullmatch(r"make(?: [A-Z_]+=\S*)*(?: ([a-z-]+))?(?: [A-Z_]+=\S*)*", code)
            if command and command[1]:
                check(command[1] in known, document, "not in `make help`", code)


# ---- the configuration ----

class Field:
    def __init__(self, where, text, macros):
        self.where = where
        self.name = re.search(r'(?:\.name\s*=\s*|FIELD_DEFAULT\(|FIELD_REQUIRED\()"(\w+)"', text)[1]
        self.required = bool(re.search(r"\.required\s*=\s*true|FIELD_REQUIRED", text))
        default = re.search(r'FIELD_DEFAULT\("\w+",\s*(?:"([^"]*)"|(?:LITERAL\()?(\w+))', text)
        self.sections = re.compile({"beacon": r"beacons\b", "hub": r"reactor\b"}.get(where.parent.name if "include" in where.parts
                                                                                    else where.parts[1], ""))
        self.default = None if default is None else default[1] if default[1] is not None else macros.get(default[2])


def fields():
    """The keys that the tables of the sources have; the interval of a sensor is a member of its class."""
    found = []
    texts = sources("src", "include")
    macros = dict(m for text in texts.values() for m in re.findall(r'#define (\w+)\s+"([^"]*)"', text))
    for path, text in texts.items():
        for initializer in re.findall(r"\{[^{}]*\}", text.split("#define THRESHOLD_FIELDS", 1)[0] if path.name == "sensor.h" else text):
            if re.search(r'(?:\.name\s*=\s*|FIELD_DEFAULT\(|FIELD_REQUIRED\()"\w+"', initializer) and \
               re.search(r"\bFIELD_(?!NOTE|HELP|DEFAULT|REQUIRED)\w+", initializer):
                found.append(Field(path, initializer, macros))
        for suffix, *values in re.findall(r'THRESHOLD_FIELDS\([^"\\]*"(\w*)",[^"]*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)', text):
            for name, value in zip(("warning", "critical", "hysteresis"), values):
                found.append(Field(path, f'{{FIELD_DEFAULT("{name}{suffix}", "{value}")}}', macros))
        for body in re.findall(r"const struct sensor_class \w+ = (\{[^{}]*\})", text):
            sensor = Field(path, body, macros)
            interval = re.search(r'\.interval\s*=\s*"(\w+)"', body)
            if interval:
                found.append(Field(path, f'{{FIELD_DEFAULT("interval", "{interval[1]}")}}', macros))
            for field in found:
                if field.where == path:
                    field.sections = re.compile(rf"beacons\.{sensor.name}\b")
            found.append(sensor)
    return found


def key_rows(*documents):
    """(path of the section, its other members, key, default) as the reference has them."""
    for heading, row in [row for document in documents or (REFERENCE, SENSORS, POLICY, PLAYBOOKS) for row in tables(document)]:
        path = CODE.findall(heading)
        if heading in ("The root of the file", "The root of a playbook"):
            path = [""]
        if not path or len(row) != 4:
            continue
        for key in CODE.findall(row[0]):
            code = CODE.match(row[1])
            yield path[0], path[1:], key, code[1] if code else row[1]


def defaults():
    rows = list(key_rows())
    sections = {r[0].removesuffix("[]").rpartition(".")[2] for r in rows}
    for field in fields():
        said = {default for section, _, key, default in rows if key == field.name and field.sections.match(section)}
        if not said and field.name in sections:
            check(True)
            continue
        check(said, field.where, f"{field.name} is not in {REFERENCE} or {SENSORS}")
        if field.required and said:
            check("required" in said, field.where, f"{field.name} is required; {REFERENCE} does not say so")
        if field.default and said:
            check(field.default in said, field.where, f"{field.name} is {field.default} by default; {REFERENCE} says {said}")
        if field.default == "" and said:
            check(any(s.startswith("empty") for s in said), field.where, f"{field.name} is empty by default; {REFERENCE} says {said}")


def nest(path, members):
    """In the items of lists on the way to them are the keys that these require: without them nobody looks at what is below."""
    steps = path.split(".") if path else []
    while steps:
        step = steps.pop()
        members = {step.removesuffix("[]"): [members] if step.endswith("[]") else members}
        above = ".".join(steps)
        for section, _, key, default in key_rows() if above.endswith("[]") else []:
            if section == above and default == "required":
                members.setdefault(key, "10.0.0.1")
    return members


def unknown(program, path, fixed, names):
    """Which of these members of the section the program does not know. One that nobody knows says how it answers."""
    nobody = "zzqqzzqq"
    members = {name: {} for name in [*names, nobody]}
    members.update(f.split(": ", 1) for f in fixed)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(nest(path, members), file)
        file.flush()
        answer = subprocess.run([*program, file.name], capture_output=True, text=True).stderr
    sentence = re.search(rf"\b{nobody}: ([^;?]*)", answer)
    if not sentence and re.search(rf"\b{re.escape(path)}: .*\(CONFIG_", answer):
        return []  # a section that this build does not have: tests/remote.py uses its keys
    if not sentence:
        wrong(path, "the program says nothing of a key that nobody knows", answer.strip())
        return []
    phrase = sentence[1].strip()
    return [n for n in names if re.search(rf"\b{re.escape(n)}: {re.escape(phrase)}", answer)]


def keys(directory):
    beacon, hub = [f"{directory}/nefia-beacon", "check", "-c"], [f"{directory}/nefia", "reactor", "check", "-c"]
    for document in (REFERENCE, SENSORS, POLICY):
        keys_of(document, lambda path: hub if path.startswith(("reactor", "policy")) else beacon)
    keys_of(PLAYBOOKS, lambda path: [f"{directory}/nefia", "playbook", "check"])


def keys_of(document, program):
    sections = {}
    for path, fixed, key, _ in key_rows(document):
        sections.setdefault((path, tuple(fixed)), []).append(key)
    for (path, fixed), names in sections.items():
        given = [f.split(": ")[0] for f in fixed]
        for i in range(0, len(names), 8):
            some = [n for n in names[i:i + 8] if n not in given]
            missing = unknown(program(path), path, fixed, some)
            for name in some:
                check(name not in missing, document, f"{path}.{name} is not known to the program")


def limits():
    listed = set()
    values = dict(re.findall(r"^CONFIG_(\w+)=(\w+)$", pathlib.Path("out/host/.config").read_text(), re.M))
    for heading, row in tables(REFERENCE):
        symbol = CODE.match(row[1]) if heading == "Limits of a build" else None
        if symbol:
            name = symbol[1].removeprefix("CONFIG_")
            listed.add(name)
            check(values.get(name) == row[2], REFERENCE, f"{name} is {values.get(name)}, not {row[2]}")
    # What a message of the programs names, and what an entry of a sensor sizes.
    named = set(re.findall(r"CONFIG_(\w+)", "".join(re.findall(r'"[^"\n]*"', "".join(sources("src").values())))))
    sizes = re.findall(r"^config (\w+)\n\tint ", pathlib.Path("src/beacon/sensors/Kconfig").read_text(), re.M)
    for name in sorted({n for n in named if values.get(n, "").isdecimal()} | set(sizes)):
        check(name in listed, REFERENCE, f"{name} is not among the limits of a build")


# ---- what the programs say ----

def verbs(directory):
    text = pathlib.Path("docs/operations.md")
    known = set(codes(text))
    words = " ".join(known) + PARTS[text][1] + "".join(b.text for b in PARTS[text][0])
    for name in ("nefia-beacon", "nefia"):
        usage = subprocess.run([f"{directory}/{name}", "--help"], capture_output=True, text=True, check=True).stdout
        for verb in re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?: [A-Z]|  )", usage, re.M):
            check(verb in known, text, f"the verb {verb} of {name} is not there")
            more = subprocess.run([f"{directory}/{name}", *verb.split(), "--help"], capture_output=True, text=True, check=True)
            for option in re.findall(r"^  (-[a-z-]+)", more.stdout, re.M):
                check(option in words, text, f"the option {option} of {name} {verb} is not there")


def status(beacon, hub, table):
    text = pathlib.Path("docs/operations.md")
    answers = {"beacon": json.loads(pathlib.Path(beacon).read_text()), "hub": json.loads(pathlib.Path(hub).read_text())}
    for heading, row in tables(text):
        for code in CODE.findall(row[1]) if heading == "Status" else []:
            value = answers[row[0]]
            for step in code.split("."):
                value = value.get(step) if isinstance(value, dict) else None
            check(value is not None, text, f"status --json of the {row[0]} has no {code}")
    printed = [line.split() for line in pathlib.Path(table).read_text().splitlines()]
    for line in "".join(b.text for b in PARTS[text][0] if "Recent Events:" in b.text).splitlines():
        if re.match(r"  [A-Z]{4}|[A-Z].*:$", line):
            check(line.split() in printed, text, f"the hub's status has no line {line.strip()}")


def events():
    text = pathlib.Path("docs/events.md")
    known = set(codes(text)) | set(codes(SENSORS))
    beacon = sources("src/beacon", "src/event")
    for path, source in beacon.items():
        for kind in re.findall(r'"([a-z]+\.[a-z_]+)"', source):
            if not re.search(r"\.(sock|yaml|key|json|inc)$|^(beacons|reactor)\.", kind):
                check(kind in known, path, f"the event type {kind} is not in {text}")
    makers = [p for p in beacon if p.parent.name == "sensors" or p.name in ("pipeline.c", "suppressed.c", "event.c")]
    for path in makers:
        for member in re.findall(r'(?:json_put_\w+|event_put_text|json_object|put_counts)\(&?(?:w|data), "(\w+)"', beacon[path]):
            check(member in known, path, f"the member {member} is not in {text}")
    everything = "".join(beacon.values()).replace("\\0", '""')  # also each word of a list
    events = [(SENSORS, row) for _, row in tables(SENSORS) if len(row) == 3]
    for where, row in events:
        check(f'"{CODE.findall(row[0])[0]}"' in everything, where, f"no sensor emits {row[0]}")
    for heading, row in tables(text):
        for code in [c for cell in row for c in CODE.findall(cell)] if heading == "Built-in types" else []:
            check(f'"{code}"' in everything or not re.fullmatch(r"[a-z_.-]+", code) or code in ("for", "always"), text,
                  f"{code} is not in the sources")


def sensors():
    """Each sensor has its section: keys, events, cost and an example with a rule that its events match; the menu shows the cost."""
    text = SENSORS.read_text()
    parts = dict(re.findall(r"^### `beacons\.(\w+)(?:\[\])?`\n(.*?)(?=^#{2,3} |\Z)", text, re.M | re.S))
    kconfig = pathlib.Path("src/beacon/sensors/Kconfig").read_text()
    for path in sorted(pathlib.Path("src/beacon/sensors").glob("*.c")):
        source = plain(path.read_text())
        name = re.search(r'const struct sensor_class sensor_\w+ = \{[^{}]*\.name = "(\w+)"', source)[1]
        part = parts.pop(name, None)
        check(part, path, f"{SENSORS} has no section `beacons.{name}`")
        if not part:
            continue
        entry = re.search(rf"^config SENSOR_{path.stem.upper()}\n(.*?)(?=^config|^menu|^endmenu|\Z)", kconfig, re.M | re.S)
        cost = re.search(r"Costs: ([^.]*\.[^;]*;[^K]*KiB)", entry[1]) if entry else None
        check(cost and cost[1] in re.sub(r"\s+", " ", part), SENSORS, f"{name} does not give the cost of its Kconfig entry",
              cost and cost[1])
        prompt = re.search(rf'\n?\tbool "[^"]*\({name}\): ([\d.]+ KiB)"', entry[1]) if entry else None
        check(cost and prompt and cost[1].startswith(f"ARM {prompt[1]} flash"), "src/beacon/sensors/Kconfig",
              f"the prompt of {name} does not show the cost of its help")
        for capability in re.findall(r"\.capability = (CAP_\w+)", source):
            check(f"| `{name}` | `{capability}` |" in pathlib.Path("docs/operations.md").read_text(), "docs/operations.md",
                  f"the table of privileges does not say that {name} keeps {capability}")
        types = [kind for line in part.splitlines() if re.match(r"\| `[a-z]+\.[a-z_]+`", line) for kind in CODE.findall(cells(line)[0])]
        row = f"| [{name}](sensors.md#beacons{name}) | {', '.join(f'`{kind}`' for kind in types)} |"
        check(row in pathlib.Path("docs/events.md").read_text(), "docs/events.md", f"the table of built-in types has no row: {row}")
        check(types, SENSORS, f"{name} has no table of its events")
        example = "\n".join(re.findall(r"^```yaml\n(.*?)^```", part, re.M | re.S))
        patterns = re.findall(r"event_pattern: '([^']+)'", example)
        check(f"{name}:" in example and patterns, SENSORS, f"{name} has no example with a rule")
        for pattern in patterns:
            check(any(re.search(pattern, kind) for kind in types), SENSORS, f"{name} emits nothing that matches {pattern}")
    for name in parts:
        wrong(SENSORS, f"there is no sensor {name}")


def policies():
    """The policies of tests/configs are those of the page."""
    shown = [block.text for block in PARTS[POLICY][0] if block.language == "yaml"]
    files = sorted(pathlib.Path("tests/configs").glob("policy-*.yaml"))
    for path in files:
        check(path.read_text() in shown, POLICY, f"does not show {path}")
    check(len(shown) == len(files), POLICY, f"{len(shown)} policies, {len(files)} files")


def messages():
    everything = "".join(sources("src").values())
    for heading, row in tables(pathlib.Path("docs/operations.md")):
        if heading == "When something is wrong":
            for code in CODE.findall(row[0]):
                check(code in everything, "docs/operations.md", f"no program says: {code}")


def wire():
    """The session of docs/wire.md, as tests/fake/link2.py computes it and tests/unit/test_link.c checks it; and the export."""
    sys.path.append("tests/fake")
    import link2
    for name, text in (("session", link2.session_text()), ("session-keys", link2.keys_text()), ("export", link2.export_text())):
        block = block_of(name)
        check(block.text == text, block, "not what `tests/fake/link2.py` computes")
    for name, made, text in (("link.h", "header", link2.header_text()), ("export.h", "export-header", link2.export_header())):
        golden = pathlib.Path("tests/golden") / name
        check(golden.read_text() == text, golden, f"not what `tests/fake/link2.py {made}` prints")


def bench():
    text = pathlib.Path("docs/measured.md").read_text()
    for script in pathlib.Path("tests/bench").glob("*.sh"):
        for line in re.findall(r'echo "((?:###|\|)[^"$]*)"$', script.read_text(), re.M):
            line = line.lstrip("# ").replace("\\`", "`")
            check(line in text, script, f"docs/measured.md has no: {line}")


CHECKS = {"fences": fences, "configurations": configurations, "json": json_blocks, "links": links, "paths": paths,
          "symbols": symbols, "targets": targets, "defaults": defaults, "keys": keys, "limits": limits, "verbs": verbs, "status": status,
          "events": events, "sensors": sensors, "messages": messages, "policies": policies, "bench": bench, "wire": wire}

if __name__ == "__main__":
    if sys.argv[1] == "block":
        sys.stdout.write(block_of(sys.argv[2]).text)
        sys.exit(0)
    CHECKS[sys.argv[1]](*sys.argv[2:])
    print(*problems, f"{looked} looked at", sep="\n")
    sys.exit(bool(problems) or looked == 0)
