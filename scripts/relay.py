"""A TCP relay on loopback that is as slow as a network: it adds a round trip, and passes no more than a bandwidth.

    relay.py --listen 2222 --to 127.0.0.1:22 --round-trip 20ms --bandwidth 100Mbit

All connections through one relay share its link, which has its bandwidth in each direction. The relay models neither loss nor
jitter nor TCP's slow start. With `--listen 0` it takes a free port, and it prints the port. Programs use it like this:

    with Relay("127.0.0.1:22", "20ms", "100Mbit") as relay:
        ...  # connects to 127.0.0.1, relay.port
"""

from __future__ import annotations

import argparse
import asyncio
import re
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Coroutine

CHUNK = 16 * 1024  # bytes
# How long the sender's queue may be before it waits. Without a queue the link would idle each time a timer is late.
QUEUE = 0.005  # seconds


class Direction:
    """One direction of the link. Chunks leave one after another, at the link's bandwidth, and arrive a delay later."""

    def __init__(self, bandwidth: float, delay: float) -> None:
        self.bytes_per_second = bandwidth / 8
        self.delay = delay
        self.free_at = 0.0
        self.carried = 0  # bytes
        # What one connection can have on its way here.
        self.capacity = int((delay + QUEUE) * self.bytes_per_second) + CHUNK

    def send(self, size: int, now: float) -> tuple[float, float]:
        """When a chunk that is handed over NOW has left, and when it arrives."""
        self.free_at = max(self.free_at, now) + size / self.bytes_per_second
        self.carried += size
        return self.free_at, self.free_at + self.delay


class Flight:
    """The chunks of one connection that are on their way in one direction: at most LIMIT bytes before the next has to wait."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.chunks: deque[tuple[float, bytes]] = deque()
        self.changed = asyncio.Condition()

    async def add(self, arrives_at: float, chunk: bytes) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.size < self.limit)
            self.chunks.append((arrives_at, chunk))
            self.size += len(chunk)
            self.changed.notify_all()

    async def first(self) -> tuple[float, bytes]:
        async with self.changed:
            await self.changed.wait_for(lambda: self.chunks)
            return self.chunks[0]

    async def remove_first(self) -> None:
        async with self.changed:
            self.size -= len(self.chunks.popleft()[1])
            self.changed.notify_all()


async def send(reader: asyncio.StreamReader, direction: Direction, flight: Flight) -> None:
    """Puts all that one end says on the link; an empty chunk at last, where that end has no more to say."""
    loop = asyncio.get_running_loop()
    while True:
        chunk = await reader.read(CHUNK)
        left_at, arrives_at = direction.send(len(chunk), loop.time())
        await flight.add(arrives_at, chunk)
        if not chunk:
            return
        await sleep_until(left_at - QUEUE)


async def deliver(flight: Flight, writer: asyncio.StreamWriter) -> None:
    """Hands each chunk to the other end when it arrives, and waits while that end takes no more."""
    while True:
        arrives_at, chunk = await flight.first()
        await sleep_until(arrives_at)
        if not chunk:
            writer.write_eof()
            return
        writer.write(chunk)
        await writer.drain()
        await flight.remove_first()


async def sleep_until(time: float) -> None:
    await asyncio.sleep(max(0.0, time - asyncio.get_running_loop().time()))


class Link:
    """A link to HOST:PORT. ROUND_TRIP is in seconds, BANDWIDTH in bits a second."""

    def __init__(self, to: tuple[str, int], round_trip: float, bandwidth: float) -> None:
        self.to = to
        self.round_trip = round_trip
        self.up = Direction(bandwidth, round_trip / 2)
        self.down = Direction(bandwidth, round_trip / 2)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection until both ends have closed it, or one has broken it off."""
        writers = [writer]
        try:
            # TCP's handshake takes a round trip before there is a connection.
            await asyncio.sleep(self.round_trip)
            server_reader, server_writer = await asyncio.open_connection(*self.to, limit=CHUNK)
            writers.append(server_writer)
            up, down = Flight(self.up.capacity), Flight(self.down.capacity)
            await all_of(
                send(reader, self.up, up), deliver(up, server_writer),
                send(server_reader, self.down, down), deliver(down, writer),
            )  # fmt: skip
        except OSError:
            # One end is gone, or was never there: so is what is on its way, and the other end learns it.
            for each in writers:
                each.transport.abort()
        finally:
            for each in writers:
                each.close()


async def all_of(*coroutines: Coroutine) -> None:
    """Runs them side by side. The first one that fails ends the others."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def run(link: Link, port: int) -> None:
    server = await asyncio.start_server(link.serve, "127.0.0.1", port, limit=CHUNK)
    # For Relay.carried.
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: print(link.up.carried + link.down.carried, flush=True))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Relay:
    """A relay in a process of its own, on a free port, while the `with` block runs."""

    def __init__(self, to: str, round_trip: str, bandwidth: str) -> None:
        options = ["--listen", "0", "--to", to, "--round-trip", round_trip, "--bandwidth", bandwidth]
        # The kernel ends it with its parent, should that be killed before it can clean up.
        self.command = ["setpriv", "--pdeathsig", "KILL", sys.executable, __file__, *options]

    def __enter__(self) -> Relay:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def carried(self) -> int:
        """How many bytes its link has carried, both ways."""
        self.process.send_signal(signal.SIGUSR1)
        return int(self.process.stdout.readline())

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def quantity(units: dict[str, float]) -> Callable[[str], float]:
    """What reads a number with one of these units."""

    def read(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+)", text)
        if match is None or match[2] not in units or float(match[1]) == 0:
            raise argparse.ArgumentTypeError(f"invalid value {text!r}: write a number above 0 and one of {', '.join(units)}")
        return float(match[1]) * units[match[2]]

    return read


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: write HOST:PORT")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=int, required=True, metavar="PORT", help="on 127.0.0.1; 0 takes a free port")
    parser.add_argument("--to", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--round-trip", type=quantity({"ms": 0.001, "s": 1}), required=True, metavar="TIME", help="such as 20ms")
    rates = {"bit": 1, "Kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9}
    parser.add_argument("--bandwidth", type=quantity(rates), required=True, metavar="RATE", help="a second, such as 100Mbit")
    asked = parser.parse_args()
    # select(2) wakes up to the microsecond; epoll(7), the default, rounds each wait up to a millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(run(Link(asked.to, asked.round_trip, asked.bandwidth), asked.listen))


if __name__ == "__main__":
    main()
