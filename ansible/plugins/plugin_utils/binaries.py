# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""The binaries, and what the controller's own says of a request."""

from __future__ import annotations

import datetime
import functools
import gzip
import hashlib
import json
import math
import os
import re
import subprocess

COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(COLLECTION, "plugins", "binaries")


def refusal(arguments):
    """What the controller's own binary says is wrong with these parameters, before anything is sent to the target: the answer
    that the target's would give. None where nothing is, or where the controller has no binary that it can run."""
    try:
        answer = _answer(dict(arguments, _tbot_validate_only=True), 60)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # One that was built before there was this control takes it for a parameter.
    return answer if answer.get("failed") and "_tbot_validate_only" not in str(answer.get("msg")) else None


def ask(request, environment=None):
    """What the controller's own binary answers, with these variables of the environment beside the controller's."""
    try:
        return _answer(plain(request), None, environment)
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return {"failed": True, "msg": "The controller's own tbot_tpm gave no answer: %s" % problem, "error": {"kind": "io"}}


def _answer(request, timeout, environment=None):
    binary = os.path.join(FOLDER, "tbot_tpm_" + os.uname().machine)
    if not is_as_packed(binary):
        raise ValueError("%s is not the file that the collection was packed with" % binary)
    # What is asked may be secret, and goes where nobody else sees it.
    done = subprocess.run(
        [binary],
        input=json.dumps(request).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
        env={**os.environ, **{str(name): str(value) for name, value in (environment or {}).items()}},
    )
    answer = json.loads(done.stdout)
    if not isinstance(answer, dict):
        raise ValueError("it is no JSON object")
    return answer


def is_as_packed(path):
    """Whether the binary is the one that the collection was packed with, by the list of files that is in each built collection. A
    checkout has no such list, and its binaries are its own."""
    listed = _listed_sums()
    if listed is None:
        return True
    try:
        return listed.get(os.path.relpath(path, COLLECTION)) == hashlib.sha256(_read(path)).hexdigest()
    except OSError:
        return False


def by_system(remembered):
    """What `uname -sm` says where each of the binaries runs, with its SHA-256 and a function that gives its content, packed by gzip or as
    it is. The sums are those that the collection was packed with. What had to be computed is kept in a folder of this run."""
    listed, found = _listed_sums(), {}
    for name in sorted(os.listdir(FOLDER)):
        arch = re.fullmatch(r"tbot_tpm_([a-z0-9_]+)", name)
        if arch:
            path = os.path.join(FOLDER, name)
            # Of a file that is not listed, no content is right.
            sha256 = _own_sum(path, remembered) if listed is None else listed.get(os.path.relpath(path, COLLECTION), "none")
            found["Linux " + arch[1]] = (sha256, functools.partial(_content, path, sha256, remembered))
    return found


def _listed_sums():
    try:
        with open(os.path.join(COLLECTION, "FILES.json"), "rb") as file:
            return {entry["name"]: entry.get("chksum_sha256") for entry in json.load(file)["files"]}
    except FileNotFoundError:
        return None


def _own_sum(path, remembered):
    status = os.stat(path)
    key = "tbot_tpm_sum_%s_%d_%d" % (os.path.basename(path), status.st_mtime_ns, status.st_size)
    return _kept(os.path.join(remembered, key), lambda: hashlib.sha256(_read(path)).hexdigest().encode()).decode()


def _content(path, sha256, remembered, is_packed):
    if not is_packed:
        return _read(path)
    return _kept(os.path.join(remembered, "tbot_tpm_%s.gz" % sha256), lambda: gzip.compress(_read(path), 6))


def _kept(path, make):
    """The content of a file, which is made where it is missing. Every task runs in a process of its own."""
    try:
        return _read(path)
    except FileNotFoundError:
        content = make()
    partial = "%s.%d" % (path, os.getpid())
    with open(partial, "wb") as file:
        file.write(content)
    os.replace(partial, path)
    return content


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def plain(value):
    """The value as plain JSON has it: vaulted text decrypted, dates as RFC 3339 text (in UTC where they name no zone)."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        # What JSON has no number for.
        return float(value) if math.isfinite(value) else None
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
    # Half of a surrogate pair is no text.
    return str(value).encode("utf-8", "replace").decode("utf-8")
