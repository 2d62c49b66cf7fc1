"""Several bots on one host: each with its own token, of which a host has a rule only where it has the bot."""

from __future__ import annotations

import pytest
import yaml
from cluster import Cluster
from fleet import Fleet

ALL = {"web-1", "db-1", "build-1"}
TOKEN = "tbot-deploy"


def deploy(**more: object) -> dict[str, object]:
    """The instance `deploy`, in the folders that stand for a host."""
    paths = {
        "config_path": "{{ tbot_config_path | dirname }}/tbot-deploy.yaml",
        "storage_path": "{{ tbot_storage_path }}-deploy",
    }
    return {"name": "deploy", "bot_roles": ["deployer"], **paths, **more}


def own(fleet: Fleet, host: str) -> set[str]:
    """Which of an instance's files the host has."""
    paths = ("etc/tbot-deploy.yaml", "var/lib/teleport/bot-deploy", "etc/systemd/system/tbot-deploy.service")
    return {path for path in paths if fleet.host_path(host, path).exists()}


def token_of(fleet: Fleet, host: str, config: str = "tbot-deploy") -> str:
    return yaml.safe_load(fleet.host_path(host, f"etc/{config}.yaml").read_text())["onboarding"]["token"]


@pytest.fixture
def two(cluster: Cluster) -> Cluster:
    """Two of three hosts have a second bot."""
    cluster.fleet.variables = {host: {"tbot_instances": [deploy()]} for host in ("web-1", "db-1")}
    run = cluster.play("site", tbot_bot_roles=["access"])
    assert run.returncode == 0, run.output
    return cluster


def test_only_a_host_that_has_the_bot_may_join_as_it(two):
    fleet = two.fleet
    assert (two.rules(), two.rules_of(TOKEN)) == (ALL, {"web-1", "db-1"})
    assert (two.folder / "bot" / "deploy.json").exists()
    assert {host: len(own(fleet, host)) for host in ALL} == {"web-1": 3, "db-1": 3, "build-1": 0}
    assert [token_of(fleet, "web-1", name) for name in ("tbot", "tbot-deploy")] == ["test-hosts", TOKEN]


@pytest.mark.parametrize("playbook", ["site", "verify"])
@pytest.mark.parametrize("arguments", [[], ["--check"], ["--limit", "build-1"]])
def test_a_second_run_changes_nothing(two, playbook, arguments):
    before = two.fleet.files()
    run = two.play(playbook, *arguments)
    assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output
    assert two.fleet.files() == before
    assert (two.rules(), two.rules_of(TOKEN)) == (ALL, {"web-1", "db-1"})


def test_check_mode_says_what_a_run_does_and_does_nothing(cluster: Cluster):
    cluster.fleet.variables = {"web-1": {"tbot_instances": [deploy()]}}
    before = cluster.fleet.files()
    predicted = cluster.play("site", "--check", "--diff")
    assert predicted.returncode == 0, predicted.output
    assert cluster.fleet.files() == before and cluster.rules_of(TOKEN) == set()
    assert predicted.changed() == cluster.play("site").changed(), predicted.output


def test_verify_names_the_bot_that_differs(two):
    two.fleet.host_path("web-1", "etc/tbot-deploy.yaml").write_text("version: v2\n")
    run = two.play("verify")
    assert run.returncode != 0
    assert "instance deploy: the configuration differs" in " ".join(run.output.split()), run.output


def test_a_bot_goes_from_the_hosts_of_a_run_and_stays_on_the_others(two):
    fleet = two.fleet
    fleet.variables["web-1"] = {"tbot_instances": [deploy(state="absent")]}
    predicted = two.play("site", "--limit", "web-1", "--check")
    assert two.rules_of(TOKEN) == {"web-1", "db-1"} and len(own(fleet, "web-1")) == 3
    run = two.play("site", "--limit", "web-1")
    assert (run.returncode, predicted.changed()) == (0, run.changed()), run.output
    assert (two.rules(), two.rules_of(TOKEN)) == (ALL, {"db-1"})
    assert (own(fleet, "web-1"), len(own(fleet, "db-1"))) == (set(), 3)
    assert not any(two.play("site", "--limit", "web-1").changed().values())
    # From the last one as well: then nobody joins as it any more.
    fleet.variables["db-1"] = {"tbot_instances": [deploy(state="absent")]}
    run = two.play("site")
    assert run.returncode == 0, run.output
    assert two.rules() == ALL and not (two.folder / "token" / f"{TOKEN}.json").exists()
    assert "tctl rm bot/deploy" in run.output, run.output
    assert not any(two.play("site").changed().values())


def test_hosts_out_of_service_lose_all_their_bots(two):
    run = two.play("decommission", "--limit", "web-1")
    assert run.returncode == 0, run.output
    assert (two.rules(), two.rules_of(TOKEN)) == (ALL - {"web-1"}, {"db-1"})
    assert own(two.fleet, "web-1") == set() and not two.fleet.host_path("web-1", "etc/tbot.yaml").exists()
    assert len(own(two.fleet, "db-1")) == 3


def test_a_tpm_that_was_archived_by_hand_joins_as_no_bot(two):
    registry = two.fleet.registry_directory
    (registry / "archive").mkdir(exist_ok=True)
    (registry / "web-1.json").rename(registry / "archive" / "web-1.json")
    run = two.site("--limit", "db-1")
    assert run.returncode == 0, run.output
    assert (two.rules(), two.rules_of(TOKEN)) == (ALL - {"web-1"}, {"db-1"})


@pytest.mark.parametrize(("layout", "names"), [
    ({"tbot_token_per_host": True}, {"test-hosts-web-1", "tbot-deploy-web-1"}),
    ({"tbot_token_shards": 2}, {"test-hosts-0", "test-hosts-1", "tbot-deploy-0", "tbot-deploy-1"}),
], ids=["one a host", "sharded"])  # fmt: skip
def test_each_bot_has_tokens_by_the_layout_of_the_run(cluster: Cluster, layout, names):
    cluster.fleet.variables = {"web-1": {"tbot_instances": [deploy()]}}
    for _ in range(2):
        run = cluster.play("site", "--limit", "web-1", **layout)
        assert run.returncode == 0, run.output
    assert not any(run.changed().values()), run.output
    used = {token_of(cluster.fleet, "web-1", name) for name in ("tbot", "tbot-deploy")}
    assert used <= names and len(used) == 2
    assert all(cluster.rules_of(token) == {"web-1"} for token in used if token.startswith("tbot-"))
    # The configurations keep their tokens where the run is not about these.
    run = cluster.play("deploy", "--limit", "web-1", **layout)
    assert run.returncode == 0 and not any(run.changed().values()), run.output


@pytest.mark.parametrize(("instances", "said"), [
    ([deploy(), deploy()], "two of tbot_instances are called `deploy`"),
    ([deploy(config_path="{{ tbot_config_path }}")], "/etc/tbot.yaml"),
    ([deploy(storage_path="{{ tbot_storage_path }}/deploy")], "/var/lib/teleport/bot"),
    ([deploy(service_name="tbot.service")], "tbot.service"),
    ([deploy(diag_addr="127.0.0.1:3001")], "127.0.0.1:3001"),
    ([deploy(token_name="test-hosts")], "test-hosts"),
    ([deploy(token_name="test-hosts-3")], "test-hosts-3"),
    ([deploy(bot_name="test-bot")], "test-bot"),
    ([deploy(name="../deploy")], 'tbot_instances[0].name: "../deploy" cannot name an instance'),
    ([deploy(role="deployer")], "role"),
    ([{"bot_roles": []}], "name"),
    ([deploy(state="gone")], "gone"),
    ([deploy(services=[{"type": "identity"}])], "instance deploy: the configuration would not be valid: `services[0]`"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_cannot_be_right_is_said_before_anything_is_done(cluster: Cluster, instances, said):
    cluster.fleet.variables = {"web-1": {"tbot_instances": instances}}
    before = cluster.fleet.files()
    run = cluster.play("site", "--limit", "web-1")
    assert run.returncode != 0 and said in " ".join(run.output.split()), run.output
    assert cluster.fleet.files() == before and cluster.rules() == set() and not (cluster.folder / "commands").exists()


def test_one_bot_cannot_be_two_in_the_cluster(cluster: Cluster):
    cluster.fleet.variables = {
        "web-1": {"tbot_instances": [deploy()]}, "db-1": {"tbot_instances": [deploy(bot_roles=["admin"])]},
    }  # fmt: skip
    run = cluster.play("site")
    said = "bot_roles of the instance deploy in tbot_instances is not the same on web-1 and db-1"
    assert run.returncode != 0 and said in " ".join(run.output.split()), run.output
    assert cluster.rules() == set()


def test_nothing_is_applied_where_one_of_the_bots_cannot_be(cluster: Cluster):
    # Without roles, the bot has to be there.
    cluster.fleet.variables = {"web-1": {"tbot_instances": [{**deploy(), "bot_roles": None}]}}
    cluster.folder.joinpath("token", f"{TOKEN}.json").write_text(
        '{"kind": "token", "version": "v2", "metadata": {"name": "tbot-deploy"}, "spec": {"roles": ["Node"], "join_method": "iam"}}'
    )
    run = cluster.play("site", "--limit", "web-1")
    assert run.returncode != 0 and "instance deploy" in run.output, run.output
    assert cluster.rules() == set() and own(cluster.fleet, "web-1") == set()


def test_the_roles_alone_handle_them_as_well(cluster: Cluster, tmp_path):
    cluster.fleet.variables = {host: {"tbot_instances": [deploy()]} for host in ("web-1", "db-1")}
    playbook = tmp_path / "own.yml"
    roles = [f"tbot.tpm.{role}" for role in ("tpm_identity", "join_token", "tbot_service")]
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": roles}]))
    run = cluster.fleet.play(playbook, variables=cluster.variables)
    assert run.returncode == 0, run.output
    assert (cluster.rules(), cluster.rules_of(TOKEN)) == (ALL, {"web-1", "db-1"})
    assert token_of(cluster.fleet, "db-1") == TOKEN
