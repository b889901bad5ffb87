"""A keeper that does nothing but beat, with beats that a scenario can take in hand."""
import subprocess
import threading
import time

from node import RedisError

TICK = 0.05
ROW = "SELECT epoch, mode, master, master_replid FROM cache_state;\n"
# As the keeper's own: only on the master that the epoch's row names.
SCRIPT = """local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) or
   not string.find(info, 'master_replid:' .. ARGV[1], 1, true) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1"""


def host_key():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return "hb:" + file.read().strip()


class Beat:
    """Beats from the start on, every tick; `addresses` leads from an address in the
    epoch's row to a node."""

    def __init__(self, psql, nodes):
        self.addresses = {node.addr: node for node in nodes}
        self.key = host_key()
        self.psql = subprocess.Popen(psql, text=True, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.turn = threading.Lock()  # held by whoever asks or sends
        self.running = True
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            with self.turn:
                if self.running:
                    self.send(self.ask())
            time.sleep(TICK)

    def pause(self):
        """None is on its way when this returns."""
        with self.turn:
            self.running = False

    def go_on(self):
        self.running = True

    def end(self):
        self.ended = True
        self.psql.kill()
        self.thread.join()
        self.psql.communicate()

    def ask(self):
        """A clock from before the question, and its answer; None: PostgreSQL is gone."""
        stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns() // 1_000_000
        try:
            self.psql.stdin.write(ROW)
            self.psql.stdin.flush()
            row = self.psql.stdout.readline().rstrip("\n").split("\x1f")
        except (OSError, ValueError):
            return None
        return (stamp, row) if len(row) == 4 else None

    def send(self, asked, px=10000):
        """Says it to the master; True if that was the one."""
        if not asked:
            return False
        (boot, wall), (epoch, mode, master, replid) = asked
        node = self.addresses.get(master)
        if mode == "off" or not node:
            return False
        text = "H %s %s %d %d %s" % (epoch, mode, boot, wall, replid)
        try:
            return node.call("EVAL", SCRIPT, 1, self.key, replid, text, px) == 1
        except (OSError, RedisError):
            return False
