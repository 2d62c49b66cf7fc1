"""Fixtures: the collection as users have it, what stands in for a cluster, and all of fleet_fixtures.py."""

from __future__ import annotations

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
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The Ansible that runs these tests, by its defaults, with the checkout's collection packed and installed."""
    folder = tmp_path_factory.mktemp("installed")
    return install(pack(folder), Path(sys.executable), folder)


@pytest.fixture
def cluster(fleet: Fleet, tmp_path: Path, stand_ins: Path) -> Cluster:
    """A cluster without tokens, for a fleet as a first run of site.yml leaves it."""
    return Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl")
