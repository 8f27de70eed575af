#!/usr/bin/env python3
"""A man in the middle between senders and a hub: a proxy on loopback that records, replays, reorders, cuts, delays, drops, doubles,
reflects and rewrites lines of both directions. He has no key.

    mitm.py PORT HUB-PORT SEED      until SIGTERM; then the account, as one line of JSON

What he does in the n-th session of a way is drawn from the seed, the way and n, for each direction and each line by its number: apart
from how TCP cuts time, it is the same for the same seed. The greeting is line 0 of direction "down", the hello line 0 of "up"."""
import collections
import heapq
import json
import random
import re
import selectors
import signal
import socket
import struct
import sys
import threading
import time

UP, DOWN = "up", "down"  # from the sender, from the hub
KEPT = 24        # recordings of a way
LONG = 96        # units of a recording that are kept
PATIENCE = 3.0   # seconds that a line is held back at most
AFTER = 1.5      # seconds that a session lives after he has touched it: a line that is missing may be waited for in vain
LIFE = (0.3, 2.0)  # seconds that any other session lives
FORGED = (b'{"error":{"reason":"go away"}}', b'{"ack":{"line":9},"window":32}', b'{"refused":{"line":2,"reason":"not an event"},"window":32}',
          b'{"welcome":{"starts":[],"window":32,"bytes":8192,"features":[]}}', b'{"unsure":{}}', b'{"later":{}}')
# What may happen to one unit (a line and its signature line), and how often in proportion.
ACTS = {"drop": 3, "double": 3, "swap": 3, "delay": 3, "cut": 6, "cut-middle": 3, "reset": 3, "replay": 4, "replay-old": 5, "reflect": 4,
        "flip": 4, "number": 3, "forge": 4, "swallow": 5, "late": 5, "first": 2}
# The same beyond that, where there are commands (scenario_mitm_commands.py).
COMMAND_ACTS = {**ACTS, "hold": 12, "stranger": 8}
# What may happen to a whole session.
WHOLE = {"clean": 30, "acts": 56, "hub-played": 6, "sender-played": 6, "mute": 2}


def choose(chance, weights):
    return chance.choices(list(weights), list(weights.values()))[0]


class Recording:
    """What one session sent, as units, and what its sender said it is."""

    def __init__(self):
        self.units = {UP: [], DOWN: []}

    def add(self, direction, unit):
        if len(self.units[direction]) < LONG:
            self.units[direction].append(unit)


class Flow:
    """One direction of a session."""

    def __init__(self, session, direction, out):
        self.session, self.direction, self.out = session, direction, out
        self.chance = random.Random("%s/%s" % (session.name, direction))
        self.data, self.pending, self.index = b"", b"", 0
        self.blocked_until = 0.0
        self.swapped = None
        self.swallowing = False
        self.held = None  # units that wait for later sessions

    def units(self, data):
        """Whole units: one line for the greeting, otherwise two."""
        self.data += data
        while True:
            count = 1 if self.direction == DOWN and self.index == 0 or not self.session.pairs else 2
            lines = self.data.split(b"\n", count)
            if len(lines) <= count:
                return
            self.data = lines.pop()
            yield b"".join(line + b"\n" for line in lines)
            self.index += 1


class Session:
    def __init__(self, way, number, sender):
        self.way, self.mitm, self.number = way, way.mitm, number
        self.name = "%s/%s/%d" % (self.mitm.seed, way.label, number)
        self.pairs = way.pairs
        self.chance = random.Random(self.name)
        self.sender, self.hub = sender, None
        self.recording = Recording()
        self.flows = {UP: Flow(self, UP, None), DOWN: Flow(self, DOWN, sender)}
        self.whole = "clean" if self.mitm.honest or way.script else choose(self.chance, WHOLE)
        self.acts, self.played = {}, []
        if self.whole == "acts":
            for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
                direction = self.chance.choice((UP, DOWN))
                self.acts[direction, self.chance.choice((0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 8))] = choose(self.chance, self.mitm.acts)
        self.over = False

    def act(self, what):
        self.mitm.counts[what] += 1
        self.mitm.later(AFTER, self.expire)

    def expire(self):
        """Unless lines are held back: then release() ends it."""
        if not self.mitm.honest and not self.way.script and self.flows[UP].held is None:
            self.close()

    # ---- beginning ----

    def begin(self):
        self.mitm.later(self.chance.uniform(*LIFE), self.expire)
        if self.whole == "mute":
            self.act("mute")
            self.mitm.later(self.chance.uniform(0.01, 0.3), self.close)
            return
        if self.whole == "hub-played" and self.way.recordings:
            self.act("hub-played")
            self.play_hub()
            return
        if self.whole == "sender-played" and self.way.recordings:
            self.act("sender-played")
            self.mitm.play_sender(self.way, self.chance)
        self.hub = self.mitm.dial(self.way)
        if self.hub is None:
            self.close()
            return
        self.flows[UP].out = self.hub
        self.mitm.watch(self.hub, self, DOWN)

    def play_hub(self):
        """The sender gets what a hub said in an earlier session, unit by unit, each when it has said one itself."""
        self.played = list(self.chance.choice(self.way.recordings).units[DOWN])
        self.next_played()

    def next_played(self):
        if self.played:
            self.send(DOWN, self.played.pop(0))
        else:
            self.mitm.later(0.05, self.close)

    # ---- lines ----

    def received(self, direction, data):
        flow = self.flows[direction]
        for unit in flow.units(data):
            self.recording.add(direction, unit)
            if self.mitm.witness:
                self.mitm.witness(self, direction, unit)
            if direction == UP and self.hub is None and self.whole == "hub-played":
                self.next_played()
            else:
                self.unit(flow, unit)

    def unit(self, flow, unit):
        if flow.swallowing:
            return
        if self.way.script:
            for other in self.way.script(self, flow, unit):
                self.pass_on(flow, other)
            return
        if flow.held is not None:
            flow.held.append(unit)
            return
        act = None if self.mitm.honest else self.acts.get((flow.direction, flow.index))
        if flow.swapped is not None:
            before, flow.swapped = flow.swapped, None
            self.pass_on(flow, unit)
            self.pass_on(flow, before)
            return
        if act is None:
            self.pass_on(flow, unit)
            return
        self.act(act)
        getattr(self, "do_" + act.replace("-", "_"))(flow, unit)

    def pass_on(self, flow, unit, delay=0.0):
        now = time.monotonic()
        if delay or flow.blocked_until > now:
            flow.blocked_until = max(flow.blocked_until, now) + delay
            self.mitm.later(flow.blocked_until - now, lambda: self.send(flow.direction, unit))
        else:
            self.send(flow.direction, unit)

    def send(self, direction, data):
        if self.over and direction == DOWN:
            return
        self.mitm.send(self.flows[direction], data)

    def do_drop(self, flow, unit):
        pass

    def do_double(self, flow, unit):
        self.pass_on(flow, unit + unit)

    def do_swap(self, flow, unit):
        flow.swapped = unit
        self.mitm.later(0.2, lambda: self.unswap(flow))

    def unswap(self, flow):
        if flow.swapped is not None:
            before, flow.swapped = flow.swapped, None
            self.pass_on(flow, before)

    def do_delay(self, flow, unit):
        self.pass_on(flow, unit, flow.chance.uniform(0.005, 0.2))

    def do_cut(self, flow, unit):
        """The line arrives, and nothing after it."""
        self.pass_on(flow, unit)
        self.mitm.later(flow.chance.choice((0.0, 0.0, 0.02)), self.close)

    def do_cut_middle(self, flow, unit):
        self.pass_on(flow, unit[:flow.chance.randrange(len(unit))])
        self.mitm.later(0.0, self.close)

    def do_reset(self, flow, unit):
        self.close(reset=True)

    def do_first(self, flow, unit):
        """The line is the last one that arrives, then only the other direction lives on for a while."""
        self.pass_on(flow, unit)
        flow.swallowing = True
        self.mitm.later(flow.chance.uniform(0.02, 0.3), self.close)

    def do_swallow(self, flow, unit):
        """Nothing arrives any more; after a while the connection is cut."""
        flow.swallowing = True
        self.mitm.later(flow.chance.uniform(0.02, 0.4), self.close)

    def do_replay(self, flow, unit):
        """A line of this session once more."""
        self.pass_on(flow, unit)
        self.pass_on(flow, flow.chance.choice(self.recording.units[flow.direction]))

    def do_replay_old(self, flow, unit):
        """A line of an earlier session, instead of this one or before it."""
        if not self.way.recordings:
            self.pass_on(flow, unit)
            return
        units = flow.chance.choice(self.way.recordings).units[flow.direction]
        same_place = units[flow.index] if flow.index < len(units) else None
        if units:
            self.pass_on(flow, same_place if same_place and flow.chance.random() < 0.7 else flow.chance.choice(units))
        if flow.chance.random() < 0.5:
            self.pass_on(flow, unit)

    def do_hold(self, flow, unit):
        """The line comes when what it says may be over."""
        self.pass_on(flow, unit, flow.chance.uniform(0.2, AFTER - 0.1))

    def do_stranger(self, flow, unit):
        """A line of a session of another host with the same key, instead of this one or before it."""
        others = [way for way in self.mitm.ways if way is not self.way and way.recordings]
        units = flow.chance.choice(flow.chance.choice(others).recordings).units[flow.direction] if others else []
        if units:
            self.pass_on(flow, flow.chance.choice(units))
        if not units or flow.chance.random() < 0.5:
            self.pass_on(flow, unit)

    def do_reflect(self, flow, unit):
        """A line goes back to who sent it."""
        self.pass_on(flow, unit)
        self.mitm.send(self.flows[UP if flow.direction == DOWN else DOWN], unit)

    def do_flip(self, flow, unit):
        """One bit, of the line or its signature; never one that makes or removes a line."""
        data = bytearray(unit)
        places = [i for i, byte in enumerate(data) if byte != 10]
        while True:
            at, bit = flow.chance.choice(places), 1 << flow.chance.randrange(8)
            if data[at] ^ bit != 10:
                data[at] ^= bit
                break
        self.pass_on(flow, bytes(data))

    def do_number(self, flow, unit):
        """A number or a hex string in it becomes another one of its length."""
        line, newline, rest = unit.partition(b"\n")
        found = list(re.finditer(rb"[0-9]+|(?<=\")[0-9a-f]{16,32}(?=\")", line))
        if not found:
            self.do_flip(flow, unit)
            return
        m = flow.chance.choice(found)
        old = m[0]
        while (new := b"".join(b"%d" % flow.chance.randint(1, 9) for _ in old)) == old:
            pass
        self.pass_on(flow, line[:m.start()] + new + line[m.end():] + newline + rest)

    def do_forge(self, flow, unit):
        """A line of his own: unsigned, with the signature of the true one, or with one that he made up."""
        line = flow.chance.choice(FORGED) + b"\n"
        signature = flow.chance.choice((b"", unit.partition(b"\n")[2], b"%064x\n" % flow.chance.getrandbits(256)))
        if flow.chance.random() < 0.5:
            self.pass_on(flow, line + signature)
            self.pass_on(flow, unit)
        else:
            self.pass_on(flow, unit)
            self.pass_on(flow, line + signature)

    def do_late(self, flow, unit):
        """The sender is cut off; the hub's end lives on, and gets this line and what came with it only after some later sessions."""
        if flow.direction == DOWN:
            self.do_swallow(flow, unit)
            return
        flow.held = [unit]
        self.way.late.append([flow.chance.randint(1, 3), self])
        self.mitm.later(PATIENCE, self.release)
        self.mitm.later(0.02, self.leave_sender)

    def leave_sender(self):
        self.mitm.drop(self.sender)

    def release(self):
        flow = self.flows[UP]
        if flow.held is None or self.over:
            return
        units, flow.held = flow.held, None
        for unit in units:
            self.send(UP, unit)
        self.mitm.later(0.5, self.close)

    # ---- ending ----

    def ended(self, direction):
        """That end has closed: the rest goes over, and then the close."""
        flow = self.flows[direction]
        if direction == UP and flow.held is not None:
            return
        if flow.data and not flow.swallowing:
            self.send(direction, flow.data)
        self.close()

    def close(self, reset=False):
        if self.over:
            return
        self.over = True
        self.way.ended(self)
        for s in (self.sender, self.hub):
            if s is not None:
                self.mitm.drop(s, reset)


class Way:
    """A port of his, and the hub behind it. One for each sender, so that recordings are of the same host. script(session, flow, unit):
    what goes over in place of the unit, as a list; then nothing is drawn. The greeting is unit 0 of its flow."""

    def __init__(self, mitm, label, hub, port=0, pairs=True):
        self.mitm, self.label, self.hub, self.pairs = mitm, label, hub, pairs
        self.script = None
        self.sessions = 0
        self.recordings = []
        self.late = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        try:
            sender = self.listener.accept()[0]
        except OSError:
            return
        session = Session(self, self.sessions, sender)
        self.sessions += 1
        self.mitm.watch(sender, session, UP)
        session.begin()
        for waiting in self.late:
            waiting[0] -= 1
            if waiting[0] <= 0:
                waiting[1].release()
        self.late = [w for w in self.late if w[0] > 0 and not w[1].over]

    def ended(self, session):
        if session.recording.units[UP] and session.hub is not None:
            self.recordings.append(session.recording)
            if len(self.recordings) > KEPT:
                self.recordings.pop(session.chance.randrange(KEPT))


class Mitm(threading.Thread):
    """way() before or after start(). Ways live until close(). honest: everything passes. acts: which, with their weights.
    witness(session, direction, unit): is shown what he receives, when he does."""

    def __init__(self, seed, acts=None):
        super().__init__(daemon=True)
        self.seed, self.acts = seed, acts or ACTS
        self.honest = False
        self.witness = None
        self.counts = collections.Counter()
        self.refused = 0  # the hub did not take a connection
        self.ways, self.sessions = [], {}
        self.waiting = selectors.DefaultSelector()
        self.timers, self.order = [], 0
        self.addresses = 0
        self.lock = threading.RLock()
        self.over = False

    # ---- from outside ----

    def way(self, label, hub, port=0, pairs=True):
        """hub: (address, port). pairs: lines come with signature lines. Return: the Way, whose port senders connect to."""
        with self.lock:
            way = Way(self, label, hub, port, pairs)
            self.ways.append(way)
            self.waiting.register(way.listener, selectors.EVENT_READ, (way, None))
        return way

    def quiet(self):
        """He does nothing more, and lets go of what he holds; sessions that he has touched end."""
        with self.lock:
            self.honest = True
            for session, _ in list(self.sessions.values()):
                if session.whole != "clean":
                    session.close()

    def total(self):
        """Sessions that the hub or he himself took."""
        return sum(way.sessions for way in self.ways) - self.refused

    def account(self):
        return {"seed": self.seed, "sessions": self.total(), "not taken": self.refused, **dict(sorted(self.counts.items()))}

    def close(self):
        self.over = True
        if self.is_alive():
            self.join()
        for session, _ in list(self.sessions.values()):
            session.close()
        for way in self.ways:
            way.listener.close()

    # ---- sockets ----

    def address(self):
        """Of loopback, another one each time: the hub admits by address."""
        self.addresses += 1
        n = self.addresses
        return "127.%d.%d.%d" % (16 + (n >> 16 & 63), n >> 8 & 255, n & 255)

    def dial(self, way):
        s = socket.socket()
        try:
            s.bind((self.address(), 0))
            s.settimeout(5)
            s.connect(way.hub)
        except OSError:
            s.close()
            self.refused += 1
            return None
        return s

    def watch(self, s, session, direction):
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sessions[s] = (session, direction)
        self.waiting.register(s, selectors.EVENT_READ, (session, direction))

    def drop(self, s, reset=False):
        if self.sessions.pop(s, None) is None:
            return
        self.waiting.unregister(s)
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    def send(self, flow, data):
        """Loopback takes what is sent here; what it does not take waits."""
        if flow.out is None or flow.out not in self.sessions:
            return
        flow.pending += data
        try:
            while flow.pending:
                flow.pending = flow.pending[flow.out.send(flow.pending):]
        except BlockingIOError:
            self.later(0.01, lambda: self.send(flow, b""))
        except OSError:
            flow.pending = b""

    def later(self, seconds, what):
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + max(0.0, seconds), self.order, what))

    def play_sender(self, way, chance):
        """All that a sender said in an earlier session, to the hub, in one piece."""
        s = self.dial(way)
        if s is None:
            return
        try:
            s.sendall(b"".join(chance.choice(way.recordings).units[UP]))
        except OSError:
            pass
        self.later(0.3, s.close)

    def receive(self, s, session, direction):
        try:
            data = s.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            session.received(direction, data)
        elif direction == UP and session.flows[UP].held is not None:
            self.drop(s)  # the hub's end lives on
        else:
            session.ended(direction)

    def turn(self):
        now = time.monotonic()
        wait = min(0.05, max(0.0, self.timers[0][0] - now)) if self.timers else 0.05
        for key, _ in self.waiting.select(wait):
            with self.lock:
                who, direction = key.data
                if direction is None:
                    who.accept()
                elif key.fileobj in self.sessions:
                    self.receive(key.fileobj, who, direction)
        with self.lock:
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()

    def run(self):
        while not self.over:
            self.turn()


if __name__ == "__main__":
    mitm = Mitm(int(sys.argv[3]))
    mitm.way("only", ("127.0.0.1", int(sys.argv[2])), int(sys.argv[1]))
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    signal.signal(signal.SIGINT, lambda *_: done.set())
    mitm.start()
    done.wait()
    mitm.quiet()
    mitm.close()
    print(json.dumps(mitm.account()))
