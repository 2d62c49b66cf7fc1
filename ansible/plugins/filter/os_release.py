# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""What /etc/os-release says about the distributions that a distribution is made of."""

from __future__ import annotations

import re

# An assignment, and the characters that a backslash quotes, by os-release(5).
ASSIGNMENT = re.compile(r"([A-Z0-9_]+)=([\"']?)(.*)\2")
QUOTED = re.compile(r"\\([\\$\"'`])")
# The fields that roles read. The text comes from a managed host and becomes a part of addresses, so other values do not count.
FIELDS = {
    "ID_LIKE": re.compile(r"[a-z ]+"),
    "UBUNTU_CODENAME": re.compile(r"[a-z]+"),
    "DEBIAN_CODENAME": re.compile(r"[a-z]+"),
    "PLATFORM_ID": re.compile(r"platform:el[0-9]+"),
}


def os_release(text):
    """The fields that have such values. As for a shell, the last assignment of a field counts."""
    assignments = {}
    for line in text.split("\n") if isinstance(text, str) else ():
        found = ASSIGNMENT.fullmatch(line.rstrip())
        if found:
            assignments[found[1]] = QUOTED.sub(r"\1", found[3])
    return {name: assignments[name] for name, values in FIELDS.items() if values.fullmatch(assignments.get(name, ""))}


class FilterModule:
    """See the filter's documentation: `ansible-doc -t filter tbot.tpm.os_release`."""

    def filters(self):
        return {"os_release": os_release}
