"""What a study's row holds to an effect and its sampling variance: one function a measure, on the model scale.

Sources: Deeks JJ, Higgins JPT (2010), Statistical algorithms in Review Manager 5; Cochrane Handbook 6.4-6.5;
metafor's escalc (Viechtbauer 2010, J Stat Softw 36(3)); Hedges LV (1981), J Educ Stat 6:107-128; Yusuf S et al.
(1985), Prog Cardiovasc Dis 27:335-371; Hedges LV, Gurevitch J, Curtis PS (1999), Ecology 80:1150-1156.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Arms = Mapping[str, Vector]
    ArmFormula = Callable[[Arms], tuple[Vector, Vector]]

__all__ = ["ARM_FORMULAS", "SMD_CONVENTIONS", "has_empty_cell", "is_uninformative", "one_step"]

# Haldane (1956), Anscombe (1956); added to every cell of a study that has an empty one.
ZERO_CELL_CORRECTION = 0.5


def has_empty_cell(arms: Arms) -> NDArray[np.bool_]:
    """Which 2x2 tables have an empty cell, shape (k,)."""
    a, b, c, d = _raw_cells(arms)
    empty: NDArray[np.bool_] = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    return empty


def is_uninformative(arms: Arms) -> NDArray[np.bool_]:
    """Which studies say nothing of a ratio, shape (k,): no events in either arm, or events in everybody."""
    a, b, c, d = _raw_cells(arms)
    uninformative: NDArray[np.bool_] = ((a == 0) & (c == 0)) | ((b == 0) & (d == 0))
    return uninformative


def _raw_cells(arms: Arms) -> tuple[Vector, Vector, Vector, Vector]:
    a, c = arms["event_e"], arms["event_c"]
    return a, arms["n_e"] - a, c, arms["n_c"] - c


def _cells(arms: Arms) -> tuple[Vector, Vector, Vector, Vector]:
    """Events and non-events of both arms, the zero-cell correction applied."""
    a, b, c, d = _raw_cells(arms)
    add = np.where(has_empty_cell(arms), ZERO_CELL_CORRECTION, 0.0)
    return a + add, b + add, c + add, d + add


def _log_risk_ratio(arms: Arms) -> tuple[Vector, Vector]:
    a, b, c, d = _cells(arms)
    n_e, n_c = a + b, c + d
    # 1/a - 1/n_e = b / (a n_e), without the cancellation.
    return np.log(a / n_e) - np.log(c / n_c), b / (a * n_e) + d / (c * n_c)


def _log_odds_ratio(arms: Arms) -> tuple[Vector, Vector]:
    a, b, c, d = _cells(arms)
    return np.log(a / b) - np.log(c / d), 1 / a + 1 / b + 1 / c + 1 / d


def _peto_log_odds_ratio(arms: Arms) -> tuple[Vector, Vector]:
    """One step from the null: (O - E)/V and 1/V with the hypergeometric V (Yusuf 1985); no correction of zeros."""
    a, b, c, d = _raw_cells(arms)
    n_e, n_c = arms["n_e"], arms["n_c"]
    total = n_e + n_c
    # O - E = a - n_e (a + c)/N, without the cancellation.
    observed_minus_expected = (a * n_c - c * n_e) / total
    variance = (a + c) * (b + d) * (n_e / total) * (n_c / total) / (total - 1)
    return one_step({"o_e": observed_minus_expected, "variance": variance})


def one_step(arms: Arms) -> tuple[Vector, Vector]:
    """Log ratio (O - E)/V with variance 1/V, from a log-rank or stratified table (Yusuf 1985)."""
    return arms["o_e"] / arms["variance"], 1 / arms["variance"]


def _risk_difference(arms: Arms) -> tuple[Vector, Vector]:
    a, b, c, d = _cells(arms)
    n_e, n_c = a + b, c + d
    return a / n_e - c / n_c, a * b / n_e**3 + c * d / n_c**3


def _mean_difference(arms: Arms) -> tuple[Vector, Vector]:
    variance = arms["sd_e"] ** 2 / arms["n_e"] + arms["sd_c"] ** 2 / arms["n_c"]
    return arms["mean_e"] - arms["mean_c"], variance


def _cohen_d(arms: Arms) -> Vector:
    n_e, n_c = arms["n_e"], arms["n_c"]
    # the pooled SD, without the squares that a double may not hold
    spread = np.hypot(np.sqrt(n_e - 1) * arms["sd_e"], np.sqrt(n_c - 1) * arms["sd_c"])
    return np.asarray((arms["mean_e"] - arms["mean_c"]) / (spread / np.sqrt(n_e + n_c - 2)))


def _hedges_g_revman5(arms: Arms) -> tuple[Vector, Vector]:
    """Hedges' g = d (1 - 3/(4N - 9)), v = N/(n_e n_c) + g^2/(2(N - 3.94)): Deeks & Higgins (2010)."""
    n_e, n_c = arms["n_e"], arms["n_c"]
    total = n_e + n_c
    g = _cohen_d(arms) * (1 - 3 / (4 * total - 9))
    return g, total / (n_e * n_c) + g**2 / (2 * (total - 3.94))


def _hedges_g_metafor(arms: Arms) -> tuple[Vector, Vector]:
    """Hedges' g = J d with the exact J on m = N - 2 df (Hedges 1981), v = 1/n_e + 1/n_c + g^2/(2N)."""
    from scipy.special import poch

    n_e, n_c = arms["n_e"], arms["n_c"]
    total = n_e + n_c
    m = total - 2
    # J = gamma(m/2) / (sqrt(m/2) gamma((m-1)/2)), and poch(z, 1/2) = gamma(z + 1/2) / gamma(z).
    g = _cohen_d(arms) * poch((m - 1) / 2, 0.5) / np.sqrt(m / 2)
    return g, 1 / n_e + 1 / n_c + g**2 / (2 * total)


def _log_ratio_of_means(arms: Arms) -> tuple[Vector, Vector]:
    """log(mean_e / mean_c), by the delta method (Hedges, Gurevitch & Curtis 1999)."""
    squares = [(arms[f"sd_{arm}"] / arms[f"mean_{arm}"]) ** 2 / arms[f"n_{arm}"] for arm in "ec"]
    return np.log(arms["mean_e"] / arms["mean_c"]), squares[0] + squares[1]


def _proportion(arms: Arms) -> tuple[Vector, Vector]:
    event, rest = arms["event"], arms["n"] - arms["event"]
    add = np.where((event == 0) | (rest == 0), ZERO_CELL_CORRECTION, 0.0)
    n = arms["n"] + 2 * add
    return (event + add) / n, (event + add) * (rest + add) / n**3


def _correlation(arms: Arms) -> tuple[Vector, Vector]:
    """Correlation r with the large-sample variance (1 - r^2)^2/(n - 1), escalc's vtype = "LS"."""
    r = arms["r"]
    return r, ((1 - r) * (1 + r)) ** 2 / (arms["n"] - 1)


def _fisher_z(arms: Arms) -> tuple[Vector, Vector]:
    return np.arctanh(arms["r"]), 1 / (arms["n"] - 3)


SMD_CONVENTIONS: Mapping[str, ArmFormula] = {"revman5": _hedges_g_revman5, "metafor": _hedges_g_metafor}

ARM_FORMULAS: Mapping[str, ArmFormula] = {
    "RR": _log_risk_ratio,
    "OR": _log_odds_ratio,
    "PETO": _peto_log_odds_ratio,
    "RD": _risk_difference,
    "MD": _mean_difference,
    "ROM": _log_ratio_of_means,
    "PR": _proportion,
    "COR": _correlation,
    "ZCOR": _fisher_z,
}
