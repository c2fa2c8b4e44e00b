"""Marginal posteriors whose fields are functions: density, distribution, quantile, interval.

The noun is bayesmeta's (Rover 2020, J Stat Softw 93(6)); here the functions are exact up to the quadrature.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, override

import numpy as np
from scipy import optimize
from scipy.special import expit

from bayespip.exact import mixtures
from bayespip.exact.quadrature import Cumulative, cumulative

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from bayespip.measures import Measure
    from bayespip.priors import Prior

# the smallest tau tried; a log density that is by so much larger there than anywhere else diverges at zero
_NEXT_TO_ZERO, _DIVERGES = 1e-130, 10.0
_ROUNDING = 1e-13  # of a log density: a maximum inside that is no higher than this is one at the end
_MODE_GRID = (np.arange(33) + 0.5) / 33  # probabilities between which the mode is sought
# logits of the share of 1 - level that lies below a shortest interval, tried before the best is polished; a
# ratio as skew as those of two studies can have next to nothing there
_SHARE_GRID = np.arange(-36.0, 37.0, 2.0)
_SHARE_END = 690.0  # exp(-690) is still a double


@dataclass(frozen=True, eq=False)
class Marginal(ABC):
    """Marginal posterior of one quantity, on the model scale (log for ratios).

    Attributes
    ----------
    name
        "mu", "tau", "theta_new" or "theta[study]".
    measure
        The effect measure.
    level
        Probability in [lower, upper].
    mean, sd
        Posterior mean and standard deviation; inf or nan where they do not exist, the reason in ``notes``.
    notes
        Sentences about what does not exist.
    """

    name: str
    measure: Measure
    level: float
    mean: float
    sd: float
    notes: tuple[str, ...]

    @abstractmethod
    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Density at x, any shape."""

    @abstractmethod
    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """P(X <= x), any shape."""

    @abstractmethod
    def quantile(self, p: ArrayLike) -> NDArray[np.float64]:
        """Quantiles at probabilities p in [0, 1], any shape; those of 0 and 1 are the ends of the support."""

    @abstractmethod
    def prob_greater(self, x: float) -> float:
        """P(X > x), without the cancellation of 1 - P(X <= x)."""

    @property
    @abstractmethod
    def mode(self) -> float:
        """Global maximum of the density; nan where the density has none."""

    @cached_property
    def _central(self) -> NDArray[np.float64]:
        return self.quantile([0.5, (1 - self.level) / 2, (1 + self.level) / 2])

    @property
    def point(self) -> float:
        """Posterior median."""
        return float(self._central[0])

    @property
    def lower(self) -> float:
        """Lower limit of the central interval."""
        return float(self._central[1])

    @property
    def upper(self) -> float:
        """Upper limit of the central interval."""
        return float(self._central[2])

    def interval(
        self,
        level: float | None = None,
        kind: Literal["central", "shortest"] = "central",
        scale: Literal["model", "display"] = "model",
    ) -> tuple[float, float]:
        """Interval of the given probability.

        Parameters
        ----------
        level
            Probability; the fit's level if None.
        kind
            "central" (equal tails) or "shortest" (the shortest connected interval).
        scale
            "model", or "display" (ratios, correlations). A shortest interval is the shortest on the scale asked
            for, which the exponential of a shortest log interval is not.

        Returns
        -------
        Lower and upper limit.

        Raises
        ------
        ValueError
            If level is not in (0, 1), or kind or scale is none of the choices.
        """
        level = self.level if level is None else level
        if not 0 < level < 1:
            raise ValueError(f"level must lie in (0, 1); got {level!r}.")
        for argument, value, choices in (
            ("kind", kind, ("central", "shortest")),
            ("scale", scale, ("model", "display")),
        ):
            if value not in choices:
                raise ValueError(f"{argument} must be one of {', '.join(choices)}; got {value!r}.")
        displayed = scale == "display" and self.name != "tau"
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        limits = self.quantile(tails if kind == "central" else self._shortest(level, displayed))
        with np.errstate(over="ignore"):
            lower, upper = self.measure.display(limits) if displayed else limits
        return float(lower), float(upper)

    def rvs(self, size: int, seed: int | np.random.Generator) -> NDArray[np.float64]:
        """Independent draws, by inversion."""
        rng = np.random.default_rng(seed)
        return self.quantile(rng.uniform(np.finfo(float).tiny, 1.0, size=size))

    def _shortest(self, level: float, displayed: bool) -> NDArray[np.float64]:
        """Distribution function at both ends of the shortest interval.

        The width is minimised over the share of 1 - level that lies below; at a minimum inside, both ends
        have the same density.
        """

        def tails(share: NDArray[np.float64] | float) -> NDArray[np.float64]:
            below = (1 - level) * np.asarray(share)
            return np.stack([below, np.minimum(below + level, 1.0)])

        def slope(logit: float) -> float:
            low, high = self.quantile(tails(expit(logit)))
            at_low, at_high = self._log_pdf(low), self._log_pdf(high)
            if displayed:
                at_low, at_high = (at_low, at_high) - self.measure.log_slope([low, high])
            return at_low - at_high

        shares = np.concatenate([[0.0], expit(_SHARE_GRID), [1.0]])
        logits = np.concatenate([[-_SHARE_END], _SHARE_GRID, [-_SHARE_GRID[0]]])
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = self.quantile(tails(shares))
            if displayed:
                low, high = self.measure.display(low), self.measure.display(high)
            widths = high - low
        best = int(np.nanargmin(widths))
        first, last = max(best - 1, 0), min(best + 1, shares.size - 1)
        if slope(logits[first]) >= 0:
            return tails(shares[first])
        if slope(logits[last]) <= 0:
            return tails(shares[last])
        found = optimize.brentq(slope, logits[first], logits[last], xtol=1e-14, rtol=8.9e-16)
        return tails(float(expit(found)))

    def _log_pdf(self, x: float) -> float:
        """Log density."""
        with np.errstate(divide="ignore"):
            return float(np.log(self.pdf(x)))


@dataclass(frozen=True, eq=False)
class MixtureMarginal(Marginal):
    """A marginal that is a mixture of normals over the nodes.

    Attributes
    ----------
    weight, mean_given, sd_given
        Components, shape (C,).
    """

    weight: NDArray[np.float64] = field(repr=False)
    mean_given: NDArray[np.float64] = field(repr=False)
    sd_given: NDArray[np.float64] = field(repr=False)

    @override
    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        return self._at(mixtures.densities, x)

    @override
    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        return self._at(mixtures.probabilities, x, False)

    @override
    def quantile(self, p: ArrayLike) -> NDArray[np.float64]:
        probabilities = _as_probabilities(p)
        found = mixtures.quantiles(*self._components, probabilities.ravel())[0]
        return np.asarray(found.reshape(probabilities.shape))

    @override
    def prob_greater(self, x: float) -> float:
        return float(self._at(mixtures.probabilities, x, True))

    @override
    @cached_property
    def mode(self) -> float:
        grid = self.quantile(_MODE_GRID)
        best = int(np.argmax(self.pdf(grid)))
        first, last = max(best - 1, 0), min(best + 1, grid.size - 1)
        # a mode outside the grid is sought as far beyond as its last step is wide
        low = grid[0] - (grid[1] - grid[0]) if best == 0 else grid[first]
        high = grid[-1] + (grid[-1] - grid[-2]) if best == last else grid[last]
        width = high - low
        found = optimize.minimize_scalar(
            lambda t: -self._log_pdf(low + t * width),
            bounds=(0.0, 1.0),
            method="bounded",
            options={"xatol": 1e-9},
        )
        mode = float(low + found.x * width)
        around = mode - 1e-6 * width, mode + 1e-6 * width
        if self._slope(around[0]) > 0 > self._slope(around[1]):
            return float(optimize.brentq(self._slope, *around, xtol=1e-300, rtol=8.9e-16))
        return mode

    def _slope(self, x: float) -> float:
        z = (x - self.mean_given) / self.sd_given
        return float(-np.sum(self.weight * np.exp(-0.5 * z**2) * z / self.sd_given**2))

    @cached_property
    def _components(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        return self.weight[None], self.mean_given[None], self.sd_given[None]

    def _at(self, function: Callable[..., NDArray[np.float64]], x: ArrayLike, *more: bool) -> NDArray[np.float64]:
        values = np.asarray(x, dtype=float)
        return np.asarray(function(*self._components, values.ravel(), *more)[0]).reshape(values.shape)


@dataclass(frozen=True, eq=False)
class TauMarginal(Marginal):
    """Marginal posterior of the between-study standard deviation.

    Attributes
    ----------
    log_density
        tau of shape (N,) to the normalised log density.
    prior
        The prior on tau, whose shape the posterior has below the first panel: the likelihood is constant.
    edges
        Panels in log tau, shape (P + 1,).
    density
        Density with respect to log tau at their nodes, shape (P * ORDER,).
    mass_below
        Posterior probability below the first panel.
    """

    log_density: Callable[[NDArray[np.float64]], NDArray[np.float64]] = field(repr=False)
    prior: Prior = field(repr=False)
    edges: NDArray[np.float64] = field(repr=False)
    density: NDArray[np.float64] = field(repr=False)
    mass_below: float

    @override
    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(x, dtype=float)
        inside = values >= 0
        density = np.exp(self.log_density(np.where(inside, values, 1.0).ravel())).reshape(values.shape)
        return np.where(inside, density, 0.0)

    @override
    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(x, dtype=float)
        log_tau = np.log(np.maximum(values, self._first))
        above = self.mass_below + self._from_left(log_tau.reshape(1, -1))[0].reshape(values.shape)
        return np.where(values >= self._first, np.minimum(above, 1.0), self._below(values))

    @override
    def quantile(self, p: ArrayLike) -> NDArray[np.float64]:
        probabilities = _as_probabilities(p)
        rest = np.maximum(probabilities - self.mass_below, 0.0)
        above = np.exp(self._from_left.inverse(rest.reshape(1, -1))[0]).reshape(probabilities.shape)
        above = np.where(probabilities == 1, self.prior.upper_bound, above)
        if (probabilities > self.mass_below).all():
            return np.asarray(above)
        within = np.minimum(probabilities, self.mass_below)  # divided by a denormal, no more would be finite
        share = within / self.mass_below if self.mass_below else np.zeros(probabilities.shape)
        if self._follows_prior:
            below = self.prior.quantile(np.minimum(share, 1.0) * self.prior.cdf(self._first))
        else:
            below = share * self._first
        return np.where(probabilities > self.mass_below, above, below)

    @override
    def prob_greater(self, x: float) -> float:
        if x < self._first:
            return float(1 - self._below(np.asarray(x)))
        return float(self._from_right(np.array([[-math.log(x)]]))[0, 0])

    @override
    @cached_property
    def mode(self) -> float:
        support = self.quantile([0.0, 1.0])
        ends = [max(float(support[0]), _NEXT_TO_ZERO), *support[1:][np.isfinite(support[1:])].tolist()]
        taus = np.unique(np.concatenate([ends, self.quantile(_MODE_GRID)]))
        values = self.log_density(taus)
        best = int(np.argmax(values[1:])) + 1
        if values[0] > values[best] + _DIVERGES:
            return math.nan
        found = optimize.minimize_scalar(
            lambda t: -self._log_pdf(t),
            bounds=(taus[best - 1], taus[min(best + 1, taus.size - 1)]),
            method="bounded",
            options={"xatol": 1e-12 * taus[best]},
        )
        highest, at_ends = -float(found.fun), self.log_density(np.array(ends))
        for end, value in zip((float(support[0]), *ends[1:]), at_ends, strict=True):
            if value >= max(highest, at_ends.max()) - _ROUNDING:
                return float(end)
        return float(found.x)

    @cached_property
    def _from_left(self) -> Cumulative:
        return cumulative(self.edges, self.density[None])

    @cached_property
    def _from_right(self) -> Cumulative:
        return cumulative(-self.edges[::-1], self.density[None, ::-1])

    @property
    def _first(self) -> float:
        return math.exp(self.edges[0])

    @property
    def _follows_prior(self) -> bool:
        return self.prior.proper and not self.prior.given

    def _below(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distribution function below the first panel."""
        if not self.mass_below:
            return np.zeros(x.shape)
        within = self.prior.cdf if self._follows_prior else np.asarray
        share = within(x) / within(self._first)
        return self.mass_below * np.clip(share, 0.0, 1.0)

    @override
    def _log_pdf(self, x: float) -> float:
        return float(self.log_density(np.array([x]))[0])


def _as_probabilities(p: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=float)
    outside = values[~((values >= 0) & (values <= 1))]
    if outside.size:
        raise ValueError(f"p must lie in [0, 1]; got {outside.flat[0]!r}.")
    return values
