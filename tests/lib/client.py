"""An HTTP/1.1 client that sends what it is told, also what no library would send.

It never repeats a request by itself: a connection that the server has closed is noticed
before a request is sent on it, and anything later is reported as ConnectionError.
"""
import http.client
import json
import select
import socket
from decimal import Decimal

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"


class Response:
    """One answer. Header names are compared without case; `body` is bytes."""

    def __init__(self, raw):
        self.status = raw.status
        self.version = raw.version
        self.headers = raw.headers
        self.body = raw.read()
        self.closes = raw.will_close

    def header(self, name, default=None):
        return self.headers.get(name, default)

    def json(self):
        """The body's value; numbers with a fraction are Decimals with all digits."""
        return json.loads(self.body.decode("utf-8"), parse_float=Decimal,
                          object_pairs_hook=unique_keys)

    @property
    def code(self):
        """The `code` of a problem document, or None."""
        try:
            value = self.json()
        except ValueError:
            return None
        return value.get("code") if isinstance(value, dict) else None

    def timing(self):
        """Server-Timing as {name: (milliseconds, description)}."""
        entries = {}
        for entry in (self.header("Server-Timing") or "").split(","):
            name, *params = [part.strip() for part in entry.split(";")]
            pairs = dict(param.split("=", 1) for param in params)
            if name:
                entries[name] = (float(pairs["dur"]), pairs.get("desc", "").strip('"'))
        return entries

    @property
    def node(self):
        """The Redis node that took part, or None."""
        return self.timing().get("redis", (0, None))[1]

    def __str__(self):
        headers = " ".join("%s: %s;" % pair for pair in self.headers.items())
        return "%d %s %s" % (self.status, headers,
                             self.body[:300].decode("utf-8", "replace"))


def unique_keys(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is there twice")
    return value


def encode(method, path, body, headers, host):
    """The bytes of one request. `body`: bytes, str, None, or a value sent as JSON."""
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode("utf-8")
    fields = {"Host": host}
    if body is not None:
        fields.update({"Content-Type": JSON_TYPE, "Content-Length": str(len(body))})
    elif method in ("POST", "PUT"):
        fields["Content-Length"] = "0"
    fields.update(headers or {})
    head = "".join("%s: %s\r\n" % (name, value) for name, value in fields.items()
                   if value is not None)
    path = path if isinstance(path, bytes) else path.encode("utf-8")
    return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (
        method.encode(), path, head.encode("utf-8"), body or b"")


class Client:
    """One connection, kept open. `seen` is called with (method, path, Response)."""

    def __init__(self, address, timeout=15, seen=None):
        self.address = address
        self.timeout = timeout
        self.seen = seen
        self.sock = None

    def request(self, method, path, body=None, headers=None):
        """Sends one request and reads the answer. A header of None is left out."""
        self.connect()
        try:
            self.sock.sendall(encode(method, path, body, headers, "%s:%d" % self.address))
            answer = self.read(method)
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise ConnectionError("%s %s: %r" % (method, path, e)) from e
        if self.seen and isinstance(path, str):
            self.seen(method, path, answer)
        return answer

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def raw(self, data, method="GET"):
        """Sends bytes as they are on a connection of their own, reads one answer."""
        self.close()
        self.connect()
        try:
            self.sock.sendall(data)
            return self.read(method)
        except (OSError, http.client.HTTPException) as e:
            raise ConnectionError("%r: %r" % (data[:80], e)) from e
        finally:
            self.close()

    def connect(self):
        if self.sock and select.select([self.sock], [], [], 0)[0]:
            self.close()
        if not self.sock:
            self.sock = socket.create_connection(self.address, self.timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, method="GET"):
        """Reads the next answer from the open connection."""
        raw = http.client.HTTPResponse(self.sock, method=method)
        try:
            raw.begin()
            answer = Response(raw)
        finally:
            raw.close()
        if answer.closes:
            self.close()
        return answer

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None
