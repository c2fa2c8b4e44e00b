"""Verdicts: counts and ranges of the table, bounds told apart from values, no certainty that was not computed."""

import math
import re
from dataclasses import replace

import pytest
from reanalyses import published, study_data

import bayespip as bp
from bayespip.report.verdicts import RULES, probability_limits, verdicts
from bayespip.text import wording
from bayespip.text.findings import findings

# Words of certainty (GRADE's), of cause, and of evidence, which a verdict does not weigh
JUDGED = r"\b(probabl[ey]|likely|may|might|uncertain\w*|certain\w*|evidence|suggests?|effective\w*|caus\w*|prove\w*)\b"


@pytest.fixture(scope="module")
def said():
    return verdicts(published())


@pytest.fixture(scope="module")
def found():
    return {f.label: f for f in findings(published())}


def with_holds(f, verdict):
    """The finding with every line's verdict replaced."""
    lines = tuple(replace(line, mu={**line.mu, "holds": verdict}) for line in f.bayesian)
    return replace(f, bayesian=lines)


def test_there_is_one_an_outcome_and_number_of_studies(said, found):
    assert list(said) == list(found) == ["P1", "P2", "P7 (k = 1)", "P7 (k = 2)", "P13"]
    assert all(label == verdict.label for label, verdict in said.items())


def test_the_published_result_stands_as_printed(said, found):
    for label, f in found.items():
        assert str(said[label]).startswith(f"Published: {f.analysis.measure.name} {f.published} from {f.k} stud")
    assert "from 1 study (k: assumed; not stated in the paper), as not significant." in str(said["P7 (k = 1)"])


def test_a_claim_holds_under_every_prior_under_none_or_depends(found):
    from bayespip.report.verdicts import _kind

    f = found["P1"]
    assert _kind(with_holds(f, "in all members")) == "holds"
    assert _kind(with_holds(f, "in no member")) == "does not hold"
    assert _kind(with_holds(f, "in some members")) == "depends"
    assert _kind(found["P13"]) == "no claim"
    mixed = replace(
        f, bayesian=(with_holds(f, "in all members").bayesian[0], with_holds(f, "in no member").bayesian[1])
    )
    assert _kind(mixed) == "depends"


def test_the_sentence_of_the_matrix_is_not_said_a_second_way(said):
    for verdict, sentence in zip(said.values(), published().sentences["sentence"], strict=True):
        body = sentence.removeprefix("the published claim holds ")
        assert body[1:] in verdict.sentences[1]


def test_values_and_bounds_are_told_apart(said, found):
    for label, f in found.items():
        side = {"higher": "above", "lower": "below"}.get(f.favours, "below")  # P13's estimate is negative
        text = said[label].sentences[2]
        values, _, bounds = text.partition("Bounds over all members")
        column = [float(line.mu[f"prob_{side}_null"]) for line in f.bayesian]
        assert wording.probabilities(min(column), max(column)).replace("..", " to ") in values
        ends = [float(line.mu[f"prob_{side}_null_{end}"]) for line in f.bayesian for end in ("min", "max")]
        assert wording.probabilities(min(ends), max(ends)).replace("..", " to ") in bounds
        assert values.startswith("Given the printed numbers alone, P(")
        assert "these are values" in values


def test_without_bounds_there_is_no_word_of_them():
    result = bp.reanalyse(bp.load_review("pip"), analyses=["P2"], with_bounds=False, with_pymc=False)
    (verdict,) = verdicts(result).values()
    assert "Bounds" not in str(verdict)
    assert "ember" not in str(verdict).replace("equal-variance member", "")
    assert "Given the printed numbers alone" in str(verdict)


def test_a_side_is_called_favourable_only_where_it_is_stated(said):
    assert "P(RR above 1, the favourable side)" in str(said["P1"])
    assert "P(RR below 1, the favourable side)" in str(said["P2"])
    assert "P(SMD below 0) is" in str(said["P13"])
    assert "which direction is favourable is not stated" in str(said["P13"])


def test_the_share_of_the_prior_is_what_changes_along_one_axis(found):
    from bayespip.report.verdicts import _most_varied

    (verdict,) = verdicts(study_data()).values()
    (f,) = findings(study_data())
    flat = _most_varied(f.bayesian, 1)
    assert {line.priors[1] for line in flat} == {"flat"}
    assert len({line.priors[0] for line in flat}) == len(flat) == 5
    uppers = [float(line.mu["upper"]) for line in flat]
    low, high = (wording.number(x, 1) for x in (min(uppers), max(uppers)))
    assert (
        f"the prior on tau alone (mu flat) leaves the median at 0.49 and moves the upper limit between {low} and"
        in str(verdict)
    )
    assert high in str(verdict)
    assert "The studies alone leave tau anywhere from 0.35 to 1.05 (Q-profile, 95%)" in str(verdict)
    assert _most_varied(found["P1"].bayesian, 0)  # two priors that share no axis: each its own group


def test_one_study_says_nothing_of_tau(said):
    assert "One study says nothing of tau" in str(said["P7 (k = 1)"])
    assert "cannot estimate tau" in str(said["P7 (k = 1)"])
    assert "One study" not in str(said["P7 (k = 2)"])


def test_absence_is_not_read_into_an_interval(said):
    silent = "an interval that includes no effect does not show that there is none"
    assert silent in str(said["P13"])
    assert silent not in str(said["P1"])
    (bcg,) = verdicts(study_data()).values()  # no interval there includes no effect
    assert silent not in str(bcg)
    assert bcg.kind == "no claim"


def test_a_conflict_names_its_priors(said):
    assert "1 of 2 priors on tau (half-normal(0.5))" in str(said["P1"])
    assert "In conflict" not in str(said["P13"])


def test_no_probability_reads_as_certain_and_no_number_as_nan(found):
    f = found["P1"]
    sure = replace(f, bayesian=tuple(replace(x, mu={**x.mu, "prob_above_null": 1.0}) for x in f.bayesian))
    low, high = probability_limits(sure)
    assert 0 < low <= high < 1
    assert wording.probabilities(low, high) == ">0.999"


def test_nothing_is_judged(said):
    for verdict in (*said.values(), *verdicts(study_data()).values()):
        text = str(verdict)
        assert not re.findall(JUDGED, text, flags=re.IGNORECASE)
        assert not re.search(r"\bnan\b|\.\.|\binf\b|  |\b1 priors|\b1 studies", text)
        assert math.isclose(text.count("("), text.count(")"))
    assert not re.findall(JUDGED, RULES, flags=re.IGNORECASE)
