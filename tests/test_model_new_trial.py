"""A trial still to come as a PyMC model: the log density, what is predicted, the robust prior, calibration."""

import numpy as np
import pytest
from grid_posterior import MCSE_BOUND
from reference_data import load_reference
from scipy import stats

from bayespip import priors as p
from bayespip.catalogue import load_review
from bayespip.cross_validation import leave_one_out
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.new_trials import TrialToCome
from bayespip.models import load
from bayespip.new_evidence.prediction import predict_trial
from bayespip.new_evidence.robust_fit import RobustFit, robust_fit
from bayespip.new_evidence.robust_priors import RobustPrior, RobustPriors, map_components, robust_prior
from bayespip.reanalysis.cases import cases, pooled_results

MODEL = load("new_trial")
WEAK = p.Priors(p.normal(0, 2), p.half_normal(0.5))
PAIR = EffectSizes(["simulated 1", "simulated 2"], [0.1, 0.9], [0.2, 0.3], "SMD")
EARLIER = robust_prior(0.3, 0.15, weight=0.4, vague=WEAK.mu, measure="SMD", source="invented")
PLAIN, ROBUST = TrialToCome(PAIR, 0.25), TrialToCome(PAIR, 0.25, EARLIER)
LOGP_TOLERANCE = 1e-12  # relative: closed forms in double precision
DRAWS = 200_000
POINTS = np.random.default_rng(5).normal(size=(10, 2))


def _mixture_logpdf(prior: RobustPrior, mu: float) -> float:
    return float(np.log(sum(w * stats.norm(*c.parameters).pdf(mu) for w, c in prior.components)))


@pytest.mark.parametrize("data", [PLAIN, ROBUST], ids=["plain", "robust"])
def test_the_log_density_is_the_closed_form(data: TrialToCome) -> None:
    model = MODEL.build(data, WEAK)
    assert [v.name for v in model.free_RVs] == ["mu", "tau"]
    logp = model.compile_logp(jacobian=False)
    for mu, log_tau in POINTS:
        tau = np.exp(log_tau)
        prior = _mixture_logpdf(data.earlier, mu) if data.earlier else WEAK.mu.logpdf(mu)
        expected = stats.norm(mu, np.hypot(PAIR.sei, tau)).logpdf(PAIR.yi).sum() + prior + WEAK.tau.logpdf(tau)
        found = float(logp({"mu": mu, "tau_log__": log_tau}))
        assert found == pytest.approx(float(expected), rel=LOGP_TOLERANCE)


@pytest.mark.parametrize("data", [PLAIN, ROBUST], ids=["plain", "robust"])
def test_priors_and_simulated_data_follow_the_model(data: TrialToCome) -> None:
    rng = np.random.default_rng(2)
    drawn = MODEL.draw_prior(data, WEAK, rng, size=(1, 20_000))
    mu, tau, new = drawn["mu"], drawn["tau"], drawn["theta_new"]
    deviates = {
        "mu": data.earlier.cdf(mu) if data.earlier else WEAK.mu.cdf(mu),
        "tau": WEAK.tau.cdf(tau),
        "theta": stats.norm.cdf((drawn["theta"][..., 1] - mu) / tau),
        "theta_new": stats.norm.cdf((new - mu) / tau),
        "y_new": stats.norm.cdf((drawn["y_new"] - new) / data.se_new),
    }
    for name, uniform in deviates.items():
        assert stats.kstest(uniform.ravel(), "uniform").pvalue > 0.01, name
    replicas = [MODEL.draw_data(data, {"theta": np.array([0.0, 1.0])}, rng) for _ in range(2000)]
    z = (np.array([r.yi for r in replicas]) - [0, 1]) / PAIR.sei
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    assert replicas[0].se_new == data.se_new
    assert replicas[0].earlier is data.earlier


def test_the_estimate_to_come_is_a_new_effect_and_its_error() -> None:
    draws = {"mu": np.full((2, DRAWS // 2), 0.4), "tau": np.full((2, DRAWS // 2), 0.3)}
    drawn = MODEL.complete(PLAIN, draws, np.random.default_rng(3))
    assert set(drawn) == {"theta", "theta_new", "y", "y_new"}
    y = drawn["y_new"].ravel()
    sd = np.hypot(0.3, 0.25)
    assert abs(y.mean() - 0.4) < 5 * sd / np.sqrt(DRAWS)
    assert abs(y.std() - sd) < 5 * sd / np.sqrt(2 * DRAWS)
    assert np.corrcoef(y, drawn["theta_new"].ravel())[0, 1] == pytest.approx(0.3 / sd, abs=0.01)


@pytest.mark.parametrize(
    ("earlier", "priors", "message"),
    [
        (robust_prior(0.3, 0.1, weight=0, vague=WEAK.mu, measure="SMD"), WEAK, "a weight between 0 and 1; got 0"),
        (robust_prior(0.3, 0.1, weight=1, vague=WEAK.mu, measure="SMD"), WEAK, "a weight between 0 and 1; got 1"),
        (EARLIER, p.Priors(p.normal(0, 1), WEAK.tau), r"must be the prior on mu, and normal; got normal\(0, 2\)"),
        (
            robust_prior(0.3, 0.1, weight=0.5, vague=p.student_t(0, 1, 4), measure="SMD"),
            p.Priors(p.student_t(0, 1, 4), WEAK.tau),
            "must be the prior on mu, and normal; got student-t",
        ),
        (
            RobustPrior(weight=0.5, evidence=((1.0, p.student_t(0, 1, 4)),), vague=WEAK.mu),
            WEAK,
            r"must be of normal components; got student-t\(0, 1, 4\)",
        ),
        (
            robust_prior(2.0, 0.1, weight=0.5, vague=WEAK.mu, measure="RR"),
            WEAK,
            "evidence is of RR, the effects are SMD",
        ),
    ],
)
def test_a_robust_prior_that_is_not_the_models_is_refused(earlier: RobustPrior, priors: p.Priors, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pymc_fit("new_trial", TrialToCome(PAIR, 0.25, earlier), priors, seed=1)


def test_a_review_has_no_trial_to_come() -> None:
    review = load_review("bcg")
    found, _ = cases("bcg", pooled_results(review), review.studies)
    with pytest.raises(ValueError, match="new_trial needs the standard error of the trial to come"):
        MODEL.data_of(found[0])


def _assert_near_exact(fit: PymcFit, exact: RobustFit) -> None:
    table = diagnose(fit, ["mu", "tau", "theta_new", "y_new"]).set_index("variable")
    assert (table["verdict"] == "good").all()
    found = fit.parameters
    expected = {n: getattr(exact, n) for n in ("mu", "tau", "theta_new")}
    expected["y_new"] = predict_trial(exact, fit.effects.se_new).y_new
    for name, m in expected.items():
        for end in ("lower", "point", "upper"):
            error = table.loc[name, f"mcse_{'median' if end == 'point' else end}"]
            assert abs(getattr(found[name], end) - getattr(m, end)) <= MCSE_BOUND * error, (name, end)


@pytest.mark.slow
@pytest.mark.parametrize("data", [PLAIN, ROBUST], ids=["plain", "robust"])
def test_the_sampled_posterior_is_the_exact_one(data: TrialToCome) -> None:
    fit = pymc_fit("new_trial", data, WEAK, seed=4)
    _assert_near_exact(
        fit, robust_fit(PAIR, RobustPriors(EARLIER, WEAK.tau)) if data.earlier else exact_fit(PAIR, WEAK)
    )


@pytest.mark.slow
def test_a_predictive_distribution_of_earlier_studies_is_taken_as_a_prior() -> None:
    first = EffectSizes(list("cdef"), [0.2, 0.5, 0.4, 0.1], [0.2, 0.2, 0.3, 0.25], "SMD")
    components = map_components(exact_fit(first, WEAK), components=6)
    earlier = robust_prior(components, weight=0.6, vague=WEAK.mu, measure="SMD")
    fit = pymc_fit("new_trial", TrialToCome(PAIR, 0.25, earlier), WEAK, seed=5)
    _assert_near_exact(fit, robust_fit(PAIR, RobustPriors(earlier, WEAK.tau)))
    # the data of the first structure, swapped for others of the same shape, leave nothing behind
    again = pymc_fit("new_trial", ROBUST, WEAK, seed=4)
    _assert_near_exact(again, robust_fit(PAIR, RobustPriors(EARLIER, WEAK.tau)))


@pytest.mark.slow
def test_bcg_recovery_and_leaving_a_study_out() -> None:
    reference = load_reference()["datasets"]["bcg_rr"]
    effects = EffectSizes(reference["labels"], reference["yi"], reference["sei"], "RR")
    fit = pymc_fit("new_trial", TrialToCome(effects, 0.2), WEAK, seed=8)
    _assert_near_exact(fit, exact_fit(effects, WEAK))
    plain = pymc_fit("normal_normal", effects, WEAK, seed=8)
    assert leave_one_out(fit)["elpd"].sum() == pytest.approx(leave_one_out(plain)["elpd"].sum(), abs=0.2)


@pytest.mark.slow
def test_the_truth_is_recovered() -> None:
    rng, k = np.random.default_rng(11), 60
    sei = rng.uniform(0.05, 0.3, k)
    effects = EffectSizes([f"simulated {i}" for i in range(k)], rng.normal(rng.normal(0.4, 0.25, k), sei), sei, "SMD")
    fit = pymc_fit("new_trial", TrialToCome(effects, 0.1, EARLIER), WEAK, seed=6)
    for shown, true, width in ((fit.mu, 0.4, 0.2), (fit.tau, 0.25, 0.2)):
        assert shown.lower < true < shown.upper
        assert shown.upper - shown.lower < width
