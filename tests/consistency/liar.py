"""A cart server that tells the truth, or not: what the load has to notice.

It keeps carts in memory, speaks enough HTTP/1.1, and asks `tamper(kind, cart)` before
each request what to do with it: one of the words of TAMPERS, or None.
"""
import itertools
import json
import socket
import socketserver
import struct
import threading
import time

PROBLEMS = {"refused": (503, "database-unavailable"), "overloaded": (503, "overloaded"),
            "unknown": (503, "outcome-unknown"), "unknown-done": (503, "outcome-unknown"),
            "gateway": (502, "bad-gateway"), "gateway-done": (504, "gateway-timeout"),
            "error": (500, "internal"), "missing": (404, "not-found")}
TAMPERS = set(PROBLEMS) | {
    "drop",         # the connection, without an answer and without an effect
    "drop-done",    # the same, with the effect
    "half",         # half of an answer, then drop
    "close",        # a good answer, then Connection: close
    "slow",         # a good answer after 300 ms
    "old",          # the cart before its latest write
    "forget",       # an acknowledged write without an effect
    "twice",        # a write with two effects
    "other-cart",   # the right version with another cart's name in the body
    "no-etag", "other-etag", "other-body", "chunked",
}
FIRST = "2026-01-01T00:00:00.%06dZ"


class Server:
    """Listens on `port` until closed. `final()` is what a database would hold."""

    def __init__(self, tamper=lambda kind, cart: None):
        self.tamper = tamper
        self.lock = threading.Lock()
        self.carts = {}
        self.before = {}  # each cart as it was one version ago
        self.keys = {}
        self.requests = []  # (method, path, headers, body)
        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler,
                                                   bind_and_activate=False)
        self.tcp.daemon_threads = True
        self.tcp.allow_reuse_address = True
        self.tcp.request_queue_size = 100
        self.tcp.owner = self
        self.tcp.server_bind()
        self.tcp.server_activate()
        self.port = self.tcp.server_address[1]
        threading.Thread(target=self.tcp.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.tcp.shutdown()
        self.tcp.server_close()

    def final(self):
        with self.lock:
            return {name: (cart["version"], cart["item_count"])
                    for name, cart in self.carts.items()}

    def empty(self, name):
        return {"user_id": name, "version": 0, "items": [], "item_count": 0,
                "total": 0.0, "updated_at": None}

    def add(self, name, line):
        """One unit more; returns the cart as it then is."""
        old = self.carts.get(name, self.empty(name))
        items = [dict(item) for item in old["items"]]
        for item in items:
            if item["product_id"] == line["product_id"]:
                item["name"] = line["name"]
                item["quantity"] += line["quantity"]
                break
        else:
            items.append(dict(line))
        self.before[name] = old
        cart = dict(old, version=old["version"] + 1, items=items,
                    item_count=old["item_count"] + line["quantity"],
                    updated_at=FIRST % (old["version"] + 1))
        self.carts[name] = cart
        return cart

    def write(self, name, line, key, word):
        """(status, cart) of a write, which a key does once."""
        with self.lock:
            if key in self.keys and word != "twice":
                return 200, self.keys[key]
            if word == "forget":
                old = self.carts.get(name, self.empty(name))
                return 200, dict(old, version=old["version"] + 1,
                                 item_count=old["item_count"] + 1)
            status = 200 if name in self.carts else 201
            cart = self.add(name, line)
            if word == "twice":
                self.add(name, line)
            if key:
                self.keys[key] = cart
            return status, cart

    def read(self, name, word):
        with self.lock:
            carts = self.before if word == "old" else self.carts
            return 200, carts.get(name, self.empty(name))


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    numbers = itertools.count(1)

    def handle(self):
        try:
            while self.converse():
                pass
        except ConnectionError:
            pass

    def converse(self):
        first = self.rfile.readline()
        if not first:
            return False
        method, path, _ = first.decode().split()
        headers = {}
        for field in iter(self.rfile.readline, b"\r\n"):
            name, _, value = field.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        owner = self.server.owner
        owner.requests.append((method, path, headers, body))
        name = path.split("/")[2]
        word = owner.tamper("w" if method == "POST" else "r", name)
        done = word is None or word not in PROBLEMS and word not in ("drop", "half")
        if method == "POST":
            status, cart = None, None
            if done or word in ("unknown-done", "gateway-done"):
                status, cart = owner.write(name, json.loads(body),
                                           headers.get("idempotency-key"), word)
        else:
            status, cart = owner.read(name, word)
        return self.answer(word, status, cart)

    def answer(self, word, status, cart):
        if word in ("drop", "drop-done"):
            # With a reset, so that the load cannot take it for the end of an answer.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
            return False
        if word == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user")
            return False
        if word in PROBLEMS:
            status, code = PROBLEMS[word]
            self.send(status, json.dumps({"status": status, "code": code},
                                         separators=(",", ":")), [])
            return True
        if word == "slow":
            time.sleep(0.3)
        version, shown = cart["version"], dict(cart)
        if word == "other-etag":
            version += 1
        if word == "other-cart":
            shown["user_id"] += "0"
        if word == "other-body":
            shown["updated_at"] = "never"
        fields = ["X-Cache: HIT",
                  "Server-Timing: app;dur=0.031, redis;desc=\"replica-%d\";dur=0.191"
                  % (1 + next(self.numbers) % 2)]
        if word != "no-etag":
            fields.append("ETag: \"%d\"" % version)
        if word == "close":
            fields.append("Connection: close")
        if word == "chunked":
            fields.append("Transfer-Encoding: chunked")
        self.send(status, json.dumps(shown, separators=(",", ":")), fields)
        return word != "close"

    def send(self, status, body, fields):
        if "Transfer-Encoding: chunked" not in fields:
            fields = ["Content-Length: %d" % len(body)] + fields
        head = "HTTP/1.1 %d Whatever\r\nServer: liar\r\n%s\r\n\r\n" % (
            status, "\r\n".join(fields))
        self.wfile.write(head.encode() + body.encode())
