"""Processes that outlive the program that started them, known again by their pid files.

A pid file holds the process's id and the time it started (in clock ticks since the boot, as in /proc/PID/stat) with the
boot's id, so that another process that got the same id later is never taken for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class HostError(Exception):
    """A machine or a container does not do what it should; the text says which and why."""


def start(command: Sequence[str], pid_file: Path, folder: Path, **more: object) -> subprocess.Popen:
    """Starts COMMAND in FOLDER and in a session of its own; what it says goes into a log beside the pid file."""
    with pid_file.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, **more,
        )
    record(process.pid, pid_file)
    return process


def record(pid: int, pid_file: Path) -> None:
    """Writes the pid file of a process that was started otherwise."""
    pid_file.write_text(f"{pid} {_start_time(pid)} {BOOT_ID.read_text().strip()}\n")


def running(pid_file: Path) -> int | None:
    """The id of the file's process while that runs."""
    try:
        pid, started, boot = pid_file.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    same = boot == BOOT_ID.read_text().strip() and started == _start_time(int(pid))
    return int(pid) if same else None


def send(pid_file: Path, number: signal.Signals) -> None:
    """Sends the signal to the file's process, if it runs."""
    pid = running(pid_file)
    if pid is not None:
        os.kill(pid, number)


def wait_for_end(pid_file: Path, seconds: float) -> bool:
    """Whether the file's process ends within that time."""
    deadline = time.monotonic() + seconds
    while running(pid_file) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def end(pid_file: Path, patience: float = 5) -> None:
    """Ends the file's process, by force after PATIENCE seconds, and removes the file."""
    send(pid_file, signal.SIGTERM)
    send(pid_file, signal.SIGCONT)
    if not wait_for_end(pid_file, patience):
        send(pid_file, signal.SIGKILL)
        if not wait_for_end(pid_file, 10):
            raise HostError(f"the process of {pid_file} does not end")
    pid_file.unlink(missing_ok=True)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, as far as there is one."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat; none where the process is gone, or waits for nothing but its parent to notice."""
    try:
        # The second field is the program's name in brackets, which may have spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
