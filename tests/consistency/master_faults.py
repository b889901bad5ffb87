"""Another master: by hand, with the staler replica, two at once, and by Sentinel."""
from lib.stack import until
from link_faults import proxied
from node import Node
from stage import MASTER_NAME


# By hand, without Sentinel

def stale_failover(stage, how, seconds=0.8):
    """The replica that has missed what was written last becomes the master.

    how: it stood still (stopped), or its link did (held)."""
    master = stage.master()
    stale, other = stage.replicas()
    if how == "stopped":
        with stage.stopped(stale.part):
            stage.wait(seconds)
            stage.kill(master.part)
    else:
        with proxied(stage, stale) as (proxy,):
            stage.wait(0.3)
            proxy.tell("down", "hold")
            stage.wait(seconds)
            stage.kill(master.part)
            stale.promote()
    take_over(stage, master, stale, other)


def take_over(stage, old, new, other):
    """`new` is promoted, `other` follows, and the dead `old` comes back: first as the
    empty master that it was, then as a replica."""
    new.promote()
    other.follow(new.port)
    stage.wait(1)
    stage.start_node(old, alone=True)
    stage.wait(1)
    old.follow(new.port)


def replaced_while_stopped(stage, seconds=1.5):
    """Another node takes over from a master that stands still; it then goes on as if
    nothing had happened, with all that was sent to it, until it is told."""
    old = stage.master()
    new, other = stage.replicas()
    with stage.stopped(old.part):
        stage.wait(0.2)
        new.promote()
        other.follow(new.port)
        stage.wait(seconds)
    stage.wait(1)
    old.follow(new.port)


def two_masters(stage, winner, seconds=2):
    """A replica is promoted while the old master lives, and the third node takes either
    side; in the end the winner, old or new, has all three."""
    old = stage.master()
    new, other = stage.replicas()
    new.promote()
    if stage.chance.random() < 0.5:
        other.follow(new.port)
    stage.wait(seconds)
    stage.gather(old if winner == "old" else new)


def handed_over(stage):
    """FAILOVER: Redis's own, orderly change of places."""
    old, new = stage.master(), stage.replicas()[0]
    old.call("FAILOVER", "TO", "127.0.0.1", new.port, "TIMEOUT", 2000)
    until(new.is_master, 4)
    for node in stage.nodes:
        if node is not new:
            node.follow(new.port)


# By Sentinel

def promoted(stage, old, seconds=20):
    """The node that is master in the place of `old`."""
    others = [node for node in stage.nodes if node is not old]
    new = until(lambda: next((n for n in others if n.is_master()), None), seconds, 0.01)
    if not new:
        raise RuntimeError("Sentinel promoted nobody")
    return new


def sentinel_master_killed(stage, back_after=1):
    master = stage.master()
    with stage.dead(master.part):
        promoted(stage, master)
        stage.wait(back_after)


def sentinel_master_restarted(stage):
    """Back before anybody has noticed, empty: the same master for Sentinel."""
    with stage.dead(stage.master().part):
        pass


def sentinel_stale_promoted(stage):
    """Both replicas are behind, by different times, when the master dies."""
    master = stage.master()
    first, second = stage.replicas()
    with stage.stopped(first.part):
        stage.wait(0.5)
        with stage.stopped(second.part):
            stage.wait(0.3)
            stage.kill(master.part)
    promoted(stage, master)
    stage.wait(1)
    stage.start(master.part)


def sentinel_two_masters(stage):
    """The master stands still until another one is there, then goes on as one."""
    master = stage.master()
    with stage.stopped(master.part):
        promoted(stage, master)
        stage.wait(0.5)
    # On a machine that is too busy Sentinel does nothing for 30 s (its TILT mode).
    demoted = until(lambda: not master.is_master(), 60, 0.1)
    if not demoted:
        raise RuntimeError("Sentinel did not demote the old master")


def sentinel_failover(stage):
    """SENTINEL FAILOVER, as an operator asks for it."""
    master = stage.master()
    for number in range(3):
        sentinel = Node("sentinel", stage.stack.redis_port + 3 + number)
        if sentinel.try_call("SENTINEL", "FAILOVER", MASTER_NAME) == "OK":
            break
    promoted(stage, master)
