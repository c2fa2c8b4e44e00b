"""The Cochrane data package: what is read, where the three forms differ, what is refused."""

from __future__ import annotations

import csv
import io
import zipfile
from random import Random

import pandas as pd
import pytest

from bayespip.measures import MEASURES
from bayespip.readers import ReadError, read_review
from bayespip.readers.data_package import read_data_package
from bayespip.readers.revman_csv import read_revman_csv
from bayespip.writing import to_data_package

ROWS = (
    "Analysis group", "Analysis number", "Analysis name", "Subgroup", "Applicability", "Study", "Study year",
    "GIV Mean", "GIV SE", "Experimental mean", "Experimental SD", "Experimental cases", "Experimental N",
    "Control mean", "Control SD", "Control cases", "Control N", "O-E", "Variance", "Weight", "Mean", "CI start",
    "CI end", "Footnotes",
)  # fmt: skip
OVERALL = (
    "Analysis group", "Analysis number", "Analysis name", "Analysis group name", "Data type", "Log-scale data",
    "Experimental group label", "Control group label", "Statistical method", "Effect measure", "Analysis model",
    "Subgroup estimates", "Overall estimates", "Test for subgroup differences", "Swap event and non-event", "Study CI",
    "Estimate CI", "Experimental N", "Control N", "Mean", "CI start", "CI end", "Heterogeneity Tau²",
    "Heterogeneity Chi²", "Heterogeneity df", "Heterogeneity P", "Heterogeneity I²", "Effect Z", "Effect P",
    "Subgroup Chi²", "Subgroup df", "Subgroup P", "Subgroup I²", "ID",
)  # fmt: skip
SUBGROUPS = (
    "Analysis group", "Analysis number", "Subgroup", "Subgroup number", "Weight", "Mean", "CI start", "CI end",
    "Heterogeneity Chi²", "Effect Z",
)  # fmt: skip


def table(columns, rows, delimiter=","):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8-sig")


def zipped(members, **how):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **({"compression": zipfile.ZIP_DEFLATED} | how)) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


KEY = {"Analysis group": 1, "Analysis number": 1}
SETTINGS = KEY | {
    "Analysis name": "Death", "Analysis group name": "Drug versus placebo", "Data type": "Dichotomous",
    "Log-scale data": "true", "Statistical method": "MH", "Effect measure": "Risk Ratio",
    "Analysis model": "Random effects", "Subgroup estimates": "true", "Overall estimates": "true",
    "Test for subgroup differences": "true", "Swap event and non-event": "false", "Study CI": "95%",
    "Estimate CI": "95%", "Mean": "0.5", "CI start": "0.25", "CI end": "1",
}  # fmt: skip


def study(name="Smith 2001", **cells):
    counts = {"Experimental cases": 1, "Experimental N": 10, "Control cases": 2, "Control N": 11, "GIV Mean": "0.0"}
    usual = {"Study": name, "Study year": 2001, "Applicability": "SUBGROUP_AND_OVERALL"}
    return KEY | usual | counts | cells


def package(rows=(), overall=(SETTINGS,), subgroups=(), **more):
    """A package's tables; keyword arguments are further files, by the end of their names."""
    files = {
        "data-rows.csv": table(ROWS, rows),
        "overall-estimates-and-settings.csv": table(OVERALL, overall),
        "subgroup-estimates.csv": table(SUBGROUPS, subgroups),
    }
    files |= {name.replace("_", "-") + ".csv": content for name, content in more.items()}
    return {f"CD000001-analysis-data/CD000001-{name}": content for name, content in files.items()}


def read(rows=(), overall=(SETTINGS,), subgroups=(), **more):
    return read_data_package(zipped(package(rows, overall, subgroups, **more)), "CD000001-dataPackage.zip")


@pytest.fixture(scope="module")
def formats(shared_dir):
    return shared_dir / "formats"


def by_study(analysis):
    return analysis.studies.sort_values("study", ignore_index=True)


def test_the_three_forms_of_one_review_give_the_same_study_tables(formats):
    rm5, export, data_package = (read_review(formats / f"Fleiss1993{end}") for end in (".rm5", "_CR.csv", ".zip"))
    assert rm5.ids == export.ids == data_package.ids == ("1.1", "1.2")
    for a, b, c in zip(rm5, export, data_package, strict=True):
        pd.testing.assert_frame_equal(by_study(a), by_study(b), rtol=0, atol=0)
        pd.testing.assert_frame_equal(by_study(a), by_study(c), rtol=0, atol=0)
        assert (a.comparison, a.outcome) == (b.comparison, b.outcome) == (c.comparison, c.outcome)
        assert (a.settings.method, a.settings.model, a.settings.totals) == (
            b.settings.method, b.settings.model, b.settings.totals,
        ) == (c.settings.method, c.settings.model, c.settings.totals)  # fmt: skip
    years = [r.studies.sort_values("study", ignore_index=True)["year"].tolist() for r in (rm5, export, data_package)]
    assert years[0] == years[1] == years[2]


def test_where_the_three_forms_differ_themselves(formats):
    rm5, export, data_package = (read_review(formats / f"Fleiss1993{end}") for end in (".rm5", "_CR.csv", ".zip"))
    assert [r["1.2"].measure.name for r in (rm5, export, data_package)] == ["SMD", "MD", "SMD"]
    assert [r["1.2"].reported is None for r in (rm5, export, data_package)] == [True, False, True]
    assert [r["1.1"].settings.label_e for r in (rm5, export, data_package)] == ["Aspirin", "Aspirin", ""]
    assert [r["1.1"].reported.estimate.text for r in (rm5, export, data_package)] == [
        "0.8968655609130709", "0.89686556", "0.896866",
    ]  # fmt: skip
    column = "Allocation concealment?"
    assert set(rm5.risk_of_bias[column]) == {"Unclear risk"}
    assert set(data_package.risk_of_bias[column]) == {"Not applicable"}
    assert export.risk_of_bias is None


def test_the_sample_package_is_read_whole(formats):
    review = read_review(formats / "Fleiss1993.zip")
    assert (review.id, review.notes) == ("921923100913455418", ())
    assert review["1.1"].measure == MEASURES["OR"]
    assert (review["1.1"].settings.swap_events, review["1.1"].settings.log_data) == (False, None)
    assert review["1.1"].settings.subgroup_test is True
    stored = dict(review["1.1"].stored[["quantity", "text"]].to_numpy().tolist())
    assert (stored["effect"], stored["p"], stored["n_e"], stored["i2"]) == ("0.896866", "0.00101", "14186", "39.67458")
    # The SMD's zeros are no result; what is counted is.
    assert dict(review["1.2"].stored[["quantity", "text"]].to_numpy().tolist()) == {
        "df": "4", "n_e": "106", "n_c": "126",
    }  # fmt: skip
    assert review.studies.loc[0].tolist() == ["AMIS", 1980, "PUB"]
    assert len(review.studies) == len(review.risk_of_bias) == 12


def test_the_inner_zip_gives_the_same_review(formats, tmp_path):
    outer = formats / "Fleiss1993.zip"
    with zipfile.ZipFile(outer) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".zip"))
        inner = tmp_path / "Fleiss1993.zip"
        inner.write_bytes(archive.read(name))
    assert read_review(inner) == read_review(outer)


@pytest.mark.parametrize("name", ["data-rows.csv", "overall-estimates-and-settings.csv"])
def test_a_lone_table_is_refused_with_what_is_needed(tmp_path, name):
    lone = tmp_path / name
    lone.write_bytes(next(content for path, content in package([study()]).items() if path.endswith(name)))
    with pytest.raises(ReadError, match=r"expected the whole data package \(\.zip\)"):
        read_review(lone)


def test_subgroups_by_name():
    twice = study("A", Subgroup="Young")
    unlisted = study("C", Subgroup="Unlisted", Footnotes="Shared &lt;arm&gt;")
    rows = [study("A", Subgroup="Old "), study("B", Subgroup="Old"), twice, twice, unlisted]
    subgroups = [
        KEY | {"Subgroup": "Young", "Subgroup number": 2, "Mean": 0.7, "CI start": 0.5, "CI end": 0.9},
        KEY | {"Subgroup": "Old ", "Subgroup number": 1, "Mean": 0.3, "CI start": 0.2, "CI end": 0.9},
    ]
    review = read(rows, [SETTINGS | {"Subgroup Chi²": 5.5, "Subgroup df": 1}], subgroups)
    analysis = review["1.1"]
    assert [(s.number, s.name) for s in analysis.subgroups] == [(1, "Old"), (2, "Young"), (3, "Unlisted")]
    assert list(analysis.studies["subgroup"]) == ["Old", "Old", "Young", "Young", "Unlisted"]
    stored = analysis.stored.set_index(["subgroup", "quantity"])["text"]
    assert (stored["", "q"], stored["", "df_q"], stored["Young", "effect"]) == ("5.5", "1", "0.7")
    assert analysis.studies["footnote"].tolist()[-1] == "Shared <arm>"
    assert review.notes == ("1.1: A stands 2 times in Young; every row is kept.",)


def test_subgroups_of_one_name_are_told_apart_by_number():
    columns = (*ROWS, "Subgroup number")
    rows = [study("A", Subgroup="x") | {"Subgroup number": 1}, study("B", Subgroup="x") | {"Subgroup number": 2}]
    subgroups = [KEY | {"Subgroup": "x", "Subgroup number": n, "Mean": n} for n in (1, 2)]
    members = package([], subgroups=subgroups)
    members["CD000001-analysis-data/CD000001-data-rows.csv"] = table(columns, rows)
    analysis = read_data_package(zipped(members), "x.zip")["1.1"]
    assert list(analysis.studies["subgroup"]) == ["x", "x (2)"]
    assert analysis.stored.query("quantity == 'effect'")["text"].tolist() == ["0.5", "1", "2"]


def test_subgroups_of_one_name_that_nothing_tells_apart_are_one_and_noted():
    subgroups = [KEY | {"Subgroup": "x", "Subgroup number": n, "Mean": n} for n in (1, 2)]
    review = read([study("A", Subgroup="x"), study("B", Subgroup="x")], subgroups=subgroups)
    assert [s.name for s in review["1.1"].subgroups] == ["x"]
    assert set(review["1.1"].stored["subgroup"]) == {""}
    assert "2 subgroups are named 'x' and their studies are not told apart" in review.notes[0]


@pytest.mark.parametrize(
    ("applicability", "subgroup", "in_total"),
    [
        ("SUBGROUP_AND_OVERALL", "Old", True),
        ("", "Old", True),
        ("SUBGROUP", "Old", False),
        ("SUBGROUP_ONLY", "Old", False),
        ("OVERALL", "", True),
        ("Overall only", "", True),
    ],
)
def test_rows_of_a_subgroup_only_never_enter_the_total(applicability, subgroup, in_total):
    rows = [study("A", Subgroup="Old", Applicability=applicability), study("B", Subgroup="Old")]
    analysis = read(rows)["1.1"]
    assert analysis.studies.loc[0, ["subgroup", "in_total"]].tolist() == [subgroup, in_total]
    assert list(analysis.rows()["study"]) == (["A", "B"] if in_total else ["B"])


@pytest.mark.parametrize(
    ("overall", "subgroups", "totals"),
    [("true", "true", "total"), ("true", "false", "total"), ("false", "true", "subgroups"), ("false", "false", "none")],
)
def test_what_is_pooled(overall, subgroups, totals):
    analysis = read([study()], [SETTINGS | {"Overall estimates": overall, "Subgroup estimates": subgroups}])["1.1"]
    assert analysis.settings.totals == totals
    assert (analysis.reported is None) == (totals != "total")


def test_generic_data_are_logarithms_where_the_package_says_so():
    rows = [study(**{"GIV Mean": "-0.25", "GIV SE": "0.125", "Experimental N": "", "Control N": "#N/A"})]
    settings = SETTINGS | {"Data type": "Contrast level", "Statistical method": "IV"}
    ratio = read(rows, [settings | {"Effect measure": "Hazard Ratio"}])["1.1"]
    assert (ratio.measure, ratio.settings.log_data) == (MEASURES["HR"], True)
    assert ratio.studies.loc[0, ["yi", "sei"]].tolist() == [-0.25, 0.125]
    assert ratio.studies[["n_e", "n_c"]].isna().all(axis=None)
    slope = read(rows, [settings | {"Effect measure": "Slope", "Log-scale data": "false"}])["1.1"]
    assert (slope.measure.name, slope.measure.log, slope.settings.log_data) == ("Slope", False, False)


@pytest.mark.parametrize(("said", "swapped"), [("", True), ("true", True), ("false", False)])
def test_a_measure_of_non_events_is_that_measure_with_events_swapped(said, swapped):
    settings = {"Effect measure": "Risk Ratio (Non-event)", "Swap event and non-event": said}
    analysis = read([study()], [SETTINGS | settings])["1.1"]
    assert (analysis.measure, analysis.settings.swap_events) == (MEASURES["RR"], swapped)
    assert analysis.settings.effect_label == "Risk Ratio (Non-event)"


def test_o_e_and_variance():
    settings = SETTINGS | {
        "Data type": "O-E and variance",
        "Statistical method": "EXP_O_E_VAR",
        "Effect measure": "Peto Odds Ratio",
        "Analysis model": "Fixed effect",
    }
    analysis = read([study(**{"O-E": -3.5, "Variance": 8.25})], [settings])["1.1"]
    assert (analysis.measure, analysis.settings.method) == (MEASURES["PETO"], "Peto")
    assert analysis.studies.loc[0, ["o_e", "variance", "event_e"]].tolist() == [-3.5, 8.25, 1.0]


def test_the_later_version_names_estimator_interval_and_sides():
    more = {
        "Heterogeneity estimator": "REML",
        "CI method": "HKSJ",
        "CI/PI level": "90%",
        "Graph label (left)": "Favours drug",
        "Graph label (right)": "Favours placebo",
        "Experimental group label": "Drug",
    }
    columns = (*(c for c in OVERALL if c not in ("Study CI", "Estimate CI")), *more)
    row = {k: v for k, v in (SETTINGS | more).items() if k in columns}
    members = package([study()]) | {
        "a/CD000001-overall-estimates-and-settings.csv": table(dict.fromkeys(columns), [row])
    }
    del members["CD000001-analysis-data/CD000001-overall-estimates-and-settings.csv"]
    analysis = read_data_package(zipped(members), "x.zip")["1.1"]
    assert (analysis.settings.tau2, analysis.settings.ci) == ("REML", "HKSJ")
    assert (analysis.settings.level_study, analysis.settings.level_total) == (0.9, 0.9)
    assert analysis.favours == "lower"
    row["CI method"] = "Bootstrap"
    members["a/CD000001-overall-estimates-and-settings.csv"] = table(dict.fromkeys(columns), [row])
    review = read_data_package(zipped(members), "x.zip")
    assert review["1.1"].settings.ci == "Wald"
    assert review.notes == ("1.1: the ci method 'Bootstrap' is not known here; RevMan 5's stands in its place.",)


def test_studies_and_risk_of_bias():
    information = table(("Study", "Year", "Data source"), [{"Study": "A", "Year": 1999}, {"Study": "B", "Year": 999}])
    bias = table(
        ("Study", "Domain (judgement): Blinding", "Domain (support): Blinding", "Domain (judgement): Blinding: Pain"),
        [{"Study": "A", "Domain (judgement): Blinding": "Low risk"}],
    )
    review = read([study("A")], study_information=information, risk_of_bias=bias)
    assert review.studies.columns.tolist() == ["study", "year"]
    assert review.studies["year"].isna().tolist() == [False, True]
    assert "The year of B, '999'" in review.notes[0]
    assert list(review.risk_of_bias.columns) == ["study", "Blinding", "Blinding: Pain"]
    assert review.risk_of_bias["Blinding: Pain"].isna().all()


def test_without_study_information_the_studies_are_those_with_data():
    assert read([study("B"), study("A"), study("B")]).studies["study"].tolist() == ["B", "A"]


def test_packages_without_analyses():
    assert read([], []).analyses == ()
    information = {"CD000001-study-data/CD000001-study-information.csv": table(("Study", "Year"), [{"Study": "A"}])}
    review = read_data_package(zipped(information), "x.zip")
    assert (review.id, review.analyses, review.notes) == ("CD000001", (), ("The file holds no analyses.",))


def test_semicolons_and_decimal_commas():
    members = {path: content.replace(b",", b";") for path, content in package([study()]).items()}
    path = next(p for p in members if p.endswith("settings.csv"))
    members[path] = members[path].replace(b"0.25", b"0,25")
    assert read_data_package(zipped(members), "x.zip")["1.1"].reported.ci_lower.text == "0.25"


@pytest.mark.parametrize(
    ("rows", "overall", "message"),
    [
        ([study(**{"Experimental N": "many"})], [SETTINGS], r"data-rows\.csv, row 2, column Experimental N: .*'many'"),
        ([study("")], [SETTINGS], r"row 2, column Study: expected the name of a study"),
        ([study(Applicability="PERHAPS")], [SETTINGS], r"column Applicability: expected one of SUBGROUP_AND_OVERALL"),
        ([study() | {"Analysis number": 7}], [SETTINGS], r"column Analysis number: expected an analysis of overall-"),
        ([], [SETTINGS, SETTINGS], r"settings\.csv, row 3, column Analysis number: expected analysis 1\.1 once"),
        ([], [SETTINGS | {"Data type": "Odd"}], r"row 2, column Data type: expected one of dichotomous"),
        ([], [SETTINGS | {"Effect measure": ""}], r"column Effect measure: .*OR, RR, RD, PETO; got ''"),
        ([], [SETTINGS | {"Overall estimates": "maybe"}], r"column Overall estimates: expected one of true, yes"),
        ([], [SETTINGS | {"Study CI": "950%"}], r"column Study CI: expected a level in percent"),
        ([], [SETTINGS | {"Analysis group": 0}], r"column Analysis group: expected a whole number of at least 1"),
        ([], [SETTINGS | {"Mean": "half"}], r"column Mean: expected a finite number; found 'half'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_file_row_and_column(rows, overall, message):
    with pytest.raises(ReadError, match=message):
        read(rows, overall)


def test_missing_tables_and_columns_are_named():
    members = package([study()])
    path = next(p for p in members if p.endswith("data-rows.csv"))
    with pytest.raises(ReadError, match=r"x\.zip: expected a data package with data-rows\.csv; found overall"):
        read_data_package(zipped({p: c for p, c in members.items() if p != path}), "x.zip")
    short = table([c for c in ROWS if c != "Control N"], [{k: v for k, v in study().items() if k != "Control N"}])
    with pytest.raises(
        ReadError, match=r"row 1, column Control N: expected the columns Control N; found Analysis group"
    ):
        read_data_package(zipped(members | {path: short}), "x.zip")
    with pytest.raises(ReadError, match=r"expected the package of one review, with one data-rows\.csv; found another"):
        read_data_package(zipped(members | {"CD2-data-rows.csv": short}), "x.zip")
    with pytest.raises(ReadError, match=r"expected a data package, with data-rows\.csv.*; found none of its files"):
        read_data_package(zipped({"article.pdf": b"%PDF"}), "x.zip")
    with pytest.raises(ReadError, match=r"expected a review of interventions; found one of tests"):
        read_data_package(zipped({"CD1-analysis-data/CD1-parameters.csv": b"a,b\n"}), "x.zip")


def test_reading_a_zip_writes_nothing(formats, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    read_review(formats / "Fleiss1993.zip")
    assert list(tmp_path.iterdir()) == []


PIECES = (b",", b'"', b";", b"\n", b"\r", b"\0", b"1e999", b"-", b"NaN", b"<b>", b"&amp;", b"\xff", b"9" * 30, b"#N/A")
CELLS = (b"", b"x", b"0", b"-1", b"1.5", b"true", b"99999999999", b"Infinity", b"1,5", b"\xe2\x88\x923")


def mutant(data, random):
    """The bytes with one to five of them, a cell or a line changed, taken out or put in, or with the end cut off."""
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(data)) if data else 0
        lines, cells = data.split(b"\n"), data.split(b",")
        lines.insert(random.randrange(len(lines)), random.choice(lines))
        cells[random.randrange(len(cells))] = random.choice((*CELLS, random.choice(cells)))
        data = random.choice((
            data[:at] + random.randbytes(1) + data[at + 1 :],
            data[:at] + data[at + random.randrange(30) :],
            data[:at] + random.choice(PIECES) + data[at:],
            data[:at],
            b"\n".join(lines),
            b",".join(cells),
        ))  # fmt: skip
    return data


def a_member_changed(data, random):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(content))
    return zipped(content | {name: mutant(content[name], random)})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_mutants_are_read_or_refused(formats, tmp_path, seed):
    random = Random(seed)  # noqa: S311 - which mutants is all that it decides
    export, outer = (formats / f"Fleiss1993{end}" for end in ("_CR.csv", ".zip"))
    own = to_data_package(read_review(formats / "cochrane" / "CD003188StatsDataOnly.rm5"), tmp_path / "own.zip")
    with zipfile.ZipFile(outer) as archive:
        inner = next(archive.read(n) for n in archive.namelist() if n.endswith(".zip"))
    read_ = refused = 0
    for _ in range(150):
        for data, reader in (
            (mutant(export.read_bytes(), random), read_revman_csv),
            (mutant(outer.read_bytes(), random), read_data_package),
            (a_member_changed(inner, random), read_data_package),
            (a_member_changed(own.read_bytes(), random), read_data_package),
        ):
            try:
                assert reader(data, "mutant").analyses is not None
                read_ += 1
            except ReadError:
                refused += 1
    # A test of which every mutant ended in one way would show little.
    assert read_ > 100
    assert refused > 100
