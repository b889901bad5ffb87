"""A man in the middle of PostgreSQL's socket, who can keep the answer to a COMMIT back.

PostgreSQL's socket file gets another name and ours takes its place: sessions that begin
now go through here. Told to cut, it ends a session as soon as the server says that it has
committed: the change is made, and whoever asked for it cannot know.
"""
import os
import re
import socket
import threading

COMMITTED = b"COMMIT\0"


class Cutter:
    """In place as long as the `with` block runs."""

    def __init__(self, database):
        host = re.search(r"\bhost=(\S+)", database).group(1)
        port = re.search(r"\bport=(\d+)", database).group(1)
        self.path = "%s/.s.PGSQL.%s" % (host, port)
        self.behind = self.path + "-behind"
        self.cutting = False
        self.cuts = 0

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        os.rename(self.path, self.behind)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self.listener.listen(128)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *unused):
        os.rename(self.behind, self.path)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.behind)
            for pump in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pump, args=pump, daemon=True).start()

    def pump(self, source, target, answers):
        """Hands on what comes; a session that is over is over for both sides."""
        try:
            while data := source.recv(65536):
                if answers and self.cutting and COMMITTED in data:
                    self.cuts += 1
                    break
                target.sendall(data)
        except OSError:
            pass
        for sock in (source, target):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
