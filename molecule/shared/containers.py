#!/usr/bin/env python3
"""Containers that boot distributions: systemd-nspawn, each with a software TPM (swtpm) that is reached by TCP.

    containers.py up NAME...         boots containers; one that runs already stays. Returns when all answer by SSH
    containers.py destroy [NAME...]  ends them, and what they had changed is gone
    containers.py --list             prints those that run, as an Ansible inventory script does

Names are data/containers.yml's. A container has the network of this host, its SSH server a port of its own on 127.0.0.1, and
its variable `tbot_tcti` says where its TPM is. One whose distribution's archive cannot be reached is left out, and a line says
so. Needs root. Everything is kept in .cache/molecule/containers/NAME.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from hosts import KEPT, SHARED, free_port, inventory, lock, wait_for_ssh
from processes import HostError, end, record, running, start, tail
from software_tpm import SoftwareTpmError, create_state, start_detached

FOLDER = KEPT / "containers"
BOOT_TIMEOUT = 120  # seconds
STOP_TIMEOUT = 20
UNREACHABLE = 3  # how root.sh ends where there is no way to the archive

# Runs in a mount namespace of its own, so that nothing is left mounted, or in /run, whatever happens. Arguments: a folder to
# mount on, the distribution's root, the container's name, and the port of its SSH server. A cgroup of its own in systemd's
# hierarchy, for containers that share one take each other's processes for theirs.
BOOT = """
set -eu
work=$1 root=$2 name=$3 port=$4
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir "$hierarchy/molecule-$$"
    echo $$ >"$hierarchy/molecule-$$/cgroup.procs"
done
mount -t tmpfs tmpfs "$work"
mount -t tmpfs tmpfs /run
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
echo "Port $port" >"$work/root/etc/ssh/sshd_config.d/port.conf"
exec systemd-nspawn --boot --quiet --register=no --keep-unit --link-journal=no --console=pipe --machine="$name" --hostname="$name" \
    --directory="$work/root"
"""


class Container:
    """One container of containers.yml, running or not."""

    def __init__(self, name: str, suite: str, key: str | None = None) -> None:
        self.name = name
        self.suite = suite
        self.key = key
        self.folder = FOLDER / name
        self.pid_file = self.folder / "systemd-nspawn.pid"
        self.swtpm_pid = self.folder / "swtpm.pid"

    def runs(self) -> bool:
        return running(self.pid_file) is not None

    def port(self) -> int:
        """The port of its SSH server on 127.0.0.1."""
        return json.loads((self.folder / "ports").read_text())["ssh"]

    def variables(self) -> dict[str, object]:
        """What the inventory says of it alone."""
        ports = json.loads((self.folder / "ports").read_text())
        return {"tbot_tcti": ports["tcti"], "molecule_diag_port": ports["diag"]}

    def root(self) -> Path | None:
        """Its distribution's root, made if need be; none where the archive cannot be reached."""
        key = [SHARED / self.key] if self.key else []
        done = subprocess.run([SHARED / "root.sh", self.suite, *key], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == UNREACHABLE:
            return None
        if done.returncode != 0:
            raise HostError(f"there is no root for {self.name}")
        return Path(done.stdout.strip())

    def start(self, root: Path) -> None:
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "tpm").is_dir():
            create_state(self.folder / "tpm", KEPT / "ca")
        end(self.swtpm_pid)
        tpm = start_detached(self.name, self.folder / "tpm")
        record(tpm.process.pid, self.swtpm_pid)
        port = free_port()
        (self.folder / "ports").write_text(json.dumps({"tcti": tpm.tcti, "ssh": port, "diag": free_port()}))
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", BOOT, "boot"]
        start([*command, str(work), str(root), self.name, str(port)], self.pid_file, self.folder)

    def wait(self) -> None:
        """Returns when the container's SSH server answers."""
        if not wait_for_ssh(self.port(), self.runs, BOOT_TIMEOUT):
            raise HostError(f"{self.name} does not boot:\n{tail(self.pid_file.with_suffix('.log'))}")

    def destroy(self) -> None:
        pid = running(self.pid_file)
        end(self.pid_file, STOP_TIMEOUT)
        end(self.swtpm_pid)
        if pid is not None:
            remove_cgroups(pid)
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_cgroups(pid: int) -> None:
    """Those that BOOT made in this process, with what the container made below them. The kernel keeps none with processes."""
    for hierarchy in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        top = Path(hierarchy, f"molecule-{pid}")
        for folder in [*sorted(top.rglob("*/"), key=lambda path: len(path.parts), reverse=True), top]:
            if folder.is_dir():
                folder.rmdir()


def up(containers: list[Container]) -> None:
    """Boots those that do not run, and waits for all that can be had."""
    started = []
    for container in containers:
        if not container.runs():
            root = container.root()
            if root is None:
                print(f"{container.name} is left out: the archive of {container.suite} cannot be reached from here")
                continue
            container.start(root)
        started.append(container)
    for container in started:
        container.wait()


def main() -> None:
    known = {
        name: Container(name, **settings)
        for name, settings in yaml.safe_load((SHARED / "data" / "containers.yml").read_text()).items()
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the inventory")
    parser.add_argument("command", nargs="?", choices=("up", "destroy"), metavar="COMMAND")
    parser.add_argument("names", nargs="*", choices=[*known, []], metavar="NAME")
    asked = parser.parse_args()
    if asked.list:
        running_now = [each for each in known.values() if each.runs()]
        ports = {each.name: each.port() for each in running_now}
        print(inventory("containers", ports, {each.name: each.variables() for each in running_now}))
        return
    containers = [known[name] for name in asked.names] or [each for each in known.values() if each.folder.exists()]
    with lock(FOLDER):
        match asked.command:
            case "up":
                up(containers)
            case "destroy":
                with ThreadPoolExecutor(max_workers=len(containers) or 1) as pool:
                    list(pool.map(Container.destroy, containers))
            case None:
                raise HostError("no command: see --help")


if __name__ == "__main__":
    try:
        main()
    except (HostError, SoftwareTpmError) as error:
        sys.exit(str(error))
