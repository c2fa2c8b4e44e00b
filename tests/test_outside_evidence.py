"""Evidence from outside a review: what it is, and what may be done with it."""

import math

import pytest

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.measures import MEASURES
from bayespip.new_evidence.outside import Evidence, beside, external_evidence
from bayespip.new_evidence.prediction import updated_fit
from bayespip.new_evidence.robust_priors import robust_prior

BY_ID = {e.id: e for e in external_evidence("pip")}
SENSITIVITY = EffectSizes(["simulated 1", "simulated 2"], [-0.2, 0.1], [0.2, 0.25], "SMD")
WEAK = p.Priors(p.normal(0, 2), p.half_normal(0.5))


def test_the_bundled_review_has_four_results_from_outside() -> None:
    assert list(BY_ID) == ["barnicot-m5", "barnicot-m8", "bk2003-sensitivity", "bk2003-attachment"]
    barnicot, earlier = BY_ID["barnicot-m8"], BY_ID["bk2003-sensitivity"]
    assert (barnicot.estimate, barnicot.lower, barnicot.upper) == (1.91, 0.68, 5.33)
    assert barnicot.what == "VIPP-PMH versus usual care: maternal sensitivity (observer-rated), month 8"
    assert earlier.estimate == 0.33
    assert math.isnan(earlier.lower)
    assert earlier.counted_twice == "it includes trials of parent-infant psychotherapy"
    assert external_evidence("bcg") == ()


def test_beside_a_result_it_says_what_may_be_done_with_it() -> None:
    table = beside(tuple(BY_ID.values()), "SMD").set_index("id")
    video = table.loc["barnicot-m5", "use"]
    assert video.startswith("Shown beside, neither predicted nor pooled: it is RR, the review's result SMD")
    assert "video feedback (VIPP-PMH), another intervention" in video
    assert table.loc["barnicot-m5", "estimate"] == 1.94
    assert "weight at most 0.5. COUNTS TRIALS TWICE" in table.loc["bk2003-attachment", "use"]
    # also where the measure is the same, the intervention is not
    assert "another intervention" in beside([BY_ID["barnicot-m5"]], "RR")["use"][0]


@pytest.mark.parametrize("measure", ["SMD", "RR"])
def test_video_feedback_is_not_pooled(measure: str) -> None:
    effects = EffectSizes(SENSITIVITY.study, SENSITIVITY.yi, SENSITIVITY.sei, measure)
    with pytest.raises(ValueError, match=r"barnicot-m5 cannot be pooled: .*video feedback \(VIPP-PMH\)") as refusal:
        updated_fit(effects, WEAK, BY_ID["barnicot-m5"])
    assert ("it is RR, the review's result SMD" in str(refusal.value)) == (measure == "SMD")


def test_an_earlier_meta_analysis_is_not_pooled_either() -> None:
    with pytest.raises(
        ValueError, match=r"bk2003-sensitivity \(SMD, .*\) cannot be pooled: it has no standard error; it counts"
    ):
        updated_fit(SENSITIVITY, WEAK, BY_ID["bk2003-sensitivity"])


def test_video_feedback_is_no_prior() -> None:
    with pytest.raises(
        ValueError, match="barnicot-m8 cannot be made a prior: it is RR, the review's result SMD; it is"
    ):
        robust_prior(BY_ID["barnicot-m8"], weight=0.2, vague=WEAK.mu, measure="SMD", sign=1)


def test_evidence_is_checked() -> None:
    common = {"id": "x", "what": "invented", "intervention": "the same", "same_intervention": True}
    assert Evidence(**common, measure="RR", estimate=0.8).use(MEASURES["RR"]) == "Earlier evidence for a robust prior."
    with pytest.raises(ValueError, match="estimate must be finite and between 0 and inf, as RR is; got -1 for x"):
        Evidence(**common, measure="RR", estimate=-1)
    with pytest.raises(ValueError, match="measure must be one of RR"):
        Evidence(**common, measure="X", estimate=1)


def test_a_later_trial_on_the_same_question_is_pooled() -> None:
    common = {"id": "later", "what": "invented", "intervention": "the same", "same_intervention": True}
    trial = Evidence(**common, measure="RR", estimate=0.8, lower=0.8 / 1.5, upper=0.8 * 1.5)
    se = math.log(1.5) / 1.959963984540054
    assert trial.se == pytest.approx(se, rel=1e-12)
    effects = EffectSizes(SENSITIVITY.study, SENSITIVITY.yi, SENSITIVITY.sei, "RR")
    found = updated_fit(effects, WEAK, trial)
    assert found.effects.study[-1] == "later"
    assert found.mu.point == updated_fit(effects, WEAK, EffectSizes(["x"], [math.log(0.8)], [trial.se], "RR")).mu.point
    twice = Evidence(**common, measure="RR", estimate=0.8, lower=0.6, upper=1.1, counted_twice="it is among them")
    with pytest.raises(
        ValueError, match=r"later \(RR, the same\) cannot be pooled: it counts trials twice: it is among"
    ):
        updated_fit(effects, WEAK, twice)
