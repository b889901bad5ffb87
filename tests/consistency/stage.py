"""A stage: a private stack that is hurt on purpose, and what it takes to mend it.

A fault (faults.py) is a function of the stage. inject() runs it, mends whatever it left
behind, and waits until the keeper has the cache back where it was before: mode
`replicas`, and hits from every node that is not the master. All this is the fault's
window.
"""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import traceback

from clock_faults import Walls
from lib.stack import (NODES, REDIS, SENTINELS, Stack, deliver, scratch, start_time,
                       until)
from node import Node

# After all is well again, seconds: twice as long as a lease.
TAIL = 0.6
RECOVERY = {False: 30, True: 90}  # seconds; with Sentinel it may take longer
MASTER_NAME = "carrito"


class NotTaken(Exception):
    """The fault could not be made: nothing came to where it waited."""


class Stage:
    """variant: which build; chance: the random.Random that all choices come from;
    sentinel: with three sentinels, which then lead; walls: see clock_faults.py."""

    def __init__(self, variant, chance, sentinel=False, walls=False, say=print,
                 **settings):
        self.chance = chance
        self.sentinel = sentinel
        self.say = say
        self.dir = tempfile.mkdtemp(prefix="stage-", dir=scratch())
        os.chmod(self.dir, 0o755)
        # Whoever runs the service takes files away from here: see base/step.h.
        self.steps = os.path.join(self.dir, "steps")
        os.mkdir(self.steps)
        os.chmod(self.steps, 0o777)
        self.walls = Walls(self.dir) if walls else None
        if walls:
            settings["PATH"] = self.walls.redis_path() + ":" + os.environ["PATH"]
        # More processes than cores, so that one that is held takes few requests with it.
        self.stack = Stack(V=variant, CARRITO_STEPS_DIR=self.steps, PROCESSES=4,
                           HA=1 if sentinel else 0, **settings)
        self.starting, self.asking = threading.Lock(), threading.Lock()
        self.asker = None
        self.problems = []
        self.owner = {}  # of the stack's processes, as subprocess wants it
        self.kept = False

    def __enter__(self):
        self.stack.up()
        if self.walls:
            self.walls.replace_programs(self.stack)
        self.nodes = [Node(name, self.stack.redis_port + above)
                      for name, above in REDIS.items()]
        self.last_master = self.nodes[0]
        if os.getuid() == 0:
            about = os.stat(self.stack.dir)
            self.owner = {"user": about.st_uid, "group": about.st_gid, "extra_groups": []}
        self.stack.client().request("POST", "/cart/probe/add",
                                    {"product_id": 1, "name": "n", "price": 1})
        return self

    def __exit__(self, kind, *unused):
        if self.asker:
            self.asker.close()
        if self.kept or kind:
            shutil.copytree(self.stack.dir + "/log", self.dir + "/log",
                            dirs_exist_ok=True)
            self.say("kept: " + self.dir)
        self.stack.down()
        if not self.kept and not kind:
            shutil.rmtree(self.dir, ignore_errors=True)

    def wait(self, seconds):
        time.sleep(seconds)

    # Nodes

    def master(self):
        """The node that the epoch's row names, or the last one that was seen there."""
        with contextlib.suppress(RuntimeError, IndexError, ValueError):
            port = int(self.state()[2].rpartition(":")[2])
            self.last_master = next((n for n in self.nodes if n.port == port),
                                    self.last_master)
        return self.last_master

    def replicas(self):
        """The other nodes, in a random order."""
        others = [node for node in self.nodes if node is not self.master()]
        self.chance.shuffle(others)
        return others

    def state(self):
        """[epoch, mode, master] as PostgreSQL has them now; RuntimeError: it has none."""
        with self.asking:
            for _ in range(2):
                try:
                    self.asker = self.asker or Asker(self.stack.psql_command())
                    return self.asker.ask("SELECT epoch, mode, master FROM cache_state")
                except OSError:
                    # PostgreSQL has been away since the last time.
                    self.asker.close()
                    self.asker = None
        raise RuntimeError("PostgreSQL does not answer")

    # Faults

    def inject(self, fault, trial):
        """One fault and its window in the trial. True: it was made and it healed."""
        begin, broken = time.monotonic_ns(), None
        try:
            fault.run(self)
        except NotTaken as e:
            broken = "not made: %s" % e
        except Exception:
            broken = "broke off: " + traceback.format_exc()
        over = time.monotonic_ns()
        self.mend()
        healed = self.recover()
        back = time.monotonic_ns()
        if not healed:
            broken = (broken or "") + " not healed: %s" % self.diagnosis()
        time.sleep(TAIL)
        # What begins now may well meet the next fault.
        end = time.monotonic_ns()
        time.sleep(0.1)
        made = not (broken or "").startswith("not made")
        if made:
            trial.window(fault.name, begin, end)
        self.say("%8.1f s  %-46s %5.1f s, healed after %4.1f s%s" % (
            trial.age(begin), fault.told, (over - begin) / 1e9, (back - over) / 1e9,
            "  " + broken if broken else ""))
        if broken and made:
            self.problems.append("%s: %s" % (fault.told, broken))
        return broken is None

    def cut_logs(self):
        """A line for each request soon adds up."""
        with contextlib.suppress(OSError):
            os.truncate(os.path.join(self.stack.dir, "log", "access.log"), 0)

    def mend(self):
        """Every part runs, none stands still, and all follow one master."""
        for part in reversed(NODES):  # PostgreSQL first
            if self.stack.pid(part):
                self.stack.thaw(part)
            elif self.sentinel or part not in SENTINELS:
                with contextlib.suppress(RuntimeError):
                    self.start(part)
        if not self.sentinel:
            self.gather()

    def gather(self, master=None):
        """All nodes follow the master: that one, or the best there is."""
        if not master:
            named = self.master()
            master = next((node for node in [named, *self.nodes] if node.is_master()),
                          None)
        if not master:
            named.promote()
            master = named
        for node in self.nodes:
            if node is not master:
                with contextlib.suppress(OSError):
                    node.follow(master.port)

    def recover(self):
        """Whether mode `replicas` is back in time, and hits of all nodes but one."""
        return until(lambda: self.is_well(), RECOVERY[self.sentinel], 0.05)

    def is_well(self):
        try:
            return self.state()[1] == "replicas" and self.all_serve()
        except (RuntimeError, IndexError, OSError):
            return False

    def all_serve(self):
        """Whether every node but the master shows a hit within some reads."""
        wanted = {node.name for node in self.replicas()}
        client = self.stack.client(timeout=2)
        try:
            for _ in range(12):
                answer = client.get("/cart/probe")
                if answer.header("X-Cache") == "HIT":
                    wanted.discard(answer.node)
                if not wanted:
                    return True
        finally:
            client.close()
        return False

    def diagnosis(self):
        """For a line in the log: what PostgreSQL and each node say."""
        try:
            row = " ".join(self.state())
        except (RuntimeError, IndexError) as e:
            row = str(e).strip()
        return "%s; %s" % (row, "; ".join(
            "%s %s of %s" % (node, info.get("role", "dead"), info.get("master_port", "-"))
            for node, info in ((node, node.info()) for node in self.nodes)))

    # Parts of the stack; each context undoes what it did, whatever happens.

    @contextlib.contextmanager
    def stopped(self, *parts):
        """SIGSTOP of all processes of these parts."""
        try:
            for part in parts:
                self.freeze(part)
            yield
        finally:
            for part in parts:
                self.stack.thaw(part)

    @contextlib.contextmanager
    def dead(self, *parts):
        """kill -9 of these parts, which are started again in the end."""
        try:
            for part in parts:
                self.kill(part)
            yield
        finally:
            for part in parts:
                self.start(part)

    # One signal is enough for a Redis node, and says exactly when.

    def freeze(self, part):
        pid = part.startswith("redis-") and self.stack.pid(part)
        if pid:
            deliver(pid, signal.SIGSTOP)
        else:
            self.stack.freeze(part)

    def kill(self, part):
        pid = part.startswith("redis-") and self.stack.pid(part)
        if pid:
            deliver(pid, signal.SIGKILL)
            until(lambda: not start_time(pid), 20, 0.002)
        else:
            self.stack.kill(part)

    def start(self, part):
        """Starts a part that died. A Redis node has then the role that it had."""
        node = next((node for node in self.nodes if node.part == part), None)
        if node and not self.sentinel:
            self.start_node(node)
        else:
            with self.starting:
                self.stack.start(part)

    def start_node(self, node, alone=False):
        """At once, where dev/stack takes its time to find out who is the master. alone:
        as a master, whoever else is one."""
        master, place = self.master(), os.path.join(self.stack.dir, node.part)
        command = ["setsid", "--fork", "redis-server",
                   self.stack.dir + "/redis-conf/replica.conf", "--bind", "127.0.0.1",
                   "--port", str(node.port), "--dir", place]
        if node is not master and not alone:
            command += ["--replicaof", "127.0.0.1", str(master.port)]
        with open("%s/log/%s.log" % (self.stack.dir, node.part), "ab") as log:
            subprocess.run(command, cwd=place, env=self.stack.environment(), stdout=log,
                           stderr=log, stdin=subprocess.DEVNULL, check=True, **self.owner)
        pid = until(lambda: node.info("server").get("process_id"), 10, 0.005)
        with open("%s/pid/%s.pid" % (self.stack.dir, node.part), "w") as file:
            file.write("%s\n" % pid)

    @contextlib.contextmanager
    def program(self, command, **how):
        """A process of the stage's own beside the stack, ended by kill -9."""
        with open(os.path.join(self.dir, "beside.log"), "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, **how)
        try:
            yield process
        finally:
            deliver(process.pid, signal.SIGCONT)
            process.kill()
            process.wait()


class Asker:
    """A psql that is kept: a new one for each question would take the time of many."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def ask(self, query):
        """The first row; OSError when the session is over."""
        self.process.stdin.write(query + ";\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ConnectionError("psql has ended")
        return line.rstrip("\n").split("\x1f")

    def close(self):
        self.process.kill()
        with contextlib.suppress(OSError):
            self.process.communicate()
