"""An OpenSSH server of the tests' own, with accounts of its own: this machine gets neither a service nor a user."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import loopback

SSHD = Path("/usr/sbin/sshd")
PASSWORD = "of root, in the server's own accounts only"
USERS = {"root": 0, "first": 61001, "second": 61002}
# Where the accounts are, and everything else that only those who log in see.
HOMES = Path("/mnt")

# Runs with namespaces of its own for mounts and processes, which end with it. Argument: a folder with etc/passwd and the like.
SERVE = f"""
set -eu
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount -t tmpfs -o mode=0755 tmpfs {HOMES}
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
for file in "$1"/etc/*; do mount --bind "$file" "/etc/${{file##*/}}"; done
cp "$1/key.pub" {HOMES}/authorized_keys
for user in {" ".join(USERS)}; do install --directory --owner="$user" --group="$user" --mode=0700 "{HOMES}/$user"; done
install --directory --mode=1777 {HOMES}/noexec {HOMES}/noacl
mount -t tmpfs -o noexec,mode=1777 tmpfs {HOMES}/noexec
mount -t ramfs -o mode=1777 ramfs {HOMES}/noacl
exec {SSHD} -D -e -f "$1/sshd_config"
"""


class NoServer(Exception):
    """A server cannot be started here; the text says why."""


class SshServer:
    """It runs as long as the `with` block. Users log in by a key; `first` becomes anyone by sudo, and root by PASSWORD."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = loopback.free_port()
        self.log = folder / "log"

    def __enter__(self) -> SshServer:
        if os.geteuid() != 0:
            raise NoServer("a server with accounts of its own needs root")
        if not SSHD.exists():
            raise NoServer("openssh-server is not installed; scripts/setup.sh installs it")
        for name in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        self._write_accounts()
        self._write_settings()
        # The kernel ends it with its parent, should that be killed before it can clean up.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork"]
        command += ["--kill-child", "--mount-proc", "sh", "-c", SERVE, "serve", str(self.folder)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if not loopback.wait_for_ssh(self.port, lambda: self.process.poll() is None, 20):
            self.__exit__()
            raise NoServer(f"no SSH server can be started here: {self.log.read_text()}")
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()  # which unshare passes on; it ignores a request to end
        self.process.wait()

    def _write_accounts(self) -> None:
        etc = self.folder / "etc"
        etc.mkdir()
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
        lines = {name: Path("/etc", name).read_text().splitlines() for name in ("passwd", "group", "shadow")}
        for name in lines:
            lines[name] = [line for line in lines[name] if line.split(":")[0] not in USERS]
        for user, number in USERS.items():
            lines["passwd"].append(f"{user}:x:{number}:{number}::{HOMES}/{user}:/bin/sh")
            lines["group"].append(f"{user}:x:{number}:")
            lines["shadow"].append(f"{user}:{hashed if user == 'root' else '*'}:19000:0:99999:7:::")
        lines["sudoers"] = ["root ALL=(ALL:ALL) ALL", "first ALL=(ALL:ALL) NOPASSWD: ALL"]
        for name, text in lines.items():
            (etc / name).write_text("\n".join(text) + "\n")
            (etc / name).chmod(0o440 if name == "sudoers" else 0o600 if name == "shadow" else 0o644)
        if not Path("/etc/sudoers").exists():
            (etc / "sudoers").unlink()

    def _write_settings(self) -> None:
        (self.folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host_key\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {HOMES}/authorized_keys\nAuthenticationMethods publickey\nStrictModes no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nLogLevel VERBOSE\nMaxStartups 100\n"
        )
        host_key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")

    def variables(self, user: str) -> dict[str, object]:
        """What an inventory says of a host that is this server, where this user logs in."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_ssh_common_args": f"-F /dev/null -o UserKnownHostsFile={self.folder}/known_hosts -o StrictHostKeyChecking=yes",
            # Its sockets have short names, and end with the server.
            "ansible_control_path_dir": str(self.folder / "cp"),
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_remote_tmp": "~/.ansible/tmp",
            "ansible_async_dir": "~/.ansible_async",
        }

    def run(self, script: str) -> str:
        """What a script prints that root runs where the server is, by a way of its own."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        command = ["nsenter", "--target", children[0], "--mount", "--pid", "sh", "-c", script]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def left_behind(self) -> str:
        """What of Ansible's is still on the host: temporary directories, and processes of a module."""
        return self.run(
            f"find {HOMES} /var/tmp -name 'ansible-tmp-*'; "
            "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep 'tbot_tpm[_]' || true"
        )

    def wait_until_clean(self, seconds: float = 30) -> str:
        """The same, after as long a wait as tasks in the background take to clean up."""
        deadline = time.monotonic() + seconds
        while (left := self.left_behind()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


def has_sudo() -> bool:
    return shutil.which("sudo") is not None
