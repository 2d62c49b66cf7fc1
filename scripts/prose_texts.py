"""What users read of the programs: names of tasks, documentation of options, and messages, each with the line where it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter
import tree_sitter_rust
import yaml
from role_pages import markdown

# What is known only when the program runs counts as one word.
UNKNOWN = "X"
JINJA = re.compile(r"{{.*?}}", re.DOTALL)
JINJA_STATEMENT = re.compile(r"{%.*?%}|{#.*?#}", re.DOTALL)
PLACEHOLDER = re.compile(r"{[^{}]*}")
# Texts of one word are names.
WORDS = re.compile(r"[^\W\d_][\w'’-]*[,;:]? [^\W\d_]")
# Where Ansible's files have lists of tasks or plays.
LISTS_OF_TASKS = {"block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"}
MESSAGES_OF_TASKS = {"msg", "fail_msg", "success_msg"}


@dataclass(frozen=True)
class Text:
    """A text that users read, as Markdown on one line."""

    kind: str
    """names, options or messages: a folder that .vale.ini knows."""
    path: str
    """Its file, from the project's folder."""
    line: int
    text: str


def texts(project: Path) -> Iterator[Text]:
    """All of them."""
    ansible = project / "ansible"
    tasks = [*ansible.glob("roles/*/tasks/*.yml"), *ansible.glob("roles/*/handlers/*.yml"), *ansible.glob("playbooks/**/*.yml")]
    options = [ansible.glob(names) for names in ("roles/*/meta/argument_specs.yml", "plugins/modules/*.yml", "plugins/filter/*.yml")]
    sources = {
        of_tasks: tasks,
        of_options: [path for paths in options for path in paths],
        of_rust: project.glob("src/**/*.rs"),
        of_help: project.glob("src/help.txt"),
        of_python: ansible.glob("plugins/action/*.py"),
    }
    for read, paths in sources.items():
        for path in sorted(paths):
            name = path.relative_to(project).as_posix()
            for kind, line, text in read(path.read_text()):
                yield Text(kind, name, line, " ".join(text.split()))


def of_tasks(source: str) -> Iterator[tuple[str, int, str]]:
    """The names of plays and tasks, and what these say when they fail."""
    root = yaml.compose(source)
    if isinstance(root, yaml.SequenceNode):
        yield from _of_list(root)


def _of_list(tasks: yaml.SequenceNode) -> Iterator[tuple[str, int, str]]:
    for task in tasks.value:
        for key, value in task.value:
            if key.value == "name":
                yield "names", _line(value), _without_jinja(value.value)
            elif key.value in LISTS_OF_TASKS:
                yield from _of_list(value)
            elif isinstance(value, yaml.MappingNode):
                for name, argument in value.value:
                    if name.value in MESSAGES_OF_TASKS and isinstance(argument, yaml.ScalarNode):
                        yield "messages", _line(argument), _without_jinja(argument.value)


def _without_jinja(text: str) -> str:
    return JINJA.sub(UNKNOWN, JINJA_STATEMENT.sub(" ", text))


def of_options(source: str) -> Iterator[tuple[str, int, str]]:
    """What the documentation of a module or a role says, in Ansible's markup."""
    yield from _descriptions(yaml.compose(source))


def _descriptions(node: yaml.Node) -> Iterator[tuple[str, int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _descriptions(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            # An option may have this name too: that is a mapping.
            if key.value in {"description", "short_description", "notes"} and not isinstance(value, yaml.MappingNode):
                for paragraph in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    yield "options", _line(paragraph), markdown(paragraph.value)
            else:
                yield from _descriptions(value)


def _line(node: yaml.Node) -> int:
    """The line where a scalar's text begins."""
    return node.start_mark.line + (2 if getattr(node, "style", None) in {"|", ">"} else 1)


def of_rust(source: str) -> Iterator[tuple[str, int, str]]:
    """The string literals outside of tests and attributes that have several words. Some are no message, such as a part of a file:
    a few too many are read rather than one too few."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
    tree = parser.parse(source.encode())
    for literal in _literals(tree.root_node):
        text = _value(literal)
        if WORDS.search(text):
            yield "messages", literal.start_point.row + 1, text


def _literals(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    is_of_tests = False
    for child in node.children:
        if child.type == "attribute_item":
            is_of_tests |= child.text == b"#[cfg(test)]"
        elif child.type in {"string_literal", "raw_string_literal"}:
            yield child
        elif child.type not in {"inner_attribute_item", "line_comment", "block_comment"}:
            if not is_of_tests:
                yield from _literals(child)
            is_of_tests = False


def _value(literal: tree_sitter.Node) -> str:
    """A literal's text, with a word for what format! puts in."""
    raw = literal.text.decode()
    text = raw[raw.index('"') + 1 : raw.rindex('"')]
    if literal.type == "string_literal":
        text = re.sub(r"\\\n\s*", "", text)
        text = re.sub(r"\\[nrt0]", " ", text)
        text = re.sub(r'\\(["\\\'])', r"\1", text)
    text = text.replace("{{", "(").replace("}}", ")")
    return PLACEHOLDER.sub(UNKNOWN, text)


def of_help(source: str) -> Iterator[tuple[str, int, str]]:
    """What --help says, but its examples."""
    paragraph, start = [], 0
    for number, line in enumerate([*source.splitlines(), ""], 1):
        is_prose = WORDS.search(line) and not re.match(r'\s*(?:{"|tbot_tpm )', line)
        if is_prose and not line.startswith("  "):
            start = start or number
            paragraph.append(line)
            continue
        if paragraph:
            yield "messages", start, " ".join(paragraph)
            paragraph, start = [], 0
        if is_prose:
            yield "messages", number, line


def of_python(source: str) -> Iterator[tuple[str, int, str]]:
    """The string literals that have several words, but documentation and regular expressions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        # An expression that is a text by itself documents; what has a backslash is a pattern.
        for child in ast.iter_child_nodes(node):
            is_text = isinstance(child, ast.Constant) and isinstance(child.value, str) and not isinstance(node, ast.Expr)
            if is_text and WORDS.search(child.value) and "\\" not in child.value:
                text = re.sub(r"%[sd]", UNKNOWN, PLACEHOLDER.sub(UNKNOWN, child.value))
                yield "messages", child.lineno, text
