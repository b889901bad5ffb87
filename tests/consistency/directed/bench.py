"""The bench of the directed scenarios: Redis, PostgreSQL, and two processes by name.

PostgreSQL and three Redis nodes are a private stack's, whose program, nginx and keeper
are ended. Instead the scenario has two processes of the program, A and B, each with a
socket and a directory of steps (base/step.h) of its own, so that it can stop the one at a
step and ask the other. Each replica follows the master through a proxy (proxy.py), which
can hold the stream back. Heartbeats come from beat.py, or from the program's own keeper.
"""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import door
import hands
from beat import Beat
from ledger import Ledger
from lib.stack import Stack, deliver, free_ports, scratch, stat_fields, until
from middle import Middle
from node import Node
from proxy import Proxy

NAMES = ("master", "replica-1", "replica-2")
# Sessions that are in the middle of something, but for this one.
BUSY = ("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()")
FINAL = ("SELECT c.user_id, c.version, coalesce(sum(i.quantity), 0) FROM cart AS c"
         " LEFT JOIN cart_item AS i USING (user_id) WHERE c.user_id LIKE '%s%%'"
         " GROUP BY c.user_id, c.version")
LINE = '{"product_id": 1, "name": "%s", "price": 1.00, "quantity": 1}'


class NotMade(Exception):
    """The scenario did not come to the point that it is about."""


class Process:
    """One process of the program, or the keeper."""

    def __init__(self, bench, name, program, **settings):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix=name + "-", dir=bench.dir)
        self.socket = os.path.join(self.dir, "socket")
        self.steps = os.path.join(self.dir, "steps")
        os.mkdir(self.steps)
        env = dict(PATH=os.environ["PATH"], DATABASE_URL=bench.middle.url,
                   METRICS_FILE=os.path.join(self.dir, "metrics"),
                   CARRITO_STEPS_DIR=self.steps, REDIS_MASTER=bench.nodes[0].addr,
                   REDIS_REPLICAS=",".join(node.addr for node in bench.nodes[1:]))
        env.update(settings)
        with socket.socket(socket.AF_UNIX) as listener, \
                open(os.path.join(self.dir, "log"), "wb") as log:
            listener.bind(self.socket)
            listener.listen(64)
            self.process = subprocess.Popen([program], cwd=self.dir, env=env,
                                            stdin=listener, stdout=log, stderr=log)
        self.pid = self.process.pid

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as file:
            return file.read()

    def is_stopped(self):
        fields = stat_fields(self.pid)
        return bool(fields) and fields[0] in "tT"

    @contextlib.contextmanager
    def stopping_at(self, step):
        """It stops when it comes there; goes on in the end, if it was not told before."""
        path = os.path.join(self.steps, step)
        with open(path, "w"):
            pass
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self.go_on()

    def wait_stopped(self):
        if not until(self.is_stopped, 5, 0.002):
            raise NotMade("%s did not come to its step" % self.name)

    def stop(self):
        deliver(self.pid, signal.SIGSTOP)
        self.wait_stopped()

    def go_on(self):
        deliver(self.pid, signal.SIGCONT)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Later(threading.Thread):
    """A question in the background; result() waits for its answer."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.call = function, args
        self.answer = None
        self.start()

    def run(self):
        function, args = self.call
        self.answer = function(*args)

    def result(self):
        self.join()
        return self.answer


class Bench:
    """Use it with `with`; scene() gives the ground for one scenario."""

    def __init__(self):
        self.stack = Stack(V="chaos", PROCESSES=1, LOG_LEVEL="warn")

    def __enter__(self):
        self.resources = contextlib.ExitStack()
        with contextlib.ExitStack() as building:
            building.callback(self.stack.down)
            self.stack.up()
            self.dir = tempfile.mkdtemp(prefix="bench-", dir=scratch())
            building.callback(shutil.rmtree, self.dir, ignore_errors=True)
            for part in ("keeper", "nginx", "app"):
                if self.stack.pid(part):
                    self.stack.stop(part)
            self.nodes = [Node(name, self.stack.redis_port + i)
                          for i, name in enumerate(NAMES)]
            for node in self.nodes:
                node.addr = "127.0.0.1:%d" % node.port
            self.middle = building.enter_context(
                contextlib.closing(Middle(self.stack.database, self.dir)))
            self.proxies = [building.enter_context(Proxy(self.nodes[0].port))
                            for _ in self.nodes[1:]]
            self.resources = building.pop_all()
        return self

    def __exit__(self, *unused):
        self.resources.close()

    def heal(self):
        """Everything as it was in the beginning, and empty."""
        master, *replicas = self.nodes
        for node in self.nodes:
            if not self.stack.pid(node.part):
                self.stack.start(node.part)
        if not master.is_master():
            master.promote()
        master.call("CONFIG", "SET", "min-replicas-to-write", 0)
        master.call("FLUSHALL")
        for replica, proxy in zip(replicas, self.proxies):
            for direction in ("down", "up"):
                proxy.tell(direction, "pass")
            replica.follow(proxy.port)

        def in_step():
            text = master.call("INFO", "replication")
            return all("port=%d,state=online" % node.port in text for node in replicas)
        if not until(in_step, 20):
            raise NotMade("the replicas do not follow the master")

    @contextlib.contextmanager
    def scene(self, programs, name, **settings):
        """programs: the directory of the build."""
        self.heal()
        scene = Scene(self, programs, name, settings)
        try:
            yield scene
        finally:
            scene.end()


class Scene:
    """What a scenario works with. Nodes: master, first, second. Processes: a, b."""

    def __init__(self, bench, programs, name, settings):
        self.bench = bench
        self.stack = bench.stack
        self.middle = bench.middle
        self.programs = programs
        self.settings = settings
        self.master, self.first, self.second = bench.nodes
        self.replicas = bench.nodes[1:]
        self.proxies = bench.proxies
        self.ledger = Ledger("%s-%x-" % (name, time.monotonic_ns()))
        self.resources = contextlib.ExitStack()
        self.processes = []
        self.carts = 0
        self.beat = Beat(self.stack.psql_command(), bench.nodes)
        self.resources.callback(self.beat.end)
        self.move("replicas", self.master)
        self.a, self.b = self.program("a"), self.program("b")

    def end(self):
        for process in self.processes:
            process.end()
        self.resources.close()

    # Processes

    def program(self, name, **settings):
        return self.launch(name, "carrito-fcgi", **settings)

    def keeper(self, **settings):
        """The program's own keeper, in the place of this bench's."""
        self.beat.pause()
        return self.launch("keeper", "carrito-keeper", **settings)

    def launch(self, name, program, **settings):
        process = Process(self.bench, name, os.path.join(self.programs, program),
                          **dict(self.settings, **settings))
        self.processes.append(process)
        return process

    # The epoch

    def move(self, mode, master, addr=None):
        """Moves the epoch, as a keeper would."""
        replid = master.info()["master_replid"]
        rows = self.stack.psql(
            "SELECT * FROM cache_move((SELECT epoch FROM cache_state), '%s', '%s', '%s')"
            % (mode, addr or master.addr, replid))
        if rows[0][4] != "t":
            raise NotMade("the epoch did not move")

    # Operations

    def new_cart(self):
        self.carts += 1
        return "%s%d" % (self.ledger.prefix, self.carts)

    def read(self, process, cart):
        begin = time.monotonic_ns()
        answer = attempt(process, "GET", "/cart/" + cart)
        self.ledger.note("r", cart, begin, answer)
        return answer

    def add(self, process, cart):
        """One unit more."""
        begin, name = time.monotonic_ns(), self.ledger.next_id()
        answer = attempt(process, "POST", "/cart/%s/add" % cart, (LINE % name).encode())
        self.ledger.note("w", cart, begin, answer, name)
        return answer

    def must_add(self, process, cart):
        answer = self.add(process, cart)
        if answer.status not in (200, 201):
            raise NotMade("add: %s %s" % (answer, answer.body))
        return answer

    def read_all(self, process, cart, times=6):
        return [self.read(process, cart) for _ in range(times)]

    def later(self, function, *args):
        return Later(function, *args)

    # Carts

    def hot_cart(self, *processes):
        """A cart of version 1 that each process has just read from every replica."""
        cart = self.new_cart()
        self.must_add(self.a, cart)
        self.warm(cart, *processes)
        return cart

    def warm(self, cart, *processes, nodes=None):
        """Until each process has read the cart from each of these nodes, the replicas."""
        for process in processes or (self.a, self.b):
            wanted = {node.name for node in nodes or self.replicas}

            def all_hit():
                answer = self.read(process, cart)
                if answer.cache == "HIT":
                    wanted.discard(answer.node)
                return not wanted
            if not until(all_hit, 5, 0.005):
                raise NotMade("%s reads no hit from %s" % (process.name, wanted))

    def cold_cart(self):
        """A cart of version 1 that no node has, while hits are possible."""
        cart = self.hot_cart()
        self.evict(cart)
        return cart

    def evict(self, cart):
        """As the master would: the key goes, on all nodes."""
        key = "cart:" + cart
        self.master.call("DEL", key)
        if not until(lambda: not any(node.call("EXISTS", key) for node in self.replicas)):
            raise NotMade("the replicas still have the key")

    # Faults

    def hold_back(self, *replicas):
        """From now on nothing of the master's stream comes to these replicas."""
        for replica in replicas or self.replicas:
            self.proxies[self.replicas.index(replica)].tell("down", "hold")

    def let_pass(self):
        for proxy in self.proxies:
            proxy.tell("down", "pass")

    def extra_replica(self):
        """A replica of the master that the configuration does not know, once it gets
        the stream: that is up to a second after its link is up."""
        node = Node("extra", free_ports())
        directory = tempfile.mkdtemp(dir=self.bench.dir)
        conf = os.path.join(self.stack.dir, "redis-conf", "replica.conf")
        process = subprocess.Popen(
            ["redis-server", conf, "--port", str(node.port), "--bind", "127.0.0.1",
             "--dir", directory, "--replicaof", "127.0.0.1", str(self.master.port)],
            stdout=subprocess.DEVNULL)
        self.resources.callback(process.wait)
        self.resources.callback(process.kill)
        self.wait_up(node)
        self.arrived(self.master, node)
        return node

    def wait_up(self, replica):
        """Until its link to its master is up."""
        if not until(lambda: replica.info().get("master_link_status") == "up", 5, 0.002):
            raise NotMade("%s does not follow" % replica)

    def behind_proxy(self, replica, master):
        """Makes the one follow the other through a proxy of its own."""
        proxy = self.resources.enter_context(Proxy(master.port))
        replica.follow(proxy.port)
        return proxy

    def in_step(self, master, replica):
        if not until(lambda: "port=%d,state=online" % replica.port
                     in (master.try_call("INFO", "replication") or ""), 10):
            raise NotMade("%s does not follow %s" % (replica, master))

    def arrived(self, master=None, *replicas):
        """Waits until what the master has is with the replicas."""
        master = master or self.master
        key = "arrived:%d" % time.monotonic_ns()
        master.call("SET", key, 1, "PX", 10000)
        if not until(lambda: all(node.try_call("GET", key) for node in
                                 replicas or self.replicas), 5, 0.002):
            raise NotMade("the stream does not arrive")

    def by_hand(self, cart):
        """A unit more by psql. It counts as answered when the cache has had its time to
        follow; the cart's body is then as hands.py says."""
        seen = self.read(self.a, cart)
        begin, name = time.monotonic_ns(), self.ledger.next_id()
        self.stack.psql(hands.ADD % {"cart": cart})
        time.sleep(hands.FOLLOWS)
        self.ledger.note("w", cart, begin, hands.answer_after(seen), name)

    # The end

    def must(self, good, why):
        if not good:
            raise NotMade(str(why))

    def must_reach(self, gate):
        self.must(gate.reached.wait(5), "nobody came to the gate")

    def must_read_database(self, process):
        """So that it knows the epoch as it is now."""
        self.must(self.read(process, self.new_cart()).cache != "HIT", "a hit")

    def settle(self):
        """Gives what was let go the time to be done, and heartbeats to be back."""
        time.sleep(0.2)

    def judge(self):
        """What the checker says, once nothing can change any more."""
        self.end()
        if not until(lambda: self.stack.value(BUSY) == "0", 10):
            raise NotMade("sessions do not come to rest")
        return self.ledger.judge(self.stack.psql(FINAL % self.ledger.prefix),
                                 self.bench.dir)


def attempt(process, method, uri, body=b""):
    try:
        return door.ask(process.socket, method, uri, body)
    except OSError:
        return door.Answer()
