"""What PyYAML makes of documents: each line of standard input is one, as a JSON string; for each a line is printed, a
JSON list of what its own reader and libyaml's, where it was built with that, read: {"read": VALUE} or {"refused": MESSAGE}.
"""

import json
import sys

import yaml

LOADERS = [yaml.SafeLoader] + ([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])


def answer(document: str, loader: type) -> dict:
    try:
        # Without `default`, what JSON has no type for, such as a date, is an error.
        return {"read": json.loads(json.dumps(checked(yaml.load(document, loader))))}
    except (yaml.YAMLError, TypeError, ValueError) as error:
        return {"refused": str(error)}


def checked(value):
    """Refuses keys that are no texts, which JSON would turn into texts."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        checked(item)
    return value


for line in sys.stdin:
    document = json.loads(line)
    print(json.dumps([answer(document, loader) for loader in LOADERS]))
