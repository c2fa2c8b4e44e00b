"""A review as files: what is written is read back equal, and the tables alone hold nearly all of it."""

from __future__ import annotations

import csv
import io
import json
import string
import zipfile
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayespip import list_reviews, load_review
from bayespip.measures import MEASURES, Measure
from bayespip.readers import ReadError, read_review
from bayespip.readers.assembling import StudyRow, study_table
from bayespip.readers.own_package import OWN_FILE
from bayespip.readers.results import reported_total, stored_table
from bayespip.readers.vocabulary import DATA_COLUMNS, QUANTITIES
from bayespip.review import Analysis, Reported, Review
from bayespip.settings import Settings, Subgroup
from bayespip.writing import to_data_package, to_table

REVIEWS = [
    "Fleiss1993.rm5", "Fleiss1993.zip", "Fleiss1993_CR.csv", "cochrane/CD003188StatsDataOnly.rm5",
    "cochrane/CD004976StatsDataOnly.rm5", "cochrane/CD007868StatsDataOnly.rm5",
]  # fmt: skip


@pytest.fixture(scope="module", params=REVIEWS)
def review(request, shared_dir):
    return read_review(shared_dir / "formats" / request.param)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path, content):
    """The zip with other members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def own_of(path):
    return json.loads(next(data for name, data in members(path).items() if name.endswith(OWN_FILE)))


def test_a_review_read_from_a_file_is_read_back_equal(review, tmp_path):
    path = to_data_package(review, tmp_path / "review.zip")
    assert path == tmp_path / "review.zip"
    assert read_review(path) == review


def test_the_tables_alone_hold_every_study_setting_and_result(review, tmp_path):
    path = to_data_package(review, tmp_path / "review.zip")
    content = {name: data for name, data in members(path).items() if not name.endswith(OWN_FILE)}
    plain = read_review(rewritten(tmp_path / "plain.zip", content))
    differing = {
        (a.id, f.name)
        for a, b in zip(review, plain, strict=True)
        for f in fields(Analysis)
        if replace(a, **{f.name: getattr(b, f.name)}) != a
    }
    # RevMan's zeros in place of a total that was not asked for are no result in the package.
    assert differing <= {("14.2", "stored")}
    for name in ("studies", "risk_of_bias"):
        assert replace(review, **{name: getattr(plain, name)}) == review
    # What the JSON holds is what the tables do not.
    assert set(own_of(path)["review"]) == {"id", "title", "doi", "provenance"}
    assert sum(map(len, own_of(path)["analyses"])) == len(differing)


@pytest.mark.parametrize("name", list_reviews()["name"])
def test_a_bundled_review_is_read_back_equal(name, tmp_path):
    bundled = load_review(name)
    assert read_review(to_data_package(bundled, tmp_path / "review.zip")) == bundled


def test_written_twice_the_bytes_are_the_same(tmp_path, shared_dir):
    review = read_review(shared_dir / "formats" / "Fleiss1993.rm5")
    one, two = (to_data_package(review, tmp_path / name / "review.zip") for name in map(_made(tmp_path), "ab"))
    assert one.read_bytes() == two.read_bytes()


def _made(folder):
    def make(name):
        (folder / name).mkdir()
        return name

    return make


def test_the_name_of_the_archive_does_not_matter(tmp_path, shared_dir):
    review = read_review(shared_dir / "formats" / "Fleiss1993.zip")
    path = to_data_package(review, tmp_path / "Fleiss1993.zip")
    assert read_review(path.rename(tmp_path / "other.zip")) == review


def test_files_are_named_and_encoded_as_cochranes(tmp_path, shared_dir):
    review = read_review(shared_dir / "formats" / "cochrane" / "CD003188StatsDataOnly.rm5")
    content = members(to_data_package(review, tmp_path / "review.zip"))
    assert list(content) == [
        "CD003188-analysis-data/CD003188-data-rows.csv",
        "CD003188-analysis-data/CD003188-overall-estimates-and-settings.csv",
        "CD003188-analysis-data/CD003188-subgroup-estimates.csv",
        "CD003188-study-data/CD003188-study-information.csv",
        *(["CD003188-study-data/CD003188-risk-of-bias.csv"] if review.risk_of_bias is not None else []),
        f"CD003188-{OWN_FILE}",
    ]
    text = content["CD003188-analysis-data/CD003188-data-rows.csv"]
    assert text.startswith(b"\xef\xbb\xbfAnalysis group,Analysis number,Analysis name,Subgroup,")
    row = next(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert (row["Study"], row["GIV Mean"], row["GIV SE"]) == ("Belch 1991", "0.460784314", "0.198029509")


def simple(**changes):
    rows = [
        StudyRow("A", "", True, (1.0, 10.0, 0.1 + 0.2, 11.0), ""),
        StudyRow("B", "", True, (2.0, 10.0, 3.0, 11.0), ""),
    ]
    choices = Settings(data_type="dichotomous", method="MH", model="random", effect_label="RR")
    analysis = Analysis(
        id="1.1", comparison="C", outcome="O", timepoint="", measure=MEASURES["RR"], settings=choices,
        studies=study_table("dichotomous", rows), stored=stored_table({}),
    )  # fmt: skip
    return Review(id="CD1", title="T", doi="", provenance="", analyses=(replace(analysis, **changes),))


def test_an_edited_table_is_believed_and_the_rest_left_out_of_account(tmp_path):
    path = to_data_package(simple(note="kept beside the tables"), tmp_path / "review.zip")
    content = members(path)
    name = next(n for n in content if n.endswith("data-rows.csv"))
    content[name] = content[name].replace(b",A,,", b",A changed,,")
    review = read_review(rewritten(path, content))
    assert review["1.1"].studies["study"].tolist() == ["A changed", "B"]
    assert review["1.1"].note == ""
    assert "was left out of account" in review.notes[-1]


@pytest.mark.parametrize(
    "change",
    [
        lambda own: b"{",
        lambda own: b"[]",
        lambda own: b'{"format": 1}',
        lambda own: json.dumps(own | {"analyses": []}).encode(),
        lambda own: json.dumps(own | {"analyses": [{"measure": {"$measure": "XX"}}]}).encode(),
        lambda own: json.dumps(own | {"analyses": [{"settings": {"$Settings": {"data_type": "odd"}}}]}).encode(),
        lambda own: json.dumps(own | {"analyses": [{"studies": {"$frame": [2, ["a", "float64", [1]]]}}]}).encode(),
        lambda own: json.dumps(own | {"review": {"none": 1}}).encode(),
        lambda own: b"[" * 100_000,
        lambda own: b"\xff\xfe",
    ],
    ids=[
        "cut",
        "a list",
        "no tables",
        "an analysis less",
        "a measure",
        "settings",
        "a column",
        "a field",
        "deep",
        "bytes",
    ],
)
def test_a_broken_json_is_refused(tmp_path, change):
    path = to_data_package(simple(), tmp_path / "review.zip")
    content = members(path)
    name = next(n for n in content if n.endswith(OWN_FILE))
    content[name] = change(json.loads(content[name]))
    with pytest.raises(ReadError, match=r"bayespip-review\.json: expected the JSON that bayespip writes"):
        read_review(rewritten(path, content))


@pytest.mark.parametrize(
    "changes",
    [
        {"studies": None},
        {"settings": None},
        {"settings": None, "studies": None, "measure": None, "stored": None},
        {"measure": Measure("Slope", "Slope", (), log=False)},
        {"measure": None, "settings": Settings(data_type="dichotomous", effect_label="?")},
        {"id": "P1", "timepoint": "6 months", "note": "n", "favours": "higher"},
        {"subgroups": (Subgroup(2, "b"), Subgroup(1, "a")), "stored": stored_table({"b": {"effect": "1"}})},
        {"subgroups": (Subgroup(0, "b"),)},
        {"stored": stored_table({"": {"effect": "-Infinity", "tau2": "NaN", "z": "about 3", "estimable": "NO"}})},
        {"studies": pd.DataFrame({"study": ["A"], "yi": [np.inf], "sei": [1.0], "moderator": [None]})},
        {"studies": pd.DataFrame({"study": ["A", "B"], "n": pd.array([1, None], dtype="Int64"), "x": [True, False]})},
        {"reported": Reported(measure="RR", estimate="0.5", ci_lower="0.2", ci_upper="1.1", k=np.int64(3))},
        {"settings": Settings(data_type="generic", method="IV", model="fixed", tau2="PM", ci="odd", level_total=0.999)},
    ],
)  # fmt: skip
def test_what_the_cochrane_form_cannot_hold_is_kept_beside_it(tmp_path, changes):
    review = simple(**changes)
    assert read_review(to_data_package(review, tmp_path / "review.zip")) == review


def test_tables_that_cannot_be_written_are_refused(tmp_path):
    indexed = pd.DataFrame({"study": ["A"]}, index=[7])
    with pytest.raises(ValueError, match="written without index; reset_index"):
        to_data_package(simple(studies=indexed), tmp_path / "review.zip")
    dated = pd.DataFrame({"study": ["A"], "when": pd.to_datetime(["2001-01-01"])})
    with pytest.raises(ValueError, match=r"columns must be of type float64.*; 'when' is datetime64"):
        to_data_package(simple(studies=dated), tmp_path / "review.zip")
    assert not (tmp_path / "review.zip").exists()


def test_one_tidy_table_of_all_study_rows(review):
    table = to_table(review)
    assert len(table) == sum(len(a.studies) for a in review)
    assert list(table.columns[:10]) == [
        "review", "analysis", "comparison", "outcome", "timepoint", "measure", "subgroup", "in_total", "study", "year",
    ]  # fmt: skip
    assert table.columns[-1] == "footnote"
    assert (table["in_total"].dtype, table["year"].dtype, table["n_e"].dtype) == ("bool", "Int64", "float64")
    for analysis in review:
        part = table[table["analysis"] == analysis.id].reset_index(drop=True)
        columns = list(analysis.studies.columns)
        pd.testing.assert_frame_equal(part[columns], analysis.studies)
        assert part[[c for c in ("yi", "mean_e", "event_e") if c in part and c not in columns]].isna().all(axis=None)
    years = dict(zip(review.studies["study"], review.studies["year"], strict=True))
    assert all(y is pd.NA or y == years[s] for s, y in zip(table["study"], table["year"], strict=True))


def test_tables_of_reviews_without_rows_or_with_columns_of_their_own():
    assert to_table(simple(studies=None)).empty
    table = to_table(simple(studies=pd.DataFrame({"study": ["A"], "yi": [0.5], "sei": [1.0], "dose": [3]})))
    assert table.loc[0, ["subgroup", "in_total", "yi", "dose", "footnote"]].tolist() == ["", True, 0.5, 3, ""]


# Any review.

# Everything that a name may hold: quotations, line breaks, right-to-left text, markup, NUL; up to 200 characters.
NASTY = st.one_of(
    st.sampled_from([
        "", "<script>alert(1)</script>", 'He said "no", and left;', "a\nb\r\nc\rd", "#N/A", "&lt;b&gt;", "=1+1", " ",
        "\N{HEBREW LETTER SHIN}\N{RIGHT-TO-LEFT MARK} x", "\0", "\N{ZERO WIDTH NO-BREAK SPACE}", "<B>bold</B>", "1,5",
        "x" * 200,
    ]),
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.text(string.printable, max_size=30),
)  # fmt: skip
NUMBERS = st.floats(width=64) | st.integers(0, 500).map(float)
PLAIN = st.sampled_from(["1", "0.0", "-0.25", "1.9589112895939022E-8", "NaN", "", "Infinity", "0.8968655609130709"])


@st.composite
def analyses(draw, number):
    data_type = draw(st.sampled_from(list(DATA_COLUMNS)))
    labels = {"dichotomous": ["RR", "OR", "Odds Ratio", "RD"], "continuous": ["MD", "SMD"]}
    choices = Settings(
        data_type=data_type,
        method=draw(st.sampled_from(["MH", "IV", "Peto", None])),
        model=draw(st.sampled_from(["fixed", "random", None])),
        totals=draw(st.sampled_from(["total", "subgroups", "none"])),
        subgroup_test=draw(st.sampled_from([True, False, None])),
        level_study=draw(st.sampled_from([0.95, 0.9, 0.999])),
        swap_events=draw(st.sampled_from([True, False, None])),
        log_data=draw(st.sampled_from([True, False, None])),
        effect_label=draw(st.sampled_from(labels.get(data_type, ["Hazard Ratio", ""])) | NASTY),
        label_e=draw(NASTY),
        label_left=draw(NASTY),
    )
    names = draw(st.lists(NASTY.filter(bool), unique=True, max_size=3))
    subgroups = tuple(Subgroup(n, name) for n, name in enumerate(names, start=1))
    cell = NASTY if data_type == "other" else NUMBERS
    data = st.tuples(*[cell] * len(DATA_COLUMNS[data_type]))
    row = st.builds(StudyRow, NASTY, st.sampled_from(["", *names]), st.booleans(), data, NASTY)
    stored = stored_table(
        {name: draw(st.dictionaries(st.sampled_from(QUANTITIES), PLAIN, max_size=5)) for name in ("", *names)}
    )
    measure = draw(st.sampled_from([None, *list(MEASURES.values())[:5]]))
    total = dict(stored.loc[stored["subgroup"] == "", ["quantity", "text"]].to_numpy().tolist())
    return Analysis(
        id=f"1.{number}" if draw(st.booleans()) else f"P{number}",
        comparison=draw(NASTY),
        outcome=draw(NASTY),
        timepoint=draw(NASTY),
        measure=measure,
        studies=draw(st.none() | st.lists(row, max_size=4).map(lambda rows: study_table(data_type, rows))),
        reported=reported_total(total, measure=measure, settings=choices, favours=None),
        favours=draw(st.sampled_from(["higher", "lower", None])),
        settings=draw(st.none() | st.just(choices)),
        subgroups=subgroups,
        stored=stored,
        note=draw(NASTY),
    )


@st.composite
def reviews(draw):
    studies = pd.DataFrame({
        "study": pd.array(draw(st.lists(NASTY, min_size=2, max_size=2)), dtype="str"),
        "year": pd.array(draw(st.lists(st.none() | st.integers(0, 3000), min_size=2, max_size=2)), dtype="Int64"),
    })  # fmt: skip
    judged = pd.DataFrame(
        {"study": pd.array(["A"], dtype="str"), draw(NASTY.filter(lambda x: x != "study")): [draw(NASTY)]}
    )
    return Review(
        id=draw(NASTY), title=draw(NASTY), doi=draw(NASTY), provenance=draw(NASTY),
        analyses=tuple(draw(analyses(n)) for n in range(1, draw(st.integers(0, 3)) + 1)),
        studies=draw(st.sampled_from([studies, None])),
        risk_of_bias=draw(st.sampled_from([judged, None])),
        notes=tuple(draw(st.lists(NASTY, max_size=2))),
        topics=tuple(draw(st.lists(NASTY, max_size=1))),
    )  # fmt: skip


def check_round_trip(folder, review):
    assert read_review(to_data_package(review, folder / "any.zip")) == review


@settings(max_examples=25)
@given(reviews())
def test_any_review_is_read_back_equal(tmp_path_factory, review):
    check_round_trip(tmp_path_factory.getbasetemp(), review)


@pytest.mark.slow
@settings(max_examples=500)
@given(reviews())
def test_any_of_many_reviews_is_read_back_equal(tmp_path_factory, review):
    check_round_trip(tmp_path_factory.getbasetemp(), review)
