# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tbot_tpm binary that fits the architecture of the task's target.

The binaries are in plugins/binaries/tbot_tpm_ARCH, where ARCH is what `uname -m` says. Ansible copies and runs them like any
other module. This plugin picks one, gives it plain JSON, and says what to do where it is missing or does not start.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader

BINARIES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "binaries")

# Other names for what `uname -m` says on Linux.
SYNONYMS = {"amd64": "x86_64", "arm64": "aarch64"}

# Why a shell could not start the binary: what its text matches, the kind of error, and what to do.
NOT_RUNNABLE = (
    (
        r"exec format error|cannot execute binary file",
        "not_found",
        "The tbot_tpm binary for {arch} is not for this host's processor: correct ansible_architecture if you set it, "
        "or build a binary for the host's architecture.",
    ),
    (
        r"error while loading shared libraries|version [`']GLIBC|tbot_tpm_\w+: .*(?:not found|no such file or directory)",
        "not_found",
        "The tbot_tpm binary needs a library that this host does not have: install the one that error.detail names, "
        "or use a binary that is linked statically.",
    ),
    (
        r"tbot_tpm_\w+: permission denied",
        "permission_denied",
        "The host does not run programs from Ansible's temporary directory, which may be mounted noexec: "
        "set ansible_remote_tmp to a directory on another file system.",
    ),
)


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.tbot_tpm`."""

    def run(self, tmp=None, task_vars=None):
        self._supports_async = True
        self._supports_check_mode = True
        result = super().run(tmp, task_vars)
        try:
            return self._run_binary(result, task_vars)
        except AnsibleConnectionFailure as failure:
            # A host that is unreachable leaves the play, and a batch of which none is left ends it. The playbooks would rather
            # have a failure, which they can rescue.
            if not (task_vars or {}).get("__tbot_unreachable_is_failure"):
                raise
            result.update(failed=True, msg="The host cannot be reached: %s" % failure)
            return result

    def _run_binary(self, result, task_vars):
        arch = self._architecture(task_vars or {})
        binary = "tbot_tpm_" + arch
        if not os.path.isfile(os.path.join(BINARIES, binary)):
            result.update(missing_binary(arch))
            return result

        # Known to this worker process only; a directory that is known already changes nothing.
        module_loader.add_directory(BINARIES)
        wrap_async = self._task.async_val
        answer = self._execute_module(
            "ansible.legacy." + binary, module_args=plain(self._task.args), task_vars=task_vars, wrap_async=wrap_async
        )
        result.update(explain(own_facts_only(answer), arch))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _architecture(self, task_vars):
        """What `uname -m` says on the target, or would say by the facts that are known of it."""
        if self._connection.transport == "local":
            return os.uname().machine
        # Of a delegated task, the variables are those of the host that the task is about, not of the one it runs on.
        if not self._task.delegate_to:
            known = task_vars.get("ansible_facts", {}).get("architecture") or task_vars.get("ansible_architecture")
            # It becomes a part of a path, and comes from the host.
            if isinstance(known, str) and re.fullmatch(r"\w+", known):
                return SYNONYMS.get(known, str(known))
        return self._asked_architecture(task_vars)

    def _asked_architecture(self, task_vars):
        # Every task runs in a process of its own, so a file in this run's own directory remembers the answer.
        path = os.path.join(C.DEFAULT_LOCAL_TMP, "tbot_tpm_" + self._target_key(task_vars))
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            pass
        answer = self._low_level_execute_command("uname -m", sudoable=False)
        words = answer["stdout"].split()
        # A login shell may print a greeting first.
        if answer["rc"] != 0 or not words or not re.fullmatch(r"\w+", words[-1]):
            said = (answer["stdout"] + answer["stderr"]).strip()
            raise AnsibleError("Cannot tell the host's architecture: 'uname -m' said: %s. Set ansible_architecture." % said)
        arch = SYNONYMS.get(words[-1], words[-1])
        partial = "%s.%d" % (path, os.getpid())
        with open(partial, "w", encoding="utf-8") as file:
            file.write(arch)
        os.replace(partial, path)
        return arch

    def _target_key(self, task_vars):
        """The same for all tasks that run on one machine, and different for different machines."""
        name = self._task.delegate_to or task_vars.get("inventory_hostname")
        address = self._option("host") or self._option("remote_addr") or self._play_context.remote_addr
        port = self._option("port") or self._play_context.port
        parts = [self._connection.transport, str(name), str(address), str(port)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _option(self, name):
        try:
            return self._connection.get_option(name)
        except KeyError:
            return None


def plain(value):
    """The value as plain JSON has it: vaulted text decrypted, dates as RFC 3339 text (in UTC where they name no zone)."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        text = value.isoformat()
        return re.sub(r"\+00:00$", "Z", text) if value.tzinfo else text + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat() + "T00:00:00Z"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def own_facts_only(answer):
    """The answer without facts that are not the module's: a host must not set variables that other tasks use."""
    facts = answer.get("ansible_facts")
    if facts is None:
        return answer
    return dict(answer, ansible_facts={name: value for name, value in facts.items() if name == "tbot_tpm"})


def missing_binary(arch):
    """The result where this collection has no binary for the target."""
    return {
        "failed": True,
        "changed": False,
        "msg": (
            "There is no tbot_tpm binary for %s in %s: run 'make build' in the checkout, "
            "or install the collection from its built tarball." % (arch, BINARIES)
        ),
        "error": {"kind": "not_found", "detail": "tbot_tpm_" + arch},
    }


def explain(answer, arch):
    """The binary's answer; where a shell could not start the binary, with a message that says what to do."""
    if answer.get("rc") not in (1, 126, 127) or "module_stdout" not in answer:
        return answer
    said = "\n".join(answer.get(name) or "" for name in ("module_stderr", "module_stdout"))
    for pattern, kind, message in NOT_RUNNABLE:
        for line in said.splitlines():
            if re.search(pattern, line, re.IGNORECASE):
                # A traceback of Ansible's attempt to read the text as JSON would only hide the message.
                rest = {key: item for key, item in answer.items() if key != "exception"}
                return dict(rest, msg=message.format(arch=arch), error={"kind": kind, "detail": line.strip()})
    return answer
