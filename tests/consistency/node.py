"""A Redis node of a stage: asked on a socket of its own, signalled through its part.

redis-cli costs a process for each question, which is too much for something that is asked
every few milliseconds on a machine that is busy on purpose.
"""
import socket


class RedisError(Exception):
    """An error that Redis answered."""


class Node:
    """`name` is the part's name in dev/stack without redis-, whatever its role is now."""

    def __init__(self, name, port):
        self.name = name
        self.part = "redis-" + name
        self.port = port

    def __str__(self):
        return self.name

    def call(self, *words, timeout=2):
        """One command. Strings, integers, None, lists; RedisError; OSError: no answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            sock.sendall(encode(words))
            with sock.makefile("rb") as answer:
                return decode(answer)

    def try_call(self, *words):
        """As call(), but None where it fails: for what may be gone."""
        try:
            return self.call(*words)
        except (OSError, RedisError):
            return None

    def info(self, section="replication"):
        """INFO as a dict; empty when the node does not answer."""
        text = self.try_call("INFO", section) or ""
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def is_master(self):
        return self.info().get("role") == "master"

    def follow(self, port):
        """Makes it a replica of that port, unless it is already."""
        info = self.info()
        if info.get("role") != "slave" or info.get("master_port") != str(port):
            self.call("REPLICAOF", "127.0.0.1", port)

    def promote(self):
        self.call("REPLICAOF", "NO", "ONE")


def encode(words):
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def decode(file):
    line = file.readline().rstrip(b"\r\n")
    kind, rest = line[:1], line[1:]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else file.read(int(rest) + 2)[:-2].decode()
    if kind == b"*":
        return [decode(file) for _ in range(int(rest))]
    raise ConnectionError("Redis answered %r" % line)
