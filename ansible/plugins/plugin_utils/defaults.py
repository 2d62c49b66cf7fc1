# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's `module_defaults`."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.executor import module_common
from ansible.parsing.mod_args import ModuleArgsParser


def applied(module, arguments, task, templar):
    """The arguments with the user's `module_defaults` of that module."""
    if hasattr(module_common, "get_action_args_with_defaults"):
        groups = task._parent._play._action_groups
        return module_common.get_action_args_with_defaults(module, arguments, task.module_defaults, templar, action_groups=groups)
    # Since ansible-core 2.19.
    return module_common._apply_action_arg_defaults(module, task, arguments, templar)


def names_in(module, task, templar):
    """The names of the task's arguments that `module_defaults` have, and the task itself does not. Ansible has put them together
    by now."""
    if not task.module_defaults:
        return []
    defaults = applied(module, {}, task, templar)
    given = _given(task)
    # A task may take its arguments from a variable. Then the value tells, but where it is the same.
    return sorted(name for name in defaults if name in task.args and name not in given and task.args[name] == defaults[name])


def _given(task):
    """The names of the arguments that are written in the task."""
    try:
        return frozenset(ModuleArgsParser(task_ds=task.get_ds(), collection_list=task.collections).parse()[1])
    except (AnsibleError, AssertionError, TypeError, ValueError):
        return frozenset()
