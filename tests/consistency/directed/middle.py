"""A man in the middle of PostgreSQL's socket who knows the frontend's messages.

He can keep back what follows a certain message, keep back the answer, or lose a COMMIT.
Statements are known by the names under which the program prepares them.
"""
import os
import re
import socket
import struct
import threading

BIND, EXECUTE = b"B", b"E"


class Gate:
    """Where one session waits: `reached`, then open()."""

    def __init__(self, statements, where):
        self.statements = statements
        self.where = where
        self.reached = threading.Event()
        self.opened = threading.Event()

    def open(self):
        self.opened.set()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.open()


class Middle:
    """`url` is for the program. At most one gate at a time waits for a session."""

    def __init__(self, database, directory):
        host = re.search(r"\bhost=(\S+)", database).group(1)
        port = re.search(r"\bport=(\d+)", database).group(1)
        name = "/.s.PGSQL." + port
        self.behind = host + name
        self.url = database.replace("host=" + host, "host=" + directory)
        self.lock = threading.Lock()
        self.gate = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(directory + name)
        os.chmod(directory + name, 0o777)
        self.listener.listen(128)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    # What is to happen to the next session that sends such a statement

    def hold_after_bind(self, *statements):
        """Its snapshot is taken; it has not run."""
        return self.set_gate(Gate(statements, "bind"))

    def hold_after_execute(self, *statements):
        """It has run, once; what follows it has not come."""
        return self.set_gate(Gate(statements, "execute"))

    def hold_answer(self, *statements):
        """It and what comes with it have run; the program does not know."""
        return self.set_gate(Gate(statements, "answer"))

    def lose(self, *statements):
        """The connection is lost just before the statement."""
        return self.set_gate(Gate(statements, "lose"))

    def set_gate(self, gate):
        with self.lock:
            self.gate = gate
        return gate

    def take(self, where, statement):
        """The gate, if it waits for that; it is taken once."""
        with self.lock:
            gate = self.gate
            if gate and gate.where in where and statement in gate.statements:
                self.gate = None
                return gate
        return None

    # Sessions

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            session = Session(self, client)
            threading.Thread(target=session.up, daemon=True).start()
            threading.Thread(target=session.down, daemon=True).start()


class Session:
    def __init__(self, middle, client):
        self.middle = middle
        self.client = client
        self.server = socket.socket(socket.AF_UNIX)
        self.answers = None  # the gate at which answers wait
        self.bound = None    # the statement of the last Bind
        try:
            self.server.connect(middle.behind)
        except OSError:
            pass  # the pumps will notice

    def up(self):
        """From the program to PostgreSQL, message by message."""
        buffer, typed = b"", 0  # the first message has no type
        try:
            while data := self.client.recv(65536):
                buffer += data
                while len(buffer) >= typed + 4:
                    size = typed + struct.unpack_from(">I", buffer, typed)[0]
                    if len(buffer) < size:
                        break
                    message, buffer = buffer[:size], buffer[size:]
                    if typed and not self.pass_on(message):
                        return
                    if not typed:
                        self.server.sendall(message)
                    typed = 1
        except OSError:
            pass
        finally:
            self.end()

    def pass_on(self, message):
        """False when the session is to be lost instead."""
        kind = message[:1]
        if kind == BIND:
            self.bound = message[5:].split(b"\0", 2)[1].decode()
            gate = self.middle.take(("lose", "answer"), self.bound)
            if gate and gate.where == "lose":
                gate.reached.set()
                return False
            self.answers = gate or self.answers
        self.server.sendall(message)
        if kind in (BIND, EXECUTE):
            where = "bind" if kind == BIND else "execute"
            gate = self.middle.take((where,), self.bound)
            if gate:
                gate.reached.set()
                gate.opened.wait()
        return True

    def down(self):
        try:
            while data := self.server.recv(65536):
                gate = self.answers
                if gate:
                    gate.reached.set()
                    gate.opened.wait()
                    self.answers = None
                self.client.sendall(data)
        except OSError:
            pass
        finally:
            self.end()

    def end(self):
        for sock in (self.client, self.server):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
