"""Ports of this machine's loopback, for what tests and the demo start there."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable

# Below the usual range of ports that outgoing connections are given (32768 and up).
PORTS = range(20000, 32000, 2)


_given: set[int] = set()


def free_port() -> int:
    """A port on 127.0.0.1 that nobody has, and that was not given to anybody by this process."""
    while True:
        port = random.choice(PORTS)
        if port in _given and len(_given) < len(PORTS) // 2:
            continue
        _given.add(port)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for_ssh(port: int, alive: Callable[[], bool], seconds: float) -> bool:
    """Whether an SSH server greets on that port within SECONDS, and as long as ALIVE says there is a point in waiting."""
    deadline = time.monotonic() + seconds
    while alive() and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if connection.recv(4) == b"SSH-":
                return True
        time.sleep(0.2)
    return False
