"""A host that is reached over SSH: an OpenSSH server that has a root of its own, this machine's files under a throw-away overlay.

    with SshServer(directory) as server:
        server.variables("first")  # what an inventory says of it
        server.path("etc/tbot.yaml")  # where to look what it has there

Several of them are as many machines: each has its own accounts, processes, name, /etc, /var and home directories. They share this
machine's network, and with it the software TPMs on its loopback. This machine itself gets neither a service nor a user.
"""

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
# Where its users' home directories are.
HOMES = Path("/mnt")
SECURE_PATH = 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'
# On the host, what it has otherwise than this machine.
CHANGES = ".changes"

# Runs with namespaces of its own for mounts, processes and the name, which end with it. Arguments: a folder that is the server's, and
# its name. That folder has what the server's root has otherwise than this machine's.
SERVE = f"""
set -eu
folder=$1 work=$1/work
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"

for directory in mnt home run; do mount -t tmpfs -o mode=0755 tmpfs $directory; done
for directory in tmp var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $directory; done
mount -t tmpfs -o mode=0700 tmpfs root
mount -t proc proc proc
mount -t tmpfs -o mode=0755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir -p dev/pts dev/shm {CHANGES} run/sshd
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --bind "$work/upper" {CHANGES}

echo "$2" >proc/sys/kernel/hostname
cp -a "$folder"/root/. .
mkdir .old
pivot_root . .old
umount -l .old
rmdir .old

cd /
for user in {" ".join(USERS)}; do install --directory --owner="$user" --group="$user" --mode=0700 "{HOMES}/$user"; done
install --directory --mode=1777 {HOMES}/noexec {HOMES}/noacl
mount -t tmpfs -o noexec,mode=1777 tmpfs {HOMES}/noexec
mount -t ramfs -o mode=1777 ramfs {HOMES}/noacl
exec chroot . {SSHD} -D -e -f /etc/ssh/own/config
"""


class NoServer(Exception):
    """A server cannot be started here; the text says why."""


class SshServer:
    """It runs as long as the `with` block. Users log in by a key; `first` becomes anyone by sudo, and root by PASSWORD.

    With FILES, the folder that `changes` of an earlier one was copied to, it begins as that one was then.
    """

    def __init__(self, folder: Path, name: str = "server", files: Path | None = None) -> None:
        self.folder = folder
        self.name = name
        self.files = files
        self.port = loopback.free_port()
        self.log = folder / "log"
        self.key = folder / "key"
        self.known_hosts = folder / "known_hosts"

    def __enter__(self) -> SshServer:
        if os.geteuid() != 0:
            raise NoServer("a server with accounts of its own needs root")
        if not SSHD.exists():
            raise NoServer("openssh-server is not installed; scripts/setup.sh installs it")
        (self.folder / "work").mkdir(parents=True)
        (self.folder / "root").mkdir()
        if self.files:
            subprocess.run(["cp", "-a", f"{self.files}/.", self.folder / "root"], check=True)
        own = self.folder / "root/etc/ssh/own"
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        for key in (self.key, own / "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        if not self.files:
            self._write_accounts()
        for _attempt in range(5):
            self._write_settings(own)
            if self._is_started():
                return self
            self.__exit__()
            # Between being found free and being taken, a port may have become another's, whose server must not be taken for this one.
            if "already in use" not in self.log.read_text():
                break
            self.port = loopback.free_port()
        raise NoServer(f"no SSH server can be started here: {self.log.read_text()}")

    def _is_started(self) -> bool:
        """Starts it, and says whether it listens by its own word."""
        # The kernel ends it with its parent, should that be killed before it can clean up.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--uts", "--pid", "--fork"]
        command += ["--kill-child", "sh", "-c", SERVE, "serve", str(self.folder), self.name]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while f"Server listening on 127.0.0.1 port {self.port}." not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return loopback.wait_for_ssh(self.port, lambda: self.process.poll() is None, 20)

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()  # which unshare passes on; it ignores a request to end
        self.process.wait()

    def _write_accounts(self) -> None:
        etc = self.folder / "root/etc"
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
        lines = {name: Path("/etc", name).read_text().splitlines() for name in ("passwd", "group", "shadow")}
        for name in lines:
            lines[name] = [line for line in lines[name] if line.split(":")[0] not in USERS]
        for user, number in USERS.items():
            lines["passwd"].append(f"{user}:x:{number}:{number}::{HOMES}/{user}:/bin/sh")
            lines["group"].append(f"{user}:x:{number}:")
            lines["shadow"].append(f"{user}:{hashed if user == 'root' else '*'}:19000:0:99999:7:::")
        lines["hosts"] = ["127.0.0.1 localhost", f"127.0.1.1 {self.name}"]
        if has_sudo():
            lines["sudoers"] = [SECURE_PATH, "root ALL=(ALL:ALL) ALL", "first ALL=(ALL:ALL) NOPASSWD: ALL"]
        for name, text in lines.items():
            (etc / name).write_text("\n".join(text) + "\n")
            (etc / name).chmod(0o440 if name == "sudoers" else 0o600 if name == "shadow" else 0o644)

    def _write_settings(self, own: Path) -> None:
        (own / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        (own / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey /etc/ssh/own/host_key\nPidFile none\nUsePAM no\n"
            "AuthorizedKeysFile /etc/ssh/own/authorized_keys\nAuthenticationMethods publickey\nStrictModes no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nLogLevel VERBOSE\nMaxStartups 100\n"
        )
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {(own / 'host_key.pub').read_text()}")

    def variables(self, user: str) -> dict[str, object]:
        """What an inventory says of a host that is this server, where this user logs in. OpenSSH looks for the files that users have
        in the home directory that /etc/passwd names, so that these have to be named."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-F /dev/null -o UserKnownHostsFile={self.known_hosts}",
            # Its sockets have short names, and end with the server.
            "ansible_control_path_dir": str(self.folder / "cp"),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    @property
    def _inside(self) -> str:
        """The process that is the first of its own."""
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]

    def path(self, path: str) -> Path:
        """Where this machine's root finds a path of the server. Links are followed on this machine."""
        return Path(f"/proc/{self._inside}/root", path.lstrip("/"))

    @property
    def changes(self) -> Path:
        """What it has otherwise than this machine, but for /home, /root, /run, /tmp and the like, where it has nothing of this one."""
        return self.path(CHANGES)

    def run(self, script: str) -> str:
        """What a script prints that root runs where the server is, by a way of its own."""
        command = ["nsenter", "--target", self._inside, "--mount", "--pid", "--uts", "sh", "-c", script]
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
