"""Posterior nodes of one analysis under many priors: what ``posterior`` does, compiled from end to end.

The likelihood is computed once at the nodes of a tree of panels in x = log tau, which all priors share; under each
prior the posterior has the panels of the tree that resolve it. A panel is halved where its last Legendre
coefficients say so, at fixed places, so that no result depends on what else is computed.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0917  (compiled functions are given their arrays one by one)

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from bayespip.exact.posterior import given_tau_compiled
from bayespip.exact.prior_panels import SMALLEST_PANEL, at_nodes
from bayespip.exact.quadrature import MOST_ROUNDING, NODES, ORDER, TO_COEFFICIENTS, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

TOLERANCE = 1e-11  # of a panel's last coefficients, relative to the integral: a thousandth of what is promised
_MARGIN = 12.0  # as in ``quadrature``: exp(-12) of the tolerance is left out
_ROUNDING = 16 * float(np.finfo(float).eps)
_LOG_2PI = math.log(2 * math.pi)
_CAPACITY = 4096  # panels
_LAST = np.ascontiguousarray(TO_COEFFICIENTS[-2:])
_NO_PRECISION = np.empty(0)


class Study(NamedTuple):
    """Effects less their centre and variances, shape (1, k); log tau below which the likelihood is constant."""

    yi: Floats
    vi: Floats
    log_zero: float


class Density(NamedTuple):
    """A prior on tau, as in ``PriorPanels``."""

    edges: Floats
    coefficients: Floats
    breaks: Floats
    at_roots: Floats
    log_mass_below: float


class Tree(NamedTuple):
    """Panels and the model given tau at their nodes; the first ones are the roots, children stand side by side."""

    lower: Floats
    half: Floats
    child: Integers
    known: NDArray[np.bool_]
    log_flat: Floats
    mean: Floats
    variance: Floats
    used: Integers


class Panels(NamedTuple):
    """Panels of one posterior: which of the tree, and the log integrand at their nodes.

    By moment: the largest value, and relative to it the integral and the last coefficients.
    """

    panel: Integers
    values: Floats
    largest: Floats
    integral: Floats
    rest: Floats


@nb.njit(nogil=True)
def new_tree():
    """An empty tree."""
    n = _CAPACITY
    return Tree(
        np.empty(n), np.empty(n), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.bool_),
        np.empty((n, ORDER)), np.empty((n, ORDER)), np.empty((n, ORDER)), np.zeros(1, dtype=np.int64),
    )  # fmt: skip


@nb.njit(nogil=True)
def new_panels():
    """Room for the panels of one posterior."""
    n = _CAPACITY
    return Panels(
        np.empty(n, dtype=np.int64), np.empty((n, ORDER)), np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    )


@nb.njit(nogil=True)
def plant(tree, edges):
    """Roots of another analysis or lattice."""
    tree.used[0] = edges.size - 1
    for j in range(edges.size - 1):
        tree.lower[j], tree.half[j] = edges[j], (edges[j + 1] - edges[j]) / 2
        tree.child[j], tree.known[j] = -1, False


@nb.njit(nogil=True)
def _children(tree, panel):
    """Number of the left half of a panel; the right one follows it."""
    if tree.child[panel] < 0:
        left, half = tree.used[0], tree.half[panel] / 2
        tree.used[0] += 2
        tree.child[panel] = left
        tree.lower[left], tree.lower[left + 1] = tree.lower[panel], tree.lower[panel] + tree.half[panel]
        for side in range(2):
            tree.half[left + side], tree.child[left + side], tree.known[left + side] = half, -1, False
    return tree.child[panel]


@nb.njit(nogil=True)
def _look(tree, panel, study):
    """Compute the model given tau at a panel's nodes, unless it has been."""
    if tree.known[panel]:
        return
    tau = np.exp(tree.lower[panel] + tree.half[panel] * (1 + NODES))
    flat = (0.0, _NO_PRECISION, _NO_PRECISION)
    log_flat, mean, variance = given_tau_compiled(study.yi, study.vi, tau, flat)
    tree.log_flat[panel], tree.mean[panel], tree.variance[panel] = log_flat[0, 0], mean[0, 0], variance[0, 0]
    tree.known[panel] = True


@nb.njit(nogil=True)
def component(log_flat, mean, variance, mu_prior, c):
    """Component c of the prior on mu, given the likelihood, mean and variance of mu with a flat one.

    Log likelihood, variance and mean, the last relative to the centre and relative to the prior's location: the one
    or the other keeps its digits where data and prior lie far apart.
    """
    location, precision, log_weight = mu_prior[:3]
    prior = 1 / precision[c]
    distance, spread = mean - location, variance + prior
    log_mu = -0.5 * (_LOG_2PI + math.log(spread) + distance * distance / spread)
    from_data, from_prior = mean - distance * (variance / spread), distance * (prior / spread)
    return log_flat + log_mu + log_weight[c], variance * (prior / spread), from_data, from_prior


@nb.njit(nogil=True)
def log_likelihood(log_flat, mean, variance, mu_prior):
    """Log likelihood of tau alone."""
    components = mu_prior[1].size
    if components == 0:
        return log_flat
    first = component(log_flat, mean, variance, mu_prior, 0)[0]
    if components == 1:
        return first
    largest, total = first, 1.0
    for c in range(1, components):
        value = component(log_flat, mean, variance, mu_prior, c)[0]
        if value > largest:
            largest, total = value, total * math.exp(largest - value) + 1.0
        else:
            total += math.exp(value - largest)
    return largest + math.log(total)


@nb.njit(nogil=True)
def _fill(panels, slot, panel, tree, study, density, mu_prior, log_zero):
    """Log integrand of a panel: prior times likelihood; ``log_zero`` is the latter where it is constant."""
    values = panels.values[slot]
    panels.panel[slot] = panel
    if panel < density.at_roots.shape[0]:
        values[:] = density.at_roots[panel]
    else:
        at_nodes(density.edges, density.coefficients, tree.lower[panel], tree.half[panel], values)
    if tree.lower[panel] + 2 * tree.half[panel] <= study.log_zero:
        values += log_zero
        return
    _look(tree, panel, study)
    for i in range(ORDER):
        values[i] += log_likelihood(tree.log_flat[panel, i], tree.mean[panel, i], tree.variance[panel, i], mu_prior)


@nb.njit(nogil=True)
def _find_largest(panels, slot, tree, moments):
    """Largest value of the log integrand in a panel, of the integrand times tau^m."""
    panel = panels.panel[slot]
    lower, half = tree.lower[panel], tree.half[panel]
    for m in range(moments):
        largest = -np.inf
        for i in range(ORDER):
            largest = max(largest, panels.values[slot, i] + m * (lower + half * (1 + NODES[i])))
        panels.largest[slot, m] = largest


@nb.njit(nogil=True)
def _measure(panels, slot, tree, moments):
    """Integral and last coefficients of a panel, for the integrand times tau^m."""
    panel = panels.panel[slot]
    lower, half = tree.lower[panel], tree.half[panel]
    for m in range(moments):
        largest = panels.largest[slot, m]
        total, last, before = 0.0, 0.0, 0.0
        if largest > -np.inf:
            for i in range(ORDER):
                value = math.exp(panels.values[slot, i] + m * (lower + half * (1 + NODES[i])) - largest)
                total += WEIGHTS[i] * value
                before += _LAST[0, i] * value
                last += _LAST[1, i] * value
        panels.integral[slot, m] = half * total
        panels.rest[slot, m] = half * (abs(last) + abs(before))


@nb.njit(nogil=True)
def _window(panels, roots, moments):
    """Range of the roots where some moment's integrand is not negligible."""
    first, last = roots, -1
    for m in range(moments):
        cut = panels.largest[:roots, m].max() + math.log(TOLERANCE) - _MARGIN
        for j in range(roots):
            if panels.largest[j, m] > cut:
                first, last = min(first, j), max(last, j)
    return max(first - 1, 0), min(last + 1, roots - 1)


@nb.njit(nogil=True)
def _holds_break(density, lower, upper):
    at = np.searchsorted(density.breaks, lower, side="right")
    return at < density.breaks.size and density.breaks[at] < upper and upper - lower > SMALLEST_PANEL


@nb.njit(nogil=True)
def resolve(panels, tree, study, density, mu_prior, moments, log_zero):
    """Panels of a posterior; their number, or -1 where there is no room for as many as it needs, or no digits.

    ``moments``: how many of tau^0, tau^1, tau^2 times the posterior are to be resolved.
    """
    n = _start(panels, tree, study, density, mu_prior, moments, log_zero)
    if n < 1 or not _ROUNDING * abs(panels.largest[:n, 0].max()) <= MOST_ROUNDING:
        return -1
    while True:
        bad = _unresolved(panels, n, tree, density, moments)
        if not bad.any():
            return n
        for j in np.flatnonzero(bad):
            if n == panels.panel.size or tree.used[0] + 2 > tree.lower.size:
                return -1
            left = _children(tree, panels.panel[j])
            for slot, half in ((j, left), (n, left + 1)):
                _fill(panels, slot, half, tree, study, density, mu_prior, log_zero)
                _find_largest(panels, slot, tree, moments)
                _measure(panels, slot, tree, moments)
            n += 1


@nb.njit(nogil=True)
def _start(panels, tree, study, density, mu_prior, moments, log_zero):
    """The roots that matter; their number."""
    roots = density.at_roots.shape[0]
    for j in range(roots):
        _fill(panels, j, j, tree, study, density, mu_prior, log_zero)
        _find_largest(panels, j, tree, moments)
    first, last = _window(panels, roots, moments)
    n = last - first + 1
    for j in range(n):
        panels.panel[j] = panels.panel[first + j]
        panels.values[j] = panels.values[first + j]
        panels.largest[j] = panels.largest[first + j]
        _measure(panels, j, tree, moments)
    return n


@nb.njit(nogil=True)
def _unresolved(panels, n, tree, density, moments):
    """Which of a posterior's panels to halve."""
    bad = np.zeros(n, dtype=np.bool_)
    for j in range(n):
        lower, width = tree.lower[panels.panel[j]], 2 * tree.half[panels.panel[j]]
        bad[j] = _holds_break(density, lower, lower + width)
    tolerance = max(TOLERANCE, _ROUNDING * abs(panels.largest[:n, 0].max()))
    for m in range(moments):
        highest, total = panels.largest[:n, m].max(), 0.0
        for j in range(n):
            total += math.exp(panels.largest[j, m] - highest) * panels.integral[j, m]
        for j in range(n):
            bad[j] |= math.exp(panels.largest[j, m] - highest) * panels.rest[j, m] > tolerance * total
    for j in range(n):
        bad[j] &= 2 * tree.half[panels.panel[j]] > SMALLEST_PANEL
    return bad
