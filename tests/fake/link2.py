"""Link 2, both ends, from docs/wire.md alone: engines without I/O (bytes in; messages, and bytes to send, out), and what a beacon and
a hub remember from one session to the next. Golden bytes of a session: `link2.py session` prints what docs/wire.md shows."""
import collections
import hashlib
import hmac
import json
import os
import sys

SPAN = 256       # width of a start's window of seq
STARTS = 2       # windows that a hub keeps for each host
HELLO_MAX = 2048
SEVERAL = "several"  # written under more than one name
HELLO = b'{"hello":'


class LinkError(Exception):
    """The other end broke the protocol, or is not who it says it is. The connection is to be closed."""


def unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise LinkError("a member occurs twice")
    return found


def parse(line, strict=True):
    """An object. LinkError: it is none, or (strict) a member occurs twice."""
    try:
        found = json.loads(line, object_pairs_hook=unique if strict else None)
    except ValueError:
        raise LinkError("not JSON") from None
    if not isinstance(found, dict):
        raise LinkError("not an object")
    return found


def pack(message):
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def mac(key, data):
    return hmac.digest(key, data, "sha256")


def session_key(key, label, greeting, hello):
    """greeting, hello: the exact lines without newline."""
    return mac(key, label.encode() + b"\0" + hashlib.sha256(greeting).digest() + hashlib.sha256(hello).digest())


def line_mac(key, number, line):
    return mac(key, number.to_bytes(8, "big") + line).hex().encode()


def plain_line(key, line):
    """As a plain sender sends it; key None: unsigned."""
    return line + b"\n" + (mac(key, line).hex().encode() + b"\n" if key else b"")


class End:
    """What both ends share: lines, their numbers and their signatures. key: bytes; None: lines go unsigned."""

    def __init__(self):
        self.key_in = self.key_out = None
        self.lines_in = self.lines_out = 0
        self.data = b""

    def put(self, line):
        """The line with its newline and its signature line."""
        self.lines_out += 1
        return line + b"\n" + (line_mac(self.key_out, self.lines_out, line) + b"\n" if self.key_out else b"")

    def cut(self, count):
        """The first `count` lines that came, or None."""
        lines = self.data.split(b"\n", count)
        if len(lines) <= count:
            return None
        self.data = lines.pop()
        return lines

    def split(self, data, count):
        """One by one what take() makes of whole units of count() lines, so that the caller may answer in between."""
        self.data += data
        while (lines := self.cut(count())) is not None:
            try:
                said = self.take(*lines)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise LinkError("malformed: %r" % lines[0][:80]) from None
            yield said

    def verify(self, line, signature):
        if self.key_in and not hmac.compare_digest(line_mac(self.key_in, self.lines_in + 1, line), signature):
            raise LinkError("wrong signature")
        self.lines_in += 1


class BeaconEnd(End):
    """feed() yields what the hub said, verified; the first is its greeting, which hello() answers before the next is asked for."""

    def __init__(self, key, host, boot, plain=False, nonce=None, features=()):
        super().__init__()
        self.key, self.host, self.boot, self.plain = key, host, boot, plain
        self.features = list(features) if key else []
        self.nonce = nonce or os.urandom(16)
        self.greeting = None
        self.welcome = None
        self.settled = 0
        self.error = None  # what the hub said at the end

    @property
    def name(self):
        """Of a window that this session makes."""
        return self.nonce[:8].hex()

    def feed(self, data):
        return self.split(data, lambda: 1 if self.greeting is None or not self.key else 2)

    def end(self):
        """The hub has closed. Before the welcome it may say why in a line that nobody signed: believed only as a reason to log."""
        if self.welcome is None and self.error is None and self.data.startswith(b'{"error":'):
            self.error = parse(self.data.split(b"\n")[0])["error"].get("reason", "")

    def take(self, line, signature=b""):
        if self.greeting is None:
            said = parse(line)
            if said.get("nefia") != 2 or len(bytes.fromhex(said.get("nonce", ""))) != 16:
                raise LinkError("not a greeting of version 2")
            self.greeting = line
            return said
        if self.key and not self.key_in:
            raise LinkError("a line before the hello")
        self.verify(line, signature)
        said = parse(line)
        if "welcome" in said:
            if self.welcome is not None:
                raise LinkError("second welcome")
            self.welcome = said["welcome"]
            self.settled = 1
        elif "ack" in said or "refused" in said:
            number = said.get("ack", said.get("refused"))["line"]
            if self.welcome is None or not self.settled + ("refused" in said) <= number <= self.lines_out:
                raise LinkError("acknowledgement of a line that was not sent, or is settled")
            if "ack" in said:
                self.settled = number
        elif "error" in said:
            self.error = said["error"].get("reason", "")
        return said

    def hello(self):
        line = pack({"hello": {"host_id": self.host, "nonce": self.nonce.hex(), "boot": self.boot, "plain": self.plain,
                               "features": self.features}})
        if self.key:
            self.key_out = session_key(self.key, "nefia 2 up", self.greeting, line)
            self.key_in = session_key(self.key, "nefia 2 down", self.greeting, line)
        return self.put(line)

    def result(self, number, state, **members):
        """Of the command of that id. members: exit, ms, bytes, output; or reason."""
        return self.put(pack({"result": {"id": "%016x" % number, "state": state, **members}}))

    def unsure(self):
        return self.put(b'{"unsure":{}}')


Line = collections.namedtuple("Line", "number bytes said")  # number 0: of a plain sender. said: its members; None: not a message


class HubEnd(End):
    """feed() yields Lines, verified. keys(host_id): the keys that the host may have, [] if it is refused; keys None: no signatures.
    After a hello, welcome() is due."""

    def __init__(self, keys, nonce=None):
        super().__init__()
        self.keys = keys
        self.nonce = nonce or os.urandom(16)
        self.greeting = pack({"nefia": 2, "nonce": self.nonce.hex()})
        self.hello = None
        self.welcomed = False

    def greet(self):
        return self.greeting + b"\n"

    def feed(self, data):
        return self.split(data, lambda: 2 if self.keys else 1)

    def take(self, line, signature=b""):
        if self.hello is not None:
            self.verify(line, signature)
            try:
                said = parse(line, strict=False)
                return Line(self.lines_in, line, said if "type" in said else parse(line))
            except LinkError:
                return Line(self.lines_in, line, None)
        if line.startswith(HELLO):
            return self.take_hello(line, signature)
        said = parse(line, strict=False)
        if self.keys and not any(mac(key, line).hex().encode() == signature for key in self.keys(said.get("host_id"))):
            raise LinkError("wrong signature")
        return Line(0, line, said)

    def take_hello(self, line, signature):
        said = parse(line)
        hello = said["hello"]
        if len(line) > HELLO_MAX or not isinstance(hello.get("plain"), bool) or not 0 < hello.get("boot", 0) < 1 << 53 or \
           len(bytes.fromhex(hello.get("nonce", ""))) != 16 or not 0 < len(hello.get("host_id", "").encode()) < 256:
            raise LinkError("not a hello")
        for key in self.keys(hello["host_id"])[:2] if self.keys else [None]:
            self.key_in = key and session_key(key, "nefia 2 up", self.greeting, line)
            try:
                self.verify(line, signature)
            except LinkError:
                continue
            self.key_out = key and session_key(key, "nefia 2 down", self.greeting, line)
            self.hello = hello
            return Line(1, line, said)
        raise LinkError("wrong signature")

    def welcome(self, starts=(), window=32, most=8192, features=()):
        self.welcomed = True
        agreed = [f for f in features if self.keys and f in self.hello.get("features", [])]
        return self.put(pack({"welcome": {"starts": [list(s) for s in starts], "window": window, "bytes": most, "features": agreed}}))

    def command(self, number, first, age_ms, life_ms, op=None, cause=None):
        """number: the id. life_ms 0: only asks."""
        return self.put(pack({"command": {"id": "%016x" % number, "first": first, "age_ms": age_ms, "life_ms": life_ms,
                                          **({"op": op} if op else {}), **({"cause": cause} if cause else {})}}))

    def ack(self, number, window=32):
        return self.put(pack({"ack": {"line": number}, "window": window}))

    def refuse(self, number, reason, window=32):
        return self.put(pack({"refused": {"line": number, "reason": reason}, "window": window}))

    def error(self, reason):
        """Without a session it is one line, unsigned."""
        return self.put(pack({"error": {"reason": reason}}))


# ---- what a hub remembers ----

class Window:
    """Of one start: which seq were received. Below the base it is not known."""

    def __init__(self, name):
        self.name, self.highest, self.had = name, 0, set()

    def take(self, seq):
        """"new", "had", or "below" the window."""
        if seq <= self.highest - SPAN:
            return "below"
        if seq in self.had:
            return "had"
        self.highest = max(self.highest, seq)
        self.had = {s for s in self.had if s > self.highest - SPAN} | {seq}
        return "new"


class HubMemory:
    """Of each host the windows of two starts: that of the last hello, and one other."""

    def __init__(self):
        self.hosts = collections.defaultdict(dict)  # host_id: {boot: Window}, the hello's first

    def hello(self, hello):
        """The starts of the welcome: [boot, highest, name], the hello's only if it was there before."""
        host, boot = hello["host_id"], hello["boot"]
        had = self.hosts[host]
        anew = boot not in had
        window = had.pop(boot, None) or Window(hello["nonce"][:16])
        kept = list(had.items())[:STARTS - 1]
        self.hosts[host] = dict([(boot, window), *kept])
        return [[b, w.highest, w.name] for b, w in self.hosts[host].items() if b != boot or not anew]

    def take(self, hello, event):
        windows = self.hosts[hello["host_id"]]
        if event["boot"] not in windows:
            own = hello["boot"]
            self.hosts[hello["host_id"]] = windows = {own: windows[own], event["boot"]: Window(hello["nonce"][:16])}
        return windows[event["boot"]].take(event["seq"])


# ---- what a beacon remembers ----

class Spool:
    """Events that are not settled, and under which names of windows each was written: none, one, or SEVERAL."""

    def __init__(self, host, boot):
        self.host, self.boot = host, boot
        self.waiting = collections.OrderedDict()  # (boot, seq): line
        self.written = {}
        self.acked = {}    # (boot, name): highest seq
        self.settled = []  # in order
        self.refused = {}  # (boot, seq): reason
        self.doubted = set()  # were sent as unsure

    def add(self, seq, line):
        self.waiting[self.boot, seq] = line

    def restart(self, boot):
        self.boot = boot

    def settle(self, event, reason=None):
        if self.waiting.pop(event, None) is not None:
            self.settled.append(event)
        self.written.pop(event, None)
        if reason is not None:
            self.refused[event] = reason


class Delivery:
    """One session of a spool, at the beacon's end. feed() and more() return what is to be sent. lines: at most so many events are
    written in this session."""

    def __init__(self, spool, key, plain=False, nonce=None, lines=None):
        self.spool, self.end, self.lines = spool, BeaconEnd(key, spool.host, spool.boot, plain, nonce), lines
        self.window = 0
        self.earlier = None  # the one earlier start that this session delivers now
        self.names = {}      # of windows, by start
        self.known = {}      # starts of the welcome: what was written under their names is sure
        self.under_way = collections.OrderedDict()  # number of a line: event
        self.sent = self.unsure = 0

    def feed(self, data):
        out = b""
        for said in self.end.feed(data):
            if "nefia" in said:
                out += self.end.hello()
            elif "welcome" in said:
                self.welcomed(said["welcome"])
            elif "ack" in said:
                self.window = said["window"]
                for number in [n for n in self.under_way if n <= said["ack"]["line"]]:
                    self.acknowledged(self.under_way.pop(number))
            elif "refused" in said:
                self.window = said["window"]
                event = self.under_way.pop(said["refused"]["line"], None)
                if event is not None:
                    self.spool.settle(event, said["refused"].get("reason", ""))
        return out + self.more()

    def welcomed(self, welcome):
        self.window = welcome["window"]
        spool = self.spool
        for boot, highest, name in welcome["starts"]:
            self.names[boot] = self.known[boot] = name
            if highest < spool.acked.get((boot, name), 0):  # the hub is an older copy of itself
                spool.acked[boot, name] = highest
                spool.written.update((e, SEVERAL) for e in spool.written if e[0] == boot)

    def acknowledged(self, event):
        boot, seq = event
        name = self.names[boot]
        self.spool.acked[boot, name] = max(seq, self.spool.acked.get((boot, name), 0))
        self.spool.settle(event)

    def starts(self):
        """Whose events may be sent now: the own start's, and those of one earlier start until it is settled."""
        boots = [boot for boot, _ in self.spool.waiting if boot != self.spool.boot]
        if self.earlier not in boots:
            self.earlier = next((b for b in boots if b in self.known), boots[0] if boots else None)
        return self.earlier, self.spool.boot

    def more(self):
        if self.end.welcome is None or self.end.error is not None:
            return b""
        out, busy = b"", set(self.under_way.values())
        for boot in self.starts():
            seqs = [seq for b, seq in self.spool.waiting if b == boot]
            for seq in seqs:
                if len(self.under_way) >= self.window or seq >= seqs[0] + SPAN or self.lines == self.sent:
                    break
                if (boot, seq) not in busy:
                    out += self.write((boot, seq))
        return out

    def write(self, event):
        boot, written = event[0], self.spool.written.get(event)
        name = self.names.setdefault(boot, self.end.name)
        out = b""
        if written is not None and (written != name or self.known.get(boot) != name):
            out += self.end.unsure()
            self.unsure += 1
            self.spool.doubted.add(event)
        self.spool.written[event] = name if written in (None, name) else SEVERAL
        out += self.end.put(self.spool.waiting[event])
        self.under_way[self.end.lines_out] = event
        self.sent += 1
        return out


# ---- events as text ----

NEVER, UNSURE = 0, (1 << 64) - 1  # marks; others are the name of a window


def export_key(key, host):
    return mac(key, b"nefia export 1\0" + host.encode())


def export_unit(key, mark, line):
    """A line and its signature line; key: export_key's, or None."""
    return [line.decode(), "#nefia-export %016x %s" % (mark, line_mac(key, mark, line).decode() if key else "-")]


def export(key, host, time, events):
    """The lines of a text. events: (mark, line) of each."""
    key = key and export_key(key, host)
    last = pack({"exported": len(events), "host_id": host, "time": time})
    return sum((export_unit(key, *event) for event in events + [(NEVER, last)]), ["#nefia-export begin 1 %s %s" % (time, host)])


# ---- faults on purpose ----

def mutate(what):
    """Weaken both ends, to see that the tests of attacks notice: "counter": lines are not numbered; "nonce": the hello is not part of
    the keys. ("early" is the fake hub's.)"""
    whole_mac, whole_key = line_mac, session_key
    if what == "counter":
        globals()["line_mac"] = lambda key, number, line: whole_mac(key, 0, line)
    elif what == "nonce":
        globals()["session_key"] = lambda key, label, greeting, hello: whole_key(key, label, greeting, b"")


# ---- golden bytes ----

KEY = b"0123456789abcdef0123456789abcdef"
HUB_NONCE, BEACON_NONCE = bytes(range(1, 17)), b"\xb0" * 16
EVENT = '{"type":"door.open","source":"emit","host_id":"r1","timestamp":"2026-03-10T15:30:00Z","severity":"%s","data":{},' \
        '"seq":%d,"boot":%d}'


def golden():
    """One session: (who, line, signature or b"") of each line, and the two keys."""
    hub, beacon = HubEnd(lambda _: [KEY], HUB_NONCE), BeaconEnd(KEY, "r1", 7, nonce=BEACON_NONCE, features=["exec"])
    said = []

    def send(who, data):
        lines = data.split(b"\n")[:-1]
        said.extend((who, *(lines[i:i + 2] + [b""])[:2]) for i in range(0, len(lines), 2))
        list((hub if who == "beacon" else beacon).feed(data))

    send("hub", hub.greet())
    send("beacon", beacon.hello())
    send("hub", hub.welcome([[6, 12, "a1a2a3a4a5a6a7a8"]], features=["exec"]))
    send("beacon", beacon.put((EVENT % ("warning", 1, 7)).encode()))
    send("beacon", beacon.unsure())
    send("beacon", beacon.put((EVENT % ("info", 12, 6)).encode()))
    send("beacon", beacon.put(b'{"type":"door.open","host_id":"r1"}'))
    send("hub", hub.ack(4))
    send("hub", hub.refuse(5, "not an event"))
    send("hub", hub.ack(5))
    send("hub", hub.command(0x0123456789abcdef, 7, 1200, 30000, {"argv": ["/bin/echo", "hi"], "timeout_ms": 30000}, ["door"]))
    send("beacon", beacon.result(0x0123456789abcdef, "done", exit=0, ms=2, bytes=3, output="hi\n"))
    send("hub", hub.ack(6))
    send("hub", hub.error("another session of this host"))
    return said, {"K_up": beacon.key_out, "K_down": beacon.key_in}


def session_text():
    """As docs/wire.md shows it."""
    out = []
    for who, line, signature in golden()[0]:
        out += ["%-7s %s" % (who, line.decode())] + (["%-7s %s" % ("", signature.decode())] if signature else [])
    return "\n".join(out) + "\n"


def keys_text():
    (_, greeting, _), (_, hello, _) = golden()[0][:2]
    rows = {"K": KEY, "SHA-256(greeting)": hashlib.sha256(greeting).digest(), "SHA-256(hello)": hashlib.sha256(hello).digest(),
            **golden()[1]}
    return "".join("%-18s %s\n" % (name, value.hex()) for name, value in rows.items())


EXPORT_TIME = "2026-03-10T15:31:00Z"


def golden_export():
    return export(KEY, "r1", EXPORT_TIME, [(NEVER, (EVENT % ("warning", 1, 7)).encode()),
                                           (0xa1a2a3a4a5a6a7a8, (EVENT % ("info", 12, 6)).encode())])


def export_text():
    return "\n".join(golden_export()) + "\n"


def quoted(line):
    return line.replace("\\", "\\\\").replace('"', '\\"')


def export_header():
    """The same for tests/unit/test_export.c."""
    first, *rest = golden_export()
    rows = ['    {UINT64_C(0x%s), "%s",\n     "%s"},' % (signature.split()[1], quoted(line), signature)
            for line, signature in zip(rest[::2], rest[1::2])]
    return ("/* Made by tests/fake/link2.py export-header, checked by tests/docs.py wire: the export in docs/wire.md. */\n"
            "#define GOLDEN_EXPORT_KEY \"%s\"\n#define GOLDEN_EXPORT_HOST \"r1\"\n#define GOLDEN_EXPORT_TIME \"%s\"\n"
            "#define GOLDEN_EXPORT_FIRST \"%s\"\n\n"
            "static const struct {\n    uint64_t mark;\n    const char *line, *signature;\n} golden_export[] = {\n%s\n};\n"
            % (KEY.decode(), EXPORT_TIME, quoted(first), "\n".join(rows)))


def header_text():
    """The same for tests/unit/test_link.c."""
    rows = ['    {%d, "%s",\n     "%s"},' % (who == "hub", line.decode().replace("\\", "\\\\").replace('"', '\\"'), signature.decode())
            for who, line, signature in golden()[0]]
    keys = golden()[1]
    return ("/* Made by tests/fake/link2.py header, checked by tests/docs.py wire: the session in docs/wire.md. */\n"
            "#define GOLDEN_UP \"%s\"\n#define GOLDEN_DOWN \"%s\"\n\n"
            "static const struct {\n    bool from_hub;\n    const char *line, *sig; /* sig empty: none */\n} golden[] = {\n%s\n};\n"
            % (keys["K_up"].hex(), keys["K_down"].hex(), "\n".join(rows)))


if __name__ == "__main__":
    sys.stdout.write({"session": session_text, "keys": keys_text, "header": header_text,
                      "export": export_text, "export-header": export_header}[sys.argv[1]]())
