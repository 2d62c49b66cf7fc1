# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host's answer is passed on.

Ansible acts on some parts of any module's answer, whatever module it was: `ansible_facts` become variables, `ansible_stats` those of a
workflow's next job, `add_host` and `add_group` change the inventory, and malformed `results` end the run of all hosts.
So only results that are known are passed on, each in the shape that Ansible expects.
"""

from __future__ import annotations

import json

from ansible.errors import AnsibleConnectionFailure

# More than a sentence, an error's detail and a journal need.
LONGEST_TEXT = 64 * 1024
MOST_WARNINGS = 100
# Several times what any answer about one host has. Ansible copies and walks each answer many times, for all hosts.
MOST_VALUES = 5000
MOST_CHARACTERS = 2 * 1024 * 1024
DEEPEST = 12


def passed_on(answer, results, of_one_host=True):
    """The answer with the results of these names, and what every module may say. One about one host is limited in size."""
    if of_one_host and not _is_small(answer):
        return {"failed": True, "changed": False, "msg": "The host's answer is too large to use: find out what is wrong there."}
    known = {name: value for name, value in answer.items() if name in results}
    if "error" in known:
        known["error"] = {name: text(said) for name, said in known["error"].items()} if isinstance(known["error"], dict) else {}
    for name in ("changed", "failed"):
        if name in answer:
            known[name] = bool(answer[name])
    if answer.get("failed"):
        known["msg"] = "the host gave no reason"
    for name in ("msg", "module_stdout", "module_stderr", "ansible_job_id", "results_file"):
        if name in answer:
            known[name] = text(answer[name])
    for name in ("rc", "started", "finished"):
        # Since ansible-core 2.19, the last two are truth values.
        if isinstance(answer.get(name), int):
            known[name] = answer[name]
    warnings = answer.get("warnings")
    if isinstance(warnings, (list, tuple)):
        known["warnings"] = [text(warning) for warning in warnings[:MOST_WARNINGS] if isinstance(warning, str)]
    if isinstance(answer.get("diff"), (dict, list)):
        known["diff"] = _diff(answer["diff"])
    return known


def _is_small(answer):
    """Whether an answer has no more values, levels and characters than one about one host may."""
    values = characters = 0
    left = [(answer, 1)]
    while left:
        value, depth = left.pop()
        values += 1
        if isinstance(value, int) and value.bit_length() > 63:
            return False
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            characters += sum(len(str(name)) for name in value)
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, (list, tuple)):
            left += [(item, depth + 1) for item in value]
        if values + len(left) > MOST_VALUES or characters > MOST_CHARACTERS or depth > DEEPEST:
            return False
    return True


def unreachable(failure, task_vars):
    """What to answer for a host that cannot be reached. It would leave the play, and a batch of which none is left ends that. The
    playbooks would rather have a failure, which they can rescue."""
    if not task_vars.get("__tbot_unreachable_is_failure"):
        raise failure
    return {"failed": True, "changed": False, "msg": "The host cannot be reached: %s" % failure}


def clean_up(cleanup, force, task_vars):
    """Removes what Ansible has put on the host. Where the host cannot be reached any more, the task has its answer already."""
    try:
        cleanup(force)
    except AnsibleConnectionFailure:
        if not (task_vars or {}).get("__tbot_unreachable_is_failure"):
            raise


def text(value):
    """The value as a text of limited length."""
    value = value if isinstance(value, str) else json.dumps(value, default=str)
    return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"


def _diff(diff):
    if isinstance(diff, list):
        return [_diff(part) for part in diff if isinstance(part, dict)]
    names = ("before", "after", "before_header", "after_header", "prepared")
    return {name: text(diff[name]) for name in names if diff.get(name) is not None}
