"""Writes the page of each role, ansible/roles/ROLE/README.md, from what its meta/argument_specs.yml says.

    python scripts/role_pages.py            writes the pages
    python scripts/role_pages.py --check    fails where one is not as it would be written
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parent.parent / "ansible" / "roles"
HEADER = "<!-- Written by scripts/role_pages.py from meta/argument_specs.yml: change that, and run it again. -->"
# Ansible's markup: O(option), V(value), C(code), P(name#role) and the like.
MARKUP = re.compile(r"\b[OVCEP]\(((?:[^()\\#]|\\.)*)(?:#\w+)?\)")


def main(arguments: list[str]) -> None:
    """Writes or checks the pages of all roles."""
    stale = []
    for role in sorted(ROLES.iterdir()):
        page, path = page_of(role), role / "README.md"
        if arguments == ["--check"]:
            if not path.exists() or path.read_text() != page:
                stale.append(role.name)
        else:
            path.write_text(page)
    if stale:
        sys.exit(f"out of step with meta/argument_specs.yml: {', '.join(stale)}; run python scripts/role_pages.py")


def page_of(role: Path) -> str:
    """The page of a role as Markdown."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    parts = [f"# Role tbot.tpm.{role.name}", HEADER]
    for entry, spec in specs.items():
        if entry != "main":
            parts.append(f"## With `tasks_from: {entry}`")
        parts.append(f"{markdown(spec['short_description'])}.")
        parts.extend(markdown(paragraph) for paragraph in paragraphs(spec["description"]))
        if spec.get("options"):
            parts.append(table(spec["options"]))
        parts.append(f"```yaml\n{spec['examples']}```")
    return "\n\n".join(parts) + "\n"


def table(options: dict[str, dict]) -> str:
    rows = ["| variable | type | default | what it is |", "|---|---|---|---|"]
    return "\n".join(rows + list(lines(options)))


def lines(options: dict[str, dict], parent: str = "") -> Iterator[str]:
    """The rows of the table: the required ones first, and after each option those within it."""
    for name, option in sorted(options.items(), key=lambda item: (not item[1].get("required", False), item[0])):
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        default = "**required**" if option.get("required") else code(option["default"]) if "default" in option else ""
        what = " ".join(markdown(paragraph) for paragraph in paragraphs(option["description"]))
        if "choices" in option:
            what += " One of " + ", ".join(code(choice) for choice in option["choices"]) + "."
        yield f"| `{parent}{name}` | {kind} | {default} | {what} |"
        yield from lines(option.get("options", {}), f"{parent}{name}[].")


def paragraphs(text: str | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else text


def markdown(text: str) -> str:
    return MARKUP.sub(lambda found: f"`{found[1]}`", text).replace("|", "\\|")


def code(value: object) -> str:
    """A value as YAML would have it on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
    return f"`{text}`"


if __name__ == "__main__":
    main(sys.argv[1:])
