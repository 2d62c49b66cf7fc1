# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""The hash of the endorsement key in a host's entry of the registry."""

from __future__ import annotations

import json
import re

HASH = re.compile(r"[0-9a-f]{64}")


def recorded_hash(entry):
    """The hash, as 64 lower-case hex digits. An empty text where the entry has none or cannot be read."""
    try:
        fields = json.loads(entry)
    except (TypeError, ValueError, RecursionError):
        return ""
    value = fields.get("ek_public_hash") if isinstance(fields, dict) else None
    return value if isinstance(value, str) and HASH.fullmatch(value) else ""


class FilterModule:
    """See the filter's documentation: `ansible-doc -t filter tbot.tpm.recorded_hash`."""

    def filters(self):
        return {"recorded_hash": recorded_hash}
