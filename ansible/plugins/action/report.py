# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what a run of the collection's playbooks did and saw of each host."""

from __future__ import annotations

import os

from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries, facts, failures, plays

# What the tasks of the roles register, by what the summary calls it.
REGISTERED = {
    "identified": "__tbot_identity", "deployed": "__tbot_deployed", "compared": "__tbot_compared", "accessed": "__tbot_accessed",
}  # fmt: skip
# The results of these that a summary has a use for: the others are long.
RESULTS = (
    "access", "changed", "config", "ek_cert_present", "problem", "program", "recorded", "service", "storage", "systemd", "tpm",
)  # fmt: skip


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.report`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("registry",))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        play = plays.Play(self)
        hosts = [self._of_host(play, host) for host in play.hosts(play.value("__tbot_targets"))]
        enrolled = _first(play.registered(host["host"]).get("__tbot_enrolled") for host in hosts)
        problems = list(filter(None, [play.problem_of(host, of_all=True) for host in play.hosts_in(failures.ALL_LEFT_OUT)]))
        if play.hosts_in(failures.ALL_LEFT_OUT) and not problems:
            problems = ["No host went on."]
        request = {
            "action": "summary",
            "hosts": hosts,
            "enrolled": enrolled,
            "problems": problems,
            "verifies": bool(play.value("__tbot_verifies", False)),
            "path": self._path(task_vars or {}),
            "_ansible_check_mode": self._task.check_mode,
        }
        answer = binaries.ask({name: value for name, value in request.items() if value is not None})
        if answer.get("failed"):
            # Whatever is wrong with it, nobody is to think that all is well.
            left_out = [host["host"] for host in hosts if problems or host.get("problem")]
            reasons = ["%s: %s" % (host["host"], host["problem"]) for host in hosts if host.get("problem")]
            answer = {"summary": [str(answer.get("msg")), *problems, *reasons], "left_out": left_out}
        result.update(changed=False, msg=answer["summary"], warnings=answer.get("warnings", []), _ansible_verbose_always=True)
        if answer["left_out"]:
            result["left_out"] = answer["left_out"]
            # The next task fails for each of them, unless nothing said when the play began that there would be any.
            result["failed"] = not play.value("__tbot_may_have_left_out")
        return result

    def _path(self, task_vars):
        """The file to write, beside the registry; None where there is to be none. By a fact, it would be another one."""
        registry = str(self._task.args.get("registry") or "")
        is_overridden = facts.refusal(task_vars, facts.plugins_of(self._connection))
        return None if is_overridden or not os.path.isabs(registry) else os.path.normpath(registry) + "-report.txt"

    def _of_host(self, play, host):
        registered = play.registered(host)
        found = {name: _results(registered.get(variable)) for name, variable in REGISTERED.items()}
        kept = next((results["problem"] for results in found.values() if "problem" in results), None)
        problem = play.problem_of(host) if host in play.hosts_in(failures.LEFT_OUT) else None
        if host in play.hosts_in(failures.LEFT_OUT) or kept or play.has_failed(host):
            found["problem"] = problem or kept or "It failed before: see above."
        return {"host": host, **found}


def _results(registered):
    registered = registered if isinstance(registered, dict) else {}
    return {name: registered[name] for name in RESULTS if name in registered}


def _first(registered):
    """What was asked once for all hosts, each of them has."""
    found = next((one for one in registered if isinstance(one, dict)), {})
    names = ("bot", "former_tokens", "host_tokens", "left_to_do", "refused", "rules", "tokens_differ")
    return {name: found[name] for name in names if name in found}
