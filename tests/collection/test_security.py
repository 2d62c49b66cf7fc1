"""What keeps a host from getting further than itself, on both ends of the supported versions of Ansible, by its defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible_runs import Run
from cluster import Cluster
from environments import ANSIBLE_VERSIONS
from hostile_host import answered, take_over
from installed import Installed
from software_tpm import SoftwareTpm
from ssh_fleet import SshFleet, running

# Each of these runs once for each end, by the fixture `ansible`.
from test_protection import *  # noqa: F403
from web_server import WebServer

OLDEST, NEWEST = ANSIBLE_VERSIONS[0], ANSIBLE_VERSIONS[-1]
# The mark of each test in this module.
pytestmark = pytest.mark.parametrize("ansible", [OLDEST, NEWEST], indirect=True)
EVIL, OTHER = "evil-1", "web-1"


class GotFurther(AssertionError):
    """A host did what it must not be able to; the text says what."""


def hostile_facts(fault: str) -> pytest.MarkDecorator:
    """The mark of a fault of the product: nothing else that goes wrong in its test is expected."""
    return pytest.mark.xfail(strict=True, raises=GotFurther, reason=f"hostile facts: {fault}")


class Attack:
    """Two hosts, a cluster that the inventory has tokens applied to, and what one of the hosts tries."""

    def __init__(self, fleet: SshFleet, cluster: Cluster) -> None:
        self.fleet = fleet
        self.cluster = cluster
        # There once the controller has run what the host wanted.
        self.owned = fleet.root.with_name("owned")
        # By which it would.
        self.tctl = {"tbot_tctl_command": f"/bin/sh -c id>{self.owned}"}
        self.registry = fleet.registry_directory
        for host in (EVIL, OTHER):
            fleet.variables[host] = dict(cluster.variables)

    def answer(self, **facts: dict[str, object]) -> None:
        """Takes the host over, whose modules answer with these from now on."""
        self.modules = set(facts)
        take_over(self.fleet.servers[EVIL], **facts)

    def play(self, playbook: str | Path, *arguments: str) -> Run:
        """Runs a playbook, in which at least one of the modules runs on the host."""
        run = self.fleet.play(playbook, *arguments)
        assert answered(self.fleet.servers[EVIL]) & self.modules, run.output
        return run

    def play_own(self, *plays: dict) -> Run:
        """The same of a playbook of the user's own."""
        path = self.fleet.root.with_name("own.yml")
        path.write_text(yaml.safe_dump(list(plays), sort_keys=False))
        return self.play(path)

    def runs_nothing(self) -> None:
        if self.owned.exists():
            raise GotFurther(f"the controller ran the host's command: {self.owned.read_text()}")


@pytest.fixture
def attack(ansible: Installed, tpms: dict[str, SoftwareTpm], stand_ins: Path, tmp_path: Path) -> Iterator[Attack]:
    # What a host says may well be warned of.
    fleet = SshFleet(tmp_path / "fleet", {EVIL: tpms["db-1"], OTHER: tpms["web-1"]}, replace(ansible, quiet=False))
    with running(fleet):
        yield Attack(fleet, Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl"))


@hostile_facts("what the role join_token runs on the controller")
def test_a_host_that_is_decommissioned_runs_nothing_on_the_controller(attack: Attack):
    attack.answer(systemd_service=attack.tctl)
    attack.play("decommission", "--limit", EVIL)
    attack.runs_nothing()


@hostile_facts("inventory_hostname")
def test_a_host_that_is_decommissioned_has_no_other_archived(attack: Attack):
    enrolled = attack.fleet.site("--tags", "tpm_identity,join_token")
    assert enrolled.returncode == 0 and attack.cluster.rules() == {EVIL, OTHER}, enrolled.output
    attack.answer(systemd_service={"inventory_hostname": OTHER})
    run = attack.play("decommission", "--limit", EVIL)
    if attack.cluster.rules() != {OTHER} or not (attack.registry / f"{OTHER}.json").exists():
        raise GotFurther(f"{attack.cluster.rules()} are let in: {run.output}")


@hostile_facts("inventory_hostname, by which Ansible connects")
def test_a_host_runs_nothing_on_another(attack: Attack, tmp_path: Path):
    script = tmp_path / "served/install.sh"
    script.parent.mkdir()
    script.write_text("touch /etc/owned\n")
    attack.fleet.variables[EVIL] |= {"tbot_install_method": "tarball", "tbot_version": "17.5.1"}
    with WebServer(script.parent) as server:
        url = f"{server.url}/{script.name}"
        attack.answer(command={"inventory_hostname": OTHER, "tbot_install_method": "script", "tbot_install_script_url": url})
        run = attack.play("site", "--limit", EVIL)
    if attack.fleet.host_path(OTHER, "etc/owned").exists():
        raise GotFurther(f"root of {OTHER} ran the host's script: {run.output}")


@hostile_facts("a persistent fact cache")
def test_a_host_runs_nothing_on_the_controller_by_cached_facts(attack: Attack, tmp_path: Path):
    cache = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "facts")}
    attack.fleet.ansible = replace(attack.fleet.ansible, settings=cache)
    attack.fleet.variables[EVIL]["tbot_unit_directory"] = "/etc/systemd/own"
    attack.answer(stat=attack.tctl)
    attack.play("site", "--limit", EVIL, "--tags", "tpm_access,tbot_service")
    attack.play("site", "--limit", EVIL, "--tags", "join_token")
    attack.runs_nothing()


@hostile_facts("a play of the user's own that gathers facts")
def test_a_host_runs_nothing_on_the_controller_by_gathered_facts(attack: Attack):
    attack.answer(setup=attack.tctl)
    attack.play_own({"hosts": "all", "become": True, "roles": ["tbot.tpm.tpm_identity", "tbot.tpm.join_token"]})
    attack.runs_nothing()


@hostile_facts("__tbot_verifies")
def test_a_host_does_not_make_site_a_mere_look(attack: Attack):
    attack.answer(setup={"__tbot_verifies": True})
    run = attack.play_own({"hosts": "all"}, {"ansible.builtin.import_playbook": "tbot.tpm.site"})
    if run.returncode == 0 and OTHER not in attack.cluster.rules():
        raise GotFurther(f"nobody is let in, and the run has succeeded: {run.output}")
