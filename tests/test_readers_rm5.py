"""RevMan 5 files: four real ones, and small ones with what the real ones lack."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from rm5_files import REAL, real, review, row, subgroup
from rm5_files import outcome as written

from bayespip.effects import effect_sizes
from bayespip.measures import MEASURES
from bayespip.readers import ReadError, read_review
from bayespip.readers.rm5 import read_rm5
from bayespip.settings import Subgroup


def read(*outcomes, **options):
    return read_rm5(review(*outcomes, **options).encode(), "small.rm5")


def refused(text: str) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read_rm5(text.encode(), "small.rm5")
    return caught.value


def raw_rows(text: str, tag: str) -> list[dict[str, str]]:
    """Attributes of every such element, by a regular expression of the test's own."""
    return [dict(re.findall(r'([\w]+)="([^"]*)"', m)) for m in re.findall(rf"<{tag}\s([^<>]*?)/?>", text)]


def outcomes_in(text: str) -> list[str]:
    return re.findall(r"<[A-Z]+_OUTCOME\s.*?</[A-Z]+_OUTCOME>", text, re.DOTALL)


# The real files.


@pytest.mark.parametrize("name", REAL)
def test_every_outcome_subgroup_and_row_of_a_real_file_is_read(name):
    text = real(name).read_text(encoding="latin-1")
    found = read_review(real(name))
    comparisons = re.split(r"<COMPARISON\s", text)[1:]
    ids = [
        f"{re.search(r'NO="(\d+)"', c[: c.index('>')])[1]}.{re.search(r' NO="(\d+)"', o)[1]}"
        for c in comparisons
        for o in outcomes_in(c)
    ]
    assert list(found.ids) == ids
    for analysis, raw in zip(found, outcomes_in(text), strict=True):
        kind = raw[1 : raw.index("_")]
        assert len(analysis.subgroups) == raw.count(f"<{kind}_SUBGROUP ")
        assert len(analysis.studies) == raw.count(f"<{kind}_DATA ")
    assert sum(len(a.studies) for a in found) == len(re.findall(r"<[A-Z]+_DATA ", text))
    assert len(found.studies) == len(re.findall(r"<STUDY ", text))


@pytest.mark.parametrize("name", REAL)
def test_every_number_of_a_real_file_is_read_as_it_stands(name):
    text = real(name).read_text(encoding="latin-1")
    names = {s["ID"]: s["NAME"] for s in raw_rows(text, "STUDY")}
    columns = {
        "DICH": {"event_e": "EVENTS_1", "n_e": "TOTAL_1", "event_c": "EVENTS_2", "n_c": "TOTAL_2"},
        "CONT": {"mean_e": "MEAN_1", "sd_e": "SD_1", "n_e": "TOTAL_1", "mean_c": "MEAN_2", "sd_c": "SD_2"},
        "IV": {"yi": "ESTIMATE", "sei": "SE", "n_e": "TOTAL_1", "n_c": "TOTAL_2"},
    }
    for analysis, raw in zip(read_review(real(name)), outcomes_in(text), strict=True):
        kind = raw[1 : raw.index("_")]
        rows = raw_rows(raw, f"{kind}_DATA")
        utf8 = [names[r["STUDY_ID"]].encode("latin-1").decode() for r in rows]
        assert list(analysis.studies["study"]) == utf8
        for column, attribute in columns[kind].items():
            assert analysis.studies[column].tolist() == [float(r[attribute]) for r in rows]


@pytest.mark.parametrize("name", REAL[1:])
def test_every_stored_result_is_kept_to_the_character(name):
    text = real(name).read_text(encoding="latin-1")
    pairs = {
        "effect": "EFFECT_SIZE", "lower": "CI_START", "upper": "CI_END", "z": "Z", "p": "P_Z", "tau2": "TAU2",
        "chi2": "CHI2", "df": "DF", "i2": "I2", "p_chi2": "P_CHI2", "k": "STUDIES", "n_e": "TOTAL_1", "n_c": "TOTAL_2",
        "event_e": "EVENTS_1", "event_c": "EVENTS_2", "weight": "WEIGHT", "estimable": "ESTIMABLE", "q": "Q",
        "p_q": "P_Q", "i2_q": "I2_Q",
    }  # fmt: skip
    for analysis, raw in zip(read_review(real(name)), outcomes_in(text), strict=True):
        kind = raw[1 : raw.index("_")]
        stored = raw_rows(raw, f"{kind}_OUTCOME") + raw_rows(raw, f"{kind}_SUBGROUP")
        for group, attributes in zip(["", *(s.name for s in analysis.subgroups)], stored, strict=True):
            own = analysis.stored[analysis.stored["subgroup"] == group]
            expected = {q: attributes[a] for q, a in pairs.items() if attributes.get(a)}
            assert dict(zip(own["quantity"], own["text"], strict=True)) == expected


@pytest.mark.parametrize("name", REAL)
def test_our_formulas_give_the_study_effects_that_the_file_stores(name):
    """To 1e-9 relative; every row that RevMan calls estimable and stores an effect of."""
    text = real(name).read_text(encoding="latin-1")
    checked = 0
    for analysis, raw in zip(read_review(real(name)), outcomes_in(text), strict=True):
        kind = raw[1 : raw.index("_")]
        stored = pd.DataFrame(raw_rows(raw, f"{kind}_DATA"))
        keep = (stored["ESTIMABLE"] == "YES") & (stored["EFFECT_SIZE"] != "")
        if not keep.any():
            continue
        rows = analysis.studies[keep.to_numpy()].assign(study=lambda t: [str(i) for i in range(len(t))])
        effects = effect_sizes(rows, analysis.measure)
        shown, se = (stored.loc[keep, c].astype(float).to_numpy() for c in ("EFFECT_SIZE", "SE"))
        np.testing.assert_allclose(analysis.measure.display(effects.yi), shown, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(effects.sei, se, rtol=1e-9)
        checked += len(rows)
    # Not estimable: 7 rows of CD003188, 1 of CD004976. The second analysis of Fleiss stores no effects (5 rows).
    assert checked == {"Fleiss": 12 - 5, "CD0031": 136 - 7, "CD0049": 56 - 1, "CD0078": 197}[name.split("/")[-1][:6]]


@pytest.mark.parametrize("name", REAL)
def test_a_file_read_twice_gives_equal_reviews(name):
    assert read_review(real(name)) == read_review(real(name))


def test_fleiss():
    found = read_review(real("Fleiss1993.rm5"))
    assert (found.id, found.title, found.doi) == ("Fleiss1993", "Examples from Fleiss 1993", "")
    aspirin = found["1.1"]
    assert (aspirin.comparison, aspirin.outcome) == (
        "Examples from Fleiss (1993)",
        "Aspirin for Preventing Death after Myocardial Infarction",
    )
    s = aspirin.settings
    assert (s.data_type, s.method, s.model, s.totals, s.swap_events) == ("dichotomous", "MH", "fixed", "total", False)
    assert (s.label_e, s.label_c, s.label_left, s.label_right) == (
        "Aspirin", "Control", "Favours experimental", "Favours control",
    )  # fmt: skip
    assert aspirin.favours == "lower"
    assert aspirin.measure is MEASURES["OR"]
    reported = aspirin.reported
    assert (reported.estimate.text, reported.k, reported.n, reported.df) == ("0.8968655609130709", 7, 28003, 6)
    assert reported.tau2 is None  # a fixed-effect analysis has none, whatever RevMan writes
    assert not reported.problems()
    # The file stores no pooled result of 1.2, though it says that it could be estimated.
    assert found["1.2"].reported is None
    assert found["1.2"].measure is MEASURES["SMD"]
    assert list(found.studies["year"][:3]) == [1980, 1976, 1973]
    assert list(found.risk_of_bias.columns) == ["study", "Allocation concealment?"]
    assert set(found.risk_of_bias["Allocation concealment?"]) == {"Unclear risk"}


def test_subgroup_only_analyses_have_no_total():
    found = read_review(real(REAL[3]))
    without = [a for a in found if a.settings.totals != "total"]
    assert Counter(a.settings.totals for a in without) == {"subgroups": 19, "none": 1}
    assert all(a.reported is None for a in without)
    assert [s.name for s in found["4.1"].subgroups] == ["dmfs", "ANC"]


def test_footnotes_and_repeated_studies_are_kept():
    found = read_review(real(REAL[3]))
    clusters = found["3.3"].studies
    assert clusters["footnote"].tolist() == [
        "Sample size and number of events adjusted by design effect (ICC 0.05) to account for cluster randomisation"
    ]
    assert clusters["study"].tolist() == ["Sønju Clasen 1995"]
    assert "12.1: Petersson 1991 stands 2 times; every row is kept." in found.notes
    assert found["12.1"].rows()["study"].is_unique
    assert (found["12.1"].studies["study"] == "Petersson 1991").sum() == 2


def test_generic_data_are_on_the_log_scale():
    found = read_review(real(REAL[1]))["1.1"]
    assert (found.settings.data_type, found.settings.log_data, found.measure) == ("generic", True, MEASURES["HR"])
    assert found.studies.loc[0, ["yi", "sei"]].tolist() == [0.460784314, 0.198029509]
    assert found.favours == "lower"


# What the real files lack.


def test_o_e_data_and_peto():
    found = read(
        written("IPD", row("IPD"), row("IPD", "STD-B", TOTAL_1="30", TOTAL_2="31"), measure="Hazard Ratio"),
        written("IPD", row("IPD"), no=2, measure="Peto Odds Ratio"),
        written("IPD", row("IPD"), no=3, measure="Rate ratio"),
        written("DICH", row("DICH"), no=4, METHOD="PETO", EFFECT_MEASURE="PETO_OR", RANDOM="NO"),
    )
    hazard = found["1.1"]
    assert (hazard.settings.data_type, hazard.settings.method, hazard.settings.model) == ("O-E", "Peto", "fixed")
    assert hazard.measure is MEASURES["HR"]
    assert list(hazard.studies.columns[3:-1]) == ["o_e", "variance", "event_e", "n_e", "event_c", "n_c"]
    assert hazard.studies["n_e"].isna().tolist() == [True, False]
    np.testing.assert_allclose(effect_sizes(hazard.rows(), hazard.measure).yi, -2.5 / 4)
    assert found["1.2"].measure is MEASURES["PETO"]
    assert (found["1.3"].measure.name, found["1.3"].measure.log) == ("Rate ratio", True)
    np.testing.assert_allclose(effect_sizes(found["1.3"].rows(), found["1.3"].measure).sei, 0.5)
    assert (found["1.4"].measure, found["1.4"].settings.method) == (MEASURES["PETO"], "Peto")


def test_other_data_are_text():
    cells = "<TR><TD><P>better <B>by far</B></P></TD><TD><P>n&lt;5</P></TD></TR>"
    found = read(written("OTHER", row("OTHER", inner=cells), row("OTHER", "STD-B", inner="<P>worse</P>")))["1.1"]
    assert (found.measure, found.settings.totals, found.reported) == (None, "none", None)
    assert found.studies["text"].tolist() == ["better by far | n<5", "worse"]


def test_settings_that_differ_from_the_usual():
    dich = row("DICH"), row("DICH", "STD-B", EVENTS_1="")
    found = read(
        written("DICH", *dich, SWAP_EVENTS="YES", CI_STUDY="99", CI_TOTAL="90", TOTALS="NO", SUBGROUP_TEST="NO"),
        written("IV", row("IV"), no=2, measure="Slope of dose", LOG_DATA="NO"),
        written("IV", row("IV"), no=3, measure="Odds Ratio", LOG_DATA="NO"),
        written("CONT", row("CONT"), no=4, CI_TOTAL=None),
    )
    s = found["1.1"].settings
    assert (s.swap_events, s.level_study, s.level_total, s.totals, s.subgroup_test) == (True, 0.99, 0.9, "none", False)
    assert found["1.1"].studies["event_e"].isna().tolist() == [False, True]
    assert (found["1.2"].measure.name, found["1.2"].measure.log) == ("Slope of dose", False)
    # An odds ratio that is not on the log scale is not the OR that the package computes with.
    assert found["1.3"].measure != MEASURES["OR"]
    assert not found["1.3"].measure.log
    assert found["1.4"].settings.level_total == 0.95
    assert "1.4 stores no CI_TOTAL; intervals are taken as of 95%." in found.notes


def test_subgroups_get_unique_names():
    parts = [subgroup("CONT", i, name, row("CONT")) for i, name in enumerate(("Boys", "", "Boys"), 1)]
    found = read(written("CONT", *parts, TOTALS="SUB"))["1.1"]
    assert found.subgroups == (Subgroup(1, "Boys"), Subgroup(2, "Subgroup 2"), Subgroup(3, "Boys (2)"))
    assert found.studies["subgroup"].tolist() == ["Boys", "Subgroup 2", "Boys (2)"]
    assert found.settings.totals == "subgroups"
    assert found.rows("Boys (2)")["study"].tolist() == ["A 2001"]


def test_markup_and_entities_in_names():
    name = "Pain <B>score</B>,<BR/>0&nbsp;to&#160;10 &amp;lt; 5 &euro;&lt;sub&gt;2&lt;/sub&gt;"
    found = read(written("CONT", row("CONT"), name=name))
    assert found["1.1"].outcome == "Pain score, 0 to 10 < 5 €2"
    assert any("&nbsp;" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("AT&T < 5 years", "AT&T < 5 years"),
        ("dose <median", "dose <median"),
        ("<i>C. difficile", "C. difficile"),
        ("a </sub> b", "a b"),
        ("R&D; x", "R&D; x"),
    ],
)
def test_stray_markup_in_a_name_is_text(name, outcome):
    found = read(written("CONT", row("CONT"), name=name), written("DICH", row("DICH"), no=2))
    assert found["1.1"].outcome == outcome
    assert len(found["1.1"].studies) == len(found["1.2"].studies) == 1
    assert any("not well formed" in note for note in found.notes)


def test_a_stray_character_in_an_attribute_is_text():
    studies = '<STUDY ID="STD-A" NAME="Smith & <Jones> 2001" YEAR="2001"/>'
    found = read(written("CONT", row("CONT")), studies=studies)
    assert found["1.1"].studies["study"].tolist() == ["Smith & <Jones> 2001"]


def test_a_row_is_never_lost_in_a_repair():
    text = review(written("CONT", row("CONT"), row("CONT", "STD-B")))
    broken = text.replace('<CONT_DATA STUDY_ID="STD-B"', '< CONT_DATA STUDY_ID="STD-B"')
    assert "well-formed XML" in refused(broken).expected
    # As an element without an end, and one whose end closes another.
    assert refused(text.replace("</CONT_DATA>", "", 1)).place.startswith("line ")
    assert refused(text.replace("</CONT_DATA>", "</CONT_DATUM>", 1)).place.startswith("line ")


def test_years_and_studies_without_an_entry():
    studies = "".join(
        f'<STUDY ID="STD-{i}" NAME="S{i}" YEAR="{y}"/>' for i, y in enumerate(("1066", "2010", "in press", "", "20010"))
    )
    found = read(written("DICH", row("DICH", "STD-1"), row("DICH", "STD-None-1999")), studies=studies)
    assert found.studies["year"].isna().tolist() == [True, False, True, True, True]
    assert list(found.studies.columns) == ["study", "year"]
    assert "The year of S0, '1066', is no year of publication; it is left out." in found.notes
    assert sum("year of" in n for n in found.notes) == 3
    assert found["1.1"].studies["study"].tolist() == ["S1", "STD-None-1999"]
    assert any("STD-None-1999 has data and no entry" in n for n in found.notes)


def test_risk_of_bias_in_words():
    def entry(study, result, group=""):
        return f'<QUALITY_ITEM_DATA_ENTRY STUDY_ID="STD-{study}" RESULT="{result}"{group}/>'

    quality = (
        '<QUALITY_ITEM ID="Q1" LEVEL="STUDY"><NAME>Random sequence</NAME><QUALITY_ITEM_DATA>'
        f"{entry('A', 'YES')}{entry('B', 'NO')}{entry('C', 'UNKNOWN')}</QUALITY_ITEM_DATA></QUALITY_ITEM>"
        '<QUALITY_ITEM ID="Q2" LEVEL="GROUP"><NAME>Blinding</NAME>'
        '<QUALITY_ITEM_GROUP ID="G1"><NAME>Pain</NAME></QUALITY_ITEM_GROUP><QUALITY_ITEM_DATA>'
        f"{entry('A', 'NO', ' GROUP_ID="G1"')}{entry('Z', 'YES', ' GROUP_ID="G1"')}</QUALITY_ITEM_DATA></QUALITY_ITEM>"
    )
    found = read(written("DICH", row("DICH")), quality=quality)
    table = found.risk_of_bias
    assert list(table.columns) == ["study", "Random sequence", "Blinding: Pain"]
    assert table["Random sequence"].tolist() == ["Low risk", "High risk", "Unclear risk"]
    assert table["Blinding: Pain"].isna().tolist() == [False, True, True]
    assert any("STD-Z" in n for n in found.notes)
    assert read(written("DICH", row("DICH"))).risk_of_bias is None


def test_a_review_without_analyses():
    text = re.sub(r"<ANALYSES_AND_DATA>.*</ANALYSES_AND_DATA>", "", review(), flags=re.DOTALL)
    found = read_rm5(text.encode(), "CD000001StatsDataOnly.rm5")
    assert (found.id, found.analyses) == ("CD000001", ())
    assert "The file holds no analyses." in found.notes
    empty = read(written("DICH"))["1.1"]
    assert (len(empty.studies), list(empty.studies.columns[:3])) == (0, ["study", "subgroup", "in_total"])


@pytest.mark.parametrize(
    ("old", "new", "place", "expected", "found"),
    [
        (' NO="1"', "", "attribute NO of COMPARISON", "a whole number", "no such attribute"),
        ('TOTAL_1="20"', "", "attribute TOTAL_1 of DICH_DATA", "a number", "no such attribute"),
        ('EVENTS_1="3"', 'EVENTS_1="three"', "attribute EVENTS_1 of DICH_DATA", "a finite number", "'three'"),
        ('EVENTS_1="3"', 'EVENTS_1="1e999"', "attribute EVENTS_1 of DICH_DATA", "a finite number", "'1e999'"),
        ('TOTAL_1="20"', 'TOTAL_1="1,200"', "attribute TOTAL_1 of DICH_DATA", "without doubt", "'1,200'"),
        ('METHOD="MH"', 'METHOD="XX"', "attribute METHOD of DICH_OUTCOME", "one of MH, IV, PETO", "'XX'"),
        ('EFFECT_MEASURE="RR"', 'EFFECT_MEASURE="ARR"', "attribute EFFECT_MEASURE", "an effect measure", "'ARR'"),
        ('RANDOM="YES"', "", "attribute RANDOM of DICH_OUTCOME", "one of NO, YES", "no such attribute"),
        ('TOTALS="YES"', 'TOTALS="MAYBE"', "attribute TOTALS of DICH_OUTCOME", "one of YES, SUB, NO", "'MAYBE'"),
        ('CI_TOTAL="95"', 'CI_TOTAL="950"', "attribute CI_TOTAL of DICH_OUTCOME", "between 0 and 100", "'950'"),
        ('STUDY_ID="STD-A"', "", "attribute STUDY_ID of DICH_DATA", "the id of a study", "no such attribute"),
        ("DICH_DATA", "COUNT_DATA", "line ", "one of DICH_DATA", "<COUNT_DATA>"),
        ("DICH_DATA", "CONT_DATA", "", "every CONT_DATA in an analysis of its type (1 in the file)", "0 so placed"),
        ("COCHRANE_REVIEW", "html", "line ", "<COCHRANE_REVIEW>", "<html>"),
    ],
)
def test_refusals_name_file_line_attribute_and_what_was_found(old, new, place, expected, found):
    text = review(written("DICH", row("DICH")))
    assert old in text
    error = refused(text.replace(old, new))
    assert place in error.place
    assert expected in error.expected
    assert found in error.found
    assert error.file == "small.rm5"
    assert str(error).startswith("small.rm5")


def test_the_line_of_an_error_is_the_files_also_far_down():
    text = review(written("DICH", row("DICH", EVENTS_1="x"))).replace(
        "<ANALYSES_AND_DATA>", "\n" * 70_000 + "<ANALYSES_AND_DATA>"
    )
    line = next(i for i, x in enumerate(text.splitlines(), 1) if "<DICH_DATA" in x)
    assert line > 70_000
    assert refused(text).place == f"line {line}, attribute EVENTS_1 of DICH_DATA"


def test_an_analysis_number_stands_once():
    error = refused(review(written("DICH", row("DICH")), written("CONT", row("CONT"))))
    assert (error.place, error.found) == ("analysis 1.1", "2")
