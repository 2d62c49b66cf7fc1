"""The module by itself: ad hoc, and in the ways that playbooks run a task."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from ansible_runs import BINARY
from fleet import Fleet, ad_hoc, ek_cert_serial, ek_public_hash


def test_identify_ad_hoc(ansible, tpms, tmp_path):
    result = ad_hoc(f"action=identify tcti={tpms['web-1'].tcti}", ansible=ansible)
    assert result["changed"] is False
    assert result["ek_public_hash"] == ek_public_hash(tpms["web-1"], tmp_path)
    assert result["ek_cert_present"] is True
    assert result["ek_cert_serial"] == ek_cert_serial(tpms["web-1"])
    assert result["ek_source"] == "nv_certificate"


def test_identify_ad_hoc_without_a_certificate(ansible, tpms, tmp_path):
    result = ad_hoc(f"action=identify tcti={tpms['db-1'].tcti}", ansible=ansible)
    assert result["ek_public_hash"] == ek_public_hash(tpms["db-1"], tmp_path)
    assert (result["ek_cert_present"], result["ek_cert_serial"]) == (False, None)
    assert result["ek_source"] == "create_primary"


def test_token_ad_hoc_takes_hosts_as_json_text(ansible):
    hosts = json.dumps([{"description": "web-1", "ek_public_hash": "ab" * 32}])
    result = ad_hoc(f"action=token name=bots bot_name=example hosts='{hosts}' roles=Bot", ansible=ansible)
    token = yaml.safe_load(result["content"])
    assert token["metadata"]["name"] == "bots"
    assert token["spec"]["roles"] == ["Bot"]
    assert token["spec"]["tpm"]["allow"] == [{"description": "web-1", "ek_public_hash": "ab" * 32}]
    assert result["host_tokens"] == {"web-1": "bots"}


def test_check_mode_ad_hoc_predicts_and_writes_nothing(ansible, tmp_path):
    hosts = json.dumps([{"description": "web-1", "ek_public_hash": "ab" * 32}])
    token = tmp_path / "token.yaml"
    arguments = f"action=token name=bots bot_name=example hosts='{hosts}' path={token}"
    assert ad_hoc(arguments, "--check", ansible=ansible)["changed"] is True
    assert not token.exists()
    assert ad_hoc(arguments, ansible=ansible)["changed"] is True
    assert token.stat().st_mode & 0o777 == 0o600
    assert ad_hoc(arguments, "--check", ansible=ansible)["changed"] is False
    assert ad_hoc(arguments, ansible=ansible)["changed"] is False


def test_a_misspelt_parameter_gets_the_right_one_suggested_first(ansible):
    result = ad_hoc("action=identify tctii=device:/dev/tpmrm0", ansible=ansible)
    assert result["failed"] is True
    assert result["error"]["kind"] == "invalid_request"
    assert "tctii" in result["msg"]
    assert result["msg"].split("nearest first): ")[1].startswith("tcti")


def test_another_tpm_than_expected_is_a_failure_of_its_own_kind(ansible, tpms):
    result = ad_hoc(f"action=identify tcti={tpms['db-1'].tcti} expected_ek_public_hash={'0' * 64}", ansible=ansible)
    assert result["failed"] is True
    assert result["error"]["kind"] == "identity_changed"


def test_a_missing_binary_is_explained(ansible, tmp_path):
    result = ad_hoc("action=identify", ansible=ansible.copy(tmp_path, binaries=False))
    assert result["failed"] is True
    assert result["error"]["kind"] == "not_found"
    assert "make" in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_a_binary_that_cannot_run_here_is_explained(ansible, tmp_path):
    copy = ansible.copy(tmp_path)
    _write_elf_of_another_machine(copy.collection)
    copy.pack_binaries()
    result = ad_hoc("action=identify", ansible=copy)
    assert result["failed"] is True
    assert "Traceback" not in json.dumps(result)
    assert "MODULE FAILURE" not in result["msg"]


def test_a_binary_that_the_collection_was_not_packed_with_does_not_run(ansible, tmp_path):
    copy = ansible.copy(tmp_path)
    program = copy.collection / "plugins" / "binaries" / BINARY.name
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\necho '{{}}'\n")
    program.chmod(0o755)
    result = ad_hoc("action=identify", ansible=copy)
    assert result["error"]["kind"] == "conflict" and "Install the collection again" in result["msg"], result
    assert not (tmp_path / "owned").exists()


def test_a_host_sets_no_other_facts_than_its_tpms(ansible, tmp_path):
    copy = ansible.copy(tmp_path)
    program = copy.collection / "plugins" / "binaries" / BINARY.name
    evil = {"tbot_tctl_command": "rm"}
    facts, statistics = {"tbot_tpm": {"ek_source": "x"}} | evil, {"data": evil, "per_host": False}
    answer = {"changed": False, "ansible_facts": facts, "ansible_stats": statistics}
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(0o755)
    copy.pack_binaries()
    result = ad_hoc("action=identify", ansible=copy)
    assert result["ansible_facts"] == {"tbot_tpm": {"ek_source": "x"}}
    # These become variables of the next job in a workflow.
    assert "ansible_stats" not in result


def test_async_ad_hoc(ansible, tpms, tmp_path):
    result = ad_hoc(f"action=identify tcti={tpms['web-1'].tcti}", "--background", "60", "--poll", "1", ansible=ansible)
    assert result["finished"] == 1
    assert result["ek_public_hash"] == ek_public_hash(tpms["web-1"], tmp_path)


PLAYBOOK = """
- hosts: web-1
  gather_facts: false
  vars:
    tctis: "{{ groups['all'] | map('extract', hostvars, 'tbot_tcti') | list }}"
  tasks:
    - name: Every TPM in a loop
      tbot.tpm.tbot_tpm:
        action: identify
        tcti: "{{ item }}"
      loop: "{{ tctis }}"
      register: looped
    - name: On behalf of another host
      tbot.tpm.tbot_tpm:
        action: identify
        tcti: "{{ hostvars['db-1'].tbot_tcti }}"
      delegate_to: db-1
      register: delegated
    - name: In the background
      tbot.tpm.tbot_tpm:
        action: identify
        tcti: "{{ tbot_tcti }}"
      async: 60
      poll: 0
      register: job
    - name: The background result
      ansible.builtin.async_status:
        jid: "{{ job.ansible_job_id }}"
      register: background
      until: background is finished
      retries: 60
      delay: 1
    - name: Nothing of it shown
      tbot.tpm.tbot_tpm:
        action: identify
        tcti: "{{ tbot_tcti }}"
      no_log: true
      register: hidden
    - name: Keep the results
      ansible.builtin.copy:
        content: "{{ results | to_json }}"
        dest: "{{ results_file }}"
        mode: "0600"
      vars:
        results:
          looped: "{{ looped.results | map(attribute='ek_public_hash') | list }}"
          delegated: "{{ delegated.ek_public_hash }}"
          background: "{{ background.ek_public_hash }}"
          fact: "{{ ansible_facts.tbot_tpm.ek_public_hash }}"
"""


def test_loop_delegation_background_and_facts_in_a_playbook(new_fleet: Fleet, tpms, tmp_path: Path):
    playbook, results_file = tmp_path / "play.yml", tmp_path / "results.json"
    playbook.write_text(PLAYBOOK)
    run = new_fleet.play(playbook, "--extra-vars", f"results_file={results_file}")
    assert run.returncode == 0, run.output
    expected = {host: ek_public_hash(tpm, tmp_path) for host, tpm in tpms.items()}
    assert json.loads(results_file.read_text()) == {
        "looped": list(expected.values()),
        "delegated": expected["db-1"],
        "background": expected["web-1"],
        "fact": expected["web-1"],
    }


def test_the_identity_stays_in_a_fact_cache(ansible, tpms, tmp_path: Path):
    cache = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "cache")}

    def ad_hoc_with_cache(module: str, arguments: str) -> str:
        command = ["ansible", "localhost", "--inventory", "localhost,", "--connection", "local", "--module-name", module]
        run = ansible.run(tmp_path, *command, "--args", arguments, settings=cache)
        assert run.returncode == 0, run.output
        return run.output

    ad_hoc_with_cache(ansible.module, f"action=identify tcti={tpms['web-1'].tcti}")
    shown = ad_hoc_with_cache("debug", "msg={{ ansible_facts.tbot_tpm.ek_public_hash }}")
    assert ek_public_hash(tpms["web-1"], tmp_path) in shown


def _write_elf_of_another_machine(collection: Path) -> None:
    """A file that begins as an ELF program for a processor that this is not (SPARC)."""
    program = collection / "plugins" / "binaries" / BINARY.name
    header = b"\x7fELF" + bytes([1, 2, 1]) + bytes(9) + b"\x00\x02\x00\x02\x00\x00\x00\x01" + bytes(40)
    program.write_bytes(header)
    program.chmod(0o755)
