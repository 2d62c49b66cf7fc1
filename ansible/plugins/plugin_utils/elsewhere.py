# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""What role join_token has on the controller, for a machine that has tctl: it goes there with the request, and comes back with the answer.

The registry, files of certificates, and the files of tokens are the controller's wherever tctl runs.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile

from ansible_collections.tbot.tpm.plugins.plugin_utils import binaries


def with_contents(arguments, certificates, controls):
    """The request with what the registry and the files of certificates have, and what is wrong with the registry."""
    arguments = with_texts(arguments, certificates)
    registry = arguments.pop("registry", None)
    if registry is None or arguments.get("read_only"):
        return arguments, None
    read = binaries.ask({"action": "registry", "state": "contents", "registry": registry, **controls})
    if read.get("failed"):
        return arguments, read
    given = arguments.get("hosts") or []
    named = {host.get("description") for host in given}
    others = [host for host in read["hosts"] if host["description"] not in named]
    return {**arguments, "hosts": given + others, "former": read["former"]}, None


def write(contents):
    """Writes the files of the answer, each whole or not at all, and removes those that have no content any more. What they are called
    has been compared with the request."""
    for file in contents:
        if not file["content"]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file["path"])
        elif _read(file["path"]) != file["content"]:
            _replace(file["path"], file["content"])


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _replace(path, content):
    descriptor, partial = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            # Whom it belonged to, where that can be.
            with contextlib.suppress(OSError):
                former = os.stat(path)
                os.fchown(descriptor, former.st_uid, former.st_gid)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError:
        os.unlink(partial)
        raise


def are_files_of(arguments, contents):
    """Whether the files that `enroll` leaves to the controller are those that the request is about: the controller writes and removes
    them, and their names come from the host that has tctl."""
    if not contents:
        return True
    path, bot = str(arguments.get("path") or ""), (arguments.get("bot") or {}).get("name") or arguments.get("bot_name")
    stem, dot, extension = path.rpartition(".")
    if not dot or "/" in extension:
        stem, extension = path, "yaml"
    of_hosts = ["%s-%s.%s" % (stem, host, extension) for host in arguments.get("only") or []]
    tokens = of_hosts if arguments.get("tokens") == "per_host" else [path]
    # What stands beside the tokens of another layout is corrected, too.
    hosts = [host["description"] for host in arguments.get("hosts") or []] + (arguments.get("archived") or [])
    marks = [path, *tokens, *("%s-%s.%s" % (stem, host, extension) for host in hosts if "/" not in host)]
    allowed = {*tokens, *(token + ".applied" for token in marks), "%s/%s.bot.yaml" % (os.path.dirname(path), bot)}
    return isinstance(contents, list) and all(_is_file_of(file, allowed) for file in contents)


def _is_file_of(file, allowed):
    return isinstance(file, dict) and isinstance(file.get("path"), str) and file["path"] in allowed and isinstance(file.get("content"), str)


def with_texts(arguments, names):
    """The same where files of certificates on the controller, and folders of such, are given as PEM to another machine."""

    def text(source):
        if not isinstance(source, str) or not os.path.isabs(source) or "-----BEGIN " in source:
            return source
        if os.path.isdir(source):
            return "\n".join(text(os.path.join(source, name)) for name in sorted(os.listdir(source)) if name[:1] != ".")
        with open(source, "rb") as file:
            content = file.read()
        return content.decode("utf-8", "replace") if b"-----BEGIN " in content else ssl.DER_cert_to_PEM_cert(content)

    given = {name: arguments[name] for name in names if arguments.get(name)}
    lists = {name: [value] if isinstance(value, str) else value for name, value in given.items()}
    return {**arguments, **{name: [text(source) for source in sources] for name, sources in lists.items()}}
