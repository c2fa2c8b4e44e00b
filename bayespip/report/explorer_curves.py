"""The curves that the explorer draws: prior and posterior densities of tau, posterior densities of mu.

Given tau and a flat prior, mu is N(m(tau), v(tau)); so under any prior p(mu) its posterior density is proportional to

    p(mu) integral p(tau) L(tau) N(mu; m(tau), v(tau)) dtau,

with L the likelihood of tau under the flat prior: one set of nodes serves every pair of priors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayespip.exact.posterior import given_tau, mass_near_zero, mu_prior_components
from bayespip.exact.quadrature import WEIGHTS, panel_nodes
from bayespip.priors import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.priors import Prior

    Array = NDArray[np.float64]

__all__ = ["Axes", "Curves", "curves"]

_TAUS, _MUS = 40, 48  # points of a curve that is 300 pixels wide
_BELOW, _ABOVE = 8.0, 6.0  # in log tau, beyond the smallest and largest scale there is
_PANEL = 0.25  # in log tau: the jump of a uniform prior within one moves its mass by less than a pixel shows
_FIRST = 1e-4  # of the axis of tau: at zero itself some densities are infinite


class Axes(NamedTuple):
    """What is drawn, on the model scale: tau from zero to ``tau``, mu from ``low`` to ``high``.

    Points of mu lie densest within ``near`` of the ``middle``.
    """

    tau: float
    low: float
    middle: float
    near: float
    high: float


class Curves(NamedTuple):
    """Densities on the model scale.

    Attributes
    ----------
    tau, mu
        Where, shape (X,).
    prior
        Of tau, shape (taus, X); nan where it is improper.
    posterior
        Of tau, shape (mus, taus, X).
    average
        Of mu, shape (mus, taus, X), each relative to its largest value.
    """

    tau: Array
    mu: Array
    prior: Array
    posterior: Array
    average: Array


def curves(
    effects: EffectSizes,
    mus: Sequence[Prior],
    taus: Sequence[Prior],
    log_evidence: Array,
    *,
    axes: Axes,
) -> Curves:
    """Densities under all pairs of priors.

    Parameters
    ----------
    effects
        Study effects.
    mus, taus
        The priors.
    log_evidence
        Of every pair, from ``exact_batch``: shape (mus, taus).
    axes
        What is drawn of tau and mu.
    """
    tau = axes.tau * np.linspace(math.sqrt(_FIRST), 1, _TAUS) ** 2
    mu = _around(axes)
    with np.errstate(over="ignore"):
        log_prior = np.array([p.logpdf(tau) for p in taus])
        prior = np.where(np.array([p.proper for p in taus])[:, None], np.exp(log_prior), np.nan)
        likelihood = np.array([_log_likelihood(effects, p, tau) for p in mus])
        posterior = np.exp(likelihood[:, None] + log_prior - log_evidence[..., None])
    return Curves(tau, mu, prior, posterior, _of_mu(effects, mus, taus, mu))


def _around(axes: Axes) -> Array:
    """Points of mu, evenly near the middle and sparser far from it; no effect is one of them, where shading ends."""
    low, high = (math.asinh((end - axes.middle) / axes.near) for end in (axes.low, axes.high))
    mu = axes.middle + axes.near * np.sinh(np.linspace(low, high, _MUS))
    mu[np.abs(mu).argmin()] = 0.0
    return np.asarray(mu)


def _log_likelihood(effects: EffectSizes, mu: Prior, tau: Array) -> Array:
    yi, vi = effects.yi[None], effects.vi[None]
    return np.asarray(given_tau(yi, vi, tau, mu_prior_components(mu, yi, vi)).log_marginal()[0])


def _of_mu(effects: EffectSizes, mus: Sequence[Prior], taus: Sequence[Prior], at: Array) -> Array:
    tau, mass = _masses(effects, taus)
    yi, vi = effects.yi[None], effects.vi[None]
    given = given_tau(yi, vi, tau, mu_prior_components(flat(), yi, vi))
    likelihood, mean, variance = (part[0, 0] for part in given)
    z2 = (at - mean[:, None]) ** 2 / variance[:, None]
    joint = (likelihood - likelihood.max() - 0.5 * np.log(variance))[:, None] - 0.5 * z2
    highest = joint.max(axis=0)
    with np.errstate(divide="ignore"):
        log_sum = np.log(mass @ np.exp(joint - highest)) + highest
    log_density = np.array([p.logpdf(at) for p in mus])[:, None] + log_sum
    return np.asarray(np.exp(log_density - log_density.max(axis=2, keepdims=True)))


def _masses(effects: EffectSizes, taus: Sequence[Prior]) -> tuple[Array, Array]:
    """Nodes of tau, zero first, shape (N + 1,), and the prior mass at each, shape (taus, N + 1)."""
    sizes = [float(x) for x in (effects.sei.min(), effects.sei.max(), np.ptp(effects.yi))]
    sizes += [float(p.quantile(0.5)) for p in taus if p.proper and not p.given]
    present = [s for s in sizes if s > 0]
    low, high = math.log(min(present)) - _BELOW, math.log(max(present)) + _ABOVE
    edges = np.linspace(low, high, math.ceil((high - low) / _PANEL) + 1)
    x = panel_nodes(edges)
    tau, step = np.exp(x), (np.diff(edges)[:, None] / 2 * WEIGHTS).ravel()
    mass = np.exp([p.logpdf(tau) for p in taus]) * tau * step
    below = [mass_near_zero(p, float(np.exp(low))) for p in taus]
    return np.concatenate([[0.0], tau]), np.column_stack([below, mass])
