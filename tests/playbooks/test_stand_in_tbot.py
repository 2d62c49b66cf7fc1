"""The stand-in for tbot as it runs: what it writes, when it ends, and what it tells of its services."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleet import ask_binary
from test_stand_ins import TIMEOUT, Cluster, configuration, curl, start, token_for


@pytest.fixture
def cluster(tmp_path: Path, stand_ins: Path, tpms: dict) -> Cluster:
    """A cluster that lets web-1 join."""
    made = Cluster(tmp_path / "cluster", stand_ins)
    made.create(token(tpms))
    return made


def token(tpms: dict) -> dict:
    return token_for({"ek_public_hash": ask_binary({"action": "identify", "tcti": tpms["web-1"].tcti})["ek_public_hash"]})


def output(path: Path, **more: object) -> dict:
    return {"type": "identity", "name": "web", "destination": {"type": "directory", "path": str(path)} | more}


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def ready(port: int, wanted: int, path: str = "/readyz") -> dict:
    """The answer of /readyz once its status is WANTED."""
    deadline = time.monotonic() + TIMEOUT
    status = None
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        except OSError:
            status = None
        if status == wanted:
            return json.loads(body)
        time.sleep(0.05)
    raise AssertionError(f"{path} is {status}")


@contextmanager
def running(cluster: Cluster, tpm, folder: Path, config: dict, *arguments: str) -> Iterator[subprocess.Popen]:
    """A tbot that has to end with status 0 where it is told to end."""
    tbot = start(cluster.stand_ins, tpm, folder, config, *arguments)
    try:
        yield tbot
        tbot.terminate()
        said = tbot.communicate(timeout=TIMEOUT)[1]
        assert tbot.returncode == 0, said
    finally:
        tbot.kill()
        tbot.wait()


def ended(cluster: Cluster, tpm, folder: Path, config: dict, *arguments: str) -> tuple[int, str]:
    """The status with which it ended by itself, and what it said."""
    tbot = start(cluster.stand_ins, tpm, folder, config, *arguments)
    said = tbot.communicate(timeout=TIMEOUT)[1]
    return tbot.returncode, said


def test_it_runs_until_it_is_told_to_end_and_renews_when_asked(cluster, tpms, tmp_path, port):
    pid_file, updater = tmp_path / "tbot.pid", tmp_path / "updater.sock"
    arguments = (f"--pid-file={pid_file}", f"--diag-socket-for-updater={updater}")
    with cluster.proxy() as proxy:
        config = configuration(proxy, tmp_path / "storage", diag_addr=f"127.0.0.1:{port}")
        with running(cluster, tpms["web-1"], tmp_path, config, *arguments) as tbot:
            seen = ready(port, 200)
            assert set(seen["services"]) == {"identity", "heartbeat", "ca-rotation", "unnamed.0.identity"}
            assert seen["pid"] == tbot.pid == int(pid_file.read_text())
            assert seen["services"]["identity"]["status"] == "healthy"
            joined = tmp_path / "storage/identity"
            assert joined.stat().st_mode & 0o777 == 0o600
            assert json.loads(joined.read_text())["proxy"] == proxy
            assert json.loads(curl("--unix-socket", updater, "http://tbot/readyz").stdout)["pid"] == tbot.pid

            cluster.tctl("rm", "token/fleet")
            tbot.send_signal(signal.SIGHUP)
            assert "not found" in ready(port, 503)["services"]["identity"]["reason"]
            assert ready(port, 503, "/wait/identity")["status"] == "unhealthy"
            assert ready(port, 200, "/livez")
            assert ready(port, 200, "/readyz/heartbeat")["status"] == "healthy"
            assert "error" in ready(port, 404, "/readyz/no-such-service")
            cluster.create(token(tpms))
            tbot.send_signal(signal.SIGUSR1)
            ready(port, 200)
    assert [join["accepted"] for join in cluster.joins()] == [True, False, True]


def test_an_output_that_it_cannot_write_is_unhealthy_until_it_can(cluster, tpms, tmp_path, port):
    path = tmp_path / "output"
    path.write_text("no directory")
    with cluster.proxy() as proxy:
        config = configuration(proxy, tmp_path / "storage", diag_addr=f"127.0.0.1:{port}", services=[output(path)])
        with running(cluster, tpms["web-1"], tmp_path, config) as tbot:
            services = ready(port, 503, "/wait")["services"]
            assert {name: service["status"] for name, service in services.items()} == {
                "identity": "healthy", "heartbeat": "healthy", "ca-rotation": "healthy", "web": "unhealthy",
            }
            assert f"making {path}" in services["web"]["reason"]
            path.unlink()
            tbot.send_signal(signal.SIGHUP)
            ready(port, 200)
        assert path.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}
        assert "stand-in" in (path / "tlscert").read_text()

        path.rename(tmp_path / "moved")
        path.symlink_to("moved")
        returncode, said = ended(cluster, tpms["web-1"], tmp_path, config | {"oneshot": True})
    assert (returncode, "service web" in said, "symbolic link" in said) == (1, True, True), said


def test_readers_get_access_lists(cluster, tpms, tmp_path):
    path = tmp_path / "output"
    with cluster.proxy() as proxy:
        services = [output(path, acls="required", readers=[{"user": "nobody"}])]
        config = configuration(proxy, tmp_path / "storage", oneshot=True, services=services)
        returncode, said = ended(cluster, tpms["web-1"], tmp_path, config)
    assert returncode == 0, said
    assert path.stat().st_mode & 0o777 == 0o750  # whose middle is the list's mask
    assert "system.posix_acl_access" in os.listxattr(path / "identity")


def test_what_it_cannot_write_for_itself_ends_it(cluster, tpms, tmp_path):
    with cluster.proxy() as proxy:
        config = configuration(proxy, tmp_path / "storage", oneshot=True)
        pid_file = "--pid-file=/no/such/directory/tbot.pid"
        returncode, said = ended(cluster, tpms["web-1"], tmp_path, config, pid_file)
        assert (returncode, "writing the pid file" in said) == (1, True), said
        assert not (cluster.folder / "joins").exists()

        (tmp_path / "file").touch()
        config["storage"]["path"] = str(tmp_path / "file/storage")
        returncode, said = ended(cluster, tpms["web-1"], tmp_path, config)
        assert (returncode, "writing to storage" in said) == (1, True), said


@pytest.mark.parametrize(("more", "because"), [
    ({"services": [{"type": "indentity"}]}, 'unknown service type "indentity"'),
    ({"join_uri": "tbot+proxy+tpm://fleet@localhost:443"}, "join_uri excludes"),
    ({"credential_ttl": "1 hour"}, "cannot unmarshal"),
])
def test_a_configuration_that_tbot_refuses_ends_it(cluster, tpms, tmp_path, more, because):
    config = configuration("127.0.0.1:1", tmp_path / "storage", **more)
    returncode, said = ended(cluster, tpms["web-1"], tmp_path, config)
    assert (returncode, because in said) == (1, True), said


def test_certificates_without_a_scope_end_a_scoped_bot(cluster, tpms, tmp_path):
    with cluster.proxy() as proxy:
        config = configuration(proxy, tmp_path / "storage", scoped=True)
        returncode, said = ended(cluster, tpms["web-1"], tmp_path, config)
    assert (returncode, "scoped" in said) == (1, True), said


def test_a_join_uri_is_enough(cluster, tpms, tmp_path):
    with cluster.proxy() as proxy:
        config = configuration(proxy, tmp_path / "storage", oneshot=True, join_uri=f"tbot+proxy+tpm://fleet@{proxy}")
        for replaced in ("proxy_server", "onboarding"):
            del config[replaced]
        returncode, said = ended(cluster, tpms["web-1"], tmp_path, config)
    assert returncode == 0, said
    assert [join["token"] for join in cluster.joins()] == ["fleet"]
