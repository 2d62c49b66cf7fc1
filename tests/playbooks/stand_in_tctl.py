#!/usr/bin/env python3
"""A stand-in for Teleport's tctl, which tests cannot have: tokens as files in the folder STAND_IN_TCTL.

It answers as tctl does where the roles look: `get token/NAME --format=json` prints a list, with what a cluster adds, or
fails with "not found"; `create -f FILE` replaces a token without a question; `rm token/NAME` removes one. Its commands are kept in the file `commands`.
"""

import json
import os
import sys
from pathlib import Path

import yaml


def main(arguments: list[str]) -> None:
    folder = Path(os.environ["STAND_IN_TCTL"])
    with open(folder / "commands", "a") as commands:
        commands.write(" ".join(arguments) + "\n")
    if (folder / "down").exists():
        sys.exit((folder / "down").read_text())
    match arguments:
        case ["get", resource, "--format=json"] if resource.startswith("token/"):
            stored = folder / f"{resource.removeprefix('token/')}.json"
            if not stored.exists():
                sys.exit(f'ERROR: provision token "{stored.stem}" not found')
            print(json.dumps([json.loads(stored.read_text())]))
        case ["create", "-f", file]:
            for token in yaml.safe_load_all(Path(file).read_text()):
                token["metadata"]["revision"] = "7f0c"
                token["metadata"].setdefault("labels", {})["teleport.dev/origin"] = "dynamic"
                (folder / f"{token['metadata']['name']}.json").write_text(json.dumps(token))
        case ["rm", resource] if resource.startswith("token/"):
            (folder / f"{resource.removeprefix('token/')}.json").unlink()
        case _:
            sys.exit(f"stand-in tctl: unexpected arguments {arguments}")


main(sys.argv[1:])
