"""Parts of one inventory at the same time, as job slicing runs them: each has an inventory of its own hosts alone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ansible_runs
import pytest
import yaml
from cluster import Cluster
from fleet import Fleet


class Slice:
    """One part: its hosts, the registry and the cluster that all parts share, and what its tctl writes."""

    def __init__(self, shared: Path, fleet: Fleet, tctl: Path) -> None:
        fleet.registry_directory = shared / "registry"
        fleet.token_file = shared / "token.yaml"
        self.cluster = Cluster(fleet.root.with_name(f"{fleet.root.name}-cluster"), fleet, tctl)
        self.cluster.folder = shared
        self.cluster.stored = shared / "token" / "test-hosts.json"
        self.cluster.stored.parent.mkdir(parents=True, exist_ok=True)
        self.written = fleet.root.with_name(f"{fleet.root.name}-written")
        self.cluster.tctl = fleet.root.with_name(f"{fleet.root.name}-tctl")
        self.cluster.tctl.write_text(
            "#!/bin/sh\n"
            f"[ \"$1\" != rm ] || echo \"  name: ${{2#token/}}\" >>{self.written}\n"
            f"[ \"$1\" != create ] || {{ tee -a {self.written} | {tctl} \"$@\"; exit; }}\n"
            f"exec {tctl} \"$@\"\n"
        )
        self.cluster.tctl.chmod(0o755)

    def run(self, playbook: str, **variables: object) -> ansible_runs.Run:
        return self.cluster.play(playbook, **variables)

    def tokens_written(self) -> set[str]:
        if not self.written.exists():
            return set()
        return set(re.findall(r"^  name: \"?(test-hosts[\w-]*)", self.written.read_text(), re.MULTILINE))


@pytest.fixture
def slices(tmp_path, tpms, stand_ins, ansible) -> dict[str, Slice]:
    parts = {"one": ["web-1", "build-1"], "two": ["db-1"]}
    fleets = {name: Fleet(tmp_path / name, {host: tpms[host] for host in hosts}, ansible) for name, hosts in parts.items()}
    return {name: Slice(tmp_path / "shared", fleet, stand_ins / "tctl") for name, fleet in fleets.items()}


def at_the_same_time(slices: dict[str, Slice], playbook: str, **variables: object) -> None:
    with ThreadPoolExecutor() as pool:
        for run in pool.map(lambda part: part.run(playbook, **variables), slices.values()):
            assert run.returncode == 0, run.output


def test_slices_never_write_the_same_token_where_each_host_has_its_own(slices):
    # With the registry complete, each could write the tokens of all.
    at_the_same_time(slices, "identify")
    at_the_same_time(slices, "site", tbot_token_per_host=True)
    assert slices["one"].tokens_written() == {"test-hosts-web-1", "test-hosts-build-1"}
    assert slices["two"].tokens_written() == {"test-hosts-db-1"}
    for part in slices.values():
        for host in part.cluster.fleet.tcti:
            assert part.cluster.rules_of(f"test-hosts-{host}") == {host}
            config = yaml.safe_load(part.cluster.fleet.host_path(host, "etc/tbot.yaml").read_text())
            assert config["onboarding"]["token"] == f"test-hosts-{host}"

    for part in slices.values():
        part.written.unlink()
    gone = slices["two"].cluster.play("decommission", "--limit", "db-1", tbot_token_per_host=True)
    assert gone.returncode == 0, gone.output
    assert slices["two"].tokens_written() == {"test-hosts-db-1"}
    assert not slices["one"].cluster.rules_of("test-hosts-db-1")
    # Its entry is in the archive that both see.
    again = slices["one"].run("site", tbot_token_per_host=True)
    assert not any(again.changed().values()), again.output
    assert slices["one"].tokens_written() == set()


def test_one_token_for_all_is_written_by_one_job_between_slices(slices, tmp_path, tpms, stand_ins, ansible):
    at_the_same_time(slices, "identify")
    whole = Slice(tmp_path / "shared", Fleet(tmp_path / "whole", tpms, ansible), stand_ins / "tctl")
    at_the_same_time({"whole": whole}, "token")
    assert whole.tokens_written() == {"test-hosts"}
    at_the_same_time(slices, "deploy")
    assert not any(part.tokens_written() for part in slices.values())
    assert whole.cluster.rules() == {"web-1", "build-1", "db-1"}
