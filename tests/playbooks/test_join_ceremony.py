"""The join ceremony between the stand-in tbot, its TPM and the stand-in cluster: only a host that proves its EK joins. And the
program that asks go-attestation about TPMs."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleet import ask_binary, ek_cert_serial, ek_public_hash
from test_stand_ins import TIMEOUT, Cluster, configuration, start, token_for

READABLE = "ppwrite|ppread|ownerread|authread|platformcreate|no_da"


@pytest.fixture
def cluster(tmp_path: Path, stand_ins: Path) -> Cluster:
    return Cluster(tmp_path / "cluster", stand_ins)


def tool(tpm, *command: str) -> str:
    done = subprocess.run([command[0], "-T", tpm.tcti, *command[1:]], check=True, capture_output=True, text=True)
    return done.stdout


def write_nv(tpm, index: str, content: bytes, folder: Path) -> None:
    (folder / "content").write_bytes(content)
    tool(tpm, "tpm2_nvdefine", "-C", "p", "-s", str(len(content)), "-a", READABLE, index)
    tool(tpm, "tpm2_nvwrite", "-C", "p", "-i", str(folder / "content"), index)


def hash_of(tpm) -> str:
    return ask_binary({"action": "identify", "tcti": tpm.tcti})["ek_public_hash"]


def join(cluster: Cluster, tpm, folder: Path, proxy: str) -> tuple[int, str]:
    """The status of a tbot that tries one join, and what it said."""
    tbot = start(cluster.stand_ins, tpm, folder, configuration(proxy, folder / "storage", oneshot=True))
    said = tbot.communicate(timeout=TIMEOUT)[1]
    return tbot.returncode, said


@contextmanager
def relay(proxy: str, change: Callable[[str, dict], None] = lambda path, message: None) -> Iterator[tuple[str, list]]:
    """Stands between a tbot and PROXY, and changes each message to a path. Gives its address, and the messages that passed."""
    passed: list[tuple[str, dict]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            change(self.path, message)
            passed.append((self.path, message))
            status, body = post(proxy, self.path, message)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", passed
        server.shutdown()


def post(proxy: str, path: str, message: dict) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://{proxy}{path}", json.dumps(message).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def prepare(name: str, tpm, tpms: dict, folder: Path) -> str:
    """Makes a TPM one that cannot do the ceremony, and gives the words in which go-attestation fails."""
    if name == "endorsement password":
        tool(tpm, "tpm2_changeauth", "-c", "endorsement", "secret")
        return "EK CreatePrimary failed: session 1, error code 0x22"
    if name == "owner password and nothing kept":
        tool(tpm, "tpm2_changeauth", "-c", "owner", "secret")
        return "EvictControl failed: session 1, error code 0x22"
    if name == "certificate for another RSA key":
        write_nv(tpm, "0x1C00002", ek_certificate(tpms["web-1"]), folder)
        return "activating the credential"
    assert name == "another key where the EK is kept"
    context = str(folder / "primary")
    tool(tpm, "tpm2_createprimary", "-C", "e", "-G", "rsa2048", "-c", context)
    tool(tpm, "tpm2_evictcontrol", "-C", "o", "-c", context, "0x81010001")
    tool(tpm, "tpm2_flushcontext", "-t")
    return "activating the credential"


def ek_certificate(tpm) -> bytes:
    pem = ask_binary({"action": "identify", "tcti": tpm.tcti})["ek_cert_pem"]
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


@pytest.mark.parametrize("name", [
    "endorsement password", "owner password and nothing kept", "certificate for another RSA key", "another key where the EK is kept",
])
def test_a_host_that_cannot_do_the_ceremony_does_not_join(cluster, software_tpms, tpms, tmp_path, name):
    tpm = software_tpms.start(name.replace(" ", "-"))
    known = {hash_of(tpm), hash_of(tpms["web-1"])}
    token = token_for({})
    token["spec"]["tpm"]["allow"] = [{"ek_public_hash": each} for each in sorted(known)]
    cluster.create(token)
    words = prepare(name, tpm, tpms, tmp_path)
    with cluster.proxy() as proxy:
        status, said = join(cluster, tpm, tmp_path, proxy)
    assert (status, words in said) == (1, True), said
    assert not (cluster.folder / "joins").exists()
    assert not (tmp_path / "storage/identity").exists()


def test_a_host_that_joined_keeps_its_keys_and_joins_again_in_spite_of_an_owner_password(cluster, software_tpms, tmp_path):
    tpm = software_tpms.start("joins-again")
    cluster.create(token_for({"ek_public_hash": hash_of(tpm)}))
    assert tool(tpm, "tpm2_getcap", "handles-persistent").split() == []
    with cluster.proxy() as proxy:
        assert join(cluster, tpm, tmp_path, proxy)[0] == 0
        assert tool(tpm, "tpm2_getcap", "handles-persistent").split() == ["-", "0x81000001", "-", "0x81010001"]
        assert tool(tpm, "tpm2_getcap", "handles-transient") == tool(tpm, "tpm2_getcap", "handles-loaded-session") == ""
        tool(tpm, "tpm2_changeauth", "-c", "owner", "secret")
        status, said = join(cluster, tpm, tmp_path, proxy)
    assert status == 0, said
    assert [entry["accepted"] for entry in cluster.joins()] == [True, True]


def test_the_cluster_refuses_a_wrong_solution_and_takes_none_twice(cluster, software_tpms, tmp_path):
    tpm = software_tpms.start("wrong-solution")
    cluster.create(token_for({"ek_public_hash": hash_of(tpm)}))

    def tamper(path: str, message: dict) -> None:
        if "secret" in message:
            secret = bytearray(base64.b64decode(message["secret"]))
            secret[0] ^= 1
            message["secret"] = base64.b64encode(secret).decode()

    with cluster.proxy() as proxy:
        with relay(proxy, tamper) as (address, passed):
            status, said = join(cluster, tpm, tmp_path, address)
            assert (status, "invalid credential activation solution" in said) == (1, True), said
            assert len(passed) == 2
        with relay(proxy) as (address, passed):
            status, said = join(cluster, tpm, tmp_path, address)
            assert status == 0, said
        path, solution = passed[-1]
        assert (path.startswith("/stand-in/join/"), list(solution)) == (True, ["secret"])
        status, body = post(proxy, path, solution)
        assert (status, json.loads(body)) == (404, {"reason": "unknown or expired session"})
    assert [(entry["accepted"], entry["reason"]) for entry in cluster.joins()] == [
        (False, "invalid credential activation solution"), (True, ""),
    ]


@pytest.mark.parametrize("owner", ["web-1", "build-1"])
def test_a_host_that_claims_anothers_ek_does_not_join(cluster, software_tpms, tpms, tmp_path, owner):
    tpm = software_tpms.start(f"claims-the-ek-of-{owner}")
    cluster.create(token_for({"ek_public_hash": hash_of(tpms[owner])}))
    certificate = base64.b64encode(ek_certificate(tpms[owner])).decode()

    def claim(path: str, message: dict) -> None:
        if "ak" in message:
            del message["ek_key"]
            message["ek_certificate"] = certificate

    with cluster.proxy() as proxy, relay(proxy, claim) as (address, passed):
        status, said = join(cluster, tpm, tmp_path, address)
        assert (status, "activating the credential" in said) == (1, True), said
        [(path, request)] = passed
        # A guess fails too.
        session = json.loads(post(proxy, path, request)[1])["session"]
        status, body = post(proxy, f"{path}/{session}", {"secret": base64.b64encode(bytes(32)).decode()})
        assert (status, json.loads(body)["reason"]) == (403, "invalid credential activation solution")
        # The cluster computes the hash, and refuses to be told one.
        assert post(proxy, path, request | {"ek_public_hash": hash_of(tpm)})[0] == 400
    assert [(entry["accepted"], entry["ek_public_hash"]) for entry in cluster.joins()] == [(False, hash_of(tpms[owner]))]


def ask_attest(stand_ins: Path, *lines: str) -> list[dict]:
    done = subprocess.run(
        [stand_ins / "attest"], input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_attest_tells_what_go_attestation_reads(stand_ins, software_tpms, tpms, tmp_path):
    with_nonce, plain = (software_tpms.start(f"attest-{name}") for name in ("nonce", "plain"))
    write_nv(with_nonce, "0x1C00003", b"\x5a" * 64, tmp_path)
    web = tpms["web-1"]
    # The nonce of one is not that of the next.
    certified, nonce, next_one = ask_attest(stand_ins, *(f"identify {tpm.tcti}" for tpm in (web, with_nonce, plain)))
    assert certified == {
        "hash": ek_public_hash(web, tmp_path),
        "serial": ek_cert_serial(web),
        "certificate": base64.b64encode(ek_certificate(web)).decode(),
    }
    assert nonce == {"hash": hash_of(with_nonce), "serial": None, "certificate": None}
    assert next_one == {"hash": hash_of(plain), "serial": None, "certificate": None}
    assert ask_attest(stand_ins, *(f"join {tpm.tcti}" for tpm in (web, with_nonce, plain))) == [{"joined": True}] * 3


def test_attest_answers_each_line_whatever_fails(stand_ins, software_tpms):
    tpm = software_tpms.start("attest-password")
    tool(tpm, "tpm2_changeauth", "-c", "endorsement", "secret")
    answers = ask_attest(
        stand_ins, f"identify {tpm.tcti}", f"join {tpm.tcti}", "join swtpm:port=1", "identify tabrmd", "guess swtpm:port=1"
    )
    assert ["EK CreatePrimary failed" in answer["error"] for answer in answers] == [True, True, False, False, False]
    assert [answer.get("step") for answer in answers] == [None, "eks", "open", None, None]


def test_attest_answers_at_once(stand_ins, tpms):
    question = f"identify {tpms['db-1'].tcti}\n"
    with subprocess.Popen(
        [stand_ins / "attest"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    ) as attest:
        for _time in range(2):
            attest.stdin.write(question)
            attest.stdin.flush()
            assert json.loads(attest.stdout.readline())["hash"] == hash_of(tpms["db-1"])
