"""A table as it lies in a file or a frame: columns by name, cells as they are, each with its place."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayespip.readers.archives import wanted_members
from bayespip.readers.csv_table import parse_csv
from bayespip.readers.errors import ReadError
from bayespip.readers.text import decode, number, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd

__all__ = ["Sheet", "read_sheet"]

_PARQUET, _ZIP = b"PAR1", b"PK\x03\x04"
_WORKBOOK = "[content_types].xml"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table before anything is understood.

    Attributes
    ----------
    file
        Its name, for messages.
    columns
        Cells of each column, by its name; text of a CSV file, otherwise values.
    rows
        Number of each row, as a reader counts them there: from 1, and in CSV and Excel the header is row 1.
    decimal
        Decimal mark of its text.
    """

    file: str
    columns: dict[str, tuple[Any, ...]]
    rows: tuple[int, ...]
    decimal: str = "."

    def number(self, column: str, i: int) -> float:
        """The number in the i-th cell of a column, nan where it is empty.

        Raises
        ------
        ReadError
            If it holds something else.
        """
        cell = self.columns[column][i]
        if _is_missing(cell):
            return math.nan
        if isinstance(cell, str):
            try:
                return number(cell, decimal=self.decimal)
            except ValueError as error:
                raise self.error(column, i, str(error)) from None
        value = _plain(cell)
        if not math.isfinite(value):
            raise self.error(column, i, "a finite number")
        return value

    def text(self, column: str, i: int) -> str:
        """The i-th cell of a column as stripped text, "" where it is empty."""
        cell = self.columns[column][i]
        return "" if _is_missing(cell) else str(cell).strip()

    def error(self, column: str, i: int, expected: str) -> ReadError:
        """The complaint about a cell."""
        shown = self.text(column, i)
        return ReadError(self.file, f"row {self.rows[i]}, column {column}", expected=expected, found=shown or "nothing")


def read_sheet(source: str | PathLike[str] | pd.DataFrame, sheet: str | None) -> Sheet:
    """The table in a frame, or in a CSV, Parquet or Excel file: the kind is told by its content.

    Parameters
    ----------
    source
        A frame, or the path of a file.
    sheet
        Of an Excel workbook; may be None where only one sheet is not empty.

    Raises
    ------
    ReadError
        If there is no such file or sheet, it is damaged or empty, or a column name repeats.
    """
    import pandas as pd

    found = _of_frame(source, "the table") if isinstance(source, pd.DataFrame) else _of_file(source)
    if isinstance(found, _Workbook):
        found = found.pick(sheet)
    elif sheet is not None:
        raise ReadError(found.file, "argument sheet", expected="None for all but Excel workbooks", found=repr(sheet))
    if not found.rows:
        raise ReadError(found.file, "", expected="at least one row below the header", found="none")
    return found


def _of_file(path: str | PathLike[str]) -> Sheet | _Workbook:
    from pathlib import Path

    data = read_bytes(path)
    file = Path(path).name
    if data.startswith(_PARQUET):
        return _of_parquet(data, file)
    if data.startswith(_ZIP):
        return _Workbook(file, _sheets_of(data, file))
    table = parse_csv(decode(data, file).text, file)
    cells = list(zip(*(cells for _, cells in table.records), strict=True)) or [()] * len(table.header)
    # write.csv of R puts row names under an empty header
    columns = {name: column for name, column in zip(table.header, cells, strict=True) if name}
    return Sheet(file, columns, tuple(place for place, _ in table.records), table.decimal)


def _of_frame(frame: pd.DataFrame, file: str) -> Sheet:
    names = [str(c) for c in frame.columns]
    _refuse_repeated(names, file)
    columns = {name: tuple(frame.iloc[:, i].tolist()) for i, name in enumerate(names)}
    return Sheet(file, columns, tuple(range(1, len(frame) + 1)))


def _of_parquet(data: bytes, file: str) -> Sheet:
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except Exception as error:  # noqa: BLE001  (what a damaged file raises is Arrow's affair)
        raise ReadError(file, "", expected="a Parquet file that Arrow can read", found=error) from None
    return _of_frame(frame, file)


@dataclass(frozen=True, slots=True)
class _Workbook:
    """The sheets of an Excel workbook that are not empty: numbers of the rows, and their cells."""

    file: str
    sheets: dict[str, list[tuple[int, tuple[Any, ...]]]]

    def pick(self, sheet: str | None) -> Sheet:
        names = ", ".join(self.sheets) or "none"
        if sheet is None and len(self.sheets) != 1:
            raise ReadError(
                self.file, "argument sheet", expected="the name of a sheet", found=f"None; there are {names}"
            )
        if sheet is not None and sheet not in self.sheets:
            raise ReadError(self.file, "argument sheet", expected=f"one of {names}", found=repr(sheet))
        (_, header), *records = next(iter(self.sheets.values())) if sheet is None else self.sheets[sheet]
        named = [(i, str(name).strip()) for i, name in enumerate(header) if not _is_missing(name)]
        _refuse_repeated([name for _, name in named], self.file)
        columns = {name: tuple(cells[i] if i < len(cells) else None for _, cells in records) for i, name in named}
        return Sheet(self.file, columns, tuple(row for row, _ in records))


def _sheets_of(data: bytes, file: str) -> dict[str, list[tuple[int, tuple[Any, ...]]]]:
    members = wanted_members(data, file, lambda _: True)
    if _WORKBOOK not in {name.casefold() for name in members}:
        raise ReadError(file, "", expected="CSV, Parquet or an Excel workbook (.xlsx)", found="another zip archive")
    if any(b"<!DOCTYPE" in content or b"<!ENTITY" in content for content in members.values()):
        raise ReadError(file, "", expected="a workbook without document type declarations", found="one")
    try:
        from openpyxl import load_workbook
    except ImportError:
        needed = "the package openpyxl to read Excel files: pip install 'bayespip[excel]'"
        raise ReadError(file, "", expected=needed, found="none") from None
    try:
        with warnings.catch_warnings():
            # about styles and validation rules, which are no data
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            found = {ws.title: _filled_rows(ws) for ws in book.worksheets}
    except Exception as error:  # noqa: BLE001  (what a damaged file raises is openpyxl's affair)
        raise ReadError(file, "", expected="a workbook that openpyxl can read", found=error) from None
    return {title: rows for title, rows in found.items() if rows}


def _filled_rows(sheet: Any) -> list[tuple[int, tuple[Any, ...]]]:
    # a workbook may say that it has a million empty rows
    sheet.reset_dimensions()
    rows = enumerate(sheet.iter_rows(values_only=True), start=1)
    return [(row, cells) for row, cells in rows if not all(_is_missing(cell) for cell in cells)]


def _refuse_repeated(names: Sequence[str], file: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ReadError(
            file, f"column {repeated[0]}", expected="a column once", found=f"{names.count(repeated[0])} times"
        )


def _plain(cell: Any) -> float:
    """A cell that is not text, as a number; nan where it is none, such as a date or a truth value."""
    try:
        return math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_missing(cell: Any) -> bool:
    import pandas as pd

    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))
