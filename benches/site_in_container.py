"""Sets ten hosts up on a booted systemd, by the collection's site.yml and by the same set-up in stock modules, in turn, and
writes the seconds to RESULTS/seen.json. Started by site.py in a throw-away container: what it does to "the machine" is lost.

Every "host" is this machine under a name of its own, with an account, a configuration, a service and a software TPM of its
own; tbot, tctl and the cluster are the stand-ins. Installing packages is no part of either.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "scripts"))

import ansible_runs  # noqa: E402 (the path is set just above)
import measure  # noqa: E402
from software_tpm import SoftwareTpms  # noqa: E402

HOSTS = [f"host-{number:02}" for number in range(1, 11)]
ROUNDS = 3
STAND_INS = PROJECT / ".cache" / "go"
STOCK = Path(__file__).with_name("stock_modules.yml")
PROXY = "127.0.0.1:3080"
# There before both: the stock module would give it to the first bot.
STORAGE = Path("/var/lib/teleport")


def main(results: Path) -> None:
    shutil.copy(STAND_INS / "tbot", "/usr/local/bin/tbot")
    scratch = Path("/tmp/bench")
    scratch.mkdir()
    with SoftwareTpms(scratch / "tpms") as tpms:
        bench = Bench(scratch, {host: tpms.start(host, ca=scratch / "ca").tcti for host in HOSTS})
        seen = {
            "rounds": ROUNDS,
            "hosts": len(HOSTS),
            "times": {
                name: {"first": first, "second": second}
                for name, (first, second) in bench.measure().items()
            },
        }
    (results / "seen.json").write_text(json.dumps(seen))


class Bench:
    """The hosts, the cluster, and both ways to set the former up."""

    def __init__(self, scratch: Path, tcti: dict[str, str]) -> None:
        self.scratch = scratch
        self.cluster = scratch / "cluster"
        self.registry = scratch / "registry"
        self.token_file = scratch / "tbot-tpm.yaml"
        tctl = f"env STAND_IN_CLUSTER={self.cluster} {STAND_INS}/tctl"
        self.inventory = scratch / "inventory.yml"
        self.inventory.write_text(yaml.safe_dump({"all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "tbot_become": False,  # this is root already
                "tbot_user": "bot-{{ inventory_hostname }}",
                "tbot_group": "bot-{{ inventory_hostname }}",
                "tbot_proxy_server": PROXY,
                "tbot_bot_name": "bench",
                "tbot_registry_dir": str(self.registry),
                "tbot_token_file": str(self.token_file),
                "tbot_tctl_command": tctl,
                "tbot_install_method": "none",
                "tbot_service_name": "tbot-{{ inventory_hostname }}",
                "tbot_config_path": "/etc/tbot-{{ inventory_hostname }}.yaml",
                "tbot_storage_path": f"{STORAGE}/{{{{ inventory_hostname }}}}",
                "tbot_diag_addr": "127.0.0.1:{{ 3100 + groups.all.index(inventory_hostname) }}",
                # So that neither way waits for the other: it is the same for both.
                "tbot_token_settle_seconds": 0,
            },
            "hosts": {host: {"tbot_tcti": tcti[host]} for host in HOSTS},
        }}))
        STORAGE.mkdir()
        for host in HOSTS:
            folder = Path(f"/etc/systemd/system/tbot-{host}.service.d")
            folder.mkdir(parents=True)
            # Fault "pid file of a non-root service" (tests/playbooks/test_service_user.py): the user cannot write its own.
            variables = f"STAND_IN_TCTI={tcti[host]} STAND_IN_PID_FILE=warn"
            folder.joinpath("tpm.conf").write_text(f"[Service]\nEnvironment={variables}\n")

    def measure(self) -> dict[str, tuple[list[float], list[float]]]:
        """Seconds of first and of second runs, by way."""
        ways = {"site": ansible_runs.SITE, "stock": STOCK}
        times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
        for number in range(ROUNDS):
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                with self.running_cluster():
                    for of_runs in times[name]:
                        of_runs.append(self.run(ways[name], is_first=of_runs is times[name][0]))
                self.reset()
        return times

    def run(self, playbook: Path, is_first: bool) -> float:
        started = time.perf_counter()
        run = ansible_runs.play(playbook, self.inventory, self.scratch / "ansible", "--forks", "10")
        taken = time.perf_counter() - started
        assert run.returncode == 0, run.output
        assert all(run.changed().values()) if is_first else not any(run.changed().values()), run.output
        joined = {json.loads(line)["accepted"] for line in (self.cluster / "joins").read_text().splitlines()}
        assert joined == {True}, joined
        for number, _host in enumerate(HOSTS):
            with urllib.request.urlopen(f"http://127.0.0.1:{3100 + number}/readyz") as answer:
                assert answer.status == 200
        return taken

    def running_cluster(self) -> "Cluster":
        self.cluster.mkdir()
        bot = {"kind": "bot", "version": "v1", "metadata": {"name": "bench"}, "spec": {"roles": ["access"]}}
        tctl = [STAND_INS / "tctl", "create", "-f", "/dev/stdin"]
        environment = {"STAND_IN_CLUSTER": str(self.cluster)}
        subprocess.run(tctl, input=yaml.safe_dump(bot), text=True, check=True, env=environment)
        return Cluster(environment)

    def reset(self) -> None:
        """As if nothing had been set up."""
        for host in HOSTS:
            subprocess.run(["systemctl", "disable", "--now", "--quiet", f"tbot-{host}.service"], check=True)
            Path(f"/etc/systemd/system/tbot-{host}.service").unlink()
            Path(f"/etc/tbot-{host}.yaml").unlink()
            subprocess.run(["userdel", f"bot-{host}"], check=True)
            subprocess.run(["groupdel", "-f", f"bot-{host}"], stderr=subprocess.DEVNULL)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        for folder in (STORAGE, self.registry, self.cluster):
            shutil.rmtree(folder)
        STORAGE.mkdir()
        self.token_file.unlink()


class Cluster:
    """The stand-in for the cluster, while it runs."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen([STAND_INS / "tctl", "stand-in-proxy", "--listen", PROXY], env=environment)

    def __enter__(self) -> None:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://{PROXY}/v1/webapi/find").close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the stand-in for the cluster does not answer")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
