"""Heavy-tailed study effects: the log density, what is integrated out, limits, recovery, calibration."""

import numpy as np
import pytest
from grid_posterior import MCSE_BOUND, assert_agrees
from reference_data import load_reference
from scipy import stats

from bayespip import priors as p
from bayespip.cross_validation import leave_one_out
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.models import load

MODEL = load("student_t")
WEAK = p.Priors(p.normal(0, 2.82), p.half_normal(0.5))
# Simulated: one effect far from the others.
OUTLYING = EffectSizes(["a", "b", "c"], [0.1, 0.35, 2.4], [0.2, 0.25, 0.3], "SMD")
LOGP_TOLERANCE = 1e-11  # relative: closed forms in double precision, gamma functions among them
NEARLY_NORMAL = 1e6  # degrees of freedom
DRAWS = 200_000
KS_LEVEL = 0.001  # of a dozen comparisons one in a hundred data sets falls below
POINTS = np.random.default_rng(5).normal(size=(10, 6))


def test_the_log_density_is_the_closed_form() -> None:
    model = MODEL.build(OUTLYING, WEAK)
    assert [v.name for v in model.free_RVs] == ["mu", "tau", "nu", "weight"]
    assert model.named_vars_to_dims["weight"] == ("study",)
    logp = model.compile_logp()
    nu_prior = stats.gamma(2, scale=10)
    for u in POINTS:
        mu, tau, nu = u[0], np.exp(u[1]), 1 + np.exp(u[2])
        root = np.sqrt(nu / 2)
        weight = np.exp(u[3:] / root)
        expected = WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau) + u[1]
        expected += nu_prior.logpdf(nu) - nu_prior.logsf(1) + u[2]
        # log w = u / root, so that dw / du = w / root
        expected += (stats.gamma(nu / 2, scale=2 / nu).logpdf(weight) + np.log(weight) - np.log(root)).sum()
        expected += stats.norm(mu, np.sqrt(OUTLYING.sei**2 + tau**2 / weight)).logpdf(OUTLYING.yi).sum()
        point = {"mu": u[0], "tau_log__": u[1], "nu_interval__": u[2], "weight_standardised_log__": u[3:]}
        assert float(logp(point)) == pytest.approx(float(expected), rel=LOGP_TOLERANCE)


@pytest.mark.parametrize("df", [None, 3.0])
def test_priors_and_simulated_data_follow_the_model(df: float | None) -> None:
    rng = np.random.default_rng(2)
    drawn = MODEL.draw_prior(OUTLYING, WEAK, rng, size=(1, 20_000), df=df)
    nu = drawn.get("nu", np.full((1, 20_000), df))
    assert ("nu" in drawn) == (df is None)
    deviates = {
        "mu": WEAK.mu.cdf(drawn["mu"]),
        "tau": WEAK.tau.cdf(drawn["tau"]),
        "theta_new": stats.t(nu).cdf((drawn["theta_new"] - drawn["mu"]) / drawn["tau"]),
        "theta": stats.t(nu).cdf((drawn["theta"][..., 0] - drawn["mu"]) / drawn["tau"]),
        "weight": stats.gamma(nu / 2, scale=2 / nu).cdf(drawn["weight"][..., 1]),
    }
    if df is None:
        gamma = stats.gamma(2, scale=10)
        deviates["nu"] = 1 - gamma.sf(nu) / gamma.sf(1)
    for name, uniform in deviates.items():
        assert stats.kstest(uniform.ravel(), "uniform").pvalue > KS_LEVEL, name
    effects = np.array([MODEL.draw_data(OUTLYING, {"theta": np.arange(3.0)}, rng).yi for _ in range(2000)])
    z = (effects - np.arange(3.0)) / OUTLYING.sei
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01


def test_what_is_integrated_out_follows_its_conditional_distribution() -> None:
    rng = np.random.default_rng(3)
    mu, tau, nu, weight = 0.4, 0.3, 5.0, np.array([0.2, 1.0, 2.0])
    draws = {name: np.full((2, DRAWS // 2), v) for name, v in (("mu", mu), ("tau", tau), ("nu", nu))}
    drawn = MODEL.complete(OUTLYING, draws | {"weight": np.full((2, DRAWS // 2, 3), weight)}, rng)
    v, own = tau**2 / weight, OUTLYING.sei**2
    mean, sd = (v * OUTLYING.yi + own * mu) / (v + own), np.sqrt(v * own / (v + own))
    for i in range(3):
        theta = drawn["theta"][..., i].ravel()
        assert abs(theta.mean() - mean[i]) < 5 * sd[i] / np.sqrt(DRAWS)
        assert abs(theta.std() - sd[i]) < 5 * sd[i] / np.sqrt(2 * DRAWS)
    assert stats.kstest((drawn["theta_new"].ravel()[:20_000] - mu) / tau, stats.t(nu).cdf).pvalue > 0.01
    variance = OUTLYING.sei**2 + tau**2 * nu / (nu - 2)
    np.testing.assert_allclose(drawn["y"].reshape(DRAWS, 3).var(axis=0), variance, rtol=0.03)


def test_each_estimate_is_predicted_with_the_effect_integrated_out() -> None:
    draws = {"mu": np.array([[0.1, 0.5]]), "tau": np.array([[0.3, 0.01]]), "nu": np.array([[1.3, 8.0]])}
    found = MODEL.log_predictive(OUTLYING, draws, np.random.default_rng(1))
    assert found.shape == (1, 2, 3)
    theta = np.linspace(-4, 6, 400_001)
    for s in range(2):
        t = stats.t(draws["nu"][0, s], draws["mu"][0, s], draws["tau"][0, s]).pdf(theta)
        y = stats.norm(OUTLYING.yi[:, None], OUTLYING.sei[:, None]).pdf(theta)
        expected = np.log((y * t).sum(axis=1) * (theta[1] - theta[0]))
        np.testing.assert_allclose(found[0, s], expected, rtol=1e-7)


@pytest.mark.parametrize("df", [1, 0.5, -3, np.inf, np.nan])
def test_degrees_of_freedom_without_a_mean_are_refused(df: float) -> None:
    with pytest.raises(ValueError, match=f"df must be above 1 and finite, or None for its prior; got {df}"):
        pymc_fit("student_t", OUTLYING, WEAK, seed=1, df=df)


def test_an_improper_posterior_is_refused() -> None:
    pair = EffectSizes("ab", [0.1, 0.2], [0.1, 0.1], "SMD")
    with pytest.raises(ValueError, match="improper for k = 2 studies"):
        pymc_fit("student_t", pair, p.Priors(p.flat(), p.uniform(0, np.inf)), seed=1)


def _assert_near_exact(fit: PymcFit, expected: dict[str, tuple[float, float, float]]) -> None:
    table = diagnose(fit, list(expected)).set_index("variable")
    for name, (lower, point, upper) in expected.items():
        found = getattr(fit, name)
        for shown, value, column in (
            (found.lower, lower, "mcse_lower"),
            (found.point, point, "mcse_median"),
            (found.upper, upper, "mcse_upper"),
        ):
            assert abs(shown - value) <= MCSE_BOUND * table.loc[name, column], (name, column)


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3])
def test_many_degrees_of_freedom_are_the_normal_model(k: int) -> None:
    effects = EffectSizes(OUTLYING.study[-k:], OUTLYING.yi[-k:], OUTLYING.sei[-k:], "SMD")
    exact = exact_fit(effects, WEAK)
    fit = pymc_fit("student_t", effects, WEAK, seed=4, df=NEARLY_NORMAL)
    expected = {name: getattr(exact, name) for name in ("mu", "tau", "theta_new")}
    _assert_near_exact(fit, {name: (m.lower, m.point, m.upper) for name, m in expected.items()})


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3])
def test_the_posterior_is_that_of_a_quadrature(k: int) -> None:
    effects = EffectSizes(OUTLYING.study[-k:], OUTLYING.yi[-k:], OUTLYING.sei[-k:], "SMD")
    fit = pymc_fit("student_t", effects, WEAK, seed=5, df=4)

    def log_density(mu: np.ndarray, tau: np.ndarray) -> np.ndarray:
        likelihood = MODEL.log_predictive(effects, {"mu": mu, "tau": tau}, np.random.default_rng(1), df=4)
        return likelihood.sum(axis=-1) + WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau)

    assert_agrees(fit, log_density)


@pytest.mark.slow
def test_an_outlying_trial_does_not_rule() -> None:
    rest = EffectSizes([f"simulated {i}" for i in range(7)], np.linspace(0, 0.3, 7), np.full(7, 0.15), "SMD")
    study, sei = [*rest.study, "outlying"], [*rest.sei, 0.15]
    all_8 = EffectSizes(study, [*rest.yi, 3], sei, "SMD")
    normal, robust = exact_fit(all_8, WEAK), pymc_fit("student_t", all_8, WEAK, seed=6)
    without = exact_fit(rest, WEAK).mu.point
    assert robust.mu.point - without < 0.25 * (normal.mu.point - without)
    weights = np.median(robust.draws("weight"), axis=0)
    assert weights[-1] < 0.1 * weights[:-1].min()


@pytest.mark.slow
def test_parameters_are_recovered() -> None:
    rng = np.random.default_rng(12)
    sei = rng.uniform(0.05, 0.3, 80)
    theta = 0.4 + 0.3 * rng.standard_t(3, 80)
    effects = EffectSizes([f"simulated {i}" for i in range(80)], rng.normal(theta, sei), sei, "SMD")
    fit = pymc_fit("student_t", effects, WEAK, seed=7)
    for shown, true, width in ((fit.mu, 0.4, 0.25), (fit.tau, 0.3, 0.3), (fit.parameters["nu"], 3, 60)):
        assert shown.lower < true < shown.upper
        assert shown.upper - shown.lower < width
    inside = [fit.theta[s].lower < t < fit.theta[s].upper for s, t in zip(effects.study, theta, strict=True)]
    assert np.mean(inside) > 0.88  # of 80 intervals of 95%, fewer in one data set of 500


@pytest.mark.slow
def test_bcg_and_the_reference() -> None:
    reference = load_reference()["datasets"]["bcg_rr"]
    effects = EffectSizes(reference["labels"], reference["yi"], reference["sei"], "RR")
    priors = p.Priors(p.normal(0, 4), p.half_normal(0.5))
    exact = reference["bayes"]["halfnormal_0.5__normal"]["exact"]
    expected = {name: exact[name] for name in ("mu", "tau", "theta_new")}
    fit = pymc_fit("student_t", effects, priors, seed=8, df=NEARLY_NORMAL)
    _assert_near_exact(fit, {n: (e["central"][0], e["median"], e["central"][1]) for n, e in expected.items()})
    free = pymc_fit("student_t", effects, priors, seed=8)
    assert (diagnose(free)["verdict"] == "good").all()
    assert leave_one_out(free)["elpd"].sum() == pytest.approx(leave_one_out(fit)["elpd"].sum(), abs=2)
