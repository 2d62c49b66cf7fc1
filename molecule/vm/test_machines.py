"""Two machines with a TPM device each, after the collection's site.yml: one has an EK certificate, and its distribution gives
group tss access to the TPM; the other has neither."""

from __future__ import annotations

import json

import pytest
import yaml
from fleet import CA, MACHINES, Fleet, documented_example

fleet = Fleet(MACHINES)
BOTS = ["bot-1", "bot-2"]


@pytest.mark.parametrize("machine", BOTS)
def test_the_bot_joined_by_its_tpm_and_is_well(machine):
    state = fleet.service(machine)
    assert (state["ActiveState"], state["UnitFileState"], state["NeedDaemonReload"]) == ("active", "enabled", "no")
    assert fleet.joins(fleet.entry(machine)["ek_public_hash"])[-1] is True
    assert fleet.on(machine, "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:3001/readyz") == "200"


@pytest.mark.parametrize("machine", BOTS)
def test_it_runs_as_its_user_with_its_private_directory(machine):
    assert fleet.on(machine, "ps -o user= -p $(systemctl show --value -p MainPID tbot.service)") == "teleport"
    assert fleet.on(machine, "stat -c '%U:%G %a' /var/lib/teleport/bot /etc/tbot.yaml").splitlines() == [
        "teleport:teleport 700",
        "root:teleport 640",
    ]
    joined = json.loads(fleet.on(machine, "cat /var/lib/teleport/bot/identity"))
    assert joined["ek_public_hash"] == fleet.entry(machine)["ek_public_hash"]


def test_the_registry_tells_which_tpm_has_a_certificate():
    assert fleet.entry("bot-1")["ek_cert_present"] is True
    assert fleet.entry("bot-2")["ek_cert_present"] is False


def test_the_token_lets_in_these_tpms_and_no_other():
    assert fleet.rules() == {machine: fleet.entry(machine)["ek_public_hash"] for machine in BOTS}


def test_a_token_with_the_manufacturers_ca_lets_in_the_machine_that_has_its_certificate():
    certified = {
        "tbot_token_name": "certified",
        "tbot_ekcert_ca_bundle": [str(CA / "issuercert.pem")],
        "tbot_ekcert_trusted_roots": [str(CA / "swtpm-localca-rootca-cert.pem")],
    }
    run = fleet.play("site", tbot_hosts="machines:!bot-3", **certified)
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"bot-1": 0, "bot-2": 1}, run.output
    assert "The cluster would refuse it: the TPM has no EK certificate" in run.output, run.output
    tpm = fleet.token("certified")["spec"]["tpm"]
    assert [pem.strip() for pem in tpm["ekcert_allowed_cas"]] == [(CA / "issuercert.pem").read_text().strip()]
    assert [rule["description"] for rule in tpm["allow"]] == ["bot-1"]
    # The cluster saw its certificate, and let it in.
    assert fleet.joins(fleet.entry("bot-1")["ek_public_hash"], "certified")[-1] is True
    assert fleet.service("bot-1")["ActiveState"] == "active"

    back = fleet.play("deploy", "--limit", "bot-1")
    assert back.returncode == 0, back.output
    assert fleet.service("bot-1")["ActiveState"] == "active"


def test_access_comes_by_group_tss_where_the_distribution_has_it_and_else_by_a_rule():
    assert fleet.on("bot-1", "stat -c %G:%a /dev/tpmrm0; id -nG teleport").split() == ["tss:660", "teleport", "tss"]
    assert fleet.on("bot-1", "ls /etc/udev/rules.d") == ""
    assert fleet.on("bot-2", "stat -c %G:%a /dev/tpmrm0") == "teleport:660"
    assert 'GROUP="teleport"' in fleet.on("bot-2", "cat /etc/udev/rules.d/91-tbot-tpm.rules")


def test_the_documented_example_gives_the_tpm_by_a_rule_where_no_group_has_it(tmp_path):
    playbook = tmp_path / "example.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "bot-2", "gather_facts": False, "tasks": [documented_example("access")]}]))
    fleet.on("bot-2", "rm /etc/udev/rules.d/91-tbot-tpm.rules && chown root:root /dev/tpmrm0 && chmod 600 /dev/tpmrm0")
    runs = [fleet.play(playbook) for _ in range(2)]
    assert [(run.recap["bot-2"]["failed"], run.changed()["bot-2"]) for run in runs] == [(0, 1), (0, 0)], runs[0].output
    assert fleet.on("bot-2", "stat -c %G:%a /dev/tpmrm0; ls /etc/udev/rules.d").split() == ["teleport:660", "91-tbot-tpm.rules"]


def test_verify_finds_what_is_right_right_and_says_what_is_not():
    fleet.on("bot-1", "systemctl stop tbot.service && sed -i 's/^proxy_server:.*/proxy_server: other.example.com:443/' /etc/tbot.yaml")
    run = fleet.play("verify")
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"bot-1": 1, "bot-2": 0}, run.output
    assert "the configuration differs; the service is inactive" in run.output, run.output
    mended = fleet.play("deploy", "--limit", "bot-1")
    assert mended.returncode == 0, mended.output
    assert fleet.service("bot-1")["ActiveState"] == "active"
