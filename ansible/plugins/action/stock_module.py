# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one of Ansible's own modules on a host, and pass on nothing but its documented results."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import answers, defaults, facts, stock, variables

# The modules that the roles run on hosts, each with the results that they use or that tell what happened. Facts are no variables
# here: `setup` has them as its result `facts`.
MODULES = {
    "apt": ("cache_updated", "stderr", "stdout"),
    "command": ("cmd", "delta", "end", "start", "stderr", "stdout"),
    "copy": ("checksum", "dest", "gid", "group", "mode", "owner", "size", "src", "uid"),
    "dnf": (),
    "file": ("dest", "gid", "group", "mode", "owner", "path", "state", "uid"),
    "find": ("examined", "files", "matched"),
    "get_url": ("checksum_dest", "checksum_src", "dest", "elapsed", "size", "status_code", "url"),
    "rpm_key": (),
    "setup": ("facts",),
    "stat": ("stat",),
    "tempfile": ("path",),
    "unarchive": ("dest", "extract_results", "handler", "src", "state"),
    "yum_repository": ("repo", "state"),
}


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.stock_module`."""

    # Those of Ansible's actions that bring files to the host make a directory for them there by themselves.
    TRANSFERS_FILES = False
    _task_vars = None

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = self._task_vars = task_vars or {}
        arguments = dict(self._task.args)
        module = arguments.pop("module", None)
        refusal = facts.refusal(task_vars, facts.plugins_of(self._connection))
        refusal = refusal or variables.refusal_in_role(self._task._role, task_vars, self._templar)
        if module not in MODULES:
            refusal = "stock_module does not run this module: choose %s" % ", ".join(sorted(MODULES))
        if refusal:
            result.update(failed=True, changed=False, msg=refusal)
            return result
        try:
            answer, runner = self._run_module(module, arguments, task_vars)
        except AnsibleConnectionFailure as failure:
            result.update(answers.unreachable(failure, task_vars))
            return result
        if stock.did_not_run(answer):
            self._fail(answer)
        if module == "setup":
            answer["facts"] = answer.get("ansible_facts")
        # What tctl prints, where it is not here, may be long.
        result.update(answers.passed_on(answer, MODULES[module], of_one_host=not self._task.delegate_to))
        result.update(facts.discovered_interpreter(runner))
        return result

    def cleanup(self, force=False):
        answers.clean_up(super().cleanup, force, self._task_vars)

    def _fail(self, answer):
        """Ends the task, whatever its `failed_when` says: that is about what a module answers, and there was none. The message has
        words of the host. Ansible takes those of this exception for a text; until 2.18, that of AnsibleActionFail was a template.
        """
        place = answers.text(self._task.delegate_to) if self._task.delegate_to else "this host"
        message, _kind, _said = stock.why(answer, place, is_secret=self._task.no_log)
        raise AnsibleError(message)

    def _run_module(self, module, arguments, task_vars):
        """What the module answers, and the action that ran it."""
        name = "ansible.legacy." + module
        arguments = defaults.applied("ansible.builtin." + module, arguments, self._task, self._templar)
        loader = self._shared_loader_obj.action_loader
        if not loader.has_plugin(name):
            return self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars), self
        # Part of it runs on the controller, such as what `copy` does to bring a file there.
        task = self._task.copy()
        task.args = arguments
        runner = loader.get(
            name, task=task, connection=self._connection, play_context=self._play_context, loader=self._loader,
            templar=self._templar, shared_loader_obj=self._shared_loader_obj,
        )
        return runner.run(task_vars=task_vars), runner
