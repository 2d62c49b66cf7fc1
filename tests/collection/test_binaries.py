"""The binaries in the tarball: they need nothing of a host, and do on every architecture what they do here."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import needs
import pytest
import shipped
from ansible_runs import PROJECT
from fleet import ek_public_hash
from installed import unpack

MIB = 1024 * 1024
OWN = platform.machine()
# As readelf calls them.
MACHINES = {"x86_64": "X86-64", "aarch64": "AArch64"}


@pytest.fixture(scope="module")
def binaries(tarball, tmp_path_factory) -> dict[str, Path]:
    """By architecture."""
    folder = tmp_path_factory.mktemp("unpacked")
    unpack(tarball, folder)
    return {arch: folder / "plugins/binaries" / f"tbot_tpm_{arch}" for arch in shipped.TARGETS}


def answer(command: list[str | Path], request: dict) -> dict:
    done = subprocess.run(command, input=json.dumps(request).encode(), stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def emulated(arch: str, binary: Path) -> list[str | Path]:
    """The command by which this machine runs it."""
    emulator = shutil.which(f"qemu-{arch}")
    assert emulator, f"qemu-{arch} is missing; scripts/setup.sh installs it"
    return [binary] if arch == OWN else [emulator, binary]


def test_tarball_and_binaries_are_small(tarball, binaries):
    assert tarball.stat().st_size <= 6 * MIB
    assert all(binary.stat().st_size <= 5 * MIB for binary in binaries.values())


@pytest.mark.parametrize("arch", shipped.TARGETS)
def test_a_binary_needs_no_library_and_no_loader(arch, binaries):
    headers = subprocess.check_output(["readelf", "--wide", "--file-header", "--segments", "--dynamic", binaries[arch]], text=True)
    assert MACHINES[arch] in headers
    assert "INTERP" not in headers and "NEEDED" not in headers, headers
    # Its addresses are random.
    assert "Position-Independent Executable" in headers
    told = subprocess.run(["ldd", binaries[arch]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    assert "statically linked" in told or "not a dynamic executable" in told


@pytest.mark.parametrize("arch", shipped.TARGETS)
def test_a_binary_names_no_path_of_the_machine_that_built_it(arch, binaries):
    content = binaries[arch].read_bytes()
    assert b"/crates/" in content
    for path in (str(PROJECT), str(Path.home() / ".cargo"), ".rustup", "rustlib/src", "registry/src"):
        assert path.encode() not in content, path


@pytest.mark.parametrize("arch", shipped.TARGETS)
@pytest.mark.parametrize("host", ["web-1", "db-1"])
def test_every_architecture_reads_the_same_identity(arch, host, binaries, tpms, tmp_path):
    found = answer(emulated(arch, binaries[arch]), {"action": "identify", "tcti": tpms[host].tcti})
    assert found["ek_public_hash"] == ek_public_hash(tpms[host], tmp_path)
    assert found == answer([binaries[OWN]], {"action": "identify", "tcti": tpms[host].tcti})


@pytest.mark.parametrize("arch", shipped.TARGETS)
def test_every_architecture_writes_the_same_token(arch, binaries):
    hosts = [{"description": f"host-{n}", "ek_public_hash": hashlib.sha256(bytes([n])).hexdigest()} for n in range(50)]
    request = {"action": "token", "name": "fleet", "bot_name": "bot", "hosts": hosts, "shards": 2}
    made = answer(emulated(arch, binaries[arch]), request)
    assert made["content"].count("ek_public_hash") == len(hosts)
    assert made == answer([binaries[OWN]], request)


# Of passwd, group and nsswitch.conf copies are changed, in a view of what is mounted that ends with the script.
OTHER_ACCOUNTS = """
set -eu
cd "$1"
sed 's/^\\(passwd\\|group\\):.*/\\1: files extrausers/' /etc/nsswitch.conf >nsswitch.conf
mount --bind nsswitch.conf /etc/nsswitch.conf
mount -t tmpfs none /var/lib/extrausers
echo 'directory-bot:x:74001:74002::/nonexistent:/usr/sbin/nologin' >/var/lib/extrausers/passwd
printf '%s\\n' directory-bots:x:74002: directory-tpm:x:74003:daemon >/var/lib/extrausers/group
chmod 644 /var/lib/extrausers/*
shift
exec "$@"
"""


def asked_with_other_accounts(folder: Path, binary: Path, request: dict) -> dict:
    """The answer where a name service has accounts that no file has."""
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OTHER_ACCOUNTS, "sh", folder, binary]
    return answer(words, request)


def test_users_and_groups_of_a_name_service_are_found(binaries, tpms):
    if os.geteuid() != 0:
        needs.root_missing("what is mounted only root can change")
    # Root's on the whole way, as the directory of a bot's credentials has to be.
    folder = Path(subprocess.check_output(["mktemp", "--directory", "/run/tbot-tpm-test.XXXXXX"], text=True).strip())
    try:
        storage = {"action": "storage", "path": str(folder / "bot"), "owner": "directory-bot", "group": "directory-bots"}
        made = asked_with_other_accounts(folder, binaries[OWN], storage)
        assert (made["owner"], made["group"]) == ("directory-bot", "directory-bots"), made
        found = (folder / "bot").stat()
        assert (found.st_uid, found.st_gid) == (74001, 74002)
        assert asked_with_other_accounts(folder, binaries[OWN], storage)["changed"] is False

        access = {"action": "access", "user": "daemon", "group": "daemon", "tcti": tpms["web-1"].tcti}
        more = {"supplementary_groups": ["directory-tpm"], "create": False}
        there = asked_with_other_accounts(folder, binaries[OWN], access | more)
        assert (there["changed"], there["verified"]) == (False, True), there
        assert "directory-tpm" in there["groups"]

        # Without that name service they are unknown, and their numbers stand for them.
        assert answer([binaries[OWN]], storage)["error"]["kind"] == "not_found"
        numbers = answer([binaries[OWN]], storage | {"owner": "74001", "group": "74002"})
        assert (numbers["changed"], numbers["owner"], numbers["group"]) == (False, "74001", "74002")
    finally:
        shutil.rmtree(folder)


def test_packing_the_same_files_gives_the_same_bytes(tarball, tmp_path):
    """Whatever the times of files, the modes that a umask leaves, and the order in which a folder lists them."""
    packed = []
    unpack(tarball, tmp_path / "unpacked")
    files = sorted(path for path in (tmp_path / "unpacked").rglob("*") if path.is_file())
    for number, umask in enumerate((0o022, 0o077)):
        folder = tmp_path / f"copy-{number}"
        for path in files[::-1] if number else files:
            copy = folder / path.relative_to(tmp_path / "unpacked")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(path.stat().st_mode & ~umask)
            os.utime(copy, (1_000_000_000 + number,) * 2)
        for made in ("MANIFEST.json", "FILES.json"):
            (folder / made).unlink()
        shutil.copy(PROJECT / "ansible/galaxy.yml", folder)
        done = subprocess.run(
            ["python", PROJECT / "scripts/pack.py", folder, tmp_path / f"copy-{number}"],
            env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        packed.append(Path(done.stdout.strip()).read_bytes())
    assert packed[0] == packed[1]
    assert len(packed[0]) > MIB
    # No time, no name, and no system: Pythons differ in what they say of the last.
    assert packed[0][:10] == bytes.fromhex("1f8b08000000000002ff")
