"""Work in a checkout: from the folder `ansible/`, whose configuration finds the collection that is there."""

from __future__ import annotations

from ansible_runs import COLLECTION, Ansible
from fleet import Fleet, ad_hoc, ek_public_hash

CHECKOUT = Ansible()


def test_its_configuration_is_the_one_that_ansible_takes(tmp_path):
    run = CHECKOUT.run(tmp_path, "ansible-config", "dump", "--only-changed")
    assert f"({COLLECTION}/ansible.cfg)" in run.output, run.output


def test_the_module_is_found_by_its_short_name(tpms, tmp_path):
    result = ad_hoc(f"action=identify tcti={tpms['db-1'].tcti}", ansible=CHECKOUT)
    assert result["ek_public_hash"] == ek_public_hash(tpms["db-1"], tmp_path)


def test_playbooks_find_the_roles(tpms, tmp_path):
    fleet = Fleet(tmp_path / "fleet", {"db-1": tpms["db-1"]}, CHECKOUT)
    run = fleet.site()
    assert run.returncode == 0, run.output
    assert set(fleet.token_rules()) == {"db-1"}
