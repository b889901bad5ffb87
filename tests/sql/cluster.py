"""A private PostgreSQL cluster for these tests, on a socket only, and its sessions."""
import glob
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SQL = os.path.join(ROOT, "sql")
VARIANT = os.environ.get("V", "release")
SEEDER = os.path.abspath(
    os.environ.get("SEEDER", os.path.join(ROOT, "build", VARIANT, "carrito-seed")))
PORT = 5462     # no TCP: it only names the socket


def bin_dir():
    """Where the newest installed server's programs are: Debian keeps them off PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                   key=lambda path: int(path.split("/")[4]))
    initdb = found[-1] if found else shutil.which("initdb")
    if not initdb:
        raise FileNotFoundError("initdb: install postgresql")
    return os.path.dirname(initdb)


def unprivileged():
    """What to put before a command that refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", "--reuid=%d" % nobody.pw_uid, "--regid=%d" % nobody.pw_gid,
            "--clear-groups"]


class Cluster:
    def __init__(self):
        self.bin = bin_dir()
        scratch = os.environ.get("CARRITO_TEST_DIR", "")
        # A socket's path has room for about 100 bytes.
        self.dir = tempfile.mkdtemp(prefix="sql-", dir=scratch if 0 < len(scratch) < 60
                                    else "/tmp")
        os.chmod(self.dir, 0o755)
        self.data = os.path.join(self.dir, "pg")
        os.mkdir(self.data, 0o700)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self.dir, self.data):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self.server("initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                    "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        self.names = 0

    def server(self, program, *arguments):
        subprocess.run(unprivileged() + [os.path.join(self.bin, program), *arguments],
                       cwd="/", check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def start(self):
        """Durability is not what is tested here, and costs time."""
        options = ("-c listen_addresses= -c unix_socket_directories=%s -p %d -c fsync=off"
                   % (self.dir, PORT))
        self.server("pg_ctl", "-D", self.data, "-l", self.data + "/log", "-o", options,
                    "-w", "start")

    def stop(self):
        if os.path.exists(self.data + "/postmaster.pid"):
            self.server("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.dir, ignore_errors=True)

    def prepare(self):
        """The service's role, which is no superuser, and a migrated database to copy."""
        run_sql(self.url("postgres", "postgres"), "CREATE ROLE carrito LOGIN")
        self.template = self.create("template0")
        result = self.migrate(self.template)
        if result.returncode:
            raise RuntimeError(result.stderr)

    def url(self, database, role="carrito"):
        return "host=%s port=%d user=%s dbname=%s" % (self.dir, PORT, role, database)

    def create(self, template=None, more=""):
        """A new database, by default an empty migrated one. Returns its DATABASE_URL."""
        self.names += 1
        name = "t%d" % self.names
        template = template or re.search(r"dbname=(\w+)", self.template).group(1)
        run_sql(self.url("postgres", "postgres"), "CREATE DATABASE %s OWNER carrito "
                "TEMPLATE %s %s" % (name, template, more))
        return self.url(name)

    def migrate(self, url, directory=SQL, **env):
        return subprocess.run([os.path.join(directory, "migrate")], check=False,
                              env=dict(os.environ, DATABASE_URL=url, **env),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)


def psql(url):
    return ["psql", "-X", "-q", "-A", "-t", "-w", "-F", "|", "-v", "ON_ERROR_STOP=1",
            "-d", url]


def run_sql(url, sql):
    """Runs statements; returns the rows they print, as lists of texts."""
    done = subprocess.run(psql(url), input=sql, check=False, capture_output=True,
                          text=True, env=dict(os.environ, PGCLIENTENCODING="UTF8"))
    if done.returncode:
        raise RuntimeError(done.stderr + sql[:300])
    return [line.split("|") for line in done.stdout.splitlines()]


def value(url, sql):
    return run_sql(url, sql)[0][0]


class Session:
    """A session that stays open, for transactions that overlap."""

    def __init__(self, url):
        self.process = subprocess.Popen(psql(url), stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()     # it may wait for a lock that another one here holds
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def send(self, sql):
        self.process.stdin.write(sql + ";\n")
        self.process.stdin.flush()

    def ask(self, sql):
        """The lines that sql prints, once everything sent before is done too."""
        self.send(sql)
        self.send("SELECT 'done'")
        lines = []
        for line in iter(self.process.stdout.readline, ""):
            if line == "done\n":
                break
            lines.append(line.rstrip("\n"))
        return lines


def wait_until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def lock_waiters(url):
    """How many sessions of this database wait for a lock of any kind."""
    return int(value(url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                          "'Lock' AND datname = current_database()"))
