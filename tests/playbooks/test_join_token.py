"""More of the role join_token against a cluster: the bot, runs at the same time, several tokens, who is left out."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from cluster import Cluster
from fleet import Fleet
from test_tctl import STORED

HOSTS = {"web-1", "db-1", "build-1"}


def bot_of(cluster: Cluster) -> dict:
    return json.loads((cluster.folder / "bot" / "test-bot.json").read_text())["spec"]


def test_the_bot_is_made_with_roles_and_traits_and_then_left_alone(cluster):
    without = cluster.site()
    assert "the cluster has no bot `test-bot`" in without.output, without.output

    terms = {"tbot_bot_roles": ["access", "audit"], "tbot_bot_traits": {"logins": ["root", "deploy"]}}
    foreseen = cluster.site("--check", **terms)
    assert any(foreseen.changed().values())
    assert not (cluster.folder / "bot").exists() or not any((cluster.folder / "bot").iterdir())
    made = cluster.site(**terms)
    assert made.returncode == 0, made.output
    assert bot_of(cluster) == {"roles": ["access", "audit"], "traits": [{"name": "logins", "values": ["root", "deploy"]}]}

    other_order = {"tbot_bot_roles": ["audit", "access"], "tbot_bot_traits": {"logins": ["deploy", "root"]}}
    creations = cluster.commands().count("create")
    assert cluster.site(**terms).changed()["web-1"] == 0
    cluster.site(**other_order)
    assert cluster.commands().count("create") == creations, "the order has no meaning"

    cluster.site(**terms | {"tbot_bot_roles": ["access"]})
    assert bot_of(cluster)["roles"] == ["access"]


def test_two_runs_at_the_same_time_lose_nobody(first_run, tmp_path, stand_ins, tpms, ansible):
    folder = tmp_path / "cluster"
    fleets = {host: Fleet(tmp_path / host, {host: tpms[host]}, ansible) for host in ("web-1", "db-1")}
    clusters = {host: Cluster(folder / host, fleet, stand_ins / "tctl") for host, fleet in fleets.items()}
    shared = next(iter(clusters.values()))
    for cluster in clusters.values():
        cluster.folder = shared.folder
        assert cluster.fleet.play("identify").returncode == 0
    # Whoever is first applies while the other, which has read the same, is about to.
    slow = shared.folder / "before-create"
    slow.write_text("#!/bin/sh\nsleep 3\n")
    slow.chmod(0o755)

    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda each: each.play("token", tbot_token_settle_seconds=6), clusters.values()))
    assert all(run.returncode == 0 for run in runs), runs
    assert shared.rules() == {"web-1", "db-1"}
    assert shared.commands().count("create") > len(runs), "neither undid what the other had done: nothing was tested"


def test_a_token_that_something_else_changes_all_the_time_is_an_error(cluster):
    other = cluster.folder / "other.json"
    other.write_text(json.dumps(STORED))
    cluster.after_create(1.5, f"cp {other} {cluster.stored}")
    run = cluster.site(tbot_token_settle_seconds=3)
    assert run.returncode != 0
    assert "was applied 5 times" in run.output, run.output


def test_pruning_is_for_whole_runs_only(cluster):
    cluster.site()
    token = cluster.token
    token["spec"]["tpm"]["allow"].append({"description": "elsewhere", "ek_public_hash": "e" * 64})
    cluster.store(token)
    refused = cluster.site("--limit", "web-1", tbot_token_prune=True)
    assert refused.returncode != 0 and "--limit" in refused.output, refused.output
    assert cluster.rules() == HOSTS | {"elsewhere"}
    pruned = cluster.site(tbot_token_prune=True)
    assert pruned.returncode == 0, pruned.output
    assert cluster.rules() == HOSTS


def tokens_named_by_hosts(fleet: Fleet) -> dict[str, str]:
    paths = {host: fleet.host_path(host, "etc/tbot.yaml") for host in HOSTS}
    return {host: yaml.safe_load(path.read_text())["onboarding"]["token"] for host, path in paths.items()}


def test_hosts_are_spread_over_shards_and_each_names_its_own(cluster):
    run = cluster.play("site", tbot_token_shards=4)
    assert run.returncode == 0, run.output
    named = tokens_named_by_hosts(cluster.fleet)
    for host, token in named.items():
        assert re.fullmatch("test-hosts-[0-3]", token)
        assert host in cluster.rules_of(token)
    assert not any(cluster.play("site", tbot_token_shards=4).changed().values())

    alone = cluster.play("deploy", tbot_token_shards=4)
    assert alone.returncode == 0, alone.output
    assert tokens_named_by_hosts(cluster.fleet) == named, "without the token's part too"

    back = cluster.play("site", tbot_token_retire=True)
    assert back.returncode == 0, back.output
    assert set(tokens_named_by_hosts(cluster.fleet).values()) == {"test-hosts"}
    retired = cluster.site(tbot_token_retire=True)
    assert retired.returncode == 0, retired.output
    assert cluster.rules() == HOSTS
    assert not any(cluster.rules_of(f"test-hosts-{number}") for number in range(4))


def test_by_which_tokens_hosts_join_is_looked_up_on_the_controller(cluster):
    assert cluster.play("site", tbot_token_shards=4).returncode == 0
    cluster.fleet.variables["db-1"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    # Nothing is written, so that an entry which cannot be read is in nobody's way.
    broken = cluster.fleet.registry_directory / "gone.json"
    broken.write_text("{")
    run = cluster.play("deploy", tbot_token_shards=4)
    broken.unlink()
    # It cannot be reached, which counts as a failure where hosts are set up; that has to be the first time.
    assert (run.recap["db-1"]["unreachable"], run.recap["db-1"]["failed"]) == (0, 1), run.output
    assert not any(run.changed().values()), run.output


def test_each_host_can_have_a_token_of_its_own(cluster):
    run = cluster.play("site", tbot_token_per_host=True)
    assert run.returncode == 0, run.output
    assert tokens_named_by_hosts(cluster.fleet) == {host: f"test-hosts-{host}" for host in HOSTS}
    assert {host: cluster.rules_of(f"test-hosts-{host}") for host in HOSTS} == {host: {host} for host in HOSTS}
    assert not any(cluster.play("site", tbot_token_per_host=True).changed().values())

    gone = cluster.play("decommission", "--limit", "db-1", tbot_token_per_host=True)
    assert gone.returncode == 0, gone.output
    assert not cluster.stored.with_name("test-hosts-db-1.json").exists()
    assert cluster.rules_of("test-hosts-web-1") == {"web-1"}


def test_withdrawn_tpms_leave_former_tokens_whatever_the_registry_is_called(cluster):
    fleet = cluster.fleet
    fleet.registry_directory = fleet.registry_directory.rename(fleet.root / "fleet [prod]")
    assert cluster.site().returncode == 0
    assert cluster.rules() == HOSTS
    gone = cluster.play("decommission", "--limit", "db-1", tbot_token_per_host=True)
    assert gone.returncode == 0, gone.output
    assert cluster.rules() == HOSTS - {"db-1"}


def test_a_host_that_the_cluster_would_refuse_is_left_out_and_told_of(new_fleet, tmp_path, stand_ins, ca):
    cluster = Cluster(tmp_path / "cluster", new_fleet, stand_ins / "tctl")
    run = cluster.play("site", tbot_ekcert_allowed_cas=[str(ca / "issuercert.pem")])
    assert cluster.rules() == {"web-1"}
    failed = {host: counts["failed"] for host, counts in run.recap.items() if host in HOSTS}
    assert failed == {"web-1": 0, "db-1": 1, "build-1": 1}, run.output
    assert "The cluster would refuse it" in run.output.split("TASK [Report]")[-1], run.output
    assert not new_fleet.host_path("db-1", "etc/tbot.yaml").exists()
    assert new_fleet.host_path("web-1", "etc/tbot.yaml").exists()


def test_tctl_may_be_on_a_host_of_the_inventory(cluster):
    run = cluster.site(tbot_tctl_host="build-1")
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS
    assert "web-1 -> build-1" in run.output, run.output
    # The files are the controller's all the same.
    assert set(cluster.fleet.token_rules()) == HOSTS
    assert not any(cluster.site(tbot_tctl_host="build-1").changed().values())
    gone = cluster.play("decommission", "--limit", "db-1", tbot_tctl_host="build-1")
    assert gone.returncode == 0, gone.output
    assert cluster.rules() == set(cluster.fleet.token_rules()) == HOSTS - {"db-1"}


def test_an_answer_of_tctl_that_is_no_token_is_not_overwritten(cluster):
    cluster.stored.write_text("{ not json")
    assert cluster.site().returncode != 0
    assert cluster.stored.read_text() == "{ not json"


def test_a_part_of_the_run_leaves_the_token_in_the_configuration_as_it_is(cluster):
    assert cluster.play("site", tbot_token_shards=4).returncode == 0
    named = tokens_named_by_hosts(cluster.fleet)
    for playbook in ("site", "deploy"):
        part = cluster.play(playbook, "--tags", "tbot_service", tbot_token_shards=4)
        assert part.returncode == 0, part.output
        assert not any(part.changed().values()), part.output
    assert tokens_named_by_hosts(cluster.fleet) == named


@pytest.mark.parametrize(
    ("before", "after", "former"),
    [
        ({"tbot_token_shards": 2}, {}, ["test-hosts-0", "test-hosts-1"]),
        ({}, {"tbot_token_per_host": True}, ["test-hosts"]),
        ({"tbot_token_per_host": True}, {}, ["test-hosts-db-1"]),
    ],
)
def test_a_decommissioned_host_leaves_the_tokens_of_a_former_layout_too(cluster, before, after, former):
    assert cluster.play("site", **before).returncode == 0
    assert cluster.play("site", **after).returncode == 0
    assert any("db-1" in cluster.rules_of(token) for token in former)
    run = cluster.play("decommission", "--limit", "db-1", **after)
    assert run.returncode == 0, run.output
    for token in [*former, "test-hosts", "test-hosts-db-1"]:
        assert "db-1" not in cluster.rules_of(token), token
    again = cluster.play("decommission", "--limit", "db-1", **after)
    assert not any(again.changed().values()), again.output


def test_verify_sees_a_tpm_that_is_out_of_use_in_a_token_of_a_former_layout(cluster):
    bot = {"tbot_bot_roles": ["access"]}
    assert cluster.play("site", tbot_token_per_host=True, **bot).returncode == 0
    former = cluster.stored.with_name("test-hosts-db-1.json")
    token = former.read_text()
    assert cluster.play("site", **bot).returncode == 0
    assert cluster.play("decommission", "--limit", "db-1", **bot).returncode == 0
    right = cluster.play("verify", "--limit", "web-1", **bot)
    assert right.returncode == 0, right.output
    former.write_text(token)
    run = cluster.play("verify", "--limit", "web-1", **bot)
    assert run.returncode != 0
    assert "a token of a former layout" in run.output.split("TASK [Report]")[-1], run.output
    assert former.read_text() == token


def test_verify_sees_what_differs_in_the_cluster(cluster):
    terms = {"tbot_bot_roles": ["access"], "tbot_token_labels": {"team": "web"}}
    assert cluster.play("site", **terms).returncode == 0
    right = cluster.play("verify", **terms)
    assert right.returncode == 0, right.output
    labels = cluster.play("verify", **terms | {"tbot_token_labels": {"team": "db"}})
    assert "the token differs" in labels.output.split("TASK [Report]")[-1], labels.output
    (cluster.folder / "bot" / "test-bot.json").unlink()
    bot = cluster.play("verify", **terms)
    assert "the bot is missing" in bot.output.split("TASK [Report]")[-1], bot.output
    assert bot.returncode != 0 and labels.returncode != 0


def test_why_tctl_failed_is_said_even_where_its_output_is_hidden(cluster):
    (cluster.folder / "down").write_text("ERROR: access denied for user bob")
    run = cluster.play("token", tbot_token_shards=2, tbot_bot_name="test-bot")
    assert run.returncode != 0
    assert "access denied for user bob" in run.output, run.output
