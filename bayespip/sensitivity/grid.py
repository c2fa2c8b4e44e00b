"""The re-analysis under a grid of priors: every family and scale, beside the frequentist methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.exact.fit import exact_fit
from bayespip.priors import FAMILIES, Priors, exponential, flat, half_cauchy, half_normal, uniform
from bayespip.priors.sets import default_priors
from bayespip.published_only.bounds import bounds, sample
from bayespip.published_only.consistent import Family
from bayespip.reanalysis.quantities import PARAMETERS, QUANTITIES, Bayesian, Frequentist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.measures import Measure
    from bayespip.priors import Prior
    from bayespip.reanalysis.quantities import Method

    Array = NDArray[np.float64]

__all__ = ["SCALE_FAMILIES", "as_dataset", "default_grid", "prior_grid"]

SCALE_FAMILIES: Mapping[str, Callable[[float], Prior]] = {
    "half-normal": half_normal,
    "half-cauchy": half_cauchy,
    "exponential": exponential,
    "uniform": lambda scale: uniform(0.0, scale),
}
"""Families of priors on tau by their scale; a uniform's is its upper limit."""

# Steps from "small" through "reasonable" (0.1 to 0.5) and "fairly high" (0.5 to 1) to "fairly extreme" (above 1) on
# log ratios: Spiegelhalter DJ, Abrams KR, Myles JP. Bayesian Approaches to Clinical Trials (2004), section 5.7.3.
SCALES = (0.1, 0.25, 0.5, 1.0, 2.0)
# Where the unit is the instrument's: times the studies' typical standard error, at which I2 is 50% (Higgins JPT,
# Thompson SG. Stat Med 2002;21:1539-58); the scale of DuMouchel's prior is of this kind.
RELATIVE_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
FREQUENTIST = (
    ("common", "Wald"),
    *((tau2, "HKSJ-floored") for tau2 in ("DL", "PM", "REML", "ML", "EB", "SJ", "HE", "HS")),
    ("DL", "Wald"),
    ("REML", "HKSJ"),
)
EXACT = "exact normal-normal"
EDGES = ("point", "lower", "upper")
# Members of a family: those that attain the bounds under the two outermost priors, and some of the others. Over
# these the extremes under the priors between are inside the true ones by at most 3% of an interval's width.
_STARTS, _OTHERS = 2, 32
_ENDS = ("", "_min", "_max")
COLUMNS = (
    "measure", "k", "method", "prior", "family", "scale", "tau_median", "prior_mu", "parameter",
    *(f"{edge}{end}" for edge in EDGES for end in _ENDS),
    *(f"{edge}{end}_model" for edge in EDGES for end in _ENDS),
    "level", *(f"prob_positive{end}" for end in _ENDS), "value_of",
)  # fmt: skip


@dataclass(frozen=True)
class _Cell:
    """Quantities under one method, with their extremes over a family where there is one; model scale."""

    method: Method
    priors: Priors | None
    values: Array
    lowest: Array
    highest: Array


def default_grid(measure: Measure, typical_se: float) -> tuple[Priors, ...]:
    """The default grid: every family in SCALE_FAMILIES at five scales, beside every weakly informative mu.

    Parameters
    ----------
    measure
        Ratios have SCALES on the log scale, SMD the same times sqrt(3)/pi (as the default priors have it); RD and MD,
        for which no scale is in use, RELATIVE_SCALES times the studies' typical standard error.
    typical_se
        On the model scale.
    """
    sets = default_priors(measure)
    mus = {s.mu: s.priors.mu for s in sets if s.kind == "weakly informative"} or {"flat": flat()}
    scales = _scales(measure, typical_se)
    return tuple(
        Priors(mu, make(scale), name=f"tau {family} {scale:g}, mu {name}")
        for name, mu in mus.items()
        for family, make in SCALE_FAMILIES.items()
        for scale in scales
    )


def middle_scale(effects: EffectSizes) -> Prior:
    """The half-normal prior on tau in the middle of the default grid: 0.5 on log ratios."""
    return half_normal(_scales(effects.measure, _typical_se(effects))[len(SCALES) // 2])


def _scales(measure: Measure, typical_se: float) -> list[float]:
    if measure.log or measure.name == "SMD":
        factor, scales = (1.0 if measure.log else np.sqrt(3) / np.pi), SCALES
    else:
        factor, scales = typical_se, RELATIVE_SCALES
    return [float(f"{factor * s:.3g}") for s in scales]


def prior_grid(
    data: EffectSizes | Family,
    priors: Sequence[Priors] | None = None,
    *,
    level: float = 0.95,
    members: tuple[Array, Array] | None = None,
    seed: int = 1,
) -> pd.DataFrame:
    """Results under a grid of priors, and of frequentist methods: the specification curve of a re-analysis.

    Parameters
    ----------
    data
        Study effects; or the family of study data consistent with a published result.
    priors
        Priors on mu and tau, such as those of the catalogue; ``default_grid`` if None.
    level
        Of the intervals.
    members
        For a family: members over which extremes are taken, yi and vi of shape (B, k), such as those that attain the
        bounds of a re-analysis. If None, those that attain the bounds under the priors with the smallest and the
        largest median of tau, with 32 quasi-random ones.
    seed
        Of the search among members.

    Returns
    -------
    DataFrame
        One row a method, prior and parameter (mu, tau, theta_new): measure and k; point, lower, upper on the display
        scale (tau on the model scale) and on the model scale (``_model``), level, and P(mu > 0 on the model scale);
        family, scale and median of the prior on tau. For a family of data these are the values at the equal-variance
        member, and columns ending in ``_min`` and ``_max`` the extremes over the members: inside the true bounds,
        which ``reanalyse`` searches for under every prior.

    Raises
    ------
    ValueError
        If a posterior is improper, two priors have one label, or no member keeps all assumptions.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> grid = bp.prior_grid(invented).query("parameter == 'mu'")
    >>> len(grid), grid["upper"].min().round(2).item(), grid["upper"].max().round(2).item()
    (51, 0.94, 27.84)
    """
    import pandas as pd

    reference = data.illustration() if isinstance(data, Family) else data
    chosen = default_grid(reference.measure, _typical_se(reference)) if priors is None else tuple(priors)
    labels = [p.label for p in chosen]
    if not chosen or len(set(labels)) < len(labels):
        raise ValueError(f"priors must be at least one, with different names; got {', '.join(labels) or 'none'}.")
    methods: list[tuple[Method, Priors | None]] = [(Frequentist(t, ci, level), None) for t, ci in FREQUENTIST]
    methods += [(Bayesian(p, level), p) for p in chosen]
    if isinstance(data, Family):
        among = members or _members(data, chosen, level, seed)
        spread = [_extremes(method, *among) for method, _ in methods]
    else:
        spread = [(np.full(len(QUANTITIES), np.nan),) * 2] * len(methods)
    cells = [
        _Cell(method, p, _values(method, p, reference, level), *ends)
        for (method, p), ends in zip(methods, spread, strict=True)
    ]
    of = "equal-variance member" if isinstance(data, Family) else "study data"
    common = {"measure": reference.measure.name, "k": reference.k, "level": level, "value_of": of}
    rows = [row | common for cell in cells for row in _rows(cell, reference.measure)]
    return pd.DataFrame(rows, columns=COLUMNS)


def as_dataset(grid: pd.DataFrame) -> xr.Dataset:
    """The Bayesian cells of a grid as an array: prior_mu x family x scale x parameter.

    Parameters
    ----------
    grid
        From ``prior_grid``.

    Returns
    -------
    Dataset
        point, lower and upper on the model scale, with the extremes over members; prob_positive has no dimension
        parameter. A family without a given scale has nan there.

    Raises
    ------
    ValueError
        If two priors share mu, family and scale, or a prior on tau has no scale.
    """
    cells = grid[grid["method"] == EXACT]
    axes = ["prior_mu", "family", "scale", "parameter"]
    unscaled = cells.loc[cells["scale"].isna(), "prior"]
    if len(unscaled):
        raise ValueError(f"every prior on tau must have a scale; not so for {', '.join(unscaled.unique())}.")
    repeated = cells[cells.duplicated(axes)]
    if len(repeated):
        names = ", ".join(repeated["prior"].unique())
        raise ValueError(f"priors must differ in mu, family or scale of tau; these repeat another: {names}.")
    edges = [f"{edge}{end}_model" for edge in EDGES for end in _ENDS]
    whole: xr.Dataset = cells.set_index(axes)[edges].to_xarray()
    whole = whole.rename({name: name.replace("_model", "") for name in edges})
    of_mu = cells[cells["parameter"] == "mu"].set_index(axes[:3])
    whole = whole.merge(of_mu[[f"prob_positive{end}" for end in _ENDS]].to_xarray())
    return whole.assign_attrs(scale="model scale", level=float(cells["level"].iloc[0]))


def _typical_se(effects: EffectSizes) -> float:
    """Root of the mean weight's inverse: a middle that one imprecise study does not pull up."""
    return float(1 / np.sqrt((1 / effects.vi).mean()))


def _members(family: Family, priors: Sequence[Priors], level: float, seed: int) -> tuple[Array, Array]:
    """Members that attain the bounds under the outermost priors, and quasi-random ones."""
    by_median = sorted(priors, key=lambda p: np.nan_to_num(_tau_median(p.tau), nan=np.inf))
    outermost = [Bayesian(p, level) for p in (by_median[0], by_median[-1])]
    found = bounds(family, outermost, starts=_STARTS, seed=seed)
    _, some = sample(family, at_vertices=True, seed=seed)
    every = max(len(some.yi) // _OTHERS, 1)
    attained = [np.concatenate([b.yi, b.vi], axis=2).reshape(-1, 2 * family.k) for b in found]
    others = np.concatenate([some.yi, some.vi], axis=1)[::every]
    yi, vi = np.split(np.unique(np.concatenate([*attained, others]), axis=0), 2, axis=1)
    return np.ascontiguousarray(yi), np.ascontiguousarray(vi)


def _extremes(method: Method, yi: Array, vi: Array) -> tuple[Array, Array]:
    """Lowest and highest value of every quantity over the members; nan where one does not exist."""
    values = method.quantities(yi, vi)
    return values.min(axis=0), values.max(axis=0)


def _values(method: Method, priors: Priors | None, effects: EffectSizes, level: float) -> Array:
    if priors is None:
        return np.asarray(method.quantities(effects.yi[None], effects.vi[None])[0])
    fit = exact_fit(effects, priors, level=level)
    of = [getattr(getattr(fit, parameter), edge) for parameter in PARAMETERS for edge in EDGES]
    return np.array([*of, fit.prob_positive])


def _rows(cell: _Cell, measure: Measure) -> Iterator[dict[str, Any]]:
    priors = cell.priors
    common: dict[str, Any] = {"method": cell.method.name, "prior": "", "family": "", "prior_mu": ""}
    if priors is not None:
        tau = priors.tau
        common = {"method": EXACT, "prior": priors.label, "family": tau.family, "prior_mu": str(priors.mu)}
        common |= {"scale": _scale(tau), "tau_median": _tau_median(tau)}
    by_end = dict(zip(_ENDS, (cell.values, cell.lowest, cell.highest), strict=True))
    for i, parameter in enumerate(PARAMETERS):
        row = common | {"parameter": parameter}
        for end, values in by_end.items():
            model = values[3 * i : 3 * i + 3]
            shown = model if parameter == "tau" else measure.display(model)
            row |= {f"{edge}{end}": float(x) for edge, x in zip(EDGES, shown, strict=True)}
            row |= {f"{edge}{end}_model": float(x) for edge, x in zip(EDGES, model, strict=True)}
            if parameter == "mu":
                row[f"prob_positive{end}"] = float(values[-1])
        yield row


def _tau_median(tau: Prior) -> float:
    return float(tau.quantile(0.5)) if tau.proper and not tau.given else np.nan


def _scale(tau: Prior) -> float:
    """The scale of a prior on tau: a uniform's upper limit, a log-normal's median; nan where there is none."""
    if tau.given or not tau.proper:
        return np.nan
    by_name = dict(zip(FAMILIES[tau.family].parameters, tau.parameters, strict=True))
    if tau.family == "log-normal":
        return float(np.exp(by_name["meanlog"]))
    return float(by_name.get("scale", by_name.get("upper", np.nan)))
