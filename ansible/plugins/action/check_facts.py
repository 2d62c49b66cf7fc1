# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a host whose facts would override variables."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts, failures, variables


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_facts`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["changed"] = False
        refusal = facts.refusal(task_vars or {}, facts.plugins_of(self._connection))
        refusal = refusal or variables.refusal_in_role(self._task._role, task_vars or {}, self._templar)
        if refusal:
            result.update(failed=True, msg=refusal)
        return failures.kept(result, self, task_vars or {})
