"""`module_defaults` are written once for all actions. What one action has breaks no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from installed import Installed
from plugin_runs import Plays, call, essence

# Of `storage`, of `identify` and of `systemd`.
DEFAULTS = {"path": "/srv/bot", "tcti": "device", "pid_file": "{{ run_directory }}/bot.pid"}
HOSTS = {"web-1": {"ansible_connection": "local", "run_directory": "/run"}}


@pytest.fixture
def plays(tmp_path: Path, ansible: Installed) -> Plays:
    return Plays(tmp_path / "run", HOSTS, ansible)


@pytest.mark.parametrize("name", ["tbot.tpm.tbot_tpm", "group/tbot.tpm.all"])
def test_defaults_with_parameters_of_one_action_do_not_break_the_others(plays: Plays, name: str):
    def run(task: dict) -> dict:
        return plays.run([task | {"check_mode": True}], module_defaults={name: DEFAULTS})["web-1"]

    storage = run(call(action="storage", owner="root", group="root"))
    assert storage.get("failed") is not True and storage["path"] == "/srv/bot", storage
    # In a loop, and with all arguments from a variable.
    token = call(action="token", name="{{ item }}", bot_name="a", hosts=[{"description": "b", "ek_public_hash": "ab" * 32}])
    looped = run(token | {"loop": ["c", "d"]})
    assert [result["tokens"][0]["name"] for result in looped["results"]] == ["c", "d"], looped
    # What is in the tasks themselves is checked as ever, also where it says the same.
    for value in ("device", "swtpm"):
        wrong = run(call(action="storage", tcti=value))
        assert "action `storage` has no parameter `tcti`" in wrong["msg"], wrong


def test_a_default_that_no_action_has_stays_an_error(plays: Plays):
    task = call(action="storage", path="/srv/bot")
    result = plays.run([task], module_defaults={"group/tbot.tpm.all": {"tctii": "device"}})["web-1"]
    assert "action `storage` has no parameter `tctii`" in essence(result)["msg"], result
