"""P(mu on the far side of no effect) along a family of priors, for many study data sets and scales at once.

The likelihood of tau does not depend on the prior: computed once at fixed nodes, it serves every scale, and a
whole family of priors on tau is one sum of products. These curves find where a claim tips; the exact engine says
where exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numba as nb
import numpy as np
from scipy.special import ndtr

from bayespip.exact.posterior import given_tau, mass_near_zero, mu_prior_components
from bayespip.exact.quadrature import WEIGHTS, panel_nodes
from bayespip.priors import Priors, flat
from bayespip.reanalysis.quantities import Bayesian

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayespip.priors import Prior

    Array = NDArray[np.float64]

_BELOW = 8.0  # in log tau, under the smallest scale: exp(-8) of a half-normal's mass is lumped at zero
_ABOVE = 10.0  # over the largest: a half-Cauchy leaves 3e-5 beyond
_WIDEST = 2.0  # panels in log tau: the densities of the families to six digits
_BATCH = 256  # data sets at a time, for the memory of a Student-t prior's components
_DRAFT = 1e-4  # quadrature under one prior on tau, whose nodes serve every scale of the prior on mu


class Curve(Protocol):
    """The probability of the far side over scales."""

    @property
    def scales(self) -> Array:
        """Shape (S,), increasing."""

    def __call__(self, yi: Array, vi: Array, *, above: bool) -> Array:
        """P(mu <= 0) if the claim is ``above``, else P(mu >= 0); yi, vi of shape (B, k), result (B, S)."""


@dataclass(frozen=True)
class TauCurve:
    """Along the scale of a prior on tau.

    Attributes
    ----------
    make
        Scale to the prior on tau.
    mu
        The prior on mu, which stays.
    scales
        Shape (S,), increasing; panels end at each of them, so that a uniform prior's jump falls on an edge.
    is_scale_family
        Whether the prior of scale s is that of s times a variable of scale 1: then one call gives all densities.
    """

    make: Callable[[float], Prior]
    mu: Prior
    scales: Array
    is_scale_family: bool = False

    def __call__(self, yi: Array, vi: Array, *, above: bool) -> Array:
        """See Curve."""
        found = [self._of(yi[i : i + _BATCH], vi[i : i + _BATCH], above) for i in range(0, len(yi), _BATCH)]
        return np.concatenate(found)

    def _of(self, yi: Array, vi: Array, above: bool) -> Array:
        tau, weights = self._rule
        given = given_tau(yi, vi, tau, mu_prior_components(self.mu, yi, vi, _DRAFT))
        total = given.log_marginal()
        far = ndtr((-1 if above else 1) * given.mean / np.sqrt(given.variance))
        if far.shape[1] == 1:
            far_given_tau = far[:, 0]
        else:
            share = np.exp(given.log_likelihood - total[:, None])
            far_given_tau = (share * far).sum(axis=1)
        likelihood = np.exp(total - total.max(axis=1, keepdims=True))
        # einsum, because for matrices this small BLAS's threads wait for each other longer than they work
        evidence = np.einsum("bn,sn->bs", likelihood, weights)
        with np.errstate(invalid="ignore"):
            found = np.einsum("bn,sn->bs", likelihood * far_given_tau, weights) / evidence
        # where nothing of the likelihood is left at such small tau: the common effect
        return np.where(evidence > 0, found, far_given_tau[:, :1])

    @cached_property
    def _rule(self) -> tuple[Array, Array]:
        """Nodes with tau = 0 first, shape (N + 1,), and prior mass at each for every scale, shape (S, N + 1)."""
        edges = _edges(np.log(self.scales))
        x = panel_nodes(edges)
        by_x = (np.diff(edges)[:, None] / 2 * WEIGHTS).ravel()
        tau, first = np.exp(x), math.exp(edges[0])
        if self.is_scale_family:
            one, s = self.make(1.0), self.scales[:, None]
            density, below = np.exp(one.logpdf(tau / s)) / s, one.cdf(first / self.scales)
        else:
            priors = [self.make(float(s)) for s in self.scales]
            density = np.exp([p.logpdf(tau) for p in priors])
            below = np.array([mass_near_zero(p, first) for p in priors])
        mass = density * tau * by_x
        return np.concatenate([[0.0], tau]), np.column_stack([below, mass])


def _edges(at: Array) -> Array:
    """Panels that end at all of these and are nowhere wider than allowed."""
    ends = np.concatenate([[at[0] - _BELOW], at, [at[-1] + _ABOVE]])
    parts = [np.linspace(a, b, max(math.ceil((b - a) / _WIDEST), 1), endpoint=False) for a, b in pairwise(ends)]
    return np.concatenate([*parts, ends[-1:]])


@dataclass(frozen=True)
class MuCurve:
    """Along the SD of a sceptical normal prior on mu, N(0, scale^2).

    Attributes
    ----------
    tau
        The prior on tau, which stays.
    scales
        Shape (S,), increasing.
    """

    tau: Prior
    scales: Array

    def __call__(self, yi: Array, vi: Array, *, above: bool) -> Array:
        """See Curve."""
        nodes = self._under_flat.posterior(yi, vi, _DRAFT)
        flat_posterior = nodes.weight[:, 0], nodes.mean[:, 0], nodes.variance[:, 0]
        return np.asarray(_under_normal(flat_posterior, self.scales**2, -1.0 if above else 1.0))

    @cached_property
    def _under_flat(self) -> Bayesian:
        """Keeps the panels of the first data sets for the later ones."""
        return Bayesian(Priors(flat(), self.tau))


@nb.njit(cache=True, nogil=True)
def _under_normal(flat_posterior, s2, sign):  # type: ignore[no-untyped-def]
    """P(sign mu > 0) under priors N(0, s2) on mu, from the posterior under a flat one.

    Given tau that is N(m, v), and a normal prior multiplies it by N(m; 0, v + s2).
    """
    weight, mean, variance = flat_posterior
    out = np.empty((weight.shape[0], s2.size))
    for b in range(weight.shape[0]):
        used = np.flatnonzero(weight[b])
        w, m, v = weight[b][used], mean[b][used], variance[b][used]
        for j in range(s2.size):
            exponent = -0.5 * m**2 / (v + s2[j])
            exponent -= exponent.max()
            total, far = 0.0, 0.0
            for n in range(w.size):
                spread = v[n] + s2[j]
                share = w[n] * math.exp(exponent[n]) / math.sqrt(spread)
                total += share
                far += share * 0.5 * math.erfc(-sign * m[n] * math.sqrt(s2[j] / (2 * v[n] * spread)))
            out[b, j] = far / total
    return out
