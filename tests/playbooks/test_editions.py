"""A cluster that is no Teleport Enterprise lets no host join by its TPM: the run stops before any host is changed. Over SSH."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from installed import Installed
from proxy import Proxy
from software_tpm import SoftwareTpm
from ssh_fleet import SshFleet, running

HOSTS = ["web-1", "db-1"]
SENTENCE = "No host was changed: joining by TPM needs Teleport Enterprise, and the cluster at {} runs edition `{}`"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    return Proxy(tmp_path_factory.mktemp("proxy") / "ca.pem")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, tpms: dict[str, SoftwareTpm], ansible: Installed) -> Iterator[SshFleet]:
    """A fleet of new hosts."""
    chosen = {host: tpms[host] for host in HOSTS}
    with running(SshFleet(tmp_path_factory.mktemp("ssh") / "fleet", chosen, ansible)) as fleet:
        yield fleet


def runs(proxy: Proxy, edition: object) -> dict[str, object]:
    """The variables of hosts whose cluster is of that edition."""
    proxy.found = {"server_version": "18.2.0", "edition": edition}
    return {"tbot_proxy_server": proxy.address, "tbot_proxy_ca_file": str(proxy.ca_file)}


@pytest.mark.parametrize(("playbook", "arguments", "edition"), [
    ("site", [], "community"),
    ("site", ["--check"], "oss"),
    ("site", ["--extra-vars", "tbot_serial=1"], "community"),
    ("deploy", [], "oss"),
], ids=str)  # fmt: skip
def test_another_edition_stops_the_run_before_any_host_is_changed(
    fleet: SshFleet, proxy: Proxy, playbook: str, arguments: list[str], edition: str
):
    before = fleet.files()
    run = fleet.play(playbook, *arguments, variables=runs(proxy, edition))
    assert run.returncode != 0
    last = run.output.split("TASK [Report]")[-1]
    assert last.count(f"all hosts: {SENTENCE.format(proxy.address, edition)}") == 1, run.output
    assert {host: counts["failed"] for host, counts in run.recap.items()} == dict.fromkeys(HOSTS, 1), run.output
    assert "tbot_assume_enterprise: true" in last
    assert not any(run.changed().values()), run.output
    assert fleet.files() == before


def test_one_host_of_such_a_cluster_stops_the_others_too(fleet: SshFleet, proxy: Proxy):
    before = fleet.files()
    fleet.variables = {"web-1": runs(proxy, "community"), "db-1": {"tbot_proxy_server": "127.0.0.1:1"}}
    run = fleet.site()
    fleet.variables = {}
    assert run.returncode != 0
    last = run.output.split("TASK [Report]")[-1]
    assert f"all hosts: {SENTENCE.format(proxy.address, 'community')}" in last, run.output
    assert fleet.files() == before


@pytest.mark.parametrize(("edition", "variables"), [
    ("ent", {}),
    (None, {}),
    (["oss"], {}),
    ("community", {"tbot_assume_enterprise": True}),
    ("oss", {"tbot_assume_enterprise": "yes"}),
], ids=str)  # fmt: skip
def test_a_cluster_that_is_enterprise_or_assumed_to_be_is_gone_on_with(
    fleet: SshFleet, proxy: Proxy, edition: object, variables: dict[str, object]
):
    run = fleet.site("--check", variables=runs(proxy, edition) | variables)
    assert run.returncode == 0, run.output
    assert set(run.changed()) >= set(HOSTS) and all(run.changed()[host] for host in HOSTS), run.output


def test_a_proxy_that_does_not_answer_stops_no_new_host(fleet: SshFleet):
    run = fleet.site("--check", variables={"tbot_proxy_server": "127.0.0.1:1"})
    assert run.returncode == 0, run.output


def test_an_odd_version_of_the_cluster_stops_nobody_who_does_not_need_it(fleet: SshFleet, proxy: Proxy):
    variables = runs(proxy, "ent")
    proxy.found["server_version"] = "18-custom"
    run = fleet.site("--check", variables=variables)
    assert run.returncode == 0, run.output
    assert '`server_version` in the answer of the proxy' in run.output, run.output
