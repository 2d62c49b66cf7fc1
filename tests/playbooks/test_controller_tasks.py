"""What a run does once, on the controller, stays a few tasks: each costs a second or more in a large fleet."""

from __future__ import annotations

import re
from pathlib import Path

from cluster import Cluster
from proxy import Proxy

MOST_TASKS = 5
# Whose tasks are the hosts' own.
OF_HOSTS = {"Read the TPM and record it", "Set up the bot"}
TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \*+$", re.MULTILINE)


def test_a_second_run_of_site_has_at_most_five(cluster: Cluster, tmp_path: Path):
    proxy = Proxy(tmp_path / "ca.pem")
    proxy.found = {"server_version": "18.2.0", "edition": "ent"}
    variables = {"tbot_proxy_server": proxy.address, "tbot_proxy_ca_file": str(proxy.ca_file), "tbot_bot_roles": ["access"]}
    for _ in range(2):
        run = cluster.play("site", **variables)
        assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output
    tasks = [task.rpartition(" : ")[2] for task in TASK.findall(run.output)]
    # Each host is asked twice.
    assert set(tasks) > OF_HOSTS, run.output
    once = [task for task in tasks if task not in OF_HOSTS]
    assert "Check the hosts and their variables" in once, once
    assert len(once) <= MOST_TASKS, "\n".join(once)
