"""A disk made of memory, as a FUSE file system served by this process, that refuses on purpose and forgets on a power cut
what was not synced. Needed are root, a private mount namespace and /dev/fuse. The layouts are those of <linux/fuse.h>."""
import ctypes
import errno
import os
import random
import stat
import struct
import subprocess
import sys
import threading
import time

LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, UNLINK, RENAME = 1, 2, 3, 4, 9, 10, 12
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 14, 15, 16, 17, 18, 20, 25, 26
OPENDIR, RELEASEDIR, FSYNCDIR, CREATE, INTERRUPT, BATCH_FORGET = 27, 29, 30, 35, 36, 42
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)
SET_SIZE = 1 << 3
DIRECT_IO = 1  # reads bypass the page cache
ROOT = 1
PAGE = 512


def private_mounts():
    """Run this script again in a mount namespace of its own. Return: why that cannot be, or None."""
    if os.geteuid() != 0:
        return "a disk of one's own takes root"
    if os.environ.get("FAULT_MOUNTS") == str(os.getpid()):
        return None
    test = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    if test.returncode != 0:
        return "no private mounts: " + test.stderr.strip()
    os.environ["FAULT_MOUNTS"] = str(os.getpid())  # exec keeps it
    os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


class Node:
    """A file or the directory. `safe` is what a power cut leaves in any case."""

    def __init__(self, directory=False):
        self.directory = directory
        self.data = {} if directory else bytearray()
        self.safe = {} if directory else b""
        self.mode = (stat.S_IFDIR | 0o700) if directory else (stat.S_IFREG | 0o600)


class Disk:
    """One directory of files. `refusing`: the chance that a call that changes or syncs something fails with `error`; a write
    may have been done in part then, as on a real disk. `slow`: a sync takes up to so many seconds."""

    def __init__(self, path, seed):
        self.path = path
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.nodes = {ROOT: Node(directory=True)}
        self.next = ROOT + 1
        self.refusing, self.error, self.slow = 0.0, errno.EIO, 0.0
        self.refused = self.syncs = self.cuts = self.forgotten = 0
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        os.mkdir(path)
        libc = ctypes.CDLL(None, use_errno=True)
        options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % self.fd
        if libc.mount(b"nefia", path.encode(), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mounting a FUSE file system")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        ctypes.CDLL(None).umount2(self.path.encode(), 2)

    # ---- the power ----

    def cut_power(self):
        """Whoever had files open is being killed. Names are as they were when the directory was synced, or as they are now; of a
        file, what was synced stays, and of what was not any pages or none, up to its old or its new length."""
        with self.lock:
            self.cuts += 1
            root = self.nodes[ROOT]
            for name in set(root.data) | set(root.safe):
                if root.data.get(name) != root.safe.get(name) and self.random.random() < 0.5:
                    old = root.safe.get(name)
                    root.data.pop(name, None)
                    if old is not None:
                        root.data[name] = old
            root.safe = dict(root.data)
            for node in self.nodes.values():
                if not node.directory and node.data != node.safe:
                    self.forget(node)

    def forget(self, node):
        new, old = bytes(node.data), node.safe
        length = self.random.randint(min(len(new), len(old)), max(len(new), len(old)))
        kept = bytearray(old[:length].ljust(length, b"\0"))
        for at in range(0, length, PAGE):
            if self.random.random() < 0.5:
                kept[at:at + PAGE] = new[at:min(at + PAGE, length)].ljust(min(PAGE, length - at), b"\0")
        self.forgotten += 1
        node.data, node.safe = kept, bytes(kept)

    # ---- requests ----

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 18)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # unmounted
            op, unique, nodeid = struct.unpack_from("<4xIQQ", request)
            cuts = self.cuts
            if op in (FSYNC, FSYNCDIR):
                time.sleep(self.random.uniform(0, self.slow))
            with self.lock:
                try:
                    if self.cuts != cuts:
                        raise OSError(errno.EIO, "there was no power")
                    reply, error = self.answer(op, nodeid, request[40:]), 0
                except OSError as e:
                    reply, error = b"", e.errno
            if op not in SILENT:
                try:
                    os.write(self.fd, struct.pack("<IiQ", 16 + len(reply), -error, unique) + reply)
                except OSError:
                    pass  # the requester was killed meanwhile

    def refuse(self):
        if self.random.random() < self.refusing:
            self.refused += 1
            return True
        return False

    def may(self):
        if self.refuse():
            raise OSError(self.error, "refused")

    def attributes(self, nodeid):
        node = self.nodes[nodeid]
        return struct.pack("<6Q10I", nodeid, 0 if node.directory else len(node.data), 0, 0, 0, 0, 0, 0, 0, node.mode, 1, 0, 0,
                           0, 4096, 0)

    def entry(self, nodeid):
        return struct.pack("<4QII", nodeid, 0, 0, 0, 0, 0) + self.attributes(nodeid)

    def find(self, name):
        nodeid = self.nodes[ROOT].data.get(name)
        if nodeid is None:
            raise OSError(errno.ENOENT, "no such file")
        return nodeid

    def write(self, node, body):
        offset, size = struct.unpack_from("<8xQI", body)
        data = body[40:40 + size]
        if self.refuse():
            data = data[:self.random.randrange(len(data) + 1)]
            if not data:
                raise OSError(self.error, "refused")
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset:offset + len(data)] = data
        return struct.pack("<II", len(data), 0)

    def sync(self, node):
        self.syncs += 1
        self.may()
        node.safe = dict(node.data) if node.directory else bytes(node.data)
        return b""

    def create(self, body):
        name = body[16:].split(b"\0")[0]
        self.may()
        nodeid, self.next = self.next, self.next + 1
        self.nodes[nodeid] = Node()
        self.nodes[ROOT].data[name] = nodeid
        return self.entry(nodeid) + struct.pack("<QII", 0, DIRECT_IO, 0)

    def set_attributes(self, nodeid, body):
        valid, size = struct.unpack_from("<I12xQ", body)
        if valid & SET_SIZE:
            self.may()
            data = self.nodes[nodeid].data
            del data[size:]
            data.extend(bytes(size - len(data)))
        return struct.pack("<QII", 0, 0, 0) + self.attributes(nodeid)

    def answer(self, op, nodeid, body):
        name = body.split(b"\0")[0]
        if op == INIT:
            return struct.pack("<IIIIHHIIHHI", 7, 31, 0, 0, 8, 8, 1 << 17, 1, 0, 0, 0).ljust(64, b"\0")
        if op == LOOKUP:
            return self.entry(self.find(name))
        if op == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(nodeid)
        if op == SETATTR:
            return self.set_attributes(nodeid, body)
        if op == CREATE:
            return self.create(body)
        if op == UNLINK:
            self.find(name)
            self.may()
            del self.nodes[ROOT].data[name]
            return b""
        if op == RENAME:
            old, new = body[8:].split(b"\0")[:2]
            self.find(old)
            self.may()
            self.nodes[ROOT].data[new] = self.nodes[ROOT].data.pop(old)
            return b""
        if op in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 0 if op == OPENDIR else DIRECT_IO, 0)
        if op == READ:
            offset, size = struct.unpack_from("<8xQI", body)
            return bytes(self.nodes[nodeid].data[offset:offset + size])
        if op == WRITE:
            return self.write(self.nodes[nodeid], body)
        if op in (FSYNC, FSYNCDIR):
            return self.sync(self.nodes[nodeid])
        if op in (FLUSH, RELEASE, RELEASEDIR, *SILENT):
            return b""
        raise OSError(errno.ENOSYS, "not needed")
