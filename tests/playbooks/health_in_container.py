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
# Answers as tbot does, after some seconds, as something that has to join first; with a process id where one is given, and as
# another user, to whom the tests' Python may be closed.
ANSWERING = """
import http.server, json, os, socket, sys, time
socket.getfqdn("127.0.0.1")  # which imports more
port, delay, number = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
if sys.argv[4:]:
    os.setuid(int(sys.argv[4]))
body = {"status": "healthy", "services": {"identity": {"status": "healthy"}}}
if number:
    body["pid"] = os.getpid() if number == "own" else int(number)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
time.sleep(delay)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
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
    script = PROGRAM.with_name("answering.py")
    script.write_text(ANSWERING)
    server = f"{sys.executable} {script}"
    write("late", f"{server} {PORT} 3 own")
    systemctl("enable", "--now", "late")
    seen["late, at once"] = asked("late", diag_addr=f"0.0.0.0:{PORT}")
    seen["late, awaited"] = asked("late", diag_addr=f"0.0.0.0:{PORT}", wait=60)
    # Its main process is a shell.
    write("wrapped", f"/bin/sh -c '{server} {PORT + 1} 0 own; true'")
    systemctl("start", "wrapped")
    seen["wrapped"] = asked("wrapped", diag_addr=f"127.0.0.1:{PORT + 1}", wait=60)
    write("lying", f"{server} {PORT + 2} 0 1")
    systemctl("start", "lying")
    time.sleep(2)
    seen["lying"] = asked("lying", diag_addr=f"127.0.0.1:{PORT + 2}")
    # Another user, who listens where the service does not.
    write("squatter", f"{server} {PORT + 3} 0 own 65534")
    write("alone", f"{server} {PORT + 3} 0 own", "PrivateNetwork=yes")
    systemctl("start", "squatter", "alone")
    time.sleep(2)
    for name in ("steady", "alone", "missing"):
        seen[f"{name}, and a squatter"] = asked(name, diag_addr=f"127.0.0.1:{PORT + 3}")
    seen["steady, and a squatter, awaited"] = asked("steady", diag_addr=f"127.0.0.1:{PORT + 3}", wait=2)
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
