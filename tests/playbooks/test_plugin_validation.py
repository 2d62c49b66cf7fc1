"""What is wrong with parameters is said on the controller, in the words of the host, before anything is sent there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_runs import BINARY
from installed import Installed
from plugin_runs import ARCH, Plays, call, collection_with, essence

SECRET = "swordfish"
WRONG = call(action="storage", path=SECRET)  # not absolute, and the message says it
ANOTHER = "other"  # an architecture by whose name the hosts' binary is another file than the controller's


@pytest.fixture
def remote(tmp_path: Path) -> dict[str, object]:
    """The variables of a host that is reached by a connection with a log."""
    return {
        "ansible_connection": "wrapped",
        "ansible_wrapped_log": str(tmp_path / "log"),
        "ansible_architecture": ARCH,
        "ansible_remote_tmp": str(tmp_path / "remote"),
    }


def log(tmp_path: Path) -> list[str]:
    """What was run and put on the host."""
    path = tmp_path / "log"
    return path.read_text().splitlines() if path.exists() else []


def test_a_remote_task_fails_as_a_local_one_without_a_word_to_the_host(remote: dict, tmp_path: Path, ansible: Installed):
    hosts = {"local": {"ansible_connection": "local"}, "remote": remote}
    plays = Plays(tmp_path / "run", hosts, ansible)
    for task in (WRONG, WRONG | {"check_mode": True}, call(action="identfy"), call(), call(action="token", name="a")):
        results = plays.run([task])
        assert essence(results["remote"]) == essence(results["local"])
        assert results["remote"]["failed"] is True and results["remote"]["error"]["kind"]
        assert set(results["remote"]) == set(results["local"])
    assert log(tmp_path) == []


def test_in_a_loop_the_wrong_item_fails_alone(remote: dict, tmp_path: Path, ansible: Installed):
    loop = [str(tmp_path / "one"), "two", str(tmp_path / "three")]
    task = call(action="storage", path="{{ item }}", owner="root", group="root") | {"loop": loop}
    results = Plays(tmp_path / "run", {"remote": remote}, ansible).run([task], "--check")["remote"]["results"]
    assert [result.get("failed", False) for result in results] == [False, True, False]
    assert "not absolute" in results[1]["msg"]
    # Once it is said that the binary is missing there.
    assert sum("missing $z" in line for line in log(tmp_path)) == 3


@pytest.mark.parametrize("poll", [0, 1])
def test_a_background_task_is_not_begun(poll: int, remote: dict, tmp_path: Path, ansible: Installed):
    result = Plays(tmp_path / "run", {"remote": remote}, ansible).run([WRONG | {"async": 60, "poll": poll}])["remote"]
    assert result["failed"] is True and "not absolute" in result["msg"] and "ansible_job_id" not in result
    assert log(tmp_path) == []


def test_no_log_keeps_what_is_said_to_itself(remote: dict, tmp_path: Path, ansible: Installed):
    plays = Plays(tmp_path / "run", {"remote": remote, "local": {"ansible_connection": "local"}}, ansible)
    hidden = {"no_log": True}
    # Where it stands backwards, since Ansible shows a line of the playbook beside an error.
    wrong = call(action="storage", path="{{ backwards | reverse }}") | {"vars": {"backwards": SECRET[::-1]}}
    found_there = call(action="preflight", token="{{ backwards | reverse }}", hosts=[]) | {"vars": {"backwards": SECRET[::-1]}}
    tasks = [wrong | hidden, wrong | hidden | {"loop": [1, 2]}, wrong | hidden | {"async": 9, "poll": 0}, found_there | hidden]
    results = plays.run([*tasks, wrong | hidden], "-vvvv")
    assert [line for line in plays.output.splitlines() if SECRET in line] == []
    assert "censored" in plays.output
    # A playbook may look, as it may with Ansible's own modules.
    assert all(SECRET in result["msg"] and result["error"]["kind"] == "unsafe_path" for result in results.values())


def test_secrets_reach_the_controllers_binary_by_its_standard_input_alone(remote: dict, tmp_path: Path, ansible: Installed):
    seen = tmp_path / "seen"
    seen.mkdir()
    script = (
        f"#!/bin/sh\ncat >{seen}/stdin; echo $0 \"$@\" >{seen}/arguments; env >{seen}/environment\n"
        f"grep --recursive --files-with-matches {SECRET} {tmp_path}/run >{seen}/files\n"
        'echo \'{"failed": true, "msg": "refused"}\'\n'
    )
    copy = collection_with(ansible, tmp_path / "copy", **{ARCH: script})
    plays = Plays(tmp_path / "run", {"remote": remote}, copy)
    password, variables = tmp_path / "password", tmp_path / "variables.yml"
    password.write_text("of the vault\n")
    encrypt = [Path(sys.executable).with_name("ansible-vault"), "encrypt_string", "--vault-password-file", password]
    variables.write_text(subprocess.run([*encrypt, "--name", "hidden", SECRET], check=True, capture_output=True, text=True).stdout)
    task = call(action="config", token="{{ hidden }}")
    result = plays.run([task], "--extra-vars", f"@{variables}", "--vault-password-file", str(password))["remote"]
    assert result["msg"] == "refused"
    request = json.loads((seen / "stdin").read_text())
    assert request == {"action": "config", "token": SECRET, "_tbot_validate_only": True}
    for name in ("arguments", "environment"):
        assert SECRET not in (seen / name).read_text()
    (program,) = (seen / "arguments").read_text().split()
    assert Path(program).samefile(copy.collection / f"plugins/binaries/tbot_tpm_{ARCH}")
    assert (seen / "files").read_text() == ""


@pytest.mark.parametrize(
    "own",
    [
        None,
        "#!/bin/sh\necho '[]'\n",
        # One that was built before there was this question.
        '#!/bin/sh\necho \'{"failed": true, "msg": "action `storage` has no parameter `_tbot_validate_only`"}\'\n',
    ],
)
def test_without_a_binary_of_the_controllers_the_host_finds_it(own: str | None, remote: dict, tmp_path: Path, ansible: Installed):
    programs = {ANOTHER: BINARY} | ({ARCH: own} if own else {})
    copy = collection_with(ansible, tmp_path / "copy", **programs)
    hosts = {"remote": remote | {"ansible_architecture": ANOTHER, "tbot_tpm_cache": False}}
    result = Plays(tmp_path / "run", hosts, copy).run([WRONG])["remote"]
    assert result["error"]["kind"] == "unsafe_path" and "not absolute" in result["msg"]
    assert log(tmp_path) != []


def test_what_only_the_host_can_tell_is_left_to_it(remote: dict, tmp_path: Path, ansible: Installed):
    # On the controller there is this file; on the host, whose root is another, there is not.
    task = call(action="preflight", token=[], registry=str(tmp_path))
    assert "holds no token" in Plays(tmp_path / "run", {"remote": remote}, ansible).run([task])["remote"]["msg"]
    assert log(tmp_path) == []
    task = call(action="service", config="/etc/passwd")
    result = Plays(tmp_path / "run", {"remote": remote}, ansible).run([task])["remote"]
    assert result["failed"] is False and log(tmp_path) != []
