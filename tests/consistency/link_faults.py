"""The link between master and replica: slow, deaf in one direction, cut."""
import contextlib

from proxy import Proxy


@contextlib.contextmanager
def proxied(stage, *replicas):
    """A proxy in front of the master for each of these replicas, which stay in step."""
    master = stage.master()
    with contextlib.ExitStack() as stack:
        proxies = []
        for replica in replicas:
            proxy = stack.enter_context(Proxy(master.port))
            stack.callback(rejoin, stage, replica, proxy)
            replica.call("REPLICAOF", "127.0.0.1", proxy.port)
            proxies.append(proxy)
        yield proxies


def rejoin(stage, replica, proxy):
    """Follow the master itself, unless somebody has led the replica elsewhere."""
    info = replica.info()
    if info.get("master_port") == str(proxy.port):
        replica.follow(stage.master().port)


def delayed(stage, seconds=4, least=100, most=250, meanwhile=None):
    """What replicas show is old, but not older than a lease: nothing else is wrong.

    meanwhile: another fault, during which it is so.
    """
    replicas = stage.replicas()
    with proxied(stage, *replicas) as proxies:
        for proxy in proxies:
            delay = stage.chance.randint(least, most)
            more = stage.chance.choice((0, most - delay))
            proxy.tell("down", "delay", delay, more)
        stage.wait(1 if meanwhile else seconds)
        if meanwhile:
            meanwhile(stage)
            stage.wait(0.5)


def acknowledged_late(stage, seconds=3):
    """The replica is in time, what it acknowledges is not."""
    with proxied(stage, *stage.replicas()) as proxies:
        for proxy in proxies:
            proxy.tell("up", "delay", stage.chance.randint(100, 400))
        stage.wait(seconds)


def deaf(stage, direction, seconds, how="hold"):
    """Nothing comes in one direction: `hold`, later all of it; `drop`, it is lost."""
    with proxied(stage, stage.replicas()[0]) as (proxy,):
        stage.wait(0.3)
        proxy.tell(direction, how)
        stage.wait(seconds)
        proxy.tell(direction, "pass")
        stage.wait(0.3)


def cut(stage, seconds):
    """Both directions end, and it cannot connect for that time."""
    with proxied(stage, stage.replicas()[0]) as (proxy,):
        stage.wait(0.3)
        proxy.tell("refuse")
        proxy.tell("cut")
        stage.wait(seconds)
        proxy.tell("accept")


def flapping(stage, times=6):
    """Cut again and again, at once connected again: partial copies."""
    with proxied(stage, *stage.replicas()) as proxies:
        for _ in range(times):
            stage.chance.choice(proxies).tell("cut")
            stage.wait(0.3)
