"""The plain-language summary: probabilities and assumptions; GRADE's words only beside a user's rating."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reanalyses import published, study_data
from simulated import simulated

import bayespip as bp
from bayespip.report.grade import LEVELS, SIZES, Rating
from bayespip.report.plain_language import HEADINGS, percent, plain_language
from bayespip.text.findings import findings

GRADE = (
    r"\b(probabl[ey]|likely|unlikely|may|might|uncertain\w*|certain\w*|evidence|suggests?|slight\w*|"
    r"little to no|confiden\w*|large|trivial|results in|reduces?|increases?)\b"
)


def own_words(result):
    """What the summary says, without the names that the review brings."""
    plain = plain_language(result)
    text = " ".join([*plain.studied[1:], *plain.sure, *(s for f in plain.found for s in f.sentences)])
    for analysis in result.analyses:
        text = text.replace(analysis.outcome, "").replace(analysis.comparison, "")
    return text


@pytest.fixture(scope="module")
def from_file():
    return bp.reanalyse(simulated(), with_pymc=False)


def test_no_word_of_certainty_appears_without_a_rating(from_file):
    for result in (published(), study_data(), from_file):
        assert not re.findall(GRADE, own_words(result), flags=re.IGNORECASE)
        assert not re.search(r"\bnan\b|\.\.|  |\b1 (results|studies|assumptions)\b", own_words(result))


def test_the_three_parts_stand_under_their_headings():
    text = str(plain_language(published()))
    assert re.findall("^## (.*)$", text, flags=re.MULTILINE) == list(HEADINGS)
    assert "4 results were pooled again, from 1 to 4 studies each." in text
    assert "For all of them only the pooled numbers are public" in text
    assert "1 further outcome is named without numbers" in text
    assert "No rating was given" not in text
    assert "no rating was given." in text


def test_probabilities_include_the_bounds_and_are_rounded_outwards():
    (f,) = (f for f in findings(published()) if f.label == "P1")
    ends = [float(line.mu[f"prob_above_null_{end}"]) for line in f.bayesian for end in ("min", "max")]
    (said,) = (x for x in plain_language(published()).found if x.label == "P1")
    chance = next(s for s in said.sentences if s.startswith("The probability"))
    assert f"between {math.floor(100 * min(ends))}% and more than 99%" in chance
    assert "and on which study data lie behind the published numbers" in chance
    assert "favours PIP over control" in chance


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.865, 0.9983, "between 86% and more than 99%"),
        (0.988, 0.9899, "between 98% and 99%"),
        (0.991, 0.9999, "more than 99%"),
        (0.002, 0.004, "less than 1%"),
        (0.002, 0.5, "between less than 1% and 50%"),
        (0.5, 0.5, "50%"),
        (1.0, 1.0, "more than 99%"),
    ],
)
def test_percent(low, high, said):
    assert percent(low, high) == said


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_a_range_in_percent_contains_the_probabilities(ends):
    low, high = sorted(ends)
    text = percent(low, high)
    assert not re.search(r"\b(0|100)%", text)
    numbers = [int(n) / 100 for n in re.findall(r"(\d+)%", text)]
    first = 0.0 if text.startswith(("less", "between less")) else numbers[0]
    last = 1.0 if "more than 99%" in text else numbers[-1]
    assert first - 1e-12 <= low
    assert high <= last + 1e-12


def test_the_direction_is_not_called_good_where_it_is_not_stated():
    (said,) = (f for f in plain_language(published()).found if f.label == "P13")
    assert "lies below 0 (it is not stated which side is better)" in " ".join(said.sentences)
    assert "favours" not in " ".join(said.sentences)


def test_arms_have_the_names_of_the_file(from_file):
    text = str(plain_language(from_file))
    assert "favours Exercise over Waiting list" in text


def test_a_rating_is_named_as_the_users():
    plain = plain_language(published(), {"P1": "low", "P13": "very low"})
    said = {f.label: f.sentences[-1] for f in plain.found}
    assert said["P1"] == (
        "The user of this report rated the certainty of the evidence as low (GRADE): PIP may increase Infant "
        "attachment: secure."
    )
    assert said["P13"].endswith("the evidence is very uncertain about the effect of PIP on Maternal sensitivity.")
    assert not re.search(GRADE, said["P2"], flags=re.IGNORECASE)
    assert (
        "judgement of the user of this report and were not computed: P1 low, P13 very low; none was given for P2"
        in (plain.sure[-1])
    )


@pytest.mark.parametrize(
    ("rating", "statement"),
    [
        (("high", "large"), "PIP results in a large reduction in Infant attachment: avoidant."),
        (("high", "moderate"), "PIP reduces Infant attachment: avoidant."),
        (("high", "small"), "PIP reduces Infant attachment: avoidant slightly."),
        (("high", "trivial"), "PIP results in little to no difference in Infant attachment: avoidant."),
        (("moderate", "large"), "PIP probably results in a large reduction in Infant attachment: avoidant."),
        (("moderate", "moderate"), "PIP probably reduces Infant attachment: avoidant."),
        (("moderate", "small"), "PIP probably reduces Infant attachment: avoidant slightly."),
        (("moderate", "trivial"), "PIP probably results in little to no difference in Infant attachment: avoidant."),
        (("low", "large"), "PIP may result in a large reduction in Infant attachment: avoidant."),
        (("low", "moderate"), "PIP may reduce Infant attachment: avoidant."),
        (("low", "small"), "PIP may reduce Infant attachment: avoidant slightly."),
        (("low", "trivial"), "PIP may result in little to no difference in Infant attachment: avoidant."),
        (
            ("very low", "large"),
            "the evidence is very uncertain about the effect of PIP on Infant attachment: avoidant.",
        ),
    ],
)
def test_statements_are_those_of_grade_26(rating, statement):
    (f,) = (f for f in findings(published()) if f.label == "P2")
    assert Rating(*rating).statement(f).endswith(f" (GRADE): {statement}")


def test_no_direction_is_given_that_the_numbers_do_not():
    found = {f.label: f for f in findings(published())}
    silent = "no statement follows without a judgement of the effect's size."
    assert Rating("low").statement(found["P7 (k = 2)"]).endswith(silent)  # its interval includes no effect
    assert "may reduce" in Rating("low", "moderate").statement(found["P7 (k = 2)"])
    for size in ("large", "moderate", "small"):  # which direction of P13 is better is not stated
        assert "reduc" not in Rating("high", size).statement(found["P13"])
    assert "little to no difference" in Rating("high", "trivial").statement(found["P13"])


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ({"P99": "low"}, r"ratings must be of P1, P2, P7 \(k = 1\), P7 \(k = 2\), P13; got 'P99'"),
        ({"P1": "weak"}, r"ratings\['P1'\]: a rating must be one of high, moderate, low, very low; got 'weak'"),
        (
            {"P1": ("low", "huge")},
            r"ratings\['P1'\]: the size of an effect must be one of large, moderate, small, trivial",
        ),
        ({"P1": ("low", "small", "x")}, r"ratings\['P1'\]"),
    ],
)
def test_ratings_that_are_none_are_refused(ratings, message):
    with pytest.raises(ValueError, match=message):
        plain_language(published(), ratings)


def test_every_level_and_size_has_a_statement():
    (f,) = (f for f in findings(published()) if f.label == "P1")
    said = {Rating(level, size).statement(f).split("): ")[1] for level in LEVELS for size in SIZES}
    assert len(said) == 3 * len(SIZES) + 1  # "very low" says the same of every size


def test_names_from_a_file_are_text_in_markdown():
    result = study_data()
    (analysis,) = result.analyses
    hostile = replace(analysis, outcome="<script>*a*</script> [x](y) `z` $m$")
    text = str(plain_language(replace(result, analyses=(hostile,))))
    assert r"\<script\>\*a\*\</script\> \[x\](y) \`z\` \$m\$" in text
