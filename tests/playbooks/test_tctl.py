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
    foreseen = cluster.apply("--check")
    assert foreseen.returncode == 0, foreseen.output
    assert sum(foreseen.changed().values()) > 0
    assert set(cluster.commands()) == {"get"}, "check mode applied something"

    first = cluster.apply()
    assert first.returncode == 0, first.output
    assert cluster.rules() == {"web-1", "db-1", "build-1"}

    second = cluster.apply()
    assert not any(second.changed().values()), second.output
    assert cluster.commands().count("create") == 1


def test_a_token_that_the_cluster_lost_is_made_anew_only_where_that_is_said(cluster):
    first = cluster.apply()
    assert first.returncode == 0, first.output
    cluster.stored.unlink()
    for arguments in (["--check"], []):
        stopped = cluster.apply(*arguments)
        assert stopped.returncode != 0
        assert "the cluster has no token test-hosts" in stopped.output.lower(), stopped.output
        assert "tbot_token_recreate" in stopped.output and not cluster.stored.exists(), stopped.output

    run = cluster.apply(tbot_token_recreate=True)
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS
    assert not any(cluster.apply().changed().values())


def test_a_token_of_one_host_that_the_cluster_lost_is_not_made_anew(cluster):
    cluster.apply(tbot_token_per_host=True)
    assert cluster.rules_of("test-hosts-web-1") == {"web-1"}
    cluster.stored.with_name("test-hosts-web-1.json").unlink()
    stopped = cluster.apply(tbot_token_per_host=True)
    assert stopped.returncode != 0
    assert "no token test-hosts-web-1, although" in stopped.output, stopped.output
    assert cluster.rules_of("test-hosts-web-1") == set()


def test_a_first_apply_that_failed_is_simply_done_again(cluster):
    cluster.be_awkward(fails="access-denied", commands=["create"], calls=1)
    failed = cluster.apply()
    assert failed.returncode != 0 and "access denied" in failed.output, failed.output
    run = cluster.apply()
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS


def test_null_is_no_answer(stored):
    tctl = stored.folder / "null"
    tctl.write_text(f'#!/bin/sh\ncase "$*" in "get token/"*) echo null;; *) exec {stored.command()} "$@";; esac\n')
    tctl.chmod(0o755)
    run = stored.apply(tbot_tctl_command=str(tctl))
    assert run.returncode != 0 and "gave no usable answer: it printed null" in run.output, run.output
    assert stored.token == STORED


def test_hosts_that_only_the_cluster_knows_are_not_locked_out(cluster):
    cluster.apply()
    token = cluster.token
    token["spec"]["tpm"]["allow"].append({"description": "elsewhere", "ek_public_hash": "e" * 64})
    cluster.store(token)

    merged = cluster.apply(tbot_token_labels={"team": "web"})
    assert merged.returncode == 0, merged.output
    assert cluster.rules() == {"web-1", "db-1", "build-1", "elsewhere"}
    assert cluster.token["metadata"]["labels"]["team"] == "web"
    assert not any(cluster.apply().changed().values()), "labels that are not set stay"

    removed = cluster.apply(tbot_token_remove=["elsewhere"])
    assert removed.returncode == 0, removed.output
    assert cluster.rules() == {"web-1", "db-1", "build-1"}


def test_a_token_without_hosts_is_removed(cluster):
    cluster.apply()
    for entry in cluster.fleet.registry_directory.glob("*.json"):
        entry.unlink()
    removed = cluster.apply(tbot_token_remove=["web-1", "db-1", "build-1"])
    assert removed.returncode == 0, removed.output
    assert "rm" in cluster.commands()
    assert not cluster.stored.exists()
    assert not cluster.fleet.token_file.exists()
    assert not any(cluster.apply(tbot_token_remove=["web-1"]).changed().values())


def test_a_bad_registry_entry_does_not_stop_the_others(cluster):
    cluster.apply()
    cluster.fleet.registry_directory.joinpath("web-1.json").write_text("{ not json")
    cluster.fleet.registry_directory.joinpath("new-1.json").write_text(json.dumps({"ek_public_hash": "f" * 64}))
    run = cluster.apply()
    assert run.returncode == 0, run.output
    assert "web-1.json" in run.output, "the bad entry is named"
    assert cluster.rules() == {"web-1", "db-1", "build-1", "new-1"}


def test_a_token_of_another_bot_is_left_alone(cluster):
    cluster.apply()
    token = cluster.token
    token["spec"]["bot_name"] = "another-bot"
    cluster.store(token)
    refused = cluster.apply()
    assert refused.returncode != 0
    assert "belongs to another bot" in refused.output, refused.output
    assert cluster.token == token


@pytest.mark.parametrize("error", ["ERROR: connection refused", "ERROR: open /var/lib/teleport/proxy: identity not found"])
def test_a_tctl_that_fails_is_not_taken_for_a_cluster_without_the_token(cluster, error):
    cluster.store({"kind": "token"})
    (cluster.folder / "down").write_text(error)
    failed = cluster.apply()
    assert failed.returncode != 0
    assert error in failed.output, failed.output
    assert cluster.token == {"kind": "token"}


def test_a_tctl_of_ones_own_choice_must_be_there(cluster):
    failed = cluster.apply(tbot_tctl_command="/no/such/tctl --insecure")
    assert failed.returncode != 0
    assert "/no/such/tctl" in failed.output and "or set `tctl` (`tbot_tctl_command`) to where it is" in failed.output, failed.output


@pytest.mark.parametrize("noise", [{"progress": "line"}, {"progress": "same-line"}, {"deprecation": "stdout"}], ids=str)
def test_what_tctl_prints_before_its_answer_does_not_matter(stored, noise):
    stored.be_awkward(**noise)
    run = stored.apply()
    assert run.returncode == 0, run.output
    assert stored.rules() == HOSTS | {"elsewhere"}


def test_a_slow_tctl_may_warn_log_and_word_what_is_missing_otherwise(cluster):
    cluster.be_awkward(seconds=1, deprecation="stderr", logs=True, not_found="plain", progress="line")
    run = cluster.apply(tbot_tctl_command=cluster.command(TELEPORT_TOOLS_VERSION="off"))
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS


@pytest.mark.parametrize(("awkward", "said"), [
    ({"fails": "access-denied"}, "access denied"),
    ({"fails": "host-uuid"}, "open /var/lib/teleport/host_uuid: permission denied"),
    ({"fails": "lookup"}, "no such host"),
    ({"mfa": True}, "admin-level API request requires MFA verification"),
    ({"cut": "exit"}, "gave no usable answer"),
    ({"cut": "signal"}, "was ended by signal 9"),
], ids=str)
def test_a_token_that_cannot_be_read_is_left_alone(stored, awkward, said):
    stored.be_awkward(commands=["get"], **awkward)
    failed = stored.apply()
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
def test_a_failure_that_speaks_of_something_else_not_found_leaves_the_token_alone(stored, awkward):
    stored.be_awkward(commands=["get"], **awkward)
    run = stored.apply()
    assert stored.token == STORED, run.output


def test_where_mfa_is_asked_for_the_error_says_which_flags_tctl_needs(stored):
    stored.be_awkward(mfa=True)
    failed = stored.apply()
    assert "--auth-server" in failed.output, failed.output


def test_an_automations_identity_is_not_asked_for_mfa(cluster):
    cluster.be_awkward(mfa=True)
    run = cluster.apply(tbot_tctl_command=cluster.command("-i", "/dev/null", "--auth-server", "localhost:443"))
    assert run.returncode == 0, run.output
    assert cluster.rules() == HOSTS


def test_a_run_after_one_that_was_denied_goes_well(stored):
    stored.be_awkward(fails="access-denied", calls=1)
    assert stored.apply().returncode != 0
    run = stored.apply()
    assert run.returncode == 0, run.output
    assert stored.rules() == HOSTS | {"elsewhere"}


def failing(cluster: Cluster, command: str, said: str) -> str:
    """A tctl of which one command fails with that text."""
    (cluster.folder / "said").write_text(said)
    tctl = cluster.folder / "failing"
    tctl.write_text(
        f'#!/bin/sh\ncase "$*" in "{command}"*) cat {cluster.folder}/said >&2; exit 1;; *) exec {cluster.command()} "$@";; esac\n'
    )
    tctl.chmod(0o755)
    return str(tctl)


@pytest.mark.parametrize("said", [
    "ERROR: refreshing the access token: lookup teleport.example.com: host not found",
    "ERROR: open /etc/token/identity: identity file /etc/token/identity not found",
    "sh: 1: token-helper: not found",
    "ERROR: provisioning token(***************-token) not found",
    "ERROR: provisioning token(*******sts) not found\nERROR: connection reset",
], ids=range(5))
def test_only_this_tokens_own_absence_is_one(stored, said):
    run = stored.apply(tbot_tctl_command=failing(stored, "get token/test-hosts", said))
    assert run.returncode != 0 and said.splitlines()[0] in run.output, run.output
    assert stored.token == STORED


@pytest.mark.parametrize("said", ["sudo: unknown user robot: user not found", 'ERROR: user "bot-another" not found'], ids=range(2))
def test_only_this_bots_own_absence_is_one(stored, said):
    bot = {"kind": "bot", "version": "v1", "metadata": {"name": "test-bot"}, "spec": {"roles": ["by-hand"]}}
    path = stored.folder / "bot/test-bot.json"
    path.parent.mkdir()
    path.write_text(json.dumps(bot))
    run = stored.apply(tbot_bot_roles=["access"], tbot_tctl_command=failing(stored, "get bot/test-bot", said))
    output = run.output.replace("\\", "")
    assert run.returncode != 0 and "No token was applied: `tctl get bot/test-bot" in output and said in output, output
    assert json.loads(path.read_text()) == bot and stored.token == STORED


def test_a_token_that_could_not_be_removed_is_an_error(cluster):
    cluster.apply()
    for entry in cluster.fleet.registry_directory.glob("*.json"):
        entry.unlink()
    tctl = failing(cluster, "rm token/test-hosts", "ERROR: host not found")
    run = cluster.apply(tbot_token_remove=list(HOSTS), tbot_tctl_command=tctl)
    assert run.returncode != 0 and "host not found" in run.output, run.output


def test_a_token_that_goes_between_two_reads_is_not_made_anew(stored):
    stored.after_create(2, f"rm -f {stored.stored}")
    run = stored.apply(tbot_token_settle_seconds=6)
    assert run.returncode != 0 and "no token test-hosts, although" in run.output, run.output
    assert stored.rules() == set()


def test_a_shard_that_the_cluster_lost_is_not_made_anew(cluster):
    run = cluster.apply(tbot_token_shards=2)
    assert run.returncode == 0, run.output
    lost = next(path for path in cluster.stored.parent.glob("test-hosts-*.json"))
    lost.unlink()
    stopped = cluster.apply(tbot_token_shards=2)
    assert stopped.returncode != 0 and f"no token {lost.stem}, although" in stopped.output, stopped.output
    assert not lost.exists()


def of_another_bot(cluster: Cluster, *rules: dict[str, str]) -> str:
    """Stores the token `test-hosts-7` of another bot, and returns its text."""
    token = {**STORED, "metadata": {"name": "test-hosts-7"}}
    token["spec"] = {**STORED["spec"], "bot_name": "other-bot", "tpm": {"allow": list(rules)}}
    cluster.stored.with_name("test-hosts-7.json").write_text(json.dumps(token))
    return json.dumps(token)


def test_a_token_of_another_bot_keeps_its_rules_whatever_it_is_called(cluster):
    cluster.apply()
    text = of_another_bot(cluster, {"description": "theirs", "ek_public_hash": cluster.fleet.registry("db-1")["ek_public_hash"]})
    run = cluster.play("decommission", "--limit", "db-1")
    assert run.returncode == 0, run.output
    assert cluster.rules() == {"web-1", "build-1"}
    assert cluster.stored.with_name("test-hosts-7.json").read_text() == text


@pytest.mark.parametrize("said", ["null", "[]"])
def test_a_worthless_list_of_tokens_leaves_no_withdrawn_tpm_in_a_former_one(cluster, said):
    assert cluster.apply(tbot_token_shards=2).returncode == 0 and cluster.apply().returncode == 0
    tctl = cluster.folder / "worthless"
    tctl.write_text(f'#!/bin/sh\ncase "$*" in "get tokens"*) echo "{said}";; *) exec {cluster.command()} "$@";; esac\n')
    tctl.chmod(0o755)
    failed = cluster.play("decommission", "--limit", "db-1", tbot_tctl_command=str(tctl))
    assert failed.returncode != 0 and "the cluster has no token test-hosts, although" in failed.output, failed.output
    run = cluster.play("decommission", "--limit", "db-1")
    assert run.returncode == 0, run.output
    tokens = [path.stem for path in cluster.stored.parent.glob("*.json")]
    assert not any("db-1" in cluster.rules_of(token) for token in tokens)


def test_a_decommission_that_asked_nobody_says_so(cluster):
    cluster.apply()
    cluster.fleet.token_file.unlink()
    run = cluster.play("decommission", "--limit", "db-1,web-1,build-1", tbot_apply_token=False)
    assert run.returncode != 0 and "The cluster was not asked" in run.output, run.output
    assert {host for host, counts in run.recap.items() if counts["failed"]} == HOSTS
