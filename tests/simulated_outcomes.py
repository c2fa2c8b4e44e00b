"""Simulated and invented data of several outcomes, and a closed form to hold the models against."""

import numpy as np

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.model_data.outcomes import Outcomes

PRIORS = p.Priors(p.normal(0, 1.55), p.half_normal(0.3))
# invented: two outcomes of two and three trials that share none
APART = Outcomes(
    {
        "invented 1": EffectSizes(["a", "b"], [0.1, 0.9], [0.2, 0.3], "SMD"),
        "invented 2": EffectSizes(["c", "d", "e"], [-0.4, 0.1, 0.3], [0.25, 0.2, 0.4], "SMD"),
    }
)
# invented: three outcomes of four trials, none of which reports all
SHARED = Outcomes(
    {
        "A": EffectSizes("abc", [0.1, 0.5, 0.3], [0.2, 0.3, 0.25], "SMD"),
        "B": EffectSizes("bcd", [0.3, 0.6, 0.0], [0.3, 0.3, 0.2], "SMD"),
        "C": EffectSizes("ad", [0.0, -0.2], [0.2, 0.3], "SMD"),
    },
    rho_within=-0.3,
)


def design(k: int, outcomes: str = "ABC", *, trials_shared: bool = False) -> Outcomes:
    """Of each outcome k studies with standard errors of 0.15 to 0.5; their effects are to be simulated."""
    sei = np.random.default_rng(7).uniform(0.15, 0.5, (len(outcomes), k))
    return Outcomes(
        {
            label: EffectSizes(
                [f"{'' if trials_shared else label + ' '}simulated {i + 1}" for i in range(k)], np.zeros(k), s, "SMD"
            )
            for label, s in zip(outcomes, sei, strict=True)
        },
        rho_within=0.5 if trials_shared else None,
    )


def covariance(outcomes: Outcomes, trial: int, tau: np.ndarray, rho_between: float) -> np.ndarray:
    """Of the outcomes that the trial reports, S_i + Sigma written out."""
    reports = outcomes.reported[trial]
    s, t = outcomes.by_trial(outcomes.sei, 1.0)[trial][reports], tau[reports]
    one = np.eye(len(s))
    within, between = (rho + (1 - rho) * one for rho in (outcomes.rho_within, rho_between))
    return np.outer(s, s) * within + np.outer(t, t) * between
