"""A table of one's own, under the column names of metafor, of R's meta, of RevMan or of this package."""

from __future__ import annotations

import math
import re
import warnings
from typing import TYPE_CHECKING, Any

from bayespip.measures import Measure, as_measure
from bayespip.readers.errors import ReadError
from bayespip.readers.limits import standard_error
from bayespip.readers.sheets import Sheet, read_sheet
from bayespip.readers.synonyms import GIVEN, described, find_sources, is_there, is_variance, label_column
from bayespip.readers.text import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    import pandas as pd

    Sources = Mapping[str, tuple[str, ...]]

__all__ = ["read_table"]

SCALES = ("model", "display")
USES = (None, "columns", "estimates")
# On which numbers are that need no transformation.
_AS_IT_IS = Measure("", "", (), log=False)


def read_table(
    source: str | PathLike[str] | pd.DataFrame,
    measure: str | Measure,
    *,
    use: str | None = None,
    scale: str = "model",
    level: float = 0.95,
    sheet: str | None = None,
) -> pd.DataFrame:
    """Study data of one's own, ready for ``effect_sizes(table, measure)``.

    Parameters
    ----------
    source
        Path of a CSV (comma, semicolon or tab; decimal comma), Parquet or Excel file (.xlsx; needs openpyxl); or
        a frame. One row a study.
    measure
        A name in MEASURES, or a Measure. It decides which columns are looked for, in any case and punctuation:

        - counts: event_e, n_e, event_c, n_c; or ai, n1i, ci, n2i, with bi and di in place of sizes; or Events 1,
          Total 1, ...; or Experimental cases, Experimental N, ...;
        - means: mean_e, sd_e, n_e, mean_c, sd_c, n_c; or m1i, sd1i, n1i, ...; or Mean 1, SD 1, Total 1, ...;
        - one group: event or xi, and n or ni or mi; correlations: r or ri, and n or ni; O-E: o_e and variance;
        - estimates: yi, TE or GIV Mean, with sei, seTE, SE or GIV SE; or without it vi; or without that limits,
          ci_lower, ci.lb or lower and ci_upper, ci.ub or upper.

        Labels: study, slab or studlab (or RevMan's Name).
    use
        Where a table has both: "columns" (the measure's own) or "estimates".
    scale
        Of estimates and their limits: "model" (log for ratios, Fisher's z for ZCOR), or "display" (ratios,
        correlations), from which they are transformed. Standard errors and variances are always on the model
        scale.
    level
        Probability of intervals given by limits.
    sheet
        Of an Excel workbook with several.

    Returns
    -------
    pd.DataFrame
        `study`, the columns that ``effect_sizes`` reads, then all others as they are, such as moderators.

    Raises
    ------
    ReadError
        If source cannot be read, an argument is not one of its choices, columns are missing, or there twice, a
        label is missing or repeated, a number is missing or none, or limits are not symmetric about the estimate
        on the model scale within their printed digits.

    Warns
    -----
    UserWarning
        If there is no column of labels: the studies are called "Study 1", "Study 2", ...

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"study": ["A", "B"], "ai": [4, 0], "n1i": [23, 20], "ci": [11, 3], "n2i": [25, 22]})
    >>> print(bp.read_table(frame, "RR").to_string(index=False))
    study  event_e  n_e  event_c  n_c
        A      4.0 23.0     11.0 25.0
        B      0.0 20.0      3.0 22.0
    """
    import pandas as pd

    table = read_sheet(source, sheet)
    spec = _checked(table.file, measure, use, scale, level)
    wanted, sources = _chosen(table, spec, use)
    label = label_column(table)
    study = _labels(table, label)
    result: dict[str, list[Any]] = {"study": study}
    if wanted == GIVEN:
        result |= _estimates(
            table, sources, study, spec, written=spec if scale == "display" else _AS_IT_IS, level=level
        )
    else:
        result |= {name: _numbers(table, sources[name]) for name in wanted}
    used = {column for columns in sources.values() for column in columns}
    taken = {*result, label, *used, *_rivals(table, spec, wanted)}
    return pd.DataFrame(result | {name: _as_is(table, name) for name in table.columns if name not in taken})


def _checked(file: str, measure: str | Measure, use: str | None, scale: str, level: float) -> Measure:
    """The measure, if every argument is one of its choices."""
    for name, value, choices in (("use", use, USES), ("scale", scale, SCALES)):
        if value not in choices:
            expected = f"one of {', '.join(map(str, choices))}"
            raise ReadError(file, f"argument {name}", expected=expected, found=repr(value))
    if not 0 < level < 1:
        raise ReadError(file, "argument level", expected="a probability between 0 and 1", found=repr(level))
    try:
        return as_measure(measure)
    except ValueError as error:
        expected = str(error).removeprefix("measure must be ").partition(";")[0]
        raise ReadError(file, "argument measure", expected=expected, found=repr(measure)) from None


def _chosen(table: Sheet, spec: Measure, use: str | None) -> tuple[tuple[str, ...], Sources]:
    """The columns that ``effect_sizes`` is to read, and of each those of the table that it is made from."""
    own = [columns for columns in (spec.instead, spec.columns) if columns]
    choices = {None: [*own, GIVEN], "columns": own, "estimates": [GIVEN]}[use]
    found = {columns: find_sources(table, columns) for columns in choices}
    there = [columns for columns in choices if is_there(table, columns, found[columns])]
    if not there:
        needed = " or ".join(described(columns) for columns in choices) or "none: it is given by estimates only"
        present = ", ".join(table.columns) or "none"
        raise ReadError(table.file, "header", expected=f"for {spec.name} the columns {needed}", found=present)
    if use is None and len(there) > 1 and there[-1] == GIVEN:
        both = f"{', '.join(there[0])} or estimates, or use='columns' or use='estimates' to say which"
        raise ReadError(table.file, "header", expected=both, found="both")
    return there[0], found[there[0]]


def _rivals(table: Sheet, spec: Measure, wanted: tuple[str, ...]) -> set[str]:
    """Names of ours of a whole set that is not used: beside the other it would leave ``effect_sizes`` a choice."""
    rivals = (spec.instead, spec.columns) if wanted == GIVEN else (GIVEN,)
    return {name for columns in rivals if set(columns) <= set(table.columns) for name in columns}


def _labels(table: Sheet, column: str | None) -> list[str]:
    k = len(table.rows)
    if column is None:
        message = f"{table.file} has no study labels (study, slab): the studies are called Study 1 to Study {k}."
        warnings.warn(message, UserWarning, stacklevel=3)
        return [f"Study {i}" for i in range(1, k + 1)]
    labels = [table.text(column, i) for i in range(k)]
    first: dict[str, int] = {}
    for i, label in enumerate(labels):
        if not label:
            raise table.error(column, i, "a label")
        if first.setdefault(label, i) < i:
            raise table.error(column, i, f"another label than that of row {table.rows[first[label]]}")
    return labels


def _numbers(table: Sheet, columns: tuple[str, ...]) -> list[float]:
    """Of a column; of several, their sums."""
    parts = [[_present(table, column, i) for i in range(len(table.rows))] for column in columns]
    return [math.fsum(numbers) for numbers in zip(*parts, strict=True)]


def _present(table: Sheet, column: str, i: int) -> float:
    value = table.number(column, i)
    if math.isnan(value):
        raise table.error(column, i, "a number")
    return value


def _estimates(
    table: Sheet, sources: Sources, study: list[str], spec: Measure, *, written: Measure, level: float
) -> dict[str, list[float]]:
    """Estimates and standard errors on the model scale; `written` has the scale on which the table has them."""
    (column,), spread = sources["yi"], sources["sei"]
    estimates, (low, high) = _numbers(table, (column,)), written.limits
    for i, value in enumerate(estimates):
        if not low < value < high:
            raise table.error(column, i, f"an estimate between {low:g} and {high:g}")
    if len(spread) > 1:
        ends = (column, *spread)
        errors = [
            standard_error(table, ends, i, study=name, measure=spec, written=written, level=level)
            for i, name in enumerate(study)
        ]
    else:
        errors = _numbers(table, spread)
        what = "variance" if is_variance(spread[0]) else "standard error"
        for i, value in enumerate(errors):
            if not value > 0:
                raise table.error(spread[0], i, f"a positive {what}")
        errors = [math.sqrt(x) for x in errors] if is_variance(spread[0]) else errors
    return {"yi": [float(written.model(x)) for x in estimates], "sei": errors}


def _as_is(table: Sheet, column: str) -> list[Any]:
    """A column that is not ours: of text, numbers where there is nothing else; otherwise unchanged."""
    cells = table.columns[column]
    if not all(isinstance(cell, str) for cell in cells):
        return list(cells)
    try:
        numbers = [table.number(column, i) for i in range(len(cells))]
    except ReadError:
        return [None if cell.strip().casefold() in MISSING else cell.strip() for cell in cells]
    whole = all(re.fullmatch(r"\s*[+-]?[0-9]+\s*", cell) for cell in cells)
    return [int(x) for x in numbers] if whole else numbers
