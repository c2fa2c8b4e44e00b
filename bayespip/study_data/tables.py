"""A table with one row a study: its labels and numbers, and sentences that name the rows that break a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["column_names", "demand", "numbers", "study_labels"]


def column_names(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the columns of a table.

    Raises
    ------
    ValueError
        If table is not a DataFrame, or a name repeats.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"table must be a DataFrame; got {type(table).__name__}.")
    names = tuple(str(c) for c in table.columns)
    repeated = sorted({c for c in names if names.count(c) > 1})
    if repeated:
        raise ValueError(f"column names of table must be unique; repeated: {', '.join(repeated)}.")
    return names


def study_labels(table: pd.DataFrame, *, unique: bool = True) -> tuple[str, ...]:
    """The column `study` as stripped text.

    Raises
    ------
    ValueError
        If a label is missing, or, where they must be unique, repeats.
    """
    column = table["study"]
    labels = tuple("" if absent else str(s).strip() for s, absent in zip(column, column.isna(), strict=True))
    first: dict[str, int] = {}
    for row, label in enumerate(labels, start=1):
        if not label:
            raise ValueError(f"study must have a label in every row; row {row} has none.")
        if first.setdefault(label, row) < row and unique:
            raise ValueError(f"study labels must be unique; {label} stands in rows {first[label]} and {row}.")
    return labels


def numbers(table: pd.DataFrame, column: str, study: tuple[str, ...]) -> NDArray[np.float64]:
    """A column as numbers, shape (k,).

    Raises
    ------
    ValueError
        If a value is not a finite number.
    """
    raw = table[column].tolist()
    values = np.array([_number(x) for x in raw], dtype=float)
    demand(f"{column} must be a finite number", np.isfinite(values), study, [repr(x) for x in raw])
    return values


def _number(x: object) -> float:
    try:
        return float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def demand(
    rule: str, good: NDArray[np.bool_], study: tuple[str, ...], values: Sequence[str] | NDArray[np.float64]
) -> None:
    """Nothing, if every row is good.

    Raises
    ------
    ValueError
        Otherwise: the rule, and study, row (counted from 1) and value of each that is not.
    """
    if not good.all():
        shown = [v if isinstance(v, str) else f"{v:.12g}" for v in values]
        culprits = ", ".join(f"{study[i]} (row {i + 1}: {shown[i]})" for i in np.flatnonzero(~good))
        raise ValueError(f"{rule}; not so for {culprits}.")
