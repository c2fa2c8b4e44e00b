"""What a trial still to come will show, and the update when it has: closed forms, and the fit of k + 1 studies."""

import math

import numpy as np
import pytest
from scipy import stats

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.model_data.new_trials import TrialSize, standard_error
from bayespip.new_evidence.outside import external_evidence
from bayespip.new_evidence.prediction import predict_trial, updated_fit
from bayespip.new_evidence.robust_fit import robust_fit
from bayespip.new_evidence.robust_priors import RobustPriors, robust_prior

PAIR = EffectSizes(["simulated 1", "simulated 2"], [0.1, 0.9], [0.2, 0.3], "SMD")
WEAK = p.Priors(p.normal(0, 2), p.half_normal(0.5))
EXACT = 1e-10  # relative: closed forms beside a quadrature of a tau that is all but fixed
DRAWS = 20_000


@pytest.mark.parametrize("tau", [1e-6, 0.3, 2.0])
def test_given_tau_the_prediction_is_in_closed_form(tau: float) -> None:
    priors = p.Priors(p.normal(0.2, 1.5), p.uniform(tau, tau * (1 + 1e-10)))
    tau *= 1 + 5e-11  # the middle
    precision = 1 / (PAIR.vi + tau**2)
    total = precision.sum() + 1 / 1.5**2
    mean = (precision @ PAIR.yi + 0.2 / 1.5**2) / total
    sd = math.sqrt(1 / total + tau**2 + 0.25**2)
    found = predict_trial(exact_fit(PAIR, priors), 0.25)
    expected = stats.norm(mean, sd)
    assert found.y_new.mean == pytest.approx(mean, rel=EXACT)
    assert found.y_new.sd == pytest.approx(sd, rel=EXACT)
    assert (found.y_new.lower, found.y_new.upper) == pytest.approx(expected.interval(0.95), rel=EXACT)
    edge = stats.norm.ppf(0.975) * 0.25
    assert found.prob_significant_above == pytest.approx(expected.sf(edge), rel=EXACT)
    assert found.prob_significant_below == pytest.approx(expected.cdf(-edge), rel=EXACT)
    assert found.prob_significant == found.prob_significant_above + found.prob_significant_below
    assert found.prob_positive == pytest.approx(expected.sf(0), rel=EXACT)


def test_it_is_what_simulated_trials_show() -> None:
    fit, rng = exact_fit(PAIR, WEAK), np.random.default_rng(1)
    prediction = predict_trial(fit, 0.25)
    y = rng.normal(fit.theta_new.rvs(DRAWS, rng), 0.25)
    assert stats.kstest(y, prediction.y_new.cdf).pvalue > 0.01
    share = np.mean(np.abs(y) > stats.norm.ppf(0.975) * 0.25)
    assert abs(prediction.prob_significant - share) < 5 * math.sqrt(share * (1 - share) / DRAWS)


def test_a_size_gives_its_standard_error_at_the_median_of_mu() -> None:
    fit = exact_fit(PAIR, WEAK)
    se = standard_error("SMD", 40, 50, effect=fit.mu.point)
    found = predict_trial(fit, TrialSize(40, 50))
    assert found.se_new == se
    assert found.y_new.upper == predict_trial(fit, se).y_new.upper
    row = found.table().iloc[0]
    assert (row["measure"], row["se_new"], row["notes"]) == ("SMD", se, "")
    assert row["prob_significant"] == found.prob_significant
    with pytest.raises(ValueError, match=r"se_new must be positive and finite; got 0\.0"):
        predict_trial(fit, 0)


def test_ratios_are_shown_as_ratios() -> None:
    effects = EffectSizes(PAIR.study, PAIR.yi, PAIR.sei, "RR")
    found = predict_trial(exact_fit(effects, WEAK), TrialSize(60, 60, control_risk=0.3))
    row = found.table().iloc[0]
    assert row["point"] == pytest.approx(math.exp(found.y_new.point), rel=1e-12)
    assert row["mean_model"] == found.y_new.mean


def test_moments_that_do_not_exist_are_named() -> None:
    found = predict_trial(exact_fit(PAIR, p.Priors(p.flat(), p.half_cauchy(0.5))), 0.2)
    assert math.isinf(found.y_new.sd)
    assert found.notes == ("The posterior SD of y_new does not exist: its tail is too heavy for this k and prior.",)


def test_evidence_that_counts_trials_twice_is_marked() -> None:
    earlier = external_evidence("pip")[2]
    prior = robust_prior(earlier, weight=0.4, sd=0.2, sign=1, vague=WEAK.mu)
    found = predict_trial(robust_fit(PAIR, RobustPriors(prior, WEAK.tau)), 0.2)
    assert "COUNTS TRIALS TWICE" in found.table()["notes"][0]


@pytest.mark.parametrize(
    "priors",
    [
        WEAK,
        p.Priors(p.flat(), p.half_cauchy(0.3)),
        RobustPriors(robust_prior(0.3, 0.1, weight=0.5, vague=WEAK.mu, measure="SMD"), WEAK.tau),
    ],
    ids=str,
)
def test_the_update_is_the_fit_of_all_studies(priors: p.Priors | RobustPriors) -> None:
    new = EffectSizes(["new"], [0.4], [0.15], "SMD")
    both = EffectSizes([*PAIR.study, "new"], [0.1, 0.9, 0.4], [0.2, 0.3, 0.15], "SMD")
    found = updated_fit(PAIR, priors, new, level=0.9)
    expected = (robust_fit if isinstance(priors, RobustPriors) else exact_fit)(both, priors, level=0.9)
    assert found.effects.study == both.study
    for name in ("mu", "tau", "theta_new"):
        for end in ("point", "lower", "upper"):
            assert getattr(getattr(found, name), end) == getattr(getattr(expected, name), end)
    assert found.log_evidence == expected.log_evidence


def test_the_evidence_of_an_update_is_the_predictive_density() -> None:
    """p(y_new | y) = p(y, y_new) / p(y): two ways through the quadrature."""
    new = EffectSizes(["new"], [0.4], [0.15], "SMD")
    density = predict_trial(exact_fit(PAIR, WEAK), 0.15).y_new.pdf(0.4)
    before, after = exact_fit(PAIR, WEAK), updated_fit(PAIR, WEAK, new)
    assert after.log_evidence - before.log_evidence == pytest.approx(math.log(density), rel=1e-8)
    earlier = RobustPriors(robust_prior(0.3, 0.1, weight=0.3, vague=WEAK.mu, measure="SMD"), WEAK.tau)
    robust = robust_fit(PAIR, earlier)
    gained = updated_fit(PAIR, earlier, new).log_evidence - robust.log_evidence
    assert gained == pytest.approx(math.log(predict_trial(robust, 0.15).y_new.pdf(0.4)), rel=1e-8)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (EffectSizes(["new"], [0.4], [0.2], "MD"), "new must be in the measure of the studies, SMD; got MD"),
        (EffectSizes(["simulated 1"], [0.4], [0.2], "SMD"), "study labels must be unique; repeated: simulated 1"),
    ],
)
def test_a_trial_that_does_not_fit_is_refused(new: EffectSizes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        updated_fit(PAIR, WEAK, new)
