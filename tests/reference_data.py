"""What metafor and bayesmeta give on classical data sets: read in place, skipped where it is absent."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "meta_reference.json"


@cache
def _parse() -> dict[str, Any]:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def load_reference() -> dict[str, Any]:
    """The parsed reference file, or the test is skipped."""
    if not REFERENCE.exists():
        pytest.skip("reference values not here: ../shared/reference/meta_reference.json")
    return _parse()
