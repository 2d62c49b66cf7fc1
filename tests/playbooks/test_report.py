"""What a person reads at the end of a run, and the exit status that goes with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_runs import Run
from cluster import Cluster
from fleet import Fleet
from proxy import Proxy

HOSTS = ["web-1", "db-1", "build-1"]
# Of a second run that changes nothing, for three hosts, with tctl and a proxy.
MOST_LINES = 45
SCRIPT = {"tbot_install_method": "script", "tbot_version": "17.5.1"}


def report(run: Run) -> str:
    return run.output.split("TASK [Report]")[-1]


def failed(run: Run) -> set[str]:
    return {host for host, counts in run.recap.items() if counts["failed"]}


@pytest.fixture
def fleet_with_one_down(new_fleet: Fleet, software_tpms) -> Fleet:
    stopped = software_tpms.start("stopped-for-reports")
    stopped.stop()
    new_fleet.tcti["web-1"] = stopped.tcti
    return new_fleet


@pytest.fixture
def tbot(tmp_path: Path) -> Path:
    """A program that says a version."""
    path = tmp_path / "tbot"
    path.write_text("#!/bin/sh\necho Teleport v17.5.1\n")
    path.chmod(0o755)
    return path


def test_a_second_run_that_changes_nothing_is_short(cluster: Cluster, tmp_path: Path):
    proxy = Proxy(tmp_path / "ca.pem")
    proxy.found = {"server_version": "18.2.0", "edition": "ent"}
    variables = {"tbot_proxy_server": proxy.address, "tbot_proxy_ca_file": str(proxy.ca_file), "tbot_bot_roles": ["access"]}
    runs = [cluster.play("site", **variables) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[1].output
    lines = runs[1].output.splitlines()
    assert len(lines) <= MOST_LINES, runs[1].output
    assert "skipping: no hosts matched" not in runs[1].output
    assert "\n3 hosts: nothing is left to do.\nNothing was changed.\nok: [" in report(runs[1]), runs[1].output
    assert len(re.findall(r"\n(?:web-1|db-1|build-1) .*\(new\)", report(runs[0]))) == 3, runs[0].output


def test_each_reason_stands_once_and_in_the_file(fleet_with_one_down: Fleet):
    run = fleet_with_one_down.site()
    assert failed(run) == {"web-1"}
    assert run.output.count("no software TPM answers") == 1, run.output
    written = fleet_with_one_down.report_file.read_text()
    assert written.count("no software TPM answers") == 1 and "\nweb-1  " in written, written


def test_a_report_that_cannot_be_written_is_a_warning(new_fleet: Fleet):
    new_fleet.report_file.mkdir()
    run = new_fleet.play("identify")
    assert run.returncode == 0 and "the report was not written to" in run.output, run.output


def test_check_mode_and_verify_write_no_report(new_fleet: Fleet):
    for purpose, arguments in (("site", ["--check"]), ("verify", [])):
        new_fleet.play(purpose, *arguments)
        assert not new_fleet.report_file.exists()


@pytest.mark.parametrize("tags", [[], ["--tags", "tbot_install"], ["--skip-tags", "tbot_service"]], ids=str)
def test_verify_fails_where_the_program_is_missing_whatever_the_tags(fleet: Fleet, tags: list[str]):
    run = fleet.play("verify", *tags, variables=SCRIPT | {"tbot_path": "/no/such/tbot"})
    assert failed(run) == set(HOSTS), run.output
    assert "the program tbot is missing or of another version" in report(run), run.output


@pytest.mark.parametrize("tags", [[], ["--tags", "tpm_identity,tbot_install"], ["--tags", "tbot_install"]], ids=str)
def test_a_newer_program_stops_its_host_with_the_variables_to_set(fleet: Fleet, tbot: Path, tags: list[str]):
    before = fleet.files()
    run = fleet.site(*tags, variables=SCRIPT | {"tbot_path": str(tbot), "tbot_version": "17.4.0"})
    assert failed(run) == set(HOSTS), run.output
    assert "is version 17.5.1, newer than the wanted 17.4.0" in report(run), run.output
    assert "`tbot_allow_downgrade`" in report(run), run.output
    assert fleet.files() == before


@pytest.mark.parametrize("playbook", ["site", "deploy", "verify"])
def test_a_configuration_that_the_new_program_refuses_stops_its_host_before_that_is_installed(fleet: Fleet, tbot: Path, playbook: str):
    services = [{"type": "identity", "destination": {"type": "memory"}, "roles": ["access"]}]
    before = fleet.files()
    variables = SCRIPT | {"tbot_path": str(tbot), "tbot_version": "19.0.0", "tbot_services": services}
    run = fleet.play(playbook, variables=variables | {"tbot_install_script_url": "http://127.0.0.1:1/install.sh"})
    assert failed(run) == set(HOSTS), run.output
    said = " ".join(report(run).split())
    assert "would not work with tbot 19.0.0: tbot 19 does not start with `services[0].roles`" in said, run.output
    assert fleet.files() == before and "127.0.0.1:1" not in run.output


@pytest.mark.parametrize(
    "tags", [["--tags", "join_token"], ["--skip-tags", "tbot_service"], ["--tags", "tpm_identity,join_token"]], ids=str
)
def test_a_host_that_the_cluster_would_refuse_fails_whatever_the_tags(
    new_fleet: Fleet, tmp_path: Path, stand_ins: Path, ca: Path, tags: list[str]
):
    cluster = Cluster(tmp_path / "cluster", new_fleet, stand_ins / "tctl")
    variables = {"tbot_ekcert_allowed_cas": [str(ca / "issuercert.pem")]}
    assert cluster.play("identify", **variables).returncode == 0
    run = cluster.play("site", *tags, **variables)
    assert failed(run) == {"db-1", "build-1"}, run.output
    assert "The cluster would refuse it" in report(run), run.output


def test_what_is_to_be_set_is_named_as_people_set_it(fleet: Fleet, software_tpms):
    (fleet.registry_directory / "web-1.json").unlink()
    (fleet.registry_directory / "db-1.json").unlink()
    (fleet.registry_directory / "build-1.json").unlink()
    run = fleet.play("token", variables={"tbot_token_prune": True})
    assert failed(run) == set(HOSTS), run.output
    assert "--extra-vars tbot_allow_lockout=true" in report(run) and "`allow_lockout" not in run.output, run.output


def test_bots_that_are_set_up_without_a_token_fail_the_run(fleet: Fleet):
    run = fleet.site("--start-at-task", "Set up the bot")
    assert run.returncode != 0 and "no token was built in this run" in report(run), run.output


def test_another_callback_shows_the_report_as_an_answer(fleet: Fleet, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(fleet.ansible.settings, "ANSIBLE_STDOUT_CALLBACK", "minimal")
    run = fleet.site()
    assert '"3 hosts: something is left to do' in run.output, run.output


def test_a_token_that_changed_is_a_change(fleet: Fleet):
    run = fleet.play("token", variables={"tbot_token_labels": {"team": "new"}})
    assert run.returncode == 0 and "The token was changed." in report(run), run.output


def test_an_environment_may_have_numbers(new_fleet: Fleet, tmp_path: Path):
    play = tmp_path / "own.yml"
    play.write_text(
        "- {hosts: all, gather_facts: false, environment: {ANSWER: 42}, roles: [tbot.tpm.tpm_identity, tbot.tpm.join_token]}\n"
    )
    run = new_fleet.play(play)
    assert run.returncode == 0, run.output
