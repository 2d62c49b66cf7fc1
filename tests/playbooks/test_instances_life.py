"""A host with three bots of two users, from the first run to the last, under a real systemd."""

from __future__ import annotations

from pathlib import Path

import container
import pytest
from instances_in_container import OUTPUTS

FIRST, DEPLOY, REPORTS = OUTPUTS


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, stand_ins: Path) -> dict:
    """What instances_in_container.py saw after each step."""
    return container.report_of("instances_in_container.py", tmp_path_factory.mktemp("instances"))


def running(step: dict) -> set[str]:
    return {name for name, found in step["services"].items() if (found["ActiveState"], found["UnitFileState"]) == ("active", "enabled")}


def processes(step: dict) -> dict[str, str]:
    return {name: found["MainPID"] for name, found in step["services"].items()}


@pytest.mark.parametrize("name", ["first", "again", "upgraded", "upgraded again"])
def test_all_three_run(seen, name):
    step = seen[name]
    assert step["returncode"] == 0, step["output"]
    assert running(step) == set(OUTPUTS), step["output"]
    assert {service: found["User"] for service, found in step["services"].items()} == {
        FIRST: "teleport", DEPLOY: "tbot-two", REPORTS: "tbot-two",
    }  # fmt: skip
    assert step["rules"] == {"tbot-tpm": ["three"], "tbot-deploy": ["three"], "tbot-reports": ["three"]}


@pytest.mark.parametrize("name", ["first", "upgraded again"])
def test_the_reader_of_all_reads_all_and_others_nothing(seen, name):
    assert seen[name]["reads"] == {path: ["games"] for path in OUTPUTS.values()}, seen[name]["output"]


@pytest.mark.parametrize("name", ["again", "upgraded again", "one gone, again", "forgotten"])
def test_a_run_that_has_nothing_to_do_changes_nothing(seen, name):
    assert (seen[name]["returncode"], seen[name]["changed"]) == (0, 0), seen[name]["output"]


def test_an_upgrade_restarts_each_bot_once(seen):
    before, after, later = (processes(seen[name]) for name in ("again", "upgraded", "upgraded again"))
    assert before == processes(seen["first"]) and after == later
    assert all(before[name] != after[name] for name in OUTPUTS), (before, after)


def test_one_bot_goes_and_the_others_do_not_notice(seen):
    step = seen["one gone"]
    assert step["returncode"] == 0, step["output"]
    assert running(step) == {FIRST, DEPLOY} and step["services"][REPORTS]["LoadState"] != "loaded", step["services"]
    assert step["rules"] == {"tbot-tpm": ["three"], "tbot-deploy": ["three"]}
    assert not [path for path in step["left"] if "reports" in path]
    assert {name: pid for name, pid in processes(step).items() if name != REPORTS}.items() <= processes(seen["upgraded again"]).items()


def test_decommission_takes_all_of_them_away(seen):
    step = seen["all gone"]
    assert step["returncode"] == 0, step["output"]
    assert (running(step), step["rules"], step["left"]) == (set(), {}, []), step["output"]
