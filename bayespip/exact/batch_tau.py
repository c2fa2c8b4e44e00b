"""The marginal posterior of tau from its panels: moments, quantiles and the shortest interval.

Within a panel the distribution function is the integral of the polynomial that resolves the density. The ends of a
shortest interval are found where both have the same density: minimising the width would leave them half their
digits.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from bayespip.exact.batch_nodes import log_likelihood
from bayespip.exact.posterior import given_tau_compiled
from bayespip.exact.prior_panels import LOG_TAU_MAX, at_point
from bayespip.exact.quadrature import NODES, ORDER, TO_COEFFICIENTS, TO_INTEGRAL, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BISECTIONS = 52  # of an interval of length 2, to the last bit
_INSIDE = 1e-9  # in log tau, from the ends of the range
_CLOSE = 1e-14  # in log tau; a bracket this narrow is a jump of the density
_SAME = 1e-13  # log densities that differ by no more than their rounding
_INTEGRAL = np.ascontiguousarray((TO_INTEGRAL @ TO_COEFFICIENTS).T)  # a row for each node
_NO_PRECISION = np.empty(0)
_AHEAD = np.array([0.0, 0.0, *((2 * j - 1) / j for j in range(2, ORDER + 1))])
_BEHIND = np.array([0.0, 0.0, *((j - 1) / j for j in range(2, ORDER + 1))])


class TauMarginal(NamedTuple):
    """Panels in the order of tau.

    Weights of their nodes, Legendre coefficients of the integrals within them, and the distribution function at
    their edges; the first is the mass below them all.
    """

    lower: Floats
    half: Floats
    log_values: Floats
    weight: Floats
    series: Floats
    below: Floats


@nb.njit(nogil=True)
def tau_marginal(panels, n, tree, scale, mass_below):
    """From a posterior's panels; ``scale`` holds the largest log value, and the integral relative to it."""
    highest, whole = scale
    lower, half, below = np.empty(n), np.empty(n), np.empty(n + 1)
    log_values, weight = np.empty((n, ORDER)), np.empty((n, ORDER))
    series = np.zeros((n, ORDER + 1))
    below[0] = mass_below
    order = _from_left(panels, n, tree)
    for j in range(n):
        panel = panels.panel[order[j]]
        lower[j], half[j], log_values[j] = tree.lower[panel], tree.half[panel], panels.values[order[j]]
        for i in range(ORDER):
            density = half[j] * math.exp(log_values[j, i] - highest) / whole
            weight[j, i] = density * WEIGHTS[i]
            for c in range(ORDER + 1):
                series[j, c] += density * _INTEGRAL[i, c]
        below[j + 1] = below[j] + weight[j].sum()
    return TauMarginal(lower, half, log_values, weight, series, below)


@nb.njit(nogil=True)
def _from_left(panels, n, tree):
    """Order of the panels in tau: a few, nearly sorted."""
    order = np.arange(n)
    for i in range(1, n):
        j = i
        while j > 0 and tree.lower[panels.panel[order[j - 1]]] > tree.lower[panels.panel[order[j]]]:
            order[j - 1], order[j] = order[j], order[j - 1]
            j -= 1
    return order


@nb.njit(nogil=True)
def tau_moments(tau, out):
    """Mean and SD."""
    average, total = 0.0, 0.0
    for step in range(2):
        for j in range(tau.lower.size):
            for i in range(ORDER):
                if tau.weight[j, i] > 0.0:
                    t = math.exp(tau.lower[j] + tau.half[j] * (1 + NODES[i]))
                    if step == 0:
                        average += tau.weight[j, i] * t
                    else:
                        total += tau.weight[j, i] * (t - average) ** 2
    out[0], out[1] = average, math.sqrt(total)


@nb.njit(nogil=True)
def log_quantile(tau, p):
    """Logarithm of the quantile at p."""
    j = min(max(np.searchsorted(tau.below, p) - 1, 0), tau.lower.size - 1)
    low, high = -1.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if tau.below[j] + _legendre(tau.series[j], middle) < p:
            low = middle
        else:
            high = middle
    return tau.lower[j] + tau.half[j] * (1 + low)


@nb.njit(nogil=True)
def _probability_below(tau, x):
    j = min(max(np.searchsorted(tau.lower, x, side="right") - 1, 0), tau.lower.size - 1)
    u = (x - tau.lower[j]) / tau.half[j] - 1
    return tau.below[j] + _legendre(tau.series[j], min(max(u, -1.0), 1.0))


@nb.njit(nogil=True)
def _legendre(series, u):
    """Legendre series at u, by the three-term recurrence."""
    before, current = 1.0, u
    total = series[0] + series[1] * u
    for j in range(2, series.size):
        before, current = current, _AHEAD[j] * u * current - _BEHIND[j] * before
        total += series[j] * current
    return total


@nb.njit(nogil=True)
def _log_density(study, density, mu_prior, x):
    """Log density of tau (not of its logarithm) at exp(x), but for a constant."""
    flat = (0.0, _NO_PRECISION, _NO_PRECISION)
    log_flat, mean, variance = given_tau_compiled(study.yi, study.vi, np.array([math.exp(x)]), flat)
    value = log_likelihood(log_flat[0, 0, 0], mean[0, 0, 0], variance[0, 0, 0], mu_prior)
    return value + at_point(density.edges, density.coefficients, x) - x


@nb.njit(nogil=True)
def tau_shortest(tau, tree, model, level, out):
    """Lower and upper end of the shortest interval; ``model`` is study, density and prior on mu.

    Of all intervals of this probability that no shift shortens the shortest is taken: those that begin where the
    support does, those that end there, and those with the same density at both ends.
    """
    start, stop = _support(tau, tree, model[1])
    first = math.exp(start) if start > -LOG_TAU_MAX + _CLOSE else 0.0
    out[0], out[1] = first, math.exp(log_quantile(tau, level))
    brackets, count, falls, rises = _brackets(tau, level)
    best = out[1] - out[0] if falls else np.inf
    if rises:
        lower = math.exp(log_quantile(tau, max(1 - level, tau.below[0])))
        if math.exp(stop) - lower < best:
            best, out[0], out[1] = math.exp(stop) - lower, lower, math.exp(stop)
    for c in range(count):
        a, b = _crossing(tau, model, level, brackets[c, 0], brackets[c, 1])
        width = math.exp(b) - math.exp(a)
        if width < best:
            best, out[0], out[1] = width, math.exp(a), math.exp(b)


@nb.njit(nogil=True)
def _support(tau, tree, density):
    """Between which values of log tau there is density: a user's may be 0 over part of the range."""
    last = density.at_roots.shape[0] - 1
    start, stop = tree.lower[0], tree.lower[last] + 2 * tree.half[last]
    if at_point(density.edges, density.coefficients, start + _INSIDE) == -np.inf:
        left = 0
        while tau.weight[left].max() == 0.0:
            left += 1
        start = tau.lower[left]
    if at_point(density.edges, density.coefficients, stop - _INSIDE) == -np.inf:
        right = tau.lower.size - 1
        while tau.weight[right].max() == 0.0:
            right -= 1
        stop = tau.lower[right] + 2 * tau.half[right]
    return start, stop


@nb.njit(nogil=True)
def _brackets(tau, level):
    """Between which values of the lower end, in log tau, the density there comes to exceed that at the upper end.

    All intervals with an end at a node are passed through in order; the density at the other end is interpolated.
    Brackets, their number, whether the first interval's density is the higher at its lower end and whether that of the
    last one is at its upper end.
    """
    size = tau.lower.size * ORDER
    x, below, height = np.empty(size), np.empty(size), np.empty(size)
    for j in range(tau.lower.size):
        for i in range(ORDER):
            at = j * ORDER + i
            x[at] = tau.lower[j] + tau.half[j] * (1 + NODES[i])
            below[at] = tau.below[j] + _legendre(tau.series[j], NODES[i])
            height[at] = tau.log_values[j, i] - x[at]
    brackets, count = np.empty((size, 2)), 0
    low, high = 0, min(np.searchsorted(below, tau.below[0] + level), size - 1)
    falls, before, older, last = True, 0.0, x[0], x[0]
    step = 0
    while low < size and below[low] < 1 - level:
        if high >= size or below[low] <= below[high] - level:
            at_low, here = height[low], x[low]
            at_high = _interpolated(below, height, high, below[low] + level)
            low += 1
        else:
            at_high = height[high]
            at_low = _interpolated(below, height, low, below[high] - level)
            here = _interpolated(below, x, low, below[high] - level)
            high += 1
        difference = at_low - at_high if at_high > -np.inf else np.inf
        if step == 0:
            falls = difference >= 0
        elif before < 0 <= difference:
            # one further to either side, because of the interpolation
            brackets[count, 0], brackets[count, 1] = older, x[min(low + 1, size - 1)]
            count += 1
        before, older, last = difference, last, here
        step += 1
    return brackets, count, falls, before < 0


@nb.njit(nogil=True)
def _interpolated(below, values, right, p):
    """Linear in the distribution function, between the nodes ``right - 1`` and ``right``."""
    if right == 0 or right >= below.size:
        return values[min(right, below.size - 1)]
    gap = below[right] - below[right - 1]
    share = (p - below[right - 1]) / gap if gap > 0.0 else 1.0
    if values[right] == -np.inf or values[right - 1] == -np.inf:
        return values[right] if share > 0.5 else values[right - 1]
    return values[right - 1] + share * (values[right] - values[right - 1])


@nb.njit(nogil=True)
def _crossing(tau, model, level, left, right):
    """Ends, in log tau, of the interval with the same density at both; ``left`` and ``right`` bracket the lower one.

    The Illinois method (Dowell & Jarratt 1971, BIT 11:168), bisection where that is slow.
    """
    at_left, at_right = _excess(tau, model, level, left)[0], _excess(tau, model, level, right)[0]
    side = 0
    for step in range(200):
        if at_left >= 0 or at_right < 0:  # the density jumps here
            return (left if at_left >= 0 else right), _excess(tau, model, level, left if at_left >= 0 else right)[1]
        if step % 4 == 3 or not (math.isfinite(at_left) and math.isfinite(at_right)):
            a = 0.5 * (left + right)
        else:
            a = left - at_left * (right - left) / (at_right - at_left)
        excess, b = _excess(tau, model, level, a)
        if abs(excess) <= _SAME or right - left <= _CLOSE * max(1.0, abs(a)):
            return a, b
        if excess < 0:
            left, at_left = a, excess
            at_right *= 0.5 if side < 0 else 1.0
            side = -1
        else:
            right, at_right = a, excess
            at_left *= 0.5 if side > 0 else 1.0
            side = 1
    return a, b


@nb.njit(nogil=True)
def _excess(tau, model, level, a):
    """By how much the log density at a exceeds that at the other end of the interval, and that end."""
    study, density, mu_prior = model
    b = log_quantile(tau, min(_probability_below(tau, a) + level, 1.0))
    at_b = _log_density(study, density, mu_prior, b)
    return (_log_density(study, density, mu_prior, a) - at_b if at_b > -np.inf else np.inf), b
