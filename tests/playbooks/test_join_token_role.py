"""The role join_token in plays of the user's own, and variables from a vault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster import Cluster

HOSTS = {"web-1", "db-1", "build-1"}
ROLE = """
- hosts: all
  gather_facts: false
  {play}
  tasks:
    - ansible.builtin.{way}_role: {{name: tbot.tpm.join_token}}
      {task}
    - ansible.builtin.debug:
        msg: "joins by {{{{ (__tbot_enrolled | default({{}})).host_tokens[inventory_hostname] | default('none') }}}}"
"""


def own_play(cluster: Cluster, way: str, task: str = "", play: str = "") -> Path:
    path = cluster.folder / "own.yml"
    path.write_text(ROLE.format(way=way, task=task, play=play))
    return path


@pytest.mark.parametrize("way", ["import", "include"])
def test_a_condition_that_is_false_for_the_first_host_leaves_the_token_to_the_others(cluster, way):
    run = cluster.play(own_play(cluster, way, "when: inventory_hostname != 'web-1'"))
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS
    assert cluster.commands().count("create") == 1
    assert run.output.count("joins by test-hosts") == len(HOSTS), run.output


def test_under_strategy_free_nobody_is_lost(cluster):
    run = cluster.play(own_play(cluster, "import", play="strategy: free"))
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS
    assert run.output.count("joins by test-hosts") == len(HOSTS), run.output


def test_values_from_a_vault_reach_the_cluster_decrypted(cluster, ansible, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")

    def vaulted(text: str) -> str:
        run = ansible.run(tmp_path, "ansible-vault", "encrypt_string", "--vault-password-file", str(password), text)
        return run.output[run.output.index("!vault") :].replace("Encryption successful", "").rstrip()

    variables = tmp_path / "vault.yml"
    variables.write_text(
        f"tbot_bot_name: {vaulted('test-bot')}\n"
        f"tbot_bot_roles:\n  - {vaulted('access')}\n"
        f"tbot_bot_traits:\n  logins:\n    - {vaulted('deploy')}\n"
        f"tbot_token_labels:\n  team: {vaulted('web')}\n"
        f"tbot_tctl_command: {vaulted(cluster.command())}\n"
    )
    run = cluster.fleet.play(
        "token", "--vault-password-file", str(password), "--extra-vars", f"@{variables}",
        variables={name: value for name, value in cluster.variables.items() if name != "tbot_tctl_command"},
    )  # fmt: skip
    assert run.returncode == 0, run.output
    bot = json.loads((cluster.folder / "bot/test-bot.json").read_text())["spec"]
    assert bot == {"roles": ["access"], "traits": [{"name": "logins", "values": ["deploy"]}]}
    assert cluster.token["spec"]["bot_name"] == "test-bot"
    assert cluster.token["metadata"]["labels"]["team"] == "web"


@pytest.mark.parametrize("variables", [
    {"tbot_tctl_host": "build-1", "tbot_token_per_host": True},
    {"tbot_tctl_host": "build-1", "tbot_token_shards": 2, "tbot_bot_roles": ["access"]},
    {"tbot_tctl_become": True},
], ids=["per_host", "sharded", "become"])
def test_wherever_tctl_is_each_layouts_files_are_the_controllers(cluster, variables):
    cluster.fleet.token_file.unlink()
    first = cluster.apply(**variables)
    assert first.returncode == 0, first.output
    folder = cluster.fleet.token_file.parent
    tokens = sorted(path.name for path in folder.glob("token*"))
    of_hosts = [f"token-{host}.yaml" for host in sorted(HOSTS)]
    expected = of_hosts if "tbot_token_per_host" in variables else ["token.yaml"]
    assert tokens == sorted([*expected, *(f"{name}.applied" for name in expected)])
    assert (folder / "test-bot.bot.yaml").exists() == ("tbot_bot_roles" in variables)
    assert not any(cluster.apply(**variables).changed().values())


# A host that has tctl and answers with files of its own choice.
HOSTILE = """#!/bin/sh
# WANT_JSON
request=$(cat "${{1:-/dev/stdin}}")
case $request in
*_tbot_validate_only*) ;;
*'"action": "enroll"'*) echo '{{"changed": true, "is_read": true, "contents": {contents}}}'; exit ;;
esac
printf %s "$request" | {binary}
"""


@pytest.mark.parametrize("content", ["ssh-ed25519 AAAA", ""], ids=["written", "removed"])
def test_the_host_that_has_tctl_has_no_file_of_the_controller_written_or_removed(cluster, ansible, tmp_path, content, monkeypatch):
    hostile, victim = ansible.copy(tmp_path / "hostile"), tmp_path / "authorized_keys"
    victim.write_text("mine")
    (program,) = (hostile.collection / "plugins/binaries").iterdir()
    binary = program.rename(tmp_path / "binary")
    program.write_text(HOSTILE.format(contents=json.dumps([{"path": str(victim), "content": content}]), binary=binary))
    program.chmod(0o755)
    hostile.pack_binaries()
    # The fleet is that of all tests.
    monkeypatch.setattr(cluster.fleet, "ansible", hostile)
    run = cluster.apply(tbot_tctl_host="build-1")
    assert victim.read_text() == "mine"
    assert run.returncode != 0 and "build-1 answered with files that are not those of this token" in run.output, run.output
