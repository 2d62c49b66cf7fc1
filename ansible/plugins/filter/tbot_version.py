# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""The version in the output of `tbot version`."""

from __future__ import annotations

import re

# As in `Teleport v17.5.1 git:v17.5.1-0-g1234567 go1.23` and `Teleport Enterprise v17.5.1 ...`.
VERSION = re.compile(r"^Teleport\b[^0-9]*\bv([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?)", re.MULTILINE)


def tbot_version(output):
    """The version, without its leading v. An empty text where the output has none."""
    found = VERSION.search(output) if isinstance(output, str) else None
    return found[1] if found else ""


class FilterModule:
    """See the filter's documentation: `ansible-doc -t filter tbot.tpm.tbot_version`."""

    def filters(self):
        return {"tbot_version": tbot_version}
