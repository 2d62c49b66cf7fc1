# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that cannot be right for a token that is built for all hosts of a run."""

from __future__ import annotations

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries

# What the token is built by, so that the hosts of a run cannot have values of their own.
SAME = (
    "tbot_token_name", "tbot_token_file", "tbot_token_shards", "tbot_token_per_host", "tbot_token_roles", "tbot_token_labels",
    "tbot_token_match", "tbot_token_expires", "tbot_ekcert_allowed_cas", "tbot_allow_without_cas", "tbot_ekcert_ca_bundle",
    "tbot_ekcert_trusted_roots", "tbot_ekcert_trusted_sha256", "tbot_ekcert_fetch", "tbot_ekcert_allowed_urls",
    "tbot_ekcert_timeout", "tbot_ekcert_total_timeout", "tbot_ekcert_ca_file", "tbot_bot_name", "tbot_bot_roles",
    "tbot_registry_dir", "tbot_scope",
)  # fmt: skip

# And what the tokens of further bots are built by, which these hosts may have or not.
OF_INSTANCE = ("bot_name", "token_name", "bot_roles", "bot_traits")

NO_BOT = "Set tbot_bot_name to the bot that the hosts are to join as."
DIFFERS = (
    "{names} {differ} between the hosts of this run, and one token is built for them all. Set it once for all of them, or run the "
    "playbook once for each group of hosts, with a registry of its own."
)
PRUNED_IN_PART = (
    "tbot_token_prune takes away every rule of a host that the registry does not have, so it is not for a run with --limit. Run the "
    "playbook without --limit, or without tbot_token_prune."
)

INSTANCE_DIFFERS = (
    "{name} of the instance {instance} in tbot_instances is not the same on {first} and {second}, and one token is built for both. Set "
    "it to the same for all hosts that have the instance, or give one of them another name."
)


def compared(hosts, bot_name, roles, prune, is_limited):
    """The instances of these hosts, as action `enroll` takes them, and what is wrong with the variables; None where nothing is. `hosts` has
    the name of each host with its variables, where one that is not set is empty."""
    problem = _problem([given for _host, given in hosts], bot_name, roles, prune, is_limited)
    return ([], problem) if problem else _instances(hosts)


def _problem(hosts, bot_name, roles, prune, is_limited):
    if "bot" in _names(roles) and not bot_name:
        return NO_BOT
    names = [name for name in SAME if len({str(binaries.plain(host.get(name, ""))) for host in hosts}) > 1]
    if names:
        return DIFFERS.format(names=", ".join(names), differ="differs" if len(names) == 1 else "differ")
    return PRUNED_IN_PART if is_limited and boolean(prune or False, strict=False) else None


def _instances(hosts):
    """Each instance with the hosts that have it, and those that it leaves."""
    found = {}
    for host, given in hosts:
        for instance in binaries.plain(given.get("tbot_instances") or []):
            own = {name: instance[name] for name in ("name", *OF_INSTANCE) if instance.get(name) not in (None, "")}
            own.setdefault("token_name", "tbot-%s" % own.get("name"))
            first, one = found.setdefault(own.get("name"), (host, {**own, "hosts": [], "leaves": []}))
            for name in OF_INSTANCE:
                if own.get(name) != one.get(name):
                    return [], INSTANCE_DIFFERS.format(name=name, instance=own.get("name"), first=first, second=host)
            one["leaves" if instance.get("state") == "absent" else "hosts"].append(host)
    return [one for _first, one in found.values()], None


def _names(value):
    """The token's roles in lower case. A token without any has Bot. Given on the command line, a list may be a text."""
    texts = value if isinstance(value, (list, tuple)) else [value or ""]
    names = [name.strip().lower() for text in texts for name in str(text).split(",")]
    return [name for name in names if name] or ["bot"]
