"""Signed apt repositories with packages that bring a stand-in for tbot, for the tests."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path


def program(version: str) -> str:
    """A stand-in for tbot that does no more than to say its version."""
    return f"#!/bin/sh\n[ \"$1\" = version ] && echo 'Teleport v{version} git:v{version}-0-gabcdef0 go1.23.4'\n"


class SigningKey:
    """A key that signs repositories, in a GnuPG home below FOLDER."""

    def __init__(self, folder: Path, name: str) -> None:
        self.home = folder / name
        self.home.mkdir(mode=0o700, parents=True)
        self._gpg("--quick-generate-key", f"{name} <{name}@example.com>", "ed25519", "sign", "never")
        self.public = self._gpg("--armor", "--export").decode()

    def sign(self, source: Path, signed: Path) -> None:
        signed.unlink(missing_ok=True)
        self._gpg("--output", str(signed), "--clear-sign", str(source))

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*command, *arguments], stdout=subprocess.PIPE, check=True).stdout


def build(
    root: Path,
    suites: list[str],
    channels: dict[str, list[str]],
    key: SigningKey,
    program_of: Callable[[str], bytes] = lambda version: program(version).encode(),
) -> None:
    """Makes the repository ROOT, with the package teleport in the versions of each channel (the component, for apt), the same
    for each suite. PROGRAM_OF tells what tbot is in a version."""
    architecture = _output("dpkg", "--print-architecture")
    entries = {
        channel: "".join(_entry(root, _package(root, version, program_of)) for version in versions)
        for channel, versions in channels.items()
    }
    for suite in suites:
        release = root / "dists" / suite
        for channel, text in entries.items():
            index = release / channel / f"binary-{architecture}" / "Packages"
            index.parent.mkdir(parents=True)
            index.write_text(text)
        sums = "".join(
            f" {_sha256(path)} {path.stat().st_size} {path.relative_to(release)}\n" for path in release.glob("**/Packages")
        )
        text = f"Suite: {suite}\nCodename: {suite}\nComponents: {' '.join(channels)}\nArchitectures: {architecture}\n"
        date = _output("date", "--utc", "--rfc-email").replace("+0000", "UTC")
        (release / "Release").write_text(f"{text}Date: {date}\nSHA256:\n{sums}")
        key.sign(release / "Release", release / "InRelease")
        (release / "Release").unlink()


def _package(root: Path, version: str, program_of: Callable[[str], bytes]) -> Path:
    package = root / "pool" / f"teleport_{version}_all.deb"
    package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tbot, control = Path(folder, "usr/local/bin/tbot"), Path(folder, "DEBIAN/control")
        tbot.parent.mkdir(parents=True)
        tbot.write_bytes(program_of(version))
        tbot.chmod(0o755)
        control.parent.mkdir()
        control.write_text(
            f"Package: teleport\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.com>\n"
            "Description: stand-in for the package that brings tbot\n"
        )
        Path(folder).chmod(0o755)
        _output("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", folder, str(package))
    return package


def _entry(root: Path, package: Path) -> str:
    fields = _output("dpkg-deb", "--field", str(package))
    return (
        f"{fields}\nFilename: {package.relative_to(root)}\nSize: {package.stat().st_size}\nSHA256: {_sha256(package)}\n\n"
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
