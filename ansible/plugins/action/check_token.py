# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a run whose variables cannot be right for a token that is built for all of its hosts."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts, failures, token_variables, variables


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_token`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("bot_name", "roles", "prune"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        result["changed"] = False
        # By such a fact, no variable says what the user has set.
        refusal = facts.refusal(task_vars, facts.plugins_of(self._connection))
        refusal = refusal or variables.refusal_in_role(self._task._role, task_vars, self._templar)
        if not refusal:
            result["instances"], refusal = self._compared(task_vars)
        if refusal:
            result.update(failed=True, msg=refusal)
        return failures.kept(result, self, task_vars or {})

    def _compared(self, task_vars):
        """The instances of all hosts, and what is wrong with the variables; None where nothing is."""
        arguments = self._task.args
        # Each host's variables are put together once, which takes longer than to compare them.
        hosts = [(host, task_vars["hostvars"][host]) for host in task_vars["ansible_play_hosts"]]
        first = [arguments.get(name) for name in ("bot_name", "roles", "prune")]
        return token_variables.compared(hosts, *first, "ansible_limit" in task_vars)
