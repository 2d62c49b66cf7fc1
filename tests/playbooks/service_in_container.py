"""Runs site.yml in a booted container several times, and writes what it saw to RESULTS/seen.json.

Started by test_service.py. What it does to "the machine" is lost with the container.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import installed
from ansible_runs import Run
from software_tpm import SoftwareTpms

STARTS = Path("/tmp/stand-in-starts")
STAND_IN = f"""#!/bin/sh
# A stand-in for tbot, which this test does not need: notes who started it and how, if it can read its configuration.
head -n 1 "$3" >/dev/null && echo "$(id -un) $*" >>{STARTS}
exec sleep infinity
"""


def main(results: Path) -> None:
    tbot = Path("/usr/local/bin/tbot")
    tbot.write_text(STAND_IN)
    tbot.chmod(0o755)
    scratch = Path("/tmp/service-test")
    scratch.mkdir()
    with SoftwareTpms(scratch / "tpms") as tpms:
        inventory = scratch / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"bot-1": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "tbot_become": False,  # this is root already
            "tbot_tcti": tpms.start("bot-1").tcti,
            "tbot_proxy_server": "teleport.example.com:443",
            "tbot_bot_name": "test-bot",
            "tbot_registry_dir": str(scratch / "registry"),
            "tbot_apply_token": False,
            "tbot_install_method": "none",
            "tbot_diag_addr": "",  # the stand-in has none
        }}}}))

        ansible = installed.in_container(results)

        def site(**variables: object) -> dict:
            extra = ("--extra-vars", json.dumps(variables)) if variables else ()
            return observe(ansible.play("site", inventory, scratch / "ansible", *extra))

        other_proxy = {"tbot_proxy_server": "other.example.com:443"}
        seen = {
            "first": site(),
            "second": site(),
            "other proxy": site(**other_proxy),
            "other unit": site(**other_proxy, tbot_anonymous_telemetry=True),
            "unit only": site(**other_proxy, tbot_manage_service=False),
            "unit made known": site(**other_proxy),
            "nothing left": site(**other_proxy),
        }
    seen["owners"] = {
        path: output("stat", "--format=%U:%G %a", path)
        for path in ("/var/lib/teleport/bot", "/etc/tbot.yaml", "/etc/systemd/system/tbot.service")
    }
    (results / "seen.json").write_text(json.dumps(seen))


def observe(run: Run) -> dict:
    time.sleep(1)  # a start too many would show by then
    return {
        "returncode": run.returncode,
        "output": run.output,
        "changed": run.changed(),
        "enabled": output("systemctl", "is-enabled", "tbot.service"),
        "active": output("systemctl", "is-active", "tbot.service"),
        "starts": STARTS.read_text().splitlines() if STARTS.exists() else [],
    }


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
