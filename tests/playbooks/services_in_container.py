"""Takes the examples of docs/services.md to running bots in a booted container, each as a host of its own, and writes to
RESULTS/seen.json who can read and connect there. Started by test_services.py.

Every "host" is the container under a name of its own, and the units are hardened. tbot, tctl and the cluster are the stand-ins.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import service_user_in_container as bots
import yaml
from service_user_in_container import SCRATCH, ansible_runs
from software_tpm import SoftwareTpms

PAGE = ansible_runs.COLLECTION / "docs/services.md"
STRANGER = "nobody"
# What a program reads first, by the type of the service.
FILES = {
    "application": "tlscert",
    "database": "tls.crt",
    "identity": "ssh_config",
    "kubernetes/v2": "kubeconfig.yaml",
    "ssh-multiplexer": "ssh_config",
    "ssh_host": "ssh_host-cert.pub",
    "workload-identity-x509": "svid.pem",
}
# Connects to the address in its first argument, a port or a path.
CONNECT = """
import socket, sys
address = sys.argv[1]
if address.isdigit():
    socket.create_connection(("127.0.0.1", int(address)), 5)
else:
    socket.socket(socket.AF_UNIX).connect(address)
"""


def examples() -> dict[str, dict]:
    """The examples of one service for one bot, by names for hosts."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    read = [block for block in map(yaml.safe_load, blocks) if set(block) == {"tbot_services"} and len(block["tbot_services"]) == 1]
    return {re.sub(r"\W", "-", block["tbot_services"][0]["type"]): block["tbot_services"][0] for block in read}


def main(results: Path) -> None:
    services = examples()
    for reader in {reader["user"] for service in services.values() for reader in readers(service)}:
        subprocess.run(["useradd", "--system", reader], check=True)
    seen = {}
    with SoftwareTpms(SCRATCH / "tpms") as tpms:
        hosts = bots.prepare(tpms, {
            host: {"tbot_services": [service], "tbot_ready_timeout": 120} for host, service in services.items()
        })  # fmt: skip
        proxy = bots.start_cluster()
        runs = [ansible_runs.play(ansible_runs.SITE, bots.inventory(hosts), SCRATCH / "ansible") for _ in range(2)]
        for host, service in services.items():
            seen[host] = {
                "failed": [run.recap[host]["failed"] for run in runs],
                "changed": [run.recap[host]["changed"] for run in runs],
                "type": service["type"],
                "readers": [reader["user"] for reader in readers(service)],
                "ready": bots.readiness(hosts[host]["tbot_diag_addr"]),
                **(reads(service) if "destination" in service else connects(service["listen"])),
            }
        proxy.kill()
    seen["output"] = runs[0].output + runs[1].output
    (results / "seen.json").write_text(json.dumps(seen))


def readers(service: dict) -> list[dict]:
    return service.get("destination", {}).get("readers", [])


def reads(service: dict) -> dict[str, object]:
    """Who can read the file that a program reads, and, of a multiplexer, who can connect."""
    folder = service["destination"]["path"]
    found = {"reads": [user for user in users(service) if can(user, "cat", f"{folder}/{FILES[service['type']]}")]}
    return found | (connects(f"unix://{folder}/v1.sock") if service["type"] == "ssh-multiplexer" else {})


def connects(listen: str) -> dict[str, object]:
    """Who can connect."""
    address = listen.removeprefix("unix://") if listen.startswith("unix:") else listen.rpartition(":")[2]
    return {"connects": [user for user in users({}) if can(user, "python3", "-c", CONNECT, address)]}


def users(service: dict) -> list[str]:
    return ["teleport", *(reader["user"] for reader in readers(service)), STRANGER]


def can(user: str, *command: str) -> bool:
    return subprocess.run(["runuser", "-u", user, "--", *command], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
