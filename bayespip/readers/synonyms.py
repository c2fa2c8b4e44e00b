"""The columns of a study table under the names that others give them.

Names are folded (letters and digits only, in lower case), so that n.e, n_e and "N E" are one. They are ours and
those of R's meta, which fold alike; of metafor; of RevMan 5's CSV export; of the Cochrane Library's data rows.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING

from bayespip.measures import BINARY, CONTINUOUS, CORRELATION, O_E, PROPORTION
from bayespip.readers.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayespip.readers.sheets import Sheet

__all__ = ["GIVEN", "described", "find_sources", "is_there", "is_variance", "label_column"]

GIVEN: tuple[str, ...] = ("yi", "sei")

_STUDY, _REVMAN_STUDY = ("study", "slab", "studlab"), ("name",)
_VARIANCE = ("vi",)
_LIMITS = {"lower": ("lower", "cilower", "cilb"), "upper": ("upper", "ciupper", "ciub")}
_ARMS: Mapping[str, tuple[str, ...]] = {
    "event_e": ("evente", "ai", "events1", "experimentalcases"),
    "event_c": ("eventc", "ci", "events2", "controlcases"),
    "mean_e": ("meane", "m1i", "mean1", "experimentalmean"),
    "mean_c": ("meanc", "m2i", "mean2", "controlmean"),
    "sd_e": ("sde", "sd1i", "sd1", "experimentalsd"),
    "sd_c": ("sdc", "sd2i", "sd2", "controlsd"),
    "n_e": ("ne", "n1i", "total1", "experimentaln"),
    "n_c": ("nc", "n2i", "total2", "controln"),
}
_NAMES: Mapping[tuple[str, ...], Mapping[str, tuple[str, ...]]] = {
    BINARY: {name: _ARMS[name] for name in BINARY},
    CONTINUOUS: {name: _ARMS[name] for name in CONTINUOUS},
    O_E: {"o_e": ("oe",), "variance": ("variance",)},
    PROPORTION: {"event": ("event", "xi"), "n": ("n", "ni")},
    CORRELATION: {"r": ("r", "ri"), "n": ("n", "ni")},
    GIVEN: {"yi": ("yi", "te", "givmean"), "sei": ("sei", "sete", "givse", "se")},
}
# Where a size is missing: the events, and the name of those without, which add up to it.
_REST = {"n_e": ("event_e", "bi"), "n_c": ("event_c", "di"), "n": ("event", "mi")}
_EXAMPLES = {
    BINARY: "ai, n1i, ci, n2i",
    CONTINUOUS: "m1i, sd1i, n1i, m2i, sd2i, n2i",
    PROPORTION: "xi, ni",
    CORRELATION: "ri, ni",
    GIVEN: "yi with vi, or yi with limits ci_lower, ci_upper",
}


def described(columns: tuple[str, ...]) -> str:
    """Columns of ours, and what they may also be called."""
    also = f" (or {_EXAMPLES[columns]})" if columns in _EXAMPLES else ""
    return f"{', '.join(columns)}{also}"


def find_sources(table: Sheet, columns: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Of each of our columns that can be made, the columns of the table it is made from.

    One: it is that column (or its square, where ``is_variance`` of sei). Two: of a size, events and those without;
    of sei, lower and upper limit.

    Raises
    ------
    ReadError
        If the table has a column under two of its names.
    """
    sources: dict[str, tuple[str, ...]] = {}
    for name, names in _NAMES[columns].items():
        if (one := _find(table, name, names)) is not None:
            sources[name] = (one,)
    for name, (event, alias) in _REST.items():
        if name in columns and name not in sources and event in sources and (rest := _find(table, alias, (alias,))):
            sources[name] = (*sources[event], rest)
    if "sei" in columns and "sei" not in sources:
        ends = [column for name, names in _LIMITS.items() if (column := _find(table, name, names))]
        if (variance := _find(table, "vi", _VARIANCE)) is not None:
            sources["sei"] = (variance,)
        elif len(ends) == len(_LIMITS):
            sources["sei"] = tuple(ends)
    return sources


def is_variance(column: str) -> bool:
    """Whether a column holds sampling variances."""
    return _fold(column) in _VARIANCE


def is_there(table: Sheet, columns: tuple[str, ...], sources: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the table has all columns, and the last, a size or a spread, somewhere holds more than 0.

    Cochrane's files have the columns of every data type, and fill with zeros those that are not used.
    """
    if set(sources) != set(columns):
        return False
    return any(not _is_nothing(cell) for column in sources[columns[-1]] for cell in table.columns[column])


def label_column(table: Sheet) -> str | None:
    """The column of study labels; None where there is none."""
    return _find(table, "study", _STUDY) or _find(table, "study", _REVMAN_STUDY)


def _find(table: Sheet, name: str, names: tuple[str, ...]) -> str | None:
    found = [column for column in table.columns if _fold(column) in names]
    if len(found) > 1:
        raise ReadError(table.file, "header", expected=f"one column for {name}", found=" and ".join(found))
    return found[0] if found else None


def _fold(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", column).casefold())


def _is_nothing(cell: object) -> bool:
    try:
        value = float(str(cell).strip().replace(",", ".") or 0)
    except ValueError:
        return cell is None or str(cell) in ("<NA>", "NA", "#N/A")
    return value == 0 or math.isnan(value)
