"""What a scenario has asked and been answered, as a history for the checker."""
import hashlib
import json
import os
import threading
import time

import checker

# Refused before anything was changed.
NO_EFFECT = ("database-unavailable", "overloaded")


class Ledger:
    """One scenario's operations, on carts whose names begin with its own."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.lock = threading.Lock()
        self.lines = []
        self.writes = 0

    def next_id(self):
        with self.lock:
            self.writes += 1
            return "w%d" % self.writes

    def note(self, kind, cart, begin, answer, name="-"):
        """An operation that ends now."""
        end = time.monotonic_ns()
        version, units, digest = -1, -1, 0
        if answer.status in (200, 201):
            body = json.loads(answer.body)
            version, digest = answer.version, hash_of(answer.body)
            if (body["user_id"], body["version"]) == (cart, version):
                units = body["item_count"]
        elif kind == "w" and problem_code(answer) in NO_EFFECT:
            version = 0
        fields = (kind, begin, end, cart, answer.status, version, answer.cache,
                  answer.node, units, "%016x" % digest, name)
        with self.lock:
            self.lines.append("\t".join(map(str, fields)) + "\n")

    def judge(self, rows, directory):
        """The checker's Verdict; rows: cart, version, units from the database."""
        history, final = (os.path.join(directory, name) for name in ("history", "final"))
        with open(history, "w") as file:
            file.writelines(self.lines)
        with open(final, "w") as file:
            file.writelines("\t".join(row) + "\n" for row in rows)
        return checker.check(history, final)


def hash_of(body):
    return int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big") or 1


def problem_code(answer):
    try:
        return json.loads(answer.body).get("code")
    except ValueError:
        return None
