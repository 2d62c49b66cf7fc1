#!/usr/bin/python
# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""The name that ansible-doc and the task parser know. The documentation is in tbot_tpm.yml beside this file.

The work is done by a binary that the action plugin of the same name picks and runs, so this file runs only where Ansible did
not find that plugin. Then it says so.
"""

import json
import sys

print(
    json.dumps(
        {
            "changed": False,
            "failed": True,
            "msg": (
                "The action plugin tbot_tpm did not run: Ansible found this module by its short name, but not the plugin. "
                "Use the full name tbot.tpm.tbot_tpm, or set action_plugins to the collection's plugins/action folder."
            ),
            "error": {"kind": "not_found"},
        }
    )
)
sys.exit(1)
