# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a host whose variables cannot be right."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts, failures, values, variables


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_variables`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("roles",))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        result["changed"] = False
        # By such a fact, no variable says what the user has set.
        refusal = facts.refusal(task_vars, facts.plugins_of(self._connection))
        refusal = refusal or " ".join(self._problems(task_vars))
        if refusal:
            result.update(failed=True, msg=refusal)
        return failures.kept(result, self, task_vars or {})

    def _problems(self, task_vars):
        host = facts.host_name(task_vars)
        said = variables.unknown(task_vars, self._templar)
        given = values.Values(self._task.args["roles"], task_vars, self._templar)
        given.check_files()
        given.ask_binary(host)
        said += given.said + self._tctl_host(given, task_vars)
        # A host that is taken out of service loses its access whether or not anybody can log in.
        if any("." not in role and role != "join_token" for role in self._task.args["roles"]):
            said += values.login(given, self._connection)
        return [sentence if sentence.endswith(".") else sentence + "." for sentence in said]

    def _tctl_host(self, given, task_vars):
        host = given.given.get("tbot_tctl_host")
        if not host or host in ("localhost", "127.0.0.1") or host in task_vars.get("groups", {}).get("all", [host]):
            return []
        return ["tbot_tctl_host is %s, and the inventory has no host of this name: name it as the inventory does" % host]
