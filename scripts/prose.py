"""Reads the project's prose with vale: documents, and what users see of the programs (prose_texts.py).

The rules are in tests/prose/styles/. What they found when they were made is counted in tests/prose/known.json, by file and rule.
These counts may only fall: more than that fails, and so does less, until --update has written the lower number.

    scripts/prose.sh             fails where a count is not the recorded one, and shows what is new
    scripts/prose.sh --all       shows everything that is to be reworded
    scripts/prose.sh --update    records lower counts; what was in a file that is gone may be in another
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import prose_texts

PROJECT = Path(__file__).resolve().parent.parent
VALE = PROJECT / ".cache/go/vale"
# The roles' pages are made of their argument specifications, and the changelog of its fragments.
DOCUMENTS = ("*.md", "ansible/README.md", "ansible/docs/*.md", "execution-environment/*.md", "tests/**/README.md")


@dataclass(frozen=True, order=True)
class Alert:
    """A place that a rule is against."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def main(arguments: list[str]) -> None:
    """Compares what there is with what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="show everything")
    parser.add_argument("--update", action="store_true", help="record lower counts")
    parser.add_argument("--project", type=Path, default=PROJECT, help="the folder to read")
    options = parser.parse_args(arguments)
    found = alerts(options.project)
    file = options.project / "tests/prose/known.json"
    known = counts_in(file)
    if options.all:
        print(*found, sep="\n")
    if options.update:
        update(file, known, found)
    elif problems := differences(known, found):
        sys.exit("\n".join(problems))
    print(summary(found))


def alerts(project: Path) -> list[Alert]:
    """What vale finds, in the lines of the files themselves."""
    documents = sorted({path.relative_to(project).as_posix() for pattern in DOCUMENTS for path in project.glob(pattern)})
    with tempfile.TemporaryDirectory() as folder:
        lines = write_lists(project, Path(folder))
        found = run_vale(project, [*documents, *lines])
    places = []
    for path, in_file in found.items():
        source, line_of = lines.get(path, (path, None))
        for alert in in_file:
            line = line_of[alert["Line"]] if line_of else alert["Line"]
            places.append(Alert(source, line, alert["Check"].removeprefix("TbotTpm."), alert["Message"]))
    return sorted(places)


def write_lists(project: Path, folder: Path) -> dict[str, tuple[str, dict[int, int]]]:
    """Writes texts of programs as Markdown, a paragraph each. By list: the file that it is from, and that file's lines by its own."""
    lists = defaultdict(list)
    for text in prose_texts.texts(project):
        lists[text.kind, text.path].append(text)
    lines = {}
    for (kind, source), texts in lists.items():
        path = folder / kind / f"{source}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{text.text}\n\n" for text in texts))
        lines[str(path)] = (source, {2 * index + 1: text.line for index, text in enumerate(texts)})
    return lines


def run_vale(project: Path, paths: list[str]) -> dict[str, list[dict]]:
    """Its alerts by file."""
    command = [VALE, "--no-global", "--config", PROJECT / ".vale.ini", "--no-exit", "--output", "JSON", *paths]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"vale: {run.stderr or run.stdout}")
    return json.loads(run.stdout)


def counts_of(found: list[Alert]) -> Counter[tuple[str, str]]:
    """How many alerts there are, by file and rule."""
    return Counter((alert.path, alert.rule) for alert in found)


def counts_in(file: Path) -> Counter[tuple[str, str]] | None:
    """The recorded counts; None before there are any."""
    if not file.exists():
        return None
    return Counter({(path, rule): count for path, rules in json.loads(file.read_text()).items() for rule, count in rules.items()})


def differences(known: Counter[tuple[str, str]] | None, found: list[Alert]) -> list[str]:
    """What is not as recorded, in lines to show."""
    known, counts = known or Counter(), counts_of(found)
    problems = []
    for path, rule in sorted(counts - known):
        count, recorded = counts[path, rule], known[path, rule]
        problems += [str(alert) for alert in found if (alert.path, alert.rule) == (path, rule)]
        problems.append(f"{path}: {rule} finds {count}, and {recorded} were known: reword what is new.\n")
    if not problems and (lower := known - counts):
        problems.append(f"{lower.total()} places of tests/prose/known.json are gone: record that with scripts/prose.sh --update")
    return problems


def update(file: Path, known: Counter[tuple[str, str]] | None, found: list[Alert]) -> None:
    """Records the counts, unless a rule finds more in all files together than it did."""
    counts = counts_of(found)
    if known is not None:
        before, after = by_rule(known), by_rule(counts)
        if more := after - before:
            rules = ", ".join(f"{rule} ({before[rule]}, now {after[rule]})" for rule in sorted(more))
            sys.exit(f"Nothing was recorded: these find more than before: {rules}. scripts/prose.sh shows where.")
    files = defaultdict(dict)
    for path, rule in sorted(counts):
        files[path][rule] = counts[path, rule]
    file.write_text(json.dumps(files, indent=2) + "\n")


def by_rule(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """The sums over all files."""
    sums = Counter()
    for (_, rule), count in counts.items():
        sums[rule] += count
    return sums


def summary(found: list[Alert]) -> str:
    """The counts by rule, in a line."""
    rules = Counter(alert.rule for alert in found)
    return f"To be reworded: {rules.total()} (" + ", ".join(f"{rule} {count}" for rule, count in rules.most_common()) + ")"


if __name__ == "__main__":
    main(sys.argv[1:])
