"""Effects of trials at high risk of bias: what is refused, what is derived, how judgements are read."""

import numpy as np
import pandas as pd
import pytest

from bayespip import load_review, read_review
from bayespip.effects import EffectSizes
from bayespip.model_data.bias import BiasedEffects, DiscountedEffects, towards
from bayespip.model_data.judgements import judged_high

EFFECTS = EffectSizes(["a", "b", "c"], [0.5, -0.2, 0.9], [0.3, 0.4, 0.1], "SMD")
HIGH = [True, False, True]
JUDGED = pd.DataFrame(
    {"study": ["c", "b", "a"], "allocation": ["low", "Low risk", "high"], "blinding": ["unclear", "no", "low"]}
)


def test_a_number_is_that_of_every_trial_at_high_risk() -> None:
    biased = BiasedEffects(EFFECTS, HIGH, 0.4, 0.3, favours="higher")
    np.testing.assert_array_equal(biased.bias_mean, [0.4, 0, 0.4])
    np.testing.assert_array_equal(biased.bias_sd, [0.3, 0, 0.3])
    np.testing.assert_array_equal(DiscountedEffects(EFFECTS, HIGH, 0.25).a0, [0.25, 1, 0.25])
    assert biased.study == EFFECTS.study
    assert (biased.k, biased.measure) == (3, EFFECTS.measure)


def test_each_trial_may_have_its_own() -> None:
    biased = BiasedEffects(EFFECTS, HIGH, [0.4, 0, -0.1], [0.3, 0, 0.4], favours="lower")
    np.testing.assert_allclose(biased.adjusted.yi, [0.1, -0.2, 1.0])
    np.testing.assert_allclose(biased.adjusted.vi, [0.18, 0.16, 0.17])
    assert biased.direction == ("control arm", "neither arm", "experimental arm")
    discounted = DiscountedEffects(EFFECTS, HIGH, [0, 1, 0.25])
    assert discounted.adjusted.study == ("b", "c")
    np.testing.assert_allclose(discounted.adjusted.sei, [0.4, 0.2])


def test_without_bias_or_discount_nothing_is_adjusted() -> None:
    for adjusted in (
        BiasedEffects(EFFECTS, HIGH, 0, 0, favours="higher").adjusted,
        DiscountedEffects(EFFECTS, HIGH, 1).adjusted,
    ):
        np.testing.assert_array_equal(adjusted.yi, EFFECTS.yi)
        np.testing.assert_array_equal(adjusted.sei, EFFECTS.sei)
        assert adjusted.study == EFFECTS.study


def test_they_are_frozen_and_can_be_taken_apart() -> None:
    biased = BiasedEffects(EFFECTS, HIGH, [0.4, 0, -0.1], 0.3, favours="lower")
    for values in (biased.high_risk, biased.bias_mean, biased.bias_sd):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1
    part = biased.take(np.array([1, 2]))
    assert part.study == ("b", "c")
    np.testing.assert_array_equal(part.bias_mean, [0, -0.1])
    np.testing.assert_array_equal(part.bias_sd, [0, 0.3])
    np.testing.assert_array_equal(biased.take(np.array([1])).high_risk, [False])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((EFFECTS, [1, 0, 1], 0, 0), "high_risk must be True or False for each of the 3 studies; got int64 of shape"),
        ((EFFECTS, [True], 0, 0), r"high_risk must be True or False .* got bool of shape \(1,\)"),
        ((EFFECTS.yi, HIGH, 0, 0), "effects must be EffectSizes; got ndarray"),
        ((EFFECTS, HIGH, np.nan, 0), "bias_mean must be finite; got nan"),
        ((EFFECTS, HIGH, [0.1, 0, np.inf], 0), r"bias_mean must be finite; got c \(inf\)"),
        (
            (EFFECTS, HIGH, [0.1, 0.2, 0.3], 0),
            r"bias_mean must be 0 for studies not at high risk; not so for b \(0.2\)",
        ),
        ((EFFECTS, HIGH, "much", 0), "bias_mean must be numbers"),
        ((EFFECTS, HIGH, 0.1, -0.1), "bias_sd must be finite and not negative; got -0.1"),
        ((EFFECTS, HIGH, 0.1, [0.1, 0.2]), r"bias_sd must be a number or one a study, shape \(3,\); got shape \(2,\)"),
    ],
)
def test_what_is_no_bias_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BiasedEffects(*arguments, favours="higher")


def test_the_size_and_direction_of_bias_have_no_default() -> None:
    with pytest.raises(TypeError, match="bias_mean"):
        BiasedEffects(EFFECTS, HIGH, favours="higher")
    with pytest.raises(TypeError, match="favours"):
        BiasedEffects(EFFECTS, HIGH, 0, 0)
    with pytest.raises(ValueError, match="favours must be one of higher, lower; got 'experimental'"):
        BiasedEffects(EFFECTS, HIGH, 0, 0, favours="experimental")


@pytest.mark.parametrize(
    ("a0", "message"),
    [
        (1.2, "a0 must be between 0 and 1; got 1.2"),
        (np.nan, "a0 must be between 0 and 1; got nan"),
        ([0.5, 0.5, 0.5], r"a0 must be 1 for studies not at high risk; not so for b \(0.5\)"),
        ([-0.5, 1, 0.5], r"a0 must be between 0 and 1; got a \(-0.5\)"),
    ],
)
def test_what_is_no_discount_is_refused(a0: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiscountedEffects(EFFECTS, HIGH, a0)


def test_one_trial_must_be_left() -> None:
    with pytest.raises(ValueError, match="a0 = 0 for every study leaves none of a, b, c"):
        _ = DiscountedEffects(EFFECTS, [True] * 3, 0).adjusted


@pytest.mark.parametrize("favours", ["higher", "lower"])
def test_the_direction_is_named(favours: str) -> None:
    assert towards(0.0, favours) == "neither arm"
    assert {towards(1.0, favours), towards(-1.0, favours)} == {"experimental arm", "control arm"}
    assert towards(1.0, "higher") == towards(-1.0, "lower") == "experimental arm"


@pytest.mark.parametrize(
    ("domains", "unclear", "expected"),
    [
        (["allocation"], "low", [True, False, False]),
        (["blinding"], "low", [False, True, False]),
        (["blinding"], "high", [False, True, True]),
        (["allocation", "blinding"], "high", [True, True, True]),
    ],
)
def test_judgements_are_read_by_label(domains: list[str], unclear: str, expected: list[bool]) -> None:
    np.testing.assert_array_equal(judged_high(EFFECTS.study, JUDGED, domains=domains, unclear=unclear), expected)


def test_a_row_of_a_trial_with_several_is_judged_as_the_trial() -> None:
    found = judged_high(["a", "a [2]", "b"], JUDGED, domains=["allocation"], unclear="low")
    np.testing.assert_array_equal(found, [True, True, False])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unclear": "maybe"}, "unclear must be 'high' or 'low'; got 'maybe'"),
        ({"domains": ["reporting"]}, "domains must be among allocation, blinding; got 'reporting'"),
        ({"domains": []}, "domains must be among allocation, blinding; got none"),
        ({"domains": ["study"]}, "domains must be among allocation, blinding; got 'study'"),
        ({"study": ["a", "d"]}, "risk of bias must be judged for every study; not so for d"),
        ({"table": JUDGED.assign(allocation=["odd", "low", None])}, r"not so for a, allocation \(nan\); c, .*'odd'"),
        ({"table": JUDGED.drop(columns="study")}, "table must have a column study, and one a domain; it has alloc"),
        ({"table": JUDGED.assign(study="a")}, "study labels must be unique; a stands in rows 1 and 2"),
        ({"study": ["c", "b"], "domains": ["allocation"]}, "no study is at high risk in allocation"),
    ],
)
def test_judgements_that_cannot_be_used_are_refused(changed: dict, message: str) -> None:
    arguments = {"study": EFFECTS.study, "table": JUDGED, "domains": ["allocation"], "unclear": "low"} | changed
    with pytest.raises(ValueError, match=message):
        judged_high(**arguments)


def test_which_domains_count_has_no_default() -> None:
    with pytest.raises(TypeError, match="domains"):
        judged_high(EFFECTS.study, JUDGED, unclear="low")
    with pytest.raises(TypeError, match="unclear"):
        judged_high(EFFECTS.study, JUDGED, domains=["allocation"])


def test_both_are_made_from_a_table_of_judgements() -> None:
    how = {"domains": ["allocation"], "unclear": "low"}
    biased = BiasedEffects.from_risk_of_bias(EFFECTS, JUDGED, bias_mean=0.2, bias_sd=0.1, favours="higher", **how)
    np.testing.assert_array_equal(biased.bias_mean, [0.2, 0, 0])
    np.testing.assert_array_equal(DiscountedEffects.from_risk_of_bias(EFFECTS, JUDGED, a0=0.5, **how).a0, [0.5, 1, 1])


def test_the_bundled_review_is_judged() -> None:
    table = load_review("pip").risk_of_bias
    high = judged_high(table["study"], table, domains=["allocation_concealment"], unclear="low")
    assert table["study"][high].tolist() == ["Cicchetti 1999", "Cicchetti 2006", "Cohen 1999", "Cooper 2003"]
    # in psychotherapy nobody is blind: a domain in which all trials are alike
    assert judged_high(table["study"], table, domains=["blinding_of_participants"], unclear="low").all()


def test_a_file_of_revman_is_judged(shared_dir) -> None:
    review = read_review(shared_dir / "formats" / "Fleiss1993.rm5")
    study = review["1.1"].rows()["study"]
    how = {"table": review.risk_of_bias, "domains": ["Allocation concealment?"]}
    assert judged_high(study, unclear="high", **how).all()
    with pytest.raises(ValueError, match="no study is at high risk in Allocation concealment"):
        judged_high(study, unclear="low", **how)
