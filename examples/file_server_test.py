"""Starts the file server, asks it for several files at once, and compares what comes.

Usage: file_server_test.py PROGRAM"""

import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

TIMEOUT = 120
SIZES = {"empty": 0, "small": 10, "exact": 65536, "odd": 200001, "large": 8 << 20}


def connect(port):
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def receive(peer):
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def fetch(port, line, pause=None):
    """Returns the first line of the answer, and the body. pause: called in the middle."""
    with connect(port) as peer:
        text = (line + "\r\n\r\n").encode()
        peer.sendall(text[:5])
        if pause:
            pause()
        peer.sendall(text[5:])
        head, _, body = receive(peer).partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode(), body


def hang_up(port, line, most):
    """Leaves in the middle: after so many bytes of the answer, without a goodbye."""
    with connect(port) as peer:
        peer.sendall(line.encode())
        got = 0
        while got < most:
            got += len(peer.recv(most - got))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Clients:
    """Runs checks at once; keeps what went wrong."""

    def __init__(self):
        self.threads, self.wrong = [], []

    def add(self, check, *arguments):
        def run():
            try:
                check(*arguments)
            except Exception as error:  # whatever it is, it is told at the end
                self.wrong.append(f"{check.__name__}{arguments[1:]}: {error!r}")
        self.threads.append(threading.Thread(target=run))

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(TIMEOUT)


def check_file(port, name, content):
    status, body = fetch(port, f"GET /{name} HTTP/1.0")
    if status != "HTTP/1.0 200 OK" or body != content:
        raise ValueError(f"{status}, {len(body)} bytes")


def check_missing(port, line):
    status, body = fetch(port, line)
    if status != "HTTP/1.0 404 Not Found" or body:
        raise ValueError(f"{status}, {len(body)} bytes")


def check_refused(port, text):
    with connect(port) as peer:
        try:  # the server may hang up at any moment
            peer.sendall(text)
            peer.shutdown(socket.SHUT_WR)
            answer = receive(peer)
        except OSError:
            answer = b""
        if answer:
            raise ValueError(answer[:100])


def main(program):
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        public = os.path.join(folder, "public")
        os.mkdir(public)
        contents = {name: random.randbytes(size) for name, size in SIZES.items()}
        for name, content in contents.items():
            with open(os.path.join(public, name), "wb") as file:
                file.write(content)
        with open(os.path.join(folder, "secret"), "w") as file:
            file.write("secret")
        clients = Clients()
        missing = ["GET /none HTTP/1.0", "GET /../secret HTTP/1.0", "GET / HTTP/1.0",
                   "PUT /small HTTP/1.0"]
        refused = [b"", b"GET", b"nonsense\r\n\r\n", b"x" * 10000]
        served, dropped = 4 * len(SIZES), 3 + len(refused)
        count = served + len(missing) + dropped
        server = subprocess.Popen([program, public, str(count)], stdout=subprocess.PIPE, text=True)
        port = int(re.fullmatch(r"port (\d+)\n", server.stdout.readline())[1])
        for name, content in contents.items():
            for _ in range(4):
                clients.add(check_file, port, name, content)
        for line in missing:
            clients.add(check_missing, port, line)
        for text in refused:
            clients.add(check_refused, port, text)
        for most in (1, 1000, 100000):
            clients.add(hang_up, port, "GET /large HTTP/1.0\r\n\r\n", most)
        clients.run()
        output = server.communicate(timeout=TIMEOUT)[0]
    print(output)
    expected = (f"connections {count}: {served} served, {len(missing)} missing, "
                f"{dropped} dropped\n")
    wrong = clients.wrong
    if server.returncode != 0:
        wrong.append(f"the server ended with {server.returncode}")
    if expected not in output:
        wrong.append(f"expected: {expected}")
    if "memory: 0 tasks left, 0 pool objects and 0 bytes alive" not in output:
        wrong.append("memory was left")
    for line in wrong:
        print("FAILED:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
