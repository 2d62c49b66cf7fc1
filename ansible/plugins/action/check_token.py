# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a run whose variables cannot be right for a token that is built for all of its hosts."""

from __future__ import annotations

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries, facts, failures, variables

NO_BOT = "Set tbot_bot_name to the bot that the hosts are to join as."
DIFFERS = (
    "{names} {differ} between the hosts of this run, and one token is built for them all. Set it once for all of them, or run the "
    "playbook once for each group of hosts, with a registry of its own."
)
PRUNED_IN_PART = (
    "tbot_token_prune takes away every rule of a host that the registry does not have, so it is not for a run with --limit. Run the "
    "playbook without --limit, or without tbot_token_prune."
)


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_token`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("bot_name", "roles", "prune", "same"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        result["changed"] = False
        # By such a fact, no variable says what the user has set.
        refusal = facts.refusal(task_vars, facts.plugins_of(self._connection))
        refusal = refusal or variables.refusal_in_role(self._task._role, task_vars, self._templar)
        refusal = refusal or self._problem(task_vars)
        if refusal:
            result.update(failed=True, msg=refusal)
        return failures.kept(result, self, task_vars or {})

    def _problem(self, task_vars):
        """What is wrong with the variables; None where nothing is."""
        arguments = self._task.args
        if "bot" in roles_of(arguments.get("roles")) and not arguments.get("bot_name"):
            return NO_BOT
        names = differing(arguments.get("same") or [], task_vars)
        if names:
            return DIFFERS.format(names=", ".join(names), differ="differs" if len(names) == 1 else "differ")
        if boolean(arguments.get("prune") or False, strict=False) and "ansible_limit" in task_vars:
            return PRUNED_IN_PART
        return None


def roles_of(value):
    """The token's roles in lower case. A token without any has Bot. Given on the command line, a list may be a text."""
    texts = value if isinstance(value, (list, tuple)) else [value or ""]
    names = [name.strip().lower() for text in texts for name in str(text).split(",")]
    return [name for name in names if name] or ["bot"]


def differing(names, task_vars):
    """Those of the variables that are not the same for all hosts of the play, where one that is not set is empty."""
    # Each host's variables are put together once, which takes longer than to compare them.
    hosts = [task_vars["hostvars"][host] for host in task_vars["ansible_play_hosts"]]
    return [name for name in names if len({str(binaries.plain(host.get(name, ""))) for host in hosts}) > 1]
