"""site.yml on a real systemd, in a container."""

from __future__ import annotations

import container
import pytest
from installed import Installed


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, ansible: Installed) -> dict:
    """What service_in_container.py saw after each of its runs of site.yml."""
    return container.report_of("service_in_container.py", tmp_path_factory.mktemp("service"), ansible=ansible)


def test_first_run_enables_and_starts_the_service(seen):
    first = seen["first"]
    assert first["returncode"] == 0, first["output"]
    assert (first["enabled"], first["active"]) == ("enabled", "active")
    assert first["starts"] == ["teleport start -c /etc/tbot.yaml --pid-file=/run/tbot/tbot.pid"]


def test_second_run_changes_and_restarts_nothing(seen):
    second = seen["second"]
    assert second["returncode"] == 0, second["output"]
    assert second["changed"] == {"bot-1": 0}, second["output"]
    assert second["starts"] == seen["first"]["starts"]


def test_a_changed_configuration_restarts_it_once(seen):
    changed = seen["other proxy"]
    assert changed["returncode"] == 0, changed["output"]
    assert changed["active"] == "active"
    assert len(changed["starts"]) == 2


def test_a_changed_unit_restarts_it_once(seen):
    changed = seen["other unit"]
    assert changed["returncode"] == 0, changed["output"]
    assert changed["active"] == "active"
    assert len(changed["starts"]) == 3


def test_a_unit_that_an_earlier_run_left_unknown_is_made_known_once(seen):
    left, known, after = (seen[name] for name in ("unit only", "unit made known", "nothing left"))
    assert [run["returncode"] for run in (left, known, after)] == [0, 0, 0], known["output"]
    assert (len(left["starts"]), len(known["starts"]), len(after["starts"])) == (3, 4, 4)
    assert after["changed"] == {"bot-1": 0}, after["output"]


def test_files_belong_to_the_service_user_where_they_should(seen):
    assert seen["owners"] == {
        "/var/lib/teleport/bot": "teleport:teleport 700",
        "/etc/tbot.yaml": "root:teleport 640",
        "/etc/systemd/system/tbot.service": "root:root 644",
    }


def test_a_name_with_the_units_suffix_is_the_same_service(seen):
    for run in ("with suffix", "verified with suffix"):
        assert (seen[run]["returncode"], seen[run]["changed"]["bot-1"]) == (0, 0), seen[run]["output"]
        assert seen[run]["starts"] == seen["nothing left"]["starts"]


def test_a_unit_that_could_not_be_enabled_before_is(seen):
    first, again = seen["was static"], seen["was static, again"]
    assert (first["returncode"], first["enabled"], first["active"]) == (0, "enabled", "active"), first["output"]
    assert (again["returncode"], again["changed"]["bot-1"], again["starts"]) == (0, 0, first["starts"]), again["output"]


def test_a_unit_of_teleport_update_is_added_to_and_verifies(seen):
    first, verified = seen["updater's"], seen["updater's verified"]
    assert (first["returncode"], first["enabled"], first["active"]) == (0, "enabled", "active"), first["output"]
    socket = "--diag-socket-for-updater=/var/lib/teleport/bot/debug.sock"
    assert first["starts"][-1] == f"teleport start -c /etc/tbot.yaml {socket} --pid-file=/run/tbot_updated.pid"
    for run in (seen["updater's again"], verified):
        assert (run["returncode"], run["changed"]["bot-1"], run["starts"]) == (0, 0, first["starts"]), run["output"]
    assert seen["updater's unit stays"]


def test_a_service_by_its_name_with_the_suffix_is_stopped_even_without_its_program(seen):
    run = seen["decommissioned"]
    assert (run["returncode"], run["enabled"], run["active"]) == (0, "disabled", "inactive"), run["output"]
    assert "tbot_updated.service stays: teleport-update manages it" in run["output"]
