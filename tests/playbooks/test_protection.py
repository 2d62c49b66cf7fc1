"""What site.yml must never lose: a recorded identity, and files that someone else wrote."""

from __future__ import annotations

import json

import yaml
from fleet import PROXY, ek_public_hash

SERVICES = """services:
- type: identity # by hand
  destination: {type: memory}
"""
HAND_WRITTEN = f"# mine\nversion: v2\nproxy_server: mine.example.com:443  # the old one\n{SERVICES}# the end\n"


def test_a_changed_tpm_is_refused_until_it_is_accepted(fleet, software_tpms, tpms, tmp_path):
    before = fleet.files()
    old_hash = fleet.token_rules()["db-1"]
    replacement = software_tpms.start("db-1-replacement")
    fleet.tcti["db-1"] = replacement.tcti

    refused = fleet.site()
    assert refused.returncode != 0
    assert {host for host, counts in refused.recap.items() if counts["failed"]} == {"db-1"}, refused.output
    assert "tbot_accept_identity_change" in refused.output, refused.output
    assert fleet.files() == before

    accepted = fleet.site(variables={"tbot_accept_identity_change": ["db-1"]})
    assert accepted.returncode == 0, accepted.output
    new_hash = ek_public_hash(replacement, tmp_path)
    assert new_hash != old_hash
    assert fleet.registry("db-1")["ek_public_hash"] == new_hash
    assert fleet.token_rules()["db-1"] == new_hash
    assert old_hash not in fleet.token_file.read_text()


def test_a_changed_tpm_is_accepted_by_its_hosts_whole_name_only(fleet, software_tpms):
    fleet.tcti["db-1"] = software_tpms.start("db-1-another").tcti
    before = fleet.files()
    refused = fleet.site("--limit", "db-1", "--extra-vars", "tbot_accept_identity_change=db-10,web-1")
    assert refused.returncode != 0
    assert fleet.files() == before


def test_a_vanished_certificate_is_not_recorded(fleet):
    entry = fleet.registry_directory / "db-1.json"
    recorded = fleet.registry("db-1") | {"ek_cert_present": True, "ek_cert_serial": "02"}
    entry.write_text(json.dumps(recorded))
    refused = fleet.site("--limit", "db-1")
    assert refused.returncode != 0
    assert "showed an EK certificate before" in refused.output, refused.output
    assert fleet.registry("db-1") == recorded


def test_what_a_person_adds_to_a_registry_entry_stays(fleet):
    entry = fleet.registry_directory / "db-1.json"
    entry.write_text(json.dumps(fleet.registry("db-1") | {"rack": "R7"}))
    assert fleet.site("--limit", "db-1").returncode == 0
    assert fleet.registry("db-1")["rack"] == "R7"


def test_hosts_that_are_to_have_different_tokens_are_refused_together(new_fleet):
    new_fleet.variables["db-1"] = {"tbot_token_name": "db-hosts"}
    refused = new_fleet.site()
    assert refused.returncode != 0
    assert "tbot_token_name differs" in refused.output, refused.output
    assert not new_fleet.token_file.exists()


def test_a_removed_host_stays_in_the_token_until_it_is_named(fleet):
    before = fleet.token_file.read_bytes()
    (fleet.registry_directory / "db-1.json").unlink()

    kept = fleet.site("--limit", "web-1")
    assert kept.returncode == 0, kept.output
    assert fleet.token_file.read_bytes() == before

    removed = fleet.site("--limit", "web-1", variables={"tbot_token_remove": ["db-1"]})
    assert removed.returncode == 0, removed.output
    assert set(fleet.token_rules()) == {"web-1", "build-1"}


def test_a_malformed_registry_entry_stops_its_host_and_is_named(fleet):
    entry = fleet.registry_directory / "web-1.json"
    entry.write_text("{ not json")
    run = fleet.site("--limit", "web-1")
    assert run.returncode != 0
    assert str(entry) in run.output, run.output
    assert entry.read_text() == "{ not json"


def test_a_hand_written_tbot_yaml_keeps_what_no_variable_sets(fleet):
    config = fleet.host_path("web-1", "etc/tbot.yaml")
    config.write_text(HAND_WRITTEN)
    # Nothing answers at the new address.
    fleet.variables["web-1"] = {"tbot_allow_unreachable_proxy": True}

    foreseen = fleet.site("--limit", "web-1", "--check")
    assert config.read_text() == HAND_WRITTEN
    run = fleet.site("--limit", "web-1")
    assert run.returncode == 0, run.output
    assert foreseen.changed() == run.changed()
    text = config.read_text()
    changed = f'proxy_server: "{PROXY}"  # the old one'
    assert text.startswith(f"# mine\nversion: v2\n{changed}\n{SERVICES}")
    assert "# the end\n" in text
    assert yaml.safe_load(text)["onboarding"] == {"join_method": "tpm", "token": "test-hosts"}
    assert not any(fleet.site("--limit", "web-1").changed().values())


def test_a_unit_of_someone_else_is_not_replaced(fleet):
    unit = fleet.host_path("web-1", "etc/systemd/system/tbot.service")
    unit.write_text("[Service]\nExecStart=/opt/mine\n")
    run = fleet.site("--limit", "web-1")
    assert run.returncode != 0
    assert "was not written by tbot_tpm" in run.output, run.output
    assert unit.read_text() == "[Service]\nExecStart=/opt/mine\n"
