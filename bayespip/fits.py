"""What every fit shows, whatever engine made it, and fits set side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from bayespip.measures import Measure

__all__ = ["EFFECTS", "Estimate", "Fit", "RandomEffects", "Studies", "compare"]


# Parameters on the scale of the measure, shown as ratios where it is one.
EFFECTS = ("mu", "theta", "theta_new")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point and an interval on the model scale (log for ratios); nan where undefined.

    Examples
    --------
    >>> bp.Estimate(point=-0.5, lower=-1.0, upper=0.1)
    Estimate(point=-0.5, lower=-1.0, upper=0.1)
    """

    point: float
    lower: float
    upper: float


class Interval(Protocol):
    """Anything with a point and limits, such as an Estimate or a marginal posterior."""

    @property
    def point(self) -> float: ...
    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...


class Studies(Protocol):
    """What is fitted: EffectSizes, or the counts, means ... that a model takes instead."""

    @property
    def study(self) -> tuple[str, ...]: ...
    @property
    def k(self) -> int: ...
    @property
    def measure(self) -> Measure: ...


class Fit(Protocol):
    """The common face of FrequentistFit, ExactFit and PymcFit; everything on the model scale."""

    @property
    def effects(self) -> Studies: ...
    @property
    def method(self) -> str: ...
    @property
    def prior(self) -> str: ...
    @property
    def level(self) -> float: ...
    @property
    def mu(self) -> Interval: ...
    @property
    def tau(self) -> Interval: ...
    @property
    def theta(self) -> Mapping[str, Interval]: ...
    @property
    def theta_new(self) -> Interval: ...
    @property
    def prob_positive(self) -> float: ...
    @property
    def parameters(self) -> Mapping[str, Interval]: ...
    @property
    def effect_names(self) -> tuple[str, ...]: ...


class RandomEffects:
    """What every fit of the normal-normal model has: its four parameters under the names of tables."""

    __slots__ = ()
    effect_names = EFFECTS

    @property
    def parameters(self: Any) -> dict[str, Interval]:
        """mu, tau, theta_new and each theta[study]."""
        of_studies = {f"theta[{study}]": estimate for study, estimate in self.theta.items()}
        return {"mu": self.mu, "tau": self.tau, "theta_new": self.theta_new, **of_studies}

    def __str__(self: Any) -> str:
        """Method, priors, and mu, tau and theta_new on the display scale."""
        measure = self.effects.measure
        of = ", ".join(part for part in (self.method, self.prior) if part)
        lines = [f"{measure.label}, k = {self.effects.k}; {of}; {100 * self.level:g}% intervals"]
        for name in ("mu", "tau", "theta_new"):
            estimate = getattr(self, name)
            values = np.array([estimate.point, estimate.lower, estimate.upper])
            point, lower, upper = measure.display(values) if name in self.effect_names else values
            limits = ", no interval" if np.isnan(lower) else f" ({lower:.4g} to {upper:.4g})"
            lines.append(f"{name:<10} {point:.4g}{limits}{', log scale' if name == 'tau' and measure.log else ''}")
        return "\n".join(lines)


def compare(*fits: Fit, analysis: str = "") -> pd.DataFrame:
    """Fits as rows of a tidy table.

    Parameters
    ----------
    *fits
        Fits of the same or of different data.
    analysis
        Label put into the column of that name.

    Returns
    -------
    DataFrame
        One row a fit and parameter (mu, tau, theta_new, theta[study]; of a model also its own): analysis, measure,
        k, method, prior, parameter, point, lower, upper on the display scale (ratios for ratio measures; tau and
        others that are no effects stay on the model scale), point_model, lower_model, upper_model on the model
        scale, level, and prob_positive = P(mu > 0 | data) on the model scale (nan for frequentist fits and for
        other parameters).

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> table = bp.compare(bp.frequentist_fit(invented, "DL", "Wald"), bp.exact_fit(invented, weak))
    >>> print(table.query("parameter == 'mu'")[["method", "point", "lower", "upper"]].round(2).to_string(index=False))
                 method  point  lower  upper
               DL, Wald   0.57   0.33   0.98
    exact normal-normal   0.57   0.25   1.24
    """
    import pandas as pd

    rows = []
    for fit in fits:
        measure = fit.effects.measure
        common = {"analysis": analysis, "measure": measure.name, "k": fit.effects.k, "method": fit.method}
        common |= {"prior": fit.prior, "level": fit.level}
        for name, estimate in fit.parameters.items():
            model = np.array([estimate.point, estimate.lower, estimate.upper])
            shown = measure.display(model) if name.partition("[")[0] in fit.effect_names else model
            row = common | dict(zip(_EDGES, shown, strict=True))
            row |= {f"{edge}_model": x for edge, x in zip(_EDGES, model, strict=True)}
            rows.append(row | {"parameter": name, "prob_positive": fit.prob_positive if name == "mu" else np.nan})
    return pd.DataFrame(rows, columns=_COLUMNS)


_EDGES = ("point", "lower", "upper")
_COLUMNS = ["analysis", "measure", "k", "method", "prior", "parameter", *_EDGES]
_COLUMNS += [*(f"{edge}_model" for edge in _EDGES), "level", "prob_positive"]
