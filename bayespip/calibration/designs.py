"""The designs on which each model is calibrated: simulated trials, whose effects are drawn anew each time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.priors import Priors

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

__all__ = ["DESIGNS", "SIZES", "Design", "designs"]

SIZES = (2, 5)  # numbers of studies
PRIORS = Priors(p.normal(0, 1), p.half_normal(0.5))
SEI = np.array([0.2, 0.35, 0.1, 0.4, 0.8])
PARTICIPANTS = np.array([[40, 45], [60, 55], [100, 110], [25, 30], [150, 140]])
SMALL_ARMS = np.array([[8, 7], [5, 9], [12, 10], [20, 25], [40, 35]])
SPREADS = np.array([[1.0, 0.7], [0.8, 1.2], [1.3, 1.0], [0.9, 1.1], [1.1, 0.9]])


@dataclass(frozen=True, slots=True)
class Design:
    """What a model is calibrated on.

    Attributes
    ----------
    model
        Name of the model.
    data
        From a number of studies to data whose sizes or standard errors are those of the simulated trials.
    priors
        Proper priors on mu and tau.
    options
        Of the model.
    """

    model: str
    data: Callable[[int], Any]
    priors: Priors = PRIORS
    options: Mapping[str, Hashable] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Model and options."""
        return ", ".join([self.model, *(f"{name} {value}" for name, value in self.options.items())])


def designs(model: str) -> tuple[Design, ...]:
    """The designs of one model: one a form of it.

    Raises
    ------
    ValueError
        If it has none; the message lists the choices.
    """
    found = tuple(design for design in DESIGNS if design.model == model)
    if not found:
        choices = ", ".join(dict.fromkeys(design.model for design in DESIGNS))
        raise ValueError(f"model must be one of {choices}; got {model!r}.")
    return found


def trials(k: int) -> list[str]:
    """Labels of simulated trials."""
    return [f"simulated {i + 1}" for i in range(k)]


def effects(k: int) -> EffectSizes:
    """Effects with standard errors from 0.1 to 0.8."""
    return EffectSizes(trials(k), np.zeros(k), SEI[:k], "SMD")


def counts(k: int, measure: str) -> Any:
    """Arms of 25 to 150 participants."""
    from bayespip.two_arms import Counts

    (n_e, n_c), none = PARTICIPANTS[:k].T, np.zeros(k)
    return Counts(trials(k), none, n_e, none, n_c, measure)


def means(k: int, measure: str) -> Any:
    """Arms of 5 to 40 participants."""
    from bayespip.two_arms import Means

    (n_e, n_c), (sd_e, sd_c), none = SMALL_ARMS[:k].T, SPREADS[:k].T, np.zeros(k)
    return Means(trials(k), none, sd_e, n_e, none, sd_c, n_c, measure)


def outcomes(k: int, labels: str, *, shared: bool) -> Any:
    """Outcomes of k studies each, of the same trials or of others."""
    from bayespip.outcomes import Outcomes

    sei = np.random.default_rng(7).uniform(0.15, 0.5, (len(labels), k))
    names = {label: trials(k) if shared else [f"{label} {trial}" for trial in trials(k)] for label in labels}
    parts = {label: EffectSizes(names[label], np.zeros(k), s, "SMD") for label, s in zip(labels, sei, strict=True)}
    return Outcomes(parts, rho_within=0.5 if shared else None)


def biased(k: int) -> Any:
    """Every other trial at high risk of a bias of 0.3, give or take 0.2."""
    from bayespip.bias import BiasedEffects

    return BiasedEffects(effects(k), np.arange(k) % 2 == 0, 0.3, 0.2, favours="higher")


def discounted(k: int) -> Any:
    """Every other trial at high risk of bias, its likelihood to the power 1/2."""
    from bayespip.bias import DiscountedEffects

    return DiscountedEffects(effects(k), np.arange(k) % 2 == 0, 0.5)


_OUTCOME_PRIORS = Priors(p.normal(0, 1.55), p.half_normal(0.3))

DESIGNS: tuple[Design, ...] = (
    Design("normal_normal", effects),
    Design("normal_normal", effects, options={"parameterisation": "non-centred"}),
    Design("binomial_normal", lambda k: counts(k, "OR"), options={"baseline": "fixed"}),
    Design("binomial_normal", lambda k: counts(k, "OR"), options={"baseline": "random"}),
    Design("pooled_tau", lambda k: outcomes(k, "ABC", shared=False), _OUTCOME_PRIORS),
    Design("pooled_tau", lambda k: outcomes(k, "ABC", shared=False), _OUTCOME_PRIORS, {"across": "half-normal"}),
    Design("multivariate", lambda k: outcomes(k, "AB", shared=True), _OUTCOME_PRIORS),
    Design("student_t", effects),
    Design("normal_arms", lambda k: means(k, "MD")),
    Design("normal_arms", lambda k: means(k, "SMD")),
    Design("bias_adjusted", biased),
    Design("power_prior", discounted),
)
