"""Bayesian model averaging: common effect or random effects, with and without an effect.

Four hypotheses, as in Gronau et al. 2017 (Compr Results Soc Psychol 2:123) and 2021 (AMPPS 4(3)), metaBMA and
RoBMA: tau = 0 or free, crossed with mu = 0 or free. Their marginal likelihoods are exact here, those of the
exact engine. With prior model probabilities p(M) the inclusion Bayes factor of a set A of models is

    [sum_A p(M | y) / sum_notA p(M | y)] / [sum_A p(M) / sum_notA p(M)].
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import logsumexp

from bayespip.exact.marginals import MixtureMarginal
from bayespip.hypotheses import (
    EFFECTS,
    HYPOTHESES,
    NULLS,
    Model,
    fit_model,
    prior_shares,
    require_proper_priors,
    widen,
)
from bayespip.priors import Priors
from bayespip.spiked import SpikedMarginal
from bayespip.text import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes

__all__ = ["HYPOTHESES", "Averaged", "Model", "average"]

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


class Inclusion(NamedTuple):
    """Prior and posterior probability of a component, and the log of its inclusion Bayes factor."""

    prior_prob: float
    posterior_prob: float
    log_bf: float


def average(
    effects: EffectSizes,
    priors: Priors | Sequence[Priors],
    *,
    weights: Mapping[str, float] | None = None,
    null: bool = True,
    level: float = 0.95,
) -> Averaged:
    """Average over models of a common effect and of random effects, with and without an effect.

    Parameters
    ----------
    effects
        Study effects, on the model scale.
    priors
        One or several. Each gives four models: tau = 0 or under its prior, mu = 0 or under its prior. Several
        share the probability of a hypothesis equally; models that they have in common are counted once, with
        the sum of the shares.
    weights
        Prior weights of the hypotheses by name, not necessarily summing to one; those left out get zero.
        Default: equal.
    null
        Whether mu = 0 is among the hypotheses; False averages over heterogeneity alone.
    level
        Probability of the intervals.

    Raises
    ------
    ValueError
        If a prior on tau is improper, or one on mu where mu = 0 is a hypothesis or where priors on mu differ
        (Bayes factors are undefined then: Jeffreys 1961, section 5.0); or if a weight is not as described.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> averaged = bp.average(invented, weak)
    >>> round(averaged.effect.posterior_prob, 3), round(averaged.mu.point, 3)
    (0.413, 0.0)
    """
    several = (priors,) if isinstance(priors, Priors) else tuple(priors)
    if not several or not all(isinstance(p, Priors) for p in several):
        raise ValueError(f"priors must be Priors or a sequence of them; got {priors!r}.")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    shares = prior_shares(weights, null)
    require_proper_priors(several, tested=any(shares[h] for h in NULLS))
    models = []
    for hypothesis, total in shares.items():
        pairs = Counter(
            (p.mu if hypothesis in EFFECTS else None, p.tau if hypothesis.startswith("random") else None)
            for p in several
        )
        for (mu, tau), times in pairs.items():
            if total > 0:
                fitted = fit_model(effects, mu, tau, level)
                models.append(Model(hypothesis, mu, tau, total * times / len(several), *fitted))
    return Averaged(effects, several, shares, level, tuple(models))


@dataclass(frozen=True, eq=False)
class Averaged:
    """Models weighted by their posterior probabilities.

    Attributes
    ----------
    effects, priors, level
        What was averaged.
    weights
        Prior probabilities of the four hypotheses.
    models
        The distinct models.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> averaged = bp.average(invented, weak, null=False)
    >>> [model.hypothesis for model in averaged.models], averaged.probabilities.round(3)
    (['common, mu free', 'random, mu free'], array([0.529, 0.471]))
    """

    effects: EffectSizes
    priors: tuple[Priors, ...]
    weights: Mapping[str, float]
    level: float
    models: tuple[Model, ...]

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Posterior model probabilities, in the order of ``models``."""
        return _normalised(self._log_joint)

    @cached_property
    def effect(self) -> Inclusion:
        """Evidence for an effect: mu free against mu = 0."""
        return self._inclusion([m.hypothesis in EFFECTS for m in self.models])

    @cached_property
    def heterogeneity(self) -> Inclusion:
        """Evidence for heterogeneity: random effects against a common effect."""
        return self._inclusion([m.tau is not None for m in self.models])

    @cached_property
    def mu_given_effect(self) -> MixtureMarginal:
        """Posterior of mu given that there is an effect: averaged over the models with mu free, as in metaBMA."""
        parts = [(p, m.posterior) for p, m in zip(self._given_effect, self.models, strict=True) if m.posterior]
        mean = math.fsum(p * m.mean for p, m in parts)
        variance = math.fsum(p * (m.sd**2 + (m.mean - mean) ** 2) for p, m in parts)
        notes = tuple(dict.fromkeys(note for _, m in parts for note in m.notes))
        return MixtureMarginal(
            "mu", self.effects.measure, self.level, mean, math.sqrt(variance), notes,
            np.concatenate([p * m.weight for p, m in parts]),
            np.concatenate([m.mean_given for _, m in parts]),
            np.concatenate([m.sd_given for _, m in parts]),
        )  # fmt: skip

    @cached_property
    def mu(self) -> SpikedMarginal:
        """Posterior of mu over all models, with the probability of mu = 0 as a spike there, as in RoBMA."""
        spike = math.fsum(p for p, m in zip(self.probabilities, self.models, strict=True) if m.posterior is None)
        return SpikedMarginal.around(self.mu_given_effect, spike)

    @property
    def prob_positive(self) -> float:
        """P(mu > 0 | data) over all models, on the model scale; P(mu < 0) is less than the rest by the spike."""
        return self.mu.prob_greater(0.0)

    @property
    def method(self) -> str:
        """Name used in tables."""
        return "exact model average"

    @property
    def prior(self) -> str:
        """Labels of the priors."""
        return "; ".join(p.label for p in self.priors)

    def table(self) -> pd.DataFrame:
        """The models.

        Returns
        -------
        DataFrame
            One row a model: hypothesis, mu_prior and tau_prior ("0" where the parameter is zero), prior_prob,
            posterior_prob, log_evidence, bf_inclusion (this model against the average of the others), and of mu
            point, lower, upper on the display scale.
        """
        import pandas as pd

        rows = []
        for i, (model, prob) in enumerate(zip(self.models, self.probabilities, strict=True)):
            m = model.posterior
            mu = self.effects.measure.display([m.point, m.lower, m.upper] if m else [0.0, 0.0, 0.0])
            bf = _exp(self._inclusion([j == i for j in range(len(self.models))]).log_bf)
            priors = ("0" if p is None else str(p) for p in (model.mu, model.tau))
            rows.append((model.hypothesis, *priors, model.prior_prob, prob, model.log_evidence, bf, *mu))
        return pd.DataFrame(rows, columns=_MODEL_COLUMNS)

    def estimates(self) -> pd.DataFrame:
        """The averaged mu.

        Returns
        -------
        DataFrame
            Two rows, "effect present" and "all models": probability of what is given, spike at mu = 0, mean and
            sd on the model scale, point (median), lower, upper on the display scale, level, prob_positive,
            prob_negative.
        """
        import pandas as pd

        rows = []
        for given, prob, m in (
            ("effect present", self.effect.posterior_prob, SpikedMarginal.around(self.mu_given_effect, 0.0)),
            ("all models", 1.0, self.mu),
        ):
            shown = self.effects.measure.display([m.point, m.lower, m.upper])
            signs = m.prob_greater(0.0), m.prob_less(0.0)
            rows.append((given, prob, m.spike, m.mean, m.sd, *shown, self.level, *signs))
        return pd.DataFrame(rows, columns=_ESTIMATE_COLUMNS)

    def evidence(self, widths: Iterable[float] = WIDTHS) -> pd.DataFrame:
        """Inclusion Bayes factors, and what they would be under wider and narrower priors on mu.

        Parameters
        ----------
        widths
            Factors on the scale of every prior on mu; 1 is what was averaged.

        Returns
        -------
        DataFrame
            One row a width and component (effect, heterogeneity): width, mu_prior, component, prior_prob,
            posterior_prob, bf10, bf01 (nan where every model agrees on the component).

        Raises
        ------
        ValueError
            If a width is not positive and finite, or not 1 although a prior on mu is flat and has no width.
        """
        import pandas as pd

        rows = []
        for width in widths:
            other = self._widened(float(width))
            mus = "; ".join(dict.fromkeys(str(p.mu) for p in other.priors))
            for name, found in (("effect", other.effect), ("heterogeneity", other.heterogeneity)):
                bfs = _exp(found.log_bf), _exp(-found.log_bf)
                rows.append((width, mus, name, found.prior_prob, found.posterior_prob, *bfs))
        return pd.DataFrame(rows, columns=_EVIDENCE_COLUMNS)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What must be read beside the numbers: the part of the priors in them, moments that do not exist."""
        if math.isnan(self.effect.log_bf):
            evidence = "mu = 0 is not among the models: they hold no evidence for or against an effect."
        else:
            half, once, double = (wording.number(_exp(-self._widened(w).effect.log_bf)) for w in (0.5, 1.0, 2.0))
            evidence = (
                f"BF01, no effect against an effect, is {once} under the priors on mu as given, {half} under priors "
                f"half as wide and {double} under priors twice as wide: as they widen it grows without bound, "
                "whatever the data (Lindley 1957, Biometrika 44:187; Bartlett 1957, 44:533)."
            )
        return (evidence, *self.mu_given_effect.notes)

    def __str__(self) -> str:
        null = self.effects.measure.null
        lines = [f"{wording.count(len(self.models), 'model')} of k = {self.effects.k} studies; {self.prior}"]
        for name, found in (("effect", self.effect), ("heterogeneity", self.heterogeneity)):
            probs = (wording.probability(p) for p in (found.prior_prob, found.posterior_prob))
            lines.append(f"{name}: probability {' -> '.join(probs)}, BF10 {wording.number(_exp(found.log_bf))}")
        for row in self.estimates().itertuples():
            mu = wording.estimate(float(str(row.point)), float(str(row.lower)), float(str(row.upper)), null)
            lines.append(f"mu, {row.given}: {self.effects.measure.name} {mu}")
        return "\n".join([*lines, *self.notes])

    @cached_property
    def _log_joint(self) -> NDArray[np.float64]:
        return np.array([math.log(m.prior_prob) + m.log_evidence for m in self.models])

    @cached_property
    def _given_effect(self) -> NDArray[np.float64]:
        """Posterior model probabilities given an effect; not by division, which underflows where there is none."""
        return _normalised(np.where([m.posterior is not None for m in self.models], self._log_joint, -np.inf))

    def _inclusion(self, inside: list[bool]) -> Inclusion:
        chosen, prior = np.array(inside), np.array([m.prior_prob for m in self.models])
        if chosen.all() or not chosen.any():
            return Inclusion(float(chosen.all()), float(chosen.all()), math.nan)
        log_odds = logsumexp(self._log_joint[chosen]) - logsumexp(self._log_joint[~chosen])
        log_bf = float(log_odds - math.log(prior[chosen].sum() / prior[~chosen].sum()))
        return Inclusion(float(prior[chosen].sum()), float(self.probabilities[chosen].sum()), log_bf)

    def _widened(self, width: float) -> Averaged:
        if not (math.isfinite(width) and width > 0):
            raise ValueError(f"widths must be positive and finite; got {width!r}.")
        if width == 1:
            return self
        priors = [Priors(widen(p.mu, width), p.tau, p.name) for p in self.priors]
        null = any(self.weights[h] for h in NULLS)
        return average(self.effects, priors, weights=self.weights, null=null, level=self.level)


_MODEL_COLUMNS = [
    "hypothesis", "mu_prior", "tau_prior", "prior_prob", "posterior_prob", "log_evidence", "bf_inclusion",
    "point", "lower", "upper",
]  # fmt: skip
_ESTIMATE_COLUMNS = [
    "given", "probability", "spike", "mean_model", "sd_model", "point", "lower", "upper", "level",
    "prob_positive", "prob_negative",
]  # fmt: skip
_EVIDENCE_COLUMNS = ["width", "mu_prior", "component", "prior_prob", "posterior_prob", "bf10", "bf01"]


def _normalised(log_weight: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _exp(log_bf: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(log_bf))
