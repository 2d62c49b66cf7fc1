"""What is in the tarball: what users need, and nothing else that lies about in a checkout."""

from __future__ import annotations

import stat
import tarfile
from pathlib import PurePosixPath

import shipped
from ansible_runs import COLLECTION

CONTENT = {"CHANGELOG.md", "changelogs", "LICENSES", "README.md", "docs", "meta", "playbooks", "plugins", "roles", "tests"}
KINDS = {".md", ".py", ".txt", ".yaml", ".yml"}
# Galaxy makes the first two of galaxy.yml, and scripts/third_party.py the last.
MADE = {"MANIFEST.json", "FILES.json", "LICENSES/THIRD-PARTY.txt"}


def belongs(path: PurePosixPath) -> bool:
    return path.parts[0] in CONTENT and path.suffix in KINDS


def test_it_has_the_collections_files_and_its_binaries(tarball):
    with tarfile.open(tarball) as archive:
        files = {member.name: member for member in archive if not member.isdir()}
    binaries = {name for name in files if PurePosixPath(name).match("plugins/binaries/tbot_tpm_*")}
    assert binaries == {f"plugins/binaries/tbot_tpm_{arch}" for arch in shipped.TARGETS}
    paths = (path.relative_to(COLLECTION) for path in COLLECTION.rglob("*") if path.is_file())
    assert set(files) - binaries - MADE == {str(path) for path in paths if belongs(path)}
    assert all(member.isreg() for member in files.values())
    assert {name for name, member in files.items() if member.mode & stat.S_IXUSR} == binaries
