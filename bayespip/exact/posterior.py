"""The normal-normal posterior at quadrature nodes over tau, for a batch of analyses.

Model: y_i ~ N(theta_i, v_i), theta_i ~ N(mu, tau^2), with a flat, normal or Student-t prior on mu and any
prior on tau. Given tau everything is normal in closed form (Rover 2020, J Stat Softw 93(6), section 2). A
Student-t prior on mu is the scale mixture mu | lambda ~ N(location, scale^2 / lambda), lambda ~
Gamma(df/2, df/2): one more quadrature, over log lambda, after which everything is normal again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np
from scipy.special import gammaln, logsumexp

from bayespip.exact.quadrature import Panels, adapt, panel_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.priors import Prior, Priors

LOG_TAU_MAX = 300.0  # exp(300)^2 is still a double
_LOG_2PI = math.log(2 * math.pi)


class MuPrior(NamedTuple):
    """The prior on mu as normals of given precision, shape (L,), with their weights; empty if it is flat."""

    location: float
    precision: NDArray[np.float64]
    log_weight: NDArray[np.float64]


class GivenTau(NamedTuple):
    """Log likelihood, and mean and variance of mu, given tau; shapes (B, L, N), L = 1 unless Student-t."""

    log_likelihood: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    def log_marginal(self) -> NDArray[np.float64]:
        """Log likelihood of tau alone, shape (B, N)."""
        if self.log_likelihood.shape[1] == 1:
            return self.log_likelihood[:, 0]
        return np.asarray(logsumexp(self.log_likelihood, axis=1))


@dataclass(frozen=True)
class Posterior:
    """Posterior nodes of B analyses with k studies each.

    Attributes
    ----------
    panels
        Panels in log tau with the log of prior times likelihood, shape (B, N).
    tau
        Nodes, shape (N + 1,): tau = 0 first (it carries the prior mass below ``exp(panels.edges[0])``).
    log_evidence
        Log marginal likelihood, shape (B,).
    weight, mean, variance
        Components of the posterior of mu, shape (B, L, N + 1); the weights sum to one.
    """

    panels: Panels
    tau: NDArray[np.float64]
    log_evidence: NDArray[np.float64]
    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


def posterior(
    yi: NDArray[np.float64],
    vi: NDArray[np.float64],
    priors: Priors,
    *,
    moments: tuple[float, ...] = (0.0,),
    tolerance: float = 1e-12,
    edges: NDArray[np.float64] | None = None,
) -> Posterior:
    """Posterior nodes.

    Parameters
    ----------
    yi, vi
        Effects and sampling variances on the model scale, shape (B, k).
    priors
        Must give a proper posterior (``propriety.require_proper_posterior``).
    moments
        Orders of tau whose posterior moments must be resolved.
    tolerance
        Relative quadrature error.
    edges
        Panels to use as they are, from an earlier call with like data, instead of choosing them.
    """
    centre = (yi / vi).sum(axis=1, keepdims=True) / (1 / vi).sum(axis=1, keepdims=True)
    smallest = np.sqrt(vi.min())
    mu_prior = mu_prior_components(priors.mu, yi, vi, tolerance)
    distance = np.abs(yi - centre)
    if mu_prior.precision.size:
        distance = np.maximum(distance, np.abs(yi - mu_prior.location))
    # below it tau^2 changes the likelihood by less than the tolerance
    tau_zero = math.sqrt(tolerance) * smallest / (1 + (distance / np.sqrt(vi)).max())

    def log_integrand(x: NDArray[np.float64]) -> NDArray[np.float64]:
        tau = np.exp(x)
        return given_tau(yi, vi, tau, mu_prior).log_marginal() + priors.tau.logpdf(tau) + x

    if edges is None:
        lower = math.log(_start(priors.tau, tau_zero))
        upper = min(LOG_TAU_MAX, math.log(priors.tau.upper_bound))
        panels = adapt(log_integrand, lower, upper, moments=moments, tolerance=tolerance)
    else:
        panels = Panels(edges, log_integrand(panel_nodes(edges)))
    return _components(yi, vi, priors.tau, mu_prior, panels)


def given_tau(
    yi: NDArray[np.float64], vi: NDArray[np.float64], tau: NDArray[np.float64], mu_prior: MuPrior
) -> GivenTau:
    """The model given tau: yi, vi of shape (B, k), tau of shape (N,); effects are centred first."""
    return GivenTau(*given_tau_compiled(yi, vi, tau, mu_prior))


@nb.njit(cache=True, nogil=True)
def given_tau_compiled(yi, vi, tau, mu_prior):  # type: ignore[no-untyped-def]
    """Arrays of ``given_tau``, for compiled callers."""
    location, precision, log_weight = mu_prior
    analyses, k = yi.shape
    components = max(precision.size, 1)
    shape = (analyses, components, tau.size)
    log_likelihood, mean, variance = np.empty(shape), np.empty(shape), np.empty(shape)
    for b in range(analyses):
        centre = yi[b].mean()
        for n in range(tau.size):
            s0, s1, log_total = 0.0, 0.0, 0.0
            for i in range(k):
                total = vi[b, i] + tau[n] ** 2
                s0 += 1 / total
                s1 += (yi[b, i] - centre) / total
                log_total += math.log(total)
            ybar = s1 / s0
            q = 0.0
            for i in range(k):
                q += (yi[b, i] - centre - ybar) ** 2 / (vi[b, i] + tau[n] ** 2)
            log_flat = -0.5 * ((k - 1) * _LOG_2PI + log_total + math.log(s0) + q)
            if precision.size == 0:
                log_likelihood[b, 0, n] = log_flat
                mean[b, 0, n] = centre + ybar
                variance[b, 0, n] = 1 / s0
            distance = centre + ybar - location
            for c in range(precision.size):
                spread = 1 / s0 + 1 / precision[c]
                log_mu = -0.5 * (_LOG_2PI + math.log(spread) + distance**2 / spread)
                log_likelihood[b, c, n] = log_flat + log_mu + log_weight[c]
                # precision-weighted mean, written as the data's mean pulled towards the prior's
                mean[b, c, n] = centre + ybar - distance * precision[c] / (s0 + precision[c])
                variance[b, c, n] = 1 / (s0 + precision[c])
    return log_likelihood, mean, variance


def mu_prior_components(
    prior: Prior, yi: NDArray[np.float64], vi: NDArray[np.float64], tolerance: float = 1e-12
) -> MuPrior:
    """The prior on mu as normal components.

    The trapezoidal rule in u = log lambda. A posteriori lambda is about gamma distributed with shape
    a = (df + 1) / 2, and the integral of the modulus of exp(a u - b exp(u)) along Im u = v is cos(v)^-a times
    that along the real line; so the relative error is about cos(v)^-a exp(-2 pi v / step) for any v < pi/2
    (Trefethen & Weideman 2014, SIAM Review 56:385, theorem 5.1). The v here is near the best one.
    """
    if prior.family == "flat":
        return MuPrior(0.0, np.empty(0), np.empty(0))
    if prior.family == "normal":
        mean, sd = prior.parameters
        return MuPrior(mean, np.array([1 / sd**2]), np.zeros(1))
    if prior.family == "normal mixture":
        weights, sds = (np.asarray(x, dtype=float) for x in prior.parameters)
        return MuPrior(0.0, 1 / sds**2, np.log(weights))
    if prior.family != "student-t":
        raise ValueError(
            f"the exact engine needs a flat, normal, normal-mixture or Student-t prior on mu; got {prior}."
        )
    location, scale, df = prior.parameters
    negligible = _LAMBDA_MARGIN - math.log(tolerance)
    shape = (df + 1) / 2
    c = negligible / shape
    v = math.atan(math.sqrt(2 * c))
    step = 2 * math.pi * v / (negligible + shape / 2 * math.log1p(2 * c))
    # lambda is about (df + 1) / (df + z^2) a posteriori, z the distance of mu from the prior in its scales;
    # at a distance d from its mode the log density of u has fallen by shape (exp(d) - 1 - d)
    z2 = float(((np.abs(yi - location).max() + np.sqrt(vi.max())) / scale) ** 2)
    lower = math.log((df + 1) / (df + z2)) - c - min(1.0, math.sqrt(2 * c))
    upper = math.log((df + 1) / df) + math.log1p(c + math.sqrt(2 * c))
    u = np.arange(lower, upper + step, step)
    half = df / 2
    log_density = half * math.log(half) - gammaln(half) + half * (u - np.exp(u))
    return MuPrior(location, np.exp(u) / scale**2, log_density + math.log(step))


_LAMBDA_MARGIN = 5.0  # covers the constants in front of the error and of what is cut off
# prior mass that may be lumped together at zero: the most that moves the mean of tau by less than this share
_LUMPED = (1e-6, 1e-8, 1e-10, 1e-12)
_MOVED = 1e-11


@lru_cache(maxsize=1024)
def _lower_quantiles(prior: Prior) -> tuple[float, float]:
    start, median, *lumps = (float(q) for q in prior.quantile([0.0, 0.5, *_LUMPED]))
    small = (lump for mass, lump in zip(_LUMPED, lumps, strict=True) if mass * lump <= _MOVED * median)
    return start, next(small, lumps[-1])


def _start(prior: Prior, tau_zero: float) -> float:
    """Where the panels may begin: all below is lumped together at tau = 0."""
    smallest = math.exp(-LOG_TAU_MAX)
    if prior.given:
        return smallest
    if not prior.proper:
        return tau_zero
    start, lumped = _lower_quantiles(prior)
    return max(start, min(lumped, tau_zero), smallest)


def mass_near_zero(prior: Prior, tau: float) -> float:
    """Prior mass below tau; 0 for a density given by the user, which is integrated from exp(-300) instead."""
    if prior.given:
        return 0.0
    return float(prior.cdf(tau)) if prior.proper else tau


def _components(
    yi: NDArray[np.float64], vi: NDArray[np.float64], tau_prior: Prior, mu_prior: MuPrior, panels: Panels
) -> Posterior:
    tau = np.concatenate([[0.0], np.exp(panels.x)])
    given = given_tau(yi, vi, tau, mu_prior)
    mass = mass_near_zero(tau_prior, math.exp(panels.edges[0]))
    log_mass = math.log(mass) if mass else -math.inf
    log_weight = given.log_likelihood.copy()
    log_weight[:, :, 0] += log_mass
    # the components' shares of the panels' values, which hold the prior already
    log_weight[:, :, 1:] += (panels.log_values + np.log(panels.weights) - given.log_marginal()[:, 1:])[:, None]
    largest = log_weight.max(axis=(1, 2), keepdims=True)
    weight = np.exp(log_weight - largest)
    total = weight.sum(axis=(1, 2), keepdims=True)
    weight /= total
    log_evidence = (largest + np.log(total))[:, 0, 0]
    return Posterior(panels, tau, log_evidence, weight, given.mean, given.variance)
