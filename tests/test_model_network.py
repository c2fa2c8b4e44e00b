"""network: against matrices written out, least squares, the normal-normal model, recovery, calibration."""

import numpy as np
import pytest
from scipy import stats
from simulated_networks import MANY, PRIORS, TRIANGLE, design, pair, written_out
from test_networks import cooper

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.network_trials import Trial
from bayespip.model_data.networks import Network
from bayespip.models import load

MODEL = load("network")
LOGP_TOLERANCE = 1e-11  # relative: a Cholesky factor beside eigenvectors, both in double precision
HALF_NORMAL_LOG_2 = 1e-7  # PyMC 6.4 has constants of the half-normal in single precision
MCSE_BOUND = 5  # the run's own rule; a normal deviate exceeds it once in 1.7 million
DRAWS = 100_000


@pytest.fixture(scope="module")
def fit() -> PymcFit:
    return pymc_fit("network", MANY, PRIORS, seed=3)


def _log_likelihood(network: Network, d: np.ndarray, tau: float) -> np.ndarray:
    """Trial by trial."""
    y, x, v = written_out(network, tau)
    ends = np.cumsum([0, *(len(trial.yi) for trial in network.trials)])
    parts = [slice(*ends[i : i + 2]) for i in range(network.k)]
    return np.array([stats.multivariate_normal((x @ d)[part], v[part, part]).logpdf(y[part]) for part in parts])


def test_the_log_density_is_that_of_the_matrices() -> None:
    model = MODEL.build(MANY, PRIORS)
    likelihood = model.compile_logp(model.observed_RVs, sum=False, jacobian=False)
    whole = model.compile_logp(jacobian=False)
    rng = np.random.default_rng(5)
    for tau in (1e-4, 0.05, 0.4, 3.0):
        d = rng.normal(size=3)
        point = {"d": d, "tau_log__": np.log(tau)}
        expected = _log_likelihood(MANY, d, tau)
        np.testing.assert_allclose(likelihood(point)[0], expected, rtol=LOGP_TOLERANCE)
        found = MODEL.log_predictive(MANY, {"d": d, "tau": np.array(tau)}, rng)
        np.testing.assert_allclose(found, expected, rtol=LOGP_TOLERANCE)
        prior = PRIORS.mu.logpdf(d).sum() + PRIORS.tau.logpdf(tau)
        assert float(whole(point)) == pytest.approx(expected.sum() + prior, rel=HALF_NORMAL_LOG_2)


def test_which_arm_is_first_does_not_matter() -> None:
    d, tau = np.array([-0.2, 0.1, 0.4]), 0.3
    turned = Network([t.against(t.arms[-1]) for t in MANY.trials], "SMD")
    for reference in MANY.treatments:
        # d against another reference is the same effect
        other = Network(turned.trials, "SMD", reference=reference)
        values = dict(zip(MANY.treatments, [0, *d], strict=True))
        moved = np.array([values[t] - values[reference] for t in other.columns])
        expected = MODEL.log_predictive(MANY, {"d": d, "tau": np.array(tau)}, np.random.default_rng(1))
        found = MODEL.log_predictive(other, {"d": moved, "tau": np.array(tau)}, np.random.default_rng(1))
        np.testing.assert_allclose(found, expected, rtol=1e-9)  # of contrasts of other contrasts


def test_draws_have_the_moments_of_the_matrices() -> None:
    rng = np.random.default_rng(6)
    d, tau = np.array([-0.2, 0.1, 0.4]), 0.3
    draws = {"d": np.broadcast_to(d, (DRAWS, 3)), "tau": np.full(DRAWS, tau)}
    drawn = MODEL.complete(MANY, draws, rng)
    _, x, v = written_out(MANY, tau)
    expected = {"d_new": (drawn["d_new"], d, tau**2 * (np.eye(3) + 1) / 2)}
    expected["y"] = (drawn["y"][:, MANY.reported], x @ d, v)
    assert np.isnan(drawn["y"][:, ~MANY.reported]).all()
    for name, (values, mean, cov) in expected.items():
        sd = np.sqrt(np.diag(cov))
        # five standard errors of a mean, and of a covariance of normals, at most sqrt(2) sd_j sd_l / sqrt(draws)
        assert np.all(np.abs(values.mean(0) - mean) <= 5 * sd / np.sqrt(DRAWS)), name
        error = np.abs(np.cov(values, rowvar=False) - cov)
        assert np.all(error <= 5 * np.sqrt(2) * np.outer(sd, sd) / np.sqrt(DRAWS)), name
    replica = MODEL.draw_data(MANY, {"d": d, "tau": np.array(tau)}, np.random.default_rng(1))
    assert replica.study == MANY.study
    np.testing.assert_array_equal(replica.design, MANY.design)


def test_the_fit_has_its_dimensions_and_refuses_an_average_effect(fit: PymcFit) -> None:
    assert diagnose(fit)["verdict"].eq("good").all()
    assert fit.data["posterior"]["d"].dims == ("chain", "draw", "treatment")
    assert list(fit.parameters) == [
        "tau", "d[cbt]", "d[pip]", "d[support]", "d_new[cbt]", "d_new[pip]", "d_new[support]"
    ]  # fmt: skip
    np.testing.assert_array_equal(fit.data["observed_data"]["y"], MANY.yi)
    draws = {name: fit.draws(name)[:50] for name in ("d", "tau")}
    expected = MODEL.log_predictive(MANY, draws, np.random.default_rng(1))
    np.testing.assert_allclose(np.asarray(fit.data["log_likelihood"]["y"]).reshape(-1, 7)[:50], expected, rtol=1e-9)
    for face in ("mu", "theta_new", "theta", "prob_positive"):
        with pytest.raises(ValueError, match=r"network has no \w+; its variables are d, tau, d_new"):
            getattr(fit, face)


@pytest.mark.parametrize(
    ("data", "priors", "message"),
    [
        (EffectSizes(["a"], [0], [1], "SMD"), PRIORS, "network needs a Network of trials; got EffectSizes"),
        (TRIANGLE, p.Priors(p.flat(), p.half_normal(1)), "network needs proper priors; got .* on d"),
        (TRIANGLE, p.Priors(p.normal(0, 1), p.uniform(0, np.inf)), "network needs proper priors; got .* on tau"),
    ],
)
def test_what_is_refused(data: object, priors: p.Priors, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pymc_fit("network", data, priors, seed=1)


def _agrees(found: PymcFit, variable: str, points: tuple[float, float, float]) -> None:
    row = diagnose(found, ("d", "tau")).set_index("variable").loc[variable]
    estimate = found.parameters[variable]
    for value, expected, name in zip(
        (estimate.lower, estimate.point, estimate.upper), points, ("lower", "median", "upper"), strict=True
    ):
        assert abs(value - expected) <= MCSE_BOUND * row[f"mcse_{name}"], (variable, name)


@pytest.mark.slow
def test_two_treatments_are_the_normal_normal_model() -> None:
    yi, sei = [0.1, 0.9, 0.4], [0.2, 0.3, 0.25]
    labels = ["a", "b", "c"]
    network = Network([pair(*row) for row in zip(labels, ["control"] * 3, ["pip"] * 3, yi, sei, strict=True)], "SMD")
    fit = pymc_fit("network", network, PRIORS, seed=2, draws=4000)
    exact = exact_fit(EffectSizes(labels, yi, sei, "SMD"), PRIORS)
    for name, of in (("d[pip]", exact.mu), ("tau", exact.tau)):
        _agrees(fit, name, (of.lower, of.point, of.upper))


def _is_least_squares(network: Network, tau: float, wide: float) -> None:
    """With tau all but known and priors of SD wide on d, the posterior is normal in closed form."""
    known = p.Priors(p.normal(0, wide), p.uniform(tau * (1 - 1e-9), tau * (1 + 1e-9)))
    fit = pymc_fit("network", network, known, seed=2, draws=4000)
    y, x, v = written_out(network, tau)
    precision = x.T @ np.linalg.solve(v, x) + np.eye(x.shape[1]) / wide**2
    mean, sd = np.linalg.solve(precision, x.T @ np.linalg.solve(v, y)), np.sqrt(np.diag(np.linalg.inv(precision)))
    for name, m, s in zip(network.columns, mean, sd, strict=True):
        _agrees(fit, f"d[{name}]", tuple(stats.norm(m, s).ppf([0.025, 0.5, 0.975])))


@pytest.mark.slow
@pytest.mark.parametrize("network", [TRIANGLE, MANY], ids=["two arms", "several arms"])
def test_at_known_tau_it_is_generalised_least_squares(network: Network) -> None:
    _is_least_squares(network, 0.2, 100.0)


@pytest.mark.slow
def test_cooper_2003_among_simulated_trials_is_generalised_least_squares() -> None:
    real = cooper()
    simulated = [
        pair("simulated 1", real.reference, "psychodynamic therapy", -1.1, 0.8),
        pair("simulated 2", "cognitive behavioural therapy", "psychodynamic therapy", -0.6, 0.9),
        pair("simulated 3", "non-directive counselling", "simulated treatment", 0.4, 1.0),
    ]
    _is_least_squares(Network([*real.trials, *simulated], "MD", reference=real.reference), 0.5, 1000.0)


def _information(network: Network, tau: float) -> np.ndarray:
    """Of d at this tau, by differences, which of a log density that is quadratic are exact."""
    n = len(network.columns)
    steps = np.array([[np.zeros(n), *np.eye(n)]] * (n + 1)) + np.array([np.zeros(n), *np.eye(n)])[:, None]
    draws = {"d": steps, "tau": np.full((n + 1, n + 1), tau)}
    log = MODEL.log_predictive(network, draws, np.random.default_rng(1)).sum(-1)
    return -(log[1:, 1:] - log[1:, :1] - log[:1, 1:] + log[0, 0])


def test_a_trial_of_several_arms_is_not_several_trials() -> None:
    """Taken for trials of two arms each, its contrasts would claim a precision that they do not have."""
    tau, variance = 0.3, {"control": 0.03, "a": 0.02, "b": 0.04}
    cov = np.diag([variance["a"], variance["b"]]) + variance["control"]
    whole = Network([Trial("invented", ("control", "a", "b"), np.zeros(2), cov)], "MD")
    pairs = [("control", "a"), ("control", "b"), ("a", "b")]
    naive = Network([pair(f"{s} {t}", s, t, 0.0, np.sqrt(variance[s] + variance[t])) for s, t in pairs], "MD")
    sds = [np.sqrt(np.diag(np.linalg.inv(_information(network, tau)))) for network in (whole, naive)]
    # of a treatment against control one trial of three arms says what these two arms say, no more
    np.testing.assert_allclose(sds[0], np.sqrt(np.diag(cov) + tau**2), rtol=1e-12)
    assert np.all(sds[1] < 0.9 * sds[0])


@pytest.mark.slow
def test_known_values_are_found_again() -> None:
    rng = np.random.default_rng(4)
    truth = {"d": np.array([0.3, -0.2]), "tau": np.array(0.3)}
    fit = pymc_fit("network", MODEL.draw_data(design(150), truth, rng), PRIORS, seed=1)
    for name, true, width in (("d[cbt]", 0.3, 0.2), ("d[pip]", -0.2, 0.2), ("tau", 0.3, 0.2)):
        of = fit.parameters[name]
        assert of.lower < true < of.upper < of.lower + width
