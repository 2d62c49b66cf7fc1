"""What Ansible Galaxy does with a collection that is uploaded, by the same program."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
from environments import Requirements
from test_versions import ROLES

# Content is checked by ansible-doc and ansible-lint; ansible-test, which it would run in a container, has tests of its own here.
CONFIGURATION = """[galaxy-importer]
RUN_ANSIBLE_DOC = True
RUN_ANSIBLE_LINT = True
RUN_ANSIBLE_TEST = False
CHECK_REQUIRED_TAGS = True
"""


@pytest.fixture(scope="module")
def imported(tarball, tmp_path_factory) -> tuple[subprocess.CompletedProcess, dict]:
    """What the importer says of the tarball, and what it makes of it."""
    folder = tmp_path_factory.mktemp("importer")
    (folder / "galaxy-importer.cfg").write_text(CONFIGURATION)
    python = Requirements("galaxy-importer").environment()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "GALAXY_IMPORTER_CONFIG": str(folder / "galaxy-importer.cfg"),
    }
    done = subprocess.run(
        [python, "-m", "galaxy_importer.main", tarball], cwd=folder, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    result = folder / "importer_result.json"
    return done, json.loads(result.read_text()) if result.exists() else {}


# That there are any. They say that the two files of each of the six modules are not under the GPL, but Apache-2.0, which Galaxy takes,
# too; and that licences are quoted to the letter.
IGNORE_FILES = re.compile(r"WARNING: Ignore files skip ansible-test sanity tests, found ignore-[\d.]+\.txt with 13 statement\(s\)\n")


def test_the_tarball_is_accepted_without_another_warning_than_of_what_sanity_passes_over(imported):
    done, _result = imported
    assert done.returncode == 0 and "Importer processing completed successfully" in done.stdout, done.stdout
    assert not re.search("warning|error|skip", IGNORE_FILES.sub("", done.stdout), re.IGNORECASE), done.stdout


def test_its_content_is_found_and_documented(imported):
    _done, result = imported
    content = {(item["content_type"], item["name"]) for item in result["contents"]}
    assert {("module", "tbot_tpm"), ("action", "tbot_tpm"), ("playbook", "site.yml")} <= content
    assert {name for kind, name in content if kind == "role"} == set(ROLES)
    documented = {item["content_name"]: item["doc_strings"] for item in result["docs_blob"]["contents"]}
    assert documented["tbot_tpm"]["doc"]["options"]
    assert result["requires_ansible"] == ">=2.15.0"
