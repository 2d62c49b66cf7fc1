# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible would reach a host, by the host's variables. Nothing connects."""

from __future__ import annotations

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import become_loader, connection_loader, shell_loader


class Plugin:
    """A plugin of Ansible's by its class, with the options that a host's variables give it."""

    def __init__(self, kind, loader, name, task_vars, templar, keywords):
        found = loader.get(name, class_only=True)
        if found is None:
            raise AnsibleError("The %s plugin %s does not exist: correct the variable that names it." % (kind, name))
        self.transport = getattr(found, "transport", None)
        self._kind, self._name = kind, found._load_name
        self._task_vars, self._templar, self._keywords = task_vars, templar, keywords
        # As a connection that was made has them.
        self._shell = self.become = None

    @property
    def option_definitions(self):
        return C.config.get_configuration_definitions(plugin_type=self._kind, name=self._name)

    def get_option(self, name):
        """The value of an option; a KeyError where the plugin has none of this name."""
        names = [variable["name"] for variable in self.option_definitions[name].get("vars") or ()]
        known = {name: self._templar.template(self._task_vars[name]) for name in names if name in self._task_vars}
        return C.config.get_config_value(name, plugin_type=self._kind, plugin_name=self._name, keys=self._keywords, variables=known)


def of_host(task_vars, templar, task):
    """The plugins by which this task would reach the host, as an action has them in its connection."""
    keywords = task.dump_attrs()

    def plugin(kind, loader, name):
        return Plugin(kind, loader, name, task_vars, templar, keywords)

    def value(name):
        return templar.template(task_vars.get(name))

    transport = value("ansible_connection") or task.connection
    connection = plugin("connection", connection_loader, "ssh" if transport == "smart" else transport)
    connection._shell = plugin("shell", shell_loader, value("ansible_shell_type") or "sh")
    if boolean(value("ansible_become") or False, strict=False):
        connection.become = plugin("become", become_loader, value("ansible_become_method") or task.become_method or "sudo")
    return connection
