"""A variable without a value, as a key of YAML or an unanswered question of a survey leaves it, is not an empty one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_runs import COLLECTION
from cluster import Cluster
from fleet import Fleet
from installed import Installed
from plugin_runs import Plays

SPECS = {path.parts[-3]: yaml.safe_load(path.read_text())["argument_specs"] for path in COLLECTION.glob("roles/*/meta/argument_specs.yml")}
OPTIONS = {name: option for entries in SPECS.values() for entry in entries.values() for name, option in entry["options"].items()}
# An error in all the others says to give a value.
NOT_GIVEN = {
    "tbot_accept_identity_change", "tbot_bot_name", "tbot_bot_roles", "tbot_bot_traits", "tbot_config_extra", "tbot_description",
    "tbot_destination_readers", "tbot_destinations_absent", "tbot_diag_addr", "tbot_ekcert_allowed_urls", "tbot_ekcert_ca_file",
    "tbot_install_script_url", "tbot_instances", "tbot_major_version", "tbot_package_version", "tbot_pid_file", "tbot_proxy_ca_file",
    "tbot_repository_channel", "tbot_repository_key", "tbot_repository_url", "tbot_scope", "tbot_services", "tbot_tarball_url",
    "tbot_tcti", "tbot_tctl_host", "tbot_token_expires", "tbot_token_labels", "tbot_token_remove", "tbot_token_roles",
    "tbot_unit_hardening", "tbot_version",
}  # fmt: skip
# A text says how many, or what: Ansible refuses one that is empty. And null is no text.
ONLY_NULL = {
    "tbot_bot_traits", "tbot_config_extra", "tbot_instances", "tbot_major_version", "tbot_services", "tbot_token_labels",
    "tbot_unit_hardening",
}  # fmt: skip
ONLY_TEXT = {"tbot_diag_addr"}


def test_each_variable_of_each_role_counts_as_not_given_or_is_named(tmp_path: Path, ansible: Installed):
    values = {"null": None, "text": "", "spaces": "  "}
    hosts = {f"{name}-{kind}": {"ansible_connection": "local", "n": name, name: value}
             for name in OPTIONS for kind, value in values.items()}  # fmt: skip
    for variables in hosts.values():
        for name in ("tbot_proxy_server", "tbot_registry_dir"):
            variables.setdefault(name, "/srv/registry" if "dir" in name else "example.teleport.sh:443")
    found = tmp_path / "found.json"
    query = "{{ query('tbot.tpm.checked_hosts', *roles) | to_json }}"
    task = {"ansible.builtin.copy": {"content": query, "dest": str(found), "mode": "0600"}, "vars": {"roles": sorted(SPECS)}}
    Plays(tmp_path / "run", hosts, ansible).run([task | {"run_once": True}])
    items = json.loads(found.read_text())
    problems = {item["host"]: item["problem"] for item in items if "host" in item}
    assert items[0]["label"] == f"{len(hosts)} hosts"
    for host in hosts:
        name, kind = host.split("-")
        is_given = name not in NOT_GIVEN or (name in ONLY_NULL and kind != "null") or (name in ONLY_TEXT and kind != "text")
        assert (f"{name} is blank" in problems.get(host, "")) is is_given, f"{host}: {problems.get(host)}"
        assert (host in problems) is is_given, f"{host}: {problems.get(host)}"


def test_a_bots_roles_without_a_value_leave_the_bot_as_it_is(cluster: Cluster):
    stored = cluster.folder / "bot" / "test-bot.json"
    assert cluster.play("token", tbot_bot_roles=["access"]).returncode == 0
    before = json.loads(stored.read_text())
    assert before["spec"]["roles"] == ["access"]
    for value in (None, ""):
        run = cluster.play("token", tbot_bot_roles=value)
        assert run.returncode == 0, run.output
        assert json.loads(stored.read_text()) == before


@pytest.mark.parametrize("blank", [None, ""])
def test_unanswered_questions_about_the_run_are_not_asked(fleet: Fleet, blank: str | None):
    # But `tbot_become`, which would be on then.
    answers = dict.fromkeys(("tbot_serial", "tbot_max_fail_percentage", "tbot_hosts", "tbot_tctl_host"), blank)
    run = fleet.play("verify", variables=answers)
    assert run.returncode == 0, run.output
    assert set(run.recap) == {"web-1", "db-1", "build-1"}
    before = fleet.files()
    for arguments in ([], ["--limit", "db-1"]):
        run = fleet.play("decommission", *arguments, variables={"tbot_hosts": blank})
        assert run.returncode != 0
        assert "Name the hosts" in run.output, run.output
    assert fleet.files() == before


def test_services_without_a_value_are_those_that_there_are(fleet: Fleet):
    services = [{"type": "identity", "destination": {"type": "memory"}}]
    assert fleet.play("deploy", variables={"tbot_services": services}).returncode == 0
    run = fleet.play("deploy", "--extra-vars", json.dumps({"tbot_services": None}))
    assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output
