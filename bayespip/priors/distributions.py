"""Densities that SciPy or PyMC do not have, each written for both: what the families of priors are made of.

The classes have what a frozen SciPy distribution has; the functions make the PyMC variable of the same density.
"""

# ruff: noqa: D102  (the methods are those of a frozen SciPy distribution, which describes them)

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG_2 = np.float64(math.log(2))  # a Python number enters PyTensor in single precision


def stats() -> Any:
    """scipy.stats, loaded on first use."""
    from scipy import stats

    return stats


# SciPy checks its arguments at every call, which costs more than the density of the fifty nodes of a fit. These serve
# the quadrature; a test holds them to SciPy's.


def half_normal_logpdf(x: Any, scale: float) -> Any:
    """Half-normal, at x >= 0."""
    return math.log(2 / math.pi) / 2 - math.log(scale) - np.square(x / scale) / 2


def half_t_logpdf(x: Any, scale: float, df: float) -> Any:
    """Half-t, at x >= 0."""
    return math.log(2 / scale) + _t_logpdf(x / scale, df)


def exponential_logpdf(x: Any, scale: float) -> Any:
    """Exponential, at x >= 0."""
    return -math.log(scale) - x / scale


def log_normal_logpdf(x: Any, meanlog: float, sdlog: float) -> Any:
    """Log-normal, at x >= 0."""
    log_x = _log(np.where(x == 0, 1.0, x))
    inside = -math.log(2 * math.pi) / 2 - math.log(sdlog) - np.square((log_x - meanlog) / sdlog) / 2 - log_x
    return np.where(x == 0, -np.inf, inside)


def inverse_gamma_logpdf(x: Any, shape: float, scale: float) -> Any:
    """Inverse gamma, at x >= 0."""
    positive = np.where(x == 0, 1.0, x)
    constant = shape * math.log(scale) - math.lgamma(shape)
    return np.where(x == 0, -np.inf, constant - (shape + 1) * _log(positive) - scale / positive)


def _t_logpdf(z: Any, df: float) -> Any:
    # of two gamma functions the ratio: their logarithms lose digits where df is large
    constant = math.log(_half_gamma_ratio(df / 2)) - math.log(math.pi * df) / 2
    return constant - (df + 1) / 2 * np.log1p(np.square(z) / df)


@cache
def _half_gamma_ratio(x: float) -> float:
    """Gamma(x + 1/2) / Gamma(x)."""
    from scipy.special import poch

    return float(poch(x, 0.5))


class HalfT:
    """|t_df| times scale, through SciPy's Student-t (which has no half version)."""

    def __init__(self, scale: float, df: float) -> None:
        self._scale, self._df = scale, df
        self._t = stats().t(df, scale=scale)

    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def logpdf(self, x: Any) -> Any:
        return np.where(x >= 0, half_t_logpdf(x, self._scale, self._df), -np.inf)

    def cdf(self, x: Any) -> Any:
        return np.maximum(1 - 2 * self._t.sf(x), 0.0)

    def ppf(self, p: Any) -> Any:
        return self._t.isf((1 - p) / 2)

    def rvs(self, size: Any, random_state: Any) -> Any:
        return np.abs(self._t.rvs(size=size, random_state=random_state))


class LogT:
    """exp(location + scale t_df): the log of tau is a Student-t."""

    def __init__(self, location: float, scale: float, df: float) -> None:
        self._location, self._scale, self._df = location, scale, df
        self._t = stats().t(df, location, scale)

    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def logpdf(self, x: Any) -> Any:
        log_x = _log(np.where(x > 0, x, 1.0))
        inside = _t_logpdf((log_x - self._location) / self._scale, self._df) - math.log(self._scale) - log_x
        return np.where(x > 0, inside, np.where(x == 0, np.inf, -np.inf))  # it has a pole at zero

    def cdf(self, x: Any) -> Any:
        return np.where(x > 0, self._t.cdf(_log(x)), 0.0)

    def ppf(self, p: Any) -> Any:
        z = stats().t.ppf(p, self._df)
        z = np.where(np.asarray(p) < 0.5, -np.abs(z), z)  # below 1e-250 or so SciPy 1.18 gives +inf
        with np.errstate(over="ignore"):
            return np.exp(self._location + self._scale * z)

    def rvs(self, size: Any, random_state: Any) -> Any:
        with np.errstate(over="ignore"):
            return np.exp(self._t.rvs(size=size, random_state=random_state))


class RootInverseGamma:
    """The square root of an inverse-gamma: tau where tau^2 is inverse-gamma(shape, scale)."""

    def __init__(self, shape: float, scale: float) -> None:
        self._shape, self._scale = shape, scale
        self._square = stats().invgamma(shape, scale=scale)

    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def logpdf(self, x: Any) -> Any:
        log_x = _log(x)
        constant = math.log(2) + self._shape * math.log(self._scale) - math.lgamma(self._shape)
        with np.errstate(over="ignore", invalid="ignore"):  # inf - inf at zero
            inside = constant - (2 * self._shape + 1) * log_x - self._scale * np.exp(-2 * log_x)
        return np.where(x > 0, inside, -np.inf)

    def cdf(self, x: Any) -> Any:
        with np.errstate(over="ignore"):
            return np.where(x > 0, self._square.cdf(np.square(x)), 0.0)

    def ppf(self, p: Any) -> Any:
        return np.sqrt(self._square.ppf(p))

    def rvs(self, size: Any, random_state: Any) -> Any:
        return np.sqrt(self._square.rvs(size=size, random_state=random_state))


class UniformShrinkage:
    """Tau with tau^2 / (tau^2 + scale^2) uniform: 2 tau scale^2 / (scale^2 + tau^2)^2, the Fisk of shape 2."""

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def logpdf(self, x: Any) -> Any:
        log_ratio = _log(x) - math.log(self._scale)
        inside = math.log(2 / self._scale) + log_ratio - 2 * np.logaddexp(0.0, 2 * log_ratio)
        return np.where(x >= 0, inside, -np.inf)

    def cdf(self, x: Any) -> Any:
        from scipy.special import expit

        return expit(2 * (_log(x) - math.log(self._scale)))

    def ppf(self, p: Any) -> Any:
        from scipy.special import logit

        return self._scale * np.exp(logit(p) / 2)

    def rvs(self, size: Any, random_state: Any) -> Any:
        return self.ppf(random_state.uniform(size=size))


class TruncatedT:
    """Student-t above a lower limit."""

    def __init__(self, location: float, scale: float, df: float, lower: float) -> None:
        self._t = stats().t(df, location, scale)
        self._lower, self._mass = lower, float(self._t.sf(lower))

    def support(self) -> tuple[float, float]:
        return self._lower, math.inf

    def logpdf(self, x: Any) -> Any:
        return np.where(x >= self._lower, self._t.logpdf(x) - math.log(self._mass), -np.inf)

    def cdf(self, x: Any) -> Any:
        return np.maximum(1 - self._t.sf(x) / self._mass, 0.0)

    def ppf(self, p: Any) -> Any:
        return self._t.isf(self._mass * (1 - p))

    def rvs(self, size: Any, random_state: Any) -> Any:
        return self.ppf(random_state.uniform(size=size))


class NormalMixture:
    """Normals about zero: of standard deviation sds[i] with probability weights[i]."""

    def __init__(self, weights: tuple[float, ...], sds: tuple[float, ...]) -> None:
        self._weights, self._sds = np.array(weights), np.array(sds)
        self._normals = stats().norm(0, self._sds)

    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf

    def logpdf(self, x: Any) -> Any:
        from scipy.special import logsumexp

        return logsumexp(self._normals.logpdf(np.asarray(x)[..., None]), b=self._weights, axis=-1)

    def cdf(self, x: Any) -> Any:
        return self._normals.cdf(np.asarray(x)[..., None]) @ self._weights

    def ppf(self, p: Any) -> Any:
        return np.vectorize(self._one_quantile, otypes=[float])(p)

    def rvs(self, size: Any, random_state: Any) -> Any:
        sds = random_state.choice(self._sds, size=size, p=self._weights)
        return random_state.normal(0, sds)

    def _one_quantile(self, p: float) -> float:
        from scipy.optimize import brentq

        ends = stats().norm.ppf(p) * self._sds  # those of the narrowest and of the widest normal enclose it
        low, high = float(ends.min()), float(ends.max())
        if not low < high or not math.isfinite(high - low):
            return low
        return float(brentq(lambda x: float(self.cdf(x)) - p, low, high, xtol=1e-300, rtol=8.9e-16))


def lomax_pymc(name: str, scale: Any, shape: Any) -> Any:
    """Lomax: density (shape / scale) (1 + tau / scale)^-(shape + 1)."""
    import pytensor.tensor as pt

    def logp(value: Any, scale: Any, shape: Any) -> Any:
        return pt.log(shape) - pt.log(scale) - (shape + 1) * pt.log1p(value / scale)

    def random(scale: Any, shape: Any, rng: Any = None, size: Any = None) -> Any:
        return rng.pareto(shape, size=size) * scale

    return _positive(name, (scale, shape), logp, random, lambda scale, shape: scale)


def log_t_pymc(name: str, location: Any, scale: Any, df: Any) -> Any:
    """As ``LogT``."""
    import pytensor.tensor as pt

    def logp(value: Any, location: Any, scale: Any, df: Any) -> Any:
        half, z = (df + 1) / 2, (pt.log(value) - location) / scale
        constant = pt.gammaln(half) - pt.gammaln(df / 2) - (pt.log(df) + np.float64(math.log(math.pi))) / 2
        return constant - pt.log(scale) - half * pt.log1p(z**2 / df) - pt.log(value)

    def random(location: Any, scale: Any, df: Any, rng: Any = None, size: Any = None) -> Any:
        return np.exp(location + scale * rng.standard_t(df, size=size))

    return _positive(name, (location, scale, df), logp, random, lambda location, scale, df: pt.exp(location))


def root_inverse_gamma_pymc(name: str, shape: Any, scale: Any) -> Any:
    """As ``RootInverseGamma``."""
    import pytensor.tensor as pt

    def logp(value: Any, shape: Any, scale: Any) -> Any:
        constant = _LOG_2 + shape * pt.log(scale) - pt.gammaln(shape)
        return constant - (2 * shape + 1) * pt.log(value) - scale / value**2

    def random(shape: Any, scale: Any, rng: Any = None, size: Any = None) -> Any:
        return np.sqrt(scale / rng.gamma(shape, size=size))

    return _positive(name, (shape, scale), logp, random, lambda shape, scale: pt.sqrt(scale / (shape + 1)))


def uniform_shrinkage_pymc(name: str, scale: Any) -> Any:
    """As ``UniformShrinkage``."""
    import pytensor.tensor as pt

    def logp(value: Any, scale: Any) -> Any:
        return _LOG_2 + pt.log(value) - 2 * pt.log(scale) - 2 * pt.log1p((value / scale) ** 2)

    def random(scale: Any, rng: Any = None, size: Any = None) -> Any:
        u = rng.uniform(size=size)
        return scale * np.sqrt(u / (1 - u))

    return _positive(name, (scale,), logp, random, lambda scale: scale)


def jeffreys_pymc(name: str, sei: Any) -> Any:
    """The improper density of ``Jeffreys``."""
    import pytensor.tensor as pt

    def logp(value: Any, sei: Any) -> Any:
        return pt.log(((value / (sei**2 + value**2)) ** 2).sum()) / 2

    def random(sei: Any, rng: Any = None, size: Any = None) -> Any:
        raise NotImplementedError("Jeffreys' prior is improper: it cannot be drawn from.")

    return _positive(name, (sei,), logp, random, lambda sei: sei.mean(), signature="(k)->()")


def truncated_t_pymc(name: str, location: Any, scale: Any, df: Any, lower: Any, **dims: Any) -> Any:
    """As ``TruncatedT``; pm.Truncated takes the mass above the limit as 1 - cdf, which loses it in the upper tail."""
    import pymc as pm
    import pytensor.tensor as pt

    def logp(value: Any, location: Any, scale: Any, df: Any, lower: Any) -> Any:
        t = pm.StudentT.dist(nu=df, mu=location, sigma=scale)
        inside = pm.logp(t, value) - pm.logcdf(t, 2 * location - lower)  # by symmetry
        return pt.switch(pt.ge(value, lower), inside, -np.inf)

    def random(*parameters: Any, rng: Any = None, size: Any = None) -> Any:
        return TruncatedT(*parameters).rvs(size, rng)

    def support_point(rv: Any, size: Any, *parameters: Any) -> Any:  # noqa: ARG001  (PyMC calls it so)
        location, scale, _, lower = parameters
        return pt.maximum(location, lower) + scale + pt.zeros(rv.shape)

    above = pm.distributions.transforms.Interval(bounds_fn=lambda *inputs: (inputs[-1], None))
    parts = {"logp": logp, "random": random, "support_point": support_point, "transform": above}
    return pm.CustomDist(name, location, scale, df, lower, **parts, **dims)


def normal_mixture_pymc(name: str, weights: Any, sds: Any, **dims: Any) -> Any:
    """As ``NormalMixture``."""
    import pymc as pm

    return pm.NormalMixture(name, w=weights, mu=0 * sds, sigma=sds, **dims)


def _positive(  # noqa: PLR0917  (one call a density)
    name: str,
    parameters: tuple[Any, ...],
    logp: Callable[..., Any],
    random: Callable[..., Any],
    start: Callable[..., Any],
    signature: str | None = None,
) -> Any:
    """A PyMC variable above zero, sampled on the log scale and started at a point inside its bulk."""
    import pymc as pm
    import pytensor.tensor as pt

    def inside(value: Any, *parameters: Any) -> Any:
        return pt.switch(pt.ge(value, 0), logp(value, *parameters), -np.inf)

    def support_point(rv: Any, size: Any, *parameters: Any) -> Any:  # noqa: ARG001  (PyMC calls it so)
        return start(*parameters)

    return pm.CustomDist(
        name, *parameters, logp=inside, random=random, support_point=support_point, signature=signature,
        transform=pm.distributions.transforms.log,
    )  # fmt: skip


def _log(x: Any) -> Any:
    """Log of x, -inf at zero and below."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(x, 0.0))
