"""Has the action `service` look at services of a booted container, and writes what it saw to RESULTS/seen.json.

Started by test_health.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import ansible_runs

UNIT = "[Service]\nExecStart={command}\n{more}\n[Install]\nWantedBy=multi-user.target\n"
PROGRAM = Path("/opt/health/program")
CONFIG = Path("/etc/health.yaml")
PORT = 47391
# Answers after a few seconds, as something that has to join first.
LATE = f"""
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
time.sleep(3)
http.server.HTTPServer(("127.0.0.1", {PORT}), Handler).serve_forever()
"""


def main(results: Path) -> None:
    seen = {"missing": asked("missing", wait=5)}
    PROGRAM.parent.mkdir()
    shutil.copy("/bin/sleep", PROGRAM)
    CONFIG.write_text("version: v2\n")
    unit = write("steady", f"{PROGRAM} infinity")
    seen["not started"] = asked("steady")
    systemctl("enable", "--now", "steady")
    seen["started"] = asked("steady", wait=30)
    # As from another day; a clock may be wrong.
    os.utime(CONFIG, (time.time() + 86400,) * 2)
    seen["configuration of tomorrow"] = asked("steady")
    CONFIG.write_text("version: v2\ndebug: true\n")
    seen["configuration changed"] = asked("steady")
    systemctl("restart", "steady")
    seen["restarted"] = asked("steady", wait=30)
    unit.write_text(unit.read_text() + "# more\n")
    seen["unit changed"] = asked("steady")
    systemctl("daemon-reload")
    systemctl("restart", "steady")
    seen["unit read"] = asked("steady", wait=30)
    shutil.copy("/bin/sleep", f"{PROGRAM}.new")
    os.rename(f"{PROGRAM}.new", PROGRAM)
    seen["program replaced"] = asked("steady")
    write("failing", '/bin/sh -c "echo no such token; sleep 0.2; exit 3"')
    systemctl("start", "failing")
    seen["failing"] = asked("failing", wait=60)
    write("restarting", '/bin/sh -c "echo still no token; sleep 0.2; exit 4"', "Restart=always\nRestartSec=1\nStartLimitIntervalSec=0")
    systemctl("start", "restarting")
    seen["restarting"] = asked("restarting", wait=4)
    script = PROGRAM.with_name("late.py")
    script.write_text(LATE)
    write("late", f"{sys.executable} {script}")
    systemctl("enable", "--now", "late")
    seen["late, at once"] = asked("late", diag_addr=f"0.0.0.0:{PORT}")
    seen["late, awaited"] = asked("late", diag_addr=f"0.0.0.0:{PORT}", wait=60)
    (results / "seen.json").write_text(json.dumps(seen))


def write(name: str, command: str, more: str = "") -> Path:
    unit = Path(f"/etc/systemd/system/{name}.service")
    unit.write_text(UNIT.format(command=command, more=more))
    systemctl("daemon-reload")
    return unit


def asked(name: str, **parameters: object) -> dict:
    request = {"action": "service", "name": name, "config": str(CONFIG), **parameters}
    start = time.monotonic()
    done = subprocess.run([ansible_runs.BINARY], input=json.dumps(request), capture_output=True, text=True)
    return json.loads(done.stdout) | {"seconds": time.monotonic() - start}


def systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], capture_output=True, check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
