"""A proxy that does not answer as one: a fleet that works by another is left as it is. Over SSH, by Ansible's defaults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from installed import Installed
from proxy import Proxy
from software_tpm import SoftwareTpm
from ssh_fleet import SshFleet, running

HOSTS = ["web-1", "db-1", "build-1"]
# Nothing answers there.
NOWHERE = {"tbot_proxy_server": "127.0.0.1:1"}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    proxy = Proxy(tmp_path_factory.mktemp("proxy") / "ca.pem")
    proxy.found = {"server_version": "18.2.0"}
    return proxy


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, tpms: dict[str, SoftwareTpm], ansible: Installed, proxy: Proxy) -> Iterator[SshFleet]:
    """A fleet whose proxy answers, and of which build-1 is new."""
    with running(SshFleet(tmp_path_factory.mktemp("ssh") / "fleet", tpms, ansible)) as fleet:
        run = fleet.site("--limit", "web-1,db-1", variables=right(proxy))
        assert run.returncode == 0, run.output
        yield fleet


def right(proxy: Proxy) -> dict[str, object]:
    return {"tbot_proxy_server": proxy.address, "tbot_proxy_ca_file": str(proxy.ca_file)}


def on_hosts_and_in_the_cluster(files: dict[str, bytes]) -> dict[str, bytes]:
    """All but the registry, in which a host may have been recorded that was only read."""
    return {path: content for path, content in files.items() if not path.startswith("registry/")}


def forget_the_new_host(fleet: SshFleet) -> None:
    (fleet.registry_directory / "build-1.json").unlink(missing_ok=True)


@pytest.mark.parametrize("playbook", ["site", "deploy"])
@pytest.mark.parametrize("arguments", [[], ["--check"], ["--extra-vars", "tbot_serial=1"], ["--tags", "tbot_service"]], ids=str)
def test_a_wrong_proxy_stops_the_run_before_any_host_is_changed(fleet: SshFleet, playbook: str, arguments: list[str], proxy: Proxy):
    before = fleet.files()
    run = fleet.play(playbook, *arguments, variables=NOWHERE)
    assert run.returncode != 0
    last = run.output.split("TASK [Report]")[-1]
    for host in ("web-1", "db-1"):
        told = f"No host was changed, since {host} would lose the cluster: /etc/tbot.yaml has `proxy_server` with {proxy.address}, and"
        assert f"all hosts: {told} 127.0.0.1:1 does not answer" in last, run.output
    assert "tbot_allow_unreachable_proxy" in last
    assert {host: counts["failed"] for host, counts in run.recap.items()} == dict.fromkeys(HOSTS, 1), run.output
    assert on_hosts_and_in_the_cluster(fleet.files()) == on_hosts_and_in_the_cluster(before)
    forget_the_new_host(fleet)


def test_one_host_with_a_wrong_proxy_stops_the_others_too(fleet: SshFleet, proxy: Proxy):
    before = fleet.files()
    fleet.variables = {host: right(proxy) for host in ("web-1", "build-1")} | {"db-1": NOWHERE}
    run = fleet.site()
    fleet.variables = {}
    assert run.returncode != 0
    last = run.output.split("TASK [Report]")[-1]
    assert "all hosts: No host was changed, since db-1 would lose the cluster" in last, run.output
    assert on_hosts_and_in_the_cluster(fleet.files()) == on_hosts_and_in_the_cluster(before)
    forget_the_new_host(fleet)


def test_a_proxy_that_is_down_stops_nobody_whose_file_names_it(fleet: SshFleet, proxy: Proxy):
    unknown_ca = {"tbot_proxy_server": proxy.address}
    run = fleet.site("--limit", "web-1,db-1", variables=unknown_ca)
    assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output


def test_hosts_may_be_prepared_before_their_cluster(fleet: SshFleet):
    new = fleet.site("--limit", "build-1", "--check", variables=NOWHERE)
    assert new.returncode == 0, new.output
    run = fleet.site("--limit", "web-1", "--check", variables=NOWHERE | {"tbot_allow_unreachable_proxy": True})
    assert run.returncode == 0 and run.changed()["web-1"], run.output


def test_the_proxy_is_asked_once_in_a_run(fleet: SshFleet, proxy: Proxy):
    proxy.asked = 0
    by_script = {"tbot_install_method": "script", "tbot_path": "/bin/true"}
    run = fleet.site("--check", "--limit", "web-1,db-1", "--extra-vars", "tbot_serial=1", variables=right(proxy) | by_script)
    assert "Ask the cluster for its version" in run.output, run.output
    assert proxy.asked == 1, run.output
