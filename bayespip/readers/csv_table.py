"""A CSV file as rows whose cells are found by column, read as what they should be, and blamed by their place."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bayespip.readers.errors import ReadError
from bayespip.readers.text import clean, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CsvRow", "CsvTable", "parse_csv"]

DELIMITERS = (",", ";", "\t")

_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?%?\s*")
_INFINITE = ("infinity", "inf", "\N{INFINITY}")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Header and records of a CSV file.

    Attributes
    ----------
    file
        Its name.
    header
        As in the file.
    records
        Number of the row (the header is row 1) and its cells.
    decimal
        Decimal mark, "." or ",".
    positions
        Of each column, by its folded name: letters and digits only, so that "Tau²", "tau2" and "TAU 2" are one.
    """

    file: str
    header: tuple[str, ...]
    records: tuple[tuple[int, tuple[str, ...]], ...]
    decimal: str
    positions: Mapping[str, int]

    def __iter__(self) -> Iterator[CsvRow]:
        return (CsvRow(self, place, cells) for place, cells in self.records)

    def has(self, column: str) -> bool:
        """Whether the file has the column."""
        return _fold(column) in self.positions

    def require(self, *columns: str) -> None:
        """Raise ReadError unless the file has all these columns."""
        missing = [c for c in columns if not self.has(c)]
        if missing:
            present = ", ".join(h for h in self.header if h) or "none"
            raise ReadError(
                self.file, f"row 1, column {missing[0]}", expected=f"the columns {', '.join(missing)}", found=present
            )


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One record.

    Attributes
    ----------
    table
        Where it stands.
    place
        Its number; the header is row 1.
    cells
        Of all columns.
    """

    table: CsvTable
    place: int
    cells: tuple[str, ...]

    def cell(self, column: str) -> str:
        """The text of a cell without spaces around it; "" where the file has no such column."""
        position = self.table.positions.get(_fold(column))
        return "" if position is None else self.cells[position].strip()

    def name(self, column: str) -> str:
        """A name or note as a reader sees it; "" for #N/A."""
        text = clean(self.cell(column))
        return "" if text.casefold() == "#n/a" else text

    def number(self, column: str) -> float:
        """The number in a cell; nan where there is none."""
        try:
            return number(self.cell(column), decimal=self.table.decimal)
        except ValueError as error:
            raise self.error(column, str(error)) from None

    def whole(self, column: str, least: int) -> int:
        """The whole number in a cell that must hold one."""
        value = self.number(column)
        if not (value.is_integer() and least <= value < 2**31):
            raise self.error(column, f"a whole number of at least {least}")
        return int(value)

    def plain(self, column: str) -> str:
        """A stored number with its own digits and a decimal point; "NaN" if that is stored, "" where there is none.

        An infinite limit, of an interval that could not be computed, is none.
        """
        if self.cell(column).lstrip("+-").casefold() in _INFINITE:
            return ""
        value = self.number(column)
        text = self.cell(column).replace("\N{MINUS SIGN}", "-").replace(" ", "")
        if math.isnan(value):
            return text if text.casefold() == "nan" else ""
        written = (text, text.replace(",", "."), text.replace(",", ""), text.replace(".", "").replace(",", "."))
        return next((t for t in written if _is(t, value)), repr(value))

    def truth(self, column: str) -> bool | None:
        """Yes or no; None where the cell is empty."""
        text = self.cell(column).casefold()
        if text in ("", "#n/a"):
            return None
        if text not in _TRUTH:
            raise self.error(column, f"one of {', '.join(_TRUTH)}")
        return _TRUTH[text]

    def error(self, column: str, expected: str) -> ReadError:
        """The complaint about a cell."""
        return ReadError(
            self.table.file, f"row {self.place}, column {column}", expected=expected, found=repr(self.cell(column))
        )


def parse_csv(text: str, file: str, *, ragged: bool = False, distinct: bool = True) -> CsvTable:
    """Rows of a CSV file parted by commas, semicolons or tabs.

    Empty rows are passed over. A decimal comma is taken for one where cells are parted by something else and a
    cell that is not text has one.

    Parameters
    ----------
    text
        Its contents.
    file
        Its name, for messages.
    ragged
        Whether a row may have more cells than the header, which are then passed over.
    distinct
        Whether no column may repeat; otherwise the first of a name is found by it.

    Raises
    ------
    ReadError
        If there is no header, a column repeats, a quotation is not closed, or a row has too few or too many cells.
    """
    # What follows the name of the first column, which in no form has such a mark in it.
    mark = re.search(r"[,;\t\r\n]", text.lstrip())
    delimiter = mark[0] if mark and mark[0] in DELIMITERS else ","
    rows = _records(text, delimiter, file)
    if not rows:
        raise ReadError(file, "", expected="a header", found="an empty file")
    header = tuple(h.strip() for h in rows[0][1])
    records = tuple((place, _fitted(cells, len(header), file, place, ragged=ragged)) for place, cells in rows[1:])
    positions: dict[str, int] = {}
    for position, column in enumerate(header):
        if distinct and _fold(column) in positions and _fold(column):
            raise ReadError(file, f"row 1, column {column}", expected="a column once", found="twice")
        positions.setdefault(_fold(column), position)
    comma = delimiter != "," and any(_DECIMAL_COMMA.fullmatch(c) for _, cells in records for c in cells if "," in c)
    return CsvTable(file, header, records, "," if comma else ".", positions)


def _records(text: str, delimiter: str, file: str) -> list[tuple[int, tuple[str, ...]]]:
    """Number and cells of every record that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    # The module's own limit, 128 kB a cell, is less than notes on a study may have.
    usual = csv.field_size_limit(max(len(text), 1))
    try:
        return [(n, tuple(cells)) for n, cells in enumerate(reader, start=1) if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise ReadError(file, f"line {reader.line_num}", expected="CSV", found=error) from None
    finally:
        csv.field_size_limit(usual)


def _is(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return False


def _fitted(cells: tuple[str, ...], width: int, file: str, place: int, *, ragged: bool) -> tuple[str, ...]:
    if len(cells) < width or (len(cells) > width and not ragged and any(c.strip() for c in cells[width:])):
        raise ReadError(file, f"row {place}", expected=f"{width} cells", found=f"{len(cells)}")
    return cells[:width]


@lru_cache(maxsize=1024)
def _fold(column: str) -> str:
    # NFKC makes the raised 2 of "Tau²" a 2.
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", column).casefold())
