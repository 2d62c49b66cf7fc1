"""One exchange with a host: what is kept there, by whom it is used, and what happens where that cannot be."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from ansible_runs import BINARY, COLLECTION
from installed import Installed
from plugin_runs import Plays, call
from ssh_server import HOMES, PASSWORD, NoServer, SshServer, has_sudo

sys.path.insert(0, str(COLLECTION / "plugins" / "plugin_utils"))
import transport  # it imports nothing of Ansible's

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


class Shell:
    """A host that is this machine, with a home directory of its own and programs that stand before others."""

    def __init__(self, folder: Path) -> None:
        self.home, self.programs = folder / "home", folder / "programs"
        self.home.mkdir()
        self.programs.mkdir()
        self.environment = {"HOME": str(self.home), "PATH": f"{self.programs}:{os.environ['PATH']}"}
        self.program = b"#!/bin/sh\numask; cat; echo; echo goodbye\n"

    def execute(self, command: str, data: bytes) -> dict:
        done = subprocess.run(["/bin/sh", "-c", command], input=data, capture_output=True, env=self.environment, cwd=self.home)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    def before(self, program: str, what: str, times: int = 1) -> None:
        """Does something after the first calls of a program."""
        real = subprocess.run(["which", program], capture_output=True, text=True, check=True).stdout.strip()
        file, count = self.programs / program, self.programs / f"{program}.calls"
        file.write_text(f'#!/bin/sh\n{real} "$@"; r=$?; echo >>{count}; [ $(wc -l <{count}) != {times} ] || {{ {what}; }}; exit $r\n')
        file.chmod(0o755)

    def cache(self, remote_tmp: str = "~/.ansible/tmp"):
        system = " ".join([os.uname().sysname, os.uname().machine])
        packed = {True: gzip.compress(self.program), False: self.program}
        return transport.Cache(self.execute, remote_tmp, {system: (hashlib.sha256(self.program).hexdigest(), packed.__getitem__)})


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_the_binary_gets_the_request_alone_and_the_users_umask(shell: Shell):
    before = os.umask(0o027)
    try:
        rc, said, _errors = shell.cache().ask({"a": 1})
    finally:
        os.umask(before)
    assert (rc, said.split()) == (0, ["0027", '{"a":', "1}", "goodbye"])
    assert transport.as_json('{"a": 1}\ngoodbye') == {"a": 1}
    for text in ("", "goodbye", "[" * 200000, '{"a": NaN}', "[1]"):
        assert transport.as_json(text) is None


@pytest.mark.parametrize("program", ["mkdir", "stat"])
def test_a_folder_that_is_exchanged_meanwhile_is_neither_used_nor_changed(program: str, shell: Shell, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / ("ab" * 32)).touch()
    folder = shell.home / ".ansible" / "tmp" / "tbot_tpm"
    # The first mkdir is that of the folders above, and the first stat that of the home directory.
    shell.before(program, f"mv {folder} {folder}.old; ln -s {victim} {folder}", times=2)
    with pytest.raises(transport.Unusable):
        shell.cache().ask({})
    assert [file.name for file in victim.iterdir()] == ["ab" * 32] and victim.stat().st_mode & 0o7777 == 0o700


def test_folders_are_made_in_a_home_directory_of_ones_own_alone(shell: Shell, tmp_path: Path):
    with pytest.raises(transport.Unusable) as why:
        shell.cache(str(tmp_path / "there" / "is" / "none")).ask({})
    assert not why.value.lasts and not (tmp_path / "there").exists()
    for home in (None, "", "relative"):
        shell.environment = {"PATH": os.environ["PATH"]} | ({"HOME": home} if home is not None else {})
        with pytest.raises(transport.Unusable):
            shell.cache().ask({})
    assert list(shell.home.iterdir()) == [] and not Path("/.ansible").exists()


def test_what_is_not_ours_stays_in_the_folder(shell: Shell):
    folder = shell.home / ".ansible" / "tmp" / "tbot_tpm"
    folder.mkdir(parents=True, mode=0o700)
    for name in ("notes", "ab" * 32):
        (folder / name).touch()
    (folder / ("cd" * 32)).mkdir()
    shell.cache().ask({})
    assert {file.name for file in folder.iterdir()} == {"notes", "cd" * 32, hashlib.sha256(shell.program).hexdigest()}
