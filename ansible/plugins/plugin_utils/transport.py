# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""How a request gets to the binary in one exchange.

Ansible copies a binary module to the host for every task. This runs one that is there already, and gives it the request on standard
input: on the controller the collection's own, on a host one that is kept in a cache, named by its SHA-256. What is missing there is
sent once. All of it is done by a POSIX shell. Nothing counts as done until the shell has said so behind a word made for that exchange,
so output of login shells does no harm, and whoever gets no standard input says that instead of running without a request.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex

# What the shell says behind the word.
BEGINS, NO_INPUT, MISSING, UNUSABLE, SENT = "begins", "no-input", "missing", "unusable", "sent"

# First it reads the word from standard input: read takes no byte behind the line.
BEGIN = "echo {word} begins; IFS= read -r w; [ \"$w\" = {word} ] || {{ echo no-input; exit 0; }}"

# Descriptor 9 is the cache's folder, so that nobody who owns a folder above can put another one in its place between the check and its
# use. It has to belong to the user who runs this, with nobody else's access: 41c0 is what stat calls a directory of mode 0700, 45c0 one
# that hands on its group. Every content is compared before it runs.
CACHE = (
    "umask 077; d={folder}; u=$(id -u); case $(uname -sm) in {cases} *) h=;; esac; "
    "o() {{ case $(stat -c %u:%f \"$@\" 2>/dev/null) in $u:41c0|$u:45c0) true;; *) false;; esac; }}; "
    "s() {{ sha256sum <\"$1\" 2>/dev/null | cut -c1-64; }}; "
    "command -v sha256sum >/dev/null && command -v stat >/dev/null || {{ echo unusable; exit 0; }}; "
    "[ -d \"$d\" ] || {{ mkdir -p \"$d\" && chmod 0700 \"$d\"; }} 2>/dev/null; "
    "o \"$d\" && command exec 9<\"$d\" && f=/proc/self/fd/9 && o \"$f/.\" || {{ echo unusable; exit 0; }}; b=$f/$h; "
)  # fmt: skip
RUN = (
    "if [ -z \"$h\" ]; then echo unusable; exit 0; fi; "
    "if [ -f \"$b\" ] && [ ! -L \"$b\" ] && [ \"$(s \"$b\")\" = $h ]; then {run}; fi; "
    "command -v gzip >/dev/null && z=gzip || z=plain; echo missing $z $(uname -sm)"
)  # fmt: skip
AND_STAY, AND_GO = "exec \"$b\"", "\"$b\"; r=$?; rm -f \"$f\"/*; rmdir \"$d\"; exit $r"  # fmt: skip
SEND = (
    "n=$f/.new.$$; trap 'rm -f \"$n\"' EXIT; "
    "{unpack} >\"$n\" && [ \"$(s \"$n\")\" = \"$h\" ] && chmod 0700 \"$n\" && mv -f \"$n\" \"$b\" && "
    "for p in \"$f\"/*; do [ \"$p\" = \"$b\" ] || rm -f \"$p\"; done && "
    "find \"$f/\" -name '.new.*' -mmin +60 -exec rm -f {{}} + && echo sent"
)  # fmt: skip
IN_PLACE = "exec {binary}"


class Unusable(Exception):
    """Nothing was run, and this way will not do here."""


def in_place(execute, binary, request):
    """The answer of a binary that is there, as `Cache.ask` has it."""
    done, said = _run(execute, IN_PLACE.format(binary=shlex.quote(binary)), json.dumps(request).encode())
    return _answer(done, said)


class Cache:
    """The binaries that a host keeps, by a function that runs a command there with bytes on its standard input. They are told by what
    `uname -sm` says, with the SHA-256 and a function that gives the content, packed by gzip or as it is. Where it is the last request,
    the cache goes with it."""

    def __init__(self, execute, remote_tmp, binaries, is_last=False):
        self._execute = execute
        self._run = RUN.format(run=AND_GO if is_last else AND_STAY)
        self._binaries = binaries
        cases = " ".join("%s) h=%s;;" % (shlex.quote(system), sha256) for system, (sha256, _content) in sorted(binaries.items()))
        self._begin = CACHE.format(folder=folder(remote_tmp), cases=cases)

    def ask(self, request):
        """The binary's exit status, and what it wrote to both of its outputs. Where the binary is missing it is sent first."""
        for is_sent in (False, True):
            done, said = _run(self._execute, self._begin + self._run, json.dumps(request).encode())
            if not said.startswith(MISSING):
                return _answer(done, said)
            if not is_sent:
                self._send(*said.split()[1:])
        raise Unusable("the binary is not in the cache although it was sent there")

    def _send(self, packing="", system="", machine="", *_more):
        known = self._binaries.get("%s %s" % (system, machine))
        if not known or packing not in ("gzip", "plain"):
            raise Unusable("no binary for this host")
        is_packed = packing == "gzip"
        script = self._begin + SEND.format(unpack="gzip -dc" if is_packed else "cat")
        _done, said = _run(self._execute, script, known[1](is_packed))
        if said != SENT:
            raise Unusable("the binary could not be written")


def folder(remote_tmp):
    """The cache's folder below the one where Ansible keeps its files on the host, as a word of a shell in which only a leading tilde
    means something."""
    path = str(remote_tmp).rstrip("/") + "/tbot_tpm"
    home = re.match(r"~[A-Za-z0-9._-]*(?=/)", path)
    start = home[0] if home else ""
    if re.search(r"[$`\n]", path) or not (home or path.startswith("/")):
        raise Unusable("only Ansible's own way understands this folder")
    return start + shlex.quote(path[len(start) :])


def as_json(text):
    """The JSON object that a text is; None where it is anything else."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _run(execute, script, data):
    """Runs a script with these bytes, and says what it wrote behind the word by which it begins."""
    word = secrets.token_hex(8)
    command = "/bin/sh -c " + shlex.quote("%s; %s" % (BEGIN.format(word=word), script))
    done = execute(command, word.encode() + b"\n" + data)
    # A login shell may print a greeting first.
    _before, began, said = done["stdout"].partition("%s %s" % (word, BEGINS))
    said = said.strip()
    if not began or said in (NO_INPUT, UNUSABLE):
        raise Unusable(done["stdout"] + done["stderr"])
    return done, said


def _answer(done, said):
    # So a shell ends that did not find the program, or could not start it.
    if done["rc"] in (126, 127):
        raise Unusable(done["stdout"] + done["stderr"])
    return done["rc"], said, done["stderr"]
