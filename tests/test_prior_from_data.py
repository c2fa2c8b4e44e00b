"""Priors that take their scale from the studies' standard errors, against formulas and the reference file."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_data import load_reference
from scipy import integrate, stats

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.exact.propriety import moment_exists
from bayespip.mcmc.fit import pymc_fit

SEI = np.array([0.2, 0.5, 0.35])
TAU = np.geomspace(1e-3, 50, 23)
# Of the posterior SD for what has a scale: as tests/test_exact_reference.py, whose largest difference met is the same
TOLERANCE = 1e-6
MAKE = {
    "dumouchel": lambda entry, sei: pr.du_mouchel(sei),
    "shrinkage": lambda entry, sei: pr.uniform_shrinkage(sei),
    "jeffreys": lambda entry, sei: pr.jeffreys(sei),
    "rhodes": lambda entry, sei: pr.log_t(entry["location"], entry["scale"], 5),
}
positive = st.floats(0.01, 100)


def cells():
    """Names of the data sets and of their cells under these priors, with a flat and with a normal mu."""
    for name, dataset in load_reference()["datasets"].items():
        for key, entry in dataset["bayes"].items():
            if key.split("__")[0] in MAKE:
                yield name, key, dataset, entry


def test_densities_are_the_formulas():
    s0 = math.sqrt(3 / (1 / SEI**2).sum())
    shrinkage, du_mouchel = pr.uniform_shrinkage(SEI), pr.du_mouchel(SEI)
    np.testing.assert_allclose(np.exp(shrinkage.logpdf(TAU)), 2 * TAU * s0**2 / (s0**2 + TAU**2) ** 2, rtol=1e-13)
    np.testing.assert_allclose(np.exp(du_mouchel.logpdf(TAU)), s0 / (s0 + TAU) ** 2, rtol=1e-13)
    w = 1 / SEI**2
    typical = 2 * w.sum() / (w.sum() ** 2 - (w**2).sum())
    i2 = pr.uniform_i2(SEI)
    np.testing.assert_allclose(np.exp(i2.logpdf(TAU)), 2 * TAU * typical / (typical + TAU**2) ** 2, rtol=1e-13)
    information = ((TAU[:, None] / (SEI**2 + TAU[:, None] ** 2)) ** 2).sum(axis=1)
    np.testing.assert_allclose(np.exp(pr.jeffreys(SEI).logpdf(TAU)), np.sqrt(information), rtol=1e-13)


def test_what_is_called_uniform_is_uniform():
    p = np.array([0.05, 0.5, 0.9])
    tau2 = pr.uniform_shrinkage(SEI).quantile(p) ** 2
    s02 = 3 / (1 / SEI**2).sum()
    np.testing.assert_allclose(tau2 / (tau2 + s02), p, rtol=1e-13)
    w = 1 / SEI**2
    typical = 2 * w.sum() / (w.sum() ** 2 - (w**2).sum())
    tau2 = pr.uniform_i2(SEI).quantile(p) ** 2
    np.testing.assert_allclose(tau2 / (tau2 + typical), p, rtol=1e-13)
    tau = pr.du_mouchel(SEI).quantile(p)
    np.testing.assert_allclose(tau / (tau + math.sqrt(s02)), p, rtol=1e-13)


def test_families_agree_with_scipy():
    shrinkage = pr.uniform_shrinkage(SEI)
    fisk = stats.fisk(2, scale=shrinkage.parameters[0])
    np.testing.assert_allclose(shrinkage.logpdf(TAU), fisk.logpdf(TAU), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(shrinkage.cdf(TAU), fisk.cdf(TAU), rtol=1e-12)
    root = pr.root_inverse_gamma(1.14, 0.08)
    square = stats.invgamma(1.14, scale=0.08)
    np.testing.assert_allclose(root.logpdf(TAU), square.logpdf(TAU**2) + np.log(2 * TAU), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(root.cdf(TAU), square.cdf(TAU**2), rtol=1e-13)
    log_t = pr.log_t(-1.72, 1.295, 5)
    np.testing.assert_allclose(
        log_t.logpdf(TAU), stats.t(5, -1.72, 1.295).logpdf(np.log(TAU)) - np.log(TAU), rtol=1e-13
    )


@pytest.mark.parametrize("prior", [pr.uniform_shrinkage(SEI), pr.root_inverse_gamma(0.8, 0.007), pr.log_t(-3, 1.4, 5)])
def test_limits_of_the_range_of_doubles_give_no_nan(prior):
    far = np.array([0.0, 1e-300, 1e-160, 1e-80, 1e80, 1e160, 1e300])
    assert not np.isnan(prior.logpdf(far)).any()
    cdf = prior.cdf(far)
    assert cdf[0] == 0
    assert (np.diff(cdf) >= 0).all()
    # the log-t has mass outside of any range: its tail is a power of log tau
    assert cdf[-1] == pytest.approx(1, abs=1e-8)


@given(st.lists(positive, min_size=2, max_size=6), positive)
def test_scales_follow_the_unit_of_the_effects(sei, factor):
    for make in (pr.uniform_shrinkage, pr.du_mouchel, pr.uniform_i2):
        one, other = make(sei), make([factor * s for s in sei])
        assert other.parameters[0] == pytest.approx(factor * one.parameters[0], rel=1e-12)
    x = np.array([0.1, 1.0, 10.0])
    shifted = pr.jeffreys([factor * s for s in sei]).logpdf(factor * x)
    np.testing.assert_allclose(shifted + math.log(factor), pr.jeffreys(sei).logpdf(x), rtol=1e-11, atol=1e-11)


def test_equal_studies_make_the_two_uniform_priors_one():
    assert pr.uniform_i2([0.3] * 4).parameters[0] == pytest.approx(0.3, rel=1e-14)
    assert pr.uniform_shrinkage([0.3] * 4).parameters[0] == pytest.approx(0.3, rel=1e-14)


@pytest.mark.parametrize("make", [pr.uniform_shrinkage, pr.du_mouchel, pr.uniform_i2, pr.jeffreys])
@pytest.mark.parametrize("sei", [[0.2, 0.0], [0.2, math.nan], [], [[0.2, 0.3]], [0.2, math.inf]])
def test_bad_standard_errors_are_refused(make, sei):
    with pytest.raises(ValueError, match="sei must be positive and finite, one a study"):
        make(sei)


def test_one_study_has_no_i2():
    with pytest.raises(ValueError, match="uniform on I2 needs two studies or more; got one"):
        pr.uniform_i2([0.2])


def test_jeffreys_is_improper_and_equal_to_itself():
    prior = pr.jeffreys(SEI)
    assert (prior.proper, prior.tail, str(prior)) == (False, 1.0, "Jeffreys")
    assert prior == pr.jeffreys(SEI)
    assert hash(prior) == hash(pr.jeffreys(SEI))
    with pytest.raises(ValueError, match="quantile does not exist for Jeffreys: the density is improper"):
        prior.quantile(0.5)
    assert prior.logpdf([-1.0, 0.0]).tolist() == [-math.inf, -math.inf]
    one = EffectSizes(["a"], [0.3], [0.2], "SMD")
    with pytest.raises(ValueError, match="at least 2 studies are needed"):
        exact_fit(one, pr.Priors(pr.flat(), pr.jeffreys(one.sei)))


def test_the_reference_takes_the_same_scales():
    compared = 0
    for _, _, dataset, entry in cells():
        prior, sei = entry["prior"], np.array(dataset["sei"])
        if "s0" in prior:
            assert pr.du_mouchel(sei).parameters[0] == pytest.approx(prior["s0"], rel=1e-12)
        elif "s02" in prior:
            assert pr.uniform_shrinkage(sei).parameters[0] ** 2 == pytest.approx(prior["s02"], rel=1e-12)
        compared += "s0" in prior or "s02" in prior
    assert compared == 38 + 32  # DuMouchel and shrinkage: every cell of the file


def test_posteriors_are_those_of_the_reference():
    found, compared = [], 0
    for name, key, dataset, entry in cells():
        labels = [f"{i} {label}" for i, label in enumerate(dataset["labels"], start=1)]
        effects = EffectSizes(labels, dataset["yi"], dataset["sei"], "MD")
        mu = entry["mu_prior"]
        priors = pr.Priors(
            pr.flat() if mu == "flat" else pr.normal(mu["mean"], mu["sd"]),
            MAKE[key.split("__")[0]](entry["prior"], effects.sei),
        )
        fit, exact = exact_fit(effects, priors), entry["exact"]
        found.append((name, key, "evidence", fit.log_evidence - exact["log_norm_const"]))
        for parameter in ("mu", "tau", "theta_new"):
            ours, reference = getattr(fit, parameter), exact[parameter]
            scale = reference["sd"] or (reference["central"][1] - reference["central"][0]) / 4
            for value, wanted in (
                (ours.point, reference["median"]),
                (ours.lower, reference["central"][0]),
                (ours.upper, reference["central"][1]),
            ):
                found.append((name, key, parameter, (value - wanted) / scale))
        compared += 1
    assert compared == 38 + 32 + 32 + 12  # and those of Jeffreys and Rhodes
    assert not [row for row in found if not abs(row[-1]) <= TOLERANCE]


def test_the_evidence_under_jeffreys_is_a_direct_integral():
    effects = EffectSizes(["a", "b"], [0.1, 0.7], [0.2, 0.35], "SMD")

    def integrand(x):
        tau = math.exp(x)
        total = effects.sei**2 + tau**2
        s0, s1 = (1 / total).sum(), (effects.yi / total).sum()
        q = (effects.yi**2 / total).sum() - s1**2 / s0
        likelihood = math.exp(-0.5 * (math.log(2 * math.pi) + np.log(total).sum() + math.log(s0) + q))
        return likelihood * math.sqrt(((tau / total) ** 2).sum()) * tau

    direct = math.fsum(integrate.quad(integrand, a, a + 5, epsabs=1e-15)[0] for a in range(-60, 60, 5))
    fit = exact_fit(effects, pr.Priors(pr.flat(), pr.jeffreys(effects.sei)))
    assert math.exp(fit.log_evidence) == pytest.approx(direct, rel=1e-9)


def test_the_log_power_in_the_tail_of_a_log_t_decides_at_the_border():
    """With k = 2 and a flat mu the posterior of tau falls like tau^-2 (log tau)^-6: its mean exists, barely."""
    priors = pr.Priors(pr.flat(), pr.log_t(-1.72, 1.295, 5))
    assert moment_exists(2, priors, 1, "tau")
    assert not moment_exists(2, priors, 1.01, "tau")
    fit = exact_fit(EffectSizes(["a", "b"], [0.1, 0.7], [0.2, 0.35], "SMD"), priors)
    assert math.isnan(fit.tau.mean)
    assert fit.tau.notes == (
        "The posterior mean of tau exists, but its integral converges too slowly for the range of doubles.",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jeffreys", "shrinkage", "rhodes"])
def test_the_sampler_takes_these_priors_also_for_another_number_of_studies(name):
    """Five Monte Carlo standard errors, at an effective sample size of 400, which the sampler's checks ask for."""
    for k in (3, 5):
        effects = EffectSizes(
            [str(i) for i in range(k)], [0.1, 0.9, 0.4, 0.3, 0.6][:k], [0.2, 0.3, 0.25, 0.4, 0.1][:k], "SMD"
        )
        priors = pr.Priors(pr.normal(0, 1), MAKE[name]({"location": -1.72, "scale": 1.295}, effects.sei))
        sampled, exact = pymc_fit("normal_normal", effects, priors, seed=4), exact_fit(effects, priors)
        error = 5 / math.sqrt(400)
        assert abs(float(sampled.mu.point) - exact.mu.point) < error * 1.2533 * exact.mu.sd
        below = float(exact.tau.cdf(sampled.tau.point))
        assert abs(below - 0.5) < error * 0.5
