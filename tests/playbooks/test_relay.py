"""The relay that makes loopback as slow as a network. Times are compared with the least that they can be, since a busy machine
makes anything take longer."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import ansible_runs
import pytest
import relay
from relay import Relay

# For what would otherwise hang.
TIMEOUT = 60.0  # seconds
FAST = "10Gbit"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that runs ANSWER, in a thread, for each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=[connection], daemon=True).start()

        def serve(connection: socket.socket) -> None:
            connection.settimeout(TIMEOUT)
            with connection:
                answer(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def echo(connection: socket.socket) -> None:
    while received := connection.recv(1 << 16):
        connection.sendall(received)


def digest(connection: socket.socket) -> None:
    """Answers the hash of all that is received up to its end."""
    connection.sendall(hashlib.sha256(read_to_end(connection)).digest())


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def connect(through: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", through.port), timeout=TIMEOUT)


def test_an_answer_takes_the_round_trip():
    with server(echo) as address, Relay(address, "100ms", FAST) as slow, connect(slow) as connection:
        times = []
        for _ in range(4):
            started = time.monotonic()
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            times.append(time.monotonic() - started)
    # The first one waits for TCP's handshake as well.
    assert times[0] >= 0.2
    assert min(times[1:]) >= 0.1


def test_what_is_said_first_by_the_server_takes_the_round_trip_too():
    with server(lambda connection: connection.sendall(b"SSH-")) as address, Relay(address, "200ms", FAST) as slow:
        started = time.monotonic()
        with connect(slow) as connection:
            assert read_to_end(connection) == b"SSH-"
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("connections", [1, 2])
def test_no_more_than_the_bandwidth_gets_through_however_many_connections_there_are(connections):
    size = 1 << 20
    payload = os.urandom(size // connections)
    with server(digest) as address, Relay(address, "20ms", "8Mbit") as slow, ExitStack() as stack:
        opened = [stack.enter_context(connect(slow)) for _ in range(connections)]
        started = time.monotonic()

        def send(connection: socket.socket) -> None:
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)

        for connection in opened:
            threading.Thread(target=send, args=[connection], daemon=True).start()
        answers = [read_to_end(connection) for connection in opened]
        taken = time.monotonic() - started
    assert answers == [hashlib.sha256(payload).digest()] * connections
    # A handshake, all the bits one after another, and the way there and back.
    assert taken >= 0.02 + 8 * size / 8e6 + 0.02


def test_the_bandwidth_also_limits_what_the_server_sends():
    size = 1 << 20
    with server(lambda connection: connection.sendall(bytes(size))) as address, Relay(address, "20ms", "8Mbit") as slow:
        started = time.monotonic()
        with connect(slow) as connection:
            assert len(read_to_end(connection)) == size
    assert time.monotonic() - started >= 8 * size / 8e6


def test_chunks_travel_at_the_same_time():
    one_way = relay.Direction(bandwidth=8e6, delay=1)  # 1 MB a second
    assert one_way.send(500_000, now=100.0) == (100.5, 101.5)
    assert one_way.send(500_000, now=100.0) == (101.0, 102.0)
    # An idle link saves nothing up for later.
    assert one_way.send(1_000_000, now=200.0) == (201.0, 202.0)


def test_a_long_way_does_not_lower_the_throughput():
    payload = os.urandom(400 * relay.CHUNK)
    with server(digest) as address, Relay(address, "400ms", FAST) as slow, connect(slow) as connection:
        # One chunk at a time would take 80 seconds, more than the timeout of each end.
        connection.sendall(payload)
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == hashlib.sha256(payload).digest()


def test_it_counts_the_bytes_of_both_ways():
    with server(echo) as address, Relay(address, "20ms", FAST) as slow, connect(slow) as connection:
        before = slow.carried()
        connection.sendall(bytes(1000))
        assert len(connection.recv(1000, socket.MSG_WAITALL)) == 1000
        assert (before, slow.carried()) == (0, 2000)


def test_every_byte_arrives_in_order_both_ways_at_once():
    payload = os.urandom(5_000_000)
    with server(echo) as address, Relay(address, "20ms", "1Gbit") as slow, connect(slow) as connection:

        def send() -> None:
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        assert read_to_end(connection) == payload


def test_who_reads_nothing_makes_the_sender_wait():
    size = 64 << 20
    may_read = threading.Event()

    def late(connection: socket.socket) -> None:
        may_read.wait(TIMEOUT)
        digest(connection)

    payload = os.urandom(size)
    with server(late) as address, Relay(address, "20ms", FAST) as slow, connect(slow) as connection:
        connection.setblocking(False)
        sent = 0
        while sent < size and select.select([], [connection], [], 2)[1]:
            sent += connection.send(payload[sent : sent + relay.CHUNK])
        # What the kernel's buffers and the link hold.
        assert sent < size
        may_read.set()
        connection.settimeout(TIMEOUT)
        connection.sendall(payload[sent:])
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == hashlib.sha256(payload).digest()


def test_a_server_that_breaks_off_or_is_not_there_ends_the_connection():
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with server(reset) as address, Relay(address, "20ms", FAST) as slow, connect(slow) as connection:
        connection.sendall(b"xy")
        assert read_or_reset(connection) == b""
        still_relays(slow)
    with Relay(address, "20ms", FAST) as slow, connect(slow) as connection:
        assert read_or_reset(connection) == b""
        still_relays(slow)


def test_a_client_that_breaks_off_ends_the_connection():
    ended = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.sendall(b"x")
        if read_or_reset(connection) == b"":
            ended.set()

    with server(wait) as address, Relay(address, "20ms", FAST) as slow:
        with connect(slow) as connection:
            assert connection.recv(1) == b"x"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert ended.wait(TIMEOUT)
        still_relays(slow)


def read_or_reset(connection: socket.socket) -> bytes:
    try:
        return read_to_end(connection)
    except ConnectionError:
        return b""


def still_relays(slow: Relay) -> None:
    connect(slow).close()
    assert slow.process.poll() is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--round-trip", "20"),
        ("--round-trip", "0ms"),
        ("--round-trip", "-1ms"),
        ("--bandwidth", "100MB"),
        ("--bandwidth", "0Mbit"),
        ("--to", "localhost"),
        ("--to", ":22"),
    ],
)
def test_what_it_cannot_read_is_refused(option, value):
    options = {"--listen": "0", "--to": "127.0.0.1:22", "--round-trip": "20ms", "--bandwidth": "100Mbit"} | {option: value}
    command = [sys.executable, ansible_runs.PROJECT / "scripts/relay.py", *(f"{name}={text}" for name, text in options.items())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 2
    assert f"argument {option}: invalid value '{value}'" in done.stderr
