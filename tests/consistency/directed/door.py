"""A FastCGI client: asks one process of the program, with nobody in between.

Through nginx nobody can say which process answers; a directed scenario has to.
"""
import socket
import struct

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
RESPONDER = b"\0\1\0\0\0\0\0\0"


class Answer:
    """status, headers (lower-case names) and body; status 0: none came."""

    def __init__(self, raw=b""):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        fields = (line.partition(":") for line in head.decode().split("\r\n"))
        self.headers = {name.lower(): value.strip() for name, _, value in fields}
        self.status = int(self.headers.get("status", "0").split()[0])

    @property
    def cache(self):
        return self.headers.get("x-cache", "-")

    @property
    def version(self):
        return int(self.headers.get("etag", '"-1"').strip('"'))

    @property
    def node(self):
        """The Redis node that took part, or -."""
        _, found, rest = self.headers.get("server-timing", "").partition('redis;desc="')
        return rest.partition('"')[0] if found else "-"

    def __str__(self):
        return "%d %s of %s, version %d" % (self.status, self.cache, self.node,
                                            self.version)


def ask(path, method, uri, body=b"", headers=None, timeout=8):
    """One request to the socket at `path`, on a connection of its own. OSError: no
    connection, no answer in time."""
    params = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "REQUEST_ID": "0" * 32}
    if body:
        params.update({"CONTENT_TYPE": "application/json",
                       "CONTENT_LENGTH": str(len(body))})
    for name, value in (headers or {}).items():
        params["HTTP_" + name.upper().replace("-", "_")] = value
    encoded = b"".join(pair(name.encode(), value.encode())
                       for name, value in params.items())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(path)
        sock.sendall(record(BEGIN, RESPONDER) + record(PARAMS, encoded)
                     + record(PARAMS, b"") + (record(STDIN, body) if body else b"")
                     + record(STDIN, b""))
        with sock.makefile("rb") as file:
            return Answer(read_output(file))


def pair(name, value):
    return struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def record(kind, content):
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def read_output(file):
    output = b""
    while True:
        head = file.read(8)
        if len(head) < 8:
            return b"" if not output else output
        _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", head)
        content = file.read(length + padding)[:length]
        if kind == STDOUT:
            output += content
        if kind == END:
            return output
