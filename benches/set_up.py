"""Sets hosts up on a booted systemd, by the collection's site.yml and by the same set-up in stock modules, in turn. For
benchmarks that run in a throw-away container: what they do to "the machine" is lost.

Every "host" is this machine under a name of its own, with an account, a configuration, a service and a software TPM of its
own; tbot, tctl and the cluster are the stand-ins. Installing packages is no part of either.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "scripts"))

from ansible_runs import Ansible, Run  # noqa: E402 (the path is set just above)
from software_tpm import SoftwareTpms  # noqa: E402

STAND_INS = PROJECT / ".cache" / "go"
PROXY = "127.0.0.1:3080"
# There before both: the stock module would give it to the first bot.
STORAGE = Path("/var/lib/teleport")


class Bench:
    """The hosts, the cluster, and both ways to set the former up."""

    # What ansible-playbook is told besides the playbook and the inventory.
    arguments: tuple[str, ...] = ()

    def __init__(self, scratch: Path, hosts: list[str], ansible: Ansible, tpms: SoftwareTpms) -> None:
        self.scratch = scratch
        self.hosts = hosts
        self.ansible = ansible
        self.cluster = scratch / "cluster"
        self.registry = scratch / "registry"
        self.token_file = scratch / "tbot-tpm.yaml"
        self.inventory = scratch / "inventory.yml"
        shutil.copy(STAND_INS / "tbot", "/usr/local/bin/tbot")
        STORAGE.mkdir()
        tcti = {host: tpms.start(host, ca=scratch / "ca").tcti for host in hosts}
        for host in hosts:
            folder = Path(f"/etc/systemd/system/tbot-{host}.service.d")
            folder.mkdir(parents=True)
            folder.joinpath("tpm.conf").write_text(f"[Service]\nEnvironment=STAND_IN_TCTI={tcti[host]}\n")
        self.inventory.write_text(yaml.safe_dump({"all": {
            "vars": self.bot_variables() | self.variables(),
            "hosts": {host: {"tbot_tcti": tcti[host]} | self.host_variables(host) for host in hosts},
        }}))

    def variables(self) -> dict[str, object]:
        """How Ansible reaches the hosts."""
        raise NotImplementedError

    def host_variables(self, _host: str) -> dict[str, object]:
        """What is different for each host of that."""
        return {}

    def bot_variables(self) -> dict[str, object]:
        """What is to be set up."""
        return {
            "tbot_user": "bot-{{ inventory_hostname }}",
            "tbot_group": "bot-{{ inventory_hostname }}",
            "tbot_proxy_server": PROXY,
            "tbot_bot_name": "bench",
            "tbot_registry_dir": str(self.registry),
            "tbot_token_file": str(self.token_file),
            "tbot_tctl_command": f"env STAND_IN_CLUSTER={self.cluster} {STAND_INS}/tctl",
            "tbot_install_method": "none",
            "tbot_service_name": "tbot-{{ inventory_hostname }}",
            "tbot_config_path": "/etc/tbot-{{ inventory_hostname }}.yaml",
            "tbot_storage_path": f"{STORAGE}/{{{{ inventory_hostname }}}}",
            "tbot_diag_addr": "127.0.0.1:{{ 3100 + groups.all.index(inventory_hostname) }}",
            # So that neither way waits for the other: it is the same for both.
            "tbot_token_settle_seconds": 0,
        }

    def measure(self, rounds: int) -> dict[str, dict[str, list[float]]]:
        """Seconds of first and of second runs by way, and how many of them Ansible keeps a processor busy with all that it runs here. Each
        round begins with the other way."""
        ways = {"site": "site", "stock": Path(__file__).with_name("stock_modules.yml")}
        kinds = ("first", "second", "first_processor", "second_processor", "first_kibibytes", "second_kibibytes")
        times: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in kinds} for name in ways}
        for number in range(rounds):
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                with self.running_cluster():
                    for which in ("first", "second"):
                        before, carried = self.processor_seconds(), self.carried()
                        times[name][which].append(self.run(ways[name], is_first=which == "first"))
                        times[name][f"{which}_processor"].append(self.processor_seconds() - before)
                        times[name][f"{which}_kibibytes"].append((self.carried() - carried) / len(self.hosts) / 1024)
                self.reset()
        return times

    def carried(self) -> int:
        """Bytes that have gone to the hosts and back, where somebody counts them."""
        return 0

    @staticmethod
    def processor_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def run(self, playbook: str | Path, is_first: bool) -> float:
        taken, run = self.timed(playbook)
        assert all(run.changed().values()) if is_first else not any(run.changed().values()), run.output
        joined = {json.loads(line)["accepted"] for line in (self.cluster / "joins").read_text().splitlines()}
        assert joined == {True}, joined
        for number, _host in enumerate(self.hosts):
            with urllib.request.urlopen(f"http://127.0.0.1:{3100 + number}/readyz") as answer:
                assert answer.status == 200
        return taken

    def timed(self, playbook: str | Path, *arguments: str) -> tuple[float, Run]:
        """A run of a playbook that succeeds, and its seconds."""
        started = time.perf_counter()
        run = self.ansible.play(playbook, self.inventory, self.scratch / "ansible", *self.arguments, *arguments)
        taken = time.perf_counter() - started
        assert run.returncode == 0, run.output
        return taken, run

    def running_cluster(self) -> Cluster:
        self.cluster.mkdir()
        bot = {"kind": "bot", "version": "v1", "metadata": {"name": "bench"}, "spec": {"roles": ["access"]}}
        tctl = [STAND_INS / "tctl", "create", "-f", "/dev/stdin"]
        environment = {"STAND_IN_CLUSTER": str(self.cluster)}
        subprocess.run(tctl, input=yaml.safe_dump(bot), text=True, check=True, env=environment)
        return Cluster(environment)

    def reset(self) -> None:
        """As if nothing had been set up."""
        for host in self.hosts:
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
        self.token_file.with_name(f"{self.token_file.name}.applied").unlink(missing_ok=True)
        shutil.rmtree("/root/.ansible/tmp/tbot_tpm", ignore_errors=True)


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
