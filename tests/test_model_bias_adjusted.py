"""Trials with a bias of elicited size: the log density, what is integrated out, limits, recovery, calibration."""

import numpy as np
import pytest
from exact_agreement import assert_near_exact
from reference_data import load_reference
from scipy import stats

from bayespip import load_review
from bayespip import priors as p
from bayespip.cross_validation import leave_one_out
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import pymc_fit
from bayespip.model_data.bias import BiasedEffects
from bayespip.models import load, normal_normal
from bayespip.reanalysis.cases import cases, pooled_results

MODEL = load("bias_adjusted")
WEAK = p.Priors(p.normal(0, 2.82), p.half_normal(0.5))
# Simulated.
EFFECTS = EffectSizes(["a", "b", "c"], [0.1, 0.35, 1.4], [0.2, 0.25, 0.3], "SMD")
HIGH = [False, True, True]
BIASED = BiasedEffects(EFFECTS, HIGH, [0, 0.2, 0.5], [0, 0.3, 0], favours="higher")
UNBIASED = BiasedEffects(EFFECTS, HIGH, 0, 0, favours="higher")
LOGP_TOLERANCE = 1e-12  # relative: both sides are closed forms in double precision
DRAWS = 200_000
POINTS = np.random.default_rng(5).normal(size=(10, 2))


def test_the_log_density_is_the_closed_form() -> None:
    model = MODEL.build(BIASED, WEAK)
    assert [v.name for v in model.free_RVs] == ["mu", "tau"]
    assert {v.name for v in model.data_vars} >= {"yi", "sei", "bias_mean", "bias_sd"}
    logp = model.compile_logp()
    without = normal_normal.build(EFFECTS, WEAK).compile_logp()
    model_of_none = MODEL.build(UNBIASED, WEAK).compile_logp()
    for mu, log_tau in POINTS:
        point = {"mu": mu, "tau_log__": log_tau}
        tau = np.exp(log_tau)
        expected = WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau) + log_tau
        # the bias integrated out by quadrature, theta in closed form
        expected += stats.norm(mu, np.hypot(0.2, tau)).logpdf(0.1) + stats.norm(mu + 0.5, np.hypot(0.3, tau)).logpdf(
            1.4
        )
        bias = np.linspace(0.2 - 12 * 0.3, 0.2 + 12 * 0.3, 4001)
        density = stats.norm(mu + bias, np.hypot(0.25, tau)).pdf(0.35) * stats.norm(0.2, 0.3).pdf(bias)
        expected += np.log(density.sum() * (bias[1] - bias[0]))
        assert float(logp(point)) == pytest.approx(float(expected), rel=LOGP_TOLERANCE)
        assert float(model_of_none(point)) == pytest.approx(float(without(point)), rel=LOGP_TOLERANCE)


def test_what_is_integrated_out_follows_its_joint_conditional_distribution() -> None:
    mu, tau, rng = 0.4, 0.3, np.random.default_rng(3)
    draws = {"mu": np.full((2, DRAWS // 2), mu), "tau": np.full((2, DRAWS // 2), tau)}
    drawn = MODEL.complete(BIASED, draws, rng)
    assert {name: v.shape for name, v in drawn.items()} == {
        "theta": (2, DRAWS // 2, 3),
        "theta_new": (2, DRAWS // 2),
        "bias": (2, DRAWS // 2, 3),
        "y": (2, DRAWS // 2, 3),
    }
    for i in range(3):
        # theta, bias and the estimate are jointly normal
        m, s = BIASED.bias_mean[i], BIASED.bias_sd[i]
        of_both, of_y = np.diag([tau**2, s**2]), tau**2 + s**2 + EFFECTS.sei[i] ** 2
        gain = of_both.sum(axis=1) / of_y
        mean = np.array([mu, m]) + gain * (EFFECTS.yi[i] - mu - m)
        cov = of_both - np.outer(gain, gain) * of_y
        both = np.stack([drawn["theta"][..., i].ravel(), drawn["bias"][..., i].ravel()])
        sd = np.sqrt(np.maximum(np.diag(cov), 0))
        rounding = DRAWS * np.finfo(float).eps
        assert (np.abs(both.mean(axis=1) - mean) <= 5 * sd / np.sqrt(DRAWS) + rounding).all()
        spread = 5 * np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / DRAWS)
        assert (np.abs(np.cov(both) - cov) <= spread + rounding).all()
        y = drawn["y"][..., i].ravel()
        assert abs(y.mean() - mu - m) < 5 * np.sqrt(of_y / DRAWS)
        assert abs(y.var() / of_y - 1) < 5 * np.sqrt(2 / DRAWS)
    assert (drawn["bias"][..., 0] == 0).all()
    assert stats.kstest((drawn["theta_new"].ravel()[:20_000] - mu) / tau, "norm").pvalue > 0.01


def test_priors_and_simulated_data_follow_the_model() -> None:
    rng = np.random.default_rng(2)
    drawn = MODEL.draw_prior(BIASED, WEAK, rng, size=(1, 20_000))
    for name, uniform in {
        "mu": WEAK.mu.cdf(drawn["mu"]),
        "tau": WEAK.tau.cdf(drawn["tau"]),
        "theta": stats.norm.cdf((drawn["theta"][..., 0] - drawn["mu"]) / drawn["tau"]),
        "bias": stats.norm.cdf((drawn["bias"][..., 1] - 0.2) / 0.3),
    }.items():
        assert stats.kstest(uniform.ravel(), "uniform").pvalue > 0.01, name
    assert (drawn["bias"] == 0).all(axis=(0, 1)).tolist() == [True, False, False]
    assert (drawn["bias"][..., 2] == 0.5).all()
    truth = {"theta": np.arange(3.0), "bias": np.array([0, 1, -2.0])}
    replicas = [MODEL.draw_data(BIASED, truth, rng) for _ in range(2000)]
    z = (np.array([r.yi for r in replicas]) - [0, 2, 0]) / EFFECTS.sei
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    np.testing.assert_array_equal(replicas[0].bias_sd, BIASED.bias_sd)


def test_each_estimate_is_predicted_with_its_bias() -> None:
    draws = {"mu": np.array([[0.1, 0.5]]), "tau": np.array([[0.3, 0.01]])}
    found = MODEL.log_predictive(BIASED, draws, np.random.default_rng(1))
    centre = draws["mu"][..., None] + BIASED.bias_mean
    sd = np.sqrt(EFFECTS.vi + BIASED.bias_sd**2 + draws["tau"][..., None] ** 2)
    np.testing.assert_allclose(found, stats.norm(centre, sd).logpdf(EFFECTS.yi), rtol=LOGP_TOLERANCE)


def test_other_data_and_improper_posteriors_are_refused() -> None:
    with pytest.raises(ValueError, match="bias_adjusted needs BiasedEffects, with the size of bias; got EffectSizes"):
        pymc_fit("bias_adjusted", EFFECTS, WEAK, seed=1)
    with pytest.raises(ValueError, match="improper for k = 2 studies"):
        pymc_fit("bias_adjusted", BIASED.take(np.array([1, 2])), p.Priors(p.flat(), p.uniform(0, np.inf)), seed=1)


def test_no_review_says_how_large_bias_is() -> None:
    for name, reason in (
        ("pip", "has only its published result: bias_adjusted needs"),
        ("bcg", "give pymc_fit a Bias"),
    ):
        review = load_review(name)
        found, _ = cases(review.id, pooled_results(review)[:1], review.studies)
        with pytest.raises(ValueError, match=reason):
            MODEL.data_of(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("data", [BIASED, UNBIASED], ids=["biased", "unbiased"])
def test_the_posterior_is_the_exact_one_of_adjusted_effects(data: BiasedEffects) -> None:
    fit = pymc_fit("bias_adjusted", data, WEAK, seed=4)
    assert (diagnose(fit)["verdict"] == "good").all()
    assert_near_exact(fit, exact_fit(EFFECTS if data is UNBIASED else data.adjusted, WEAK))


@pytest.mark.slow
def test_parameters_are_recovered() -> None:
    rng = np.random.default_rng(12)
    k = 80
    sei, high = rng.uniform(0.05, 0.3, k), rng.random(k) < 0.5
    theta, bias = rng.normal(0.4, 0.2, k), np.where(high, rng.normal(0.5, 0.3, k), 0)
    effects = EffectSizes([f"simulated {i}" for i in range(k)], rng.normal(theta + bias, sei), sei, "SMD")
    fit = pymc_fit("bias_adjusted", BiasedEffects(effects, high, 0.5, 0.3, favours="higher"), WEAK, seed=7)
    total = fit.effects.adjusted.vi + 0.2**2
    # widths that the Fisher information at the truth allows, and a quarter more
    for shown, true, information in ((fit.mu, 0.4, (1 / total).sum()), (fit.tau, 0.2, (2 * 0.2**2 / total**2).sum())):
        assert shown.lower < true < shown.upper
        assert shown.upper - shown.lower < 1.25 * 2 * 1.96 / np.sqrt(information)
    assert exact_fit(effects, WEAK).mu.lower > 0.4  # without the adjustment
    for name, values, which in (("theta", theta, slice(None)), ("bias", bias, high)):
        lower, upper = np.quantile(fit.draws(name), [0.025, 0.975], axis=0)
        inside = ((lower <= values) & (values <= upper))[which]
        assert stats.binom(inside.size, 0.95).cdf(inside.sum()) > 0.002  # of intervals of 95%


@pytest.mark.slow
def test_a_bias_of_any_size_leaves_the_other_trials_and_the_reference() -> None:
    reference = load_reference()["datasets"]
    whole, rest = reference["crins2014_ar"], reference["crins2014_ar_randomized"]
    effects = EffectSizes(whole["labels"], whole["yi"], whole["sei"], "OR")
    high = ~np.isin(whole["labels"], rest["labels"])
    assert high.sum() == 4
    any_size = BiasedEffects(effects, high, 0, 1e4, favours="lower")
    exact = rest["bayes"]["halfnormal_0.5__normal"]["exact"]
    priors = p.Priors(p.normal(0, 4), p.half_normal(0.5))
    found = exact_fit(any_size.adjusted, priors)
    for name in ("mu", "tau", "theta_new"):
        shown, expected = getattr(found, name), exact[name]
        got = [shown.point, shown.lower, shown.upper]
        np.testing.assert_allclose(got, [expected["median"], *expected["central"]], rtol=1e-6)
    assert_near_exact(pymc_fit("bias_adjusted", any_size, priors, seed=8), found)


@pytest.mark.slow
def test_bcg_without_trials_left_out_one_by_one() -> None:
    table = load_review("bcg")["1.1"].studies
    effects, high = effect_sizes(table, "RR"), (table["allocation"] != "random").to_numpy()
    fit = pymc_fit("bias_adjusted", BiasedEffects(effects, high, -0.2, 0.2, favours="lower"), WEAK, seed=9)
    found = leave_one_out(fit).set_index("study")["elpd"]
    last = int(np.flatnonzero(high)[-1])
    rest = exact_fit(fit.effects.take(np.delete(np.arange(13), last)).adjusted, WEAK)
    adjusted = fit.effects.adjusted
    nodes = rest.nodes
    sd = np.sqrt(nodes.variance + nodes.tau**2 + adjusted.vi[last])
    expected = np.log((nodes.weight * stats.norm(nodes.mean, sd).pdf(adjusted.yi[last])).sum())
    assert found[effects.study[last]] == pytest.approx(expected, abs=0.02)  # a refit of 4,000 draws
