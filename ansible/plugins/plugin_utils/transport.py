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
BEGINS, NO_INPUT, MISSING, NO_FOLDER, UNUSABLE, SENT = "begins", "no-input", "missing", "no-folder", "unusable", "sent"

# First it reads the word from standard input: read takes no byte behind the line. A terminal would show the request, and has no end.
# What is not used is read all the same, since ssh would take a pipe that is closed for a broken connection.
BEGIN = (
    "echo {word} begins; x() {{ cat >/dev/null; echo $1; exit 0; }}; [ ! -t 0 ] || {{ echo no-input; exit 0; }}; "
    "IFS= read -r w; [ \"$w\" = {word} ] || x no-input"
)  # fmt: skip

# Descriptor 9 is the cache's folder, and the same one that was looked at by its name: whoever owns a folder above can put another in its
# place at any moment. It has to belong to the user who runs this, with nobody else's access: 41c0 is what stat calls a directory of mode
# 0700, 45c0 one that hands on its group. Every content is compared before it runs. Folders above are made in a home directory of the
# user's own alone: elsewhere Ansible makes them, as the user who logs in.
CACHE = (
    "m=$(umask); umask 077; d={folder}; u=$(id -u); case $(uname -sm) in {cases} *) h=;; esac; "
    "i() {{ stat -c %u:%f:%d:%i \"$1\" 2>/dev/null; }}; "
    "s() {{ sha256sum <\"$1\" 2>/dev/null | cut -c1-64; }}; "
    "command -v sha256sum >/dev/null && command -v stat >/dev/null || x unusable; "
    "case $d in /*) ;; *) x unusable;; esac; {parents}[ -d \"${{d%/*}}\" ] || x no-folder; "
    "[ -e \"$d\" ] || [ -L \"$d\" ] || mkdir \"$d\" 2>/dev/null; "
    "k=$(i \"$d\"); case $k in $u:41c0:*|$u:45c0:*) ;; *) x unusable;; esac; "
    "command exec 9<\"$d\" && f=/proc/self/fd/9 && [ \"$(i $f/.)\" = \"$k\" ] || x unusable; b=$f/$h; "
)  # fmt: skip
PARENTS = "[ -d \"${d%/*}\" ] || [ \"$(stat -c %u ~ 2>/dev/null)\" != \"$u\" ] || mkdir -p \"${d%/*}\" 2>/dev/null; "
RUN = (
    "[ -n \"$h\" ] || x unusable; "
    "if [ -f \"$b\" ] && [ ! -L \"$b\" ] && [ \"$(s \"$b\")\" = $h ]; then umask $m; {run}; fi; "
    "command -v gzip >/dev/null && z=gzip || z=plain; x \"missing $z $(uname -sm)\""
)  # fmt: skip
AND_STAY = "exec \"$b\""  # fmt: skip
AND_GO = "\"$b\"; r=$?; rm -f $f/* $f/.new.* 2>/dev/null; rmdir \"$d\" 2>/dev/null; exit $r"  # fmt: skip
# Binaries of other versions are called by 64 hexadecimal digits.
SEND = (
    "n=$f/.new.$$; trap 'rm -f \"$n\"' EXIT; "
    "{{ {unpack} >\"$n\" && [ \"$(s \"$n\")\" = \"$h\" ] && chmod 0700 \"$n\" && mv -f \"$n\" \"$b\"; }} || x unusable; "
    "for p in $f/*; do q=${{p##*/}}; case $q in \"$h\"|*[!0-9a-f]*) ;; *) [ ${{#q}} != 64 ] || rm -f \"$p\";; esac; done; "
    "find $f/ -name '.new.*' -mmin +60 -exec rm -f {{}} +; echo sent"
)  # fmt: skip
IN_PLACE = "exec {binary}"


class Unusable(Exception):
    """Nothing was run, and this way will not do here; for now where it does not LAST."""

    def __init__(self, why, lasts=True):
        super().__init__(why)
        self.lasts = lasts


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
        where = folder(remote_tmp)
        self._begin = CACHE.format(folder=where, cases=cases, parents=PARENTS if where.startswith("~/") else "")

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
    """The JSON object that a text begins with; None where it begins with anything else. A shell may say goodbye behind it."""
    try:
        answer, _end = json.JSONDecoder(parse_constant=_refuse).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _refuse(constant):
    raise ValueError(constant + " is not JSON")


def _run(execute, script, data):
    """Runs a script with these bytes, and says what it wrote behind the word by which it begins."""
    word = secrets.token_hex(8)
    command = "/bin/sh -c " + shlex.quote("%s; %s" % (BEGIN.format(word=word), script))
    done = execute(command, word.encode() + b"\n" + data)
    # A login shell may print a greeting first.
    _before, began, said = done["stdout"].partition("%s %s" % (word, BEGINS))
    said = said.strip()
    if not began or said in (NO_INPUT, NO_FOLDER, UNUSABLE):
        raise Unusable((said or done["stdout"] + done["stderr"]).strip(), lasts=said != NO_FOLDER)
    return done, said


def _answer(done, said):
    # So a shell ends that did not find the program, or could not start it.
    if done["rc"] in (126, 127):
        raise Unusable(done["stdout"] + done["stderr"])
    return done["rc"], said, done["stderr"]
