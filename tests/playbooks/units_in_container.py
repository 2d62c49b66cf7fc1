"""Writes units and drop-ins with the binary in a booted container, starts them, and writes what it saw to RESULTS/seen.json.

Started by test_units.py. RESULTS/bot stands in for tbot (tests/go/bot).
"""

from __future__ import annotations

import grp
import json
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import ansible_runs

STORAGE = "/var/lib/teleport/bot"
TBOT = "/usr/local/bin/tbot"
# What systemd would read as something else if it stood there as it is. A program's path can have no quotes or backslashes.
ODD_TBOT = "/opt/a b%h$HOME${HOME}é;/tbot"
ODD_CONFIG = "/etc/a b%h$HOME${HOME}\"q'é\\x/tbot.yaml"
ODD_PID_FILE = "/run/odd/a b%h$HOME\"q'é\\x.pid"
ODD_OUTPUT = "/srv/a b%h$HOME\"q'é\\x"
# The service's user may write to all of these; to hardened services only the first two are named.
DIRECTORIES = ["/srv/output", ODD_OUTPUT, "/srv/elsewhere", "/run/odd"]
_OUTPUTS = [
    {"type": "identity", "destination": {"type": "directory", "path": path}}
    for path in ("/srv/output", ODD_OUTPUT, "/srv/missing")
]
_SERVING = {"type": "workload-identity-api", "listen": f"unix://{STORAGE}/api.sock"}
CONFIG = {
    "/etc/plain.yaml": {"version": "v2", "services": _OUTPUTS},
    "/etc/tbot.yaml": {"version": "v2", "services": _OUTPUTS},
    ODD_CONFIG: {"version": "v2", "services": _OUTPUTS},
    "/etc/serving.yaml": {"version": "v2", "services": [*_OUTPUTS, _SERVING]},
    "/etc/in-run.yaml": {
        "version": "v2",
        "services": [{"type": "identity", "destination": {"type": "directory", "path": "/run/in-run/output"}}],
        "try_to_write": ["/run/in-run"],
    },
}
PACKAGED = f"""
[Service]
Type=simple
User=root
ExecStart={TBOT} start --packaged -c /etc/tbot.yaml
"""
REPORT = Path(STORAGE) / "report"
DROP_INS = Path("/etc/systemd/system/packaged.service.d")
SHOWN = ("ActiveState", "PIDFile", "DeviceAllow", "DevicePolicy")


def main(results: Path) -> None:
    prepare(results / "bot")
    seen = {
        "plain": started("plain"),
        "odd": started("odd", tbot_path=ODD_TBOT, config=ODD_CONFIG, pid_file=ODD_PID_FILE),
        "hardened": started("hardened", hardening=True),
        "serving": started("serving", hardening=True, config="/etc/serving.yaml"),
        "in run": started("in-run", hardening=True, config="/etc/in-run.yaml"),
        "odd hardened": started("odd-hardened", hardening=True, tbot_path=ODD_TBOT, config=ODD_CONFIG),
    }
    seen["kept in run"] = sorted(path.name for path in Path("/run/in-run").glob("*"))
    seen["kept of others"] = sorted(path.name for path in Path("/run").glob("hardened/*"))
    Path("/usr/lib/systemd/system/packaged.service").write_text(PACKAGED)
    DROP_INS.mkdir()
    (DROP_INS / "override.conf").write_text("[Service]\nEnvironment=TELEPORT_ANONYMOUS_TELEMETRY=overridden\n")
    seen["packaged"] = started("packaged", give_paths=False, hardening=True)
    seen["packaged, other configuration"] = started("packaged", config=ODD_CONFIG)
    seen["packaged, absent"] = asked({"action": "systemd", "name": "packaged", "state": "absent"})
    seen["left"] = sorted(path.name for path in DROP_INS.iterdir())
    bot = pwd.getpwnam("teleport")
    seen["ids"] = {"user": bot.pw_uid, "group": bot.pw_gid, "tss": grp.getgrnam("tss").gr_gid}
    (results / "seen.json").write_text(json.dumps(seen))


def prepare(bot: Path) -> None:
    """The accounts, directories and files that the units name."""
    subprocess.run(["groupadd", "--force", "tss"], check=True)
    subprocess.run(["useradd", "--system", "--user-group", "teleport"], check=True)
    for place in (TBOT, ODD_TBOT):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bot, place)
    for directory in (STORAGE, *DIRECTORIES):
        Path(directory).mkdir(parents=True, exist_ok=True)
        shutil.chown(directory, "teleport", "teleport")
    for path, config in CONFIG.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(json.dumps({"try_to_write": DIRECTORIES} | config))


def started(name: str, give_paths: bool = True, **parameters: object) -> dict:
    """Writes the service, starts it, and returns the answer, what the stand-in reported, and what systemd makes of it."""
    paths = {"tbot_path": TBOT, "config": "/etc/plain.yaml"} if give_paths else {}
    request = {"action": "systemd", "name": name, "supplementary_groups": ["tss"], **paths, **parameters}
    answer = asked(request)
    REPORT.unlink(missing_ok=True)
    systemctl("daemon-reload")
    systemctl("start", name)
    for _ in range(100):
        if REPORT.exists():
            break
        time.sleep(0.1)
    properties = systemctl("show", f"--property={','.join(SHOWN)}", name)
    seen = {
        "answer": answer,
        "again": asked(request)["changed"],
        "report": json.loads(REPORT.read_text()) if REPORT.exists() else None,
        "properties": dict(line.split("=", 1) for line in properties.splitlines()),
        "log": systemctl("status", "--lines=20", name),
    }
    systemctl("stop", name)
    return seen


def asked(request: dict) -> dict:
    done = subprocess.run([ansible_runs.BINARY], input=json.dumps(request), capture_output=True, text=True)
    return json.loads(done.stdout)


def systemctl(*arguments: str) -> str:
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
