"""Study effects and their standard errors: the common input of every engine."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import O_E, Measure, as_measure
from bayespip.study_data.arm_checks import check, silent_studies
from bayespip.study_data.arm_formulas import ARM_FORMULAS, SMD_CONVENTIONS, one_step
from bayespip.study_data.tables import column_names, demand, numbers, study_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from bayespip.study_data.arm_formulas import ArmFormula, Arms

__all__ = ["EffectSizes", "effect_sizes", "require_effects"]

GIVEN = ("yi", "sei")
LARGEST = 1e50
"""Of |yi|, sei and 1 / sei: squares, and products of them, stay far inside the range of doubles."""


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
        If shapes differ, k = 0, a label repeats, yi is not finite, or sei is not positive and finite, or beyond
        LARGEST; the message names the studies.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> invented.k, invented.measure.name
    (2, 'RR')
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
        _refuse(f"yi must lie within {LARGEST:g} of 0: rescale it", np.abs(y) > LARGEST, names, y)
        beyond = (s < 1 / LARGEST) | (s > LARGEST)
        _refuse(f"sei must lie between {1 / LARGEST:g} and {LARGEST:g}: rescale it", beyond, names, s)
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


def require_effects(effects: object) -> None:
    """Refuse what is not EffectSizes: a table, most often.

    Raises
    ------
    ValueError
        If it is so; the message says what makes them.
    """
    if not isinstance(effects, EffectSizes):
        raise ValueError(
            f"effects must be EffectSizes, such as bp.effect_sizes(table, measure) makes; got {type(effects).__name__}."
        )


def effect_sizes(table: pd.DataFrame, measure: str | Measure, *, smd: str = "revman5") -> EffectSizes:
    """Effects and standard errors of studies, on the model scale.

    Parameters
    ----------
    table
        One row a study: `study` (unique labels) and either the measure's columns, or `yi` and `sei` on the model
        scale (log for ratios, Fisher's z for ZCOR), taken as they are (`_e` experimental, `_c` control):

        - RR, OR, PETO, RD: event_e, n_e, event_c, n_c;
        - MD, SMD, ROM: mean_e, sd_e, n_e, mean_c, sd_c, n_c;
        - HR: o_e, variance (observed minus expected events of the experimental arm, and its variance); PETO too,
          where a table has them they are preferred to counts;
        - PR: event, n (one group); COR, ZCOR: r, n.

        Sizes and events need not be whole numbers: adjusted for clusters they are not.
    measure
        A name in MEASURES, or a Measure.
    smd
        Convention of Hedges' g, point and variance together. "revman5": J = 1 - 3/(4N - 9),
        v = N/(n_e n_c) + g^2/(2(N - 3.94)); "metafor": exact J on N - 2 degrees of freedom,
        v = 1/n_e + 1/n_c + g^2/(2N).

    Returns
    -------
    EffectSizes
        In the order of the table, without the excluded studies.

    Raises
    ------
    ValueError
        If a column is missing, a value is not a finite number, n, an SD or sei is not positive, events are
        negative or exceed n, r is not within (-1, 1), means of a ROM differ in sign, a study is too small for its
        variance, a label is missing or repeated, there is no study, or none is left; the message names column,
        rule, study, row (counted from 1) and value.

    Warns
    -----
    UserWarning
        If both arms of a study are empty or both are full, or the variance of its O - E is zero: it says nothing
        of RR, OR, PETO or HR and is excluded. The warning names it. For RD such a study stays.

    Notes
    -----
    Zero cells: 0.5 is added to all four cells of a study that has an empty one (for PR to both of its cells), and
    to no other. That is escalc's default (add = 1/2, to = "only0"), and for RR and OR also what RevMan 5 does. For
    RD it moves the estimate as well as the variance, as in escalc; where the plain difference is wanted, give yi
    and sei. PETO needs no correction and has none, as in RevMan 5 and rma.peto, and unlike escalc. Like RevMan, and
    unlike escalc, ratios leave out a study without events: all it says is the correction.

    Examples
    --------
    >>> studies = bp.load_review("bcg")["1.1"].studies
    >>> effects = bp.effect_sizes(studies, "RR")
    >>> effects.study[0], effects.yi[0].round(4).item(), effects.vi[0].round(4).item()
    ('Aronson 1948', -0.8893, 0.3256)
    """
    spec = as_measure(measure)
    if smd not in SMD_CONVENTIONS:
        raise ValueError(f"smd must be one of {', '.join(SMD_CONVENTIONS)}; got {smd!r}.")
    columns = _columns_to_read(table, spec)
    study = study_labels(table)
    values = {name: numbers(table, name, study) for name in columns}
    if columns == GIVEN:
        demand("sei must be positive", values["sei"] > 0, study, values["sei"])
        return EffectSizes(study, values["yi"], values["sei"], spec)
    check(values, study, spec)
    study, values = _informative(values, study, spec)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # refused below, with the study
        yi, vi = _formula(columns, spec, smd)(values)
    return EffectSizes(study, yi, np.sqrt(vi), spec)


def _formula(columns: tuple[str, ...], spec: Measure, smd: str) -> ArmFormula:
    if columns == O_E:
        return one_step
    return {**ARM_FORMULAS, "SMD": SMD_CONVENTIONS[smd]}[spec.name]


def _columns_to_read(table: pd.DataFrame, spec: Measure) -> tuple[str, ...]:
    present = column_names(table)
    served = [columns for columns in (spec.instead, spec.columns) if columns and set(columns) <= set(present)]
    given = set(GIVEN) <= set(present)
    if served and given:
        raise ValueError(f"table must have {', '.join(served[0])} or yi, sei, not both: drop those not to be used.")
    columns = GIVEN if given or not spec.columns else served[0] if served else spec.columns
    missing = [c for c in ("study", *columns) if c not in present]
    if missing:
        ways = " or ".join(", ".join(c) for c in (spec.columns, spec.instead, GIVEN) if c)
        raise ValueError(
            f"{spec.name} needs the columns study and {'either ' if spec.columns else ''}{ways}; missing "
            f"{', '.join(missing)}; present: {', '.join(present) or 'none'}."
        )
    if table.empty:
        raise ValueError("table must have at least one study; it has no rows (k = 0).")
    return columns


def _informative(
    arms: Arms, study: tuple[str, ...], spec: Measure
) -> tuple[tuple[str, ...], dict[str, NDArray[np.float64]]]:
    """The studies that say something of a ratio; a warning names the others."""
    silent, why, shown = silent_studies(arms, spec)
    if not silent.any():
        return study, dict(arms)
    culprits = ", ".join(f"{study[i]} ({shown[i]})" for i in np.flatnonzero(silent))
    reason = f"{spec.name} cannot be estimated {why}"
    if silent.all():
        raise ValueError(f"{reason}; no study is left: {culprits}.")
    warnings.warn(f"{reason}; excluded: {culprits}.", UserWarning, stacklevel=3)
    kept = tuple(label for label, drop in zip(study, silent, strict=True) if not drop)
    return kept, {name: values[~silent] for name, values in arms.items()}
