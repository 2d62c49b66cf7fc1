"""Takes a host with three bots of two users through its life in a booted container, and writes to RESULTS/seen.json what was there after
each step. Started by test_instances_life.py.

tbot, tctl and the cluster are the stand-ins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import service_user_in_container as bots
from service_user_in_container import CLUSTER, SCRATCH, ansible_runs
from software_tpm import SoftwareTpms

HOST = "three"
READER, STRANGER = "games", "nobody"
TBOT = Path("/usr/local/bin/tbot")
# Each bot's service, with the file that its readers read.
OUTPUTS = {"tbot-three": "/opt/machine-id/identity", "tbot-deploy": "/opt/deploy/identity", "tbot-reports": "/opt/reports/tls.crt"}


def service(kind: str, path: str, **more: object) -> dict[str, object]:
    return {"type": kind, "destination": {"type": "directory", "path": path, "readers": [{"user": READER}]}, **more}


DEPLOY = {
    "name": "deploy",
    "bot_roles": ["deployer"],
    "user": "tbot-two",
    "group": "tbot-two",
    "services": [service("identity", "/opt/deploy")],
}
REPORTS = {
    "name": "reports", "bot_roles": ["reporter"], "user": "tbot-two", "group": "tbot-two", "readers": [READER],
    "services": [service("database", "/opt/reports", service="orders", username="reporting", database="orders", format="tls")],
}  # fmt: skip


def main(results: Path) -> None:
    seen = {}
    with SoftwareTpms(SCRATCH / "tpms") as tpms:
        variables = {"tbot_services": [service("identity", "/opt/machine-id")], "tbot_ready_timeout": 120}
        hosts = bots.prepare(tpms, {HOST: variables | {"tbot_instances": [DEPLOY, REPORTS]}})
        for name in ("tbot-deploy", "tbot-reports"):
            bots.use_tpm(name, hosts[HOST]["tbot_tcti"])
        proxy = bots.start_cluster()
        seen["first"] = step(hosts)
        seen["again"] = step(hosts)
        replace_program()
        seen["upgraded"] = step(hosts)
        seen["upgraded again"] = step(hosts)
        hosts[HOST]["tbot_instances"] = [DEPLOY, REPORTS | {"state": "absent"}]
        seen["one gone"] = step(hosts)
        seen["one gone, again"] = step(hosts)
        # As before, with nothing known of it.
        hosts[HOST]["tbot_instances"] = [DEPLOY]
        seen["forgotten"] = step(hosts)
        seen["all gone"] = step(hosts, "decommission", "--limit", HOST)
        proxy.kill()
    (results / "seen.json").write_text(json.dumps(seen))


def step(hosts: dict[str, dict[str, object]], playbook: str = "site", *arguments: str) -> dict[str, object]:
    """Runs a playbook, and looks at the machine and the cluster."""
    run = ansible_runs.play(ansible_runs.SITE.with_name(f"{playbook}.yml"), bots.inventory(hosts), SCRATCH / "ansible", *arguments)
    tokens = {path.stem: json.loads(path.read_text()) for path in CLUSTER.glob("token/*.json")}
    return {
        "returncode": run.returncode,
        "changed": run.recap.get(HOST, {}).get("changed"),
        "output": run.output,
        "services": {name: of_service(name) for name in OUTPUTS},
        "rules": {name: [rule["description"] for rule in token["spec"]["tpm"]["allow"]] for name, token in tokens.items()},
        "reads": {path: [user for user in (READER, STRANGER) if can(user, "cat", path)] for path in OUTPUTS.values()},
        "left": [str(path) for path in (*Path("/etc").glob("tbot*"), *Path("/var/lib/teleport").glob("*"))],
    }


def of_service(name: str) -> dict[str, str]:
    shown = bots.output("systemctl", "show", name, "--property=ActiveState,UnitFileState,MainPID,User,LoadState")
    return dict(line.split("=", 1) for line in shown.splitlines())


def can(user: str, *command: str) -> bool:
    return subprocess.run(["runuser", "-u", user, "--", *command], capture_output=True, check=False).returncode == 0


def replace_program() -> None:
    """Puts another program in the place of the present one, as an upgrade does."""
    new = TBOT.with_name("tbot.new")
    shutil.copy(TBOT, new)
    with new.open("ab") as program:
        program.write(b"\0")
    os.replace(new, TBOT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
