"""Study effects and their standard errors: the common input of every engine."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.arm_formulas import ARM_FORMULAS, SMD_CONVENTIONS, is_uninformative
from bayespip.measures import BINARY, CONTINUOUS, Measure, as_measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from bayespip.arm_formulas import Arms

__all__ = ["EffectSizes", "effect_sizes"]

GIVEN = ("yi", "sei")
# Fewest participants of a study: below four, revman5 has N - 3.94 < 0; at three, metafor has J = 0.
_SMALLEST_TOTAL = {"SMD": 4}


@dataclass(frozen=True, slots=True, eq=False, init=False)
class EffectSizes:
    """Effects of k studies on the model scale (log for ratios).

    Attributes
    ----------
    study
        Labels, unique, length k >= 1.
    yi
        Effect estimates, shape (k,), read-only.
    sei
        Standard errors, shape (k,), positive, read-only.
    measure
        The effect measure; its name is accepted.

    Raises
    ------
    ValueError
        If shapes differ, k = 0, a label repeats, yi is not finite, or sei is not positive and finite; the
        message names the studies.
    """

    study: tuple[str, ...]
    yi: NDArray[np.float64]
    sei: NDArray[np.float64]
    measure: Measure

    def __init__(self, study: Sequence[str], yi: ArrayLike, sei: ArrayLike, measure: str | Measure) -> None:
        names = tuple(str(s) for s in study)
        y, s = _vector("yi", yi), _vector("sei", sei)
        if not names:
            raise ValueError("effects need at least one study; got none (k = 0).")
        if not len(names) == y.size == s.size:
            raise ValueError(f"study, yi and sei must have one entry a study; got {len(names)}, {y.size} and {s.size}.")
        repeated = sorted(name for name, times in Counter(names).items() if times > 1)
        if repeated:
            raise ValueError(f"study labels must be unique; repeated: {', '.join(repeated)}.")
        _refuse("yi must be finite", ~np.isfinite(y), names, y)
        _refuse("sei must be positive and finite", ~(np.isfinite(s) & (s > 0)), names, s)
        y.flags.writeable = s.flags.writeable = False
        for field, value in (("study", names), ("yi", y), ("sei", s), ("measure", as_measure(measure))):
            object.__setattr__(self, field, value)

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.study)

    @property
    def vi(self) -> NDArray[np.float64]:
        """Sampling variances, shape (k,)."""
        return self.sei**2


def _vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}.") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got shape {array.shape}.")
    return array


def _refuse(rule: str, bad: NDArray[np.bool_], names: tuple[str, ...], values: NDArray[np.float64]) -> None:
    if bad.any():
        culprits = ", ".join(f"{names[i]} ({values[i]:g})" for i in np.flatnonzero(bad))
        raise ValueError(f"{rule}; not so for {culprits}.")


def effect_sizes(table: pd.DataFrame, measure: str | Measure, *, smd: str = "revman5") -> EffectSizes:
    """Effects and standard errors of two-arm studies, on the model scale.

    Parameters
    ----------
    table
        One row a study: `study` (unique labels) and either the measure's arm columns, or `yi` and `sei` on
        the model scale (log for ratios), taken as they are. RR, OR, RD: event_e, n_e, event_c, n_c;
        MD, SMD: mean_e, sd_e, n_e, mean_c, sd_c, n_c (`_e` experimental, `_c` control). Sizes and events need
        not be whole numbers: adjusted for clusters they are not.
    measure
        "RR", "OR", "RD", "MD" or "SMD".
    smd
        Convention of Hedges' g, point and variance together. "revman5": J = 1 - 3/(4N - 9),
        v = N/(n_e n_c) + g^2/(2(N - 3.94)); "metafor": exact J on N - 2 degrees of freedom,
        v = 1/n_e + 1/n_c + g^2/(2N).

    Returns
    -------
    EffectSizes
        In the order of the table, without the excluded studies.

    Warns
    -----
    UserWarning
        If both arms of a study are empty or both are full: it says nothing of RR or OR and is excluded. The
        warning names it. For RD such a study stays.

    Raises
    ------
    ValueError
        If a column is missing, a value is not a finite number, n or an SD or sei is not positive, events are
        negative or exceed n, a label is missing or repeated, there is no study, none is left, or an SMD has
        n_e + n_c < 4; the message names column, rule, study, row (counted from 1) and value.

    Notes
    -----
    Zero cells: 0.5 is added to all four cells of a study that has an empty one, and to no other. That is
    escalc's default (add = 1/2, to = "only0"), and for RR and OR also what RevMan 5 does. For RD it moves the
    estimate as well as the variance, as in escalc; where the plain difference is wanted, give yi and sei.
    Like RevMan, and unlike escalc, RR and OR leave out a study without events: all it says is the correction.
    """
    spec = as_measure(measure)
    if smd not in SMD_CONVENTIONS:
        raise ValueError(f"smd must be one of {', '.join(SMD_CONVENTIONS)}; got {smd!r}.")
    columns = _columns_to_read(table, spec)
    study = _labels(table)
    values = {name: _numbers(table, name, study) for name in columns}
    if columns == GIVEN:
        _demand("sei must be positive", values["sei"] > 0, study, values["sei"])
        return EffectSizes(study, values["yi"], values["sei"], spec)
    _ARM_CHECKS[spec.columns](values, study, spec)
    if spec.columns == BINARY and spec.log:
        study, values = _informative(values, study, spec)
    formula = {**ARM_FORMULAS, "SMD": SMD_CONVENTIONS[smd]}[spec.name]
    yi, vi = formula(values)
    return EffectSizes(study, yi, np.sqrt(vi), spec)


def _columns_to_read(table: pd.DataFrame, spec: Measure) -> tuple[str, ...]:
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"table must be a DataFrame; got {type(table).__name__}.")
    present = [str(c) for c in table.columns]
    repeated = sorted({c for c in present if present.count(c) > 1})
    if repeated:
        raise ValueError(f"column names of table must be unique; repeated: {', '.join(repeated)}.")
    arms, given = set(spec.columns) <= set(present), set(GIVEN) <= set(present)
    if arms and given:
        raise ValueError(f"table must have {', '.join(spec.columns)} or yi, sei, not both: drop those not to be used.")
    columns = GIVEN if given else spec.columns
    missing = [c for c in ("study", *columns) if c not in present]
    if missing:
        raise ValueError(
            f"{spec.name} needs the columns study and either {', '.join(spec.columns)} or yi, sei; missing "
            f"{', '.join(missing)}; present: {', '.join(present) or 'none'}."
        )
    if table.empty:
        raise ValueError("table must have at least one study; it has no rows (k = 0).")
    return columns


def _labels(table: pd.DataFrame) -> tuple[str, ...]:
    column = table["study"]
    labels = tuple("" if absent else str(s).strip() for s, absent in zip(column, column.isna(), strict=True))
    for row, label in enumerate(labels, start=1):
        if not label:
            raise ValueError(f"study must have a label in every row; row {row} has none.")
        first = labels.index(label) + 1
        if first < row:
            raise ValueError(f"study labels must be unique; {label} stands in rows {first} and {row}.")
    return labels


def _numbers(table: pd.DataFrame, column: str, study: tuple[str, ...]) -> NDArray[np.float64]:
    raw = table[column].tolist()
    values = np.array([_number(x) for x in raw])
    _demand(f"{column} must be a finite number", np.isfinite(values), study, [repr(x) for x in raw])
    return values


def _number(x: object) -> float:
    try:
        return float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def _demand(
    rule: str, good: NDArray[np.bool_], study: tuple[str, ...], values: Sequence[str] | NDArray[np.float64]
) -> None:
    if not good.all():
        shown = [v if isinstance(v, str) else f"{v:.12g}" for v in values]
        culprits = ", ".join(f"{study[i]} (row {i + 1}: {shown[i]})" for i in np.flatnonzero(~good))
        raise ValueError(f"{rule}; not so for {culprits}.")


def _check_sizes(arms: Arms, study: tuple[str, ...], spec: Measure) -> None:
    for column in ("n_e", "n_c"):
        _demand(f"{column} must be positive", arms[column] > 0, study, arms[column])
    total, smallest = arms["n_e"] + arms["n_c"], _SMALLEST_TOTAL.get(spec.name, 0)
    _demand(f"n_e + n_c must be at least {smallest} for {spec.name}", total >= smallest, study, total)


def _check_counts(arms: Arms, study: tuple[str, ...], spec: Measure) -> None:
    _check_sizes(arms, study, spec)
    for event, n in (("event_e", "n_e"), ("event_c", "n_c")):
        _demand(f"{event} must not be negative", arms[event] >= 0, study, arms[event])
        shown = [f"{e:.12g} of {m:.12g}" for e, m in zip(arms[event], arms[n], strict=True)]
        _demand(f"{event} must not exceed {n}", arms[event] <= arms[n], study, shown)


def _check_spreads(arms: Arms, study: tuple[str, ...], spec: Measure) -> None:
    _check_sizes(arms, study, spec)
    for column in ("sd_e", "sd_c"):
        _demand(f"{column} must be positive", arms[column] > 0, study, arms[column])


_ARM_CHECKS = {BINARY: _check_counts, CONTINUOUS: _check_spreads}


def _informative(
    arms: Arms, study: tuple[str, ...], spec: Measure
) -> tuple[tuple[str, ...], dict[str, NDArray[np.float64]]]:
    """The studies that say something of a ratio; a warning names the others."""
    silent = is_uninformative(arms)
    if not silent.any():
        return study, dict(arms)
    a, n_e, c, n_c = (arms[name] for name in BINARY)
    counts = [f"{a[i]:.12g} of {n_e[i]:.12g}, {c[i]:.12g} of {n_c[i]:.12g}" for i in range(len(study))]
    culprits = ", ".join(f"{study[i]} ({counts[i]})" for i in np.flatnonzero(silent))
    reason = f"{spec.name} cannot be estimated where both arms are empty or both are full"
    if silent.all():
        raise ValueError(f"{reason}; no study is left: {culprits}.")
    warnings.warn(f"{reason}; excluded: {culprits}.", UserWarning, stacklevel=3)
    kept = tuple(label for label, drop in zip(study, silent, strict=True) if not drop)
    return kept, {name: values[~silent] for name, values in arms.items()}
