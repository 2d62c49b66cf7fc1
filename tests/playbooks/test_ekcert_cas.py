"""The CAs that a token allows, found and proved by the roles: by a bundle and by links, for TPMs of two manufacturers and for one
that has no EK certificate."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cluster import Cluster
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from fleet import Fleet
from software_tpm import SoftwareTpm, SoftwareTpms
from web_server import WebServer

ROOT = "swtpm-localca-rootca-cert.pem"


def issuer_of(ca: Path) -> str:
    return (ca / "issuercert.pem").read_text()


def fingerprint(pem: str) -> str:
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256"]
    done = subprocess.run(command, input=pem, capture_output=True, text=True, check=True)
    return done.stdout.strip().partition("=")[2]


def allowed_cas(token: dict) -> list[str]:
    return sorted(pem.strip() for pem in token["spec"]["tpm"].get("ekcert_allowed_cas", []))


def failed(run) -> dict[str, int]:
    return {host: counts["failed"] for host, counts in run.recap.items() if host in ("web-1", "db-1", "build-1")}


@pytest.fixture
def new_cluster(new_fleet, tmp_path, stand_ins) -> Cluster:
    """A cluster without tokens, for a fleet that nothing has been done to."""
    return Cluster(tmp_path / "cluster", new_fleet, stand_ins / "tctl")


@pytest.fixture
def offline(ca, other_ca) -> dict[str, object]:
    """Variables by which the CAs of both manufacturers are found without a request."""
    return {
        "tbot_ekcert_ca_bundle": [str(ca / "issuercert.pem"), issuer_of(other_ca)],
        "tbot_ekcert_trusted_roots": [str(ca / ROOT), str(other_ca / ROOT)],
    }


def test_the_token_allows_what_issued_the_fleets_certificates_and_leaves_out_who_has_none(new_cluster, offline, ca, other_ca):
    foreseen = new_cluster.play("site", "--check", **offline)
    assert "db-1: the TPM has no EK certificate" in foreseen.output and not new_cluster.stored.exists(), foreseen.output

    run = new_cluster.play("site", **offline)
    assert failed(run) == {"web-1": 0, "db-1": 1, "build-1": 0}, run.output
    assert new_cluster.rules() == {"web-1", "build-1"}
    assert allowed_cas(new_cluster.token) == sorted([issuer_of(ca).strip(), issuer_of(other_ca).strip()])
    assert "The cluster would refuse it: the TPM has no EK certificate" in run.output, run.output
    assert not new_cluster.fleet.host_path("db-1", "etc/tbot.yaml").exists()

    again = new_cluster.play("site", **offline)
    assert not any(again.changed().values()), again.output
    assert failed(again) == {"web-1": 0, "db-1": 1, "build-1": 0}, again.output


def test_a_certificate_of_another_ca_is_left_out_with_its_fingerprint(new_cluster, ca, other_ca):
    # Both CAs have the same name.
    pinned = {
        "tbot_ekcert_ca_bundle": [str(ca), str(other_ca / "issuercert.pem")],
        "tbot_ekcert_trusted_sha256": [fingerprint(issuer_of(ca))],
    }
    run = new_cluster.play("site", "--limit", "web-1,build-1", **pinned)
    assert failed(run) == {"web-1": 0, "build-1": 1}, run.output
    assert new_cluster.rules() == {"web-1"}
    assert allowed_cas(new_cluster.token) == [issuer_of(ca).strip()]
    shown = fingerprint(issuer_of(other_ca)).replace(":", "").lower()
    assert f"SHA-256 {shown}" in run.output and "which is not trusted" in run.output, run.output

    # The only host that is let in goes, and those that are left out stop nothing.
    gone = new_cluster.play("decommission", "--limit", "web-1", **pinned)
    assert gone.returncode == 0, gone.output
    assert not new_cluster.stored.exists()
    again = new_cluster.play("decommission", "--limit", "web-1", **pinned)
    assert again.returncode == 0 and not any(again.changed().values()), again.output


def test_the_cas_of_another_run_at_the_same_time_stay(new_cluster, offline, ca, other_ca):
    # What a run elsewhere applies, which knows only a host of the other manufacturer.
    assert new_cluster.play("site", "--limit", "build-1", **offline).returncode == 0
    elsewhere = new_cluster.stored.rename(new_cluster.folder / "elsewhere")
    new_cluster.fleet.token_file.with_suffix(".yaml.applied").unlink()
    (new_cluster.fleet.registry_directory / "build-1.json").unlink()
    # It comes right after ours, once.
    new_cluster.after_create(2, f"mv {elsewhere} {new_cluster.stored}")

    run = new_cluster.play("site", "--limit", "web-1", **offline | {"tbot_token_settle_seconds": 6})
    assert run.returncode == 0, run.output
    assert new_cluster.rules() == {"web-1", "build-1"}
    assert allowed_cas(new_cluster.token) == sorted([issuer_of(ca).strip(), issuer_of(other_ca).strip()])


def test_cas_that_would_lock_out_a_host_are_not_applied(cluster, offline):
    assert cluster.site().returncode == 0
    before = cluster.stored.read_text()
    run = cluster.site(**offline)
    assert run.returncode != 0
    assert "No token was applied" in run.output and "`db-1`" in run.output, run.output
    assert cluster.stored.read_text() == before


def test_where_nothing_is_trusted_no_token_comes_to_be_without_cas(new_cluster):
    nothing = {"tbot_ekcert_trusted_sha256": ["ab" * 32], "tbot_ekcert_fetch": False}
    run = new_cluster.play("site", **nothing)
    assert run.returncode != 0
    assert "no host has an EK certificate whose issuer is trusted" in run.output, run.output
    assert "is not in `tbot_ekcert_ca_bundle`" in run.output and "`db-1`: the TPM has no EK certificate" in run.output, run.output
    assert not new_cluster.stored.exists() and not new_cluster.fleet.token_file.exists()


def test_a_host_without_certificate_stops_no_token_of_another_host(new_cluster, offline):
    run = new_cluster.play("site", tbot_token_per_host=True, **offline)
    assert failed(run) == {"web-1": 0, "db-1": 1, "build-1": 0}, run.output
    assert new_cluster.rules_of("test-hosts-web-1") == {"web-1"}
    assert not new_cluster.stored.with_name("test-hosts-db-1.json").exists()


@pytest.mark.parametrize("playbook", ["site", "token"])
def test_without_tctl_the_file_has_them_and_keeps_them(fleet, ca, other_ca, playbook):
    fleet.token_file.unlink()
    roots = {"tbot_ekcert_trusted_roots": [str(ca / ROOT), str(other_ca / ROOT)]}
    bundle = {"tbot_ekcert_ca_bundle": [str(ca / "issuercert.pem"), str(other_ca / "issuercert.pem")]}
    fleet.play(playbook, variables=roots | bundle)
    assert len(allowed_cas(fleet.token())) == 2
    before = fleet.token_file.read_bytes()
    # What the bundle told is in the token by now.
    again = fleet.play(playbook, variables=roots)
    assert fleet.token_file.read_bytes() == before, again.output
    assert not any(again.changed().values()), again.output


@pytest.mark.parametrize("name", ["fleet [prod]", "a*b", "{x,y}"])
def test_a_registry_is_found_whatever_its_directory_is_called(new_cluster, offline, ca, other_ca, name):
    fleet = new_cluster.fleet
    fleet.registry_directory = fleet.root / name
    assert new_cluster.play("identify").returncode == 0
    foreseen = new_cluster.play("token", "--check", "--diff", **offline)
    assert not new_cluster.stored.exists()
    run = new_cluster.play("token", "--diff", **offline)
    assert allowed_cas(new_cluster.token) == sorted([issuer_of(ca).strip(), issuer_of(other_ca).strip()])
    assert new_cluster.rules() == {"web-1", "build-1"}
    # Check mode has foreseen it.
    for output in (foreseen.output, run.output):
        added = "\n".join(line.strip() for line in output.splitlines() if line.strip().startswith("+"))
        assert "description: web-1" in added and issuer_of(ca).splitlines()[1] in added, output
    assert foreseen.changed() == run.changed()

    nothing = {"tbot_ekcert_trusted_sha256": ["ab" * 32], "tbot_ekcert_fetch": False}
    new_cluster.stored.unlink()
    fleet.token_file.unlink()
    refused = new_cluster.play("token", **nothing)
    assert refused.returncode != 0 and not new_cluster.stored.exists() and not fleet.token_file.exists(), refused.output


def test_variables_of_cas_that_are_empty_make_no_token_without_cas(new_cluster):
    for variables in ({"tbot_ekcert_trusted_roots": []}, {"tbot_ekcert_allowed_cas": []}):
        run = new_cluster.play("site", "--limit", "web-1", **variables)
        assert run.returncode != 0 and "`tbot_allow_without_cas: true`" in run.output, run.output
        assert not new_cluster.stored.exists() and not new_cluster.fleet.token_file.exists()
    for variables in ({"tbot_ekcert_trusted_roots": []}, {"tbot_ekcert_allowed_cas": []}):
        meant = new_cluster.site("--limit", "web-1", tbot_allow_without_cas=True, **variables)
        assert meant.returncode == 0, meant.output
    assert new_cluster.rules() == {"web-1"} and allowed_cas(new_cluster.token) == []


@pytest.mark.parametrize("variables, why", [
    ({"tbot_ekcert_ca_bundle": ["/etc/ssl"]}, "makes no CA trusted"),
    ({"tbot_ekcert_trusted_sha256": ["ab" * 32], "tbot_ekcert_allowed_cas": ["/etc/hostname"]}, "give either the one or some of"),
    ({"tbot_ekcert_trusted_roots": ["/nonexistent.pem"]}, "/nonexistent.pem"),
    ({"tbot_ekcert_trusted_sha256": ["ab"]}, "64 hexadecimal digits"),
])
def test_what_cannot_be_meant_is_refused_and_changes_nothing(cluster, variables, why):
    assert cluster.site().returncode == 0
    before = cluster.stored.read_text()
    run = cluster.site(**variables)
    assert run.returncode != 0
    assert why in run.output.replace("\n", " "), run.output
    assert cluster.stored.read_text() == before


def test_what_differs_between_hosts_is_refused(cluster):
    cluster.fleet.variables["web-1"] = {"tbot_ekcert_trusted_roots": ["/etc/hostname"]}
    run = cluster.site()
    assert "tbot_ekcert_trusted_roots differs between the hosts" in run.output, run.output


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A manufacturer's web server."""
    folder = tmp_path_factory.mktemp("pki")
    with WebServer(folder) as server:
        yield folder, server


@pytest.fixture(scope="module")
def linked(software_tpms: SoftwareTpms, ca: Path, pki) -> dict[str, SoftwareTpm]:
    """Two TPMs whose EK certificates link to their issuer's there."""
    folder, server = pki
    link = f"{server.url}/issuer.crt"
    started = {name: software_tpms.start(name, ca=ca, link=link) for name in ("linked-1", "linked-2")}
    certificate = x509.load_pem_x509_certificate(issuer_of(ca).encode())
    (folder / "issuer.crt").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    return started


def test_links_are_followed_once_and_never_again(linked, pki, ca, tmp_path, stand_ins, ansible):
    folder, server = pki
    cluster = Cluster(tmp_path / "cluster", Fleet(tmp_path / "fleet", linked, ansible), stand_ins / "tctl")
    roots = {"tbot_ekcert_trusted_roots": [str(ca / ROOT)], "tbot_bot_roles": ["access"]}
    # A link to this machine may be an attempt to reach what only this machine reaches.
    refused = cluster.play("site", **roots)
    assert refused.returncode != 0 and "loopback" in refused.output, refused.output
    assert server.requests == [] and not cluster.stored.exists()

    named = roots | {"tbot_ekcert_allowed_urls": [server.address]}
    run = cluster.play("site", **named)
    assert run.returncode == 0, run.output
    assert server.requests == ["/issuer.crt"]
    assert allowed_cas(cluster.token) == [issuer_of(ca).strip()]
    # The token tells from now on, and a server that is gone is no reason to lose a host.
    (folder / "issuer.crt").rename(folder / "gone")
    again = cluster.play("site", **named)
    assert again.returncode == 0 and not any(again.changed().values()), again.output
    verified = cluster.play("verify", **named)
    assert verified.returncode == 0, verified.output
    cluster.store(cluster.token | {"spec": cluster.token["spec"] | {"tpm": cluster.token["spec"]["tpm"] | {"ekcert_allowed_cas": []}}})
    differs = cluster.play("verify", tbot_ekcert_ca_bundle=[issuer_of(ca)], **named)
    assert "the token differs" in differs.output.split("TASK [Report]")[-1], differs.output
    assert server.requests == ["/issuer.crt"]
    (folder / "gone").rename(folder / "issuer.crt")


def test_a_dead_link_is_told_with_its_reason(linked, pki, ca, tmp_path, stand_ins, ansible):
    folder, server = pki
    cluster = Cluster(tmp_path / "cluster", Fleet(tmp_path / "fleet", linked, ansible), stand_ins / "tctl")
    (folder / "issuer.crt").rename(folder / "gone")
    run = cluster.play("site", tbot_ekcert_trusted_roots=[str(ca / ROOT)], tbot_ekcert_allowed_urls=[server.address])
    (folder / "gone").rename(folder / "issuer.crt")
    assert run.returncode != 0
    assert "/issuer.crt: the answer has status 404" in run.output, run.output
    assert not cluster.stored.exists()
