"""Checks that everything that names the project's version names the same one; with a tag, also that this can be released as that."""

from __future__ import annotations

import re
import sys

import shipped
import yaml

COLLECTION = shipped.PROJECT / "ansible"
# What names the collection's file, or the image that has it.
FILE_NAME = re.compile(r"tbot-tpm(?:-|-ee:)(\d+\.\d+\.\d+)")
NAMING_FILES = ["README.md", "execution-environment/execution-environment.yml", "execution-environment/README.md"]


def main() -> None:
    problems = differences(*sys.argv[1:2])
    if problems:
        raise SystemExit("\n".join(problems))
    print(shipped.version())


def differences(tag: str | None = None) -> list[str]:
    version = shipped.version()
    releases = yaml.safe_load((COLLECTION / "changelogs/changelog.yaml").read_text())["releases"]
    newest = max(releases, key=lambda name: [int(number) for number in name.split(".")])
    lock = (shipped.PROJECT / "Cargo.lock").read_text()
    found = {
        "Cargo.lock": re.search(rf'^name = "{shipped.OURS}"\nversion = "(.*)"$', lock, re.MULTILINE)[1],
        "ansible/galaxy.yml": yaml.safe_load((COLLECTION / "galaxy.yml").read_text())["version"],
        "ansible/changelogs/changelog.yaml": newest,
    }
    for name in NAMING_FILES:
        others = [other for other in FILE_NAME.findall((shipped.PROJECT / name).read_text()) if other != version]
        if others:
            found[name] = others[-1]
    if tag is not None:
        found[f"the tag {tag}"] = tag.removeprefix("v") if tag.startswith("v") else "no vX.Y.Z"
    problems = [f"{where} has {other}, and Cargo.toml {version}" for where, other in found.items() if other != version]
    fragments = sorted(path.name for path in (COLLECTION / "changelogs/fragments").glob("*.yml"))
    if tag is not None and fragments:
        problems.append(f"not in a release yet: {', '.join(fragments)}; run `antsibull-changelog release` in ansible/")
    return problems


if __name__ == "__main__":
    main()
