"""binomial_normal: against SciPy, direct quadrature, metafor's GLMMs, its own simulator, and normal_normal."""

import numpy as np
import pandas as pd
import pytest
from reference_data import load_reference
from scipy import optimize, stats
from scipy.special import expit

from bayespip import priors as p
from bayespip import pymc_fit
from bayespip.effects import effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit
from bayespip.measures import BINARY
from bayespip.model_data.two_arms import Counts
from bayespip.model_parts import binomial_quadrature as quadrature
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.models import load

MODEL = load("binomial_normal")
# Simulated: an ordinary trial, an empty arm, no events.
SIMULATED = Counts(["a", "b", "c"], [4, 0, 0], [23, 20, 10], [11, 3, 0], [25, 22, 12], "OR")
PRIORS = p.Priors(p.normal(0.2, 2.82), p.half_normal(0.5))
OWN = {"fixed": ("baseline",), "random": ("baseline_mean", "baseline_sd", "w")}
LOGP_TOLERANCE = 1e-10  # relative: SciPy's and PyMC's log gamma functions differ in the last digits
MCSE_BOUND = 5  # as everywhere: a normal deviate exceeds it once in 1.7 million
DRAWS = 100_000
QUICK = "FAST_COMPILE"  # of a few evaluations; what the sampler compiles is compared in test_compiling


def _log_binomial(counts: Counts, a: np.ndarray, theta: np.ndarray) -> float:
    of_e = stats.binom.logpmf(counts.event_e, counts.n_e, expit(a + theta / 2))
    return float((of_e + stats.binom.logpmf(counts.event_c, counts.n_c, expit(a - theta / 2))).sum())


@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_the_log_density_is_the_closed_form(baseline: str) -> None:
    model = MODEL.build(SIMULATED, PRIORS, baseline=baseline)
    assert [v.name for v in model.free_RVs] == ["mu", "tau", "z", *OWN[baseline]]
    logp = model.compile_logp(jacobian=False, mode=QUICK)
    natural = model.compile_fn(model.unobserved_value_vars, inputs=model.value_vars, mode=QUICK)
    rng = np.random.default_rng(3)
    of_x = {"theta": "z", "baseline": "w"} if baseline == "random" else {"theta": "z"}
    for _ in range(5):
        point = {name: rng.normal(size=np.shape(x)) for name, x in model.initial_point().items()}
        at = dict(zip([v.name for v in model.unobserved_value_vars], natural(point), strict=True))
        expected = _log_binomial(SIMULATED, at["baseline"], at["theta"])
        expected += float(PRIORS.mu.logpdf(at["mu"]) + PRIORS.tau.logpdf(at["tau"]))
        expected += stats.norm.logpdf(at["theta"], at["mu"], at["tau"]).sum()
        if baseline == "fixed":
            expected += stats.norm.logpdf(at["baseline"], 0, 10).sum()
        else:
            mean, sd = at["baseline_mean"], at["baseline_sd"]
            expected += stats.norm.logpdf(at["baseline"], mean, sd).sum()
            expected += stats.norm.logpdf(mean, 0, 10) + stats.halfnorm.logpdf(sd, 0, 2)
        # the densities are of the deviations: the slopes of theta and of the baseline by them
        for x, deviation in of_x.items():
            more = point | {deviation: point[deviation] + 1}
            moved = dict(zip(at, natural(more), strict=True))
            expected += np.log(moved[x] - at[x]).sum()
        assert float(logp(point)) == pytest.approx(expected, rel=LOGP_TOLERANCE)


@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_draws_from_the_priors(baseline: str) -> None:
    drawn = MODEL.draw_prior(SIMULATED, PRIORS, np.random.default_rng(4), (DRAWS,), baseline=baseline)
    standard = {
        "mu": (drawn["mu"] - 0.2) / 2.82,
        "theta": (drawn["theta"][:, 1] - drawn["mu"]) / drawn["tau"],
        "theta_new": (drawn["theta_new"] - drawn["mu"]) / drawn["tau"],
        "tau": drawn["tau"] / 0.5 * np.sign(drawn["mu"] - 0.2),
    }
    if baseline == "fixed":
        standard["baseline"] = drawn["baseline"][:, 2] / 10
    else:
        standard["baseline"] = (drawn["baseline"][:, 2] - drawn["baseline_mean"]) / drawn["baseline_sd"]
        standard |= {"baseline_mean": drawn["baseline_mean"] / 10}
        standard |= {"baseline_sd": drawn["baseline_sd"] / 2 * np.sign(drawn["mu"] - 0.2)}
    for name, values in standard.items():
        assert stats.kstest(values, stats.norm.cdf).pvalue > 0.001, name
    assert drawn["theta"].shape == drawn["baseline"].shape == (DRAWS, 3)


def test_new_events_have_the_moments_of_the_model() -> None:
    n, a, mu, tau = DRAWS, np.array([-1.0, 0.5, -3.0]), 0.8, 0.6
    draws = {"mu": np.full(n, mu), "tau": np.full(n, tau), "baseline": np.tile(a, (n, 1))}
    drawn = MODEL.complete(SIMULATED, draws, np.random.default_rng(5))
    z, w = np.polynomial.hermite_e.hermegauss(40)
    effect = mu + tau * z[:, None]
    for name, size, sign in (("y_e", SIMULATED.n_e, 1), ("y_c", SIMULATED.n_c, -1)):
        expected = size * (w[:, None] * expit(a + sign * effect / 2)).sum(0) / w.sum()
        error = drawn[name].std(0) / np.sqrt(n)
        assert np.all(np.abs(drawn[name].mean(0) - expected) <= 5 * error)
    assert abs(drawn["theta_new"].std() - tau) < 5 * tau / np.sqrt(2 * n)
    # one new effect a trial and draw: the arms move apart
    assert np.all(np.corrcoef(drawn["y_e"].T, drawn["y_c"].T)[[0, 1, 2], [3, 4, 5]] < -5 / np.sqrt(n))


def test_simulated_events_have_the_sizes_of_the_data() -> None:
    truth = {"theta": np.array([0.0, 3.0, -3.0]), "baseline": np.array([50.0, -50.0, 0.0])}
    drawn = MODEL.draw_data(SIMULATED, truth, np.random.default_rng(1))
    assert (drawn.event_e[0], drawn.event_c[0], drawn.event_e[1], drawn.event_c[1]) == (23, 25, 0, 0)
    assert (drawn.n_e.tolist(), drawn.study) == (SIMULATED.n_e.tolist(), SIMULATED.study)


def test_other_measures_and_baselines_are_refused() -> None:
    with pytest.raises(ValueError, match="binomial_normal is on OR; got counts for RR"):
        pymc_fit("binomial_normal", Counts("a", [1], [9], [2], [9], "RR"), PRIORS, seed=1)
    with pytest.raises(ValueError, match="baseline must be one of fixed, random; got 'free'"):
        pymc_fit("binomial_normal", SIMULATED, PRIORS, seed=1, baseline="free")
    with pytest.raises(ValueError, match="binomial_normal needs participants with and without the event"):
        pymc_fit("binomial_normal", Counts("a", [0], [9], [0], [9], "OR"), PRIORS, seed=1)


def _points(grid: np.ndarray, density: np.ndarray) -> np.ndarray:
    """The 2.5, 50 and 97.5% points of a density on an even grid."""
    share = np.cumsum(density)
    return np.interp([0.025, 0.5, 0.975], (share - density / 2) / share[-1], grid)


def _within_error(fit: PymcFit, name: str, expected: np.ndarray) -> bool:
    row = diagnose(fit, (name,)).iloc[0]
    found = getattr(fit, name)
    error = row[["mcse_lower", "mcse_median", "mcse_upper"]].to_numpy(dtype=float)
    return bool(np.all(np.abs([found.lower, found.point, found.upper] - expected) <= MCSE_BOUND * error))


TRIALS = [("bcg_rr_2study", 2), ("crins2014_srr", 3), ("simulated", 3)]


def _counts(name: str) -> Counts:
    if name == "simulated":
        return SIMULATED
    data = load_reference()["datasets"][name]
    table = data["table"]
    return Counts(data["labels"], table["ai"], table["n1i"], table["ci"], table["n2i"], "OR")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "k"), TRIALS)
def test_agreement_with_quadrature_over_everything(name: str, k: int) -> None:
    counts = _counts(name)
    assert counts.k == k
    mu, tau = np.linspace(-7, 5, 161), np.linspace(0, 3, 101)[1:] - 0.015
    m, t = np.meshgrid(mu, tau, indexing="ij")
    log = log_marginal_likelihood(counts, m, t, 0.0, 10.0).sum(-1) + PRIORS.mu.logpdf(m) + PRIORS.tau.logpdf(t)
    density = np.exp(log - log.max())
    fit = pymc_fit("binomial_normal", counts, PRIORS, seed=7)
    assert _within_error(fit, "mu", _points(mu, density.sum(1)))
    assert _within_error(fit, "tau", _points(tau, density.sum(0)))


@pytest.mark.slow
def test_agreement_with_quadrature_over_random_baselines_too() -> None:
    counts = _counts("bcg_rr_2study")
    mu, tau = np.linspace(-5, 2, 30), np.linspace(0, 2.4, 13)[1:] - 0.1
    mean, sd = np.linspace(-16, 10, 40), np.linspace(0, 8, 17)[1:] - 0.25
    m, t, a, s = np.meshgrid(mu, tau, mean, sd, indexing="ij")
    log = log_marginal_likelihood(counts, m, t, a, s, nodes=21).sum(-1)
    log += PRIORS.mu.logpdf(m) + PRIORS.tau.logpdf(t) - (a / 10) ** 2 / 2 - (s / 2) ** 2 / 2
    density = np.exp(log - log.max())
    fit = pymc_fit("binomial_normal", counts, PRIORS, seed=7, baseline="random")
    table = diagnose(fit, ("mu", "tau", "baseline_mean", "baseline_sd")).set_index("variable")
    for axis, (name, grid) in enumerate((("mu", mu), ("tau", tau), ("baseline_mean", mean), ("baseline_sd", sd))):
        weight = density.sum(axis=tuple(i for i in range(4) if i != axis))
        expected = (weight * grid).sum() / weight.sum()
        assert abs(fit.draws(name).mean() - expected) <= MCSE_BOUND * table.loc[name, "mcse_mean"], name


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_a_known_truth_is_found(baseline: str) -> None:
    k, rng = 40, np.random.default_rng(12)
    n = rng.integers(1500, 4000, k)
    design = Counts(range(k), n // 3, n, n // 3, n, "OR")
    truth = {"theta": rng.normal(-0.6, 0.3, k), "baseline": rng.normal(-1.5, 0.8, k)}
    fit = pymc_fit("binomial_normal", MODEL.draw_data(design, truth, rng), PRIORS, seed=1, baseline=baseline)
    assert fit.mu.lower < -0.6 < fit.mu.upper
    assert fit.mu.upper - fit.mu.lower < 0.35
    assert fit.tau.lower < 0.3 < fit.tau.upper
    assert fit.tau.upper - fit.tau.lower < 0.35
    inside = [e.lower < x < e.upper for e, x in zip(fit.theta.values(), truth["theta"], strict=True)]
    assert np.mean(inside) > 0.85


# Simulated: ten thousand participants in each arm, a third with the event.
MANY = Counts(["a", "b", "c"], [3300, 3700, 3450], [10_000] * 3, [3500, 3600, 3900], [10_000] * 3, "OR")
# The normal approximation's error is of the order 1/sqrt(events), 0.02, of a standard deviation of 0.2.
NORMAL_ERROR = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_with_many_events_it_is_the_normal_model(baseline: str) -> None:
    fit = pymc_fit("binomial_normal", MANY, PRIORS, seed=5, baseline=baseline)
    table = pd.DataFrame({"study": MANY.study, **{name: getattr(MANY, name) for name in BINARY}})
    exact = exact_fit(effect_sizes(table, "OR"), PRIORS)
    errors = diagnose(fit).set_index("variable")
    for name in ("mu", "tau"):
        for point, probability in (("lower", 0.025), ("point", 0.5), ("upper", 0.975)):
            column = {"point": "mcse_median"}.get(point, f"mcse_{point}")
            found, expected = getattr(getattr(fit, name), point), float(getattr(exact, name).quantile(probability))
            assert abs(found - expected) <= MCSE_BOUND * errors.loc[name, column] + NORMAL_ERROR * exact.mu.sd


def _laplace(counts: Counts, x: np.ndarray) -> float:
    """The log likelihood as lme4, and so metafor's UM.RS, has it: Laplace's approximation at our integrand's mode."""
    parameters = np.array([x[0], abs(x[1]), x[2], abs(x[3])])[:, None, None]
    form = (quadrature.log_odds_ratios, quadrature.normal_effects)
    u, v, (h_uu, h_uv, h_vv) = quadrature._mode(counts, parameters, form)
    joint = quadrature._log_joint(counts, parameters, form, u, v)
    return float((joint - np.log(h_uu * h_vv - h_uv**2) / 2 + quadrature._log_ways(counts)).sum())


def _exact(counts: Counts, x: np.ndarray) -> float:
    return float(log_marginal_likelihood(counts, x[0], abs(x[1]), x[2], abs(x[3])).sum())


# "crins2014_ar": lme4 stops 6e-5 below the maximum of its own log likelihood, and so 0.0003 from it
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bcg_rr", "peto1980", "crins2014_ar", "crins2014_srr"])
def test_the_likelihood_is_that_of_metafor_but_for_its_approximation(name: str) -> None:
    counts, glmm = _counts(name), load_reference()["datasets"][name]["binary"]["GLMM_UM.RS"]
    tight = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000}
    best = optimize.minimize(lambda x: -_laplace(counts, x), [-0.5, 0.4, -2, 0.7], method="Nelder-Mead", options=tight)
    assert best.x[0] == pytest.approx(glmm["beta"], abs=5e-4)
    assert best.x[1] ** 2 == pytest.approx(glmm["tau2"], abs=5e-4)
    assert best.x[3] ** 2 == pytest.approx(glmm["sigma2"], abs=5e-4)
    assert 0 <= -best.fun - glmm["ll"] + 1e-9 < 1e-4
    # Laplace's approximation is off by less than 0.01 a trial
    assert _exact(counts, best.x) == pytest.approx(-best.fun, abs=0.01 * counts.k)


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_under_weak_priors_real_data_give_about_what_metafor_gives(baseline: str) -> None:
    weak = p.Priors(p.normal(0, 10), p.uniform(0, 5))
    fit = pymc_fit("binomial_normal", _counts("bcg_rr"), weak, seed=3, baseline=baseline)
    glmm = load_reference()["datasets"]["bcg_rr"]["binary"][{"fixed": "GLMM_CM.EL", "random": "GLMM_UM.RS"}[baseline]]
    assert abs(fit.mu.point - glmm["beta"]) < 0.2 * glmm["se"]
    # the median of a skew posterior under a uniform prior lies above the mode
    assert 0 < fit.tau.point - np.sqrt(glmm["tau2"]) < 0.15


@pytest.mark.slow
def test_a_trial_without_events_hardly_matters_and_stays_in() -> None:
    two = Counts(["a", "b"], [14, 4], [61, 36], [15, 11], [20, 36], "OR")  # of crins2014_ar_randomized
    three = Counts(["a", "b", "none"], [14, 4, 0], [61, 36, 30], [15, 11, 0], [20, 36, 30], "OR")
    without, given = (pymc_fit("binomial_normal", counts, PRIORS, seed=2) for counts in (two, three))
    assert list(given.theta) == ["a", "b", "none"]
    assert given.data["observed_data"]["y_e"].values.tolist() == [14, 4, 0]
    assert abs(given.mu.point - without.mu.point) < 0.1 * (without.mu.upper - without.mu.lower) / 4
