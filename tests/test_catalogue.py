"""The bundled reviews: every column explained, every value as in its source, nothing dropped or filled in."""

import csv
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from reference_data import load_reference

from bayespip.catalogue import REVIEWS, list_reviews, load_review, published_results
from bayespip.effects import effect_sizes

DATA = Path(__file__).parents[1] / "bayespip" / "data"
SHARED = Path(__file__).parents[2] / "shared" / "review"

CODEBOOKS = {name: tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8")) for name in REVIEWS}
PUBLISHED = tomllib.loads((DATA / "published_priors.toml").read_text(encoding="utf-8"))  # test_prior_catalogue.py
TABLES = [table for codebook in CODEBOOKS.values() for table in codebook["tables"].values()]


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_has_a_codebook_and_every_codebook_is_listed():
    tables = [*TABLES, *PUBLISHED["tables"].values()]
    assert sorted(p.name for p in DATA.glob("*.csv")) == sorted(table["file"] for table in tables)
    assert sorted(p.stem for p in DATA.glob("*.toml")) == sorted([*REVIEWS, "published_priors"])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["file"])
def test_every_column_is_explained_and_every_explanation_has_its_column(table):
    rows = read(DATA / table["file"])
    assert list(rows[0]) == list(table["columns"])
    assert table["source"]
    for column, about in table["columns"].items():
        assert about["meaning"]
        assert set(about) <= {"meaning", "unit", "type"}
        assert about.get("type", "number") == "number"
        if "unit" in about and table["file"] != "pip_reported.csv":
            for row in rows:
                assert row[column] == "" or np.isfinite(float(row[column]))


@pytest.mark.parametrize("name", REVIEWS)
def test_every_review_says_where_it_comes_from(name):
    codebook = CODEBOOKS[name]
    review = load_review(name)
    assert (review.id, review.title, review.doi) == (name, codebook["title"], codebook["doi"])
    assert "public" in review.provenance
    assert codebook["citation"]


MEANT_FOR_ITS_FOLDER = ": see design/reported_only.md"


@pytest.mark.parametrize("file", ["reported", "not_reported", "studies", "risk_of_bias", "arms_verified", "external"])
def test_the_parent_infant_tables_are_those_of_the_source(file):
    if not SHARED.exists():
        pytest.skip("the review's tables are not here: ../shared/review")
    source = read(SHARED / f"{file}.csv")
    for before, row in zip([{}, *source], source, strict=False):
        if row.get("note") == "as above":
            row["note"] = before["note"]
        if "k_source" in row:
            row["k_source"] = row["k_source"].removesuffix(MEANT_FOR_ITS_FOLDER)
    assert read(DATA / f"pip_{file}.csv") == source


def test_bcg_counts_are_those_of_the_reference():
    dataset = load_reference()["datasets"]["bcg_rr"]
    studies = load_review("bcg")["1.1"].studies
    assert studies["study"].tolist() == dataset["labels"]
    for ours, theirs in (("event_e", "ai"), ("n_e", "n1i"), ("event_c", "ci"), ("n_c", "n2i")):
        assert studies[ours].tolist() == dataset["table"][theirs]


def test_coaching_effects_are_those_of_the_reference():
    dataset = load_reference()["datasets"]["rubin1981"]
    studies = load_review("coaching")["1.1"].studies
    assert studies["study"].tolist() == dataset["labels"]
    assert studies["yi"].tolist() == dataset["yi"]
    assert studies["sei"].tolist() == dataset["sei"]


def test_the_parent_infant_review_holds_every_outcome_and_fills_in_none():
    review = load_review("pip")
    assert review.ids == tuple(f"P{i}" for i in range(1, 20)) + tuple(f"N{i}" for i in range(1, 11))
    for analysis in review:
        assert analysis.studies is None
        if analysis.id.startswith("P"):
            assert analysis.basis == "published"
            assert analysis.measure is analysis.reported.measure
        else:
            assert analysis.basis == "not published"
            assert analysis.measure is None
            assert analysis.note.startswith("not published; read the review's own data file.")
    assert "names these outcomes, and gives no numbers" in review["N8"].note
    assert "no events in the PIP group" in review["N9"].note
    assert [i for i in review.ids if review[i].reported and review[i].reported.k is None] == ["P7", "P17"]


def test_published_numbers_are_as_printed():
    review = load_review("pip")
    first = review["P1"].reported
    assert (first.estimate.text, first.ci_lower.text, first.ci_upper.text) == ("8.93", "1.25", "63.70")
    assert (first.estimate.lower, first.estimate.upper) == (8.925, 8.935)
    assert (first.k, first.df, first.q.text, first.tau2.text, first.i2.text) == (2, 1, "3.71", "3.71", "73")
    assert first.k_source == "df of the reported chi-squared"
    ninth = review["P9"].reported
    assert (ninth.ci_upper.text, ninth.p.text, ninth.p.upper, ninth.n) == ("6.0", "<0.000", 0.0005, 129)
    assert ninth.studies_named == ("Cooper 2003", "Cicchetti 2006")
    assert review["P10"].reported.p.text == "0.000"
    assert review["P12"].reported.estimate.text == "0.80"


def test_directions_and_claims_are_those_of_the_paper():
    results = [analysis.reported for analysis in load_review("pip") if analysis.reported]
    directions = [r.favours for r in results]
    assert [directions.count(d) for d in ("higher", "lower", None)] == [4, 10, 5]
    assert sum(r.claim == "significant" for r in results) == 6
    assert {r.measure.name for r in results if r.favours is None} == {"SMD"}


def test_the_tables_beside_the_analyses():
    review = load_review("pip")
    assert len(review.studies) == len(review.risk_of_bias) == 8
    assert review.studies["n_randomised"].sum() == 905
    assert review.arms.loc[0, ["mean", "sd", "n"]].tolist() == [8.9, 4.2, 45]
    assert review.studies.loc[3, "arms"] == "PIP 50; CBT 43; counselling 48; routine care 52"
    assert review.studies.loc[1, "arms"] == ""
    assert review.external["estimate"].tolist() == [1.94, 1.91, 0.33, 0.2]
    assert review.external["ci_lower"].isna().tolist() == [False, False, True, True]


def test_no_bundled_number_is_flagged():
    assert [load_review(name).problems() for name in REVIEWS] == [()] * len(REVIEWS)


@pytest.mark.parametrize(("name", "k"), [("bcg", 13), ("coaching", 8)])
def test_reviews_with_study_data_can_be_pooled(name, k):
    (analysis,) = load_review(name)
    assert analysis.basis == "study data"
    assert effect_sizes(analysis.studies, analysis.measure).k == k


def test_loading_twice_gives_equal_reviews_and_shares_no_table():
    for name in REVIEWS:
        assert load_review(name) == load_review(name)
    studies = load_review("bcg")["1.1"].studies
    studies["n_e"] = 1
    assert load_review("bcg")["1.1"].studies["n_e"].sum() > 13


def test_list_reviews():
    listed = list_reviews().set_index("name")
    assert listed.index.tolist() == ["bcg", "coaching", "pip"]
    assert listed["analyses"].tolist() == [1, 1, 29]
    assert listed.loc["pip", "data"] == "19 published, 10 not published"
    assert listed.loc["bcg", "data"] == "1 study data"


def test_an_unknown_review_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"^review must be one of bcg, coaching, pip; got 'BCG'\.$"):
        load_review("BCG")


@pytest.fixture
def write(tmp_path):
    """Write the bundled table with cells of its second data row replaced."""

    def write(header=None, rows=2, **cells):
        table = read(DATA / "pip_reported.csv")[:rows]
        if cells:
            table[1].update(cells)
        path = tmp_path / "mine.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header or list(CODEBOOKS["pip"]["tables"]["reported"]["columns"]))
            writer.writeheader()
            writer.writerows({c: row[c] for c in writer.fieldnames} for row in table)
        return path

    return write


def test_a_good_table_is_read(write):
    assert published_results(write()) == load_review("pip").analyses[:2]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"estimate": "half"},
            "column estimate: must be a number as printed, such as 8.93, -0.13 or <0.001; got 'half'.",
        ),
        (
            {"ci_lower": ""},
            "column ci_lower: must be a number as printed, such as 8.93, -0.13 or <0.001; got ''.",
        ),
        ({"k": "two"}, "column k: must be a whole number; got 'two'."),
        ({"n": "12.5"}, "column n: must be a whole number; got '12.5'."),
        (
            {"measure": "IRR"},
            "column measure: measure must be one of RR, OR, PETO, HR, RD, MD, SMD, ROM, PR, COR, ZCOR; got 'IRR'.",
        ),
        ({"favours_pip": "up"}, "column favours_pip: must be one of higher, lower or not stated; got 'up'."),
        (
            {"claim": "maybe"},
            "column claim: must be one of significant, not significant or empty; got 'maybe'.",
        ),
        ({"id": "P1"}, "column id: must be unique; it stands in row 2 too; got 'P1'."),
        ({"id": ""}, "column id: must not be empty; got ''."),
    ],
)
def test_a_bad_cell_is_named_by_file_row_column_rule_and_value(write, cells, message):
    with pytest.raises(ValueError, match=f"^{re.escape('mine.csv, row 3, ' + message)}$"):
        published_results(write(**cells))


def test_an_impossible_interval_is_held_and_flagged(write):
    _, second = published_results(write(ci_lower="0.95", ci_upper="0.24"))
    assert second.reported.problems() == ("the interval is reversed: 0.95 to 0.24.",)


def test_a_bad_table_is_refused(write):
    columns = list(CODEBOOKS["pip"]["tables"]["reported"]["columns"])
    with pytest.raises(ValueError, match=r"^mine\.csv must have the columns id, .*; missing ci_upper, p; present: id,"):
        published_results(write(header=[c for c in columns if c not in ("ci_upper", "p")]))
    with pytest.raises(ValueError, match=r"^mine\.csv must have at least one row below its header; got none\.$"):
        published_results(write(rows=0))
    path = write()
    path.write_text(path.read_text(encoding="utf-8") + "P3,too short\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^mine\.csv, row 4: must have 20 cells; got 2\.$"):
        published_results(path)
    path.write_bytes("id\nP\u00e9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"^mine\.csv must be a CSV table in UTF-8"):
        published_results(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match=r"present: none\.$"):
        published_results(path)
