"""The examples of docs/services.md: each bot is well under a hardened unit, its readers read, and nobody else does."""

from __future__ import annotations

from pathlib import Path

import container
import pytest
import services_in_container

EXAMPLES = services_in_container.examples()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, stand_ins: Path) -> dict:
    """What services_in_container.py saw of each example."""
    return container.report_of("services_in_container.py", tmp_path_factory.mktemp("services"))


def test_the_page_has_an_example_of_each_kind_of_access():
    assert {service["type"] for service in EXAMPLES.values()} >= {
        "application", "application-tunnel", "database", "database-tunnel", "identity", "kubernetes/v2", "ssh-multiplexer", "ssh_host",
        "workload-identity-api", "workload-identity-x509",
    }  # fmt: skip


@pytest.mark.parametrize("host", EXAMPLES)
def test_the_bot_is_well_at_once_and_a_second_run_changes_nothing(seen, host):
    found = seen[host]
    assert found["failed"] == [0, 0] and found["changed"][0] > 0 and found["changed"][1] == 0, seen["output"]
    assert found["ready"]["status"] == "healthy", found


@pytest.mark.parametrize("host", [host for host, service in EXAMPLES.items() if "destination" in service])
def test_those_who_are_to_read_can_and_others_cannot(seen, host):
    assert seen[host]["reads"] == ["teleport", *seen[host]["readers"]], seen[host]


@pytest.mark.parametrize(("host", "users"), [
    # Ports are everybody's. Of a socket's mode, tbot decides.
    ("application-tunnel", ["teleport", "nobody"]),
    ("database-tunnel", ["teleport", "nobody"]),
    ("ssh-multiplexer", ["teleport"]),
])  # fmt: skip
def test_who_connects(seen, host, users):
    assert seen[host]["connects"] == users, seen[host]


def test_the_bots_user_connects_to_the_socket_of_workloads(seen):
    assert "teleport" in seen["workload-identity-api"]["connects"], seen["workload-identity-api"]
