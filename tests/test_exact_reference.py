"""The exact engine against the reference file: 19 data sets under 302 pairs of priors, 298 of them proper.

The reference is an independent quadrature that its README calls good to about 1e-10.
"""

import math

import numpy as np
import pytest
from reference_data import load_reference
from scipy import stats

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit

# As the project promises; of the posterior SD for what has a scale, absolute for probabilities and logs.
# The largest difference met is 8e-8, in the log evidence at mu = 0 of cochran1954 under half-normal(0.5):
# there the reference is off (mpmath gives -617.023164359385595). Everywhere else it is below 1e-9.
TOLERANCE = 1e-6

DATASETS = (
    "baeten2013_plo",
    "bcg_rd",
    "bcg_rr",
    "bcg_rr_2study",
    "cochran1954",
    "crins2014_ar",
    "crins2014_ar_randomized",
    "crins2014_srr",
    "goralczyk2011_ar",
    "hinks2010",
    "hinks2010_2study",
    "molloy2014_zcor",
    "nielweise2007",
    "normand1999_md",
    "peto1980",
    "rubin1981",
    "rubin1981_2study",
    "sidikjonkman2007",
    "snedecorcochran",
)
IMPROPER = tuple(
    (name, "uniform__flat")
    for name in ("bcg_rr_2study", "crins2014_ar_randomized", "hinks2010_2study", "rubin1981_2study")
)


def jeffreys(sei):
    """Root of the Fisher information of tau, twice that of the marginal likelihood: tail tau^-1, improper."""
    return pr.density(
        lambda t: 0.5 * np.log(((t[..., None] / (sei**2 + t[..., None] ** 2)) ** 2).sum(axis=-1)),
        "Jeffreys",
        tail=1,
        proper=False,
    )


def du_mouchel(s0):
    return pr.density(lambda t: np.log(s0) - 2 * np.log(s0 + t), "DuMouchel", tail=2)


def uniform_shrinkage(s02):
    return pr.density(lambda t: np.log(2 * t * s02) - 2 * np.log(s02 + t**2), "uniform shrinkage", tail=3)


def log_t5(location, scale):
    return pr.density(
        lambda t: stats.t.logpdf((np.log(t) - location) / scale, 5) - np.log(scale) - np.log(t),
        "log-t5 (Rhodes 2015)",
        tail=1,
    )


TAU_PRIORS = {
    "halfnormal": lambda p, sei: pr.half_normal(p["scale"]),
    "halfcauchy": lambda p, sei: pr.half_cauchy(p["scale"]),
    "uniform": lambda p, sei: pr.uniform(0, math.inf),
    "lognormal": lambda p, sei: pr.log_normal(p["meanlog"], p["sdlog"]),
    "Jeffreys": lambda p, sei: jeffreys(sei),
    "DuMouchel": lambda p, sei: du_mouchel(p["s0"]),
    "shrinkage": lambda p, sei: uniform_shrinkage(p["s02"]),
    "log-t5": lambda p, sei: log_t5(p["location"], p["scale"]),
}


def effects_of(dataset):
    labels = [f"{i} {label}" for i, label in enumerate(dataset["labels"], start=1)]
    return EffectSizes(labels, dataset["yi"], dataset["sei"], "MD")


def priors_of(entry, effects):
    mu = entry["mu_prior"]
    return pr.Priors(
        pr.flat() if mu == "flat" else pr.normal(mu["mean"], mu["sd"]),
        TAU_PRIORS[entry["prior"]["family"]](entry["prior"], effects.sei),
    )


def proper_fits(name):
    dataset = load_reference()["datasets"][name]
    effects = effects_of(dataset)
    for key, entry in dataset["bayes"].items():
        if entry["exact"]["proper"]:
            yield key, exact_fit(effects, priors_of(entry, effects)), entry["exact"]


def scale_of(reference):
    """The posterior SD, or a quarter of the central interval where there is none."""
    return reference["sd"] or (reference["central"][1] - reference["central"][0]) / 4


class Differences:
    """Collects what differs by more than the tolerance, so that a failure shows all of it."""

    def __init__(self):
        self.compared, self.found = 0, []

    def add(self, what, ours, reference, scale=1.0):
        """A reference of None is infinite or does not exist."""
        self.compared += 1
        absent = reference is None
        good = not math.isfinite(ours) if absent else abs(ours - reference) <= TOLERANCE * scale
        if not good:
            self.found.append(f"{what}: {ours!r}, reference {reference!r}")

    def check(self, at_least):
        assert not self.found, "\n".join(self.found)
        assert self.compared >= at_least


def compare_marginal(differences, what, ours, reference):
    scale = scale_of(reference)
    differences.add(f"{what} mean", ours.mean, reference["mean"], scale)
    differences.add(f"{what} sd", ours.sd, reference["sd"], scale)
    differences.add(f"{what} median", ours.point, reference["median"], scale)
    differences.add(f"{what} lower", ours.lower, reference["central"][0], scale)
    differences.add(f"{what} upper", ours.upper, reference["central"][1], scale)
    if "p_gt0" in reference:
        differences.add(f"{what} P(> 0)", ours.prob_greater(0.0), reference["p_gt0"])


def compare_shape(differences, what, ours, reference):
    scale = scale_of(reference)
    if reference.get("shortest_converged", True):
        for limit, wanted in zip(ours.interval(kind="shortest"), reference["shortest"], strict=True):
            differences.add(f"{what} shortest", limit, wanted, scale)
    differences.add(f"{what} mode", ours.mode, reference["mode"], scale)


def test_the_grid_is_complete():
    datasets = load_reference()["datasets"]
    assert sorted(datasets) == sorted(DATASETS)
    cells = [(n, k, e["exact"]["proper"]) for n, d in datasets.items() for k, e in d["bayes"].items()]
    assert len(cells) == 302
    assert sorted((n, k) for n, k, proper in cells if not proper) == sorted(IMPROPER)
    families = {e["prior"]["family"] for d in datasets.values() for e in d["bayes"].values()}
    assert families == set(TAU_PRIORS)


@pytest.mark.parametrize("name", DATASETS)
def test_posteriors_are_those_of_the_reference(name):
    differences = Differences()
    for key, fit, exact in proper_fits(name):
        differences.add(f"{key} log evidence", fit.log_evidence, exact["log_norm_const"])
        differences.add(f"{key} I2", fit.i2_mean, exact["I2_mean"])
        for parameter in ("mu", "tau", "theta_new"):
            compare_marginal(differences, f"{key} {parameter}", getattr(fit, parameter), exact[parameter])
            compare_shape(differences, f"{key} {parameter}", getattr(fit, parameter), exact[parameter])
        for study, reference in zip(fit.effects.study, exact["theta"].values(), strict=True):
            compare_marginal(differences, f"{key} theta[{study}]", fit.theta[study], reference)
        for study, weight, reference in zip(fit.effects.study, fit.weights, exact["weights"], strict=False):
            differences.add(f"{key} weight of {study}", weight, reference)
    differences.check(at_least=8 * 30)


@pytest.mark.parametrize("name", DATASETS)
def test_bayes_factors_are_those_of_the_reference(name):
    differences = Differences()
    for key, fit, exact in proper_fits(name):
        for null, entry in (("tau = 0", "log_p_y_given_tau0"), ("mu = 0", "log_p_y_given_mu0")):
            if exact[entry] is None:
                continue
            parameter = null.split()[0]
            differences.add(f"{key} {null}", fit._log_evidence_of(null), exact[entry])
            if getattr(fit.priors, parameter).proper:
                wanted = exact[entry] - exact["log_norm_const"]
                factor = fit.bayes_factor(null)
                differences.add(f"{key} BF {null}", math.log(factor) if factor else -math.inf, wanted)
            else:
                with pytest.raises(ValueError, match=f"Bayes factor for {null} needs a proper prior"):
                    fit.bayes_factor(null)
    differences.check(at_least=8)


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASETS)
def test_shapes_of_the_studies_effects_are_those_of_the_reference(name):
    differences = Differences()
    for key, fit, exact in proper_fits(name):
        for study, reference in zip(fit.effects.study, exact["theta"].values(), strict=True):
            compare_shape(differences, f"{key} theta[{study}]", fit.theta[study], reference)
    differences.check(at_least=8 * 3)


@pytest.mark.parametrize(("name", "key"), IMPROPER)
def test_improper_posteriors_are_refused_with_the_reason(name, key):
    dataset = load_reference()["datasets"][name]
    effects = effects_of(dataset)
    with pytest.raises(ValueError, match=r"improper for k = 2 studies.*a \+ k - 1 > 1; here a = 0 gives 1"):
        exact_fit(effects, priors_of(dataset["bayes"][key], effects))
