"""The exact engine under a robust prior: the posteriors under its components, weighted by what the data say of each.

Schmidli H et al. Biometrics 2014;70:1023-1032, section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from bayespip.exact.fit import ExactFit, exact_fit
from bayespip.fits import Estimate, RandomEffects
from bayespip.new_evidence.robust_priors import RobustPriors
from bayespip.reanalysis.quantities import mixture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.exact.marginals import MixtureMarginal
    from bayespip.exact.posterior import Posterior
    from bayespip.priors import Priors

__all__ = ["RobustFit", "fit_exactly", "parts_of", "robust_fit", "weighted"]


def parts_of(priors: Priors | RobustPriors) -> tuple[tuple[float, Priors], ...]:
    """Weights and priors of the components; of ordinary priors one."""
    return priors.parts if isinstance(priors, RobustPriors) else ((1.0, priors),)


def weighted(
    weights: Sequence[float], nodes: Sequence[Posterior], *, new_study: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Posteriors of a batch under the components of a prior, as one mixture.

    Parameters
    ----------
    weights
        Prior weights of the components.
    nodes
        Posterior of B analyses under each.
    new_study
        Whether of theta_new instead of mu.

    Returns
    -------
    Weights, means and SDs, shape (B, C).
    """
    log_joint = np.array([math.log(w) + n.log_evidence for w, n in zip(weights, nodes, strict=True)])
    shares = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=0))
    parts = [mixture(n, new_study=new_study) for n in nodes]
    weight = np.concatenate([share[:, None] * w for share, (w, _, _) in zip(shares, parts, strict=True)], axis=1)
    mean, sd = (np.concatenate([part[i] for part in parts], axis=1) for i in (1, 2))
    return weight, mean, sd


def fit_exactly(effects: EffectSizes, priors: Priors | RobustPriors, *, level: float = 0.95) -> ExactFit | RobustFit:
    """``exact_fit`` or ``robust_fit``, as the priors ask."""
    if isinstance(priors, RobustPriors):
        return robust_fit(effects, priors, level=level)
    return exact_fit(effects, priors, level=level)


def robust_fit(effects: EffectSizes, priors: RobustPriors, *, level: float = 0.95) -> RobustFit:
    """Posterior of the normal-normal model under a robust prior: exact, as ``exact_fit``.

    Raises
    ------
    ValueError
        As for ``exact_fit``; or if the evidence is in another measure.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> vague = bp.priors.normal(0, 1)
    >>> mu = bp.robust_prior(0.67, se=0.2, weight=0.5, vague=vague, measure="RR", source="invented")
    >>> priors = bp.RobustPriors(mu, bp.priors.half_normal(0.5))
    >>> fit = bp.robust_fit(invented, priors)
    >>> round(fit.mu.point, 3), round(fit.weight_of_evidence, 3)
    (-0.459, 0.735)
    """
    if priors.mu.measure not in ("", effects.measure.name):
        raise ValueError(f"the robust prior is of {priors.mu.measure}, the effects are {effects.measure.name}.")
    return RobustFit(effects, priors, level, tuple(exact_fit(effects, p, level=level) for _, p in priors.parts))


@dataclass(frozen=True, eq=False)
class RobustFit(RandomEffects):
    """The posteriors under each component, weighted by their posterior probabilities.

    Attributes
    ----------
    effects, priors, level
        What was fitted.
    parts
        The fit under each component with any weight, the vague one last.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> vague = bp.priors.normal(0, 1)
    >>> mu = bp.robust_prior(0.67, se=0.2, weight=0.5, vague=vague, measure="RR", source="invented")
    >>> priors = bp.RobustPriors(mu, bp.priors.half_normal(0.5))
    >>> fit = bp.robust_fit(invented, priors)
    >>> round(fit.prob_positive, 4), len(fit.parts)
    (0.0223, 2)
    """

    effects: EffectSizes
    priors: RobustPriors
    level: float
    parts: tuple[ExactFit, ...]

    @property
    def method(self) -> str:
        """Name used in tables; it marks evidence that counts trials twice."""
        twice = ", COUNTS TRIALS TWICE" if self.priors.mu.counted_twice else ""
        return f"exact normal-normal, robust prior{twice}"

    @property
    def prior(self) -> str:
        """Label of the priors."""
        return self.priors.label

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be read beside every number."""
        return self.priors.mu.notes

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Posterior probability of each component."""
        log_joint = self._log_joint
        return np.asarray(np.exp(log_joint - np.logaddexp.reduce(log_joint)))

    @property
    def weight_of_evidence(self) -> float:
        """Posterior probability of the earlier evidence: the prior weight, updated by the data."""
        vague = self.weights[-1] if self.priors.mu.weight < 1 else 0.0
        return float(1 - vague)

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the data."""
        return float(np.logaddexp.reduce(self._log_joint))

    @cached_property
    def mu(self) -> MixtureMarginal:
        """Marginal posterior of the average effect."""
        return self._joined([part.mu for part in self.parts])

    @cached_property
    def theta_new(self) -> MixtureMarginal:
        """Posterior predictive distribution of the effect of a new study."""
        return self._joined([part.theta_new for part in self.parts])

    @cached_property
    def theta(self) -> Mapping[str, MixtureMarginal]:
        """Marginal posterior of each study's effect, by study label."""
        return MappingProxyType({s: self._joined([part.theta[s] for part in self.parts]) for s in self.effects.study})

    @cached_property
    def tau(self) -> Estimate:
        """Median and central interval of the between-study standard deviation."""
        taus = [part.tau for part in self.parts]

        def quantile(p: float) -> float:
            ends = [float(t.quantile(p)) for t in taus]
            if min(ends) == max(ends):
                return ends[0]

            def beyond(x: float) -> float:
                return math.fsum(w * float(t.cdf(x)) for w, t in zip(self.weights, taus, strict=True)) - p

            return float(brentq(beyond, min(ends), max(ends), xtol=1e-14, rtol=8.9e-16))

        return Estimate(quantile(0.5), quantile((1 - self.level) / 2), quantile((1 + self.level) / 2))

    @property
    def prob_positive(self) -> float:
        """P(mu > 0 | data), on the model scale."""
        return self.mu.prob_greater(0.0)

    @cached_property
    def _log_joint(self) -> NDArray[np.float64]:
        prior = [math.log(w) for w, _ in self.priors.parts]
        return np.array([w + part.log_evidence for w, part in zip(prior, self.parts, strict=True)])

    def _joined(self, parts: Sequence[MixtureMarginal]) -> MixtureMarginal:
        """The mixture of the same marginal under each component."""
        pairs = list(zip(self.weights.tolist(), parts, strict=True))
        mean = math.fsum(w * m.mean for w, m in pairs)
        variance = math.fsum(w * (m.sd**2 + (m.mean - mean) ** 2) for w, m in pairs)
        notes = tuple(dict.fromkeys([*(note for _, m in pairs for note in m.notes), *self.notes]))
        return replace(
            parts[0],
            mean=mean,
            sd=math.sqrt(variance),
            notes=notes,
            weight=np.concatenate([w * m.weight for w, m in pairs]),
            mean_given=np.concatenate([m.mean_given for _, m in pairs]),
            sd_given=np.concatenate([m.sd_given for _, m in pairs]),
        )
