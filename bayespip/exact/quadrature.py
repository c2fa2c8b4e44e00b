"""Composite Gauss-Legendre quadrature in log tau, with panels split until the integrand is resolved.

In x = log tau a prior that diverges at zero and a tail that falls like a power of tau both become
exponentials, which a polynomial follows well; each panel's Legendre coefficients tell how well (Trefethen
2008, SIAM Review 50:67). The panels serve a batch of integrands: they are split until the worst is resolved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from numpy.polynomial import legendre

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ORDER = 16
NODES, WEIGHTS = legendre.leggauss(ORDER)
# values at the nodes -> Legendre coefficients: c_j = (2 j + 1) / 2 sum_i w_i P_j(x_i) f_i
TO_COEFFICIENTS = (np.arange(ORDER) + 0.5)[:, None] * legendre.legvander(NODES, ORDER - 1).T * WEIGHTS
_AT_LEFT_END = (-1.0) ** np.arange(ORDER)  # P_j(-1); P_j(1) = 1
# coefficients of f -> coefficients of its integral from -1
TO_INTEGRAL = legendre.legint(np.eye(ORDER), lbnd=-1, axis=0)
_SCAN = 0.5  # steps in log tau that no posterior of fewer than a thousand studies slips through
_FINEST_SCAN = 1e-3  # a density that is nowhere positive at this step is taken to be zero everywhere
_WIDEST_PANEL = 4.0  # exp(x) over it has a last Legendre coefficient of 1e-11
_MARGIN = 12.0  # exp(-12) of the tolerance is left out, even where it decays as slowly as the root of tau
_ROUNDING = 16 * np.finfo(float).eps  # what an ulp of a log value may do to a last Legendre coefficient
MOST_ROUNDING = 1e-2  # and the most that is borne: log values above 3e12 in size have too few digits after the point
_MOST_PANELS = 5000  # forty for each of a hundred jumps
_TOO_FAR = (
    "the effects lie too far apart, or too far from the priors, in their standard errors: doubles do not hold the "
    "density of tau."
)
_SMALLEST_PANEL = 1e-12  # a jump stays inside one this narrow and costs about its height times this


@dataclass(frozen=True)
class Panels:
    """Panels in x = log tau and integrand values at their nodes.

    Attributes
    ----------
    edges
        Shape (P + 1,), increasing.
    log_values
        Log integrand with respect to dx, shape (B, P * ORDER).
    """

    edges: NDArray[np.float64]
    log_values: NDArray[np.float64]

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Nodes, shape (P * ORDER,)."""
        return panel_nodes(self.edges)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Quadrature weights, shape (P * ORDER,)."""
        return (np.diff(self.edges)[:, None] / 2 * WEIGHTS).ravel()


def panel_nodes(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gauss-Legendre nodes of all panels, shape (P * ORDER,)."""
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + NODES)).ravel()


def adapt(
    log_integrand: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    lower: float,
    upper: float,
    *,
    moments: tuple[float, ...] = (0.0,),
    tolerance: float = 1e-12,
) -> Panels:
    """Panels that resolve a batch of integrands on [lower, upper].

    Parameters
    ----------
    log_integrand
        x of shape (N,) to log values of shape (B, N).
    lower, upper
        Range of x = log tau.
    moments
        Orders m for which tau^m times the integrand must be resolved as well.
    tolerance
        Last Legendre coefficients of every panel, relative to the integral over all panels; never less than
        what the rounding of the log values leaves of them.

    Returns
    -------
    Panels
        Covering the part of the range where some integrand is not negligible.

    Raises
    ------
    ValueError
        If an integrand is nan, zero wherever it was tried, too rough, or its logarithm so large that no digits are
        left.
    """
    edges = _window(log_integrand, lower, upper, moments, tolerance)
    values = log_integrand(panel_nodes(edges))
    tolerance = max(tolerance, _ROUNDING * float(np.abs(values.max(axis=1)).max()))
    if not tolerance <= MOST_ROUNDING:
        raise ValueError(_TOO_FAR)
    while True:
        narrow = np.diff(edges) < _SMALLEST_PANEL
        split = _unresolved(edges, values, moments, tolerance) & ~narrow
        if not split.any():
            return Panels(edges, values)
        if split.size > _MOST_PANELS:
            raise ValueError(
                f"the density of tau is too rough to integrate: {split.size} panels between "
                f"{math.exp(edges[0]):g} and {math.exp(edges[-1]):g} do not resolve it."
            )
        edges = np.sort(np.concatenate([edges, (edges[:-1] + edges[1:])[split] / 2]))
        fresh = np.repeat(split, np.where(split, 2, 1) * ORDER)
        kept = values[:, ~np.repeat(split, ORDER)]
        values = np.empty((values.shape[0], fresh.size))
        values[:, ~fresh] = kept
        values[:, fresh] = log_integrand(panel_nodes(edges)[fresh])


def _window(
    log_integrand: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    lower: float,
    upper: float,
    moments: tuple[float, ...],
    tolerance: float,
) -> NDArray[np.float64]:
    """Edges of wide panels over the part of the range where some integrand, or moment, is not negligible."""
    step = _SCAN
    while True:
        scan = np.linspace(lower, upper, max(math.ceil((upper - lower) / step), 1) + 1)
        values = log_integrand(scan)
        if np.isnan(values).any():
            at = np.exp(scan[np.isnan(values).any(axis=0)][0])
            raise ValueError(f"the density of tau must be a number everywhere; it is nan at tau = {at:g}.")
        if np.isfinite(values).any(axis=1).all():
            break
        step /= 4
        if step < _FINEST_SCAN:
            raise ValueError(
                f"the density of tau must be positive somewhere; it is zero at all {scan.size} points tried "
                f"between {math.exp(lower):g} and {math.exp(upper):g}."
            )
    keep = np.zeros(scan.size, dtype=bool)
    for moment in moments:
        shifted = values + moment * scan
        keep |= (shifted > shifted.max(axis=1, keepdims=True) + math.log(tolerance) - _MARGIN).any(axis=0)
    used = np.flatnonzero(keep)
    if not used.size:  # overflow leaves no largest value
        raise ValueError(_TOO_FAR)
    first, last = scan[max(used[0] - 1, 0)], scan[min(used[-1] + 1, scan.size - 1)]
    return np.linspace(first, last, max(round((last - first) / _WIDEST_PANEL), 1) + 1)


def _unresolved(
    edges: NDArray[np.float64], values: NDArray[np.float64], moments: tuple[float, ...], tolerance: float
) -> NDArray[np.bool_]:
    """Panels that some integrand or moment needs split."""
    bad = np.zeros(edges.size - 1, dtype=bool)
    for row in values:
        for moment in moments:
            _mark_unresolved(edges, row, moment, tolerance, bad)
    return bad


@nb.njit(cache=True, nogil=True)
def _mark_unresolved(edges, values, moment, tolerance, bad):  # type: ignore[no-untyped-def]
    panels = edges.size - 1
    half = (edges[1:] - edges[:-1]) / 2
    largest = -np.inf
    for p in range(panels):
        for i in range(ORDER):
            x = edges[p] + half[p] * (1 + NODES[i])
            largest = max(largest, values[p * ORDER + i] + moment * x)
    total, rest, left, right = 0.0, np.zeros(panels), np.zeros(panels), np.zeros(panels)
    for p in range(panels):
        coefficients = np.zeros(ORDER)
        for i in range(ORDER):
            x = edges[p] + half[p] * (1 + NODES[i])
            scaled = math.exp(values[p * ORDER + i] + moment * x - largest)
            for j in range(ORDER):
                coefficients[j] += TO_COEFFICIENTS[j, i] * scaled
        total += coefficients[0] * 2 * half[p]
        rest[p] = (abs(coefficients[-1]) + abs(coefficients[-2])) * half[p]
        left[p], right[p] = (coefficients * _AT_LEFT_END).sum(), coefficients.sum()
    for p in range(panels):
        # a jump between an edge and the nearest node shows only where the panels' polynomials meet
        jump = 0.0
        if p > 0:
            jump = max(jump, abs(right[p - 1] - left[p]))
        if p < panels - 1:
            jump = max(jump, abs(right[p] - left[p + 1]))
        hidden = jump * (1 + NODES[0]) * half[p]
        bad[p] |= max(rest[p], hidden) > tolerance * total


@dataclass(frozen=True)
class Cumulative:
    """Integrals from the left, for distribution functions and quantiles of a batch of densities in x.

    Attributes
    ----------
    edges
        Shape (P + 1,).
    at_edges
        Integral from the first edge to each edge, shape (B, P + 1).
    coefficients
        Legendre coefficients of the partial integral within each panel, shape (B, P, ORDER + 1).
    """

    edges: NDArray[np.float64]
    at_edges: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Integrals up to x; x of shape (B, M), clipped to the range of the edges."""
        return np.asarray(_evaluate(self.edges, self.at_edges, self.coefficients, np.ascontiguousarray(x)))

    def inverse(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the integral is p; p of shape (B, M), clipped to [0, total]."""
        return np.asarray(_invert(self.edges, self.at_edges, self.coefficients, np.ascontiguousarray(p)))


def cumulative(edges: NDArray[np.float64], density: NDArray[np.float64]) -> Cumulative:
    """Integrals from the left of densities given at the panels' nodes, shape (B, P * ORDER)."""
    half = np.diff(edges) / 2
    by_panel = density.reshape(density.shape[0], half.size, ORDER)
    coefficients = half[:, None] * (by_panel @ (TO_INTEGRAL @ TO_COEFFICIENTS).T)
    at_edges = np.zeros((density.shape[0], half.size + 1))
    np.cumsum(coefficients.sum(axis=2), axis=1, out=at_edges[:, 1:])  # P_j(1) = 1 for every j
    return Cumulative(edges, at_edges, coefficients)


@nb.njit(cache=True, nogil=True)
def _series(coefficients, u):  # type: ignore[no-untyped-def]
    """Legendre series at u, by the three-term recurrence."""
    before, current = 1.0, u
    total = coefficients[0] + coefficients[1] * u
    for j in range(2, coefficients.size):
        before, current = current, ((2 * j - 1) * u * current - (j - 1) * before) / j
        total += coefficients[j] * current
    return total


@nb.njit(cache=True, nogil=True)
def _evaluate(edges, at_edges, coefficients, x):  # type: ignore[no-untyped-def]
    out = np.empty_like(x)
    for b in range(x.shape[0]):
        for m in range(x.shape[1]):
            value = min(max(x[b, m], edges[0]), edges[-1])
            panel = min(max(np.searchsorted(edges, value, side="right") - 1, 0), edges.size - 2)
            u = 2 * (value - edges[panel]) / (edges[panel + 1] - edges[panel]) - 1
            out[b, m] = at_edges[b, panel] + _series(coefficients[b, panel], u)
    return out


@nb.njit(cache=True, nogil=True)
def _invert(edges, at_edges, coefficients, p):  # type: ignore[no-untyped-def]
    out = np.empty_like(p)
    for b in range(p.shape[0]):
        for m in range(p.shape[1]):
            target = min(max(p[b, m], 0.0), at_edges[b, -1])
            panel = min(max(np.searchsorted(at_edges[b], target, side="right") - 1, 0), edges.size - 2)
            low, high = -1.0, 1.0
            for _ in range(60):  # bisection to the last bit: the integral is monotone, its slope may vanish
                middle = 0.5 * (low + high)
                if at_edges[b, panel] + _series(coefficients[b, panel], middle) < target:
                    low = middle
                else:
                    high = middle
            out[b, m] = edges[panel] + 0.5 * (low + 1) * (edges[panel + 1] - edges[panel])
    return out
