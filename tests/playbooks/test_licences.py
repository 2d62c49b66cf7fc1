"""Whose code it is: our own files, and what is in the binaries that are released."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import ansible_runs
import pytest
import shipped
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

IMPORTS_ANSIBLE = re.compile(r"^\s*(?:from|import)\s+ansible(?:\.|\s)", re.MULTILINE)
SPDX = re.compile(r"^# SPDX-License-Identifier: (.+)$", re.MULTILINE)


def python_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ansible_runs.PROJECT, capture_output=True, text=True, check=True)
    return [ansible_runs.PROJECT / name for name in listed.stdout.split("\0") if name]


def licence_of(path: Path) -> str:
    """What the file's header says, or, where it has none, the project's licence."""
    found = SPDX.search(path.read_text())
    return found[1] if found else "Apache-2.0"


def test_what_imports_ansible_is_under_ansibles_licence_and_nothing_else_is():
    texts = {path: path.read_text() for path in python_files()}
    importing = {path for path, text in texts.items() if IMPORTS_ANSIBLE.search(text)}
    assert ansible_runs.COLLECTION / "plugins/action/tbot_tpm.py" in importing
    assert {path for path in texts if licence_of(path) == "GPL-3.0-or-later"} == importing
    for path in importing:
        assert "GNU General Public License v3.0+" in texts[path].partition('"""')[0], path


def test_every_program_of_the_collection_names_its_licence():
    shipped_files = [path for path in python_files() if ansible_runs.COLLECTION in path.parents]
    assert shipped_files
    without = [path for path in shipped_files if not SPDX.search(path.read_text())]
    assert not without


def test_the_texts_of_the_licences_go_with_the_collection():
    folder = ansible_runs.COLLECTION / "LICENSES"
    named = {licence_of(path) for path in python_files()}
    assert named <= {path.stem for path in folder.iterdir()}
    assert (folder / "Apache-2.0.txt").read_text() == (ansible_runs.PROJECT / "LICENSE").read_text()
    galaxy = (ansible_runs.COLLECTION / "galaxy.yml").read_text()
    assert all(f"- {licence}\n" in galaxy for licence in named)


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", ansible_runs.PROJECT / "scripts" / script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def linked() -> set[tuple[str, str]]:
    """The crates that are in a binary, as cargo lists them."""
    command = ["cargo", "tree", "--locked", "--no-default-features", "--edges", "normal", "--prefix", "none"]
    command += ["--target", shipped.TARGETS["x86_64"]]
    listed = subprocess.run(command, cwd=ansible_runs.PROJECT, capture_output=True, text=True, check=True).stdout
    # A macro runs in the compiler, and what it needs does.
    only_in_macros = {"proc-macro2", "quote", "syn", "unicode-ident"}
    found = {(name, version) for name, version in re.findall(r"^(\S+) v(\S+)(?! \(proc-macro\))(?: |$)", listed, re.MULTILINE)}
    return {(name, version) for name, version in found if name not in only_in_macros | {"tbot-tpm"}}


def test_the_notices_name_every_crate_with_its_text(linked):
    notices = run("third_party.py")
    assert notices == run("third_party.py"), "each time the same"
    listed, *texts = re.split("^={20,}$", notices, flags=re.MULTILINE)
    owners = {owner for text in texts for owner in text.strip().splitlines()[0].split(", ")}
    for name, version in linked:
        assert f"\n{name} {version}: " in listed
        assert f"{name} {version}" in owners
    assert {f"musl {shipped.musl_version()}", f"The Rust standard library {shipped.rust_version()}"} <= owners
    for words in ("tss-esapi", "proptest", "windows-sys"):
        assert words not in listed


def test_the_bill_of_materials_is_valid_and_lists_what_is_linked(linked, tmp_path):
    for arch in shipped.TARGETS:
        (tmp_path / f"tbot_tpm_{arch}").write_text(arch)
    written = [tmp_path / "first.json", tmp_path / "second.json"]
    for path in written:
        run("sbom.py", "--output", str(path), "--binaries", str(tmp_path))
    assert written[0].read_bytes() == written[1].read_bytes(), "each time the same"
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(written[0].read_text())
    assert problem is None, problem

    bill = json.loads(written[0].read_text())
    crates = {(each["name"], each["version"]): each for each in bill["components"] if each["purl"].startswith("pkg:cargo/")}
    assert set(crates) == linked
    assert all(each["hashes"] and each["licenses"] for each in crates.values())
    others = {each["name"] for each in bill["components"]} - {name for name, _version in linked}
    assert others == {"tbot_tpm_x86_64", "tbot_tpm_aarch64", "aws-lc", "musl", "rust-std", "rust-llvm-libunwind"}
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    reached, ahead = set(), [bill["metadata"]["component"]["bom-ref"]]
    while ahead:
        ref = ahead.pop()
        if ref not in reached:
            reached.add(ref)
            ahead.extend(needs[ref])
    assert {each["bom-ref"] for each in bill["components"]} < reached, "each has a reason to be there"
