# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a run that has no hosts, and hosts that a run has left out."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts

NO_INVENTORY = "There is no inventory with hosts, so nothing was done: name one with --inventory."
NO_HOSTS = "No host of this run matches tbot_hosts, which is {pattern!r}, so nothing was done: correct it, or --limit."


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.check_hosts`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("group", "left_out", "reason"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["changed"] = False
        task_vars = task_vars or {}
        if "left_out" in self._task.args:
            # By a fact, a host may seem to have another name, and other groups.
            is_left_out = facts.host_name(task_vars) in self._task.args["left_out"]
            refusal = (self._task.args.get("reason") or "This host was left out.") if is_left_out else None
        else:
            refusal = self._without_hosts(task_vars["hostvars"])
        if refusal:
            result.update(failed=True, msg=refusal)
        elif "group" in self._task.args:
            # As Ansible's group_by answers.
            result.update(add_group=self._task.args["group"], parent_groups=["all"])
        return result

    def _without_hosts(self, hostvars):
        """What to say where no play of this run has a host; None otherwise."""
        inventory = hostvars._inventory
        if not inventory.hosts:
            return NO_INVENTORY
        # As Ansible asks for the hosts of a play: without a host, so that no fact plays a part.
        variables = hostvars._variable_manager.get_vars(play=self._task._parent._play)
        self._templar.available_variables = variables
        pattern = self._templar.template(variables.get("tbot_hosts")) or "all"
        return None if inventory.get_hosts(pattern, ignore_restrictions=True) else NO_HOSTS.format(pattern=pattern)
