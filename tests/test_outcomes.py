"""Several outcomes as data: rows, trials, what is shared, what is refused."""

import numpy as np
import pytest
from simulated_outcomes import APART, SHARED

from bayespip.effects import EffectSizes
from bayespip.model_data.outcomes import Outcomes

ONE = EffectSizes(["a", "b"], [0.1, 0.9], [0.2, 0.3], "SMD")
OTHER = EffectSizes(["c"], [0.2], [0.1], "SMD")
RATIO = EffectSizes(["c"], [0.2], [0.1], "RR")


def test_rows_are_the_studies_of_one_outcome_after_the_other() -> None:
    assert APART.study[:3] == ("invented 1 / a", "invented 1 / b", "invented 2 / c")
    assert (APART.k, APART.outcome, APART.measure.name) == (5, ("invented 1", "invented 2"), "SMD")
    np.testing.assert_array_equal(APART.index, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(APART.yi, [0.1, 0.9, -0.4, 0.1, 0.3])
    np.testing.assert_array_equal(APART.sei, [0.2, 0.3, 0.25, 0.2, 0.4])
    assert APART.select("invented 2") is APART.effects["invented 2"]


def test_rows_arranged_by_trial() -> None:
    assert SHARED.trials == ("a", "b", "c", "d")
    np.testing.assert_array_equal(SHARED.reported, [[1, 0, 1], [1, 1, 0], [1, 1, 0], [0, 1, 1]])
    arranged = SHARED.by_trial(SHARED.yi, 9)
    np.testing.assert_array_equal(arranged, [[0.1, 9, 0.0], [0.5, 0.3, 9], [0.3, 0.6, 9], [9, 0.0, -0.2]])
    np.testing.assert_array_equal(arranged[SHARED.trial, SHARED.index], SHARED.yi)


def test_other_estimates_keep_the_design() -> None:
    new = SHARED.with_yi(np.arange(8.0))
    np.testing.assert_array_equal(new.yi, np.arange(8.0))
    np.testing.assert_array_equal(new.effects["B"].yi, [3, 4, 5])
    assert (new.study, new.blocks, new.rho_within) == (SHARED.study, SHARED.blocks, -0.3)
    assert SHARED.with_rho(0.2).rho_within == 0.2


def test_outcomes_that_share_trials_are_in_one_block() -> None:
    assert APART.blocks == (("invented 1",), ("invented 2",))
    assert SHARED.blocks == (("A", "B", "C"),)
    stated = Outcomes({"x": ONE, "y": OTHER, "z": OTHER, "w": RATIO.__class__(["q"], [0], [1], "SMD")}, blocks=["xy"])
    assert stated.blocks == (("x", "y", "z"), ("w",))
    with pytest.raises(ValueError, match=r"the model takes .* these do: x, y, z \(c\)\. Keep one of each group"):
        stated.require_apart("the model")
    with pytest.raises(ValueError, match=r"these do: x, y \(stated in blocks\)"):
        Outcomes({"x": ONE, "y": OTHER}, blocks=["xy"]).require_apart("m")
    APART.require_apart("m")


def test_possible_study_data_are_no_trials() -> None:
    possible = EffectSizes(["consistent-with-reported 1"], [0.2], [0.1], "SMD")
    assert Outcomes({"x": possible, "y": possible}).blocks == (("x",), ("y",))


def test_sets_of_outcomes_that_share_no_trial() -> None:
    effects = {label: EffectSizes([f"of {label}"], [0.1], [0.2], "SMD") for label in "abcdef"}
    sets = Outcomes(effects, blocks=["abc", "de"], assumptions=["said"]).apart()
    assert [s.outcome for s in sets] == [("a", "d", "f"), ("b", "e", "f"), ("c", "d", "f")]
    assert all(s.assumptions == ("said",) and len(s.blocks) == 3 for s in sets)


@pytest.mark.parametrize(
    ("effects", "others", "message"),
    [
        ({}, {}, "effects must hold at least one outcome; got none"),
        ({1: ONE, "1": OTHER}, {}, "labels of outcomes must differ as text; got 1, '1'"),
        ({"x": 3}, {}, r"effects must be EffectSizes for every outcome; not so for x \(int\)"),
        ({"x": ONE, "y": RATIO}, {}, "must be on one scale, .*; got SMD: x; log RR: y"),
        ({"x": ONE}, {"blocks": [["x", "q"]]}, "blocks must be of outcomes among x; got q"),
        ({"x": ONE}, {"rho_within": 1.0}, r"rho_within must lie in \(-1, 1\), for a trial with 1 outcomes .*; got 1.0"),
        ({"x": ONE, "y": ONE, "z": ONE}, {"rho_within": -0.5}, r"must lie in \(-0.5, 1\), .* 3 outcomes .*; got -0.5"),
        ({"x": ONE}, {"rho_within": float("nan")}, r"rho_within must lie in \(-1, 1\).*; got nan"),
    ],
)
def test_what_is_refused(effects: dict, others: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outcomes(effects, **others)


def test_an_unknown_outcome_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="outcome must be one of A, B, C; got 'D'"):
        SHARED.select("D")
