# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""Commands on the controller itself, which needs no module to be sent to it."""

from __future__ import annotations

import os
import subprocess

from ansible.module_utils.common.text.converters import to_text


def run(argv, stdin, directory):
    """What Ansible's module `command` answers of a command, run in that directory."""
    words = [os.path.expanduser(os.path.expandvars(to_text(word))) for word in argv]
    # The module ends the input with a line's end as well.
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": (to_text(stdin) + "\n").encode()}
    failed = {"changed": False, "failed": True, "cmd": words, "stdout": "", "stderr": ""}
    try:
        done = subprocess.run(words, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **given)
    except (OSError, ValueError) as error:
        return failed | {"rc": getattr(error, "errno", None) or 2, "msg": str(error)}
    answer = {"cmd": words, "rc": done.returncode, "changed": True, "failed": done.returncode != 0}
    try:
        return answer | {name: said.decode().rstrip("\r\n") for name, said in (("stdout", done.stdout), ("stderr", done.stderr))}
    except UnicodeDecodeError:
        # A part of it would be lost, which is not to be written back.
        return failed | {"rc": done.returncode or 1, "msg": "What it printed is not UTF-8"}
