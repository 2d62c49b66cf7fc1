"""Fixtures: the collection as users have it, what stands in for a cluster, and all of fleet_fixtures.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_runs
import pytest
from cluster import Cluster
from fleet import Fleet
from installed import Installed, install, pack

pytest_plugins = ["fleet_fixtures"]


def pytest_sessionstart() -> None:
    if not ansible_runs.BINARY.exists():
        pytest.exit(f"{ansible_runs.BINARY} is missing: run `make build` first.", returncode=2)


@pytest.fixture(scope="session")
def stand_ins() -> Path:
    """The folder of the stand-ins for tbot and tctl, built where need be."""
    go = shutil.which("go", path=f"{ansible_runs.PROJECT}/.venv/bin:{os.environ['PATH']}")
    if go is None and os.environ.get("TBOT_TPM_GO") != "required":
        pytest.skip("there is no Go to build the stand-ins; scripts/setup.sh installs it")
    build = ansible_runs.PROJECT / "tests/go/build.sh"
    done = subprocess.run([build], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return ansible_runs.PROJECT / ".cache/go"


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The Ansible that runs these tests, by its defaults, with the checkout's collection packed and installed."""
    folder = tmp_path_factory.mktemp("installed")
    return install(pack(folder), Path(sys.executable), folder)


@pytest.fixture
def cluster(fleet: Fleet, tmp_path: Path, stand_ins: Path) -> Cluster:
    """A cluster without tokens, for a fleet as a first run of site.yml leaves it."""
    return Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl")
