"""Redis nodes stopped, killed and crowded; keys, scripts and clients lost."""
import contextlib
import os
import tempfile

from lib.stack import free_ports, until
from node import Node, RedisError


# Replicas

def replicas_stopped(stage, seconds, count=1):
    nodes = stage.replicas()[:count]
    with stage.stopped(*[node.part for node in nodes]):
        stage.wait(seconds)


def replica_killed(stage, seconds=0.5):
    """It comes back empty, and takes a full copy."""
    with stage.dead(stage.replicas()[0].part):
        stage.wait(seconds)


@contextlib.contextmanager
def extra_replica(stage, of):
    """A replica of that node which the configuration does not know, once in step."""
    node = Node("extra", free_ports())
    directory = tempfile.mkdtemp(dir=stage.dir)
    conf = os.path.join(stage.stack.dir, "redis-conf", "replica.conf")
    command = ["redis-server", conf, "--bind", "127.0.0.1", "--port", str(node.port),
               "--dir", directory, "--replicaof", "127.0.0.1", str(of.port)]
    with stage.program(command):
        in_step = until(lambda: node.info().get("master_link_status") == "up", 5)
        if not in_step:
            raise RuntimeError("the extra replica does not follow")
        yield node


def third_replica(stage, seconds=2):
    with extra_replica(stage, stage.master()):
        stage.wait(seconds)


def third_for_stopped(stage, seconds=1.5):
    """As many acknowledge as are configured, but not the ones that are configured."""
    with extra_replica(stage, stage.master()):
        with stage.stopped(stage.replicas()[0].part):
            stage.wait(seconds)


def third_for_dead(stage, seconds=1.5):
    with extra_replica(stage, stage.master()):
        with stage.dead(stage.replicas()[0].part):
            stage.wait(seconds)


def sub_replica(stage, seconds=1.5):
    """A replica of a replica, and the other one stands still."""
    first, second = stage.replicas()
    with extra_replica(stage, first), stage.stopped(second.part):
        stage.wait(seconds)


def reparented(stage, seconds):
    """A configured replica follows the other one, late and unknown to the master."""
    first, second = stage.replicas()
    try:
        second.follow(first.port)
        stage.wait(seconds)
    finally:
        second.follow(stage.master().port)


# The master, which stays the master

def master_stopped(stage, seconds):
    with stage.stopped(stage.master().part):
        stage.wait(seconds)


def master_restarted(stage):
    """Same address, nothing in it, another replication id."""
    master = stage.master()
    with stage.dead(master.part):
        pass


def master_dead(stage, seconds):
    with stage.dead(stage.master().part):
        stage.wait(seconds)


def master_paused(stage, kind, seconds=1):
    """It takes commands and answers none of them (or no writes) for that time."""
    stage.master().call("CLIENT", "PAUSE", int(seconds * 1000), kind)
    stage.wait(seconds)


def all_stopped(stage, seconds):
    """They wake up one by one."""
    with contextlib.ExitStack() as stack:
        for node in [stage.master(), *stage.replicas()]:
            stack.enter_context(stage.stopped(node.part))
            stack.callback(stage.wait, stage.chance.uniform(0, 0.3))
        stage.wait(seconds)


def all_dead(stage, seconds):
    with stage.dead(*[node.part for node in stage.nodes]):
        stage.wait(seconds)


# Its memory

@contextlib.contextmanager
def configured(node, **settings):
    """CONFIG SET for a while; names have _ for -. maxmemory_clients=0 where memory gets
    scarce: else all clients are cut off, which is another fault."""
    names = {name.replace("_", "-"): value for name, value in settings.items()}
    before = {name: node.call("CONFIG", "GET", name)[1] for name in names}
    try:
        for name, value in names.items():
            node.call("CONFIG", "SET", name, value)
        yield
    finally:
        for name, value in before.items():
            # Gone meanwhile: its next start reads its file.
            with contextlib.suppress(OSError, RedisError):
                node.call("CONFIG", "SET", name, value)


def evict(stage, number):
    """That many carts, or fewer, are gone."""
    master = stage.master()
    keys = master.try_call("KEYS", "cart:*") or []
    if keys:
        master.try_call("DEL", *stage.chance.sample(keys, min(number, len(keys))))


def squeezed(stage, seconds=3):
    """Again and again there is room for less than there is: keys are evicted."""
    master = stage.master()
    with configured(master, maxmemory_clients=0, maxmemory=0):
        for _ in range(int(seconds / 0.1)):
            used = int(master.info("memory").get("used_memory", 0))
            if used:
                less = stage.chance.randrange(0, 200_000)
                master.try_call("CONFIG", "SET", "maxmemory", used - less)
            stage.wait(0.1)


def crowded(stage, seconds=2):
    """Whatever is set is evicted at once, or cannot be set at all."""
    with configured(stage.master(), maxmemory_clients=0, maxmemory="2mb"):
        stage.wait(seconds)


def out_of_memory(stage, seconds=1.5):
    """Every SET is refused: OOM."""
    with configured(stage.master(), maxmemory_clients=0, maxmemory_policy="noeviction",
                    maxmemory=100_000):
        stage.wait(seconds)


def too_few_replicas(stage, seconds=1.5):
    """Every SET is refused: NOREPLICAS."""
    with configured(stage.master(), min_replicas_to_write=3, min_replicas_max_lag=10):
        stage.wait(seconds)


def repeated(stage, words, times=6, nodes="master"):
    """One command again and again, on the master or on all nodes."""
    for _ in range(times):
        for node in [stage.master()] if nodes == "master" else stage.nodes:
            node.try_call(*words)
        stage.wait(0.25)
