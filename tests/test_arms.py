"""Cluster trials and trials with several arms: against raw data, another program, and by what must hold."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_rows import counts, frame, moments

from bayespip.effects import effect_sizes
from bayespip.measures import BINARY, CONTINUOUS
from bayespip.study_data.arms import adjust_clusters, combine_arms, split_control

# Sums of a few hundred numbers, in another order.
ROUNDING = 1e-12


def summary(sample):
    return [np.mean(sample), np.std(sample, ddof=1), len(sample)]


# Clusters


def test_clusters_by_hand():
    # 21 classrooms of 30 at an ICC of 0.02: the design effect is 1 + 29 * 0.02 = 1.58.
    table = adjust_clusters(counts(("School", 63, 316, 84, 395)), icc=0.02, size=30)
    assert table.loc[0, list(BINARY)].tolist() == pytest.approx([63 / 1.58, 200, 84 / 1.58, 250], rel=1e-15)


@given(icc=st.floats(0, 1), size=st.floats(1, 200))
def test_effects_stay_and_variances_grow_by_the_design_effect(icc, size):
    effect = 1 + (size - 1) * icc
    for table, measures in (
        (counts(("A", 30, 100, 40, 90)), ("RR", "OR", "RD")),
        (moments(("A", 3, 2, 50, 1, 2.5, 60)), ("MD", "ROM")),
        (frame(("yi", "sei"), ("A", 0.5, 0.25)), ("OR", "MD")),
        (frame(("o_e", "variance"), ("A", -4, 10)), ("HR",)),
    ):
        for measure in measures:
            plain, adjusted = (
                effect_sizes(table, measure),
                effect_sizes(adjust_clusters(table, icc=icc, size=size), measure),
            )
            np.testing.assert_allclose(adjusted.yi, plain.yi, rtol=1e-12)
            np.testing.assert_allclose(adjusted.vi, effect * plain.vi, rtol=1e-10)


def test_means_and_sds_stay_and_all_else_too():
    table = moments(("A", 3, 2, 50, 1, 2.5, 60)).assign(year=1999, rob="low")
    adjusted = adjust_clusters(table, icc=0.1, size=11)
    assert adjusted[["n_e", "n_c"]].to_numpy().tolist() == [[25, 30]]
    rest = [c for c in table if c not in ("n_e", "n_c")]
    pd.testing.assert_frame_equal(adjusted[rest], table[rest])
    assert table["n_e"].tolist() == [50]


def test_each_study_may_have_its_own_clusters_or_none():
    table = counts(("A", 10, 40, 20, 40), ("B", 10, 40, 20, 40), ("C", 10, 40, 20, 40))
    expected = [[5, 20, 10, 20], [10, 40, 20, 40], [2.5, 10, 5, 10]]
    for icc, size in (
        ([0.1, 0.0, 0.1], [11, 5, 31]),
        (0.1, {"A": 11, "C": 31}),
        ({"A": 0.1, "C": 0.1}, {"C": 31, "A": 11}),
        (0.1, np.array([11, 1, 31])),
    ):
        assert adjust_clusters(table, icc=icc, size=size)[list(BINARY)].to_numpy() == pytest.approx(np.array(expected))


def test_what_a_study_without_clusters_lacks_is_no_hindrance():
    table = counts(("A", 10, 40, 20, 40), ("B", math.nan, 40, 20, 40))
    assert math.isnan(adjust_clusters(table, icc=0.1, size={"A": 11})["event_e"][1])
    with pytest.raises(ValueError, match=r"^event_e must be a finite number; not so for B \(row 1: nan\)\.$"):
        adjust_clusters(table, icc=0.1, size={"B": 11})


@pytest.mark.parametrize(
    ("icc", "size", "message"),
    [
        (1.2, 5, "icc must lie in [0, 1]; not so for A (row 1: 1.2), B (row 2: 1.2)."),
        ([0.1, -0.1], 5, "icc must lie in [0, 1]; not so for B (row 2: -0.1)."),
        (math.nan, 5, "icc must lie in [0, 1]; not so for A (row 1: nan), B (row 2: nan)."),
        (0.1, {"B": 0.5}, "size must be at least 1 and finite; not so for B (row 2: 0.5)."),
        (0.1, {"C": 5}, "size must name studies of the table, A, B; got C."),
        ({"A": 0.1}, {"B": 5}, "icc and size must name the same studies; only one names A, B."),
        ([0.1] * 3, 5, "icc must be one number or one a row (2); got shape (3,)."),
        ("x", 5, "icc must be numbers"),
    ],
)
def test_impossible_clusters_are_refused(icc, size, message):
    table = counts(("A", 10, 40, 20, 40), ("B", 10, 40, 20, 40))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        adjust_clusters(table, icc=icc, size=size)


def test_there_must_be_something_to_adjust():
    with pytest.raises(ValueError, match=r"must have sizes, events or sei to adjust; present: study, yi"):
        adjust_clusters(pd.DataFrame({"study": ["A"], "yi": [1]}), icc=0.1, size=5)
    with pytest.raises(ValueError, match="must have a column study"):
        adjust_clusters(pd.DataFrame({"n_e": [1]}), icc=0.1, size=5)


# Combined arms

samples = st.lists(st.lists(st.floats(-100, 100), min_size=2, max_size=30), min_size=2, max_size=5)


@given(groups=samples)
def test_combined_arms_have_the_mean_and_sd_of_the_merged_sample(groups):
    rows = [("Trial", *summary(group), 1.0, 2.0, 20) for group in groups]
    (row,) = combine_arms(moments(*rows)).itertuples(index=False)
    merged = np.concatenate(groups)
    # The scale of the data, not of a mean or SD that is nearly zero by chance.
    slack = ROUNDING * max(1, np.abs(merged).max())
    assert row.n_e == merged.size
    assert row.mean_e == pytest.approx(merged.mean(), rel=ROUNDING, abs=slack)
    assert row.sd_e == pytest.approx(merged.std(ddof=1), rel=1e-9, abs=slack)
    assert (row.study, row.mean_c, row.sd_c, row.n_c) == ("Trial", 1.0, 2.0, 20)


def test_combining_is_the_formula_of_the_handbook_applied_again_and_again():
    arms = [(10.0, 2.0, 12), (11.5, 3.0, 20), (8.0, 2.5, 15), (9.0, 1.0, 7)]
    mean, sd, n = arms[0]
    for m2, s2, n2 in arms[1:]:
        # table 6.5.a
        squares = (n - 1) * sd**2 + (n2 - 1) * s2**2 + n * n2 / (n + n2) * (mean**2 + m2**2 - 2 * mean * m2)
        mean, sd, n = (n * mean + n2 * m2) / (n + n2), math.sqrt(squares / (n + n2 - 1)), n + n2
    table = moments(*(("T", *arm, 1, 1, 9) for arm in arms))
    once = combine_arms(table)
    assert once.loc[0, ["mean_e", "sd_e", "n_e"]].tolist() == pytest.approx([mean, sd, n], rel=1e-14)
    twice = combine_arms(pd.concat([combine_arms(table[:2]), combine_arms(table[2:])]))
    assert twice.loc[0, list(CONTINUOUS)].tolist() == pytest.approx(once.loc[0, list(CONTINUOUS)].tolist(), rel=1e-14)


def test_combined_arms_are_those_of_another_program():
    # Example of StatsToDo, "Combine means and SDs into one group": 45, 12.2222, 4.5028.
    arms = [(11.8, 2.4, 10), (15.3, 3.2, 20), (8.4, 4.1, 15)]
    (row,) = combine_arms(moments(*(("T", 0, 1, 9, *arm) for arm in arms)), arm="c").itertuples(index=False)
    assert (round(row.mean_c, 4), round(row.sd_c, 4), row.n_c) == (12.2222, 4.5028, 45)


def test_events_and_sizes_add_and_the_rest_keeps_its_place():
    table = counts(
        ("Before", 1, 9, 2, 9), ("Cooper CBT", 5, 42, 12, 50), ("Between", 3, 9, 2, 9), ("Cooper PIP", 7, 43, 12, 50)
    ).assign(
        trial=["Before", "Cooper 2003", "Between", "Cooper 2003"], year=[1990, 2003, 1995, 2003], dose=[1, 2, 3, 4]
    )
    combined = combine_arms(table, by="trial")
    assert combined["study"].tolist() == ["Before", "Cooper 2003", "Between"]
    assert combined[list(BINARY)].to_numpy().tolist() == [[1, 9, 2, 9], [12, 85, 12, 50], [3, 9, 2, 9]]
    assert combined["year"].tolist() == [1990, 2003, 1995]
    assert combined["dose"].isna().tolist() == [False, True, False]
    assert effect_sizes(combined, "RR").k == 3
    assert table["study"].tolist()[1] == "Cooper CBT"


def test_either_arm_or_both_may_be_combined():
    table = counts(("A", 1, 10, 5, 20), ("A", 1, 10, 6, 30))
    assert combine_arms(table, arm="c").iloc[0].tolist() == ["A", 1, 10, 11, 50]
    men, women = ("A", 1, 10, 5, 20), ("A", 2, 11, 6, 30)
    assert combine_arms(counts(men, women), arm="both").iloc[0].tolist() == ["A", 3, 21, 11, 50]
    # within each subgroup of a review, not across
    table = counts(men, men, women, women).assign(subgroup=["x", "y", "x", "y"])
    found = combine_arms(table, by=["study", "subgroup"], arm="both")
    assert found[["study", "subgroup", "event_e"]].to_numpy().tolist() == [["A", "x", 3], ["A", "y", 3]]


def test_a_table_without_repeated_trials_is_unchanged():
    table = counts(("A", 1, 10, 5, 20), ("B", math.nan, 10, 6, 30))
    pd.testing.assert_frame_equal(combine_arms(table), table)
    pd.testing.assert_frame_equal(split_control(table), table, check_dtype=False)


# Shared controls


def test_a_shared_control_is_divided_by_the_rows_that_share_it():
    table = counts(("A", 1, 10, 6, 33), ("B", 2, 20, 4, 19), ("A", 3, 11, 6, 33), ("A", 0, 12, 6, 33))
    divided = split_control(table)
    assert divided["study"].tolist() == ["A", "B", "A [2]", "A [3]"]
    assert divided[["event_c", "n_c"]].to_numpy().tolist() == [[2, 11], [4, 19], [2, 11], [2, 11]]
    assert divided[["event_e", "n_e"]].equals(table[["event_e", "n_e"]])
    assert effect_sizes(divided, "RD").k == 4
    # the whole of the control comes back
    back = combine_arms(divided.assign(trial=["A", "B", "A", "A"]), by="trial", arm="both")
    assert back[["event_c", "n_c"]].to_numpy().tolist() == [[6, 33], [4, 19]]


def test_means_and_sds_of_a_shared_control_stay():
    table = moments(("A1", 3, 2, 10, 1, 2.5, 31), ("A2", 4, 2, 12, 1, 2.5, 31)).assign(trial="A")
    divided = split_control(table, by="trial")
    assert divided[["mean_c", "sd_c", "n_c"]].to_numpy().tolist() == [[1, 2.5, 15.5]] * 2
    assert divided["study"].tolist() == ["A1", "A2"]
    mirrored = moments(("A", 1, 2.5, 31, 3, 2, 10), ("A", 1, 2.5, 31, 4, 2, 12))
    assert split_control(mirrored, arm="e")["n_e"].tolist() == [15.5, 15.5]


@pytest.mark.parametrize("function", [combine_arms, split_control])
def test_arms_that_are_not_shared_are_refused(function):
    table = counts(("A1", 1, 10, 6, 33), ("A2", 3, 11, 5, 33)).assign(trial="A")
    message = "event_c must be the same in all rows that share the arm; not so for A1 (6), A2 (5)."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(table, by="trial")


@pytest.mark.parametrize("function", [combine_arms, split_control])
@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"arm": "x"}, "arm must be one of e, c"),
        ({}, {"by": "trial"}, "by must name columns of table, study, event_e, n_e, event_c, n_c; got trial."),
        ({}, {"by": []}, "by must name columns of table, study, event_e, n_e, event_c, n_c; got none."),
        ({"trial": ["A", None]}, {"by": "trial"}, "trial must have a value in every row; row 2 has none."),
        ({"yi": 1, "sei": 1}, {}, "table must not have yi, sei: they would not fit the new arms; drop them."),
        ({"n_c": "many"}, {}, "n_c must be a finite number; not so for A (row 1: 'many'), A (row 2: 'many')."),
        ({"n_c": 0.5}, {}, "n_c must be at least 1; not so for A (row 1: 0.5), A (row 2: 0.5)."),
        ({"event_c": -1}, {}, "event_c must be at least 0; not so for A (row 1: -1), A (row 2: -1)."),
        ({"study": None}, {}, "study must have a label in every row; row 1 has none."),
    ],
)
def test_what_cannot_be_combined_or_split_is_refused(function, change, options, message):
    table = counts(("A", 1, 10, 6, 33), ("A", 3, 11, 6, 33)).assign(**change)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        function(table, **options)


def test_there_must_be_arms():
    with pytest.raises(ValueError, match=r"must have event_e, n_e, event_c, n_c or mean_e, .*; present: study, yi"):
        combine_arms(pd.DataFrame({"study": ["A"], "yi": [1]}))
