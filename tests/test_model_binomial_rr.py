"""binomial_rr: against SciPy, direct quadrature, its own simulator, and normal_normal."""

import numpy as np
import pandas as pd
import pytest
from reference_data import load_reference
from scipy import stats

from bayespip import priors as p
from bayespip import pymc_fit
from bayespip.effects import effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.measures import BINARY
from bayespip.model_data.two_arms import Counts
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.models import load

MODEL = load("binomial_rr")
# Simulated: an ordinary trial, an empty arm, everyone of an arm.
SIMULATED = Counts(["a", "b", "c"], [4, 0, 10], [23, 20, 10], [11, 3, 7], [25, 22, 12], "RR")
PRIORS = p.Priors(p.normal(0.2, 2.82), p.half_normal(0.5))
LOGP_TOLERANCE = 1e-10  # relative: SciPy's and PyMC's log gamma functions differ in the last digits
MCSE_BOUND = 5  # as everywhere: a normal deviate exceeds it once in 1.7 million
QUICK = "FAST_COMPILE"


def _risks(a: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both risks: p_c solves p_e p_c / ((1 - p_e) (1 - p_c)) = exp(2 a) with p_e = exp(theta) p_c."""
    ratio = np.exp(theta)
    p_c = 2 / (1 + ratio + np.sqrt((1 - ratio) ** 2 + 4 * ratio * np.exp(-2 * a)))
    return ratio * p_c, p_c


def test_effects_and_baselines_are_what_they_are_called() -> None:
    rng = np.random.default_rng(1)
    theta, a = rng.normal(0, 1.5, 50), rng.normal(0, 3, 50)
    d, by_theta, by_a = MODEL.log_odds_ratio(theta, a)
    p_e, p_c = _risks(a, theta)
    np.testing.assert_allclose(d, np.log(p_e / (1 - p_e)) - np.log(p_c / (1 - p_c)), rtol=1e-8, atol=1e-8)
    step = 1e-6
    slope = (MODEL.log_odds_ratio(theta + step, a)[0] - MODEL.log_odds_ratio(theta - step, a)[0]) / (2 * step)
    np.testing.assert_allclose(by_theta, slope, rtol=1e-7)
    slope = (MODEL.log_odds_ratio(theta, a + step)[0] - MODEL.log_odds_ratio(theta, a - step)[0]) / (2 * step)
    np.testing.assert_allclose(by_a, slope, rtol=1e-6, atol=1e-8)


def test_the_log_density_is_the_closed_form() -> None:
    model = MODEL.build(SIMULATED, PRIORS)
    logp = model.compile_logp(jacobian=False, mode=QUICK)
    natural = model.compile_fn(model.unobserved_value_vars, inputs=model.value_vars, mode=QUICK)
    rng = np.random.default_rng(3)
    for _ in range(5):
        point = {name: rng.normal(size=np.shape(x)) for name, x in model.initial_point().items()}
        at = dict(zip([v.name for v in model.unobserved_value_vars], natural(point), strict=True))
        p_e, p_c = _risks(at["baseline"], at["theta"])
        expected = stats.binom.logpmf(SIMULATED.event_e, SIMULATED.n_e, p_e).sum()
        expected += stats.binom.logpmf(SIMULATED.event_c, SIMULATED.n_c, p_c).sum()
        expected += float(PRIORS.mu.logpdf(at["mu"]) + PRIORS.tau.logpdf(at["tau"]))
        expected += stats.norm.logpdf(at["theta"], at["mu"], at["tau"]).sum()
        expected += stats.norm.logpdf(at["baseline"], 0, 10).sum()
        moved = dict(zip(at, natural(point | {"z": point["z"] + 1}), strict=True))
        expected += np.log(moved["theta"] - at["theta"]).sum()  # the density is of z
        assert float(logp(point)) == pytest.approx(expected, rel=LOGP_TOLERANCE)


def test_events_are_drawn_with_the_risks() -> None:
    n, a, theta = 100_000, np.array([-1.0, 0.5, 3.0]), np.array([0.4, -0.8, 0.2])
    draws = {"mu": np.zeros(n), "tau": np.zeros(n), "baseline": np.tile(a, (n, 1))}
    drawn = MODEL.complete(SIMULATED, draws | {"mu": np.full(n, 0.4)}, np.random.default_rng(5))
    p_e, p_c = _risks(a, np.full(3, 0.4))
    for name, risk, size in (("y_e", p_e, SIMULATED.n_e), ("y_c", p_c, SIMULATED.n_c)):
        error = np.sqrt(size * risk * (1 - risk) / n)
        assert np.all(np.abs(drawn[name].mean(0) - size * risk) <= 5 * error)
    many = Counts("abc", [0] * 3, [10**8] * 3, [0] * 3, [10**8] * 3, "RR")
    data = MODEL.draw_data(many, {"baseline": a, "theta": theta}, np.random.default_rng(6))
    np.testing.assert_allclose(np.log(data.event_e / data.event_c), theta, atol=0.002)


def test_counts_for_odds_ratios_are_refused() -> None:
    with pytest.raises(ValueError, match="binomial_rr is on RR; got counts for OR"):
        pymc_fit("binomial_rr", Counts("a", [1], [9], [2], [9], "OR"), PRIORS, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bcg_rr_2study", "simulated"])
def test_agreement_with_quadrature_over_everything(name: str) -> None:
    counts = SIMULATED
    if name != "simulated":
        data = load_reference()["datasets"][name]
        counts = Counts(data["labels"], *(data["table"][c] for c in ("ai", "n1i", "ci", "n2i")), "RR")
    mu, tau = np.linspace(-6, 4, 101), np.linspace(0, 3, 76)[1:] - 0.02
    m, t = np.meshgrid(mu, tau, indexing="ij")
    log = log_marginal_likelihood(counts, m, t, 0.0, 10.0, link=MODEL.log_odds_ratio).sum(-1)
    density = np.exp(log + PRIORS.mu.logpdf(m) + PRIORS.tau.logpdf(t) - log.max())
    fit = pymc_fit("binomial_rr", counts, PRIORS, seed=7)
    table = diagnose(fit).set_index("variable")
    for axis, (variable, grid) in enumerate((("mu", mu), ("tau", tau))):
        weight = density.sum(1 - axis)
        expected = (weight * grid).sum() / weight.sum()
        assert abs(fit.draws(variable).mean() - expected) <= MCSE_BOUND * table.loc[variable, "mcse_mean"], variable


@pytest.mark.slow
def test_a_known_truth_is_found() -> None:
    k, rng = 40, np.random.default_rng(12)
    n = rng.integers(1500, 4000, k)
    truth = {"theta": rng.normal(-0.4, 0.3, k), "baseline": rng.normal(-1.0, 0.8, k)}
    design = Counts(range(k), n // 3, n, n // 3, n, "RR")
    fit = pymc_fit("binomial_rr", MODEL.draw_data(design, truth, rng), PRIORS, seed=1)
    assert fit.mu.lower < -0.4 < fit.mu.upper
    assert fit.tau.lower < 0.3 < fit.tau.upper
    assert fit.mu.upper - fit.mu.lower < 0.3


# Simulated. The normal approximation's error is of the order 1/sqrt(events), of a standard deviation.
MANY = Counts(["a", "b", "c"], [3300, 3700, 3450], [10_000] * 3, [3500, 3600, 3900], [10_000] * 3, "RR")
NORMAL_ERROR = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["fixed", "random"])
def test_with_many_events_it_is_the_normal_model(baseline: str) -> None:
    fit = pymc_fit("binomial_rr", MANY, PRIORS, seed=5, baseline=baseline)
    table = pd.DataFrame({"study": MANY.study, **{name: getattr(MANY, name) for name in BINARY}})
    exact = exact_fit(effect_sizes(table, "RR"), PRIORS)
    errors = diagnose(fit).set_index("variable")
    for name in ("mu", "tau"):
        for point, probability in (("lower", 0.025), ("point", 0.5), ("upper", 0.975)):
            column = {"point": "mcse_median"}.get(point, f"mcse_{point}")
            found, expected = getattr(getattr(fit, name), point), float(getattr(exact, name).quantile(probability))
            assert abs(found - expected) <= MCSE_BOUND * errors.loc[name, column] + NORMAL_ERROR * exact.mu.sd
