# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""What a host answered of its TPM, recorded on the controller in the same task."""

from __future__ import annotations

from ansible_collections.tbot.tpm.plugins.plugin_utils import answers, binaries


def recorded(answer, record, controls, results):
    """The host's answer together with that of the registry, which the controller's own binary writes. Which host it is, the task says,
    and what became of it, the controller: the host has no say in either."""
    answer.pop("recorded", None)
    if answer.get("failed"):
        return answer
    request = {**record, "action": "registry", "state": "present", "identity": answer, **controls}
    said = answers.passed_on(binaries.ask(request), results, of_one_host=False)
    warnings = answer.get("warnings", []) + said.pop("warnings", [])
    if said.get("failed"):
        return {**said, "warnings": warnings}
    diff = said.pop("diff", None)
    said.pop("failed", None)
    return {**answer, "changed": said["changed"], "recorded": said, "warnings": warnings, **({"diff": diff} if diff else {})}
