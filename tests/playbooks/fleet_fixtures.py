"""Fixtures that the tests of the installed collection have as well: the stand-ins, the TPMs, which all tests share, and fleets before
and after a first run of site.yml. Which Ansible runs the playbooks is for the fixture `ansible` to say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import ansible_runs
import pytest
from ansible_runs import Ansible
from fleet import Fleet
from software_tpm import SoftwareTpm, SoftwareTpms


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
def software_tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpms]:
    with SoftwareTpms(tmp_path_factory.mktemp("tpms")) as tpms:
        yield tpms


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local CA that issues web-1's EK certificate."""
    return tmp_path_factory.mktemp("ca-one")


@pytest.fixture(scope="session")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local CA that issues build-1's."""
    return tmp_path_factory.mktemp("ca-two")


@pytest.fixture(scope="session")
def tpms(software_tpms: SoftwareTpms, ca: Path, other_ca: Path) -> dict[str, SoftwareTpm]:
    """Three hosts' TPMs: two with EK certificates of different CAs, one without."""
    return {
        "web-1": software_tpms.start("web-1", ca=ca),
        "db-1": software_tpms.start("db-1"),
        "build-1": software_tpms.start("build-1", ca=other_ca),
    }


@pytest.fixture
def new_fleet(tmp_path: Path, tpms: dict[str, SoftwareTpm], ansible: Ansible) -> Fleet:
    """A fleet that nothing has been done to yet."""
    return Fleet(tmp_path / "fleet", tpms, ansible)


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, tpms: dict[str, SoftwareTpm], ansible: Ansible
) -> tuple[Fleet, ansible_runs.Run, Callable[[], None]]:
    """A fleet, its first run of site.yml, and a function that brings it back to the state after that run."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet") / "fleet", tpms, ansible)
    run = fleet.site()
    kept = fleet.root.with_name("as-after-the-first-run")
    tcti, registry_directory = dict(fleet.tcti), fleet.registry_directory
    shutil.copytree(fleet.root, kept)

    def restore() -> None:
        shutil.rmtree(fleet.root)
        shutil.copytree(kept, fleet.root)
        fleet.tcti = dict(tcti)
        fleet.variables = {}
        fleet.registry_directory = registry_directory

    return fleet, run, restore


@pytest.fixture
def fleet(first_run: tuple[Fleet, ansible_runs.Run, Callable[[], None]]) -> Fleet:
    """A fleet as a first run of site.yml leaves it."""
    fleet, run, restore = first_run
    assert run.returncode == 0, run.output
    restore()
    return fleet
