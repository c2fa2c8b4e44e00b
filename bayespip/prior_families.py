"""The families of priors: each declared once, for both engines.

The SciPy distribution serves the exact engine and the PyMC variable the sampler; a test holds the two together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of priors, declared once for both engines.

    Attributes
    ----------
    name, parameters
        As printed; the parameters in the order of ``Prior.parameters``.
    role
        "mu" (real line) or "tau" (positive half-line).
    distribution
        Parameters to a frozen SciPy distribution; None where the density is not proper.
    pymc
        ``(name, *parameters)`` to a PyMC variable.
    tail
        Parameters to the exponent a of the density's tail tau^-a; infinite where it falls faster than any power.
    """

    name: str
    parameters: tuple[str, ...]
    role: str
    distribution: Callable[..., Any]
    pymc: Callable[..., Any]
    tail: Callable[..., float]


def _stats() -> Any:
    from scipy import stats

    return stats


def _pm() -> Any:
    import pymc

    return pymc


def _lomax_pymc(name: str, scale: Any, shape: Any) -> Any:
    """PyMC has no Lomax: its density and generator, on the log scale inside the sampler."""
    import pymc as pm
    import pytensor.tensor as pt

    def logp(value: Any, scale: Any, shape: Any) -> Any:
        inside = pt.log(shape) - pt.log(scale) - (shape + 1) * pt.log1p(value / scale)
        return pt.switch(pt.ge(value, 0), inside, -np.inf)

    def random(scale: Any, shape: Any, rng: Any = None, size: Any = None) -> Any:
        return rng.pareto(shape, size=size) * scale

    transform = pm.distributions.transforms.log
    return pm.CustomDist(name, scale, shape, logp=logp, random=random, transform=transform)


class _HalfT:
    """|t_df| times scale, through SciPy's Student-t (which has no half version)."""

    def __init__(self, scale: float, df: float) -> None:
        self._t = _stats().t(df, scale=scale)

    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def logpdf(self, x: Any) -> Any:
        return np.where(x >= 0, self._t.logpdf(x) + math.log(2), -np.inf)

    def cdf(self, x: Any) -> Any:
        return np.maximum(1 - 2 * self._t.sf(x), 0.0)

    def ppf(self, p: Any) -> Any:
        return self._t.isf((1 - p) / 2)

    def rvs(self, size: Any, random_state: Any) -> Any:
        return np.abs(self._t.rvs(size=size, random_state=random_state))


def _never(*_: float) -> float:
    return math.inf


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("flat", (), "mu", lambda: None, lambda name: _pm().Flat(name), lambda: 0.0),
        Family(
            "normal",
            ("mean", "sd"),
            "mu",
            lambda mean, sd: _stats().norm(mean, sd),
            lambda name, mean, sd: _pm().Normal(name, mu=mean, sigma=sd),
            _never,
        ),
        Family(
            "student-t",
            ("location", "scale", "df"),
            "mu",
            lambda location, scale, df: _stats().t(df, location, scale),
            lambda name, location, scale, df: _pm().StudentT(name, nu=df, mu=location, sigma=scale),
            lambda location, scale, df: df + 1,
        ),
        Family(
            "half-normal",
            ("scale",),
            "tau",
            lambda scale: _stats().halfnorm(scale=scale),
            lambda name, scale: _pm().HalfNormal(name, sigma=scale),
            _never,
        ),
        Family(
            "half-t",
            ("scale", "df"),
            "tau",
            _HalfT,
            lambda name, scale, df: _pm().HalfStudentT(name, nu=df, sigma=scale),
            lambda scale, df: df + 1,
        ),
        Family(
            "half-cauchy",
            ("scale",),
            "tau",
            lambda scale: _stats().halfcauchy(scale=scale),
            lambda name, scale: _pm().HalfCauchy(name, beta=scale),
            lambda scale: 2.0,
        ),
        Family(
            "exponential",
            ("scale",),
            "tau",
            lambda scale: _stats().expon(scale=scale),
            lambda name, scale: _pm().Exponential(name, scale=scale),
            _never,
        ),
        Family(
            "log-normal",
            ("meanlog", "sdlog"),
            "tau",
            lambda meanlog, sdlog: _stats().lognorm(sdlog, scale=math.exp(meanlog)),
            lambda name, meanlog, sdlog: _pm().LogNormal(name, mu=meanlog, sigma=sdlog),
            _never,
        ),
        Family(
            "inverse-gamma",
            ("shape", "scale"),
            "tau",
            lambda shape, scale: _stats().invgamma(shape, scale=scale),
            lambda name, shape, scale: _pm().InverseGamma(name, alpha=shape, beta=scale),
            lambda shape, scale: shape + 1,
        ),
        Family(
            "lomax",
            ("scale", "shape"),
            "tau",
            lambda scale, shape: _stats().lomax(shape, scale=scale),
            _lomax_pymc,
            lambda scale, shape: shape + 1,
        ),
        Family(
            "uniform",
            ("lower", "upper"),
            "tau",
            lambda lower, upper: _stats().uniform(lower, upper - lower),
            lambda name, lower, upper: _pm().Uniform(name, lower=lower, upper=upper),
            _never,
        ),
        Family("improper uniform", (), "tau", lambda: None, lambda name: _pm().HalfFlat(name), lambda: 0.0),
    )
}
