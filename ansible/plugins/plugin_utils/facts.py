# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host that would override variables.

By default (INJECT_FACTS_AS_VARS), what is known of a host as facts becomes variables of the same names, above the inventory and role
defaults: https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html#understanding-variable-precedence. Any module
that runs on a host can answer with facts, so root there chooses the names. No task of this collection runs for a host with a fact
that overrides a variable of the roles, of a connection, or of Ansible itself.
"""

from __future__ import annotations

import multiprocessing

from ansible import constants as C
from ansible.vars.clean import clean_facts

# The roles' variables; and the one fact that the module sets, which nothing here reads.
OURS = ("tbot_", "__tbot_")
OWN_FACT = "tbot_tpm"

# https://docs.ansible.com/ansible/latest/reference_appendices/special_variables.html, and what files of roles and loops may name.
SPECIAL = frozenset((
    "ansible_check_mode", "ansible_collection_name", "ansible_config_file", "ansible_delegated_vars",
    "ansible_dependent_role_names", "ansible_diff_mode", "ansible_facts", "ansible_failed_result", "ansible_failed_task",
    "ansible_forks", "ansible_index_var", "ansible_inventory_sources", "ansible_limit", "ansible_loop", "ansible_loop_var",
    "ansible_parent_role_names", "ansible_parent_role_paths", "ansible_play_batch", "ansible_play_hosts",
    "ansible_play_hosts_all", "ansible_play_name", "ansible_play_role_names", "ansible_playbook_python", "ansible_role_name",
    "ansible_role_names", "ansible_run_tags", "ansible_search_path", "ansible_skip_tags", "ansible_verbosity",
    "ansible_version", "environment", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file",
    "inventory_hostname", "inventory_hostname_short", "item", "omit", "play_hosts", "playbook_dir", "role_name", "role_names",
    "role_path", "role_uuid", "vars",
))  # fmt: skip
# Jinja's and Ansible's own functions: until ansible-core 2.18, variables override these too.
FUNCTIONS = frozenset(("cycler", "dict", "joiner", "lipsum", "lookup", "namespace", "now", "q", "query", "range", "undef"))

STOPS = (
    "This host has a fact {name!r}, which would override the variable of that name. Nothing was run for it. If you did not set "
    "it, a program on the host did: find out which. Then run again with --flush-cache, and do not gather facts of this host first."
)


def host_name(task_vars):
    """The host that the task is about, by the play. A fact may override `inventory_hostname`."""
    # Each task runs in a worker process of its own, which Ansible makes for one host.
    host = getattr(multiprocessing.current_process(), "_host", None)
    return host.name if host is not None else task_vars.get("inventory_hostname")


def overriding(task_vars, plugins, host=None):
    """The facts of the host that override variables, sorted. The plugins are those that connect to it."""
    if not C.INJECT_FACTS_AS_VARS:
        return []
    known = _known(task_vars, host or host_name(task_vars))
    variables = SPECIAL | FUNCTIONS | _connection_variables(plugins) if known else ()
    # Ansible leaves out some of the connections' variables by itself, and says so each time.
    suspects = {name: None for name in known if _is_ours(name) or name in variables}
    return sorted(clean_facts(suspects)) if suspects else []


def refusal(task_vars, plugins, host=None):
    """What to tell the user of such facts; None where there are none. The host is that of the task, or this one."""
    names = overriding(task_vars, plugins, host)
    return STOPS.format(name=names[0][:100]) if names else None


def plugins_of(connection):
    """The plugins that connect to the host: connection, shell and, where there is one, become."""
    return [plugin for plugin in (connection, connection._shell, connection.become) if plugin]


def discovered_interpreter(runner):
    """What an action found out itself about the host's Python, as Ansible remembers it: the one fact that is passed on."""
    name, path = runner._discovered_interpreter_key, runner._discovered_interpreter
    return {"ansible_facts": {name: path}} if name else {}


def _known(task_vars, host):
    """All facts of the host, as modules named them."""
    hostvars = task_vars.get("hostvars")
    cache = getattr(getattr(hostvars, "_variable_manager", None), "_fact_cache", None)
    if cache is not None:
        try:
            return cache.get(host) or {}
        except KeyError:
            return {}
    # By their public view, in which a name may have lost its `ansible_`.
    names = list(task_vars.get("ansible_facts", {}))
    return {**dict.fromkeys(names), **dict.fromkeys("ansible_%s" % name for name in names)}


def _is_ours(name):
    return isinstance(name, str) and name.startswith(OURS) and name != OWN_FACT


def _connection_variables(plugins):
    """The variables that Ansible's own settings, and these plugins, are set by."""
    definitions = list(C.config.get_configuration_definitions().values())
    for plugin in plugins:
        definitions += getattr(plugin, "option_definitions", {}).values()
    return {variable["name"] for definition in definitions for variable in definition.get("vars") or ()}
