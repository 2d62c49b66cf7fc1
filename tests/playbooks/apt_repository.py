"""Signed apt repositories with packages that bring a stand-in for tbot, which only says its version."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path


def program(version: str) -> str:
    """A stand-in for tbot: these tests need no more of it than what `tbot version` prints."""
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


def build(root: Path, suite: str, channels: dict[str, list[str]], key: SigningKey) -> None:
    """Makes the repository ROOT, with the package teleport in the versions of each channel (the component, for apt)."""
    architecture = _output("dpkg", "--print-architecture")
    release = root / "dists" / suite
    for channel, versions in channels.items():
        index = release / channel / f"binary-{architecture}" / "Packages"
        index.parent.mkdir(parents=True)
        index.write_text("".join(_entry(root, _package(root, version)) for version in versions))
    sums = "".join(
        f" {_sha256(path)} {path.stat().st_size} {path.relative_to(release)}\n" for path in release.glob("**/Packages")
    )
    text = f"Suite: {suite}\nCodename: {suite}\nComponents: {' '.join(channels)}\nArchitectures: {architecture}\n"
    date = _output("date", "--utc", "--rfc-email").replace("+0000", "UTC")
    (release / "Release").write_text(f"{text}Date: {date}\nSHA256:\n{sums}")
    key.sign(release / "Release", release / "InRelease")
    (release / "Release").unlink()


def _package(root: Path, version: str) -> Path:
    tree = root.parent / f"teleport_{version}"
    tbot = tree / "usr/local/bin/tbot"
    tbot.parent.mkdir(parents=True)
    tbot.write_text(program(version))
    tbot.chmod(0o755)
    control = tree / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        f"Package: teleport\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.com>\n"
        "Description: stand-in for the package that brings tbot\n"
    )
    package = root / "pool" / f"teleport_{version}_all.deb"
    package.parent.mkdir(exist_ok=True)
    _output("dpkg-deb", "--root-owner-group", "--build", str(tree), str(package))
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
