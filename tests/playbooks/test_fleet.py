"""The playbooks over a fleet: batches, hosts that drop out, taking hosts out of service, and seeing whether all is right."""

from __future__ import annotations

import json

import pytest
from fleet import Fleet

HOSTS = ["web-1", "db-1", "build-1"]


@pytest.fixture
def fleet_with_one_down(new_fleet: Fleet, software_tpms) -> Fleet:
    """One whose first host's TPM does not answer."""
    stopped = software_tpms.start("stopped")
    stopped.stop()
    new_fleet.tcti["web-1"] = stopped.tcti
    return new_fleet


def failed(run) -> set[str]:
    return {host for host, counts in run.recap.items() if counts["failed"] or counts["unreachable"]}


def test_a_host_that_fails_alone_in_its_batch_does_not_stop_the_next(fleet_with_one_down):
    run = fleet_with_one_down.site("--extra-vars", "tbot_serial=1")
    assert run.returncode != 0
    assert failed(run) == {"web-1"}, run.output
    assert set(fleet_with_one_down.token_rules()) == {"db-1", "build-1"}
    for host in HOSTS:
        assert fleet_with_one_down.host_path(host, "etc/tbot.yaml").exists() is (host != "web-1")


def test_too_many_failures_stop_the_run(fleet_with_one_down):
    run = fleet_with_one_down.site("--extra-vars", "tbot_serial=1", "--extra-vars", "tbot_max_fail_percentage=10")
    assert run.returncode != 0
    # What could be read is recorded, and nothing else is done.
    assert not fleet_with_one_down.token_file.exists()
    assert not fleet_with_one_down.host_path("db-1", "etc/tbot.yaml").exists()


def test_a_host_that_cannot_be_reached_drops_out_and_is_told_of(new_fleet):
    new_fleet.variables["web-1"] = {
        "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_architecture": "x86_64",
    }  # fmt: skip
    run = new_fleet.site("--extra-vars", "tbot_serial=1")
    assert failed(run) == {"web-1"}, run.output
    assert "The host cannot be reached" in run.output.split("TASK [Report]")[-1], run.output
    assert set(new_fleet.token_rules()) == {"db-1", "build-1"}


def test_a_decommissioned_host_loses_its_files_its_entry_and_its_rule(fleet):
    entry = fleet.registry("db-1")
    foreseen = fleet.play("decommission", "--limit", "db-1", "--check")
    assert foreseen.returncode == 0, foreseen.output
    assert set(fleet.token_rules()) == set(HOSTS)
    run = fleet.play("decommission", "--limit", "db-1")
    assert run.returncode == 0, run.output
    assert foreseen.changed() == run.changed(), foreseen.output
    assert set(fleet.token_rules()) == {"web-1", "build-1"}
    for path in ("etc/tbot.yaml", "etc/systemd/system/tbot.service", "var/lib/teleport/bot"):
        assert not fleet.host_path("db-1", path).exists()
        assert fleet.host_path("web-1", path).exists()
    archived = fleet.registry_directory / "archive" / f"db-1.{entry['ek_public_hash'][:16]}.json"
    assert json.loads(archived.read_text()) == entry
    assert not (fleet.registry_directory / "db-1.json").exists()

    again = fleet.play("decommission", "--limit", "db-1")
    assert again.returncode == 0, again.output
    assert not any(again.changed().values()), again.output

    back = fleet.site("--limit", "db-1")
    assert back.returncode == 0, back.output
    assert set(fleet.token_rules()) == set(HOSTS), "it may come back"


def test_hosts_are_not_decommissioned_by_forgetting_to_name_them(fleet):
    before = fleet.files()
    run = fleet.play("decommission")
    assert run.returncode != 0
    assert "Name the hosts" in run.output, run.output
    assert fleet.files() == before


def test_a_replaced_tpm_is_accepted_by_name_and_the_old_one_is_let_in_no_more(fleet, software_tpms):
    old = fleet.registry("web-1")["ek_public_hash"]
    fleet.tcti["web-1"] = software_tpms.start("another").tcti
    stopped = fleet.site()
    assert failed(stopped) == {"web-1"}, stopped.output
    assert "tbot_accept_identity_change" in stopped.output.split("TASK [Report]")[-1], stopped.output
    assert fleet.token_rules()["web-1"] == old

    # Only recorded, as by a run that ended before it came to the token.
    assert fleet.play("identify", variables={"tbot_accept_identity_change": ["web-1"]}).returncode == 0
    assert fleet.token_rules()["web-1"] == old
    finished = fleet.site()
    assert finished.returncode == 0, finished.output
    assert fleet.token_rules() == {host: fleet.registry(host)["ek_public_hash"] for host in HOSTS}
    assert old not in fleet.token_rules().values()


def test_verify_changes_nothing_and_says_what_differs(fleet):
    right = fleet.play("verify")
    assert right.returncode == 0, right.output
    assert not any(right.changed().values())

    config = fleet.host_path("db-1", "etc/tbot.yaml")
    config.write_text(config.read_text().replace("teleport.example.com", "elsewhere.example.com"))
    fleet.host_path("build-1", "etc/systemd/system/tbot.service").unlink()
    (fleet.registry_directory / "web-1.json").unlink()
    before = fleet.files()
    wrong = fleet.play("verify")
    assert failed(wrong) == set(HOSTS), wrong.output
    last = wrong.output.split("TASK [Report]")[-1]
    for sentence in ("the configuration differs", "the unit differs", "its entry of the registry is missing"):
        assert sentence in last, wrong.output
    assert fleet.files() == before


def test_no_tag_takes_the_question_for_names_away(fleet):
    before = fleet.files()
    run = fleet.play("decommission", "--tags", "tpm_identity,join_token,tbot_service")
    assert run.returncode != 0
    assert "Name the hosts" in run.output, run.output
    assert fleet.files() == before


def test_no_tag_lets_one_host_stop_the_others(fleet_with_one_down):
    run = fleet_with_one_down.site("--tags", "tpm_identity", "--extra-vars", "tbot_serial=1")
    assert failed(run) == {"web-1"}, run.output
    assert {path.name for path in fleet_with_one_down.registry_directory.iterdir()} == {"db-1.json", "build-1.json"}


def test_where_no_token_can_be_applied_every_host_is_told_so(new_fleet):
    run = new_fleet.site(variables={"tbot_apply_token": True, "tbot_tctl_command": "/bin/false"})
    assert failed(run), run.output
    last = run.output.split("TASK [Report]")[-1]
    assert failed(run) == set(HOSTS) and last.count("all hosts: No token was applied") == 1, run.output
    assert not new_fleet.host_path("web-1", "etc/tbot.yaml").exists()


def test_a_host_that_the_registry_does_not_know_is_told_of_when_it_is_decommissioned(fleet):
    (fleet.registry_directory / "db-1.json").unlink()
    run = fleet.play("decommission", "--limit", "db-1")
    assert failed(run) == {"db-1"}
    assert "tbot_token_remove" in run.output.split("TASK [Report]")[-1], run.output


def test_a_registry_file_that_cannot_be_read_stops_nobody_and_its_host_can_be_decommissioned(fleet):
    rules = fleet.token_rules()
    (fleet.registry_directory / "db-1.json").write_text("{")
    run = fleet.play("token", "--extra-vars", '{"tbot_token_prune": true}')
    assert run.returncode == 0, run.output
    assert "db-1.json is no JSON object" in run.output
    assert fleet.token_rules() == rules
    run = fleet.play("decommission", "--limit", "db-1")
    assert "Its entry of the registry cannot be read, and is archived as it is" in run.output, run.output
    assert (fleet.registry_directory / "archive" / "db-1.unreadable.json").read_text() == "{"
    assert fleet.token_rules() == rules
    fleet.play("token", "--extra-vars", "tbot_token_remove=db-1")
    assert fleet.token_rules() == {host: ek for host, ek in rules.items() if host != "db-1"}
