"""The four hypotheses of model averaging: tau = 0 or free, crossed with mu = 0 or free, and their models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from bayespip.exact.fit import exact_fit
from bayespip.exact.marginals import MixtureMarginal
from bayespip.exact.posterior import given_tau, mu_prior_components
from bayespip.priors import Prior, Priors, normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.effects import EffectSizes

__all__ = ["EFFECTS", "HYPOTHESES", "NULLS", "Model", "fit_model", "prior_shares", "require_proper_priors", "widen"]

NULLS = ("common, mu = 0", "random, mu = 0")
EFFECTS = ("common, mu free", "random, mu free")
# metaBMA's order: fixed_H0, fixed_H1, random_H0, random_H1
HYPOTHESES = ("common, mu = 0", "common, mu free", "random, mu = 0", "random, mu free")
_NO_WIDTH = 1e-150  # SD of a prior at mu = 0: its square is a double and vanishes beside any sampling variance
# Position of the width among a prior's parameters; a flat prior has none.
_WIDTH_OF = {"normal": 1, "student-t": 1}


@dataclass(frozen=True, eq=False)
class Model:
    """One of the models averaged.

    Attributes
    ----------
    hypothesis
        A name in HYPOTHESES.
    mu, tau
        Priors; None where the parameter is zero.
    prior_prob
        Prior probability of the model.
    log_evidence
        Log marginal likelihood.
    posterior
        Posterior of mu under this model; None where mu = 0.
    """

    hypothesis: str
    mu: Prior | None
    tau: Prior | None
    prior_prob: float
    log_evidence: float
    posterior: MixtureMarginal | None = field(repr=False)


def fit_model(
    effects: EffectSizes, mu: Prior | None, tau: Prior | None, level: float
) -> tuple[float, MixtureMarginal | None]:
    """Log marginal likelihood and posterior of mu of one model; a prior of None fixes its parameter at zero."""
    if tau is not None:
        # a prior of no width at zero: the integral over tau at mu = 0
        fit = exact_fit(effects, Priors(mu or normal(0.0, _NO_WIDTH), tau), level=level)
        return fit.log_evidence, fit.mu if mu else None
    yi, vi = effects.yi, effects.vi
    if mu is None:
        return -0.5 * math.fsum(yi**2 / vi + np.log(2 * math.pi * vi)), None
    given = given_tau(yi[None], vi[None], np.zeros(1), mu_prior_components(mu, yi, vi))
    log_weight, centre, variance = (a[0, :, 0] for a in given)
    log_evidence = float(logsumexp(log_weight))
    weight = np.exp(log_weight - log_evidence)
    mean = float(weight @ centre)
    sd = math.sqrt(float(weight @ (variance + (centre - mean) ** 2)))
    m = MixtureMarginal("mu", effects.measure, level, mean, sd, (), weight, centre, np.sqrt(variance))
    return log_evidence, m


def prior_shares(weights: Mapping[str, float] | None, null: bool) -> dict[str, float]:
    """Prior probabilities of the four hypotheses."""
    allowed = HYPOTHESES if null else EFFECTS
    if not (weights is None or isinstance(weights, Mapping)):
        raise ValueError(f"weights must be a mapping from {'; '.join(allowed)} to numbers; got {weights!r}.")
    given = dict.fromkeys(allowed, 1.0) if weights is None else {h: float(w) for h, w in weights.items() if w != 0}
    unknown = [h for h in given if h not in allowed]
    if unknown:
        without = "" if null else " without null"
        raise ValueError(f"weights{without} must name {'; '.join(allowed)}; got {'; '.join(map(repr, unknown))}.")
    bad = [f"{h} ({w!r})" for h, w in given.items() if not (math.isfinite(w) and w > 0)]
    if bad:
        raise ValueError(f"weights must be finite and not negative; not so for {'; '.join(bad)}.")
    if not any(h in given for h in EFFECTS):
        raise ValueError(f"weights must be positive for {' or '.join(EFFECTS)}; got {dict(weights or {})!r}.")
    total = math.fsum(given.values())
    return {h: given.get(h, 0.0) / total for h in HYPOTHESES}


def require_proper_priors(several: Sequence[Priors], *, tested: bool) -> None:
    """Refuse priors that leave a Bayes factor undefined; ``tested``: whether mu = 0 is among the hypotheses."""
    for priors in several:
        if not priors.tau.proper:
            raise ValueError(
                f"averaging needs proper priors on tau: against tau = 0 the Bayes factor of {priors.tau} (priors "
                f"{priors.label}) is undefined. Choose one such as half_normal(0.5)."
            )
    improper = next((p for p in several if not p.mu.proper), None)
    if improper is None:
        return
    rest = "Choose a proper prior on mu such as normal(0, 2.82)"
    if tested:
        raise ValueError(
            f"averaging needs proper priors on mu: against mu = 0 the Bayes factor of {improper.mu} (priors "
            f"{improper.label}) is undefined. {rest}, or pass null=False to average over heterogeneity alone."
        )
    if any(p.mu.proper for p in several):
        others = "; ".join(dict.fromkeys(str(p.mu) for p in several if p.mu.proper))
        raise ValueError(
            f"averaging needs proper priors on mu where they differ: the Bayes factor of {improper.mu} (priors "
            f"{improper.label}) against {others} is undefined. {rest}, or one flat prior for all."
        )


def widen(prior: Prior, width: float) -> Prior:
    """A prior on mu with its scale multiplied by ``width``."""
    if prior.family not in _WIDTH_OF:
        raise ValueError(f"widths must be 1 for {prior} on mu, which has none; got {width!r}.")
    at = _WIDTH_OF[prior.family]
    values = (v * width if i == at else v for i, v in enumerate(prior.parameters))
    return Prior(prior.family, tuple(values), prior.source)
