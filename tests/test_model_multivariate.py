"""multivariate: against matrices written out, the limit without correlation, recovery, calibration."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulated_outcomes import APART, PRIORS, SHARED, covariance

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.outcomes import Outcomes
from bayespip.models import load
from bayespip.sensitivity import correlation_grid

MODEL = load("multivariate")
LOGP_TOLERANCE = 1e-11  # relative: a Cholesky factor beside Woodbury's identity, both in double precision
HALF_NORMAL_LOG_2 = 1e-7  # PyMC 6.4 has constants of the half-normal in single precision
MCSE_BOUND = 5  # the run's own rule; a normal deviate exceeds it once in 1.7 million
DRAWS = 100_000
MU, TAU = np.array([0.4, -0.1, 0.2]), np.array([0.3, 0.05, 0.6])


@pytest.fixture(scope="module")
def fit() -> PymcFit:
    return pymc_fit("multivariate", SHARED, PRIORS, seed=3)


def _log_likelihood(data: Outcomes, mu: np.ndarray, tau: np.ndarray, rho: float) -> np.ndarray:
    found, reported = data.by_trial(data.yi, np.nan), data.reported
    return np.array(
        [
            stats.multivariate_normal(mu[r], covariance(data, i, tau, rho)).logpdf(found[i][r])
            for i, r in enumerate(reported)
        ]
    )


def test_the_log_density_is_that_of_the_matrices() -> None:
    model = MODEL.build(SHARED, PRIORS)
    likelihood = model.compile_logp(model.observed_RVs, sum=False, jacobian=False)
    whole = model.compile_logp(jacobian=False)
    rng = np.random.default_rng(5)
    for rho in (0.001, 0.2, 0.6, 0.999):
        mu, z, typical, spread = rng.normal(size=3), rng.normal(size=3), rng.uniform(0.1, 1), rng.uniform(0.1, 1)
        tau = typical * np.exp(spread * z)
        point = {"mu": mu, "z": z, "tau_typical_log__": np.log(typical), "tau_spread_log__": np.log(spread)}
        point["rho_between_interval__"] = np.log(rho / (1 - rho))
        expected = _log_likelihood(SHARED, mu, tau, rho)
        np.testing.assert_allclose(likelihood(point)[0], expected, rtol=LOGP_TOLERANCE)
        draws = {"mu": mu, "tau": tau, "rho_between": np.array(rho)}
        np.testing.assert_allclose(MODEL.log_predictive(SHARED, draws, rng), expected, rtol=LOGP_TOLERANCE)
        prior = PRIORS.mu.logpdf(mu).sum() + PRIORS.tau.logpdf(typical) + stats.norm.logpdf(z).sum()
        prior += stats.halfnorm(scale=0.5).logpdf(spread)
        assert float(whole(point)) == pytest.approx(expected.sum() + prior, rel=HALF_NORMAL_LOG_2)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.7])
def test_what_the_model_integrates_out_follows_its_conditional_distribution(rho: float) -> None:
    draws = {"mu": np.broadcast_to(MU, (DRAWS, 3)), "tau": np.broadcast_to(TAU, (DRAWS, 3))}
    draws["rho_between"] = np.full(DRAWS, rho)
    drawn = MODEL.complete(SHARED, draws, np.random.default_rng(8))
    sigma = np.outer(TAU, TAU) * (rho + (1 - rho) * np.eye(3))
    expected = {"theta_new": (drawn["theta_new"], MU, sigma)}
    for i, r in enumerate(SHARED.reported):
        v = covariance(SHARED, i, TAU, rho)
        gain = sigma[:, r] @ np.linalg.inv(v)
        mean = MU + gain @ (SHARED.by_trial(SHARED.yi, 0)[i] - MU)[r]
        expected[f"theta {i}"] = (drawn["theta"][:, i], mean, sigma - gain @ sigma[r])
        expected[f"y {i}"] = (drawn["y"][:, i][:, r], MU[r], v)
        assert np.isnan(drawn["y"][:, i][:, ~r]).all()
    for name, (values, mean, cov) in expected.items():
        sd = np.sqrt(np.diag(cov))
        # five standard errors of a mean, and of a covariance of normals, at most sqrt(2) sd_j sd_l / sqrt(draws)
        assert np.all(np.abs(values.mean(0) - mean) <= 5 * sd / np.sqrt(DRAWS)), name
        error = np.abs(np.cov(values, rowvar=False) - cov)
        assert np.all(error <= 5 * np.sqrt(2) * np.outer(sd, sd) / np.sqrt(DRAWS)), name


def test_simulated_data_have_the_covariance_of_the_model() -> None:
    rng = np.random.default_rng(6)
    theta = rng.normal(size=SHARED.reported.shape)
    errors = np.array([MODEL.draw_data(SHARED, {"theta": theta}, rng).yi for _ in range(5000)])
    errors -= theta[SHARED.trial, SHARED.index]
    same = SHARED.trial[:, None] == SHARED.trial
    rho = np.where(np.eye(8), 1, np.where(same, -0.3, 0))
    expected = np.outer(SHARED.sei, SHARED.sei) * rho
    assert np.all(
        np.abs(np.cov(errors, rowvar=False) - expected) <= 5 * np.sqrt(2 / 5000) * np.outer(SHARED.sei, SHARED.sei)
    )
    drawn = MODEL.draw_prior(SHARED, PRIORS, rng, size=(20_000,))
    z = (drawn["theta"][:, 0] - drawn["mu"]) / drawn["tau"]
    assert stats.kstest(z.ravel(), stats.norm.cdf).pvalue > 0.01
    product = z[:, 0] * z[:, 1] - drawn["rho_between"]
    assert abs(product.mean()) < 5 * product.std() / np.sqrt(20_000)
    assert stats.kstest(drawn["rho_between"], stats.uniform.cdf).pvalue > 0.01


def test_each_outcome_has_the_face_of_a_fit(fit: PymcFit) -> None:
    assert fit.data["posterior"]["theta"].dims == ("chain", "draw", "study", "outcome")
    assert fit.data["log_likelihood"]["y"].shape == (4, 1000, 4)
    of = fit.outcome("C")
    assert list(of.theta) == ["a", "d"]
    theta = fit.data["posterior"]["theta"].sel(study="d", outcome="C")
    assert of.theta["d"].point == pytest.approx(float(theta.median()), rel=1e-14)
    assert list(of.parameters) == [
        "mu", "tau", "theta_new", "theta[a]", "theta[d]", "tau_typical", "tau_spread", "rho_between"
    ]  # fmt: skip
    np.testing.assert_array_equal(of.data["observed_data"]["y"], SHARED.select("C").yi)
    with pytest.raises(ValueError, match=r"multivariate has a theta for each outcome: select one"):
        _ = fit.theta
    draws = {name: fit.draws(name)[:50] for name in ("mu", "tau", "rho_between")}
    expected = MODEL.log_predictive(SHARED, draws, np.random.default_rng(1))
    found = np.asarray(fit.data["log_likelihood"]["y"]).reshape(-1, 4)[:50]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)  # of terms that cancel where rho is near its ends


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SHARED.select("A"), "multivariate needs Outcomes, .*; got EffectSizes"),
        (Outcomes({"A": SHARED.select("A")}), "needs at least two outcomes; got A alone"),
        (Outcomes(SHARED.effects), r"needs rho_within, .* it got none"),
        (
            Outcomes({"A": EffectSizes(["consistent-with-reported 1"], [0], [1], "SMD"), "B": SHARED.select("B")}),
            "needs to know which trial reports which outcome; of A there are only possible study data",
        ),
    ],
)
def test_what_is_refused(data: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pymc_fit("multivariate", data, PRIORS, seed=1)


def test_an_improper_prior_on_the_typical_tau_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a proper prior on the typical tau; got improper uniform"):
        pymc_fit("multivariate", SHARED, replace(PRIORS, tau=p.uniform(0, np.inf)), seed=1)


def test_a_correlation_that_is_none_is_refused_before_anything_is_fitted() -> None:
    with pytest.raises(ValueError, match=r"rho_within must lie in \(-1, 1\), for a trial with 2 outcomes .*; got 1.2"):
        correlation_grid(SHARED, PRIORS, seed=1, rhos=(0.5, 1.2))


@pytest.mark.slow
def test_the_grid_of_correlations_has_a_fit_for_each() -> None:
    table = correlation_grid(SHARED, PRIORS, seed=2, rhos=(0.0, 0.9))
    assert table.groupby(["rho_within", "analysis"]).size().shape == (6,)
    one = pymc_fit("multivariate", SHARED.with_rho(0.9), PRIORS, seed=2).outcome("B").mu
    row = table[(table["rho_within"] == 0.9) & (table["analysis"] == "B") & (table["parameter"] == "mu")]
    assert row["point"].item() == one.point


@pytest.mark.slow
def test_without_shared_trials_it_is_pooled_tau() -> None:
    one = pymc_fit("multivariate", APART.with_rho(0.5), PRIORS, seed=4, draws=4000)
    other = pymc_fit("pooled_tau", APART, PRIORS, seed=5, draws=4000)
    tables = [diagnose(f, ("mu", "tau", "theta_new")).set_index("variable") for f in (one, other)]
    for label in APART.outcome:
        a, b = one.outcome(label), other.outcome(label)
        for name in ("mu", "tau", "theta_new"):
            for point, column in (("lower", "mcse_lower"), ("point", "mcse_median"), ("upper", "mcse_upper")):
                error = np.hypot(*(t.loc[f"{name}[{label}]", column] for t in tables))
                assert abs(getattr(getattr(a, name), point) - getattr(getattr(b, name), point)) <= MCSE_BOUND * error


@pytest.mark.slow
def test_known_values_are_found_again() -> None:
    rng = np.random.default_rng(4)
    mu, tau, n = np.array([0.3, -0.2]), np.array([0.3, 0.4]), 100
    sigma = np.outer(tau, tau) * np.array([[1, 0.6], [0.6, 1]])
    sampling = 0.01 * np.array([[1, 0.5], [0.5, 1]])
    y = rng.multivariate_normal(mu, sigma + sampling, n)
    names = [f"simulated {i}" for i in range(n)]
    data = Outcomes(
        {label: EffectSizes(names, y[:, j], np.full(n, 0.1), "SMD") for j, label in enumerate("AB")}, rho_within=0.5
    )
    fit = pymc_fit("multivariate", data, PRIORS, seed=1)
    for j, label in enumerate("AB"):
        of = fit.outcome(label)
        assert of.mu.lower < mu[j] < of.mu.upper < of.mu.lower + 0.2
        assert of.tau.lower < tau[j] < of.tau.upper < of.tau.lower + 0.15
    rho = fit.outcome("A").parameters["rho_between"]
    assert rho.lower < 0.6 < rho.upper < rho.lower + 0.4
