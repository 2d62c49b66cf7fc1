# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""What the binary says of its parameters, said of the variables that people set."""

from __future__ import annotations

import re

# Parameters that the roles fill from one variable, whatever the action.
VARIABLES = {
    "accept_identity_change": "tbot_accept_identity_change", "allow_downgrade": "tbot_allow_downgrade",
    "allow_lockout": "tbot_allow_lockout", "allow_without_cas": "tbot_allow_without_cas", "allowed_urls": "tbot_ekcert_allowed_urls",
    "ca_bundle": "tbot_ekcert_ca_bundle", "ekcert_allowed_cas": "tbot_ekcert_allowed_cas", "fetch": "tbot_ekcert_fetch",
    "force": "tbot_unit_force", "hardening": "tbot_unit_hardening", "instances": "tbot_instances", "match": "tbot_token_match",
    "prune": "tbot_token_prune", "recreate": "tbot_token_recreate", "remove": "tbot_token_remove", "retire": "tbot_token_retire",
    "scope": "tbot_scope", "shards": "tbot_token_shards", "tcti": "tbot_tcti", "trusted_roots": "tbot_ekcert_trusted_roots",
    "trusted_sha256": "tbot_ekcert_trusted_sha256", "udev_rule": "tbot_udev_rule", "wait": "tbot_ready_timeout",
}  # fmt: skip
# Those that are meant for one run.
ONCE = frozenset(("tbot_allow_lockout", "tbot_decommission_all_bots", "tbot_token_recreate"))
# What only makes sense there, or with the parameter's name.
PHRASES = (
    (r"`(tbot_\w+)` \(`\1`\)", r"`\1`"),
    (r"\(parameter `(tbot_\w+)`\)", r"(`\1`)"),
    (r"to stay as `version`", "to stay as `tbot_version`"),
    (r"set `version`, or have the cluster tell it", "set `tbot_version`, or have the cluster tell it"),
)
# Those that are filled from another one there.
OF_ACTIONS = {"registry": {"allow_lockout": "tbot_decommission_all_bots"}}


def of_variables(text, action):
    """The text with variables in the place of parameters. What is to be set for once is something to paste."""
    names = {**VARIABLES, **OF_ACTIONS.get(action, {})}
    if not isinstance(text, str):
        return text
    text = re.sub(r"set `(\w+): true`(?: \(`tbot_\w+`\))?", lambda found: _once(found, names), text)
    text = re.sub(r"`(\w+)(?=[`:])", lambda found: "`" + names.get(found[1], found[1]), text)
    for theirs, ours in PHRASES:
        text = re.sub(theirs, ours, text)
    return text


def _once(found, names):
    name = names.get(found[1], found[1])
    return "run once with --extra-vars %s=true" % name if name in ONCE else "set `%s: true`" % name
