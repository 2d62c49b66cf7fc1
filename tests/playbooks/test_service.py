"""site.yml on a real systemd: this machine's own files under a throw-away overlay, booted in a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_runs
import pytest

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
exec systemd-nspawn --boot --quiet --register=no --keep-unit --private-network --console=pipe \
    --directory="$work/root" --bind="$results:/results" --bind-ro="$unit:/etc/systemd/system/service-test.service" \
    "$@" -- --unit=service-test.service
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


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What service_in_container.py saw after each of its runs of site.yml."""
    if os.geteuid() != 0:
        pytest.skip("booting a container needs root")
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is not installed")
    folder = tmp_path_factory.mktemp("service")
    work, results, unit = folder / "work", folder / "results", folder / "unit"
    work.mkdir()
    results.mkdir()
    unit.write_text(UNIT.format(python=sys.executable, script=Path(__file__).with_name("service_in_container.py")))
    folders = {str(ansible_runs.PROJECT), *({sys.base_prefix} - {"/usr"})}
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", BOOT, "boot", work, unit, results, *folders]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180
        )
    except subprocess.TimeoutExpired as expired:
        done = subprocess.CompletedProcess(command, 1, (expired.stdout or b"").decode(errors="replace"))
    if not (results / "booted").exists():
        pytest.skip(f"no container can be booted here: {done.stdout.strip()[-500:]}")
    report = results / "seen.json"
    assert report.exists(), done.stdout + (results / "output").read_text()
    return json.loads(report.read_text())


def test_first_run_enables_and_starts_the_service(seen):
    first = seen["first"]
    assert first["returncode"] == 0, first["output"]
    assert (first["enabled"], first["active"]) == ("enabled", "active")
    assert first["starts"] == ["teleport start -c /etc/tbot.yaml --pid-file=/run/tbot.pid"]


def test_second_run_changes_and_restarts_nothing(seen):
    second = seen["second"]
    assert second["returncode"] == 0, second["output"]
    assert second["changed"] == {"bot-1": 0}, second["output"]
    assert second["starts"] == seen["first"]["starts"]


def test_a_changed_configuration_restarts_it_once(seen):
    changed = seen["other proxy"]
    assert changed["returncode"] == 0, changed["output"]
    assert changed["active"] == "active"
    assert len(changed["starts"]) == 2


def test_a_changed_unit_restarts_it_once(seen):
    changed = seen["other unit"]
    assert changed["returncode"] == 0, changed["output"]
    assert changed["active"] == "active"
    assert len(changed["starts"]) == 3


def test_files_belong_to_the_service_user_where_they_should(seen):
    assert seen["owners"] == {
        "/var/lib/teleport/bot": "teleport:teleport 700",
        "/etc/tbot.yaml": "root:teleport 640",
        "/etc/systemd/system/tbot.service": "root:root 644",
    }
