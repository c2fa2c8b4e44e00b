"""A published estimate against its interval, its p-value and what the authors say of it.

A printed number stands for all numbers that print so. With L and U the limits on the model scale, an interval that
is symmetric about its estimate has centre m = (L + U) / 2 and half-width h = (U - L) / 2; the (m, h) that print as
the estimate and limits do are a polygon, and every implied range is taken over its corners. h needs no quantile, so
that intervals by the normal and by any t distribution are judged alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from bayespip.auditing.wording import Finding, between, p_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bayespip.measures import Measure
    from bayespip.review import Printed, Reported

_FARTHEST = 300.0  # stands for an open side: exp(300) is no ratio anyone prints
_TOUCH = 1e-9  # relative; numbers that meet within this differ by floating-point error only


class Box(NamedTuple):
    """Smallest and largest value on the model scale of estimate, lower and upper limit."""

    estimate: tuple[float, float]
    lower: tuple[float, float]
    upper: tuple[float, float]


def box(reported: Reported) -> Box:
    """What rounding leaves open of the estimate and its interval, on the model scale."""
    measure = reported.measure
    return Box(*(_range(x, measure) for x in (reported.estimate, reported.ci_lower, reported.ci_upper)))


def _range(x: Printed, measure: Measure) -> tuple[float, float]:
    least, most = measure.limits
    ends = np.clip([x.lower, x.upper], least, most)
    with np.errstate(divide="ignore"):
        low, high = np.clip(measure.model(ends), -_FARTHEST, _FARTHEST)
    return float(low), float(high)


def corners(ranges: Box) -> NDArray[np.float64]:
    """Corners (m, h) of what a symmetric interval leaves open, shape (C, 2); C = 0 if nothing is left."""
    (e_low, e_high), (l_low, l_high), (u_low, u_high) = ranges
    polygon = [(l_low, u_low), (l_high, u_low), (l_high, u_high), (l_low, u_high)]
    slack = _TOUCH * max(1.0, *(abs(x) for pair in ranges for x in pair if abs(x) < _FARTHEST))
    for a, b, most in ((0.5, 0.5, e_high + slack), (-0.5, -0.5, -e_low + slack), (0.5, -0.5, slack)):
        polygon = _clip(polygon, a, b, most)
    return np.array([((low + high) / 2, max((high - low) / 2, 0.0)) for low, high in polygon]).reshape(-1, 2)


def _clip(polygon: list[tuple[float, float]], a: float, b: float, most: float) -> list[tuple[float, float]]:
    """The part of a convex polygon where a x + b y <= most (Sutherland & Hodgman 1974, Commun ACM 17:32-42)."""
    kept = []
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        before, after = a * x0 + b * y0 - most, a * x1 + b * y1 - most
        if before <= 0:
            kept.append((x0, y0))
        if before * after < 0:
            share = before / (before - after)
            kept.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    return kept


def impossible_numbers(reported: Reported) -> Iterator[Finding]:
    """Numbers that nothing of their kind can be, whatever rounding."""
    smallest, largest = reported.measure.limits
    rules: list[tuple[str, Printed | None, float, float]] = [
        ("estimate", reported.estimate, smallest, largest),
        ("lower limit", reported.ci_lower, smallest, largest),
        ("upper limit", reported.ci_upper, smallest, largest),
        ("p", reported.p, 0.0, 1.0),
        ("Q", reported.q, 0.0, math.inf),
        ("p of Q", reported.p_q, 0.0, 1.0),
        ("tau2", reported.tau2, 0.0, math.inf),
        ("I2", reported.i2, 0.0, 100.0),
    ]
    for name, x, low, high in rules:
        # 0.00 may stand for a ratio of 0.004
        if x is not None and (x.upper < low or x.lower > high):
            rule = f"{low:g} or more" if math.isinf(high) else f"between {low:g} and {high:g}"
            sentence = f"{name} is printed as {x}; it must be {rule}."
            yield Finding("number", f"{name} {x}", rule, "impossible", sentence)
    for name, p in (("p", reported.p), ("p of Q", reported.p_q)):
        if p is not None and math.isnan(p.value) and float(p.text.strip(" <")) == 0:
            sentence = f"{name} is printed as {p}, and no p lies below zero; it is read as below {p.upper:g}."
            yield Finding("number", f"{name} {p}", f"below {p.upper:g}", "unusual", sentence)
    for name, number, least in (("k", reported.k, 1), ("n", reported.n, 1), ("df", reported.df, 0)):
        if number is not None and number < least:
            sentence = f"{name} is printed as {number}; it must be at least {least}."
            yield Finding("number", f"{name} {number}", f"at least {least}", "impossible", sentence)
    if not 0 < reported.level < 1:
        sentence = f"The level of the interval is {reported.level:g}; it must lie between 0 and 1."
        yield Finding("number", f"level {reported.level:g}", "between 0 and 1", "impossible", sentence)


def interval(reported: Reported) -> Iterator[Finding]:
    """An interval that is reversed, leaves out its estimate, or is not symmetric about it on the model scale."""
    r, ranges = reported, box(reported)
    printed, scale = f"{r.estimate} ({r.ci_lower} to {r.ci_upper})", r.measure.model_scale
    (e_low, e_high), (l_low, _), (_, u_high) = ranges
    if l_low > u_high:
        text, implied = f"The interval is reversed: {r.ci_lower} to {r.ci_upper}.", f"{r.ci_upper} to {r.ci_lower}"
        yield Finding("estimate and interval", printed, implied, "impossible", text + _repair(r))
    elif e_high < l_low or e_low > u_high:
        text = f"The estimate {r.estimate} lies outside its interval {r.ci_lower} to {r.ci_upper}."
        implied = between(*_centre(r, ranges))
        yield Finding("estimate and interval", printed, f"estimate {implied}", "impossible", text + _repair(r))
    elif not len(corners(ranges)):
        centre = between(*_centre(r, ranges))
        text = (
            f"The interval is not symmetric about {r.estimate} on the scale of {scale}: its centre is {centre}, "
            "rounding included. It needs another method than a normal or t interval, or a number is misprinted."
        )
        yield Finding("estimate and interval", printed, f"estimate {centre}", "inconsistent", text + _repair(r))


def _centre(reported: Reported, ranges: Box) -> tuple[float, float]:
    """Range of the interval's centre, on the display scale."""
    ends = [(ranges.lower[i] + ranges.upper[i]) / 2 for i in (0, 1)]
    low, high = reported.measure.display(ends)
    return float(low), float(high)


def _repair(reported: Reported) -> str:
    """What single slip would explain the numbers; empty if none would, or too many."""
    found = [text for text, ranges in _slips(reported) if len(corners(ranges))]
    return f" It would agree with {found[0]}." if len(found) == 1 else ""


def _slips(reported: Reported) -> Iterator[tuple[str, Box]]:
    r, (e, low, high) = reported, box(reported)
    as_printed = [(x.lower, x.upper) for x in (r.estimate, r.ci_lower, r.ci_upper)]
    yield "the limits exchanged", Box(e, high, low)
    if r.measure.log:
        yield "the limits on the log scale", Box(e, as_printed[1], as_printed[2])
        yield "the estimate on the log scale", Box(as_printed[0], low, high)
        yield "everything on the log scale", Box(*as_printed)
        yield "the estimate or the interval inverted", Box((-e[1], -e[0]), low, high)
        if all(end > 0 for pair in as_printed for end in pair):
            yield "limits that were computed without logarithms", Box(*as_printed)
        return
    yield "the other sign of the estimate or of both limits", Box((-e[1], -e[0]), low, high)
    yield "the other sign of the lower limit", Box(e, (-low[1], -low[0]), high)
    yield "the other sign of the upper limit", Box(e, low, (-high[1], -high[0]))


def p_and_claim(reported: Reported, *, ci: str) -> Iterator[Finding]:
    """The p-value against what the interval implies, and the claim against both; ci as ``Settings`` has it."""
    if reported.measure.name == "PR":  # that a proportion is zero is no hypothesis
        return
    found = corners(box(reported))
    if reported.p is not None and len(found):
        yield from _p(reported, reported.p, found, normal=ci == "Wald")
    yield from _claim(reported)


def _p(reported: Reported, p: Printed, found: NDArray[np.float64], *, normal: bool) -> Iterator[Finding]:
    """Compare p with 2 P(T > c |m| / h): T normal or t on any degrees of freedom, c the quantile of the same T."""
    least, most = _ratio(found)
    z = float(special.ndtri((1 + reported.level) / 2))
    by_normal = float(2 * special.ndtr(-z * most)), float(2 * special.ndtr(-z * least))
    # t on one degree of freedom: quantile tan(pi level / 2), two-sided tail (2 / pi) arctan(1 / t)
    c = math.tan(math.pi * reported.level / 2)
    by_cauchy = 2 / math.pi * math.atan2(1.0, c * most), 2 / math.pi * math.atan2(1.0, c * least)
    by_any = min(by_normal[0], by_cauchy[0]), max(by_normal[1], by_cauchy[1])
    if _meet(p, by_normal if normal else by_any):
        return
    implied = between(*(by_normal if normal else by_any))
    limits = f"{reported.ci_lower} to {reported.ci_upper}"
    text = f"p is printed as {p}; the interval {limits} implies {implied}, rounding included"
    if _meet(p, by_any):
        sure = "inconsistent"
        text += ", by a normal test. By a t test and the interval that belongs to it, both could be."
    else:
        sure = "impossible"
        text += f" (by any t test {between(*by_any)})." if normal else "."
        text += " No test that belongs to the interval agrees."
    yield Finding("interval and p", f"p {p}", f"p {implied}", sure, text)


def _ratio(found: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest |m| / h: at corners, but 0 where m changes sign."""
    m, h = found.T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(np.abs(m) / h, nan=0.0, posinf=math.inf)
    crosses = m.min() <= 0 <= m.max()
    if h.min() <= 0 and crosses:
        return 0.0, math.inf
    return 0.0 if crosses else float(ratio.min()), float(ratio.max())


def _meet(p: Printed, implied: tuple[float, float]) -> bool:
    least, most = p_limits(p)
    return least <= implied[1] and most >= implied[0]


def _claim(reported: Reported) -> Iterator[Finding]:
    """Called significant where the interval covers no effect or p is above 1 - level, and the reverse."""
    if reported.claim is None:
        return
    r, null, alpha = reported, reported.measure.null, 1 - reported.level
    claimed = r.claim == "significant"
    low, high = r.ci_lower, r.ci_upper
    excludes = None  # undecided
    if high.upper < null or low.lower > null:
        excludes = True
    elif low.upper < null < high.lower:
        excludes = False
    where = f"the interval {low} to {high} {'excludes' if excludes else 'covers'} no effect ({null:g})"
    if excludes is not None and excludes is not claimed:
        yield _contradicted("claim and interval", r.claim, where)
    if r.p is None:
        return
    # at alpha itself p says neither
    if (r.p.upper <= alpha and not claimed) or (r.p.lower >= alpha and claimed):
        yield _contradicted("claim and p", r.claim, f"p is {r.p}")


def _contradicted(check: str, claim: str | None, reason: str) -> Finding:
    return Finding(check, str(claim), reason, "inconsistent", f"The result is called {claim}, but {reason}.")
