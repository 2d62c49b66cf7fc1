"""Which binary the action plugin takes, and what it says where there is none or where it does not start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from installed import Installed
from plugin_runs import ARCH, Plays, call, collection_with

# Prints which binary it is, as an answer.
SCRIPT = '#!/bin/sh\necho \'{"changed": false, "device": "%s"}\'\n'
OTHER = "aarch64" if ARCH == "x86_64" else "x86_64"
SHIPPED = "tbot_tpm comes for x86_64 and aarch64, and this host's Linux is for"


class Hosts:
    """Hosts by the connection `wrapped`, each with a log of its own."""

    def __init__(self, folder: Path, way: dict[str, object]) -> None:
        self.folder = folder
        self.way = way
        self.variables: dict[str, dict] = {}

    def add(self, name: str, says: str | None = None, **variables: object) -> None:
        """A host where `uname` prints SAYS, whatever it is asked for, and whose variables these are."""
        host = {"ansible_connection": "wrapped", "ansible_wrapped_log": f"{self.folder}/{name}.log"} | self.way
        if says is not None:
            uname = self.folder / f"{name}-bin" / "uname"
            uname.parent.mkdir()
            uname.write_text(f"#!/bin/sh\n{says}\n")
            uname.chmod(0o755)
            host["ansible_wrapped_by"] = ["env", f"PATH={uname.parent}:{os.environ['PATH']}"]
        self.variables[name] = host | variables

    def commands(self, name: str) -> list[str]:
        """What was run there."""
        log = self.folder / f"{name}.log"
        return [json.loads(line).get("run", "") for line in log.read_text().splitlines()] if log.exists() else []

    def questions(self, name: str) -> int:
        """How often it was asked what it is."""
        return sum("uname" in command for command in self.commands(name))


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """Hosts to which the binary is copied for each task."""
    return Hosts(tmp_path, {"tbot_tpm_cache": False})


@pytest.mark.parametrize("is_cached", [True, False], ids=["cached", "copied"])
def test_every_platform_gets_its_binary_or_a_sentence_that_says_what_to_do(is_cached: bool, tmp_path: Path, ansible: Installed):
    hosts = Hosts(tmp_path, {"tbot_tpm_cache": is_cached})
    programs = {ARCH: SCRIPT % ARCH, "riscv64": SCRIPT % "riscv64"}
    copy = collection_with(ansible, tmp_path / "copy", **programs)
    hosts.add("same", "echo Linux " + ARCH)
    hosts.add("by-a-synonym", ansible_architecture={"x86_64": "amd64", "aarch64": "arm64"}[ARCH])
    hosts.add("with-a-greeting", "echo Welcome to i686; echo Linux " + ARCH)
    hosts.add("built-for-it", "echo Linux riscv64")
    hosts.add("32-bit-arm", "echo Linux armv7l")
    if not is_cached:  # it is the host that says it where it keeps the binary
        hosts.add("32-bit-by-facts", ansible_architecture="i686", ansible_system="Linux")
        hosts.add("mac-by-facts", ansible_architecture="x86_64", ansible_system="Darwin")
    hosts.add("big-iron", "echo Linux s390x")
    hosts.add("not-built", "echo Linux " + OTHER)
    hosts.add("mac", "echo Darwin arm64")
    hosts.add("bsd", "echo FreeBSD amd64")
    hosts.add("windows", ansible_shell_type="powershell")
    hosts.add("mute", "echo no such command >&2; exit 3")
    for name, fact in {"path": "../../../../bin/true", "line": ARCH + "\n", "list": [ARCH], "number": 64}.items():
        hosts.add(f"hostile-{name}", "echo Linux " + ARCH, ansible_architecture=fact)
    for name, variables in hosts.variables.items():
        variables["ansible_remote_tmp"] = f"{tmp_path}/{name}-tmp"
    results = Plays(tmp_path / "run", hosts.variables, copy).run([call(action="identify")])

    ran = {name: result["device"] for name, result in results.items() if "device" in result}
    same = ["same", "by-a-synonym", "with-a-greeting", "hostile-path", "hostile-line", "hostile-list", "hostile-number"]
    assert ran == dict.fromkeys(same, ARCH) | {"built-for-it": "riscv64"}
    for name, parts in {
        "32-bit-arm": [SHIPPED + " armv7l:", "64-bit system", "another method", "cargo build", "binaries/tbot_tpm_armv7l."],
        "32-bit-by-facts": [SHIPPED + " i686:", "64-bit system"],
        "big-iron": [SHIPPED + " s390x:"],
        "not-built": [f"There is no tbot_tpm binary for {OTHER} in ", "make dist", "built tarball"],
        "mac": ["runs on Linux only, and this host has Darwin arm64:", "another method"],
        "bsd": ["this host has FreeBSD amd64:"],
        "mac-by-facts": ["this host has Darwin x86_64:"],
        "windows": ["this host has Windows:"],
        "mute": ["Cannot tell the host's architecture", "no such command", "Set ansible_architecture"],
    }.items():
        if name not in results:
            continue
        result = results[name]
        assert result["failed"] is True and result["changed"] is False
        assert all(part in result["msg"] for part in parts), result["msg"]
        assert "\n" not in result["msg"]
        assert result["error"]["kind"] == ("io" if name == "mute" else "not_found")
    assert len(ran) + (7 if is_cached else 9) == len(results)


def test_the_personality_of_a_container_counts(hosts: Hosts, tmp_path: Path, ansible: Installed):
    if ARCH != "x86_64":
        pytest.skip("setarch makes another machine of an x86_64 alone")
    hosts.add("container", ansible_wrapped_by=["setarch", "i686"])
    assert SHIPPED + " i686:" in Plays(tmp_path / "run", hosts.variables, ansible).run([call(action="identify")])["container"]["msg"]


def test_a_controller_that_is_a_mac_has_no_binary_for_itself(tmp_path: Path, ansible: Installed):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nreal = os.uname()\nos.uname = lambda: os.uname_result(('Darwin', real.nodename, '24', 'x', 'arm64'))\n"
    )
    plays = Plays(tmp_path / "run", {"mac": {"ansible_connection": "local"}}, ansible)
    result = plays.run([call(action="identify")], env={"PYTHONPATH": str(tmp_path)})["mac"]
    assert "runs on Linux only, and this host has Darwin arm64:" in result["msg"]


def test_a_host_is_asked_once_whatever_is_done_on_it(hosts: Hosts, tmp_path: Path, ansible: Installed):
    # Two are one address with two ports, and so two machines.
    hosts.add("one", ansible_host="192.0.2.1", ansible_port=1001)
    hosts.add("two", ansible_host="192.0.2.1", ansible_port=1002)
    hosts.add("known", ansible_architecture=ARCH)
    hosts.add("aim")
    target = {"action": "preflight", "token": "x", "hosts": []}  # fails on the host: the controller's binary is a script
    copy = collection_with(ansible, tmp_path / "copy", **{ARCH: SCRIPT % ARCH})
    as_root = {"become": True, "become_method": "ansible.builtin.su"} if os.geteuid() == 0 else {}
    tasks = [
        call(**target),
        call(**target) | {"loop": [1, 2, 3]},
        call(**target) | as_root,
        call(**target) | {"delegate_to": "aim", "throttle": 1},
        call(**target) | {"delegate_to": "known", "throttle": 1},
        call(**target) | {"delegate_to": "localhost", "vars": {"ansible_connection": "local"}},
    ]
    results = Plays(tmp_path / "run", hosts.variables, copy).run(tasks)
    assert [result["device"] for result in results.values()] == [ARCH] * 4
    assert {name: hosts.questions(name) for name in hosts.variables} == {"one": 1, "two": 1, "known": 0, "aim": 1}


def test_a_host_whose_facts_are_gathered_is_not_asked(hosts: Hosts, tmp_path: Path, ansible: Installed):
    hosts.add("one")
    hosts.add("aim")
    facts = {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform"]}}
    tasks = [
        facts,
        facts | {"delegate_to": "aim", "delegate_facts": True, "run_once": True},
        call(action="identify", tcti="swtpm:port=1"),
        call(action="identify", tcti="swtpm:port=1") | {"delegate_to": "aim"},
    ]
    results = Plays(tmp_path / "run", hosts.variables, ansible).run(tasks)
    assert {result["error"]["kind"] for result in results.values()} == {"tpm_not_found"}
    assert {name: hosts.questions(name) for name in hosts.variables} == {"one": 0, "aim": 0}


def test_a_noexec_temporary_directory_is_named_with_the_cure(tmp_path: Path, ansible: Installed):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    noexec = tmp_path / "noexec"
    noexec.mkdir()
    # The second is where Ansible puts files that an unprivileged user is to read.
    here = {"ansible_connection": "local", "ansible_remote_tmp": str(noexec), "ansible_system_tmpdirs": [str(noexec)]}
    here["tbot_tpm_cache"] = False
    other = {"ansible_become": True, "ansible_become_method": "ansible.builtin.su", "ansible_become_user": "nobody"}
    hosts = {"plain": here, "as-another": here | other | {"ansible_become_flags": "--shell /bin/sh"}}
    mount = 'mount -t tmpfs -o noexec,mode=1777 tmpfs "$0" && exec "$@"'
    within = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, str(noexec)]
    results = Plays(tmp_path / "run", hosts, ansible).run([call(action="identify")], within=within)
    for result in results.values():
        assert (result["rc"], result["error"]["kind"]) == (126, "permission_denied")
        assert "noexec: set ansible_remote_tmp, or ansible_system_tmpdirs where become_user is not root" in result["msg"]
        assert str(noexec) in result["error"]["detail"]
        assert "Traceback" not in json.dumps(result)
    assert len(results) == 2


# An ELF program for a processor that this is not (SPARC), and what shells say that no test has here.
PROGRAMS = {
    "sparc": (b"\x7fELF" + bytes([1, 2, 1]) + bytes(9) + b"\x00\x02\x00\x02\x00\x00\x00\x01" + bytes(40), "not for this host's processor"),
    "busybox": (b'#!/bin/sh\necho "$0: line 1: ELF: not found" >&2; exit 127\n', "not for this host's processor"),
    "ash": (b'#!/bin/sh\necho "$0: 1: Syntax error: word unexpected" >&2; exit 2\n', "not for this host's processor"),
    "german": (b'#!/bin/sh\necho "sh: $0: Keine Berechtigung" >&2; exit 126\n', "may be mounted noexec"),
    "musl": (b'#!/bin/sh\necho "sh: 1: $0: not found" >&2; exit 127\n', "needs a library that this host does not have"),
}


def test_why_a_binary_does_not_start_is_explained(hosts: Hosts, tmp_path: Path, ansible: Installed):
    for name, (program, _) in PROGRAMS.items():
        (tmp_path / name).write_bytes(program)
        hosts.add(name, ansible_architecture=name)
    copy = collection_with(ansible, tmp_path / "copy", **{name: tmp_path / name for name in PROGRAMS})
    results = Plays(tmp_path / "run", hosts.variables, copy).run([call(action="identify")])
    for name, (_, part) in PROGRAMS.items():
        assert part in results[name]["msg"] and "\n" not in results[name]["msg"]
        assert f"tbot_tpm_{name}: " in results[name]["error"]["detail"]
        assert "Traceback" not in json.dumps(results[name])
