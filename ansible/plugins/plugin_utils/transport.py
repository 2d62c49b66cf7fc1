# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""How a request gets to a host in one exchange.

Ansible copies a binary module to the host for every task. This runs one that is kept there, in a cache that is named by the binary's
SHA-256, and gives it the request on standard input. What is missing is sent once. Everything is a POSIX shell's; none of it is trusted to
have happened until the shell has said so by a word that was made for this exchange.
"""

from __future__ import annotations

import gzip
import json
import re
import secrets
import shlex

# What a shell says before anything else. What does not begin with it was not run by it, but by whatever stands before it.
BEGINS, MISSING, SENT = "tbot_tpm:begins", "tbot_tpm:missing", "tbot_tpm:sent"

# The folder of the cache, below where Ansible keeps its own files on the host. It has to be the user's alone: nobody else may have put
# there what runs as the user. The content is compared nevertheless, since folders above may be others'.
CACHE = """\
umask 077
d={folder}
own() {{ [ -d "$1" ] && [ ! -L "$1" ] && [ -n "$(find "$1" -prune -type d -user "$(id -u)" -perm 0700 2>/dev/null)" ]; }}
sum() {{ sha256sum <"$1" 2>/dev/null | cut -c1-64; }}
case $(uname -sm) in
{cases}
*) h= ;;
esac
b=$d/$h
echo {word} {begins}
"""
RUN = """\
[ -n "$h" ] && own "$d" && [ -f "$b" ] && [ ! -L "$b" ] && [ "$(sum "$b")" = "$h" ] && exec "$b"
command -v gzip >/dev/null && z=gzip || z=plain
command -v sha256sum >/dev/null || z=none
echo {word} {missing} $z $(uname -sm)
"""
SEND = """\
mkdir -p "$d" 2>/dev/null
own "$d" || exit 1
n=$d/.new.$$
trap 'rm -f "$n"' EXIT
{unpack} >"$n" && [ "$(sum "$n")" = "$h" ] && chmod 0700 "$n" && mv -f "$n" "$b" || exit 1
for f in "$d"/*; do [ "$f" = "$b" ] || rm -f "$f"; done
find "$d" -name '.new.*' ! -name ".new.$$" -mmin +60 -exec rm -f {{}} +
echo {word} {sent}
"""


class Unusable(Exception):
    """Nothing was run on the host, and this way will not do there."""


class Cache:
    """The binaries in a cache on one host, by a function that runs a command there with bytes on its standard input."""

    def __init__(self, execute, remote_tmp, binaries, environment=""):
        self._execute = execute
        self._folder = quoted_folder(remote_tmp)
        # By what `uname -sm` says: the path on the controller, and the sum.
        self._binaries = binaries
        self._environment = environment

    def ask(self, request):
        """The binary's answer: its exit status, and what it wrote. The binary is sent first where it is missing."""
        for is_sent in (False, True):
            done, said = self._run(RUN, json.dumps(request).encode())
            if not said.startswith(MISSING):
                # A shell that found it and could not start it.
                if done["rc"] in (126, 127):
                    raise Unusable(done["stdout"] + done["stderr"])
                return done["rc"], said, done["stderr"]
            if is_sent:
                break
            self._send(*said.split()[1:])
        raise Unusable("the binary is not in the cache although it was sent there")

    def _send(self, packing="none", system="", machine="", *_more):
        known = self._binaries.get("%s %s" % (system, machine))
        if packing == "none" or not known:
            raise Unusable("no binary, or nothing to compare it by")
        is_packed = packing == "gzip"
        _done, said = self._run(SEND, _content(known[0], is_packed), unpack="gzip -dc" if is_packed else "cat")
        if not said.startswith(SENT):
            raise Unusable("the binary could not be written")

    def _run(self, script, data, **names):
        """Runs a script on the host, and says what it wrote behind the words by which it began."""
        word = secrets.token_hex(8)
        cases = "\n".join("%s) h=%s ;;" % (shlex.quote(name), sum_) for name, (_path, sum_) in sorted(self._binaries.items()))
        text = (CACHE + script).format(
            folder=self._folder, cases=cases, word=word, begins=BEGINS, missing=MISSING, sent=SENT, **names
        )  # fmt: skip
        command = " ".join([self._environment, "/bin/sh -c", shlex.quote(text)]).strip()
        done = self._execute(command, data)
        # A login shell may print a greeting first.
        _before, began, said = done["stdout"].partition("%s %s" % (word, BEGINS))
        if not began:
            raise Unusable(done["stdout"] + done["stderr"])
        return done, said.strip().removeprefix(word).strip()


def quoted_folder(remote_tmp):
    """The cache's folder as a word of a shell, in which only a leading tilde means something."""
    path = str(remote_tmp).rstrip("/") + "/tbot_tpm"
    home = re.match(r"~[A-Za-z0-9._-]*(?=/)", path)
    start = home[0] if home else ""
    if re.search(r"[$`\n]", path) or not (home or path.startswith("/")):
        raise Unusable("a remote_tmp that only Ansible's own way understands")
    return start + shlex.quote(path[len(start) :])


def _content(path, is_packed):
    with open(path, "rb") as file:
        return gzip.compress(file.read(), 6) if is_packed else file.read()


def as_json(text):
    """The JSON object that a text ends with; None where it is anything else."""
    lines = text.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
