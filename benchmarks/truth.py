"""Reference values for ``peers``, by means that none of the compared packages has: mpmath, and a fixed fine grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mpmath as mp
import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DIGITS = 30
GRID = 400  # variances at which the likelihood is compared before its maximum is refined
PANELS, NODES, FARTHEST = 64, 64, 12.0  # of the posterior of tau, up to so many scales of its half-normal prior


@dataclass(frozen=True)
class Frequentist:
    """tau2 with mu and its standard error given it."""

    tau2: float
    mu: float
    se: float


def frequentist(yi: Array, vi: Array, method: str) -> Frequentist:
    """REML: the root of the score at the highest restricted likelihood. PM: Q(tau2) = k - 1. To 30 digits."""
    with mp.workdps(DIGITS):
        y, v = [mp.mpf(float(x)) for x in yi], [mp.mpf(float(x)) for x in vi]

        def moments(tau2: Any) -> tuple[Any, Any, Any]:
            w = [1 / (x + tau2) for x in v]
            mean = mp.fdot(w, y) / mp.fsum(w)
            return w, mean, [x - mean for x in y]

        def generalised_q(tau2: Any) -> Any:
            w, _, r = moments(tau2)
            return mp.fsum(a * x**2 for a, x in zip(w, r, strict=True)) - (len(y) - 1)

        def score(tau2: Any) -> Any:
            w, _, r = moments(tau2)
            squares = mp.fsum((a * x) ** 2 for a, x in zip(w, r, strict=True))
            return squares - mp.fsum(w) + mp.fsum(a**2 for a in w) / mp.fsum(w)

        if method == "PM":
            equation, start = generalised_q, _sign_change(lambda t: float(generalised_q(t)), yi, vi)
        else:
            equation, start = score, _highest(yi, vi)
        tau2 = mp.findroot(equation, start, solver="anderson") if start else mp.mpf(0)
        w, mean, _ = moments(tau2)
        return Frequentist(float(tau2), float(mean), float(1 / mp.sqrt(mp.fsum(w))))


def _variances(yi: Array, vi: Array) -> Array:
    """Zero, and a grid even in the logarithm up to where the likelihood must fall."""
    return np.concatenate([[0.0], np.geomspace(1e-6 * vi.min(), np.ptp(yi) ** 2 + vi.min(), GRID)])


def _sign_change(equation: Any, yi: Array, vi: Array) -> tuple[float, float] | None:
    grid = _variances(yi, vi)
    after = next(i for i, t in enumerate(grid) if equation(t) < 0)
    return (float(grid[after - 1]), float(grid[after])) if after else None


def _highest(yi: Array, vi: Array) -> tuple[float, float] | None:
    """Around the highest restricted likelihood on the grid."""
    grid = _variances(yi, vi)
    w = 1 / (vi + grid[:, None])
    total = w.sum(axis=1)
    mean = (w * yi).sum(axis=1) / total
    log_likelihood = np.log(w).sum(axis=1) - np.log(total) - (w * (yi - mean[:, None]) ** 2).sum(axis=1)
    best = int(log_likelihood.argmax())
    return (float(grid[best - 1]), float(grid[best + 1])) if best else None


@dataclass(frozen=True)
class Posterior:
    """That of mu and tau under a flat prior on mu and a half-normal one on tau, on a fixed fine grid."""

    tau: Array
    weight: Array
    mean: Array
    sd: Array

    @classmethod
    def of(cls, yi: Array, vi: Array, scale: float) -> Posterior:
        x, w = np.polynomial.legendre.leggauss(NODES)
        edges = np.linspace(0, math.sqrt(FARTHEST * scale), PANELS + 1)
        half = np.diff(edges)[:, None] / 2
        root = edges[:-1, None] + half * (1 + x)  # in the root of tau, so that nodes crowd near zero
        tau, weight = (root**2).ravel(), (half * w * 2 * root).ravel()
        precision = 1 / (vi + tau[:, None] ** 2)
        total = precision.sum(axis=1)
        mean = (precision * yi).sum(axis=1) / total
        q = (precision * (yi - mean[:, None]) ** 2).sum(axis=1)
        log_density = 0.5 * (np.log(precision).sum(axis=1) - np.log(total) - q) - 0.5 * (tau / scale) ** 2
        weight = weight * np.exp(log_density - log_density.max())
        return cls(tau, weight / weight.sum(), mean, total**-0.5)

    def error_of_mu(self, quantile: float, probability: float) -> float:
        """How far a claimed quantile of mu lies from the true one, in posterior SDs."""
        average = float((self.weight * self.mean).sum())
        spread = math.sqrt(float((self.weight * (self.sd**2 + (self.mean - average) ** 2)).sum()))

        def off(x: float) -> float:
            return float((self.weight * ndtr((x - self.mean) / self.sd)).sum()) - probability

        true = brentq(off, average - 10 * spread, average + 10 * spread, xtol=1e-16, rtol=8.9e-16)
        return abs(quantile - true) / spread

    def error_of_mean_tau(self, mean: float) -> float:
        """How far a claimed posterior mean of tau lies from the true one, in posterior SDs."""
        true = float((self.weight * self.tau).sum())
        return abs(mean - true) / math.sqrt(float((self.weight * (self.tau - true) ** 2).sum()))
