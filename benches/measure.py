"""Measurements of one process: its time, TPM commands, instructions, memory and libraries."""

from __future__ import annotations

import collections
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_INSTRUCTIONS = re.compile(r"^==\d+== Collected : (\d+)$", re.MULTILINE)
_COMMAND = re.compile(rb"^ SWTPM_IO_Read: length \d+\n((?: [0-9A-F]{2})+)", re.MULTILINE)
_PIPE_CAPACITY = 64 * 1024


def seconds(command: list[str | Path]) -> tuple[float, str]:
    """How long a command takes, from before its process starts until it has ended, and what it prints: less than a
    pipe holds, since nothing of this side runs meanwhile."""
    reader, writer = os.pipe()
    elapsed, status = _timed(command, (os.POSIX_SPAWN_DUP2, writer, 1))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        output = pipe.read().decode()
    assert len(output) < _PIPE_CAPACITY
    if status != 0:
        _failed(command, status, output)
    return elapsed, output


def seconds_to_file(command: list[str | Path], output: Path, fails: bool = False) -> float:
    """The same for a command that prints more, into a file; for one that fails where it is to."""
    elapsed, status = _timed(command, (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    if (status != 0) != fails:
        _failed(command, status, output.read_text()[-2000:])
    return elapsed


def _timed(command: list[str | Path], output: tuple) -> tuple[float, int]:
    arguments = [os.fspath(part) for part in command]
    redirected = [output, (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    process = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=redirected)
    _, status = os.waitpid(process, 0)
    return time.perf_counter() - started, status


def _failed(command: list[str | Path], status: int, output: str) -> NoReturn:
    shown = " ".join(str(part) for part in command)
    sys.exit(f"{output}\nFailed with status {os.waitstatus_to_exitcode(status)}: {shown}")


def processor_seconds(command: list[str | Path]) -> float:
    """The processor time that a command takes, its own and the system's, with that of the processes that it starts."""
    arguments = [os.fspath(part) for part in command]
    redirected = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    process = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=redirected)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        _failed(command, status, "")
    return usage.ru_utime + usage.ru_stime


def answer(command: list[str | Path]) -> dict:
    """What the binary answers, failures included."""
    return json.loads(subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).stdout)


def interleaved(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds by way. Every round goes every way once, so that a busy moment of the machine hits them all; each round
    begins with another one, and the first is not counted."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    names = list(ways)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken = ways[name]()
            if number > 0:
                times[name].append(taken)
    return times


def tpm_commands(log: Path, since: int) -> collections.Counter[int]:
    """How often the log of a software TPM that logs its commands shows each command code, from a position on."""
    commands = _COMMAND.findall(log.read_bytes()[since:])
    # The code follows tag and size in the header (TPM 2.0 Library, part 1, section 18.2).
    return collections.Counter(int.from_bytes(bytes.fromhex(command.decode())[6:10], "big") for command in commands)


def instructions(command: list[str | Path]) -> int | None:
    """Instructions that the whole process takes, in all its threads. None: valgrind is not installed."""
    if shutil.which("valgrind") is None:
        return None
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run([*valgrind, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\nFailed below valgrind: {command}")
    return int(_INSTRUCTIONS.search(done.stderr)[1])


def peak_memory(binary: Path, request: Path, expected: str = "ek_cert_present") -> int:
    """KiB that a request takes at its peak; by default one identify, of a TPM with an EK certificate. The result that is
    expected must be there.

    The resource usage that a parent is told at the end counts its own memory as well (from before exec), which is more
    than what the binary takes. So the binary is made to wait in its very last step, writing the answer, by a pipe that
    is full, and the kernel is asked for the process's peak there.
    """
    pipe, writer = os.pipe()
    filling = bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    os.write(writer, filling)
    with subprocess.Popen([binary, request], stdout=writer) as process, os.fdopen(pipe, "rb") as output:
        os.close(writer)
        _wait_until_idle(process.pid)
        status = Path(f"/proc/{process.pid}/status").read_text()
        result = json.loads(output.read().removeprefix(filling))
    assert result[expected], result
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1])


def _wait_until_idle(pid: int) -> None:
    """Until a process sleeps, and has taken no processor time for a second."""
    before = None
    while True:
        # proc(5): after the name, the state, and as 14th and 15th field the time taken.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = (fields[0], fields[11], fields[12])
        if now == before and now[0] == "S":
            return
        before = now
        time.sleep(1)


def shared_libraries(binary: Path) -> list[str]:
    """What the loader brings in for a binary, by file name; nothing for one that is static."""
    lines = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout.splitlines()
    if [line.strip() for line in lines] == ["statically linked"]:
        return []
    return sorted(Path(line.split()[0]).name for line in lines)
