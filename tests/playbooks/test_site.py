"""site.yml from bare hosts to ready ones, and again."""

from __future__ import annotations

import stat

import pytest
import yaml
from fleet import PROXY, Fleet, ek_cert_serial, ek_public_hash

HOSTS = ["web-1", "db-1", "build-1"]
WITH_CERTIFICATE = ["web-1", "build-1"]


def test_first_run_succeeds_on_every_host(first_run):
    _fleet, run, _restore = first_run
    assert run.returncode == 0, run.output
    assert {host: counts["failed"] for host, counts in run.recap.items() if host in HOSTS} == dict.fromkeys(HOSTS, 0)
    assert "[WARNING]" not in run.output and "DEPRECATION" not in run.output, run.output


def test_registry_has_the_identity_that_tpm2_tools_compute(fleet, tpms, tmp_path):
    for host in HOSTS:
        entry = fleet.registry(host)
        assert entry["description"] == host
        assert entry["ek_public_hash"] == ek_public_hash(tpms[host], tmp_path)
        assert entry["ek_cert_present"] is (host in WITH_CERTIFICATE)
        assert entry["ek_cert_serial"] == ek_cert_serial(tpms[host])


def test_registry_entries_are_stable_text_for_version_control(fleet):
    for host in HOSTS:
        path = fleet.registry_directory / f"{host}.json"
        assert path.read_text().endswith("}\n")
        assert list(fleet.registry(host)) == sorted(fleet.registry(host))
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_token_lets_exactly_these_tpms_in(fleet, tpms, tmp_path):
    token = fleet.token()
    assert (token["kind"], token["version"], token["metadata"]["name"]) == ("token", "v2", "test-hosts")
    assert token["spec"]["roles"] == ["Bot"]
    assert token["spec"]["join_method"] == "tpm"
    assert token["spec"]["bot_name"] == "test-bot"
    assert fleet.token_rules() == {host: ek_public_hash(tpms[host], tmp_path) for host in HOSTS}


def test_token_carries_the_given_ca(new_fleet, ca):
    issuer = ca / "issuercert.pem"
    run = new_fleet.site("--limit", "web-1", variables={"tbot_ekcert_allowed_cas": [str(issuer)]})
    assert run.returncode == 0, run.output
    cas = new_fleet.token()["spec"]["tpm"]["ekcert_allowed_cas"]
    assert [pem.strip() for pem in cas] == [issuer.read_text().strip()]


def test_tbot_yaml_joins_by_the_tpm(fleet):
    for host in HOSTS:
        path = fleet.host_path(host, "etc/tbot.yaml")
        config = yaml.safe_load(path.read_text())
        assert config["version"] == "v2"
        assert config["proxy_server"] == PROXY
        assert config["onboarding"] == {"join_method": "tpm", "token": "test-hosts"}
        assert config["storage"] == {"type": "directory", "path": fleet.path_there(host, "var/lib/teleport/bot")}
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_storage_is_for_the_service_user_only(fleet):
    for host in HOSTS:
        storage = fleet.host_path(host, "var/lib/teleport/bot")
        assert storage.is_dir()
        assert stat.S_IMODE(storage.stat().st_mode) == 0o700


def test_unit_starts_tbot_with_that_configuration(fleet):
    for host in HOSTS:
        unit = fleet.host_path(host, "etc/systemd/system/tbot.service")
        assert f"start -c {fleet.path_there(host, 'etc/tbot.yaml')}" in unit.read_text()
        assert stat.S_IMODE(unit.stat().st_mode) == 0o644


def test_a_hardened_unit_lets_tbot_write_where_its_configuration_says(fleet):
    output = fleet.host_path("web-1", "opt/machine-id")
    run = fleet.site("--limit", "web-1", variables={"tbot_services": [
        {"type": "identity", "destination": {"type": "directory", "path": str(output)}},
    ]})
    assert run.returncode == 0, run.output
    unit = fleet.host_path("web-1", "etc/systemd/system/tbot.service").read_text()
    storage = fleet.host_path("web-1", "var/lib/teleport/bot")
    assert "ProtectSystem=strict" in unit
    assert f"ReadWritePaths=-{output} {storage}" in unit
    assert stat.S_IMODE(output.stat().st_mode) == 0o700


def test_a_directory_that_no_service_uses_goes_on_request(fleet):
    old, new = (fleet.host_path("web-1", f"opt/{name}") for name in ("old", "new"))

    def run(path, **more: object):
        service = {"type": "identity", "destination": {"type": "directory", "path": str(path)}}
        return fleet.site("--limit", "web-1", variables={"tbot_services": [service], **more})

    assert run(old).returncode == 0
    (old / "identity").write_text("secret")
    changed = run(new)
    assert changed.returncode == 0
    assert f"tbot does not write to {old} any more" in " ".join(changed.output.split()), changed.output
    assert "tbot_destinations_absent" in changed.output and (old / "identity").exists()
    used = run(new, tbot_destinations_absent=[str(new)])
    assert used.returncode != 0 and "a bot uses" in used.output and new.exists(), used.output
    assert run(new, tbot_destinations_absent=[str(old)]).returncode == 0
    assert new.exists() and not old.exists()
    assert not any(run(new, tbot_destinations_absent=[str(old)]).changed().values())


def test_second_run_changes_nothing(fleet):
    before = fleet.files()
    run = fleet.site()
    assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output
    assert fleet.files() == before


def test_check_before_the_first_run_succeeds_and_writes_nothing(new_fleet):
    before = new_fleet.files()
    run = new_fleet.site("--check", "--diff")
    assert run.returncode == 0, run.output
    assert all(run.changed()[host] for host in HOSTS), run.output
    assert new_fleet.files() == before


def test_check_predicts_what_a_new_proxy_changes(fleet):
    before = fleet.files()
    # Nothing answers there.
    new_proxy = {"tbot_proxy_server": "other.example.com:443", "tbot_allow_unreachable_proxy": True}
    predicted = fleet.site("--check", "--diff", variables=new_proxy)
    assert predicted.returncode == 0, predicted.output
    assert f"-proxy_server: {PROXY}" in predicted.output.replace('"', "")
    assert "+proxy_server: other.example.com:443" in predicted.output.replace('"', "")
    assert fleet.files() == before

    real = fleet.site(variables=new_proxy)
    assert predicted.changed() == real.changed()
    for host in HOSTS:
        assert yaml.safe_load(fleet.host_path(host, "etc/tbot.yaml").read_text())["proxy_server"] == "other.example.com:443"


def test_limit_adds_a_host_and_keeps_the_rules_of_the_others(new_fleet):
    assert new_fleet.site("--limit", "web-1").returncode == 0
    assert set(new_fleet.token_rules()) == {"web-1"}
    predicted = new_fleet.site("--limit", "db-1", "--check")
    assert set(new_fleet.token_rules()) == {"web-1"}
    run = new_fleet.site("--limit", "db-1")
    assert run.returncode == 0, run.output
    assert predicted.changed() == run.changed(), predicted.output
    assert set(new_fleet.token_rules()) == {"web-1", "db-1"}
    assert "web-1" not in run.recap


@pytest.mark.parametrize("down", ["web-1", "db-1"])  # web-1 comes first, and so is where run_once tasks go
def test_a_host_whose_tpm_is_down_does_not_stop_the_others(new_fleet: Fleet, software_tpms, down):
    stopped = software_tpms.start("stopped")
    stopped.stop()
    new_fleet.tcti[down] = stopped.tcti
    run = new_fleet.site()
    assert run.returncode != 0
    assert {host for host, counts in run.recap.items() if counts["failed"]} == {down}, run.output
    assert "Traceback" not in run.output and "MODULE FAILURE" not in run.output, run.output
    others = {host for host in HOSTS if host != down}
    assert set(new_fleet.token_rules()) == others
    for host in HOSTS:
        assert new_fleet.host_path(host, "etc/tbot.yaml").exists() is (host in others)
