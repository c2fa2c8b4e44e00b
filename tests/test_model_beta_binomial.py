"""beta_binomial: against SciPy, quadrature over everything, binomial probabilities, its own simulator."""

import numpy as np
import pytest
from reference_data import load_reference
from scipy import stats
from scipy.special import expit, polygamma

from bayespip import priors as p
from bayespip import pymc_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.model_data.two_arms import Counts
from bayespip.models import load

MODEL = load("beta_binomial")
# Simulated: an ordinary trial, an empty arm, no events.
SIMULATED = Counts(["a", "b", "c"], [4, 0, 0], [23, 20, 10], [11, 3, 0], [25, 22, 12], "OR")
PRIORS = p.Priors(p.normal(0.2, 2.82), p.log_normal(-1, 0.8))
LOGP_TOLERANCE = 1e-9  # relative: differences of log gamma functions of up to some thousand
MCSE_BOUND = 5  # as everywhere: a normal deviate exceeds it once in 1.7 million
DRAWS = 20_000
QUICK = "FAST_COMPILE"  # of a few evaluations; what the sampler compiles is compared in test_compiling
POINTS = [(0.3, 0.4, -1.0), (-2.0, 1.5, 0.5), (1.0, 0.02, -2.0), (0.0, 6.0, -4.0)]


def _beta(mu: float, tau: float, baseline: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Parameters of the beta distributions."""
    p_e, p_c = expit(baseline + mu / 2), expit(baseline - mu / 2)
    s = (1 / (p_e * (1 - p_e)) + 1 / (p_c * (1 - p_c))) / tau**2
    return (p_e * s, (1 - p_e) * s), (p_c * s, (1 - p_c) * s)


def _log_likelihood(counts: Counts, point: tuple[float, float, float]) -> np.ndarray:
    of_e, of_c = _beta(*point)
    return stats.betabinom.logpmf(counts.event_e, counts.n_e, *of_e) + stats.betabinom.logpmf(
        counts.event_c, counts.n_c, *of_c
    )


def _draws(point: tuple[float, float, float], n: int) -> dict[str, np.ndarray]:
    return {name: np.full(n, x) for name, x in zip(("mu", "tau", "baseline"), point, strict=True)}


def test_the_log_density_is_the_closed_form() -> None:
    model = MODEL.build(SIMULATED, PRIORS)
    assert [v.name for v in model.free_RVs] == ["mu", "tau", "baseline"]
    both = model.compile_fn([model.logp(jacobian=False), model.dlogp(jacobian=False)], mode=QUICK)
    for mu, tau, baseline in POINTS:

        def expected(x: np.ndarray) -> float:
            prior = PRIORS.mu.logpdf(x[0]) + PRIORS.tau.logpdf(np.exp(x[1])) + stats.norm.logpdf(x[2], 0, 10)
            return float(_log_likelihood(SIMULATED, (x[0], np.exp(x[1]), x[2])).sum() + prior)

        x = np.array([mu, np.log(tau), baseline])
        point = dict(zip(("mu", "tau_log__", "baseline"), x, strict=True))
        found, slope = both(point)
        assert float(found) == pytest.approx(expected(x), rel=LOGP_TOLERANCE)
        step = 1e-5 * np.eye(3)
        differences = [(expected(x + h) - expected(x - h)) / 2e-5 for h in step]
        # the error of the differences: their step squared, and rounding over the step
        np.testing.assert_allclose(slope, differences, rtol=1e-5, atol=1e-5)
        each = MODEL.log_predictive(SIMULATED, _draws((mu, tau, baseline), 1), np.random.default_rng(1))
        np.testing.assert_allclose(each[0], _log_likelihood(SIMULATED, (mu, tau, baseline)), rtol=LOGP_TOLERANCE)


@pytest.mark.parametrize("tau", [1e-3, 1e-6, 1e-12])
def test_without_heterogeneity_events_are_binomial(tau: float) -> None:
    mu, baseline = 0.4, -0.8
    expected = stats.binom.logpmf(SIMULATED.event_e, SIMULATED.n_e, expit(baseline + mu / 2))
    expected += stats.binom.logpmf(SIMULATED.event_c, SIMULATED.n_c, expit(baseline - mu / 2))
    found = MODEL.log_predictive(SIMULATED, _draws((mu, tau, baseline), 1), np.random.default_rng(1))
    # the difference is of the order of n^2 r, with r below tau^2 / 8
    np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=25**2 * tau**2 / 4)


def test_draws_from_the_priors() -> None:
    drawn = MODEL.draw_prior(SIMULATED, PRIORS, np.random.default_rng(4), (DRAWS,))
    standard = {
        "mu": (drawn["mu"] - 0.2) / 2.82,
        "tau": (np.log(drawn["tau"]) + 1) / 0.8,
        "baseline": drawn["baseline"] / 10,
    }
    for name, values in standard.items():
        assert stats.kstest(values, stats.norm.cdf).pvalue > 0.001, name
    near = np.flatnonzero(abs(drawn["baseline"]) < 5)[:500]
    parameters = [_beta(*x) for x in zip(*(drawn[name][near] for name in ("mu", "tau", "baseline")), strict=True)]
    mean = [np.subtract(*(_digamma(a) - _digamma(b) for a, b in pair)) for pair in parameters]
    for theta in (drawn["theta"][near, 1], drawn["theta_new"][near]):
        z = (theta - mean) / [np.sqrt(sum(polygamma(1, x) for pair in both for x in pair)) for both in parameters]
        assert abs(np.mean(z)) < 5 / np.sqrt(500)
        assert abs(np.mean(z**2) - 1) < 5 * z.var(ddof=1) * np.sqrt(8 / 500)  # of a kurtosis below 9
    np.testing.assert_allclose(drawn["rho"][near], [1 / (1 + sum(of_e)) for of_e, _ in parameters], rtol=1e-9)
    assert drawn["theta"].shape == drawn["risk_e"].shape == (DRAWS, 3)


def _digamma(x: float) -> float:
    return float(polygamma(0, x))


def test_what_is_integrated_out_follows_its_conditional_distribution() -> None:
    point = (-0.5, 0.8, -1.0)
    drawn = MODEL.complete(SIMULATED, _draws(point, DRAWS), np.random.default_rng(5))
    of_e, of_c = _beta(*point)
    for name, (a, b), events, n in (
        ("risk_e", of_e, SIMULATED.event_e, SIMULATED.n_e),
        ("risk_c", of_c, SIMULATED.event_c, SIMULATED.n_c),
    ):
        for i in range(3):
            given = stats.beta(a + events[i], b + n[i] - events[i])
            assert stats.kstest(drawn[name][:, i], given.cdf).pvalue > 0.001
        replicate = drawn["y_" + name[-1]]
        expected = stats.betabinom(n, a, b)
        assert np.all(np.abs(replicate.mean(0) - expected.mean()) <= 5 * expected.std() / np.sqrt(DRAWS))
        assert np.all(np.abs(replicate.std(0) / expected.std() - 1) <= 5 * np.sqrt(2 / DRAWS))
    logit = {name: np.log(drawn[name] / (1 - drawn[name])) for name in ("risk_e", "risk_c")}
    np.testing.assert_allclose(drawn["theta"], logit["risk_e"] - logit["risk_c"], atol=1e-9)
    sd = np.sqrt(sum(polygamma(1, x) for x in (*of_e, *of_c)))
    assert abs(drawn["theta_new"].std() - sd) < 5 * sd * np.sqrt(3 / 4 / DRAWS)


def test_tau_is_the_sd_of_the_log_odds_ratios_where_it_is_small() -> None:
    for tau in (0.01, 0.1):
        of_e, of_c = _beta(0.7, tau, -1.5)
        # the next term of the trigamma function's series is r/2 sum w^-2, below 0.5 tau^4 of these risks
        assert np.sqrt(sum(polygamma(1, x) for x in (*of_e, *of_c))) == pytest.approx(tau, abs=0.5 * tau**3)


def test_simulated_events_have_the_sizes_of_the_data() -> None:
    truth = {"risk_e": np.array([1.0, 0.0, 0.5]), "risk_c": np.array([0.0, 1.0, 0.5])}
    drawn = MODEL.draw_data(SIMULATED, truth, np.random.default_rng(1))
    assert (drawn.event_e[0], drawn.event_c[0], drawn.event_e[1], drawn.event_c[1]) == (23, 0, 0, 22)
    assert (drawn.n_e.tolist(), drawn.study) == (SIMULATED.n_e.tolist(), SIMULATED.study)


def test_other_measures_and_data_are_refused() -> None:
    with pytest.raises(ValueError, match="beta_binomial is on OR; got counts for RR"):
        pymc_fit("beta_binomial", Counts("a", [1], [9], [2], [9], "RR"), PRIORS, seed=1)
    with pytest.raises(ValueError, match="beta_binomial needs participants with and without the event"):
        pymc_fit("beta_binomial", Counts("a", [0], [9], [0], [9], "OR"), PRIORS, seed=1)
    with pytest.raises(ValueError, match="beta_binomial needs proper priors; got flat on mu"):
        pymc_fit("beta_binomial", SIMULATED, p.Priors(p.flat(), p.half_normal(0.5)), seed=1)


def _counts(name: str) -> Counts:
    if name == "simulated":
        return SIMULATED
    data = load_reference()["datasets"][name]
    table = data["table"]
    return Counts(data["labels"], table["ai"], table["n1i"], table["ci"], table["n2i"], "OR")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simulated", "crins2014_srr", "bcg_rr"])
def test_agreement_with_quadrature_over_everything(name: str) -> None:
    counts = _counts(name)
    fit = pymc_fit("beta_binomial", counts, PRIORS, seed=7)
    draws = [fit.draws(v) for v in ("mu", "tau", "baseline")]
    # midpoints over where the posterior is, and as far again
    reach = [(x.min() - np.ptp(x) / 2, x.max() + np.ptp(x) / 2) for x in (draws[0], np.log(draws[1]), draws[2])]
    axes = [a + (b - a) * (np.arange(60) + 0.5) / 60 for a, b in reach]
    mu, log_tau, b = np.meshgrid(*axes, indexing="ij")
    grid = {"mu": mu, "tau": np.exp(log_tau), "baseline": b}
    log = MODEL.log_predictive(counts, grid, np.random.default_rng(1)).sum(-1)
    log += PRIORS.mu.logpdf(mu) + PRIORS.tau.logpdf(grid["tau"]) + log_tau + stats.norm.logpdf(b, 0, 10)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    errors = diagnose(fit).set_index("variable")["mcse_mean"]
    for (variable, values), found in zip(grid.items(), draws, strict=True):
        assert abs(found.mean() - (weight * values).sum()) <= MCSE_BOUND * errors[variable], variable


@pytest.mark.slow
def test_a_known_truth_is_found() -> None:
    k, rng = 60, np.random.default_rng(12)
    n = rng.integers(200, 800, k)
    design = Counts(range(k), n // 3, n, n // 3, n, "OR")
    of_e, of_c = _beta(-0.6, 0.4, -1.5)
    truth = {"risk_e": rng.beta(*of_e, k), "risk_c": rng.beta(*of_c, k)}
    fit = pymc_fit("beta_binomial", MODEL.draw_data(design, truth, rng), PRIORS, seed=1)
    assert fit.mu.lower < -0.6 < fit.mu.upper
    assert fit.mu.upper - fit.mu.lower < 0.3
    assert fit.tau.lower < 0.4 < fit.tau.upper
    assert fit.tau.upper - fit.tau.lower < 0.3
