#!/usr/bin/env python3
"""Whole machines with a TPM 2.0: QEMU, with hardware virtualisation where that works, and swtpm.

    machines.py up NAME...           boots machines; one that runs already stays. Returns when all answer by SSH
    machines.py down [NAME...]       shuts them down as their administrator would; what they have on disk stays
    machines.py destroy [NAME...]    ends them at once, and removes their disks and TPMs
    machines.py kill NAME...         cuts the power; `up` gives it back
    machines.py pause|resume NAME... a machine that answers nothing, and the same one again
    machines.py replace-tpm NAME...  another TPM in the same machine, with a certificate where it had one
    machines.py --list               prints those that there are, on or off, as an Ansible inventory script does

Names are data/machines.yml's; no NAME means all of them that there are. Everything is kept in .cache/molecule/machines/NAME. A
machine reaches this host's loopback at 10.0.2.2, and by the unit host-port@PORT.socket a port of it at its own 127.0.0.1.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from hosts import KEPT, KEY, PROJECT, SHARED, SSH_ARGS, free_port, inventory, lock, port_is_free, wait_for_ssh
from processes import HostError, end, running, send, start, tail, wait_for_end
from software_tpm import SoftwareTpmError, create_state

FOLDER = KEPT / "machines"
MACHINE = PROJECT / ".cache" / "machine"  # by scripts/machine.sh
MEMORY = "640"  # MiB
BOOT_TIMEOUT = 300  # seconds; several machines may share one processor
STOP_TIMEOUT = 60
KERNEL_ARGS = (
    "root=/dev/nvme0n1 rw console=ttyS0 quiet panic=-1 mitigations=off nowatchdog audit=0 fsck.mode=skip"
    " systemd.show_status=0 net.ifnames=0"
)


class Machine:
    """One machine of machines.yml, running or not."""

    def __init__(self, name: str, ek_certificate: bool) -> None:
        self.name = name
        self.ek_certificate = ek_certificate
        self.folder = FOLDER / name
        self.qemu_pid = self.folder / "qemu.pid"
        self.swtpm_pid = self.folder / "swtpm.pid"

    def runs(self) -> bool:
        return running(self.qemu_pid) is not None

    def is_made(self) -> bool:
        """Whether there is such a machine, be it on or off."""
        return (self.folder / "port").exists()

    def port(self) -> int:
        """This host's port at which the machine's SSH server is."""
        return int((self.folder / "port").read_text())

    def start(self, image: Path, acceleration: list[str]) -> None:
        """Puts the machine on; its disk and TPM are made where it has none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        disk = self.folder / "disk.img"
        if not disk.exists():
            partial = disk.with_suffix(".partial")
            subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, partial], check=True)
            partial.replace(disk)
        if not (self.folder / "tpm").is_dir():
            create_state(self.folder / "tpm", KEPT / "ca" if self.ek_certificate else None)
        self._start_swtpm()
        # Kept over restarts, so that inventories stay right.
        port_file = self.folder / "port"
        if not port_file.exists() or not port_is_free(self.port()):
            port_file.write_text(f"{free_port()}\n")
        start([*self._qemu(), *acceleration], self.qemu_pid, self.folder)

    def _start_swtpm(self) -> None:
        end(self.swtpm_pid)
        socket = self.folder / "tpm.sock"
        socket.unlink(missing_ok=True)
        # Relative, for the path of a socket has about a hundred bytes. It ends with QEMU.
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'tpm'}", "--terminate"]
        start([*command, "--ctrl", "type=unixio,path=tpm.sock"], self.swtpm_pid, self.folder)
        deadline = time.monotonic() + 10
        while not socket.exists():
            if running(self.swtpm_pid) is None or time.monotonic() > deadline:
                raise HostError(f"the TPM of {self.name} does not start: {tail(self.folder / 'swtpm.log')}")
            time.sleep(0.02)

    def _qemu(self) -> list[str]:
        identity = hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest()
        return [
            str(MACHINE / "qemu"), "-name", self.name, "-machine", "q35", "-m", MEMORY,
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", str(MACHINE / "vmlinuz"),
            "-append", f"{KERNEL_ARGS} systemd.hostname={self.name} systemd.machine_id={identity}",
            "-serial", "file:console.log",
            "-drive", "file=disk.img,format=raw,if=none,id=disk,cache=unsafe", "-device", "nvme,drive=disk,serial=disk",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port()}-:22", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-chardev", "socket,id=tpm,path=tpm.sock", "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm",
        ]  # fmt: skip

    def wait(self) -> None:
        """Returns when the machine's SSH server answers."""
        if not wait_for_ssh(self.port(), self.runs, BOOT_TIMEOUT):
            logs = tail(self.folder / "qemu.log") + "\n" + tail(self.folder / "console.log")
            raise HostError(f"{self.name} does not boot:\n{logs}")

    def shut_down(self) -> None:
        """Clean if it answers, else as by a power cut."""
        send(self.qemu_pid, signal.SIGCONT)
        if self.runs():
            command = ["ssh", "-i", str(KEY), "-p", str(self.port()), "-o", "ConnectTimeout=15", *SSH_ARGS.split()]
            subprocess.run(
                [*command, "root@127.0.0.1", "systemctl poweroff"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=STOP_TIMEOUT, check=False,
            )  # fmt: skip
            wait_for_end(self.qemu_pid, STOP_TIMEOUT)
        self.cut_power()

    def cut_power(self) -> None:
        send(self.qemu_pid, signal.SIGKILL)
        end(self.qemu_pid)
        end(self.swtpm_pid)

    def destroy(self) -> None:
        self.cut_power()
        shutil.rmtree(self.folder, ignore_errors=True)


def up(machines: list[Machine]) -> None:
    """Boots those that do not run, all at the same time, and waits for all."""
    stopped = [machine for machine in machines if not machine.runs()]
    if stopped:
        done = subprocess.run([SHARED / "image.sh"], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise HostError("there is no image for the machines")
        acceleration = usable_acceleration()
        for machine in stopped:
            machine.start(Path(done.stdout.strip()), acceleration)
    for machine in machines:
        machine.wait()


def usable_acceleration() -> list[str]:
    """QEMU's arguments for KVM where a kernel really boots by it, which a device that opens does not promise."""
    kvm = ["-accel", "kvm", "-cpu", "host", "-smp", "2"]
    try:
        with Path("/dev/kvm").open("r+b", buffering=0):
            pass
        # Without a root file system the kernel panics, and the machine ends.
        probe = [MACHINE / "qemu", "-machine", "q35", *kvm, "-m", "256", "-nodefaults", "-no-user-config"]
        probe += ["-display", "none", "-no-reboot", "-kernel", MACHINE / "vmlinuz", "-append", "panic=-1"]
        done = subprocess.run(
            probe, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=False
        )
        if done.returncode == 0:
            return kvm
    except (OSError, subprocess.TimeoutExpired):
        pass
    # Without cmpxchg16b, after which QEMU 7.2 now and then gets the flags wrong, so that the kernel panics.
    return ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,-cx16", "-smp", "2"]


def at_once(machines: list[Machine], what) -> None:
    """Does it with all machines at the same time; raises the first error when all are done."""
    with ThreadPoolExecutor(max_workers=len(machines) or 1) as pool:
        list(pool.map(what, machines))


def replace_tpms(machines: list[Machine]) -> None:
    ran = [machine for machine in machines if machine.runs()]
    at_once(ran, Machine.shut_down)
    for machine in machines:
        shutil.rmtree(machine.folder / "tpm", ignore_errors=True)
    up(ran)


def machines_by_name() -> dict[str, Machine]:
    known = yaml.safe_load((SHARED / "data" / "machines.yml").read_text())
    return {name: Machine(name, **settings) for name, settings in known.items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ("up", "down", "destroy", "kill", "pause", "resume", "replace-tpm")
    parser.add_argument("--list", action="store_true", help="print the inventory")
    parser.add_argument("command", nargs="?", choices=commands, metavar="COMMAND")
    parser.add_argument("names", nargs="*", choices=[*machines_by_name(), []], metavar="NAME")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    known = machines_by_name()
    if asked.list:
        print(inventory("machines", {each.name: each.port() for each in known.values() if each.is_made()}))
        return
    machines = [known[name] for name in asked.names] or [each for each in known.values() if each.folder.exists()]
    with lock(FOLDER):
        match asked.command:
            case "up":
                up(machines)
            case "down":
                at_once(machines, Machine.shut_down)
            case "destroy":
                at_once(machines, Machine.destroy)
            case "kill":
                at_once(machines, Machine.cut_power)
            case "pause" | "resume" as command:
                for machine in machines:
                    send(machine.qemu_pid, signal.SIGSTOP if command == "pause" else signal.SIGCONT)
            case "replace-tpm":
                replace_tpms(machines)
            case None:
                raise HostError("no command: see --help")


if __name__ == "__main__":
    try:
        main()
    except (HostError, SoftwareTpmError) as error:
        sys.exit(str(error))
