"""The summary and its wording: numbers as in the table, no certainty that was not computed."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reanalyses import published, study_data

import bayespip as bp
from bayespip.reanalysis.job import DEPENDENCE
from bayespip.text import wording
from bayespip.text.findings import agreement, findings, unpublished
from bayespip.text.sentences import paragraph
from bayespip.text.summary import summary

SECTIONS = [
    "What is found",
    "Risk ratio",
    "Standardised mean difference",
    "What each analysis concludes",
    "How to read this",
    "Outcome by outcome",
    "Not published",
    "Assumptions",
    "Prior-data conflict",
    "Two engines",
    "Priors",
    "Settings",
]
# GRADE's words of certainty, and words of cause
NOT_COMPUTED = r"\b(probably|likely|may|might|certain\w*|evidence|effective\w*|improve\w*|reduc\w*|caus\w*|prove\w*)\b"


@pytest.fixture(scope="module")
def text():
    return summary(published())


@pytest.fixture(scope="module")
def found():
    return {f.label: f for f in findings(published())}


@pytest.mark.parametrize(
    ("x", "null", "shown"),
    [
        (8.934, 1, "8.93"),
        (63.7, 1, "63.7"),
        (433.2, 1, "433"),
        (0.0949, 1, "0.095"),
        (0.00577, 1, "0.0058"),
        (1.886e-8, 1, "1.9e-8"),
        (4.23e9, 1, "4.2e9"),
        (52934.0, 1, "5.3e4"),
        (1.000043, 1, "1.00004"),
        (0.99951, 1, "0.9995"),
        (1.0, 1, "1.00"),
        (-0.128, 0, "-0.13"),
        (-0.0049, 0, "-0.005"),
        (0.00012, 0, "0.0001"),
        (-1.94e-17, 0, "-1.9e-17"),
        (0.0, 0, "0"),
        (-0.0, 0, "0"),
        (45.22, 0, "45.2"),
        (2500.4, 0, "2500"),
        (math.nan, 0, "undefined"),
        (math.inf, 0, "inf"),
        (-math.inf, 0, "-inf"),
    ],
)
def test_numbers_have_sensible_digits(x, null, shown):
    assert wording.number(x, null) == shown


@given(st.floats(-5, 5, allow_subnormal=False), st.sampled_from([0.0, 1.0]))
def test_what_is_shown_lies_on_the_same_side_of_no_effect(model, null):
    x = math.exp(model) if null else model
    if 0 < abs(x - null) < 1e-9:
        return  # nine decimals are the most that are shown
    shown = float(wording.number(x, null))
    assert (shown > null) == (x > null)
    assert (shown < null) == (x < null)
    assert shown == pytest.approx(x, rel=0.06, abs=0.0051)


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.9984, "0.998"), (0.9996, ">0.999"), (0.0004, "<0.001"), (1.0, "1"), (0.0, "0"), (math.nan, "")],
)
def test_a_probability_below_one_never_reads_as_one(p, shown):
    assert wording.probability(p) == shown


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_no_probability_reads_as_certainty(p):
    assert wording.probability(p) not in ("1", "0", "1.000", "0.000")


def test_undefined_limits_make_an_undefined_interval():
    assert wording.interval(math.nan, math.nan) == "undefined"
    assert wording.estimate(0.0, math.nan, math.nan) == "0 (undefined)"


def test_a_range_that_reads_the_same_is_said_once():
    assert wording.spread(1.2501, 1.2504, 1) == "1.25"
    assert wording.spread(2.02, 3.05, 1) == "2.02..3.05"
    assert wording.probabilities(0.9996, 0.9999) == ">0.999"


def test_the_sections_are_there_in_order(text):
    assert re.findall("^## (.*)$", text, flags=re.MULTILINE) == SECTIONS
    review = bp.load_review("pip")
    assert text.startswith(f"# Re-analysis: {review.title}\n\ndoi: [{review.doi}]")
    assert review.provenance in text
    assert text.count(DEPENDENCE) == 1


def test_it_says_how_much_was_re_analysed(text):
    assert "4 of 19 published results; k = 1 to 4 studies; P7 (k = 1), P7 (k = 2) because" in text
    assert "the number of studies is not stated; 10 further outcomes named without numbers." in text
    assert "- P2: k = 2 (inferred: same two trials as P1)" in text


def test_every_outcome_has_a_block_with_every_method_and_prior(text, found):
    blocks = re.split("^### ", text.split("## Outcome by outcome")[1].split("\n## ")[0], flags=re.MULTILINE)[1:]
    assert [b.split(" Infant")[0].split(" Attachment")[0].split(" Maternal")[0] for b in blocks] == list(found)
    for block, f in zip(blocks, found.values(), strict=True):
        rows = [line for line in block.splitlines() if line.startswith("| ")][2:]
        assert len(rows) == len(f.frequentist) + len(f.bayesian)
        for row, line in zip(rows, (*f.frequentist, *f.bayesian), strict=True):
            mu = line.mu
            assert wording.estimate(mu["point"], mu["lower"], mu["upper"], f.null) in row
            assert wording.spread(mu["upper_min"], mu["upper_max"], f.null) in row
            assert row.count("|") == 9
        assert f"published {f.published}" in block


def test_published_numbers_stand_as_printed(text):
    for printed in (
        "8.93 (1.25 to 63.70)",
        "0.48 (0.24 to 0.95)",
        "0.09 (0.01 to 1.56)",
        "-0.13 (-0.64 to 0.38)",
    ):
        assert printed in text


def test_both_directions_are_given_where_none_is_favoured(text, found):
    block = text.split("### P13 ")[1].split("\n### ")[0]
    assert "favourable direction not stated" in block
    for line in found["P13"].bayesian:
        above, below = (wording.probability(line.mu[f"prob_{side}_null"]) for side in ("above", "below"))
        assert f"| {above} / {below} |" in block


def test_an_undefined_interval_comes_with_its_reason(text):
    one = text.split("### P7 (k = 1)")[1].split("\n### ")[0]
    assert "undefined" in one
    assert "One study: frequentist methods cannot estimate tau" in one
    assert "The common-effect model assumes tau = 0" in one
    assert "One study" not in text.split("### P2 ")[1].split("\n### ")[0]


def test_what_is_found_is_counted_and_nothing_is_judged(found):
    said = paragraph(list(found.values()))
    assert said.startswith("Of 4 published results re-analysed, 2 were published as significant. P1 (")
    for label in ("P1", "P2"):
        f = found[label]
        assert sum(f.verdicts.values()) == 2
        held = [f"{verdict} under {n}" for verdict, n in f.verdicts.items() if n]
        assert f"the claim holds {held[0]} of 2 priors" in said
        assert f"posterior medians {wording.spread(*f.medians, 1)}" in said
    assert "excludes no effect for 0 of these 2." in said
    assert not re.findall(NOT_COMPUTED, said, flags=re.IGNORECASE)


def test_counts_and_ranges_are_those_of_the_table(found):
    table = published().table
    mu = table[(table["analysis"] == "P1") & (table["method"] == "exact normal-normal") & (table["parameter"] == "mu")]
    f = found["P1"]
    assert {v: n for v, n in f.verdicts.items() if n} == mu["holds"].value_counts().to_dict()
    assert f.medians == (mu["point"].min(), mu["point"].max())
    assert f.probabilities("above") == (mu["prob_above_null"].min(), mu["prob_above_null"].max())
    assert f.headline.method == "REML, HKSJ floored"


def test_a_conflict_names_the_prior_and_its_sign(text, found):
    assert found["P1"].conflicts == {"Q": [], "tau": ["half-normal(0.5)"]}
    assert "| P1 | half-normal(0.5) | 0.106 | 0.015 |" in text
    assert "P1 under half-normal(0.5)" in paragraph([found["P1"]])


def test_the_first_table_has_both_axes():
    result = bp.reanalyse(bp.load_review("pip"), analyses=["P2"], with_bounds=False, with_pymc=False)
    front = next(iter(findings(result))).front
    assert [line.priors[:2] for line in front] == [
        ("HN(0.5)", "flat"),
        ("HN(0.5)", "N(0, 2.82²)"),
        ("Bartos CMD", "Bartos CMD"),
        ("Bartos DPLP", "Bartos DPLP"),
    ]
    heading = next(line for line in summary(result).splitlines() if line.startswith("| outcome | published"))
    assert "tau HN(0.5)<br>mu flat | tau HN(0.5)<br>mu N(0, 2.82²) | tau Bartos CMD<br>mu Bartos CMD" in heading
    assert "members" not in summary(result).split("## What each analysis concludes")[0]


def test_assumptions_of_all_stand_once_and_others_with_their_outcomes(text):
    part = text.split("## Assumptions")[1].split("\n## ")[0]
    everywhere, some = part.split("For some:")
    assert "- pooled by inverse variance and DerSimonian-Laird" in everywhere
    for sentence in set(published().assumptions["assumption"]):
        assert part.count(f" {sentence}\n") == 1
    assert "- P7 (k = 1): k = 1 (assumed)" in some


def test_outcomes_without_numbers_are_listed(text):
    (row,) = (line for line in text.split("## Not published")[1].split("\n## ")[0].splitlines() if "N9" in line)
    assert "not published; read the review's own data file" in row
    assert list(unpublished(published())["analysis"]) == ["N9"]


def test_priors_come_with_their_sources_and_settings_with_versions(text):
    for part in (
        "| RR | tau | half-normal(0.5) | half-normal(0.5) | Friede 2017 |",
        "none needed: a constant density",
    ):
        assert part in text
    for package in ("python", "bayespip", "numpy", "scipy", "pymc", "arviz"):
        assert re.search(rf"\b{package} \d", text.split("## Settings")[1])
    assert "Level 0.95; seed 1; pooling IV." in text


def test_study_data_have_no_words_about_printed_numbers():
    text = summary(study_data())
    for absent in (
        "consistent-with-reported",
        "equal-variance",
        "members",
        "not published",
        "## Assumptions",
        DEPENDENCE,
    ):
        assert absent not in text
    assert "1 of 1 analyses with study data; k = 13 studies." in text
    said = paragraph(findings(study_data()))
    assert "the central interval excludes no effect under 11 of 11 priors" in said
    assert not re.findall(NOT_COMPUTED, said, flags=re.IGNORECASE)


def test_engines_are_counted_and_what_disagrees_is_named():
    import pandas as pd

    columns = ["analysis", "k", "prior", "agrees", "deviation_mcse", "repeated", "rhat_max", "note"]
    rows = [
        ("1.1", 13, "a", True, 1.2, False, 1.001, ""),
        (
            "1.1",
            13,
            "b",
            False,
            7.0,
            True,
            1.001,
            "disagrees with the exact engine by 7.0 Monte Carlo errors",
        ),
        ("1.1", 13, "c", False, math.nan, True, math.nan, "did not converge: R-hat 1.2"),
    ]
    checks = pd.DataFrame(rows, columns=columns)
    counts = agreement(checks)
    assert (counts.fits, counts.repeated, counts.converged, counts.disagree, counts.unconverged) == (
        3,
        2,
        2,
        1,
        1,
    )
    text = summary(replace(study_data(), checks=checks))
    assert "3 PyMC fits beside the exact engine: 2 converged, 2 repeated, 1 disagree." in text
    assert "- 1.1 (k = 13), b: disagrees with the exact engine by 7.0 Monte Carlo errors" in text
    assert "- 1.1 (k = 13), c: did not converge" in text
