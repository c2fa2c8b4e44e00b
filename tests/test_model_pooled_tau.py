"""pooled_tau: closed forms, the limit of one outcome, recovery, calibration."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulated_outcomes import APART, PRIORS, SHARED, design

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.fits import compare
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.outcomes import Outcomes
from bayespip.model_parts.common_tau import ACROSS, implied_tau
from bayespip.models import load

MODEL = load("pooled_tau")
LOGP_TOLERANCE = 1e-12  # relative: both sides are closed forms in double precision
HALF_NORMAL_LOG_2 = 1e-7  # PyMC 6.4 has constants of the half-normal in single precision
MCSE_BOUND = 5  # the run's own rule; a normal deviate exceeds it once in 1.7 million
DRAWS = 100_000


@pytest.fixture(scope="module")
def fit() -> PymcFit:
    return pymc_fit("pooled_tau", APART, PRIORS, seed=3)


@pytest.mark.parametrize("across", ACROSS)
def test_the_log_density_is_the_closed_form(across: str) -> None:
    model = MODEL.build(APART, PRIORS, across=across)
    likelihood = model.compile_logp(model.observed_RVs, sum=False, jacobian=False)
    whole = model.compile_logp(jacobian=False)
    rng = np.random.default_rng(5)
    for _ in range(5):
        mu, z, typical, spread = rng.normal(size=2), rng.normal(size=2), rng.uniform(0.1, 1), rng.uniform(0.1, 1)
        point = {"mu": mu, "tau_typical_log__": np.log(typical)}
        if across == "log-normal":
            point |= {"z": z, "tau_spread_log__": np.log(spread)}
            tau = typical * np.exp(spread * z)
            prior = stats.norm.logpdf(z).sum() + stats.halfnorm(scale=0.5).logpdf(spread)
        else:
            point |= {"z_log__": np.log(np.abs(z))}
            tau = typical * np.abs(z) / stats.norm.ppf(0.75)
            prior = stats.halfnorm.logpdf(np.abs(z)).sum()
        prior += PRIORS.mu.logpdf(mu).sum() + PRIORS.tau.logpdf(typical)
        of_rows = stats.norm(mu[APART.index], np.hypot(APART.sei, tau[APART.index])).logpdf(APART.yi)
        np.testing.assert_allclose(likelihood(point)[0], of_rows, rtol=LOGP_TOLERANCE)
        assert float(whole(point)) == pytest.approx(of_rows.sum() + prior, rel=HALF_NORMAL_LOG_2)
        found = MODEL.log_predictive(APART, {"mu": mu, "tau": tau}, rng)
        np.testing.assert_allclose(found, of_rows, rtol=LOGP_TOLERANCE)


def test_names_and_dimensions() -> None:
    model = MODEL.build(APART, PRIORS)
    assert [v.name for v in model.free_RVs] == ["mu", "tau_typical", "tau_spread", "z"]
    assert model.named_vars_to_dims == {
        **dict.fromkeys(("yi", "sei", "of_outcome", "y"), ("study",)),
        **dict.fromkeys(("mu", "z", "tau"), ("outcome",)),
    }
    assert {v.name for v in model.data_vars} == {"yi", "sei", "of_outcome", "mu_mean", "mu_sd", "tau_scale"}


def test_what_the_model_integrates_out_follows_its_conditional_distribution() -> None:
    mu, tau = np.array([0.4, -0.1]), np.array([0.3, 0.05])
    draws = {"mu": np.broadcast_to(mu, (2, DRAWS // 2, 2)), "tau": np.broadcast_to(tau, (2, DRAWS // 2, 2))}
    drawn = MODEL.complete(APART, draws, np.random.default_rng(8))
    m, t2, v = mu[APART.index], tau[APART.index] ** 2, APART.sei**2
    expected = {
        "theta": ((t2 * APART.yi + v * m) / (t2 + v), np.sqrt(v * t2 / (t2 + v))),
        "theta_new": (mu, tau),
        "y": (m, np.sqrt(v + t2)),
    }
    assert {name: x.shape[:2] for name, x in drawn.items()} == dict.fromkeys(expected, (2, DRAWS // 2))
    for name, (mean, sd) in expected.items():
        values = drawn[name].reshape(DRAWS, -1)
        # five standard errors of the mean and of the SD of normal draws
        assert np.all(np.abs(values.mean(0) - mean) <= 5 * sd / np.sqrt(DRAWS))
        assert np.all(np.abs(values.std(0) - sd) <= 5 * sd / np.sqrt(2 * DRAWS))


def test_simulated_data_have_the_moments_of_the_model() -> None:
    rng = np.random.default_rng(6)
    truth = {"theta": np.linspace(-1, 1, 5)}
    z = np.array([(MODEL.draw_data(APART, truth, rng).yi - truth["theta"]) / APART.sei for _ in range(2000)])
    assert stats.kstest(z.ravel(), stats.norm.cdf).pvalue > 0.01
    drawn = MODEL.draw_prior(APART, PRIORS, rng, size=(20_000,))
    standard = (drawn["theta"] - drawn["mu"][:, APART.index]) / drawn["tau"][:, APART.index]
    assert stats.kstest(standard.ravel(), stats.norm.cdf).pvalue > 0.01
    assert stats.kstest(drawn["mu"].ravel(), PRIORS.mu.cdf).pvalue > 0.01


def test_each_outcome_has_the_face_of_a_fit(fit: PymcFit) -> None:
    of = fit.outcome("invented 2")
    posterior = fit.data["posterior"].sel(outcome="invented 2")
    assert of.mu.point == pytest.approx(float(posterior["mu"].median()), rel=1e-14)
    assert of.tau.upper == pytest.approx(float(posterior["tau"].quantile(0.975)), rel=1e-14)
    assert list(of.theta) == ["c", "d", "e"]
    assert of.theta["d"].point == pytest.approx(float(fit.data["posterior"]["theta"][..., 3].median()), rel=1e-14)
    assert of.prob_positive == float((posterior["mu"] > 0).mean())
    assert of.data["log_likelihood"]["y"].shape == (4, 1000, 3)
    exact = exact_fit(of.effects, PRIORS)
    table = compare(of, exact)
    shown = table[table["method"] == of.method]["parameter"].tolist()
    assert shown == ["mu", "tau", "theta_new", "theta[c]", "theta[d]", "theta[e]", "tau_typical", "tau_spread"]
    assert list(compare(fit)["parameter"])[:4] == [
        "mu[invented 1]",
        "mu[invented 2]",
        "tau[invented 1]",
        "tau[invented 2]",
    ]
    assert (diagnose(of)["verdict"] == "good").all()
    for name in ("mu", "tau", "theta_new", "prob_positive"):
        with pytest.raises(ValueError, match=r"for each outcome: select one, such as outcome\('invented 1'\)"):
            getattr(fit, name)
    with pytest.raises(ValueError, match="outcome must be one of invented 1, invented 2; got 'P1'"):
        fit.outcome("P1")
    with pytest.raises(ValueError, match="pooled_tau has one outcome; there is no 'c' to select"):
        of.outcome("c")


def test_rows_may_change_in_number(fit: PymcFit) -> None:
    more = Outcomes({"x": EffectSizes("abc", [0, 1, 2], [0.1, 0.2, 0.3], "SMD"), "y": design(4).select("A")})
    other = pymc_fit("pooled_tau", more, PRIORS, seed=3)
    assert other.data["posterior"].sizes == {"chain": 4, "draw": 1000, "outcome": 2, "study": 7}
    assert list(other.data["posterior"]["outcome"].values) == ["x", "y"]
    np.testing.assert_array_equal(other.data["constant_data"]["of_outcome"], [0, 0, 0, 1, 1, 1, 1])
    again = pymc_fit("pooled_tau", APART, PRIORS, seed=3)
    np.testing.assert_array_equal(again.draws("tau"), fit.draws("tau"))


@pytest.mark.parametrize(
    ("data", "priors", "message"),
    [
        (APART.select("invented 1"), PRIORS, "pooled_tau needs Outcomes, .*; got EffectSizes"),
        (SHARED, PRIORS, r"pooled_tau takes outcomes that share no trial, .* A, B, C \(a, b, c, d\)"),
        (APART, p.Priors(p.flat(), p.uniform(0, np.inf)), "needs a proper prior on the typical tau; got improper unif"),
    ],
)
def test_what_is_refused(data: object, priors: p.Priors, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pymc_fit("pooled_tau", data, priors, seed=1)


def test_an_unknown_distribution_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="across must be one of log-normal, half-normal; got 'gamma'"):
        pymc_fit("pooled_tau", APART, PRIORS, seed=1, across="gamma")


@pytest.mark.slow
def test_the_mean_may_be_flat(fit: PymcFit) -> None:
    flat = pymc_fit("pooled_tau", APART, replace(PRIORS, mu=p.flat()), seed=3)
    assert "prior" not in flat.data.children
    assert abs(flat.outcome("invented 1").mu.point - fit.outcome("invented 1").mu.point) < 0.1  # N(0, 1.55) says little


@pytest.mark.slow
@pytest.mark.parametrize("across", ACROSS)
@pytest.mark.parametrize("typical", [p.half_normal(0.5), p.log_normal(-1.5, 0.6)], ids=str)
def test_with_one_outcome_it_is_the_exact_engine_under_the_implied_prior(typical: p.Prior, across: str) -> None:
    effects = EffectSizes(["a", "b", "c"], [0.1, 0.9, 0.4], [0.2, 0.3, 0.25], "SMD")
    priors = p.Priors(p.normal(0, 1.55), typical)
    exact = exact_fit(effects, replace(priors, tau=implied_tau(typical, across)))
    whole = pymc_fit("pooled_tau", Outcomes({"only": effects}), priors, seed=11, across=across, draws=4000)
    table = diagnose(whole, ("mu", "tau", "theta_new")).set_index("variable")
    of = whole.outcome("only")
    for name in ("mu", "tau", "theta_new"):
        for point, column, share in (("lower", "mcse_lower", 0.025), ("point", "mcse_median", 0.5),
                                     ("upper", "mcse_upper", 0.975)):  # fmt: skip
            distance = abs(getattr(getattr(of, name), point) - float(getattr(exact, name).quantile(share)))
            assert distance <= MCSE_BOUND * table.loc[f"{name}[only]", column], (name, point)


@pytest.mark.slow
def test_known_values_are_found_again() -> None:
    rng = np.random.default_rng(2)
    true_mu, true_tau = rng.normal(0, 0.5, 10), 0.3 * np.exp(0.3 * rng.normal(size=10))
    simulated = Outcomes(
        {
            f"simulated {j}": EffectSizes(
                [f"{j}.{i}" for i in range(40)], rng.normal(rng.normal(mu, tau, 40), 0.1), np.full(40, 0.1), "SMD"
            )
            for j, (mu, tau) in enumerate(zip(true_mu, true_tau, strict=True))
        }
    )
    fit = pymc_fit("pooled_tau", simulated, PRIORS, seed=1)
    parts = [fit.outcome(label) for label in simulated.outcome]
    for truth, found in ((true_mu, [f.mu for f in parts]), (true_tau, [f.tau for f in parts])):
        inside = [e.lower <= t <= e.upper for t, e in zip(truth, found, strict=True)]
        assert sum(inside) >= 8  # of 10 intervals of 95%; 7 or fewer happen once in 100
        assert max(e.upper - e.lower for e in found) < 0.35
    typical = fit.outcome("simulated 0").parameters["tau_typical"]
    assert typical.lower < 0.3 < typical.upper < 0.5


@pytest.mark.slow
def test_outcomes_of_two_studies_learn_their_tau_from_the_others() -> None:
    rng = np.random.default_rng(3)
    simulated = Outcomes(
        {
            f"simulated {j}": EffectSizes(
                [f"{j}.{i}" for i in range(2)], rng.normal(0, np.hypot(0.2, 0.1), 2), [0.1, 0.1], "SMD"
            )
            for j in range(15)
        }
    )
    fit = pymc_fit("pooled_tau", simulated, PRIORS, seed=1)
    alone = replace(PRIORS, tau=implied_tau(PRIORS.tau))
    for label in simulated.outcome:
        exact, pooled = exact_fit(simulated.select(label), alone).tau, fit.outcome(label).tau
        assert pooled.upper - pooled.lower < exact.upper - exact.lower
