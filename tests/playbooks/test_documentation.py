"""The documentation renders, and says what the code does."""

from __future__ import annotations

import grp
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import ansible_runs
import pytest
import yaml
from documentation import MODULE, ROLES, accepted_parameters, ansible_doc, kinds_of_errors, of_the_module
from fleet import ask_binary

# The page that has every error with its cure.
TROUBLE = ansible_runs.COLLECTION / "docs" / "when-something-goes-wrong.md"
# The page that leads to services.
SERVICES = ansible_runs.COLLECTION / "docs" / "services.md"
DOCUMENTS = {path.stem: path for path in (ansible_runs.COLLECTION / "docs").glob("*.md")} | {
    "README": ansible_runs.PROJECT / "README.md",
    "collection": ansible_runs.COLLECTION / "README.md",
    "contributing": ansible_runs.PROJECT / "CONTRIBUTING.md",
    "security": ansible_runs.PROJECT / "SECURITY.md",
    "execution environment": ansible_runs.PROJECT / "execution-environment" / "README.md",
}
GROUP = grp.getgrgid(os.getegid()).gr_name
PLAYBOOKS = sorted((ansible_runs.COLLECTION / "playbooks").glob("*.yml"))
# Neither a role's or module's full name (tbot.tpm.tbot_service) nor an internal variable (__tbot_reason).
VARIABLE = re.compile(r"(?<![\w.])tbot_\w+")


def test_the_module_renders(tmp_path):
    assert "expected_ek_public_hash" in ansible_doc(tmp_path, MODULE).output


@pytest.mark.parametrize("role", ROLES)
def test_the_role_renders(role, tmp_path):
    shown = ansible_doc(tmp_path, "--type", "role", f"tbot.tpm.{role}").output
    assert role in shown
    # Older versions pass over them.
    newer = tuple(int(number) for number in version("ansible-core").split(".")[:2]) >= (2, 18)
    assert ("EXAMPLES:" in shown) == newer


def test_the_markup_is_well_formed_and_refers_to_what_there_is(tmp_path):
    run = ansible_runs.run(
        ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", "."], tmp_path
    )
    assert (run.returncode, run.output) == (0, "")


def test_every_option_is_documented_and_no_other(tmp_path):
    options = of_the_module(tmp_path)["doc"]["options"]
    accepted = set().union(*(accepted_parameters(action) for action in options["action"]["choices"]))
    assert set(options) - {"action"} == accepted


def test_examples_are_yaml_that_names_documented_options(tmp_path):
    documentation = of_the_module(tmp_path)
    options = set(documentation["doc"]["options"])
    tasks = [task for task in yaml.safe_load(documentation["examples"]) if MODULE in task]
    assert tasks
    for task in tasks:
        assert set(task[MODULE]) <= options, task


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_are_the_documented_ones(role):
    folder = ansible_runs.COLLECTION / "roles" / role
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text()) or {}
    specification = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())
    options = specification["argument_specs"]["main"].get("options", {})
    assert set(defaults) <= set(options)
    for name, value in defaults.items():
        if "default" in options[name]:
            assert options[name]["default"] == value, name


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_that_a_role_reads_is_documented(role):
    folder = ansible_runs.COLLECTION / "roles" / role
    entries = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    documented = {name for entry in entries.values() for name in entry.get("options", {})}
    read = {name for path in folder.glob("*/*.yml") if path.parent.name != "meta" for name in VARIABLE.findall(path.read_text())}
    # What it needs to know of the role that installs the program, where a playbook has both.
    assert read - {"tbot_tpm", "tbot_install_method", *ROLES} == documented - {"tbot_install_method"}


def test_a_variable_of_several_roles_has_one_default():
    values = defaultdict(dict)
    for role in ROLES:
        path = ansible_runs.COLLECTION / "roles" / role / "defaults" / "main.yml"
        for name, value in (yaml.safe_load(path.read_text()) or {}).items():
            values[name][role] = json.dumps(value)
    differing = {name: roles for name, roles in values.items() if len(set(roles.values())) > 1}
    assert not differing


def test_every_kind_of_error_has_its_section_and_no_other_has_one():
    sections = re.findall(r"^### `(\w+)`$", TROUBLE.read_text(), re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == kinds_of_errors()


def role_variables() -> set[str]:
    """What the roles' argument specifications have."""
    names = set()
    for path in ansible_runs.COLLECTION.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            names.update(entry.get("options", {}))
    return names


def known_variables() -> set[str]:
    """What these have, and what the playbooks read."""
    names = role_variables()
    for path in ansible_runs.COLLECTION.glob("playbooks/**/*.yml"):
        names.update(VARIABLE.findall(path.read_text()))
    return names


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbooks_head_has_a_command_and_its_own_variables(playbook):
    text = playbook.read_text()
    head = re.match(r"---\n((?:#.*\n)+)", text)[1]
    assert f" tbot.tpm.{playbook.stem}" in head
    parts = [playbook.parent / part for part in re.findall(r"import_playbook: (\S+)", text)]
    plays = "".join(re.sub(r"^ *#.*", "", path.read_text(), flags=re.MULTILINE) for path in (playbook, *parts))
    # What they use of the variables that all playbooks share.
    shared = yaml.safe_load((playbook.parent / "parts/roles/run/vars/main.yml").read_text())
    while used := [name for name in shared if name in plays]:
        plays += "".join(str(shared.pop(name)) for name in used)
    groups = {"tbot_left_out_", "tbot_run_", "tbot_stopped_", "tbot_all_left_out_", "tbot_to_install_"}
    own = set(VARIABLE.findall(plays)) - role_variables() - groups - set(ROLES)
    named = set(VARIABLE.findall(head))
    assert own <= named <= known_variables() | set(ROLES)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_every_variable_that_a_document_names_is_there(document):
    # The module, its binaries (tbot_tpm_ARCH) and the roles have names of that form too.
    others = re.compile("|".join([r"tbot_tpm(_[A-Za-z0-9_]+)?", *ROLES]))
    named = {name for name in VARIABLE.findall(document.read_text()) if not others.fullmatch(name)}
    assert named or document.stem in ("dependencies", "how-it-works", "performance")
    unknown = named - known_variables()
    assert not unknown


# From the project's folder; a name in capitals stands for one of the reader's own.
PATH = re.compile(r"(?<![\w/.-])(?:\.ci|\.github|ansible|benches|execution-environment|molecule|scripts|src|tests)/[\w./*-]*[\w/*]")


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_every_path_that_a_document_names_is_there(document):
    text = re.sub(r"\]\([^)]*\)|https?://\S+", "", document.read_text())
    # The binaries are built.
    named = [path for path in PATH.findall(text) if not re.search("[A-Z]{3}|plugins/binaries", path)]
    missing = [path for path in named if not [*ansible_runs.PROJECT.glob(path)]]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_every_yaml_block_is_one_file(document):
    """Which can be pasted as it is: one document, whose variables are known ones."""
    for block in re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        content = yaml.safe_load(block)
        names = set(content) if isinstance(content, dict) else set()
        assert {name for name in names if name.startswith("tbot_")} <= known_variables() | set(ROLES), block


def test_the_readme_fits_a_screen_and_a_half():
    lines = DOCUMENTS["README"].read_text().splitlines()
    assert len(lines) <= 150
    # Who it is for, and how it is run first.
    assert "It is for\npeople who run" in "\n".join(lines[:10])
    assert any("galaxy collection install" in line for line in lines[:35])


def test_every_page_is_linked_from_the_readme():
    text = DOCUMENTS["README"].read_text()
    pages = (ansible_runs.COLLECTION / "docs").glob("*.md")
    assert [page.name for page in pages if f"(ansible/docs/{page.name})" not in text] == []


BLOCKS = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", SERVICES.read_text(), re.MULTILINE | re.DOTALL))
SERVICE_BLOCKS = [block for block in BLOCKS if "tbot_services" in block]


@pytest.mark.parametrize("block", SERVICE_BLOCKS, ids=lambda block: block["tbot_services"][0]["type"])
def test_services_of_the_page_are_complete(block, tmp_path):
    request = {"action": "config", "path": str(tmp_path / "tbot.yaml"), "proxy_server": "example.com:443", "token": "a", "group": GROUP}
    for services in (block["tbot_services"], *(instance["services"] for instance in block.get("tbot_instances", []))):
        answer = ask_binary(request | {"services": services})
        assert answer["changed"] and not answer["warnings"]


def test_the_roles_pages_are_in_step():
    script = ansible_runs.PROJECT / "scripts" / "role_pages.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def anchors(document: Path) -> set[str]:
    """The names by which links reach a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_links_lead_to_files_and_headings(document):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()) if "://" not in link]
    assert links or document.stem in ("dependencies", "how-it-works", "limits", "performance", "tctl-elsewhere")
    for link in links:
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
