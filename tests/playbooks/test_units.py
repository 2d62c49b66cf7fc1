"""Units as systemd runs them, in a container: with what arguments the program starts, and what it may do."""

from __future__ import annotations

import shutil
from pathlib import Path

import container
import pytest
from units_in_container import ODD_CONFIG, ODD_OUTPUT, ODD_PID_FILE, ODD_TBOT, TBOT


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, stand_ins: Path) -> dict:
    """What units_in_container.py saw of each unit."""
    folder = tmp_path_factory.mktemp("units")
    (folder / "results").mkdir()
    shutil.copy(stand_ins / "bot", folder / "results/bot")
    return container.report_of("units_in_container.py", folder)


def outcome(unit: dict) -> dict:
    """What came of each try: nothing where it succeeded."""
    assert unit["report"] is not None, unit
    assert unit["properties"]["ActiveState"] == "active", unit
    return unit["report"]["tries"]


def test_a_program_gets_its_arguments_to_the_byte(seen):
    pid_file = f"--pid-file={ODD_PID_FILE}"
    assert seen["odd"]["report"]["arguments"] == [ODD_TBOT, "start", "-c", ODD_CONFIG, pid_file]
    assert seen["odd"]["properties"]["PIDFile"] == ODD_PID_FILE
    assert outcome(seen["odd"])["pid file"] == ""
    assert seen["odd hardened"]["report"]["arguments"][:4] == [ODD_TBOT, "start", "-c", ODD_CONFIG]


def test_a_service_runs_as_its_user_with_the_group_of_the_tpm(seen):
    for unit in ("plain", "hardened", "packaged"):
        groups = seen[unit]["report"]["status"]["Groups"].split()
        assert str(seen["ids"]["tss"]) in groups, unit
        assert (seen[unit]["report"]["user"], seen[unit]["report"]["group"]) == (seen["ids"]["user"], seen["ids"]["group"])


def test_without_hardening_a_service_may_do_what_its_user_may(seen):
    tries = outcome(seen["plain"])
    refused = {name for name, why in tries.items() if why}
    assert refused == {"write /etc", "raw packets"}, tries
    assert seen["plain"]["properties"]["PIDFile"] == "/run/plain/plain.pid"


@pytest.mark.parametrize("unit", ["hardened", "odd hardened", "serving", "packaged"])
def test_a_hardened_service_can_do_its_work(seen, unit):
    tries = outcome(seen[unit])
    needed = {
        "write /srv/output",
        f"write {ODD_OUTPUT}",
        "null device",
        "list interfaces",
        "listen",
        "connect",
        "listen at a Unix socket",
        "run a program",
    }
    if unit != "packaged":  # whose command has none
        needed.add("pid file")
    assert {name: tries[name] for name in needed if tries[name]} == {}


@pytest.mark.parametrize("unit", ["hardened", "odd hardened", "serving", "packaged"])
def test_a_hardened_service_is_kept_from_everything_else(seen, unit):
    tries = outcome(seen[unit])
    for directory in ("/srv/elsewhere", "/run/elsewhere", "/etc"):
        assert tries[f"write {directory}"].endswith("read-only file system"), tries
    for name in ("a namespace", "nice", "set-user-id", "writable code"):
        assert tries[name].endswith("operation not permitted"), tries
    assert tries["raw packets"] == "address family not supported by protocol"
    status = seen[unit]["report"]["status"]
    assert (int(status["CapBnd"], 16), status["NoNewPrivs"], status["Seccomp"]) == (0, "1", "2")
    properties = seen[unit]["properties"]
    assert (properties["DevicePolicy"], properties["DeviceAllow"]) == ("closed", "char-tpm rw")


def test_only_a_workload_api_lets_a_hardened_service_see_others_and_others_connect(seen):
    for unit, sees, mask in (("hardened", False, "0077"), ("serving", True, "0022")):
        assert (outcome(seen[unit])["see root's processes"] == "") == sees
        assert seen[unit]["report"]["status"]["Umask"] == mask


def test_what_a_hardened_service_writes_below_its_runtime_directory_outlasts_it(seen):
    tries = outcome(seen["in run"])
    assert (tries["write /run/in-run"], tries["pid file"]) == ("", ""), tries
    assert "written" in seen["kept in run"]
    # With nothing there but its pid file, the directory goes.
    assert seen["kept of others"] == []


def test_a_drop_in_keeps_the_packages_command_and_the_users_own_settings_win(seen):
    packaged = seen["packaged"]
    assert packaged["answer"]["mode"] == "drop_in"
    assert packaged["report"]["arguments"] == [TBOT, "start", "--packaged", "-c", "/etc/tbot.yaml"]
    assert packaged["report"]["telemetry"] == "overridden"
    assert seen["packaged, other configuration"]["report"]["arguments"][3] == ODD_CONFIG


@pytest.mark.parametrize("unit", ["tbot_plain", "tbot_hardened", "tbot_command"])
def test_a_service_of_teleport_update_can_write_what_that_watches(seen, unit):
    tries = outcome(seen[unit])
    assert (tries["pid file"], tries["the updater's socket"]) == ("", ""), tries
    assert (seen[unit]["answer"]["mode"], seen[unit]["unit stays"]) == ("drop_in", True)
    assert seen[unit]["report"]["user"] == seen["ids"]["user"]
    config = "/etc/serving.yaml" if unit == "tbot_command" else "/etc/plain.yaml"
    kept = [f"--diag-socket-for-updater=/srv/updater/{unit}.sock", f"--pid-file=/run/{unit}.pid"]
    assert seen[unit]["report"]["arguments"] == [TBOT, "start", "-c", config, *kept]


def test_a_second_run_changes_nothing_and_the_last_one_leaves_the_package(seen):
    assert {name: unit["again"] for name, unit in seen.items() if isinstance(unit, dict) and unit.get("again")} == {}
    absent = seen["packaged, absent"]
    assert (absent["changed"], absent["mode"]) == (True, "drop_in")
    assert seen["left"] == ["override.conf"]
