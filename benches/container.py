"""Two ways of setting hosts up, measured in a booted container and shown side by side."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "scripts"))

import booted_container  # noqa: E402 (the path is set just above)


def seen_by(script: str, timeout: int) -> dict:
    """What SCRIPT, which is beside this file, sees in a container. TIMEOUT is in seconds."""
    subprocess.run([PROJECT / "tests" / "go" / "build.sh"], check=True)
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as folder:
        try:
            return booted_container.report_of(Path(__file__).with_name(script), Path(folder), timeout)
        except booted_container.NoContainer as why:
            sys.exit(f"This benchmark boots a container: {why}.")


def show_set_up(seen: dict, hosts: str) -> list[float]:
    """Prints the seconds of both ways. Returns the ratios of what they take."""
    show_heading(f"Setting up {seen['hosts']} {hosts}", seen["rounds"], ("site.yml", "stock modules"))
    titles = {"first": "first run, nothing is there", "second": "second run, nothing to be done"}
    titles |= {f"{run}_processor": "  Ansible's processor time" for run in list(titles)}
    titles |= {f"{run}_kibibytes": "  KiB a host, both ways" for run in ("first", "second")}
    order = [run for run in sorted(titles) if any(seen["times"]["stock"][run])]
    ratios = {run: show_beside(titles[run], seen["times"]["site"][run], seen["times"]["stock"][run], digits=1) for run in order}
    return [ratios["first"], ratios["second"]]


def show_heading(what: str, rounds: int, ways: tuple[str, str]) -> None:
    print(f"{what}: seconds, median of {rounds} rounds (lowest to highest)")
    print(f"  {'':<34}{ways[0]:>22}{ways[1]:>22}{'ratio':>8}")


def show_beside(title: str, ours: list[float], theirs: list[float], digits: int) -> float:
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"  {title:<34}{shown(ours, digits):>22}{shown(theirs, digits):>22}{ratio:>8.2f}")
    return ratio


def shown(times: list[float], digits: int) -> str:
    return f"{statistics.median(times):.{digits}f} ({min(times):.{digits}f} to {max(times):.{digits}f})"
