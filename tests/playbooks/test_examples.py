"""The documentation's examples as they stand, run twice on a whole machine that has a TPM and a cluster to join."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent

import container
import documentation
import pytest
import yaml
from installed import Installed

# In an order in which they can follow each other: hosts are set up, and taken out of service.
ROLE_EXAMPLES = [
    ("tpm_identity", "main"),
    ("tpm_access", "main"),
    ("tbot_install", "main"),
    ("join_token", "preflight"),
    ("join_token", "main"),
    ("tbot_service", "main"),
    ("join_token", "placement"),
    ("tpm_identity", "archive"),
    ("tbot_service", "absent"),
]
STATUS = re.compile(r"^(ok|changed|skipping|included): ", re.MULTILINE)
RESULT = re.compile(r"^\w+: \[.* => (\{.*\})$", re.MULTILINE)


class Play:
    """What a play's tasks said, by their names: the statuses, one for each element of a loop, and the last result."""

    def __init__(self, output: str) -> None:
        self.tasks = {}
        for task in output.split("\nTASK [")[1:]:
            statuses = set(STATUS.findall(task))
            assert statuses, task
            self.tasks[task.split("] *")[0]] = (statuses, json.loads((RESULT.findall(task) or ["{}"])[-1]))

    def changed(self) -> set[str]:
        return {name for name, (statuses, _result) in self.tasks.items() if "changed" in statuses}


def run(ansible: Installed, folder: Path, playbook: str, files: tuple[str, ...] = ()) -> tuple[dict, list[Play]]:
    """What examples_in_container.py saw of this playbook, and its plays."""
    results = folder / "results"
    results.mkdir()
    (results / "examples.yml").write_text(playbook)
    for file in files:
        (results / file).touch()
    seen = container.report_of("examples_in_container.py", folder, ansible=ansible)
    assert seen["returncode"] == 0, seen["output"]
    return seen, [Play(play) for play in seen["output"].split("\nPLAY [")[1:]][: playbook.count("\n  hosts: ")]


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> str:
    return documentation.of_the_module(tmp_path_factory.mktemp("doc"))["examples"]


@pytest.fixture(scope="module")
def module(tmp_path_factory, ansible, stand_ins, examples) -> tuple[dict, list[Play]]:
    """The module's examples, as the tasks of a play, twice."""
    play = "- name: Run the examples\n  hosts: bots\n  gather_facts: false\n  tasks:\n" + indent(examples, "    ")
    return run(ansible, tmp_path_factory.mktemp("module"), play * 2, ("with-tbot",))


def expected_results(seen: dict) -> dict[str, dict]:
    """What each example of the module has to find or make, the first time. Of a mapping, this much at least."""
    identity = {"ek_public_hash": seen["ek_public_hash"], "ek_cert_serial": seen["ek_cert_serial"]}
    account = {"user": "teleport", "groups": ["teleport", "tss"], "device": "/dev/tpmrm0", "verified": True}
    return {
        "Read the identity of the host's TPM": identity | {"tpm": {"device": "/dev/tpmrm0"}, "ek_source": "nv_certificate"},
        "Record it in the registry": {"changed": True, "path": "/srv/fleet/tbot-registry/web-1.json", "identity": identity},
        "Fail where the host's TPM is not the recorded one": identity,
        "Archive the entry of a host that is taken out of use": {
            "changed": True, "identity": None, "archived": ["/srv/fleet/tbot-registry/archive/web-9.9999999999999999.json"],
        },
        "Archive the entries of several hosts at once": {
            "changed": False, "entries": [{"host": "web-7", "changed": False}, {"host": "web-8", "changed": False}],
        },
        "Ask which version the cluster runs": {"server_version": seen["version"], "cluster_name": "stand-in"},
        "See whether another version of tbot is to be installed": {
            "to_install": False, "found_version": seen["version"], "wanted_version": seen["version"],
        },
        "Find the CAs that issued the fleet's EK certificates": {
            "unresolved": [], "without_certificate": [], "requests": 0,
            "issuers": [{"trusted": True, "hosts": ["web-1"], "source": "/srv/fleet/tpm-intermediate-ca-certificates.pem"}],
        },
        "Get the join token that the cluster has": {"stdout": ""},
        "Merge the fleet into it": {
            "changed": True, "rules": {"added": ["web-1"], "removed": []}, "host_tokens": {"web-1": "tbot-tpm"}, "refused": [],
        },
        "Apply it where it changed": {"rc": 0},
        "Fail where the cluster will refuse a host by the token that it has": {
            "accepted": 1, "refused": 0, "hosts": [{"description": "web-1", "accepted": True, "token": "tbot-tpm"}],
        },
        "Check that the cluster can be read, before anything is changed": {"changed": False, "is_read": True, "current": None},
        "Bring the fleet's bot and token up to date in the cluster, in one step": {
            "changed": True, "applied": True, "bot": {"name": "deploy", "state": "made"}, "deleted": [], "refused": [], "left_to_do": [],
            "rules": {"added": [], "kept": ["web-1"], "removed": []}, "host_tokens": {"web-1": "tbot-tpm"},
            "files": ["/srv/fleet/deploy.bot.yaml", "/srv/fleet/tbot-tpm.yaml"],
        },
        "Read the registry for a machine that does not have it": {
            "hosts": [{"description": "web-1"} | identity], "former": [{"description": "web-9", "ek_public_hash": "9" * 64}],
        },
        "Predict what a change of the token's labels does, without the registry and files": {
            "applied": False, "tokens_differ": True, "rules": {"kept": ["web-1"]}, "contents": [
                {"path": "/srv/fleet/tbot-tpm.yaml"}, {"path": "/srv/fleet/tbot-tpm.yaml.applied"},
            ],
        },
        "Build a token for one host, without a registry": {"host_tokens": {"edge-1": "edge"}, "path": None},
        "Make the bot's account, and give it the TPM by a udev rule where no group has it": account | {
            # A rule is for machines that have none (molecule/vm).
            "changed": True, "udev_rule": None,
        },
        "See that an account that is managed elsewhere gets at the TPM": account | {"changed": False},
        "Make the directory for the bot's state": {
            "changed": True, "created": True, "path": "/var/lib/teleport/bot", "owner": "teleport", "mode": "0700",
        },
        "Put the cluster, the token and a service into the bot's configuration": {"changed": True, "path": "/etc/tbot.yaml"},
        "Make the directories to which it writes": {
            "changed": True, "made_by_systemd": [], "directories": [{"path": "/opt/machine-id", "kind": "output", "created": True}],
        },
        "Write a service that may do no more than it needs": {
            "changed": True, "path": "/etc/systemd/system/tbot.service", "mode": "unit", "needs_daemon_reload": True,
        },
        "Enable and start it, or restart it where its files are newer than its process, and wait until the bot is well": {
            "changed": True, "commands": ["systemctl enable tbot.service", "systemctl start tbot.service"],
            "ready": True, "active_state": "active", "enabled": True, "up_to_date": True,
        },
        "Do all of that in one step": {
            "changed": False, "access": {"verified": True}, "destinations": {"changed": False},
            "service": {"commands": [], "ready": True, "up_to_date": True},
        },
        "Sum up what this run saw of the host": {"changed": False, "left_out": []},
        "Remove the service of a bot that is no longer wanted, once it is stopped": {
            "changed": True, "path": "/etc/systemd/system/old-bot.service", "needs_daemon_reload": True,
        },
        "Remove its configuration": {"changed": True, "path": "/etc/old-bot.yaml"},
        "Remove its state": {"changed": True, "path": "/var/lib/old-bot"},
    }  # fmt: skip


def differences(expected: object, found: object, place: str = "") -> list[str]:
    """Where what was found is not as expected; of a mapping, only what is expected is looked at."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [line for key in expected for line in differences(expected[key], found.get(key, "nothing"), f"{place}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{place}[{index}]")]
    return [] if expected == found else [f"{place}: expected {expected}, found {found}"]


def test_every_example_of_the_module_does_what_it_says(module, examples):
    seen, [first, _second] = module
    expected = expected_results(seen)
    assert list(first.tasks) == list(expected) == [task["name"] for task in yaml.safe_load(examples)]
    found = {name: result for name, (_statuses, result) in first.tasks.items()}
    assert not differences(expected, found)


def test_the_modules_examples_change_nothing_the_second_time(module):
    _seen, [first, second] = module
    # What is registered without a change skips the command that applies it.
    assert second.changed() == set()
    assert second.tasks["Apply it where it changed"][0] == {"skipping"}
    assert len(first.changed()) > 10


def test_there_is_an_example_of_every_action(examples, tmp_path):
    tasks = [task[documentation.MODULE] for task in yaml.safe_load(examples) if documentation.MODULE in task]
    choices = documentation.of_the_module(tmp_path)["doc"]["options"]["action"]["choices"]
    assert {task["action"] for task in tasks} == set(choices)


def test_the_modules_examples_let_a_bot_join_that_is_well(module):
    seen = module[0]
    machine = seen["machine"]
    assert machine["service"] == {"ActiveState": "active", "UnitFileState": "enabled"}
    assert [(join["token"], join["ek_public_hash"], join["accepted"]) for join in machine["joins"]] == [
        ("tbot-tpm", seen["ek_public_hash"], True)
    ]
    assert machine["modes"]["/var/lib/teleport/bot"] == "teleport:teleport 700"
    assert machine["modes"]["/etc/tbot.yaml"] == "root:teleport 640"
    assert set(machine["registry"]) == {"web-1.json", "archive/web-9.9999999999999999.json"}
    assert machine["left"] == []
    assert machine["bots"] == ["deploy"]
    [ca] = machine["tokens"]["tbot-tpm"]["spec"]["tpm"]["ekcert_allowed_cas"]
    assert ca.startswith("-----BEGIN CERTIFICATE-----")


@pytest.fixture(scope="module")
def role_documentation(tmp_path_factory) -> dict[str, dict[str, dict]]:
    return documentation.of_the_roles(tmp_path_factory.mktemp("doc"))


@pytest.fixture(scope="module")
def roles(tmp_path_factory, ansible, stand_ins, role_documentation) -> tuple[dict, dict[tuple[str, str], tuple[list[Play], list[Play]]]]:
    """The roles' examples, each twice, and what their plays did the first and the second time."""
    texts = {(role, entry): role_documentation[role][entry]["examples"] + "\n" for role, entry in ROLE_EXAMPLES}
    seen, plays = run(ansible, tmp_path_factory.mktemp("roles"), "".join(text * 2 for text in texts.values()))
    ran = {}
    for example, text in texts.items():
        count = len(yaml.safe_load(text))
        ran[example] = plays[:count], plays[count : 2 * count]
        plays = plays[2 * count :]
    assert plays == []
    return seen, ran


def test_every_entry_point_of_every_role_has_an_example(role_documentation):
    assert sorted(ROLE_EXAMPLES) == sorted((role, entry) for role, entries in role_documentation.items() for entry in entries)


@pytest.mark.parametrize("example", ROLE_EXAMPLES, ids=".".join)
def test_the_roles_examples_change_something_once(roles, example):
    first, second = roles[1][example]
    assert all(play.tasks for play in first)
    # A check changes nothing, and that the bot joins by a token of several is so already.
    is_done = example in (("join_token", "preflight"), ("join_token", "placement"))
    assert any(play.changed() for play in first) != is_done
    assert [play.changed() for play in second] == [set()] * len(first)


def test_the_roles_examples_take_a_host_to_a_bot_and_back(roles):
    seen, ran = roles
    machine = seen["machine"]
    assert set(machine["registry"]) == {"web-1.json", "archive/web-9.9999999999999999.json"}
    assert machine["registry"]["web-1.json"]["ek_public_hash"] == seen["ek_public_hash"]
    assert machine["bots"] == ["deploy"]
    [sharded] = {join["token"] for join in machine["joins"]} - {"tbot-tpm"}
    assert sharded in ("fleet-0", "fleet-1")
    assert all(join["accepted"] and join["ek_public_hash"] == seen["ek_public_hash"] for join in machine["joins"])
    # The program was installed, and what was taken away is gone.
    assert set(machine["modes"]) == {"/usr/local/bin/tbot"}
    assert machine["service"]["ActiveState"] == "inactive"
    [[bot], _again] = ran["tbot_service", "main"]
    assert bot.tasks["tbot.tpm.tbot_service : Set up the bot"][1]["service"]["ready"] is True
