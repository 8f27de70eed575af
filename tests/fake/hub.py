#!/usr/bin/env python3
"""A hub of foreign make, for tests of beacons.

    hub.py PORT FILE [MODE]... [key=FILE]

It appends to FILE every event that came, as it came (a plain one with its signature line, if there is one, unchecked), and to
FILE.link one line for each message of link 2: `hello {...}`, `unsure`, `refused N`, `ack N`, `had {...}` (a repetition, which is not
in FILE), `error`, `unknown {...}`, `over REASON`. Modes:
    (none)      never greets: a plain hub
    link        speaks link 2, with the key if one is given; remembers windows as long as it runs
    late=NAME   the same, but greets a connection only when there is a file NAME
    rubbish     says something that is no greeting
    version=N   greets as another version
    wrong-key   link, but signs with another key
    mute        greets and reads, but never welcomes
    withhold    link, but acknowledges nothing while there is a file FILE.withhold
    refuse=TYPE link, but refuses events of that type
    forget      link, with a memory that lasts for one connection
    once        link, as a hub whose rules are not idempotent: an unsure event that is new goes to FILE.link as `maybe {...}`
    window=N    link, with that window
    cut=N       link, but closes each connection after that many events, the last of which is not acknowledged
    mutant=WHAT link, weakened as link2.mutate does; early: acknowledges events that it does not keep, now and then; sessions: a
                hello does not end the host's other sessions
    error=TEXT  answers a hello with an unsigned error

SIGTERM ends it as a real hub ends: it closes its sending side, reads what is still under way, and leaves."""
import os
import selectors
import signal
import socket
import sys

import link2


class Options:
    def __init__(self, words):
        self.port, self.file = int(words[0]), words[1]
        self.set = dict(word.partition("=")[::2] for word in words[2:])
        self.key = None
        if "key" in self.set:
            with open(self.set["key"], "rb") as f:
                self.key = f.read().rstrip(b"\n")
        self.window = int(self.set.get("window", 32))
        self.links = bool(set(self.set) - {"key", "rubbish", "version"})

    def __contains__(self, mode):
        return mode in self.set


class Peer:
    """One connection."""

    def __init__(self, hub, connection):
        self.hub, self.connection = hub, connection
        key = hub.options.key
        self.end = link2.HubEnd((lambda _: [key]) if key else None)
        self.memory = link2.HubMemory() if "forget" in hub.options else hub.memory
        self.greeted = self.unsure = False
        self.acked = self.events = 0
        options = hub.options
        if "rubbish" in options:
            self.send(b"220 mail.example ESMTP\n")
        elif "version" in options:
            self.send(b'{"nefia":%s,"nonce":"%s"}\n' % (options.set["version"].encode(), b"0" * 32))
        self.turn()

    def send(self, data):
        self.connection.sendall(data)

    def due(self):
        options = self.hub.options
        return options.links and not self.greeted and ("late" not in options or os.path.exists(options.set["late"]))

    def turn(self):
        """What is due without input. Return: is the connection to be closed?"""
        if self.due():
            self.greeted = True
            self.send(self.end.greet())
        withheld = "withhold" in self.hub.options and os.path.exists(self.hub.options.file + ".withhold")
        if self.end.welcomed and not withheld and self.acked < self.end.lines_in:
            self.acked = self.end.lines_in
            self.send(self.end.ack(self.acked, self.hub.options.window))
            self.hub.note("ack %d" % self.acked)

    def received(self, data):
        """Return: is the connection to be closed?"""
        if not self.greeted:
            self.end.data += data
            while lines := self.end.cut(2 if self.end.keys else 1):
                self.hub.out.write(b"".join(line + b"\n" for line in lines))
            return False
        try:
            for line in self.end.feed(data):
                if self.take(line):
                    return True
        except link2.LinkError as error:
            self.hub.note("over %s" % error)
            if self.end.hello is None:
                self.send(self.end.error(str(error)))
            return True
        self.turn()
        return False

    def take(self, line):
        options = self.hub.options
        if line.number == 1:
            return self.hello(line)
        if line.said is not None and "type" in line.said:
            return self.event(line)
        if line.said is not None and ("unsure" in line.said or "error" in line.said):
            self.hub.note(next(iter(line.said)))
            self.unsure = "unsure" in line.said
        elif line.said is None:
            self.send(self.end.refuse(line.number, "not JSON", options.window))
        else:
            self.hub.note("unknown %s" % line.bytes.decode())
        return False

    def hello(self, line):
        options = self.hub.options
        self.hub.note("hello %s" % line.bytes.decode())
        if "error" in options:
            self.end.key_out = None
            self.send(self.end.error(options.set["error"]))
            return True
        if "wrong-key" in options:
            self.end.key_out = bytes(32)
        self.hub.end_others(self)
        if "mute" not in options:
            self.send(self.end.welcome(self.memory.hello(line.said["hello"]), options.window))
            self.acked = 1
        return False

    def event(self, line):
        options = self.hub.options
        self.events += 1
        if options.set.get("refuse") == line.said["type"]:
            self.refuse(line, "not an event")
        elif line.number and line.said.get("host_id") != self.end.hello["host_id"]:
            self.refuse(line, "another host_id")
        else:
            verdict = self.memory.take(self.end.hello, line.said) if line.number else "new"
            unsure, self.unsure = self.unsure, False
            if verdict == "below":
                self.refuse(line, "below the window")
            elif verdict == "new" and unsure and "once" in options:
                self.hub.note("maybe %s" % line.bytes.decode())
            elif verdict == "new" and options.set.get("mutant") == "early" and self.events % 16 == 15:
                pass
            elif verdict == "new":
                self.hub.out.write(line.bytes + b"\n")
            else:
                self.hub.note("had %s" % line.bytes.decode())
        return str(self.events) == options.set.get("cut")

    def refuse(self, line, reason):
        self.send(self.end.refuse(line.number, reason, self.hub.options.window))
        self.hub.note("refused %d" % line.number)


class Hub:
    def __init__(self, options):
        self.options = options
        self.memory = link2.HubMemory()
        self.ending = self.stopping = False
        self.out = open(options.file, "ab", buffering=0)
        self.notes = open(options.file + ".link", "ab", buffering=0)
        self.peers = {}
        self.waiting = selectors.DefaultSelector()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", options.port))
        self.listener.listen()
        self.waiting.register(self.listener, selectors.EVENT_READ)

    def note(self, text):
        self.notes.write(text.encode() + b"\n")

    def end(self, *_):
        self.ending = True

    def stop(self):
        self.stopping = True
        self.waiting.unregister(self.listener)
        self.listener.close()
        for connection in self.peers:
            try:
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def end_others(self, peer):
        """A verified hello ends the other sessions of its host, before anything more of theirs is read."""
        if self.options.set.get("mutant") == "sessions":
            return
        for connection, other in list(self.peers.items()):
            if other is not peer and other.end.hello and other.end.hello["host_id"] == peer.end.hello["host_id"]:
                try:
                    other.send(other.end.error("another session of this host"))
                except OSError:
                    pass
                self.close(connection)

    def close(self, connection):
        if connection not in self.peers:
            return
        self.waiting.unregister(connection)
        connection.close()
        self.peers.pop(connection, None)

    def accept(self):
        connection = self.listener.accept()[0]
        try:
            self.peers[connection] = Peer(self, connection)
            self.waiting.register(connection, selectors.EVENT_READ)
        except OSError:
            connection.close()

    def serve(self, connection):
        try:
            data = connection.recv(65536)
            over = not data or self.peers[connection].received(data)
        except OSError:
            over = True
        if over:
            self.close(connection)

    def run(self):
        while not (self.stopping and not self.peers):
            if self.ending and not self.stopping:
                self.stop()
            for key, _ in self.waiting.select(0.05):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj in self.peers:
                    self.serve(key.fileobj)
            for connection, peer in list(self.peers.items()):
                try:
                    peer.turn()
                except OSError:
                    self.close(connection)


if __name__ == "__main__":
    hub = Hub(Options(sys.argv[1:]))
    link2.mutate(hub.options.set.get("mutant"))
    signal.signal(signal.SIGTERM, hub.end)
    hub.run()
