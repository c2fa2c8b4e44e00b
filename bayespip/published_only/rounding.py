"""What printed numbers leave open: the polygon of pooled effects and standard errors, and the range of Q.

A number printed as 8.93 stands for 8.925 to 8.935. With estimate e, limits L and U, and g the way to the model
scale (log for ratios), (m, s) is any point with g(e-) <= m <= g(e+), g(L-) <= m - z s <= g(L+), and
g(U-) <= m + z s <= g(U+): six half-planes. A printed p-value is two more, through the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, spatial, special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.measures import Measure
    from bayespip.review import Printed, Reported

_HUGE = 1e6  # stands for an open side of a half-plane
_SAME_CORNER = 1e-10


@dataclass(frozen=True)
class PrintedRange:
    """What the printed numbers allow, on the model scale.

    Attributes
    ----------
    vertices
        Corners (m, s) of the polygon, shape (V, 2).
    centre
        Centre (m, s) of its largest inscribed circle: the reference point.
    q
        Smallest and largest Q that the printed Q, its p-value and I2 allow; None where none was printed.
    used, unused
        Sentences: which printed numbers cut the polygon or Q; which contradict the others and were set aside.
    """

    vertices: NDArray[np.float64]
    centre: NDArray[np.float64]
    q: tuple[float, float] | None
    used: tuple[str, ...]
    unused: tuple[str, ...]


def printed_range(reported: Reported, df: int) -> PrintedRange:
    """The polygon and the range of Q of a published result.

    Parameters
    ----------
    reported
        With estimate and interval; p, q, p_q, i2 where printed.
    df
        Degrees of freedom of Q, k - 1.

    Raises
    ------
    ValueError
        If no pooled effect and standard error agree with the printed estimate and interval.
    """
    problems = reported.problems()
    if problems:
        raise ValueError(f"published result cannot be re-analysed: {' '.join(problems)}")
    planes = _interval_planes(reported)
    used, unused = ["estimate and interval, with their rounding"], []
    if _circle(planes) is None:
        raise ValueError(
            f"no pooled effect and standard error give {reported.estimate} ({reported.ci_lower} to "
            f"{reported.ci_upper}): the interval is not symmetric about the estimate"
            f"{' on the log scale' if reported.measure.log else ''}."
        )
    if reported.p is not None:
        estimate = float(reported.measure.model(reported.estimate.value))
        cut = np.vstack([planes, _p_planes(reported.p, estimate)])
        if _circle(cut) is None:
            unused.append(f"p = {reported.p} contradicts the interval and is not used")
        else:
            planes = cut
            used.append(f"p = {reported.p}")
    circle = _circle(planes)
    assert circle is not None  # noqa: S101  (checked above)
    corners = spatial.HalfspaceIntersection(planes, circle).intersections
    order = np.argsort(np.arctan2(corners[:, 1] - circle[1], corners[:, 0] - circle[0]))
    corners = corners[order]
    # where three boundaries meet, the corner is found twice
    apart = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1) > _SAME_CORNER
    q = _q_range(reported, df, used, unused)
    return PrintedRange(corners[apart], circle, q, tuple(used), tuple(unused))


def _interval_planes(reported: Reported) -> NDArray[np.float64]:
    """Rows (a, b, c) of a m + b s + c <= 0."""
    z = special.ndtri((1 + reported.level) / 2)
    rows = []
    for printed, slope in ((reported.estimate, 0.0), (reported.ci_lower, -z), (reported.ci_upper, z)):
        low, high = _limits(printed, reported.measure)
        rows += [(1.0, slope, -high), (-1.0, -slope, low)]
    return np.array([*rows, (0.0, -1.0, 0.0)])


def _limits(printed: Printed, measure: Measure) -> tuple[float, float]:
    """Rounding limits on the model scale; an open side where they reach the end of the display scale."""
    with np.errstate(divide="ignore"):
        limits = measure.model(np.clip([printed.lower, printed.upper], *measure.limits))
    low, high = np.nan_to_num(limits, posinf=_HUGE, neginf=-_HUGE)
    return float(low), float(high)


def _p_planes(p: Printed, estimate: float) -> NDArray[np.float64]:
    """|m| / s between the z of the largest and of the smallest p."""
    sign = math.copysign(1.0, estimate)
    rows = [(-sign, float(-special.ndtri(min(p.upper, 1.0) / 2)), 0.0)]
    if p.lower > 0:
        rows.append((sign, float(special.ndtri(p.lower / 2)), 0.0))
    return np.array(rows)


def _circle(planes: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Centre of the largest circle in the half-planes, by linear programming; None if they do not meet."""
    norms = np.hypot(planes[:, 0], planes[:, 1])
    found = optimize.linprog(
        [0.0, 0.0, -1.0],
        A_ub=np.column_stack([planes[:, :2], norms]),
        b_ub=-planes[:, 2],
        bounds=[(None, None), (0, None), (0, None)],
    )
    if found.x is None or found.x[2] <= 0:
        return None
    return np.asarray(found.x[:2])


def _q_range(reported: Reported, df: int, used: list[str], unused: list[str]) -> tuple[float, float] | None:
    """Intersect what Q, its p-value and I2 = (Q - df) / Q allow; what does not meet the rest is set aside."""
    if df < 1:
        return None
    ranges = []
    if reported.q is not None:
        ranges.append((f"Q = {reported.q}", max(reported.q.lower, 0.0), reported.q.upper))
    if reported.p_q is not None:
        low = float(special.chdtri(df, min(reported.p_q.upper, 1.0)))
        high = float(special.chdtri(df, reported.p_q.lower)) if reported.p_q.lower > 0 else math.inf
        ranges.append((f"p of Q = {reported.p_q}", low, high))
    if reported.i2 is not None:
        low = 0.0 if reported.i2.lower <= 0 else df / (1 - reported.i2.lower / 100)
        ranges.append((f"I2 = {reported.i2}%", low, df / (1 - min(reported.i2.upper, 99.999) / 100)))
    if not ranges:
        return None
    lower, upper = 0.0, math.inf
    for text, low, high in ranges:
        if max(lower, low) > min(upper, high):
            unused.append(f"{text} contradicts the other heterogeneity statistics and is not used")
        else:
            lower, upper = max(lower, low), min(upper, high)
            used.append(text)
    return lower, upper
