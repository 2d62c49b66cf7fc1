"""Takes hosts to running bots by site.yml in a booted container, each as the user teleport, and writes what it saw to
RESULTS/seen.json. Started by test_service_user.py.

Every "host" is the container under a name of its own. tbot, tctl and the cluster are the stand-ins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import ansible_runs
from software_tpm import SoftwareTpms

STAND_INS = ansible_runs.PROJECT / ".cache/go"
SPECS = ansible_runs.COLLECTION / "roles/tbot_service/meta/argument_specs.yml"
SCRATCH = Path("/tmp/service-user-test")
CLUSTER = SCRATCH / "cluster"
PROXY = "127.0.0.1:3080"
OUTPUT = "/var/lib/teleport/control/output"
# Where others read, and which socket they connect to.
SHARED = "/srv/shared/output"
SOCKET = "/run/tbot-sockets/workload/api.sock"
CLOSED = "/srv/closed"
READER, STRANGER = "games", "nobody"


def cases() -> dict[str, dict[str, object]]:
    """What each host has of its own."""
    [example] = yaml.safe_load(yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["examples"])
    [role] = example["roles"]
    return {
        # Neither a pid file, nor an output where its user cannot write.
        "control": {
            "tbot_pid_file": "",
            "tbot_ready_timeout": 120,
            "tbot_services": [{"type": "identity", "name": "web", "destination": {"type": "directory", "path": OUTPUT}}],
        },
        "pid-file": {},
        "outputs": role["vars"],
        # The same by a unit that is not hardened, for a reader.
        "readers": {
            "tbot_unit_hardening": False,
            "tbot_services": [{
                "type": "identity", "destination": {"type": "directory", "path": SHARED, "readers": [{"user": READER}]},
            }],
        },
        # One who cannot get there, and one whom nobody has let in.
        "closed": {
            "tbot_user": "backup",
            "tbot_group": "backup",
            "tbot_services": [{
                "type": "identity", "destination": {"type": "directory", "path": f"{CLOSED}/output", "readers": [{"user": READER}]},
            }],
        },
        "strangers": {
            "tbot_destination_readers": [STRANGER],
            "tbot_services": [{"type": "identity", "destination": {"type": "directory", "path": "/srv/strangers"}}],
        },
        "sockets": {
            "tbot_services": [{"type": "workload-identity-api", "listen": f"unix://{SOCKET}", "selector": {"name": "web"}}],
        },
    }  # fmt: skip


def main(results: Path) -> None:
    subprocess.run(["install", "-d", "-m", "0750", "-g", "backup", CLOSED], check=True)
    seen = {}
    with SoftwareTpms(SCRATCH / "tpms") as tpms:
        hosts = prepare(tpms, cases())
        proxy = start_cluster()
        run = ansible_runs.play(ansible_runs.SITE, inventory(hosts), SCRATCH / "ansible")
        again = ansible_runs.play(ansible_runs.SITE, inventory(hosts), SCRATCH / "ansible")
        for host, variables in hosts.items():
            seen[host] = {
                "failed": run.recap[host]["failed"],
                "changed_again": again.recap[host]["changed"],
                "ready": readiness(variables["tbot_diag_addr"]),
                "journal": output("journalctl", "--output=cat", f"--unit=tbot-{host}.service"),
            }
        seen["reads"] = {user: output("runuser", "-u", user, "--", "ls", f"{SHARED}/identity") for user in (READER, STRANGER)}
        seen["connects"] = {"at once": connects(), "after a boot": connects_after_boot(hosts["sockets"]["tbot_diag_addr"])}
        proxy.kill()
    for host, path in (("control", OUTPUT), ("outputs", "/opt/machine-id"), ("readers", SHARED)):
        seen[host]["files"] = {path: output("stat", "--format=%U:%G %a", path) for path in (path, f"{path}/identity")}
    seen["output"] = run.output + again.output
    (results / "seen.json").write_text(json.dumps(seen))


def prepare(tpms: SoftwareTpms, cases: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Gives the container the program, and each host a TPM; their variables."""
    shutil.copy(STAND_INS / "tbot", "/usr/local/bin/tbot")
    CLUSTER.mkdir(parents=True)
    hosts = {}
    for number, (host, variables) in enumerate(cases.items()):
        hosts[host] = variables | {
            "tbot_tcti": tpms.start(host).tcti,
            "tbot_proxy_server": PROXY,  # which an example may have as well
            "tbot_diag_addr": f"127.0.0.1:{3100 + number}",
        }
        use_tpm(f"tbot-{host}", hosts[host]["tbot_tcti"])
    return hosts


def use_tpm(service: str, tcti: str) -> None:
    """Has the stand-in for tbot use that TPM in this service."""
    drop_in = Path(f"/etc/systemd/system/{service}.service.d/tpm.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nEnvironment=STAND_IN_TCTI={tcti}\n")


def inventory(hosts: dict[str, dict[str, object]]) -> Path:
    path = SCRATCH / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "tbot_become": False,  # this is root already
            "tbot_bot_name": "test-bot",
            "tbot_registry_dir": str(SCRATCH / "registry"),
            "tbot_tctl_command": f"env STAND_IN_CLUSTER={CLUSTER} {STAND_INS}/tctl",
            "tbot_token_settle_seconds": 0,
            "tbot_install_method": "none",
            "tbot_service_name": "tbot-{{ inventory_hostname }}",
            "tbot_config_path": "/etc/tbot-{{ inventory_hostname }}.yaml",
            "tbot_storage_path": "/var/lib/teleport/{{ inventory_hostname }}",
            "tbot_ready_timeout": 30,  # which the one that fails takes
        },
        "hosts": hosts,
    }}))
    return path


def connects() -> bool:
    """Whether a program of the bot's user can connect to the socket. Whom else tbot lets connect, its own mode says."""
    program = f"import socket; socket.socket(socket.AF_UNIX).connect({SOCKET!r})"
    return subprocess.run(["runuser", "-u", "teleport", "--", "python3", "-c", program]).returncode == 0


def connects_after_boot(address: str) -> bool:
    """The same where /run is empty before the service starts."""
    subprocess.run(["systemctl", "stop", "tbot-sockets.service"], check=True)
    shutil.rmtree("/run/tbot-sockets", ignore_errors=True)
    subprocess.run(["systemctl", "start", "tbot-sockets.service"], check=True)
    for _ in range(300):
        found = readiness(address)
        if isinstance(found, dict) and found["status"] == "healthy":
            break
        time.sleep(0.2)
    return connects()


def start_cluster() -> subprocess.Popen:
    environment = os.environ | {"STAND_IN_CLUSTER": str(CLUSTER), "STAND_IN_ANY_BOT": "1"}
    command = [STAND_INS / "tctl", "stand-in-proxy", "--listen", PROXY]
    proxy = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert "listens on" in proxy.stdout.readline()
    return proxy


def readiness(address: str) -> object:
    """What /readyz answers, or why it does not."""
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
    except OSError as error:
        return str(error)


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
