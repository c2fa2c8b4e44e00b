"""What of a review can be fitted, as which analyses, and what is left out and why."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from simulated import (
    COUNTS,
    HAZARDS,
    LEFT,
    MEANS,
    POINTS,
    RIGHT,
    analysis,
    log_risk_ratios,
    mean_differences,
    pooled_sd,
    rows,
    simulated,
    texts,
)

from bayespip import Analysis, load_review, read_review
from bayespip.measures import MEASURES
from bayespip.reanalysis.cases import cases, pooled_results
from bayespip.settings import Settings, Subgroup

DICHOTOMOUS = Settings(data_type="dichotomous", method="MH", model="random", effect_label="RR", **RIGHT)


def fitted(review=None):
    review = review or simulated()
    return cases(review.id, pooled_results(review), review.studies)


def one(outcome):
    """The case of an analysis, or the reason why there is none."""
    found, left = cases("x", [outcome])
    return found[0] if found else left[0].reason


def dichotomous(studies, **chosen):
    return analysis(1, "o", MEASURES["RR"], studies, replace(DICHOTOMOUS, **chosen))


# Parts ----------------------------------------------------------------------------------------------------------------


def test_subgroups_without_a_total_are_analyses_of_their_own():
    ids = [a.id for a in pooled_results(simulated())]
    assert ids == ["1.1", "1.2", "1.3.1", "1.3.2", "1.4", "1.5", "1.6"]
    young, old = (a for a in pooled_results(simulated()) if a.id.startswith("1.3."))
    assert (young.outcome, old.outcome) == ("Death: Under 60", "Death: 60 and over")
    assert young.settings.totals == "total"
    assert not young.subgroups
    assert list(young.rows()["study"]) == ["Trial A 2001", "Trial B 2002"]
    assert old.favours == "lower"


def test_a_part_reports_what_the_file_stores_of_its_subgroup():
    for part, studies in zip(("1.3.1", "1.3.2"), (HAZARDS[:2], HAZARDS[2:]), strict=True):
        (reported,) = (a.reported for a in pooled_results(simulated()) if a.id == part)
        wanted = texts(*zip(*studies, strict=True), MEASURES["HR"])
        assert (reported.estimate.text, reported.ci_upper.text) == (wanted["effect"], wanted["upper"])


def test_analyses_with_a_total_are_not_taken_apart(shared_dir):
    review = read_review(shared_dir / "formats" / "cochrane" / "CD003188StatsDataOnly.rm5")
    assert pooled_results(review) == review.analyses


def test_subgroups_of_one_number_stay_apart():
    hazards = simulated()["1.3"]
    same = replace(hazards, subgroups=tuple(Subgroup(1, s.name) for s in hazards.subgroups))
    review = replace(simulated(), analyses=(same,))
    assert [(a.id, len(a.rows())) for a in pooled_results(review)] == [("1.3.1", 2), ("1.3.2", 2)]


def test_rows_of_a_subgroup_only_are_in_their_part_and_not_in_a_total():
    hazards = simulated()["1.3"]
    apart = hazards.studies.assign(in_total=[True, False, True, True])
    (young, *_), _ = fitted(replace(simulated(), analyses=(replace(hazards, studies=apart),)))
    assert young.effects.study == ("Trial A 2001", "Trial B 2002")
    pooled = replace(hazards, studies=apart, settings=replace(hazards.settings, totals="total"))
    case = one(pooled)
    assert case.effects.study == ("Trial A 2001", "Trial C 2003", "Trial D 2004")
    assert "Entered in a subgroup only, and so not in the total: Trial B 2002." in case.assumptions


# What is fitted -------------------------------------------------------------------------------------------------------


def test_effects_are_those_of_the_plain_formulas():
    found = {case.analysis.id: case for case in fitted()[0]}
    assert list(found) == ["1.1", "1.2", "1.3.1", "1.3.2", "1.6"]
    for case, (yi, sei) in ((found["1.1"], log_risk_ratios()), (found["1.2"], mean_differences())):
        assert_allclose(case.effects.yi, yi, rtol=1e-12)
        assert_allclose(case.effects.sei, sei, rtol=1e-12)
    assert_allclose(found["1.3.2"].effects.yi, [y for y, _ in HAZARDS[2:]])
    assert {case.basis for case in found.values()} == {"study data"}
    assert all(case.label == case.analysis.id for case in found.values())


def test_swapped_events_are_non_events_and_the_reader_is_told():
    case = one(dichotomous(rows("dichotomous", COUNTS[:2]), swap_events=True))
    a, n, c, m = np.array(COUNTS[:2], dtype=float).T
    assert_allclose(case.effects.yi, np.log((n - a) / n / ((m - c) / m)))
    assert any("change places" in sentence for sentence in case.assumptions)


def test_what_is_taken_for_granted_is_said():
    (recovery, *_), _ = fitted()
    assert recovery.assumptions == (
        "Not estimable, and so left out: Trial C 2003 (event_e 0, n_e 12, event_c 0, n_c 11).",
    )
    twice = rows("dichotomous", [*COUNTS[:2], COUNTS[3]])
    twice["study"] = ["Trial A 2001", "Trial A 2001", "Trial D 2004"]
    case = one(dichotomous(twice, method="IV"))
    assert case.effects.study == ("Trial A 2001", "Trial A 2001 [2]", "Trial D 2004")
    assert case.assumptions == (
        "Every row counts as an independent study, also where one trial has several: Trial A 2001.",
    )


EMPTY = [(0, 20, 3, 21), *COUNTS[:2]]
HALF = "0.5 is added to all four cells of studies with an empty one: Trial A 2001."
HALF_IN_VARIANCE = HALF.replace("cells", "cells in the variance")
OWN_EFFECTS = (
    "The review pools by Mantel-Haenszel; here every study enters with its own effect and standard error, which need "
    "not give the stored result to the last digit."
)


@pytest.mark.parametrize(
    ("measure", "method", "level", "sentences"),
    [
        ("RR", "IV", 0.95, [HALF]),
        ("RD", "IV", 0.95, [HALF_IN_VARIANCE]),
        ("PETO", "Peto", 0.95, []),
        ("PETO", "Peto", 0.99, ["The stored interval, and so the claim, is of 99%."]),
        ("OR", "MH", 0.95, [OWN_EFFECTS, HALF]),
    ],
)
def test_how_effects_are_computed_is_said(measure, method, level, sentences):
    settings = replace(DICHOTOMOUS, method=method, level_total=level)
    case = one(analysis(1, "o", MEASURES[measure], rows("dichotomous", EMPTY), settings))
    assert list(case.assumptions) == sentences
    fixed = one(analysis(1, "o", MEASURES[measure], rows("dichotomous", EMPTY), replace(settings, model="fixed")))
    assert fixed.assumptions[0].startswith("The stored result assumes one effect in all studies (fixed effect)")
    assert list(fixed.assumptions[1:]) == sentences


def test_what_is_added_to_a_users_own_table_is_said():
    own = rows("dichotomous", [*EMPTY, (0, 9, 0, 8)])[["study", "event_e", "n_e", "event_c", "n_c"]]
    about = {"id": "1.1", "comparison": "c", "outcome": "o", "timepoint": "", "measure": MEASURES["RR"]}
    with pytest.warns(UserWarning, match="excluded: Trial D 2004"):
        case = one(Analysis(**about, favours="lower", studies=own))
    assert case.assumptions == (f"Not estimable, and so left out: {own['study'].iloc[-1]}.", HALF)
    effects = own.assign(yi=[0.1, 0.2, 0.3, 0.4], sei=0.5)[["study", "yi", "sei"]]
    assert one(Analysis(**about, favours="lower", studies=effects)).assumptions == ()
    numbered = own.iloc[:3].assign(study=[1, 2, 3])
    assert one(Analysis(**about, favours="lower", studies=numbered)).assumptions == (HALF.replace("Trial A 2001", "1"),)


def test_the_sd_of_mean_differences_is_that_within_the_arms():
    found = {case.analysis.id: case.sd for case in fitted()[0]}
    assert found.pop("1.2") == pytest.approx(pooled_sd(), rel=1e-12)
    assert set(found.values()) == {None}


def test_the_sd_is_that_of_the_studies_that_are_estimable():
    without = [*MEANS, (20.0, 0.0, 40, 21.0, 0.0, 40)]  # no SDs were reported
    settings = Settings(data_type="continuous", method="IV", model="fixed", effect_label="MD", **LEFT)
    case = one(analysis(2, "Pain", MEASURES["MD"], rows("continuous", without), settings))
    assert case.k == 3
    assert case.sd == pytest.approx(pooled_sd(), rel=1e-12)
    smd = one(analysis(2, "Pain", MEASURES["SMD"], rows("continuous", MEANS), replace(settings, effect_label="SMD")))
    assert smd.sd is None


# What is not ----------------------------------------------------------------------------------------------------------


def test_what_is_left_out_has_its_reason():
    assert {out.analysis.id: out.reason for out in fitted()[1]} == {
        "1.4": "the review does not pool it.",
        "1.5": "data of the type 'other' are not pooled.",
    }


NOT_ESTIMABLE = "Trial A 2001 (event_e 0, n_e 9, event_c 0, n_c 8), Trial B 2002 (event_e 5, n_e 5, event_c 7, n_c 7)"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (dichotomous(rows("dichotomous", [])), "it holds no studies."),
        (dichotomous(rows("dichotomous", [(0, 9, 0, 8), (5, 5, 7, 7)])), f"no study is estimable: {NOT_ESTIMABLE}."),
        (dichotomous(rows("dichotomous", COUNTS), method=None), "settings must have method and model; got None and"),
        (replace(simulated()["1.3"], subgroups=()), "the review does not pool it."),
        (replace(simulated()["1.6"], settings=None, studies=simulated()["1.6"].studies.iloc[:0]), "no rows"),
        (replace(simulated()["1.6"], settings=None, measure=None), "its effect measure is not known."),
    ],
)  # fmt: skip
def test_what_cannot_be_pooled_says_why(outcome, reason):
    assert reason in one(outcome)


def test_an_empty_subgroup_is_left_out_and_the_others_are_fitted():
    hazards = simulated()["1.3"]
    more = replace(hazards, subgroups=(*hazards.subgroups, Subgroup(3, "Unknown age")))
    found, left = fitted(replace(simulated(), analyses=(more,)))
    assert [case.analysis.id for case in found] == ["1.3.1", "1.3.2"]
    assert [(out.analysis.id, out.reason) for out in left] == [("1.3.3", "it holds no studies.")]


def test_nothing_published_is_neither_fitted_nor_left_out():
    review = load_review("pip")
    found, left = cases(review.id, [review["N9"]], review.studies)
    assert (found, left) == ((), ())


def test_an_unstated_number_of_studies_gives_two_cases_with_their_own_labels():
    review = load_review("pip")
    found, _ = cases(review.id, [a for a in review if a.reported and a.reported.k is None], review.studies)
    assert found
    assert {case.k for case in found} == {1, 2}
    assert all(case.label == f"{case.analysis.id}-k{case.k}" for case in found)


def test_a_generic_measure_of_the_files_own_is_fitted():
    case = one(simulated()["1.6"])
    assert (case.measure, case.k, case.sd) == (POINTS, 2, None)
