"""Tables of the report: cells that read as text, sort as numbers and are downloaded at full precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["Cell", "Column", "DataTable", "from_frame"]


_SHORT = 24  # characters that stand on one line


@dataclass(frozen=True, slots=True)
class Cell:
    """What a reader sees, and what is behind it.

    Attributes
    ----------
    text
        As shown; a line break is kept.
    values
        At full precision, one for each name of the column; the first is what the column is sorted by. Empty: the
        text.
    link
        Id of the section that has more; empty if none has.
    """

    text: str
    values: tuple[str, ...] = ()
    link: str = ""

    @classmethod
    def of(cls, text: str, *values: object) -> Cell:
        """With numbers written so that they read back exactly; nan is empty."""
        return cls(text, tuple(_exact(v) for v in values))


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes
    ----------
    heading
        As shown.
    names
        Of its columns in the download; the heading if empty.
    numeric
        Whether it is set and sorted as numbers.
    hint
        What it holds, where the heading does not say.
    """

    heading: str
    names: tuple[str, ...] = ()
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table with its caption and the call that gives the same numbers.

    Attributes
    ----------
    id
        Unique on the page; the name of the download.
    caption
        What it shows.
    call
        In Python.
    columns, rows
        One cell a column; the first of each row is its heading.
    """

    id: str
    caption: str
    call: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """How each column is set: "number", "text" that is wrapped, or "" for short text."""
        return tuple(
            "number" if column.numeric else "text" if any(len(row[i].text) > _SHORT for row in self.rows) else ""
            for i, column in enumerate(self.columns)
        )


def from_frame(
    identifier: str,
    caption: str,
    call: str,
    frame: pd.DataFrame,
    headings: Mapping[str, str],
    *,
    show: Mapping[str, Callable[[Any], str]] | None = None,
) -> DataTable:
    """A DataFrame as a table.

    Parameters
    ----------
    identifier, caption, call
        As of DataTable.
    frame
        One row a row.
    headings
        Columns to show and their headings.
    show
        How a column's values are written; as they are if it is not named.
    """
    show = show or {}
    columns = tuple(
        Column(heading, (name,), numeric=frame[name].dtype.kind in "fiu") for name, heading in headings.items()
    )
    rows = (
        tuple(Cell.of(show.get(name, _plain)(value), value) for name, value in zip(headings, row, strict=True))
        for row in frame[list(headings)].itertuples(index=False, name=None)
    )
    return DataTable(identifier, caption, call, columns, tuple(rows))


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _exact(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)
