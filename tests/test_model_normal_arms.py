"""Means of arms with unknown SDs: the log density, what is integrated out, limits, recovery, calibration."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from grid_posterior import MCSE_BOUND, assert_agrees
from reference_data import load_reference
from scipy import stats

from bayespip import priors as p
from bayespip.catalogue import load_review
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.two_arms import Means
from bayespip.models import load
from bayespip.reanalysis.cases import cases, pooled_results

MODEL = load("normal_arms")
WEAK = p.Priors(p.normal(0, 2.82), p.half_normal(0.5))
COLUMNS = ("mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c")
# Simulated: three small trials.
ARMS = ([1.1, 0.4, 0.9], [1.0, 0.8, 1.4], [6, 9, 5], [0.2, 0.1, -0.6], [1.3, 0.7, 0.9], [8, 7, 6])
SMALL = {measure: Means("abc", *ARMS, measure) for measure in ("MD", "SMD")}
FORMS = [("MD", {}), ("MD", {"equal_variances": True}), ("SMD", {})]
IDS = ["MD", "MD, equal variances", "SMD"]
LOGP_TOLERANCE = 1e-12  # relative: closed forms in double precision
DRAWS = 200_000
KS_LEVEL = 0.001  # of a dozen comparisons one in a hundred data sets falls below
POINTS = np.random.default_rng(5).normal(size=(10, 8))


def _pooled(means: Means) -> np.ndarray:
    squares = (means.n_e - 1) * means.sd_e**2 + (means.n_c - 1) * means.sd_c**2
    return np.sqrt(squares / (means.n_e + means.n_c - 2))


def _likelihood(means: Means, mu: float, tau: float, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Of the difference of means, from true SDs, sigma = s / sqrt(weight)."""
    difference = means.mean_e - means.mean_c
    if "weight" not in weights:
        sigma_e, sigma_c = means.sd_e / np.sqrt(weights["weight_e"]), means.sd_c / np.sqrt(weights["weight_c"])
        return stats.norm(mu, np.sqrt(tau**2 + sigma_e**2 / means.n_e + sigma_c**2 / means.n_c)).logpdf(difference)
    sigma = _pooled(means) / np.sqrt(weights["weight"])
    own = sigma**2 * (1 / means.n_e + 1 / means.n_c)
    if means.measure.name == "MD":
        return stats.norm(mu, np.sqrt(tau**2 + own)).logpdf(difference)
    # theta in units of sigma; the density is that of the difference over the observed SD
    return stats.norm(mu * sigma, np.sqrt((tau * sigma) ** 2 + own)).logpdf(difference) + np.log(_pooled(means))


@pytest.mark.parametrize(("measure", "options"), [FORMS[0], FORMS[2]], ids=[IDS[0], IDS[2]])
def test_the_log_density_is_the_closed_form(measure: str, options: dict[str, Any]) -> None:
    means = SMALL[measure]
    model = MODEL.build(means, WEAK, **options)
    logp = model.compile_logp()
    degrees = {"weight_e": means.n_e - 1, "weight_c": means.n_c - 1} if measure == "MD" else {"weight": means.df}
    assert [v.name for v in model.free_RVs] == ["mu", "tau", *degrees]
    for u in POINTS:
        mu, tau = u[0], np.exp(u[1])
        point, weights = {"mu": mu, "tau_log__": u[1]}, {}
        expected = WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau) + u[1]
        for i, (name, df) in enumerate(degrees.items()):
            own = u[2 + 3 * i : 5 + 3 * i]
            weights[name] = np.exp(own / np.sqrt(df / 2))
            point[f"{name}_standardised_log__"] = own
            # df s^2 / sigma^2 is chi-squared; dw / du = w / sqrt(df / 2)
            expected += (stats.chi2(df).logpdf(df * weights[name]) + np.log(df * weights[name])).sum()
            expected -= np.log(np.sqrt(df / 2)).sum()
        expected += _likelihood(means, mu, tau, weights).sum()
        assert float(logp(point)) == pytest.approx(float(expected), rel=LOGP_TOLERANCE, abs=LOGP_TOLERANCE)


def test_the_data_are_those_of_the_measure() -> None:
    md, smd = (MODEL.values(SMALL[measure]) for measure in ("MD", "SMD"))
    assert set(md) == {"yi", "sd_e", "sd_c", "n_e", "n_c"}
    assert set(smd) == {"yi", "n_e", "n_c"}
    np.testing.assert_allclose(md["yi"], [0.9, 0.3, 1.5])
    np.testing.assert_allclose(smd["yi"], np.array([0.9, 0.3, 1.5]) / _pooled(SMALL["SMD"]))


@pytest.mark.parametrize(("measure", "options"), FORMS, ids=IDS)
def test_priors_and_simulated_data_follow_the_model(measure: str, options: dict[str, Any]) -> None:
    rng, means = np.random.default_rng(2), SMALL[measure]
    drawn = MODEL.draw_prior(means, WEAK, rng, size=(20_000,), **options)
    together = measure == "SMD" or options
    degrees = {"weight": means.df} if together else {"weight_e": means.n_e - 1, "weight_c": means.n_c - 1}
    uniform = {
        "mu": WEAK.mu.cdf(drawn["mu"]),
        "tau": WEAK.tau.cdf(drawn["tau"]),
        "theta": stats.norm.cdf((drawn["theta"][:, 1] - drawn["mu"]) / drawn["tau"]),
        "theta_new": stats.norm.cdf((drawn["theta_new"] - drawn["mu"]) / drawn["tau"]),
        **{name: stats.chi2(df).cdf(df * drawn[name]) for name, df in degrees.items()},
    }
    for name, values in uniform.items():
        assert stats.kstest(values.ravel(), "uniform").pvalue > KS_LEVEL, name
    truth = {"theta": np.array([0.5, -1, 2.0]), **{name: np.array([0.5, 1, 2.0]) for name in degrees}}
    replicas = [MODEL.draw_data(means, truth, rng, **options) for _ in range(3000)]
    differences = np.array([replica.difference for replica in replicas])
    sigma_e, sigma_c = (_pooled(means),) * 2 if together else (means.sd_e, means.sd_c)
    root = np.sqrt(next(truth[name] for name in degrees))
    own = np.sqrt(sigma_e**2 / means.n_e + sigma_c**2 / means.n_c) / root
    expected = truth["theta"] * (_pooled(means) / root if measure == "SMD" else 1)
    assert stats.kstest(((differences - expected) / own).ravel(), "norm").pvalue > KS_LEVEL
    np.testing.assert_array_equal(replicas[0].sd_e, means.sd_e)


@pytest.mark.parametrize(("measure", "options"), FORMS, ids=IDS)
def test_what_is_integrated_out_follows_its_conditional_distribution(measure: str, options: dict[str, Any]) -> None:
    rng, means, mu, tau = np.random.default_rng(3), SMALL[measure], 0.4, 0.3
    together = measure == "SMD" or options
    weights = {name: np.array([0.4, 1.0, 1.7]) for name in (["weight"] if together else ["weight_e", "weight_c"])}
    many = {name: np.broadcast_to(w, (DRAWS, 3)) for name, w in weights.items()}
    drawn = MODEL.complete(means, {"mu": np.full(DRAWS, mu), "tau": np.full(DRAWS, tau)} | many, rng, **options)
    sigma_e, sigma_c = (_pooled(means),) * 2 if together else (means.sd_e, means.sd_c)
    root = np.sqrt(next(iter(weights.values())))
    unit = _pooled(means) / root if measure == "SMD" else np.ones(3)
    own = np.sqrt(sigma_e**2 / means.n_e + sigma_c**2 / means.n_c) / root / unit
    y = means.difference / unit
    mean, sd = (tau**2 * y + own**2 * mu) / (tau**2 + own**2), own * tau / np.hypot(own, tau)
    to_y = unit / _pooled(means) if measure == "SMD" else unit
    expected = {
        "theta": (mean, sd),
        "theta_new": (mu, tau),
        "y": (mu * to_y, np.hypot(own, tau) * to_y),
    }
    for name, (centre, spread) in expected.items():
        assert np.all(np.abs(drawn[name].mean(axis=0) - centre) < 5 * spread / np.sqrt(DRAWS)), name
        assert np.all(np.abs(drawn[name].std(axis=0) - spread) < 5 * spread / np.sqrt(2 * DRAWS)), name


@pytest.mark.parametrize(("measure", "options"), FORMS, ids=IDS)
def test_each_difference_is_predicted_with_its_own_parameters_integrated_out(measure: str, options: dict) -> None:
    means, mu, tau = SMALL[measure], 0.3, 0.2
    draws = {"mu": np.full((1, 2), mu), "tau": np.full((1, 2), tau)}
    found = MODEL.log_predictive(means, draws, np.random.default_rng(1), **options)
    assert found.shape == (1, 2, 3)
    rng = np.random.default_rng(6)
    drawn = MODEL.draw_prior(means, WEAK, rng, size=(DRAWS,), **options)
    weights = {name: v for name, v in drawn.items() if name.startswith("weight")}
    densities = np.exp(_likelihood(means, mu, tau, weights))
    error = 5 * densities.std(axis=0) / np.sqrt(DRAWS)  # five standard errors of a mean over simulated weights
    assert np.all(np.abs(np.exp(found[0, 0]) - densities.mean(axis=0)) < error)


BAD = [
    (EffectSizes("ab", [0, 1], [1, 1], "MD"), "normal_arms needs Means .*; got EffectSizes"),
    (Means("ab", [2, 3], [1, 1], [5, 5], [2, 2], [1, 1], [5, 5], "ROM"), "is on MD or SMD; got means for ROM"),
    (Means("ab", [2, 3], [1, 1], [5, 5], [2, 2], [1, 1], [5, 1], "MD"), "n_c must be at least 2; not so for b "),
]


@pytest.mark.parametrize(("data", "message"), BAD, ids=["effects", "measure", "size"])
def test_data_that_do_not_serve_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODEL.check(data, WEAK)


def test_an_improper_posterior_is_refused() -> None:
    pair = Means("ab", *(column[:2] for column in ARMS), "MD")
    with pytest.raises(ValueError, match="improper for k = 2 studies"):
        MODEL.check(pair, p.Priors(p.flat(), p.uniform(0, np.inf)))


def test_a_published_result_has_no_means() -> None:
    fitted, _ = cases("pip", pooled_results(load_review("pip"))[:1])
    with pytest.raises(ValueError, match="P1 has only its published result; normal_arms needs means and SDs"):
        MODEL.data_of(fitted[0])


def _table(means: Means) -> pd.DataFrame:
    return pd.DataFrame({"study": means.study, **{name: getattr(means, name) for name in COLUMNS}})


def _assert_near_exact(fit: PymcFit, effects: EffectSizes, priors: p.Priors, shift: float = 0) -> None:
    exact = exact_fit(effects, priors)
    table = diagnose(fit, ["mu", "tau", "theta_new"]).set_index("variable")
    for name in ("mu", "tau", "theta_new"):
        found, expected = getattr(fit, name), getattr(exact, name)
        for edge, column in (("lower", "mcse_lower"), ("point", "mcse_median"), ("upper", "mcse_upper")):
            distance = abs(getattr(found, edge) - getattr(expected, edge))
            assert distance <= MCSE_BOUND * table.loc[name, column] + shift, (name, edge)


@pytest.mark.slow
@pytest.mark.parametrize(("measure", "options"), FORMS, ids=IDS)
def test_many_participants_are_the_normal_model(measure: str, options: dict[str, Any]) -> None:
    many = Means("abc", *ARMS[:2], [2e5, 1e5, 3e5], *ARMS[3:5], [1e5, 3e5, 2e5], measure)
    table = _table(many)
    if options:  # equal variances: what effect_sizes computes from the pooled SD in both arms
        table = table.assign(sd_e=many.sd, sd_c=many.sd)
    fit = pymc_fit("normal_arms", many, WEAK, seed=3, **options)
    # the variance of g has N - 3.94 where here are degrees of freedom: 1e-5 of it
    _assert_near_exact(fit, effect_sizes(table, measure), WEAK, shift=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize(("measure", "options"), FORMS, ids=IDS)
def test_the_posterior_is_that_of_a_quadrature(measure: str, options: dict[str, Any], k: int) -> None:
    means = Means("abc"[:k], *(column[:k] for column in ARMS), measure)
    fit = pymc_fit("normal_arms", means, WEAK, seed=5, **options)

    def log_density(mu: np.ndarray, tau: np.ndarray) -> np.ndarray:
        draws = {"mu": mu, "tau": tau}
        likelihood = MODEL.log_predictive(means, draws, np.random.default_rng(1), **options).sum(axis=-1)
        return likelihood + WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau)

    assert_agrees(fit, log_density)


def _simulated(measure: str, k: int, rng: np.random.Generator) -> tuple[Means, np.ndarray]:
    """Trials of persons, whose SD (SMD) differs between trials and (MD) between arms."""
    theta = rng.normal(0.6, 0.3, k)
    rows = []
    for effect in theta:
        n_e, n_c = rng.integers(8, 40, 2)
        sd_e, sd_c = (np.exp(rng.normal()),) * 2 if measure == "SMD" else (1.0, 1.5)
        shift = effect * sd_e if measure == "SMD" else effect
        e, c = rng.normal(3 + shift, sd_e, n_e), rng.normal(3, sd_c, n_c)
        rows.append((e.mean(), e.std(ddof=1), n_e, c.mean(), c.std(ddof=1), n_c))
    return Means([f"simulated {i}" for i in range(k)], *np.array(rows).T, measure), theta


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["MD", "SMD"])
def test_parameters_are_recovered(measure: str) -> None:
    means, theta = _simulated(measure, 80, np.random.default_rng(21))
    fit = pymc_fit("normal_arms", means, WEAK, seed=7)
    for shown, true, width in ((fit.mu, 0.6, 0.3), (fit.tau, 0.3, 0.4)):
        assert shown.lower < true < shown.upper
        assert shown.upper - shown.lower < width
    inside = [fit.theta[s].lower < t < fit.theta[s].upper for s, t in zip(means.study, theta, strict=True)]
    assert np.mean(inside) > 0.88  # of 80 intervals of 95%, fewer in one data set of 500


@pytest.mark.slow
def test_normand_and_the_reference() -> None:
    reference = load_reference()["datasets"]["normand1999_md"]
    columns = [reference["table"][name] for name in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")]
    means = Means(reference["labels"], *columns, "MD")
    effects = effect_sizes(_table(means), "MD")
    np.testing.assert_allclose(effects.sei, reference["sei"], rtol=1e-12)
    priors = p.Priors(p.normal(0, 100), p.half_normal(30))
    fit, exact = pymc_fit("normal_arms", means, priors, seed=9), exact_fit(effects, priors)
    # stays of days, arms of 8 to 183: mu hardly moves, and the smallest trials pull less
    assert fit.mu.point == pytest.approx(exact.mu.point, abs=0.1 * (exact.mu.upper - exact.mu.lower))
    assert fit.theta["Montreal-Home"].upper - fit.theta["Montreal-Home"].lower > (
        exact.theta["Montreal-Home"].upper - exact.theta["Montreal-Home"].lower
    )
