"""Runs the project's playbooks and module with Ansible, for the demo, the playbook tests and the benchmark.

Everything that Ansible keeps or makes for itself goes into a folder that the caller names, nothing into the home
directory, and settings of the person's own (ANSIBLE_*, ansible.cfg) play no part.
"""

from __future__ import annotations

import grp
import os
import platform
import pwd
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COLLECTION = PROJECT / "ansible"
SITE = COLLECTION / "playbooks" / "site.yml"
# The binary that the collection runs on this machine.
BINARY = COLLECTION / "plugins" / "binaries" / f"tbot_tpm_{platform.machine()}"

_RECAP = re.compile(r"^(\S+)\s+: (ok=\d+\s.*)$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Run:
    """A finished ansible or ansible-playbook command."""

    returncode: int
    output: str
    # Per host the counts of the play recap: ok, changed, unreachable, failed, skipped, rescued, ignored.
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    def changed(self) -> dict[str, int]:
        """How many tasks changed something, per host."""
        return {host: counts["changed"] for host, counts in self.recap.items()}


def environment(scratch: Path) -> dict[str, str]:
    """The environment in which Ansible finds the collection and keeps its own files below SCRATCH."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return clean | {
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(COLLECTION / "ansible.cfg"),
        "ANSIBLE_HOME": str(scratch / "home"),
        "ANSIBLE_LOCAL_TEMP": str(scratch / "local_tmp"),
        "ANSIBLE_REMOTE_TMP": str(scratch / "remote_tmp"),
        "ANSIBLE_ASYNC_DIR": str(scratch / "async"),
        "ANSIBLE_NOCOLOR": "true",
    }


def run(command: list[str], scratch: Path, cwd: Path = COLLECTION, env: dict[str, str] | None = None) -> Run:
    """Runs an Ansible command to its end, in that environment and what stands above it."""
    return execute(command, cwd, environment(scratch) | (env or {}))


def execute(command: list[str], cwd: Path, env: dict[str, str]) -> Run:
    """Runs an Ansible command to its end; its standard output and error come back as one text."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    output = _COLOUR.sub("", done.stdout)
    recap = {
        host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)}
        for host, counts in _RECAP.findall(output)
    }
    return Run(done.returncode, output, recap)


def play(playbook: Path, inventory: Path, scratch: Path, *arguments: str) -> Run:
    """Runs a playbook on an inventory."""
    return Ansible().play(playbook, inventory, scratch, *arguments)


@dataclass(frozen=True)
class Ansible:
    """An Ansible, and the collection as it finds it: by default the one that this program runs with, in the checkout."""

    # Of the environment that has it.
    python: str = sys.executable
    # Where its commands run, and what stands above the environment that they have else.
    folder: Path = COLLECTION
    settings: dict[str, str] = field(default_factory=dict)
    # The names of the module and, with {} for the purpose, of a playbook.
    module: str = "tbot_tpm"
    playbooks: str = str(SITE.with_name("{}.yml"))

    def environment(self, scratch: Path) -> dict[str, str]:
        """The environment in which its commands run, which keep their own files below SCRATCH."""
        return environment(scratch) | self.settings

    def run(self, scratch: Path, *command: str, settings: dict[str, str] | None = None) -> Run:
        """Runs an Ansible command to its end, with SETTINGS above the others."""
        return execute(list(command), self.folder, self.environment(scratch) | (settings or {}))

    def play(self, playbook: str | Path, inventory: Path, scratch: Path, *arguments: str) -> Run:
        """Runs a playbook of the collection, by its purpose, or another one by its path, on an inventory."""
        name = str(playbook) if isinstance(playbook, Path) else self.playbooks.format(playbook)
        return self.run(scratch, "ansible-playbook", "--inventory", str(inventory), *arguments, name)


def local_host_variables(root: str, python: str = sys.executable) -> dict[str, object]:
    """Variables for hosts that are folders of this machine: what the roles would place in /etc and /var goes below
    ROOT (a path, which may name the host by a template), belongs to the current user, and no service is started."""
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": python,
        "tbot_become": False,
        "tbot_manage_user": False,
        "tbot_install_method": "none",
        "tbot_manage_service": False,
        "tbot_apply_token": False,
        "tbot_user": pwd.getpwuid(os.geteuid()).pw_name,
        "tbot_group": grp.getgrgid(os.getegid()).gr_name,
        "tbot_config_owner": pwd.getpwuid(os.geteuid()).pw_name,
        "tbot_config_path": f"{root}/etc/tbot.yaml",
        "tbot_storage_path": f"{root}/var/lib/teleport/bot",
        "tbot_unit_directory": f"{root}/etc/systemd/system",
    }


def make_host_folders(root: Path) -> None:
    """Makes the folders that every real host has already."""
    for folder in ("etc/systemd/system", "var/lib"):
        (root / folder).mkdir(parents=True, exist_ok=True)
