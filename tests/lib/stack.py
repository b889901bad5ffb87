"""A private stack for one suite, started through dev/stack and always torn down.

It runs beside any other: a directory of its own, free ports, PostgreSQL on a socket.
Processes are only ever addressed by the pid files of this stack.
"""
import atexit
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from lib.client import Client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VARIANT = os.environ.get("V", "release")
# Sanitizers on a busy machine with two cores: how much longer a wait may take.
SLACK = 4 if VARIANT == "asan" else 1

SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
NODES = ("nginx", "app", "keeper", *SENTINELS, "redis-master", "redis-replica-1",
         "redis-replica-2", "postgres")
REDIS = {"master": 0, "replica-1": 1, "replica-2": 2}
# What each one's port has above REDIS_PORT. Sentinels run with HA=1 only.
REDIS_PORTS = {**REDIS, **{name: 3 + i for i, name in enumerate(SENTINELS)}}
SANITIZER = re.compile(r"(ERROR|WARNING): \w*Sanitizer|runtime error:")


def until(condition, seconds=10, pause=0.02):
    """The first true value of condition(), or its last one when the time is up."""
    deadline = time.monotonic() + seconds * SLACK
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)


def scratch():
    """The directory that tests/run sweeps at its end, or the system's own."""
    return os.environ.get("CARRITO_TEST_DIR") or tempfile.gettempdir()


def free_ports():
    """Eight neighbouring TCP ports that nobody uses, below the range of outgoing ones."""
    while True:
        base = random.randrange(20000, 32000, 8)
        held = []
        try:
            for port in range(base, base + 8):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for sock in held:
                sock.close()


class Stack:
    """up() starts it; settings are variables of dev/stack and of the program."""

    def __init__(self, **settings):
        self.settings = {name: str(value) for name, value in settings.items()}
        self.base = None
        self.reports = []

    def __enter__(self):
        return self.up()

    def __exit__(self, *unused):
        self.down()

    def up(self):
        """Starts everything. Another test may take a port first: then on other ports."""
        atexit.register(self.down)
        for attempt in (1, 2, 3):
            self.base = tempfile.mkdtemp(prefix="stack-", dir=scratch())
            os.chmod(self.base, 0o755)
            self.dir = os.path.join(self.base, "run")
            self.port = free_ports()
            self.address = ("127.0.0.1", self.port)
            self.redis_port = self.port + 1
            done = self.dev_stack("up")
            if done.returncode == 0:
                break
            self.down()
            if attempt == 3:
                raise RuntimeError("dev/stack up: " + done.stdout)
        self.database = self.variable("DATABASE_URL")
        self.first = self.processes("app")
        return self

    def environment(self):
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL",
                                                   "TMPDIR")
               if name in os.environ}
        env.update(V=VARIANT, RUN_DIR=self.dir, LISTEN="127.0.0.1", PORT=str(self.port),
                   REDIS_PORT=str(self.redis_port), SEED_CARTS="0",
                   PROCESSES="2")  # so that processes meet, however few cores there are
        if VARIANT == "asan":
            env.update(ASAN_OPTIONS="abort_on_error=0:detect_leaks=1",
                       UBSAN_OPTIONS="print_stacktrace=1")
        env.update(self.settings)
        return env

    def dev_stack(self, *args):
        return subprocess.run([os.path.join(ROOT, "dev", "stack"), *args], text=True,
                              env=self.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def variable(self, name):
        """A setting of the running stack, as `dev/stack env` prints it."""
        for word in shlex.split(self.dev_stack("env").stdout):
            key, equals, value = word.partition("=")
            if equals and key == name:
                return value
        raise KeyError(name)

    def down(self):
        """Stops everything, removes its files; `reports`: what sanitizers said."""
        if not self.base:
            return
        processes = []
        for node in NODES:
            for pid in self.tree(node):
                # A stopped process would not see that it is to end.
                deliver(pid, signal.SIGCONT)
                processes.append((pid, start_time(pid)))
        self.dev_stack("down")
        self.reports += self.sanitizer_reports()
        for pid, started in processes:
            if started and start_time(pid) == started:
                deliver(pid, signal.SIGKILL)
        kept = os.environ.get("CARRITO_TEST_DIR")
        if kept and os.path.isdir(self.dir + "/log"):
            shutil.copytree(self.dir + "/log", "%s/log-%d" % (kept, self.port))
        shutil.rmtree(self.base, ignore_errors=True)
        self.base = None

    # Processes

    def pid(self, node):
        """The node's process by its pid file; None when it does not run."""
        try:
            with open("%s/pid/%s.pid" % (self.dir, node)) as file:
                pid = int(file.readline())
        except (OSError, ValueError):
            return None
        return pid if start_time(pid) else None

    def tree(self, node):
        """The node's process and all below it."""
        pid = self.pid(node)
        found = [pid] if pid else []
        parents = process_parents()
        for parent in found:
            found += [child for child, of in parents.items() if of == parent]
        return found

    def processes(self, node="app"):
        """The processes right under the node's own: of `app`, those that do the work."""
        pid = self.pid(node)
        return sorted(child for child,
                      of in process_parents().items() if pid and of == pid)

    def kill(self, node):
        """kill -9 of the node with all its processes; returns when they are gone."""
        pids = self.freeze(node)
        for pid in pids:
            deliver(pid, signal.SIGKILL)
        # Gone as zombies too: PostgreSQL would not start beside one with its old number.
        until(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids), 20)

    def freeze(self, node):
        """Stops the node with all its processes, those too that it was just starting."""
        stopped = []
        while len(stopped) < len(pids := self.tree(node)):
            for pid in pids:
                deliver(pid, signal.SIGSTOP)
            stopped = pids
        return stopped

    def thaw(self, node):
        for pid in self.tree(node):
            deliver(pid, signal.SIGCONT)

    def start(self, node):
        self.must("start", node)

    def stop(self, node):
        self.must("stop", node)

    def must(self, *args):
        done = self.dev_stack(*args)
        if done.returncode:
            raise RuntimeError("dev/stack %s: %s" % (" ".join(args), done.stdout))

    # What is behind nginx

    def client(self, timeout=15, seen=None):
        return Client(self.address, timeout * SLACK, seen)

    def psql(self, text):
        """Runs SQL; the rows as lists of text."""
        return [line.split("\x1f") for line in
                run(self.psql_command() + ["-c", text]).splitlines() if line]

    def value(self, text):
        """The one value that a query gives."""
        return self.psql(text)[0][0]

    def psql_command(self):
        return ["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v", "ON_ERROR_STOP=1",
                "-d", self.database]

    def session(self):
        return Session(self.psql_command())

    def redis(self, node, *args, seconds=60):
        """One command on one Redis node or sentinel, as text; for so long at most."""
        password = self.settings.get("REDIS_PASSWORD")
        auth = ["--no-auth-warning", "-a", password] if password else []
        return run(["timeout", str(seconds), "redis-cli", "-p",
                    str(self.redis_port + REDIS_PORTS[node]), *auth,
                    *[str(arg) for arg in args]]).rstrip("\n")

    def masters(self):
        """The Redis nodes that say they are the master: for a while it may be two."""
        found = []
        for node in REDIS:
            try:
                if "role:master" in self.redis(node, "INFO", "replication", seconds=1):
                    found.append(node)
            except RuntimeError:
                pass
        return found

    # Logs

    def log(self, name):
        try:
            with open("%s/log/%s.log" % (self.dir, name), "rb") as file:
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def access(self):
        """The access log's lines, numbers with a fraction as their text."""
        return [json.loads(line, parse_float=str)
                for line in self.log("access").splitlines()]

    def sanitizer_reports(self):
        """What ASan and UBSan wrote, some lines of each report."""
        lines = (self.log("app") + self.log("keeper")).splitlines()
        hits = [i for i, line in enumerate(lines) if SANITIZER.search(line)]
        return [line for i in hits[:4] for line in lines[i:i + 12]]


class Session:
    """A psql that is kept open, to hold a transaction."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.communicate()

    def run(self, text):
        """Runs statements and waits for them; what they print is dropped."""
        self.process.stdin.write(text + ";\n\\echo finished\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line == "finished\n":
                return
        raise RuntimeError("psql ended at: " + text)


def run(command):
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise RuntimeError("%s: %s" % (command[0], done.stderr or done.stdout))
    return done.stdout


def deliver(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def stat_fields(pid):
    """/proc/pid/stat after the name: state, parent ... None: no such process."""
    try:
        with open("/proc/%s/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return fields if fields[0] != "Z" else None


def start_time(pid):
    """When a process began, which tells it from a later one of the same number."""
    fields = stat_fields(pid)
    return fields and fields[19]


def process_parents():
    """{pid: parent} of all that run now."""
    found = {}
    for name in os.listdir("/proc"):
        fields = name.isdigit() and stat_fields(name)
        if fields:
            found[int(name)] = int(fields[1])
    return found


def end_on_signal(number, frame):
    sys.exit(128 + number)


for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, end_on_signal)
