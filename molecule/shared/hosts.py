"""What machines and containers have in common: where they are kept, how one gets in, and the inventory that says so."""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT / "molecule" / "shared"
KEPT = PROJECT / ".cache" / "molecule"
KEY = KEPT / "ssh_key"

sys.path.insert(0, str(PROJECT / "scripts"))
from loopback import free_port, wait_for_ssh  # noqa: E402, F401 - for the modules beside this one

# Keys of hosts made a minute ago prove nothing. A host that answers no more is given up after half a minute.
SSH_ARGS = (
    "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR -o IdentitiesOnly=yes"
    " -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps other runs in the same checkout away from the folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def port_is_free(port: int) -> bool:
    """Whether a server could be started on that port of 127.0.0.1."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def inventory(group: str, ports: dict[str, int], variables: dict[str, dict] | None = None) -> str:
    """What an Ansible inventory script prints (JSON, so YAML as well): hosts by name and SSH port, with the VARIABLES that
    single hosts have besides. Their group's are in group_vars/GROUP.yml."""
    hostvars = {name: {"ansible_port": port, **(variables or {}).get(name, {})} for name, port in ports.items()}
    common = {
        "ansible_host": "127.0.0.1",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(KEY),
        "ansible_ssh_common_args": SSH_ARGS,
        "ansible_remote_tmp": "/root/.ansible/tmp",
        "ansible_python_interpreter": "/usr/bin/python3",
        "molecule_kept": str(KEPT),
    }
    # In a group of their own: this host, which plays name localhost, is in `all` too.
    return json.dumps({"_meta": {"hostvars": hostvars}, group: {"hosts": sorted(ports), "vars": common}}, indent=2)
