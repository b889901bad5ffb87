#!/usr/bin/python3
"""A link that can be slow, deaf or cut: a TCP proxy before one port of this machine.

It runs as a process of its own, so that its delays do not depend on what the test does
meanwhile, takes commands on standard input and ends with it. `down` is what the server
sends, `up` what its client sends:

    down|up delay MS [MORE]   each piece comes MS (and up to MORE) milliseconds later
    down|up hold              nothing comes any more; it waits
    down|up pass              what waited comes, and the rest
    down|up drop              nothing comes, and what was sent meanwhile is lost
    cut                       every connection ends
    refuse | accept           new connections end at once; or not

A stream with a hole would be worse than any network: `pass` after `drop` ends it.
"""
import asyncio
import random
import subprocess
import sys
import time


class Proxy:
    """The process, as the test holds it. Use it with `with`."""

    def __init__(self, port):
        self.process = subprocess.Popen([sys.executable, __file__, str(port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def tell(self, *words):
        """One command; it counts when this returns."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise RuntimeError("the proxy does not know " + repr(words))


class Direction:
    """How one direction treats what comes."""

    def __init__(self):
        self.least = self.more = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.dropping = False

    def command(self, verb, *numbers):
        if verb == "delay":
            self.least, self.more = (int(text) / 1000 for text in (*numbers, "0")[:2])
        elif verb == "hold":
            self.gate.clear()
        elif verb in ("pass", "drop"):
            self.dropping = verb == "drop"
            self.gate.set()
        else:
            raise ValueError(verb)

    def due(self):
        return time.monotonic() + self.least + random.random() * self.more


class Link:
    """The listener and its connections."""

    def __init__(self, port):
        self.port = port
        self.directions = {"down": Direction(), "up": Direction()}
        self.connections = set()
        self.refusing = False

    async def accept(self, reader, writer):
        if self.refusing:
            writer.close()
            return
        try:
            server = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        pumps = [asyncio.ensure_future(pump) for pump in (
            self.pump(self.directions["up"], reader, server[1]),
            self.pump(self.directions["down"], server[0], writer))]
        self.connections.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the end of all
        finally:
            self.connections.difference_update(pumps)
            for pump in pumps:
                pump.cancel()
            for end in (writer, server[1]):
                end.transport.abort()

    async def pump(self, direction, reader, writer):
        """Returns when the connection is to end. The end, too, comes late or never."""
        queue = asyncio.Queue()
        send = asyncio.ensure_future(self.send(direction, queue, writer))
        lost = False
        try:
            while direction.dropping or not lost:
                data = await reader.read(65536)
                lost = lost or direction.dropping
                if not lost:
                    queue.put_nowait((direction.due(), data))
                if not data:
                    break
            if not lost:
                await send
        except OSError:
            pass
        finally:
            send.cancel()

    async def send(self, direction, queue, writer):
        # drain() is to wait until all is out.
        writer.transport.set_write_buffer_limits(0)
        last = 0
        while True:
            due, data = await queue.get()
            last = max(due, last)
            await asyncio.sleep(max(0, last - time.monotonic()))
            await direction.gate.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()

    def command(self, words):
        if words[0] in self.directions:
            self.directions[words[0]].command(*words[1:])
        elif words[0] == "cut":
            for pump in self.connections:
                pump.cancel()
        elif words[0] in ("refuse", "accept"):
            self.refusing = words[0] == "refuse"
        else:
            raise ValueError(words[0])


async def serve(port):
    link = Link(port)
    server = await asyncio.start_server(link.accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        try:
            link.command(line.decode().split())
            print("ok", flush=True)
        except (ValueError, IndexError) as e:
            print("no: %s" % e, flush=True)
    for pump in list(link.connections):
        pump.cancel()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
