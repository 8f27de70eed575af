"""The console of a real beacon, driven over a terminal; tests/console_test.sh calls it.

    console.py BEACON CASE

A case is a function below. Each has a directory in RAM and a configuration, and most a beacon that runs with it. Whatever a case is
about: no console ever sends an escape sequence."""
import contextlib
import fcntl
import hashlib
import hmac
import os
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

KEY = "0123456789abcdef0123456789abcdef"
ANSWER = 120  # seconds until nobody will answer any more
PROMPT = "nefia> "


def must(condition, *what):
    if not condition:
        raise AssertionError(" ".join(map(str, what)))


def until(condition, what):
    end = time.monotonic() + ANSWER
    while not condition():
        must(time.monotonic() < end, "in vain:", what)
        time.sleep(0.05)


class Place:
    """A directory in RAM with a key and a configuration."""

    def __init__(self, beacon, lines="", key=True, port=9):
        self.beacon, self.port = beacon, port
        self.dir = tempfile.mkdtemp(prefix="nefia-console-", dir="/dev/shm")
        self.config = self.path("nefia.yaml")
        with open(self.path("key"), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(KEY + "\n")
        self.configure(lines, key)
        self.daemon = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def configure(self, lines="", key=True):
        with open(self.config, "w") as file:
            file.write(f"""host_id: c1
beacons:
  reactor: "localhost:{self.port}"
  {'hmac_key_file: ' + self.path('key') if key else 'require_ack: false'}
  control_socket: {self.path('b.sock')}
  spool_file: {self.path('spool')}
  max_events_per_min: 120
  dedup_window: 0s
  disk_usage: {{interval: 1h}}
  scripts:
    - {{name: mine, command: "echo measured", interval: 1h}}
{lines}
""")

    def ask(self, *words):
        return subprocess.run([self.beacon, *words, "-c", self.config], capture_output=True, text=True, timeout=ANSWER)

    def start(self):
        self.log = open(self.path("run.log"), "w")
        self.daemon = subprocess.Popen([self.beacon, "run", "-c", self.config], stderr=self.log)
        until(lambda: self.ask("status").returncode == 0, "the beacon answers")
        return self

    def close(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.kill()
            self.daemon.wait()
        subprocess.run(["rm", "-rf", self.dir], check=True)


class Console:
    """One console and the terminal it has: as its standard input, or by its path."""

    def __init__(self, place, bare=False, bytes_a_second=None, configured=False):
        self.master, slave = os.openpty()
        self.seen, self.rate = "", bytes_a_second
        self.slave = os.ttyname(slave)
        self.err = open(place.path("console.log"), "a+")
        command = [place.beacon, "console", "-c", place.config] + ([self.slave] if bare and not configured else [])
        if configured:
            place.configure(f"  console: {{tty: {self.slave}}}")

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL if bare else slave, stdout=subprocess.DEVNULL if bare else slave,
            stderr=self.err if bare else slave, preexec_fn=None if bare else own_terminal,
            env={**os.environ, "TERM": "dumb"})
        # A line has somebody's end open all the time; that it is closed is what hang_up does.
        if not bare:
            os.close(slave)
        else:
            until(lambda: self.opened() or self.process.poll() is not None, "the console opens its line")
            os.close(slave)

    def opened(self):
        with contextlib.suppress(OSError):
            return os.stat(f"/proc/{self.process.pid}/fd/1").st_rdev == os.stat(self.slave).st_rdev
        return False

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        os.write(self.master, data)

    def take(self, seconds):
        """Read once, at the rate of the line. Return: was there anything?"""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = os.read(self.master, self.rate // 10 if self.rate else 65536)
        if self.rate:
            time.sleep(len(data) / self.rate)
        text = data.decode("utf-8", "replace")
        must("\033" not in text and "\x9b" not in text, "an escape sequence:", data)
        self.seen += text
        return True

    def expect(self, pattern, seconds=ANSWER):
        """Return: what came up to the end of the match; that is taken."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            must(time.monotonic() < end, "waits in vain for", repr(pattern), "after", repr(self.seen[-600:]))
            try:
                self.take(0.2)
            except OSError:
                must(False, "the terminal is closed; waits for", repr(pattern), "after", repr(self.seen[-600:]))
        text, self.seen = self.seen[:found.end()], self.seen[found.end():]
        return text

    def command(self, line, pattern=""):
        """Send it, and return what it prints until the next prompt."""
        self.send(line + "\r")
        self.expect(re.escape(line) + "\r\n")
        text = self.expect(f"(?:^|\n){PROMPT}$")
        must(re.search(pattern, text), f"{line}: not {pattern!r} in {text!r}")
        return text

    def challenge(self):
        return re.search("challenge ([0-9a-f]{32})", self.expect("challenge [0-9a-f]{32}\r\nanswer: ")).group(1)

    def log_in(self):
        self.send(answer(self.challenge()) + "\r")
        self.expect(PROMPT)

    def hang_up(self):
        os.close(self.master)
        self.master = None

    def logged(self):
        self.err.flush()
        self.err.seek(0)
        return self.err.read()

    def ends(self):
        self.process.wait(timeout=ANSWER)
        return self.process.returncode

    def close(self):
        if self.master is not None:
            os.close(self.master)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def answer(nonce, key=KEY):
    return hmac.new(key.encode(), b"nefia console\0" + nonce.encode(), hashlib.sha256).hexdigest()


def children_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return file.read().split()
    return []


def runs(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@contextlib.contextmanager
def at(beacon, running=True, lines="", key=True, port=9, **line):
    place = Place(beacon, lines, key, port)
    console = None
    try:
        if running:
            place.start()
        console = Console(place, **line)
        yield place, console
    finally:
        if console:
            console.close()
        place.close()


# ---- cases ----

def commands(beacon):
    """Every command, on a dumb terminal."""
    with at(beacon) as (place, c):
        until(lambda: "cannot connect" in place.ask("status", "--json").stdout, "an attempt to connect")
        c.expect(PROMPT)
        listed = re.findall(r"(?:^|\n)  ([a-z]+)\b", c.command("help", "this list"))
        c.command("status", r"(?s)Version .*Hub:.*(waiting|connecting|resolving)")
        c.command("sensors", r"disk_usage: (no|[0-9]+) event")
        c.command("events", r"(?s)SEVERITY.*info .*s .*beacon\.started")
        c.command("link", r"Failures +[1-9][0-9]*, the last: cannot connect: Connection refused")
        c.command("link try", "trying now|not waiting")
        text = c.command("net", r"lo: up")
        must("127.0.0.1/8" in text and "connect   FAILS: Connection refused" in text, text)
        must(re.search("State +(waiting|connecting|resolving)", text), text)
        c.command("config check", "OK; host c1")
        c.command("config reload", "^reloaded")
        must("configuration reloaded" in c.command("log", "version .*host c1"), "the log has no reload")
        c.command('emit test.console critical "what=two words"', "accepted: boot .*seq")
        c.command("events", r'critical .*test\.console .*on flash .*"what":"two words"')
        c.command("log", r"event [0-9]+: critical test\.console")
        c.command("emit test.console info n=1 seq=7 uptime_ms=8 z=9", "accepted")
        c.command("events", r'info +[0-9]+[ms].* +test\.console .*"n":"1","seq":"7","uptime_ms":"8","z":"9"}')
        c.command("emit wrong", "missing operand")
        c.command("policy capabilities", "Commands:")
        c.command("policy test -c /etc/passwd --host", 'unknown option "-c"')
        c.command("policy test -- true", "(?i)allowed")
        c.command("version", "features: .*beacon-console")
        c.command("nonsense", "unknown command")
        c.command("config frob", "unknown command")
        c.command("config run", "unknown command")
        c.command("link frob", "unknown command")
        c.command("")
        tried = {"help", "status", "sensors", "events", "link", "net", "config", "log", "emit", "policy", "version", "watch", "exit"}
        c.command("spool export", r'(?s)"type":"test\.console"')
        tried.add("spool")
        must(set(listed) == tried, "not tried:", set(listed) ^ tried)
        c.send("watch\r")
        c.expect("any key ends it")
        must(place.ask("emit", "test.watched", "warning").returncode == 0, "emit")
        c.expect(r"event [0-9]+: warning test\.watched")
        c.send(" ")
        c.expect(PROMPT)
        place.configure("  nonsense: 1")
        c.command("config check", "nonsense")
        c.command("config reload", "refused, the running configuration stays")
        c.send("exit\r")
        must(c.ends() == 0, "exit ends it with", c.process.returncode)


def hub(beacon):
    """The way to a hub that is there, and its end: name, connection, greeting, and the key, by the daemon's session."""
    fake = os.path.join(os.path.dirname(__file__), "fake")
    port = subprocess.run([sys.executable, f"{fake}/ports.py"], capture_output=True, text=True, check=True).stdout.strip()
    with at(beacon, port=port) as (place, c):
        with open(place.path("hub.out"), "w") as out:
            there = subprocess.Popen([sys.executable, f"{fake}/hub.py", port, place.path("hub.log"), "link", f"key={place.path('key')}"], stderr=out)
        try:
            until(lambda: b"\"up\"" in place.ask("status", "--json").stdout.encode(), "the session")
            c.expect(PROMPT)
            text = c.command("net", f"Hub localhost:{port}:")
            for step in (f"name      127.0.0.1:{port}", "connect   connected", "greeting  link 2", "State +up .*, key proven by both sides"):
                must(re.search(step, text), f"no {step!r} in {text!r}")
            c.command("link", "Delivery +acknowledged, signed: yes")
            c.command("events", "SEVERITY")
        finally:
            there.kill()
            there.wait()


def editing(beacon):
    """What is typed, and the history; the terminal's modes are as before afterwards."""
    with at(beacon, running=False) as (_, c):
        c.expect(PROMPT)
        before = termios.tcgetattr(c.master)[3] & (termios.ECHO | termios.ICANON)
        must(before == 0, "the console echoes itself")
        c.send("versionn\b\r")
        c.expect("features")
        c.expect(PROMPT)
        c.send("\x10\r")  # ^P
        c.expect("features")
        c.expect(PROMPT)
        c.send("garb\x03")
        c.expect(r"\^C\r\n" + PROMPT)
        c.send("\033[A\r")
        c.expect("features")
        c.expect(PROMPT)
        c.send("\x04")
        must(c.ends() == 0, "^D")
        after = termios.tcgetattr(c.master)[3]
        must(after & termios.ECHO and after & termios.ICANON, "the terminal's modes are not restored")


def interrupt(beacon):
    """^C ends a command, and only that."""
    with at(beacon, running=False, lines="    - {name: slow, command: 'sleep 300', interval: 1h, timeout: 10m}") as (_, c):
        c.expect(PROMPT)
        c.send("sensors\r")
        c.expect("scripts mine: no events")
        c.send("\x03")
        c.expect(PROMPT)
        c.command("version", "features")


def piped(beacon):
    """Without a terminal: no prompt, no echo."""
    place = Place(beacon)
    try:
        r = subprocess.run([beacon, "console", "-c", place.config], input="version\nnonsense\n", capture_output=True, text=True, timeout=ANSWER)
        must(r.returncode == 0 and "features" in r.stdout and "unknown command" in r.stdout, r)
        must("nefia>" not in r.stdout and "\nversion" not in r.stdout, r.stdout)
    finally:
        place.close()


def without_daemon(beacon):
    """The daemon is stuck, then dead: the log and the events on flash are still to be had."""
    with at(beacon) as (place, c):
        c.expect(PROMPT)
        c.command("emit test.kept critical", "accepted")
        place.daemon.send_signal(signal.SIGSTOP)
        c.command("status", "no answer from the daemon .* within 5s")
        c.command("log", r"event [0-9]+: critical test\.kept")
        c.command("events", r"(?s)no answer from the daemon .*cannot be seen; on flash, in .*critical .*test\.kept")
        c.command("config check", "OK")
        place.daemon.kill()
        place.daemon.wait()
        place.daemon = None
        c.command("link", "cannot reach the daemon")
        c.command("log", r"event [0-9]+: critical test\.kept")
        text = c.command("events", r"(?s)cannot reach the daemon .*on flash, in .*critical .*test\.kept")
        must(re.search(r"critical +[1-9][0-9]*s +20[0-9-]+ .*test\.kept", text), "no age of an event of an earlier start:", text)
        c.command("sensors", "disk_usage: ")
        c.command("net", r"(?s)FAILS.*cannot reach the daemon")
        os.remove(place.path("b.sock.log"))
        c.command("log", "(?s)no log beside .*RAM")


def key(beacon):
    """A bare line opens with the right answer only; each question is another one."""
    with at(beacon, bare=True) as (place, c):
        asked = set()
        for i in range(10):
            nonce = c.challenge()
            asked.add(nonce)
            c.send(answer(nonce, "another key of 32 bytes, or so.") + "\r")
        must(len(asked) == 10, "a question came twice")
        old = asked.pop()
        nonce = c.challenge()
        must(PROMPT not in c.seen, "a wrong answer opened it")
        c.send(answer(old) + "\r")  # right for another question
        nonce = c.challenge()
        said = subprocess.run(["sh", "-c", f"printf 'nefia console\\0%s' {nonce} | openssl dgst -sha256 -hmac {KEY}"],
                              capture_output=True, text=True)
        must(said.stdout.split()[-1] == answer(nonce), "openssl says", said)
        c.send(answer(nonce) + "\r")
        c.expect(PROMPT)
        c.command("version", "features")
        c.send("exit\r")
        c.log_in()  # asks again
        log = c.logged()
        must("wrong answer" in log and "session begins" in log and "session ended: left" in log, log)
        must(log.count("\n") < 12, "the log is long:", log)


def unlocked(beacon):
    """key_required: false; and without a key a bare line stays shut."""
    with at(beacon, running=False, bare=True, lines="  console: {key_required: false}") as (_, c):
        c.expect(PROMPT)
        c.command("version", "features")
    with at(beacon, running=False, bare=True, key=False) as (_, c):
        c.expect("no key to ask for")
        must("no key to ask for" in c.logged(), c.logged())
        must(PROMPT not in c.seen, "it opened")


def configured(beacon):
    """The line of the configuration is opened where standard input is no terminal; one console at a time."""
    with at(beacon, running=False, bare=True, configured=True) as (place, c):
        c.log_in()
        c.command("version", "features")
        r = subprocess.run([beacon, "console", "-c", place.config], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER)
        must(r.returncode == 1 and "in use by another console" in r.stderr, r)


def same_line(beacon):
    """The line of the configuration asks by whatever name standard input has it, as init's /dev/console."""
    place = Place(beacon)
    master, slave = os.openpty()
    place.configure(f"  console: {{tty: {os.ttyname(slave)}}}")

    def on_dev_tty():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        tty = os.open("/dev/tty", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(tty, fd)

    process = subprocess.Popen([beacon, "console", "-c", place.config], preexec_fn=on_dev_tty, pass_fds=(slave,))
    seen = ""
    while "challenge" not in seen and "commands" not in seen:
        must(select.select([master], [], [], ANSWER)[0], "nothing comes:", seen)
        seen += os.read(master, 4096).decode()
    process.kill()
    process.wait()
    place.close()
    must("challenge" in seen, seen)


def idle(beacon):
    """A session that nobody uses ends, and the line asks again."""
    with at(beacon, running=False, bare=True, lines="  console: {idle_timeout: 1s}") as (_, c):
        c.log_in()
        c.expect("idle for too long")
        c.challenge()
        must("session ended: idle" in c.logged(), c.logged())


def hang_up(beacon):
    """The line is gone: in the challenge, at the prompt, in a command: the process ends, and says so."""
    slow = "    - {name: slow, command: 'sleep 300', interval: 1h, timeout: 10m}"
    for last in (None, "", "watch\r", "sensors\r"):
        with at(beacon, bare=True, lines=slow) as (_, c):
            if last is None:
                c.challenge()
            else:
                c.log_in()
                c.send(last)
            if last:
                until(lambda: children_of(c.process.pid), "the command runs")
            if last == "sensors\r":
                c.expect("scripts mine")
                until(lambda: children_of(children_of(c.process.pid)[0]), "the script runs")
            running = children_of(c.process.pid)
            running += [pid for child in running for pid in children_of(child)]
            c.hang_up()
            must(c.ends() == 1, last, "ends with", c.process.returncode)
            must("the line hung up" in c.logged(), c.logged())
            until(lambda: not any(runs(pid) for pid in running), "what the command began ends, too")
    with at(beacon, running=False) as (_, c):
        c.expect(PROMPT)
        c.hang_up()
        c.ends()


def flood(place):
    """As many events as may come in a minute, while nobody reads: the daemon takes them all, and answers."""
    taken = [place.ask("emit", "test.flood", "critical", f"n={i}", "text=" + "x" * 200).returncode for i in range(110)]
    must(taken.count(0) == 110, "the daemon refused", 110 - taken.count(0))
    must(place.ask("status").returncode == 0, "the daemon does not answer")


def slow(beacon):
    """A reader of 960 bytes a second: the daemon goes on for everybody else."""
    with at(beacon, bytes_a_second=960) as (place, c):
        c.expect(PROMPT)
        c.send("watch\r")
        c.expect("any key ends it")
        flood(place)
        c.expect('"n":"109"')
        c.send(" ")
        c.expect(PROMPT)
        c.command("status", "Version")


def dropped(beacon):
    """What a line is too slow for is dropped, and counted. A terminal of the kernel's takes 64 KiB before it is slow, a pipe less."""
    place = Place(beacon).start()
    try:
        out, end = os.pipe()
        fcntl.fcntl(out, 1031, 4096)  # F_SETPIPE_SZ
        console = subprocess.Popen([beacon, "console", "-c", place.config], stdin=subprocess.PIPE, stdout=end)
        os.close(end)
        console.stdin.write(b"watch\n")
        console.stdin.flush()
        seen = ""
        while "any key ends it" not in seen:
            seen += os.read(out, 1024).decode()
        flood(place)
        while '"n":"109"' not in seen:
            must(select.select([out], [], [], ANSWER)[0], "no more comes after", seen[-200:])
            seen += os.read(out, 1024).decode()
        dropped = [int(n) for n in re.findall(r"\[([0-9]+) lines dropped: the line is too slow\]", seen)]
        must(dropped, "nothing is said of dropped lines in", seen[-3000:])
        must(seen.count("test.flood") + sum(dropped) >= 110, "the count is wrong:", dropped, seen.count("test.flood"))
        console.stdin.close()
        must(console.wait(timeout=ANSWER) == 0, console.returncode)
    finally:
        place.close()


def stops(beacon):
    """A key ends `watch` while more lines come than the line can take. Here the daemon's part is ours."""
    place = Place(beacon).start()
    going = True

    def lines():
        ring = os.open(place.path("b.sock.log"), os.O_WRONLY)
        for n in range(1000, 1 << 31):
            if not going:
                break
            os.pwrite(ring, struct.pack(">IQ", n, 0) + b"x" * 200 + b"\0", n % 64 * 256)
            time.sleep(0.001)
        os.close(ring)

    daemon = threading.Thread(target=lines)
    try:
        out, end = os.pipe()
        fcntl.fcntl(out, 1031, 4096)  # F_SETPIPE_SZ
        console = subprocess.Popen([beacon, "console", "-c", place.config], stdin=subprocess.PIPE, stdout=end)
        os.close(end)
        console.stdin.write(b"watch\n")
        console.stdin.flush()
        seen = ""
        while "lines dropped" not in seen:
            seen += os.read(out, 1024).decode()
            if "any key ends it" in seen and not daemon.is_alive():
                daemon.start()
        console.stdin.write(b" version\n")
        console.stdin.flush()
        finish = time.monotonic() + ANSWER
        while "features" not in seen:
            must(time.monotonic() < finish, "no key ends it")
            seen = seen[-20:] + os.read(out, 1024).decode()
            time.sleep(0.02)
        console.kill()
        console.wait()
    finally:
        going = False
        if daemon.is_alive():
            daemon.join()
        place.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def noise(console, count, without=b""):
    """So many bytes of noise, in a tenth of the time that they take; what does not fit the kernel drops, as it does of a real line."""
    r = random.Random(15)
    os.set_blocking(console.master, False)
    for _ in range(count // 1152):
        with contextlib.suppress(BlockingIOError):
            os.write(console.master, bytes(b for b in r.randbytes(1152) if b not in without))
        with contextlib.suppress(BlockingIOError):
            console.take(0.01)
    os.set_blocking(console.master, True)


def garbage(beacon):
    """A minute of noise at 115200 baud: nobody is let in, hardly any work, and a short log; then the key opens it."""
    minute = 115200 // 10 * 60
    with at(beacon, running=False, bare=True) as (_, c):
        c.challenge()
        noise(c, minute)
        must(PROMPT not in c.seen, "noise opened it")
        must(c.process.poll() is None, "it ended with", c.process.returncode)
        must(cpu_seconds(c.process.pid) < 5, "it used", cpu_seconds(c.process.pid), "s of a processor")
        must(c.logged().count("\n") < 20, c.logged())
        c.seen = ""
        c.send("\r\r\r")
        until(lambda: (c.take(0.1), re.search("challenge [0-9a-f]{32}\r\nanswer: $", c.seen) and not c.take(9))[1], "it asks when it is quiet")
        c.send(answer(re.findall("challenge ([0-9a-f]{32})", c.seen)[-1]) + "\r")
        c.expect(PROMPT)
    with at(beacon, running=False) as (_, c):  # at the prompt, but for ^D
        c.expect(PROMPT)
        noise(c, minute // 4, b"\x04")
        until(lambda: not c.take(1), "silence")
        c.seen = ""
        c.send("\x03")
        c.expect(PROMPT)
        c.command("version", "features")


def main():
    beacon, case = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not os.path.isdir("/dev/shm"):
        print("skip: no /dev/shm")
        return
    try:
        globals()[case](beacon)
    except AssertionError as e:
        sys.exit(f"{case}: {e}")


if __name__ == "__main__":
    main()
