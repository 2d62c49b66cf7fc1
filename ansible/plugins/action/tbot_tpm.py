# Copyright: the tbot_tpm authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tbot_tpm binary that fits the task's target.

The binaries are in plugins/binaries/tbot_tpm_ARCH, where ARCH is what `uname -m` says. Ansible copies and runs them like any
other module. This plugin lets the controller's own binary check the parameters first, picks the target's, gives it plain JSON,
and says what to do where there is none or where it does not start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader
from ansible_collections.tbot.tpm.plugins.plugin_utils import (
    answers,
    binaries,
    defaults,
    elsewhere,
    facts,
    failures,
    recording,
    stock,
    transport,
    variables,
    wording,
)

try:
    from ansible.module_utils._internal._messages import ErrorSummary, Event
except ImportError:  # before ansible-core 2.19
    ErrorSummary = Event = None

MODULE = "tbot.tpm.tbot_tpm"

# The results of all actions, by the module's documentation.
RESULTS = frozenset((
    "absent_groups", "accepted", "access", "active_state", "applied", "archived", "auto_update", "bot", "cluster_name", "commands",
    "config", "content", "contents", "created", "current", "delete", "deleted", "destinations", "device", "directories", "edition",
    "ek_cert", "ek_cert_chain_pem", "ek_cert_pem", "ek_cert_present", "ek_cert_serial", "ek_cert_sha256", "ek_public_hash",
    "ek_public_pem", "ek_source", "ekcert_allowed_cas", "enabled", "entries", "error", "exists", "files", "former",
    "former_ek_public_hash", "former_tokens", "found_version", "gid", "group", "groups", "hardened", "health", "host_names",
    "host_tokens", "hosts", "identity", "instances", "invocation", "is_read", "issuers", "left_out", "left_over", "left_to_do",
    "made_by_systemd", "main_pid", "min_client_version", "mode", "needs_daemon_reload", "needs_restart", "owner", "path", "program",
    "program_exists", "ready", "recorded", "refused", "requests", "restart_reasons", "rules", "rules_are_known", "server_version",
    "service", "shared", "status", "storage", "summary", "systemd", "to_install", "tokens", "tokens_differ", "tpm", "udev_rule", "uid",
    "unresolved", "up_to_date", "user", "verified", "wanted_version", "withdrawn_hashes", "without_certificate",
))  # fmt: skip

# The actions that answer about a fleet, as many hosts as it has.
OF_MANY_HOSTS = ("ekcert_ca", "enroll", "preflight", "registry", "summary", "token")

# Parameters of `enroll` that are certificates, or files of them.
OF_CERTIFICATES = ("ca_bundle", "ekcert_allowed_cas", "trusted_roots")

# What the collection's tarball has binaries for; a checkout has those that were built there.
SHIPPED = ("x86_64", "aarch64")
# Other names for what `uname -m` says on Linux.
SYNONYMS = {"amd64": "x86_64", "arm64": "aarch64"}

NOEXEC = (
    "The host does not run programs from Ansible's temporary directory, which may be mounted noexec: set ansible_remote_tmp, "
    "or ansible_system_tmpdirs where become_user is not root, to a directory on another file system."
)
# The same where a shell says it in another language, so that the reason is not known.
NOT_EXECUTED = (
    "The host does not run programs from Ansible's temporary directory: it may be mounted noexec, or a security policy such as that of "
    "fapolicyd denies it. error.detail has the shell's own words. Set ansible_remote_tmp, or ansible_system_tmpdirs where "
    "become_user is not root, to a directory from which programs run."
)
NO_PROGRAM_RUNS = (
    "The host runs no program at all as the user that Ansible becomes there: sudo's rule for it may have NOEXEC, which "
    "'sudo -l' shows. Remove that, or become root by another way."
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
    (
        r"tbot_tpm_\w+: operation not permitted",
        "permission_denied",
        "A security policy of the host, such as that of fapolicyd, denies running tbot_tpm in Ansible's temporary directory. Trust "
        "that directory there, or set ansible_remote_tmp to one that is trusted.",
    ),
)


class ActionModule(ActionBase):
    """See the module's documentation: `ansible-doc tbot.tpm.tbot_tpm`."""

    _task_vars = None

    def run(self, tmp=None, task_vars=None):
        self._supports_async = True
        self._supports_check_mode = True
        result = super().run(tmp, task_vars)
        task_vars = self._task_vars = task_vars or {}
        refusal = facts.refusal(task_vars, facts.plugins_of(self._connection))
        refusal = refusal or variables.refusal_in_role(self._task._role, task_vars, self._templar) or failures.refused(self)
        if refusal:
            result.update(failed=True, changed=False, msg=refusal)
            return failures.kept(result, self, task_vars)
        try:
            result.update(self._run_binary(task_vars))
        except NotRun as problem:
            result.update(failed=True, changed=False, msg=problem.msg, error=problem.error)
        except AnsibleConnectionFailure as failure:
            result.update(answers.unreachable(failure, task_vars))
        if self._is_in_our_role():
            _say_of_variables(result, self._task.args.get("action"))
        if self._task.no_log and result.get("failed") and ErrorSummary:
            # Since 2.19, Ansible shows the message of a failure above the result, whatever no_log says, but for another one here.
            result["exception"] = ErrorSummary(event=Event(msg="the message has been hidden due to no_log"))
        if "__tbot_run" in task_vars:
            result["run"] = str(self._templar.template(task_vars["__tbot_run"]))
        return failures.kept(result, self, task_vars)

    def _is_in_our_role(self):
        return self._task._role is not None and self._task._role._role_collection == "tbot.tpm"

    def cleanup(self, force=False):
        answers.clean_up(super().cleanup, force, self._task_vars)

    def _run_binary(self, task_vars):
        arguments = binaries.plain(self._task.args)
        # The binary knows which action has which parameter.
        by_default = defaults.names_in(MODULE, self._task, self._templar)
        if by_default:
            arguments["_tbot_defaults"] = by_default
        if boolean(self._templar.template(task_vars.get("__tbot_on_controller")) or False, strict=False):
            return self._here(arguments)
        # What the role's variables name is the controller's, wherever tctl is.
        is_elsewhere = self._is_in_our_role() and arguments.get("action") == "enroll"
        if is_elsewhere:
            arguments, refusal = elsewhere.with_contents(arguments, OF_CERTIFICATES, self._controls())
            if refusal:
                return refusal
        # On the controller itself, the binary that does the work says at once what is wrong.
        refusal = None if self._connection.transport == "local" else binaries.refusal(arguments)
        if refusal:
            return refusal
        record = arguments.pop("record", None) if arguments.get("action") == "identify" else None
        if record is not None and self._task.async_val:
            raise NotRun("invalid_request", "`record` does not go with async: leave out one of them.", "async")
        # A host tells its own in the same exchange.
        arch = architecture(*self._platform(task_vars)) if self._connection.transport == "local" else ""
        answer = self._in_one_exchange(arguments, task_vars, arch)
        if answer is None:
            arch = arch or architecture(*self._platform(task_vars))
            # Known to this worker process only; a directory that is known already changes nothing.
            module_loader.add_directory(binaries.FOLDER)
            answer = self._execute_module(
                "ansible.legacy.tbot_tpm_" + arch, module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val
            )
        answer = explain(own_answer(answer, arguments.get("action")), arch, in_background=bool(self._task.async_val))
        if record is not None:
            answer = recording.recorded(answer, record, self._controls(), RESULTS)
        if not elsewhere.are_files_of(arguments, answer.get("contents") or []):
            message = "%s answered with files that are not those of this token, so none was written. See who controls that host."
            raise NotRun("conflict", message % (self._task.delegate_to or "The host"), "contents")
        if is_elsewhere and not (self._task.check_mode or arguments.get("read_only") or answer.get("failed")):
            _write(answer.pop("contents", []))
        # Where no other program runs either, the directory is not the reason.
        if answer.get("msg") == NOEXEC and self._low_level_execute_command("env true")["rc"] == 126:
            answer["msg"] = NO_PROGRAM_RUNS
        return answer

    def _here(self, arguments):
        """The answer of the controller's own binary, for what is the controller's to do whatever host the task is about."""
        environment = {}
        self._compute_environment_string(environment)
        answer = binaries.ask({**arguments, **self._controls()}, environment)
        return answers.passed_on(answer, RESULTS, of_one_host=False)

    def _in_one_exchange(self, arguments, task_vars, arch):
        """The answer of a binary that is at the target already, or is kept there; None where that way will not do, and nothing was
        run."""
        if not self._takes_standard_input(task_vars):
            return None
        user = self.get_become_option("become_user") if self._connection.become else ""
        refused = os.path.join(C.DEFAULT_LOCAL_TMP, "tbot_tpm_copied_" + self._target_key(task_vars, user))
        if os.path.exists(refused):
            return None
        environment = self._compute_environment_string()

        def execute(command, data):
            return self._low_level_execute_command(" ".join([environment, command]).strip(), in_data=data)

        try:
            if self._connection.transport == "local":
                binary = os.path.join(binaries.FOLDER, "tbot_tpm_" + arch)
                rc, said, errors = transport.in_place(execute, binary, {**arguments, **self._controls()})
            else:
                remote_tmp = self.get_shell_option("remote_tmp", default="~/.ansible/tmp")
                is_last = bool(task_vars.get("__tbot_is_last_request")) and not self._task.check_mode
                cache = transport.Cache(execute, remote_tmp, binaries.by_system(C.DEFAULT_LOCAL_TMP), is_last)
                rc, said, errors = cache.ask({**arguments, **self._controls()})
        except transport.Unusable as why:
            self._display.vv("tbot_tpm is copied to the host for this task: %s" % answers.text(str(why)))
            if why.lasts:
                with contextlib.suppress(OSError), open(refused, "w", encoding="ascii"):
                    pass
            return None
        message = "tbot_tpm ended with status %s and gave no answer: module_stdout and module_stderr have what it wrote." % rc
        failure = {"failed": True, "changed": False, "msg": message, "module_stdout": said, "module_stderr": errors, "rc": rc}
        return transport.as_json(said) or failure

    def _controls(self):
        return {
            "_ansible_check_mode": self._task.check_mode,
            "_ansible_diff": self._task.diff,
            "_ansible_no_log": bool(self._task.no_log),
            "_ansible_verbosity": self._display.verbosity,
        }

    def _takes_standard_input(self, task_vars):
        """Whether a command gets standard input at the target, and nothing is to be left there for somebody to look at."""
        wants = task_vars.get("tbot_tpm_cache")
        if wants is not None and not boolean(self._templar.template(wants), strict=False):
            return False
        become = self._connection.become
        takes_none = become and (
            become.name.rpartition(".")[2] == "su" or not getattr(become, "pipelining", True) or getattr(become, "require_tty", False)
        )
        # Whom it has to ask for a password, Ansible gives a terminal here, which has no end.
        is_asked = become and self._connection.transport == "local" and self.get_become_option("become_pass")
        return (
            getattr(self._connection, "has_pipelining", False)
            and not getattr(self._connection._shell, "_IS_WINDOWS", False)
            and not takes_none
            and not (is_asked and not self._option("pipelining"))
            and not C.DEFAULT_KEEP_REMOTE_FILES
            and not self._task.async_val
        )

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
            said = (answer["stdout"] + answer["stderr"]).strip()[:300]
            message = "Cannot tell the host's architecture: 'uname -sm' said: %s. Set ansible_architecture." % said
            raise NotRun("io", message, said)
        partial = "%s.%d" % (path, os.getpid())
        with open(partial, "w", encoding="utf-8") as file:
            file.write(" ".join(words))
        os.replace(partial, path)
        return words

    def _target_key(self, task_vars, *more):
        """The same for all tasks that run on one machine, and different for different machines."""
        name = self._task.delegate_to or task_vars.get("inventory_hostname")
        address = self._option("host") or self._option("remote_addr") or self._play_context.remote_addr
        port = self._option("port") or self._play_context.port
        parts = [self._connection.transport, str(name), str(address), str(port), *map(str, more)]
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
    path = os.path.join(binaries.FOLDER, binary)
    if os.path.isfile(path):
        if binaries.is_as_packed(path):
            return arch
        message = (
            "%s is not the file that the collection was packed with, so it was not run. Install the collection again from its "
            "tarball, or use a checkout with a binary of your own." % path
        )
        raise NotRun("conflict", message, binary)
    if arch in SHIPPED:
        message = (
            "There is no tbot_tpm binary for %s in %s: run 'make dist' in the checkout, which builds all, "
            "or install the collection from its built tarball." % (arch, binaries.FOLDER)
        )
    else:
        message = (
            "tbot_tpm comes for %s, and this host's Linux is for %s: use a 64-bit system of these there, let the host join by "
            "another method, or build a binary for it in a checkout and use that collection: cargo build --release "
            "--no-default-features --target ..., put at ansible/plugins/binaries/%s." % (" and ".join(SHIPPED), arch, binary)
        )
    raise NotRun("not_found", message, binary)


def _say_of_variables(result, action):
    """In a role, people know the variables, and not the parameters that it fills."""
    if "msg" in result:
        result["msg"] = wording.of_variables(result["msg"], action)
    if "warnings" in result:
        result["warnings"] = [wording.of_variables(warning, action) for warning in result["warnings"]]


def _write(contents):
    try:
        elsewhere.write(contents)
    except OSError as problem:
        message = "The token was applied, but its files could not be written: %s. Correct that, and run this again." % problem
        raise NotRun("io", message, str(problem)) from problem


def own_answer(answer, action):
    """What of a host's answer is the module's to say. The one fact is the identity, which no role reads."""
    own = answers.passed_on(answer, RESULTS, of_one_host=action not in OF_MANY_HOSTS)
    found = answer.get("ansible_facts")
    identity = found.get(facts.OWN_FACT) if isinstance(found, dict) else None
    if isinstance(identity, dict) and action == "identify" and not own.get("failed"):
        own["ansible_facts"] = {facts.OWN_FACT: {name: value for name, value in identity.items() if name in RESULTS}}
    return own


def explain(answer, arch, in_background=False):
    """The binary's answer; where a shell could not start the binary, with a message that says what to do."""
    # A module of Ansible's own brings it there.
    if in_background and stock.did_not_run(answer):
        message, kind, said = stock.why(answer, "this host")
        return dict(answer, msg=message, error={"kind": kind, "detail": said})
    if answer.get("rc") not in (1, 2, 126, 127) or "module_stdout" not in answer:
        return answer
    lines = [line.strip() for name in ("module_stderr", "module_stdout") for line in (answer.get(name) or "").splitlines()]
    # Shells end with 126 where they found a program and the system did not start it. They may say so in another language.
    otherwise = ((r"tbot_tpm_\w+: ", "permission_denied", NOT_EXECUTED),) if answer["rc"] == 126 else ()
    for pattern, kind, message in NOT_RUNNABLE + otherwise:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return dict(answer, msg=message.format(arch=arch), error={"kind": kind, "detail": line})
    return answer
