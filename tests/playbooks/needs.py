"""What a test needs of the machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def root_missing(why: str) -> NoReturn:
    """Skips a test that only root can run; where `TBOT_TPM_ROOT` is `required`, it has to run, and fails."""
    if os.environ.get("TBOT_TPM_ROOT") == "required":
        pytest.fail(why)
    pytest.skip(why)
