"""What the binaries that are released are made of: crates, and what comes with them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# The name in plugins/binaries/tbot_tpm_ARCH, and what cargo builds for it.
TARGETS = {"x86_64": "x86_64-unknown-linux-musl", "aarch64": "aarch64-unknown-linux-musl"}
OURS = "tbot-tpm"


@dataclass(order=True)
class Crate:
    """A crate whose code is in a binary, and the crates that it calls."""

    name: str
    version: str
    licence: str = field(compare=False)
    folder: Path = field(compare=False)
    repository: str = field(compare=False)
    sha256: str = field(compare=False)
    needs: set[str] = field(default_factory=set, compare=False)


def output(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True, text=True).stdout


def crates() -> dict[str, Crate]:
    """By name: of all targets, with our own. Neither what only builds or tests nor what runs in the compiler is among them."""
    packages = json.loads(output("cargo", "metadata", "--format-version", "1", "--locked", "--no-default-features"))["packages"]
    known = {(package["name"], package["version"]): package for package in packages}
    found: dict[str, Crate] = {}
    for target in TARGETS.values():
        way: list[str] = []
        for depth, name, version in _tree(target):
            package = known[name, version]
            crate = found.setdefault(name, Crate(
                name,
                version,
                (package["license"] or "").replace("/", " OR "),
                Path(package["manifest_path"]).parent,
                package["repository"] or "",
                _checksums().get((name, version), ""),
            ))
            assert crate.version == version, f"{name} is there in two versions"
            way[depth:] = [name]
            if depth:
                found[way[depth - 1]].needs.add(name)
    return found


def _tree(target: str) -> list[tuple[int, str, str]]:
    """Depth, name and version of each crate, below the one that needs it."""
    lines = output(
        "cargo", "tree", "--locked", "--no-default-features", "--edges", "normal,no-proc-macro",
        "--target", target, "--prefix", "depth", "--format", " {p}",
    )  # fmt: skip
    found = re.findall(r"^(\d+) (\S+) v(\S+)", lines, re.MULTILINE)
    return [(int(depth), name, version) for depth, name, version in found]


@cache
def _checksums() -> dict[tuple[str, str], str]:
    pattern = r'name = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"'
    found = re.findall(pattern, (PROJECT / "Cargo.lock").read_text())
    return {(name, version): checksum for name, version, checksum in found}


def version() -> str:
    """Our own, which the whole release has."""
    return re.search(r'^version = "(.*)"$', (PROJECT / "Cargo.toml").read_text(), re.MULTILINE)[1]


@cache
def sysroot() -> Path:
    return Path(output("rustc", "--print", "sysroot").strip())


def rust_version() -> str:
    return output("rustc", "--version").split()[1]


def musl_version() -> str:
    """Of the C library that the Rust toolchain has for these targets, and that is linked into the binaries."""
    found = set()
    for target in TARGETS.values():
        library = sysroot() / "lib/rustlib" / target / "lib/self-contained/libc.a"
        if not library.exists():
            raise SystemExit(f"The Rust toolchain has no {library}: run `rustup target add {target}`.")
        found.update(re.findall(rb"\0(1\.\d+\.\d+)\0", library.read_bytes()))
    assert len(found) == 1, f"not one version of musl: {found}"
    return found.pop().decode()


def aws_lc_version(aws_lc_sys: Crate) -> str:
    header = (aws_lc_sys.folder / "aws-lc/include/openssl/base.h").read_text()
    return re.search(r'^#define AWSLC_VERSION_NUMBER_STRING "(.*)"', header, re.MULTILINE)[1]
