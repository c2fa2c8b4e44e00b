"""The families of priors by name, each argument checked.

A prior is a family (``priors.families``), its parameters and a source. All priors are on the model scale: log
for ratios. Scales are standard deviations, not variances.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bayespip.priors.families import FAMILIES
from bayespip.priors.types import GivenDensity, Prior

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "density",
    "exponential",
    "flat",
    "half_cauchy",
    "half_normal",
    "half_t",
    "inverse_gamma",
    "log_normal",
    "log_t",
    "lomax",
    "normal",
    "normal_mixture",
    "root_inverse_gamma",
    "student_t",
    "truncated_student_t",
    "uniform",
]


def flat() -> Prior:
    """Improper uniform density of 1 on mu.

    Examples
    --------
    >>> bp.priors.flat().proper
    False
    """
    return Prior("flat")


def normal(mean: float, sd: float, source: str = "") -> Prior:
    """Normal on mu.

    Examples
    --------
    >>> bp.priors.normal(0, 2.82).quantile(0.975).round(2).item()
    5.53
    """
    return _checked("normal", (mean, sd), ("sd",), source)


def student_t(location: float, scale: float, df: float, source: str = "") -> Prior:
    """Student-t with location, scale and degrees of freedom, on mu.

    Examples
    --------
    >>> bp.priors.student_t(0, 0.29, 3).quantile(0.975).round(2).item()
    0.92
    """
    return _checked("student-t", (location, scale, df), ("scale", "df"), source)


def truncated_student_t(location: float, scale: float, df: float, lower: float, source: str = "") -> Prior:
    """Student-t on mu above a lower limit; with PyMC only.

    Examples
    --------
    >>> bp.priors.truncated_student_t(0.35, 0.102, 3, 0).cdf(0).item()
    0.0
    """
    return _checked("truncated student-t", (location, scale, df, lower), ("scale", "df"), source)


def normal_mixture(weights: Sequence[float], sds: Sequence[float], source: str = "") -> Prior:
    """Mixture on mu of normals about zero, with these probability weights and standard deviations; with PyMC only.

    Examples
    --------
    >>> bp.priors.normal_mixture([0.5, 0.5], [0.1, 1]).cdf(0).item()
    0.5
    """
    shares, spreads = tuple(map(float, weights)), tuple(map(float, sds))
    if len(shares) != len(spreads) or not shares:
        raise ValueError(f"normal mixture needs as many sds as weights; got {len(spreads)} and {len(shares)}.")
    if not all(0 < share < math.inf for share in shares) or abs(math.fsum(shares) - 1) > _INTEGRAL_TOLERANCE:
        raise ValueError(f"normal mixture: weights must be positive and sum to one; got {shares}.")
    if not all(0 < sd < math.inf for sd in spreads):
        raise ValueError(f"normal mixture: sds must be positive and finite; got {spreads}.")
    return Prior("normal mixture", (shares, spreads), source)


def half_normal(scale: float, source: str = "") -> Prior:
    """Half-normal on tau: ``|N(0, scale^2)|``; median 0.674 scale.

    Examples
    --------
    >>> bp.priors.half_normal(0.5).quantile(0.5).round(4).item()
    0.3372
    """
    return _checked("half-normal", (scale,), ("scale",), source)


def half_t(scale: float, df: float, source: str = "") -> Prior:
    """Half-Student-t on tau: ``|t_df|`` times scale.

    Examples
    --------
    >>> bp.priors.half_t(0.5, 4).quantile(0.95).round(3).item()
    1.388
    """
    return _checked("half-t", (scale, df), ("scale", "df"), source)


def half_cauchy(scale: float, source: str = "") -> Prior:
    """Half-Cauchy on tau; median = scale (Gelman 2006, Bayesian Analysis 1:515).

    Examples
    --------
    >>> bp.priors.half_cauchy(0.5).quantile(0.5).round(6).item()
    0.5
    """
    return _checked("half-cauchy", (scale,), ("scale",), source)


def exponential(scale: float, source: str = "") -> Prior:
    """Exponential on tau with mean = scale (the reciprocal of the rate).

    Examples
    --------
    >>> bp.priors.exponential(0.5).quantile(0.5).round(4).item()
    0.3466
    """
    return _checked("exponential", (scale,), ("scale",), source)


def log_normal(meanlog: float, sdlog: float, source: str = "") -> Prior:
    """Log-normal on tau: log tau ~ N(meanlog, sdlog^2). Halve both where a source gives them for tau^2.

    Examples
    --------
    >>> bp.priors.log_normal(-1.28, 0.87).quantile(0.5).round(4).item()  # exp(-1.28)
    0.278
    """
    return _checked("log-normal", (meanlog, sdlog), ("sdlog",), source)


def inverse_gamma(shape: float, scale: float, source: str = "") -> Prior:
    """Inverse-gamma on tau itself (not tau^2): density proportional to tau^-(shape+1) exp(-scale/tau).

    Examples
    --------
    >>> bp.priors.inverse_gamma(1, 0.15).quantile(0.5).round(4).item()
    0.2164
    """
    return _checked("inverse-gamma", (shape, scale), ("shape", "scale"), source)


def root_inverse_gamma(shape: float, scale: float, source: str = "") -> Prior:
    """Tau whose square is inverse-gamma: tau^2 ~ IG(shape, scale), as Rhodes 2016 has it.

    Examples
    --------
    >>> bp.priors.root_inverse_gamma(1.14, 0.08).quantile(0.5).round(4).item()
    0.3106
    """
    return _checked("root-inverse-gamma", (shape, scale), ("shape", "scale"), source)


def log_t(location: float, scale: float, df: float, source: str = "") -> Prior:
    """Log-Student-t on tau: log tau = location + scale t_df. Halve both where a source gives them for tau^2.

    Examples
    --------
    >>> bp.priors.log_t(-1.72, 1.295, 5).quantile(0.5).round(4).item()  # exp(-1.72)
    0.1791
    """
    return _checked("log-t", (location, scale, df), ("scale", "df"), source)


def lomax(scale: float, shape: float, source: str = "") -> Prior:
    """Lomax (shifted Pareto) on tau: density (shape/scale) (1 + tau/scale)^-(shape+1).

    Examples
    --------
    >>> bp.priors.lomax(0.5, 1).quantile(0.5).round(6).item()
    0.5
    """
    return _checked("lomax", (scale, shape), ("scale", "shape"), source)


def uniform(lower: float, upper: float, source: str = "") -> Prior:
    """Uniform on tau between lower >= 0 and upper; ``uniform(0, inf)`` is the improper density 1.

    Examples
    --------
    >>> bp.priors.uniform(0, 2).proper, bp.priors.uniform(0, float("inf")).proper
    (True, False)
    """
    if lower == 0 and upper == math.inf:
        return Prior("improper uniform", (), source)
    if not 0 <= lower < upper < math.inf:
        raise ValueError(f"uniform needs 0 <= lower < upper, or (0, inf); got {lower!r}, {upper!r}.")
    return _checked("uniform", (lower, upper), (), source)


def density(
    logpdf: Callable[[NDArray[np.float64]], ArrayLike],
    name: str,
    *,
    tail: float,
    proper: bool = True,
    source: str = "",
) -> Prior:
    """A prior on tau given as a log density.

    Parameters
    ----------
    logpdf
        Vectorised log density for tau > 0 on the model scale, any shape.
    name
        Printed in every table.
    tail
        Exponent a of the tail tau^-a (``math.inf`` if it falls faster than any power): decides which posteriors
        and moments exist.
    proper
        Whether it integrates to one; checked.
    source
        Where it comes from.

    Raises
    ------
    ValueError
        If a density called proper does not integrate to one; the message gives its integral.

    Examples
    --------
    >>> import numpy as np
    >>> prior = bp.priors.density(lambda tau: np.log(2) - 2 * tau, "exponential(1/2)", tail=np.inf)
    >>> prior.logpdf(1.0).round(4).item()
    -1.3069
    """
    given = GivenDensity(name, logpdf, float(tail), proper)
    if proper:
        integral = _integral(logpdf)
        if abs(integral - 1) > _INTEGRAL_TOLERANCE:
            raise ValueError(
                f"density {name!r} must integrate to one over tau > 0; its integral is {integral:.6g}. "
                "Normalise it, or pass proper=False if it is improper."
            )
    return Prior("density", (), source, given)


_INTEGRAL_TOLERANCE = 1e-6  # wide enough for adaptive quadrature of a density with kinks


def _integral(logpdf: Callable[[NDArray[np.float64]], ArrayLike]) -> float:
    """Integral over tau > 0, in log tau so that spikes at zero and long tails are both seen."""
    from scipy.integrate import quad

    def in_log(x: float) -> float:
        return math.exp(float(np.asarray(logpdf(np.array([math.exp(x)])))[0]) + x)

    edges = (-300.0, -60.0, -20.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0, 20.0, 60.0, 300.0)
    parts = (quad(in_log, a, b, limit=200, epsabs=1e-12)[0] for a, b in pairwise(edges))
    return math.fsum(parts)


def _checked(family: str, values: tuple[float, ...], positive: tuple[str, ...], source: str) -> Prior:
    for name, value in zip(FAMILIES[family].parameters, values, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"{family}: {name} must be finite; got {value!r}.")
        if name in positive and value <= 0:
            raise ValueError(f"{family}: {name} must be positive; got {value!r}.")
    return Prior(family, tuple(float(v) for v in values), source)
