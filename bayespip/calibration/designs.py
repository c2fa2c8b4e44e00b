"""The designs on which each model is calibrated: simulated trials, whose effects are drawn anew each time.

They take any number of studies: beyond five, sizes and standard errors repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle
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
NETWORK = (
    ("control", "pip", "cbt"),
    ("control", "pip"),
    ("cbt", "control"),
    ("cbt", "pip"),
    ("pip", "cbt", "control"),
)
SPREADS = np.array([[1.0, 0.7], [0.8, 1.2], [1.3, 1.0], [0.9, 1.1], [1.1, 0.9]])


@dataclass(frozen=True, slots=True)
class Design:
    """What a model is calibrated on.

    Attributes
    ----------
    model
        Name of the model; "exact" for the exact engine.
    data
        From a number of studies to data whose sizes or standard errors are those of the simulated trials.
    priors
        Proper priors on mu and tau.
    options
        Of the model.
    form
        What tells the data from those of the model's other designs.
    sizes
        Numbers of studies.
    """

    model: str
    data: Callable[[int], Any]
    priors: Priors = PRIORS
    options: Mapping[str, Hashable] = field(default_factory=dict)
    form: str = ""
    sizes: tuple[int, ...] = SIZES

    @property
    def label(self) -> str:
        """Model, form of the data, and options."""
        parts = (self.model, self.form, *(f"{name} {value}" for name, value in self.options.items()))
        return ", ".join(part for part in parts if part)


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
    return EffectSizes(trials(k), np.zeros(k), np.resize(SEI, k), "SMD")


def counts(k: int, measure: str) -> Any:
    """Arms of 25 to 150 participants."""
    from bayespip.model_data.two_arms import Counts

    (n_e, n_c), none = np.resize(PARTICIPANTS, (k, 2)).T, np.zeros(k)
    return Counts(trials(k), none, n_e, none, n_c, measure)


def means(k: int, measure: str) -> Any:
    """Arms of 5 to 40 participants."""
    from bayespip.model_data.two_arms import Means

    (n_e, n_c), (sd_e, sd_c) = np.resize(SMALL_ARMS, (k, 2)).T, np.resize(SPREADS, (k, 2)).T
    none = np.zeros(k)
    return Means(trials(k), none, sd_e, n_e, none, sd_c, n_c, measure)


def outcomes(k: int, labels: str, *, shared: bool) -> Any:
    """Outcomes of k studies each, of the same trials or of others."""
    from bayespip.model_data.outcomes import Outcomes

    sei = np.random.default_rng(7).uniform(0.15, 0.5, (len(labels), k))
    names = {label: trials(k) if shared else [f"{label} {trial}" for trial in trials(k)] for label in labels}
    parts = {label: EffectSizes(names[label], np.zeros(k), s, "SMD") for label, s in zip(labels, sei, strict=True)}
    return Outcomes(parts, rho_within=0.5 if shared else None)


def moderated(k: int) -> Any:
    """The weeks that a programme lasted and, with more than two trials, their risk of bias."""
    import pandas as pd

    from bayespip.model_data.moderators import ModeratedEffects

    table = pd.DataFrame({"study": trials(k), "weeks": np.resize([10.0, 20.0, 12.0, 30.0, 25.0], k)})
    if k > 2:
        table["risk"] = np.resize(["low", "high", "high", "low", "low"], k)
    return ModeratedEffects(effects(k), table)


def biased(k: int) -> Any:
    """Every other trial at high risk of a bias of 0.3, give or take 0.2."""
    from bayespip.model_data.bias import BiasedEffects

    return BiasedEffects(effects(k), np.arange(k) % 2 == 0, 0.3, 0.2, favours="higher")


def discounted(k: int) -> Any:
    """Every other trial at high risk of bias, its likelihood to the power 1/2."""
    from bayespip.model_data.bias import DiscountedEffects

    return DiscountedEffects(effects(k), np.arange(k) % 2 == 0, 0.5)


def categories(k: int) -> Any:
    """Four categories in two trials; three in more, which have as many parameters."""
    from bayespip.model_data.categories import Categories

    control = {"secure": 0.55, "avoidant": 0.15, "resistant": 0.1, "disorganised": 0.2}
    if k > 2:
        control = {"secure": 0.5, "avoidant": 0.2, "resistant": 0.3}
    sizes = np.outer(np.resize(PARTICIPANTS[:, 0], k), np.eye(len(control))[0])
    return Categories(trials(k), sizes, sizes, list(control), "secure", control=control)


def to_come(k: int, *, robust: bool) -> Any:
    """A trial to come with a standard error of 0.25, beside earlier evidence of 0.5, give or take 0.2, or none."""
    from bayespip.model_data.new_trials import TrialToCome
    from bayespip.new_evidence.robust_priors import robust_prior

    earlier = robust_prior(0.5, 0.2, weight=0.5, vague=PRIORS.mu, measure="SMD", source="simulated")
    return TrialToCome(effects(k), 0.25, earlier if robust else None)


def network(k: int, *, split: bool = False) -> Any:
    """Trials of two and three arms in turn, on three treatments; split, with control against pip apart."""
    from bayespip.model_data.network_trials import Trial
    from bayespip.model_data.networks import Network

    sd = np.random.default_rng(7).uniform(0.1, 0.35, (k, 3))
    made = []
    for label, arms, own in zip(trials(k), cycle(NETWORK), sd, strict=False):
        n = len(arms) - 1
        made.append(Trial(label, arms, np.zeros(n), np.diag(own[1 : n + 1] ** 2) + own[0] ** 2))
    whole = Network(made, "SMD")
    return whole.split_at("control", "pip") if split else whole


# wide enough for the ends of the scale, -1 and 1, to matter
_DIFFERENCE_PRIORS = Priors(p.normal(0, 0.5), p.half_normal(0.3))
_OUTCOME_PRIORS = Priors(p.normal(0, 1.55), p.half_normal(0.3))

DESIGNS: tuple[Design, ...] = (
    Design("exact", effects),
    Design("normal_normal", effects),
    Design("normal_normal", effects, options={"parameterisation": "non-centred"}),
    Design("binomial_normal", lambda k: counts(k, "OR"), options={"baseline": "fixed"}),
    Design("binomial_normal", lambda k: counts(k, "OR"), options={"baseline": "random"}),
    Design("beta_binomial", lambda k: counts(k, "OR")),
    Design("binomial_rr", lambda k: counts(k, "RR"), options={"baseline": "fixed"}),
    Design("binomial_rr", lambda k: counts(k, "RR"), options={"baseline": "random"}),
    Design("binomial_rd", lambda k: counts(k, "RD"), _DIFFERENCE_PRIORS, {"baseline": "fixed"}),
    Design("binomial_rd", lambda k: counts(k, "RD"), _DIFFERENCE_PRIORS, {"baseline": "random"}),
    Design("pooled_tau", lambda k: outcomes(k, "ABC", shared=False), _OUTCOME_PRIORS),
    Design("pooled_tau", lambda k: outcomes(k, "ABC", shared=False), _OUTCOME_PRIORS, {"across": "half-normal"}),
    Design("multivariate", lambda k: outcomes(k, "AB", shared=True), _OUTCOME_PRIORS),
    Design("student_t", effects),
    Design("normal_arms", lambda k: means(k, "MD"), form="MD"),
    Design("normal_arms", lambda k: means(k, "MD"), options={"equal_variances": True}, form="MD"),
    Design("normal_arms", lambda k: means(k, "SMD"), form="SMD"),
    Design("meta_regression", moderated),
    Design("bias_adjusted", biased),
    Design("power_prior", discounted),
    Design("attachment", categories),
    Design("network", network, _OUTCOME_PRIORS),
    Design("network", lambda k: network(k, split=True), _OUTCOME_PRIORS, form="split", sizes=(5,)),
    Design("new_trial", lambda k: to_come(k, robust=False)),
    Design("new_trial", lambda k: to_come(k, robust=True), form="robust"),
)
