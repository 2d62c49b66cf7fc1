"""The prose lint finds what it is there for, where it stands, and its counts only fall."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_runs
import prose_texts
import pytest
import yaml

RULES = ansible_runs.PROJECT / "tests/prose/styles/TbotTpm"
FINE = "The join token lets this host join."
LONG = " ".join(["word"] * 30)
BAD = {
    "Sentences": f"A {LONG}.",
    "Phrases": "The value is none of its choices.",
    "Inversions": "What concerns all hosts ends the run.",
    "Negations": "This is no CA.",
    "Passives": "The program is looked for.",
    "Metaphors": "The unit is foreign.",
    "Nodes": "The node has a value.",
    "TaskNames": "Let them join",
}
RUST = '''#[error("{0} is none of its values")]
struct Inner;
fn fails(value: &str) -> String {
    format!("`{value}` is none of its values: \\
        auto, native")
}
#[cfg(test)]
mod tests {
    const TEXT: &str = "this is none of its values";
}
'''


@pytest.fixture(scope="session", autouse=True)
def vale() -> None:
    """Builds vale where need be."""
    go = shutil.which("go", path=f"{ansible_runs.PROJECT}/.venv/bin:{os.environ['PATH']}")
    if go is None and os.environ.get("TBOT_TPM_GO") != "required":
        pytest.skip("there is no Go to build vale; scripts/setup.sh installs it")
    done = subprocess.run([ansible_runs.PROJECT / "tests/prose/build.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Project:
    """A folder with prose to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = folder / "tests/prose/known.json"
        self.known.parent.mkdir(parents=True)

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def lint(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ansible_runs.PROJECT / "scripts/prose.py", "--project", self.folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def places(self) -> set[str]:
        """Each place and its rule."""
        return set(re.findall(r"^\S+:\d+: \w+", self.lint("--all").stdout, re.MULTILINE))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_bad_sentence_is_reported_with_its_file_and_line(project):
    project.write("README.md", f"# Title\n\n{FINE}\n\n{FINE} {BAD['Negations']}\n\n| a | b |\n|---|---|\n| c | {BAD['Phrases']} |\n")
    project.write("ansible/docs/page.md", f"- {FINE}\n- {BAD['Sentences']}\n\n```\n{BAD['Negations']}\n```\n\n`is no CA`\n")
    project.write(
        "ansible/roles/some/tasks/main.yml",
        f"---\n- name: Apply it\n  block:\n    - name: {BAD['TaskNames']}\n      fail:\n"
        f"        msg: >-\n          {BAD['Negations']} {{{{ of_it }}}}\n",
    )
    project.write(
        "ansible/roles/some/meta/argument_specs.yml",
        f"---\nargument_specs:\n  main:\n    description: {FINE}\n    options:\n      description:\n        type: str\n"
        f"        description:\n          - {FINE}\n          - {BAD['Passives']}\n",
    )
    project.write("src/tpm/some.rs", RUST)
    project.write("ansible/plugins/action/some.py", f'"""{BAD["Phrases"]}"""\nraise ValueError("{BAD["Phrases"]}")\n')
    assert project.places() == {
        "README.md:5: Negations",
        "README.md:9: Phrases",
        "ansible/docs/page.md:2: Sentences",
        "ansible/roles/some/tasks/main.yml:4: TaskNames",
        "ansible/roles/some/tasks/main.yml:7: Negations",
        "ansible/roles/some/meta/argument_specs.yml:10: Passives",
        "src/tpm/some.rs:4: Phrases",
        "ansible/plugins/action/some.py:2: Phrases",
    }


@pytest.mark.parametrize("rule", sorted(path.stem for path in RULES.iterdir()))
def test_each_rule_finds_what_it_is_against(rule, project):
    project.write("ansible/playbooks/some.yml", f"- name: {BAD[rule]}\n")
    assert project.places() == {f"ansible/playbooks/some.yml:1: {rule}"}


@pytest.mark.parametrize(
    "text",
    [
        "There is no token here that fits.",
        "See to the rest.",
        "The report tells of hosts.",
        "The token lets in whom it lists.",
        "No way leads there.",
        "It is kept even from root.",
        "Mode 0755 lets others than the owner read it.",
        "The token cannot be foreseen.",
        "It ends and is started again.",
        "It was left as it is.",
    ],
)
def test_phrases_that_no_native_writes_are_found(text, project):
    project.write("README.md", f"{text}\n")
    assert "README.md:1: Phrases" in project.places()


@pytest.mark.parametrize(
    "text",
    [
        f"A {' '.join(['word'] * 28)} `and code`.",
        "There is no token. Create the one that fits.",
        "What is this? There is no longer a CA.",
        "What went wrong, and what to do about it.",
        "What was there before; empty where nothing was.",
        "The control node needs ansible-core.",
        "Other hosts than this one see the token.",
    ],
)
def test_plain_sentences_pass(text, project):
    project.write("README.md", f"{text}\n")
    assert project.places() == set()


def test_counts_may_only_fall(project):
    bad = BAD["Negations"]
    project.write("README.md", f"{bad}\n\n{bad}\n")
    assert project.lint().returncode == 1
    assert project.lint("--update").returncode == 0
    assert json.loads(project.known.read_text()) == {"README.md": {"Negations": 2}}
    assert project.lint().returncode == 0

    project.write("README.md", f"{bad}\n\n{bad}\n\n{bad}\n")
    more = project.lint()
    assert more.returncode == 1
    assert "README.md:5: Negations" in more.stderr
    assert "README.md: Negations finds 3, and 2 were known" in more.stderr
    assert project.lint("--update").returncode == 1
    assert json.loads(project.known.read_text()) == {"README.md": {"Negations": 2}}

    project.write("README.md", f"{bad}\n")
    fewer = project.lint()
    assert fewer.returncode == 1
    assert "scripts/prose.sh --update" in fewer.stderr
    assert project.lint("--update").returncode == 0
    assert json.loads(project.known.read_text()) == {"README.md": {"Negations": 1}}


def test_a_file_may_get_another_name(project):
    project.write("README.md", f"{BAD['Negations']}\n")
    project.lint("--update")
    (project.folder / "README.md").rename(project.folder / "SECURITY.md")
    assert project.lint().returncode == 1
    assert project.lint("--update").returncode == 0
    assert project.lint().returncode == 0


def refused(request: dict) -> str:
    """What the binary says to a request that it refuses."""
    run = subprocess.run([ansible_runs.BINARY], input=json.dumps(request), capture_output=True, text=True, check=False)
    answer = json.loads(run.stdout)
    assert answer["failed"]
    return answer["msg"]


REQUESTS = [
    {},
    {"action": "identity"},
    {"action": "identify", "tct": "swtpm:"},
    {"action": "identify", "tcti": "none:at=all"},
    {"action": "identify", "backend": "other"},
    {"action": "identify", "timeout": 0},
    {"action": "access", "user": "a:b"},
    {"action": "registry", "registry": "relative", "host": "web-1"},
    {"action": "registry", "registry": "/nowhere/registry", "host": "../web-1"},
    {"action": "token", "name": "web", "hosts": "web-1"},
    {"action": "token", "name": "web", "bot_name": "web", "hosts": [{"description": "web-1"}]},
    {"action": "preflight", "token": "- a list", "hosts": []},
    {"action": "ekcert_ca", "hosts": [], "allowed_urls": ["https://"]},
    {"action": "enroll", "name": "web", "hosts": [], "tctl": "sudo 'tctl"},
    {"action": "enroll", "name": "web", "hosts": [], "all_tokens": True},
    {"action": "enroll", "name": "web", "hosts": [], "bot": {"traits": {}}},
    {"action": "enroll", "name": "web", "hosts": [], "tctl": ["/nowhere/tctl"]},
    {"action": "cluster", "proxy_server": "https://example.teleport.sh:none"},
    {"action": "storage", "path": "/etc", "owner": "root", "group": "root"},
    {"action": "config", "path": "/nowhere/tbot.yaml", "token": "web"},
    {"action": "systemd", "name": "a/b"},
    {"action": "service", "wait": "soon"},
]


@functools.cache
def parts_of_messages() -> re.Pattern[str]:
    """What the lint reads of the binary, as one pattern. What is put in has no pattern of its own."""
    parts = set()
    for text in prose_texts.texts(ansible_runs.PROJECT):
        if text.path.endswith(".rs"):
            parts.update(part.strip() for part in text.text.split(prose_texts.UNKNOWN))
    words = sorted((part for part in parts if prose_texts.WORDS.search(part)), key=len, reverse=True)
    return re.compile("|".join(re.escape(part) for part in words))


@pytest.mark.parametrize("request_", REQUESTS, ids=json.dumps)
def test_what_the_binary_says_is_read(request_):
    rest = parts_of_messages().sub(" … ", refused(request_))
    # What is left are values, names and what is beside them.
    assert "…" in rest
    assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", rest), rest


def test_what_tasks_and_options_say_is_read():
    texts = {(text.kind, text.path) for text in prose_texts.texts(ansible_runs.PROJECT)}
    for path in ansible_runs.COLLECTION.glob("roles/*/tasks/*.yml"):
        if yaml.safe_load(path.read_text()):
            assert ("names", path.relative_to(ansible_runs.PROJECT).as_posix()) in texts
    for path in ansible_runs.COLLECTION.glob("roles/*/meta/argument_specs.yml"):
        assert ("options", path.relative_to(ansible_runs.PROJECT).as_posix()) in texts
