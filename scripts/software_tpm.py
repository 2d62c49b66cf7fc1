"""Software TPMs (swtpm) for the demo, the playbook tests and the benchmark.

    with SoftwareTpms(directory) as tpms:
        web = tpms.start("web-1", ca=directory / "ca")
        ...  # web.tcti is what a TPM client needs to know

Every TPM's state is the folder DIRECTORY/NAME, so a TPM started again under its name is the same TPM. Nothing is
written outside the folders given, and only the processes started here are stopped, however the block is left.
"""

from __future__ import annotations

import hashlib
import os
import random
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from loopback import PORTS

PORT_ATTEMPTS = 50
ANSWER_TIMEOUT = 20.0  # seconds
LINKED = Path(__file__).resolve().with_name("linked_ek_certificate.py")
LOG = "swtpm.log"  # in the folder of a TPM's state
CMD_GET_CAPABILITY = struct.pack(">I", 1)  # of swtpm's control channel; answered once the TPM is ready


class SoftwareTpmError(Exception):
    """A software TPM could not be made or started; the text says why."""


@dataclass
class SoftwareTpm:
    """One running swtpm: commands on PORT, its control channel on PORT + 1, both on 127.0.0.1."""

    name: str
    state: Path
    port: int
    process: subprocess.Popen

    @property
    def tcti(self) -> str:
        """The TCTI configuration by which TPM clients reach it."""
        return f"swtpm:host=127.0.0.1,port={self.port}"

    @property
    def log(self) -> Path:
        """What it says, and with `log_commands` every command and answer."""
        return self.state / LOG

    def stop(self) -> None:
        """Ends the process; its state stays. Harmless when it has ended already."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class SoftwareTpms:
    """The software TPMs of one run, stopped together when the `with` block ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory).resolve()
        self.running: list[SoftwareTpm] = []

    def __enter__(self) -> SoftwareTpms:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(
        self, name: str, ca: Path | None = None, link: str | None = None, log_commands: bool = False
    ) -> SoftwareTpm:
        """Starts the TPM called NAME, made first if it has no state yet: with an EK certificate where a CA is given, which
        links to the CA's certificate where LINK is a URL. With LOG_COMMANDS its log shows every command and answer. One that runs
        already is returned as it is.

        Call it from the main thread: the TPM ends with the thread that started it.
        """
        for tpm in self.running:
            if tpm.name == name and tpm.process.poll() is None:
                return tpm
        state = self.directory / name
        if not state.is_dir():
            create_state(state, ca, link)
        tpm = _start(name, state, log_commands)
        self.running.append(tpm)
        return tpm

    def stop(self) -> None:
        while self.running:
            self.running.pop().stop()


def create_state(state: Path, ca: Path | None = None, link: str | None = None) -> None:
    """Makes the state of a new TPM with an identity of its own.

    With CA, a folder, the TPM gets an EK certificate issued by the local CA kept there, which is created if need be
    (its certificate is CA/issuercert.pem, its root's CA/swtpm-localca-rootca-cert.pem), and LINK in it is where the former is said
    to be. Without, it has no EK certificate. Safe to call from several threads.
    """
    state = Path(state).resolve()
    state.mkdir(mode=0o700, parents=True)
    if ca is None:
        return
    config = _setup_config(Path(ca).resolve(), link)
    command = ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--create-ek-cert", "--config", str(config)]
    if os.geteuid() == 0:
        command += ["--runas", "root"]  # else it changes to the user tss, who may not write here
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        raise SoftwareTpmError("swtpm_setup is not installed (package swtpm-tools): run scripts/setup.sh") from None
    if done.returncode != 0:
        shutil.rmtree(state)
        raise SoftwareTpmError(f"swtpm_setup failed for {state}:\n{done.stdout.strip()}{_apparmor_hint(state)}")


def _setup_config(ca: Path, link: str | None) -> Path:
    """Writes the configuration that keeps the local CA in CA, away from /var/lib and the home directory."""
    ca.mkdir(mode=0o700, parents=True, exist_ok=True)
    localca_tool = shutil.which("swtpm_localca") or "/usr/bin/swtpm_localca"
    _write(ca / "swtpm-localca.conf", (
        f"statedir = {ca}\n"
        f"signingkey = {ca}/signkey.pem\n"
        f"issuercert = {ca}/issuercert.pem\n"
        f"certserial = {ca}/certserial\n"
    ))
    _write(ca / "swtpm-localca.options", (
        "--platform-manufacturer Example\n--platform-version 1.0\n--platform-model SoftwareTPM\n"
    ))
    if link is not None:
        words = [sys.executable, str(LINKED), link, localca_tool, str(ca)]
        # Written by a name of its own: the same CA may issue certificates with other links.
        localca_tool = _write(ca / f"linked-{hashlib.sha256(link.encode()).hexdigest()[:8]}", (
            f"#!/bin/sh\nexec {shlex.join(words)} \"$@\"\n"
        ))
        localca_tool.chmod(0o700)
        name = f"{localca_tool.name}.conf"
    else:
        name = "swtpm_setup.conf"
    return _write(ca / name, (
        f"create_certs_tool = {localca_tool}\n"
        f"create_certs_tool_config = {ca}/swtpm-localca.conf\n"
        f"create_certs_tool_options = {ca}/swtpm-localca.options\n"
        "active_pcr_banks = sha256\n"
    ))


def _write(path: Path, text: str) -> Path:
    """Writes TEXT unless it is there already, so that threads sharing a CA never see half a file."""
    if not path.exists() or path.read_text() != text:
        partial = path.with_name(f"{path.name}.{os.getpid()}.{random.randrange(1 << 32):x}")
        partial.write_text(text)
        partial.replace(path)
    return path


def start_detached(name: str, state: Path) -> SoftwareTpm:
    """Starts the TPM with this state so that it outlives this program: the caller sees to its end."""
    return _start(name, Path(state).resolve(), log_commands=False, detached=True)


def _start(name: str, state: Path, log_commands: bool, detached: bool = False) -> SoftwareTpm:
    """Starts swtpm on two free neighbouring ports, trying others when someone else takes them first."""
    log = state / LOG
    for _attempt in range(PORT_ATTEMPTS):
        port = random.choice(PORTS)
        try:
            commands = socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
        with commands:
            try:
                control = socket.create_server(("127.0.0.1", port + 1))
            except OSError:
                continue
        # swtpm binds the command port itself, and ends if that was taken meanwhile. It is handed the control socket,
        # so an answer there comes from this very process and means that it has both.
        with control, log.open("ab") as output:
            process = _spawn(state, port, control.fileno(), output, log_commands, detached)
        try:
            ready = _answers(process, port + 1)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if ready:
            return SoftwareTpm(name, state, port, process)
        if "already in use" not in _tail(log):
            break
    raise SoftwareTpmError(f"swtpm did not start for {state}:\n{_tail(log)}{_apparmor_hint(state)}")


def _spawn(
    state: Path, port: int, control_fd: int, output, log_commands: bool, detached: bool
) -> subprocess.Popen:
    command = [
        "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}",
        "--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,fd={control_fd}",
        "--flags", "not-need-init,startup-clear",
    ]
    if log_commands:
        command += ["--log", "level=20"]
    if not detached:
        # The kernel ends swtpm with its parent, should that be killed before it can clean up.
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    if shutil.which("swtpm") is None:
        raise SoftwareTpmError("swtpm is not installed: run scripts/setup.sh")
    return subprocess.Popen(
        command, pass_fds=(control_fd,), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        start_new_session=detached,
    )  # fmt: skip


def _answers(process: subprocess.Popen, control_port: int) -> bool:
    """Waits until swtpm answers on its control channel. False: it ended or kept silent (and is stopped)."""
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", control_port), timeout=ANSWER_TIMEOUT) as control:
                control.sendall(CMD_GET_CAPABILITY)
                if control.recv(8):
                    return True
        except OSError:
            pass
        time.sleep(0.02)
    process.kill()
    process.wait()
    return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def _apparmor_hint(state: Path) -> str:
    """Distributions confine swtpm by AppArmor: say so where that may be why it cannot write."""
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    profile = Path("/etc/apparmor.d/usr.bin.swtpm")
    if not (profile.exists() and enabled.exists() and enabled.read_text().startswith("Y")):
        return ""
    return (
        f"\n{profile} lets swtpm write only below home directories and /tmp. If {state} is elsewhere, move the checkout"
        " below your home directory."
    )
