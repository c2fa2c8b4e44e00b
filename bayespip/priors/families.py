"""The families of priors: each declared once, for both engines.

The SciPy distribution serves the exact engine and the PyMC variable the sampler; a test holds the two together.
Densities that either lacks are in ``priors.distributions``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayespip.priors.distributions import (
    HalfT,
    LogT,
    NormalMixture,
    RootInverseGamma,
    TruncatedT,
    UniformShrinkage,
    exponential_logpdf,
    half_normal_logpdf,
    half_t_logpdf,
    inverse_gamma_logpdf,
    jeffreys_pymc,
    log_normal_logpdf,
    log_t_pymc,
    lomax_pymc,
    normal_mixture_pymc,
    root_inverse_gamma_pymc,
    stats,
    truncated_t_pymc,
    uniform_shrinkage_pymc,
)

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
        ``(name, *parameters)`` to a PyMC variable; one on mu also with ``dims``, as many variables.
    tail
        Parameters to the exponent a of the density's tail tau^-a; infinite where it falls faster than any power.
    scaled
        ``(factor, *parameters)`` to the parameters of factor times the variable; None if it has none.
    logpdf
        ``(x, *parameters)`` to the log density at x >= 0 where that is to be had faster than from ``distribution``.

    Examples
    --------
    >>> bp.priors.FAMILIES["half-normal"].role, bp.priors.FAMILIES["half-normal"].parameters
    ('tau', ('scale',))
    """

    name: str
    parameters: tuple[str, ...]
    role: str
    distribution: Callable[..., Any]
    pymc: Callable[..., Any]
    tail: Callable[..., float]
    scaled: Callable[..., tuple[Any, ...]] | None = None
    logpdf: Callable[..., Any] | None = None


def _pm() -> Any:
    import pymc

    return pymc


def _never(*_: float) -> float:
    return math.inf


# tau^-1 (log tau)^-(df + 1) falls faster than tau^-1, more slowly than any higher power: moments at the border exist
_LOG_POWER = 1e-9


def _scale_first(factor: float, scale: float, *shape: float) -> tuple[float, ...]:
    return factor * scale, *shape


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("flat", (), "mu", lambda: None, lambda name, **dims: _pm().Flat(name, **dims), lambda: 0.0),
        Family(
            "normal",
            ("mean", "sd"),
            "mu",
            lambda mean, sd: stats().norm(mean, sd),
            lambda name, mean, sd, **dims: _pm().Normal(name, mu=mean, sigma=sd, **dims),
            _never,
            lambda f, mean, sd: (f * mean, f * sd),
        ),
        Family(
            "student-t",
            ("location", "scale", "df"),
            "mu",
            lambda location, scale, df: stats().t(df, location, scale),
            lambda name, location, scale, df, **dims: _pm().StudentT(name, nu=df, mu=location, sigma=scale, **dims),
            lambda location, scale, df: df + 1,
            lambda f, location, scale, df: (f * location, f * scale, df),
        ),
        Family(
            "half-normal",
            ("scale",),
            "tau",
            lambda scale: stats().halfnorm(scale=scale),
            lambda name, scale: _pm().HalfNormal(name, sigma=scale),
            _never,
            _scale_first,
            half_normal_logpdf,
        ),
        Family(
            "half-t",
            ("scale", "df"),
            "tau",
            HalfT,
            lambda name, scale, df: _pm().HalfStudentT(name, nu=df, sigma=scale),
            lambda scale, df: df + 1,
            _scale_first,
        ),
        Family(
            "half-cauchy",
            ("scale",),
            "tau",
            lambda scale: stats().halfcauchy(scale=scale),
            lambda name, scale: _pm().HalfCauchy(name, beta=scale),
            lambda scale: 2.0,
            _scale_first,
            lambda x, scale: half_t_logpdf(x, scale, 1.0),
        ),
        Family(
            "exponential",
            ("scale",),
            "tau",
            lambda scale: stats().expon(scale=scale),
            lambda name, scale: _pm().Exponential(name, scale=scale),
            _never,
            _scale_first,
            exponential_logpdf,
        ),
        Family(
            "log-normal",
            ("meanlog", "sdlog"),
            "tau",
            lambda meanlog, sdlog: stats().lognorm(sdlog, scale=math.exp(meanlog)),
            lambda name, meanlog, sdlog: _pm().LogNormal(name, mu=meanlog, sigma=sdlog),
            _never,
            lambda f, meanlog, sdlog: (meanlog + math.log(f), sdlog),
            log_normal_logpdf,
        ),
        Family(
            "inverse-gamma",
            ("shape", "scale"),
            "tau",
            lambda shape, scale: stats().invgamma(shape, scale=scale),
            lambda name, shape, scale: _pm().InverseGamma(name, alpha=shape, beta=scale),
            lambda shape, scale: shape + 1,
            lambda f, shape, scale: (shape, f * scale),
            inverse_gamma_logpdf,
        ),
        Family(
            "lomax",
            ("scale", "shape"),
            "tau",
            lambda scale, shape: stats().lomax(shape, scale=scale),
            lomax_pymc,
            lambda scale, shape: shape + 1,
            _scale_first,
        ),
        Family(
            "uniform",
            ("lower", "upper"),
            "tau",
            lambda lower, upper: stats().uniform(lower, upper - lower),
            lambda name, lower, upper: _pm().Uniform(name, lower=lower, upper=upper),
            _never,
            lambda f, lower, upper: (f * lower, f * upper),
        ),
        Family(
            "log-t",
            ("location", "scale", "df"),
            "tau",
            LogT,
            log_t_pymc,
            lambda location, scale, df: 1 + _LOG_POWER,
            lambda f, location, scale, df: (location + math.log(f), scale, df),
        ),
        Family(
            "root-inverse-gamma",
            ("shape", "scale"),
            "tau",
            RootInverseGamma,
            root_inverse_gamma_pymc,
            lambda shape, scale: 2 * shape + 1,
            lambda f, shape, scale: (shape, f**2 * scale),
        ),
        Family(
            "uniform-shrinkage",
            ("scale",),
            "tau",
            UniformShrinkage,
            uniform_shrinkage_pymc,
            lambda scale: 3.0,
            _scale_first,
        ),
        Family(
            "truncated student-t",
            ("location", "scale", "df", "lower"),
            "mu",
            TruncatedT,
            truncated_t_pymc,
            lambda location, scale, df, lower: df + 1,
            lambda f, location, scale, df, lower: (f * location, f * scale, df, f * lower),
        ),
        Family(
            "normal mixture",
            ("weights", "sds"),
            "mu",
            NormalMixture,
            normal_mixture_pymc,
            _never,
            lambda f, weights, sds: (weights, tuple(f * sd for sd in sds)),
        ),
        Family("improper uniform", (), "tau", lambda: None, lambda name: _pm().HalfFlat(name), lambda: 0.0),
        Family("jeffreys", ("sei",), "tau", lambda sei: None, jeffreys_pymc, lambda sei: 1.0),
    )
}
