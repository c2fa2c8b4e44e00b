"""Operating characteristics: what intervals of the average effect do over many meta-analyses simulated from a scenario.

References
----------
Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat Med
2019;38:2074-2102, table 6 (the estimates and their Monte Carlo standard errors).
Gelman A, Carlin J. Beyond power calculations. Perspect Psychol Sci 2014;9:641-651 (errors of type S).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayespip.calibration.scenarios import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.calibration.scenarios import Estimates, Scenario
    from bayespip.priors import Priors

    Vector = NDArray[np.float64]

__all__ = ["FREQUENTIST", "STATISTICS", "operating_characteristics"]

FREQUENTIST = (("DL", "Wald"), ("DL", "HKSJ"), ("REML", "Wald"), ("REML", "HKSJ"), ("REML", "HKSJ-floored"))
"""Estimators of tau2 with intervals of mu, as for ``frequentist_batch``."""

INTERVALS = {
    "central": ("mu_median", "mu_lower", "mu_upper"),
    "shortest": ("mu_median", "mu_shortest_lower", "mu_shortest_upper"),
}
"""Point estimate and limits, as ``exact_batch`` names them."""

STATISTICS = ("coverage", "width", "median_width", "bias", "rmse", "power", "type_s", "no_result")

# Standard error of a median from the distance of the order statistics that enclose it with 95%: Woodruff RS. J Am Stat
# Assoc 1952;47:635-646.
_ENCLOSING = 1.96


class Intervals(NamedTuple):
    """Point estimate and interval of mu in each replicate, nan where a method has no result."""

    method: str
    prior: str
    point: Vector
    lower: Vector
    upper: Vector


def operating_characteristics(
    scenario: Scenario,
    *,
    frequentist: Sequence[tuple[str, str]] = FREQUENTIST,
    priors: Sequence[Priors] | None = None,
    interval: str = "central",
    replicates: int = 10_000,
    seed: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    """Coverage, width, bias, power and errors of intervals of mu, by simulation.

    Parameters
    ----------
    scenario
        The world from which the meta-analyses are drawn.
    frequentist
        Pairs of an estimator of tau2 and an interval, as for ``frequentist_batch``.
    priors
        Of the exact posteriors, whose median and interval are judged; those of a re-analysis (``default_priors`` of the
        scenario's measure) if None.
    interval
        Of the posteriors: "central" or "shortest".
    replicates
        Number of simulated meta-analyses, 2 or more.
    seed
        Integer from 0. Scenarios with the same seed that differ in a fixed tau or mu alone share their random numbers.
    level
        Probability of the intervals.

    Returns
    -------
    DataFrame
        One row a method: k, tau, mu (numbers, or what they were drawn from), trials, measure; method, prior (empty for
        frequentist ones), level, replicates; and, each followed by its Monte Carlo standard error in a column
        ``<name>_se``, on the model scale:

        - coverage: share of intervals that hold mu;
        - width, median_width: mean and median width of the intervals;
        - bias, rmse: mean and root mean square of point estimate less mu;
        - power: share of all replicates whose interval excludes 0: at mu = 0 the false positives;
        - type_s: of these, the share on the wrong side of 0; nan where mu is 0 or there are none;
        - no_result: share of replicates without an interval, which count for this and power only.

        A standard error is 0 where a share is 0 or 1.

    Raises
    ------
    ValueError
        If there are fewer than 2 replicates, neither method nor prior, or a method or interval does not exist.

    Examples
    --------
    >>> scenario = bp.calibration.Scenario(k=2, tau=0.3, trials=bp.calibration.Errors("ours", (0.25, 0.4)), mu=0.4)
    >>> priors = [bp.Priors(bp.priors.flat(), bp.priors.half_normal(0.5))]
    >>> table = bp.calibration.operating_characteristics(scenario, priors=priors, replicates=100)
    >>> table["method"].unique().tolist()[-1], len(table)
    ('exact normal-normal', 6)
    """
    import pandas as pd

    if replicates < 2:
        raise ValueError(f"replicates must be 2 or more; got {replicates!r}.")
    if interval not in INTERVALS:
        raise ValueError(f"interval must be one of {', '.join(INTERVALS)}; got {interval!r}.")
    pairs = _default(scenario) if priors is None else tuple(priors)
    if not pairs and not frequentist:
        raise ValueError("frequentist and priors must name at least one method between them; got none.")
    truth = simulated(scenario, replicates, np.random.default_rng(seed))
    head: dict[str, object] = {
        "k": scenario.k,
        "tau": _written(scenario.tau),
        "mu": _written(scenario.mu),
        "trials": scenario.trials.name,
        "measure": scenario.measure,
    }
    rows = [
        head
        | {"method": found.method, "prior": found.prior, "level": level, "replicates": replicates}
        | _statistics(found, truth.mu)
        for found in (
            *_frequentist(truth.trials, frequentist, level),
            *_exact(truth.trials, pairs, scenario.measure, INTERVALS[interval], level),
        )
    ]
    return pd.DataFrame(rows)


def _default(scenario: Scenario) -> tuple[Priors, ...]:
    from bayespip.priors.sets import default_priors

    return tuple(one.priors for one in default_priors(scenario.measure))


def _written(value: object) -> float | str:
    return value if isinstance(value, float) else str(value)


def _by_size(trials: Estimates) -> Iterator[tuple[NDArray[np.intp], Vector, Vector]]:
    """Replicates with as many informative trials: which they are, and yi and sei of shape (replicates, trials)."""
    sizes = trials.informative.sum(axis=1)
    for size in np.unique(sizes[sizes > 0]):
        which = np.flatnonzero(sizes == size)
        kept = trials.informative[which]
        yield which, trials.yi[which][kept].reshape(-1, size), trials.sei[which][kept].reshape(-1, size)


def _frequentist(trials: Estimates, methods: Sequence[tuple[str, str]], level: float) -> Iterator[Intervals]:
    from bayespip.frequentist.batches import CI_METHODS, frequentist_batch

    groups = list(_by_size(trials))
    for tau2, ci in methods:
        found = np.full((3, len(trials.yi)), np.nan)
        for which, yi, sei in groups:
            batch = frequentist_batch(yi, sei**2, tau2, ci, level=level)
            found[:, which] = batch.mu, batch.lower, batch.upper
        yield Intervals(f"{'common effect' if tau2 == 'common' else tau2}, {CI_METHODS[ci].label}", "", *found)


def _exact(
    trials: Estimates, priors: Sequence[Priors], measure: str, columns: tuple[str, ...], level: float
) -> Iterator[Intervals]:
    from bayespip.effects import EffectSizes
    from bayespip.exact.batches import exact_batch

    labels = [f"simulated {i + 1}" for i in range(trials.yi.shape[1])]
    found = np.full((3, len(priors), len(trials.yi)), np.nan)
    for which, yi, sei in _by_size(trials) if priors else ():
        names = labels[: yi.shape[1]]
        effects = [EffectSizes(names, y, s, measure) for y, s in zip(yi, sei, strict=True)]
        fits = exact_batch(effects, priors, level=level)
        for at, column in enumerate(columns):
            found[at][:, which] = fits[column].values.T
    for at, pair in enumerate(priors):
        yield Intervals("exact normal-normal", pair.label, *found[:, at])


def _statistics(found: Intervals, mu: Vector) -> dict[str, float]:
    """STATISTICS of one method, each with its Monte Carlo standard error."""
    known = np.isfinite(found.lower) & np.isfinite(found.upper)
    point, lower, upper, true = (values[known] for values in (found.point, found.lower, found.upper, mu))
    error, width = point - true, upper - lower
    side = np.where(lower > 0, 1.0, np.where(upper < 0, -1.0, 0.0))
    judged = (side != 0) & (true != 0)
    values = {
        "coverage": _share((lower <= true) & (true <= upper)),
        "width": _mean(width),
        "median_width": _median(width),
        "bias": _mean(error),
        "rmse": _root_mean_square(error),
        "power": _share(np.concatenate([side != 0, np.zeros((~known).sum(), dtype=bool)])),
        "type_s": _share(side[judged] != np.sign(true[judged])),
        "no_result": _share(~known),
    }
    return {
        column: number for name in STATISTICS for column, number in zip((name, f"{name}_se"), values[name], strict=True)
    }


_UNKNOWN = (math.nan, math.nan)


def _share(holds: NDArray[np.bool_]) -> tuple[float, float]:
    if not holds.size:
        return _UNKNOWN
    share = float(holds.mean())
    return share, math.sqrt(share * (1 - share) / holds.size)


def _mean(values: Vector) -> tuple[float, float]:
    if values.size < 2:
        return _UNKNOWN
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)


def _median(values: Vector) -> tuple[float, float]:
    if values.size < 2:
        return _UNKNOWN
    reach = _ENCLOSING * math.sqrt(values.size) / 2
    ranks = np.clip(np.round(values.size / 2 + np.array([-reach, reach])), 1, values.size).astype(int) - 1
    low, high = np.sort(values)[ranks]
    return float(np.median(values)), float(high - low) / (2 * _ENCLOSING)


def _root_mean_square(values: Vector) -> tuple[float, float]:
    """By the delta method from the mean square."""
    mean, se = _mean(values**2)
    root = math.sqrt(mean) if mean >= 0 else math.nan
    return root, se / (2 * root) if root else se
