"""A prior on tau as polynomials: its log density in x = log tau, on panels that depend on the prior alone.

One prior serves thousands of analyses, each with nodes of its own. Its density is evaluated once, at panels split
until Legendre polynomials follow the logarithm to its last digits; any node is then a sum of sixteen terms, a
user's Python function costs what a named family does, and no value depends on what else is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from numpy.polynomial import chebyshev

from bayespip.exact.quadrature import NODES, ORDER, panel_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.priors import Prior

LOG_TAU_MAX = 300.0  # exp(300)^2 is still a double
ROOT_WIDTH = 4.0  # of the panels that are tried first; exp(x) over one has a last coefficient of 1e-11
SMALLEST_PANEL = 1e-12  # a jump stays inside one this narrow and costs about its height times this
_RESOLVED = 1e-13  # of the log density, the last digits of what SciPy gives
_EPSILON = float(np.finfo(float).eps)
_ROUNDING = 16 * _EPSILON
# log values this far below the largest have no digits after the point: nothing there can be had to 1e-4
_OUT_OF_REACH = 1e12
_UNDERFLOW = 600.0  # a density given as the log of a double is noise below exp(-600) of its largest
_SMOOTH = 0.25  # and is not followed there on panels narrower than this
_MOST_PANELS = 5000  # forty for each of a hundred jumps
# values at the nodes -> Chebyshev coefficients, whose recurrence needs no division; a row for each node
_BY_NODE = np.ascontiguousarray(np.linalg.inv(chebyshev.chebvander(NODES, ORDER - 1)).T)
_GAPS = np.diff(NODES) / 2
_QUARTERS = np.array([0.25, 0.5, 0.75])
_SIGNS = (-1.0) ** np.arange(ORDER)  # T_j(-1); T_j(1) = 1


@dataclass(frozen=True, eq=False)
class PriorPanels:
    """The log density of log tau, log p(tau) + log tau, as polynomials.

    Attributes
    ----------
    lower, upper, roots
        Range of x and the number of equal panels that were tried first.
    at_roots
        Log density at the nodes of these, shape (roots, ORDER).
    edges
        Panels on which it is resolved, shape (P + 1,).
    coefficients
        Chebyshev coefficients on them, shape (P, ORDER); -inf where the density is zero.
    breaks
        Edges at which the density jumps, increasing.
    log_mass_below
        Log of the prior mass below exp(lower), where it is not negligible.
    """

    lower: float
    upper: float
    roots: int
    at_roots: NDArray[np.float64]
    edges: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    breaks: NDArray[np.float64]
    log_mass_below: float

    @property
    def lattice(self) -> tuple[float, float, int]:
        """Equal for priors whose panels can be shared."""
        return self.lower, self.upper, self.roots


@lru_cache(maxsize=1024)
def prior_panels(prior: Prior) -> PriorPanels:
    """Panels of a prior on tau.

    Raises
    ------
    ValueError
        If its log density is nan, is -inf wherever it was tried, or is too rough.
    """
    lower, upper, roots = -LOG_TAU_MAX, LOG_TAU_MAX, round(2 * LOG_TAU_MAX / ROOT_WIDTH)
    edges = np.linspace(lower, upper, roots + 1)
    values = _log_density(prior, panel_nodes(edges))
    if prior.proper and not prior.given and np.isneginf(values).any():
        lower, upper, roots = _support(prior)
        edges = np.linspace(lower, upper, roots + 1)
        values = _log_density(prior, panel_nodes(edges))
    at_roots = values.reshape(roots, ORDER)
    edges, values, coefficients, breaks = _refined(prior, edges, at_roots)
    largest = values.max()
    if largest == -math.inf:
        raise ValueError(
            f"the density of tau must be positive somewhere; that of {prior} is zero at all {values.size} points "
            f"tried between {math.exp(lower):g} and {math.exp(upper):g}."
        )
    below = -math.inf
    if prior.proper and not prior.given and at_roots[0, 0] > largest + math.log(_EPSILON) - ROOT_WIDTH:
        with np.errstate(divide="ignore"):
            below = float(np.log(prior.cdf(math.exp(lower))))
    return PriorPanels(lower, upper, roots, at_roots, edges, coefficients, breaks, below)


def _log_density(prior: Prior, x: NDArray[np.float64]) -> NDArray[np.float64]:
    values = prior.logpdf(np.exp(x)) + x
    if np.isnan(values).any():
        at = math.exp(x[np.isnan(values)][0])
        raise ValueError(f"the density of tau must be a number everywhere; that of {prior} is nan at tau = {at:g}.")
    return values


def _support(prior: Prior) -> tuple[float, float, int]:
    """Range and number of panels that end where the support does."""
    start = float(prior.quantile(0.0))
    upper = min(LOG_TAU_MAX, math.log(prior.upper_bound))
    if start > math.exp(-LOG_TAU_MAX):
        lower = math.log(start)
        return lower, upper, max(math.ceil((upper - lower) / ROOT_WIDTH), 1)
    roots = math.ceil((upper + LOG_TAU_MAX) / ROOT_WIDTH)
    return upper - roots * ROOT_WIDTH, upper, roots


def _refined(
    prior: Prior, edges: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Edges, values, coefficients and breaks, with panels quartered until they are resolved."""
    while True:
        coefficients, split, broken = _judged(edges, values)
        if not split.any():
            return edges, values, coefficients, edges[1:-1][broken]
        if split.size > _MOST_PANELS:
            raise ValueError(
                f"the density of tau is too rough to integrate: {split.size} panels between "
                f"{math.exp(edges[0]):g} and {math.exp(edges[-1]):g} do not resolve {prior}."
            )
        left, width = edges[:-1][split, None], np.diff(edges)[split, None]
        edges = np.sort(np.concatenate([edges, (left + width * _QUARTERS).ravel()]))
        fresh = np.repeat(split, np.where(split, 4, 1))
        kept = values[~split]
        values = np.empty((fresh.size, ORDER))
        values[~fresh] = kept
        values[fresh] = _log_density(prior, panel_nodes(edges).reshape(-1, ORDER)[fresh].ravel()).reshape(-1, ORDER)


@nb.njit(cache=True, nogil=True)
def _judged(edges, values):  # type: ignore[no-untyped-def]
    """Chebyshev coefficients of each panel, which of them to split, and which inner edges are jumps."""
    panels = edges.size - 1
    coefficients = np.zeros((panels, ORDER))
    split, broken = np.zeros(panels, dtype=np.bool_), np.zeros(panels - 1, dtype=np.bool_)
    tolerance, depth = np.empty(panels), np.empty(panels)
    largest = values.max()
    for p in range(panels):
        highest, lowest = values[p].max(), values[p].min()
        depth[p], tolerance[p] = largest - highest, _RESOLVED
        if lowest == -np.inf:
            coefficients[p, 0] = -np.inf
            split[p] = highest > -np.inf
            continue
        for i in range(ORDER):
            for j in range(ORDER):
                coefficients[p, j] += _BY_NODE[i, j] * values[p, i]
        # what rounding leaves: of the value itself, and of tau, whose last digit a steep density magnifies
        slopes = (values[p, 1:] - values[p, :-1]) / _GAPS
        slope = max(slopes.min(), -slopes.max(), 0.0) / (edges[p + 1] - edges[p])  # 0 where there is a maximum
        rounding = _ROUNDING * (abs(highest) + (1 + abs(edges[p])) * slope)
        tolerance[p] = max(_RESOLVED * max(1.0, depth[p]), rounding)
        # where values span many powers of ten, those at the top have lost their last digits
        error = max(abs(coefficients[p, -1]) + abs(coefficients[p, -2]), _EPSILON * (highest - lowest))
        split[p] = error > tolerance[p]
    for p in range(panels - 1):
        if min(depth[p], depth[p + 1]) < _OUT_OF_REACH:
            # a jump between an edge and the nearest node shows only where the panels' polynomials meet
            jump = abs(coefficients[p].sum() - (coefficients[p + 1] * _SIGNS).sum())
            broken[p] = jump > 1e3 * max(tolerance[p], tolerance[p + 1])
            split[p] |= broken[p]
            split[p + 1] |= broken[p]
    for p in range(panels):
        zero = coefficients[p, 0] == -np.inf
        narrowest = SMALLEST_PANEL if zero or depth[p] < _UNDERFLOW else _SMOOTH
        split[p] &= (zero or depth[p] < _OUT_OF_REACH) and edges[p + 1] - edges[p] > narrowest
    return coefficients, split, broken


@nb.njit(nogil=True)
def at_nodes(edges, coefficients, lower, half, out):  # type: ignore[no-untyped-def]
    """Log density at the nodes of the panel [lower, lower + 2 half], into ``out``, shape (ORDER,)."""
    panel = _panel_of(edges, lower + half * (1 + NODES[0]))
    for i in range(ORDER):
        x = lower + half * (1 + NODES[i])
        while panel < edges.size - 2 and x >= edges[panel + 1]:
            panel += 1
        out[i] = _in_panel(edges, coefficients, panel, x)


@nb.njit(nogil=True)
def at_point(edges, coefficients, x):  # type: ignore[no-untyped-def]
    """Log density at x."""
    return _in_panel(edges, coefficients, _panel_of(edges, x), x)


@nb.njit(nogil=True)
def _panel_of(edges, x):  # type: ignore[no-untyped-def]
    return min(max(np.searchsorted(edges, x, side="right") - 1, 0), edges.size - 2)


@nb.njit(nogil=True)
def _in_panel(edges, coefficients, panel, x):  # type: ignore[no-untyped-def]
    c = coefficients[panel]
    if c[0] == -np.inf:
        return -np.inf
    u = 2 * (x - edges[panel]) / (edges[panel + 1] - edges[panel]) - 1
    after, current = 0.0, 0.0  # Clenshaw's recurrence
    for j in range(ORDER - 1, 0, -1):
        after, current = current, c[j] + 2 * u * current - after
    return c[0] + u * current - after
