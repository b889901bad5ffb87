"""Redis nodes killed and stopped under load: nobody notices but the clock."""
import os
import time

from lib.load import Load
from lib.stack import REDIS, until

GOOD = {"product_id": 1, "name": "n", "price": 1}
REPLICAS = ("replica-1", "replica-2")
OUTAGES = (("replica-1",), ("replica-2",), REPLICAS, ("master",), tuple(REDIS))


def run(tap, stack):
    for nodes in OUTAGES:
        for kind in ("kill -9", "SIGSTOP"):
            title = "%s of %s" % (kind, "all" if len(nodes) == 3 else " and ".join(nodes))
            tap.group(title, outage, tap, stack, title, kind, nodes)
    tap.group("connections cut", connections_cut, tap, stack)
    tap.group("written meanwhile", written_meanwhile, tap, stack)
    tap.group("socket lost", socket_lost, tap, stack)


def ready(stack):
    return stack.client().get("/health/ready")


def healthy(stack):
    answer = ready(stack)
    return answer if answer.json()["status"] == "ok" else None


def degraded(stack, nodes):
    """The answer when these nodes are told to be out; a replica goes with its master."""
    answer = ready(stack)
    told = {node for node, state in answer.json()["redis"].items() if state != "ok"}
    good = "master" in told if "master" in nodes else told == set(nodes)
    return answer if good else None


def outage(tap, stack, title, kind, nodes):
    # Sixteen carts: more than three writers of one at a time, while a replica is out,
    # may be refused (ARCHITECTURE.md).
    with Load(stack, carts=16) as load:
        until(lambda: set(load.hits(0)) >= set(REPLICAS), 10)
        for node in nodes:
            (stack.kill if kind == "kill -9" else stack.freeze)("redis-" + node)
        begin = time.monotonic()
        told = until(lambda: degraded(stack, nodes), 10)
        tap.ok(told and told.status == 200 and told.json()["status"] == "degraded",
               title + ": ready is degraded and still 200", str(told or ready(stack)))
        since = time.monotonic()
        left = set(REPLICAS) - set(nodes) or ({"master"} - set(nodes))
        if "master" in nodes:
            time.sleep(1)
        else:
            # Once the keeper misses a replica, from the master alone.
            until(lambda: sum(load.hits(since).values()) > 20, 10)
            tap.ok(load.hits(since) and set(load.hits(since)) <= left | {"master"},
                   title + ": hits come from who is left", load.hits(since))
        if len(nodes) == 3:
            served = [a for a in load.answers if a.begin > since and a.method == "GET"]
            tap.ok(served and not any(a.cache == "HIT" for a in served),
                   title + ": PostgreSQL alone answers", str(served[:3]))
        for node in nodes:
            (stack.start if kind == "kill -9" else stack.thaw)("redis-" + node)
        tap.ok(until(lambda: healthy(stack), 20), title + ": all are back by themselves",
               str(ready(stack)))
        since = time.monotonic()
        until(lambda: set(load.hits(since)) >= set(REPLICAS), 10)
        tap.ok(set(load.hits(since)) >= set(REPLICAS),
               title + ": so are the hits of both",
               str(load.hits(since)))
    tap.none(load.broken(), title + ": no 5xx, no broken connection")
    slow = [a for a in load.answers if a.begin >= begin and a.end - a.begin > 5]
    tap.none(slow, title + ": nobody waited for long")
    load.verify(tap, title)


def written_meanwhile(tap, stack):
    """What Redis could not be told must not be read for the old cart's 30 minutes."""
    client, paths = stack.client(), ["/cart/meanwhile-%d" % i for i in range(20)]
    for path in paths:
        client.request("POST", path + "/add", GOOD)
        until(lambda: client.get(path).header("X-Cache") == "HIT", 5)
    stack.freeze("redis-master")
    until(lambda: degraded(stack, ["master"]), 10)
    written = [client.request("POST", path + "/add", GOOD) for path in paths]
    tap.equal({answer.status for answer in written}, {200}, "writes without the master")
    stack.thaw("redis-master")
    until(lambda: healthy(stack), 20)

    def agree():
        reads = [client.get(path) for path in paths for _ in range(4)]
        return all(read.json()["version"] == 2 for read in reads)
    tap.ok(until(agree, 5), "are read once it is back",
           [client.get(path).body.decode() for path in paths[:3]])


def connections_cut(tap, stack):
    """Redis closes every connection, in the middle of what they do."""
    with Load(stack) as load:
        for _ in range(5):
            for node in REDIS:
                stack.redis(node, "CLIENT", "KILL", "TYPE", "normal")
            time.sleep(0.3)
    tap.none(load.broken(), "connections to Redis cut: no 5xx")
    tap.ok(until(lambda: healthy(stack), 10), "and they are back", str(ready(stack)))
    load.verify(tap, "connections to Redis cut")


def socket_lost(tap, stack):
    """This machine's nodes are reached by their sockets, and without those by TCP."""
    path = "%s/redis-%s.sock" % (stack.variable("REDIS_SOCKET_DIR"),
                                 stack.redis_port + REDIS["replica-1"])

    def by_socket(line):
        return " addr=%s:0 " % path in " " + line

    def clients():
        """Of the program and the keeper, and not the one that asks."""
        lines = stack.redis("replica-1", "CLIENT", "LIST", "TYPE", "normal").splitlines()
        return [line for line in lines if " cmd=client" not in line]

    tap.ok(until(lambda: clients() and all(by_socket(line) for line in clients()), 10),
           "replica-1 is reached by its socket", "\n".join(clients()))
    os.unlink(path)
    stack.redis("replica-1", "CLIENT", "KILL", "TYPE", "normal")
    tap.ok(until(lambda: healthy(stack) and clients(), 10)
           and not any(by_socket(line) for line in clients()),
           "and by TCP when that is gone", "\n".join(clients()))
    stack.stop("redis-replica-1")
    stack.start("redis-replica-1")
    tap.ok(until(lambda: healthy(stack) and clients()
                 and all(by_socket(line) for line in clients()), 10),
           "and by the socket again", "\n".join(clients()))
