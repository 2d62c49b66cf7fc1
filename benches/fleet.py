"""How fast the module identifies a fleet, against a shell task that does the same with tpm2-tools and OpenSSL.

Twenty local hosts, each with a software TPM and an EK certificate; one task a playbook; both ways in turn, several
rounds, and both must report the same hashes and serial numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import ansible_runs
import measure
from software_tpm import SoftwareTpms, create_state

MODULE_TASK = {"tbot.tpm.tbot_tpm": {"action": "identify", "tcti": "{{ tbot_tcti }}"}}
SHELL_TASK = {"ansible.builtin.shell": """
set -eu
certificate=$(mktemp)
trap 'rm -f "$certificate"' EXIT
tpm2_nvread -T '{{ tbot_tcti }}' -C 0x01c00002 -o "$certificate" 0x01c00002 2>/dev/null
openssl x509 -inform der -in "$certificate" -noout -pubkey | openssl pkey -pubin -outform der | sha256sum | cut -c1-64
openssl x509 -inform der -in "$certificate" -noout -serial
"""}


def main() -> None:
    options = parse_options()
    if not ansible_runs.BINARY.exists():
        sys.exit(f"{ansible_runs.BINARY} is missing: run `make bench`, which builds it first.")
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as folder, SoftwareTpms(Path(folder) / "tpms") as tpms:
        tctis = start_fleet(tpms, Path(folder), options.hosts)
        times = compare(Path(folder), tctis, options)
        request = Path(folder) / "request.json"
        request.write_text(json.dumps({"action": "identify", "tcti": tctis["host-01"]}))
        identify_peak = measure.peak_memory(ansible_runs.BINARY, request)
    report(times, options, identify_peak)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare identify with tpm2-tools on a fleet of software TPMs.")
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--forks", type=int, default=5, help="hosts at a time (5 is Ansible's default)")
    return parser.parse_args()


def start_fleet(tpms: SoftwareTpms, folder: Path, hosts: int) -> dict[str, str]:
    """Starts the TPMs; their TCTIs by host name."""
    names = [f"host-{number:02}" for number in range(1, hosts + 1)]
    print(f"Making {hosts} software TPMs with EK certificates ...", flush=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda name: create_state(tpms.directory / name, folder / "ca"), names))
    return {name: tpms.start(name).tcti for name in names}


def compare(folder: Path, tctis: dict[str, str], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each round, by way; after one round that is not counted."""
    inventory = folder / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "hosts": {host: {"tbot_tcti": tcti} for host, tcti in tctis.items()},
    }}))
    ways = {"module": (MODULE_TASK, module_identity), "shell": (SHELL_TASK, shell_identity)}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(options.rounds + 1):
        print(f"Round {number} of {options.rounds}" + (" (not counted)" if number == 0 else ""), flush=True)
        seen = {}
        for way, (task, identity) in ways.items():
            playbook = folder / f"{way}.yml"
            playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
            started = time.perf_counter()
            run = ansible_runs.play(playbook, inventory, folder / "ansible", "-v", "--forks", str(options.forks))
            elapsed = time.perf_counter() - started
            if run.returncode != 0:
                sys.exit(f"{run.output}\nThe {way} playbook failed.")
            seen[way] = identities(run.output, identity)
            if number > 0:
                times[way].append(elapsed)
        assert set(seen["module"]) == set(tctis), "some hosts are missing"
        assert len(set(seen["module"].values())) == len(tctis), "two hosts have one identity"
        assert seen["module"] == seen["shell"], f"the two ways differ: {seen}"
    return times


def identities(output: str, identity) -> dict[str, tuple[str, str]]:
    """(hash, serial) by host, from the results that -v shows."""
    results = re.findall(r"^(?:ok|changed): \[([^]]+)\] => (\{.*\})$", output, re.MULTILINE)
    return {host: identity(json.loads(result)) for host, result in results}


def module_identity(result: dict) -> tuple[str, str]:
    return result["ek_public_hash"], result["ek_cert_serial"]


def shell_identity(result: dict) -> tuple[str, str]:
    ek_public_hash, serial = result["stdout_lines"]
    return ek_public_hash, ":".join(re.findall("..", serial.removeprefix("serial=").lower()))


def report(times: dict[str, list[float]], options: argparse.Namespace, identify_peak: int) -> None:
    names = {"module": "tbot_tpm action=identify", "shell": "shell: tpm2_nvread, openssl, sha256sum"}
    print(f"\n{options.hosts} hosts, {options.forks} at a time, {options.rounds} rounds; seconds for a playbook of one task")
    print(f"  {'':<40}{'median':>8}{'fastest':>9}{'slowest':>9}")
    for way, name in names.items():
        values = times[way]
        print(f"  {name:<40}{statistics.median(values):>8.2f}{min(values):>9.2f}{max(values):>9.2f}")
    ratio = statistics.median(times["shell"]) / statistics.median(times["module"])
    print(f"  {'the shell task takes':<40}{ratio:>7.2f}x")
    print(f"\nPeak memory of one identify: {identify_peak / 1024:.1f} MiB")
    print(f"Size of the release binary:  {ansible_runs.BINARY.stat().st_size / 1024 / 1024:.2f} MiB")


if __name__ == "__main__":
    main()
