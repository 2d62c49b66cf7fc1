"""The role tbot_install with a real apt, in a container: from a signed repository, a script and a tarball."""

from __future__ import annotations

import container
import pytest
from installed import Installed


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, ansible: Installed) -> dict:
    """What install_in_container.py saw after each of its runs of the role."""
    return container.report_of("install_in_container.py", tmp_path_factory.mktemp("install"), ansible=ansible)


def assert_installed(run: dict, version: str) -> None:
    assert run["failed"] == 0, run["output"]
    assert (run["tbot"], run["mode"]) == (f"v{version}", "root:root 755"), run["output"]
    assert run["changed"] > 0, run["output"]
    assert run["left"] == []


def assert_nothing_changed(run: dict, version: str | None) -> None:
    assert run["changed"] == 0, run["output"]
    assert run["tbot"] == (f"v{version}" if version else None), run["output"]
    assert run["left"] == []


@pytest.mark.parametrize("name, version", [
    ("newest", "17.5.2"),
    ("downgrade allowed", "17.5.1"),
    ("upgrade", "18.0.0-rc.1"),
    ("tarball", "18.0.0"),
    ("script", "18.1.0"),
    ("script over a broken program", "18.1.0"),
    ("cluster", "17.5.1"),
    ("cluster was upgraded", "17.5.2"),
])
def test_the_wanted_version_is_installed(seen, name, version):
    assert_installed(seen[name], version)


@pytest.mark.parametrize("name, version", [
    ("newest again", "17.5.2"),
    ("pinned again", "17.5.1"),
    ("pinned again in check mode", "17.5.1"),
    ("any version will do", "17.5.1"),
    ("upgrade again", "18.0.0-rc.1"),
    ("tarball again", "18.0.0"),
    ("script again", "18.1.0"),
])
def test_a_host_that_has_it_is_asked_for_the_version_and_no_more(seen, name, version):
    assert seen[name]["failed"] == 0, seen[name]["output"]
    assert_nothing_changed(seen[name], version)
    # The arguments, the include, and its task that runs on the host.
    assert seen[name]["tasks"] == 3, seen[name]["output"]


def test_the_method_none_does_nothing(seen):
    assert seen["none"]["failed"] == 0, seen["none"]["output"]
    assert_nothing_changed(seen["none"], None)
    assert seen["none"]["tasks"] == 1, seen["none"]["output"]


@pytest.mark.parametrize("name, version", [
    ("check first", None),
    ("upgrade in check mode", "17.5.1"),
    ("tarball in check mode", "18.0.0-rc.1"),
    ("script in check mode", "18.0.0"),
    ("cluster in check mode", None),
])
def test_check_mode_predicts_the_installation(seen, name, version):
    run = seen[name]
    assert run["failed"] == 0, run["output"]
    assert run["changed"] > 0, run["output"]
    assert run["tbot"] == (f"v{version}" if version else None)


def test_check_mode_writes_neither_source_nor_key(seen):
    assert (seen["check first"]["source"], seen["check first"]["key"]) == (None, False)
    assert "+deb [signed-by=" in seen["check first"]["output"]


@pytest.mark.parametrize("name, why, version", [
    ("no key", "Set tbot_repository_key", None),
    ("key of a URL without sum", "tbot_repository_key_sha256", None),
    ("wrong sum of the key", "checksum", None),
    ("wrong sum of the key's text", "must be the SHA-256", None),
    ("no channel", "tbot_major_version", None),
    ("malformed version", "17.5.1", None),
    ("downgrade", "is version 17.5.2, newer than the wanted 17.5.1", "17.5.2"),
    ("downgrade in check mode", "is version 17.5.2, newer than the wanted 17.5.1", "17.5.2"),
    ("tarball without sum", "tbot_tarball_sha256", "18.0.0-rc.1"),
    ("tarball with a wrong sum", "checksum", "18.0.0-rc.1"),
    ("tarball with a malformed sum", "64 hex digits", "18.0.0-rc.1"),
    ("script of nowhere", "tbot_proxy_server", "18.0.0"),
    ("script with a wrong sum", "checksum", "18.0.0"),
    ("no version known", "there is no /usr/local/bin/tbot, and the version to install is the cluster's", None),
    ("cluster with an unknown CA", "not trusted", None),
])
def test_what_is_refused_changes_nothing(seen, name, why, version):
    run = seen[name]
    assert run["failed"] == 1, run["output"]
    assert why in run["error"], run["output"]
    # A private directory that came and went is no change that lasts.
    assert run["tbot"] == (f"v{version}" if version else None), run["output"]
    assert run["left"] == []
    if version is None:
        assert (run["source"], run["key"]) == (None, False), run["output"]


def test_a_repository_that_another_key_signed_brings_nothing(seen):
    assert seen["wrong key"]["failed"] == 1, seen["wrong key"]["output"]
    assert "NO_PUBKEY" in seen["wrong key"]["error"]
    assert seen["wrong key"]["tbot"] is None


@pytest.mark.parametrize("name", ["version that is not there", "package version that is not there"])
def test_a_version_that_the_repository_lacks_is_an_error(seen, name):
    missing = seen[name]
    assert missing["failed"] == 1, missing["output"]
    assert "teleport=17.9.9" in missing["error"]
    assert missing["tbot"] is None


def test_a_tarball_without_the_program_is_an_error(seen):
    without = seen["tarball without tbot"]
    assert without["failed"] == 1, without["output"]
    assert "no file of the name tbot" in without["error"], without["output"]
    assert (without["tbot"], without["left"]) == ("v18.0.0-rc.1", [])


def test_a_package_that_brings_the_program_elsewhere_is_an_error(seen):
    assert seen["elsewhere"]["failed"] == 1, seen["elsewhere"]["output"]
    assert "/opt/tbot should be tbot 18.0.0-rc.1" in seen["elsewhere"]["error"]


def test_a_script_that_brings_another_version_is_an_error(seen):
    other = seen["script with another version"]
    assert other["failed"] == 1, other["output"]
    assert "should be tbot 18.2.0 and is version 18.1.0" in other["error"]
    assert other["left"] == []


def test_the_clusters_version_is_asked_for_once_for_all_hosts(seen):
    for name in ("cluster again", "cluster for another host"):
        assert seen[name]["failed"] == 0, seen[name]["output"]
        assert_nothing_changed(seen[name], "17.5.1")
    assert seen["requests"] == 1


@pytest.mark.parametrize("name, said", [
    ("newer than the cluster", "newer than the cluster, which runs 17.4.10"),
    ("older than the cluster", "more than one major version behind the cluster, which runs 19.1.0"),
    ("older than the cluster", "older than the oldest client that the cluster accepts, 18.0.0-aa"),
    ("cluster that is down", "the proxy 127.0.0.1:1 cannot be asked"),
])
def test_a_program_that_does_not_fit_the_cluster_stays_and_is_told_of(seen, name, said):
    assert seen[name]["failed"] == 0, seen[name]["output"]
    assert said in seen[name]["output"], seen[name]["output"]
    assert_nothing_changed(seen[name], "17.5.2")


def test_the_key_counts_for_this_repository_alone(seen):
    assert "deb [signed-by=/etc/apt/keyrings/teleport-archive-keyring.asc] http://127.0.0.1:" in seen["newest"]["source"]
    assert seen["newest"]["source"].endswith(" stable/v17\n")
    assert seen["upgrade"]["source"].endswith(" stable/v18\n")


def test_a_programs_directory_that_is_missing_is_made_and_foreseen(seen):
    foreseen, made, again = (seen[f"tarball into a new directory{when}"] for when in (" in check mode", "", " again"))
    assert (foreseen["failed"], foreseen["there"]) == (0, None), foreseen["output"]
    assert made["failed"] == 0, made["output"]
    # Whatever the umask of who installs it.
    assert (made["there"], again["there"]) == ("root:root 755", "root:root 755")
    assert foreseen["output"].count("Create the program's directory") == 1 and foreseen["changed"] > 1, foreseen["output"]
    assert (again["failed"], again["changed"]) == (0, 0), again["output"]


@pytest.mark.parametrize("when", ["", " in check mode"])
@pytest.mark.parametrize("name, why", [
    ("tarball to a read-only file system", "read-only is on a read-only file system or denies it. Set tbot_path"),
    ("tarball below a file", "a-file is no directory. Set tbot_path"),
])
def test_a_directory_that_cannot_be_written_is_told_of_before_anything_is_done(seen, name, why, when):
    run = seen[f"{name}{when}"]
    assert (run["failed"], run["changed"]) == (1, 0), run["output"]
    assert why in run["error"], run["output"]


@pytest.mark.parametrize("name, source", [
    ("Mint", "https://apt.releases.teleport.dev/ubuntu noble stable/v17"),
    ("LMDE", "https://apt.releases.teleport.dev/debian bookworm stable/v17"),
])
def test_a_derivative_takes_the_packages_of_what_it_is_made_of(seen, name, source):
    run = seen[f"{name} in check mode"]
    assert run["failed"] == 0 and source in run["output"], run["output"]


@pytest.mark.parametrize("name", ["Mint", "Zorin"])
def test_on_a_derivative_the_package_is_installed(seen, name):
    assert_installed(seen[name], "17.5.2")
    assert seen[name]["source"].endswith(" noble stable/v17\n")


@pytest.mark.parametrize("name", ["Kali", "Kali in check mode"])
def test_a_derivative_that_names_no_release_is_refused_before_anything_is_written(seen, name):
    run = seen[name]
    assert (run["failed"], run["changed"]) == (1, 0), run["output"]
    assert "Teleport has no packages for Kali" in run["error"] and "tbot_install_method to tarball" in run["error"], run["output"]
    assert (run["source"], run["key"]) == (None, False)


@pytest.mark.parametrize("name", ["repository of nowhere", "wrong key"])
def test_a_source_that_brings_nothing_is_not_left_behind(seen, name):
    run = seen[name]
    assert run["failed"] == 1 and "could not be installed" not in run["error"], run["output"]
    assert run["source"] is None, run["output"]
