"""The module's documentation names what the binary takes and answers, by asking it."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import ansible_runs
import documentation
import pytest
import yaml
from fleet import ask_binary
from proxy import Proxy

# Ansible's own, which every module has.
COMMON = {"changed", "invocation"}
# Whose keys are somebody else's to say: a proxy's, hosts' names, tbot's, a cluster's, and those of other results.
OPEN = {"auto_update", "host_tokens", "status", "current", "ansible_facts.tbot_tpm", "entries.identity", "entries.error"} | {
    "access", "storage", "config", "destinations", "instances", "systemd", "service", "program", "recorded", "recorded.identity",
}  # fmt: skip
USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
ACTION = r"O\(action=(\w+)\)"
BELONGS = re.compile(rf"(?:^|\. )With ((?:{ACTION}(?:, | or | and )?)+)")
# The defaults that no answer shows: of how long something may take, of a file that only a device needs, and of a service that there
# is not.
UNSEEN = {
    *((action, "timeout") for action in ("identify", "access", "cluster", "ekcert_ca", "enroll")),
    *((action, "total_timeout") for action in ("ekcert_ca", "enroll")),
    *(("enroll", option) for option in ("fetch_timeout", "settle_seconds")),
    ("access", "udev_rule"),
    *(("service", option) for option in ("name", "config", "wait", "readers", "lines")),
}
BY_DEFAULT = re.compile(r"V\(([^)]*)\) by default")
# What the plugin passes on by itself, and what it makes of facts.
BY_PLUGIN = {"changed", "msg", "warnings", "diff", "ansible_facts"}
OTHER_TPM = {"ek_public_hash": "ab" * 32, "ek_cert_present": False}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return documentation.of_the_module(tmp_path_factory.mktemp("doc"))


@pytest.fixture(scope="module")
def options(described: dict) -> dict[str, dict]:
    return described["doc"]["options"]


@pytest.fixture(scope="module")
def actions(options: dict) -> list[str]:
    return options["action"]["choices"]


class Cluster:
    """The stand-in's folder, with these tokens as YAML."""

    def __init__(self, folder: Path, tctl: Path, tokens: str = "") -> None:
        self.tctl = ["env", f"STAND_IN_CLUSTER={folder}", str(tctl)]
        (folder / "token").mkdir(parents=True)
        for token in yaml.safe_load_all(tokens):
            (folder / "token" / f"{token['metadata']['name']}.json").write_text(json.dumps(token))


@pytest.fixture(scope="module")
def requests(tmp_path_factory, tpms, ca, stand_ins) -> dict[str, dict]:
    """For each action a request that succeeds, and of which everything is answered that can be. Those that change something do so
    once."""
    folder = tmp_path_factory.mktemp("requests")
    registry = folder / "registry"
    identities = {host: ask_binary({"action": "identify", "tcti": tpm.tcti}) for host, tpm in tpms.items()}
    for host in ("db-1", "build-1"):
        recorded = ask_binary({"action": "registry", "registry": str(registry), "host": host, "identity": identities[host]})
        assert recorded["changed"], recorded
    tagged = {"registry": str(registry), "host": "web-1", "identity": identities["web-1"]}
    ask_binary({"action": "registry", **tagged, "rule_description": "asset 1"})
    proxy = Proxy(folder / "proxy-ca.pem")
    proxy.found = {"server_version": "18.2.0"}
    chain = {"ek_cert_chain_pem": (ca / "issuercert.pem").read_text()}  # which these TPMs do not hold
    account = {"user": USER, "group": GROUP}
    token = {"name": "test", "bot_name": "test", "match": "hash_and_serial", "ekcert_allowed_cas": [str(ca / "issuercert.pem")]}
    hosts = [{"description": host, **identity} for host, identity in identities.items()]
    services = [{"type": "identity", "destination": {"type": "directory", "path": path}} for path in (f"{folder}/output", "/run/tbot-test")]
    (folder / "outputs.yaml").write_text(json.dumps({"services": services}))
    built = ask_binary({"action": "token", **token, "hosts": hosts, "allow_lockout": True})
    return {
        "identify": {
            "tcti": tpms["web-1"].tcti, "program": {}, "record": {"registry": str(folder / "recorded"), "host": "web-1"},
        },
        "program": {"path": "/no/such/tbot"},
        "summary": {"hosts": [{"host": "web-1", "problem": "it is down"}]},
        # In check mode, so that something changes.
        "access": {"tcti": tpms["web-1"].tcti, "user": "there-is-no-such-user", "group": GROUP, "_ansible_check_mode": True},
        "registry": tagged | {"identity": identities["web-1"] | chain, "rule_description": "asset 2"},
        "token": token | {"hosts": hosts, "skip_refused": True, "path": str(folder / "token.yaml")},
        "preflight": {"token": built["content"], "hosts": hosts},
        "ekcert_ca": {
            "hosts": hosts, "fetch": False, "skip_untrusted": True,
            "ca_bundle": [str(ca / "issuercert.pem")], "trusted_roots": [str(ca / "swtpm-localca-rootca-cert.pem")],
        },
        "enroll": token | {
            "tctl": Cluster(folder / "cluster", stand_ins / "tctl").tctl, "settle_seconds": 0, "bot": {"roles": ["access"]},
            "hosts": hosts, "path": str(folder / "enrolled.yaml"), "instances": [{"name": "other", "bot_roles": []}],
        },
        "cluster": {"proxy_server": proxy.address, "ca_file": str(proxy.ca_file)},
        "storage": {"path": str(folder / "bot")},
        "config": {"path": str(folder / "tbot.yaml"), "proxy_server": "example.com:443", "token": "test", "group": GROUP},
        "destinations": {"config": str(folder / "outputs.yaml"), "owner": USER, "group": GROUP, "_ansible_check_mode": True},
        "systemd": {"directory": str(folder), **account},
        "service": {"name": "there-is-no-such-unit", "state": "started", "_ansible_check_mode": True},
        "deploy": deployed(folder / "deployed", tpms["web-1"].tcti),
    }  # fmt: skip


def deployed(folder: Path, tcti: str) -> dict:
    """A request of action `deploy` with every part, in check mode."""
    folder.mkdir()
    return {
        "program": {"path": "/no/such/tbot"},
        "access": {"tcti": tcti, "user": "there-is-no-such-user", "group": GROUP},
        "storage": {"path": str(folder / "bot")},
        "config": {"path": str(folder / "tbot.yaml"), "proxy_server": "example.com:443", "token": "test"},
        "destinations": {},
        "systemd": {"directory": str(folder)},
        "service": {"name": "there-is-no-such-unit"},
        "instances": [{"name": "there-is-no-such-instance"}],
        "_ansible_check_mode": True,
    }


@pytest.fixture(scope="module")
def answers(requests: dict[str, dict]) -> dict[str, dict]:
    found = {action: ask_binary({"action": action, "_ansible_diff": True, **request}) for action, request in requests.items()}
    # Where hosts are listed, it has other results.
    listed = ask_binary({"action": "registry", "registry": requests["registry"]["registry"], "state": "listed"})
    found["registry"] |= {name: listed[name] for name in ("host_names", "withdrawn_hashes")}
    found["registry"]["shared"] = ask_binary({"action": "registry", **leaving(requests, "web-1"), "allow_lockout": True})["shared"]
    hosts = [{"host": "web-1", "identity": requests["registry"]["identity"]}, {"host": "db-1", "identity": OTHER_TPM}]
    many = ask_binary({"action": "registry", "registry": requests["registry"]["registry"], "hosts": hosts})
    found["registry"]["entries"] = many["entries"]
    contents = ask_binary({"action": "registry", **other_registry(requests), "state": "contents"})
    found["registry"] |= {name: contents[name] for name in ("hosts", "former")}
    # Where the cluster is only read, and where the files are another machine's.
    read = ask_binary({"action": "enroll", **requests["enroll"], "read_only": True, "all_tokens": True})
    found["enroll"] |= {name: read[name] for name in ("is_read", "current")}
    found["enroll"]["contents"] = ask_binary({"action": "enroll", **requests["enroll"], "write_files": False})["contents"]
    assert not [answer for answer in found.values() if answer.get("failed")]
    return found


def other_registry(requests: dict[str, dict]) -> dict:
    """A registry of its own, with one host, and with one in its archive."""
    registry = {"registry": str(Path(requests["registry"]["registry"]).with_name("other-registry"))}
    for host in ("web-1", "web-9"):
        identity = requests["registry"]["identity"] if host == "web-1" else OTHER_TPM
        assert ask_binary({"action": "registry", **registry, "host": host, "identity": identity})["changed"]
    assert ask_binary({"action": "registry", **registry, "host": "web-9", "state": "archived"})["changed"]
    return registry


def leaving(requests: dict[str, dict], host: str) -> dict:
    """A request of action `registry` about a host that another token has as well."""
    registry = requests["registry"]["registry"]
    entry = json.loads(Path(registry, f"{host}.json").read_text())
    rule = {"description": host, "ek_public_hash": entry["ek_public_hash"]}
    spec = {"roles": ["Bot"], "join_method": "tpm", "bot_name": "other", "tpm": {"allow": [rule]}}
    other = {"kind": "token", "version": "v2", "metadata": {"name": "other"}, "spec": spec}
    return {"registry": registry, "state": "leaving", "only": [host], "name": "test", "bot_name": "test", "current": [other]}


def belongs_to(text: str | list[str]) -> set[str]:
    """The actions that sentences begin with: With O(action=one) or O(action=other), …"""
    paragraphs = [text] if isinstance(text, str) else text
    found = [match[1] for paragraph in paragraphs for match in BELONGS.finditer(paragraph)]
    return {action for phrase in found for action in re.findall(ACTION, phrase)}


def test_every_option_says_which_actions_it_belongs_to(options, actions):
    accepted = defaultdict(set)
    for action in actions:
        for name in documentation.accepted_parameters(action):
            accepted[name].add(action)
    described = {name: belongs_to(option["description"]) for name, option in options.items() if name != "action"}
    assert described == accepted


def test_every_result_is_documented_and_no_other(described, answers):
    returned = {
        action: {name for name, result in described["return"].items() if f"O(action={action})" in result["returned"]}
        for action in answers
    }
    always = {name for name, result in described["return"].items() if result["returned"] == "on success"}
    assert {action: set(answer) - COMMON - always for action, answer in answers.items()} == returned


def contents(documented: dict, value: object, place: str = "") -> Iterator[tuple[str, dict, dict]]:
    """Each mapping in an answer, with where it is and what is documented of it."""
    for name, result in documented.items():
        inner = value.get(name)
        here = f"{place}.{name}".strip(".")
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict) and here not in OPEN:
                yield here, result, each
                yield from contents(result.get("contains", {}), each, here)


def test_what_results_contain_is_documented_and_nothing_else(described, answers):
    found, expected = defaultdict(set), {}
    for answer in answers.values():
        for place, result, value in contents(described["return"], answer):
            expected[place] = set(result.get("contains", {}))
            found[place] |= set(value)
            always = {name for name, inner in result.get("contains", {}).items() if inner["returned"] == "always"}
            assert always <= set(value), place
    assert dict(found) == expected
    assert {place.split(".")[0] for place in found} >= {
        "ek_cert", "tpm", "rules", "tokens", "hosts", "former", "issuers", "unresolved", "refused", "bot", "contents", "diff",
    }  # fmt: skip
    assert answers["identify"]["ansible_facts"]["tbot_tpm"] == {
        name: value for name, value in answers["identify"].items() if name in answers["identify"]["ansible_facts"]["tbot_tpm"]
    }


def test_every_result_that_the_code_names_is_documented(described):
    """Also what no answer here has."""
    sources = (ansible_runs.PROJECT / "src" / "actions").rglob("*.rs")
    named = {name for source in sources for name in re.findall(r"\.result\(\s*\"(\w+)\"", source.read_text())}
    assert len(named) > 40
    assert named <= set(described["return"])


def test_a_failure_is_documented(described):
    wrong = [{"action": "identity"}, {"action": "identify", "tcti": "device:/dev/null"}, {"action": "storage", "path": "/"}]
    failures = [ask_binary(request) for request in wrong]
    assert set().union(*(failure["error"] for failure in failures)) == set(described["return"]["error"]["contains"])
    assert set().union(*failures) - {"failed"} == {
        name for name, result in described["return"].items() if result["returned"] == "on failure"
    }


def test_the_cluster_was_read_and_the_files_were_answered(answers):
    """Else what they contain was compared with nothing."""
    enrolled = answers["enroll"]
    assert (enrolled["applied"], enrolled["is_read"], enrolled["bot"]["state"]) == (True, True, "made")
    assert [token["metadata"]["name"] for token in enrolled["current"]] == ["tbot-other", "test"]
    assert [Path(file["path"]).name for file in enrolled["contents"]] == [
        "test.bot.yaml", "enrolled.yaml", "enrolled.yaml.applied", "other.bot.yaml", "tbot-other.yaml", "tbot-other.yaml.applied",
    ]  # fmt: skip
    assert [host["description"] for host in answers["registry"]["former"]] == ["web-9"]


def asked(action: str, request: dict) -> dict:
    """The answer in check mode, without what it says of the request."""
    answer = ask_binary({"action": action, "_ansible_check_mode": True, "_ansible_diff": True, **request})
    return {name: value for name, value in answer.items() if name != "invocation"}


@pytest.fixture(scope="module")
def cases(requests, tmp_path_factory, stand_ins) -> dict[tuple[str, str], tuple[object, dict]]:
    """For options that have a default another value, and what to ask for so that the answer depends on it. None is not given."""
    folder = tmp_path_factory.mktemp("cases")
    access, config, systemd, ekcert_ca = (requests[action] for action in ("access", "config", "systemd", "ekcert_ca"))
    outputs = requests["destinations"]
    unused = folder / "unused"
    unused.mkdir()
    registry = requests["registry"]["registry"]
    found = folder / "tbot"
    found.write_text("#!/bin/sh\necho Teleport v17.5.1\n")
    found.chmod(0o755)
    Path(systemd["directory"], "foreign.service").write_text("[Service]\nExecStart=/bin/true\n")
    changed = {"registry": registry, "host": "db-1", "identity": OTHER_TPM}
    token = {"name": "test", "bot_name": "test", "hosts": [{"description": "db-1", **OTHER_TPM}]}
    replaced = token | {"hosts": [{"description": "db-1", "ek_public_hash": "cd" * 32}]}
    many = [{"ek_public_hash": hashlib.sha256(bytes([number >> 8, number & 255])).hexdigest()} for number in range(5000)]
    refusing = requests["token"] | {"skip_refused": None, "path": None}
    stored, former, spread = (asked("token", each)["content"] for each in (replaced, token, token | {"shards": 2}))
    untrusted = ekcert_ca | {"trusted_roots": None}
    issuer = asked("ekcert_ca", ekcert_ca)["issuers"][0]["sha256"]
    tokens = {"without": "", "with": stored, "former": f"---\n{former}---\n{spread}"}
    tctl = {name: {"tctl": Cluster(folder / name, stand_ins / "tctl", text).tctl} for name, text in tokens.items()}
    enroll, merged = token | tctl["without"], token | tctl["with"]
    choosy = requests["enroll"] | tctl["without"] | {"path": None, "match": None, "skip_refused": False}
    search = enroll | {name: ekcert_ca[name] for name in ("hosts", "fetch", "ca_bundle", "trusted_roots")}
    proxy = Proxy(folder / "proxy-ca.pem")
    proxy.found = {"server_version": "18.2.0", "edition": "oss"}
    cluster = {"proxy_server": proxy.address, "ca_file": str(proxy.ca_file)}
    return {
        ("access", "create"): (False, access | {"user": "there-is-no-such-user", "create": None}),
        ("access", "user"): (USER, access | {"user": None}),
        ("access", "group"): ("there-is-no-such-group", {"tcti": access["tcti"]}),
        ("access", "supplementary_groups"): (["root"], {"tcti": access["tcti"]}),
        ("identify", "backend"): ("esapi", requests["identify"]),
        ("registry", "accept_identity_change"): (True, changed),
        ("registry", "state"): ("archived", changed | {"host": "new"}),
        ("registry", "allow_lockout"): (True, leaving(requests, "db-1")),
        ("token", "withdraw"): (True, token | {"hosts": None, "registry": registry}),
        ("token", "archived"): (["build-1"], token | {"hosts": None, "registry": registry}),
        ("token", "prune"): (True, token | {"current": stored}),
        ("token", "replace"): (True, token | {"current": stored}),
        ("token", "shards"): (2, token),
        ("token", "retire"): (True, token | {"shards": 2, "current": f"---\n{former}---\n{spread}"}),
        ("token", "match"): ("hash_and_serial", refusing | {"allow_lockout": True, "match": None}),
        # One that is too large, which the answer compares with the limit.
        ("token", "max_bytes"): (399_999, token | {"hosts": many}),
        ("token", "allow_lockout"): (True, refusing),
        ("token", "skip_refused"): (True, refusing),
        ("ekcert_ca", "archived"): (["build-1"], ekcert_ca | {"hosts": None, "registry": registry}),
        ("ekcert_ca", "ca_bundle"): (ekcert_ca["ca_bundle"], ekcert_ca | {"ca_bundle": None}),
        ("ekcert_ca", "trusted_roots"): (ekcert_ca["trusted_roots"], untrusted),
        ("ekcert_ca", "trusted_sha256"): ([issuer], untrusted),
        ("ekcert_ca", "fetch"): (False, ekcert_ca | {"fetch": None, "ca_file": "/there/is/no/such/file"}),
        ("ekcert_ca", "skip_untrusted"): (True, untrusted | {"skip_untrusted": None}),
        ("enroll", "apply"): (False, enroll),
        ("enroll", "read_only"): (True, enroll),
        ("enroll", "all_tokens"): (True, merged | {"read_only": True}),
        ("enroll", "write_files"): (False, enroll | {"path": str(folder / "token.yaml")}),
        ("enroll", "applied_before"): (["test-9\n"], enroll),
        ("enroll", "recreate"): (True, enroll | {"applied_before": ["test-9\n"]}),
        ("enroll", "takes_away"): (True, search | {"ca_bundle": None, "trusted_roots": None, "trusted_sha256": ["ab" * 32]}),
        ("enroll", "archived"): (["build-1"], enroll | {"hosts": None, "registry": registry}),
        ("enroll", "prune"): (True, merged),
        ("enroll", "replace"): (True, merged),
        ("enroll", "shards"): (2, enroll),
        ("enroll", "retire"): (True, enroll | tctl["former"] | {"shards": 2}),
        ("enroll", "match"): ("hash_and_serial", choosy | {"allow_lockout": True}),
        ("enroll", "max_bytes"): (399_999, enroll | {"hosts": many}),
        ("enroll", "allow_lockout"): (True, choosy),
        ("enroll", "skip_refused"): (False, choosy | {"skip_refused": None}),
        ("enroll", "fetch"): (False, search | {"fetch": None, "ca_file": "/there/is/no/such/file"}),
        ("cluster", "require"): (["min_client_version"], cluster),
        ("cluster", "require_enterprise"): (True, cluster),
        ("storage", "path"): (requests["storage"]["path"], {}),
        ("storage", "mode"): ("0750", requests["storage"]),
        ("storage", "state"): ("absent", requests["storage"]),
        ("config", "path"): (config["path"], config | {"path": None}),
        ("config", "group"): ("there-is-no-such-group", config | {"group": None}),
        ("config", "mode"): ("0600", config),
        ("config", "state"): ("absent", config),
        ("config", "extra"): ({"debug": True}, config),
        ("config", "defaults"): ({"debug": True}, config),
        ("program", "path"): (str(found), {}),
        ("program", "follow_cluster"): (True, {"path": str(found), "cluster": {"server_version": "99.0.0"}}),
        ("program", "allow_downgrade"): (True, {"path": str(found), "version": "1.0.0"}),
        ("summary", "expects_token"): (True, {"hosts": [{"host": "web-1", "deployed": {"config": {}}}]}),
        ("summary", "verifies"): (True, {"hosts": [{"host": "web-1"}]}),
        ("deploy", "state"): ("absent", {"systemd": systemd}),
        ("deploy", "token_suffix"): ("-1", {
            "config": {"proxy_server": "example.com:443", "token": "a", "path": str(folder / "tbot.yaml"), "group": GROUP},
            "instances": [{"name": "a", "config_path": str(folder / "tbot-a.yaml")}], "_ansible_check_mode": True,
        }),
        ("destinations", "absent"): ([str(unused)], outputs),
        ("destinations", "config"): (outputs["config"], {"owner": USER, "group": GROUP, "_ansible_check_mode": True}),
        ("destinations", "owner"): (USER, outputs | {"owner": None, "_ansible_check_mode": False}),
        ("destinations", "group"): (GROUP, outputs | {"group": None, "_ansible_check_mode": False}),
        ("systemd", "name"): ("other", systemd),
        ("systemd", "user"): (USER, systemd | {"user": None}),
        ("systemd", "group"): (GROUP, systemd | {"group": None}),
        ("systemd", "config"): ("/etc/other.yaml", systemd),
        ("systemd", "tbot_path"): ("/opt/tbot", systemd),
        ("systemd", "directory"): (systemd["directory"], systemd | {"directory": None}),
        ("systemd", "mode"): ("drop_in", systemd),
        ("systemd", "state"): ("absent", systemd),
        ("systemd", "supplementary_groups"): (["root"], systemd),
        ("systemd", "anonymous_telemetry"): (True, systemd),
        ("systemd", "force"): (True, systemd | {"name": "foreign", "mode": "unit"}),
    }


@pytest.fixture(scope="module")
def defaults(options: dict, actions: list[str]) -> dict[tuple[str, str], object]:
    """The documented defaults of actions' options: the option's own, or what is said where it is said with which action."""
    found = {}
    for name, option in options.items():
        for paragraph in option["description"]:
            for action in belongs_to(paragraph):
                if said := BY_DEFAULT.search(paragraph):
                    found[action, name] = yaml.safe_load(said[1])
                elif "default" in option:
                    found[action, name] = option["default"]
    return found


def test_every_documented_default_is_tried(defaults, cases):
    assert set(defaults) == set(cases) | UNSEEN


def test_the_documented_defaults_are_the_binarys(defaults, cases):
    wrong = []
    for (action, name), (other, request) in cases.items():
        without = asked(action, request)
        if asked(action, request | {name: defaults[action, name]}) != without or asked(action, request | {name: other}) == without:
            wrong.append(f"{action}: {name}")
    assert not wrong


def test_the_documented_choices_are_the_binarys(options, actions):
    for name, option in options.items():
        if name == "action" or "choices" not in option:
            continue
        taken = set()
        for action in belongs_to(option["description"]):
            refused = asked(action, {name: "no such choice"})["msg"]
            taken |= set(refused.split("none of its values: ")[1].split(", "))
        assert taken == set(option["choices"]), name
    refused = asked("no such action", {})["msg"]
    assert set(refused.split("nearest first): ")[1].split(", ")) == set(actions)


def test_what_is_required_says_so(options, actions):
    """Each action is asked for with nothing, and then with what it wants first, until it wants no more."""
    wanted = set()
    for action in actions:
        request = {}
        while missing := re.search(r"needs parameter `(\w+)`", asked(action, request).get("msg", "")):
            wanted.add((action, missing[1]))
            request[missing[1]] = "/x" if missing[1] == "registry" else "x"
    described = {word: set() for word in ("; required", "needs it")}
    for name, option in options.items():
        for action, paragraph in ((action, text) for text in option["description"] for action in belongs_to(text)):
            for word in described:
                described[word] |= {(action, name)} if word in paragraph else set()
    # What a new file needs is only wanted where there is none.
    assert described["; required"] <= wanted <= described["; required"] | described["needs it"]


def leaves(results: dict) -> Iterator[tuple[str, dict]]:
    for name, result in results.items():
        yield name, result
        yield from leaves(result.get("contains", {}))


def test_everything_has_a_type_and_results_have_samples(described, options):
    assert all(option["type"] != "list" or "elements" in option for option in options.values())
    for name, result in leaves(described["return"]):
        assert {"description", "returned", "type"} <= set(result), name
        assert "sample" in result or "contains" in result, name
        assert result["type"] != "list" or "elements" in result, name


def test_the_notes_name_every_kind_of_error(described):
    [kinds] = [note for note in described["doc"]["notes"] if "error.kind" in note]
    assert set(re.findall(r"V\((\w+)\)", kinds)) == documentation.kinds_of_errors()


def test_the_plugin_passes_on_every_documented_result(described):
    plugin = (ansible_runs.COLLECTION / "plugins/action/tbot_tpm.py").read_text()
    passed_on = set(re.findall(r'"(\w+)"', re.search(r"RESULTS = frozenset\((.*?)\)\)", plugin, re.DOTALL)[1]))
    assert passed_on == (set(described["return"]) - BY_PLUGIN) | {"invocation"}
