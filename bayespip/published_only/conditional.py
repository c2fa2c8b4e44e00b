"""The posterior given the printed numbers alone: members of a family weighted by how well they explain them.

What was observed is (m, s), and Q where it was printed. With a prior flat over the admissible (log v_1, ...,
log v_k), changing variables from (y, log v) to (m, s, Q, direction, log variance ratios) gives a member the
density

    p(y | v) prod v_i^(1/2) (sum 1/v_i)^(1/2) Q^((k-3)/2) / s   dQ d(direction) d(log ratios),

p(y | v) the prior predictive with mu and tau integrated out. In z_i = y_i / sqrt v_i the effects are a
coordinate along (sqrt p_i), where dm has the length sqrt(sum 1/v), and a vector of length sqrt Q across, whose
volume is Q^((k-3)/2) / 2 dQ d(direction); and because s scales like every sqrt v_i when Q and the ratios are
kept, d(log v_k) = 2 ds / s, whether tau2 is zero or not. For k = 2 it is p(y | v) d / (Q s) dQ d log rho
with d = |y_1 - y_2|.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayespip.exact import mixtures
from bayespip.exact.quadrature import Panels
from bayespip.published_only.bounds import ratio_box, root_q_range, sample
from bayespip.published_only.consistent import Members, Points
from bayespip.reanalysis.quantities import Bayesian, mixture, tau_quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.exact.posterior import Posterior
    from bayespip.published_only.consistent import Family
    from bayespip.reanalysis.quantities import Mixture

SIZE = 512  # members averaged; four times as many move no limit by more than 1% of the interval's width
_TRIED = 128  # members drawn for each one kept, where trial sizes make most of them infeasible
_NO_WEIGHT = 1e-11  # components of the mixture over all members that are passed over
_PRECISION = 1e-6  # of its quantiles, in posterior SDs


@dataclass(frozen=True)
class Conditional:
    """Posterior given the printed numbers alone.

    Attributes
    ----------
    quantities
        Shape (len(QUANTITIES),), model scale.
    members
        Feasible members that were averaged.
    effective
        Effective number of members, 1 / sum of squared weights.
    """

    quantities: NDArray[np.float64]
    members: int
    effective: float


def admissible(family: Family, *, seed: int = 1, size: int = SIZE) -> tuple[Points, Members]:
    """At most ``size`` feasible members at the reference point, quasi-random; they serve every prior.

    Raises
    ------
    ValueError
        If no member keeps all assumptions.
    """
    points, data = sample(family, at_vertices=False, seed=seed, size=size * _TRIED)
    return points.take(slice(size)), Members._make(a[:size] for a in data)


def conditional(
    family: Family,
    method: Bayesian,
    *,
    seed: int = 1,
    size: int = SIZE,
    members: tuple[Points, Members] | None = None,
) -> Conditional:
    """Average a family's posteriors under one prior, at the reference point (m, s).

    Parameters
    ----------
    family
        From ``consistent_studies``.
    method
        Priors and level.
    seed
        Of the quasi-random members.
    size
        Members averaged, at most.
    members
        From ``admissible``, where one family is averaged under several priors.

    Raises
    ------
    ValueError
        If no member keeps all assumptions.
    """
    points, data = members or admissible(family, seed=seed, size=size)
    nodes = method.posterior(data.yi, data.vi)
    log_weight = nodes.log_evidence + _log_jacobian(family, points, data)
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    p = method.probabilities
    mu = _pooled(mixture(nodes), share)
    new = _pooled(mixture(nodes, new_study=True), share)
    limits = [mixtures.quantiles(*x, p, precision=_PRECISION, negligible=_NO_WEIGHT)[0] for x in (mu, new)]
    positive = mixtures.probabilities(*mu, np.zeros(1), True)[0]
    averaged = np.concatenate([limits[0], _pooled_tau(nodes, share, p), limits[1], positive])
    return Conditional(averaged, len(share), float(1 / (share**2).sum()))


def _pooled(components: Mixture, share: NDArray[np.float64]) -> Mixture:
    """The members' mixtures as one, shape (1, members x C)."""
    weight, mean, sd = components
    return (share[:, None] * weight).reshape(1, -1), mean.reshape(1, -1), sd.reshape(1, -1)


def _pooled_tau(nodes: Posterior, share: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of the average of the members' posteriors of tau, shape (M,)."""
    panels = nodes.panels
    with np.errstate(divide="ignore"):
        log_density = np.log(share @ np.exp(panels.log_values - nodes.log_evidence[:, None]))
    weight = np.tensordot(share, nodes.weight, axes=1)[None]
    pooled = replace(nodes, panels=Panels(panels.edges, log_density[None]), log_evidence=np.zeros(1), weight=weight)
    return np.asarray(tau_quantiles(pooled, p)[0])


def _log_jacobian(family: Family, points: Points, data: Members) -> NDArray[np.float64]:
    """Log of the module's factor beside p(y | v), over the density of the quasi-random sample."""
    if family.k == 1:
        return np.zeros(len(points.m))
    k = family.k
    log_v = np.log(data.vi)
    factor = 0.5 * log_v.sum(axis=1) + 0.5 * np.log((1 / data.vi).sum(axis=1))
    # dQ = 2 sqrt(Q) d sqrt(Q), and the sample is uniform in sqrt(Q)
    factor += (k - 2) / 2 * np.log(np.maximum(points.q, np.finfo(float).tiny))
    # pooled by Mantel-Haenszel the vector across is shorter than sqrt(Q) by this factor
    factor += (k - 1) * np.log(points.shrink)
    low, high = ratio_box(family, points.design)
    root_low, root_high = root_q_range(family, points.design)
    factor += np.log(high - low).sum(axis=1) + np.log(np.maximum(root_high - root_low, np.finfo(float).tiny))
    box = family.limits.log_volume(points.design, family.printed.centre[0], k)
    return np.asarray(factor - box)
