"""Cochrane's words in ours."""

import pytest

from bayespip.measures import MEASURES
from bayespip.readers.results import reported_of, stored_table
from bayespip.readers.vocabulary import JUDGEMENTS, METHODS, MODELS, TYPES, favoured, meaning, measure_of, unique_names
from bayespip.settings import DATA_TYPES, Settings
from bayespip.settings import METHODS as OUR_METHODS


def test_words_mean_what_settings_know():
    assert set(TYPES.values()) == set(DATA_TYPES)
    assert set(METHODS.values()) == set(OUR_METHODS)
    assert (meaning(METHODS, "Mantel-Haenszel"), meaning(METHODS, "Exp[(O-E) / Var]")) == ("MH", "Peto")
    assert (meaning(MODELS, "Random effects"), meaning(MODELS, "NO"), meaning(MODELS, "?")) == ("random", "fixed", None)
    assert (meaning(TYPES, "O-E and Variance"), meaning(TYPES, "DIC")) == ("O-E", "dichotomous")
    assert meaning(JUDGEMENTS, "Low risk") == meaning(JUDGEMENTS, "YES") == "Low risk"
    for table in (TYPES, METHODS, MODELS, JUDGEMENTS):
        assert all(meaning(table, key.upper()) == value for key, value in table.items())


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("dichotomous", "Risk Ratio"), "RR"),
        (("dichotomous", "OR"), "OR"),
        (("dichotomous", "OR", None, "Peto"), "PETO"),
        (("dichotomous", "PETO_OR", None, "Peto"), "PETO"),
        (("continuous", "Std. Mean Difference"), "SMD"),
        (("generic", "hazard ratio", True), "HR"),
        (("O-E", "Hazard Ratio"), "HR"),
        (("O-E", "Peto Odds Ratio"), "PETO"),
    ],
)
def test_known_measures(arguments, name):
    assert measure_of(*arguments) is MEASURES[name]


def test_other_measures():
    assert measure_of("other", "anything") is None
    unnamed = measure_of("generic", "", log_data=False)
    assert (unnamed.name, unnamed.label, unnamed.columns, unnamed.log) == ("GEN", "Generic effect", (), False)
    contradicting = measure_of("generic", "Mean Difference", log_data=True)
    assert (contradicting.label, contradicting.log) == ("Mean Difference", True)
    assert measure_of("O-E", "").log
    with pytest.raises(ValueError, match=r"dichotomous data must be one of OR, RR, RD, PETO; got 'MD'"):
        measure_of("dichotomous", "MD")


@pytest.mark.parametrize(
    ("e", "c", "left", "right", "direction"),
    [
        ("Aspirin", "Placebo", "Favours aspirin", "Favours placebo", "lower"),
        ("Aspirin", "Placebo", "Favours placebo", "Favours aspirin", "higher"),
        ("Aspirin", "Placebo", "Favours [experimental]", "Favours [control]", "lower"),
        ("Aspirin", "Placebo", "Favors control", "Favors treatment", "higher"),
        ("Drug", "Control", "In favour of the drugs", "Favouring control", "lower"),
        ("A + B", "A", "Favours A + B", "Favours A", "lower"),
        ("Vitamin D", "Vitamin D plus zinc", "Favours vitamin D", "Favours vitamin D plus zinc", "lower"),
        ("Favours higher dose", "Lower dose", "Favours higher dose", "Favours lower dose", "lower"),
        ("No fluoride", "Fluoride", "Favours no fluoride", "Favours fluoride", "lower"),
        # Nothing is guessed:
        ("Treatment", "Control", "Favours AH-D", "Favours control", None),
        ("Aspirin", "Placebo", "Favours aspirin", "Favours aspirin", None),
        ("Aspirin", "Placebo", "", "", None),
        ("", "", "Lower", "Higher", None),
        ("Aspirin", "Placebo", "Aspirin", "Placebo", None),
        ("Aspirin", "Placebo", "Favours no treatment", "Favours varnish", None),
        ("Aspirin", "Usual care", "Favours treatment as usual", "Favours tablets", None),
        ("Training", "Exercise", "Favours no training", "Favours x", None),
        ("Dose", "Dose", "Favours dose", "Favours x", None),
        ("Surgery", "Treatment", "Favours treatment", "Favours x", None),
    ],
)
def test_the_side_that_favours_the_experimental_arm(e, c, left, right, direction):
    settings = Settings(data_type="dichotomous", label_e=e, label_c=c, label_left=left, label_right=right)
    assert favoured(settings) == direction


def test_unique_names():
    assert unique_names(["a", "", "a", "a", "a (2)"]) == ["a", "Subgroup 2", "a (3)", "a (4)", "a (2)"]
    assert unique_names(["", "Subgroup 1"]) == ["Subgroup 1 (2)", "Subgroup 1"]
    assert unique_names([]) == []


STORED = {
    "effect": "0.74", "lower": "0.62", "upper": "0.89", "p": "0.001", "tau2": "NaN", "chi2": "6.4", "df": "6",
    "i2": "6.5", "p_chi2": "0.38", "k": "7", "n_e": "575", "n_c": "541", "estimable": "YES",
}  # fmt: skip


def reported(settings=None, **changed):
    table = stored_table({"": {**STORED, **changed}, "Boys": STORED})
    kept = settings or Settings(data_type="dichotomous", model="random", level_total=0.9)
    return reported_of(table, MEASURES["RR"], kept, "lower")


def test_the_reported_total():
    found = reported()
    assert (found.estimate.text, found.ci_lower.text, found.ci_upper.text, found.p.text) == (
        "0.74",
        "0.62",
        "0.89",
        "0.001",
    )
    assert (found.k, found.n, found.df, found.q.text, found.level, found.favours) == (7, 1116, 6, "6.4", 0.9, "lower")
    assert found.tau2 is None
    assert reported(tau2="0.01").tau2.text == "0.01"
    one = reported(k="1", df="0", chi2="0.0", i2="0.0", p_chi2="1.0")
    assert (one.q, one.df, one.i2, one.p_q) == (None, None, None, None)


@pytest.mark.parametrize(
    ("lower", "upper", "claim"),
    [
        ("0.62", "0.89", "significant"), ("1.01", "3", "significant"), ("0.62", "1.2", "not significant"),
        ("1", "3", "not significant"), ("3", "0.2", None),
    ],
)  # fmt: skip
def test_the_claim_is_what_the_interval_says(lower, upper, claim):
    assert reported(lower=lower, upper=upper).claim == claim


def test_no_total_is_invented():
    assert reported(estimable="NO") is None
    assert reported(effect="") is None
    assert reported(upper="NaN") is None
    for totals in ("subgroups", "none"):
        assert reported(Settings(data_type="dichotomous", totals=totals)) is None


def test_the_stored_table():
    table = stored_table({"": {"upper": " 2 ", "effect": "1.50", "z": ""}, "Boys": {}})
    assert table.to_dict("list") == {"subgroup": ["", ""], "quantity": ["effect", "upper"], "text": ["1.50", "2"]}
    assert stored_table({}).dtypes.equals(table.dtypes)
