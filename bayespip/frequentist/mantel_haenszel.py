"""Mantel-Haenszel pooling of 2x2 tables, on the model scale, and the conventions of its programs.

Notation: a and b are events and non-events of the experimental arm, c and d of the control arm; N is their sum.

Sources: Mantel N, Haenszel W (1959), J Natl Cancer Inst 22:719-748; Robins J, Breslow N, Greenland S (1986),
Biometrics 42:311-323 (variance of the odds ratio); Greenland S, Robins JM (1985), Biometrics 41:55-68 (risk ratio
and risk difference); Sato T (1989), Biometrics 45:1323-1324 (risk difference, as metafor has it); Deeks JJ,
Higgins JPT (2010), Statistical algorithms in Review Manager 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.study_data.arm_formulas import ZERO_CELL_CORRECTION, has_empty_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bayespip.study_data.arm_formulas import Arms, Vector

    Cells = tuple[Vector, Vector, Vector, Vector]
    Sums = tuple[float, float, Vector]

__all__ = ["CONVENTIONS", "MH_MEASURES", "OF_RISK_DIFFERENCES", "Convention", "convention_of", "mantel_haenszel"]


@dataclass(frozen=True, slots=True)
class Convention:
    """What the 0.5 in the cells of a study with an empty one enters; its own ratio always has it.

    Attributes
    ----------
    label
        In words.
    sums
        Whether the Mantel-Haenszel sums of ratios have it.
    difference, variance
        Whether a study's risk difference has it, and its variance (which has it in any case where it would be 0).
    weights, pooled_variance
        Whether the Mantel-Haenszel weights of risk differences have it (and in the mean the differences, if a
        study's own has it), and the variance of their mean (which has it in any case where it would be 0).
    sato
        Whether that variance is Sato's, not Greenland and Robins'.
    """

    label: str
    sums: bool
    difference: bool = False
    variance: bool = True
    weights: bool = False
    pooled_variance: bool = False
    sato: bool = False


# docs/decisions/revman-pooling.md says how each is known.
CONVENTIONS: Mapping[str, Convention] = {
    "revman5": Convention("0.5 in the sums of ratios, not in those of risk differences", True),
    "plain": Convention("0.5 in the sums of ratios, nowhere in risk differences", True, variance=False),
    "revman3": Convention("0.5 in the variance of the pooled risk difference alone", True, pooled_variance=True),
    "meta": Convention("0.5 in all sums, not in a risk difference itself", True, weights=True, pooled_variance=True),
    "all": Convention("0.5 in all sums and in a risk difference itself", True, True, True, True, True),
    "metafor": Convention("no 0.5 in any sum, Sato's variance of a risk difference", False, True, sato=True),
    "raw": Convention("no 0.5 in any sum nor in a risk difference itself", False),
}
# Those that programs and texts about RevMan name for risk differences, where its own text is silent.
OF_RISK_DIFFERENCES = ("revman5", "plain", "revman3", "meta", "all")


def convention_of(name: str) -> Convention:
    """The convention of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the choices.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}; got {name!r}.")
    return CONVENTIONS[name]


def mantel_haenszel(arms: Arms, measure: str, convention: Convention) -> tuple[float, float, Vector]:
    """Pooled effect, its variance, and the studies' weights (not scaled), by Mantel and Haenszel.

    Parameters
    ----------
    arms
        Columns event_e, n_e, event_c, n_c, each shape (k,).
    measure
        A name in MH_MEASURES; ratios are logarithms.
    convention
        About empty cells.

    Returns
    -------
    tuple
        nan, nan where the sums leave a ratio undefined: no events in an arm of any study, and no 0.5 in the sums.
    """
    a, b, c, d = arms["event_e"], arms["n_e"] - arms["event_e"], arms["event_c"], arms["n_c"] - arms["event_c"]
    empty = has_empty_cell(arms)

    def cells(corrected: bool) -> Cells:
        add = np.where(empty & corrected, ZERO_CELL_CORRECTION, 0.0)
        return a + add, b + add, c + add, d + add

    return MH_MEASURES[measure](cells, convention)


def _log_odds_ratio(cells: Cells) -> Sums:
    a, b, c, d = cells
    n = a + b + c + d
    r, s = a * d / n, b * c / n
    p, q = (a + d) / n, (b + c) / n
    r_sum, s_sum = r.sum(), s.sum()
    if r_sum <= 0 or s_sum <= 0:
        return np.nan, np.nan, s
    # Robins, Breslow & Greenland (1986).
    variance = (
        (p * r).sum() / (2 * r_sum**2) + (p * s + q * r).sum() / (2 * r_sum * s_sum) + (q * s).sum() / (2 * s_sum**2)
    )
    return float(np.log(r_sum) - np.log(s_sum)), float(variance), s


def _log_risk_ratio(cells: Cells) -> Sums:
    a, b, c, d = cells
    n_e, n_c = a + b, c + d
    n = n_e + n_c
    r, s = a * n_c / n, c * n_e / n
    r_sum, s_sum = r.sum(), s.sum()
    if r_sum <= 0 or s_sum <= 0:
        return np.nan, np.nan, s
    # Greenland & Robins (1985): (n_e n_c (a + c) - a c N) / N^2.
    p = (n_e * n_c * (a + c) - a * c * n) / n**2
    return float(np.log(r_sum) - np.log(s_sum)), float(p.sum() / (r_sum * s_sum)), s


def _risk_difference(cells: Callable[[bool], Cells], convention: Convention) -> Sums:
    events_e, rest_e, events_c, rest_c = cells(convention.difference and convention.weights)
    difference = events_e / (events_e + rest_e) - events_c / (events_c + rest_c)
    weights = _risk_difference_weights(cells(convention.weights))
    k = weights.sum()
    estimate = (weights * difference).sum() / k
    if convention.sato:
        j = _sato(cells(convention.pooled_variance), estimate)
    else:
        j = _greenland_robins(cells(convention.pooled_variance)) or _greenland_robins(cells(True))
    return float(estimate), float(j / k**2), weights


def _sato(cells: Cells, estimate: float) -> float:
    a, b, c, d = cells
    n_e, n_c = a + b, c + d
    n = n_e + n_c
    p = (c * n_e**2 - a * n_c**2 + n_e * n_c * (n_c - n_e) / 2) / n**2
    q = (a * d + b * c) / (2 * n)
    return float(estimate * p.sum() + q.sum())


def _greenland_robins(cells: Cells) -> float:
    a, b, c, d = cells
    n_e, n_c = a + b, c + d
    return float(((a * b * n_c**3 + c * d * n_e**3) / (n_e * n_c * (n_e + n_c) ** 2)).sum())


def _risk_difference_weights(cells: Cells) -> Vector:
    n_e, n_c = cells[0] + cells[1], cells[2] + cells[3]
    return n_e * n_c / (n_e + n_c)


MH_MEASURES: Mapping[str, Callable[[Callable[[bool], Cells], Convention], Sums]] = {
    "OR": lambda cells, convention: _log_odds_ratio(cells(convention.sums)),
    "RR": lambda cells, convention: _log_risk_ratio(cells(convention.sums)),
    "RD": _risk_difference,
}
"""By measure: from the cells, with 0.5 in those of a study with an empty one or without, and the convention."""
