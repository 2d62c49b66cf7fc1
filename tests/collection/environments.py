"""Virtual environments for the programs that tests run the collection with, each by a file in requirements/, which scripts/lock.sh
writes from the one beside it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ansible_runs
import pytest

REQUIREMENTS = Path(__file__).with_name("requirements")
KEPT = ansible_runs.PROJECT / ".cache" / "collection-tests"
# The versions of Ansible that the collection is tested with, oldest first.
ANSIBLE_VERSIONS = sorted(path.stem for path in REQUIREMENTS.glob("ansible-*.txt"))

# Debian splits off what makes virtual environments; shims of pyenv are there for versions that are not switched on.
_USABLE = "import sys, venv, ensurepip; ensurepip.version(); print('%d.%d' % sys.version_info[:2])"


@dataclass(frozen=True)
class Requirements:
    """What is installed, and the versions of Python that run it, by the comment on its first line."""

    name: str

    @property
    def path(self) -> Path:
        """All of it, by hashes."""
        return REQUIREMENTS / f"{self.name}.txt"

    @property
    def wanted(self) -> list[str]:
        return self.path.with_suffix(".in").read_text().splitlines()

    @property
    def pythons(self) -> list[str]:
        return self.wanted[0].removeprefix("# Python ").split()

    @property
    def package(self) -> str:
        """What pip is asked for."""
        return self.wanted[1]

    def python(self) -> Path | None:
        """A Python that runs it and can make virtual environments, the newest that there is."""
        for version in reversed(self.pythons):
            for python in _candidates(version):
                done = subprocess.run([python, "-I", "-c", _USABLE], capture_output=True, text=True)
                if done.stdout.strip() == version:
                    return python
        return None

    def environment(self) -> Path:
        """The Python of a virtual environment with it, which is made at the first time and kept. Skips the test where no Python
        runs it."""
        base = self.python()
        if base is None:
            wanted = f"{', '.join(self.pythons[:-1])} or {self.pythons[-1]}"
            pytest.skip(f"{self.name} needs Python {wanted} with its module venv: install one, with pyenv or by apt")
        folder = KEPT / self.name
        python, stamp = folder / "bin" / "python", folder / "stamp"
        wanted = f"{folder} {base} {hashlib.sha256(self.path.read_bytes()).hexdigest()}"
        KEPT.mkdir(parents=True, exist_ok=True)
        # Tests that run at the same time may want the same one.
        with (KEPT / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists() or stamp.read_text() != wanted:
                shutil.rmtree(folder, ignore_errors=True)
                run_quietly(base, "-m", "venv", folder)
                pip = (python, "-m", "pip", "--no-cache-dir", "--disable-pip-version-check")
                run_quietly(*pip, "install", "--require-hashes", "-r", self.path)
                stamp.write_text(wanted)
        return python


def run_quietly(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}"


def _candidates(version: str) -> Iterator[Path]:
    """Where a Python of this version may be."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [*os.get_exec_path(), "/usr/bin", "/usr/local/bin", *sorted(pyenv.glob(f"versions/{version}.*/bin"))]
    for folder in folders:
        path = Path(folder) / name
        # The project's own environment may be gone tomorrow, and what was made from it with it.
        if os.access(path, os.X_OK) and not path.is_relative_to(ansible_runs.PROJECT):
            yield path
