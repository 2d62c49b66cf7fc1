"""Runs the role tbot_install in a booted container several times, and writes what it saw to RESULTS/seen.json.

Started by test_install.py. What it does to "the machine" is lost with the container.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import apt_repository
from ansible_runs import Run
from installed import Installed, in_container
from proxy import Proxy
from web_server import WebServer

TBOT = Path("/usr/local/bin/tbot")
SOURCE = Path("/etc/apt/sources.list.d/teleport.list")
KEY = Path("/etc/apt/keyrings/teleport-archive-keyring.asc")
SCRATCH = Path("/tmp/install-test")
SERVED = SCRATCH / "served"
PLAYBOOK = [{"hosts": "all", "gather_facts": False, "roles": ["tbot.tpm.tbot_install"]}]
CHECK = ("--check", "--diff")


def main(results: Path) -> None:
    SERVED.mkdir(parents=True)
    url = WebServer(SERVED).url
    key, other_key = (apt_repository.SigningKey(SCRATCH / "keys", name) for name in ("repository", "other"))
    channels = {"stable/v17": ["17.5.1", "17.5.2", "17.4.10"], "stable/v18": ["18.0.0-rc.1"]}
    apt_repository.build(SERVED / "apt", [codename(), "noble"], channels, key)
    (SERVED / "key.asc").write_text(key.public)
    # Nothing but this repository is within reach.
    for source in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").iterdir()):
        source.unlink(missing_ok=True)
    (SCRATCH / "install.yml").write_text(yaml.safe_dump(PLAYBOOK))
    seen = packages(f"{url}/apt", f"{url}/key.asc", key.public, other_key.public) | tarballs(url) | scripts(url)
    seen |= clusters({"tbot_repository_url": f"{url}/apt", "tbot_repository_key": key.public})
    seen |= derivatives({"tbot_repository_key": key.public, "tbot_major_version": 17}, f"{url}/apt")
    (results / "seen.json").write_text(json.dumps(seen))


def packages(repository: str, key_url: str, key: str, other_key: str) -> dict:
    unpinned = {"tbot_repository_url": repository, "tbot_major_version": 17, "tbot_repository_key": key_url}
    newest = unpinned | sum_of(key)
    without_channel = {name: value for name, value in newest.items() if name != "tbot_major_version"}
    older = newest | {"tbot_version": "17.5.1"}
    next_major = newest | {"tbot_version": "18.0.0-rc.1", "tbot_repository_key": key}
    return {
        "check first": install(newest, *CHECK),
        **install_each({
            "none": {"tbot_install_method": "none"},
            "no key": {"tbot_repository_url": repository, "tbot_major_version": 17},
            "key of a URL without sum": unpinned,
            "wrong sum of the key": unpinned | sum_of("another"),
            "wrong sum of the key's text": next_major | sum_of("another"),
            "no channel": without_channel,
            "malformed version": newest | {"tbot_version": "v17"},
        }),
        "wrong key": install(newest | {"tbot_repository_key": other_key} | sum_of(other_key)),
        "version that is not there": install(newest | {"tbot_version": "17.9.9"}),
        "package version that is not there": install(without_channel | {"tbot_package_version": "17.9.9"}),
        "newest": install(newest, "--tags", "tbot_install"),
        **install_each({"newest again": newest, "downgrade": older}),
        "downgrade in check mode": install(older, *CHECK),
        "downgrade allowed": install(older | {"tbot_allow_downgrade": True}),
        **install_each({"pinned again": older, "any version will do": {}}),
        "pinned again in check mode": install(older, *CHECK),
        "upgrade in check mode": install(next_major, *CHECK),
        "upgrade": install(next_major),
        **install_each({"upgrade again": next_major, "elsewhere": next_major | {"tbot_path": "/opt/tbot"}}),
    }


def tarballs(url: str) -> dict:
    def pinned(name: str, files: dict[str, str]) -> dict:
        return wanted | {"tbot_tarball_url": f"{url}/{name}.tar.gz", "tbot_tarball_sha256": tarball(name, files)}

    wanted = {"tbot_install_method": "tarball", "tbot_version": "18.0.0"}
    good = pinned("good", {
        "teleport-ent/VERSION": "18.0.0",
        "teleport-ent/examples/tbot/config.yaml": "version: v2",
        "teleport-ent/tbot": apt_repository.program("18.0.0"),
    })
    return {
        **install_each({
            "tarball without sum": wanted | {"tbot_tarball_url": f"{url}/good.tar.gz"},
            "tarball with a wrong sum": good | {"tbot_tarball_sha256": "0" * 64},
            "tarball with a malformed sum": good | {"tbot_tarball_sha256": "0" * 63},
            "tarball without tbot": pinned("empty", {"teleport/tctl": "", "teleport/not-tbot": ""}),
        }),
        "tarball in check mode": install(good, *CHECK),
        "tarball": install(good),
        "tarball again": install(good),
        **directories(good),
    }


def directories(good: dict) -> dict:
    """With a path whose directory is missing, or that cannot be written."""
    new = good | {"tbot_path": "/opt/bin/deep/tbot"}
    read_only, file = SCRATCH / "read-only", SCRATCH / "a-file"
    read_only.mkdir()
    file.touch()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", read_only], check=True)
    refused = {
        "tarball to a read-only file system": good | {"tbot_path": f"{read_only}/new/tbot"},
        "tarball below a file": good | {"tbot_path": f"{file}/tbot"},
    }
    os.umask(0o077)
    seen = {
        "tarball into a new directory in check mode": install(new, *CHECK) | {"there": observed_path("/opt/bin")},
        **install_each(refused),
        **{f"{name} in check mode": run for name, run in install_each(refused, *CHECK).items()},
        "tarball into a new directory": install(new) | {"there": observed_path("/opt/bin/deep/tbot")},
        "tarball into a new directory again": install(new) | {"there": observed_path("/opt/bin/deep")},
    }
    os.umask(0o022)
    return seen


def tarball(name: str, files: dict[str, str]) -> str:
    """Makes NAME.tar.gz among what is served, and returns its SHA-256."""
    path = SERVED / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, content in files.items():
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode, entry.uid = len(content.encode()), 0o700, 1234
            archive.addfile(entry, io.BytesIO(content.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def scripts(url: str) -> dict:
    script = f"#!/bin/sh\nset -e\ncat >{TBOT} <<'END'\n{apt_repository.program('18.1.0')}END\nchmod 755 {TBOT}\n"
    (SERVED / "install.sh").write_text(script)
    by_script = {"tbot_install_method": "script", "tbot_install_script_url": f"{url}/install.sh"}
    pinned = by_script | {"tbot_version": "18.1.0", "tbot_install_script_sha256": sha256(script)}
    seen = {
        **install_each({
            "script of nowhere": {"tbot_install_method": "script", "tbot_version": "18.1.0"},
            "script with a wrong sum": pinned | {"tbot_install_script_sha256": "0" * 64},
        }),
        "script in check mode": install(pinned, *CHECK),
        "script": install(pinned),
        "script again": install(by_script),
        "script with another version": install(by_script | {"tbot_version": "18.2.0"}),
    }
    TBOT.write_text("#!/bin/sh\nexit 1\n")  # a program that cannot say its version
    return seen | {"script over a broken program": install(by_script)}


def clusters(repository: dict) -> dict:
    """With the cluster's version, from no program on."""
    subprocess.run(["apt-get", "--quiet", "--yes", "purge", "teleport"], check=True)
    for left in (TBOT, SOURCE, KEY):
        left.unlink(missing_ok=True)
    cluster = Proxy(SCRATCH / "proxy-ca.pem")
    by_cluster = repository | {"tbot_proxy_server": cluster.address, "tbot_proxy_ca_file": str(cluster.ca_file)}
    seen = install_each({
        "no version known": repository | {"tbot_proxy_server": "127.0.0.1:1"},
        "cluster with an unknown CA": repository | {"tbot_proxy_server": cluster.address},
    })
    # The version that agents are to have may be an older one.
    cluster.found = {"server_version": "17.5.2", "auto_update": {"agent_version": "17.5.1"}}
    seen["cluster in check mode"] = install(by_cluster, *CHECK)
    seen["cluster"] = install(by_cluster)
    cluster.found = {"server_version": "17.5.1"}
    cluster.asked = 0
    seen |= install_each({"cluster again": by_cluster, "cluster for another host": by_cluster})
    seen["requests"] = cluster.asked
    cluster.found = {"server_version": "17.5.2"}
    seen["cluster was upgraded"] = install(by_cluster)
    cluster.found = {"server_version": "17.4.10", "min_client_version": "16.0.0-aa"}
    without_ca = {name: value for name, value in by_cluster.items() if name != "tbot_proxy_ca_file"}
    seen |= install_each({"asked without its CA": without_ca, "newer than the cluster": by_cluster})
    cluster.found = {"server_version": "19.1.0", "min_client_version": "18.0.0-aa"}
    seen["older than the cluster"] = install(by_cluster | {"tbot_version": "17.5.2"})
    seen["cluster that is down"] = install(by_cluster | {"tbot_proxy_server": "127.0.0.1:1"})
    return seen


# What the distributions' own files say of them.
MINT = """NAME="Linux Mint"
VERSION="22.1 (Xia)"
ID=linuxmint
ID_LIKE="ubuntu debian"
PRETTY_NAME="Linux Mint 22.1"
VERSION_ID="22.1"
VERSION_CODENAME=xia
UBUNTU_CODENAME=noble
"""
LMDE = """NAME="LMDE"
VERSION="6 (faye)"
ID=linuxmint
ID_LIKE=debian
PRETTY_NAME="LMDE 6 (faye)"
VERSION_ID="6"
VERSION_CODENAME=faye
DEBIAN_CODENAME=bookworm
"""
KALI = """PRETTY_NAME="Kali GNU/Linux Rolling"
NAME="Kali GNU/Linux"
VERSION_ID="2025.3"
VERSION="2025.3"
VERSION_CODENAME=kali-rolling
ID=kali
ID_LIKE=debian
"""
ZORIN = """PRETTY_NAME="Zorin OS 17.2"
NAME="Zorin OS"
VERSION_ID="17"
VERSION="17.2"
VERSION_CODENAME=zorin
ID=zorin
ID_LIKE="ubuntu debian"
UBUNTU_CODENAME=noble
"""


def derivatives(wanted: dict, repository: str) -> dict:
    """On distributions that are made of Debian and Ubuntu, from no program on."""
    def on(text: str, variables: dict, *arguments: str) -> dict:
        subprocess.run(["dpkg", "--purge", "teleport"], check=True)
        for left in (TBOT, SOURCE, KEY):
            left.unlink(missing_ok=True)
        os_release.unlink()
        os_release.write_text(text)
        return install(variables, *arguments)

    os_release = Path("/etc/os-release")
    own = os_release.read_text()
    return {
        "Mint in check mode": on(MINT, wanted, *CHECK),
        "Mint": on(MINT, wanted | {"tbot_repository_url": repository}),
        "LMDE in check mode": on(LMDE, wanted, *CHECK),
        "Zorin": on(ZORIN, wanted | {"tbot_repository_url": repository}),
        "Kali": on(KALI, wanted),
        "Kali in check mode": on(KALI, wanted, *CHECK),
        "repository of nowhere": on(own, wanted | {"tbot_repository_url": f"{repository}/nowhere"}),
    }


@cache
def ansible() -> Installed:
    return in_container(Path(sys.argv[1]))


def install(variables: dict, *arguments: str) -> dict:
    """What a run of the role with these variables does."""
    return install_each({"run": variables}, *arguments)["run"]


def install_each(cases: dict[str, dict], *arguments: str) -> dict:
    """The same of cases that change nothing, so that they can be hosts of one run, all of them this container."""
    hosts = {name: re.sub(r"\W+", "-", name) for name in cases}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = SCRATCH / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {hosts[name]: local | cases[name] for name in cases}}}))
    run = ansible().play(SCRATCH / "install.yml", inventory, SCRATCH / "ansible", *arguments)
    return {name: observe(run, hosts[name]) for name in cases}


def observe(run: Run, host: str) -> dict:
    counts = run.recap.get(host, {})
    version = subprocess.run([TBOT, "version"], capture_output=True, text=True).stdout if TBOT.exists() else ""
    return {
        "failed": counts.get("failed"),
        "changed": counts.get("changed"),
        "tasks": counts.get("ok"),
        "output": run.output,
        "error": "".join(re.findall(rf"^fatal: \[{host}\].*", run.output, re.MULTILINE)),
        "tbot": version.split()[1] if version else None,
        "mode": observed_path(str(TBOT)),
        "source": SOURCE.read_text() if SOURCE.exists() else None,
        "key": KEY.exists(),
        "left": [str(path) for path in Path("/tmp").glob("tbot_install.*")],
    }


def observed_path(path: str) -> str | None:
    """Owner and mode of what is there."""
    done = subprocess.run(["stat", "--format=%U:%G %a", path], capture_output=True, text=True)
    return done.stdout.strip() or None


def sum_of(key: str) -> dict:
    return {"tbot_repository_key_sha256": sha256(key)}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def codename() -> str:
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return release["VERSION_CODENAME"].strip('"')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
