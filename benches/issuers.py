"""What finding the issuers of a large fleet's EK certificates takes beyond reading the files that they are in.

The binary works on all processors, and `cat` on one: on a busy machine only the first of the two ratios tells something.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import ek_certificates
import measure
from ansible_runs import BINARY
from report import heading, show, show_times

HOSTS = 10_000
KEYS = [2048, 2048, 2048, 2048, 4096]  # bits of the issuers' RSA keys: manufacturers have these two sizes mostly
MOST = 2  # times that reading takes

FOUND = "the issuers found, and proved"
PARSED = "files and certificates parsed, nothing to find"
READ = "the files' bytes alone, by cat"


def main() -> None:
    options = parse_options()
    if not BINARY.exists():
        sys.exit(f"{BINARY} is missing: run `make bench`, which builds it first.")
    heading(f"Issuers of {HOSTS:,} hosts' EK certificates in a registry: RSA keys of {shown(KEYS)} bits, SHA-256")
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as name:
        times = measure.interleaved(ways(Path(name)), options.rounds)
    show_times(times)
    found, parsed, read = (statistics.median(times[way]) for way in (FOUND, PARSED, READ))
    show("all / files and certificates parsed", found / parsed, MOST)
    show("all / the files' bytes", found / read, MOST)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the search for the issuers of a large fleet.")
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args()


def ways(folder: Path) -> dict[str, Callable[[], float]]:
    """The whole action; the same without any CA to find, which still reads and parses all; and reading by another
    program. No link is followed."""
    registry = folder / "registry"
    registry.mkdir()
    root, issuers = ek_certificates.rsa_issuers(KEYS)
    files = [write_host(registry, number, issuers[number % len(issuers)]) for number in range(HOSTS)]
    certificates = {"ca_bundle": [ek_certificates.pem(issuer.certificate) for issuer in issuers],
                    "trusted_roots": [ek_certificates.pem(root.certificate)]}
    cat = shutil.which("cat")
    return {
        FOUND: timed(folder, registry, certificates, check_found),
        PARSED: timed(folder, registry, {}, check_parsed),
        READ: lambda: measure.seconds_to_file([cat, *files], Path("/dev/null")),
    }


def write_host(registry: Path, number: int, issuer: ek_certificates.Issuer) -> Path:
    name = f"host-{number:06}.example.com"
    path = registry / f"{name}.json"
    identity = ek_certificates.identity(name, ek_certificates.ek_certificate(issuer, number))
    path.write_text(json.dumps(identity, indent=2, sort_keys=True) + "\n")
    return path


def timed(folder: Path, registry: Path, certificates: dict, check: Callable[[dict], None]) -> Callable[[], float]:
    """Runs the action, whose answer the check looks at once its time is taken."""
    request, output = folder / f"{check.__name__}.json", folder / "answer.json"
    request.write_text(json.dumps(
        {"action": "ekcert_ca", "registry": str(registry), "fetch": False, **certificates}
    ))

    def run() -> float:
        # Hosts whose issuer is not found are an error.
        elapsed = measure.seconds_to_file([BINARY, request], output, fails=check is check_parsed)
        check(json.loads(output.read_bytes()))
        return elapsed

    return run


def check_found(answer: dict) -> None:
    hosts = [len(issuer["hosts"]) for issuer in answer["issuers"] if issuer["trusted"]]
    assert hosts == [HOSTS // len(KEYS)] * len(KEYS), hosts
    assert answer["unresolved"] == [] and len(answer["ekcert_allowed_cas"]) == len(KEYS)


def check_parsed(answer: dict) -> None:
    assert answer["error"]["kind"] == "untrusted_ca", answer["error"]["kind"]


def shown(sizes: list[int]) -> str:
    return ", ".join(str(bits) for bits in sizes[:-1]) + f" and {sizes[-1]}"


if __name__ == "__main__":
    main()
