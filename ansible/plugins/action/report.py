# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what a run of the collection's playbooks did and saw of each host."""

from __future__ import annotations

import os

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries, failures, plays

# What the tasks of the roles register, by what the summary calls it.
REGISTERED = {
    "identified": "__tbot_identity", "deployed": "__tbot_deployed", "compared": "__tbot_compared", "accessed": "__tbot_accessed",
}  # fmt: skip
# What a summary has a use for, within results that are objects. A host can say a lot.
RESULTS = {
    "access": ("changed",),
    "config": ("changed",),
    "destinations": ("changed",),
    "program": ("found_version", "to_install", "wanted_version"),
    "recorded": ("changed", "former_ek_public_hash"),
    "service": (
        "active_state", "changed", "enabled", "exists", "health", "needs_daemon_reload", "ready", "restart_reasons", "up_to_date",
    ),
    "storage": ("changed",),
    "systemd": ("changed",),
    "tpm": ("manufacturer",),
}  # fmt: skip
OF_ENROLLED = ("bot", "changed", "former_tokens", "host_tokens", "instances", "left_to_do", "refused", "rules", "tokens_differ")
MOST_INSTANCES = 20
LONGEST = 500


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.report`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        play = plays.Play(self._task, self._templar)
        names = play.hosts(play.value("__tbot_targets"))
        # These are Ansible's own, above every fact.
        given_up = set(task_vars["ansible_play_hosts_all"]) - set(task_vars["ansible_play_hosts"])
        hosts = [_of_host(play, host, given_up) for host in names]
        problems = list(filter(None, [play.problem_of(host, of_all=True) for host in play.hosts_in(failures.ALL_LEFT_OUT)]))
        if play.hosts_in(failures.ALL_LEFT_OUT) and not problems:
            problems = ["No host went on."]
        enrolled = next(filter(None, (play.registered_in_run(host, "__tbot_enrolled") for host in names)), {})
        request = {
            "action": "summary",
            "hosts": hosts,
            "enrolled": {name: enrolled[name] for name in OF_ENROLLED if name in enrolled},
            "problems": problems,
            "expects_token": bool(play.value("__tbot_expects_token", False)),
            "verifies": bool(play.value("__tbot_verifies", False)),
            "_ansible_check_mode": self._task.check_mode,
        }
        path = _path(play, names)
        answer = binaries.ask({**request, "path": path} if path else request)
        if answer.get("failed"):
            # Whatever is wrong with it, nobody is to think that all is well.
            reasons = ["%s: %s" % (host["host"], host["problem"]) for host in hosts if host.get("problem")]
            answer = {"summary": ["No report: %s" % answer.get("msg"), *problems, *reasons], "left_out": names}
        result.update(changed=False, msg=answer["summary"], warnings=answer.get("warnings", []))
        if answer["left_out"]:
            result["left_out"] = answer["left_out"]
            # The next task fails for each of them, unless nothing said when the play began that there would be any.
            result["failed"] = not play.value("__tbot_may_have_left_out") and not given_up.issuperset(answer["left_out"])
        self._show(result)
        self._end_run(result, play)
        return result

    def _end_run(self, result, play):
        """Makes the group by which the next run of a user's playbook begins with groups of its own."""
        group = "tbot_run_%s" % play.run()
        # As Ansible's group_by does; until ansible-core 2.20, by its result.
        if hasattr(self, "add_group"):
            self.add_group(group, parent_group_names=["all"])
        else:
            result.update(add_group=group, parent_groups=["all"])

    def _show(self, result):
        """Shows the report: as lines where Ansible's own callback would quote each of them, and else as what the task answered."""
        if C.DEFAULT_STDOUT_CALLBACK not in ("default", "ansible.builtin.default"):
            result["_ansible_verbose_always"] = True
            return
        # A host's words steer no terminal.
        lines = ["".join(character if character.isprintable() else "?" for character in line) for line in result["msg"]]
        self._display.display("\n".join(lines))
        if result.get("failed"):
            result["msg"] = "Hosts were left out: the report above says why."


def _of_host(play, host, given_up):
    registered = {name: play.registered_in_run(host, variable) for name, variable in REGISTERED.items()}
    archived = play.registered_in_run(host, "__tbot_archived").get("entries") or []
    one = {
        "host": host,
        # In a failed one as well.
        "changed": any(found.get("was_changed", found.get("changed")) is True for found in registered.values())
        or any(entry.get("host") == host and entry.get("changed") is True for entry in archived),
        **{name: _results(found) for name, found in registered.items()},
    }
    kept = next((str(found["problem"]) for found in registered.values() if "problem" in found), None)
    is_left_out = host in play.hosts_in(failures.LEFT_OUT)
    if is_left_out or kept or host in given_up:
        one["problem"] = (play.problem_of(host) if is_left_out else None) or kept or "It failed before: see above."
    return one


def _results(found):
    """The little of a host's answer that the summary reads."""
    few = {name: _plain(found[name]) for name in ("changed", "ek_cert_present", "problem", "state") if name in found}
    for part, names in RESULTS.items():
        if isinstance(found.get(part), dict):
            few[part] = {name: _plain(found[part][name]) for name in names if name in found[part]}
    if isinstance(found.get("instances"), dict):
        instances = list(found["instances"].items())[:MOST_INSTANCES]
        few["instances"] = {str(name)[:LONGEST]: _results(one) for name, one in instances if isinstance(one, dict)}
    return few


def _plain(value):
    if isinstance(value, list):
        return [_plain(item) for item in value[:20] if isinstance(item, str)]
    if isinstance(value, str):
        return str(value)[:LONGEST]
    return value if isinstance(value, bool) else None


def _path(play, hosts):
    """The file beside the registry in which this run recorded hosts; None where it recorded none. The controller said where it is."""
    for host in hosts:
        recorded = play.registered_in_run(host, "__tbot_identity").get("recorded") or {}
        if isinstance(recorded.get("path"), str):
            return os.path.dirname(recorded["path"]) + "-report.txt"
    return None
