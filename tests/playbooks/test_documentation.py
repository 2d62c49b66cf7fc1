"""The documentation renders, and says what the code does."""

from __future__ import annotations

import json
from collections import defaultdict

import ansible_runs
import pytest
import yaml
from fleet import ask_binary

ROLES = sorted(path.name for path in (ansible_runs.COLLECTION / "roles").glob("*"))


def ansible_doc(tmp_path, *arguments: str) -> ansible_runs.Run:
    run = ansible_runs.run(["ansible-doc", *arguments], tmp_path)
    assert run.returncode == 0, run.output
    assert "WARNING" not in run.output and "ERROR" not in run.output, run.output
    return run


def module_documentation(tmp_path) -> dict:
    return json.loads(ansible_doc(tmp_path, "--json", "tbot.tpm.tbot_tpm").output)["tbot.tpm.tbot_tpm"]


def accepted_parameters(action: str) -> set[str]:
    """What the binary says when asked for a parameter that there is not."""
    answer = ask_binary({"action": action, "no such parameter": True})
    assert answer["error"]["kind"] == "invalid_request"
    return {name.strip(" .`") for name in answer["msg"].split("nearest first): ")[1].split(",")}


def test_the_module_renders(tmp_path):
    assert "expected_ek_public_hash" in ansible_doc(tmp_path, "tbot.tpm.tbot_tpm").output


@pytest.mark.parametrize("role", ROLES)
def test_the_role_renders(role, tmp_path):
    assert role in ansible_doc(tmp_path, "--type", "role", f"tbot.tpm.{role}").output


def test_every_option_is_documented_and_no_other(tmp_path):
    options = module_documentation(tmp_path)["doc"]["options"]
    accepted = set().union(*(accepted_parameters(action) for action in options["action"]["choices"]))
    assert set(options) - {"action"} == accepted


def test_examples_are_yaml_that_names_documented_options(tmp_path):
    documentation = module_documentation(tmp_path)
    options = set(documentation["doc"]["options"])
    tasks = [task for task in yaml.safe_load(documentation["examples"]) if "tbot.tpm.tbot_tpm" in task]
    assert tasks
    for task in tasks:
        assert set(task["tbot.tpm.tbot_tpm"]) <= options, task


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_are_the_documented_ones(role):
    folder = ansible_runs.COLLECTION / "roles" / role
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text()) or {}
    specification = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())
    options = specification["argument_specs"]["main"].get("options", {})
    assert set(defaults) <= set(options)
    for name, value in defaults.items():
        if "default" in options[name]:
            assert options[name]["default"] == value, name


def test_a_variable_of_several_roles_has_one_default():
    values = defaultdict(dict)
    for role in ROLES:
        path = ansible_runs.COLLECTION / "roles" / role / "defaults" / "main.yml"
        for name, value in (yaml.safe_load(path.read_text()) or {}).items():
            values[name][role] = json.dumps(value)
    differing = {name: roles for name, roles in values.items() if len(set(roles.values())) > 1}
    assert not differing
