"""The likelihood of a two-armed trial under binomial-normal models, its own parameters integrated out by quadrature.

With a the baseline of the trial, the mean of the log odds of its arms, theta its effect, and d(theta, a) the log odds
ratio that the effect amounts to::

    event_e ~ Binomial(n_e, expit(a + d/2))     a     ~ N(m, s^2)
    event_c ~ Binomial(n_c, expit(a - d/2))     theta ~ N(mu, tau^2)

In the two standardised deviations u = (a - m)/s and v = (theta - mu)/tau the integrand has its mode where Fisher's
scoring ends (Newton's method where d is theta: then it is log-concave). The trapezoidal rule is applied in t after
(u, v) = mode + L sinh(t), L L' the inverse of the information at the mode: for analytic integrands that decay this fast
the error falls exponentially with the number of nodes, and sinh reaches tails longer than those of a normal density.

Trefethen LN, Weideman JAC. The exponentially convergent trapezoidal rule. SIAM Review 2014;56:385-458, section 14
(changes of variable). Sun T, Tran-Dinh Q. Generalized self-concordant functions: a recipe for Newton-type methods.
Math Program 2019;178:145-213 (the damping: the third derivative of a logistic log likelihood is at most its second).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from bayespip.model_data.two_arms import Counts

    Vector = NDArray[np.float64]
    # From theta and a to d and its derivatives by theta and by a.
    Link = Callable[[Vector, Vector], tuple[Vector, Vector, Vector]]
    # From mu, tau and v to theta, its derivative by v, log sqrt(2 pi) and the log density of v, the density's
    # derivative, and the information of v in it.
    Effects = Callable[[Vector, Vector, Vector], tuple[Vector, Vector, Vector, Vector, Vector]]

__all__ = ["log_marginal_likelihood"]

# Largest t: sinh(5) = 74 standard deviations of the normal density that fits the mode. Far, for where everyone or no
# one of an arm has the event the likelihood may be flat from the mode on, up to where the prior ends.
REACH = 5
# A dimension. Relative error at most 1e-2 in the worst tables of a trial with 11 participants, in ordinary ones 1e-4;
# the Monte Carlo error of a mean over 4,000 draws is 1e-2.
NODES = 31
NEWTON_STEPS = 200
NEWTON_TOLERANCE = 1e-9  # of a step on the log-odds scale; quadratic convergence leaves its square
BLOCK = 2_000_000  # evaluations held in memory at a time


def log_odds_ratios(theta: Vector, a: Vector) -> tuple[Vector, Vector, Vector]:
    """Effects that are log odds ratios, for all baselines."""
    return theta, np.ones_like(theta), np.zeros_like(a)


def normal_effects(mu: Vector, tau: Vector, v: Vector) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    """Effects that are normal: v is their standardised deviation."""
    return mu + tau * v, tau, -(v**2) / 2, -v, np.ones_like(v)


def log_marginal_likelihood(
    counts: Counts,
    mu: ArrayLike,
    tau: ArrayLike,
    mean: ArrayLike,
    sd: ArrayLike,
    *,
    link: Link = log_odds_ratios,
    effects: Effects = normal_effects,
    nodes: int = NODES,
) -> Vector:
    """Log probability of each trial's events given the distributions of baselines and effects.

    Parameters
    ----------
    counts
        Trials, k of them.
    mu, tau
        Mean and standard deviation of the effects, of one shape S.
    mean, sd
        Mean and standard deviation of the baselines (log odds), of a shape that broadcasts with S.
    link
        From effect and baseline to the log odds ratio, and its derivatives by each.
    effects
        Their distribution, where it is not normal.
    nodes
        Of the quadrature, a dimension.

    Returns
    -------
    ndarray
        Shape (*S, k).
    """
    parameters = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (mu, tau, mean, sd)))
    shape = parameters[0].shape
    flat = np.stack([x.ravel() for x in parameters])[..., None]
    step = max(1, BLOCK // (counts.k * nodes**2))
    edges = [*range(0, flat.shape[1], step), flat.shape[1]]
    found = [_integrated(counts, flat[:, a:b], (link, effects), nodes) for a, b in pairwise(edges)]
    return np.concatenate(found).reshape(*shape, counts.k)


def _integrated(counts: Counts, parameters: Vector, form: tuple[Link, Effects], nodes: int) -> Vector:
    """Parameters of shape (4, S, 1): mu, tau, mean, sd. Result (S, k)."""
    u, v, (h_uu, h_uv, h_vv) = _mode(counts, parameters, form)
    # The inverse of the information is L L' with L upper triangular: (u, v) = mode + L s.
    l_vv = 1 / np.sqrt(h_vv)
    l_uu = 1 / np.sqrt(h_uu - h_uv**2 / h_vv)
    l_vu = -h_uv / h_vv * l_uu
    t, width = np.linspace(-REACH, REACH, nodes, retstep=True)
    s, log_weight = np.sinh(t), np.log(np.cosh(t) * width)
    along_u, along_v = s[:, None, None, None], s[:, None, None]
    terms = _log_joint(counts, parameters, form, u + l_uu * along_u, v + l_vu * along_u + l_vv * along_v)
    terms += (log_weight[:, None] + log_weight)[..., None, None]
    top = terms.max(axis=(0, 1))
    total: Vector = top + np.log(np.exp(terms - top).sum(axis=(0, 1))) + np.log(l_uu * l_vv)
    return np.asarray(total + _log_ways(counts) - np.log(2 * np.pi))


def _mode(
    counts: Counts, parameters: Vector, form: tuple[Link, Effects]
) -> tuple[Vector, Vector, tuple[Vector, Vector, Vector]]:
    """Where the integrand is largest, each of shape (S, k), and the information of u and v there."""
    mu, tau, mean, sd = parameters
    link, effects = form
    u = np.zeros((parameters.shape[1], counts.k))
    v = np.zeros_like(u)
    for _ in range(NEWTON_STEPS):
        a = mean + sd * u
        theta, slope, _, score, information = effects(mu, tau, v)
        d, by_theta, by_a = link(theta, a)
        e, c = a + d / 2, a - d / 2
        p_e, p_c = _expit(e), _expit(c)
        r_e, r_c = counts.event_e - counts.n_e * p_e, counts.event_c - counts.n_c * p_c
        w_e, w_c = counts.n_e * p_e * _expit(-e), counts.n_c * p_c * _expit(-c)
        of_d = (r_e - r_c) / 2
        g_u, g_v = sd * (r_e + r_c + of_d * by_a) - u, slope * of_d * by_theta + score
        # of a: each arm's log odds moves by 1 + by_a/2 or 1 - by_a/2; of theta: by +- by_theta/2
        i_aa = w_e * (1 + by_a / 2) ** 2 + w_c * (1 - by_a / 2) ** 2
        i_at = (w_e * (1 + by_a / 2) - w_c * (1 - by_a / 2)) * by_theta / 2
        i_tt = (w_e + w_c) * by_theta**2 / 4
        h_uu, h_uv, h_vv = 1 + sd**2 * i_aa, sd * slope * i_at, information + slope**2 * i_tt
        # h_uu h_vv - h_uv^2, without the cancellation
        determinant = information * h_uu + slope**2 * i_tt + (sd * slope * by_theta) ** 2 * w_e * w_c
        step_u = (h_vv * g_u - h_uv * g_v) / determinant
        step_v = (h_uu * g_v - h_uv * g_u) / determinant
        length = np.abs(sd * step_u) * (1 + np.abs(by_a) / 2) + np.abs(slope * step_v * by_theta) / 2
        if length.max() < NEWTON_TOLERANCE:
            break
        damping = np.log1p(length) / np.where(length > 0, length, 1)
        damping[length == 0] = 1
        u, v = u + damping * step_u, v + damping * step_v
    return u, v, (h_uu, h_uv, h_vv)


def _log_joint(counts: Counts, parameters: Vector, form: tuple[Link, Effects], u: Vector, v: Vector) -> Vector:
    """Log of the integrand without its constants."""
    mu, tau, mean, sd = parameters
    link, effects = form
    a = mean + sd * u
    theta, _, log_density, _, _ = effects(mu, tau, v)
    d, _, _ = link(theta, a)
    e, c = a + d / 2, a - d / 2
    found: Vector = counts.event_e * e - counts.n_e * _softplus(e) + counts.event_c * c - counts.n_c * _softplus(c)
    return np.asarray(found - u**2 / 2 + log_density)


def _log_ways(counts: Counts) -> Vector:
    """Log of the two binomial coefficients, shape (k,)."""
    from scipy.special import gammaln

    def ways(events: NDArray[np.int64], n: NDArray[np.int64]) -> Vector:
        return np.asarray(gammaln(n + 1) - gammaln(events + 1) - gammaln(n - events + 1))

    return np.asarray(ways(counts.event_e, counts.n_e) + ways(counts.event_c, counts.n_c))


def _expit(x: Vector) -> Vector:
    tail = np.exp(-np.abs(x))
    found: Vector = np.where(x >= 0, 1, tail) / (1 + tail)
    return found


def _softplus(x: Vector) -> Vector:
    """log(1 + e^x)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
