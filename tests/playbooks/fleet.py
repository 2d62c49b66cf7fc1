"""A small fleet to run site.yml on: hosts that are folders, each with a software TPM."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path

import ansible_runs
import yaml
from ansible_runs import Ansible
from software_tpm import SoftwareTpm

PROXY = "teleport.example.com:443"


class Fleet:
    """Hosts below ROOT/hosts, their registry and token file below ROOT, and the TPM of each."""

    def __init__(self, root: Path, tpms: dict[str, SoftwareTpm], ansible: Ansible) -> None:
        self.root = root
        self.ansible = ansible
        self.tcti = {host: tpm.tcti for host, tpm in tpms.items()}
        # Further variables of single hosts.
        self.variables: dict[str, dict[str, object]] = {}
        self.registry_directory = root / "registry"
        self.token_file = root / "token.yaml"
        self.report_file = root / "registry-report.txt"
        self.make_hosts()

    def make_hosts(self) -> None:
        for host in self.tcti:
            ansible_runs.make_host_folders(self.host_path(host))

    def site(self, *arguments: str, variables: dict[str, object] | None = None) -> ansible_runs.Run:
        """Runs site.yml; VARIABLES stand above the inventory's."""
        return self.play("site", *arguments, variables=variables)

    def play(self, playbook: str | Path, *arguments: str, variables: dict[str, object] | None = None) -> ansible_runs.Run:
        """Runs a playbook of the collection, by its name, or another one by its path."""
        if variables:
            arguments = (*arguments, "--extra-vars", json.dumps(variables))
        scratch = self.root.with_name(f"{self.root.name}-ansible")
        return self.ansible.play(playbook, self.write_inventory(), scratch, *arguments)

    def write_inventory(self) -> Path:
        """Writes the inventory of its hosts as they are now."""
        inventory = self.root.with_name(f"{self.root.name}-inventory.yml")
        inventory.write_text(yaml.safe_dump({"all": {
            "vars": self.common_variables() | {
                "tbot_proxy_server": PROXY,
                "tbot_bot_name": "test-bot",
                "tbot_token_name": "test-hosts",
                "tbot_registry_dir": str(self.registry_directory),
                "tbot_token_file": str(self.token_file),
            },
            "hosts": {
                host: {"tbot_tcti": tcti} | self.host_variables(host) | self.variables.get(host, {})
                for host, tcti in self.tcti.items()
            },
        }}, sort_keys=False))
        return inventory

    def common_variables(self) -> dict[str, object]:
        """How all hosts are reached, and what is managed there."""
        return ansible_runs.local_host_variables(f"{self.root}/hosts/{{{{ inventory_hostname }}}}", self.ansible.python)

    def host_variables(self, _host: str) -> dict[str, object]:
        """How that host is reached."""
        return {}

    def host_path(self, host: str, path: str = ".") -> Path:
        """Where what a host calls /PATH is found."""
        return self.root / "hosts" / host / path

    def path_there(self, host: str, path: str) -> str:
        """What that host, and so its configuration, calls it."""
        return str(self.host_path(host, path))

    def registry(self, host: str) -> dict:
        return json.loads((self.registry_directory / f"{host}.json").read_text())

    def token(self) -> dict:
        return yaml.safe_load(self.token_file.read_text())

    def token_rules(self) -> dict[str, str]:
        """The token's EK public key hashes by description."""
        return {rule["description"]: rule["ek_public_hash"] for rule in self.token()["spec"]["tpm"]["allow"]}

    def files(self) -> dict[str, bytes]:
        """Everything that is below the fleet's folder now (folders as empty values), but the report of the last run."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else b""
            for path in sorted(self.root.rglob("*"))
            if path != self.report_file
        }


def ad_hoc(arguments: str, *more: str, ansible: Ansible) -> dict:
    """The result of `ansible localhost -m tbot_tpm -a ARGUMENTS`."""
    with tempfile.TemporaryDirectory() as scratch:
        run = ansible.run(Path(scratch), "ansible", "localhost", "-m", ansible.module, "-a", arguments, *more)
    # `localhost | CHANGED => {` or `localhost | FAILED! => {` begins a result (async shows two), and says what newer
    # versions of Ansible leave out of the JSON.
    start = list(re.finditer(r"^localhost \| ([\w!]+) => \{", run.output, re.MULTILINE))
    assert start, run.output
    result, _end = json.JSONDecoder().raw_decode(run.output, start[-1].end() - 1)
    result["failed"] = start[-1][1] == "FAILED!"
    assert (run.returncode != 0) == result["failed"], run.output
    return result


def ask_binary(request: dict) -> dict:
    """The binary's own answer, without Ansible."""
    done = subprocess.run([ansible_runs.BINARY], input=json.dumps(request), capture_output=True, text=True)
    return json.loads(done.stdout)


def ek_public_hash(tpm: SoftwareTpm, scratch: Path) -> str:
    """The TPM's EK public key hash, computed by tpm2-tools and OpenSSL only: of its EK certificate's key, or, where it
    has none, of the EK that the TPM makes from the standard RSA 2048 template."""
    certificate = _ek_certificate(tpm)
    if certificate is not None:
        public_pem = _output("openssl", "x509", "-inform", "der", "-noout", "-pubkey", stdin=certificate)
    else:
        pem, context = scratch / "ek.pem", scratch / "ek.ctx"
        _output("tpm2_createek", "-T", tpm.tcti, "-G", "rsa", "-f", "pem", "-u", str(pem), "-c", str(context))
        _output("tpm2_flushcontext", "-T", tpm.tcti, "-t")
        public_pem = pem.read_bytes()
    return hashlib.sha256(_output("openssl", "pkey", "-pubin", "-outform", "der", stdin=public_pem)).hexdigest()


def ek_cert_serial(tpm: SoftwareTpm) -> str | None:
    """The EK certificate's serial number as Teleport writes it, by tpm2-tools and OpenSSL; None without one."""
    certificate = _ek_certificate(tpm)
    if certificate is None:
        return None
    digits = _output("openssl", "x509", "-inform", "der", "-noout", "-serial", stdin=certificate).decode()
    return ":".join(re.findall("..", digits.strip().removeprefix("serial=").lower()))


def _ek_certificate(tpm: SoftwareTpm) -> bytes | None:
    index = "0x1C00002"
    if index not in _output("tpm2_getcap", "-T", tpm.tcti, "handles-nv-index").decode().split():
        return None
    return _output("tpm2_nvread", "-T", tpm.tcti, "-C", index, index)


def _output(*command: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
    return done.stdout
