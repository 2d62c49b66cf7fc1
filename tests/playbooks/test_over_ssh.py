"""The playbooks in the users' world: Ansible's default configuration, the installed collection, and hosts that are machines of their
own, where a user logs in over SSH and becomes root by sudo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_runs import COLLECTION, Run
from installed import Configured, Installed
from software_tpm import SoftwareTpm
from ssh_fleet import SshFleet, running
from test_blank_variables import test_unanswered_questions_about_the_run_are_not_asked  # noqa: F401

# Each of these runs once more here, by the fixtures below.
from test_fleet import (  # noqa: F401
    test_a_decommissioned_host_loses_its_files_its_entry_and_its_rule,
    test_a_host_that_cannot_be_reached_drops_out_and_is_told_of,
    test_verify_changes_nothing_and_says_what_differs,
)
from test_own_playbook import (  # noqa: F401
    fleet_with_one_down,
    test_a_host_that_is_left_out_does_not_end_the_users_own_playbook,
    test_where_the_token_cannot_be_built_verify_names_every_host,
)
from test_protection import test_a_changed_tpm_is_refused_until_it_is_accepted  # noqa: F401
from test_site import (  # noqa: F401
    test_check_before_the_first_run_succeeds_and_writes_nothing,
    test_first_run_succeeds_on_every_host,
    test_registry_has_the_identity_that_tpm2_tools_compute,
    test_second_run_changes_nothing,
    test_storage_is_for_the_service_user_only,
    test_tbot_yaml_joins_by_the_tpm,
    test_unit_starts_tbot_with_that_configuration,
)

HOSTS = ["web-1", "db-1", "build-1"]


@pytest.fixture(scope="module")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, tpms: dict[str, SoftwareTpm], ansible: Installed
) -> tuple[Path, Run, None]:
    """What a first run of site.yml leaves, and that run."""
    folder = tmp_path_factory.mktemp("ssh")
    with running(SshFleet(folder / "fleet", tpms, ansible)) as fleet:
        run = fleet.site()
        fleet.keep(folder / "kept")
    return folder / "kept", run, None


@pytest.fixture
def new_fleet(tmp_path: Path, tpms: dict[str, SoftwareTpm], ansible: Installed) -> Iterator[SshFleet]:
    """A fleet that nothing has been done to yet."""
    with running(SshFleet(tmp_path / "fleet", tpms, ansible)) as fleet:
        yield fleet


@pytest.fixture
def fleet(first_run: tuple[Path, Run, None], tmp_path: Path, tpms: dict[str, SoftwareTpm], ansible: Installed) -> Iterator[SshFleet]:
    """A fleet as a first run of site.yml leaves it."""
    kept, run, _ = first_run
    assert run.returncode == 0, run.output
    with running(SshFleet(tmp_path / "fleet", tpms, ansible, as_kept=kept)) as fleet:
        yield fleet


def test_ansible_runs_by_its_defaults(ansible: Installed, tmp_path: Path):
    run = ansible.run(tmp_path, "ansible-config", "dump", "--only-changed")
    assert run.returncode == 0, run.output
    assert re.findall(r"^(?!CONFIG_FILE\(\) = None$)\w+\(.*", run.output, re.MULTILINE) == []


@pytest.mark.parametrize("where", ["folder", "home", "variable"])
def test_a_configuration_is_refused(ansible: Installed, tmp_path: Path, where: str):
    copy = ansible.copy(tmp_path)
    ours = COLLECTION / "ansible.cfg"
    if where != "variable":
        path = copy.folder / "ansible.cfg" if where == "folder" else copy.home / ".ansible.cfg"
        path.write_bytes(ours.read_bytes())
    with pytest.raises(Configured):
        copy.run(tmp_path, "ansible", "--version", settings={"ANSIBLE_CONFIG": str(ours)} if where == "variable" else {})


def test_hosts_are_machines_of_their_own_with_accounts_of_their_own(fleet: SshFleet):
    for host in HOSTS:
        assert fleet.servers[host].run("uname -n; id -un teleport") == f"{host}\nteleport\n"
        assert fleet.host_path(host, "etc/tbot.yaml").stat().st_uid == 0
        assert fleet.servers[host].run("stat -c '%U %G' /var/lib/teleport/bot") == "teleport teleport\n"
        assert fleet.servers[host].left_behind() == ""


def test_a_user_who_does_not_become_root_is_told_so_before_any_host_is_read(new_fleet: SshFleet):
    # OpenSSH's own configuration says who that is.
    run = new_fleet.site(variables={"tbot_become": False})
    assert run.returncode != 0
    assert "Ansible would work as first on this host, and only root can install the bot" in run.output, run.output
    assert "Read the TPM's identity" not in run.output
