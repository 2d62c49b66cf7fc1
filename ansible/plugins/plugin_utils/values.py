# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the values of a host's variables, as far as the controller can tell without the host."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries, variables, wording

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19

    def trust_as_template(text):
        return text


# What the roles ask the binary for, each with the variables that become its parameters. What is missing here is only told later.
REQUESTS = {
    "tpm_identity": (
        ({"action": "identify"}, {"tcti": "tbot_tcti"}),
        ({"action": "registry", "state": "archived", "host": "host"}, {"registry": "tbot_registry_dir"}),
    ),
    "join_token": (
        ({"action": "registry", "state": "listed"}, {"registry": "tbot_registry_dir"}),
        (
            {"action": "enroll", "name": "token", "hosts": []},
            {
                "name": "tbot_token_name", "path": "tbot_token_file", "bot_name": "tbot_bot_name", "scope": "tbot_scope",
                "labels": "tbot_token_labels",
                "expires": "tbot_token_expires", "shards": "tbot_token_shards", "tctl": "tbot_tctl_command",
                "ekcert_allowed_cas": "tbot_ekcert_allowed_cas", "allow_without_cas": "tbot_allow_without_cas",
                "ca_bundle": "tbot_ekcert_ca_bundle", "trusted_roots": "tbot_ekcert_trusted_roots",
                "trusted_sha256": "tbot_ekcert_trusted_sha256", "allowed_urls": "tbot_ekcert_allowed_urls",
                "fetch_timeout": "tbot_ekcert_timeout", "total_timeout": "tbot_ekcert_total_timeout", "ca_file": "tbot_ekcert_ca_file",
                "instances": "tbot_instances",
            },
        ),
    ),
    "tpm_access": (({"action": "access"}, {"user": "tbot_user", "group": "tbot_group", "udev_rule": "tbot_udev_rule"}),),
    "tbot_install": (
        ({"action": "cluster"}, {"proxy_server": "tbot_proxy_server", "ca_file": "tbot_proxy_ca_file"}),
        ({"action": "program"}, {"version": "tbot_version", "path": "tbot_path"}),
    ),
    "tbot_service": (
        ({"action": "cluster"}, {"proxy_server": "tbot_proxy_server"}),
        (
            {"action": "config"},
            {"path": "tbot_config_path", "owner": "tbot_config_owner", "ca_pins": "tbot_ca_pins", "scope": "tbot_scope"},
        ),
        ({"action": "storage"}, {"path": "tbot_storage_path"}),
        ({"action": "systemd"}, {"name": "tbot_service_name", "directory": "tbot_unit_directory", "tbot_path": "tbot_path"}),
        (
            {
                "action": "deploy", "storage": {"path": "/var/lib/teleport/bot"}, "systemd": {},
                "config": {"defaults": {"diag_addr": "127.0.0.1:3001"}},
            },
            {
                "instances": "tbot_instances", "storage.path": "tbot_storage_path", "config.path": "tbot_config_path",
                "config.services": "tbot_services", "config.extra": "tbot_config_extra", "config.defaults.diag_addr": "tbot_diag_addr",
                "systemd.name": "tbot_service_name",
            },
        ),
    ),
}  # fmt: skip
# Files on the controller; some may be given as their text.
FILES = (
    "tbot_ekcert_allowed_cas", "tbot_ekcert_ca_bundle", "tbot_ekcert_ca_file", "tbot_ekcert_trusted_roots", "tbot_proxy_ca_file",
)  # fmt: skip


class Values:
    """The variables of one host that these roles use. Evaluated, they are in `given`, and what is wrong with them in `said`."""

    def __init__(self, roles, task_vars, templar):
        self.roles = [role.partition(".")[0] for role in roles]
        self.task_vars = task_vars
        self.templar = templar
        # A variable may refer to another that is only set by the role's defaults.
        defaults = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in variables.DEFAULTS.items()}
        templar.available_variables = {**defaults, **task_vars}
        self.given = {}
        self.said = []
        self._evaluate(variables.options_of(roles))

    def value(self, name, default=None):
        """The value of any variable, or the default where it is blank or cannot be evaluated."""
        try:
            value = self.templar.template(self.task_vars.get(name))
        except AnsibleError:
            value = None
        return default if variables.is_blank(value) else value

    def _evaluate(self, options):
        for name, option in options.items():
            if name not in self.task_vars:
                if option.get("required"):
                    self.said.append("Set %s. %s" % (name, _first_sentence(option["description"])))
                continue
            try:
                value = self.templar.template(self.task_vars[name])
            except AnsibleError as error:
                self.said.append("%s cannot be evaluated: %s" % (name, str(error).strip()[:500]))
                continue
            if variables.is_blank(value):
                said = variables.blank(name, value, option)
                if said:
                    self.said.append(said)
                    continue
            if not variables.is_blank(value) or value == "":
                self.given[name] = value
        # As Ansible checks them when a role begins.
        specs = {name: dict(options[name], required=False) for name in self.given}
        checked = ArgumentSpecValidator(specs).validate({n: v for n, v in self.given.items() if not variables.is_blank(v)})
        self.said += checked.error_messages
        # Of objects with options, the check also has those that nobody has given.
        self.given.update(
            (name, value) for name, value in checked.validated_parameters.items() if value is not None and "options" not in specs[name]
        )
        # The binary need not say it again.
        wrong = set(re.findall(r"\w+", " ".join(checked.error_messages)))
        self.given = {name: value for name, value in self.given.items() if name not in wrong}

    def check_files(self):
        """Looks for the files that they name."""
        for name in FILES:
            values = self.given.get(name) or []
            for value in [values] if isinstance(values, str) else values:
                # What is no absolute path, the binary refuses.
                if isinstance(value, str) and os.path.isabs(value) and "\n" not in value and not os.access(value, os.R_OK):
                    why = "cannot be read" if os.path.exists(value) else "does not exist"
                    self.said.append("%s names %s, which %s on the controller." % (name, value, why))

    def ask_binary(self, host):
        """Has the controller's binary check what the roles would ask for."""
        requests = [request for role in self.roles for request in REQUESTS[role]]
        for fixed, names in requests:
            parameters = {parameter: self.given[name] for parameter, name in names.items() if not variables.is_blank(self.given.get(name))}
            # Of several bots, each has been checked by itself.
            if not parameters or (fixed["action"] == "deploy" and "instances" not in parameters):
                continue
            request = _nested(fixed, binaries.plain(parameters))
            # For most names, the answer is that for the others.
            if "host" in fixed and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", host):
                request["host"] = host
            answer = _refusal(request)
            said = answer and _of_variables(str(answer.get("msg")), names)
            if said and said not in self.said:
                self.said.append(said)


def _nested(fixed, parameters):
    """A request with these parameters, of which some are within others: `config.path` is `path` of `config`."""
    request = json.loads(json.dumps(fixed))
    for name, value in parameters.items():
        *parents, last = name.split(".")
        place = request
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return request


def _refusal(request):
    """What the binary says is wrong with it. Most hosts have the same variables, so that what is right is remembered."""
    key = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    path = os.path.join(C.DEFAULT_LOCAL_TMP, "tbot_tpm_right_" + key)
    if os.path.exists(path):
        return None
    answer = binaries.refusal(request)
    if answer is None:
        with open(path, "w", encoding="utf-8"):
            pass
    return answer


def _of_variables(said, names):
    """What the binary says of parameters, said of the variables."""
    parameter = re.match(r"parameter `(\w+)((?:\[\d+\]|\.\w+)*)` of action `\w+`: ", said)
    if parameter:
        name = names.get(parameter[1])
        # An inventory's host has no variable for its name. Of a list, its elements are told by themselves.
        place = parameter[2] if "." in parameter[2] else ""
        return "%s%s: %s" % (name, place, said[parameter.end() :]) if name else said[parameter.end() :]
    said = re.sub(r"`(\w+)((?:\[\d+\])?)`", lambda found: names[found[1]] + found[2] if found[1] in names else found[0], said)
    return wording.of_variables(said, None)


def _first_sentence(description):
    """The first sentence of an option's description, without its markup."""
    text = description if isinstance(description, str) else description[0]
    return re.sub(r"\b[A-Z]\(([^)]*)\)", r"\1", re.split(r"(?<=\.)\s", text)[0])


def login(values, connection):
    """What is wrong with how Ansible logs in."""
    said = []
    if connection.transport not in ("ssh", "paramiko", "paramiko_ssh"):
        return said
    address = _option(connection, "host")
    if address and "/" in str(address):
        said.append("The address %s has a scheme or a path: set ansible_host to the host's name or IP address alone." % address)
    key = _option(connection, "private_key_file")
    # With the public part alone, an agent has the private one.
    if key and not any(os.path.exists(os.path.expanduser(str(key) + end)) for end in ("", ".pub")):
        said.append("There is no private key %s on the controller, which ansible_ssh_private_key_file names." % key)
    if not _needs_root(values):
        return said
    becomes = boolean(values.value("ansible_become", values.value("tbot_become", True)), strict=False)
    then = values.value("ansible_become_user", C.DEFAULT_BECOME_USER or "root") if becomes else _user(connection)
    if then and then != "root":
        said.append(
            "Ansible would work as %s on this host, and only root can install the bot: %s."
            % (then, "set ansible_become_user to root" if becomes else "set tbot_become, or ansible_become where it is set, to true")
        )
    return said


def _user(connection):
    """Who logs in; None where that is not known."""
    user = _option(connection, "remote_user")
    if user or connection.transport != "ssh":
        return user
    # OpenSSH decides, by its own configuration.
    options = [word for name in ("ssh_args", "ssh_common_args", "ssh_extra_args") for word in shlex.split(_option(connection, name) or "")]
    command = [_option(connection, "ssh_executable") or "ssh", *options, "-G", str(_option(connection, "host"))]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"^user (\S+)$", done.stdout, re.MULTILINE)
    return found and found[1]


def _needs_root(values):
    """Whether the run makes accounts, installs programs or starts services. What else it does may be in a user's own directories."""
    if not {"tpm_access", "tbot_install", "tbot_service"}.intersection(values.roles):
        return False
    managed = [boolean(values.value(name, True), strict=False) for name in ("tbot_manage_user", "tbot_manage_service")]
    return any(managed) or values.value("tbot_install_method", "package") != "none"


def _option(connection, name):
    try:
        return connection.get_option(name)
    except KeyError:
        return None
