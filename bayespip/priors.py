"""Priors on the average effect mu and on the between-study standard deviation tau.

A prior is a family (``prior_families``), its parameters and a source. All priors are on the model scale: log
for ratios. Scales are standard deviations, not variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.prior_families import FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FAMILIES",
    "Family",
    "Prior",
    "Priors",
    "density",
    "exponential",
    "flat",
    "half_cauchy",
    "half_normal",
    "half_t",
    "inverse_gamma",
    "log_normal",
    "lomax",
    "normal",
    "student_t",
    "uniform",
]


@dataclass(frozen=True, slots=True)
class Prior:
    """A prior on mu or on tau, on the model scale.

    Attributes
    ----------
    family
        A name in FAMILIES, or "density" for a function given by the user.
    parameters
        Values in the family's order.
    source
        Where the choice comes from.
    given
        The user's density (family "density" only).
    """

    family: str
    parameters: tuple[float, ...] = ()
    source: str = ""
    given: GivenDensity | None = field(default=None, repr=False)

    @property
    def role(self) -> str:
        """Which parameter it is a prior on: "mu" or "tau"."""
        return "tau" if self.given else FAMILIES[self.family].role

    @property
    def proper(self) -> bool:
        """Whether the density integrates to one."""
        return self.given.proper if self.given else self._distribution is not None

    @property
    def tail(self) -> float:
        """Exponent a of the tail tau^-a; infinite where the density falls faster than any power."""
        return self.given.tail if self.given else FAMILIES[self.family].tail(*self.parameters)

    @property
    def upper_bound(self) -> float:
        """Upper end of the support."""
        if self.given or not self.proper:
            return math.inf
        return float(self._distribution.support()[1])

    def logpdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log density at x, any shape; 0 everywhere for an improper flat density."""
        values = np.asarray(x, dtype=float)
        if self.given:
            return np.asarray(self.given.logpdf(values), dtype=float)
        if not self.proper:
            inside = values >= 0 if self.role == "tau" else np.ones(values.shape, dtype=bool)
            return np.where(inside, 0.0, -np.inf)
        return np.asarray(self._distribution.logpdf(values), dtype=float)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """P(X <= x), any shape."""
        self._require_distribution("cdf")
        return np.asarray(self._distribution.cdf(np.asarray(x, dtype=float)), dtype=float)

    def quantile(self, p: ArrayLike) -> NDArray[np.float64]:
        """Quantiles at probabilities p, any shape."""
        self._require_distribution("quantile")
        return np.asarray(self._distribution.ppf(np.asarray(p, dtype=float)), dtype=float)

    def rvs(self, size: int | tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Random draws."""
        self._require_distribution("rvs")
        return np.asarray(self._distribution.rvs(size=size, random_state=rng), dtype=float)

    def to_pymc(self, name: str) -> Any:
        """The PyMC variable, inside a model context; its parameters are ``pm.Data`` named ``<name>_<parameter>``."""
        import pymc as pm

        if self.given:
            raise ValueError(
                f"{self} is a density given as a Python function: only the exact engine can use it; "
                f"for PyMC choose one of {', '.join(FAMILIES)}."
            )
        family = FAMILIES[self.family]
        # np.float64 because a Python float enters PyMC's logp with an additive error of a few 1e-9
        data = [
            pm.Data(f"{name}_{parameter}", np.float64(value))
            for parameter, value in zip(family.parameters, self.parameters, strict=True)
        ]
        return family.pymc(name, *data)

    def __str__(self) -> str:
        if self.given:
            return self.given.name
        return f"{self.family}({', '.join(f'{p:g}' for p in self.parameters)})" if self.parameters else self.family

    @property
    def _distribution(self) -> Any:
        return _frozen(self.family, self.parameters)

    def _require_distribution(self, what: str) -> None:
        if self.given:
            raise ValueError(f"{what} is not available for {self}, a density given as a function.")
        if not self.proper:
            raise ValueError(f"{what} does not exist for {self}: the density is improper.")


@dataclass(frozen=True, slots=True)
class GivenDensity:
    """A density on tau given by the user: see ``density``."""

    name: str
    logpdf: Callable[[NDArray[np.float64]], ArrayLike]
    tail: float
    proper: bool


@dataclass(frozen=True, slots=True)
class Priors:
    """The priors of a normal-normal model.

    Attributes
    ----------
    mu
        Prior on the average effect: flat, normal or Student-t.
    tau
        Prior on the between-study standard deviation.
    name
        Short name used in tables; the densities themselves if empty.

    Raises
    ------
    ValueError
        If a prior on tau is given for mu or the reverse.
    """

    mu: Prior
    tau: Prior
    name: str = ""

    def __post_init__(self) -> None:
        for role, prior in (("mu", self.mu), ("tau", self.tau)):
            if not isinstance(prior, Prior):
                raise ValueError(f"{role} must be a prior such as priors.{_EXAMPLE[role]}; got {prior!r}.")
            if prior.role != role:
                choices = ", ".join(f.name for f in FAMILIES.values() if f.role == role)
                raise ValueError(f"{prior} is a prior on {prior.role}, not on {role}; choose one of {choices}.")

    @property
    def label(self) -> str:
        """The name, or the densities where there is none."""
        return self.name or str(self)

    def named(self, name: str) -> Priors:
        """The same priors under another name."""
        return replace(self, name=name)

    def __str__(self) -> str:
        return f"mu {self.mu}, tau {self.tau}"


_EXAMPLE = {"mu": "normal(0, 2.82)", "tau": "half_normal(0.5)"}


def flat() -> Prior:
    """Improper uniform density of 1 on mu."""
    return Prior("flat")


def normal(mean: float, sd: float, source: str = "") -> Prior:
    """Normal on mu."""
    return _checked("normal", (mean, sd), ("sd",), source)


def student_t(location: float, scale: float, df: float, source: str = "") -> Prior:
    """Student-t with location, scale and degrees of freedom, on mu."""
    return _checked("student-t", (location, scale, df), ("scale", "df"), source)


def half_normal(scale: float, source: str = "") -> Prior:
    """Half-normal on tau: |N(0, scale^2)|; median 0.674 scale."""
    return _checked("half-normal", (scale,), ("scale",), source)


def half_t(scale: float, df: float, source: str = "") -> Prior:
    """Half-Student-t on tau: |t_df| times scale."""
    return _checked("half-t", (scale, df), ("scale", "df"), source)


def half_cauchy(scale: float, source: str = "") -> Prior:
    """Half-Cauchy on tau; median = scale (Gelman 2006, Bayesian Analysis 1:515)."""
    return _checked("half-cauchy", (scale,), ("scale",), source)


def exponential(scale: float, source: str = "") -> Prior:
    """Exponential on tau with mean = scale (the reciprocal of the rate)."""
    return _checked("exponential", (scale,), ("scale",), source)


def log_normal(meanlog: float, sdlog: float, source: str = "") -> Prior:
    """Log-normal on tau: log tau ~ N(meanlog, sdlog^2). Halve both where a source gives them for tau^2."""
    return _checked("log-normal", (meanlog, sdlog), ("sdlog",), source)


def inverse_gamma(shape: float, scale: float, source: str = "") -> Prior:
    """Inverse-gamma on tau itself (not tau^2): density proportional to tau^-(shape+1) exp(-scale/tau)."""
    return _checked("inverse-gamma", (shape, scale), ("shape", "scale"), source)


def lomax(scale: float, shape: float, source: str = "") -> Prior:
    """Lomax (shifted Pareto) on tau: density (shape/scale) (1 + tau/scale)^-(shape+1)."""
    return _checked("lomax", (scale, shape), ("scale", "shape"), source)


def uniform(lower: float, upper: float, source: str = "") -> Prior:
    """Uniform on tau between lower >= 0 and upper; ``uniform(0, inf)`` is the improper density 1."""
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

    Raises
    ------
    ValueError
        If a density called proper does not integrate to one; the message gives its integral.
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


@lru_cache(maxsize=1024)
def _frozen(family: str, parameters: tuple[float, ...]) -> Any:
    return FAMILIES[family].distribution(*parameters)
