# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tbot_tpm binary that fits the task's target.

The binaries are in plugins/binaries/tbot_tpm_ARCH, where ARCH is what `uname -m` says. Ansible copies and runs them like any
other module. This plugin lets the controller's own binary check the parameters first, picks the target's, gives it plain JSON,
and says what to do where there is none or where it does not start.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import subprocess

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader

try:
    from ansible.module_utils._internal._messages import ErrorSummary, Event
except ImportError:  # before ansible-core 2.19
    ErrorSummary = Event = None

BINARIES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "binaries")

# What the collection's tarball has binaries for; a checkout has those that were built there.
SHIPPED = ("x86_64", "aarch64")
# Other names for what `uname -m` says on Linux.
SYNONYMS = {"amd64": "x86_64", "arm64": "aarch64"}

NOEXEC = (
    "The host does not run programs from Ansible's temporary directory, which may be mounted noexec: set ansible_remote_tmp, "
    "or ansible_system_tmpdirs where become_user is not root, to a directory on another file system."
)
# Why a shell could not start the binary: what its text matches, the kind of error, and what to do.
NOT_RUNNABLE = (
    (
        # The last two are of shells that take what is no program for a script.
        r"exec format error|cannot execute binary file|tbot_tpm_\w+: .*(?:\bELF|syntax error)",
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
    (r"tbot_tpm_\w+: permission denied", "permission_denied", NOEXEC),
)


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.tbot_tpm`."""

    def run(self, tmp=None, task_vars=None):
        self._supports_async = True
        self._supports_check_mode = True
        result = super().run(tmp, task_vars)
        try:
            result.update(self._run_binary(task_vars or {}))
        except NotRun as problem:
            result.update(failed=True, changed=False, msg=problem.msg, error=problem.error)
        except AnsibleConnectionFailure as failure:
            # A host that is unreachable leaves the play, and a batch of which none is left ends it. The playbooks would rather
            # have a failure, which they can rescue.
            if not (task_vars or {}).get("__tbot_unreachable_is_failure"):
                raise
            result.update(failed=True, msg="The host cannot be reached: %s" % failure)
        if self._task.no_log and result.get("failed") and ErrorSummary:
            # Since 2.19, Ansible shows the message of a failure above the result, whatever no_log says, but for another one here.
            result["exception"] = ErrorSummary(event=Event(msg="the message has been hidden due to no_log"))
        return result

    def _run_binary(self, task_vars):
        arguments = plain(self._task.args)
        # On the controller itself, the binary that does the work says at once what is wrong.
        refusal = None if self._connection.transport == "local" else refused_here(arguments)
        if refusal:
            return refusal
        arch = architecture(*self._platform(task_vars))
        # Known to this worker process only; a directory that is known already changes nothing.
        module_loader.add_directory(BINARIES)
        answer = self._execute_module(
            "ansible.legacy.tbot_tpm_" + arch, module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val
        )
        return explain(own_facts_only(answer), arch)

    def _platform(self, task_vars):
        """The target's system and architecture, as `uname -sm` says them, or would say by what is known of it."""
        if self._connection.transport == "local":
            uname = os.uname()
            return uname.sysname, uname.machine
        if getattr(self._connection._shell, "_IS_WINDOWS", False):
            return "Windows", ""
        # Of a delegated task, the variables are those of the host that the task is about, not of the one it runs on.
        if self._task.delegate_to:
            task_vars = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        facts = task_vars.get("ansible_facts", {})
        system = task_vars.get("ansible_system") or facts.get("system") or "Linux"
        arch = task_vars.get("ansible_architecture") or facts.get("architecture")
        return (system, arch) if are_names(system, arch) else self._asked_platform(task_vars)

    def _asked_platform(self, task_vars):
        # Every task runs in a process of its own, so a file in this run's own directory remembers the answer.
        path = os.path.join(C.DEFAULT_LOCAL_TMP, "tbot_tpm_" + self._target_key(task_vars))
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            pass
        answer = self._low_level_execute_command("uname -sm", sudoable=False)
        # A login shell may print a greeting first.
        words = answer["stdout"].split()[-2:]
        if answer["rc"] != 0 or len(words) != 2 or not are_names(*words):
            said = (answer["stdout"] + answer["stderr"]).strip()
            message = "Cannot tell the host's architecture: 'uname -sm' said: %s. Set ansible_architecture." % said
            raise NotRun("io", message, said)
        partial = "%s.%d" % (path, os.getpid())
        with open(partial, "w", encoding="utf-8") as file:
            file.write(" ".join(words))
        os.replace(partial, path)
        return words

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


class NotRun(Exception):
    """The binary cannot be run: the kind of error, what to do, and what somebody said."""

    def __init__(self, kind, msg, detail):
        super().__init__(msg)
        self.msg = msg
        self.error = {"kind": kind, "detail": detail}


def refused_here(arguments):
    """What the controller's own binary says is wrong with these parameters, before anything is sent to the target: the answer
    that the target's would give. None where nothing is, or where the controller has no binary that it can run."""
    binary = os.path.join(BINARIES, "tbot_tpm_" + os.uname().machine)
    # They may be secret, and go where nobody else sees them.
    request = json.dumps(dict(arguments, _tbot_validate_only=True)).encode()
    try:
        done = subprocess.run([binary], input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=False)
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # One that was built before there was this control takes it for a parameter.
    is_refused = isinstance(answer, dict) and answer.get("failed") and "_tbot_validate_only" not in str(answer.get("msg"))
    return answer if is_refused else None


def are_names(*words):
    """Whether these are plain words, as systems and architectures are called: one becomes a part of a path, and they come from
    the host."""
    return all(isinstance(word, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", word) for word in words)


def architecture(system, arch):
    """The name of the architecture in that of the binary; an error where there is none."""
    if system != "Linux":
        message = (
            "tbot_tpm runs on Linux only, and this host has %s: leave it out, or let it join by another method."
            % " ".join([system, arch]).strip()
        )
        raise NotRun("not_found", message, "no binary for " + system)
    arch = SYNONYMS.get(arch, str(arch))
    binary = "tbot_tpm_" + arch
    if os.path.isfile(os.path.join(BINARIES, binary)):
        return arch
    if arch in SHIPPED:
        message = (
            "There is no tbot_tpm binary for %s in %s: run 'make dist' in the checkout, which builds all, "
            "or install the collection from its built tarball." % (arch, BINARIES)
        )
    else:
        message = (
            "tbot_tpm comes for %s, and this host's Linux is for %s: use a 64-bit system of these there, let the host join by "
            "another method, or build a binary for it from source (cargo build --release --no-default-features --target ...) "
            "and put it at %s." % (" and ".join(SHIPPED), arch, os.path.join(BINARIES, binary))
        )
    raise NotRun("not_found", message, binary)


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
    """The answer without what is not the module's to say: a host must not set variables that other tasks use. Statistics become
    variables too, those of a workflow's next job."""
    answer = {name: value for name, value in answer.items() if name != "ansible_stats"}
    facts = answer.pop("ansible_facts", None)
    if isinstance(facts, dict):
        answer["ansible_facts"] = {name: value for name, value in facts.items() if name == "tbot_tpm"}
    return answer


def explain(answer, arch):
    """The binary's answer; where a shell could not start the binary, with a message that says what to do."""
    if answer.get("rc") not in (1, 2, 126, 127) or "module_stdout" not in answer:
        return answer
    lines = [line.strip() for name in ("module_stderr", "module_stdout") for line in (answer.get(name) or "").splitlines()]
    # Shells end with 126 where they found a program and the system did not start it. They may say so in another language.
    otherwise = ((r"tbot_tpm_\w+: ", "permission_denied", NOEXEC),) if answer["rc"] == 126 else ()
    for pattern, kind, message in NOT_RUNNABLE + otherwise:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                # A traceback of Ansible's attempt to read the text as JSON would only hide the message.
                rest = {key: item for key, item in answer.items() if key != "exception"}
                return dict(rest, msg=message.format(arch=arch), error={"kind": kind, "detail": line})
    return answer
