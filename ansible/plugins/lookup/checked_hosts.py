# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a run, and what is wrong with their variables."""

from __future__ import annotations

from ansible.plugins.lookup import LookupBase
from ansible.template import Templar
from ansible_collections.tbot.tpm.plugins.plugin_utils import connections, facts, plays, token_variables, values, variables

NO_INVENTORY = "There is no inventory with hosts, so nothing was done: name one with --inventory."
NO_HOSTS = "No host of this run matches tbot_hosts, which is {pattern!r}, so nothing was done: correct it, or --limit."


class LookupModule(LookupBase):
    """See the lookup's documentation: `ansible-doc -t lookup tbot.tpm.checked_hosts`."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        play = plays.Play(plays.task_of_process(), self._templar)
        hosts = play.hosts(play.value("__tbot_targets") or "all")
        if not hosts:
            return [{"label": "0 hosts", "stops": _without_hosts(play)}]
        wrong, right = [], []
        for host in hosts:
            try:
                problem, given = self._checked(host, play, hosts, terms)
            # Whatever one host's variables have, it is not to stop the others.
            except Exception as error:
                problem, given = "Its variables cannot be checked: %s" % str(error).strip()[:500], {}
            if problem:
                wrong.append({"label": host, "host": host, "problem": problem})
            # One that an earlier play has lost does not get the token.
            elif host in (variables or {}).get("ansible_play_hosts", hosts):
                right.append((host, given))
        instances, problem = [], None
        if "join_token" in terms and "join_token" in play.value("__tbot_tagged_roles", []) and right:
            first = [right[0][1].get(name) for name in ("tbot_bot_name", "tbot_token_roles", "tbot_token_prune")]
            instances, problem = token_variables.compared(right, *first, "ansible_limit" in play.variables)
            wrong += [{"label": "the token", "problem": problem}] if problem else []
        return [{"label": "1 host" if len(hosts) == 1 else "%d hosts" % len(hosts), "instances": instances}, *wrong]

    def _checked(self, host, play, hosts, roles):
        """What is wrong with a host's variables, in sentences; and their values."""
        task_vars = play.variables_of(host, hosts)
        templar = Templar(loader=self._loader, variables=task_vars)
        connection = connections.of_host(task_vars, templar, play.task)
        # By such a fact, no variable says what the user has set.
        refusal = facts.refusal(task_vars, facts.plugins_of(connection), host)
        if refusal:
            return refusal, {}
        said = variables.unknown(task_vars, templar)
        given = values.Values(roles, task_vars, templar)
        given.check_files()
        given.ask_binary(host)
        said += given.said + _tctl_host(given, task_vars)
        # A host that is taken out of service loses its access whether or not anybody can log in.
        if any("." not in role and role != "join_token" for role in roles):
            said += values.login(given, connection)
        return " ".join(sentence if sentence.endswith(".") else sentence + "." for sentence in said), given.given


def _without_hosts(play):
    pattern = play.value("tbot_hosts") or "all"
    return NO_HOSTS.format(pattern=pattern) if play.manager._inventory.hosts else NO_INVENTORY


def _tctl_host(given, task_vars):
    host = given.given.get("tbot_tctl_host")
    if not host or host in ("localhost", "127.0.0.1") or host in task_vars.get("groups", {}).get("all", [host]):
        return []
    return ["tbot_tctl_host is %s, and the inventory has no host of this name: name it as the inventory does" % host]
