"""What a token for a large fleet takes: how it grows with the fleet, against the same by Ansible's template module, in
memory, and what asking whether each host would be let in costs beyond the signatures that have to be verified.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import ansible_runs
import ek_certificates
import measure
from ansible_runs import BINARY
from report import heading, show, show_times

SMALL, LARGE = 10_000, 100_000  # hosts
ISSUERS = 10
GROWTH, FASTER, PEAK_MIB, PREFLIGHT = 11, 50, 200, 3  # wanted: at most, at least, at most, at most

# As somebody would write it who knows that a serial number has to be quoted.
TEMPLATE = """\
kind: token
version: v2
metadata:
  name: web
spec:
  roles:
    - Bot
  join_method: tpm
  bot_name: web-bot
  tpm:
    allow:
{% for host in fleet %}
      - description: "{{ host.description }}"
        ek_public_hash: "{{ host.ek_public_hash }}"
        ek_certificate_serial: "{{ host.ek_cert_serial }}"
{% endfor %}
"""


def main() -> None:
    options = parse_options()
    if not BINARY.exists():
        sys.exit(f"{BINARY} is missing: run `make bench`, which builds it first.")
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as name:
        bench = Bench(Path(name), options)
        bench.growth()
        bench.template()
        bench.memory()
        bench.preflight()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure tokens of large fleets.")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def fleet(size: int) -> list[dict[str, str]]:
    """Hosts as `identify` and the registry have them; always the same."""

    def host(number: int) -> dict[str, str]:
        digest = hashlib.sha512(str(number).encode()).digest()
        return {
            "description": f"host-{number:06}.example.com",
            "ek_public_hash": digest[:32].hex(),
            "ek_cert_serial": "5a:" + digest[32:51].hex(":"),  # a serial number begins with no zeros
        }

    return [host(number) for number in range(size)]


class Bench:
    """The measurements, each of which prints its own part of the report."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.rounds = folder, options.rounds
        self.requests = {size: self.request(f"token-{size}", token(fleet(size))) for size in (SMALL, LARGE)}

    def request(self, name: str, parameters: dict[str, object]) -> Path:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(parameters))
        return path

    def timed(self, request: Path, check: Callable[[dict], object]) -> Callable[[], float]:
        """Runs the binary, whose answer the check looks at once its time is taken."""
        output = self.folder / "answer.json"

        def run() -> float:
            elapsed = measure.seconds_to_file([BINARY, request], output)
            check(json.loads(output.read_bytes()))
            return elapsed

        return run

    def growth(self) -> None:
        ways = {
            f"{size:,} hosts": self.timed(request, lambda answer, size=size: check_rules(answer, size))
            for size, request in self.requests.items()
        }
        times = measure.interleaved(ways, self.rounds)
        heading(f"A token, from a request with all the hosts: process start to exit, {self.rounds} rounds")
        show_times(times)
        small, large = (statistics.median(values) for values in times.values())
        show(f"{LARGE:,} hosts / {SMALL:,}", large / small, GROWTH)

    def template(self) -> None:
        """The same token by Ansible: a whole `ansible-playbook` run with one task."""
        rendered: dict[str, list] = {}
        ways = {
            "tbot_tpm": self.timed(
                self.requests[SMALL], lambda answer: rendered.update(binary=rules(answer["content"]))
            ),
            "ansible-playbook, template": self.playbook(rendered),
        }
        times = measure.interleaved(ways, min(self.rounds, 3))
        assert rendered["binary"] == rendered["template"], "the two ways have different rules"
        assert len(rendered["binary"]) == SMALL
        heading(f"A token for {SMALL:,} hosts, and the same by a template: process start to exit")
        show_times(times)
        binary, template = (statistics.median(values) for values in times.values())
        show("the template / tbot_tpm", template / binary, FASTER, at_least=True)

    def playbook(self, rendered: dict[str, list]) -> Callable[[], float]:
        token_file = self.folder / "template.yaml"
        (self.folder / "token.yaml.j2").write_text(TEMPLATE)
        (self.folder / "fleet.json").write_text(json.dumps({"fleet": fleet(SMALL)}))
        inventory = self.folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {
            "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
        }}}}))
        playbook = self.folder / "template.yml"
        playbook.write_text(yaml.safe_dump([{
            "hosts": "localhost", "gather_facts": False, "vars_files": ["fleet.json"],
            "tasks": [{"ansible.builtin.template": {"src": "token.yaml.j2", "dest": str(token_file), "mode": "0600"}}],
        }]))

        def run() -> float:
            token_file.unlink(missing_ok=True)
            started = time.perf_counter()
            done = ansible_runs.play(playbook, inventory, self.folder / "ansible")
            elapsed = time.perf_counter() - started
            if done.returncode != 0:
                sys.exit(f"{done.output}\nThe template's playbook failed.")
            rendered["template"] = rules(token_file.read_text())
            return elapsed

        return run

    def memory(self) -> None:
        peak = measure.peak_memory(BINARY, self.requests[LARGE], expected="content") / 1024
        heading(f"Peak memory of a token for {LARGE:,} hosts")
        show("MiB", peak, PEAK_MIB)

    def preflight(self) -> None:
        """Ten vendors' CAs, and an EK certificate for every host."""
        heading(f"Preflight of {SMALL:,} hosts with EK certificates of {ISSUERS} issuers, ecdsa-with-SHA384 on P-384")
        issuers = ek_certificates.issuers(ISSUERS)
        if not self.has_preflight():
            print("  not measured: this version has no action `preflight`")
            return
        signed = [issuers[number % ISSUERS] for number in range(SMALL)]
        certificates = [(issuer, ek_certificates.ek_certificate(issuer, n)) for n, issuer in enumerate(signed)]
        hosts = [
            ek_certificates.identity(f"host-{number:06}.example.com", certificate)
            for number, (_, certificate) in enumerate(certificates)
        ]
        request = self.request("preflight", {
            "action": "preflight", "token": self.token_with_cas(hosts, issuers), "hosts": hosts,
        })
        times = measure.interleaved({
            "preflight": self.timed(request, check_preflight),
            "the signatures alone, by OpenSSL": lambda: ek_certificates.verify_by_openssl(certificates),
        }, min(self.rounds, 3))
        show_times(times)
        preflight, signatures = (statistics.median(values) for values in times.values())
        show("preflight / the signatures alone", preflight / signatures, PREFLIGHT)

    def has_preflight(self) -> bool:
        request = self.request("no-preflight", {"action": "preflight", "token": "", "hosts": []})
        answer = measure.answer([BINARY, request])
        return "not available in this version" not in answer.get("msg", "")

    def token_with_cas(self, hosts: list[dict[str, object]], issuers: list[ek_certificates.Issuer]) -> str:
        cas = [ek_certificates.pem(issuer.certificate) for issuer in issuers]
        answer = measure.answer([BINARY, self.request("token-with-cas", token(hosts) | {"ekcert_allowed_cas": cas})])
        return answer["content"]


def token(hosts: list) -> dict[str, object]:
    return {
        "action": "token", "name": "web", "bot_name": "web-bot", "match": "hash_and_serial", "max_bytes": 1_000_000_000,
        "hosts": hosts,
    }


def rules(content: str) -> list[dict[str, str]]:
    """The rules of a token in YAML."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(content, loader)["spec"]["tpm"]["allow"]


def check_rules(answer: dict, size: int) -> None:
    assert answer["tokens"][0]["rules"] == size, answer["tokens"]
    shown = len(json.dumps(answer["invocation"]))
    assert shown < 10_000, f"the answer repeats the request: {shown} bytes"


def check_preflight(answer: dict) -> None:
    assert (answer["accepted"], answer["refused"], len(answer["hosts"])) == (SMALL, 0, SMALL), answer["hosts"][:3]


if __name__ == "__main__":
    main()
