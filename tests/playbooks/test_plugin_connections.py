"""The module over ssh and into a root tree, as the users that a play may become, and what is left there afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from ansible_runs import BINARY
from installed import Installed
from plugin_runs import Plays, call
from ssh_server import HOMES, PASSWORD, NoServer, SshServer, has_sudo

SECRET = "hunter2"
SUDO = {"become": True, "become_method": "ansible.builtin.sudo"}
SU = {"become": True, "become_method": "ansible.builtin.su", "vars": {"ansible_become_password": PASSWORD}}


def storage(path: object, **more: object) -> dict:
    """A task that makes a directory, whose owner shows who did it."""
    return call(action="storage", path=str(path)) | more


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    try:
        with SshServer(tmp_path_factory.mktemp("ssh")) as server:
            yield server
    except NoServer as why:
        needs.root_missing(str(why))


def plays(server: SshServer, tmp_path: Path, ansible: Installed, **more: object) -> Plays:
    """Plays on hosts by the names of the users that log in."""
    return Plays(tmp_path / "run", {user: server.variables(user) | more for user in ("root", "first")}, ansible)


def owner(server: SshServer, path: object) -> str:
    return server.run(f"stat -c %U {path}").strip()


@pytest.mark.parametrize("pipelining", [True, False])
def test_over_ssh_files_are_made_by_the_one_who_logs_in(pipelining: bool, server: SshServer, tmp_path: Path, ansible: Installed):
    place = f"{HOMES}/{{{{ ansible_user }}}}/{'piped' if pipelining else 'plain'}"
    runs = plays(server, tmp_path, ansible, ansible_pipelining=pipelining)
    task = storage(place, loop=["bot", "../../etc", "other"])
    task["tbot.tpm.tbot_tpm"]["path"] = place + "/{{ item }}"
    for user, result in runs.run([task]).items():
        assert [each.get("failed", False) for each in result["results"]] == [False, True, False]
        assert "`..` component" in result["results"][1]["msg"]
        made = place.replace("{{ ansible_user }}", user)
        assert owner(server, f"{made}/bot") == user
    assert all(not each["changed"] for result in runs.run([task]).values() for each in result["results"])
    assert server.left_behind() == ""


def test_a_user_becomes_root_and_root_becomes_a_user(server: SshServer, tmp_path: Path, ansible: Installed):
    if not has_sudo():
        pytest.skip("sudo is not installed; scripts/setup.sh installs it")
    runs = plays(server, tmp_path, ansible)
    for name, task, user in [
        ("by-sudo", SUDO, "root"),
        ("by-su", SU, "root"),
        ("unprivileged", SUDO | {"become_user": "second"}, "second"),
    ]:
        place = f"{HOMES}/{user}/{name}-{{{{ ansible_user }}}}"
        results = runs.run([storage(place, **task), storage(place, **task)])
        assert [result["failed"] for result in results.values()] == [False, False], results
        assert [result["changed"] for result in results.values()] == [False, False]
        for login in results:
            assert owner(server, f"{HOMES}/{user}/{name}-{login}") == user
    assert server.left_behind() == ""


def test_where_files_cannot_be_handed_to_another_user_that_is_said(server: SshServer, tmp_path: Path, ansible: Installed):
    if not has_sudo():
        pytest.skip("sudo is not installed; scripts/setup.sh installs it")
    runs = plays(server, tmp_path, ansible, ansible_system_tmpdirs=[f"{HOMES}/noacl"], tbot_tpm_cache=False)
    result = runs.run([storage(f"{HOMES}/second/x", **SUDO, become_user="second")])["first"]
    assert result["failed"] is True and "becoming an unprivileged user" in result["msg"]
    assert server.left_behind() == ""


def test_nothing_is_left_of_failed_and_background_tasks(server: SshServer, tmp_path: Path, ansible: Installed):
    wait = call(action="service", name="no-such-" + SECRET)
    runs = plays(server, tmp_path, ansible)
    background = {"async": 60}
    failing = call(action="identify", tcti="swtpm:host=127.0.0.1,port=1")  # nobody is there
    results = runs.run([failing, failing | background | {"poll": 1}, wait | background | {"poll": 0}, wait | background | {"poll": 1}])
    for result in results.values():
        assert (result["finished"], result["failed"], result["exists"]) == (1, False, False)
    results = runs.run([failing | background | {"poll": 1}])
    assert [result["error"]["kind"] for result in results.values()] == ["tpm_not_found"] * 2
    assert server.wait_until_clean() == ""
    # What is secret was in no command line: sshd and Ansible's own log of what it ran at -vvv know nothing of it.
    runs.run([wait | {"no_log": True}], "-vvvv")
    assert SECRET not in runs.output and SECRET not in server.log.read_text()


def test_check_mode_foresees_and_makes_nothing(server: SshServer, tmp_path: Path, ansible: Installed):
    task = storage(f"{HOMES}/{{{{ ansible_user }}}}/foreseen")
    results = plays(server, tmp_path, ansible).run([task], "--check", "--diff")
    assert [result["changed"] for result in results.values()] == [True, True]
    assert "state: absent" in results["first"]["diff"]["before"]
    assert "foreseen" not in server.run(f"ls {HOMES}/first {HOMES}/root")


def test_a_noexec_directory_and_another_machines_program_are_told_over_ssh(server: SshServer, tmp_path: Path, ansible: Installed):
    noexec = {"ansible_remote_tmp": f"{HOMES}/noexec/{{{{ ansible_user }}}}", "ansible_system_tmpdirs": [f"{HOMES}/noexec"]}
    runs = plays(server, tmp_path, ansible, **noexec)
    for task in [call(action="identify"), call(action="identify") | SU]:
        for result in runs.run([task]).values():
            assert (result["rc"], result["error"]["kind"]) == (126, "permission_denied")
            assert "noexec: set ansible_remote_tmp" in result["msg"] and "Permission denied" in result["error"]["detail"]
    assert server.left_behind() == ""


def test_tasks_are_delegated_to_and_from_it(server: SshServer, tmp_path: Path, ansible: Installed):
    runs = plays(server, tmp_path, ansible)
    here = {"delegate_to": "localhost", "vars": {"ansible_connection": "local"}}
    runs.run([storage(tmp_path / "here-{{ inventory_hostname }}", **here)])
    assert (tmp_path / "here-first").owner() == "root" and (tmp_path / "here-root").is_dir()
    runs.run([storage(f"{HOMES}/first/for-{{{{ inventory_hostname }}}}", delegate_to="first")])
    assert [owner(server, f"{HOMES}/first/for-{host}") for host in ("root", "first")] == ["first", "first"]
    assert server.left_behind() == ""


def test_facts_go_to_the_host_that_a_task_is_delegated_to_where_that_is_asked_for(tmp_path: Path, tpms: dict, ansible: Installed):
    hosts = {name: {"ansible_connection": "local"} for name in ("asks", "aim")}
    task = call(action="identify", tcti=tpms["db-1"].tcti) | {"delegate_to": "aim", "delegate_facts": True}
    known = "{{ (ansible_facts.tbot_tpm | default({})).ek_source | default('unknown') }}"
    look = {"ansible.builtin.debug": {"msg": known}}
    results = Plays(tmp_path / "run", hosts, ansible).run([task | {"when": "inventory_hostname == 'asks'"}, look])
    assert {host: result["msg"] for host, result in results.items()} == {"asks": "unknown", "aim": "create_primary"}


def root_tree(root: Path) -> None:
    """The little that Ansible needs on a host, without Python: a shell, and the programs that it calls."""
    programs = [shutil.which(name) for name in ("sh", "mkdir", "chmod", "rm", "sleep", "uname", "echo")]
    linked = subprocess.run(["ldd", *programs, BINARY], capture_output=True, text=True).stdout.split()
    for path in {*programs, *(word for word in linked if word.startswith("/") and not word.endswith(":"))}:
        copy = root / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o755)
    for folder in ("bin", "root", "tmp", "dev"):
        (root / folder).mkdir(exist_ok=True)
    (root / "dev/null").touch()
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to(shutil.which("sh"))


def test_a_root_tree_without_python_is_a_host(tmp_path: Path, ansible: Installed):
    root = tmp_path / "root"
    root_tree(root)
    if subprocess.run(["chroot", root, "/bin/sh", "-c", ":"], capture_output=True).returncode != 0:
        needs.root_missing("another root needs root")
    log = tmp_path / "log"
    container = {
        "ansible_connection": "wrapped", "ansible_wrapped_by": ["chroot", str(root)], "ansible_wrapped_root": str(root),
        "ansible_wrapped_log": str(log), "ansible_remote_tmp": "/tmp/ansible", "ansible_python_interpreter": "/no/python",
    }
    runs = Plays(tmp_path / "run", {"container": container}, ansible)
    task = storage("/bot", loop=["/bot", "/etc/bot"])
    task["tbot.tpm.tbot_tpm"]["path"] = "{{ item }}"
    first, second = runs.run([task])["container"]["results"]
    assert first["changed"] is True and (root / "bot").stat().st_mode & 0o777 == 0o700
    assert "directory of the system" in second["msg"] and not (root / "etc/bot").exists()
    assert runs.run([storage("/bot")])["container"]["changed"] is False
    assert list((root / "tmp/ansible").iterdir()) == []
    asked = [json.loads(line).get("run", "") for line in log.read_text().splitlines()]
    assert sum("uname -sm" in command and "no-input" not in command for command in asked) == 2  # once a run
