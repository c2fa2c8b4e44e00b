"""Q, its p-value, I2 and tau2 of a published result, against each other and against its interval.

Q is compared with p by chi-squared on df degrees of freedom and with I2 = (Q - df) / Q (Higgins JPT, Thompson SG.
Stat Med 2002;21:1539-58). tau2 is judged from Q and the pooled standard error s alone, over all study data: with
inverse-variance DerSimonian-Laird, relative weights p_i and c = (Q - df) / (1 - sum p_i^2),

    tau2 / s^2 = sum_i c p_i / (1 + c p_i).

Where it is stationary on a face of the simplex, the p_i > 0 have at most two distinct values (c / (1 + c p)^2 + a p
is convex in p). Among those, with x = Q - df, the least is at k or at two equal weights, the greatest at k equal
weights or where one weight tends to 1, the others equal (a search over all such points up to k = 20, in the tests):

    min(k x / (df + x), 2 x / (1 + x))  <=  tau2 / s^2  <=  max(k x / (df + x), 1 + df x / (2 df + x)).

For k = 2 this is 2 (Q - 1) / Q to 2 Q / (Q + 1). It holds for Q about the Mantel-Haenszel mean too, because tau2
is (Q - df) / C whatever mean Q was taken about. Whatever the estimator of tau2, sum 1 / (v_i + tau2) = s^-2 gives
tau2 < k s^2.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from bayespip.auditing.intervals import box, corners
from bayespip.auditing.wording import Finding, between, p_limits, upwards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bayespip.published_only.variances import TrialSizes
    from bayespip.review import Printed, Reported

_HALVINGS = 40  # of a bracket: to 1e-12 of its width
_TOUCH = 1e-9  # relative; ranges that meet within this differ by floating-point error only


def df_of(reported: Reported) -> int | None:
    """Degrees of freedom of Q: as printed, or k - 1."""
    if reported.df is not None:
        return reported.df
    return None if reported.k is None else reported.k - 1


class QRange(NamedTuple):
    """Smallest and largest Q that a printed statistic allows."""

    name: str
    printed: Printed
    low: float
    high: float


def q_ranges(reported: Reported, df: int) -> list[QRange]:
    """What Q, its p-value and I2 say of Q; without those that are no such number."""
    found = []
    if reported.q is not None and reported.q.upper >= 0:
        found.append(QRange("Q", reported.q, max(reported.q.lower, 0.0), reported.q.upper))
    p, i2 = reported.p_q, reported.i2
    if p is not None and p.upper > 0 and p.lower <= 1:
        least, most = p_limits(p)
        high = float(special.chdtri(df, least)) if least > 0 else math.inf
        found.append(QRange("p of Q", p, float(special.chdtri(df, most)), high))
    if i2 is not None and i2.upper >= 0 and i2.lower <= 100:
        low = df / (1 - i2.lower / 100) if i2.lower > 0 else 0.0
        found.append(QRange("I2", i2, low, df / (1 - i2.upper / 100) if i2.upper < 100 else math.inf))
    return found


def heterogeneity(reported: Reported, *, tau2: str, ci: str) -> Iterator[Finding]:
    """Q, p of Q and I2 against each other; tau2 against Q and the interval.

    Parameters
    ----------
    reported
        The published result.
    tau2, ci
        Its methods, as ``Settings`` has them. With another estimator than DL, I2 need not be (Q - df) / Q and tau2
        is bounded only by the weights; with another interval than Wald's, s and so tau2 are not known.
    """
    df = df_of(reported)
    if df is None or df < 1:
        yield from _single(reported, df)
        return
    ranges = [r for r in q_ranges(reported, df) if tau2 == "DL" or r.name != "I2"]
    for one, other in combinations(ranges, 2):
        if not _meet(one, other):
            yield _disagree(one, other, df)
    if reported.tau2 is not None and ci == "Wald":
        yield from _tau2(reported, reported.tau2, df, ranges, by_dl=tau2 == "DL")


def _single(reported: Reported, df: int | None) -> Iterator[Finding]:
    """A single study shows no heterogeneity."""
    if df is None:
        return
    for name, x in (("Q", reported.q), ("tau2", reported.tau2), ("I2", reported.i2)):
        if x is not None and x.lower > 0:
            text = f"{name} is printed as {x}, but one study has no heterogeneity."
            yield Finding("k and heterogeneity", f"{name} {x}", f"{name} 0", "impossible", text)


def _meet(one: QRange, other: QRange) -> bool:
    return one.low <= other.high * (1 + _TOUCH) and other.low <= one.high * (1 + _TOUCH)


def _disagree(one: QRange, other: QRange, df: int) -> Finding:
    """What the first statistic implies for the second."""
    unit = "%" if other.name == "I2" else ""
    first, second = f"{one.name} {one.printed}", f"{other.name} {other.printed}{unit}"
    implied = f"{other.name} {between(*_implied(one, other.name, df))}{unit}"
    text = f"{first} on {df} df implies {implied}, rounding included; printed is {second}."
    sure = "impossible"
    if other.name == "I2":
        sure = "inconsistent"
        text += " An I2 that is not (Q - df) / Q, as from another estimator of tau2, could explain it."
    return Finding(f"{one.name} and {other.name}", f"{first}, {second}", implied, sure, text)


def _implied(one: QRange, name: str, df: int) -> tuple[float, float]:
    if name == "p of Q":
        return float(special.chdtrc(df, one.high)), float(special.chdtrc(df, one.low))
    low, high = (100 * max(0.0, 1 - df / q) if q > 0 else 0.0 for q in (one.low, one.high))
    return low, high


def tau2_shares(k: int, q: float) -> tuple[float, float]:
    """Smallest and largest tau2 / s^2 of k studies with that Q, over all relative variances (module's formula)."""
    df = k - 1
    x = q - df
    if x <= 0:
        return 0.0, 0.0
    if math.isinf(x):
        return 2.0, float(k)
    equal = k * x / (df + x)
    return min(equal, 2 * x / (1 + x)), max(equal, 1 + df * x / (2 * df + x))


def _tau2(reported: Reported, tau2: Printed, df: int, ranges: list[QRange], *, by_dl: bool) -> Iterator[Finding]:
    """Against the range of the module's formula; not by DL, against its largest value only."""
    found = corners(box(reported))
    if not len(found):
        return
    z = float(special.ndtri((1 + reported.level) / 2))
    s_low, s_high = found[:, 1].min() / z, found[:, 1].max() / z
    k = df + 1
    most = k * s_high**2
    q_low, q_high = _hull(ranges)
    low, high = 0.0, most
    if by_dl:
        low, high = s_low**2 * tau2_shares(k, q_low)[0], s_high**2 * tau2_shares(k, q_high)[1]
    if tau2.lower <= high * (1 + _TOUCH) and tau2.upper >= low * (1 - _TOUCH):
        return
    implied = f"tau2 {between(low, high)}"
    given = f"Q {between(q_low, q_high)} and the interval" if ranges else "the interval"
    method = "DerSimonian-Laird" if by_dl else "inverse-variance weights"
    text = f"tau2 is printed as {tau2}; {given} imply {implied} for {k} studies by {method}, rounding included."
    sure = "inconsistent"
    if tau2.lower > most * (1 + _TOUCH):
        sure = "impossible"
        text += f" Whatever the estimator, inverse-variance weights allow at most {upwards(most)}."
    else:
        text += " Another estimator of tau2 could explain it."
    yield Finding("tau2", f"tau2 {tau2}", implied, sure, text + _slip(reported, tau2, low, high))


def _hull(ranges: list[QRange]) -> tuple[float, float]:
    """Q that all statistics allow; where they contradict each other, that any allows."""
    if not ranges:
        return 0.0, math.inf
    low, high = max(r.low for r in ranges), min(r.high for r in ranges)
    if low <= high:
        return low, high
    return min(r.low for r in ranges), max(r.high for r in ranges)


def _slip(reported: Reported, tau2: Printed, low: float, high: float) -> str:
    if reported.q is not None and reported.q.text == tau2.text:
        return f" It repeats the chi-squared, {reported.q}."
    if tau2.lower >= 0 and tau2.lower**2 <= high and tau2.upper**2 >= low:
        return " It would agree if it were tau instead of its square."
    return ""


def least_q(reported: Reported, sizes: TrialSizes) -> float:
    """A Q that no study data of trials of known size fall below, given the printed interval; 0 if there is none.

    Parameters
    ----------
    reported
        A standardised mean difference.
    sizes
        The trials, from ``variances.trial_sizes``.

    Notes
    -----
    Larger variances make tau2, C and so Q = df + tau2 C smaller. The variances are largest at the smallest analysed
    share, and grow with the effects, which Q limits: (y_i - m)^2 <= Q (v_i + tau2 - s^2), because
    w*_i (y_i - m)^2 / (1 - w*_i / sum w*) is at most the Q about m with weights w* <= w. Any Q below q then exceeds
    a bound that falls with q; the q that equals its own bound is the least.
    """
    found = corners(box(reported))
    if not len(found):
        return 0.0
    z = float(special.ndtri((1 + reported.level) / 2))
    m, s_low, s_high = np.abs(found[:, 0]).max(), found[:, 1].min() / z, found[:, 1].max() / z
    low, high = 0.0, _bound(0.0, m, s_low, s_high, sizes)
    for _ in range(_HALVINGS):
        q = (low + high) / 2
        low, high = (q, high) if _bound(q, m, s_low, s_high, sizes) > q else (low, q)
    return low


def _bound(q: float, m: float, s_low: float, s_high: float, sizes: TrialSizes) -> float:
    """The least Q of study data whose Q is at most q; over all sets of trials."""
    share = sizes.share[0]
    most_tau2 = _tau2_of(sizes.inverse / sizes.share[1], s_high)
    v = sizes.inverse / share * sizes.factor
    for _ in range(200):
        distance = np.sqrt(q * np.maximum(v + most_tau2[:, None] - s_low**2, 0.0))
        larger = (sizes.inverse / share + (m + distance) ** 2 / (2 * (share * sizes.total - 3.94))) * sizes.factor
        if (larger > 1e3).any():
            return 0.0
        v, before = larger, v
        if np.allclose(v, before, rtol=1e-12, atol=0):
            break
    w = 1 / v
    c = w.sum(axis=1) - (w**2).sum(axis=1) / w.sum(axis=1)
    tau2 = _tau2_of(v, s_low)
    # without between-study variance, Q may be anything from 0
    return float(np.where(tau2 > 0, v.shape[1] - 1 + tau2 * c, 0.0).min())


def _tau2_of(v: NDArray[np.float64], s: float) -> NDArray[np.float64]:
    """tau2 >= 0 with sum 1 / (v + tau2) = s^-2, shape (sets,); 0 if there is none."""
    low, high = np.zeros(len(v)), np.full(len(v), v.shape[1] * s**2)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = (1 / (v + middle[:, None])).sum(axis=1) > s**-2
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where((1 / v).sum(axis=1) > s**-2, low, 0.0)
