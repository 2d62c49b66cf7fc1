"""A host in whose hands Ansible's own modules are: it answers for them with facts of its own."""

from __future__ import annotations

import json
import os

from ssh_server import SshServer

INTERPRETER = "/usr/bin/python3"
REAL = os.path.realpath(INTERPRETER)

# Stands where the interpreter was. It runs each module, and puts the facts into its answer; a module that fails has succeeded.
IMPOSTOR = f"""#!{REAL} -I
import json, re, subprocess, sys

done = subprocess.run(["{REAL}", *sys.argv[1:]], stdout=subprocess.PIPE)
with open("/facts.json") as file:
    facts = json.load(file)
module = re.search(r"AnsiballZ_(\\w+)\\.py", " ".join(sys.argv))
if not module or module[1] not in facts:
    sys.stdout.buffer.write(done.stdout)
    sys.exit(done.returncode)
try:
    answer = json.loads(done.stdout)
except ValueError:
    answer = {{"failed": True}}
if answer.get("failed"):
    answer = {{"changed": True}}
with open("/answered", "a") as file:
    print(module[1], file=file)
answer["ansible_facts"] = answer.get("ansible_facts", {{}}) | facts[module[1]]
print(json.dumps(answer))
"""

# A systemd that says of every service that it runs.
SYSTEMCTL = """#!/bin/sh
printf '%s\\n' LoadState=loaded UnitFileState=enabled ActiveState=active SubState=running NeedDaemonReload=no
"""


def take_over(server: SshServer, **facts: dict[str, object]) -> None:
    """From now on these are the facts that the modules, by their names, answer with."""
    server.path("facts.json").write_text(json.dumps(facts))
    # Whoever logs in writes there.
    server.path("answered").touch()
    server.path("answered").chmod(0o666)
    for path, program in ((INTERPRETER, IMPOSTOR), ("/usr/bin/systemctl", SYSTEMCTL)):
        file = server.path(path)
        file.unlink(missing_ok=True)
        file.write_text(program)
        file.chmod(0o755)
    server.path("run/systemd/system").mkdir(parents=True, exist_ok=True)


def answered(server: SshServer) -> set[str]:
    """The modules that it has answered for."""
    return set(server.path("answered").read_text().split())
