"""Finite mixtures of normals, for many mixtures at once: distribution functions and quantiles.

Given tau (and the precision of a Student-t prior on mu) every other quantity of the normal-normal model is
normal, so each marginal posterior is such a mixture over the quadrature nodes (Rover 2020, J Stat Softw
93(6), section 2).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SQRT2 = math.sqrt(2.0)
_SQRT2PI = math.sqrt(2.0 * math.pi)
_STEPS = 2000  # bisection alone needs about 60 from a bracket of ordinary size, 1000 from one of exp(300)
_LAST_DIGIT = 4e-16


@nb.njit(cache=True, nogil=True)
def _tail_and_density(weight, mean, sd, x, sign):  # type: ignore[no-untyped-def]
    """P(X < x) for sign = 1 or P(X > x) for sign = -1, each accurate in its tail, and the density."""
    tail, density = 0.0, 0.0
    for c in range(weight.size):
        if weight[c] > 0.0:
            z = (x - mean[c]) / sd[c]
            if sign * z > -39.0:  # beyond, both are below the smallest double
                tail += weight[c] * 0.5 * math.erfc(-sign * z / _SQRT2)
                density += weight[c] * math.exp(-0.5 * z * z) / (sd[c] * _SQRT2PI)
    return tail, density


@nb.njit(cache=True, nogil=True)
def _quantile(mixture, p, z, close):  # type: ignore[no-untyped-def]
    """Newton steps inside a bracket that bisection keeps; the smaller tail is matched, on the log scale."""
    weight, mean, sd = mixture
    sign = 1.0 if p <= 0.5 else -1.0
    target = p if p <= 0.5 else 1.0 - p
    # the quantile lies between the smallest and the largest of the components' own, which are as good as z
    rounding = 1e-9 * (1.0 + abs(z)) * sd.max()
    low, high = np.min(mean + sd * z) - rounding, np.max(mean + sd * z) + rounding
    x = np.sum(weight * mean) + np.sum(weight * sd) * z
    for _ in range(_STEPS):
        if not low < x < high:
            x = 0.5 * (low + high)
            if x in (low, high):
                return x
        tail, density = _tail_and_density(weight, mean, sd, x, sign)
        if (tail < target) == (sign > 0):
            low = x
        else:
            high = x
        if density > 0.0 and tail > 0.0:
            log_ratio = math.log(tail / target)
            move = -sign * log_ratio * tail / density
            if abs(log_ratio) <= _LAST_DIGIT:
                return x
            x += move  # infinite where the density is barely above zero: the bracket takes over
            if low < x < high and abs(move) <= max(close, _LAST_DIGIT * abs(x)):
                return x
    return x


def quantiles(
    weight: NDArray[np.float64],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    p: NDArray[np.float64],
    *,
    precision: float = 0.0,
    negligible: float = 0.0,
) -> NDArray[np.float64]:
    """Quantiles of B mixtures.

    Parameters
    ----------
    weight, mean, sd
        Components, shape (B, C); weights sum to one.
    p
        Probabilities in [0, 1], shape (M,); the quantiles at 0 and 1 are infinite.
    negligible
        Components of this weight or less are passed over.
    precision
        A Newton step smaller than this share of the components' average SD is the last; 0: to the last digit.

    Returns
    -------
    Shape (B, M).
    """
    return np.asarray(_quantiles((weight, mean, sd), p, ndtri(p), precision, negligible))


@nb.njit(cache=True, nogil=True)
def _quantiles(mixtures, p, z, precision, negligible):  # type: ignore[no-untyped-def]
    weight, mean, sd = mixtures
    out = np.empty((weight.shape[0], p.size))
    for b in range(weight.shape[0]):
        used = weight[b] > negligible
        w, m, s = weight[b][used], mean[b][used], sd[b][used]
        close = precision * np.sum(w * s)
        for j in range(p.size):
            out[b, j] = _quantile((w, m, s), p[j], z[j], close) if 0.0 < p[j] < 1.0 else z[j]
    return out


@nb.njit(cache=True, nogil=True)
def probabilities(
    weight: NDArray[np.float64],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    x: NDArray[np.float64],
    upper: bool,
) -> NDArray[np.float64]:
    """P(X > x) (``upper``) or P(X < x) of B mixtures at M values; shapes as in ``quantiles``."""
    out = np.empty((weight.shape[0], x.size))
    sign = -1.0 if upper else 1.0
    for b in range(weight.shape[0]):
        for m in range(x.size):
            out[b, m] = _tail_and_density(weight[b], mean[b], sd[b], x[m], sign)[0]
    return out


@nb.njit(cache=True, nogil=True)
def densities(
    weight: NDArray[np.float64], mean: NDArray[np.float64], sd: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Densities of B mixtures at M values; shapes as in ``quantiles``."""
    out = np.empty((weight.shape[0], x.size))
    for b in range(weight.shape[0]):
        for m in range(x.size):
            density = 0.0
            for c in range(weight.shape[1]):
                z = (x[m] - mean[b, c]) / sd[b, c]
                density += weight[b, c] * math.exp(-0.5 * z * z) / (sd[b, c] * _SQRT2PI)
            out[b, m] = density
    return out
