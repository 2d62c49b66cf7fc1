"""The role join_token where the controller has tctl: the stand-in, which stores tokens in a folder."""

from __future__ import annotations

import json

import pytest
from cluster import Cluster

HOSTS = {"web-1", "db-1", "build-1"}

# A token that has a rule besides those of the fleet: whoever takes it for missing takes that host out.
STORED = {
    "kind": "token",
    "version": "v2",
    "metadata": {"name": "test-hosts"},
    "spec": {
        "roles": ["Bot"],
        "join_method": "tpm",
        "bot_name": "test-bot",
        "tpm": {"allow": [{"description": "elsewhere", "ek_public_hash": "e" * 64}]},
    },
}


@pytest.fixture
def stored(cluster: Cluster) -> Cluster:
    """A cluster that has that token."""
    cluster.store(STORED)
    return cluster


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


@pytest.mark.parametrize("noise", [{"progress": "line"}, {"progress": "same-line"}, {"deprecation": "stdout"}], ids=str)
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="tctl's noise: what it prints before the JSON is read as JSON")
def test_what_tctl_prints_before_its_answer_does_not_matter(stored, noise):
    stored.be_awkward(**noise)
    run = stored.site()
    assert run.returncode == 0, run.output
    assert stored.rules() == HOSTS | {"elsewhere"}


def test_a_slow_tctl_may_warn_log_and_word_what_is_missing_otherwise(cluster):
    cluster.be_awkward(seconds=1, deprecation="stderr", logs=True, not_found="plain", progress="line")
    run = cluster.site(tbot_tctl_command=cluster.command(TELEPORT_TOOLS_VERSION="off"))
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS


@pytest.mark.parametrize(("awkward", "said"), [
    ({"fails": "access-denied"}, "access denied"),
    ({"fails": "host-uuid"}, "open /var/lib/teleport/host_uuid: permission denied"),
    ({"fails": "lookup"}, "no such host"),
    ({"mfa": True}, "admin-level API request requires MFA verification"),
    ({"cut": "exit"}, "from_json"),
    ({"cut": "signal"}, '"rc": -9'),
], ids=str)
def test_a_token_that_cannot_be_read_is_left_alone(stored, awkward, said):
    stored.be_awkward(commands=["get"], **awkward)
    failed = stored.site()
    assert failed.returncode != 0
    assert said in failed.output, failed.output
    assert stored.token == STORED
    assert "create" not in stored.commands()


@pytest.mark.parametrize("awkward", [
    {"fails": "host"},
    {"fails": "file"},
    {"fails": "command"},
    {"fails": "user"},
    {"fails": "access-denied", "logs": True},
], ids=str)
@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="tctl's noise: another thing that is not found is taken for the token"
)
def test_a_failure_that_speaks_of_something_else_not_found_leaves_the_token_alone(stored, awkward):
    stored.be_awkward(commands=["get"], **awkward)
    run = stored.site()
    assert stored.token == STORED, run.output


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="tctl's noise: nothing says which flags tctl needs for MFA")
def test_where_mfa_is_asked_for_the_error_says_which_flags_tctl_needs(stored):
    stored.be_awkward(mfa=True)
    failed = stored.site()
    assert "--auth-server" in failed.output, failed.output


def test_an_automations_identity_is_not_asked_for_mfa(cluster):
    cluster.be_awkward(mfa=True)
    run = cluster.site(tbot_tctl_command=cluster.command("-i", "/dev/null", "--auth-server", "localhost:443"))
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS


def test_a_run_after_one_that_was_denied_goes_well(stored):
    stored.be_awkward(fails="access-denied", calls=1)
    assert stored.site().returncode != 0
    run = stored.site()
    assert run.returncode == 0, run.output
    assert stored.rules() == HOSTS | {"elsewhere"}
