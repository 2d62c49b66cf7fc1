"""Runs the documentation's examples in a booted container as they stand, and writes what it saw to RESULTS/seen.json.

Started by test_examples.py, which leaves the playbook in RESULTS/examples.yml. The machine has what the examples name.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import trustme
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import ansible_runs
import apt_repository
import installed
import tpm_device
from fleet import ask_binary, ek_cert_serial, ek_public_hash
from software_tpm import SoftwareTpms
from web_server import WebServer

STAND_INS = ansible_runs.PROJECT / ".cache" / "go"
CLUSTER = Path("/srv/cluster")
FLEET = Path("/srv/fleet")
SCRATCH = Path("/tmp/examples")
TBOT = Path("/usr/local/bin/tbot")
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
PROXY = "example.teleport.sh"
REPOSITORY = "apt.releases.teleport.dev"
RETIRED = {"description": "web-9", "ek_cert_present": False, "ek_public_hash": "9" * 64}

# What an example removes.
OLD_BOT = {
    "/etc/systemd/system/old-bot.service": {"action": "systemd", "name": "old-bot"},
    "/etc/old-bot.yaml": {
        "action": "config", "path": "/etc/old-bot.yaml", "proxy_server": f"{PROXY}:443", "token": "old", "group": "root",
    },
    "/var/lib/old-bot": {"action": "storage", "path": "/var/lib/old-bot"},
}  # fmt: skip


def main(results: Path) -> None:
    SCRATCH.mkdir()
    with Path("/etc/hosts").open("a") as hosts:
        hosts.write(f"127.0.0.1 {PROXY}\n127.0.0.2 {REPOSITORY}\n")
    (FLEET / "tbot-registry").mkdir(parents=True)
    (FLEET / "tbot-registry/web-9.json").write_text(json.dumps(RETIRED))
    make_old_bot()
    version = start_cluster()
    start_repository(version)
    if (results / "with-tbot").exists():
        shutil.copy(STAND_INS / "tbot", TBOT)
    with SoftwareTpms(SCRATCH / "tpms") as tpms:
        ca = SCRATCH / "ca"
        tpm = tpms.start("web-1", ca=ca)
        shutil.copy(ca / "swtpm-localca-rootca-cert.pem", FLEET / "tpm-ca-certificates.pem")
        shutil.copy(ca / "issuercert.pem", FLEET / "tpm-intermediate-ca-certificates.pem")
        seen = {"ek_public_hash": ek_public_hash(tpm, SCRATCH), "ek_cert_serial": ek_cert_serial(tpm), "version": version}
        subprocess.run(["groupadd", "--system", "--force", "tss"], check=True)
        tpm_device.plug_in(tpm, "tss")
        run = installed.in_container(results).play(results / "examples.yml", inventory(), SCRATCH / "ansible", "-v")
    seen |= {"returncode": run.returncode, "output": run.output, "machine": observe()}
    (results / "seen.json").write_text(json.dumps(seen))


def inventory() -> Path:
    """Two hosts, which are both this container."""
    path = SCRATCH / "inventory.yml"
    # This is root already.
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    groups = {"bots": {"hosts": {"web-1": {}}}, "retired_bots": {"hosts": {"web-9": {}}}}
    path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
    return path


def make_old_bot() -> None:
    for path, request in OLD_BOT.items():
        assert ask_binary(request)["path"] == path


def start_cluster() -> str:
    """Starts the stand-in for a cluster, which tctl here is logged in to; its version."""
    CLUSTER.mkdir()
    tctl = Path("/usr/local/bin/tctl")
    tctl.write_text(f"#!/bin/sh\nexec env STAND_IN_CLUSTER={CLUSTER} {STAND_INS / 'tctl'} \"$@\"\n")
    tctl.chmod(0o755)
    # The bots of the examples are anyone's.
    environment = os.environ | {"STAND_IN_CLUSTER": str(CLUSTER), "STAND_IN_ANY_BOT": "1"}
    command = [STAND_INS / "tctl", "stand-in-proxy", "--listen", f"{PROXY}:443"]
    proxy = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert "listens on" in proxy.stdout.readline()
    trust((CLUSTER / "proxy-ca.pem").read_text())
    return subprocess.run([STAND_INS / "tbot", "version"], check=True, capture_output=True, text=True).stdout.split()[1][1:]


def start_repository(version: str) -> None:
    """Serves that version's package as Teleport's repository does, and nothing else is within apt's reach."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    release = {name: value.strip('"') for name, value in release.items()}
    key = apt_repository.SigningKey(SCRATCH / "keys", "repository")
    (FLEET / "teleport.asc").write_text(key.public)
    served = SCRATCH / "served"
    channels = {f"stable/v{version.split('.')[0]}": [version]}
    apt_repository.build(
        served / release["ID"], [release["VERSION_CODENAME"]], channels, key, lambda _version: (STAND_INS / "tbot").read_bytes()
    )
    for source in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").iterdir()):
        source.unlink(missing_ok=True)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(REPOSITORY).configure_cert(context)
    trust(authority.cert_pem.bytes().decode())
    WebServer(served, (REPOSITORY, 443), context)


def trust(ca: str) -> None:
    with TRUSTED.open("a") as bundle:
        bundle.write(f"\n{ca}")


def observe() -> dict:
    """What the examples have made of this machine and the cluster."""
    paths = ["/var/lib/teleport/bot", "/etc/tbot.yaml", "/etc/systemd/system/tbot.service", str(TBOT)]
    registry = FLEET / "tbot-registry"
    state = subprocess.run(["systemctl", "show", "tbot", "--property=ActiveState,UnitFileState"], capture_output=True, text=True)
    joins = CLUSTER / "joins"
    return {
        "modes": {path: output("stat", "--format=%U:%G %a", path) for path in paths if Path(path).exists()},
        "registry": {str(path.relative_to(registry)): json.loads(path.read_text()) for path in registry.rglob("*.json")},
        "tokens": {path.stem: json.loads(path.read_text()) for path in CLUSTER.glob("token/*.json")},
        "bots": sorted(path.stem for path in CLUSTER.glob("bot/*.json")),
        "joins": [json.loads(line) for line in joins.read_text().splitlines()] if joins.exists() else [],
        "service": dict(line.split("=", 1) for line in state.stdout.splitlines()),
        "left": [path for path in OLD_BOT if Path(path).exists()],
    }


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
