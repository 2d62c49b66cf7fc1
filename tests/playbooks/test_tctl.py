"""The role join_token where the controller has tctl: the stand-in, which stores tokens in a folder."""

from __future__ import annotations

import json

import pytest


def test_a_token_is_applied_once(cluster):
    foreseen = cluster.site("--check")
    assert foreseen.returncode == 0, foreseen.output
    assert sum(foreseen.changed().values()) > 0
    assert set(cluster.commands()) == {"get"}, "check mode applied something"

    first = cluster.site()
    assert first.returncode == 0, first.output
    assert cluster.rules() == {"web-1", "db-1", "build-1"}

    second = cluster.site()
    assert not any(second.changed().values()), second.output
    assert cluster.commands().count("create") == 1


def test_a_token_that_the_cluster_lost_is_applied_again_although_the_file_is_the_same(cluster):
    cluster.site()
    cluster.stored.unlink()
    assert any(cluster.site().changed().values())
    assert cluster.rules() == {"web-1", "db-1", "build-1"}


def test_hosts_that_only_the_cluster_knows_are_not_locked_out(cluster):
    cluster.site()
    token = cluster.token
    token["spec"]["tpm"]["allow"].append({"description": "elsewhere", "ek_public_hash": "e" * 64})
    cluster.store(token)

    merged = cluster.site(tbot_token_labels={"team": "web"})
    assert merged.returncode == 0, merged.output
    assert cluster.rules() == {"web-1", "db-1", "build-1", "elsewhere"}
    assert cluster.token["metadata"]["labels"]["team"] == "web"
    assert not any(cluster.site().changed().values()), "labels that are not set stay"

    removed = cluster.site(tbot_token_remove=["elsewhere"])
    assert removed.returncode == 0, removed.output
    assert cluster.rules() == {"web-1", "db-1", "build-1"}


def test_a_token_without_hosts_is_removed(cluster):
    cluster.site()
    for entry in cluster.fleet.registry_directory.glob("*.json"):
        entry.unlink()
    removed = cluster.site(tbot_token_remove=["web-1", "db-1", "build-1"])
    assert removed.returncode == 0, removed.output
    assert cluster.commands()[-2:] == ["rm", "get"]
    assert not cluster.stored.exists()
    assert not cluster.fleet.token_file.exists()
    assert not any(cluster.site(tbot_token_remove=["web-1"]).changed().values())


def test_a_bad_registry_entry_does_not_stop_the_others(cluster):
    cluster.site()
    cluster.fleet.registry_directory.joinpath("web-1.json").write_text("{ not json")
    cluster.fleet.registry_directory.joinpath("new-1.json").write_text(json.dumps({"ek_public_hash": "f" * 64}))
    run = cluster.site()
    assert run.returncode == 0, run.output
    assert "web-1.json" in run.output, "the bad entry is named"
    assert cluster.rules() == {"web-1", "db-1", "build-1", "new-1"}


def test_a_token_of_another_bot_is_left_alone(cluster):
    cluster.site()
    token = cluster.token
    token["spec"]["bot_name"] = "another-bot"
    cluster.store(token)
    refused = cluster.site()
    assert refused.returncode != 0
    assert "conflict" in refused.output, refused.output
    assert cluster.token == token


@pytest.mark.parametrize("error", ["ERROR: connection refused", "ERROR: open /var/lib/teleport/proxy: identity not found"])
def test_a_tctl_that_fails_is_not_taken_for_a_cluster_without_the_token(cluster, error):
    cluster.store({"kind": "token"})
    (cluster.folder / "down").write_text(error)
    failed = cluster.site()
    assert failed.returncode != 0
    assert error in failed.output, failed.output
    assert cluster.token == {"kind": "token"}


def test_a_tctl_of_ones_own_choice_must_be_there(cluster):
    failed = cluster.site(tbot_tctl_command="/no/such/tctl --insecure")
    assert failed.returncode != 0
    assert "There is no program /no/such/tctl" in failed.output, failed.output
