"""What all tests share: the repository's root, the reference files, settings that make runs repeatable."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, settings

mpl.use("Agg")

# The same examples in every run, and no verdict that depends on how busy the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir(root: Path) -> Path:
    """The reference files beside the repository; where they are absent, tests that need them are skipped."""
    folder = root.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference files (../shared) are not beside this repository")
    return folder
