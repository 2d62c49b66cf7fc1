# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the roles: which there are, by the roles' own documentation, and what a blank one means.

Blank is what a YAML key without a value has, and a question of a survey that nobody answered. It counts as not given, and is an error
where that would be dangerous or is not what somebody wanted who wrote the name down.
"""

from __future__ import annotations

import difflib
import os

from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries, facts

ROLES = os.path.join(binaries.COLLECTION, "roles")
PREFIX = "tbot_"
# The playbooks' own, which site.yml explains.
ALLOW_UNKNOWN = "tbot_allow_unknown_variables"
OF_PLAYBOOKS = (ALLOW_UNKNOWN, "tbot_become", "tbot_hosts", "tbot_max_fail_percentage", "tbot_serial", "tbot_tpm_cache")

# In these an empty text says that there is to be none.
EMPTY_TEXTS = frozenset(("tbot_diag_addr", "tbot_pid_file"))
# By these, less is trusted than without them.
TRUST = frozenset((
    "tbot_ca_pins", "tbot_ekcert_allowed_cas", "tbot_ekcert_ca_bundle", "tbot_ekcert_trusted_roots", "tbot_ekcert_trusted_sha256",
    "tbot_install_script_sha256", "tbot_repository_key_sha256", "tbot_tarball_sha256",
))  # fmt: skip


def _read(role, *path):
    file = os.path.join(ROLES, role, *path)
    if not os.path.exists(file):
        return {}
    with open(file, "rb") as stream:
        return yaml_load(stream) or {}


# Read once, when Ansible loads the action: it forks for each task.
SPECS = {role: _read(role, "meta", "argument_specs.yml").get("argument_specs", {}) for role in sorted(os.listdir(ROLES))}
DEFAULTS = {name: value for role in SPECS for name, value in _read(role, "defaults", "main.yml").items()}
KNOWN = frozenset(OF_PLAYBOOKS).union(*(spec["options"] for entries in SPECS.values() for spec in entries.values()))


def options_of(roles):
    """The options of these roles, as ROLE or ROLE.ENTRY_POINT, by the variables' names."""
    options = {}
    for name in roles:
        role, _dot, entry = name.partition(".")
        for variable, option in SPECS[role][entry or "main"]["options"].items():
            if not options.get(variable, {}).get("required"):
                options[variable] = option
    return options


def is_blank(value):
    """Whether a variable is there without a value."""
    return value is None or (isinstance(value, str) and not value.strip())


def unknown(task_vars, templar):
    """What to say of the host's variables that are called as ours are and that no role has."""
    ours = [name for name in task_vars if isinstance(name, str) and name.startswith(PREFIX)]
    names = [name for name in ours if name not in KNOWN and name != facts.OWN_FACT]
    if not names or boolean(templar.template(task_vars.get(ALLOW_UNKNOWN)) or False, strict=False):
        return []
    said = [
        "%s is not a variable of this collection: did you mean %s?" % (name[:100], difflib.get_close_matches(name, sorted(KNOWN), 1, 0)[0])
        for name in sorted(names)
    ]
    return [*said[:-1], said[-1] + " If a variable is your own, set %s to true." % ALLOW_UNKNOWN]


def blank(name, value, option):
    """What to say of a variable without a value; None where it counts as not given."""
    if name in EMPTY_TEXTS and value == "":
        return None
    if option.get("required"):
        return "%s is blank: give it a value." % name
    if name in TRUST:
        return "%s is blank, and a check is not left out by accident: give it a value, or remove it." % name
    default = DEFAULTS.get(name)
    # To Ansible, no other type has an empty text.
    is_text = option.get("elements", "str") == "str" and option.get("type", "str") in ("str", "path", "list")
    if default in (None, [], {}) and (value is None or is_text):
        return None
    default = option.get("default")
    return "%s is blank: give it a value, or remove it%s." % (name, "" if default in (None, [], {}) else " to have %s" % default)


def refusal_in_role(role, task_vars, templar):
    """What is wrong with the names of variables, and with blank ones, for a task in one of the collection's roles. None where nothing
    is, or the task is in no such role."""
    if role is None or role._role_collection != "tbot.tpm":
        return None
    said = unknown(task_vars, templar)
    for name, option in options_of(["%s.%s" % (role._role_name, entry) for entry in SPECS.get(role._role_name, {})]).items():
        if name in task_vars and is_blank(task_vars[name]):
            said.append(blank(name, task_vars[name], option))
    return " ".join(filter(None, said)) or None
