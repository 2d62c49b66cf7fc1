"""One exchange with a host: what is kept there, by whom it is used, and what happens where that cannot be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from ansible_runs import BINARY
from installed import Installed
from plugin_runs import Plays, call
from ssh_server import HOMES, PASSWORD, NoServer, SshServer, has_sudo

SUM = hashlib.sha256(BINARY.read_bytes()).hexdigest() if BINARY.exists() else ""
SECRET = "hunter2-in-a-request"
SUDO = {"become": True, "become_method": "ansible.builtin.sudo"}
TASK = call(action="service", name="no-such-unit")
CACHE = {"first": f"{HOMES}/first/.ansible/tmp/tbot_tpm", "root": "/root/.ansible/tmp/tbot_tpm"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    try:
        with SshServer(tmp_path / "ssh") as server:
            # A home directory of root's own, as on a machine.
            yield server
    except NoServer as why:
        needs.root_missing(str(why))


def plays(server: SshServer, tmp_path: Path, ansible: Installed, user: str = "first", **more: object) -> Plays:
    return Plays(tmp_path / "run", {user: server.variables(user) | more}, ansible)


def works(runs: Plays, *arguments: str, **task: object) -> int:
    """Runs a task that answers, and says how many commands it took on the host."""
    result = next(iter(runs.run([TASK | task], "-vvv", *arguments).values()))
    assert result["failed"] is False and result["exists"] is False, result
    return runs.output.count(" SSH: EXEC ssh ")


def kept(server: SshServer, folder: str) -> list[str]:
    return server.run(f"ls -A {folder} 2>/dev/null || true").split()


@pytest.mark.parametrize("pipelining", [True, False])
def test_the_second_task_takes_one_exchange(pipelining: bool, server: SshServer, tmp_path: Path, ansible: Installed):
    runs = plays(server, tmp_path, ansible, ansible_pipelining=pipelining)
    # Missing, sent, and run.
    assert works(runs) == 3
    assert works(runs) == 1
    assert kept(server, CACHE["first"]) == [SUM]
    assert server.run(f"stat -c '%U %a' {CACHE['first']} {CACHE['first']}/{SUM}").split() == ["first", "700", "first", "700"]
    assert server.left_behind() == ""


def test_whoever_runs_it_has_a_cache_of_their_own(server: SshServer, tmp_path: Path, ansible: Installed):
    if not has_sudo():
        pytest.skip("sudo is not installed; scripts/setup.sh installs it")
    runs = plays(server, tmp_path, ansible)
    for more, user in [({}, "first"), (SUDO | {"become_user": "second"}, "second"), (SUDO, "root")]:
        works(runs, **more)
        assert works(runs, **more) == 1
        home = server.run(f"getent passwd {user} | cut -d: -f6").strip()
        assert server.run(f"stat -c %U {home}/.ansible/tmp/tbot_tpm/{SUM}").strip() == user


@pytest.mark.parametrize(("damage", "is_mended"), [
    ("truncate -s 1000 {binary}", True),
    ("printf x | dd of={binary} bs=1 seek=100 conv=notrunc", True),
    ("rm {binary}; ln -s /bin/true {binary}", True),
    ("rm {binary}; mkdir {binary}", False),
    ("chmod 0755 {folder}", False),
    ("chown second {folder}", False),
    ("mv {folder} {folder}.real; ln -s {folder}.real {folder}", False),
], ids=["truncated", "changed", "link", "directory", "mode", "owner", "linked folder"])  # fmt: skip
def test_what_nobody_can_vouch_for_is_not_run(damage: str, is_mended: bool, server: SshServer, tmp_path: Path, ansible: Installed):
    runs = plays(server, tmp_path, ansible)
    works(runs)
    server.run("set -e; " + damage.format(folder=CACHE["first"], binary=f"{CACHE['first']}/{SUM}"))
    before = server.run(f"stat -c '%U %a %F' {CACHE['first']}")
    works(runs)
    assert (works(runs) == 1) is is_mended
    assert server.run(f"stat -c '%U %a %F' {CACHE['first']}") == before
    assert server.left_behind() == ""


def test_older_binaries_go_and_half_written_ones(server: SshServer, tmp_path: Path, ansible: Installed):
    server.run(f"install -d -o first -m 0700 {HOMES}/first/.ansible {HOMES}/first/.ansible/tmp {CACHE['first']}")
    server.run(f"cd {CACHE['first']} && echo >{'ab' * 32} && echo >.new.1 && touch -d '2 hours ago' .new.1 && echo >.new.2")
    works(plays(server, tmp_path, ansible))
    assert kept(server, CACHE["first"]) == [".new.2", SUM]


def test_a_full_disk_leaves_nothing_half_written(server: SshServer, tmp_path: Path, ansible: Installed):
    full = f"{HOMES}/first/full"
    server.run(f"mkdir -p {full} && mount -t tmpfs -o size=2m,mode=1777 tmpfs {full}")
    runs = plays(server, tmp_path, ansible, ansible_remote_tmp=f"{full}/tmp")
    result = next(iter(runs.run([TASK]).values()))
    assert result["failed"] is True and "gave no answer" not in result["msg"], result
    assert kept(server, f"{full}/tmp/tbot_tpm") == []


def test_two_tasks_that_both_find_it_missing(server: SshServer, tmp_path: Path, ansible: Installed):
    hosts = {f"name-{number}": server.variables("first") for number in range(4)}
    runs = Plays(tmp_path / "run", hosts, ansible)
    assert [result["failed"] for result in runs.run([TASK], "--forks=4").values()] == [False] * 4
    assert kept(server, CACHE["first"]) == [SUM]


def test_a_host_that_becomes_another_machine_gets_no_binary_of_the_former(server: SshServer, tmp_path: Path, ansible: Installed):
    runs = plays(server, tmp_path, ansible)
    works(runs)
    server.run("mv /usr/bin/uname /usr/bin/uname.real")
    server.run("printf '#!/bin/sh\\necho Linux riscv64\\n' >/usr/bin/uname; chmod 755 /usr/bin/uname")
    result = next(iter(runs.run([TASK]).values()))
    assert result["error"]["kind"] == "not_found" and "riscv64" in result["msg"]
    server.run("mv /usr/bin/uname.real /usr/bin/uname")
    assert works(runs) == 1


def test_a_greeting_is_no_part_of_an_answer(server: SshServer, tmp_path: Path, ansible: Installed):
    server.run(f"usermod --shell /bin/bash first; echo 'echo Welcome; echo {{}}; echo missing' >>{HOMES}/first/.bashrc")
    runs = plays(server, tmp_path, ansible)
    works(runs)
    assert works(runs) == 1


def test_the_last_request_takes_the_cache_away(server: SshServer, tmp_path: Path, ansible: Installed):
    runs = plays(server, tmp_path, ansible, __tbot_is_last_request=True)
    for _ in range(2):
        assert works(runs) == 3
        assert server.run(f"ls -A {HOMES}/first/.ansible/tmp") == ""


@pytest.mark.parametrize(("settings", "variables"), [
    ("", {"tbot_tpm_cache": False}),
    ("", {"tbot_tpm_cache": "no"}),
    ("", {"ansible_remote_tmp": f"{HOMES}/noexec/first"}),
    ("", {"ansible_remote_tmp": "$HOME/elsewhere"}),
    ("Defaults requiretty", {}),
    ("Defaults:first authenticate", {"ansible_become_password": PASSWORD}),
], ids=["off", "off by text", "noexec", "variable", "requiretty", "password"])  # fmt: skip
def test_every_other_way_still_works(settings: str, variables: dict, server: SshServer, tmp_path: Path, ansible: Installed):
    if not has_sudo():
        pytest.skip("sudo is not installed; scripts/setup.sh installs it")
    if settings:
        server.run(f"echo '{settings}' >>/etc/sudoers")
    if "noexec" in str(variables):
        variables = variables | {"ansible_system_tmpdirs": [f"{HOMES}/first"]}
        result = next(iter(plays(server, tmp_path, ansible, **variables).run([TASK]).values()))
        assert result["error"]["kind"] == "permission_denied" and "noexec" in result["msg"], result
        return
    works(plays(server, tmp_path, ansible, **variables), **SUDO)
    assert server.left_behind() == ""


def test_nothing_secret_is_in_files_or_command_lines(server: SshServer, tmp_path: Path, ansible: Installed):
    runs = plays(server, tmp_path, ansible)
    task = call(action="config", path=f"{HOMES}/first/tbot.yaml", onboarding={"registration_secret": SECRET}) | {"no_log": True}
    for _ in range(2):
        runs.run([task], "-vvvv")
        assert SECRET not in runs.output and SECRET not in server.log.read_text()
    found = server.run(f"grep --recursive --files-with-matches {SECRET} {HOMES} /tmp /var/tmp /root || true").split()
    assert set(found) <= {f"{HOMES}/first/tbot.yaml"}, found
