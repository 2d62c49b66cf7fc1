"""What the roles and playbooks run where, as their files say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ansible_runs
import yaml

# The modules that the roles run on hosts, and arguments by which each can be run.
STOCK_MODULES = {
    "apt": {"name": "no-such-package"},
    "command": {"argv": ["true"]},
    "copy": {"content": "", "dest": "/etc/own"},
    "dnf": {"name": "no-such-package", "use_backend": "dnf4"},
    "file": {"path": "/etc/own", "state": "touch"},
    "find": {"paths": "/etc/ssh"},
    "get_url": {"url": "http://127.0.0.1:1/", "dest": "/etc/own"},
    "rpm_key": {"key": "/etc/own", "state": "present"},
    "setup": {"gather_subset": ["!all"]},
    "stat": {"path": "/etc"},
    "tempfile": {},
    "unarchive": {"src": "/etc/own", "dest": "/etc", "remote_src": True},
    "yum_repository": {"name": "own", "description": "own", "baseurl": "http://127.0.0.1:1/"},
}


def tasks(within: object = None) -> Iterator[dict]:
    """Every task and handler of the collection's roles and playbooks."""
    if within is None:
        for folder in ("roles/*/tasks", "roles/*/handlers", "playbooks", "playbooks/parts", "playbooks/tasks"):
            for path in sorted(Path(ansible_runs.COLLECTION).glob(f"{folder}/*.yml")):
                yield from tasks(yaml.safe_load(path.read_text()))
    elif isinstance(within, list):
        for item in within:
            yield from tasks(item)
    elif isinstance(within, dict):
        inner = [within[name] for name in ("tasks", "block", "rescue", "always") if name in within]
        if inner:
            yield from tasks(inner)
        else:
            yield within
