"""What it costs a host to find that nothing is to be done: each action that prepares a host, against the stock modules that
would keep the same directory or file.

Compared is the processor time of what runs on the host: the binary, and the programs that Ansible makes of its modules
and sends there, which it is told to keep. Both in turn, several rounds.
"""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import ansible_runs
import measure
from ansible_runs import BINARY

LEAST = 20  # times the processor time of the binary that the stock modules are to take


def main() -> None:
    options = parse_options()
    if not BINARY.exists():
        sys.exit(f"{BINARY} is missing: run `make bench`, which builds it first.")
    print(f"Nothing to be done: milliseconds of processor time on the host, {options.rounds} rounds")
    print(f"  {'':<32}{'binary':>9}{'stock':>9}{'ratio':>8}   stock modules")
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as name:
        ratios = [compare(case, Path(name), options.rounds) for case in cases(Path(name))]
    if min(ratios) < LEAST:
        sys.exit(f"The stock modules take only {min(ratios):.1f} times as long somewhere; {LEAST} are wanted.")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare unchanged files and directories with Ansible's own modules.")
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


class Case:
    """One action's request, and the stock task that keeps the same."""

    def __init__(self, title: str, request: dict, task: Callable[[dict], dict], prepare: Callable[[dict], None] | None = None) -> None:
        self.title = title
        self.request = request
        self.task = task
        self.prepare = prepare or (lambda answer: None)  # what else was there, given the answer to the first request


def cases(folder: Path) -> list[Case]:
    owner, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    owned = {"owner": owner, "group": group}
    units = folder / "units"
    units.mkdir()
    config = {"action": "config", "path": str(folder / "tbot.yaml"), "proxy_server": "example.com:443", "token": "web", **owned}
    unit = {"action": "systemd", "name": "tbot-bench", "directory": str(units)}
    storage = {"action": "storage", "path": str(folder / "bot"), **owned}

    def copied(answer: dict) -> dict:
        mode = "0640" if answer["path"] == config["path"] else "0644"
        return {"ansible.builtin.copy": {"content": answer["content"], "dest": answer["path"], "mode": mode, **owned}}

    def directory(answer: dict) -> dict:
        return {"ansible.builtin.file": {"path": answer["path"], "state": "directory", "mode": "0700", **owned}}

    def as_tbot_wrote_it(answer: dict) -> None:
        unit = Path(answer["path"])
        unit.write_text(answer["content"].split("\n", 1)[1])  # without the line that says whose it is

    return [
        Case("storage", storage, directory),
        Case("config", config, copied),
        Case("systemd, unit", unit, copied),
        Case("systemd, unit of tbot's own", {**unit, "name": "tbot-own"}, copied, as_tbot_wrote_it),
        Case("systemd, hardened unit", {**unit, "name": "tbot-hard", "hardening": True, "config": config["path"]}, copied),
        Case("systemd, drop-in", {**unit, "name": "tbot-added", "mode": "drop_in"}, copied),
    ]


def compare(case: Case, folder: Path, rounds: int) -> float:
    request = folder / "request.json"
    request.write_text(json.dumps(case.request))
    command = [BINARY, request]
    answer = measure.answer(command)
    assert not answer.get("failed"), answer
    case.prepare(answer)
    answer = measure.answer(command)
    assert answer["changed"] is False, "the second time nothing is to be done"
    stock = stock_programs(case.task(answer), folder)

    ways = {
        "binary": lambda: measure.processor_seconds(command),
        "stock": lambda: sum(measure.processor_seconds([sys.executable, program]) for program in stock),
    }
    times = measure.interleaved(ways, rounds)
    binary, others = (statistics.median(times[way]) for way in ("binary", "stock"))
    ratio = statistics.median(other / own for own, other in zip(times["binary"], times["stock"], strict=True))
    names = ", ".join(sorted(program.stem.removeprefix("AnsiballZ_") for program in stock))
    print(f"  {case.title:<32}{binary * 1000:>9.2f}{others * 1000:>9.1f}{ratio:>8.0f}   {names}", flush=True)
    return ratio


def stock_programs(task: dict, folder: Path) -> list[Path]:
    """The programs that Ansible runs on a host for a task that changes nothing."""
    inventory, playbook, scratch = folder / "inventory.yml", folder / "playbook.yml", Path(tempfile.mkdtemp(dir=folder))
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"host": {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
    }}}}))
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    command = ["ansible-playbook", "--inventory", str(inventory), str(playbook)]
    run = ansible_runs.run(command, scratch, env={"ANSIBLE_KEEP_REMOTE_FILES": "1"})
    assert run.returncode == 0 and run.changed() == {"host": 0}, run.output
    programs = sorted(scratch.rglob("AnsiballZ_*.py"))
    assert programs, "Ansible kept no program"
    return programs


if __name__ == "__main__":
    main()
