"""What users do, word for word, on a machine that never had Rust, and with nothing in sight of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import needs
import pytest
from ansible_runs import PROJECT, Ansible
from environments import ANSIBLE_VERSIONS, Requirements
from fleet import Fleet

SCRIPT = Path(__file__).with_name("without_rust.sh")


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """The words by which a command gets a view of its own of what is mounted."""
    words = ["unshare", "--mount", "--propagation", "private"]
    done = subprocess.run([*words, "mount", "-t", "tmpfs", "hidden", "/mnt"], capture_output=True, text=True)
    if done.returncode != 0:
        needs.root_missing(f"hiding folders needs root and mount namespaces: {done.stderr.strip()}")
    return words


@pytest.fixture(scope="module")
def newest() -> Requirements:
    """The newest Ansible that this machine's Python runs."""
    usable = [Requirements(name) for name in ANSIBLE_VERSIONS if Requirements(name).python() is not None]
    if not usable:
        pytest.skip("no Python here runs any of the versions of Ansible")
    return usable[-1]


def test_the_two_commands_work_where_there_is_no_checkout_and_no_rust(namespace, newest, tarball, tpms, tmp_path):
    user = tmp_path / "user"
    (user / "dist").mkdir(parents=True)
    shutil.copy(tarball, user / "dist")
    fleet = Fleet(tmp_path / "fleet", tpms, Ansible(python=str(user / "venv/bin/python")))
    fleet.write_inventory().rename(user / "inventory")

    home = Path.home()
    rust = [os.environ.get("CARGO_HOME") or home / ".cargo", os.environ.get("RUSTUP_HOME") or home / ".rustup"]
    command = [SCRIPT, PROJECT, newest.python(), newest.package, *rust]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [*namespace, *map(str, command)], cwd=user, env=environment | {"HOME": str(user), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    said = done.stdout.split("Ansible is there")[1]
    assert "WARNING" not in said, said
    first, again = said.split("The same again")
    assert all(re.search(rf"^{host} .*changed=[1-9].*failed=0", first, re.MULTILINE) for host in tpms), first
    assert all(re.search(rf"^{host} .*changed=0.*failed=0", again, re.MULTILINE) for host in tpms), again
    assert set(fleet.token_rules()) == set(tpms)
