"""What the fault tests share: the real programs, a sender of foreign make, and the account.

The account: every event that a beacon gave a number (host, boot, seq) was acted on once; or the hub's log names it as begun
when the hub was killed, or as unknown because it may have acted before, and then it was acted on once or not at all; or it is
among what the beacon reports as lost. Nothing was acted on twice, and nothing that nobody emitted.

An action appends its event to one file, with one write to a descriptor in append mode, so that the file is what really
happened, whoever was killed meanwhile."""
import collections
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "fake"))
import link2  # noqa: E402
from ports import free_ports  # noqa: E402

KEY = "0123456789abcdef0123456789abcdef"
SPAN = 256
ANSWER = 120  # seconds until nobody will answer any more
patience = 120  # seconds, see toolchain/patience.sh


def slowness():
    """How many times slower than the reference the machine is now: toolchain/patience.sh, whose rules hold here as well."""
    said = subprocess.run(["sh", "-c", ". toolchain/patience.sh; slowness"], capture_output=True, text=True, check=True)
    return int(said.stdout) / 100


class Rig:
    """A directory, copies of both programs (others may be building them), all that was started, and the verdict."""

    def __init__(self, name, variant=""):
        self.name = name
        self.passed = self.failed = 0
        self.slow_until = 0
        self.dir = tempfile.mkdtemp(prefix="nefia-fault-")
        self.ends = []
        self.seed = int(os.environ.get("FAULT_SEED") or random.randrange(1 << 32))
        self.random = random.Random(self.seed)
        out = os.path.join(os.environ.get("NEFIA_OUT", "out/host"), variant)
        for program in ("nefia", "nefia-beacon"):
            shutil.copy(os.path.join(out, program), self.dir)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        print("%s: FAULT_SEED=%d" % (name, self.seed), flush=True)

    def slow(self):
        """The slowness of a while ago at most."""
        if time.monotonic() >= self.slow_until:
            self.slow_is, self.slow_until = slowness(), time.monotonic() + 10
        return self.slow_is

    def pause(self, least, most):
        """What a quiet machine does in a time of chance between these two, this one has time to do now."""
        time.sleep(self.random.uniform(least, most) * self.slow())

    def rounds(self, full):
        """How often: FAULT_ROUNDS, should that be less."""
        return min(full, int(os.environ.get("FAULT_ROUNDS") or full))

    def path(self, name):
        return os.path.join(self.dir, name)

    def check(self, name, good, detail=""):
        self.passed += bool(good)
        self.failed += not good
        print("%s %s%s" % ("ok" if good else "FAIL", name, ": %s" % (detail,) if detail != "" and not good else ""),
              flush=True)
        return good

    def say(self, text):
        print("   " + text, flush=True)

    def finish(self):
        print("%d passed, %d failed" % (self.passed, self.failed))
        sys.exit(self.failed > 0 or self.passed == 0)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for end in reversed(self.ends):
            end()
        if kind is None or kind is SystemExit:
            if os.environ.get("FAULT_KEEP"):
                print("kept: " + self.dir)
            else:
                shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print("kept: " + self.dir, flush=True)


def skip(what):
    """Nothing is tested, which is no failure and counts as nothing."""
    print("skip: " + what)
    print("0 passed, 0 failed")
    sys.exit(0)


def within(condition, step=0.02):
    """Its value, once that is true; else its last one, when it has not come for so long that it never will."""
    global patience
    left, since = patience, time.monotonic()
    while not (value := condition()):
        if left <= 0:
            patience = 10
            break
        time.sleep(step)
        if time.monotonic() >= since + 2:
            left -= (time.monotonic() - since) / slowness()
            since = time.monotonic()
    return value


def ask(path, request):
    """The records that a control socket answers with, and the exit status. None: there was no whole answer."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(ANSWER)
            s.connect(path)
            s.sendall(request.encode() + b"\n")
            data = b""
            while chunk := s.recv(65536):
                data += chunk
        lines = [json.loads(line) for line in data.split(b"\n") if line]
    except (OSError, ValueError):
        return None
    if not lines or "exit" not in lines[-1]:
        return None
    return lines[:-1], lines[-1]["exit"]


class Daemon:
    """One of the two programs: its configuration, its log, its process."""

    def __init__(self, rig, name, program, verbs, config, prefix=()):
        self.rig = rig
        self.name = name
        self.config = rig.path(name + ".json")
        self.log = rig.path(name + ".log")
        self.socket = rig.path(name + ".sock")
        self.program = rig.path(program)
        self.argv = [*prefix, self.program, *verbs, "-c", self.config]
        self.process = None
        self.log_end = 0
        self.configure(config)
        rig.ends.append(self.kill)

    def configure(self, config):
        with open(os.open(self.config, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as f:
            json.dump(config, f)

    def start(self, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def signal(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self):
        """In order. Its exit status; None when it had to be killed."""
        self.signal(signal.SIGTERM)
        if within(lambda: not self.alive()):
            return self.process.wait()
        self.kill()
        return None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def lines(self):
        with open(self.log, errors="replace") as f:
            return f.read().split("\n")

    def logged(self, text):
        return sum(text in line for line in self.lines())


class Hub(Daemon):
    """Its rule `count` acts on every event of others, by appending it to the file `acted`, after `command` where one is given. What the
    hub reports itself goes there, too; that rule is idempotent, for a kill must not cost a report, and repeats nothing but a line."""

    def __init__(self, rig, name="hub", prefix=(), address="127.0.0.1", command=None, state_dir=None, acted="acted", **more):
        [self.port] = free_ports()
        self.address = address
        self.state_dir = state_dir or rig.path(name + ".state")
        self.acted = rig.path(acted)
        append = "printf '%%s\\n' \"$NEFIA_EVENT\" >>%s" % self.acted
        self.reactor = {
            "listen_address": address, "listen_port": self.port, "hmac_key": KEY, "state_dir": self.state_dir,
            "control_socket": rig.path(name + ".sock"),
            "rules": [{"name": "count", "event_pattern": "^[^h]",
                       "action": {"type": "exec", "target": "hub", "command": (command or "") + append}},
                      {"name": "reports", "event_pattern": "^hub\\.", "idempotent": True,
                       "action": {"type": "exec", "target": "hub", "command": append}}], **more}
        super().__init__(rig, name, "nefia", ["reactor", "run"], {"reactor": self.reactor}, prefix)

    def status(self):
        """The counters, or None."""
        answer = ask(self.socket, "status")
        return answer and next((r["counters"] for r in answer[0] if "counters" in r), None)

    def ready(self):
        return within(self.status)

    def idle(self):
        """Has it no action waiting or running?"""
        c = self.status()
        return c is not None and all(q["queued"] + q["retrying"] + q["running"] == 0 for q in c["actions"].values())

    def acted_on(self):
        try:
            with open(self.acted, "rb") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    def acts(self):
        """How often it acted on each event of others."""
        return collections.Counter((e["host_id"], e.get("boot"), e.get("seq")) for e in self.acted_on() if e["source"] != "hub")

    def reports(self, kind):
        """How many it reported of each host, in events of its own. (Its log has one in a minute.)"""
        found = collections.Counter()
        for e in {json.dumps(e): e for e in self.acted_on() if e["source"] == "hub" and e["type"] == kind}.values():
            found[e["data"]["host"]] += e["data"]["count"]
        return found

    def unfinished(self):
        """Events whose action it reported as begun and not finished."""
        found = re.findall(r"rule count: exec for \S+ from (\S+) \(boot (\d+), seq (\d+)\) was running",
                           "\n".join(self.lines()))
        return {(host, int(boot), int(seq)) for host, boot, seq in found}

    def unknown(self):
        """Of how many events of each host it reported that they may have acted, and did not act on them."""
        return self.reports("hub.unknown")


class Beacon(Daemon):
    def __init__(self, rig, name, hub, prefix=(), address=None, flash=False, **more):
        """flash: all events are kept in the file `flash`, too."""
        self.flash = rig.path(name + ".spool")
        if flash:
            more.update(spool_file=self.flash, spool_file_events="all", spool_file_kb=256, spool_file_daily_kb=1 << 20)
        config = {"reactor": "%s:%d" % (address or hub.address, hub.port), "hmac_key": KEY,
                  "control_socket": rig.path(name + ".sock"), "state_dir": rig.path(name + ".state"),
                  "max_events_per_min": 120, "dedup_window": "1s", "require_ack": True, **more}
        self.host = name
        self.said = 0
        super().__init__(rig, name, "nefia-beacon", ["run"], {"host_id": name, "beacons": config}, prefix)

    def status(self):
        answer = ask(self.socket, "status")
        return answer and answer[0][0] if answer and answer[0] else None

    def ready(self):
        return within(self.status)

    def emit(self, severity="info"):
        """As `nefia-beacon emit` does. (boot, seq); () when it was suppressed; None when there was no answer."""
        self.said += 1
        answer = ask(self.socket, 'emit %s load.test {"n":"%d"}' % (severity, self.said))
        if not answer or not answer[0]:
            return None
        found = re.match(r"accepted: boot (\d+), seq (\d+)", answer[0][0])
        return (int(found[1]), int(found[2])) if found else ()

    def drained(self):
        s = self.status()
        return s is not None and s["spool"]["events"] == 0 and s["uplink"]["delivered"] + sum(s["lost"].values()) >= s["seq"]

    def emitted(self):
        """Every number this start gave out."""
        s = self.status()
        return {(self.host, s["boot"], seq) for seq in range(1, s["seq"] + 1)}


def sign(line, key=KEY):
    """As a plain sender signs it."""
    return link2.plain_line(key.encode(), line)


def event(host, boot, seq, severity="info"):
    return ('{"type":"load.test","source":"rig","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"%s",'
            '"data":{"n":%d},"seq":%d,"boot":%d}' % (host, severity, seq, seq, boot)).encode()


sources = itertools.count(256)


def own_address():
    """One of loopback that nobody else has: the hub admits by address."""
    n = next(sources)
    return "127.1.%d.%d" % (n >> 8 & 255, n & 255)


GREETING = 5  # seconds in which a hub has begun to speak; a later one is only asked again


class Sender(threading.Thread):
    """Speaks acknowledged delivery as docs/wire.md has it (tests/fake/link2.py), and comes back at once when the connection breaks:
    what was not acknowledged is sent again. `rate` events a second come into being, `burst` at a time, until quit(); on a slow
    machine fewer, for it acts on fewer. It comes from an address of its own if the hub is on loopback."""

    def __init__(self, hub, host, rate, boot=1, burst=1):
        super().__init__(daemon=True)
        self.rig, self.hub, self.host, self.rate, self.boot, self.burst = hub.rig, hub, host, rate, boot, burst
        self.source = (own_address(), 0) if hub.address.startswith("127.") else None
        self.due, self.due_at = 0, time.monotonic()
        self.spool = link2.Spool(host, boot)
        self.last = 0
        self.made = threading.Event()
        self.over = False
        self.sent = self.unsure = self.connects = 0
        self.wrong = []

    @property
    def waiting(self):
        return self.spool.waiting

    def emitted(self):
        return {(self.host, self.boot, seq) for seq in range(1, self.last + 1)}

    def quit(self):
        """No more events; those that are there are still delivered."""
        self.made.set()

    def done(self):
        return self.made.is_set() and not self.waiting

    def run(self):
        self.due_at = time.monotonic()
        while not self.over:
            try:
                with socket.create_connection((self.hub.address, self.hub.port), 5, self.source) as s:
                    s.settimeout(0.02)
                    self.connects += 1
                    self.talk(s)
            except OSError:
                time.sleep(0.01)
            except link2.LinkError as error:
                self.wrong.append(str(error))

    def make(self):
        now = time.monotonic()
        self.due += (now - self.due_at) * self.rate / self.rig.slow()
        self.due_at = now
        while not self.made.is_set() and self.last < int(self.due) // self.burst * self.burst and len(self.waiting) < SPAN:
            self.last += 1
            self.spool.add(self.last, event(self.host, self.boot, self.last))

    def talk(self, s):
        d = link2.Delivery(self.spool, KEY.encode())
        silent = time.monotonic()
        try:
            while not self.over and d.end.error is None:
                self.make()
                s.sendall(d.more())
                try:
                    got = s.recv(65536)
                except socket.timeout:
                    # A hub that is killed while it accepts may leave half a connection, on which nothing will ever come.
                    if silent is not None and time.monotonic() > silent + GREETING:
                        return
                    continue
                silent = None
                if not got:
                    return
                s.sendall(d.feed(got))
        finally:
            self.sent += d.sent
            self.unsure += d.unsure
            self.wrong.extend(self.spool.refused.items())


def settle(rig, hub, beacons=(), senders=()):
    """Everything that is under way arrives, and every action ends; then the hub stops in order."""
    for s in senders:
        s.quit()
    rig.check("all that was emitted is acknowledged",
              within(lambda: all(b.drained() for b in beacons) and all(s.done() for s in senders)),
              [(b.name, b.status()) for b in beacons if not b.drained()] + [(s.host, len(s.waiting)) for s in senders])
    rig.check("every action ends", within(hub.idle), hub.status())
    rig.check("no sender got an unexpected message", not any(s.wrong for s in senders), [s.wrong for s in senders])


def audited(rig, hub, name):
    """Its audit log has no finding, whatever has become of the hub and its disk. A hub of the tests' own keeps none."""
    if not hasattr(hub, "program"):
        return
    answer = subprocess.run([hub.program, "audit", "verify", "-c", hub.config], capture_output=True, text=True)
    rig.say("audit: " + " ".join(answer.stdout.split("\n")[-3:]).strip()[:60])
    rig.check(name + ": the audit log is whole", answer.returncode == 0, (answer.stdout[-600:], answer.stderr[-300:]))


def account(rig, hub, emitted, lost=0, name="the account"):
    """emitted: all numbers that were given out; lost: how many of them were reported as lost."""
    acts, unfinished = hub.acts(), hub.unfinished()
    twice = sorted(e for e, n in acts.items() if n > 1)
    missing = emitted - set(acts)
    # A report has the number of unknown ones of a host; some of these have acted.
    left, silent = hub.unknown(), set()
    for e in sorted(missing - unfinished):
        if left[e[0]] > 0:
            left[e[0]] -= 1
        else:
            silent.add(e)
    rig.say("%d emitted = %d acted on + %d begun when the hub was killed, without effect + %d reported as unknown + %d reported lost"
            % (len(emitted), len(set(acts) & emitted), len(missing & unfinished), len(missing - unfinished - silent), lost))
    audited(rig, hub, name)
    rig.check(name + ": nothing is acted on twice", not twice, twice[:5])
    rig.check(name + ": nothing comes from nowhere", not set(acts) - emitted, sorted(set(acts) - emitted)[:5])
    return rig.check(name + ": nothing is lost silently", len(silent) == lost, (len(silent), sorted(silent)[:8]))
