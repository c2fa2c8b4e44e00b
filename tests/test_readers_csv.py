"""RevMan 5's CSV export: what is read, what is told from what, and what is refused."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pandas as pd
import pytest

from bayespip.measures import MEASURES
from bayespip.readers import ReadError, read_review
from bayespip.readers.csv_table import parse_csv
from bayespip.readers.revman_csv import read_revman_csv

COLUMNS = (
    "Comparison Number", "Outcome Number", "Subgroup Number", "Name", "Data Type", "Statistical Method",
    "Effect Measure", "Analysis Model", "Events 1", "Mean 1", "SD 1", "Total 1", "Events 2", "Mean 2", "SD 2",
    "Total 2", "O-E", "Var", "Effect Estimate", "SE", "CI Start", "CI End", "Weight", "Q", "P(Q)", "I²(Q)", "Tau²",
    "Z", "P(Z)", "Qint", "P(Qint)", "I²(Qint)", "df", "Group Label 1", "Group Label 2", "Left Graph Label",
    "Right Graph Label", "Year of study", "User defined order",
)  # fmt: skip


def written(rows, columns=COLUMNS, delimiter=",", encoding="utf-8"):
    """The export's bytes, of one mapping a row."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode(encoding)


def numbered(comparison, outcome=0, subgroup=0, **cells):
    row = {"Comparison Number": comparison, "Outcome Number": outcome, "Subgroup Number": subgroup}
    return row | {name.replace("_", " "): value for name, value in cells.items()}


def outcome_row(data_type="DIC", method="MH", measure="RR", model="Fixed", number=1, **cells):
    usual = {"Name": "Death", "Weight": 100, "Effect_Estimate": 1, "CI_Start": 0.5, "CI_End": 2}
    head = {"Data_Type": data_type, "Statistical_Method": method, "Effect_Measure": measure, "Analysis_Model": model}
    return numbered(1, number, **(usual | head | cells))


def study_row(name="Smith 2001", number=1, subgroup=0, **cells):
    counts = {"Events_1": 1, "Total_1": 10, "Events_2": 2, "Total_2": 11, "Year_of_study": 2001}
    return numbered(1, number, subgroup, Name=name, **(counts | cells))


COMPARISON = numbered(1, Name="Drug versus placebo")


def read(rows, file="review.csv", **how):
    return read_revman_csv(written(rows, **how), file)


@pytest.fixture(scope="module")
def fleiss(shared_dir):
    return read_review(shared_dir / "formats" / "Fleiss1993_CR.csv")


def test_the_sample_is_read_whole(fleiss):
    assert fleiss.ids == ("1.1", "1.2")
    assert (fleiss.id, fleiss.title, fleiss.notes) == ("Fleiss1993_CR", "Fleiss1993_CR", ())
    first, second = fleiss
    assert first.comparison == "Examples from Fleiss (1993)"
    assert first.outcome == "Aspirin for Preventing Death after Myocardial Infarction"
    assert (first.measure, second.measure) == (MEASURES["OR"], MEASURES["MD"])
    assert (first.settings.method, second.settings.method) == ("MH", "IV")
    assert {a.settings.model for a in fleiss} == {"fixed"}
    assert {a.settings.totals for a in fleiss} == {"total"}
    assert (first.settings.label_e, first.settings.label_right) == ("Aspirin", "Favours control")
    assert (first.settings.swap_events, first.settings.subgroup_test) == (None, None)
    assert list(first.studies["study"]) == ["MRC-1", "CDP", "MRC-2", "GASP", "PARIS", "AMIS", "ISIS-2"]
    assert list(first.studies.columns) == [
        "study", "subgroup", "in_total", "event_e", "n_e", "event_c", "n_c", "footnote",
    ]  # fmt: skip
    assert first.studies.iloc[0].tolist() == ["MRC-1", "", True, 49.0, 615.0, 67.0, 624.0, ""]
    assert dict(zip(fleiss.studies["study"], fleiss.studies["year"], strict=True))["Wilson"] == 1977


def test_the_samples_results_keep_their_digits(fleiss):
    stored = fleiss["1.2"].stored
    texts = dict(zip(stored["quantity"], stored["text"], strict=True))
    assert texts["effect"] == "-0.70938839"
    assert (texts["lower"], texts["upper"], texts["chi2"]) == ("-1.25848502", "-0.16029176", "5.66012379")
    assert (texts["df"], texts["n_e"]) == ("4", "106")
    # Without subgroups the 0 and 1 in the columns of their test are none; nor are events of means.
    assert not {"q", "p_q", "i2_q", "event_e", "event_c"} & set(texts)
    reported = fleiss["1.2"].reported
    assert (reported.estimate.text, reported.df, reported.n) == ("-0.70938839", 4, 232)


def as_exported(review):
    """A review as RevMan 5 exports it: displayed estimates with 8 decimals, no word on totals or on log scale."""
    named = {"effect": "Effect Estimate", "lower": "CI Start", "upper": "CI End", "weight": "Weight"}
    codes = {"dichotomous": "DIC", "continuous": "CON", "generic": "IV"}
    data = {"event_e": "Events 1", "n_e": "Total 1", "event_c": "Events 2", "n_c": "Total 2", "mean_e": "Mean 1",
            "sd_e": "SD 1", "mean_c": "Mean 2", "sd_c": "SD 2", "sei": "SE"}  # fmt: skip
    rows, comparisons = [], set()
    for a in review:
        comparison, outcome = map(int, a.id.split("."))
        if comparison not in comparisons:
            comparisons.add(comparison)
            rows.append(numbered(comparison, Name=a.comparison))
        head = {"Data Type": codes[a.settings.data_type], "Statistical Method": a.settings.method,
                "Effect Measure": a.settings.effect_label, "Analysis Model": a.settings.model.title(),
                "Group Label 1": a.settings.label_e, "Group Label 2": a.settings.label_c}  # fmt: skip
        for n, name, text in [(0, "", a.outcome), *((s.number, s.name, s.name) for s in a.subgroups)]:
            own = a.stored[a.stored["subgroup"] == name]
            texts = {
                named[q]: f"{float(t):.8f}" for q, t in zip(own["quantity"], own["text"], strict=True) if q in named
            }
            rows.append(numbered(comparison, outcome, n, Name=text) | head | texts)
            for r in a.studies[a.studies["subgroup"] == name].to_dict("records"):
                row = numbered(comparison, outcome, n, Name=r["study"])
                row |= {data[c]: f"{r[c]:.12g}" for c in data if c in r}
                if "yi" in r:
                    shown = [r["yi"] + z * r["sei"] for z in (0, -1.959963984540054, 1.959963984540054)]
                    shown = np.exp(shown) if a.settings.log_data else shown
                    row |= {c: f"{x:.8f}" for c, x in zip(named.values(), shown, strict=False)}
                rows.append(row)
    return written(rows)


@pytest.mark.parametrize("number", ["CD003188", "CD004976", "CD007868"])
def test_an_export_of_a_real_review_gives_its_study_tables(shared_dir, number):
    whole = read_review(shared_dir / "formats" / "cochrane" / f"{number}StatsDataOnly.rm5")
    review = read_revman_csv(as_exported(whole), f"{number}.csv")
    assert review.ids == whole.ids
    for a, b in zip(review, whole, strict=True):
        assert a.subgroups == b.subgroups
        assert (a.measure, a.settings.log_data) == (b.measure, b.settings.log_data)
        # Exported estimates are rounded, and exponentials of what was entered.
        pd.testing.assert_frame_equal(
            a.studies.drop(columns="footnote"), b.studies.drop(columns="footnote"), rtol=0, atol=1e-7
        )


@pytest.mark.parametrize("number", ["CD003188", "CD007868"])
def test_weights_tell_which_analyses_have_a_total(shared_dir, number):
    whole = read_review(shared_dir / "formats" / "cochrane" / f"{number}StatsDataOnly.rm5")
    review = read_revman_csv(as_exported(whole), f"{number}.csv")
    totals = {a.id for a in whole if a.settings.totals == "total"}
    assert {a.id for a in review if a.settings.totals == "total"} == totals
    assert {n.split(":")[0] for n in review.notes if "read as one without a total" in n} == set(whole.ids) - totals
    assert all(a.reported is None for a in review if a.id not in totals)


def test_a_column_of_totals_is_believed():
    columns = (*COLUMNS, "Totals")
    review = read([COMPARISON, outcome_row(Totals="SUB", Weight=100), study_row()], columns=columns)
    assert review["1.1"].settings.totals == "subgroups"
    assert review.notes == ()


def test_chosen_columns_become_settings():
    more = ("Study Confidence Interval", "Total Confidence Interval", "Swap event and non-event",
            "Test for subgroup differences")  # fmt: skip
    cells = dict(zip(more, ("99", "90%", "YES", "NO"), strict=True))
    settings = read([COMPARISON, outcome_row() | cells, study_row()], columns=(*COLUMNS, *more))["1.1"].settings
    assert (settings.level_study, settings.level_total) == (0.99, 0.9)
    assert (settings.swap_events, settings.subgroup_test) == (True, False)


def test_subgroups_have_numbers_names_results_and_a_test():
    rows = [
        COMPARISON,
        outcome_row(Qint=3.2, **{"P(Qint)": 0.07, "I²(Qint)": 69}),
        outcome_row() | {"Subgroup Number": 1, "Name": "Old &amp; frail", "Weight": 60},
        study_row(subgroup=1), study_row(subgroup=1), study_row("Jones 1999", subgroup=1),
        outcome_row() | {"Subgroup Number": 2, "Name": "", "Weight": 40, "Effect Estimate": 1.5},
        study_row("Brown 2003", subgroup=2, Year_of_study=20003),
    ]  # fmt: skip
    review = read(rows)
    analysis = review["1.1"]
    assert [(s.number, s.name) for s in analysis.subgroups] == [(1, "Old & frail"), (2, "Subgroup 2")]
    assert list(analysis.studies["subgroup"]) == ["Old & frail"] * 3 + ["Subgroup 2"]
    assert analysis.studies["in_total"].all()
    stored = analysis.stored.set_index(["subgroup", "quantity"])["text"]
    assert stored["", "q"] == "3.2"
    assert (stored["Subgroup 2", "effect"], stored["Old & frail", "weight"]) == ("1.5", "60")
    assert review.notes == (
        "1.1: Smith 2001 stands 2 times in Old & frail; every row is kept.",
        "The year of Brown 2003, '20003', is no year of publication; it is left out.",
    )
    assert review.studies["year"].isna().tolist() == [False, False, True]


def test_studies_of_a_subgroup_without_a_row_of_its_own_are_kept():
    review = read([COMPARISON, outcome_row(), study_row(subgroup=3)])
    assert review["1.1"].subgroups[0].name == "Subgroup 1"
    assert list(review["1.1"].studies["subgroup"]) == ["Subgroup 1"]
    assert "subgroup 3 has studies and no row of its own" in review.notes[0]


def generic_row(effect, se, lower, upper, **cells):
    shown = {"Effect_Estimate": effect, "SE": se, "CI_Start": lower, "CI_End": upper}
    return study_row(**(shown | cells))


def test_generic_ratios_are_shown_exponentiated_and_read_as_logarithms():
    outcome = outcome_row("IV", "IV", "Hazard Ratio")
    review = read([COMPARISON, outcome, generic_row(1.58531688, 0.198029509, 1.07535798, 2.33710976)])
    analysis = review["1.1"]
    assert (analysis.measure, analysis.settings.log_data, review.notes) == (MEASURES["HR"], True, ())
    assert analysis.studies["yi"][0] == pytest.approx(0.460784314, abs=1e-8)


def test_generic_differences_are_read_as_they_are():
    outcome = outcome_row("IV", "IV", "Difference in slopes", model="Random")
    analysis = read([COMPARISON, outcome, generic_row(1.5, 0.25, 1.01000900, 1.98999100)])["1.1"]
    assert analysis.settings.log_data is False
    assert (analysis.measure.name, analysis.measure.log) == ("Difference in slopes", False)
    assert analysis.studies["yi"][0] == 1.5


def test_what_the_export_says_of_the_scale_comes_first():
    column = "Entered data are on log scale (Generic Inverse Variance only)"
    rows = [COMPARISON, outcome_row("IV", "IV", "Score") | {column: "YES"}, generic_row(2, 0.5, "", "")]
    analysis = read(rows, columns=(*COLUMNS, column))["1.1"]
    assert (analysis.settings.log_data, analysis.studies["yi"][0]) == (True, math.log(2))


@pytest.mark.parametrize(("label", "log"), [("Odds Ratio", True), ("Difference", False)])
def test_where_nothing_tells_the_scale_the_measure_does_and_a_note_says_so(label, log):
    review = read([COMPARISON, outcome_row("IV", "IV", label), generic_row(2, 0.5, "", "")])
    assert review["1.1"].settings.log_data is log
    assert "does not say whether data are on the log scale" in review.notes[0]


def test_a_ratio_that_is_not_positive_is_refused():
    rows = [COMPARISON, outcome_row("IV", "IV", "Odds Ratio"), generic_row(-2, 0.5, "", "")]
    with pytest.raises(ReadError, match=r"row 4, column Effect Estimate: expected a positive ratio; found '-2'"):
        read(rows)


@pytest.mark.parametrize("column", ["Var", "Variance"])
def test_o_e_data_have_their_own_columns(column):
    columns = tuple(column if c == "Var" else c for c in COLUMNS)
    rows = [COMPARISON, outcome_row("IPD", "EXP_O_E_VAR", "Hazard Ratio"), study_row(**{"O-E": -3.5, column: 8.25})]
    analysis = read(rows, columns=columns)["1.1"]
    assert (analysis.settings.method, analysis.measure) == ("Peto", MEASURES["HR"])
    assert analysis.studies.loc[0, ["o_e", "variance", "event_e", "n_c"]].tolist() == [-3.5, 8.25, 1.0, 11.0]


def test_peto_odds_ratios_and_other_data():
    rows = [COMPARISON, outcome_row("DIC", "PETO", "PETO_OR"), study_row(),
            outcome_row("OTH", "", "", "", number=2, Name="Notes"), study_row(number=2)]  # fmt: skip
    review = read(rows)
    assert (review["1.1"].measure, review["1.1"].settings.method) == (MEASURES["PETO"], "Peto")
    assert (review["1.2"].measure, review["1.2"].settings.totals) == (None, "none")
    assert list(review["1.2"].studies.columns) == ["study", "subgroup", "in_total", "text", "footnote"]


def test_zeros_in_place_of_a_result_are_none():
    zeros = {"Effect_Estimate": 0, "CI_Start": "0.0", "CI_End": 0, "Z": 0, "P(Z)": 0, "Q": 0, "I²(Q)": 0, "df": 4}
    analysis = read([COMPARISON, outcome_row("CON", "IV", "MD", **zeros), study_row()])["1.1"]
    assert set(analysis.stored["quantity"]) == {"df", "weight"}
    assert analysis.reported is None


def test_an_effect_of_0_with_an_interval_is_a_result():
    cells = {"Effect_Estimate": 0, "CI_Start": -1, "CI_End": 1, "P(Z)": 1}
    analysis = read([COMPARISON, outcome_row("CON", "IV", "MD", **cells), study_row()])["1.1"]
    assert analysis.reported.estimate.text == "0"


def test_an_infinite_limit_is_none():
    analysis = read([COMPARISON, outcome_row(CI_End="Infinity"), study_row()])["1.1"]
    assert "upper" not in set(analysis.stored["quantity"])
    assert analysis.reported is None


def test_semicolons_and_decimal_commas():
    rows = [COMPARISON, outcome_row("CON", "IV", "MD", Effect_Estimate="-0,70", CI_Start="-1,25", CI_End="-0,16"),
            study_row("Müller, Ö.", Mean_1="5,0", SD_1="4,7", Mean_2="6,5", SD_2="1.234,5")]  # fmt: skip
    analysis = read(rows, delimiter=";", encoding="cp1252")["1.1"]
    assert analysis.studies.loc[0, ["study", "mean_e", "sd_e", "mean_c", "sd_c"]].tolist() == [
        "Müller, Ö.", 5.0, 4.7, 6.5, 1234.5,
    ]  # fmt: skip
    assert analysis.reported.estimate.text == "-0.70"


def test_semicolons_and_decimal_points():
    rows = [COMPARISON, outcome_row("CON", "IV", "MD"), study_row(Mean_1="1.234", SD_1="2", Mean_2="1", SD_2="1")]
    assert read(rows, delimiter=";")["1.1"].studies["mean_e"][0] == 1.234


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings(encoding):
    rows = [COMPARISON, outcome_row(Name="Größe “x”", **{"Tau²": "0.5", "I²(Q)": "12.5"}), study_row("Søndergård")]
    review = read(rows, encoding=encoding)
    assert (review["1.1"].outcome, review["1.1"].studies["study"][0]) == ("Größe “x”", "Søndergård")
    assert {"tau2", "i2"} <= set(review["1.1"].stored["quantity"])


def test_markup_entities_missing_values_and_line_breaks_in_cells():
    rows = [COMPARISON, outcome_row(Name="Pain&nbsp;at <B>6</B>\nweeks", Effect_Measure="RR"),
            study_row("Smith\n2001", Events_1="#N/A", Events_2=""), {}]  # fmt: skip
    analysis = read(rows)["1.1"]
    assert analysis.outcome == "Pain at 6 weeks"
    assert analysis.studies["study"][0] == "Smith 2001"
    assert analysis.studies[["event_e", "event_c"]].isna().all(axis=None)


def test_a_study_of_two_years_keeps_the_first():
    later = study_row(number=2, Year_of_study=2002)
    review = read([COMPARISON, outcome_row(), study_row(), outcome_row(number=2), later])
    assert review.studies["year"].tolist() == [2001]
    assert review.notes == ("Smith 2001 has the years 2001 and 2002; the first is kept.",)


def test_risk_of_bias_at_the_end_of_rows_is_passed_over():
    text = written([COMPARISON, outcome_row(), study_row()]).decode()
    longer = "\r\n".join(line + ",Yes,No,Unclear" if "Smith" in line else line for line in text.split("\r\n"))
    assert len(read_revman_csv(longer.encode(), "x.csv")["1.1"].studies) == 1


def test_a_review_without_analyses():
    review = read([])
    assert (review.analyses, review.notes) == ((), ("The file holds no analyses.",))
    assert review.studies.empty


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([COMPARISON, outcome_row(), study_row(Events_1="ten")], r"row 4, column Events 1: .*; found 'ten'"),
        ([COMPARISON, outcome_row(), study_row(Total_1="1,234")], r"row 4, column Total 1: .*thousand.*"),
        ([COMPARISON, outcome_row(), study_row("")], r"row 4, column Name: expected the name of a study"),
        ([COMPARISON, outcome_row(Effect_Measure="XX"), study_row()], r"row 3, column Effect Measure: .*OR, RR, RD"),
        ([COMPARISON, outcome_row("ABC"), study_row()], r"row 3, column Data Type: expected one of dichotomous"),
        ([COMPARISON, outcome_row(model="Both"), study_row()], r"Analysis Model: expected one of fixed, random"),
        ([COMPARISON, outcome_row(method="??"), study_row()], r"Statistical Method: expected one of MH, IV, Peto"),
        ([COMPARISON, study_row()], r"row 3, column Data Type: expected a data type, in the outcome's first row"),
        ([outcome_row(), study_row()], r"row 2, column Comparison Number: expected a comparison that has a row"),
        ([COMPARISON, COMPARISON], r"row 3, column Comparison Number: expected a comparison once"),
        ([COMPARISON, outcome_row(), outcome_row()], r"row 4, column Outcome Number: expected outcome 1.1 once"),
        ([COMPARISON, outcome_row() | {"Outcome Number": "1.5"}], r"row 3, column Outcome Number: expected a whole"),
        ([COMPARISON, outcome_row(Z="z")], r"row 3, column Z: expected a finite number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_row_and_column(rows, message):
    with pytest.raises(ReadError, match=message) as caught:
        read(rows)
    assert caught.value.file == "review.csv"


@pytest.mark.parametrize("column", ["Subgroup Number", "Name", "Data Type", "Effect Measure", "Total 2"])
def test_a_missing_column_is_named_with_those_that_are_there(column):
    columns = tuple(c for c in COLUMNS if c != column)
    rows = [{k: v for k, v in row.items() if k != column} for row in (COMPARISON, outcome_row(), study_row())]
    with pytest.raises(ReadError, match=rf"row 1, column {column}: expected the columns {column}; found Comparison"):
        read(rows, columns=columns)


def test_a_short_row_and_an_open_quotation_are_refused():
    text = written([COMPARISON, outcome_row(), study_row()]).decode()
    with pytest.raises(ReadError, match=r"row 4: expected 39 cells; found 38"):
        read_revman_csv(text.rstrip("\r\n")[:-1].encode(), "x.csv")
    with pytest.raises(ReadError, match=r"line \d+: expected CSV; found unexpected end of data"):
        read_revman_csv(text.replace("Smith 2001", '"Smith 2001').encode(), "x.csv")


def test_a_long_note_is_read_and_the_csv_modules_limit_left_as_it_was():
    before = csv.field_size_limit()
    table = parse_csv(f"Study,Notes\nA,{'x' * 200_000}\n", "x.csv")
    assert [len(row.cell("notes")) for row in table] == [200_000]
    assert csv.field_size_limit() == before


def test_a_column_that_repeats_is_refused():
    with pytest.raises(ReadError, match=r"row 1, column tau2: expected a column once; found twice"):
        parse_csv("Study,Tau²,tau2\na,1,2\n", "x.csv")
