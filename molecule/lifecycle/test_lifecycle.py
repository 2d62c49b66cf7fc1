"""A fleet's life, in order: each test goes on from where the one before it left the machines."""

from __future__ import annotations

import sys
import time

import yaml
from fleet import CLUSTER, MACHINES, PLAYBOOKS, REGISTRY, TCTL, Fleet

fleet = Fleet(MACHINES)
SPECS = PLAYBOOKS.parent / "roles/tbot_service/meta/argument_specs.yml"
NEWER = "17.5.2"


def test_a_new_host_joins_and_the_others_keep_their_rules():
    before = fleet.rules()
    assert set(before) == {"bot-1", "bot-2"}
    run = fleet.play("site", "--limit", "bot-3")
    assert run.returncode == 0, run.output
    assert set(run.recap) == {"bot-3"}
    assert fleet.rules() == before | {"bot-3": fleet.entry("bot-3")["ek_public_hash"]}
    assert fleet.joins(fleet.entry("bot-3")["ek_public_hash"])[-1] is True


def test_a_changed_configuration_restarts_the_bot_once():
    before = fleet.service("bot-1")["MainPID"]
    changed = fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_service", tbot_config_extra={"debug": True})
    assert changed.returncode == 0, changed.output
    after = fleet.service("bot-1")
    assert after["ActiveState"] == "active" and after["MainPID"] != before

    again = fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_service", tbot_config_extra={"debug": True})
    assert again.changed() == {"bot-1": 0}, again.output
    assert fleet.service("bot-1") == after


def test_a_run_that_was_interrupted_before_the_restart_is_finished_by_the_next():
    before = fleet.service("bot-1")["MainPID"]
    variables = {"tbot_config_extra": {"debug": False}, "tbot_manage_service": False}
    written = fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_service", **variables)
    assert written.returncode == 0, written.output
    assert fleet.service("bot-1")["MainPID"] == before
    finished = fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_service", tbot_config_extra={"debug": False})
    assert finished.returncode == 0, finished.output
    assert fleet.service("bot-1")["MainPID"] != before


def test_the_roles_example_gives_its_reader_the_files_hardened_and_not_and_after_a_reboot():
    [example] = yaml.safe_load(yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["examples"])
    [service] = example["roles"][0]["vars"]["tbot_services"]
    service["destination"]["readers"] = [{"user": "games"}]
    for variables, is_hardened in (({}, True), ({"tbot_unit_hardening": False}, False)):
        variables["tbot_services"] = [service]
        runs = [fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_service", **variables) for _ in range(2)]
        assert runs[0].returncode == 0 and runs[1].changed() == {"bot-1": 0}, runs[0].output + runs[1].output
        assert ("ProtectSystem=strict" in fleet.on("bot-1", "systemctl cat tbot.service")) is is_hardened
        assert readers("bot-1") == ["games"]
    fleet.start_or_stop("down", "bot-1")
    fleet.start_or_stop("up", "bot-1")
    deadline = time.monotonic() + 180
    while not is_ready("bot-1"):
        assert time.monotonic() < deadline, fleet.on("bot-1", "journalctl --no-pager --unit=tbot.service")
        time.sleep(1)
    assert readers("bot-1") == ["games"]


def readers(machine: str) -> list[str]:
    """Who can read what the role's example writes."""
    read = "runuser -u {} -- cat /opt/machine-id/identity >/dev/null 2>&1 && echo {}; true"
    return "\n".join(fleet.on(machine, read.format(user, user)) for user in ("games", "nobody")).split()


def is_ready(machine: str) -> bool:
    return fleet.on(machine, "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:3001/readyz; true") == "200"


def test_an_upgrade_replaces_the_program_and_restarts_the_bot():
    before = fleet.service("bot-1")["MainPID"]
    run = fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_install,tbot_service", tbot_version=NEWER)
    assert run.returncode == 0, run.output
    assert NEWER in fleet.on("bot-1", "tbot version")
    after = fleet.service("bot-1")
    assert after["ActiveState"] == "active" and after["MainPID"] != before

    refused = fleet.play("deploy", "--limit", "bot-1", "--tags", "tbot_install")
    assert refused.returncode != 0 and "downgrade" in refused.output, refused.output
    assert NEWER in fleet.on("bot-1", "tbot version")


def test_a_replaced_tpm_stops_its_host_until_it_is_accepted_by_name():
    old = fleet.entry("bot-3")["ek_public_hash"]
    fleet.start_or_stop("replace-tpm", "bot-3")
    stopped = fleet.play("site", "--limit", "bot-3")
    assert stopped.returncode != 0
    assert "the TPM is not the expected one" in stopped.output and "tbot_accept_identity_change" in stopped.output
    assert fleet.entry("bot-3")["ek_public_hash"] == old
    assert fleet.rules()["bot-3"] == old

    accepted = fleet.play("site", "--limit", "bot-3", tbot_accept_identity_change=["bot-3"])
    assert accepted.returncode == 0, accepted.output
    new = fleet.entry("bot-3")["ek_public_hash"]
    assert new != old
    assert fleet.joins(new)[-1] is True


def test_the_old_tpm_is_let_in_no_more_and_the_others_still_are():
    assert fleet.rules() == {machine: fleet.entry(machine)["ek_public_hash"] for machine in ("bot-1", "bot-2", "bot-3")}


def test_a_host_that_goes_down_in_the_middle_does_not_stop_the_others():
    # tctl runs between reading the TPMs and deploying.
    stops = CLUSTER.parent / "tctl-that-pauses-bot-2"
    stops.write_text(f'#!/bin/sh\n"{sys.executable}" "{MACHINES}" pause bot-2 >&2\nSTAND_IN_CLUSTER="{CLUSTER}" exec "{TCTL}" "$@"\n')
    stops.chmod(0o755)
    try:
        run = fleet.play("site", "--limit", "bot-1,bot-2", tbot_tctl_command=str(stops), tbot_version=NEWER)
    finally:
        fleet.start_or_stop("resume", "bot-2")
    assert run.returncode != 0
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"bot-1": 0, "bot-2": 1}, run.output
    assert "The host cannot be reached" in run.output, run.output
    assert fleet.service("bot-1")["ActiveState"] == "active"


def test_a_decommissioned_host_loses_its_bot_and_its_rule():
    hash_of_the_third = fleet.entry("bot-3")["ek_public_hash"]
    run = fleet.play("decommission", "--limit", "bot-3")
    assert run.returncode == 0, run.output
    assert set(fleet.rules()) == {"bot-1", "bot-2"}
    assert not (REGISTRY / "bot-3.json").exists()
    assert (REGISTRY / "archive" / f"bot-3.{hash_of_the_third[:16]}.json").exists()
    paths = "/etc/tbot.yaml /etc/systemd/system/tbot.service /var/lib/teleport/bot"
    left = fleet.on("bot-3", f"ls -d {paths} 2>/dev/null; systemctl is-active tbot.service; true")
    assert left == "inactive"

    again = fleet.play("decommission", "--limit", "bot-3")
    assert again.changed() == {"bot-3": 0}, again.output


def test_a_host_that_is_gone_loses_its_rule_all_the_same_and_an_empty_token_goes():
    fleet.start_or_stop("kill", "bot-2")
    run = fleet.play("decommission", "--limit", "bot-1,bot-2")
    assert run.returncode != 0
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"bot-1": 0, "bot-2": 1}, run.output
    assert fleet.token() is None
    assert not list(REGISTRY.glob("*.json"))
