"""Bots that run as the user teleport: what the role sets up has to be enough for what they write."""

from __future__ import annotations

import json
from pathlib import Path

import container
import pytest


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, stand_ins: Path) -> dict:
    """What service_user_in_container.py saw of each host."""
    return container.report_of("service_user_in_container.py", tmp_path_factory.mktemp("service-user"))


def is_well(seen: dict, host: str, fault: str) -> bool:
    """Whether the host's bot is. Where it is not, for another reason than FAULT, that is no failure that was expected."""
    found = seen[host]
    if found["failed"] == 0 and found["ready"]["status"] == "healthy":
        return True
    if fault not in found["journal"]:
        raise RuntimeError(f"{json.dumps(found)}\n{seen['output']}")
    return False


def test_a_bot_that_writes_only_where_it_may_is_well(seen):
    assert is_well(seen, "control", "none"), seen["output"]
    assert seen["control"]["ready"]["services"]["web"]["status"] == "healthy"
    assert set(seen["control"]["files"].items()) == {
        ("/var/lib/teleport/control/output", "teleport:teleport 700"),
        ("/var/lib/teleport/control/output/identity", "teleport:teleport 600"),
    }


def test_a_bot_can_write_its_pid_file(seen):
    assert is_well(seen, "pid-file", "writing the pid file: open /run/tbot-pid-file.pid: permission denied")


def test_a_bot_can_write_the_output_of_the_roles_example(seen):
    assert is_well(seen, "outputs", "making /opt/machine-id: mkdir /opt/machine-id: read-only file system")
    assert set(seen["outputs"]["files"].items()) == {
        ("/opt/machine-id", "teleport:teleport 700"),
        ("/opt/machine-id/identity", "teleport:teleport 600"),
    }


def test_readers_read_and_others_do_not(seen):
    assert is_well(seen, "readers", "none")
    assert seen["reads"] == {"games": "/srv/shared/output/identity", "nobody": ""}


@pytest.mark.parametrize(("host", "why"), [
    ("closed", "games cannot read in /srv/closed/output: /srv/closed has mode 0750 and belongs to root:backup"),
    ("strangers", "nobody cannot read in /srv/strangers: /srv/strangers has mode 0700 and belongs to teleport:teleport"),
])  # fmt: skip
def test_a_host_fails_where_one_who_is_to_read_cannot(seen, host, why):
    assert seen[host]["failed"] == 1 and seen[host]["ready"]["status"] == "healthy", seen["output"]
    assert f"{host}: service failed: the bot is well, but {why}" in " ".join(seen["output"].split()), seen["output"]


def test_a_socket_below_run_is_there_also_after_a_boot(seen):
    assert is_well(seen, "sockets", "none")
    assert seen["connects"] == {"at once": True, "after a boot": True}


def test_a_second_run_changes_nothing(seen):
    assert [host for host, found in seen.items() if isinstance(found, dict) and found.get("changed_again")] == [], seen["output"]
