#!/usr/bin/env python3
"""File systems served by this process (FUSE) whose server does not always answer: hanging_fs.py DIRECTORY...

Each DIRECTORY is mounted in the mount namespace that this runs in. While a file DIRECTORY.hangs exists, whoever asks how full it
is waits for an answer, and cannot even be killed, as with a server of NFS that is gone. Prints a line when all are mounted."""
import os
import pathlib
import struct
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "fault"))
import disk

STATISTICS = struct.pack("<5Q4I", 1000, 60, 50, 200, 10, 4096, 255, 4096, 0).ljust(80, b"\0")


class Server(disk.Disk):
    def answer(self, op, nodeid, body):
        if op != disk.STATFS:
            return super().answer(op, nodeid, body)
        while os.path.exists(self.path + ".hangs"):
            time.sleep(0.05)
        return STATISTICS


servers = [Server(path, 0) for path in sys.argv[1:]]
print("mounted", flush=True)
threading.Event().wait()
