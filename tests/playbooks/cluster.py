"""A cluster for the playbooks: the stand-in's folder, and the fleet's playbooks run against it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import ansible_runs
from fleet import Fleet


class Cluster:
    """The stand-in's folder, where tokens and bots are files."""

    def __init__(self, folder: Path, fleet: Fleet, tctl: Path) -> None:
        self.folder = folder
        self.fleet = fleet
        self.tctl = tctl
        self.stored = folder / "token" / "test-hosts.json"
        self.stored.parent.mkdir(parents=True)

    @property
    def variables(self) -> dict[str, object]:
        """Variables by which the roles apply tokens here."""
        return {
            "tbot_apply_token": True,
            "tbot_tctl_command": self.command(),
            # Nobody else applies them.
            "tbot_token_settle_seconds": 0,
        }

    def command(self, *flags: str, **environment: str) -> str:
        """The command of tctl, with flags and further environment variables."""
        environment |= {"STAND_IN_CLUSTER": str(self.folder)}
        return " ".join(["env", *(f"{name}={value}" for name, value in environment.items()), str(self.tctl), *flags])

    def be_awkward(self, **fields: object) -> None:
        """Makes tctl as awkward as the fields say, which tests/go/README.md has."""
        command = [self.tctl, "stand-in-awkward", json.dumps(fields)]
        subprocess.run(command, env=os.environ | {"STAND_IN_CLUSTER": str(self.folder)}, check=True)

    def after_create(self, seconds: float, command: str) -> None:
        """Has each `tctl create` followed by a command, as of another run, so many seconds after it began."""
        hook, started = self.folder / "before-create", self.folder / "started"
        # Until it has a session of its own, it ends with tctl.
        hook.write_text(
            f"#!/bin/sh\nrm -f {started}\n"
            f"setsid sh -c 'touch {started}; sleep {seconds}; {command}' >/dev/null 2>&1 &\n"
            f"until [ -e {started} ]; do sleep 0.1; done\n"
        )
        hook.chmod(0o755)

    def site(self, *arguments: str, **variables: object) -> ansible_runs.Run:
        """Runs the token's part of site.yml."""
        return self.play("site", "--tags", "join_token", *arguments, **variables)

    def apply(self, *arguments: str, **variables: object) -> ansible_runs.Run:
        """Runs token.yml, which has the token's part alone."""
        return self.play("token", *arguments, **variables)

    def play(self, playbook: str, *arguments: str, **variables: object) -> ansible_runs.Run:
        return self.fleet.play(playbook, *arguments, variables=self.variables | variables)

    @property
    def token(self) -> dict:
        return json.loads(self.stored.read_text())

    def rules(self) -> set[str]:
        return self.rules_of("test-hosts")

    def rules_of(self, token: str) -> set[str]:
        """The descriptions of a token's rules; none where there is no such token."""
        path = self.stored.with_name(f"{token}.json")
        if not path.exists():
            return set()
        return {rule["description"] for rule in json.loads(path.read_text())["spec"]["tpm"]["allow"]}

    def store(self, token: dict) -> None:
        self.stored.write_text(json.dumps(token))

    def commands(self) -> list[str]:
        """The first words of what tctl was asked."""
        return [line.split()[0] for line in (self.folder / "commands").read_text().splitlines()]
