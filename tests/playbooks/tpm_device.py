"""A software TPM as /dev/tpmrm0 of a container: its commands go through a pseudo-terminal, and sysfs says that there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import tty
from pathlib import Path

from software_tpm import SoftwareTpm

NODE = Path("/dev/tpmrm0")
CLASSES = Path("/sys/class")
# Of a command or an answer: tag, size, code (TPM 2.0 Library, Part 1, section 18).
HEADER = 10


def plug_in(tpm: SoftwareTpm, group: str) -> None:
    """Makes TPM this container's first one, whose device GROUP has, until this program ends. It must not be used otherwise."""
    ours, theirs = os.openpty()
    # Its answers are not to be echoed or translated. THEIRS stays open: without any end there, OURS would fail.
    tty.setraw(theirs)
    NODE.touch()
    subprocess.run(["mount", "--bind", os.ttyname(theirs), NODE], check=True)
    shutil.chown(NODE, "root", group)
    NODE.chmod(0o660)
    _announce()
    threading.Thread(target=_pass_on, args=(ours, tpm.port), daemon=True).start()


def _announce() -> None:
    """Has sysfs say so. Nothing can be added to it, so what it has of devices' classes is put into a folder over it."""
    real = Path("/run/class")
    real.mkdir()
    subprocess.run(["mount", "--bind", CLASSES, real], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", CLASSES], check=True)
    for entry in real.iterdir():
        if entry.name != "tpm":
            (CLASSES / entry.name).symlink_to(entry)
    (CLASSES / "tpm/tpm0/device/tpmrm" / NODE.name).mkdir(parents=True)


def _pass_on(device: int, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            connection.sendall(_message(lambda size: os.read(device, size)))
            # In one piece, as a TPM's device gives it.
            os.write(device, _message(connection.recv))


def _message(read) -> bytes:
    message = b""
    while len(message) < HEADER or len(message) < int.from_bytes(message[2:6], "big"):
        message += read(4096)
    return message
