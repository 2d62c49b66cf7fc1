# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a run that has no hosts, and hosts that a run has left out."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts, plays

NO_INVENTORY = "There is no inventory with hosts, so nothing was done: name one with --inventory."
NO_HOSTS = "No host of this run matches tbot_hosts, which is {pattern!r}, so nothing was done: correct it, or --limit."


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_hosts`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("group", "left_out"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["changed"] = False
        task_vars = task_vars or {}
        if "left_out" in self._task.args:
            # By a fact, a host may seem to have another name, and other groups.
            is_left_out = facts.host_name(task_vars) in self._task.args["left_out"]
            refusal = "This host was left out: the report says why." if is_left_out else None
        else:
            refusal = _without_hosts(plays.Play(self))
        if refusal:
            result.update(failed=True, msg=refusal)
        elif "group" in self._task.args:
            self._make_group(result, str(self._task.args["group"]))
        return result

    def _make_group(self, result, group):
        """As Ansible's group_by does; until ansible-core 2.20, by its result."""
        if hasattr(self, "add_group"):
            self.add_group(group, parent_group_names=["all"])
        else:
            result.update(add_group=group, parent_groups=["all"])


def _without_hosts(play):
    """What to say where no play of this run has a host; None otherwise."""
    if not play.manager._inventory.hosts:
        return NO_INVENTORY
    pattern = play.value("tbot_hosts") or "all"
    return None if play.hosts(pattern) else NO_HOSTS.format(pattern=pattern)
