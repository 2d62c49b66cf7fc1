"""The collection as users have it: installed from its tarball, outside the checkout, for an Ansible with its default configuration."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import ansible_runs
from ansible_runs import BINARY, Ansible, Run

# How all versions of Ansible begin one. Version 2.21 warns of a collection that is a part of itself, and that `ansible localhost` has
# no inventory is no news.
_WARNING = re.compile(
    r"^\[(?:DEPRECATION )?WARNING\](?!: (?:Collection at .*/_protomatter'|No inventory was parsed|provided hosts list is empty))",
    re.MULTILINE,
)
# Runs a command where /etc has the files of a folder before its own. Arguments: the folder, and the command.
_WITH_ETC = 'mount -t overlay overlay -o "lowerdir=$0:/etc" /etc && exec "$@"'
# Where Ansible looks for a configuration when no variable names one.
_SYSTEM_CONFIG = Path("/etc/ansible/ansible.cfg")


class Configured(Exception):
    """An Ansible that is to run by its defaults would find a configuration; the text says where."""


@dataclass(frozen=True)
class Installed(Ansible):
    """An Ansible with the installed collection, and nothing else that a person may have set."""

    module: str = "tbot.tpm.tbot_tpm"
    playbooks: str = "tbot.tpm.{}"
    # The home directory of who runs it.
    home: Path = field(default=Path())
    # What /etc has otherwise for it than this machine's: the home directory. None where that is the user's real one.
    etc: Path | None = None
    # Whether it is to run without any warning.
    quiet: bool = False

    @property
    def collection(self) -> Path:
        return self.home / ".ansible/collections/ansible_collections/tbot/tpm"

    def environment(self, _scratch: Path) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        path = f"{Path(self.python).parent}:{os.environ['PATH']}"
        # Where its home directory cannot be the one that is looked for.
        own = {} if not self.etc or os.geteuid() == 0 else {
            "ANSIBLE_REMOTE_TMP": str(self.home / ".ansible/tmp"), "ANSIBLE_ASYNC_DIR": str(self.home / ".ansible_async"),
        }  # fmt: skip
        return clean | {"LC_ALL": "C.UTF-8", "PATH": path, "HOME": str(self.home)} | own | self.settings

    def run(self, scratch: Path, *command: str, settings: dict[str, str] | None = None) -> Run:
        self.refuse_configuration(settings or {})
        within = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _WITH_ETC, str(self.etc)]
        run = super().run(scratch, *(within if self.etc and os.geteuid() == 0 else []), *command, settings=settings)
        assert not self.quiet or not _WARNING.search(run.output), run.output
        return run

    def refuse_configuration(self, settings: dict[str, str]) -> None:
        """Fails where there is a file that would configure it. Single settings are a test's own business."""
        if "ANSIBLE_CONFIG" in self.settings | settings:
            raise Configured("ANSIBLE_CONFIG is set")
        for path in (self.folder / "ansible.cfg", self.home / ".ansible.cfg", _SYSTEM_CONFIG):
            if path.exists():
                raise Configured(f"{path} would configure Ansible: move it away, for these tests are about its defaults")

    def copy(self, to: Path, binaries: bool = True) -> Installed:
        """A copy that may be changed, below a folder that is made; where wanted, without the collection's binaries."""
        copied = replace(self, home=to / "home", folder=to / "empty", etc=to / "etc")
        ignored = None if binaries else shutil.ignore_patterns("tbot_tpm_*")
        copied.make_home()
        shutil.copytree(self.collection, copied.collection, ignore=ignored)
        return copied

    def pack_binaries(self) -> None:
        """Has the collection's list of files say that its binaries, which a test has changed, are those that it was packed with."""
        path = self.collection / "FILES.json"
        listed = json.loads(path.read_text())
        binaries = "plugins/binaries/tbot_tpm_"
        listed["files"] = [file for file in listed["files"] if not file["name"].startswith(binaries)] + [
            {"name": f"plugins/binaries/{file.name}", "chksum_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for file in (self.collection / "plugins/binaries").iterdir()
        ]
        path.write_text(json.dumps(listed))

    def make_home(self) -> None:
        """Makes its folders. OpenSSH and shells ask /etc/passwd where the home directory of a user is."""
        for directory in (self.home, self.folder, self.etc):
            directory.mkdir(parents=True)
        user = pwd.getpwuid(os.geteuid())
        lines = Path("/etc/passwd").read_text().splitlines()
        lines = [line for line in lines if line.split(":")[0] != user.pw_name]
        lines.insert(0, f"{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::{self.home}:/bin/sh")
        (self.etc / "passwd").write_text("\n".join(lines) + "\n")


def pack(folder: Path) -> Path:
    """Packs the checkout's collection as it is now, with this machine's binary alone, and returns the tarball."""
    stage = folder / "stage"
    listed = _output("git", "-C", str(ansible_runs.COLLECTION), "ls-files", "-z")
    # Those that are deleted and not yet committed are listed as well.
    for name in filter(None, listed.split("\0")):
        if (source := ansible_runs.COLLECTION / name).exists():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, stage / name)
    binary = stage / BINARY.relative_to(ansible_runs.COLLECTION)
    binary.parent.mkdir(parents=True)
    shutil.copy(BINARY, binary)
    program = str(ansible_runs.PROJECT / "scripts/pack.py")
    return Path(_output(sys.executable, program, str(stage), str(folder), SOURCE_DATE_EPOCH="0").strip())


def unpack(tarball: Path, folder: Path) -> None:
    """Puts what is in the tarball into a folder. By tar(1), since not every Python 3.11 can do that safely."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--extract", "--gzip", "--no-same-owner", "--file", tarball, "--directory", folder], check=True)


def install(tarball: Path, python: Path, folder: Path, quiet: bool = False) -> Installed:
    """Installs the collection for the Ansible that is beside PYTHON, into a home directory of its own below FOLDER."""
    ansible = Installed(python=str(python), folder=folder / "empty", home=folder / "home", etc=folder / "etc", quiet=quiet)
    ansible.make_home()
    done = ansible.run(folder, "ansible-galaxy", "collection", "install", str(tarball))
    assert done.returncode == 0, done.output
    assert (ansible.collection / "MANIFEST.json").exists()
    return ansible


def in_container(results: Path) -> Installed:
    """For a container, where the collection is what the test left in RESULTS: the same, in the home directory that is there."""
    ansible = Installed(folder=Path("/tmp/empty"), home=Path.home())
    ansible.folder.mkdir()
    shutil.copytree(results / "collection", ansible.collection)
    return ansible


def _output(*command: str, **variables: str) -> str:
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | variables
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
