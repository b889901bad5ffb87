"""An address that can lead to another port, for connections made from then on, and that
can keep back what one connection brings."""
import socket
import threading


class Switch:
    """`addr` leads to `port`. Use it with `with`."""

    def __init__(self, port):
        self.port = port
        self.wanted = None  # what the connection brings that is to be kept back
        self.held = threading.Event()
        self.released = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addr = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.released.set()
        for sock in [self.listener, *self.sockets]:
            end(sock)
            sock.close()

    def hold_back(self, wanted):
        """The next connection that brings this comes no further until release(), even
        when its client has given up."""
        self.wanted = wanted

    def release(self):
        self.released.set()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            self.sockets += [client, server]
            for args in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=args, daemon=True).start()

    def pump(self, source, target, up):
        try:
            while data := source.recv(65536):
                if up and self.wanted and self.wanted in data:
                    self.wanted = None
                    self.held.set()
                    self.released.wait()
                target.sendall(data)
        except OSError:
            pass
        end(source)
        end(target)


def end(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
