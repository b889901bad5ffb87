"""Wall clocks that jump, for one kind of process or for all of them.

A stage with walls runs its programs under wall_clock.c, which adds an offset of its own
to CLOCK_REALTIME; the monotonic clocks stay what they are. The offset is in a file for
each kind, so that a jump is one write.
"""
import os
import shutil
import signal
import struct
import subprocess

from lib.stack import deliver, until

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("keeper", "app", "redis")


class Walls:
    """The files of a stage: the shim, an offset for each kind, and the wrappers."""

    def __init__(self, directory):
        self.dir = os.path.join(directory, "wall")
        os.mkdir(self.dir)
        self.library = os.path.join(self.dir, "wall_clock.so")
        subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC",
                        "-o", self.library, os.path.join(HERE, "wall_clock.c"), "-ldl"],
                       check=True)
        for kind in KINDS:
            self.set(kind, 0)

    def offset_file(self, kind):
        return os.path.join(self.dir, kind)

    def set(self, kind, seconds):
        """From now on the wall clock of that kind of process is that far ahead."""
        # Not truncated: they have it mapped.
        fd = os.open(self.offset_file(kind), os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, struct.pack("=q", int(seconds * 1_000_000_000)))
        os.close(fd)

    def wrapper(self, kind, program):
        """A script that runs the program with that kind's clock."""
        return ("#!/bin/sh\nLD_PRELOAD=%s CARRITO_WALL_CLOCK=%s exec %s \"$@\"\n"
                % (self.library, self.offset_file(kind), program))

    def redis_path(self):
        """A directory for PATH whose redis-server has the shim."""
        real = shutil.which("redis-server")
        place = os.path.join(self.dir, "bin")
        os.mkdir(place)
        write_script(os.path.join(place, "redis-server"), self.wrapper("redis", real))
        return place

    def replace_programs(self, stack):
        """In RUN_DIR/bin each program becomes a wrapper of itself, and starts anew."""
        programs = os.path.join(stack.dir, "bin")
        real = os.path.join(programs, "real")
        os.mkdir(real)
        os.chmod(real, 0o755)
        for kind, name in (("app", "carrito-fcgi"), ("keeper", "carrito-keeper")):
            program = os.path.join(programs, name)
            os.rename(program, os.path.join(real, name))
            write_script(program, self.wrapper(kind, os.path.join(real, name)))
            before = stack.processes(kind)
            for pid in before:
                deliver(pid, signal.SIGTERM)
            until(lambda: len(set(stack.processes(kind)) - set(before)) == len(before))


def write_script(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


def stepped(stage, who, seconds):
    """The clock jumps by that much, and after a while back."""
    kinds = KINDS if who == "all" else (who,)
    try:
        for kind in kinds:
            stage.walls.set(kind, seconds)
        stage.wait(2)
    finally:
        for kind in kinds:
            stage.walls.set(kind, 0)
    stage.wait(0.5)
