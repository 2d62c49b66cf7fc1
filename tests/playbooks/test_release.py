"""What a release is made by: one version, the changelog, the workflows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_runs
import pytest
import yaml

EXECUTION_ENVIRONMENT = ansible_runs.PROJECT / "execution-environment"
GITHUB = ansible_runs.PROJECT / ".github"
REQUIREMENTS = [
    path for folder in ("", ".github", "tests/collection/requirements") for path in sorted((ansible_runs.PROJECT / folder).glob("*.in"))
]
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
# requirements.txt has these tools for those only.
with_new_python = pytest.mark.skipif(sys.version_info < (3, 11), reason="the tools for this need Python 3.11")


def run(*command: str | Path, cwd: Path = ansible_runs.PROJECT, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=cwd, env=environment, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def check(*command: str | Path, cwd: Path = ansible_runs.PROJECT, stdin: str = "") -> None:
    done = run(*command, cwd=cwd, stdin=stdin)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of what a release is made of, to be changed."""
    shutil.copytree(ansible_runs.COLLECTION, tmp_path / "ansible", ignore=shutil.ignore_patterns("tbot_tpm_*"))
    link = tmp_path / ".collections/ansible_collections/tbot/tpm"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../../ansible")
    for name in ("Cargo.toml", "Cargo.lock", "README.md"):
        shutil.copy(ansible_runs.PROJECT / name, tmp_path)
    shutil.copytree(EXECUTION_ENVIRONMENT, tmp_path / EXECUTION_ENVIRONMENT.name)
    (tmp_path / "scripts").mkdir()
    for name in ("versions.py", "shipped.py"):
        shutil.copy(ansible_runs.PROJECT / "scripts" / name, tmp_path / "scripts")
    return tmp_path


def test_one_version_is_named_everywhere():
    check(sys.executable, "scripts/versions.py")


@pytest.mark.parametrize("name", [
    "Cargo.toml",
    "Cargo.lock",
    "ansible/galaxy.yml",
    "ansible/changelogs/changelog.yaml",
    "execution-environment/execution-environment.yml",
    "README.md",
])
def test_another_version_is_seen(copied, name):
    version = run(sys.executable, "scripts/versions.py").stdout.strip()
    path = copied / name
    path.write_text(path.read_text().replace(version, "99.0.0"))
    found = run(sys.executable, "scripts/versions.py", cwd=copied)
    assert found.returncode == 1 and "99.0.0" in found.stdout, found.stdout


def test_a_tag_is_a_release_of_everything_that_there_is(copied):
    version = run(sys.executable, "scripts/versions.py").stdout.strip()
    for path in (copied / "ansible/changelogs/fragments").glob("*.yml"):
        path.unlink()
    check(sys.executable, "scripts/versions.py", f"v{version}", cwd=copied)
    for other in (version, "v99.0.0", f"v{version}-rc1"):
        assert run(sys.executable, "scripts/versions.py", other, cwd=copied).returncode == 1, other
    (copied / "ansible/changelogs/fragments/later.yml").write_text("bugfixes:\n  - later\n")
    unreleased = run(sys.executable, "scripts/versions.py", f"v{version}", cwd=copied)
    assert unreleased.returncode == 1 and "later.yml" in unreleased.stdout, unreleased.stdout


def test_the_changelog_is_in_step_and_its_fragments_are_right(copied):
    collection = copied / "ansible"
    check("antsibull-changelog", "lint", cwd=collection)
    check("antsibull-changelog", "generate", cwd=collection)
    made = (collection / "CHANGELOG.md").read_text()
    assert made == (ansible_runs.COLLECTION / "CHANGELOG.md").read_text(), "run `antsibull-changelog generate` in ansible/"

    (collection / "changelogs/fragments/wrong.yml").write_text("bugs:\n  - of no category\n")
    assert run("antsibull-changelog", "lint", cwd=collection).returncode != 0


@with_new_python
@pytest.mark.parametrize("wanted", REQUIREMENTS, ids=lambda path: path.stem)
def test_every_python_package_is_pinned_by_version_and_hash(wanted):
    locked = wanted.with_suffix(".txt").read_text().replace("\\\n", "")
    pinned = dict(line.split(maxsplit=1) for line in locked.splitlines() if line and not line.startswith("#"))
    assert all("--hash=sha256:" in rest for rest in pinned.values())
    named = [line.split(";")[0].split("#")[0].strip() for line in wanted.read_text().splitlines()]
    asked = {re.sub(r"\[.*\]", "", name).lower() for name in named if name}
    assert asked <= set(pinned), "run scripts/lock.sh"


def test_github_takes_the_workflows():
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    check("check-jsonschema", "--builtin-schema", "vendor.dependabot", GITHUB / "dependabot.yml")


@with_new_python
def test_the_workflows_risk_nothing_that_is_known():
    check("zizmor", "--offline", "--quiet", GITHUB)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_the_scripts_in_the_workflows_are_right(workflow):
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    scripts = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert scripts
    for script in scripts:
        assert "${{" not in script, "values reach a script by its environment"
        check("shellcheck", "--shell=bash", "--exclude=SC1091", "-", stdin=script)
    for job in jobs:
        assert job["timeout-minutes"] and "permissions" in job


@with_new_python
def test_ansible_builder_takes_the_execution_environment(copied):
    check("ansible-galaxy", "collection", "build", "--output-path", "../dist", cwd=copied / "ansible")
    definition = copied / "execution-environment/execution-environment.yml"
    context = copied / "context"
    check("ansible-builder", "create", "--file", definition, "--context", context, "--output-filename", "Containerfile")
    wanted = yaml.safe_load((context / "_build/requirements.yml").read_text())["collections"]
    # /build in the image is what _build is here.
    assert [(context / "_build" / each["name"]).is_file() for each in wanted] == [True]
    assert "COPY _build /build\nWORKDIR /build\n" in (context / "Containerfile").read_text()


@with_new_python
def test_the_collection_needs_nothing_else_in_an_execution_environment(copied):
    found = run("ansible-builder", "introspect", "--sanitize", copied / ".collections")
    assert found.returncode == 0, found.stdout
    assert yaml.safe_load(found.stdout) == {"python": [], "system": []}
