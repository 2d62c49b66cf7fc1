"""A fleet whose hosts are machines of their own, reached over SSH as users reach theirs: by a user who becomes root by sudo."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import needs
import pytest
from fleet import Fleet
from installed import Installed
from software_tpm import SoftwareTpm
from ssh_server import CHANGES, NoServer, SshServer, has_sudo

LOGIN = "first"
# What is no role's: of the server itself, and what those who log in leave.
OWN = ("etc/ssh", "var/log", "var/lib/sudo", CHANGES)


class SshFleet(Fleet):
    """Its hosts run as long as the `with` block. With AS_KEPT, a folder that `keep` filled, they begin as those were then."""

    def __init__(self, root: Path, tpms: dict[str, SoftwareTpm], ansible: Installed, as_kept: Path | None = None) -> None:
        self.servers = {
            host: SshServer(root.with_name(f"{root.name}-hosts") / host, host, as_kept and as_kept / "hosts" / host) for host in tpms
        }
        self.as_kept = as_kept
        self._running = ExitStack()
        super().__init__(root, tpms, ansible)

    def make_hosts(self) -> None:
        self.root.mkdir(parents=True)
        if self.as_kept:
            subprocess.run(["cp", "-a", f"{self.as_kept}/controller/.", self.root], check=True)

    def __enter__(self) -> SshFleet:
        with ExitStack() as stack:
            for server in self.servers.values():
                server.folder.mkdir(parents=True)
                stack.enter_context(server)
            self._running = stack.pop_all()
        self._write_ssh_files()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._running.close()
        # The sockets of connections that Ansible keeps. The next fleet has other servers by these names.
        shutil.rmtree(self.ansible.home / ".ansible/cp", ignore_errors=True)

    def _write_ssh_files(self) -> None:
        """As a user has them who was there before: how each host is reached by its name, and its key."""
        folder = self.ansible.home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        known = "".join(server.known_hosts.read_text() for server in self.servers.values())
        (folder / "known_hosts").write_text(known)
        entries = [
            f"Host {host}\n HostName 127.0.0.1\n Port {server.port}\n User {LOGIN}\n IdentityFile {server.key}\n"
            for host, server in self.servers.items()
        ]
        (folder / "config").write_text("".join(entries))

    def keep(self, folder: Path) -> None:
        """Copies what the hosts and the controller have now."""
        (folder / "hosts").mkdir(parents=True)
        subprocess.run(["cp", "-a", self.root, folder / "controller"], check=True)
        for host, server in self.servers.items():
            subprocess.run(["cp", "-a", server.changes, folder / "hosts" / host], check=True)

    def common_variables(self) -> dict[str, object]:
        return {
            "ansible_python_interpreter": "/usr/bin/python3",
            # There is no systemd, and nothing to install from.
            "tbot_manage_service": False,
            "tbot_install_method": "none",
            "tbot_apply_token": False,
        }

    def host_path(self, host: str, path: str = ".") -> Path:
        return self.servers[host].path(path)

    def path_there(self, _host: str, path: str) -> str:
        return f"/{path}"

    def files(self) -> dict[str, bytes]:
        """Everything that is below the controller's folder, and what the hosts have otherwise than this machine (folders that it
        does not have as empty values)."""
        found = super().files()
        for host, server in self.servers.items():
            for path in sorted(server.changes.rglob("*")):
                name = str(path.relative_to(server.changes))
                if not name.startswith(OWN) and not (path.is_dir() and Path("/", name).is_dir()):
                    found[f"{host}:{name}"] = path.read_bytes() if path.is_file() else b""
        return found


@contextmanager
def running(fleet: SshFleet) -> Iterator[SshFleet]:
    """The fleet as long as the `with` block; skips the test where there can be no such hosts."""
    if not has_sudo():
        pytest.skip("sudo is not installed; scripts/setup.sh installs it")
    with ExitStack() as stack:
        try:
            stack.enter_context(fleet)
        except NoServer as why:
            needs.root_missing(str(why))
        yield fleet
