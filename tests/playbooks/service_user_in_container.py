"""Takes three hosts to running bots by site.yml in a booted container, each as the user teleport, and writes what it saw to
RESULTS/seen.json. Started by test_service_user.py.

Every "host" is the container under a name of its own. tbot, tctl and the cluster are the stand-ins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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
    }


def main(results: Path) -> None:
    shutil.copy(STAND_INS / "tbot", "/usr/local/bin/tbot")
    CLUSTER.mkdir(parents=True)
    seen = {}
    with SoftwareTpms(SCRATCH / "tpms") as tpms:
        hosts = {}
        for number, (host, variables) in enumerate(cases().items()):
            hosts[host] = variables | {
                "tbot_tcti": tpms.start(host).tcti,
                "tbot_proxy_server": PROXY,  # which the example has as well
                "tbot_diag_addr": f"127.0.0.1:{3100 + number}",
            }
            drop_in = Path(f"/etc/systemd/system/tbot-{host}.service.d/tpm.conf")
            drop_in.parent.mkdir()
            drop_in.write_text(f"[Service]\nEnvironment=STAND_IN_TCTI={hosts[host]['tbot_tcti']}\n")
        proxy = start_cluster()
        run = ansible_runs.play(ansible_runs.SITE, inventory(hosts), SCRATCH / "ansible")
        for host, variables in hosts.items():
            seen[host] = {
                "failed": run.recap[host]["failed"],
                "ready": readiness(variables["tbot_diag_addr"]),
                "journal": output("journalctl", "--output=cat", f"--unit=tbot-{host}.service"),
            }
        proxy.kill()
    seen["control"]["files"] = {path: output("stat", "--format=%U:%G %a", path) for path in (OUTPUT, f"{OUTPUT}/identity")}
    seen["output"] = run.output
    (results / "seen.json").write_text(json.dumps(seen))


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
