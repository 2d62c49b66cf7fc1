"""Mistakes that the controller can find by itself are found before any host is read, and each is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import Fleet
from installed import Installed

# A host that nobody can connect to, so that a run which tries says so.
NOWHERE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_user": "root", "tbot_become": True}


@pytest.fixture
def nowhere(new_fleet: Fleet) -> Fleet:
    for host in new_fleet.tcti:
        new_fleet.variables[host] = dict(NOWHERE)
    return new_fleet


def said(fleet: Fleet, purpose: str = "site", **variables: object) -> str:
    """What a run with these variables of all hosts ends with, before it tried to connect."""
    for host in fleet.tcti:
        fleet.variables[host] = fleet.variables.get(host, {}) | variables
    run = fleet.play(purpose)
    assert run.returncode != 0, run.output
    read = run.output.partition("Read the TPM and record it")[2].partition("TASK [")[0]
    assert "cannot be reached" not in run.output and "ok: [" not in read, run.output
    assert not fleet.registry_directory.exists()
    return run.output.replace("\\", "")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("tbot_bot_rolse", ["access"], "tbot_bot_rolse is not a variable of this collection: did you mean tbot_bot_roles?"),
        ("tbot_proxy_server", "https://teleport.example.com", "tbot_proxy_server: \"https://teleport.example.com\" is no host:port"),
        ("tbot_proxy_server", "", "tbot_proxy_server is blank: give it a value."),
        ("tbot_registry_dir", "registry", "tbot_registry_dir: the path \"registry\" is not absolute"),
        ("tbot_user", None, "tbot_user is blank: give it a value, or remove it to have teleport."),
        ("tbot_ekcert_trusted_roots", "", "tbot_ekcert_trusted_roots is blank"),
        ("tbot_ekcert_trusted_roots", ["/no/such/roots.pem"], "/no/such/roots.pem, which does not exist on the controller"),
        ("tbot_proxy_ca_file", "/no/such/ca.pem", "/no/such/ca.pem, which does not exist on the controller"),
        ("tbot_repository_key", "{{ lookup('ansible.builtin.file', '/no/such/key') }}", "tbot_repository_key cannot be evaluated"),
        ("tbot_version", "v17.5.1", "tbot_version: invalid version \"v17.5.1\": write a whole one without a leading v"),
        ("tbot_unit_mode", "dropin", "value of tbot_unit_mode must be one of: auto, unit, drop_in"),
        ("tbot_service_name", "a/b", "tbot_service_name: \"a/b\" is no unit name"),
        ("ansible_ssh_private_key_file", "/no/such/key", "There is no private key /no/such/key on the controller"),
        ("ansible_host", "https://web-1/", "The address https://web-1/ has a scheme or a path"),
        ("tbot_tctl_host", "nobody", "tbot_tctl_host is nobody, and the inventory has no host of this name"),
    ],
)
def test_a_mistake_is_named_before_any_host_is_read(nowhere: Fleet, name: str, value: object, sentence: str):
    assert sentence in said(nowhere, **{name: value})


@pytest.mark.parametrize("off", ["tbot_become", "ansible_become"])
def test_a_login_without_root_is_told_of_before_any_host_is_read(nowhere: Fleet, off: str):
    managed = {"tbot_manage_user": True, "tbot_manage_service": True, "ansible_user": "deploy"}
    assert "Ansible would work as deploy on this host, and only root can install the bot" in said(nowhere, **managed, **{off: False})


def test_a_tctl_that_has_no_login_is_told_of_before_any_host_is_read(nowhere: Fleet, tmp_path: Path):
    tctl = tmp_path / "tctl"
    tctl.write_text("#!/bin/sh\necho 'ERROR: no credentials' >&2\nexit 1\n")
    tctl.chmod(0o755)
    for purpose, nothing in (("site", "No token was applied"), ("verify", "The token was not checked")):
        last = said(nowhere, purpose, tbot_apply_token=True, tbot_tctl_command=str(tctl)).split("TASK [Report]")[-1]
        assert f"all hosts: {nothing}: `tctl get bot/test-bot --format=json` failed: ERROR: no credentials" in last, last


def test_an_existing_registry_at_a_relative_path_gets_the_same_sentence(nowhere: Fleet, ansible: Installed):
    (ansible.folder / "registry").mkdir()
    try:
        assert "tbot_registry_dir: the path" in said(nowhere, tbot_registry_dir="registry")
    finally:
        (ansible.folder / "registry").rmdir()


def test_a_host_that_nobody_can_log_in_to_any_more_loses_its_rule_all_the_same(fleet: Fleet):
    fleet.variables["web-1"] = NOWHERE | {"ansible_ssh_private_key_file": "/no/such/key", "ansible_architecture": "x86_64"}
    run = fleet.play("decommission", "--limit", "web-1")
    assert "What was installed on it may still be there: The host cannot be reached" in run.output, run.output
    assert set(fleet.token_rules()) == {"db-1", "build-1"}


def test_variables_of_ones_own_are_allowed_by_a_word(new_fleet: Fleet):
    variables = {"tbot_site": "north", "tbot_allow_unknown_variables": True}
    run = new_fleet.play("identify", variables=variables)
    assert run.returncode == 0, run.output


def test_a_misspelt_variable_stops_a_role_in_a_play_of_ones_own_too(new_fleet: Fleet, tmp_path: Path):
    own = tmp_path / "own.yml"
    own.write_text("- {hosts: all, gather_facts: false, roles: [tbot.tpm.tpm_identity]}")
    run = new_fleet.play(own, variables={"tbot_tctii": "device"})
    assert "tbot_tctii is not a variable of this collection: did you mean tbot_tcti?" in run.output
    assert not new_fleet.registry_directory.exists()


def test_a_run_without_hosts_fails_and_says_why(new_fleet: Fleet, ansible: Installed, tmp_path: Path):
    for purpose in ("site", "verify", "identify", "token", "deploy", "decommission"):
        run = ansible.run(tmp_path, "ansible-playbook", f"tbot.tpm.{purpose}")
        assert run.returncode != 0, purpose
        assert "There is no inventory with hosts" in run.output, run.output
    limited = ansible.run(tmp_path, "ansible-playbook", "tbot.tpm.site", "--limit", "web-1")
    assert limited.returncode != 0
    assert "There is no inventory, so --limit has no hosts to choose from" in limited.output, limited.output
    for arguments in (["--extra-vars", "tbot_hosts=web-9"], ["--extra-vars", "tbot_hosts=web-1", "--limit", "db-1"]):
        for purpose in ("site", "verify"):
            run = new_fleet.play(purpose, *arguments)
            assert run.returncode != 0, run.output
            assert "No host of this run matches tbot_hosts, which is 'web-" in run.output, run.output
    # It reads nothing.
    for purpose in ("site", "verify"):
        assert ansible.run(tmp_path, "ansible-playbook", f"tbot.tpm.{purpose}", "--syntax-check").returncode == 0


@pytest.mark.parametrize("host", ["web-1", "db-1"])
@pytest.mark.parametrize(("name", "value"), [
    ("ansible_connection", ["ssh"]),
    ("ansible_connection", "{{ undefined_variable }}"),
    ("ansible_connection", "no_such_plugin"),
    ("ansible_become", "{{ undefined_variable }}"),
    ("ansible_become_method", ["x"]),
    ("tbot_ekcert_ca_file", "a\x00b"),
], ids=str)  # fmt: skip
def test_odd_variables_of_one_host_leave_out_that_host_alone(new_fleet: Fleet, host: str, name: str, value: object):
    new_fleet.variables[host] = {name: value} | ({"ansible_become": True} if name == "ansible_become_method" else {})
    run = new_fleet.play("site" if name.startswith("tbot") else "identify")
    assert {host for host, counts in run.recap.items() if counts["failed"]} == {host}, run.output
    assert f"\n{host}: " in run.output.split("TASK [Report]")[-1], run.output
