"""Nothing that a host answers is a variable: what the roles run on hosts is run in one way."""

from __future__ import annotations

import json

import pytest
import yaml
from role_tasks import STOCK_MODULES, tasks

# What Ansible does itself, on the controller.
CONTROLLER = {
    "add_host", "assert", "debug", "fail", "group_by", "import_playbook", "import_role", "import_tasks", "include_tasks",
    "include_vars", "meta", "pause", "set_fact",
}  # fmt: skip
# Files beside the token's, written in a block that is delegated to the controller.
DELEGATED = {"Write the bot's file", "Remember which tokens the cluster has", "Remove the files of tokens that were removed"}
OWN = {"check_facts", "check_hosts", "check_variables", "stock_module", "tbot_tpm"}


def actions(task: dict) -> set[str]:
    return {name for name in task if name.startswith(("ansible.builtin.", "tbot.tpm."))}


def test_roles_run_ansibles_modules_on_hosts_by_stock_module_alone():
    others = []
    for task in tasks():
        (action,) = actions(task)
        name = action.rpartition(".")[2]
        is_ours = (action.startswith("tbot.tpm.") and name in OWN) or name in CONTROLLER or task["name"] in DELEGATED
        if not is_ours:
            others.append(task["name"])
    assert others == []


def test_each_of_these_modules_is_run_and_tried_by_the_hostile_host():
    used = {task["tbot.tpm.stock_module"]["module"] for task in tasks() if "tbot.tpm.stock_module" in task}
    assert used == set(STOCK_MODULES)


# What tctl may do on the controller.
COMMANDS = [
    {"argv": ["sh", "-c", "echo out; echo err >&2"]},
    {"argv": ["sh", "-c", "printf '\\n x \\n\\n'; exit 3"]},
    {"argv": ["sh", "-c", "kill -9 $$"]},
    {"argv": ["cat"], "stdin": "kind: token\nversion: v2"},
    {"argv": ["sh", "-c", "cat; pwd"]},
    {"argv": ["sh", "-c", "printf '\\377'; printf '%s' \"$1\"", "sh", "a b'c\"\\\\ {{ no }}"]},
    {"argv": ["echo", "$HOME", "~", "$no_such_variable"]},
    {"argv": ["/no/such/program"]},
    {"argv": ["/etc"]},
]
SAME = ("failed", "rc", "stdout", "stderr", "changed")


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments["argv"][-1][:20])
def test_a_command_on_the_controller_has_the_answer_that_ansibles_module_gives(ansible, tmp_path, arguments):
    def unsafe(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
        return dumper.represent_scalar("!unsafe" if "{{" in text else "tag:yaml.org,2002:str", text)

    dumper = type("Dumper", (yaml.SafeDumper,), {})
    dumper.add_representer(str, unsafe)
    common = {"delegate_to": "localhost", "ignore_errors": True}
    written = "{{ [ours, theirs] | to_json }}"
    play = {"hosts": "all", "gather_facts": False, "tasks": [
        {"tbot.tpm.stock_module": {"module": "command"} | arguments, "register": "ours"} | common,
        {"ansible.builtin.command": arguments, "register": "theirs"} | common,
    ]}  # fmt: skip
    text = yaml.dump([play], Dumper=dumper, sort_keys=False)
    text += f"  - ansible.builtin.copy: {{content: '{written}', dest: '{tmp_path}/answers'}}\n    delegate_to: localhost\n"
    playbook, inventory = tmp_path / "play.yml", tmp_path / "inventory.yml"
    playbook.write_text(text)
    local = {"ansible_connection": "local", "ansible_python_interpreter": ansible.python}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"web-1": None}, "vars": local}}))
    run = ansible.play(playbook, inventory, tmp_path)
    ours, theirs = json.loads((tmp_path / "answers").read_text())
    assert {name: ours.get(name) for name in SAME if name in theirs} == {name: theirs[name] for name in SAME if name in theirs}, run.output
