"""Trials discounted by a power of their likelihood: the log density, what is integrated out, limits, calibration."""

import numpy as np
import pytest
from exact_agreement import assert_near_exact
from grid_posterior import MCSE_BOUND
from reference_data import load_reference
from scipy import stats

from bayespip import load_review
from bayespip import priors as p
from bayespip.cross_validation import leave_one_out
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import pymc_fit
from bayespip.model_data.bias import DiscountedEffects
from bayespip.models import load, normal_normal
from bayespip.predictive_checks import predictive_checks
from bayespip.reanalysis.cases import cases, pooled_results

MODEL = load("power_prior")
WEAK = p.Priors(p.normal(0, 2.82), p.half_normal(0.5))
# Simulated.
EFFECTS = EffectSizes(["a", "b", "c"], [0.1, 0.35, 1.4], [0.2, 0.25, 0.3], "SMD")
HIGH = [False, True, True]
DISCOUNTED = DiscountedEffects(EFFECTS, HIGH, [1, 0.4, 0])
WHOLE = DiscountedEffects(EFFECTS, HIGH, 1)
LOGP_TOLERANCE = 1e-12  # relative: both sides are closed forms in double precision
DRAWS = 200_000
POINTS = np.random.default_rng(5).normal(size=(10, 2))


def test_the_log_density_is_that_of_the_powers() -> None:
    """Of the likelihoods to their powers, theta integrated out: up to a constant, so at all points alike."""
    model = MODEL.build(DISCOUNTED, WEAK)
    assert [v.name for v in model.free_RVs] == ["mu", "tau"]
    logp, whole = model.compile_logp(), MODEL.build(WHOLE, WEAK).compile_logp()
    without = normal_normal.build(EFFECTS, WEAK).compile_logp()
    constants = []
    for mu, log_tau in POINTS:
        point = {"mu": mu, "tau_log__": log_tau}
        tau = np.exp(log_tau)
        expected = WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau) + log_tau
        theta = np.linspace(mu - 14 * tau, mu + 14 * tau, 20_001)
        prior = stats.norm(mu, tau).logpdf(theta)
        for y, s, a0 in zip(EFFECTS.yi, EFFECTS.sei, DISCOUNTED.a0, strict=True):
            powered = np.exp(a0 * stats.norm(y, s).logpdf(theta) + prior)
            expected += np.log(powered.sum() * (theta[1] - theta[0]))
        constants.append(float(logp(point)) - float(expected))
        assert float(whole(point)) == pytest.approx(float(without(point)), rel=LOGP_TOLERANCE)
    # the constant, of which log(1e10) is of the trial left out; the grid over theta has errors of rounding
    np.testing.assert_allclose(constants, constants[0], atol=1e-11)


def test_what_is_integrated_out_follows_its_conditional_distribution() -> None:
    mu, tau, rng = 0.4, 0.3, np.random.default_rng(3)
    draws = {"mu": np.full((2, DRAWS // 2), mu), "tau": np.full((2, DRAWS // 2), tau)}
    drawn = MODEL.complete(DISCOUNTED, draws, rng)
    precision = DISCOUNTED.a0 / EFFECTS.vi + 1 / tau**2
    mean, sd = (DISCOUNTED.a0 * EFFECTS.yi / EFFECTS.vi + mu / tau**2) / precision, 1 / np.sqrt(precision)
    expected = {"theta": (mean, sd), "theta_new": (mu, tau), "y": (mu, np.hypot(EFFECTS.sei, tau))}
    for name, (centre, spread) in expected.items():
        values = drawn[name].reshape(DRAWS, -1)
        assert (np.abs(values.mean(axis=0) - centre) <= 5 * spread / np.sqrt(DRAWS)).all()
        assert (np.abs(values.std(axis=0) - spread) <= 5 * spread / np.sqrt(2 * DRAWS)).all()


def test_simulated_data_are_as_imprecise_as_the_trials_count() -> None:
    rng = np.random.default_rng(2)
    replicas = [MODEL.draw_data(DISCOUNTED, {"theta": np.arange(3.0)}, rng) for _ in range(2000)]
    z = (np.array([r.yi for r in replicas]) - np.arange(3)) / DISCOUNTED.discounted_sei
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    np.testing.assert_array_equal(replicas[0].sei, EFFECTS.sei)
    np.testing.assert_array_equal(replicas[0].a0, DISCOUNTED.a0)


def test_what_the_model_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match="power_prior needs DiscountedEffects, with a0; got EffectSizes"):
        pymc_fit("power_prior", EFFECTS, WEAK, seed=1)
    with pytest.raises(ValueError, match="a0 = 0 for every study"):
        pymc_fit("power_prior", DiscountedEffects(EFFECTS, [True] * 3, 0), WEAK, seed=1)
    # a trial left out is none of the three that a flat prior on tau needs
    improper = p.Priors(p.flat(), p.uniform(0, np.inf))
    with pytest.raises(ValueError, match="improper for k = 2 studies"):
        pymc_fit("power_prior", DISCOUNTED, improper, seed=1)
    MODEL.check(WHOLE, improper)


def test_no_review_says_how_much_to_discount() -> None:
    for name, reason in (("pip", "has only its published result: power_prior needs"), ("bcg", "give pymc_fit a Disc")):
        review = load_review(name)
        found, _ = cases(review.id, pooled_results(review)[:1], review.studies)
        with pytest.raises(ValueError, match=reason):
            MODEL.data_of(found[0])


@pytest.mark.slow
def test_the_posterior_is_the_exact_one_of_discounted_effects() -> None:
    half = DiscountedEffects(EFFECTS, HIGH, 0.5)
    for data, effects in ((WHOLE, EFFECTS), (half, half.adjusted), (DISCOUNTED, DISCOUNTED.adjusted)):
        fit = pymc_fit("power_prior", data, WEAK, seed=4)
        assert (diagnose(fit)["verdict"] == "good").all()
        assert_near_exact(fit, exact_fit(effects, WEAK))
    # of the trial left out nothing is learned: its effect is that of a new study
    new, left_out = exact_fit(effects, WEAK).theta_new, fit.parameters["theta[c]"]
    errors = diagnose(fit, ["theta"]).set_index("variable").loc["theta[c]"]
    for edge, column in (("lower", "mcse_lower"), ("point", "mcse_median"), ("upper", "mcse_upper")):
        assert abs(getattr(left_out, edge) - getattr(new, edge)) <= MCSE_BOUND * errors[column]
    checks = predictive_checks(fit).set_index("statistic")
    assert 0.0 < checks.loc["estimate[c]", "p"] < 0.2
    with pytest.raises(ValueError, match="power_prior cannot leave studies out"):
        leave_one_out(fit)


@pytest.mark.slow
def test_trials_left_out_are_those_of_the_reference() -> None:
    reference = load_reference()["datasets"]
    whole, rest = reference["crins2014_ar"], reference["crins2014_ar_randomized"]
    effects = EffectSizes(whole["labels"], whole["yi"], whole["sei"], "OR")
    high = ~np.isin(whole["labels"], rest["labels"])
    priors = p.Priors(p.normal(0, 4), p.half_normal(0.5))
    for a0, expected in ((0, rest), (1, whole)):
        data = DiscountedEffects(effects, high, a0)
        found, exact = exact_fit(data.adjusted, priors), expected["bayes"]["halfnormal_0.5__normal"]["exact"]
        for name in ("mu", "tau", "theta_new"):
            shown = getattr(found, name)
            numbers = [shown.point, shown.lower, shown.upper]
            np.testing.assert_allclose(numbers, [exact[name]["median"], *exact[name]["central"]], rtol=1e-6)
        assert_near_exact(pymc_fit("power_prior", data, priors, seed=8), found)
