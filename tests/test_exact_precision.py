"""The exact engine where it is hard: against 30-digit values pinned beside the script that made them, against
two-dimensional quadrature for Student-t priors on mu, and against brute force over mu, tau and theta.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit

# Of the posterior SD (of a probability or a log: absolute). Panels are resolved to 1e-12 of the integral.
TOLERANCE = 1e-9
LEVELS = (0.025, 0.5, 0.975)
PINNED = json.loads(Path(__file__).with_name("reference").joinpath("exact_hard_cases.json").read_text("utf-8"))
CASES = {case["name"]: case for case in PINNED["cases"]}


def effects_of(yi, sei):
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, "MD")


def fit_of(case):
    mu = pr.normal(*case["mu"]) if case["mu"] else pr.flat()
    family, *parameters = case["tau"]
    return exact_fit(effects_of(case["yi"], case["sei"]), pr.Priors(mu, getattr(pr, family)(*parameters)))


def test_the_pinned_cases_are_all_there():
    assert len(CASES) == len(PINNED["cases"]) == 26
    assert sum(len(case["exact"]) for case in CASES.values()) == 26 * 10 - 2


@pytest.mark.parametrize("name", CASES)
def test_hard_cases(name):
    fit, exact = fit_of(CASES[name]), CASES[name]["exact"]
    # the digits that yi itself has: a location cannot be had to more
    digits = 4 * np.spacing(np.abs(CASES[name]["yi"]).max())
    found = {
        "log_evidence": fit.log_evidence,
        "tau_mean": fit.tau.mean,
        "tau_sd": fit.tau.sd,
        "mu_mean": fit.mu.mean,
        "mu_sd": fit.mu.sd,
        "prob_positive": fit.prob_positive,
    }
    for key, value in found.items():
        if key not in exact:
            assert math.isinf(value)
            continue
        parameter = key.split("_")[0]
        scale = float(exact.get(f"{parameter}_sd", 1.0))
        # a log density of dozens of studies rounds in its own size
        rounding = 1e-14 * abs(float(exact[key])) if key == "log_evidence" else digits
        assert abs(value - float(exact[key])) <= TOLERANCE * scale + rounding, key
    marginals = {
        "mu": fit.mu,
        "tau": fit.tau,
        "theta_new": fit.theta_new,
        "theta_first": fit.theta["study 0"],
    }
    for parameter, marginal in marginals.items():
        wanted = np.array(exact[f"{parameter}_quantiles"], dtype=float)
        scale = (wanted[2] - wanted[0]) / 4
        assert np.abs(marginal.quantile(LEVELS) - wanted).max() <= TOLERANCE * scale + digits, parameter


class Grid:
    """The joint posterior of mu and tau under a Student-t prior on mu, on a grid of both: no mixture, nothing
    in closed form but the likelihood of the y_i given mu and tau.

    Gauss-Legendre panels in asinh of mu about its prior, with a split at every point asked for, and the
    trapezoidal rule in log tau.
    """

    def __init__(self, yi, sei, mu, tau, splits):
        (location, scale, df), step = mu, 1 / 16
        log_tau = np.arange(math.log(min(sei)) - 30, 30, step)
        t = np.exp(log_tau)
        u, width = self._nodes(location, min(sei) / 4, splits)
        self.mu = location + min(sei) / 4 * np.sinh(u)
        log_joint = tau.logpdf(t) + log_tau + math.log(step)
        log_joint = log_joint + stats.t(df, location, scale).logpdf(self.mu)[:, None]
        for y, s in zip(yi, sei, strict=True):
            total = s**2 + t**2
            log_joint -= 0.5 * (np.log(2 * np.pi * total) + (y - self.mu[:, None]) ** 2 / total)
        log_joint += np.log(width * min(sei) / 4 * np.cosh(u))[:, None]
        self.log_evidence = float(special.logsumexp(log_joint))
        joint = np.exp(log_joint - self.log_evidence)
        self.weight = joint.sum(axis=1)
        self.tau, self.tau_weight = t, joint.sum(axis=0)

    @staticmethod
    def _nodes(location, unit, splits):
        edges = np.unique(np.concatenate([np.arange(-45, 45.1, 0.125), np.arcsinh((splits - location) / unit)]))
        nodes, weights = np.polynomial.legendre.leggauss(16)
        half = np.diff(edges)[:, None] / 2
        return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()

    def below(self, x):
        return float(self.weight[self.mu < x].sum())


STUDENT_T = {
    "k = 1": ([0.4], [0.3], (0.0, 1.0, 3.0), pr.half_normal(0.5)),
    "k = 1, Cauchy": ([0.4], [0.3], (0.0, 1.0, 1.0), pr.half_normal(0.5)),
    "k = 1, Cauchy, heavy tau": ([0.4], [0.3], (0.0, 0.5, 1.0), pr.half_t(0.5, 3)),
    "k = 2": ([0.3, 0.8], [0.2, 0.35], (0.0, 1.0, 5.0), pr.half_normal(0.5)),
    "k = 2, Cauchy and half-Cauchy": ([0.3, 0.8], [0.2, 0.35], (0.0, 1.0, 1.0), pr.half_cauchy(0.5)),
    "k = 5": ([0.3, 0.8, -0.1, 0.4, 0.2], [0.2, 0.35, 0.3, 0.1, 0.25], (0.5, 0.3, 3.0), pr.half_normal(0.5)),
    "conflict, z = 30, df 1": ([3.0, 3.2], [0.1, 0.12], (0.0, 0.1, 1.0), pr.half_normal(0.5)),
    "conflict, z = 30, df 3": ([3.0, 3.2], [0.1, 0.12], (0.0, 0.1, 3.0), pr.half_normal(0.5)),
    "conflict, z = 30, df 5": ([3.0, 3.2], [0.1, 0.12], (0.0, 0.1, 5.0), pr.half_normal(0.05)),
    "df 0.5": ([0.3, 0.8], [0.2, 0.35], (0.0, 1.0, 0.5), pr.half_normal(0.5)),
    "df 30": ([0.3, 0.8], [0.2, 0.35], (0.0, 0.2, 30.0), pr.half_normal(0.5)),
    "df 100": ([0.3, 0.8], [0.2, 0.35], (0.0, 0.2, 100.0), pr.half_normal(0.5)),
    "df 1e6": ([0.3, 0.8], [0.2, 0.35], (0.0, 0.2, 1e6), pr.half_normal(0.5)),
}
# What is asked of Student-t priors, in posterior SDs.
STUDENT_T_TOLERANCE = 1e-8


@pytest.mark.parametrize("name", STUDENT_T)
def test_student_t_priors_on_mu_agree_with_two_dimensional_quadrature(name):
    yi, sei, mu, tau = STUDENT_T[name]
    fit = exact_fit(effects_of(yi, sei), pr.Priors(pr.student_t(*mu), tau))
    limits = fit.mu.quantile(LEVELS)
    grid = Grid(yi, sei, mu, tau, np.append(limits, 0.0))
    assert fit.log_evidence == pytest.approx(grid.log_evidence, abs=STUDENT_T_TOLERANCE)
    for p, limit in zip(LEVELS, limits, strict=True):
        distance = (grid.below(limit) - p) / fit.mu.pdf(limit)
        assert abs(distance) <= STUDENT_T_TOLERANCE * (limits[2] - limits[0]) / 4
    mean = float(grid.weight @ grid.mu)
    sd = math.sqrt(float(grid.weight @ (grid.mu - mean) ** 2))
    assert fit.mu.mean == pytest.approx(mean, abs=STUDENT_T_TOLERANCE * sd)
    assert fit.mu.sd == pytest.approx(sd, rel=STUDENT_T_TOLERANCE)
    assert fit.tau.mean == pytest.approx(float(grid.tau_weight @ grid.tau), rel=STUDENT_T_TOLERANCE)
    assert fit.prob_positive == pytest.approx(1 - grid.below(0.0), abs=STUDENT_T_TOLERANCE)


def test_many_degrees_of_freedom_are_a_normal_prior():
    effects = effects_of([0.3, 0.8], [0.2, 0.35])
    student = exact_fit(effects, pr.Priors(pr.student_t(0, 0.5, 1e12), pr.half_normal(0.5)))
    normal = exact_fit(effects, pr.Priors(pr.normal(0, 0.5), pr.half_normal(0.5)))
    for name in ("mu", "tau", "theta_new"):
        ours, wanted = getattr(student, name).quantile(LEVELS), getattr(normal, name).quantile(LEVELS)
        assert ours == pytest.approx(wanted, abs=1e-10)


def test_study_effects_and_predictions_agree_with_brute_force():
    """All of tau, mu and theta on a grid, for k = 2: theta_1 and theta_new from the joint density alone.

    A prior on tau that stays away from zero lets the trapezoidal rule see every normal at half of its SD.
    """
    yi, sei, priors = (
        [0.3, 0.8],
        [0.2, 0.35],
        pr.Priors(pr.normal(0.1, 0.7), pr.log_normal(math.log(0.4), 0.2)),
    )
    fit = exact_fit(effects_of(yi, sei), priors)
    x = np.linspace(-9, 9, 601)
    step, log_step = x[1] - x[0], 0.04
    mu_prior = stats.norm(0.1, 0.7).pdf(x)
    joint_first, joint_new = np.zeros_like(x), np.zeros_like(x)
    for log_tau in np.arange(math.log(0.4) - 1.8, math.log(0.4) + 1.8, log_step):
        tau = math.exp(log_tau)
        between = stats.norm.pdf(x[:, None], x[None, :], tau)  # theta by mu
        within = [stats.norm.pdf(y, x, s) for y, s in zip(yi, sei, strict=True)]
        given_mu = [between.T @ w * step for w in within]  # theta integrated out, on the grid of mu
        prior = float(np.exp(priors.tau.logpdf(tau))) * tau
        joint_first += prior * within[0] * (between @ (mu_prior * given_mu[1])) * step
        joint_new += prior * (between @ (mu_prior * given_mu[0] * given_mu[1])) * step
    evidence = joint_first.sum() * step * log_step
    assert fit.log_evidence == pytest.approx(math.log(evidence), abs=1e-11)
    for marginal, joint in ((fit.theta["study 0"], joint_first), (fit.theta_new, joint_new)):
        density = joint / (joint.sum() * step)
        assert np.abs(marginal.pdf(x) - density).max() <= 1e-11 * density.max()
        mean = (density * x).sum() * step
        assert marginal.mean == pytest.approx(mean, abs=1e-11)
        assert marginal.sd == pytest.approx(math.sqrt((density * (x - mean) ** 2).sum() * step), abs=1e-11)


def test_effects_beyond_double_precision_are_refused_in_words():
    effects = EffectSizes(["a", "b"], [1e50, -1e50], [1e-3, 1e-3], "MD")
    with pytest.raises(ValueError, match="too far apart"):
        exact_fit(effects, pr.Priors(pr.flat(), pr.half_normal(0.5)))
