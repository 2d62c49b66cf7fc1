"""The stand-in for a Teleport cluster, and what hosts install from it, on this host's loopback.

    cluster.py up         starts both servers anew, with nothing in the cluster; the bot's program is built in two versions
    cluster.py down       ends them, and forgets the cluster's tokens, its bot, and the registry

What the scenarios need to know of it is in .cache/molecule/cluster/variables.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import yaml
from hosts import KEPT, PROJECT, SHARED, free_port, lock  # which also sets the path for the next one
from processes import HostError, end, start, tail

# isort: split
import apt_repository

FOLDER = KEPT / "cluster"
STATE = FOLDER / "state"
FILES = FOLDER / "files"
REGISTRY = FOLDER / "fleet" / "registry"
VARIABLES = FOLDER / "variables.json"
STAND_INS = PROJECT / ".cache" / "go"
OLDER, NEWER = "17.5.1", "17.5.2"


def up() -> None:
    """Starts the servers, with nothing of what was before."""
    down()
    proxy, files = FOLDER / "proxy.pid", FOLDER / "files.pid"
    for folder in (STATE, FILES):
        folder.mkdir(parents=True, exist_ok=True)
    tarballs = {version: tarball(version, build(version)) for version in (OLDER, NEWER)}
    proxy_port, files_port = free_port(), free_port()
    environment = os.environ | {"STAND_IN_CLUSTER": str(STATE)}
    start([str(STAND_INS / "tctl"), "stand-in-proxy", "--listen", f"127.0.0.1:{proxy_port}"], proxy, FOLDER, env=environment)
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(FILES), str(files_port)]
    start(server, files, FOLDER)
    wait_for(f"http://127.0.0.1:{proxy_port}/v1/webapi/find", proxy)
    wait_for(f"http://127.0.0.1:{files_port}/", files)
    VARIABLES.write_text(json.dumps({
        "older": OLDER,
        "newer": NEWER,
        "repository_key": repository(),
        "proxy_port": proxy_port,
        "proxy_ca_file": str(STATE / "proxy-ca.pem"),
        "files_port": files_port,
        "tarballs": tarballs,
        "tctl_command": f"env STAND_IN_CLUSTER={STATE} {STAND_INS / 'tctl'}",
        "registry": str(REGISTRY),
    }, indent=2))


def build(version: str) -> Path:
    """The stand-in for tbot that says it is of that version."""
    built = FOLDER / "built" / version
    environment = os.environ | {"STAND_IN_VERSION": version}
    subprocess.run([PROJECT / "tests" / "go" / "build.sh", built], check=True, env=environment, stdout=sys.stderr)
    return built / "tbot"


def tarball(version: str, tbot: Path) -> dict[str, str]:
    """A release of that version, as Teleport's are packed: its file's name and SHA-256."""
    path = FILES / f"teleport-v{version}-linux-amd64-bin.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(tbot, "teleport/tbot")
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def repository() -> str:
    """An apt repository with both releases for every distribution that has a container; its key."""
    containers = yaml.safe_load((SHARED / "data" / "containers.yml").read_text())
    suites = [settings["suite"] for settings in containers.values()]
    channels = {f"stable/v{OLDER.split('.')[0]}": [OLDER, NEWER]}
    key = apt_repository.SigningKey(FOLDER / "keys", "molecule")
    apt_repository.build(FILES / "apt", suites, channels, key, lambda version: (FOLDER / "built" / version / "tbot").read_bytes())
    return key.public


def wait_for(url: str, pid_file: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise HostError(f"{url} does not answer:\n{tail(pid_file.with_suffix('.log'))}")


def down() -> None:
    for name in ("proxy.pid", "files.pid"):
        end(FOLDER / name)
    shutil.rmtree(FOLDER, ignore_errors=True)


def main(arguments: list[str]) -> None:
    commands = {"up": up, "down": down}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.exit(__doc__)
    with lock(KEPT / "cluster.lock"):
        subprocess.run([PROJECT / "tests" / "go" / "build.sh"], check=True, stdout=sys.stderr)
        commands[arguments[0]]()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except HostError as error:
        sys.exit(str(error))
