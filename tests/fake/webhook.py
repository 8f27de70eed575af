#!/usr/bin/env python3
"""A webhook receiver of foreign make: Python's http.server, and HMAC by Python's hashlib.

    webhook.py DIR SECRET

Writes its port to DIR/port, and one line to DIR/log for each request: path, verdict on the signature
(good, bad, none), and the body. What it answers depends on the path:
    /ok  200      /fail  500      /later  503 the first two times, then 204      /gone  404
    /hang  nothing, until there is DIR/release      /drop  closes      /junk  something that is not HTTP
"""
import hashlib
import hmac
import http.server
import os
import socketserver
import sys
import time

directory, secret = sys.argv[1], sys.argv[2].encode()
seen = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        given = self.headers.get("X-Nefia-Signature")
        want = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        verdict = "none" if given is None else "good" if hmac.compare_digest(given, want) else "bad"
        if self.headers.get("Content-Type") != "application/json" or not self.headers.get("Host"):
            verdict = "bad-headers"
        with open(directory + "/log", "a", encoding="utf-8") as log:
            log.write(f"{self.path} {verdict} {body.decode()}\n")
        seen[self.path] = seen.get(self.path, 0) + 1
        self.answer()

    def answer(self):
        code = {"/fail": 500, "/gone": 404}.get(self.path, 200)
        if self.path == "/later":
            code = 503 if seen[self.path] <= 2 else 204
        if self.path == "/hang":
            while not os.path.exists(directory + "/release"):
                time.sleep(0.05)
            self.close_connection = True
            return
        if self.path == "/drop":
            self.close_connection = True
            return
        if self.path == "/junk":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            self.close_connection = True
            return
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
with open(directory + "/port.new", "w", encoding="ascii") as f:
    f.write(str(server.server_address[1]))
os.rename(directory + "/port.new", directory + "/port")
server.serve_forever()
