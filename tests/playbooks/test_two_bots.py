"""Two bots whose hosts are in one registry: taking a host from the one does not take it from the other."""

from __future__ import annotations

import pytest
from cluster import Cluster
from fleet import Fleet

HOSTS = {"web-1", "db-1", "build-1"}


def of(bot: str, fleet: Fleet) -> dict[str, object]:
    return {"tbot_bot_name": bot, "tbot_token_name": bot, "tbot_token_file": str(fleet.root / f"{bot}.yaml")}


@pytest.fixture
def both(cluster: Cluster) -> Cluster:
    """A cluster with the tokens of two bots, which both have all hosts."""
    for bot in ("one", "two"):
        run = cluster.site(**of(bot, cluster.fleet))
        assert run.returncode == 0, run.output
        assert cluster.rules_of(bot) == HOSTS
    return cluster


def test_a_host_of_another_bot_is_not_archived_unasked(both):
    fleet = both.fleet
    before = fleet.files()
    for arguments in ([], ["--check"], ["--tags", "tpm_identity"]):
        run = both.play("decommission", "--limit", "web-1", *arguments, **of("two", fleet))
        assert run.returncode != 0
        assert "`web-1` by token `one` of bot `one`" in run.output and "tbot_decommission_all_bots" in run.output, run.output
        assert fleet.files() == before, arguments
    # As before: the next run for the first bot takes nothing away.
    assert both.site("--limit", "db-1", **of("one", fleet)).returncode == 0
    assert both.rules_of("one") == both.rules_of("two") == HOSTS


def test_a_host_may_leave_all_bots(both):
    fleet = both.fleet
    run = both.play("decommission", "--limit", "web-1", tbot_decommission_all_bots=True, **of("two", fleet))
    assert run.returncode == 0, run.output
    assert "the next runs for these tokens take away" in run.output
    assert (both.rules_of("one"), both.rules_of("two")) == (HOSTS, HOSTS - {"web-1"})
    assert both.site("--limit", "db-1", **of("one", fleet)).returncode == 0
    assert both.rules_of("one") == HOSTS - {"web-1"}


def test_without_tctl_the_files_of_tokens_tell(fleet):
    for bot in ("one", "two"):
        assert fleet.play("token", variables=of(bot, fleet)).returncode == 0
    before = fleet.files()
    run = fleet.play("decommission", "--limit", "web-1", variables=of("two", fleet))
    assert run.returncode != 0 and "`web-1` by token `one` of bot `one`" in run.output, run.output
    assert fleet.files() == before


def test_a_tctl_that_fails_archives_nobody(both):
    fleet = both.fleet
    both.be_awkward(fails="access-denied", commands=["get"])
    before = fleet.files()
    run = both.play("decommission", "--limit", "web-1", **of("two", fleet))
    assert run.returncode != 0 and "access denied" in run.output, run.output
    assert fleet.files() == before
