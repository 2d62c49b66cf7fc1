"""Sets hosts up over ssh, runs one task on one of them, and writes the seconds to RESULTS/seen.json. Started by over_ssh.py
in a throw-away container.

The hosts are the container itself, by one sshd. A relay for each makes the way to it long, and each has a login user of its own,
who becomes root by sudo.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import set_up  # which also sets the path for the next ones

# isort: split
import ansible_runs
import loopback
import measure
import yaml
from ansible_runs import Ansible
from relay import Relay
from software_tpm import SoftwareTpms

HOSTS = [f"host-{number:02}" for number in range(1, 21)]
ROUNDS = 3
ROUND_TRIP = "20ms"
BANDWIDTH = "100Mbit"
# One task of ours, and one of Ansible's that does about as little. As many of them in a play as make a play's start small.
TASKS = {
    "tbot_tpm": {"tbot.tpm.tbot_tpm": {"action": "identify", "tcti": "{{ tbot_tcti }}"}},
    "stat": {"ansible.builtin.stat": {"path": "/etc/hostname"}},
}
REPEATED = 5


class SshServer:
    """This machine's sshd as a service, with keys of its own, and users who log in by a key and become root by sudo."""

    def __init__(self, folder: Path, users: list[str]) -> None:
        folder.mkdir()
        self.port = loopback.free_port()
        self.key = folder / "key"
        self.host_key = folder / "host_key"
        for key in (self.key, self.host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        for user in users:
            self.add_user(user)
        settings = folder / "sshd_config"
        settings.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.host_key}\nUsePAM yes\nPasswordAuthentication no\n"
            "Subsystem sftp internal-sftp\n"
        )
        # Until this one has started, pam_nologin(8) lets only root in: the container boots no further than the benchmark.
        subprocess.run(["systemctl", "start", "systemd-user-sessions.service"], check=True)
        service = ["--quiet", "--unit=bench-sshd.service", "--property=RuntimeDirectory=sshd"]
        subprocess.run(["systemd-run", *service, "/usr/sbin/sshd", "-D", "-f", settings], check=True)
        assert loopback.wait_for_ssh(self.port, lambda: True, 60), "sshd does not answer"

    def add_user(self, name: str) -> None:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
        settings = Path("/home", name, ".ssh")
        subprocess.run(["install", "-d", "-m", "0700", "-o", name, "-g", name, settings], check=True)
        public = self.key.with_suffix(".pub")
        subprocess.run(["install", "-m", "0600", "-o", name, "-g", name, public, settings / "authorized_keys"], check=True)
        rule = Path("/etc/sudoers.d", name)
        rule.write_text(f"{name} ALL=(ALL:ALL) NOPASSWD: ALL\n")
        rule.chmod(0o440)

    def known_host(self, port: int) -> str:
        """The line of known_hosts for it, where it is reached by another port."""
        return f"[127.0.0.1]:{port} {self.host_key.with_suffix('.pub').read_text()}"


class OverSsh(set_up.Bench):
    """Hosts that are reached by ssh, each by a relay."""

    def __init__(self, scratch: Path, ansible: Ansible, tpms: SoftwareTpms, relays: dict[str, Relay]) -> None:
        self.relays = relays
        self.ports = {host: relay.port for host, relay in relays.items()}
        self.server = scratch / "ssh"
        super().__init__(scratch, list(relays), ansible, tpms)

    def variables(self) -> dict[str, object]:
        options = f"-F /dev/null -o UserKnownHostsFile={self.server}/known_hosts -o StrictHostKeyChecking=yes"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_user": "login-{{ inventory_hostname }}",
            "ansible_ssh_private_key_file": str(self.server / "key"),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_pipelining": True,
        }

    def host_variables(self, host: str) -> dict[str, object]:
        return {"ansible_port": self.ports[host]}

    def timed(self, playbook: str | Path, *arguments: str) -> tuple[float, ansible_runs.Run]:
        """As with others; each run begins without a connection, as most of a user's do."""
        for socket in self.control_sockets():
            subprocess.run(["ssh", "-O", "exit", "-S", socket, "ignored"], check=True, stderr=subprocess.DEVNULL)
        timed = super().timed(playbook, *arguments)
        assert self.control_sockets(), "no connection was kept for the next task"
        return timed

    def carried(self) -> int:
        return sum(relay.carried() for relay in self.relays.values())

    def of_first(self, number: int) -> dict[str, object]:
        """What it takes to set the first hosts up."""
        self.hosts, self.arguments = HOSTS[:number], ("--limit", ",".join(HOSTS[:number]))
        return {"hosts": number, "times": self.measure(ROUNDS)}

    def control_sockets(self) -> list[Path]:
        return list(Path(self.ansible.settings["ANSIBLE_HOME"], "cp").glob("*"))

    def measure_task(self, rounds: int) -> dict[str, list[float]]:
        """Seconds of one task, by its name."""

        def seconds(name: str) -> float:
            alone, with_more = (self.timed(plays[name, times], "--limit", HOSTS[0])[0] for times in (1, 1 + REPEATED))
            return (with_more - alone) / REPEATED

        plays = {(name, times): self.play_of(name, times) for name in TASKS for times in (1, 1 + REPEATED)}
        return measure.interleaved({name: lambda name=name: seconds(name) for name in TASKS}, rounds)

    def play_of(self, name: str, times: int) -> Path:
        path = self.scratch / f"{name}-{times}.yml"
        tasks = [{"name": f"Repeat {number}"} | TASKS[name] for number in range(times)]
        path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}]))
        return path


def installed(folder: Path) -> Ansible:
    """Ansible with its default configuration, for a user with the home directory FOLDER, who has installed the collection."""
    folder.mkdir()
    (folder / "ansible.cfg").touch()
    ansible = Ansible(
        folder=folder,
        settings={
            "HOME": str(folder),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            # These are the defaults, in the place of what ansible_runs sets.
            "ANSIBLE_HOME": str(folder / ".ansible"),
            "ANSIBLE_LOCAL_TEMP": str(folder / ".ansible" / "tmp"),
            "ANSIBLE_REMOTE_TMP": "~/.ansible/tmp",
            "ANSIBLE_ASYNC_DIR": "~/.ansible_async",
        },
        module="tbot.tpm.tbot_tpm",
        playbooks="tbot.tpm.{}",
    )
    done = ansible.run(folder, "ansible-galaxy", "collection", "install", str(ansible_runs.COLLECTION))
    assert done.returncode == 0, done.output
    return ansible


def main(results: Path) -> None:
    scratch = Path("/tmp/bench")
    scratch.mkdir()
    server = SshServer(scratch / "ssh", [f"login-{host}" for host in HOSTS])
    with SoftwareTpms(scratch / "tpms") as tpms, ExitStack() as stack:
        relays = {
            host: stack.enter_context(Relay(f"127.0.0.1:{server.port}", ROUND_TRIP, BANDWIDTH)) for host in HOSTS
        }
        known = "".join(server.known_host(relay.port) for relay in relays.values())
        (scratch / "ssh" / "known_hosts").write_text(known)
        bench = OverSsh(scratch, installed(scratch / "home"), tpms, relays)
        seen = {
            "rounds": ROUNDS,
            "round_trip": ROUND_TRIP,
            "bandwidth": BANDWIDTH,
            "set_ups": [bench.of_first(number) for number in (4, len(HOSTS))],
            "task": bench.measure_task(ROUNDS),
        }
    (results / "seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
