"""The service's own processes, program and keeper, killed and stopped anywhere."""
import os
import signal

import redis_faults
from lib.stack import deliver, start_time, stat_fields, until
from stage import NotTaken


def is_stopped(pid):
    fields = stat_fields(pid)
    return bool(fields) and fields[0] == "T"


# The program

def app_killed(stage, times=4):
    for _ in range(times):
        deliver(stage.chance.choice(stage.stack.processes("app")), signal.SIGKILL)
        stage.wait(stage.chance.uniform(0.2, 0.7))


def all_apps_killed(stage):
    for pid in stage.stack.processes("app"):
        deliver(pid, signal.SIGKILL)
    stage.wait(1)


def app_stopped(stage, least=0.4, most=4):
    pid = stage.chance.choice(stage.stack.processes("app"))
    hold(stage, pid, stage.chance.uniform(least, most), signal.SIGCONT)


def hold(stage, pid, seconds, ending, meanwhile=None):
    """Stopped for that time; ending: SIGCONT or SIGKILL."""
    deliver(pid, signal.SIGSTOP)
    try:
        if meanwhile:
            meanwhile(stage)
        stage.wait(seconds)
    finally:
        deliver(pid, ending)


def at_step(stage, step, least=0.5, most=2, ending=signal.SIGCONT, meanwhile=None):
    """The next process that comes to the step is stopped there, and later goes on or is
    killed (ending). meanwhile: a fault that is made while it stands there."""
    part = "keeper" if step.startswith("beat") else "app"
    path = os.path.join(stage.steps, step)
    with open(path, "w"):
        pass

    def taker():
        if step.startswith("read"):
            # Readers fill what is not there; writers fill what they have written.
            redis_faults.evict(stage, 5)
        return next(filter(is_stopped, stage.stack.tree(part)), None)
    try:
        pid = until(taker, 5, 0.02)
    finally:
        try:
            os.unlink(path)
            taken = False
        except FileNotFoundError:
            taken = True
    if not pid or not taken:
        raise NotTaken("nobody came to " + step)
    hold(stage, pid, stage.chance.uniform(least, most), ending, meanwhile)


# The keeper

def keeper_stopped(stage, seconds):
    with stage.stopped("keeper"):
        stage.wait(seconds)


def keeper_killed(stage, times=3):
    """Its supervisor, if it has one, starts another."""
    for _ in range(times):
        for pid in stage.stack.tree("keeper")[-1:]:
            deliver(pid, signal.SIGKILL)
        stage.wait(stage.chance.uniform(0.2, 1))


def second_keeper(stage):
    """Another keeper on the same host, as the first one is."""
    pid = stage.stack.tree("keeper")[-1]
    with open("/proc/%d/environ" % pid, "rb") as file:
        pairs = [entry.partition(b"=") for entry in file.read().split(b"\0") if entry]
    with open("/proc/%d/cmdline" % pid, "rb") as file:
        command = file.read().split(b"\0")[:-1]
    return stage.program(command, cwd=os.readlink("/proc/%d/cwd" % pid),
                         env={name: value for name, _, value in pairs}, **stage.owner)


def two_keepers(stage, seconds=3):
    """Both beat and both decide; now one stands still, now the other."""
    with second_keeper(stage) as other:
        stage.wait(seconds / 2)
        if other.poll() is not None:
            raise RuntimeError("the second keeper ended with %d" % other.returncode)
        hold(stage, other.pid, seconds / 4, signal.SIGCONT)
        first = stage.stack.tree("keeper")[-1]
        if start_time(first):
            hold(stage, first, seconds / 4, signal.SIGCONT)


def two_keepers_and(stage, meanwhile):
    """Both decide about the same fault."""
    with second_keeper(stage):
        stage.wait(0.3)
        meanwhile(stage)
        stage.wait(1)
