"""Hosts whose tbot.yaml is there before the first run, as people and other tools have it. Over SSH, by Ansible's defaults."""

from __future__ import annotations

import yaml
from ansible_runs import PROJECT
from fleet import PROXY
from test_over_ssh import new_fleet  # noqa: F401

FILES = PROJECT / "tests/it/teleport/config/as_people_have_them"
HOSTS = {"web-1": "uri", "db-1": "two-documents", "build-1": "secret"}
SECRETS = ["example-token", "secret@", "d41d8cd98f00b204e9800998ecf8427e", "s3cr3t-of-the-first-join"]


def test_site_sets_what_joins_and_leaves_the_rest(new_fleet):  # noqa: F811
    places = {host: new_fleet.host_path(host, "etc/tbot.yaml") for host in HOSTS}
    former = {host: (FILES / f"{name}.yaml").read_text() for host, name in HOSTS.items()}
    for host, place in places.items():
        place.write_text(former[host])
    # Nothing answers at the new address.
    run = new_fleet.site("--diff", "-vvv", variables={"tbot_allow_unreachable_proxy": True})
    assert run.returncode == 0, run.output
    assert [secret for secret in SECRETS if secret in run.output] == [], run.output
    said = " ".join(run.output.split())
    for warning in (
        "it said tbot+proxy+bound-keypair://********@corp.example:443",
        "has several YAML documents, and tbot reads the first alone",
        "`onboarding.bound_keypair` goes, since it is for the former join method",
    ):
        assert warning in said, run.output
    for host, place in places.items():
        # tbot reads the first document.
        config, before = (next(yaml.safe_load_all(text)) for text in (place.read_text(), former[host]))
        assert (config["proxy_server"], config["onboarding"]) == (
            PROXY,
            {"join_method": "tpm", "token": new_fleet.token()["metadata"]["name"]},
        )
        assert config["services"] == before["services"]
        assert "join_uri" not in config
    assert places["db-1"].read_text().endswith(former["db-1"].partition("services: []\n")[2])
    again = new_fleet.site()
    assert {host: again.recap[host]["changed"] for host in HOSTS} == dict.fromkeys(HOSTS, 0), again.output
