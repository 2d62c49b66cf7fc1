# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""A play as it is without a host, so that no fact of one plays a part."""

from __future__ import annotations

import multiprocessing


def task_of_process():
    """The task that runs. Each has a worker process of its own, which Ansible makes with this and what else it needs."""
    return getattr(multiprocessing.current_process(), "_task", None)


class Play:
    """The play of a task: its variables and those of the task, and the hosts that it may have."""

    def __init__(self, task, templar):
        self.task = task
        self.templar = templar
        self.manager = getattr(multiprocessing.current_process(), "_variable_manager", None)
        self.play = _play(self.task)
        self.variables = {**self.manager.get_vars(play=self.play), **task.get_vars()} if self.manager else {}

    def value(self, name, default=None, **more):
        """The value of a variable of the play, or of these."""
        self.templar.available_variables = {**self.variables, **more}
        value = self.templar.template({**self.variables, **more}.get(name))
        return default if value is None else value

    def hosts_in(self, name):
        """The hosts of the group whose name is the value of this variable."""
        return self.variables["groups"].get(str(self.value(name)), [])

    def hosts(self, pattern):
        """The names of the hosts of this pattern, within --limit, those that failed as well."""
        return [host.name for host in self.manager._inventory.get_hosts(pattern, ignore_restrictions=True)]

    def variables_of(self, host, hosts):
        """The variables of one of these hosts in this play."""
        return self.manager.get_vars(play=self.play, host=self.manager._inventory.get_host(host), _hosts=hosts, _hosts_all=hosts)

    def run(self):
        """The number of this run among those of one playbook of the user's."""
        return str(self.value("__tbot_run"))

    def registered(self, host):
        """What the tasks of a host have registered, without evaluation. No fact is in it."""
        return self.manager._nonpersistent_fact_cache.get(host) or {}

    def registered_in_run(self, host, name):
        """What a task of this run has registered; empty where none has."""
        found = self.registered(host).get(name)
        return found if isinstance(found, dict) and found.get("run") == self.run() else {}

    def name_of_problem(self, of_all=False):
        """The variable that has the reason why a host, or all hosts by this one, are left out of this run."""
        return "__tbot_problem_%s%s" % ("of_all_" if of_all else "", self.value("__tbot_run"))

    def problem_of(self, host, of_all=False):
        """That reason; None where there is none."""
        name = self.name_of_problem(of_all)
        own = self.manager._inventory.get_host(host).vars
        said = self.registered(host).get(name) or own.get(name) or (None if of_all else own.get("__tbot_problem"))
        return str(said) if said else None


def _play(task):
    part = task
    while part is not None and getattr(part, "_play", None) is None:
        part = getattr(part, "_parent", None)
    return getattr(part, "_play", None)
