"""The main job on one machine: three hosts, each with a software TPM, made ready to join a Teleport cluster.

Everything happens in .demo/, which is made anew at every run; nothing outside it is touched and no service is started. A web server
on the loopback stands in for those of the TPMs' manufacturers.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ansible_runs
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from software_tpm import SoftwareTpm, SoftwareTpmError, SoftwareTpms
from web_server import WebServer

DEMO = ansible_runs.PROJECT / ".demo"
# Held while a demo runs, since the next one begins by removing DEMO.
LOCK = ansible_runs.PROJECT / ".cache" / "demo.lock"
# Host and the local CA that issues its TPM's EK certificate (None: a TPM without one).
HOSTS = {"web-1": "ca-one", "db-1": None, "build-1": "ca-two"}


class DemoError(Exception):
    """A step did not do what it should; the text says which and why."""


def main() -> None:
    if not ansible_runs.BINARY.exists():
        raise DemoError(f"{ansible_runs.BINARY} is missing: run `make demo`, which builds it first.")
    LOCK.parent.mkdir(exist_ok=True)
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DemoError("Another demo is running in this folder.") from None
    if DEMO.exists():
        shutil.rmtree(DEMO)
    (DEMO / "pki").mkdir(parents=True)
    with WebServer(DEMO / "pki") as pki, SoftwareTpms(DEMO / "tpms") as tpms:
        inventory = start_hosts(tpms, pki)
        first_run(inventory)
        show_identities()
        show_token()
        show_host("web-1")
        second_run(inventory)
        find_issuers(inventory, pki)
        hold_against_tokens()
    heading("Done")
    print(f"  To look around: {short(DEMO)}")
    print(f"  On a real cluster, this lets the three TPMs in: tctl create -f {short(token_file())}")


def start_hosts(tpms: SoftwareTpms, pki: WebServer) -> Path:
    """Starts the TPMs and writes the inventory of their hosts."""
    heading("Three hosts, each with a TPM of its own")
    hosts = {}
    for name, ca in HOSTS.items():
        tpm = start_tpm(tpms, name, ca, pki)
        hosts[name] = {"tbot_tcti": tpm.tcti}
        print(f"  {name:<8} {tpm.tcti:<33} {f'EK certificate from {ca}' if ca else 'no EK certificate'}")
        ansible_runs.make_host_folders(DEMO / "hosts" / name)
    variables = ansible_runs.local_host_variables(f"{DEMO}/hosts/{{{{ inventory_hostname }}}}") | {
        "tbot_proxy_server": "teleport.example.com:443",
        "tbot_bot_name": "demo-bot",
        "tbot_token_name": "demo-hosts",
        "tbot_registry_dir": str(DEMO / "registry"),
        "tbot_token_file": str(token_file()),
    }
    inventory = DEMO / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": variables, "hosts": hosts}}, sort_keys=False))
    print(f"\n  Inventory: {short(inventory)}")
    return inventory


def start_tpm(tpms: SoftwareTpms, name: str, ca: str | None, pki: WebServer) -> SoftwareTpm:
    """Starts a TPM. Its EK certificate, if it has one, links to its issuer's, which the manufacturer publishes in DER."""
    if ca is None:
        return tpms.start(name)
    tpm = tpms.start(name, ca=DEMO / ca, link=f"{pki.url}/{ca}.crt")
    issuer = x509.load_pem_x509_certificate((DEMO / ca / "issuercert.pem").read_bytes())
    (DEMO / "pki" / f"{ca}.crt").write_bytes(issuer.public_bytes(serialization.Encoding.DER))
    return tpm


def first_run(inventory: Path) -> None:
    heading("From bare to ready: cd ansible && ansible-playbook -i ../.demo/inventory.yml playbooks/site.yml")
    run_site(inventory, "first-run.log")


def second_run(inventory: Path) -> None:
    heading("The same again: nothing is left to change")
    changed = run_site(inventory, "second-run.log").changed()
    if any(changed.values()):
        log = short(DEMO / "second-run.log")
        raise DemoError(f"The second run should have changed nothing, but changed={changed}; see {log}.")
    print("\n  changed=0 on every host")


def find_issuers(inventory: Path, pki: WebServer) -> None:
    """Makes a token that lets in none but TPMs that a trusted manufacturer vouches for."""
    heading("A token for TPMs that their manufacturer vouches for: playbooks/token.yml --extra-vars @../.demo/certified.yml")
    variables = {
        "tbot_token_name": "demo-certified",
        "tbot_token_file": str(certified_token_file()),
        "tbot_ekcert_trusted_roots": [str(DEMO / ca / "swtpm-localca-rootca-cert.pem") for ca in HOSTS.values() if ca],
        # Elsewhere links may lead to public addresses only.
        "tbot_ekcert_allowed_urls": [pki.address],
    }
    path = DEMO / "certified.yml"
    path.write_text(yaml.safe_dump(variables, sort_keys=False))
    run_playbook("token", inventory, "certified.log", {"db-1"}, "--extra-vars", f"@{path}")
    if sorted(pki.requests) != ["/ca-one.crt", "/ca-two.crt"]:
        raise DemoError(f"Each link should have been followed once, and the server was asked for {pki.requests}.")
    print("\n  Each EK certificate's link was followed once, and what it led to chains to a trusted root. The token allows:\n")
    for pem in yaml.safe_load(read(certified_token_file()))["spec"]["tpm"]["ekcert_allowed_cas"]:
        issuer = x509.load_pem_x509_certificate(pem.encode())
        print(f"  {issuer.subject.rfc4514_string()}  SHA-256 {issuer.fingerprint(hashes.SHA256()).hex()}")


def hold_against_tokens() -> None:
    heading("What a cluster will say, before it is asked: action preflight")
    for token in (token_file(), certified_token_file()):
        request = {"action": "preflight", "token": read(token), "registry": str(DEMO / "registry")}
        done = subprocess.run([ansible_runs.BINARY], input=json.dumps(request), capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        print(f"  {short(token)}: {answer['accepted']} accepted, {answer['refused']} refused")
        for host in answer["hosts"]:
            outcome = "accepted" if host["accepted"] else f"refused: {host['reason']}"
            print(f"    {host['description']:<8} {outcome}")
        refused = {host["description"] for host in answer["hosts"] if not host["accepted"]}
        if refused != (set() if token == token_file() else {"db-1"}):
            raise DemoError(f"By {short(token)} the cluster would refuse {refused}.")
    print("\n  The choice for db-1: a token without CAs, like the first, or a TPM with an EK certificate.")


def run_site(inventory: Path, log_name: str) -> ansible_runs.Run:
    """Runs site.yml, which must succeed on every host, and shows its recap."""
    return run_playbook("site", inventory, log_name, set())


def run_playbook(name: str, inventory: Path, log_name: str, left_out: set[str], *arguments: str) -> ansible_runs.Run:
    """Runs a playbook, which must fail on the hosts LEFT_OUT and no other, and shows its recap and why it left them out."""
    started = time.monotonic()
    run = ansible_runs.play(ansible_runs.SITE.with_name(f"{name}.yml"), inventory, DEMO / "ansible", *arguments)
    log = DEMO / log_name
    log.write_text(run.output)
    failed = {host for host, counts in run.recap.items() if counts["failed"] or counts["unreachable"]}
    if failed != left_out or not set(HOSTS) <= set(run.recap) or (run.returncode != 0) != bool(left_out):
        raise DemoError(f"The play failed (exit status {run.returncode}).\n{failures(run.output)}\nSee {short(log)}.")
    for host, counts in run.recap.items():
        print(f"  {host:<10}", "  ".join(f"{name}={counts[name]}" for name in ("ok", "changed", "failed", "skipped")))
    if left_out:
        print(f"\n{failures(run.output)}")
    print(f"\n  {time.monotonic() - started:.1f} seconds; full output: {short(log)}")
    return run


def failures(output: str) -> str:
    """What failed and why: the tasks' own messages, or how the output ends where there are none."""
    found = re.findall(r"^(?:fatal|failed): \[([^]]+)\].*?=> (\{.*\})$", output, re.MULTILINE)
    lines = [f"  {host}: {json.loads(result).get('msg', result)}" for host, result in found]
    return "\n".join(lines or output.splitlines()[-20:])


def show_identities() -> None:
    heading(f"The TPMs' identities, as recorded in {short(DEMO / 'registry')}/")
    for host in HOSTS:
        entry = json.loads(read(DEMO / "registry" / f"{host}.json"))
        print(f"  {host}")
        print(f"    EK public key hash     {entry['ek_public_hash']}")
        print(f"    EK certificate serial  {entry.get('ek_cert_serial') or 'none'}")


def show_token() -> None:
    heading(f"The join token that lets exactly these TPMs in: {short(token_file())}")
    show(token_file())


def show_host(host: str) -> None:
    root = DEMO / "hosts" / host / "etc"
    heading(f"{host}: its tbot.yaml, {short(root / 'tbot.yaml')}")
    show(root / "tbot.yaml")
    unit = root / "systemd" / "system" / "tbot.service"
    heading(f"{host}: its service, {short(unit)}")
    show(unit)


def token_file() -> Path:
    return DEMO / "demo-hosts.yaml"


def certified_token_file() -> Path:
    return DEMO / "demo-certified.yaml"


def show(path: Path) -> None:
    print("\n".join(f"  {line}".rstrip() for line in read(path).splitlines()))


def read(path: Path) -> str:
    if not path.is_file():
        raise DemoError(f"The play succeeded, but did not write {short(path)}.")
    return path.read_text()


def short(path: Path) -> str:
    """The path as seen from the project's folder."""
    return str(path.relative_to(ansible_runs.PROJECT))


def heading(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}\n", flush=True)


def stopped_by_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    # Leave by an exception, so that the software TPMs are stopped.
    signal.signal(signal.SIGTERM, stopped_by_signal)
    signal.signal(signal.SIGHUP, stopped_by_signal)
    sys.stdout.reconfigure(line_buffering=True)  # in step with standard error where both go into one file
    try:
        main()
    except (DemoError, SoftwareTpmError) as error:
        sys.exit(f"\nmake demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
