"""Between-study variance: the estimators of tau2 and its Q-profile interval, for one analysis or a batch.

Analyses lie on the leading axes, studies on the last: yi and vi of shape (..., k) give tau2 of shape (...).
In all formulas w_i = 1 / (v_i + tau2), mu = sum(w y) / sum(w), r_i = y_i - mu and Q(tau2) = sum(w r^2).
The estimators are reviewed in Veroniki AA et al. Res Synth Methods 2016;7:55-79.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import chdtri

from bayespip.effects import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["TAU2_METHODS", "pooled_mean", "q_profile", "tau2_estimate", "typical_variance"]

EPS = 4 * np.finfo(float).eps
"""An iteration has converged where its step is this small relative to the iterate: the last two bits."""
NEWTON_STEPS = 200
"""A bound that ordinary data stay far below: about 15 steps, 30 where variances differ a million times."""
GRID = 64
"""Points at which the likelihood is compared before its maximum is refined; even in log(v_min + tau2)."""


def tau2_estimate(yi: ArrayLike, vi: ArrayLike, method: str = "REML") -> Array:
    """Estimate of the between-study variance, 0 where its equation has a negative root.

    Parameters
    ----------
    yi, vi
        Effects and their sampling variances on the model scale, shape (..., k).
    method
        "common" (0 by assumption), "DL", "PM", "REML", "ML", "EB", "SJ", "HE" or "HS".

    Returns
    -------
    array
        tau2, shape (...), in squared units of yi; nan for a single study (k = 1) unless `method` is "common".

    Raises
    ------
    ValueError
        If there is no such method, shapes differ, yi is not finite or vi is not positive and finite.
    """
    estimator = choice("tau2", method, TAU2_METHODS)
    y, v = checked(yi, vi)
    if y.shape[-1] == 1 and method != "common":
        return np.full(y.shape[:-1], np.nan)
    y, v, unit = _in_units(y, v)
    return np.maximum(estimator(y, v), 0.0) * unit**2


def q_profile(yi: ArrayLike, vi: ArrayLike, level: float = 0.95) -> tuple[Array, Array]:
    """Q-profile interval of tau2: the values that Q(tau2), chi-square on k - 1 df, does not reject.

    Parameters
    ----------
    yi, vi
        Effects and their sampling variances, shape (..., k).
    level
        Coverage, between 0 and 1.

    Returns
    -------
    lower, upper
        Limits, shape (...); nan for k = 1. Both are 0 where Q(0) lies below its lower quantile, as in
        metafor: the interval is then empty. There is no cap on the upper limit.

    References
    ----------
    Viechtbauer W. Stat Med 2007;26:37-52.
    """
    check_level(level)
    y, v = checked(yi, vi)
    df = y.shape[-1] - 1
    if df == 0:
        undefined = np.full(y.shape[:-1], np.nan)
        return undefined, undefined.copy()
    tail = (1 - level) / 2
    y, v, unit = _in_units(y, v)
    lower, upper = (_solve_q(y, v, float(chdtri(df, p))) * unit**2 for p in (tail, 1 - tail))
    return lower, upper


def _in_units(yi: Array, vi: Array) -> tuple[Array, Array, Array]:
    """Effects and variances in units, shape (...), that make the smallest variance 1 to 4.

    A unit is a power of two, so that no digit changes; powers of the weights up to w^3 then do not overflow.
    """
    unit = np.ldexp(1.0, (np.frexp(vi.min(-1))[1] - 1) // 2)
    return yi / unit[..., None], vi / unit[..., None] ** 2, unit


class PooledMean(NamedTuple):
    """The weighted mean at a given tau2: w and residuals r of shape (..., k), the rest of shape (...)."""

    mu: Array
    w: Array
    total: Array
    r: Array
    q: Array


def pooled_mean(yi: Array, vi: Array, tau2: Array) -> PooledMean:
    """Inverse-variance weighted mean, its weights and residuals, and Q, all at the given tau2.

    Residuals are taken from the first study, so that equal effects give exactly Q = 0 and a large common
    shift of yi costs no digits.
    """
    w = 1.0 / (vi + tau2[..., None])
    total = w.sum(-1)
    first = yi[..., :1]
    shift = (w * (yi - first)).sum(-1) / total
    r = (yi - first) - shift[..., None]
    return PooledMean(first[..., 0] + shift, w, total, r, (w * r**2).sum(-1))


def _of_others(weights: Array) -> Array:
    """Sums of the other studies' weights, shape (..., k), without the cancellation of total - w_i."""
    none = np.zeros_like(weights[..., :1])
    before = np.cumsum(weights[..., :-1], axis=-1)
    after = np.cumsum(weights[..., :0:-1], axis=-1)[..., ::-1]
    return np.asarray(np.concatenate([none, before], axis=-1) + np.concatenate([after, none], axis=-1))


def typical_variance(vi: Array) -> Array:
    """The s^2 of I2, shape (...): Higgins JPT, Thompson SG. Stat Med 2002;21:1539-58, equation 9; k >= 2."""
    w = vi.min(-1, keepdims=True) / vi
    shares = w / w.sum(-1, keepdims=True)
    return np.asarray((vi.shape[-1] - 1) * vi.min(-1) / (shares * _of_others(w)).sum(-1))


def _moments(yi: Array, vi: Array, a: Array) -> Array:
    """Method of moments with fixed weights a: DerSimonian R, Kacker R. Contemp Clin Trials 2007;28:105-14."""
    total = a.sum(-1)
    r = yi - yi[..., :1]
    r = r - ((a * r).sum(-1) / total)[..., None]
    shares = a / total[..., None]
    others = _of_others(a)
    return ((a * r**2).sum(-1) - (shares * vi * others).sum(-1)) / (shares * others).sum(-1)


def _dersimonian_laird(yi: Array, vi: Array) -> Array:
    """DerSimonian R, Laird N. Control Clin Trials 1986;7:177-88."""
    return _moments(yi, vi, 1 / vi)


def _hedges(yi: Array, vi: Array) -> Array:
    """Hedges LV. Psychol Bull 1983;93:388-95; Cochran's ANOVA estimator."""
    return _moments(yi, vi, np.ones_like(vi))


def _hunter_schmidt(yi: Array, vi: Array) -> Array:
    """Hunter JE, Schmidt FL. Methods of Meta-Analysis (1990): (Q - k) / sum(w)."""
    at_zero = pooled_mean(yi, vi, np.zeros(yi.shape[:-1]))
    return np.asarray((at_zero.q - yi.shape[-1]) / at_zero.total)


def _sidik_jonkman(yi: Array, vi: Array) -> Array:
    """Sidik K, Jonkman JN. J R Stat Soc C 2005;54:367-84, from the variance of yi with divisor k."""
    start = np.mean((yi - yi.mean(-1, keepdims=True)) ** 2, axis=-1)
    return np.asarray(start * pooled_mean(yi, vi, start).q / (yi.shape[-1] - 1))


def _paule_mandel(yi: Array, vi: Array) -> Array:
    """Q(tau2) = k - 1. Paule RC, Mandel J. J Res Natl Bur Stand 1982;87:377-85.

    The empirical Bayes estimator of Morris CN (J Am Stat Assoc 1983;78:47-55) solves the same equation.
    """
    return _solve_q(yi, vi, yi.shape[-1] - 1)


def _solve_q(yi: Array, vi: Array, target: float) -> Array:
    """The tau2 >= 0 at which Q(tau2) = target, 0 where Q(0) is smaller.

    1 / Q is concave and increasing in tau2 (a weighted harmonic mean of tau2 + eigenvalues), so that Newton's
    steps on 1 / Q - 1 / target climb from 0 to the root without overshooting it; no bracket, no cap.
    """
    tau2 = np.zeros(yi.shape[:-1])
    climbing = np.ones(tau2.shape, dtype=bool)
    for _ in range(NEWTON_STEPS):
        at = pooled_mean(yi, vi, tau2)
        slope = (at.w**2 * at.r**2).sum(-1)
        climbing &= at.q > target
        climb = np.divide(at.q, slope, out=np.zeros_like(tau2), where=climbing)
        step = climb * ((at.q - target) / target)
        tau2 = tau2 + step
        climbing &= step > EPS * tau2
        if not climbing.any():
            break
    return tau2


def _restricted(yi: Array, vi: Array) -> Array:
    """Harville DA. J Am Stat Assoc 1977;72:320-38."""
    return _maximise(yi, vi, restricted=True)


def _maximum_likelihood(yi: Array, vi: Array) -> Array:
    """Hardy RJ, Thompson SG. Stat Med 1996;15:619-29."""
    return _maximise(yi, vi, restricted=False)


def _log_likelihood(yi: Array, vi: Array, tau2: Array, *, restricted: bool) -> Array:
    """Profile log-likelihood of tau2 up to a constant, mu being maximised (ML) or integrated out (REML)."""
    at = pooled_mean(yi, vi, tau2)
    value = np.log(at.w).sum(-1) - at.q
    return (value - np.log(at.total) if restricted else value) / 2


def _score(yi: Array, vi: Array, tau2: Array, *, restricted: bool) -> tuple[Array, Array]:
    """Twice the first and second derivative of the profile log-likelihood with respect to tau2."""
    at = pooled_mean(yi, vi, tau2)
    wr = at.w * at.r
    w2, w3 = (at.w**2).sum(-1), (at.w**3).sum(-1)
    first = (wr**2).sum(-1) - at.total
    second = w2 - 2 * ((at.w * wr**2).sum(-1) - (at.w * wr).sum(-1) ** 2 / at.total)
    if restricted:
        share = w2 / at.total
        first, second = first + share, second + share**2 - 2 * w3 / at.total
    return first, second


def _maximise(yi: Array, vi: Array, *, restricted: bool) -> Array:
    """The tau2 >= 0 of the highest likelihood: each peak on a grid refined by Newton's method, the best kept.

    The likelihood can have two maxima, of which Fisher scoring from one start (metafor's is HE) may reach the
    lower. Beyond the squared range of yi each w_i r_i^2 is below 1, the score negative: the grid ends there.
    """
    smallest = vi.min(-1)
    span = np.log1p(np.ptp(yi, axis=-1) ** 2 / smallest)

    def grid(j: NDArray[np.int_] | int) -> Array:
        return np.asarray(smallest * np.expm1(np.clip(j, 0, GRID) / GRID * span))

    value = np.stack([_log_likelihood(yi, vi, grid(j), restricted=restricted) for j in range(GRID + 1)], axis=-1)
    beyond = np.full((*span.shape, 1), -np.inf)
    padded = np.concatenate([beyond, value, beyond], axis=-1)
    peak = np.where((value > padded[..., :-2]) & (value >= padded[..., 2:]), value, -np.inf)
    best, highest = np.zeros_like(span), np.full_like(span, -np.inf)
    while np.isfinite(peak).any():
        cell = peak.argmax(-1)
        root = _refine(yi, vi, grid(cell - 1), grid(cell), grid(cell + 1), restricted=restricted)
        reached = _log_likelihood(yi, vi, root, restricted=restricted)
        best, highest = np.where(reached > highest, root, best), np.maximum(reached, highest)
        np.put_along_axis(peak, cell[..., None], -np.inf, axis=-1)
    return best


def _refine(yi: Array, vi: Array, lower: Array, tau2: Array, upper: Array, *, restricted: bool) -> Array:
    """Root of the score between lower and upper: Newton's method from tau2, bisection where that leaves."""
    moving = np.ones(tau2.shape, dtype=bool)
    for _ in range(NEWTON_STEPS):
        first, second = _score(yi, vi, tau2, restricted=restricted)
        lower, upper = np.where(first > 0, tau2, lower), np.where(first > 0, upper, tau2)
        newton = tau2 - np.divide(first, second, out=np.full_like(first, np.inf), where=second < 0)
        inside = (newton >= lower) & (newton <= upper)
        moved = np.where(inside, newton, (lower + upper) / 2)
        # A step onto an end of the bracket goes back to a point already seen: only rounding is left.
        arrived = (np.abs(moved - tau2) <= EPS * moved) | (moved == lower) | (moved == upper)
        tau2 = np.where(moving, moved, tau2)
        moving &= ~arrived
        if not moving.any():
            break
    return tau2


TAU2_METHODS: Mapping[str, Callable[[Array, Array], Array]] = {
    "common": lambda yi, vi: np.zeros(yi.shape[:-1]),
    "DL": _dersimonian_laird,
    "PM": _paule_mandel,
    "REML": _restricted,
    "ML": _maximum_likelihood,
    "EB": _paule_mandel,
    "SJ": _sidik_jonkman,
    "HE": _hedges,
    "HS": _hunter_schmidt,
}


def choice[T](argument: str, name: str, choices: Mapping[str, T]) -> T:
    """The entry of that name; the error lists the choices."""
    try:
        return choices[name]
    except (KeyError, TypeError):
        raise ValueError(f"{argument} must be one of {', '.join(choices)}; got {name!r}.") from None


def check_level(level: float) -> None:
    """Refuse a level that is not a proportion strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1 (0.95 for 95%); got {level!r}.")


def checked(yi: ArrayLike, vi: ArrayLike) -> tuple[Array, Array]:
    """Effects and variances as float arrays of one shape (..., k), k >= 1; errors name the first culprit."""
    y, v = np.asarray(yi, dtype=float), np.asarray(vi, dtype=float)
    if y.shape != v.shape or y.ndim == 0 or y.shape[-1] == 0:
        raise ValueError(f"yi and vi must have one shape (..., k) with k >= 1; got {y.shape} and {v.shape}.")
    least, most = 0.99 * LARGEST**-2, 1.01 * LARGEST**2  # the squares of standard errors may be rounded
    rules = (
        ("yi must be finite", y, np.isfinite(y)),
        ("vi must be positive and finite", v, np.isfinite(v) & (v > 0)),
        (f"yi must lie within {LARGEST:g} of 0: rescale it", y, np.abs(y) <= LARGEST),
        (f"vi must lie between {LARGEST**-2:g} and {LARGEST**2:g}: rescale it", v, (v > least) & (v < most)),
    )
    for rule, values, good in rules:
        if not good.all():
            at = tuple(int(i) for i in np.argwhere(~good)[0])
            raise ValueError(f"{rule}; not so at index {at}: {values[at]:g}.")
    return y, v
