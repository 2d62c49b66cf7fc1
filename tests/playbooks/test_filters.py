"""The collection's filters: what they make of right, odd and hostile texts, by themselves and in a template."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import ansible_runs
import pytest
from documentation import ansible_doc
from installed import Installed

FILTERS = sorted((ansible_runs.COLLECTION / "plugins/filter").glob("*.py"))
HASH = "d5" * 32
# Where these are needed, the expression is a program: a filter of ours, which has tests, takes its place.
PROGRAMS = re.compile(r"\b(?:regex_\w+|from_json|zip|zip_longest|subelements)\b")


def applied(name: str, text: object) -> object:
    path = ansible_runs.COLLECTION / f"plugins/filter/{name}.py"
    return runpy.run_path(str(path))["FilterModule"]().filters()[name](text)


@pytest.mark.parametrize(("text", "fields"), [
    ('NAME="Linux Mint"\nID_LIKE="ubuntu debian"\nUBUNTU_CODENAME=noble\n', {"ID_LIKE": "ubuntu debian", "UBUNTU_CODENAME": "noble"}),
    ("DEBIAN_CODENAME='bookworm'\r\nID_LIKE=debian  \n", {"DEBIAN_CODENAME": "bookworm", "ID_LIKE": "debian"}),
    ('PLATFORM_ID="platform:el9"', {"PLATFORM_ID": "platform:el9"}),
    ("PLATFORM_ID=platform:f40", {}),
    ("PLATFORM_ID=platform:el9/../8", {}),
    ("UBUNTU_CODENAME=noble\nUBUNTU_CODENAME=jammy", {"UBUNTU_CODENAME": "jammy"}),
    ("UBUNTU_CODENAME=noble\nUBUNTU_CODENAME=", {}),
    ('UBUNTU_CODENAME="no\\ble"', {}),
    ('UBUNTU_CODENAME="noble', {}),
    (' UBUNTU_CODENAME=noble\n#UBUNTU_CODENAME=noble\nexport UBUNTU_CODENAME=noble', {}),
    ("UBUNTU_CODENAME=noble main\nID_LIKE=Debian\nDEBIAN_CODENAME=../etc", {}),
    ("UBUNTU_CODENAME=nöble\nPLATFORM_ID=platform:el٩", {}),
    ("UBUNTU_CODENAME={{ 7 * 7 }}\nID_LIKE=$(id)\n\0=\n=\nA", {}),
    ("ID_LIKE=" + '"' * 100_000, {}),
    ("", {}),
    (None, {}),
    ({"ID_LIKE": "debian"}, {}),
], ids=lambda value: str(value)[:40])  # fmt: skip
def test_the_fields_of_os_release(text, fields):
    assert applied("os_release", text) == fields


@pytest.mark.parametrize(("entry", "value"), [
    (json.dumps({"description": "web-1", "ek_public_hash": HASH}, indent=2), HASH),
    (json.dumps({"ek_public_hash": HASH.upper()}), ""),
    (json.dumps({"ek_public_hash": HASH + "\n"}), ""),
    (json.dumps({"ek_public_hash": HASH[1:]}), ""),
    (json.dumps({"ek_public_hash": [HASH]}), ""),
    (json.dumps({"former": {"ek_public_hash": HASH}}), ""),
    (json.dumps([{"ek_public_hash": HASH}]), ""),
    (json.dumps({"ek_public_hash": HASH})[:-1], ""),
    ("[" * 100_000, ""),
    ("9" * 10_000, ""),
    ("null", ""),
    ("", ""),
    (None, ""),
], ids=lambda value: str(value)[:40])  # fmt: skip
def test_the_recorded_hash(entry, value):
    assert applied("recorded_hash", entry) == value


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
def test_a_filter_is_documented(path: Path, tmp_path: Path):
    shown = ansible_doc(tmp_path, "--type", "filter", f"tbot.tpm.{path.stem}").output
    assert "EXAMPLES:" in shown and "RETURN VALUES:" in shown


@pytest.mark.parametrize(("template", "value"), [
    ("('ID_LIKE=rhel' | tbot.tpm.os_release).ID_LIKE", "rhel"),
    ("{'ek_public_hash': 'ab' * 32} | to_json | tbot.tpm.recorded_hash", "ab" * 32),
], ids=["os_release", "recorded_hash"])
def test_a_template_uses_it_from_the_installed_collection(ansible: Installed, template: str, value: str, tmp_path: Path):
    run = ansible.run(tmp_path, "ansible", "localhost", "-m", "ansible.builtin.debug", "-a", f'msg="{{{{ {template} }}}}"')
    assert f'"msg": "{value}"' in run.output, run.output


def test_no_expression_of_a_role_or_playbook_is_a_program():
    folders = [ansible_runs.COLLECTION / name for name in ("roles", "playbooks")]
    found = [
        f"{path}:{number}: {line}"
        for folder in folders for path in sorted(folder.rglob("*.yml")) if path.parent.name != "meta"
        for number, line in enumerate(path.read_text().splitlines(), 1) if PROGRAMS.search(line)
    ]  # fmt: skip
    assert found == []
