"""Quantiles and shortest intervals of mixtures of normals to 1e-10 of their scale, in few passes over the components.

``mixtures`` finds them to the last digit by Newton's steps. Here each pass gives the distribution function with its
first four derivatives, whose Taylor polynomial is solved instead: two or three passes from a fair start. The ends of
a shortest interval are found where both have the same density, by the Taylor polynomials at either.
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
# between which shares of 1 - level, below the interval, more than one shortest interval is looked for; logits
_SHARES = 1 / (1 + np.exp(-np.linspace(-9.0, 9.0, 13)))
_AROUND = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])  # and about the narrowest component, in its SDs


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
def _scales(weight, mean, per_sd):
    """Mean of the mixture, geometric mean of the SDs and the smallest that counts."""
    centre, log_sd, smallest = 0.0, 0.0, np.inf
    for c in range(weight.size):
        centre += weight[c] * mean[c]
        log_sd -= weight[c] * math.log(per_sd[c])
        if weight[c] > _LIGHT:
            smallest = min(smallest, 1 / per_sd[c])
    return centre, math.exp(log_sd), smallest


@nb.njit(nogil=True)
def limits(weight, mean, per_sd, p, z, out):
    """Quantiles at p = 0.5, (1 - level) / 2, (1 + level) / 2, whose normal deviates are z, and the shortest interval.

    Components by weight, mean and reciprocal SD; the shortest interval only if ``out`` has room for its ends.
    """
    centre, typical, smallest = _scales(weight, mean, per_sd)
    for j in range(p.size):
        out[j] = _quantile(weight, mean, per_sd, p[j], centre + typical * z[j], typical, smallest)
    if out.size == p.size:
        return
    rest = 2 * p[1]
    if 1 - probability_above(weight, mean, per_sd, mean.min()) >= rest and (
        probability_above(weight, mean, per_sd, mean.max()) >= rest
    ):
        # the density rises below the first of these quantiles and falls above the second: there is one interval
        ends = _same_density(weight, mean, per_sd, rest, 0.0, rest, out[1], out[2], typical, smallest)
        out[3], out[4] = ends
    else:
        out[3], out[4] = _shortest_of_many(weight, mean, per_sd, rest, out[1], out[2], typical, smallest)


@nb.njit(nogil=True)
def _equal_ends(at_a, at_b, level, farthest):
    """Steps from a and b to ends of the same density, by Taylor polynomials; nan where they are not to be trusted."""
    u, v = 0.0, 0.0
    for _ in range(5):
        below_a, f_a, g_a = _polynomial(at_a, u)
        below_b, f_b, g_b = _polynomial(at_b, v)
        if not (f_a > 0.0 and f_b > 0.0):
            return np.nan, np.nan
        missing, unequal = level - (below_b - below_a), f_a - f_b
        # missing = f_b dv - f_a du; unequal = g_b dv - g_a du
        determinant = f_b * g_a - f_a * g_b
        u += (missing * g_b - unequal * f_b) / determinant
        v += (missing * g_a - unequal * f_a) / determinant
        if not (abs(u) <= farthest and abs(v) <= farthest):
            return np.nan, np.nan
    return u, v


@nb.njit(nogil=True)
def _polynomial(expansion, h):
    """Distribution function, density and its slope at a step h from where they were expanded."""
    below, f, f1, f2, f3 = expansion
    return (
        below + h * (f + h * (f1 / 2 + h * (f2 / 6 + h * f3 / 24))),
        f + h * (f1 + h * (f2 / 2 + h * f3 / 6)),
        f1 + h * (f2 + h * f3 / 2),
    )


@nb.njit(nogil=True)
def _same_density(weight, mean, per_sd, rest, low, high, a, b, typical, smallest):
    """Ends of the interval of probability 1 - rest that has the same density at both.

    ``low`` and ``high`` bracket the probability below it; a and b are where the search starts.
    """
    for _ in range(_STEPS):
        at_a, at_b = _expansion(weight, mean, per_sd, a), _expansion(weight, mean, per_sd, b)
        if at_a[1] < at_b[1]:
            low = max(low, min(at_a[0], rest))
        else:
            high = min(high, at_a[0])
        u, v = _equal_ends(at_a, at_b, 1 - rest, _TRUSTED * typical)
        if abs(u) <= max(_NEAR * smallest, 4e-16 * abs(a)) and abs(v) <= max(_NEAR * smallest, 4e-16 * abs(b)):
            return a + u, b + v
        share = _polynomial(at_a, u)[0]
        if low <= share <= high:
            a, b = a + u, b + v
            continue
        share = 0.5 * (low + high)
        if share in (low, high):
            break
        a = _quantile(weight, mean, per_sd, share, a, typical, smallest)
        b = _quantile(weight, mean, per_sd, share + 1 - rest, b, typical, smallest)
    return a, b


@nb.njit(nogil=True)
def _shortest_of_many(weight, mean, per_sd, rest, a, b, typical, smallest):
    """The shortest of all intervals that have the same density at both ends."""
    narrow = np.argmax(per_sd * (weight > _LIGHT))
    shares = np.empty(_SHARES.size + _AROUND.size)
    shares[: _SHARES.size] = rest * _SHARES
    for i in range(_AROUND.size):
        below = 1 - probability_above(weight, mean, per_sd, mean[narrow] + _AROUND[i] / per_sd[narrow])
        below -= 1 - rest if below > 0.5 else 0.0
        shares[_SHARES.size + i] = below if 0.0 < below < rest else 0.5 * rest
    shares.sort()
    best, lower, upper = np.inf, a, b
    before = -1.0
    for i in range(shares.size + 1):
        low, high = (shares[i - 1] if i else 0.0), (shares[i] if i < shares.size else rest)
        if i < shares.size:
            a = _quantile(weight, mean, per_sd, high, a, typical, smallest)
            b = _quantile(weight, mean, per_sd, high + 1 - rest, b, typical, smallest)
            excess = _expansion(weight, mean, per_sd, a)[1] - _expansion(weight, mean, per_sd, b)[1]
        else:
            excess = 1.0
        if before < 0 <= excess:
            ends = _same_density(weight, mean, per_sd, rest, low, high, a, b, typical, smallest)
            if ends[1] - ends[0] < best:
                best, lower, upper = ends[1] - ends[0], ends[0], ends[1]
        before = excess
    return lower, upper
