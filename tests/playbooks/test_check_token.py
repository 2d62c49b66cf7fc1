"""What cannot be right for a token that is built for all hosts of a run is said before anything is done."""

from __future__ import annotations

import pytest
from cluster import Cluster

# Variables that differ between hosts.
DIFFERENT = {"web-1": {"tbot_token_match": "hash_and_serial"}, "db-1": {"tbot_token_labels": {"team": "web"}}}
# Variables that are written differently and have one value.
SAME = {"web-1": {"tbot_token_shards": "1"}, "db-1": {"tbot_token_shards": 1}, "build-1": {"tbot_token_shards": "{{ 2 - 1 }}"}}


@pytest.mark.parametrize(("arguments", "variables", "of_hosts", "said"), [
    ([], {"tbot_bot_name": ""}, {}, "Set tbot_bot_name to the bot that the hosts are to join as."),
    ([], {"tbot_bot_name": "", "tbot_token_roles": "Node, bot"}, {}, "Set tbot_bot_name to the bot that the hosts are to join as."),
    ([], {}, DIFFERENT, "tbot_token_labels, tbot_token_match differ between the hosts of this run, and one token is built for them all."),
    (["--limit", "web-1"], {"tbot_token_prune": "yes"}, {}, "tbot_token_prune takes away every rule of a host that the registry does not"),
], ids=["no bot", "no bot of a text", "differing", "pruned in part"])  # fmt: skip
@pytest.mark.parametrize("playbook", ["site", "token"])
def test_it_is_said_and_nothing_is_done(cluster: Cluster, playbook, arguments, variables, of_hosts, said):
    cluster.fleet.variables = of_hosts
    before = cluster.fleet.files()
    run = cluster.play(playbook, *arguments, **variables)
    assert run.returncode != 0 and f"No token was applied: {said}" in run.output, run.output
    assert cluster.fleet.files() == before and cluster.rules() == set()
    assert not (cluster.folder / "commands").exists()


@pytest.mark.parametrize(("arguments", "variables", "of_hosts"), [
    ([], {"tbot_bot_name": "", "tbot_token_roles": ["Node"]}, {}),
    (["--limit", "web-1"], {"tbot_token_prune": "no"}, {}),
    ([], {"tbot_token_prune": True}, SAME),
], ids=["no bot", "nobody pruned", "the same"])  # fmt: skip
def test_what_can_be_right_is_done(cluster: Cluster, arguments, variables, of_hosts):
    cluster.fleet.variables = of_hosts
    # The token of that file is for a bot.
    cluster.fleet.token_file.unlink()
    run = cluster.apply(*arguments, **variables)
    assert run.returncode == 0, run.output
    assert cluster.rules() == {"web-1", "db-1", "build-1"}
