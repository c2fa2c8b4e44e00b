"""A trial still to come where only pooled results were published: bounds over members, against random members."""

import numpy as np
import pytest

import bayespip as bp
from bayespip import priors as p
from bayespip.exact.fit import exact_fit
from bayespip.model_data.new_trials import TrialSize, standard_error
from bayespip.new_evidence.outside import external_evidence
from bayespip.new_evidence.planning import SuccessRule, assurance
from bayespip.new_evidence.prediction import predict_trial
from bayespip.new_evidence.robust_fit import robust_fit
from bayespip.new_evidence.robust_priors import RobustPriors, robust_prior
from bayespip.published_only.bounds import sample
from bayespip.published_only.consistent import Family, consistent_studies
from bayespip.sensitivity.predictions import assurance_over_members, predict_over_members

REVIEW = bp.load_review("pip")
WEAK = p.Priors(p.normal(0, 2), p.half_normal(0.3))
SEARCH = 0.01  # what repeated searches for a bound may differ by, of the width of the bounds (test_bounds)
NAMES = ["point", "lower", "upper", "prob_positive", "prob_significant_above", "prob_significant_below"]


def _family(analysis: str) -> Family:
    return consistent_studies(REVIEW[analysis].reported)


def _shown(fit, se: float) -> np.ndarray:
    q = predict_trial(fit, se)
    limits = q.y_new.measure.display([q.y_new.point, q.y_new.lower, q.y_new.upper])
    return np.array([*limits, q.prob_positive, q.prob_significant_above, q.prob_significant_below])


def test_no_random_member_lies_outside() -> None:
    family = _family("P14")
    table = predict_over_members(family, WEAK, 0.25)
    assert table["quantity"].tolist() == NAMES
    np.testing.assert_allclose(table["reference"], _shown(exact_fit(family.illustration(), WEAK), 0.25), rtol=1e-12)
    _, members = sample(family, at_vertices=True, seed=7, size=256)
    rows = range(0, len(members.yi), max(1, len(members.yi) // 40))
    found = np.array([_shown(exact_fit(family.effects(members.yi[i], members.vi[i]), WEAK), 0.25) for i in rows])
    low, high = table["lowest"].to_numpy(), table["highest"].to_numpy()
    slack = SEARCH * (high - low)
    assert (found >= low - slack).all()
    assert (found <= high + slack).all()
    assert (low <= table["reference"]).all()
    assert (table["reference"] <= high).all()
    # the members differ, and some random one comes near either end
    assert (found.max(axis=0) - found.min(axis=0) > 0.3 * (high - low)).all()
    assert table["basis"].str.startswith("consistent-with-reported: equal-variance member").all()


def test_one_study_of_printed_numbers_leaves_only_their_rounding() -> None:
    family = consistent_studies(REVIEW["P17"].reported, k=1)
    table = predict_over_members(family, WEAK, 0.3).set_index("quantity")
    assert 0 < table.loc["upper", "highest"] - table.loc["upper", "lowest"] < 0.05


def test_a_size_is_planned_at_the_published_effect() -> None:
    family = _family("P14")
    se = standard_error("SMD", 40, 40, effect=float(REVIEW["P14"].reported.estimate.value))
    found = predict_over_members(family, WEAK, TrialSize(40, 40), steps=2)
    assert (found["se_new"] == se).all()


def test_a_robust_prior_is_marked_here_too() -> None:
    family = _family("P14")
    prior = robust_prior(external_evidence("pip")[2], weight=0.5, sd=0.2, sign=1, vague=WEAK.mu)
    priors = RobustPriors(prior, WEAK.tau)
    table = predict_over_members(family, priors, 0.25, steps=3)
    assert table["notes"].str.contains("COUNTS TRIALS TWICE").all()
    np.testing.assert_allclose(table["reference"], _shown(robust_fit(family.illustration(), priors), 0.25), rtol=1e-12)


@pytest.mark.slow
def test_assurance_over_members_holds_that_of_the_reference() -> None:
    family, rule = _family("P3"), SuccessRule("lower", prob=0.9)
    trials = [0.3, TrialSize(60, 60, control_risk=0.4, effect=0.6)]
    table = assurance_over_members(family, WEAK, trials, rule)
    expected = assurance(family.illustration(), WEAK, [0.3], rule)
    assert table["assurance"][0] == expected["assurance"][0]
    for name in ("prob_now", "assurance", "expected_width"):
        assert (table[f"{name}_lowest"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_highest"]).all()
    assert (table["assurance_highest"] - table["assurance_lowest"] > 0.01).all()
    assert table["n_e"].tolist()[1] == 60
    assert table["basis"].str.contains(r"over \d+ members that are extreme for y_new").all()
