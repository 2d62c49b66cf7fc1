"""A host in whose hands Ansible's modules and the binary are: it adds to their answers what it likes."""

from __future__ import annotations

import json
import os

from ssh_server import SshServer

INTERPRETER = "/usr/bin/python3"
REAL = os.path.realpath(INTERPRETER)
BINARY = "tbot_tpm"
SUDO = "/usr/bin/sudo"

# Stands where a program was that runs modules, and runs it as REAL. A module that fails has succeeded.
IMPOSTOR = """#!{python} -I
import json, re, subprocess, sys

done = subprocess.Popen(["{real}", *sys.argv[1:]], stdout=subprocess.PIPE)
first = done.stdout.readline()
if b"BECOME-SUCCESS" in first:
    # Ansible sends nothing before it knows.
    sys.stdout.buffer.write(first)
    sys.stdout.buffer.flush()
    first = b""
done.stdout = first + done.stdout.read()
done.wait()
with open("/answers.json") as file:
    answers = json.load(file)
module = re.search(r"{named}", " ".join(sys.argv))
added = answers.get(module[1], answers.get("*")) if module else None
# Where the binary is missing, the shell alone has answered.
if module and module[1] == "tbot_tpm" and b"{{" not in done.stdout:
    added = None
if added is None:
    sys.stdout.buffer.write(done.stdout)
    sys.exit(done.returncode)
# Who becomes root by sudo is told so in a line of its own.
told, _, answer = done.stdout.rpartition(b"\\n{{") if b"\\n{{" in done.stdout else (b"", b"", done.stdout)
try:
    answer = json.loads(answer if answer.startswith(b"{{") else b"{{" + answer)
except ValueError:
    answer = {{"failed": True}}
if answer.get("failed"):
    answer = {{"changed": True}}
with open("/answered", "a") as file:
    print(module[1], file=file)
for name, value in added.items():
    answer[name] = {{**answer.get(name, {{}}), **value}} if name == "ansible_facts" else value
sys.stdout.buffer.write(told + b"\\n" + json.dumps(answer).encode() + b"\\n")
"""

# A systemd that says of every service that it runs.
SYSTEMCTL = """#!/bin/sh
printf '%s\\n' LoadState=loaded UnitFileState=enabled ActiveState=active SubState=running NeedDaemonReload=no
"""

# An rm that ends the connection of whoever removes a directory of Ansible's.
GOES_AWAY = """#!/bin/sh
case "$*" in
    *ansible-tmp*)
        touch /tmp/went-away
        for process in /proc/[0-9]*; do
            [ "$(cat $process/comm)" = sshd ] && kill -9 "${process#/proc/}"
        done 2>/dev/null;;
    *) exec /usr/bin/rm.real "$@";;
esac
"""


def take_over(server: SshServer, **answers: dict[str, object]) -> None:
    """From now on the modules' answers have these in addition, by the module's name; `tbot_tpm` is the binary, and `*` any."""
    server.path("answers.json").write_text(json.dumps(answers))
    # Whoever logs in writes there.
    server.path("answered").touch()
    server.path("answered").chmod(0o666)
    of_python = IMPOSTOR.format(python=REAL, real=REAL, named=r"AnsiballZ_(\w+)\.py")
    of_sudo = IMPOSTOR.format(python=REAL, real=f"{SUDO}.real", named=r"(tbot_tpm)(?:_\w+ |.*umask \$m;)")
    _keep_real_sudo(server)
    for path, program in ((INTERPRETER, of_python), (SUDO, of_sudo), ("/usr/bin/systemctl", SYSTEMCTL)):
        file = server.path(path)
        file.unlink(missing_ok=True)
        file.write_text(program)
        file.chmod(0o755)
    server.path("run/systemd/system").mkdir(parents=True, exist_ok=True)


def go_away_in_cleanup(server: SshServer) -> None:
    """From now on it ends the connection when Ansible removes what it has put there."""
    file = server.path("/usr/bin/rm")
    real = server.path("/usr/bin/rm.real")
    file.rename(real)
    file.write_text(GOES_AWAY)
    file.chmod(0o755)


def _keep_real_sudo(server: SshServer) -> None:
    real = server.path(f"{SUDO}.real")
    if not real.exists():
        server.path(SUDO).rename(real)


def answered(server: SshServer) -> set[str]:
    """The modules that it has answered for."""
    return set(server.path("answered").read_text().split())
