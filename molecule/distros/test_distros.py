"""Containers of several distributions after the collection's site.yml: accounts, packages and units."""

from __future__ import annotations

import json

import pytest
from fleet import CLUSTER, CONTAINERS, Fleet

fleet = Fleet(CONTAINERS)
HOSTS = fleet.hosts()


def test_there_is_a_debian_at_least():
    assert {"debian-12", "debian-13"} <= set(HOSTS)


@pytest.mark.parametrize("host", HOSTS)
def test_the_bot_is_installed_by_the_package_and_joined(host):
    assert "17.5.1" in fleet.on(host, "tbot version")
    assert fleet.on(host, "dpkg-query --show --showformat='${Version}' teleport") == "17.5.1"
    assert fleet.joins(fleet.entry(host)["ek_public_hash"])[-1] is True
    state = fleet.service(host)
    assert (state["ActiveState"], state["UnitFileState"], state["NeedDaemonReload"]) == ("active", "enabled", "no")


@pytest.mark.parametrize("host", HOSTS)
def test_it_runs_as_a_system_account_with_its_private_directory(host):
    assert fleet.on(host, "ps -o user= -p $(systemctl show --value -p MainPID tbot.service)") == "teleport"
    account = fleet.on(host, "getent passwd teleport").split(":")
    assert int(account[2]) < 1000 and account[6].endswith("/nologin")
    assert fleet.on(host, "stat -c '%U:%G %a' /var/lib/teleport/bot /etc/tbot.yaml").splitlines() == [
        "teleport:teleport 700",
        "root:teleport 640",
    ]


@pytest.mark.parametrize("host", HOSTS)
def test_its_unit_is_one_that_systemd_understands(host):
    fleet.on(host, "systemd-analyze verify /etc/systemd/system/tbot.service")


def test_a_hardened_unit_runs_on_every_one():
    run = fleet.play("deploy", "--tags", "tbot_service")
    assert run.returncode == 0, run.output
    for host in HOSTS:
        assert fleet.service(host)["ActiveState"] == "active"
        assert "ProtectSystem=strict" in fleet.on(host, "systemctl cat tbot.service")


def test_an_upgrade_of_the_cluster_upgrades_the_packages_and_restarts_each_bot_once():
    before = {host: fleet.service(host)["MainPID"] for host in HOSTS}
    (CLUSTER / "find").write_text(json.dumps({"server_version": "17.5.2", "cluster_name": "stand-in"}))
    run = fleet.play("deploy", "--tags", "tbot_install,tbot_service")
    assert run.returncode == 0, run.output
    after = {host: fleet.service(host)["MainPID"] for host in HOSTS}
    for host in HOSTS:
        assert "17.5.2" in fleet.on(host, "tbot version")
        assert after[host] != before[host]
    again = fleet.play("deploy", "--tags", "tbot_install,tbot_service")
    assert not any(again.changed().values()), again.output
    assert {host: fleet.service(host)["MainPID"] for host in HOSTS} == after


def test_a_decommissioned_container_has_nothing_left():
    run = fleet.play("decommission", "--limit", HOSTS[0])
    assert run.returncode == 0, run.output
    left = fleet.on(HOSTS[0], "ls -d /etc/tbot.yaml /etc/systemd/system/tbot.service /var/lib/teleport/bot 2>/dev/null; true")
    assert left == ""
    assert HOSTS[0] not in fleet.rules()
