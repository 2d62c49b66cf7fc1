"""The software TPMs that the demo and all other tests stand on."""

from __future__ import annotations

import pytest
from fleet import ek_public_hash
from software_tpm import SoftwareTpmError, SoftwareTpms


def test_a_tpm_started_again_is_the_same_and_another_is_not(tmp_path):
    with SoftwareTpms(tmp_path / "tpms") as tpms:
        first, other = tpms.start("one"), tpms.start("two")
        identity = ek_public_hash(first, tmp_path)
        assert ek_public_hash(other, tmp_path) != identity
        first.stop()
        assert ek_public_hash(tpms.start("one"), tmp_path) == identity


def test_tpms_end_with_their_block_also_by_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), SoftwareTpms(tmp_path / "tpms") as tpms:
        started = [tpms.start("one"), tpms.start("two")]
        assert all(tpm.process.poll() is None for tpm in started)
        raise KeyboardInterrupt
    assert all(tpm.process.poll() is not None for tpm in started)


def test_a_state_that_cannot_be_used_is_explained(tmp_path):
    (tmp_path / "tpms" / "one" / "tpm2-00.permall").mkdir(parents=True)  # a folder where swtpm keeps a file
    with SoftwareTpms(tmp_path / "tpms") as tpms, pytest.raises(SoftwareTpmError, match="did not start"):
        tpms.start("one")
