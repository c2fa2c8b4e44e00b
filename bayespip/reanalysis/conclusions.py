"""What the numbers say about a published claim, and whether a prior expected such data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayespip.frequentist.batches import frequentist_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.priors import Prior
    from bayespip.review import Reported

NO_CLAIM = "no claim"
CONFLICT = 0.05  # prior predictive p of Q below which a prior-data conflict is flagged (Box 1980, JRSS A 143:383)
_CONTOUR = 64  # nodes of the contour: enough for 100 studies
_TAUS = 64  # Gauss-Legendre nodes over the prior's probability


def claim_holds(
    reported: Reported | None, lower: tuple[float, float], upper: tuple[float, float], *, members: bool
) -> str:
    """Whether the interval excludes no effect on the side that was published as significant.

    Parameters
    ----------
    reported
        The published result; "not significant" claims nothing.
    lower, upper
        Smallest and largest limit of the interval on the model scale (equal where there is one data set).
    members
        Whether the limits are bounds over a family.

    Returns
    -------
    str
        "in all members", "in some members", "in no member"; for one data set "yes" or "no"; or "no claim".
    """
    if reported is None or reported.claim != "significant":
        return NO_CLAIM
    above = reported.measure.model(reported.estimate.value) > 0
    worst, best = lower if above else (-upper[1], -upper[0])
    if np.isnan(worst):
        return "undefined"
    if not members:
        return "yes" if worst > 0 else "no"
    return "in all members" if worst > 0 else ("in some members" if best > 0 else "in no member")


def prior_predictive_p(effects: EffectSizes, tau: Prior) -> float:
    """Prior predictive probability of a Q as large as the observed: small where a prior on tau expects less.

    Given tau, Q is a weighted sum of chi-squared variables on one degree of freedom each, the weights the
    eigenvalues of its quadratic form (Biggerstaff & Jackson 2008, Stat Med 27:6093). nan for one study, an
    improper prior or a density given by the user.
    """
    if effects.k < 2 or not tau.proper or tau.given:
        return float("nan")
    w = 1 / effects.vi
    q = float((w * (effects.yi - np.average(effects.yi, weights=w)) ** 2).sum())
    nodes, shares = np.polynomial.legendre.leggauss(_TAUS)
    u = (nodes + 1) / 2
    taus = tau.quantile(u**2 * (3 - 2 * u))  # dense at both ends, where quantiles are steep
    form = np.diag(w) - np.outer(w, w) / w.sum()
    root = np.sqrt(effects.vi + taus[:, None] ** 2)
    weights = np.linalg.eigvalsh(root[:, :, None] * form * root[:, None, :])[:, 1:]
    return float((shares * 3 * u * (1 - u)) @ _exceeds(q, weights))


def _exceeds(q: float, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(sum of weights x chi-squared on 1 df >= q), weights of shape (T, J): shape (T,), to 10 decimals.

    The cdf has the Laplace transform prod (1 + 2 weight s)^(-1/2) / s, whose singularities all lie on the
    negative half-line: Talbot's contour inverts it with an error of 3.89^-N (Trefethen, Weideman & Schmelzer
    2006, BIT 46:653, cotangent contour).
    """
    if q <= 0:
        return np.ones(len(weights))
    n = _CONTOUR
    angle = (2 * np.arange(n // 2) + 1) * np.pi / n  # the other half is its conjugate
    cot = 1 / np.tan(0.6407 * angle)
    z = n * (0.5017 * angle * cot - 0.6122 + 0.2645j * angle)
    slope = n * (0.5017 * cot - 0.5017 * 0.6407 * angle * (1 + cot**2) + 0.2645j)
    factors = 1 / np.sqrt(1 + 2 * weights[:, None, :] * (z / q)[:, None])
    below = (factors.prod(axis=2) * np.exp(z) / z * slope).sum(axis=1).imag * 2 / n
    return np.asarray(np.clip(1 - below, 0.0, 1.0))


def prior_prob_of_dl_tau(effects: EffectSizes, tau: Prior) -> float:
    """Prior probability of a tau as large as DerSimonian and Laird's; nan where tau is not estimable."""
    if effects.k < 2 or not tau.proper or tau.given:
        return float("nan")
    estimate = frequentist_batch(effects.yi[None], effects.vi[None], "DL", "Wald").tau2[0]
    return float(1 - tau.cdf(np.sqrt(estimate)))
