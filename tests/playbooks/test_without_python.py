"""Hosts on which Ansible's own modules do not run, or the binary, and what the user is told. Over SSH, by Ansible's defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
import yaml
from ansible_runs import Ansible, Run
from execution_policy import NoPolicy, NothingIsExecuted
from installed import Installed
from plugin_runs import Plays, call
from software_tpm import SoftwareTpm
from ssh_fleet import SshFleet, running
from ssh_server import HOMES, SECURE_PATH

# As Python 3.6, that of RHEL 8, says of each of Ansible's modules.
PYTHON_3_6 = """#!/bin/sh
echo '  File "<stdin>", line 12' >&2
echo '    from __future__ import annotations' >&2
echo '    ^' >&2
echo 'SyntaxError: future feature annotations is not defined' >&2
exit 1
"""
INTERPRETERS = {
    "web-1": "/usr/libexec/platform-python3.6",
    "db-1": "/no/such/python3",
    "build-1": "/usr/bin/python3",
}
TOLD = {
    "web-1": "Ansible's modules do not run on {place}, since its Python is too old for this version of Ansible (SyntaxError: future",
    "db-1": "Ansible's modules do not run on {place}, since it has no Python where Ansible looks for it (",
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, tpms: dict[str, SoftwareTpm], ansible: Installed) -> Iterator[SshFleet]:
    """Three hosts: with a Python that is too old, with none, and one where all is well."""
    with running(SshFleet(tmp_path_factory.mktemp("without") / "fleet", tpms, ansible)) as fleet:
        old = fleet.host_path("web-1", INTERPRETERS["web-1"])
        old.parent.mkdir(parents=True, exist_ok=True)
        old.write_text(PYTHON_3_6)
        old.chmod(0o755)
        fleet.variables = {host: {"ansible_python_interpreter": python} for host, python in INTERPRETERS.items()}
        yield fleet


# The text of a key, which nothing is installed by.
PACKAGE = {
    "tbot_install_method": "package", "tbot_version": "18.1.0", "tbot_proxy_server": "127.0.0.1:1",
    "tbot_repository_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
}  # fmt: skip


def left_out(run: Run) -> str:
    """What the last play says of the hosts that are left out."""
    assert run.returncode != 0, run.output
    return run.output.split("TASK [Report]")[-1]


def test_a_python_that_cannot_run_modules_is_not_taken_for_a_missing_tbot(there: SshFleet):
    run = there.site(variables=PACKAGE)
    assert "There is no /usr/local/bin/tbot" not in run.output
    for host in TOLD:
        assert re.search(f"{host}: (?:Task failed: )?" + re.escape(TOLD[host].format(place="this host")), left_out(run)), run.output


@pytest.mark.parametrize("host", ["web-1", "db-1"])
def test_tctl_needs_no_python_where_it_is(there: SshFleet, host: str):
    run = there.play("token", variables={"tbot_apply_token": True, "tbot_tctl_host": host})
    told = "cannot run tctl: there is no program `tctl` on this host"
    assert f"all hosts: No token was applied: {told}" in left_out(run), run.output


def test_a_module_whose_output_is_secret_is_not_quoted(there: SshFleet, tmp_path: Path):
    secret = "hunter2"
    there.host_path("build-1", "usr/bin/secretive").write_text(f"#!/bin/sh\necho {secret}\nexit 3\n")
    there.host_path("build-1", "usr/bin/secretive").chmod(0o755)
    task = {"tbot.tpm.stock_module": {"module": "command", "argv": ["true"]}, "no_log": True, "vars": {
        "ansible_python_interpreter": "/usr/bin/secretive",
    }}  # fmt: skip
    hosts = {"build-1": there.servers["build-1"].variables("first")}
    runs = Plays(tmp_path / "run", hosts, there.ansible)
    runs.run([task])
    assert secret not in runs.output and "hidden" in runs.output, runs.output


def test_in_the_background_it_is_said_as_well(there: SshFleet, tmp_path: Path):
    hosts = {
        host: there.servers[host].variables("first") | {"ansible_python_interpreter": INTERPRETERS[host]} for host in TOLD
    }
    results = Plays(tmp_path / "run", hosts, there.ansible).run([call(action="identify") | {"async": 60, "poll": 1}])
    for host, result in results.items():
        assert TOLD[host].format(place="this host") in result["msg"], result
        assert result["error"]["kind"] == "not_found"


def test_what_such_a_host_says_is_no_template(ansible: Ansible, tmp_path: Path):
    written = tmp_path / "written"
    python = tmp_path / "python3"
    python.write_text(f"""#!/bin/sh\necho "SyntaxError: {{{{ lookup('pipe', 'touch {written}') }}}}" >&2\nexit 1\n""")
    python.chmod(0o755)
    play = {"hosts": "web-1", "gather_facts": False, "tasks": [{
        "block": [{"tbot.tpm.stock_module": {"module": "command", "argv": ["true"]}, "failed_when": False}],
        "rescue": [
            {"ansible.builtin.set_fact": {"problem": "{{ ansible_failed_result.msg }}"}},
            {"ansible.builtin.debug": {"msg": "{{ problem }} {{ ansible_failed_result.msg }}"}},
        ],
    }]}  # fmt: skip
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    host = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"web-1": host}}}))
    run = ansible.play(tmp_path / "play.yml", tmp_path / "inventory.yml", tmp_path / "scratch")
    assert run.recap["web-1"]["rescued"] == 1, run.output
    assert "SyntaxError: {{ lookup(" in run.output and not written.exists(), run.output


@pytest.fixture
def programs(there: SshFleet, tmp_path: Path) -> Plays:
    """Plays on a host that has a Python that can run modules."""
    return Plays(tmp_path / "run", {"build-1": there.servers["build-1"].variables("first") | {"ansible_become": True}}, there.ansible)


TASKS = {"tbot_tpm": call(action="identify"), "stock": {"tbot.tpm.stock_module": {"module": "command", "argv": ["true"]}}}


@pytest.fixture
def noexec(there: SshFleet) -> Iterator[None]:
    """A host whose sudo lets no program start others."""
    sudoers = there.servers["build-1"].path("etc/sudoers")
    before = sudoers.read_text()
    sudoers.write_text(f"{SECURE_PATH}\nroot ALL=(ALL:ALL) ALL\nfirst ALL=(ALL:ALL) NOEXEC: NOPASSWD: ALL\n")
    yield
    sudoers.write_text(before)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.usefixtures("noexec")
def test_a_sudo_that_lets_nothing_be_executed_is_not_taken_for_a_noexec_file_system(programs: Plays, task: str):
    result = programs.run([TASKS[task]])["build-1"]
    assert "NOEXEC" in result["msg"] and "mounted noexec" not in result["msg"], result


@pytest.fixture
def policy(there: SshFleet) -> Iterator[None]:
    """A host whose home directories are on a file system from which nothing may be executed, by a policy."""
    if os.geteuid() != 0:
        needs.root_missing("a policy needs root")
    try:
        with NothingIsExecuted(there.servers["build-1"].path(str(HOMES))):
            yield
    except NoPolicy as why:
        pytest.skip(str(why))


@pytest.mark.usefixtures("policy")
def test_a_policy_that_denies_execution_is_not_taken_for_a_noexec_file_system(programs: Plays):
    result = programs.run([TASKS["tbot_tpm"]])["build-1"]
    assert "security policy" in result["msg"] and "mounted noexec" not in result["msg"], result
    assert result["error"]["kind"] == "permission_denied" and "Operation not permitted" in result["error"]["detail"]
    # What Ansible itself says there, and the documentation explains.
    result = programs.run([TASKS["tbot_tpm"] | {"async": 60, "poll": 1}])["build-1"]
    assert "Operation not permitted: " in result["msg"] and "AnsiballZ_" in result["msg"], result
