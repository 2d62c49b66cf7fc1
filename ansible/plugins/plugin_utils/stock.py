# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""Why Ansible's own modules do not run on a host.

They are Python programs. Where one does not run, Ansible answers with the exit status of the shell or of Python, which looks like that
of a program which the module should have run.
"""

from __future__ import annotations

import re

MISSING = (
    "not_found",
    "it has no Python where Ansible looks for it",
    "Install Python there, or name it in ansible_python_interpreter.",
)
# What a host's output matches, the kind of error, why Ansible's modules do not run there, and what to do. What a module's own work
# was denied, Python calls a PermissionError.
REASONS = (
    (
        r"SyntaxError|requires a minimum of Python",
        "not_found",
        "its Python is too old for this version of Ansible",
        "Install a newer one and name it in ansible_python_interpreter, such as /usr/bin/python3.12, or use an older Ansible.",
    ),
    (
        r"^(?:ModuleNotFound|Import)Error: ",
        "not_found",
        "its Python lacks a part of the standard library",
        "Install all of Python there, or name another one in ansible_python_interpreter.",
    ),
    (
        r"^(?!\w*Error: ).*operation not permitted",
        "permission_denied",
        "a security policy such as that of fapolicyd denies it",
        "Have it trust Ansible's Python and temporary directory.",
    ),
    (
        r"^(?!\w*Error: ).*permission denied",
        "permission_denied",
        "their execution is denied",
        "See whether sudo's rule has NOEXEC, and what SELinux says.",
    ),
)
# What ssh says of itself.
OF_SSH = re.compile(r"(?:Shared c|C)onnection to .* closed")


def did_not_run(answer):
    """Whether Ansible got no answer of a module, or one that says nothing but that its Python is too old."""
    return "module_stdout" in answer or _too_old(answer) is not None


def why(answer, place, is_secret=False):
    """A sentence that says why a module did not run at that place, with what to do; the kind of error; and what was said there, but
    where it may be a secret."""
    lines = [_too_old(answer) or ""]
    lines += [line.strip() for name in ("module_stderr", "module_stdout") for line in str(answer.get(name) or "").splitlines()]
    lines = [line for line in lines if line and not OF_SSH.match(line)]
    # Shells end with it where there is no such program.
    found = (*MISSING, lines[-1] if lines else "") if answer.get("rc") == 127 else _reason(lines)
    if found is None:
        said = lines[-1][:300] if lines else ""
        message = "A module of Ansible's ended on %s without an answer, with exit status %s" % (place, answer.get("rc", "unknown"))
        return message + (": %s" % said if said and not is_secret else ""), "io", said
    kind, reason, cure, line = found
    said = "" if is_secret or not line else " (%s)" % line[:300]
    return "Ansible's modules do not run on %s, since %s%s. %s" % (place, reason, said, cure), kind, line[:300]


def _reason(lines):
    """Of REASONS, the kind, the reason and the cure of the first one that applies, with the line that says so."""
    for pattern, kind, reason, cure in REASONS:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return kind, reason, cure, line
    return None


def _too_old(answer):
    message = answer.get("msg")
    return message if isinstance(message, str) and "requires a minimum of Python" in message else None
