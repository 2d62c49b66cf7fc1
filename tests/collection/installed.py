"""The collection as users have it: installed from its tarball, outside the checkout."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ansible_runs
import yaml
from ansible_runs import Ansible, Run

_VERSION = yaml.safe_load((ansible_runs.COLLECTION / "galaxy.yml").read_text())["version"]
TARBALL = ansible_runs.PROJECT / "dist" / f"tbot-tpm-{_VERSION}.tar.gz"
# How all versions of Ansible begin one. Version 2.21 warns of a collection that is a part of itself.
_WARNING = re.compile(r"^\[(?:DEPRECATION )?WARNING\](?!: Collection at .*/_protomatter')", re.MULTILINE)


@dataclass(frozen=True)
class Installed(Ansible):
    """An Ansible with the installed collection, which is to run without any warning."""

    def run(self, scratch: Path, *command: str) -> Run:
        run = super().run(scratch, *command)
        assert not _WARNING.search(run.output), run.output
        return run


def unpack(folder: Path) -> None:
    """Puts what is in the tarball into a folder. By tar(1), since not every Python 3.11 can do that safely."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--extract", "--gzip", "--no-same-owner", "--file", TARBALL, "--directory", folder], check=True)


def install(python: Path, folder: Path) -> Installed:
    """Installs the collection for the Ansible that is beside PYTHON, into a home directory of its own below FOLDER."""
    home = folder / "home"
    home.mkdir(parents=True)
    (folder / "ansible.cfg").touch()
    ansible = Installed(
        python=str(python),
        folder=folder,
        settings={
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            # That `ansible localhost` has no inventory is no news.
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        },
        module="tbot.tpm.tbot_tpm",
        playbooks="tbot.tpm.{}",
    )
    done = ansible.run(folder / "scratch", "ansible-galaxy", "collection", "install", str(TARBALL))
    assert done.returncode == 0, done.output
    assert (home / ".ansible/collections/ansible_collections/tbot/tpm/MANIFEST.json").exists()
    return ansible
