"""What a script sees that runs in a booted container, for tests: skipped where none can be booted."""

from __future__ import annotations

import shutil
from pathlib import Path

import booted_container
import needs
from installed import Installed


def report_of(script: str, folder: Path, timeout: int = 900, ansible: Installed | None = None) -> dict:
    """The report of SCRIPT, which is beside this file (see booted_container). The collection that ANSIBLE has is left for it."""
    if ansible:
        shutil.copytree(ansible.collection, folder / "results/collection")
    try:
        return booted_container.report_of(Path(__file__).with_name(script), folder, timeout)
    except booted_container.NoContainer as why:
        needs.root_missing(str(why))
