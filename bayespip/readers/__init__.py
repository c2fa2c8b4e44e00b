"""Files to values: `read_review` for a review's file, `read_table` for a table of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.readers.errors import ReadError

if TYPE_CHECKING:
    from bayespip.readers.files import read_review
    from bayespip.readers.table import read_table

__all__ = ["ReadError", "read_review", "read_table"]

_HOMES = {"read_review": "bayespip.readers.files", "read_table": "bayespip.readers.table"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
