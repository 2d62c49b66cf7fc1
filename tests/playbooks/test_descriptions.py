"""Rules that say something else of their hosts than the hosts' names, by tbot_description."""

from __future__ import annotations

import pytest
from ansible_runs import Run
from cluster import Cluster

HOSTS = {"web-1", "db-1", "build-1"}
TAGS = {"web-1": "asset 4711", "db-1": 815}


@pytest.fixture
def tagged(cluster: Cluster) -> Cluster:
    """A cluster whose fleet has tags, and was there before it had."""
    assert cluster.site(tbot_bot_roles=["access"]).returncode == 0
    say(cluster, TAGS)
    run = recorded(cluster)
    assert run.returncode == 0, run.output
    return cluster


def recorded(cluster: Cluster, *arguments: str) -> Run:
    """What of site.yml reads the hosts' TPMs and builds the token."""
    return cluster.play("site", "--tags", "tpm_identity,join_token", *arguments)


def say(cluster: Cluster, texts: dict[str, object]) -> None:
    cluster.fleet.variables = {host: {"tbot_description": text} for host, text in texts.items()}


def test_rules_say_the_tags_and_all_else_goes_by_the_hosts_names(tagged):
    assert tagged.rules() == {"asset 4711", "815", "build-1"}
    entry = tagged.fleet.registry("web-1")
    assert (entry["description"], entry["rule_description"]) == ("web-1", "asset 4711")
    assert not any(recorded(tagged).changed().values())
    right = tagged.play("verify")
    assert right.returncode == 0, right.output

    say(tagged, TAGS | {"web-1": "asset 4712"})
    wrong = tagged.play("verify")
    assert {host for host, counts in wrong.recap.items() if counts["failed"]} == {"web-1"}, wrong.output
    assert "the rule for its TPM is out of date" in wrong.output.split("TASK [Report]")[-1], wrong.output
    assert recorded(tagged).returncode == 0
    assert tagged.rules() == {"asset 4712", "815", "build-1"}

    say(tagged, {"web-1": "", "db-1": None})
    run = recorded(tagged)
    assert run.returncode == 0 and tagged.rules() == HOSTS, run.output


def test_a_decommissioned_host_loses_its_rule_whatever_that_says(tagged):
    token = tagged.token
    theirs = {"description": "asset 4711", "ek_public_hash": "e" * 64}
    token["spec"]["tpm"]["allow"].append(theirs)
    tagged.store(token)
    run = tagged.play("decommission", "--limit", "web-1")
    assert run.returncode == 0, run.output
    rules = tagged.token["spec"]["tpm"]["allow"]
    assert [rule for rule in rules if rule["description"] == "asset 4711"] == [theirs]
    assert tagged.rules() == {"asset 4711", "815", "build-1"}
    back = recorded(tagged, "--limit", "web-1")
    assert back.returncode == 0, back.output
    assert len(tagged.token["spec"]["tpm"]["allow"]) == 4


def test_a_tag_of_two_hosts_stops_the_second_one_and_names_both(cluster):
    say(cluster, {"web-1": "asset 1", "db-1": "asset 1"})
    run = cluster.play("site", "--tags", "tpm_identity")
    last = run.output.split("TASK [Report]")[-1]
    assert run.returncode != 0 and "would have the same description `asset 1`" in last, run.output
    assert "`web-1`" in last and "`db-1`" in last


def test_a_former_layouts_tokens_lose_the_rules_of_archived_hosts_with_tags(tagged):
    assert tagged.site(tbot_token_shards=2).returncode == 0
    assert tagged.site().returncode == 0
    # Former shards still have the rule.
    run = tagged.play("decommission", "--limit", "web-1")
    assert run.returncode == 0, run.output
    tokens = [path.stem for path in tagged.stored.parent.glob("*.json")]
    assert len(tokens) > 1 and not any("asset 4711" in tagged.rules_of(token) for token in tokens)
    assert not any(tagged.site().changed().values())
