"""Fixtures: the tarball, and the collection installed from it for each version of Ansible."""

from __future__ import annotations

from pathlib import Path

import ansible_runs
import pytest
import yaml
from environments import ANSIBLE_VERSIONS, Requirements
from installed import Installed, install

pytest_plugins = ["fleet_fixtures"]

_VERSION = yaml.safe_load((ansible_runs.COLLECTION / "galaxy.yml").read_text())["version"]
TARBALL = ansible_runs.PROJECT / "dist" / f"tbot-tpm-{_VERSION}.tar.gz"


@pytest.fixture(scope="session")
def tarball() -> Path:
    assert TARBALL.exists(), f"{TARBALL} is missing: run `make dist` first"
    return TARBALL


@pytest.fixture(scope="session", params=ANSIBLE_VERSIONS)
def ansible(request: pytest.FixtureRequest, tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Each version of Ansible in turn, with the collection installed for it, which runs without any warning."""
    python = Requirements(request.param).environment()
    return install(tarball, python, tmp_path_factory.mktemp(request.param), quiet=True)
