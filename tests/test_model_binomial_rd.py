"""binomial_rd: against SciPy, direct quadrature, its own simulator, and normal_normal."""

import numpy as np
import pandas as pd
import pytest
from reference_data import load_reference
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit

from bayespip import priors as p
from bayespip import pymc_fit
from bayespip.effects import effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.measures import BINARY
from bayespip.model_data.two_arms import Counts
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.model_parts.bounded_effects import fisher_scale
from bayespip.models import load

MODEL = load("binomial_rd")
# Simulated: ordinary trials; and an empty arm, everyone of an arm.
SIMULATED = Counts(["a", "b", "c"], [4, 6, 8], [23, 20, 10], [11, 3, 7], [25, 22, 12], "RD")
EMPTY = Counts(["a", "b", "c"], [4, 0, 10], [23, 20, 10], [11, 3, 7], [25, 22, 12], "RD")
PRIORS = p.Priors(p.normal(0.1, 0.5), p.half_normal(0.3))
LOGP_TOLERANCE = 1e-10  # relative: SciPy's and PyMC's log gamma functions differ in the last digits
MCSE_BOUND = 5  # as everywhere: a normal deviate exceeds it once in 1.7 million
QUICK = "FAST_COMPILE"


def _risks(a: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both risks, by solving for the log odds ratio that gives the risk difference."""

    def log_odds_ratio(a: float, theta: float) -> float:
        return float(brentq(lambda d: expit(a + d / 2) - expit(a - d / 2) - theta, -200, 200, xtol=1e-14, rtol=1e-15))

    d = np.vectorize(log_odds_ratio)(a, theta)
    return expit(a + d / 2), expit(a - d / 2)


def test_effects_and_baselines_are_what_they_are_called() -> None:
    rng = np.random.default_rng(1)
    theta, a = rng.uniform(-0.95, 0.95, 50), rng.normal(0, 3, 50)
    y, step = np.arctanh(theta), 1e-6
    d, by_y, by_a = MODEL.log_odds_ratio(y, a)
    p_e, p_c = _risks(a, theta)
    np.testing.assert_allclose(d, np.log(p_e / (1 - p_e)) - np.log(p_c / (1 - p_c)), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(expit(a + d / 2) - expit(a - d / 2), theta, atol=1e-14)
    slope = (MODEL.log_odds_ratio(y + step, a)[0] - MODEL.log_odds_ratio(y - step, a)[0]) / (2 * step)
    np.testing.assert_allclose(by_y, slope, rtol=1e-7)
    slope = (MODEL.log_odds_ratio(y, a + step)[0] - MODEL.log_odds_ratio(y, a - step)[0]) / (2 * step)
    np.testing.assert_allclose(by_a, slope, rtol=1e-6, atol=1e-8)


def test_the_log_density_is_the_closed_form() -> None:
    model = MODEL.build(EMPTY, PRIORS)
    logp = model.compile_logp(jacobian=False, mode=QUICK)
    natural = model.compile_fn(model.unobserved_value_vars, inputs=model.value_vars, mode=QUICK)
    rng = np.random.default_rng(3)
    for _ in range(5):
        point = {name: rng.normal(size=np.shape(x)) for name, x in model.initial_point().items()}
        at = dict(zip([v.name for v in model.unobserved_value_vars], natural(point), strict=True))
        mu, tau, theta = at["mu"], at["tau"], at["theta"]
        assert -1 < mu < 1
        p_e, p_c = _risks(at["baseline"], theta)
        expected = stats.binom.logpmf(EMPTY.event_e, EMPTY.n_e, p_e).sum()
        expected += stats.binom.logpmf(EMPTY.event_c, EMPTY.n_c, p_c).sum()
        expected += float(PRIORS.mu.logpdf(mu) + PRIORS.tau.logpdf(tau))
        expected += stats.truncnorm.logpdf(theta, (-1 - mu) / tau, (1 - mu) / tau, mu, tau).sum()
        expected += stats.norm.logpdf(at["baseline"], 0, 10).sum()
        assert float(logp(point)) == pytest.approx(expected, rel=LOGP_TOLERANCE)


def test_priors_and_effects_are_drawn_between_the_ends() -> None:
    priors = p.Priors(p.normal(0.6, 0.5), p.half_normal(0.4))
    drawn = MODEL.draw_prior(SIMULATED, priors, np.random.default_rng(4), (20_000,))
    truncated = stats.truncnorm((-1 - 0.6) / 0.5, (1 - 0.6) / 0.5, 0.6, 0.5)
    assert stats.kstest(drawn["mu"], truncated.cdf).pvalue > 1e-3
    mu, tau = drawn["mu"], drawn["tau"]
    for name, effect in (("theta", drawn["theta"][:, 0]), ("theta_new", drawn["theta_new"])):
        ranks = stats.truncnorm.cdf(effect, (-1 - mu) / tau, (1 - mu) / tau, mu, tau)
        assert stats.kstest(ranks, "uniform").pvalue > 1e-3, name


def test_events_are_drawn_with_the_risks() -> None:
    n, a, theta = 100_000, np.array([-1.0, 0.5, 3.0]), np.array([0.4, -0.8, 0.02])
    draws = {"mu": np.full(n, 0.3), "tau": np.full(n, 1e-9), "baseline": np.tile(a, (n, 1))}
    drawn = MODEL.complete(SIMULATED, draws, np.random.default_rng(5))
    p_e, p_c = _risks(a, np.full(3, 0.3))
    for name, risk, size in (("y_e", p_e, SIMULATED.n_e), ("y_c", p_c, SIMULATED.n_c)):
        error = np.sqrt(size * risk * (1 - risk) / n)
        assert np.all(np.abs(drawn[name].mean(0) - size * risk) <= 5 * error)
    np.testing.assert_allclose(drawn["theta_new"], 0.3, atol=1e-7)
    many = Counts("abc", [0] * 3, [10**8] * 3, [0] * 3, [10**8] * 3, "RD")
    data = MODEL.draw_data(many, {"baseline": a, "theta": theta}, np.random.default_rng(6))
    np.testing.assert_allclose((data.event_e - data.event_c) / 1e8, theta, atol=5e-4)


@pytest.mark.parametrize("parameters", [(-0.2, 0.3, 0.0, 10.0), (0.9, 0.5, -2.0, 1.5), (0.1, 0.02, -3.0, 0.3)])
def test_probabilities_of_all_possible_events_add_up_to_one(parameters: tuple[float, ...]) -> None:
    event_e, event_c = (x.ravel() for x in np.meshgrid(np.arange(5), np.arange(8)))
    every = Counts(range(40), event_e, np.full(40, 4), event_c, np.full(40, 7), "RD")
    mu, tau, mean, sd = parameters
    draws = {"mu": np.array([mu]), "tau": np.array([tau]), "baseline_mean": mean, "baseline_sd": sd}
    found = MODEL.log_predictive(every, draws, np.random.default_rng(), baseline="random")
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-4)


def test_what_it_cannot_take_is_refused() -> None:
    odds_ratios = Counts("a", [1], [9], [2], [9], "OR")
    with pytest.raises(ValueError, match="binomial_rd is on RD; got counts for OR"):
        pymc_fit("binomial_rd", odds_ratios, PRIORS, seed=1)
    with pytest.raises(ValueError, match=r"prior on mu with density at -1 and 1; got truncated student-t"):
        MODEL.check(SIMULATED, p.Priors(p.truncated_student_t(0, 0.3, 3, 0), p.half_normal(0.3)))
    with pytest.raises(ValueError, match=r"prior on mu with mass between -1 and 1; got normal\(3, 0.1\)"):
        MODEL.check(SIMULATED, p.Priors(p.normal(3, 0.1), p.half_normal(0.3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bcg_rr_2study", "simulated", "empty"])
def test_agreement_with_quadrature_over_everything(name: str) -> None:
    counts = {"simulated": SIMULATED, "empty": EMPTY}.get(name)
    if counts is None:
        data = load_reference()["datasets"][name]
        counts = Counts(data["labels"], *(data["table"][c] for c in ("ai", "n1i", "ci", "n2i")), "RD")
    # dense near zero, where differences between large trials are told apart
    x, w = np.polynomial.legendre.leggauss(100)
    near, reach = 0.02, np.arcsinh(1 / 0.02)
    mu, tau = near * np.sinh(reach * x), 1.8 * ((x + 1) / 2) ** 3
    m, t = np.meshgrid(mu, tau, indexing="ij")
    link = MODEL.log_odds_ratio
    log = log_marginal_likelihood(counts, m, t, 0.0, 10.0, link=link, effects=fisher_scale).sum(-1)
    log += PRIORS.mu.logpdf(m) + PRIORS.tau.logpdf(t)
    density = np.exp(log - log.max()) * (w * np.cosh(reach * x))[:, None] * (w * (x + 1) ** 2)
    fit = pymc_fit("binomial_rd", counts, PRIORS, seed=7)
    table = diagnose(fit).set_index("variable")
    for axis, (variable, grid) in enumerate((("mu", mu), ("tau", tau))):
        weight = density.sum(1 - axis)
        expected = (weight * grid).sum() / weight.sum()
        assert abs(fit.draws(variable).mean() - expected) <= MCSE_BOUND * table.loc[variable, "mcse_mean"], variable


@pytest.mark.slow
def test_a_known_truth_is_found() -> None:
    k, rng = 40, np.random.default_rng(12)
    n = rng.integers(1500, 4000, k)
    truth = {"theta": rng.normal(-0.2, 0.1, k), "baseline": rng.normal(-0.5, 0.8, k)}
    design = Counts(range(k), n // 3, n, n // 3, n, "RD")
    fit = pymc_fit("binomial_rd", MODEL.draw_data(design, truth, rng), PRIORS, seed=1)
    assert fit.mu.lower < -0.2 < fit.mu.upper
    assert fit.tau.lower < 0.1 < fit.tau.upper
    assert fit.mu.upper - fit.mu.lower < 0.1


# Simulated. The normal approximation's error is of the order 1/sqrt(events), of a standard deviation.
MANY = Counts(["a", "b", "c"], [3300, 3700, 3450], [10_000] * 3, [3500, 3600, 3900], [10_000] * 3, "RD")
NORMAL_ERROR = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_with_many_events_it_is_the_normal_model(baseline: str) -> None:
    priors = p.Priors(p.normal(0, 0.5), p.half_normal(0.05))
    fit = pymc_fit("binomial_rd", MANY, priors, seed=5, baseline=baseline)
    table = pd.DataFrame({"study": MANY.study, **{name: getattr(MANY, name) for name in BINARY}})
    exact = exact_fit(effect_sizes(table, "RD"), priors)
    errors = diagnose(fit).set_index("variable")
    for name in ("mu", "tau"):
        for point, probability in (("lower", 0.025), ("point", 0.5), ("upper", 0.975)):
            column = {"point": "mcse_median"}.get(point, f"mcse_{point}")
            found, expected = getattr(getattr(fit, name), point), float(getattr(exact, name).quantile(probability))
            assert abs(found - expected) <= MCSE_BOUND * errors.loc[name, column] + NORMAL_ERROR * exact.mu.sd
