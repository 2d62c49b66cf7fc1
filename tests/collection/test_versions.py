"""The installed collection on old and new versions of Ansible: what the playbook tests prove of the checkout's, and what is
different when it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_runs import COLLECTION
from cluster import Cluster
from fleet import Fleet, ek_public_hash

# Each of these runs once for every version of Ansible, by the fixture `ansible`.
from test_controller_tasks import test_a_second_run_of_site_has_at_most_five  # noqa: F401
from test_filters import test_a_template_uses_it_from_the_installed_collection  # noqa: F401
from test_fleet import (  # noqa: F401
    fleet_with_one_down,
    test_a_decommissioned_host_loses_its_files_its_entry_and_its_rule,
    test_a_host_that_cannot_be_reached_drops_out_and_is_told_of,
    test_a_host_that_fails_alone_in_its_batch_does_not_stop_the_next,
    test_verify_changes_nothing_and_says_what_differs,
    test_where_no_token_can_be_applied_every_host_is_told_so,
)
from test_join_token_role import test_values_from_a_vault_reach_the_cluster_decrypted  # noqa: F401
from test_module import (  # noqa: F401
    test_a_misspelt_parameter_gets_the_right_one_suggested_first,
    test_async_ad_hoc,
    test_check_mode_ad_hoc_predicts_and_writes_nothing,
    test_identify_ad_hoc,
    test_loop_delegation_background_and_facts_in_a_playbook,
    test_token_ad_hoc_takes_hosts_as_json_text,
)
from test_module_defaults import (  # noqa: F401
    plays,
    test_defaults_with_parameters_of_one_action_do_not_break_the_others,
)
from test_own_playbook import (  # noqa: F401
    test_no_fact_keeps_a_host_that_is_left_out_in_the_users_own_playbook,
    test_who_was_left_out_before_takes_part_in_the_next_run_again,
)
from test_site import (  # noqa: F401
    test_check_before_the_first_run_succeeds_and_writes_nothing,
    test_first_run_succeeds_on_every_host,
    test_second_run_changes_nothing,
)
from test_without_python import test_what_such_a_host_says_is_no_template  # noqa: F401

ROLES = sorted(path.name for path in (COLLECTION / "roles").iterdir())


@pytest.fixture
def cluster(fleet: Fleet, tmp_path: Path, stand_ins: Path) -> Cluster:
    return Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl")


def test_it_is_the_version_that_the_test_names(ansible, request, tmp_path):
    version = request.node.callspec.params["ansible"].removeprefix("ansible-")
    run = ansible.run(tmp_path, "ansible", "--version")
    assert f"[core {version}." in run.output


def test_the_module_is_documented(ansible, tmp_path):
    run = ansible.run(tmp_path, "ansible-doc", "tbot.tpm.tbot_tpm")
    assert run.returncode == 0, run.output
    assert "expected_ek_public_hash" in run.output


def test_every_role_is_documented(ansible, tmp_path):
    run = ansible.run(tmp_path, "ansible-doc", "--type", "role", *(f"tbot.tpm.{role}" for role in ROLES))
    assert run.returncode == 0, run.output
    assert all(f"tbot.tpm.{role}".upper() in run.output.upper() for role in ROLES), run.output


def test_nothing_but_the_module_and_what_the_roles_use_is_listed(ansible, tmp_path):
    run = ansible.run(tmp_path, "ansible-doc", "--list", "--json", "tbot.tpm")
    listed = json.loads(run.output)
    others = ["check_facts", "check_hosts", "check_token", "report", "stock_module"]
    assert sorted(listed) == [f"tbot.tpm.{name}" for name in [*others, "tbot_tpm"]]


def test_identify_and_token_make_what_site_made(fleet):
    before = fleet.files()
    for entry in fleet.registry_directory.iterdir():
        entry.unlink()
    fleet.token_file.unlink()
    for purpose in ("identify", "token"):
        run = fleet.play(purpose)
        assert run.returncode == 0, run.output
        assert any(run.changed().values()), run.output
        again = fleet.play(purpose)
        assert not any(again.changed().values()), again.output
    assert fleet.files() == before


CHECKED = """
- hosts: web-1
  gather_facts: false
  tasks:
    - name: A token
      tbot.tpm.tbot_tpm:
        action: token
        name: bots
        bot_name: example
        hosts: [{description: web-1, ek_public_hash: "{{ 'ab' * 32 }}"}]
        path: "{{ token_file }}"
"""


def test_check_and_diff_in_a_playbook(new_fleet: Fleet, tmp_path: Path):
    playbook, token = tmp_path / "play.yml", tmp_path / "token.yaml"
    playbook.write_text(CHECKED)
    variables = {"token_file": str(token)}
    foreseen = new_fleet.play(playbook, "--check", "--diff", variables=variables)
    assert foreseen.recap["web-1"]["changed"] == 1, foreseen.output
    assert "+kind: token" in foreseen.output, foreseen.output
    assert not token.exists()
    assert new_fleet.play(playbook, variables=variables).recap["web-1"]["changed"] == 1
    assert new_fleet.play(playbook, variables=variables).recap["web-1"]["changed"] == 0


SECRET = """
- hosts: web-1
  gather_facts: false
  module_defaults:
    tbot.tpm.tbot_tpm:
      tcti: "{{ tbot_tcti }}"
  tasks:
    - name: By the play's defaults
      tbot.tpm.tbot_tpm:
        action: identify
      no_log: "{{ hidden }}"
"""


@pytest.mark.parametrize("hidden", [True, False])
def test_no_log_hides_the_result_and_module_defaults_are_heeded(new_fleet: Fleet, tpms, tmp_path: Path, hidden):
    playbook = tmp_path / "play.yml"
    playbook.write_text(SECRET)
    run = new_fleet.play(playbook, "-vvv", variables={"hidden": hidden})
    assert run.returncode == 0, run.output
    assert (ek_public_hash(tpms["web-1"], tmp_path) in run.output) is not hidden
