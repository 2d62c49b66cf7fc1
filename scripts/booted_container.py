"""Boots a real systemd: this machine's own files under a throw-away overlay, in a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_runs

# Runs in a mount namespace of its own, so that nothing is left mounted, or in /run, whatever happens. Arguments: a work
# folder, a unit, the folder for results, and folders that the overlay of / may lack since they may be other mounts.
BOOT = """
set -eu
work=$1 unit=$2 results=$3
shift 3
mount -t tmpfs tmpfs "$work"
mount -t tmpfs tmpfs /run
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
for folder in "$@"; do set -- "$@" "--bind-ro=$folder"; shift; done
exec systemd-nspawn --boot --quiet --register=no --keep-unit --link-journal=no --private-network --console=pipe \
    --directory="$work/root" --bind="$results:/results" --bind-ro="$unit:/etc/systemd/system/container-test.service" \
    "$@" -- --unit=container-test.service
"""

UNIT = """
[Unit]
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStartPre=touch /results/booted
ExecStart="{python}" "{script}" /results
StandardOutput=file:/results/output
StandardError=inherit
"""


class NoContainer(Exception):
    """A container cannot be booted here; the text says why."""


def report_of(script: Path, folder: Path, timeout: int = 900) -> dict:
    """What SCRIPT writes to RESULTS/seen.json, where it runs as a service of a booted container with the argument RESULTS.
    That is FOLDER/results, which may have files for it already. TIMEOUT is in seconds."""
    if os.geteuid() != 0:
        raise NoContainer("booting a container needs root")
    if shutil.which("systemd-nspawn") is None:
        raise NoContainer("systemd-nspawn is not installed")
    work, results, unit = folder / "work", folder / "results", folder / "unit"
    work.mkdir()
    results.mkdir(exist_ok=True)
    unit.write_text(UNIT.format(python=sys.executable, script=script))
    folders = {str(ansible_runs.PROJECT), *({sys.base_prefix} - {"/usr"})}
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", BOOT, "boot", work, unit, results, *folders]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as expired:
        done = subprocess.CompletedProcess(command, 1, (expired.stdout or b"").decode(errors="replace"))
    if not (results / "booted").exists():
        raise NoContainer(f"no container can be booted here: {done.stdout.strip()[-500:]}")
    report = results / "seen.json"
    assert report.exists(), done.stdout + (results / "output").read_text()
    return json.loads(report.read_text())
