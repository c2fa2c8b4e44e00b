"""Arms of cluster trials and of trials with several arms, made fit for a pairwise meta-analysis.

All functions take a table and give a new one. Nothing is rounded: ``effect_sizes`` takes sizes and events that are
not whole, and where a review rounded, ``table.round({"n_e": 0, ...})`` does so.

Source: Higgins JPT, Eldridge S, Li T. Including variants on randomized trials. Cochrane Handbook, chapter 23
(23.1.4 cluster trials, 23.3.4 several arms); Cochrane Handbook 6.5.2.10 (combining groups).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.measures import BINARY, CONTINUOUS
from bayespip.study_data.tables import column_names, demand, numbers, study_labels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

__all__ = ["adjust_clusters", "combine_arms", "split_control"]

# What a sample of fewer participants has less of; standard errors have more.
_COUNTS = ("event_e", "n_e", "event_c", "n_c", "event", "n", "o_e", "variance")
_ESTIMATES = ("yi", "sei", "o_e", "variance")
ARMS = ("e", "c", "both")


def adjust_clusters(
    table: pd.DataFrame, *, icc: float | Mapping[str, float] | ArrayLike, size: float | Mapping[str, float] | ArrayLike
) -> pd.DataFrame:
    """Cluster trials at their effective sample size: sizes and events divided by 1 + (m - 1) ICC.

    Parameters
    ----------
    table
        Column `study`, and sizes and events (event_e, n_e, event_c, n_c, event, n), O - E with variance, or
        standard errors (sei).
    icc
        Intracluster correlation coefficient, in [0, 1]: one for all rows, one a row, or by study; studies that a
        mapping does not name were not randomised in clusters and stay as they are.
    size
        Mean cluster size m, at least 1, likewise. Two mappings must name the same studies.

    Returns
    -------
    pd.DataFrame
        The same rows: sizes, events, O - E and its variance divided by the design effect, standard errors
        multiplied by its root; means, SDs and estimates unchanged.

    Raises
    ------
    ValueError
        If there is nothing to adjust, icc or size is out of range or of another length than the table, a study
        is not in the table, or a number to be adjusted is not finite.

    References
    ----------
    Cochrane Handbook 23.1.4; Rao JNK, Scott AJ (1992), Biometrics 48:577-585.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(  # invented
    ...     {"study": ["A", "B"], "event_e": [4, 0], "n_e": [23, 20], "event_c": [11, 3], "n_c": [25, 22]}
    ... )
    >>> adjusted = bp.adjust_clusters(table, icc={"A": 0.05}, size={"A": 11})  # design effect 1.5
    >>> print(adjusted.round(2).to_string(index=False))
    study  event_e   n_e  event_c   n_c
        A     2.67 15.33     7.33 16.67
        B     0.00 20.00     3.00 22.00
    """
    names, study = column_names(table), _labels(table)
    columns = [c for c in (*_COUNTS, "sei") if c in names]
    if not columns:
        raise ValueError(f"table must have sizes, events or sei to adjust; present: {', '.join(names) or 'none'}.")
    if isinstance(icc, Mapping) and isinstance(size, Mapping) and set(icc) != set(size):
        odd = ", ".join(sorted(set(icc) ^ set(size)))
        raise ValueError(f"icc and size must name the same studies; only one names {odd}.")
    rho, m = _a_row("icc", icc, study, absent=0.0), _a_row("size", size, study, absent=1.0)
    demand("icc must lie in [0, 1]", (rho >= 0) & (rho <= 1), study, rho)
    demand("size must be at least 1 and finite", (m >= 1) & np.isfinite(m), study, m)
    effect = 1 + (m - 1) * rho
    adjusted = {c: _finite_where(table, c, study, effect != 1) for c in columns}
    return table.assign(**{c: x * np.sqrt(effect) if c == "sei" else x / effect for c, x in adjusted.items()})


def combine_arms(table: pd.DataFrame, *, by: str | Sequence[str] = "study", arm: str = "e") -> pd.DataFrame:
    """Rows of one trial made one, their arms combined as if they had been one group.

    Parameters
    ----------
    table
        Column `study`, and event_e, n_e, event_c, n_c or mean_e, sd_e, n_e, mean_c, sd_c, n_c (or both).
    by
        Column that is the same in the rows of one trial, or several such columns; its value is the label of
        the combined row.
    arm
        Which arms are combined: "e", "c" or "both" (as for men and women of one trial). With "e" or "c" the
        other arm is the one that the rows share: it must be the same in all, and is kept once.

    Returns
    -------
    pd.DataFrame
        One row a trial, where the trial's first row was. Events and sizes add; means are weighted by size; SDs
        are those of the merged sample, exactly. Another column keeps a value that is the same in all rows of the
        trial, and is missing otherwise.

    Raises
    ------
    ValueError
        If a column is missing, arm is none of the choices, the shared arm differs between rows of a trial, a
        number to be combined is not finite, a size is below 1, an SD is negative, or the table also has estimates
        of the rows (yi, sei, o_e, variance), which cannot be combined so.

    References
    ----------
    Cochrane Handbook 6.5.2.10, table 6.5.a, of which this is the repeated application.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(  # invented: two arms of one trial against one control group
    ...     {"study": ["A", "A"], "event_e": [3, 4], "n_e": [20, 22], "event_c": [9, 9], "n_c": [25, 25]}
    ... )
    >>> print(bp.combine_arms(table).to_string(index=False))
    study  event_e  n_e  event_c  n_c
        A      7.0 42.0        9   25
    """
    if arm not in ARMS:
        raise ValueError(f"arm must be one of {', '.join(ARMS)}; got {arm!r}.")
    names, study = column_names(table), _labels(table)
    sides = ("e", "c") if arm == "both" else (arm,)
    columns = _arm_columns(names)
    groups = _groups(table, by)
    several = [rows for rows in groups if len(rows) > 1]
    _check_numbers(table, columns, study, several)
    _check_shared(table, [c for c in columns if not c.endswith(sides)], study, several)
    combined = [_combined(table.iloc[rows], columns, sides, _first(by)) for rows in groups]
    result = table.iloc[[rows[0] for rows in groups]].reset_index(drop=True)
    for column in {c for row in combined for c in row}:
        kept = result[column].tolist()
        result[column] = [row.get(column, value) for row, value in zip(combined, kept, strict=True)]
    return result


def split_control(table: pd.DataFrame, *, by: str | Sequence[str] = "study", arm: str = "c") -> pd.DataFrame:
    """A control group shared by k rows of one trial, divided among them: a k-th of its size and events in each.

    Parameters
    ----------
    table
        As ``combine_arms`` takes it.
    by
        Column that is the same in the rows of one trial, or several such columns.
    arm
        The shared arm: "c", or "e".

    Returns
    -------
    pd.DataFrame
        The same rows. Means and SDs are unchanged. Labels that repeat become "Smith 2001", "Smith 2001 [2]".

    Raises
    ------
    ValueError
        If a column is missing, arm is neither "e" nor "c", the shared arm differs between rows of a trial, a number
        of it is not finite, or the table also has estimates of the rows (yi, sei, o_e, variance).

    Notes
    -----
    The rows are treated as independent, which they are but for what they share: only combining arms (or a
    multivariate analysis) removes the correlation whole. Cochrane Handbook 23.3.4.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(  # invented: two arms of one trial against one control group
    ...     {"study": ["A", "A"], "event_e": [3, 4], "n_e": [20, 22], "event_c": [9, 9], "n_c": [25, 25]}
    ... )
    >>> print(bp.split_control(table).to_string(index=False))
    study  event_e  n_e  event_c  n_c
        A        3   20      4.5 12.5
    A [2]        4   22      4.5 12.5
    """
    if arm not in ARMS[:2]:
        raise ValueError(f"arm must be one of {', '.join(ARMS[:2])}; got {arm!r}.")
    names, study = column_names(table), _labels(table)
    columns = [c for c in _arm_columns(names) if c.endswith(f"_{arm}")]
    groups = _groups(table, by)
    several = [rows for rows in groups if len(rows) > 1]
    _check_numbers(table, columns, study, several)
    _check_shared(table, columns, study, several)
    share = np.ones(len(table))
    for rows in groups:
        share[rows] = len(rows)
    divided = {c: table[c].to_numpy(dtype=float) / share for c in columns if c.startswith(("n_", "event_"))}
    earlier = table.groupby("study").cumcount()
    labels = [f"{label} [{n + 1}]" if n else label for label, n in zip(study, earlier, strict=True)]
    return table.assign(study=labels, **divided)


def _labels(table: pd.DataFrame) -> tuple[str, ...]:
    if "study" not in table:
        raise ValueError(f"table must have a column study; present: {', '.join(map(str, table.columns)) or 'none'}.")
    return study_labels(table, unique=False)


def _a_row(
    name: str, value: float | Mapping[str, float] | ArrayLike, study: tuple[str, ...], absent: float
) -> NDArray[np.float64]:
    """The value of each row, shape (k,)."""
    if isinstance(value, Mapping):
        unknown = sorted(set(value) - set(study))
        if unknown:
            raise ValueError(f"{name} must name studies of the table, {', '.join(study)}; got {', '.join(unknown)}.")
        value = [value.get(label, absent) for label in study]
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}.") from None
    if array.shape not in ((), (len(study),)):
        raise ValueError(f"{name} must be one number or one a row ({len(study)}); got shape {array.shape}.")
    return np.broadcast_to(array, (len(study),))


def _finite_where(
    table: pd.DataFrame, column: str, study: tuple[str, ...], where: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """A column as numbers, finite where they matter."""
    rows = np.flatnonzero(where)
    numbers(table.iloc[rows], column, tuple(study[i] for i in rows))
    return table[column].to_numpy(dtype=float)


def _arm_columns(names: tuple[str, ...]) -> list[str]:
    """The arm-level columns of a table, of counts, of means or of both."""
    found = [c for columns in (BINARY, CONTINUOUS) if set(columns) <= set(names) for c in columns]
    if not found:
        raise ValueError(
            f"table must have {', '.join(BINARY)} or {', '.join(CONTINUOUS)}; present: {', '.join(names) or 'none'}."
        )
    estimates = [c for c in _ESTIMATES if c in names]
    if estimates:
        raise ValueError(f"table must not have {', '.join(estimates)}: they would not fit the new arms; drop them.")
    return list(dict.fromkeys(found))


def _first(by: str | Sequence[str]) -> str:
    return by if isinstance(by, str) else by[0]


def _groups(table: pd.DataFrame, by: str | Sequence[str]) -> list[list[int]]:
    """Positions of the rows of each trial, in the order of the table."""
    columns = [by] if isinstance(by, str) else list(by)
    missing = [c for c in columns if c not in table] or ([] if columns else ["none"])
    if missing:
        raise ValueError(
            f"by must name columns of table, {', '.join(map(str, table.columns))}; got {', '.join(missing)}."
        )
    empty = np.flatnonzero(table[columns].isna().any(axis=1))
    if empty.size:
        raise ValueError(f"{', '.join(columns)} must have a value in every row; row {empty[0] + 1} has none.")
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(table[columns].itertuples(index=False, name=None)):
        groups.setdefault(key, []).append(i)
    return list(groups.values())


def _check_numbers(
    table: pd.DataFrame, columns: Sequence[str], study: tuple[str, ...], several: Sequence[Sequence[int]]
) -> None:
    """Finite numbers, sizes of at least 1 and SDs of at least 0 in the rows that change."""
    rows = np.array([i for group in several for i in group], dtype=int)
    labels = tuple(study[i] for i in rows)
    for column in columns:
        values = numbers(table.iloc[rows], column, labels)
        least = 1 if column.startswith("n_") else 0
        if not column.startswith("mean_"):
            demand(f"{column} must be at least {least}", values >= least, labels, values)


def _check_shared(
    table: pd.DataFrame, columns: Sequence[str], study: tuple[str, ...], several: Sequence[Sequence[int]]
) -> None:
    for rows in several:
        for column in columns:
            values = table[column].iloc[list(rows)].to_numpy(dtype=float)
            if (values != values[0]).any():
                shown = ", ".join(f"{study[i]} ({x:.12g})" for i, x in zip(rows, values, strict=True))
                raise ValueError(f"{column} must be the same in all rows that share the arm; not so for {shown}.")


def _combined(rows: pd.DataFrame, columns: Sequence[str], sides: Sequence[str], label: str) -> dict[str, Any]:
    """What changes when rows become one; nothing for a single row but its label."""
    if len(rows) == 1:
        return {"study": str(rows[label].iloc[0])}
    row: dict[str, Any] = {c: None for c in rows.columns if c not in columns and len(rows[c].drop_duplicates()) > 1}
    for side in sides:
        row |= _one_group({c: rows[c].to_numpy(dtype=float) for c in columns if c.endswith(f"_{side}")}, side)
    return row | {"study": str(rows[label].iloc[0])}


def _one_group(arm: Mapping[str, NDArray[np.float64]], side: str) -> dict[str, float]:
    """Events, size, mean and SD of merged samples, of which each has the given ones.

    The sum of squares about the common mean is that within the samples, (n - 1) SD^2, and that between them.
    """
    n = arm[f"n_{side}"]
    merged = {f"n_{side}": float(n.sum())}
    if f"event_{side}" in arm:
        merged[f"event_{side}"] = float(arm[f"event_{side}"].sum())
    if f"mean_{side}" in arm:
        means, sds = arm[f"mean_{side}"], arm[f"sd_{side}"]
        mean = float(np.average(means, weights=n))
        squares = ((n - 1) * sds**2).sum() + (n * (means - mean) ** 2).sum()
        merged |= {f"mean_{side}": mean, f"sd_{side}": float(np.sqrt(squares / (n.sum() - 1)))}
    return merged
