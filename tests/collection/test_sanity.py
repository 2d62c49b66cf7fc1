"""`ansible-test sanity`, of the oldest and the newest Ansible, on what the tarball has.

All of its tests run, in virtual environments that ansible-test makes, with what it wants from PyPI. None needs a container. What it
would get from elsewhere is the script by which pip gets into these environments: Python's own ensurepip is put in its place. pslint
and shellcheck look for files of PowerShell and of shells, of which the collection has none. What is ignored is in
ansible/tests/sanity/ignore-VERSION.txt, each with its reason.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from environments import ANSIBLE_VERSIONS, KEPT, Requirements
from installed import unpack

# Where ansible-test keeps the environments for the next time.
HOME = KEPT / "sanity"


@pytest.fixture(params=[ANSIBLE_VERSIONS[0], ANSIBLE_VERSIONS[-1]])
def python(request: pytest.FixtureRequest) -> Path:
    """The Python of the version of Ansible."""
    return Requirements(request.param).environment()


def test_it_finds_nothing(python: Path, tarball: Path, tmp_path: Path):
    # It takes the collection's name from this path.
    collection = tmp_path / "ansible_collections" / "tbot" / "tpm"
    unpack(tarball, collection)
    put_ensurepip_in_place(python)
    version = python.resolve().name.removeprefix("python")

    def sanity(*arguments: str) -> subprocess.CompletedProcess:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
            "PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(HOME), "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        return subprocess.run(
            ["ansible-test", "sanity", *arguments], cwd=collection, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    listed = set(re.findall(r"^[a-z0-9-]+$", sanity("--list-tests").stdout, re.MULTILINE))
    done = sanity("--local", "--python", version)
    assert done.returncode == 0, done.stdout
    ran = set(re.findall(r'^Running sanity test "([a-z0-9-]+)"', done.stdout, re.MULTILINE))
    assert ran == listed and "validate-modules" in ran and "Skipping" not in done.stdout, done.stdout


def put_ensurepip_in_place(python: Path) -> None:
    """Leaves what gets pip where ansible-test keeps what it has downloaded, under the name of every version that it may want."""
    source = next(python.parent.parent.glob("lib/python3.*/site-packages/ansible_test/_internal/python_requirements.py"))
    versions = re.findall(r"\bpip='([\d.]+)'", source.read_text())
    assert versions
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text("import ensurepip\nensurepip.bootstrap()\n")
