"""Nothing that a host answers is a variable: what the roles run on hosts is run in one way."""

from __future__ import annotations

from role_tasks import STOCK_MODULES, tasks

# What Ansible does itself, on the controller.
CONTROLLER = {
    "add_host", "assert", "debug", "fail", "group_by", "import_playbook", "import_role", "import_tasks", "include_tasks",
    "include_vars", "meta", "pause", "set_fact",
}  # fmt: skip
# Files beside the token's, written in a block that is delegated to the controller.
DELEGATED = {"Write the files", "Remove the files of tokens that were removed"}
OWN = {"check_facts", "check_hosts", "check_token", "report", "stock_module", "tbot_tpm"}


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
