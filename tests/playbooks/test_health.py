"""The action `service` under a real systemd, in a container."""

from __future__ import annotations

import container
import pytest


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What health_in_container.py was answered."""
    return container.report_of("health_in_container.py", tmp_path_factory.mktemp("health"))


def test_a_unit_that_does_not_exist_is_a_result_even_with_a_wait(seen):
    missing = seen["missing"]
    assert (missing["systemd"], missing["exists"], missing["up_to_date"], missing["changed"]) == (True, False, False, False)
    assert missing["seconds"] < 4


def test_a_service_needs_enabling_and_starting_once(seen):
    before, after = seen["not started"], seen["started"]
    assert (before["exists"], before["enabled"], before["active_state"]) == (True, False, "inactive")
    assert (before["needs_restart"], before["up_to_date"]) == (False, False)
    assert (after["enabled"], after["active_state"], after["program_exists"], after["ready"]) == (True, "active", True, None)
    assert (after["up_to_date"], after["restart_reasons"]) == (True, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("configuration changed", "/etc/health.yaml was written after"),
        ("unit changed", "systemd has not read yet"),
        ("program replaced", "the program was replaced"),
    ],
)
def test_what_changes_after_the_start_needs_a_restart(seen, change, reason):
    changed = seen[change]
    assert (changed["needs_restart"], changed["up_to_date"]) == (True, False)
    assert any(text.startswith(reason) for text in changed["restart_reasons"]), changed
    assert changed["needs_daemon_reload"] == (change == "unit changed")


@pytest.mark.parametrize("settled", ["restarted", "unit read", "configuration of tomorrow"])
def test_a_restart_is_enough_and_a_time_in_the_future_is_none(seen, settled):
    assert (seen[settled]["restart_reasons"], seen[settled]["up_to_date"]) == ([], True), seen[settled]


def test_a_service_that_failed_ends_the_wait_with_what_it_said(seen):
    failing = seen["failing"]
    assert failing["error"]["kind"] == "not_ready", failing
    assert "exit status 3" in failing["msg"] and "no such token" in failing["error"]["detail"], failing
    assert failing["seconds"] < 30


def test_a_service_that_keeps_ending_is_waited_for_until_the_time_is_up(seen):
    restarting = seen["restarting"]
    assert restarting["error"]["kind"] == "not_ready", restarting
    assert "still no token" in restarting["error"]["detail"], restarting
    assert restarting["seconds"] >= 4


def test_a_service_that_is_late_is_awaited(seen):
    assert seen["late, at once"]["ready"] is False
    assert (seen["late, awaited"]["ready"], seen["late, awaited"]["up_to_date"]) == (True, True)


def test_the_answer_of_the_services_own_process_counts_whichever_of_them_it_is(seen):
    assert seen["late, awaited"]["warnings"] == []
    assert (seen["wrapped"]["ready"], seen["wrapped"]["warnings"]) == (True, []), seen["wrapped"]


@pytest.mark.parametrize("name", ["steady", "missing"])
def test_the_answer_of_another_users_process_does_not_count(seen, name):
    squatted = seen[f"{name}, and a squatter"]
    assert (squatted["ready"], squatted["status"], squatted["up_to_date"]) == (False, None, False), squatted
    assert "of user nobody listens there" in squatted["health"] and "is not the service's: process " in squatted["health"]


def test_a_wait_ends_with_who_answers_instead(seen):
    awaited = seen["steady, and a squatter, awaited"]
    assert awaited["error"]["kind"] == "not_ready" and "of user nobody listens there" in awaited["msg"], awaited


def test_a_service_with_a_network_of_its_own_is_not_what_answers_here(seen):
    alone = seen["alone, and a squatter"]
    assert alone["ready"] is False and "network of its own" in alone["health"], alone


def test_a_process_that_says_another_number_is_not_the_service(seen):
    lying = seen["lying"]
    assert lying["ready"] is False and "says it is process 1" in lying["health"], lying
