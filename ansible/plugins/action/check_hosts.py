# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a run that has no hosts, hosts whose variables cannot be right, and hosts that a run has left out."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts, failures


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_hosts`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("checked", "left_out"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["changed"] = False
        # By a fact, a host may seem to have another name, and other groups.
        host = facts.host_name(task_vars or {})
        if host in self._task.args.get("left_out", []):
            result.update(failed=True, msg="This host was left out: the report says why.")
        checked = self._task.args.get("checked", {})
        if "instances" in checked:
            result["instances"] = checked["instances"]
        if "stops" in checked:
            result.update(failed=True, msg=checked["stops"])
        elif "problem" in checked:
            return failures.stopped(result, self, checked["problem"], checked.get("host"))
        return result
