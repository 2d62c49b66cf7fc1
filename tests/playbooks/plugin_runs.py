"""Plays of one module call or a few, and what each registered: for the tests of the action plugin."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from pathlib import Path

import yaml
from installed import Installed

ARCH = platform.machine()
# What makes a task run right here, whatever its host is.
LOCAL = {"ansible_connection": "local", "ansible_shell_type": "sh", "ansible_become": False}
CONNECTIONS = Path(__file__).with_name("connection_plugins")


def collection_with(ansible: Installed, folder: Path, **programs: str | Path) -> Installed:
    """An Ansible with a copy of the collection, whose binaries are these by their architectures: files, or scripts as text."""
    copy = ansible.copy(folder, binaries=False)
    binaries = copy.collection / "plugins" / "binaries"
    binaries.mkdir(exist_ok=True)
    for arch, program in programs.items():
        path = binaries / f"tbot_tpm_{arch}"
        if isinstance(program, Path):
            shutil.copyfile(program, path)
        else:
            path.write_text(program)
        path.chmod(0o755)
    copy.pack_binaries()
    return copy


class Plays:
    """Plays on hosts of an inventory, everything of which is kept below FOLDER."""

    def __init__(self, folder: Path, hosts: dict[str, dict], ansible: Installed) -> None:
        self.folder = folder
        self.ansible = ansible
        self.hosts = {name: {"ansible_python_interpreter": sys.executable} | variables for name, variables in hosts.items()}
        self.output = ""

    def run(self, tasks: list[dict], *arguments: str, env: dict[str, str] | None = None, within: list[str] | None = None, **play):
        """What each host registered as `r`, by host, and so from the last of the TASKS that registered it. Failures are let
        pass, and WITHIN is a command that runs Ansible's."""
        results = self.folder / "results.json"
        results.unlink(missing_ok=True)
        self.folder.mkdir(exist_ok=True)
        hosts = "ansible_play_hosts_all"
        keep = {
            "name": "Keep the results",
            "ansible.builtin.copy": {
                "content": f"{{{{ dict({hosts} | zip({hosts} | map('extract', hostvars, 'r'))) | to_json }}}}",
                "dest": str(results),
                "mode": "0600",
            },
            "vars": LOCAL | {"ansible_python_interpreter": sys.executable},
            "run_once": True,
            "check_mode": False,
        }
        tasks = [{"register": "r", "ignore_errors": True} | task for task in tasks]
        document = [{"hosts": "all", "gather_facts": False, "tasks": [*tasks, keep]} | play]
        playbook, inventory = self.folder / "play.yml", self.folder / "inventory.yml"
        playbook.write_text(yaml.safe_dump(document, sort_keys=False))
        inventory.write_text(yaml.safe_dump({"all": {"hosts": self.hosts}}))
        command = ["ansible-playbook", "--inventory", str(inventory), *arguments, str(playbook)]
        settings = {"ANSIBLE_CONNECTION_PLUGINS": str(CONNECTIONS)} | (env or {})
        run = self.ansible.run(self.folder, *(within or []), *command, settings=settings)
        self.output = run.output
        assert run.returncode == 0, run.output
        return json.loads(results.read_text())


def call(**arguments: object) -> dict:
    """A task that calls the module."""
    return {"tbot.tpm.tbot_tpm": arguments}


def essence(result: dict) -> dict:
    """What a result says of its failure."""
    return {name: result.get(name) for name in ("failed", "changed", "msg", "error")}
