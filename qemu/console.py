"""The other end of an emulated machine's serial port, where nefia-beacon console is; qemu/scenario_console.sh calls it.

    console.py SOCKET CASE

locked: wrong answers and noise do not open it; opened: the right one does, and every command answers; killed: the same session still has the
log and the events on flash. Prints what it found; an escape sequence is an error in each."""
import hashlib
import hmac
import random
import re
import select
import socket
import sys
import time

KEY = b"0123456789abcdef0123"
SILENCE = 60  # seconds: an emulated machine on a busy host is slow
PROMPT = "nefia> "


class Line:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.seen = ""

    def send(self, data):
        # As fast as the port takes it: its FIFO has 16 bytes and no flow control.
        for i in range(0, len(data), 8):
            self.socket.sendall(data[i:i + 8])
            time.sleep(0.002)

    def expect(self, pattern):
        while not (found := re.search(pattern, self.seen)):
            if not select.select([self.socket], [], [], SILENCE)[0]:
                sys.exit(f"waits in vain for {pattern!r} after {self.seen[-400:]!r}")
            data = self.socket.recv(4096)
            if b"\033" in data:
                sys.exit(f"an escape sequence: {data!r}")
            self.seen += data.decode("utf-8", "replace")
        text, self.seen = self.seen[:found.end()], self.seen[found.end():]
        return text

    def command(self, line, pattern):
        self.send(line.encode() + b"\r")
        self.expect(re.escape(line) + "\r\n")
        text = self.expect(f"(?:^|\n){PROMPT}$")
        if not re.search(pattern, text):
            sys.exit(f"{line}: not {pattern!r} in {text!r}")

    def challenge(self):
        self.send(b"\r")
        return re.search("challenge ([0-9a-f]{32})", self.expect("challenge [0-9a-f]{32}\r\nanswer: ")).group(1)


def answer(nonce, key):
    return hmac.new(key, b"nefia console\0" + nonce.encode(), hashlib.sha256).hexdigest().encode()


def locked(line):
    for _ in range(2):
        line.send(answer(line.challenge(), b"not the key of this router") + b"\r")
    line.send(random.Random(15).randbytes(4096))
    line.challenge()
    if PROMPT in line.seen:
        sys.exit("it is open")
    return "wrong answers and noise do not open the serial line"


COMMANDS = {
    "help": "this list", "version": "big|mips", "status": "Connection", "sensors": "disk_usage: ", "events": "beacon.started",
    "link": "Failures|connecting", "link try": "trying now|not waiting", "net": "(?s)eth0: up.*10.99.0.2/24.*FAILS",
    "config check": "OK", "config reload": "reloaded", "log": "Z ", "policy capabilities": "Commands",
    "spool export": "beacon.started", "emit test.cable critical by=cable": "accepted",
}


def opened(line):
    line.send(answer(line.challenge(), KEY) + b"\r")
    line.expect(PROMPT)
    for command, pattern in COMMANDS.items():
        line.command(command, pattern)
    line.send(b"watch\r")
    line.expect("any key ends it")
    line.send(b"q")
    line.expect(PROMPT)
    return f"the key opens it, and {len(COMMANDS) + 1} commands answer"


def killed(line):
    line.command("status", "cannot reach the daemon")
    line.command("log", "test.cable")
    line.command("events", "(?s)on flash, in .*critical.*test.cable")
    line.send(b"exit\r")
    line.expect("challenge")
    return "with the daemon dead the log and the events on flash are there"


print({"locked": locked, "opened": opened, "killed": killed}[sys.argv[2]](Line(sys.argv[1])))
