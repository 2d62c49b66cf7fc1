"""The SSH server that stands for a user's host: it is as another machine, whatever happens to this one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import loopback
import needs
import pytest
import ssh_server
from ssh_server import NoServer, SshServer

# Runs on a machine that may be changed: it starts a server there, and adds an account as useradd does, by a rename over /etc/passwd.
ADDS_AN_ACCOUNT = """
import os, subprocess, sys
from pathlib import Path

sys.path.insert(0, "/run/scripts")
from ssh_server import NoServer, SshServer

def log_in(server):
    command = ["ssh", "-F", "/dev/null", "-o", f"UserKnownHostsFile={server.known_hosts}", "-i", server.key, "-p", str(server.port)]
    done = subprocess.run([*command, "first@127.0.0.1", "id -un; tail -n 1 /etc/passwd"], capture_output=True, text=True)
    print(done.stdout, done.stderr)

try:
    with SshServer(Path("/run/inner")) as server:
        log_in(server)
        passwd = Path("/etc/passwd")
        new = Path("/etc/passwd+")
        new.write_text(passwd.read_text() + "late:x:61009:61009::/:/bin/sh\\n")
        os.rename(new, passwd)
        print(subprocess.run(["id", "-un", "late"], capture_output=True, text=True).stdout)
        log_in(server)
except NoServer as why:
    print("no server:", why)
"""


@pytest.fixture
def machine(tmp_path: Path):
    try:
        with SshServer(tmp_path / "outer", "outer") as server:
            yield server
    except NoServer as why:
        needs.root_missing(str(why))


def test_an_account_that_is_added_to_the_machine_takes_no_servers_accounts_away(machine: SshServer):
    scripts = machine.path("run/scripts")
    scripts.mkdir()
    for module in (ssh_server, loopback):
        shutil.copy(module.__file__, scripts)
    (scripts / "adds_an_account.py").write_text(ADDS_AN_ACCOUNT)
    said = machine.run("/usr/bin/python3 /run/scripts/adds_an_account.py")
    if "no server:" in said:
        pytest.skip(f"a server cannot be started on a server here: {said}")
    last = "second:x:61002:61002::/mnt/second:/bin/sh"
    assert said.split() == ["first", last, "late", "first", last]


def test_nothing_that_is_done_on_it_reaches_this_machine(machine: SshServer):
    machine.run("touch /etc/of-the-server /usr/local/bin/of-the-server /var/lib/of-the-server")
    assert machine.path("etc/of-the-server").exists()
    assert not any(Path(folder, "of-the-server").exists() for folder in ("/etc", "/usr/local/bin", "/var/lib"))
    assert {str(path.relative_to(machine.changes)) for path in machine.changes.rglob("of-*")} == {
        "etc/of-the-server", "usr/local/bin/of-the-server", "var/lib/of-the-server",
    }  # fmt: skip


def test_a_server_of_another_on_its_port_is_not_taken_for_it(machine: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    free_port, taken = loopback.free_port, iter([machine.port])
    monkeypatch.setattr(loopback, "free_port", lambda: next(taken, None) or free_port())
    with SshServer(tmp_path / "other", "other") as other:
        assert other.port != machine.port
        command = ["ssh", "-F", "/dev/null", "-o", f"UserKnownHostsFile={other.known_hosts}", "-i", other.key, "-p", str(other.port)]
        said = subprocess.run([*command, "first@127.0.0.1", "uname -n"], capture_output=True, text=True)
        assert said.stdout == "other\n", said
