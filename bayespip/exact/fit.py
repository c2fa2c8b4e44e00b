"""The exact engine: the posterior of the normal-normal model by quadrature over tau.

References
----------
Rover C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6). Its
quantities are all here; the quadrature (``quadrature``) is adaptive instead of a grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import logsumexp

from bayespip.effects import require_effects
from bayespip.exact.marginals import MixtureMarginal, TauMarginal
from bayespip.exact.posterior import Posterior, given_tau, mu_prior_components, posterior
from bayespip.exact.propriety import missing_moment, require_proper_posterior, resolvable_moments
from bayespip.fits import Estimate, RandomEffects
from bayespip.frequentist.heterogeneity import typical_variance
from bayespip.priors import Priors, normal
from bayespip.priors.scales import require_pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes

__all__ = ["ExactFit", "exact_fit"]

_NO_WIDTH = 1e-150  # its square is still a double, and vanishes beside any sampling variance
_NO_WEIGHT = 1e-18  # components lighter than this do not reach the last digit of a distribution function


def exact_fit(effects: EffectSizes, priors: Priors, *, level: float = 0.95) -> ExactFit:
    """Posterior of the normal-normal random-effects model by quadrature.

    Parameters
    ----------
    effects
        Study effects, k >= 1, on the model scale.
    priors
        Flat, normal, normal-mixture or Student-t prior on mu; any prior on tau.
    level
        Probability of the intervals in ``lower`` and ``upper``.

    Raises
    ------
    ValueError
        If the posterior is improper (the message says why), a prior was derived for another measure, or level is not
        in (0, 1).

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.exact_fit(invented, weak)
    >>> round(fit.mu.point, 3), round(fit.tau.point, 3), round(fit.mu.prob_greater(0), 3)
    (-0.569, 0.295, 0.061)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    require_effects(effects)
    require_pair(priors, effects.measure)
    require_proper_posterior(effects.k, priors)
    nodes = posterior(effects.yi[None], effects.vi[None], priors, moments=resolvable_moments(effects.k, priors))
    return ExactFit(effects, priors, level, nodes)


@dataclass(frozen=True, eq=False)
class ExactFit(RandomEffects):
    """Posterior at quadrature nodes; everything else is derived from them.

    Attributes
    ----------
    effects, priors, level
        What was fitted.
    nodes
        Nodes over tau with their weights and the conditional moments of mu.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.exact_fit(invented, weak)
    >>> [round(limit, 3) for limit in fit.mu.interval(0.9, "shortest", "display")]
    [0.244, 0.947]
    >>> round(fit.bayes_factor("tau = 0"), 3)
    1.124
    """

    effects: EffectSizes
    priors: Priors
    level: float
    nodes: Posterior = field(repr=False)

    @property
    def method(self) -> str:
        """Name used in tables."""
        return "exact normal-normal"

    @property
    def prior(self) -> str:
        """Label of the priors."""
        return self.priors.label

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the data; under a flat mu that of an improper prior with density 1."""
        return float(self.nodes.log_evidence[0])

    @cached_property
    def tau(self) -> TauMarginal:
        """Marginal posterior of the between-study standard deviation."""
        panels, priors = self.nodes.panels, self.priors
        log_density = panels.log_values - self.nodes.log_evidence[:, None]
        mass_below = float(self.nodes.weight[0, :, 0].sum())
        mu_prior = mu_prior_components(priors.mu, self.effects.yi, self.effects.vi)

        def log_pdf(tau: NDArray[np.float64]) -> NDArray[np.float64]:
            given = given_tau(self.effects.yi[None], self.effects.vi[None], tau, mu_prior)
            return np.asarray(given.log_marginal()[0]) + priors.tau.logpdf(tau) - self.log_evidence

        weight, tau = self.nodes.weight[0].sum(axis=0), self.nodes.tau
        mean, sd, notes = self._moments("tau", weight, tau, np.zeros(tau.size))
        return TauMarginal(
            "tau", self.effects.measure, self.level, mean, sd, notes,
            log_pdf, priors.tau, panels.edges, np.exp(log_density[0]), mass_below,
        )  # fmt: skip

    @cached_property
    def mu(self) -> MixtureMarginal:
        """Marginal posterior of the average effect."""
        nodes = self.nodes
        return self._mixture("mu", nodes.mean, nodes.variance)

    @cached_property
    def theta_new(self) -> MixtureMarginal:
        """Posterior predictive distribution of the effect of a new study."""
        nodes = self.nodes
        return self._mixture("theta_new", nodes.mean, nodes.variance + nodes.tau**2)

    @cached_property
    def theta(self) -> Mapping[str, MixtureMarginal]:
        """Marginal posterior of each study's effect (shrinkage), by study label."""
        nodes, effects = self.nodes, self.effects
        marginals = {}
        for study, y, v in zip(effects.study, effects.yi, effects.vi, strict=True):
            pull = v / (v + nodes.tau**2)
            mean = y + pull * (nodes.mean - y)
            variance = (1 - pull) * v + pull**2 * nodes.variance
            marginals[study] = self._mixture(f"theta[{study}]", mean, variance)
        return MappingProxyType(marginals)

    @property
    def prob_positive(self) -> float:
        """P(mu > 0 | data), on the model scale."""
        return self.mu.prob_greater(0.0)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Posterior mean weights of the studies in mu, shape (k,); they sum to one if mu has a flat prior."""
        nodes = self.nodes
        precision = 1 / (self.effects.vi[:, None, None] + nodes.tau**2)
        return np.asarray((nodes.weight * precision * nodes.variance).sum(axis=(1, 2)))

    @cached_property
    def shrinkage(self) -> NDArray[np.float64]:
        """Posterior mean of vi / (vi + tau^2), shape (k,): the share by which each effect is pulled towards mu."""
        vi, weight = self.effects.vi[:, None], self.nodes.weight[0].sum(axis=0)
        return np.asarray((weight * vi / (vi + self.nodes.tau**2)).sum(axis=1))

    @cached_property
    def i2(self) -> Estimate:
        """Posterior median and interval of I2 = tau^2 / (tau^2 + typical v) (Higgins & Thompson 2002)."""
        typical, tau = self._typical_variance(), self.tau
        return Estimate(*(t**2 / (t**2 + typical) for t in (tau.point, tau.lower, tau.upper)))

    @cached_property
    def i2_mean(self) -> float:
        """Posterior mean of I2."""
        tau2 = self.nodes.tau**2
        return float((self.nodes.weight[0] * tau2 / (tau2 + self._typical_variance())).sum())

    def bayes_factor(self, null: Literal["mu = 0", "tau = 0"]) -> float:
        """Bayes factor in favour of a point null against this model (as in bayesmeta).

        Parameters
        ----------
        null
            "mu = 0" (tau keeps its prior) or "tau = 0" (mu keeps its prior: the common effect).

        Raises
        ------
        ValueError
            If the parameter set to zero has an improper prior, which leaves the factor undefined.
        """
        if null not in ("mu = 0", "tau = 0"):
            raise ValueError(f"null must be 'mu = 0' or 'tau = 0'; got {null!r}.")
        prior = self.priors.mu if null == "mu = 0" else self.priors.tau
        if not prior.proper:
            raise ValueError(f"a Bayes factor for {null} needs a proper prior; {prior} is improper.")
        with np.errstate(over="ignore"):
            return float(np.exp(self._log_evidence_of(null) - self.log_evidence))

    def to_datatree(self, draws: int = 4000, *, seed: int) -> xr.DataTree:
        """Independent posterior draws in ArviZ's form: group ``posterior``, one chain, dimension study."""
        import arviz as az

        rng = np.random.default_rng(seed)
        nodes, effects = self.nodes, self.effects
        tau = self.tau.quantile(rng.uniform(size=draws))
        mu_prior = mu_prior_components(self.priors.mu, effects.yi, effects.vi)
        given = given_tau(effects.yi[None], effects.vi[None], tau, mu_prior)
        share = np.exp(given.log_likelihood[0] - given.log_marginal()[0])
        component = (rng.uniform(size=draws) > np.cumsum(share, axis=0)[:-1]).sum(axis=0)
        chosen = 0, component, np.arange(draws)
        mu = given.mean[chosen] + np.sqrt(given.variance[chosen]) * rng.normal(size=draws)
        pull = effects.vi / (effects.vi + tau[:, None] ** 2)
        theta = effects.yi + pull * (mu[:, None] - effects.yi)
        theta += np.sqrt((1 - pull) * effects.vi) * rng.normal(size=theta.shape)
        theta_new = mu + tau * rng.normal(size=draws)
        variables = {"mu": mu, "tau": tau, "theta": theta, "theta_new": theta_new}
        tree: xr.DataTree = az.from_dict(
            {"posterior": {n: v[None] for n, v in variables.items()}, "observed_data": {"y": effects.yi}},
            coords={"study": list(effects.study)},
            dims={"theta": ["study"], "y": ["study"]},
        )
        tree.attrs.update(method=self.method, priors=str(self.priors), seed=seed, nodes=nodes.tau.size)
        return tree

    def _mixture(self, name: str, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> MixtureMarginal:
        weight, mean, variance = np.broadcast_arrays(self.nodes.weight[0], mean[0], variance[0])
        average, sd, notes = self._moments(name, weight, mean, variance)
        keep = weight > _NO_WEIGHT
        return MixtureMarginal(
            name, self.effects.measure, self.level, average, sd, notes,
            weight[keep], mean[keep], np.sqrt(variance[keep]),
        )  # fmt: skip

    def _moments(
        self, name: str, weight: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]
    ) -> tuple[float, float, tuple[str, ...]]:
        """Mean and SD of a mixture, inf or nan with a note where they do not exist or cannot be had."""
        average = float((weight * mean).sum())
        missing = None if name.startswith("theta[") else missing_moment(self.effects.k, self.priors, name)
        if missing:
            order, value, exists = missing
            reason = (
                "exists, but its integral converges too slowly for the range of doubles."
                if exists
                else "does not exist: its tail is too heavy for this k and prior."
            )
            notes = (f"The posterior {'mean' if order == 1 else 'SD'} of {name} {reason}",)
            return (value, math.nan, notes) if order == 1 else (average, value, notes)
        return average, math.sqrt(float((weight * (variance + (mean - average) ** 2)).sum())), ()

    def _typical_variance(self) -> float:
        """That of I2; nan for one study."""
        return float(typical_variance(self.effects.vi)) if self.effects.k > 1 else math.nan

    def _log_evidence_of(self, null: str) -> float:
        yi, vi = self.effects.yi[None], self.effects.vi[None]
        if null == "tau = 0":
            given = given_tau(yi, vi, np.zeros(1), mu_prior_components(self.priors.mu, yi, vi))
            return float(logsumexp(given.log_likelihood))
        # a normal prior of no width at zero: its quadrature is the integral over tau at mu = 0
        return float(posterior(yi, vi, Priors(normal(0.0, _NO_WIDTH), self.priors.tau)).log_evidence[0])
