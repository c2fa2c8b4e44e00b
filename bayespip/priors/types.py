"""A prior, and the pair of priors of a model, as frozen values: what ``priors`` makes.

All are on the model scale: log for ratios. Scales are standard deviations, not variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.priors.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from bayespip.measures import Measure

__all__ = ["GivenDensity", "Prior", "Priors"]


@dataclass(frozen=True, slots=True)
class Prior:
    """A prior on mu or on tau, on the model scale.

    Attributes
    ----------
    family
        A name in FAMILIES, or "density" for a function given by the user.
    parameters
        Values in the family's order: numbers, or tuples of numbers where the parameter is a vector.
    source
        Where the choice comes from.
    given
        The user's density (family "density"), or one that has no distribution function ("jeffreys").
    name, measure
        Of a published prior, its name and the measure for which it was derived; two priors that differ in these
        alone are equal.

    Examples
    --------
    >>> prior = bp.priors.half_normal(0.5)
    >>> prior.label, prior.role, prior.cdf(0.5).round(4).item()
    ('half-normal(0.5)', 'tau', 0.6827)
    """

    family: str
    parameters: tuple[Any, ...] = ()
    source: str = ""
    given: GivenDensity | None = field(default=None, repr=False)
    name: str = field(default="", compare=False)
    measure: str = field(default="", compare=False)

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
        direct = FAMILIES[self.family].logpdf
        with np.errstate(over="ignore"):  # a square beyond the range of doubles: the log density is -inf
            if direct:
                return np.where(values < 0, -np.inf, direct(np.abs(values), *self.parameters))  # nan stays nan
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

    def to_pymc(self, name: str, *, variable: str = "", dims: str | None = None) -> Any:
        """The PyMC variable, inside a model context; its parameters are ``pm.Data`` named ``<name>_<parameter>``.

        Parameters
        ----------
        name
            Of the variable, unless ``variable`` is.
        variable
            Its name where it is not ``name``: of what a prior on tau is on, if that is not tau itself.
        dims
            For mu: a dimension of the model, for as many variables with this prior.
        """
        import pymc as pm

        if self.family not in FAMILIES:
            raise ValueError(
                f"{self} is a density given as a Python function: only the exact engine can use it; "
                f"for PyMC choose one of {', '.join(FAMILIES)}."
            )
        family, coords = FAMILIES[self.family], pm.modelcontext(None).coords
        # double precision because a Python float enters PyMC's logp with an additive error of a few 1e-9
        data = [
            pm.Data(
                f"{name}_{parameter}",
                np.asarray(value, dtype=float),
                dims="study" if parameter == "sei" and "study" in coords else None,
            )
            for parameter, value in zip(family.parameters, self.parameters, strict=True)
        ]
        return family.pymc(variable or name, *data, **({"dims": dims} if dims else {}))

    def scaled(self, factor: float, source: str = "") -> Prior:
        """The prior of factor times the variable, of the same family.

        Parameters
        ----------
        factor
            Positive.
        source
            Added to the source, to name the conversion.

        Raises
        ------
        ValueError
            If the factor is not positive, or the prior is a density given as a function or improper.
        """
        if not 0 < factor < math.inf:
            raise ValueError(f"factor must be positive and finite; got {factor!r}.")
        rule = None if self.given else FAMILIES[self.family].scaled
        if rule is None:
            raise ValueError(f"{self} cannot be rescaled: its density is improper or given as a function.")
        joined = "; ".join(part for part in (self.source, source) if part)
        return replace(self, parameters=rule(factor, *self.parameters), source=joined, name="", measure="")

    def renamed(self, name: str, measure: str = "") -> Prior:
        """The same prior under another name, for another measure."""
        return replace(self, name=name, measure=measure)

    def meaning(self, measure: str | Measure | None = None) -> str:
        """The prior in words, for people who do not think in tau.

        Parameters
        ----------
        measure
            That of the effects; without it neither a ratio nor a difference can be named.

        Returns
        -------
        str
            For tau its median and 95% interval, and how far apart the true effects of studies then are; for mu
            the median and 95% interval of the average effect, on the display scale.
        """
        from bayespip.priors.meaning import meaning

        return meaning(self, measure)

    def __str__(self) -> str:
        if self.given:
            return self.given.name
        return f"{self.family}({', '.join(map(_printed, self.parameters))})" if self.parameters else self.family

    @property
    def label(self) -> str:
        """The name, or the density where there is none."""
        return self.name or str(self)

    @property
    def _distribution(self) -> Any:
        return _frozen(self.family, self.parameters)

    def _require_distribution(self, what: str) -> None:
        if self.given and self.proper:
            raise ValueError(f"{what} is not available for {self}, a density given as a function.")
        if not self.proper:
            raise ValueError(f"{what} does not exist for {self}: the density is improper.")


def _printed(parameter: Any) -> str:
    return f"({', '.join(f'{p:g}' for p in parameter)})" if isinstance(parameter, tuple) else f"{parameter:g}"


@dataclass(frozen=True, slots=True)
class GivenDensity:
    """A density on tau given as a function: see ``priors.density``."""

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

    Examples
    --------
    >>> print(bp.Priors(mu=bp.priors.normal(0, 2.82), tau=bp.priors.half_normal(0.5)))
    mu normal(0, 2.82), tau half-normal(0.5)
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


@lru_cache(maxsize=1024)
def _frozen(family: str, parameters: tuple[float, ...]) -> Any:
    return FAMILIES[family].distribution(*parameters)
