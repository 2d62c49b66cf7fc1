"""Fixtures: the tarball, and the collection installed from it for each version of Ansible."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import ANSIBLE_VERSIONS, Requirements
from installed import TARBALL, Installed, install

pytest_plugins = ["fleet_fixtures"]


@pytest.fixture(scope="session")
def tarball() -> Path:
    assert TARBALL.exists(), f"{TARBALL} is missing: run `make dist` first"
    return TARBALL


@pytest.fixture(scope="session", params=ANSIBLE_VERSIONS)
def ansible(request: pytest.FixtureRequest, tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Each version of Ansible in turn, with the collection installed for it."""
    python = Requirements(request.param).environment()
    return install(python, tmp_path_factory.mktemp(request.param))
