"""The table of faults: what is done to a stage, and which stages it needs.

Faults of one name count together, wherever they were made. Two faults of different groups
can be made at once.
"""
import threading
from functools import partial
from signal import SIGKILL

import clock_faults as clock
import database_faults as database
import link_faults as link
import master_faults as master
import process_faults as process
import redis_faults as redis

STEPS = ("read-1", "read-2", "read-4", "write-1", "write-2", "write-3", "write-4",
         "write-5", "write-6")
BEATS = ("beat-1", "beat-2")


class Fault:
    """function(stage, *args, **named) makes it.

    needs  plain: not where Sentinel would interfere; sentinel; wall: see clock_faults.py
    quick  part of the two minutes
    once   once in a whole run is enough, because it takes long
    least  exposed reads without which all its windows together have shown nothing
    """

    def __init__(self, name, function, *args, needs="", quick=False, once=False,
                 least=500, **named):
        self.name = self.told = name
        self.function, self.args, self.named = function, args, named
        self.needs = needs
        self.quick = quick
        self.once = once
        self.least = least
        self.group = None

    def run(self, stage):
        self.function(stage, *self.args, **self.named)


def plain(name, function, *args, **how):
    return Fault(name, function, *args, needs="plain", **how)


def by_sentinel(name, function, *args, **how):
    return Fault(name, function, *args, needs="sentinel", **how)


REPLICA_STOPPED = partial(redis.replicas_stopped, seconds=0.6)
STALER_PROMOTED = partial(master.stale_failover, how="stopped")
TWO_MASTERS = partial(master.two_masters, winner="new")
FLUSHED = partial(redis.repeated, words=("FLUSHALL",))

GROUPS = {
    "replica": [
        Fault("replica stopped 0.15 s", redis.replicas_stopped, 0.15),
        Fault("replica stopped 0.6 s", redis.replicas_stopped, 0.6, quick=True),
        Fault("replica stopped 12 s", redis.replicas_stopped, 12, once=True),
        Fault("replicas stopped 0.6 s", redis.replicas_stopped, 0.6, 2),
        Fault("replicas stopped 3 s", redis.replicas_stopped, 3, 2),
        Fault("replica killed", redis.replica_killed, quick=True),
        Fault("replica dead 3 s", redis.replica_killed, 3),
        plain("third replica", redis.third_replica, quick=True),
        plain("third for a stopped one", redis.third_for_stopped, quick=True),
        plain("third for a dead one", redis.third_for_dead),
        plain("sub-replica, other stopped", redis.sub_replica),
        plain("replica of the replica 1 s", redis.reparented, 1),
        plain("replica of the replica 4 s", redis.reparented, 4),
    ],
    "link": [
        plain("replication delayed", link.delayed, quick=True),
        plain("acknowledged late", link.acknowledged_late),
        plain("link down held 0.6 s", link.deaf, "down", 0.6),
        plain("link down held 3 s", link.deaf, "down", 3),
        plain("link up held 0.6 s", link.deaf, "up", 0.6),
        plain("link up held 3 s", link.deaf, "up", 3),
        plain("link down lost 1.5 s", link.deaf, "down", 1.5, "drop"),
        plain("link up lost 1.5 s", link.deaf, "up", 1.5, "drop"),
        plain("link down held 12 s", link.deaf, "down", 12, once=True),
        plain("link cut 1 s", link.cut, 1),
        plain("link cut 3 s", link.cut, 3),
        plain("links flapping", link.flapping),
    ],
    "master": [
        Fault("master stopped 0.15 s", redis.master_stopped, 0.15),
        Fault("master stopped 0.6 s", redis.master_stopped, 0.6),
        plain("master stopped 5 s", redis.master_stopped, 5),
        plain("master restarted empty", redis.master_restarted, quick=True),
        plain("master dead 2 s", redis.master_dead, 2),
        Fault("CLIENT PAUSE ALL", redis.master_paused, "ALL"),
        Fault("CLIENT PAUSE WRITE", redis.master_paused, "WRITE"),
        plain("all nodes dead 1 s", redis.all_dead, 1),
        Fault("all nodes stopped 0.5 s", redis.all_stopped, 0.5),
        plain("staler one promoted, stopped", master.stale_failover, "stopped",
              quick=True),
        plain("staler one promoted, held", master.stale_failover, "held", quick=True),
        plain("two masters, old wins", master.two_masters, "old", quick=True),
        plain("two masters, new wins", master.two_masters, "new", quick=True),
        plain("replaced while stopped", master.replaced_while_stopped),
        plain("FAILOVER", master.handed_over),
        Fault("keys evicted", redis.squeezed),
        Fault("keys evicted at once", redis.crowded),
        Fault("OOM", redis.out_of_memory),
        Fault("NOREPLICAS", redis.too_few_replicas),
        Fault("FLUSHALL", redis.repeated, ("FLUSHALL",), quick=True),
        Fault("SCRIPT FLUSH", redis.repeated, ("SCRIPT", "FLUSH")),
        Fault("CLIENT KILL normal", redis.repeated,
              ("CLIENT", "KILL", "TYPE", "normal"), nodes="all"),
        Fault("CLIENT KILL replica", redis.repeated,
              ("CLIENT", "KILL", "TYPE", "replica")),
    ],
    "sentinel": [
        by_sentinel("Sentinel: master killed", master.sentinel_master_killed),
        by_sentinel("Sentinel: master restarted", master.sentinel_master_restarted),
        by_sentinel("Sentinel: replicas stale", master.sentinel_stale_promoted),
        by_sentinel("Sentinel: two masters", master.sentinel_two_masters),
        by_sentinel("SENTINEL FAILOVER", master.sentinel_failover),
    ],
    "app": [
        Fault("program killed", process.app_killed),
        Fault("program killed, all", process.all_apps_killed),
        Fault("program stopped", process.app_stopped),
        *[Fault("stopped at " + step, process.at_step, step,
                quick=step in ("read-4", "write-3", "write-4")) for step in STEPS],
        *[Fault("killed at " + step, process.at_step, step, 0, 0.3, SIGKILL)
          for step in STEPS],
        # Longer than a tombstone lives.
        *[Fault("stopped 11 s at " + step, process.at_step, step, 11, 11, once=True)
          for step in ("read-4", "write-3", "write-4")],
    ],
    "keeper": [
        Fault("keeper stopped 0.2 s", process.keeper_stopped, 0.2),
        Fault("keeper stopped 1 s", process.keeper_stopped, 1, quick=True),
        Fault("keeper stopped 3 s", process.keeper_stopped, 3),
        Fault("keeper killed", process.keeper_killed),
        *[Fault("keeper stopped at " + step, process.at_step, step) for step in BEATS],
        *[Fault("keeper killed at " + step, process.at_step, step, 0, 0.1, SIGKILL)
          for step in BEATS],
        Fault("two keepers", process.two_keepers),
    ],
    "database": [
        Fault("PostgreSQL killed", database.killed),
        Fault("PostgreSQL stopped 1 s", database.stopped, 1),
        Fault("sessions ended", database.sessions_ended, quick=True),
        Fault("other hands", database.other_hands),
        Fault("other hands, long", database.long_transaction),
        Fault("other hands, rolled back", database.long_transaction, rollback=True),
        plain("PostgreSQL and master", database.restarted_with_master),
    ],
    # Two at once, which meet at the moment that matters.
    "mixed": [
        *[plain("delayed + " + name, link.delayed, meanwhile=function)
          for name, function in (
              ("replica stopped", REPLICA_STOPPED),
              ("replica killed", redis.replica_killed),
              ("third for stopped", redis.third_for_stopped),
              ("master restarted", redis.master_restarted),
              ("master stopped", partial(redis.master_stopped, seconds=0.6)),
              ("FLUSHALL", FLUSHED),
              ("program killed", process.app_killed),
              ("stopped at write-4", partial(process.at_step, step="write-4")),
              ("keeper stopped", partial(process.keeper_stopped, seconds=1)),
              ("keys evicted", redis.squeezed),
              ("sessions ended", database.sessions_ended))],
        *[plain("at %s + %s" % (step, name), process.at_step, step, 0.2, 0.5,
                meanwhile=function)
          for step, name, function in (
              ("read-4", "FLUSHALL", FLUSHED),
              ("read-4", "master restarted", redis.master_restarted),
              ("write-3", "replica stopped", REPLICA_STOPPED),
              ("write-3", "staler promoted", STALER_PROMOTED),
              ("write-4", "master restarted", redis.master_restarted),
              ("write-4", "staler promoted", STALER_PROMOTED),
              ("write-6", "FLUSHALL", FLUSHED),
              ("beat-2", "staler promoted", STALER_PROMOTED),
              ("beat-2", "two masters", TWO_MASTERS))],
        plain("two keepers + staler promoted", process.two_keepers_and, STALER_PROMOTED),
        plain("two keepers + two masters", process.two_keepers_and, TWO_MASTERS),
    ],
    "clock": [
        Fault("clocks of %s %+g s" % (who, step), clock.stepped, who, step, needs="wall")
        for who in ("keeper", "app", "redis", "all") for step in (0.2, -0.2, 3600, -3600)
    ],
}

for _group, _faults in GROUPS.items():
    for _fault in _faults:
        _fault.group = _group

ALL = [fault for faults in GROUPS.values() for fault in faults]


def chosen(names):
    """The faults whose name begins with one of these."""
    found = [fault for fault in ALL if any(fault.name.startswith(n) for n in names)]
    if not found:
        raise SystemExit("no such fault; there are:\n  " +
                         "\n  ".join(fault.name for fault in ALL))
    return found


def fitting(faults, sentinel=False, walls=False):
    """Those that a stage of that kind can be hurt with."""
    needs = {"", "sentinel" if sentinel else "plain", "wall" if walls else ""}
    return [fault for fault in faults if fault.needs in needs]


def both(first, second):
    """Two faults at once, as one; all such count together."""
    def run(stage):
        failures = []

        def guarded(fault):
            try:
                fault.run(stage)
            except Exception as e:
                failures.append(e)
        threads = [threading.Thread(target=guarded, args=(fault,))
                   for fault in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            raise failure
    fault = Fault("two at once", run)
    fault.told = "%s, %s" % (first.name, second.name)
    return fault
