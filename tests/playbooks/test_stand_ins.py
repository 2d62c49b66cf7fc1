"""The stand-ins for tbot, tctl and the cluster, held against tbot_tpm: what one of them says of a TPM, the other does too."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ansible_runs
import pytest
import yaml
from fleet import ask_binary, ek_cert_serial, ek_public_hash

TIMEOUT = 60.0  # seconds: software TPMs make RSA keys meanwhile


class Cluster:
    """A folder with a bot in it, and the stand-in for a proxy over it."""

    def __init__(self, folder: Path, stand_ins: Path) -> None:
        self.folder = folder
        self.stand_ins = stand_ins
        self.environment = os.environ | {"STAND_IN_CLUSTER": str(folder)}
        folder.mkdir()
        self.create({"kind": "bot", "version": "v1", "metadata": {"name": "web"}, "spec": {"roles": ["access"]}})

    def tctl(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [self.stand_ins / "tctl", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT)

    def create(self, resource: dict) -> None:
        file = self.folder / "resource.yaml"
        file.write_text(yaml.safe_dump(resource))
        done = self.tctl("create", "-f", str(file))
        assert done.returncode == 0, done.stderr

    def joins(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "joins").read_text().splitlines()]

    @contextmanager
    def proxy(self, *flags: str) -> Iterator[str]:
        command = [self.stand_ins / "tctl", "stand-in-proxy", "--listen", "127.0.0.1:0", "--server-version", "18.2.3", *flags]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path, stand_ins: Path) -> Cluster:
    return Cluster(tmp_path / "cluster", stand_ins)


def token_for(allow: dict, cas: list[Path] | None = None, expires: str | None = None) -> dict:
    metadata = {"name": "fleet"} | ({"expires": expires} if expires else {})
    tpm = {"allow": [allow]} | ({"ekcert_allowed_cas": [ca.read_text() for ca in cas]} if cas else {})
    spec = {"roles": ["Bot"], "join_method": "tpm", "bot_name": "web", "tpm": tpm}
    return {"kind": "token", "version": "v2", "metadata": metadata, "spec": spec}


def configuration(proxy: str, storage: Path, **more: object) -> dict:
    storage.mkdir(exist_ok=True)
    return {
        "version": "v2",
        "proxy_server": proxy,
        "onboarding": {"join_method": "tpm", "token": "fleet"},
        "storage": {"type": "directory", "path": str(storage)},
        "services": [{"type": "identity", "destination": {"type": "memory"}}],
    } | more


def start(stand_ins: Path, tpm, folder: Path, config: dict, *arguments: str) -> subprocess.Popen:
    (folder / "tbot.yaml").write_text(yaml.safe_dump(config))
    command = [stand_ins / "tbot", "start", "-c", folder / "tbot.yaml", *arguments]
    environment = os.environ | {"STAND_IN_TCTI": tpm.tcti}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_they_can_be_built_as_another_version_and_say_what_they_are(stand_ins, tmp_path):
    build = ansible_runs.PROJECT / "tests/go/build.sh"
    subprocess.run([build, "newer"], check=True, cwd=tmp_path, env=os.environ | {"STAND_IN_VERSION": "18.1.0"})
    versions = [
        subprocess.run([folder / program, "version"], capture_output=True, text=True, check=True).stdout
        for folder in (stand_ins, tmp_path / "newer")
        for program in ("tbot", "tctl")
    ]
    assert [re.sub(r"go1\S*", "go1", version) for version in versions] == [
        *["Teleport v17.5.1 git:stand-in go1\n"] * 2,
        *["Teleport v18.1.0 git:stand-in go1\n"] * 2,
    ]


def identify(stand_ins: Path, tpm) -> tuple[str, str | None]:
    """The hash and serial that the stand-in prints."""
    environment = os.environ | {"STAND_IN_TCTI": tpm.tcti}
    command = [stand_ins / "tbot", "tpm", "identify"]
    text = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    shown = dict(re.findall(r"^(EK .*): (.*)$", text, re.MULTILINE))
    serial = shown.get("EK Certificate Serial")
    assert shown["EK Certificate Detected"] == json.dumps(serial is not None)
    return shown["EK Public Hash"], serial


def identify_by_ours(tpm) -> tuple[str, str | None]:
    ours = ask_binary({"action": "identify", "tcti": tpm.tcti})
    return ours["ek_public_hash"], ours["ek_cert_serial"]


@pytest.mark.parametrize("host", ["web-1", "db-1"])
def test_tbot_reads_the_same_identity_of_a_tpm_with_and_without_a_certificate(stand_ins, tpms, tmp_path, host):
    read = identify(stand_ins, tpms[host])
    assert read == identify_by_ours(tpms[host])
    assert read == (ek_public_hash(tpms[host], tmp_path), ek_cert_serial(tpms[host]))
    assert (read[1] is not None) == (host == "web-1")


def test_tbot_reads_the_same_of_whatever_an_index_holds(stand_ins, software_tpms, tpms, ca, tmp_path):
    tpm = software_tpms.start("of-any-content")

    def write(index: str, content: bytes, attributes: str) -> None:
        def tool(*command: str) -> str:
            done = subprocess.run([command[0], "-T", tpm.tcti, *command[1:]], check=True, capture_output=True, text=True)
            return done.stdout

        (tmp_path / "content").write_bytes(content)
        if index in tool("tpm2_getcap", "handles-nv-index"):
            tool("tpm2_nvundefine", "-C", "p", index)
        tool("tpm2_nvdefine", "-C", "p", "-s", str(len(content)), "-a", attributes, index)
        tool("tpm2_nvwrite", "-C", "p", "-i", str(tmp_path / "content"), index)

    plain = identify(stand_ins, tpm)
    readable = "ppwrite|ppread|ownerread|authread|platformcreate|no_da"
    der = ssl.PEM_cert_to_DER_cert((ca / "issuercert.pem").read_text())
    header = b"\x10\x01\x00" + len(der).to_bytes(2, "big")
    # The serial's length in more bytes than needed, which Go refuses; the two lengths around it grow by that byte.
    at = der.index(b"\xa0\x03\x02\x01\x02\x02") + 6
    odd = bytearray(der[:at] + b"\x81" + der[at:])
    for length in (2, 6):
        odd[length:length + 2] = (int.from_bytes(odd[length:length + 2], "big") + 1).to_bytes(2, "big")
    for content, is_certificate in [
        (der, True),
        (der + b"\xff" * 40, True),
        (header + der, True),
        (header + der + b"\x00" * 5, True),
        (b"\x10\x01\x00\xff\xff" + der, False),
        (der[:-1], False),
        (bytes(odd), False),
        (b"\xff" * 900, False),
    ]:
        write("0x1C00002", content, readable)
        read = identify(stand_ins, tpm)
        assert read == identify_by_ours(tpm), content
        assert (read != plain) == (read[1] is not None) == is_certificate, content
    write("0x1C00002", der, readable.replace("|authread", ""))
    assert identify(stand_ins, tpm) == identify_by_ours(tpm) == plain
    for nonce in (b"\x5a", b"\x5a" * 64, b"\x5a" * 300):
        write("0x1C00003", nonce, readable)
        read = identify(stand_ins, tpm)
        assert read == identify_by_ours(tpm) != plain, nonce


def case(name: str, tpms: dict, ca: Path) -> tuple[str, dict]:
    """A host and a token."""
    hashes = {host: ask_binary({"action": "identify", "tcti": tpms[host].tcti})["ek_public_hash"] for host in ("web-1", "db-1")}
    issuer, root = ca / "issuercert.pem", ca / "swtpm-localca-rootca-cert.pem"
    web = {"ek_public_hash": hashes["web-1"]}
    return {
        "right hash": ("web-1", token_for(web)),
        "right hash, no certificate": ("db-1", token_for({"ek_public_hash": hashes["db-1"]})),
        "wrong hash": ("db-1", token_for(web)),
        "not yet expired": ("web-1", token_for(web, expires="2099-01-01T00:00:00Z")),
        "expired": ("web-1", token_for(web, expires="2020-01-01T00:00:00Z")),
        "the CA that issued": ("web-1", token_for(web, [issuer])),
        "the root CA only": ("web-1", token_for(web, [root])),
        "no certificate, but CAs": ("db-1", token_for({"ek_public_hash": hashes["db-1"]}, [issuer])),
        "serial": ("web-1", token_for({"ek_certificate_serial": ek_cert_serial(tpms["web-1"])}, [issuer])),
        "wrong serial": ("web-1", token_for(web | {"ek_certificate_serial": "0f:0f:0f"})),
    }[name]


@pytest.mark.parametrize(("name", "accepted"), [
    ("right hash", True),
    ("right hash, no certificate", True),
    ("wrong hash", False),
    ("not yet expired", True),
    ("expired", False),
    ("the CA that issued", True),
    ("the root CA only", False),
    ("no certificate, but CAs", False),
    ("serial", True),
    ("wrong serial", False),
])
def test_a_join_ends_as_preflight_foresees(cluster, tpms, ca, tmp_path, name, accepted):
    host, token = case(name, tpms, ca)
    cluster.create(token)
    identity = ask_binary({"action": "identify", "tcti": tpms[host].tcti})
    listed = cluster.tctl("get", "token/fleet", "--format=json").stdout
    hosts = [{"description": host} | {key: value for key, value in identity.items() if key.startswith("ek_") and value is not None}]
    foreseen = ask_binary({"action": "preflight", "token": listed, "hosts": hosts})
    assert (foreseen["accepted"], foreseen["refused"]) == (int(accepted), int(not accepted)), foreseen

    with cluster.proxy() as proxy:
        tbot = start(cluster.stand_ins, tpms[host], tmp_path, configuration(proxy, tmp_path / "storage", oneshot=True))
        said = tbot.communicate(timeout=TIMEOUT)[1]
    assert tbot.returncode == (0 if accepted else 1), said
    joins = cluster.joins()
    assert [(join["accepted"], join["ek_public_hash"]) for join in joins] == [(accepted, identity["ek_public_hash"])], joins
    assert joins[0]["reason"] in said
    assert (tmp_path / "storage/identity").exists() == accepted


def test_a_token_of_a_bot_that_is_not_there_lets_nobody_in(cluster, tpms, ca, tmp_path):
    cluster.create(case("right hash", tpms, ca)[1])
    assert cluster.tctl("rm", "bot/web").returncode == 0
    with cluster.proxy() as proxy:
        tbot = start(cluster.stand_ins, tpms["web-1"], tmp_path, configuration(proxy, tmp_path / "storage"))
        said = tbot.communicate(timeout=TIMEOUT)[1]
    assert (tbot.returncode, 'user "bot-web" not found' in said) == (1, True), said


def test_the_proxy_tells_the_clusters_version_unless_it_is_down(cluster):
    with cluster.proxy() as proxy:
        with urllib.request.urlopen(f"http://{proxy}/v1/webapi/find") as answer:
            assert json.load(answer)["server_version"] == "18.2.3"
        (cluster.folder / "down").write_text("ERROR: connection refused")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{proxy}/v1/webapi/find")
        assert (refused.value.code, json.load(refused.value)["reason"]) == (503, "ERROR: connection refused")


def curl(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)


def test_the_proxy_speaks_plain_http_and_tls_on_one_port_with_a_ca_of_its_own(cluster):
    ca = cluster.folder / "proxy-ca.pem"
    with cluster.proxy() as proxy:
        port = proxy.rpartition(":")[2]
        find = f"https://{proxy}/v1/webapi/find"
        for url in (f"http://{proxy}/v1/webapi/find", find, f"https://localhost:{port}/v1/webapi/find"):
            answer = curl("--cacert", ca, url)
            assert answer.returncode == 0, answer.stderr
            assert json.loads(answer.stdout)["server_version"] == "18.2.3"
        told = ask_binary({"action": "cluster", "proxy_server": proxy, "ca_file": str(ca)})
        assert (told["server_version"], told["cluster_name"]) == ("18.2.3", "stand-in")
        assert curl(find).returncode == 60  # its certificate is not trusted
        asked = [json.loads(line)["tls"] for line in (cluster.folder / "finds").read_text().splitlines()]
        assert asked == [False, True, True, True]
    old = ca.read_text()
    with cluster.proxy() as proxy:
        assert ca.read_text() != old
        assert curl("--cacert", ca, f"https://{proxy}/v1/webapi/find").returncode == 0


@pytest.mark.parametrize("certificate", ["private-ca", "intermediate", "self-signed"])
def test_clients_that_trust_the_file_take_each_certificate_that_proxies_have(cluster, certificate):
    with cluster.proxy("--certificate", certificate) as proxy:
        answer = curl("--cacert", cluster.folder / "proxy-ca.pem", f"https://{proxy}/v1/webapi/find")
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("certificate", ["private-ca", "intermediate", "self-signed"])
def test_tbot_tpm_asks_proxies_with_each_certificate_that_they_have(cluster, certificate):
    with cluster.proxy("--certificate", certificate) as proxy:
        told = ask_binary({"action": "cluster", "proxy_server": proxy, "ca_file": str(cluster.folder / "proxy-ca.pem")})
    assert not told.get("failed"), told
    assert (told["server_version"], told["edition"]) == ("18.2.3", "ent")
    assert told["auto_update"] == {
        "tools_version": None,
        "tools_auto_update": False,
        "agent_version": None,
        "agent_auto_update": False,
        "agent_update_jitter_seconds": 0,
    }


@pytest.mark.parametrize("text", ['{"server_version": "18.2.0", "auto_update": {"tools_version": "18.2.1"}}\n', "no JSON", ""])
def test_a_test_can_say_what_the_proxy_tells_of_its_cluster(cluster, text):
    with cluster.proxy() as proxy:
        (cluster.folder / "find").write_text(text)
        assert curl(f"http://{proxy}/v1/webapi/find").stdout == text
        (cluster.folder / "find").unlink()
        assert json.loads(curl(f"http://{proxy}/v1/webapi/find").stdout)["server_version"] == "18.2.3"
        (cluster.folder / "down").write_text("ERROR: connection refused")
        assert curl(f"http://{proxy}/v1/webapi/find").returncode == 22  # a status of 400 or more
    assert len((cluster.folder / "finds").read_text().splitlines()) == 3


def test_tctl_fails_as_the_role_expects_and_keeps_its_commands(cluster):
    missing = cluster.tctl("get", "token/none", "--format=json")
    assert (missing.returncode, missing.stderr) == (1, 'ERROR: provisioning token(***e) not found\n')
    assert json.loads(cluster.tctl("get", "tokens", "--format=json").stdout) == []
    assert json.loads(cluster.tctl("get", "bot/web", "--format=json").stdout)[0]["status"]["user_name"] == "bot-web"
    (cluster.folder / "down").write_text("ERROR: connection refused")
    down = cluster.tctl("rm", "bot/web")
    assert (down.returncode, down.stderr) == (1, "ERROR: connection refused\n")
    commands = (cluster.folder / "commands").read_text().splitlines()[1:]
    assert commands == ["get token/none --format=json", "get tokens --format=json", "get bot/web --format=json", "rm bot/web"]


def test_another_run_can_come_between_reading_and_creating(cluster, tpms, ca):
    _host, token = case("right hash", tpms, ca)
    hook = cluster.folder / "before-create"
    other = cluster.folder / "other.yaml"
    other.write_text(yaml.safe_dump(token | {"metadata": {"name": "of-another-run"}}))
    hook.write_text(f"#!/bin/sh\nexec {cluster.stand_ins}/tctl create {other}\n")
    hook.chmod(0o755)
    cluster.create(token)
    names = [token["metadata"]["name"] for token in json.loads(cluster.tctl("get", "tokens", "--format=json").stdout)]
    assert names == ["fleet", "of-another-run"]


@pytest.mark.parametrize(("command", "because"), [
    (["tpm2_changeauth", "-c", "endorsement", "secret"], "CreatePrimary failed: session 1, error code 0x22"),
    (["tpm2_changeauth", "-c", "owner", "secret"], "EvictControl failed: session 1, error code 0x22"),
    (["tpm2_nvdefine", "-C", "o", "-s", "5", "0x1C00002"], None),
])
def test_a_tpm_whose_passwords_keep_tbot_from_joining_keeps_the_stand_in_as_well(
    cluster, software_tpms, ca, tmp_path, command, because
):
    tpm = software_tpms.start(f"prepared-{command[2]}", ca=ca if because else None)
    cluster.create(token_for({"ek_public_hash": ask_binary({"action": "identify", "tcti": tpm.tcti})["ek_public_hash"]}))
    subprocess.run([command[0], "-T", tpm.tcti, *command[1:]], check=True, capture_output=True)
    with cluster.proxy() as proxy:
        tbot = start(cluster.stand_ins, tpm, tmp_path, configuration(proxy, tmp_path / "storage", oneshot=True))
        said = tbot.communicate(timeout=TIMEOUT)[1]
    assert tbot.returncode == (1 if because else 0), said
    assert (because or "joined") in said
    assert (cluster.folder / "joins").exists() == (because is None)
