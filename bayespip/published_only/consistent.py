"""The study data consistent with a pooled result, when only that was published.

Inverse-variance DerSimonian-Laird turns k studies (y_i, v_i) into a pooled effect m, its standard error s and
Q. Here the way back: every choice of relative variances p_i = v_i^-1 / sum v_j^-1, of Q and of a direction u
orthogonal to (sqrt p_i) gives exactly one set of studies with the published m and s. With c =
(Q - (k-1)) / (1 - sum p_i^2) if Q > k - 1, else c = 0:

    sum v_i^-1 = s^-2 / sum_i (1 / p_i + c)^-1,    tau2 = c / sum v_i^-1,    y_i = m_F + sqrt(Q v_i) u_i,

where m_F is the common-effect mean that puts the random-effects mean at m. For k = 2 the direction is a sign.
The members are possible data, not data: label everything computed from them ``consistent-with-reported``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from bayespip.effects import EffectSizes
from bayespip.published_only.rounding import PrintedRange, printed_range
from bayespip.published_only.variances import TrialSizes, VarianceLimits, trial_sizes, two_by_two

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.measures import Measure
    from bayespip.review import Reported

__all__ = ["Family", "Points", "consistent_studies"]

BASIS = "consistent-with-reported"
Q_TAIL = 0.001  # upper tail of chi-squared on k - 1 df that is cut off where nothing was published about Q
LARGEST_RATIO = 20.0  # of two studies' variances
# Least d / d(IV) for two studies when Q was taken about the Mantel-Haenszel mean
MANTEL_HAENSZEL_SHRINKS = 0.78
_ROUNDING = 1e-12  # a member on a limit is inside it
_N_TOLERANCE = 0.02  # unequal attrition of two arms changes v by less than 2% of N at the same total


class Points(NamedTuple):
    """Coordinates of B members of a family.

    Attributes
    ----------
    m, s
        Pooled effect and standard error on the model scale, shape (B,).
    log_ratio
        log(v_i / v_k) for i < k, shape (B, k - 1).
    q
        Cochran's Q, shape (B,).
    direction
        Any vector not parallel to (sqrt p_i), shape (B, k); only its orthogonal part counts.
    shrink
        Factor on the studies' distances from their mean, shape (B,): 1 for inverse-variance pooling.
    design
        Which set of trials (0 if sizes are unknown), shape (B,).
    """

    m: NDArray[np.float64]
    s: NDArray[np.float64]
    log_ratio: NDArray[np.float64]
    q: NDArray[np.float64]
    direction: NDArray[np.float64]
    shrink: NDArray[np.float64]
    design: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Points:
        """The points of these rows."""
        return Points._make(a[rows] for a in self)


class Members(NamedTuple):
    """Study data of B members: effects and variances of shape (B, k), the tau2 of DerSimonian-Laird (B,)."""

    yi: NDArray[np.float64]
    vi: NDArray[np.float64]
    tau2: NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """All study data that give a published pooled result, under stated assumptions.

    Attributes
    ----------
    reported
        The published result.
    k
        Number of studies assumed.
    printed
        What its rounding leaves open.
    q
        Smallest and largest Q.
    limits
        Which variances a study with a given effect can have.
    pooling
        "IV" or "MH": about which mean Q was taken.
    largest_ratio
        Of two studies' variances.
    assumptions
        Sentences, for every table and report.
    """

    reported: Reported
    k: int
    printed: PrintedRange = field(repr=False)
    q: tuple[float, float]
    limits: VarianceLimits = field(repr=False)
    pooling: str
    largest_ratio: float
    assumptions: tuple[str, ...]

    @property
    def measure(self) -> Measure:
        """Effect measure of the published result."""
        return self.reported.measure

    def members(self, points: Points) -> Members:
        """Study data at the given coordinates, feasible or not."""
        return members(points, self.k)

    def feasible(self, points: Points, data: Members) -> NDArray[np.bool_]:
        """Whether members keep every assumption, shape (B,)."""
        ratio = data.vi.max(axis=1) / data.vi.min(axis=1)
        inside = (points.q >= self.q[0] * (1 - _ROUNDING)) & (points.q <= self.q[1] * (1 + _ROUNDING))
        inside &= ratio <= self.largest_ratio * (1 + _ROUNDING)
        return np.asarray(inside & self.limits.allow(data.yi, data.vi, points.design))

    def illustration(self) -> EffectSizes:
        """The equal-variance member at the reference point: for plots and cross-checks, never data.

        The studies lie evenly to both sides. Q is the middle of its printed range; where none was printed, what
        the trials' average size implies; where that is not known either, half the 90% point of chi-squared on
        k - 1 df, or as much more as the limit on the variance of a 2x2 table asks for. Sizes differ between trials:
        there the member need not keep their limits.
        """
        m, s = self.printed.centre
        direction = np.linspace(-1.0, 1.0, self.k)[None] if self.k > 1 else np.ones((1, 1))
        zero, one = np.zeros((1, self.k - 1)), np.ones(1)
        q = self._typical_q(m, s)
        point = Points(one * m, one * s, zero, one * q, direction, one, np.zeros(1, dtype=np.intp))
        data = self.members(point)
        return self.effects(data.yi[0], data.vi[0])

    def _typical_q(self, m: float, s: float) -> float:
        if self.k == 1:
            return 0.0
        if self.printed.q is not None:
            return sum(self.printed.q) / 2
        designs = np.arange(self.limits.designs)
        low, high = self.limits.between(np.full((len(designs), self.k), m), designs)
        # with equal variances v: tau2 = k s^2 - v and Q = (k - 1) (1 + tau2 / v)
        if isinstance(self.limits, TrialSizes):
            typical = math.exp(float(np.log(low * high).mean()) / 2)
            return (self.k - 1) * max(self.k * s**2 / typical, 1.0)
        least = (self.k - 1) * self.k * s**2 / float(high.min())
        middle = min(float(special.chdtri(self.k - 1, 0.1)) / 2, self.q[1])
        return max(middle, least) if least > self.k - 1 else middle

    def effects(self, yi: NDArray[np.float64], vi: NDArray[np.float64]) -> EffectSizes:
        """A member as study effects, under labels that no one takes for trials."""
        labels = [f"consistent-with-reported {i + 1}" for i in range(self.k)]
        return EffectSizes(labels, yi, np.sqrt(vi), self.measure)


def consistent_studies(
    reported: Reported,
    *,
    k: int | None = None,
    pooling: str = "IV",
    largest_ratio: float = LARGEST_RATIO,
    q_tail: float = Q_TAIL,
    largest_arm: float | None = None,
    trials: pd.DataFrame | None = None,
    analysed_share: tuple[float, float] = (0.5, 1.0),
    cluster_factor: float = 2.0,
) -> Family:
    """The family of study data that give back a published pooled result.

    Parameters
    ----------
    reported
        The published result of an inverse-variance random-effects (DerSimonian-Laird) meta-analysis.
    k
        Number of studies; the published one if None.
    pooling
        "IV": Q about the inverse-variance mean. "MH": about the Mantel-Haenszel mean, as RevMan pools by
        default: then the studies of a given Q lie closer together, by a factor of 0.78 to 1.
    largest_ratio
        Largest ratio of two studies' variances.
    q_tail
        Where neither Q nor the trials' sizes are known, Q reaches to this upper tail of chi-squared on k - 1
        degrees of freedom.
    largest_arm
        For risk ratios: participants in the largest arm known. Bounds each variance by what a 2x2 table with
        an event in at least one arm can have; None: no such bound.
    trials
        For SMD: one row a trial that may have entered, columns study, n_e, n_c, cluster_randomised (bool).
        Every subset of k of them is tried.
    analysed_share
        Smallest and largest share of the randomised that was analysed.
    cluster_factor
        Largest design effect of a cluster-randomised trial; the smallest is 1.

    Returns
    -------
    Family
        Its ``assumptions`` say all this in sentences.

    Raises
    ------
    ValueError
        If k is missing, the printed numbers contradict each other, or an argument is out of range.

    Examples
    --------
    >>> family = bp.consistent_studies(bp.load_review("pip")["P2"].reported)
    >>> member = family.illustration()  # one of the possible data sets, never called data
    >>> round(bp.frequentist_fit(member, "DL", "Wald").mu.upper, 3)  # log 0.95, as printed
    -0.051
    """
    k = reported.k if k is None else k
    if k is None or k < 1:
        raise ValueError("k is not stated for this result: pass k, the number of studies.")
    if not largest_ratio > 1:
        raise ValueError(f"largest_ratio must be above 1; got {largest_ratio!r}.")
    if not 0 < q_tail < 1:
        raise ValueError(f"q_tail must lie in (0, 1); got {q_tail!r}.")
    if pooling not in ("IV", "MH"):
        raise ValueError(f"pooling must be one of IV, MH; got {pooling!r}.")
    printed = printed_range(reported, k - 1)
    if trials is not None and reported.measure.name == "SMD":
        limits: VarianceLimits = trial_sizes(
            trials,
            k,
            share=analysed_share,
            cluster_factor=cluster_factor,
            n=reported.n,
            n_tolerance=_N_TOLERANCE,
        )
    elif largest_arm is not None and reported.measure.name == "RR":
        limits = two_by_two(largest_arm)
    else:
        limits = VarianceLimits(1, ("no limit from arm sizes on the studies' variances",))
    q, q_text = _q_limits(printed, k, q_tail, sized=isinstance(limits, TrialSizes))
    assumptions = (
        f"pooled by inverse variance and DerSimonian-Laird, Q about the {_MEANS[pooling]} mean",
        f"k = {k} ({reported.k_source or 'given'})" if reported.k == k else f"k = {k} (assumed)",
        *(f"printed number used: {text}" for text in printed.used),
        *printed.unused,
        *((q_text,) if k > 1 else ()),
        *((f"ratio of two studies' variances at most {largest_ratio:g}",) if k > 1 else ()),
        *limits.assumptions,
    )
    return Family(reported, k, printed, q, limits, pooling, largest_ratio, assumptions)


_MEANS = {"IV": "inverse-variance", "MH": "Mantel-Haenszel"}


def _q_limits(printed: PrintedRange, k: int, tail: float, *, sized: bool) -> tuple[tuple[float, float], str]:
    if k == 1:
        return (0.0, 0.0), ""
    if printed.q is not None:
        return printed.q, f"Q {printed.q[0]:.4g} to {printed.q[1]:.4g}, from the printed numbers"
    if sized:
        return (0.0, math.inf), "Q as the trials' sizes allow (not published)"
    upper = float(special.chdtri(k - 1, tail))
    source = f"not published; {1 - tail:.1%} point of chi-squared on {k - 1} df"
    return (0.0, upper), f"Q 0 to {upper:.4g} ({source})"


def members(points: Points, k: int) -> Members:
    """Study data at the given coordinates: see the module's formulas."""
    m, s = points.m[:, None], points.s[:, None]
    if k == 1:
        return Members(m.copy(), s**2, np.zeros(len(points.m)))
    log_v = np.column_stack([points.log_ratio, np.zeros(len(points.m))])
    p = np.exp(-(log_v - log_v.min(axis=1, keepdims=True)))
    p /= p.sum(axis=1, keepdims=True)
    q = points.q[:, None]
    c = np.maximum(q - (k - 1), 0.0) / (1 - (p**2).sum(axis=1, keepdims=True))
    total = 1 / (s**2 * (1 / (1 / p + c)).sum(axis=1, keepdims=True))
    vi = 1 / (total * p)
    tau2 = c / total
    root = np.sqrt(p)
    direction = points.direction - (points.direction * root).sum(axis=1, keepdims=True) * root
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    residual = points.shrink[:, None] * np.sqrt(q * vi) * direction
    w = 1 / (vi + tau2)
    yi = m + residual - (w * residual).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
    return Members(yi, vi, tau2[:, 0])
