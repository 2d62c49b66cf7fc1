"""What the scenarios' tests do with their hosts: run the collection's playbooks, and look at hosts and the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from hosts import KEPT, KEY, PROJECT, SHARED, SSH_ARGS

sys.path.insert(0, str(PROJECT / "scripts"))
import ansible_runs

PLAYBOOKS = ansible_runs.COLLECTION / "playbooks"
CLUSTER = KEPT / "cluster" / "state"
REGISTRY = KEPT / "cluster" / "fleet" / "registry"
TCTL = PROJECT / ".cache" / "go" / "tctl"
# The manufacturer of the TPMs that have an EK certificate.
CA = KEPT / "ca"
# The programs that start hosts, which are their inventories too.
MACHINES, CONTAINERS = SHARED / "machines.py", SHARED / "containers.py"


def documented_example(action: str) -> dict:
    """The first task with that action among the examples that ansible-doc shows."""
    module = "tbot.tpm.tbot_tpm"
    said = ansible_runs.run(["ansible-doc", "--json", module], KEPT / "ansible").output
    tasks = yaml.safe_load(json.loads(said)[module]["examples"])
    return next(task for task in tasks if task.get(module, {}).get("action") == action)


class Fleet:
    """The hosts that one of these programs has started."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def inventory(self) -> dict[str, dict]:
        """The variables of those that run, by name."""
        listing = subprocess.run([sys.executable, self.program, "--list"], check=True, capture_output=True, text=True)
        return json.loads(listing.stdout)["_meta"]["hostvars"]

    def hosts(self) -> list[str]:
        return sorted(self.inventory())

    def start_or_stop(self, command: str, *names: str) -> None:
        """Has the program do something with hosts."""
        subprocess.run([sys.executable, self.program, command, *names], check=True)

    def play(self, playbook: str | Path, *arguments: str, **variables: object) -> ansible_runs.Run:
        """Runs a playbook of the collection, by its name, or another one by its path; VARIABLES stand above the inventory's."""
        if variables:
            arguments = (*arguments, "--extra-vars", json.dumps(variables))
        path = playbook if isinstance(playbook, Path) else PLAYBOOKS / f"{playbook}.yml"
        return ansible_runs.play(path, self.program, KEPT / "ansible", "--forks", "3", *arguments)

    def on(self, host: str, script: str) -> str:
        """What a shell script prints that root runs on the host."""
        port = self.inventory()[host]["ansible_port"]
        command = ["ssh", "-i", KEY, "-p", str(port), *SSH_ARGS.split(), "root@127.0.0.1", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def service(self, host: str) -> dict[str, str]:
        """What systemd says of the bot's service."""
        names = "ActiveState,UnitFileState,MainPID,NeedDaemonReload"
        shown = self.on(host, f"systemctl show tbot.service --property={names}")
        return dict(line.split("=", 1) for line in shown.splitlines())

    @staticmethod
    def entry(host: str) -> dict:
        """The host's identity, as the registry has it."""
        return json.loads((REGISTRY / f"{host}.json").read_text())

    @staticmethod
    def token(name: str = "tbot-tpm") -> dict | None:
        """The join token of that name that the cluster has; none where it has none."""
        environment = os.environ | {"STAND_IN_CLUSTER": str(CLUSTER)}
        command = [TCTL, "get", f"token/{name}", "--format=json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            assert "not found" in done.stderr, done.stderr
            return None
        return json.loads(done.stdout)[0]

    def rules(self) -> dict[str, str]:
        """The EK public hashes that the cluster's token lets in, by description."""
        found = self.token()
        return {rule["description"]: rule["ek_public_hash"] for rule in found["spec"]["tpm"]["allow"]} if found else {}

    @staticmethod
    def joins(ek_public_hash: str, token: str = "tbot-tpm") -> list[bool]:
        """What the cluster said to each try of that TPM to join by the token, in order."""
        tries = [json.loads(line) for line in (CLUSTER / "joins").read_text().splitlines()]
        return [each["accepted"] for each in tries if (each["ek_public_hash"], each["token"]) == (ek_public_hash, token)]
