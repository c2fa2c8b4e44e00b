"""Effect sizes: what is refused, and in which words."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from study_rows import counts, frame, moments

import bayespip as bp
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.measures import MEASURES


@pytest.mark.parametrize(
    ("row", "measure", "message"),
    [
        ((1, "five", 2, 8), "RR", "n_e must be a finite number; not so for B (row 2: 'five')."),
        ((1, None, 2, "x"), "OR", "n_e must be a finite number; not so for B (row 2: nan)."),
        ((1, 9, math.nan, 8), "RD", "event_c must be a finite number; not so for B (row 2: nan)."),
        ((1, 9, 2, math.inf), "RR", "n_c must be a finite number; not so for B (row 2: inf)."),
        ((0, 0, 2, 8), "RR", "n_e must be positive; not so for B (row 2: 0)."),
        ((1, 9, 2, -8), "RR", "n_c must be positive; not so for B (row 2: -8)."),
        ((-1, 9, 2, 8), "RR", "event_e must not be negative; not so for B (row 2: -1)."),
        ((1, 9, 12, 8), "OR", "event_c must not exceed n_c; not so for B (row 2: 12 of 8)."),
    ],
)
def test_bad_counts_are_refused(row, measure, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(counts(("A", 3, 9, 4, 8), ("B", *row)), measure)


@pytest.mark.parametrize(
    ("row", "measure", "message"),
    [
        ((1, -2, 9, 0, 1, 9), "MD", "sd_e must be positive; not so for B (row 2: -2)."),
        ((1, 2, 9, 0, 0, 9), "SMD", "sd_c must be positive; not so for B (row 2: 0)."),
        ((1, 2, 0, 0, 1, 9), "MD", "n_e must be positive; not so for B (row 2: 0)."),
        ((1, 2, 1, 0, 1, 2), "SMD", "n_e + n_c must be at least 4 for SMD; not so for B (row 2: 3)."),
        (("", 2, 9, 0, 1, 9), "MD", "mean_e must be a finite number; not so for B (row 2: '')."),
    ],
)
def test_bad_moments_are_refused(row, measure, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(moments(("A", 1, 2, 9, 0, 2, 9), ("B", *row)), measure)


@pytest.mark.parametrize("sei", [0, -0.1])
def test_sei_must_be_positive(sei):
    with pytest.raises(ValueError, match=rf"^sei must be positive; not so for B \(row 2: {sei}\)\.$"):
        effect_sizes(frame(["yi", "sei"], ("A", 1, 1), ("B", 1, sei)), "MD")


def test_bad_labels_are_refused():
    row = (3, 9, 4, 8)
    with pytest.raises(ValueError, match=r"^study labels must be unique; A stands in rows 1 and 3\.$"):
        effect_sizes(counts(("A", *row), ("B", *row), ("A", *row)), "RR")
    for missing in (None, " ", math.nan):
        with pytest.raises(ValueError, match=r"^study must have a label in every row; row 2 has none\.$"):
            effect_sizes(counts(("A", *row), (missing, *row)), "RR")


def test_missing_columns_are_named_beside_those_needed_and_present():
    table = counts(("A", 3, 9, 4, 8))
    message = (
        "RR needs the columns study and either event_e, n_e, event_c, n_c or yi, sei; missing event_c; "
        "present: study, event_e, n_e, n_c."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(table.drop(columns="event_c"), "RR")
    with pytest.raises(ValueError, match="missing study;"):
        effect_sizes(table.drop(columns="study"), "RR")
    with pytest.raises(ValueError, match="missing mean_e, sd_e, mean_c, sd_c;"):
        effect_sizes(table, "SMD")


def test_tables_that_leave_a_choice_are_refused():
    table = counts(("A", 3, 9, 4, 8))
    with pytest.raises(ValueError, match="not both"):
        effect_sizes(table.assign(yi=1, sei=1), "RR")
    with pytest.raises(ValueError, match="column names of table must be unique; repeated: n_e"):
        effect_sizes(pd.concat([table, table[["n_e"]]], axis=1), "RR")


def test_there_must_be_a_table_with_studies_and_a_known_measure():
    table = counts(("A", 3, 9, 4, 8))
    with pytest.raises(ValueError, match=r"no rows \(k = 0\)"):
        effect_sizes(table[:0], "RR")
    with pytest.raises(ValueError, match="table must be a DataFrame; got list"):
        effect_sizes([1, 2], "RR")
    with pytest.raises(ValueError, match=r"measure must be one of RR, OR, PETO, .*; got 'IRR'\."):
        effect_sizes(table, "IRR")
    with pytest.raises(ValueError, match="smd must be one of revman5, metafor; got 'cohen'"):
        effect_sizes(table, "RR", smd="cohen")


def test_effect_sizes_are_read_only_and_do_not_share_the_callers_arrays():
    yi = np.array([0.1, 0.2])
    es = EffectSizes(["A", "B"], yi, [1, 2], "SMD")
    yi[0] = 9
    assert es.yi[0] == 0.1
    assert es.k == 2
    assert es.vi.tolist() == [1, 4]
    assert es.measure is MEASURES["SMD"]
    with pytest.raises(ValueError, match="read-only"):
        es.yi[0] = 1


@pytest.mark.parametrize(
    ("study", "yi", "sei", "message"),
    [
        ([], [], [], "effects need at least one study; got none (k = 0)."),
        (["A"], [1, 2], [1, 1], "study, yi and sei must have one entry a study; got 1, 2 and 2."),
        (["A", "A"], [1, 2], [1, 1], "study labels must be unique; repeated: A."),
        (["A", "B"], [1, math.nan], [1, 1], "yi must be finite; not so for B (nan)."),
        (["A", "B"], [1, 2], [1, 0], "sei must be positive and finite; not so for B (0)."),
        (["A"], ["x"], [1], "yi must be numbers"),
        (["A"], 1, [1], "yi must have one dimension; got shape ()."),
    ],
)
def test_impossible_effects_are_refused(study, yi, sei, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        EffectSizes(study, yi, sei, "MD")


EFFECTS = EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
TABLE = counts(("A", 3, 9, 4, 8), ("B", 1, 9, 2, 8))
ON_TAU = bp.priors.half_normal(0.5)
PAIR = bp.Priors(bp.priors.flat(), ON_TAU)


NO_EFFECTS = "effects must be EffectSizes, such as bp.effect_sizes(table, measure) makes; got DataFrame."
NO_PAIR = "priors must be a pair, bp.Priors(mu=..., tau=...); got half-normal(0.5)."
TAKEN = {
    "exact_fit of a table": (lambda: bp.exact_fit(TABLE, PAIR), NO_EFFECTS),
    "frequentist_fit of a table": (lambda: bp.frequentist_fit(TABLE), NO_EFFECTS),
    "exact_batch of tables": (lambda: bp.exact_batch([TABLE], [PAIR]), NO_EFFECTS),
    "exact_fit under one prior": (lambda: bp.exact_fit(EFFECTS, ON_TAU), NO_PAIR),
    "exact_batch under single priors": (lambda: bp.exact_batch([EFFECTS], [ON_TAU]), NO_PAIR),
    "pymc_fit under one prior": (lambda: bp.pymc_fit("normal_normal", EFFECTS, ON_TAU, seed=1), NO_PAIR),
    "exact_batch of one analysis": (
        lambda: bp.exact_batch(EFFECTS, [PAIR]),
        "effects must be a list; got one EffectSizes: put it in brackets.",
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken_for_effects_or_priors_is_named(case):
    call, message = TAKEN[case]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
