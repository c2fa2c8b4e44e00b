"""What every fit shows, whatever engine made it, and fits set side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from bayespip.effects import EffectSizes

__all__ = ["Estimate", "Fit", "compare"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point and an interval on the model scale (log for ratios); nan where undefined."""

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


class Fit(Protocol):
    """The common face of FrequentistFit, ExactFit and PymcFit; everything on the model scale."""

    @property
    def effects(self) -> EffectSizes: ...
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
        One row a fit and parameter (mu, tau, theta_new, theta[study]): analysis, measure, k, method, prior,
        parameter, point, lower, upper on the display scale (ratios for ratio measures; tau stays on the model
        scale), point_model, lower_model, upper_model on the model scale, level, and prob_positive =
        P(mu > 0 | data) on the model scale (nan for frequentist fits and for other parameters).
    """
    import pandas as pd

    rows = []
    for fit in fits:
        measure = fit.effects.measure
        common = {"analysis": analysis, "measure": measure.name, "k": fit.effects.k, "method": fit.method}
        common |= {"prior": fit.prior, "level": fit.level}
        parameters: dict[str, Interval] = {"mu": fit.mu, "tau": fit.tau, "theta_new": fit.theta_new}
        parameters |= {f"theta[{study}]": estimate for study, estimate in fit.theta.items()}
        for name, estimate in parameters.items():
            model = np.array([estimate.point, estimate.lower, estimate.upper])
            shown = model if name == "tau" else measure.display(model)
            row = common | dict(zip(_EDGES, shown, strict=True))
            row |= {f"{edge}_model": x for edge, x in zip(_EDGES, model, strict=True)}
            rows.append(row | {"parameter": name, "prob_positive": fit.prob_positive if name == "mu" else np.nan})
    return pd.DataFrame(rows, columns=_COLUMNS)


_EDGES = ("point", "lower", "upper")
_COLUMNS = ["analysis", "measure", "k", "method", "prior", "parameter", *_EDGES]
_COLUMNS += [*(f"{edge}_model" for edge in _EDGES), "level", "prob_positive"]
