"""What keeps a host from getting further than itself, on both ends of the supported versions of Ansible, by its defaults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible_runs import Run
from cluster import Cluster
from environments import ANSIBLE_VERSIONS
from hostile_host import BINARY, answered, go_away_in_cleanup, take_over
from installed import Installed
from role_tasks import STOCK_MODULES
from software_tpm import SoftwareTpm
from ssh_fleet import SshFleet, running

# Each of these runs once for each end, by the fixture `ansible`.
from test_protection import *  # noqa: F403
from web_server import WebServer

OLDEST, NEWEST = ANSIBLE_VERSIONS[0], ANSIBLE_VERSIONS[-1]
# The mark of each test in this module.
pytestmark = pytest.mark.parametrize("ansible", [OLDEST, NEWEST], indirect=True)
EVIL, OTHER = "evil-1", "web-1"
# Names by which a host would get further: of our variables, of Ansible's own, and of connections.
NAMES = (
    "tbot_tctl_command", "tbot_tctl_host", "tbot_proxy_server", "tbot_registry_dir", "tbot_install_script_url", "tbot_hosts",
    "tbot_token_remove", "tbot_allow_lockout", "__tbot_verifies", "__tbot_problem", "__tbot_takes_away", "__tbot_enrolled",
    "__tbot_tasks", "__tbot_checked", "__tbot_checks", "__tbot_token_instances", "tbot_instances", "query",
    "inventory_hostname", "inventory_hostname_short", "inventory_dir", "inventory_file", "group_names", "groups", "hostvars",
    "playbook_dir", "role_path", "ansible_limit", "ansible_check_mode", "ansible_play_hosts", "ansible_playbook_python",
    "ansible_host", "ansible_connection", "ansible_python_interpreter", "ansible_remote_tmp", "ansible_ssh_common_args",
    "ansible_become_exe", "ansible_shell_executable", "item", "omit",
)  # fmt: skip


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

    def enroll(self) -> None:
        run = self.fleet.site("--tags", "tpm_identity,join_token")
        assert run.returncode == 0 and self.cluster.rules() == {EVIL, OTHER}, run.output

    def answer(self, **answers: dict[str, object]) -> None:
        """Takes the host over, whose modules answer with these as well from now on."""
        self.modules = set(answers)
        take_over(self.fleet.servers[EVIL], **answers)

    def play(self, playbook: str | Path, *arguments: str) -> Run:
        """Runs a playbook, in which at least one of the modules runs on the host."""
        run = self.fleet.play(playbook, *arguments)
        assert answered(self.fleet.servers[EVIL]) & self.modules or "*" in self.modules, run.output
        return run

    def play_own(self, *plays: dict) -> Run:
        """The same of a playbook of the user's own."""
        path = self.fleet.root.with_name("own.yml")
        path.write_text(yaml.safe_dump(list(plays), sort_keys=False))
        return self.play(path)

    def runs_nothing(self, run: Run) -> None:
        assert not self.owned.exists(), f"the controller ran the host's command: {self.owned.read_text()}\n{run.output}"


def facts(**names: object) -> dict[str, object]:
    return {"ansible_facts": names}


@pytest.fixture
def attack(ansible: Installed, tpms: dict[str, SoftwareTpm], stand_ins: Path, tmp_path: Path) -> Iterator[Attack]:
    # What a host says may well be warned of.
    fleet = SshFleet(tmp_path / "fleet", {EVIL: tpms["db-1"], OTHER: tpms["web-1"]}, replace(ansible, quiet=False))
    with running(fleet):
        yield Attack(fleet, Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl"))


def test_a_host_that_is_decommissioned_gets_no_further(attack: Attack):
    attack.enroll()
    attack.answer(tbot_tpm=facts(**attack.tctl, inventory_hostname=OTHER))
    run = attack.play("decommission", "--limit", EVIL)
    attack.runs_nothing(run)
    assert attack.cluster.rules() == {OTHER} and (attack.registry / f"{OTHER}.json").exists(), run.output


def test_a_host_runs_nothing_on_another(attack: Attack, tmp_path: Path):
    script = tmp_path / "served/install.sh"
    script.parent.mkdir()
    script.write_text("touch /etc/owned\n")
    attack.fleet.variables[EVIL] |= {
        "tbot_install_method": "tarball", "tbot_version": "17.5.1",
        "tbot_tarball_url": "http://127.0.0.1:1/", "tbot_tarball_sha256": "a" * 64,
    }  # fmt: skip
    with WebServer(script.parent) as server:
        url = f"{server.url}/{script.name}"
        attack.answer(stat=facts(inventory_hostname=OTHER, tbot_install_method="script", tbot_install_script_url=url))
        run = attack.play("site", "--limit", EVIL)
    assert not attack.fleet.host_path(OTHER, "etc/owned").exists(), f"root of {OTHER} ran the host's script: {run.output}"


def test_no_module_sets_a_variable(attack: Attack):
    attack.answer(**{"*": {
        **facts(**dict.fromkeys(NAMES, "owned")),
        "ansible_stats": {"data": {"tbot_owned": 1}, "per_host": False, "aggregate": False},
        "add_host": {"host_name": "owned-1", "groups": ["owned"], "host_vars": {}}, "add_group": "owned",
        "results": [1], "exception": "owned", "skipped": True, "warnings": [{"owned": 1}, 2], "deprecations": [1],
        "diff": {"before": {"owned": 1}, "after": [2], "prepared": 3, "more": {}}, "msg": {"owned": "{{ 7 * 191 }}"},
        "invocation": "owned", "_ansible_no_log": True, "_ansible_delegated_vars": {"ansible_host": "owned"},
        "_ansible_notify": ["owned"],
    }})  # fmt: skip
    ran = [
        {"name": f"Run {module}", "tbot.tpm.stock_module": {"module": module, **arguments}, "ignore_errors": True}
        for module, arguments in STOCK_MODULES.items()
    ] + [{"name": "Run the binary", "tbot.tpm.tbot_tpm": {"action": "storage", "path": "/var/lib/own"}}]
    seen = {name: f"{{{{ hostvars['{EVIL}']['{name}'] | default('') | string == 'owned' }}}}" for name in NAMES}
    run = attack.play_own(
        {"hosts": "all", "become": True, "gather_facts": False, "tasks": ran},
        {"hosts": OTHER, "gather_facts": False, "tasks": [
            {"ansible.builtin.copy": {"content": json.dumps(seen), "dest": str(attack.owned)}, "delegate_to": "localhost"},
            {"ansible.builtin.assert": {"that": ["groups.owned is not defined", "'owned-1' not in hostvars"]}},
        ]},
    )  # fmt: skip
    assert answered(attack.fleet.servers[EVIL]) == {*STOCK_MODULES, BINARY}, run.output
    assert run.recap[OTHER]["failed"] == run.recap[OTHER]["unreachable"] == 0, run.output
    assert [name for name, is_owned in json.loads(attack.owned.read_text()).items() if is_owned not in ("False", False)] == []
    assert "CUSTOM STATS" not in run.output and "tbot_owned" not in run.output and "1337" not in run.output


def test_a_template_in_an_answer_is_not_evaluated(attack: Attack):
    template = "{{ lookup('ansible.builtin.pipe', '" + f"id>{attack.owned}" + "') }}"
    attack.answer(tbot_tpm={"failed": True, "msg": template, "error": {"kind": "identity_changed", "detail": template}})
    for playbook in ("site", "decommission"):
        run = attack.play(playbook, "--limit", f"{EVIL},{OTHER}")
        attack.runs_nothing(run)


def test_a_host_runs_nothing_by_cached_facts(attack: Attack, tmp_path: Path):
    """They were cached by a play of the user's own."""
    cache = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "facts")}
    attack.fleet.ansible = replace(attack.fleet.ansible, settings=cache)
    attack.answer(stat=facts(**attack.tctl))
    attack.play_own({"hosts": EVIL, "gather_facts": False, "tasks": [{"ansible.builtin.stat": {"path": "/"}}]})
    run = attack.play("site")
    attack.runs_nothing(run)
    assert run.recap[EVIL]["failed"] and "has a fact 'tbot_tctl_command'" in run.output, run.output
    assert run.recap[OTHER]["failed"] == 0 and attack.cluster.rules() == {OTHER}, run.output
    run = attack.play("site", "--flush-cache")
    assert attack.cluster.rules() == {OTHER, EVIL}, run.output


def test_a_host_runs_nothing_by_gathered_facts(attack: Attack):
    attack.answer(setup=facts(**attack.tctl))
    run = attack.play_own({"hosts": "all", "become": True, "roles": ["tbot.tpm.tpm_identity", "tbot.tpm.join_token"]})
    attack.runs_nothing(run)
    assert attack.cluster.rules() == {OTHER}, run.output


def test_gathered_facts_that_override_variables_stop_their_hosts_alone(
    ansible: Installed, tpms: dict[str, SoftwareTpm], stand_ins: Path, tmp_path: Path
):
    names = {
        "__tbot_verifies": True, "group_names": ["other"], "inventory_dir": "/srv/other", "inventory_hostname": OTHER,
        "tbot_proxy_server": "127.0.0.1:1", "ansible_limit": OTHER, "ansible_remote_tmp": "/tmp/other", "lookup": "x",
    }  # fmt: skip
    evil = {f"evil-{number}": name for number, name in enumerate(names)}
    fleet = SshFleet(tmp_path / "fleet", dict.fromkeys(evil, tpms["db-1"]) | {OTHER: tpms["web-1"]}, replace(ansible, quiet=False))
    with running(fleet):
        cluster = Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl")
        fleet.variables = {host: dict(cluster.variables) for host in fleet.servers}
        for host, name in evil.items():
            take_over(fleet.servers[host], setup=facts(**{name: names[name]}))
        own = tmp_path / "own.yml"
        own.write_text(yaml.safe_dump([{"hosts": "all"}, {"ansible.builtin.import_playbook": "tbot.tpm.site"}]))
        run = fleet.play(own)
        for host, name in evil.items():
            assert f"has a fact '{name}'" in run.output, run.output
            assert run.recap[host]["failed"] and answered(fleet.servers[host]) == {"setup"}, run.output
        assert not run.recap[OTHER]["failed"] and cluster.rules() == {OTHER}, run.output
        assert [path.name for path in fleet.registry_directory.iterdir()] == [f"{OTHER}.json"], run.output


def test_an_answer_of_no_use_stops_its_host_alone(
    ansible: Installed, tpms: dict[str, SoftwareTpm], stand_ins: Path, tmp_path: Path
):
    """Each host is a batch: one that has no host left would end the run."""
    deep: object = []
    for _ in range(100):
        deep = [deep]
    answers: dict[str, dict[str, object]] = {
        "evil-1": {"failed": True, "error": {"kind": "identity_changed"}},
        "evil-2": {"hosts": [0] * 100_000},
        "evil-3": {"ansible_facts": {"tbot_tpm": {"tpm": deep}}},
        "evil-4": {"failed": True, "error": [1], "msg": {"x": ["y"]}},
    }
    fleet_of_all = dict.fromkeys(answers, tpms["db-1"]) | {"evil-5": tpms["build-1"], OTHER: tpms["web-1"]}
    fleet = SshFleet(tmp_path / "fleet", fleet_of_all, replace(ansible, quiet=False))
    with running(fleet):
        cluster = Cluster(tmp_path / "cluster", fleet, stand_ins / "tctl")
        fleet.variables = {host: dict(cluster.variables) for host in fleet.servers}
        for host, answer in answers.items():
            take_over(fleet.servers[host], tbot_tpm=answer)
        # Only what Ansible has copied is removed after each task.
        fleet.variables["evil-5"]["tbot_tpm_cache"] = False
        go_away_in_cleanup(fleet.servers["evil-5"])
        run = fleet.site("--tags", "tpm_identity,join_token", variables={"tbot_serial": 1})
        assert {host for host, counts in run.recap.items() if counts["failed"]} == set(answers), run.output
        assert not any(counts["unreachable"] for counts in run.recap.values()), run.output
        assert fleet.host_path("evil-5", "tmp/went-away").exists() and cluster.rules() == {"evil-5", OTHER}, run.output


def test_ordinary_facts_stop_nobody(attack: Attack):
    attack.answer(setup=facts(tbot_tpm={}, rack="R7"))
    run = attack.play_own({"hosts": "all"}, {"ansible.builtin.import_playbook": "tbot.tpm.site"})
    assert run.returncode == 0 and attack.cluster.rules() == {EVIL, OTHER}, run.output
