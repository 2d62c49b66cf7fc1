# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a task's result in the collection's playbooks.

A host that fails would leave the play, a batch of which none is left would end the run, and nobody would say at the end what is left to
do. So there the task ends well, the host becomes one of a group that later plays leave out, and the report at the end has the reason.
Plays look at groups when they begin, so that what is not needed shows nothing.
"""

from __future__ import annotations

import json
import shlex

from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.tbot.tpm.plugins.plugin_utils import facts, plays

# The variable of a play that keeps failures, and those that name the groups.
KEEPS, LEFT_OUT, STOPPED, ALL_LEFT_OUT = "__tbot_keeps_failures", "__tbot_left_out", "__tbot_stopped", "__tbot_all_left_out"
# The group of hosts whose program is to be installed.
TO_INSTALL = "__tbot_to_install"
# What to say before the reason where no token is built.
TOKEN_FAILED = "__tbot_token_failed"
# Variables of a task: one that is about all hosts at once, one that asks a proxy, one whose host would be locked out together with
# others; why it is not to be run at all; and what to say before the reason.
FOR_ALL, OF_PROXY = "__tbot_is_for_all", "__tbot_is_of_proxy"
LOCKOUT_FOR_ALL = "__tbot_lockout_is_for_all"
REFUSED, BEFORE = "__tbot_refused", "__tbot_says_before"
# Results that stay.
STAY = ("deprecations", "diff", "error", "warnings")


def refused(action):
    """Why the task is not to be run, by its variable."""
    return _own(action, REFUSED) or None


def kept(result, action, task_vars):
    """The result of the task. In a play that keeps failures, the host is then in the groups that follow from it."""
    result = _with_hidden_failures(result, action)
    program = result.get("program")
    # Where it cannot be told whether it is, the role that installs it says why.
    is_to_install = "recorded" in result and isinstance(program, dict) and (program.get("to_install") is True or program.get("failed"))
    if not result.get("failed") and not is_to_install:
        return result
    play = plays.Play(action._task, action._templar)
    if not play.variables.get(KEEPS):
        return result
    host = facts.host_name(task_vars)
    if not result.get("failed"):
        return _noted(action, {**result, "was_changed": bool(result.get("changed"))}, host, [play.value(TO_INSTALL)], {})
    error = result.get("error") or {}
    if play.variables.get(OF_PROXY) and error.get("kind") != "join_would_fail":
        return result
    is_for_all = bool(play.variables.get(FOR_ALL) or play.variables.get(OF_PROXY))
    said = reason(result, host)
    # What the host says counts for others only where it was asked about something that concerns them.
    compares_proxies = action._task.args.get("same_proxy") or action._task.args.get("state") == "same_proxy"
    if play.variables.get(LOCKOUT_FOR_ALL) and compares_proxies and error.get("kind") == "would_lock_out":
        is_for_all, said = True, "No host was changed, since %s would lose the cluster: %s" % (host, said)
    earlier = play.problem_of(host) if host in play.hosts_in(LEFT_OUT) else None
    # What comes of one thing is said once.
    said = "" if earlier and said in earlier else str(play.value(BEFORE, "")) + said
    return _left_out(result, action, play, host, " ".join(filter(None, [earlier, said])), [ALL_LEFT_OUT if is_for_all else LEFT_OUT])


def stopped(result, action, problem, host):
    """The result of a task that found what is wrong with the variables of a host, or, without one, with those of all together."""
    play = plays.Play(action._task, action._templar)
    if not play.variables.get(KEEPS):
        return {**result, "failed": True, "msg": problem}
    if host is None:
        problem = str(play.value(TOKEN_FAILED)) + problem
    return _left_out(result, action, play, host or facts.host_name({}), problem, [LEFT_OUT, STOPPED] if host else [ALL_LEFT_OUT])


def _left_out(result, action, play, host, problem, groups):
    """The result of a task that ended well, with the host in these groups."""
    is_for_all = ALL_LEFT_OUT in groups
    whom = "All hosts are" if is_for_all else host + " is"
    action._display.display("%s left out of what follows: the report at the end says why." % whom, stderr=True)
    answer = {
        **{name: result[name] for name in STAY if name in result},
        "changed": False,
        "was_changed": bool(result.get("changed")),
        "problem": problem,
        "run": play.run(),
    }
    name = play.name_of_problem(of_all=is_for_all)
    return _noted(action, answer, host, [play.value(group) for group in groups], {name: wrap_var(problem)})


def _with_hidden_failures(result, action):
    """The result of a deployment that found another program to be installed than was to be when the run began: as a failure."""
    program = result.get("program")
    is_stopped = isinstance(program, dict) and program.get("to_install") is True and "config" not in result
    arguments = action._task.args
    is_done = arguments.get("config") and arguments.get("state") != "compared" and not action._task.check_mode
    if not is_stopped or not is_done or result.get("failed"):
        return result
    message = "tbot was replaced while this run was going on, and must be installed again: run the playbook again."
    return {**result, "failed": True, "msg": message}


def _noted(action, result, host, groups, host_vars):
    """The result, with the host in these groups and with these variables."""
    groups = [str(group) for group in groups]
    # Until ansible-core 2.20, the result of any action says it.
    if not hasattr(action, "add_host"):
        return {**result, "add_host": {"host_name": host, "groups": groups, "host_vars": host_vars}}
    action.add_host(host, host_vars=host_vars, parent_group_names=groups)
    return result


def _own(action, name):
    """A variable of the task's own, evaluated."""
    own = action._task.get_vars()
    return action._templar.template(own[name]) if name in own else None


def reason(result, host):
    """Why, in sentences; what to run to accept another TPM than the recorded one; and the line of a journal that says most."""
    error = result.get("error") or {}
    said = str(result.get("msg") or "it gave no reason").strip()
    if error.get("kind") == "identity_changed" and "tbot_accept_identity_change" not in said:
        accepted = shlex.quote(json.dumps({"tbot_accept_identity_change": [host]}))
        said += " To accept it, run once with --extra-vars %s" % accepted
    if error.get("kind") == "not_ready" and error.get("detail"):
        said += " Its journal: %s" % telling_line(str(error["detail"]))
    # Nobody sees these results of a task that ends well.
    elif "error.detail" in said and error.get("detail"):
        said += " It is: %s" % telling_line(str(error["detail"]))
    elif "module_stderr" in said:
        said += " It is: %s" % telling_line(str(result.get("module_stderr") or "") or str(result.get("module_stdout") or ""))
    return said


def telling_line(journal):
    """The last line of a journal that tells of an error, or its last one."""
    lines = [line.strip() for line in journal.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line.lower() for word in ("error", "fatal", "panic", "failed", "denied"))]
    # What systemd adds tells of the end alone.
    own = [line for line in telling if "systemd[" not in line]
    return ((own or telling or lines) or [""])[-1]
