# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection for tests that is neither local nor ssh: other programs run the shell, as those that enter a container do."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ansible.plugins.connection.local import Connection as LocalConnection

DOCUMENTATION = """
name: wrapped
short_description: run the shell by another command
description:
  - The commands of a task run on this machine, by a shell that another command starts.
options:
  wrapper:
    description: Words of the command, which the shell's follow.
    type: list
    elements: str
    default: []
    vars:
      - name: ansible_wrapped_by
  root:
    description: The directory that is the root of the file system for that shell.
    default: ""
    vars:
      - name: ansible_wrapped_root
  log:
    description: A file that gets a line for every command that is run, and for every file that is put.
    required: true
    vars:
      - name: ansible_wrapped_log
extends_documentation_fragment:
  - connection_pipelining
"""


class Connection(LocalConnection):
    """See above."""

    transport = "wrapped"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        self._note({"run": cmd})
        shell = shlex.join([*self.get_option("wrapper"), "/bin/sh", "-c", cmd])
        return super().exec_command(shell, in_data=in_data, sudoable=sudoable)

    def put_file(self, in_path, out_path):
        self._note({"put": out_path})
        super().put_file(in_path, self._outside(out_path))

    def fetch_file(self, in_path, out_path):
        super().fetch_file(self._outside(in_path), out_path)

    def _outside(self, path):
        return self.get_option("root") + path

    def _note(self, entry):
        with Path(self.get_option("log")).open("a") as log:
            log.write(json.dumps(entry) + "\n")
