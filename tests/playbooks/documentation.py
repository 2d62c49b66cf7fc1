"""What ansible-doc says of the collection, and what the binary says of itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import ansible_runs
from fleet import ask_binary

MODULE = "tbot.tpm.tbot_tpm"
ROLES = sorted(path.name for path in (ansible_runs.COLLECTION / "roles").glob("*"))


def ansible_doc(scratch: Path, *arguments: str) -> ansible_runs.Run:
    run = ansible_runs.run(["ansible-doc", *arguments], scratch)
    assert run.returncode == 0, run.output
    assert "WARNING" not in run.output and "ERROR" not in run.output, run.output
    return run


def of_the_module(scratch: Path) -> dict:
    return json.loads(ansible_doc(scratch, "--json", MODULE).output)[MODULE]


def of_the_roles(scratch: Path) -> dict[str, dict[str, dict]]:
    """Each role's entry points."""
    names = [f"tbot.tpm.{role}" for role in ROLES]
    found = json.loads(ansible_doc(scratch, "--json", "--type", "role", *names).output)
    return {role: found[name]["entry_points"] for role, name in zip(ROLES, names, strict=True)}


def accepted_parameters(action: str) -> set[str]:
    """What the binary says when asked for a parameter that there is not."""
    answer = ask_binary({"action": action, "no such parameter": True})
    assert answer["error"]["kind"] == "invalid_request"
    return {name.strip(" .`") for name in answer["msg"].split("nearest first): ")[1].split(",")}


def kinds_of_errors() -> set[str]:
    """The kinds in `error.kind`, from the type that they are written from."""
    source = (ansible_runs.PROJECT / "src" / "error.rs").read_text()
    body = re.search(r"^pub enum Kind \{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL)[1]
    variants = re.findall(r"^    ([A-Z]\w*),$", body, re.MULTILINE)
    assert len(variants) > 10
    return {re.sub(r"(?<!^)([A-Z])", r"_\1", variant).lower() for variant in variants}
