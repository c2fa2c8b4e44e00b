"""Lowest and highest value of every quantity over a family of study data, with the member that attains it.

Random members miss the extremes, quietly. So a quasi-random sample of the family only starts the search: from
the best members for each quantity and direction, an evolution strategy with several proposals a step (Beyer &
Schwefel 2002, Natural Computing 1:3) climbs inside the family, all searches of one method in lockstep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special, stats

from bayespip.published_only.consistent import MANTEL_HAENSZEL_SHRINKS, Family, Members, Points
from bayespip.reanalysis.quantities import DRAFT, QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayespip.reanalysis.quantities import Method

_GROW, _SHRINK = 1.3, 0.6
_FIRST_STEP = 0.25
_OTHER_CORNER = 0.1  # chance that a proposal moves to another corner of the polygon or another set of trials
_FRESH = 512  # of the sample, that start the search under a further method beside the extremes found so far
SAMPLE = 2048  # quasi-random points before the infeasible are dropped, per free dimension beyond two


@dataclass(frozen=True)
class Bounds:
    """Extremes over a family under one method.

    Attributes
    ----------
    lowest, highest
        Values on the model scale, shape (len(QUANTITIES),); nan where the quantity does not exist.
    yi, vi
        Attaining members, shape (2, len(QUANTITIES), k): lowest first.
    """

    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    yi: NDArray[np.float64]
    vi: NDArray[np.float64]

    def of(self, quantity: str) -> tuple[float, float]:
        """Lowest and highest value of a quantity such as "mu_lower"."""
        index = QUANTITIES.index(quantity)
        return float(self.lowest[index]), float(self.highest[index])


class _Effort(NamedTuple):
    """Of a search: starts for each quantity and direction, steps, and proposals a step."""

    starts: int
    steps: int
    proposals: int


def _usual_effort(family: Family) -> _Effort:
    """What brings repeated searches together, to 1% of the width of an interval (tests/test_bounds.py)."""
    if family.k == 2:
        return _Effort(6, 30, 10)
    if family.limits.designs == 1:
        return _Effort(6, 90, 10)
    # sets of trials of known sizes leave narrow, separate corners
    return _Effort(6, 150, 10) if family.k == 3 else _Effort(8, 200, 20)


class _Targets(NamedTuple):
    """Which quantity each search is for, and whether it is to be small (1) or large (-1)."""

    which: NDArray[np.intp]
    sign: NDArray[np.float64]


def bounds(
    family: Family,
    methods: Sequence[Method],
    *,
    starts: int | None = None,
    steps: int | None = None,
    seed: int = 1,
) -> list[Bounds]:
    """Extremes of every quantity over the family, one Bounds a method.

    The members that are extreme under one method are starting points for the next: methods that differ in the
    prior only have their extremes close together.

    Parameters
    ----------
    family
        From ``consistent_studies``.
    methods
        ``quantities.Bayesian`` or ``quantities.Frequentist``.
    starts
        Searches for each quantity and direction; by k and the number of sets of trials if None.
    steps
        Of each search, likewise. Half as many after the first method.
    seed
        Of the sample and of the proposals.

    Raises
    ------
    ValueError
        If no member keeps all assumptions.
    """
    rng = np.random.default_rng(seed)
    pool, _ = sample(family, at_vertices=True, seed=seed)
    usual = _usual_effort(family)
    effort = _Effort(starts or usual.starts, steps or usual.steps, usual.proposals)
    results = []
    for method in methods:
        best, found = _extremes(family, method, pool, effort, rng)
        results.append(found)
        if family.k > 1:
            pool = _join(best, pool.take(slice(-_FRESH, None)))
        if len(results) == 1:
            effort = effort._replace(steps=max(effort.steps // 2, 1))
    return results


def _extremes(
    family: Family, method: Method, pool: Points, effort: _Effort, rng: np.random.Generator
) -> tuple[Points, Bounds]:
    """Bounds under one method, and the points that attain them."""
    data = family.members(pool)
    rough = method.quantities(data.yi, data.vi, DRAFT)
    exists = np.flatnonzero(np.isfinite(rough).all(axis=0))
    candidates = pool.take(np.unique([rough.argmin(axis=0), rough.argmax(axis=0)]))
    if family.k > 1:
        start = _starts(pool, rough, exists, effort.starts)
        candidates = _join(_climb(family, method, start, effort, rng), candidates)
    data = family.members(candidates)
    values = method.quantities(data.yi, data.vi)
    where = np.stack([values.argmin(axis=0), values.argmax(axis=0)])
    extremes = np.take_along_axis(values, where, axis=0)
    extremes[:, np.setdiff1d(np.arange(len(QUANTITIES)), exists)] = np.nan
    return candidates.take(np.unique(where)), Bounds(extremes[0], extremes[1], data.yi[where], data.vi[where])


def _join(one: Points, other: Points) -> Points:
    return Points._make(np.concatenate(pair) for pair in zip(one, other, strict=True))


def sample(family: Family, *, at_vertices: bool, seed: int, size: int | None = None) -> tuple[Points, Members]:
    """Feasible members, quasi-random (Sobol): log variance ratios, the root of Q and the direction uniformly.

    Parameters
    ----------
    at_vertices
        At the corners of the rounding polygon (for bounds), or all at its reference point.
    size
        Points before the infeasible are dropped.

    Raises
    ------
    ValueError
        If none is feasible.
    """
    k, vertices = family.k, family.printed.vertices
    if k == 1:
        corners = vertices if at_vertices else family.printed.centre[None]
        m, s = np.repeat(corners, family.limits.designs, axis=0).T
        one = np.ones_like(m)
        design = np.tile(np.arange(family.limits.designs), len(corners))
        return _keep(family, Points(m, s, np.empty((len(m), 0)), 0 * one, one[:, None], one, design))
    size = size or SAMPLE * max(1, 4 * (2 * k - 4))
    u = stats.qmc.Sobol(2 * k + 3, seed=seed).random(size)
    corner = (u[:, 0] * len(vertices)).astype(int)
    m, s = vertices[corner].T if at_vertices else np.broadcast_to(family.printed.centre, (size, 2)).T
    design = (u[:, 1] * family.limits.designs).astype(np.intp)
    low, high = ratio_box(family, design)
    root_low, root_high = root_q_range(family, design)
    direction = special.ndtri(np.clip(u[:, k + 3 :], 1e-12, 1 - 1e-12))
    points = Points(
        m=m,
        s=s,
        log_ratio=low + (high - low) * u[:, 2 : k + 1],
        q=(root_low + (root_high - root_low) * u[:, k + 1]) ** 2,
        direction=direction,
        shrink=_shrink(family, u[:, k + 2]),
        design=design,
    )
    return _keep(family, points)


def ratio_box(family: Family, design: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest log(v_i / v_k), shape (B, k - 1), before Q and effects narrow them further."""
    widest = math.log(family.largest_ratio)
    low, high = _log_variance_box(family, design)
    smallest = np.maximum(low[:, :-1] - high[:, -1:], -widest)
    return smallest, np.minimum(high[:, :-1] - low[:, -1:], widest)


def root_q_range(family: Family, design: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest root of Q, shape (B,); where Q is open above, that of the smallest variances."""
    low, high = (np.full(len(design), math.sqrt(q)) for q in family.q)
    if math.isinf(family.q[1]):
        w = 1 / family.limits.between(np.zeros((len(design), family.k)), design)[0]
        # tau2 < k s^2 always, because the sum of k terms 1 / (v + tau2) is s^-2
        c = w.sum(axis=1) - (w**2).sum(axis=1) / w.sum(axis=1)
        high = np.sqrt(family.k - 1 + family.k * family.printed.vertices[:, 1].max() ** 2 * c)
    return low, high


def _log_variance_box(family: Family, design: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log of the smallest variance of studies without effect, and of the largest far from the mean."""
    at = np.zeros((len(design), family.k))
    pooled = np.abs(family.printed.vertices[:, 0]).max()
    highest = family.limits.between(at + pooled, design)[1]
    if np.isfinite(highest).all():
        # a study's share of Q is (y - m_F)^2 / v
        far = pooled + root_q_range(family, design)[1][:, None] * np.sqrt(highest)
        highest = family.limits.between(far, design)[1]
    with np.errstate(divide="ignore"):
        return np.log(family.limits.between(at, design)[0]), np.log(highest)


def _shrink(family: Family, u: NDArray[np.float64]) -> NDArray[np.float64]:
    least = MANTEL_HAENSZEL_SHRINKS if family.pooling == "MH" else 1.0
    return least + (1 - least) * u


def _keep(family: Family, points: Points) -> tuple[Points, Members]:
    data = family.members(points)
    inside = family.feasible(points, data)
    if not inside.any():
        raise ValueError(
            f"no study data keep all assumptions for {family.reported.estimate} "
            f"({family.reported.ci_lower} to {family.reported.ci_upper}): {'; '.join(family.assumptions)}."
        )
    return points.take(inside), Members._make(a[inside] for a in data)


def _starts(pool: Points, rough: NDArray[np.float64], exists: NDArray[np.intp], starts: int) -> tuple[Points, _Targets]:
    """The best few of the pool for every quantity that exists and both directions, one a set of trials first."""
    starts = min(starts, len(rough))
    chosen = []
    for sign in (1.0, -1.0):
        for quantity in exists:
            order = np.argsort(sign * rough[:, quantity])
            leaders = np.sort(np.unique(pool.design[order], return_index=True)[1])
            rest = np.setdiff1d(np.arange(len(order)), leaders)
            chosen.append(order[np.concatenate([leaders, rest])[:starts]])
    which = np.tile(np.repeat(exists, starts), 2)
    targets = _Targets(which, np.repeat([1.0, -1.0], len(which) // 2))
    return pool.take(np.concatenate(chosen)), targets


def _climb(
    family: Family, method: Method, start: tuple[Points, _Targets], effort: _Effort, rng: np.random.Generator
) -> Points:
    """Better members than those of the start, each found by a search of its own."""
    now, (which, sign) = start
    data = family.members(now)
    score = sign * method.chosen(data.yi, data.vi, which)
    sigma = np.full(len(which), _FIRST_STEP)
    proposer = np.repeat(np.arange(len(which)), effort.proposals)
    for _ in range(effort.steps):
        proposed = _propose(family, now.take(proposer), sigma[proposer], rng)
        data = family.members(proposed)
        inside = family.feasible(proposed, data)
        found = np.full(len(inside), np.inf)
        if inside.any():
            parent = proposer[inside]
            found[inside] = sign[parent] * method.chosen(data.yi[inside], data.vi[inside], which[parent])
        best = found.reshape(len(which), -1).argmin(axis=1) + np.flatnonzero(np.diff(proposer, prepend=-1))
        better = found[best] < score
        # the rows that won, the others as they are
        now = _join(now, proposed.take(best)).take(np.arange(len(better)) + better * len(better))
        score = np.where(better, found[best], score)
        sigma *= np.where(better, _GROW, _SHRINK)
    return now


def _propose(family: Family, base: Points, sigma: NDArray[np.float64], rng: np.random.Generator) -> Points:
    """Neighbours: half move in all coordinates, half in one; some change the corner or the set of trials."""
    k = family.k
    count = len(base.m)
    step = rng.normal(size=(count, 2 * k + 1)) * sigma[:, None]
    single = np.arange(count) % 2 == 1
    only = rng.integers(2 * k + 1, size=count)
    step[single] *= np.arange(2 * k + 1) == only[single, None]
    corner = rng.integers(len(family.printed.vertices), size=count)
    move = rng.uniform(size=count) < _OTHER_CORNER
    m, s = np.where(move[:, None], family.printed.vertices[corner], np.column_stack([base.m, base.s])).T
    move = rng.uniform(size=count) < _OTHER_CORNER
    design = np.where(move, rng.integers(family.limits.designs, size=count), base.design)
    low, high = ratio_box(family, design)
    root_low, root_high = root_q_range(family, design)
    # another set of trials is entered at the same place of its own box
    was_low, was_high = ratio_box(family, base.design)
    place = (base.log_ratio - was_low) / (was_high - was_low)
    root = np.sqrt(base.q) + step[:, k - 1] * (root_high - root_low)
    scale = np.linalg.norm(base.direction, axis=1, keepdims=True)
    least = _shrink(family, np.zeros(count))
    return Points(
        m=m,
        s=s,
        log_ratio=np.clip(low + (place + step[:, : k - 1]) * (high - low), low, high),
        q=np.clip(root, root_low, root_high) ** 2,
        direction=base.direction / scale + 2 * step[:, k : 2 * k],
        shrink=np.clip(base.shrink + step[:, 2 * k] * (1 - least), least, 1.0),
        design=design,
    )
