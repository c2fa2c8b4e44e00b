"""Invented and simulated networks, and their matrices written out."""

import numpy as np

from bayespip import priors as p
from bayespip.model_data.network_trials import Trial
from bayespip.model_data.networks import Network

PRIORS = p.Priors(p.normal(0, 1.55), p.half_normal(0.3))


def pair(label: str, first: str, second: str, yi: float, sei: float) -> Trial:
    return Trial(label, (first, second), np.array([yi]), np.array([[sei**2]]))


# invented: a triangle of trials of two arms
TRIANGLE = Network(
    [
        pair("invented 1", "control", "pip", -0.3, 0.2),
        pair("invented 2", "control", "pip", -0.6, 0.3),
        pair("invented 3", "control", "cbt", -0.2, 0.25),
        pair("invented 4", "cbt", "pip", 0.1, 0.2),
        pair("invented 5", "pip", "cbt", 0.4, 0.35),
    ],
    "SMD",
)
# invented: the same and one trial of three arms, one of four, whose first arms differ
MANY = Network(
    [
        *TRIANGLE.trials,
        Trial("invented 6", ("cbt", "control", "pip"), np.array([0.3, -0.1]), np.array([[0.09, 0.03], [0.03, 0.08]])),
        Trial(
            "invented 7",
            ("control", "pip", "support", "cbt"),
            np.array([-0.5, -0.1, -0.2]),
            np.diag([0.03, 0.05, 0.04]) + 0.025,
        ),
    ],
    "SMD",
)


def design(k: int) -> Network:
    """k trials, of two and three arms in turn, on three treatments; their effects are to be simulated."""
    sd = np.random.default_rng(7).uniform(0.1, 0.35, (k, 3))
    arms = [
        ("control", "pip", "cbt"),
        ("control", "pip"),
        ("cbt", "control"),
        ("cbt", "pip"),
        ("pip", "cbt", "control"),
    ]
    trials = []
    for i in range(k):
        n = len(arms[i % 5]) - 1
        cov = np.diag(sd[i, 1 : n + 1] ** 2) + sd[i, 0] ** 2
        trials.append(Trial(f"design {i + 1}", arms[i % 5], np.zeros(n), cov))
    return Network(trials, "SMD")


def written_out(network: Network, tau: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of consistent effects: y, their design against the reference and their covariance, all trials in one."""
    treatments = network.treatments[1:]
    y = np.concatenate([trial.yi for trial in network.trials])
    x, v = np.zeros((len(y), len(treatments))), np.zeros((len(y), len(y)))
    at = 0
    for trial in network.trials:
        n = len(trial.yi)
        for j, arm in enumerate(trial.arms[1:]):
            for treatment, sign in ((arm, 1), (trial.arms[0], -1)):
                if treatment in treatments:
                    x[at + j, treatments.index(treatment)] += sign
        own = slice(at, at + n)
        v[own, own] = trial.cov + tau**2 * np.where(np.eye(n) > 0, 1, 0.5)
        at += n
    return y, x, v
