"""Assurance: closed forms without heterogeneity, simulation with it, limits, rules."""

import math

import numpy as np
import pytest
from scipy import stats

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit
from bayespip.model_data.new_trials import TrialSize
from bayespip.new_evidence.outside import external_evidence
from bayespip.new_evidence.planning import SuccessRule, assurance
from bayespip.new_evidence.prediction import predict_trial, updated_fit
from bayespip.new_evidence.robust_priors import RobustPriors, robust_prior

PAIR = EffectSizes(["simulated 1", "simulated 2"], [0.1, 0.9], [0.2, 0.3], "SMD")
AGREEING = EffectSizes(["simulated 1", "simulated 2", "simulated 3"], [0.4, 0.6, 0.2], [0.2, 0.25, 0.2], "SMD")
WEAK = p.Priors(p.normal(0, 2), p.half_normal(0.2))
COMMON = p.Priors(p.normal(0, 2), p.half_normal(1e-8))  # tau all but zero
EXACT = 1e-7  # absolute: the root finding, and the 2e-9 left out
SIMULATED = 4000


def _common_effect(se: float) -> tuple[stats.rv_continuous, float]:
    """Distribution of the posterior mean that is to come, and the SD that goes with it (O'Hagan et al. 2005)."""
    precision = (1 / PAIR.vi).sum() + 1 / 4
    mean = (PAIR.yi / PAIR.vi).sum() / precision
    after = precision + 1 / se**2
    return stats.norm(mean, math.sqrt(1 / precision - 1 / after)), math.sqrt(1 / after)


@pytest.mark.parametrize("se", [0.5, 0.1, 0.02])
def test_without_heterogeneity_it_is_the_closed_form(se: float) -> None:
    to_come, sd = _common_effect(se)
    z, z90 = stats.norm.ppf([0.975, 0.9])
    cases = {
        SuccessRule("higher"): to_come.sf(z * sd),
        SuccessRule("lower"): to_come.cdf(-z * sd),
        SuccessRule("either"): to_come.sf(z * sd) + to_come.cdf(-z * sd),
        SuccessRule("higher", prob=0.9, difference=0.2): to_come.sf(0.2 + z90 * sd),
    }
    for rule, expected in cases.items():
        row = assurance(PAIR, COMMON, [se], rule).iloc[0]
        assert row["assurance"] == pytest.approx(float(expected), abs=EXACT), str(rule)
        assert row["error"] < EXACT
        assert row["expected_width"] == pytest.approx(2 * z * sd, rel=1e-6)


def test_without_heterogeneity_it_tends_to_the_probability_that_it_is_true() -> None:
    table = assurance(PAIR, COMMON, [0.3, 0.1, 0.01, 1e-4], SuccessRule("higher"))
    gap = (table["prob_now"] - table["assurance"]).to_numpy()
    assert (np.diff(gap) < 0).all()
    assert 0 < gap[-1] < 1e-4
    assert table["prob_now"].to_numpy() == pytest.approx(exact_fit(PAIR, COMMON).prob_positive, rel=1e-9)


def test_with_heterogeneity_no_single_trial_settles_it() -> None:
    """An endless trial shows theta_new; its limit is that of a study without sampling error."""
    table = assurance(AGREEING, WEAK, [0.1, 1e-2, 1e-3, 1e-4], SuccessRule("higher"))
    found = table["assurance"].to_numpy()
    assert abs(found[-1] - found[-2]) < 1e-3
    assert found[-1] < table["prob_now"][0] - 0.01


@pytest.mark.parametrize(
    ("effects", "priors", "rule"),
    [
        (AGREEING, WEAK, SuccessRule("higher")),
        (AGREEING, p.Priors(p.flat(), p.half_cauchy(0.1)), SuccessRule("higher", prob=0.97)),
        pytest.param(
            *(PAIR, p.Priors(p.student_t(0, 1, 4), p.half_normal(0.2)), SuccessRule("either", prob=0.95)),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["normal", "half-Cauchy", "Student-t"],
)
def test_with_heterogeneity_it_is_what_simulated_trials_give(
    effects: EffectSizes, priors: p.Priors, rule: SuccessRule
) -> None:
    se, rng = 0.15, np.random.default_rng(3)
    y = predict_trial(exact_fit(effects, priors), se).y_new.rvs(SIMULATED, rng)
    labels, sei = [*effects.study, "new"], [*effects.sei, se]
    batch = exact_batch([EffectSizes(labels, [*effects.yi, x], sei, "SMD") for x in y], [priors])
    above = batch["prob_positive"].values[:, 0]
    share = np.mean(rule.probability(1 - above, above) >= rule.prob)
    width = (batch["mu_upper"] - batch["mu_lower"]).values[:, 0]
    row = assurance(effects, priors, [se], rule).iloc[0]
    assert abs(row["assurance"] - share) < 4 * math.sqrt(share * (1 - share) / SIMULATED)
    assert 0.05 < share < 0.95
    if math.isfinite(predict_trial(exact_fit(effects, priors), se).y_new.sd):
        assert abs(row["expected_width"] - width.mean()) < 4 * width.std() / math.sqrt(SIMULATED)


def test_a_robust_prior_enters_with_its_weight_updated_by_each_result() -> None:
    priors = RobustPriors(robust_prior(0.4, 0.1, weight=0.4, vague=WEAK.mu, measure="SMD"), WEAK.tau)
    fit = updated_fit(PAIR, priors, EffectSizes(["x"], [0.3], [0.2], "SMD"))  # any data: here of three studies
    row = assurance(fit.effects, priors, [0.15], SuccessRule("higher", prob=0.99)).iloc[0]
    rng = np.random.default_rng(5)
    y = predict_trial(fit, 0.15).y_new.rvs(200, rng)
    met = [
        updated_fit(fit.effects, priors, EffectSizes(["new"], [x], [0.15], "SMD")).mu.prob_greater(0.0) >= 0.99
        for x in y
    ]
    share = np.mean(met)
    assert 0.05 < share < 0.95
    assert abs(row["assurance"] - share) < 4 * math.sqrt(share * (1 - share) / 200)


@pytest.mark.parametrize(("weight", "mu"), [(0.0, p.normal(0, 2)), (1.0, p.normal(0.4, 0.1))])
def test_with_weight_0_or_1_it_is_that_of_one_component(weight: float, mu: p.Prior) -> None:
    robust = RobustPriors(robust_prior(0.4, 0.1, weight=weight, vague=WEAK.mu, measure="SMD"), WEAK.tau)
    found, expected = (assurance(AGREEING, q, [0.2], SuccessRule("higher")) for q in (robust, p.Priors(mu, WEAK.tau)))
    for name in ("assurance", "expected_width", "prob_now"):
        assert found[name][0] == pytest.approx(expected[name][0], rel=1e-9)


def test_rows_are_by_size_and_marked() -> None:
    prior = robust_prior(external_evidence("pip")[2], weight=0.5, sd=0.2, sign=1, vague=WEAK.mu)
    table = assurance(AGREEING, RobustPriors(prior, WEAK.tau), [TrialSize(20, 30), 0.2], SuccessRule("higher"))
    assert table["n_e"].tolist()[0] == 20
    assert table["n_c"].tolist()[0] == 30
    assert table["n_e"].isna().tolist() == [False, True]
    assert table["notes"].str.contains("COUNTS TRIALS TWICE").all()
    assert table["rule"].unique().tolist() == ["P(mu > no effect) >= 0.975"]


def test_a_width_without_expectation_is_nan() -> None:
    priors = p.Priors(p.flat(), p.uniform(0, math.inf))
    assert math.isnan(exact_fit(AGREEING, priors).theta_new.mean)
    row = assurance(AGREEING, priors, [0.2], SuccessRule("higher", prob=0.9)).iloc[0]
    assert math.isnan(row["expected_width"])
    assert 0 < row["assurance"] < row["prob_now"]
    assert "mean of y_new does not exist" in row["notes"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SuccessRule("up"), "favours must be one of higher, lower; got 'up'"),
        (lambda: SuccessRule("higher", prob=0.5), r"prob must lie in \(0.5, 1\); got 0.5"),
        (lambda: SuccessRule("higher", prob=1.0), r"prob must lie in \(0.5, 1\); got 1.0"),
        (lambda: SuccessRule("either", difference=0.2), "difference needs a side"),
        (lambda: assurance(PAIR, WEAK, [], SuccessRule("higher")), "trials must hold at least one"),
        (lambda: assurance(PAIR, WEAK, [-1.0], SuccessRule("higher")), "se_new must be positive"),
        (lambda: assurance(PAIR, WEAK, [0.2], SuccessRule("higher", difference=math.inf)), "difference must be finite"),
    ],
)
def test_bad_arguments_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_threshold_is_on_the_display_scale() -> None:
    ratio = EffectSizes(AGREEING.study, -AGREEING.yi, AGREEING.sei, "RR")
    shifted = EffectSizes(AGREEING.study, AGREEING.yi + math.log(0.9), AGREEING.sei, "SMD")
    flat = p.Priors(p.flat(), p.half_normal(0.2))
    found = assurance(ratio, flat, [0.2], SuccessRule("lower", difference=0.9))["assurance"][0]
    expected = assurance(shifted, flat, [0.2], SuccessRule("higher"))["assurance"][0]
    assert found == pytest.approx(expected, abs=EXACT)
