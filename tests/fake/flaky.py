"""A server of loopback that is well, fails or is slow, as a file says: flaky.py PORT FILE.

Whoever connects gets "well" and the connection closes. FILE has "EVERY DELAY": each so-many-th connection closes without
(0: none), and the others wait for DELAY seconds."""
import socket
import sys
import time

with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    count = 0
    while True:
        connection, _ = server.accept()
        with open(sys.argv[2]) as f:
            every, delay = f.read().split()
        count += 1
        with connection:
            if int(every) == 0 or count % int(every) != 0:
                time.sleep(float(delay))
                try:
                    connection.sendall(b"well\n")
                except OSError:
                    pass # it has given up
