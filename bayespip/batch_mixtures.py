"""Quantiles of mixtures of normals to 1e-10 of their scale, in few passes over the components.

``mixtures`` finds them to the last digit by Newton's steps. Here each pass gives the distribution function with its
first four derivatives, whose Taylor polynomial is solved instead: two or three passes from a fair start.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0917  (compiled functions are given their arrays one by one)

from __future__ import annotations

import math

import numba as nb
import numpy as np

_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
_FAR = 39.0  # beyond, both tail and density are below the smallest double
_NEAR = 3e-3  # steps in the smallest SD after which what a Taylor polynomial of order four leaves out is 1e-13 of it
_TRUSTED = 0.7  # the farthest such step, in average SDs
_LIGHT = 1e-9  # components lighter than this do not count as the smallest
_STEPS = 200


@nb.njit(nogil=True)
def _expansion(weight, mean, per_sd, x):
    """P(X < x), the density and its first three derivatives."""
    below, f, f1, f2, f3 = 0.0, 0.0, 0.0, 0.0, 0.0
    for c in range(weight.size):
        u = per_sd[c]
        z = (x - mean[c]) * u
        if z > _FAR:
            below += weight[c]
        elif z > -_FAR:
            below += 0.5 * weight[c] * math.erfc(-z * _SQRT_HALF)
            d = weight[c] * u * _INV_SQRT_2PI * math.exp(-0.5 * z * z)
            f += d
            d *= u
            f1 -= d * z
            d *= u
            f2 += d * (z * z - 1)
            f3 -= d * u * z * (z * z - 3)
    return below, f, f1, f2, f3


@nb.njit(nogil=True)
def probability_above(weight, mean, per_sd, x):
    """P(X > x), without cancellation."""
    total = 0.0
    for c in range(weight.size):
        total += 0.5 * weight[c] * math.erfc((x - mean[c]) * per_sd[c] * _SQRT_HALF)
    return total


@nb.njit(nogil=True)
def _step(p, below, f, f1, f2, f3, farthest):
    """To the quantile by the Taylor polynomial; nan where it is not to be trusted."""
    if not f > 0.0:
        return np.nan
    h = (p - below) / f
    for _ in range(4):
        if not abs(h) <= farthest:
            return np.nan
        value = below - p + h * (f + h * (f1 / 2 + h * (f2 / 6 + h * f3 / 24)))
        slope = f + h * (f1 + h * (f2 / 2 + h * f3 / 6))
        if not slope > 0.0:
            return np.nan
        h -= value / slope
    return h if abs(h) <= farthest else np.nan


@nb.njit(nogil=True)
def _quantile(weight, mean, per_sd, p, start, typical, smallest):
    x, low, high = start, -np.inf, np.inf
    for step in range(_STEPS):
        below, f, f1, f2, f3 = _expansion(weight, mean, per_sd, x)
        if below < p:
            low = x
        else:
            high = x
        h = _step(p, below, f, f1, f2, f3, _TRUSTED * typical)
        if abs(h) <= max(_NEAR * smallest, 4e-16 * abs(x)):
            return x + h
        if np.isnan(h):  # Newton's step on the log of the smaller tail, which takes a far tail in few strides
            tail, target = (below, p) if p <= 0.5 else (1 - below, 1 - p)
            h = math.log(tail / target) * tail / f if tail > 0.0 and f > 0.0 else np.inf
            h = -h if p <= 0.5 else h
        move = x + h
        if low < move < high:
            x = move
        elif np.isinf(low):
            x = high - typical * 4.0 ** (step + 1)
        elif np.isinf(high):
            x = low + typical * 4.0 ** (step + 1)
        else:
            x = 0.5 * (low + high)
            if x in (low, high):
                return x
    return x


@nb.njit(nogil=True)
def quantiles(weight, mean, per_sd, p, z, out):
    """Quantiles at p, whose normal deviates are z; components by weight, mean and reciprocal SD."""
    centre, log_sd, smallest = 0.0, 0.0, np.inf
    for c in range(weight.size):
        centre += weight[c] * mean[c]
        log_sd -= weight[c] * math.log(per_sd[c])
        if weight[c] > _LIGHT:
            smallest = min(smallest, 1 / per_sd[c])
    typical = math.exp(log_sd)
    for j in range(p.size):
        out[j] = _quantile(weight, mean, per_sd, p[j], centre + typical * z[j], typical, smallest)
