"""A bounded load that knows what must come of it.

Carts are shared by all workers, so writers meet; each line belongs to one worker, so that
worker knows what every write of it must answer and what must be left in the end. A write
whose fate is unknown leaves two possible quantities, until a later answer tells.
"""
import collections
import random
import threading
import time
import uuid

from lib.shape import answer_faults
from lib.stack import SLACK, until

# begin and end are time.monotonic(); status is 0 when the connection broke.
Answer = collections.namedtuple("Answer", "begin end method status code cache node")

# Refused before anything could happen; any other 5xx of a write may have had an effect.
WITHOUT_EFFECT = ("database-unavailable", "overloaded")


class Load:
    """Runs as long as the `with` block. keyed: writes are repeated until they succeed."""

    def __init__(self, stack, workers=8, carts=6, products=5, pause=0.004, keyed=False):
        self.stack = stack
        self.carts = ["load-%s" % uuid.uuid4().hex[:8] for _ in range(carts)]
        self.products = products
        self.pause = pause * SLACK
        self.keyed = keyed
        self.answers = []
        self.faults = []
        self.versions = collections.defaultdict(list)
        self.lines = collections.defaultdict(lambda: {0})
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True)
                        for i in range(workers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)

    def work(self, number):
        try:
            Worker(self, number).run()
        except Exception as e:
            self.faults.append("worker %d: %r" % (number, e))

    # What came of it

    def broken(self, since=0, until_time=float("inf")):
        """The answers of that time that are 5xx or did not come."""
        return [a for a in list(self.answers)
                if (a.status >= 500 or a.status == 0) and since <= a.end
                and a.begin <= until_time]

    def hits(self, since):
        """How many hits each Redis node has served since then."""
        return collections.Counter(a.node for a in list(self.answers)
                                   if a.begin >= since and a.cache == "HIT")

    def verify(self, tap, title):
        """In the end: each line is one that the answers allow, and reads agree."""
        faults = list(self.faults)
        for cart in self.carts:
            rows = self.stack.psql("SELECT product_id, quantity FROM cart_item"
                                   " WHERE user_id = '%s'" % cart)
            found = {int(product): int(quantity) for product, quantity in rows}
            for (user, product), allowed in self.lines.items():
                if user == cart and found.get(product, 0) not in allowed:
                    faults.append("%s, product %d: %d, the answers allow %s" % (
                        cart, product, found.get(product, 0), sorted(allowed)))
            versions = self.versions[cart]
            if len(set(versions)) != len(versions):
                faults.append("%s: two changes have one version" % cart)
            truth = self.stack.psql(
                "SELECT version FROM cart WHERE user_id = '%s'" % cart)
            if versions and int(truth[0][0]) < max(versions):
                faults.append("%s: version %s, answered %d" % (cart, truth,
                                                               max(versions)))
        tap.none(faults, title + ": no acknowledged write is lost, none counted twice")
        tap.none(self.stale(), title + ": then every read agrees with the database")

    def stale(self):
        """Carts that are still read otherwise than the database has them."""
        faults = []
        for cart in self.carts:
            truth = self.stack.psql(
                "SELECT version, (SELECT coalesce(sum(quantity), 0) FROM cart_item"
                " WHERE user_id = '{0}') FROM cart WHERE user_id = '{0}'".format(cart))
            want = [int(value) for value in truth[0]] if truth else [0, 0]
            client = self.stack.client()

            def agrees():
                got = [client.get("/cart/" + cart).json() for _ in range(4)]
                return all([c["version"], c["item_count"]] == want for c in got)
            if not until(agrees, 10, 0.1):
                faults.append("%s: %s, in the database %s" % (
                    cart, client.get("/cart/" + cart), want))
        return faults


class Worker:
    """One client of the load."""

    def __init__(self, load, number):
        self.load = load
        self.random = random.Random(number)
        self.client = load.stack.client(timeout=30)
        first = 1 + number * load.products
        self.own = range(first, first + load.products)

    def run(self):
        while not self.load.ending.is_set():
            cart = self.random.choice(self.load.carts)
            if self.random.random() < 0.6:
                self.ask("GET", "/cart/" + cart)
            else:
                self.write(cart, self.random.choice(self.own))
            self.load.ending.wait(self.random.random() * 2 * self.load.pause)

    def ask(self, method, path, body=None, headers=None):
        """One request, noted; None when the connection broke."""
        begin = time.monotonic()
        try:
            answer = self.client.request(method, path, body, headers)
        except ConnectionError:
            self.note(Answer(begin, time.monotonic(), method, 0, None, None, None))
            return None
        status = answer.status
        self.note(Answer(begin, time.monotonic(), method, status,
                         answer.code if status >= 400 else None,
                         answer.header("X-Cache"), answer.node))
        faults = answer_faults(method, path, answer)
        if faults or (method == "GET" and 300 <= status < 500):
            self.load.faults.append("%s %s: %s %s" % (method, path, faults, answer))
        return answer

    def note(self, answer):
        self.load.answers.append(answer)

    def write(self, cart, product):
        path = "/cart/" + cart
        kind = self.random.choice(["add", "add", "add", "update", "remove"])
        number = self.random.randint(1, 5) if kind == "add" else self.random.randint(0, 9)
        before = self.load.lines[cart, product]
        if kind == "add" and max(before) > 900:
            kind = "remove"
        if kind == "add":
            request = ("POST", path + "/add",
                       {"product_id": product, "name": "P%d" % product,
                                               "price": 1, "quantity": number})
        elif kind == "update":
            request = ("PUT", "%s/update/%d" % (path, product), {"quantity": number})
        else:
            request = ("POST", "%s/remove/%d" % (path, product), None)
        # quantity before -> (status, quantity after)
        outcomes = {old: outcome(kind, old, number) for old in before}
        answer = self.send(request)
        if answer is None or (answer.status >= 500 and answer.code not in WITHOUT_EFFECT):
            after = before | {new for _, new in outcomes.values()}
        elif answer.status >= 500:
            after = before
        else:
            after = self.settle(cart, product, answer, outcomes)
        self.load.lines[cart, product] = after

    def send(self, request):
        """Sends a write; with a key it is sent again until its answer is final."""
        if not self.load.keyed:
            return self.ask(*request)
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        deadline = time.monotonic() + 20 * SLACK
        while True:
            answer = self.ask(*request, headers=headers)
            if answer is not None and answer.status < 500 or time.monotonic() > deadline:
                return answer
            time.sleep(0.05)

    def settle(self, cart, product, answer, outcomes):
        """The quantities that a final answer leaves possible: one, or it is a fault."""
        told = self.told(product, answer)
        fits = [(old, new) for old, (status, new) in outcomes.items()
                if answer.status == status and (status == 404 or new == told)]
        if not fits:
            self.load.faults.append("%s, product %d: wanted %s, got %s" % (
                cart, product, outcomes, answer))
            return {new for _, new in outcomes.values()} | set(outcomes)
        if all(old != new for old, new in fits) and not answer.header(
                "Idempotency-Replayed"):
            self.load.versions[cart].append(answer.json()["version"])
        return {new for _, new in fits}

    @staticmethod
    def told(product, answer):
        """The quantity of the product in the cart that was answered."""
        if answer.status >= 400:
            return None
        return sum(line["quantity"] for line in answer.json()["items"]
                   if line["product_id"] == product)


def outcome(kind, old, number):
    """(status, quantity after) of a write to a line that has `old` units."""
    if kind == "add":
        return (200 if old else 201), old + number
    if not old:
        return 404, old
    return 200, (number if kind == "update" else 0)
