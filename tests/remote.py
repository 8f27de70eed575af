"""Commands on a real beacon, from a hub that docs/wire.md describes (tests/fake/link2.py); tests/remote_test.sh calls it.

    remote.py BEACON CASE

A case is a function below. Each has a directory, a beacon of its own with a policy, and a hub that says what the case wants."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(__file__), "fake"))
import link2  # noqa: E402

KEY = b"0123456789abcdef0123456789abcdef"
ANSWER = 120  # seconds until nobody will answer any more
ids = iter(range(0x1000, 1 << 32))


def must(condition, *what):
    if not condition:
        raise AssertionError(" ".join(map(str, what)))


class Session:
    """One session with the beacon. seen: its events; results: of commands, by id."""

    def __init__(self, server, key=KEY, features=("exec",)):
        self.socket, _ = server.accept()
        self.socket.settimeout(ANSWER)
        self.end = link2.HubEnd((lambda _: [key]) if key else None)
        self.seen, self.results, self.acknowledges, self.features = [], [], True, features
        self.socket.sendall(self.end.greet())
        self.until(lambda: self.end.welcomed)
        self.hello_at = time.monotonic()

    def take(self):
        data = self.socket.recv(65536)
        must(data, "the beacon closed the connection")
        for line in self.end.feed(data):
            if "hello" in line.said:
                self.boot = line.said["hello"]["boot"]
                self.offered = line.said["hello"]["features"]
                self.socket.sendall(self.end.welcome(features=self.features))
            elif "result" in line.said:
                self.results.append(line.said["result"])
            elif "type" in line.said:
                self.seen.append(line.said)
        if self.end.welcomed and self.acknowledges:
            self.socket.sendall(self.end.ack(self.end.lines_in))

    def until(self, condition, seconds=ANSWER):
        """Receive until it is true. Return: is it?"""
        end = time.monotonic() + seconds
        while not condition():
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.take()
            except (socket.timeout, BlockingIOError):
                must(seconds < ANSWER, "nothing came any more")
                return False
        return True

    def command(self, op, number=None, first=None, life_ms=60000, age_ms=None, cause=None):
        """Return: its id."""
        number = number or next(ids)
        age = int((time.monotonic() - self.hello_at) * 1000) if age_ms is None else age_ms
        self.socket.sendall(self.end.command(number, first or self.boot, age, life_ms, op, cause))
        return number

    def result(self, number):
        self.until(lambda: any(r["id"] == "%016x" % number for r in self.results))
        found = next(r for r in self.results if r["id"] == "%016x" % number)
        self.results.remove(found)
        return found

    def run(self, op, **how):
        return self.result(self.command(op, **how))

    def event(self, kind):
        self.until(lambda: any(e["type"] == kind for e in self.seen))
        return next(e for e in self.seen if e["type"] == kind)

    def close(self):
        self.socket.close()


class Rig:
    def __init__(self, program, directory, more="", policy="", key=True):
        self.program, self.dir = program, directory
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(ANSWER)
        self.beacon = None
        self.log = os.path.join(directory, "log")
        os.mkdir(os.path.join(directory, "state"))
        with open(self.path("key"), "wb") as f:
            f.write(KEY)
        os.chmod(self.path("key"), 0o600)
        self.configure(more or "remote: {enabled: true, timeout_max: 5m}", policy, key)

    def path(self, name):
        return os.path.join(self.dir, name)

    def configure(self, more, policy="", key=True):
        with open(self.path("nefia.yaml"), "w") as f:
            f.write(f"""host_id: r1
beacons:
  reactor: "127.0.0.1:{self.server.getsockname()[1]}"
  state_dir: {self.dir}/state
  control_socket: {self.dir}/beacon.sock
  max_events_per_min: 60
  dedup_window: 0
  {"hmac_key_file: " + self.path("key") if key else ""}
  {more}
policy:
  deny_commands: ['(^|/)reboot( |$)']
  deny_paths: ['\\.secret$']
  {policy}
""")

    def start(self):
        with open(self.log, "ab") as log:
            self.beacon = subprocess.Popen([self.program, "run", "-c", self.path("nefia.yaml")], stderr=log)

    def session(self, **how):
        return Session(self.server, **how)

    def kill(self):
        self.beacon.kill()
        self.beacon.wait()

    def stop(self):
        self.beacon.terminate()
        must(self.beacon.wait(ANSWER) == 0, "the beacon did not stop in order")

    def ask(self, *verb):
        return subprocess.run([self.program, *verb, "-c", self.path("nefia.yaml")], capture_output=True, text=True, timeout=ANSWER)

    def logged(self, pattern):
        with open(self.log) as f:
            return re.search(pattern, f.read(), re.M)

    def lines(self, name):
        try:
            with open(self.path(name)) as f:
                return f.read().split()
        except FileNotFoundError:
            return []

    def append(self, name, word, more=""):
        """An op that leaves a word in a file each time it is carried out."""
        return {"run": f"echo {word} >>{self.path(name)}; {more}"}


def once(rig):
    """What a command is, and what its result says."""
    rig.start()
    s = rig.session()
    must(s.offered == ["exec"], s.offered)
    r = s.run({"argv": ["/bin/echo", "a b", "$HOME"]})
    must((r["state"], r["exit"], r["output"], r["bytes"]) == ("done", 0, "a b $HOME\n", 10), r)
    must("signal" not in r and "timed_out" not in r, r)
    r = s.run({"run": "echo out; echo err >&2; exit 7"})
    must((r["exit"], r["output"]) == (7, "out\nerr\n"), r)
    r = s.run({"run": "kill -9 $$"})
    must((r["exit"], r["signal"]) == (137, 9), r)
    r = s.run({"run": "sleep 100", "timeout_ms": 100})
    must(r["timed_out"] is True and r["exit"] == 143 and r["ms"] >= 100, r)
    r = s.run({"run": "head -c 100000 /dev/zero | tr '\\0' x"})
    must(r["bytes"] == 100000 and r["output"] == "x" * 4096, r["bytes"], len(r["output"]))
    r = s.run({"run": "printf 'a\\377\"'"})
    must(r["output"] == 'a\ufffd"', r)
    r = s.run({"argv": ["/does/not/exist"]})
    must(r["exit"] == 127 and "/does/not/exist" in r["output"], r)
    r = s.run({"run": "echo $NEFIA_X $NEFIA_CAUSE", "env": {"NEFIA_X": "y"}}, cause=["disk", "full"])
    must(r["output"] == 'y ["disk","full"]\n', r)
    must(rig.logged("command 0*1000 begins: /bin/echo 'a b' '\\$HOME'") and rig.logged("command 0*1001 ended: exit status 7"), "log")


def refused(rig):
    """What the device does not do, and why."""
    rig.start()
    s = rig.session()
    bad = [({"run": "cd /; reboot"}, "denied", "deny_commands"), ({"argv": ["/sbin/reboot"]}, "denied", "deny_commands"),
           ({"file": {"path": "/tmp/a.secret", "content": "x"}}, "denied", "deny_paths"),
           ({"run": "true", "timeout_ms": 300001}, "unsupported", "timeout_max"), ({"later": {}}, "unsupported", "unknown member"),
           ({"run": "true", "argv": ["/bin/true"]}, "unsupported", ""), ({"argv": ["true"]}, "unsupported", "absolute"),
           ({"run": "true", "env": {"PATH": "/tmp"}}, "unsupported", "env"),
           ({"run": "true", "of": ["0123456789abcdef", 0]}, "unsupported", "not open"),
           ({"undo": {"commit": "0123456789abcdef"}}, "unsupported", "not open")]
    for op, state, words in bad:
        r = s.run(op)
        must(r["state"] == state and words in r["reason"], op, r)
    # A policy that only warns lets it begin, and says so.
    rig.configure("remote: {enabled: true}", "mode: warn")
    rig.beacon.send_signal(signal.SIGHUP)
    end = time.monotonic() + ANSWER
    while not rig.logged("configuration reloaded"):
        must(time.monotonic() < end, "no reload")
        time.sleep(0.05)
    r = s.run({"run": "true reboot; true || reboot"})
    must(r["state"] == "done" and rig.logged("would not allow"), r)
    status = json.loads(rig.ask("status", "--json").stdout)
    must((status["remote"]["denied"], status["remote"]["unsupported"], status["remote"]["done"]) == (3, 7, 1), status["remote"])


def life(rig):
    """A command begins within its life, or never."""
    rig.start()
    s = rig.session()
    for how in ({"life_ms": 1, "age_ms": 0}, {"life_ms": 0}):
        time.sleep(0.01)
        must(s.run(rig.append("ran", "x"), **how)["state"] == "expired", how)
    must(s.run(rig.append("ran", "y"), age_ms=0, life_ms=60000)["state"] == "done", "alive")
    must(s.run(rig.append("ran", "z"), age_ms=4294967295, life_ms=1)["state"] == "done", "far")
    # Held up on the way for longer than it lives: the device does not see when it was sent, only how long ago its own hello was.
    data = s.end.command(next(ids), s.boot, int((time.monotonic() - s.hello_at) * 1000), 300, rig.append("ran", "late"))
    time.sleep(0.5)
    s.socket.sendall(data)
    s.until(lambda: s.results)
    must(s.results[0]["state"] == "expired", s.results)
    must(rig.lines("ran") == ["y", "z"], rig.lines("ran"))


def twice(rig):
    """An id that is seen again is answered, in the same session, in the next one, and after a restart; and never run again."""
    rig.start()
    s = rig.session()
    op = rig.append("ran", "x", "echo said")
    number = s.command(op)
    first = s.result(number)
    must(s.run(op, number=number) == first and first["output"] == "said\n", first)
    other = s.run({"run": "exit 3"})
    must(other["exit"] == 3, other)
    again = s.run(op, number=number)
    must(again["state"] == "done" and again["bytes"] == 5 and "output" not in again, "the output is that of the last one", again)
    s.close()
    s = rig.session()
    must(s.run(op, number=number)["state"] == "done", "the next session")
    boot = s.boot
    rig.stop()
    rig.start()
    s = rig.session()
    must(s.boot != boot, "another start")
    must(s.run(op, number=number, first=boot)["state"] == "done", "after a restart")
    must(s.run(op, first=boot)["state"] == "done", "what did not begin before the restart may begin now")
    must(s.run(op, first=12345)["state"] == "unknown", "a start that it knows nothing of")
    must(rig.lines("ran") == ["x", "x"], rig.lines("ran"))


def cut(rig):
    """The connection is lost while a command runs; or the result is, before it is acknowledged."""
    rig.start()
    s = rig.session()
    op = rig.append("ran", "x", f"until [ -e {rig.path('go')} ]; do sleep 0.05; done; echo said")
    number = s.command(op)
    while not rig.lines("ran"):
        time.sleep(0.05)
    busy = s.run({"run": "true"})
    must(busy["state"] == "busy" and "echo x" in busy["reason"], busy)
    status = rig.ask("status").stdout
    must(re.search(r"State +running for [0-9]+s: echo x", status), status)
    s.close()
    s = rig.session()
    s.command(op, number=number, life_ms=0)
    must(not s.until(lambda: s.results, 0.3), "it still runs", s.results)
    open(rig.path("go"), "w").close()
    s.acknowledges = False
    r = s.result(number)
    must(r["state"] == "done" and r["output"] == "said\n", r)
    s.close()
    s = rig.session()
    must(s.run(op, number=number, life_ms=0) == r, "sent again until it is acknowledged")
    must(rig.lines("ran") == ["x"], rig.lines("ran"))
    row = json.loads(rig.ask("status", "--json").stdout)["commands"][0]
    must(row["command"] == "%016x" % number and row["state"] == "done" and row["exit"] == 0, row)


def runs(pid):
    try:
        with open("/proc/%s/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def power(rig):
    """The device dies in the middle of a command, or with its state lost."""
    rig.start()
    s = rig.session()
    op = rig.append("ran", "x", "sleep 30")
    number = s.command(op)
    while not rig.lines("ran"):
        time.sleep(0.05)
    boot = s.boot
    rig.kill()
    rig.start()
    s = rig.session()
    r = s.run(op, number=number, first=boot)
    must(r["state"] == "unknown" and "restarted" in r["reason"], r)
    must(s.run(op, first=boot, life_ms=0)["state"] == "expired", "one that never came did not begin")
    boot = s.boot
    rig.kill()
    path = rig.path("state/commands")
    with open(path, "rb") as f:
        whole = f.read()
    with open(path, "wb") as f:
        f.write(whole[:-1])
    rig.start()
    s = rig.session()
    must(rig.logged("state_dir/commands is damaged"), "log")
    must(s.run(op, first=boot)["state"] == "unknown", "what is not known may have begun")
    must(s.run({"run": "true"})["state"] == "done", "new ones begin")
    must(rig.lines("ran") == ["x"], rig.lines("ran"))
    s.command({"run": f"echo $$ >{rig.path('left')}; exec sleep 1000", "timeout_ms": 1000})
    while not rig.lines("left"):
        time.sleep(0.01)
    rig.stop()
    end = time.monotonic() + ANSWER
    while runs(rig.lines("left")[0]) and time.monotonic() < end:
        time.sleep(0.05)
    must(not runs(rig.lines("left")[0]), "a command that is left alone has its deadline all the same")


def unkept(rig):
    """What cannot be remembered does not begin; without state_dir, nothing outlives the start."""
    rig.start()
    s = rig.session()
    os.rename(rig.path("state"), rig.path("elsewhere"))
    r = s.run(rig.append("ran", "x"))
    must(r["state"] == "unsupported" and "cannot write state_dir/commands" in r["reason"], r)
    os.rename(rig.path("elsewhere"), rig.path("state"))
    must(s.run(rig.append("ran", "y"))["state"] == "done", "again")
    rig.kill()
    rig.configure("state_dir: \"\"\n  remote: {enabled: true}")
    with open(rig.path("nefia.yaml")) as f:
        text = f.read().replace(f"  state_dir: {rig.dir}/state\n", "")
    with open(rig.path("nefia.yaml"), "w") as f:
        f.write(text)
    rig.start()
    s = rig.session()
    number = s.command(rig.append("ran", "z"))
    must(s.result(number)["state"] == "done" and s.run({"run": "true"}, number=number)["state"] == "done", "in RAM")
    boot = s.boot
    rig.kill()
    rig.start()
    s = rig.session()
    must(s.run({"run": "true"}, number=number, first=boot)["state"] == "unknown", "nothing is kept")
    must(rig.lines("ran") == ["y", "z"], rig.lines("ran"))


def off(rig):
    """No commands where nobody has asked for them, or where there is no key."""
    rig.configure("", "")
    rig.start()
    s = rig.session()
    must(s.offered == [], s.offered)
    s.socket.sendall(s.end.command(1, s.boot, 0, 1000, {"run": "true"}))
    with contextlib.suppress(AssertionError, ConnectionError):
        while True:
            s.take()
    must(not s.results and rig.logged("has not agreed"), "a hub that sends one all the same")
    rig.stop()
    rig.configure("remote: {enabled: true}", "", key=False)
    r = rig.ask("check")
    must(r.returncode == 2 and "beacons.remote: needs a key" in r.stderr, r.stderr)
    rig.configure("remote: {enabled: true, timeout_max: 2h}", "")
    r = rig.ask("check")
    must(r.returncode == 2 and "beacons.remote.timeout_max" in r.stderr, r.stderr)


def cause(rig):
    """What a command leads to carries its cause: what it emits itself, and until 10 s after its end what is about something it names."""
    rig.start()
    s = rig.session()
    emit = f"{rig.program} emit -c {rig.path('nefia.yaml')}"
    must("cause" not in s.event("beacon.started"), "of its own accord")
    r = s.run({"run": f"{emit} by.itself info"}, cause=["disk"])
    must(r["exit"] == 0, r)
    must(s.event("by.itself")["cause"] == ["disk"], s.seen)
    s.run({"run": "true", "env": {"NEFIA_X": '{"n":"1"}'}}, cause=["disk"])
    rig.ask("emit", "soon.after", "info", "n=1")
    must(s.event("soon.after")["cause"] == ["disk"], s.seen)
    rig.ask("emit", "of.others", "critical", "n=2")
    must("cause" not in s.event("of.others"), s.seen)
    s.run({"run": "true", "env": {"NEFIA_X": '{"n":"3"}'}}, cause=["disk", "other \"rule\""])
    rig.ask("emit", "after.both", "info", "n=3")
    must(s.event("after.both")["cause"] == ["disk", "other \"rule\""], s.seen)
    for n in range(8):  # more than an event has room for: those of the last command stay
        s.run({"run": "true", "env": {"NEFIA_X": '{"n":"4"}'}}, cause=["rule %d" % n])
    rig.ask("emit", "after.many", "info", "n=4")
    got = s.event("after.many")["cause"]
    must(len(got) < 8 and got[-1] == "rule 7", got)
    s.run({"run": "true"})
    time.sleep(10.2)
    rig.ask("emit", "long.after", "info", "n=1")
    must("cause" not in s.event("long.after"), s.seen)
    subprocess.run([rig.program, "emit", "-c", rig.path("nefia.yaml"), "of.hub", "info", "k=v"], check=True,
                   env={**os.environ, "NEFIA_CAUSE": '["a rule"]'}, capture_output=True)
    must(s.event("of.hub")["cause"] == ["a rule"] and s.event("of.hub")["data"] == {"k": "v"}, s.seen)
    r = subprocess.run([rig.program, "emit", "-c", rig.path("nefia.yaml"), "of.hub", "info"], capture_output=True, text=True,
                       env={**os.environ, "NEFIA_CAUSE": "no list"})
    must(r.returncode == 1 and r.stderr, r)


def ops(rig):
    """What is no command line: files, waiting, services by the helper."""
    rig.start()
    s = rig.session()
    path = rig.path("conf")
    with open(path, "w") as f:
        f.write("before")
    r = s.run({"file": {"path": path, "content": "after", "mode": "0600", "backup": True}})
    must(r["state"] == "done" and r["exit"] == 0 and rig.lines("conf") == ["after"] and os.stat(path).st_mode & 0o777 == 0o600, r)
    r = s.run({"restore": {"path": path}})
    must(r["exit"] == 0 and rig.lines("conf") == ["before"], r)
    os.symlink(rig.path("x.secret"), rig.path("link"))
    r = s.run({"file": {"path": rig.path("link"), "content": "x"}})
    must(r["state"] == "denied" or r["exit"] != 0, r)
    must(not os.path.exists(rig.path("x.secret")), "what the path leads to is judged")
    r = s.run({"wait_for": {"path": path}, "timeout_ms": 20000})
    must(r["exit"] == 0, r)
    r = s.run({"wait_for": {"path": rig.path("never")}, "timeout_ms": 300})
    must(r["exit"] != 0 and (r.get("timed_out") or r["output"]), r)
    r = s.run({"service": {"name": "no-such-service-here", "verb": "restart"}})
    must(r["state"] == "done" and r["exit"] != 0 and r["output"], r)


RUN = "00000000000000%02x"


def undo(rig):
    """commit_within: a run that is not committed is undone, by time, by a restart, or when asked to."""
    rig.start()
    s = rig.session()

    def begin(run, within_ms, restart="rollback"):
        ops = [[0, rig.append("undone", f"{run}-0")], [1, rig.append("undone", f"{run}-1", "exit 1" if run == 3 else "")]]
        r = s.run({"undo": {"begin": RUN % run, "within_ms": within_ms, "restart": restart, "ops": ops}}, cause=["play"])
        must(r["state"] == "done" and r["exit"] == 0, r)

    def step(run, n):
        r = s.run({**rig.append("did", f"{run}-{n}"), "of": [RUN % run, n]})
        must(r["state"] == "done" and r["exit"] == 0, r)

    begin(1, 60000)
    step(1, 0)
    must(s.run({"undo": {"commit": RUN % 1}})["state"] == "done", "commit")
    begin(2, 6000)
    step(2, 0)
    step(2, 1)
    e = s.event("playbook.rolled_back")
    must(e["data"]["run"] == RUN % 2 and e["data"]["steps"] == [1, 0] and e["cause"] == ["play"], e)
    must(rig.lines("undone") == ["2-1", "2-0"], rig.lines("undone"))
    s.seen.clear()
    begin(3, 60000)
    step(3, 0)
    step(3, 1)
    r = s.run({"undo": {"rollback": RUN % 3}})
    must(r["state"] == "done" and r["exit"] == 1, "one of its steps could not be undone", r)
    must(s.event("playbook.rolled_back")["data"]["failed"] == [1], s.seen)
    bad = s.run({"undo": {"begin": RUN % 9, "within_ms": 1000, "ops": [[0, {"run": "reboot"}]]}})
    must(bad["state"] == "denied", bad)
    bad = s.run({"undo": {"begin": RUN % 9, "within_ms": 1000, "ops": [[0, {"run": "sleep 3000", "timeout_ms": 300001}]]}})
    must(bad["state"] == "unsupported" and "timeout_max" in bad["reason"], bad)
    begin(4, 60000)
    step(4, 0)
    rig.kill()
    rig.start()
    s = rig.session()
    e = s.event("playbook.rolled_back")
    must(e["data"]["run"] == RUN % 4 and e["data"]["reason"] == "restart", e)
    must(rig.lines("undone") == ["2-1", "2-0", "3-1", "3-0", "4-0"], rig.lines("undone"))
    r = s.run({**rig.append("did", "late"), "of": [RUN % 4, 1]})
    must(r["state"] == "unsupported" and "undone" in r["reason"], r)


def main(program, case):
    with tempfile.TemporaryDirectory(prefix="nefia-remote-") as directory:
        rig = Rig(program, directory)
        try:
            globals()[case](rig)
        except Exception as problem:
            with open(rig.log, errors="replace") as f:
                sys.stderr.write(f.read())
            print("%s: %s: %s" % (case, type(problem).__name__, problem))
            raise SystemExit(1) from problem
        finally:
            if rig.beacon and rig.beacon.poll() is None:
                rig.kill()


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), sys.argv[2])
