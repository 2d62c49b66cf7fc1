"""What one identify takes, in seconds, TPM commands, instructions and memory: this program's own way to the TPM in both
of its builds, libtss2's, and a shell pipeline of tpm2-tools and OpenSSL, side by side on software TPMs.

All ways must report the same hash and serial number.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import measure
from ansible_runs import BINARY, PROJECT
from report import heading, show_times
from software_tpm import SoftwareTpm, SoftwareTpms

# Built with the default features, by `make bench`; the collection's BINARY is built without libtss2.
DEFAULT_BINARY = PROJECT / "target" / "libtss2" / "release" / "tbot_tpm"

NATIVE = "native (build without libtss2)"
DEFAULT = "native (default build)"
ESAPI = "esapi  (default build)"
SHELL = "tpm2_nvread | openssl x509 | ... | sha256sum"
WAYS = {NATIVE: (BINARY, "native"), DEFAULT: (DEFAULT_BINARY, "native"), ESAPI: (DEFAULT_BINARY, "esapi")}
CREATE, SHORT_CUT = "CreatePrimary", "short cut: the key kept at 0x81010001"

# The fewest and quickest programs that come to hash and serial number, all at the same time.
PIPELINE = """
tpm2_nvread -T '{tcti}' -C 0x01c00002 0x01c00002 | openssl x509 -inform der -noout -serial -pubkey | {{
    read -r serial
    grep -v ^- | base64 -d | sha256sum
    echo "$serial"
}}
"""

# TPM 2.0 Library, part 2, section 6.5.2.
COMMANDS = {
    0x131: "CreatePrimary", 0x14E: "NV_Read", 0x165: "FlushContext", 0x169: "NV_ReadPublic", 0x173: "ReadPublic",
    0x176: "StartAuthSession", 0x17A: "GetCapability",
}

NATIVE_OF_SHELL, NATIVE_OF_ESAPI, NATIVE_INSTRUCTIONS = 0.5, 0.5, 3_000_000  # wanted: at most

Identity = tuple[str, str | None]  # hash and serial number


def main() -> None:
    options = parse_options()
    for binary in (BINARY, DEFAULT_BINARY):
        if not binary.exists():
            sys.exit(f"{binary} is missing: run `make bench`, which builds it first.")
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as name, SoftwareTpms(Path(name) / "tpms") as tpms:
        bench = Bench(Path(name), tpms, options)
        bench.with_certificate()
        bench.without_certificate()
        bench.instructions()
        bench.sizes()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the ways to identify a software TPM.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--tpms", type=int, default=8, help="TPMs without a certificate")
    return parser.parse_args()


class Bench:
    """The measurements, each of which prints its own part of the report."""

    def __init__(self, folder: Path, tpms: SoftwareTpms, options: argparse.Namespace) -> None:
        self.folder, self.tpms, self.options = folder, tpms, options
        self.requests = itertools.count()
        self.certified = tpms.start("certified", ca=folder / "ca")

    def command(self, binary: Path, **parameters: str) -> list[Path]:
        """One identify, and its request in a file."""
        request = self.folder / f"request-{next(self.requests)}.json"
        request.write_text(json.dumps({"action": "identify", **parameters}))
        return [binary, request]

    def ways(self, tpm: SoftwareTpm) -> dict[str, list[Path]]:
        return {way: self.command(binary, backend=backend, tcti=tpm.tcti) for way, (binary, backend) in WAYS.items()}

    def with_certificate(self) -> None:
        seen: dict[str, Identity] = {}
        timed = {way: module(command, seen, way) for way, command in self.ways(self.certified).items()}
        timed[SHELL] = pipeline(self.certified, seen)
        times = measure.interleaved(timed, self.options.rounds)
        assert set(seen) == {*WAYS, SHELL} and len(set(seen.values())) == 1, f"the ways differ: {seen}"
        heading(f"With an EK certificate: process start to exit, {self.options.rounds} rounds")
        show_times(times, in_milliseconds=True)
        for way in (NATIVE, DEFAULT):
            show_ratio(way, times[way], "the shell pipeline", times[SHELL], NATIVE_OF_SHELL)
            show_ratio(way, times[way], "esapi", times[ESAPI], NATIVE_OF_ESAPI)
        self.commands_with_certificate()

    def commands_with_certificate(self) -> None:
        tpm = self.tpms.start("certified-logged", ca=self.folder / "ca", log_commands=True)
        seen: dict[str, Identity] = {}
        ways = {way: module(command, seen, way) for way, command in self.ways(tpm).items()}
        del ways[DEFAULT]  # the same program text as NATIVE
        show_commands(tpm, ways | {SHELL: pipeline(tpm, seen)})

    def without_certificate(self) -> None:
        """On several TPMs: how long the search for a key's prime numbers takes depends on the seed of each."""
        ways = [self.short_cut(self.with_persistent_ek(f"plain-{number}")) for number in range(self.options.tpms)]
        on_all = {
            way: lambda way=way: statistics.median(of_one[way]() for of_one in ways) for way in (CREATE, SHORT_CUT)
        }
        rounds = math.ceil(self.options.rounds / 4)
        times = measure.interleaved(on_all, rounds)
        heading(f"Without one, native: process start to exit, the median of {len(ways)} TPMs, {rounds} rounds")
        show_times(times, in_milliseconds=True)
        show_ratio("the short cut", times[SHORT_CUT], "CreatePrimary", times[CREATE])
        made = statistics.median(times[CREATE]) - statistics.median(times[SHORT_CUT])
        print(f"  A software TPM makes that key in about {made * 1000:.0f} ms here; a chip takes seconds.")
        logged = self.with_persistent_ek("plain-logged", log_commands=True)
        show_commands(logged, self.short_cut(logged))

    def with_persistent_ek(self, name: str, log_commands: bool = False) -> SoftwareTpm:
        tpm = self.tpms.start(name, log_commands=log_commands)
        subprocess.run(["tpm2_createek", "-T", tpm.tcti, "-G", "rsa", "-c", "0x81010001"], check=True)
        return tpm

    def short_cut(self, tpm: SoftwareTpm) -> dict[str, Callable[[], float]]:
        """Both ways to the EK of a TPM without a certificate."""
        create = self.command(BINARY, backend="native", tcti=tpm.tcti)
        expected = json.loads(measure.seconds(create)[1])["ek_public_hash"]
        keep = self.command(BINARY, backend="native", tcti=tpm.tcti, expected_ek_public_hash=expected)
        same = {"ek_public_hash": expected, "ek_cert_present": False}
        return {
            CREATE: module(create, {}, CREATE, same | {"ek_source": "create_primary"}),
            SHORT_CUT: module(keep, {}, SHORT_CUT, same | {"ek_source": "persistent_handle"}),
        }

    def instructions(self) -> None:
        heading("With an EK certificate: instructions of the whole process, in millions")
        for way, command in self.ways(self.certified).items():
            count = measure.instructions(command)
            if count is None:
                print("  not counted: valgrind is not installed")
                return
            verdict = wanted(count, NATIVE_INSTRUCTIONS, "3.00") if way == NATIVE else ""
            print(f"  {way:<46}{count / 1e6:>8.2f}{verdict}")

    def sizes(self) -> None:
        heading("Sizes")
        print(f"  {'':<44}{'peak memory':>13}{'binary':>11}")
        for name, binary in (("build without libtss2", BINARY), ("default build", DEFAULT_BINARY)):
            request = self.command(binary, backend="native", tcti=self.certified.tcti)[1]
            peak, size = measure.peak_memory(binary, request), binary.stat().st_size
            print(f"  {name:<44}{peak / 1024:>9.1f} MiB{size / 1024 / 1024:>7.2f} MiB")
        libraries = measure.shared_libraries(BINARY)
        verdict = "" if not libraries else "   wanted: none: MISSED"
        print(f"  Libraries that the build without libtss2 needs: {', '.join(libraries) or 'none'}{verdict}")


def module(
    command: list[Path], seen: dict[str, Identity], way: str, expected: dict[str, object] | None = None
) -> Callable[[], float]:
    """Runs one identify, checks its answer and notes the identity in `seen`."""

    def run() -> float:
        elapsed, output = measure.seconds(command)
        answer = json.loads(output)
        assert answer.items() >= (expected or {"ek_source": "nv_certificate"}).items(), answer
        note(seen, way, (answer["ek_public_hash"], answer["ek_cert_serial"]))
        return elapsed

    return run


def pipeline(tpm: SoftwareTpm, seen: dict[str, Identity]) -> Callable[[], float]:
    """The same for the shell pipeline."""
    command = ["/bin/sh", "-c", PIPELINE.format(tcti=tpm.tcti)]

    def run() -> float:
        elapsed, output = measure.seconds(command)
        digest, serial = output.splitlines()
        pairs = re.findall("..", serial.removeprefix("serial=").lower())
        note(seen, SHELL, (digest.removesuffix("  -"), ":".join(pairs)))
        return elapsed

    return run


def note(seen: dict[str, Identity], way: str, identity: Identity) -> None:
    assert seen.setdefault(way, identity) == identity, f"{way} has two answers: {seen[way]}, {identity}"


def show_ratio(way: str, times: list[float], other: str, others: list[float], most: float | None = None) -> None:
    ratio = statistics.median(times) / statistics.median(others)
    verdict = "" if most is None else wanted(ratio, most, f"{most:.2f}")
    print(f"  {f'{way} / {other}':<54}{ratio:>6.2f}{verdict}")


def wanted(value: float, most: float, shown: str) -> str:
    return f"   wanted: at most {shown}: {'met' if value <= most else 'MISSED'}"


def show_commands(tpm: SoftwareTpm, ways: dict[str, Callable[[], float]]) -> None:
    print("  TPM commands")
    for way, run in ways.items():
        before = tpm.log.stat().st_size
        run()
        counted = measure.tpm_commands(tpm.log, before)
        names = (f"{number} {COMMANDS.get(code, hex(code))}" for code, number in counted.most_common())
        print(f"    {way:<46}{counted.total():>3}: {', '.join(names)}")


if __name__ == "__main__":
    main()
