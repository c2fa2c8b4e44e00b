"""A user's own table: any form, any common column name, and what is refused."""

import math
import re
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from reference_data import load_reference

from bayespip.effects import effect_sizes
from bayespip.measures import MEASURES, Measure
from bayespip.readers import ReadError, read_table

METAFOR_CSV = """\
"","slab","year","ai","bi","ci","di","alloc"
"1","Aronson 1948",1948,4,119,11,128,"random"
"2","Stein & Aronson 1953",1953,180,1361,372,1079,"alternate"
"3","TPT Madras 1980",1980,505,87886,499,87892,NA
"""
OURS = pd.DataFrame({
    "study": ["Aronson 1948", "Stein & Aronson 1953", "TPT Madras 1980"],
    "event_e": [4.0, 180.0, 505.0],
    "n_e": [123.0, 1541.0, 88391.0],
    "event_c": [11.0, 372.0, 499.0],
    "n_c": [139.0, 1451.0, 88391.0],
    "year": [1948, 1953, 1980],
    "alloc": ["random", "alternate", None],
})  # fmt: skip


def written(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_csv_with_the_column_names_of_metafor_works_in_two_lines(tmp_path):
    table = read_table(written(tmp_path, METAFOR_CSV), measure="RR")
    es = effect_sizes(table, "RR")
    pd.testing.assert_frame_equal(table.astype({"alloc": object}), OURS.astype({"alloc": object}), check_like=False)
    escalc = load_reference()["datasets"]["bcg_rr"]["binary"]["escalc_RR"]
    assert es.yi == pytest.approx([escalc["yi"][i] for i in (0, 5, 7)], rel=1e-12)


FORMS = {
    "commas": lambda t: t.to_csv(index=False).encode(),
    "semicolons and decimal commas": lambda t: t.to_csv(index=False, sep=";", decimal=",").encode(),
    "tabs and a byte-order mark": lambda t: t.to_csv(index=False, sep="\t").encode("utf-8-sig"),
    "Windows-1252": lambda t: t.to_csv(index=False).encode("cp1252"),
}


@pytest.mark.parametrize("form", FORMS)
def test_csv_of_any_form_gives_the_same_table(tmp_path, form):
    frame = pd.DataFrame({
        "study": ["Müller 1999", "Strauß, A. 2001"],
        "m1i": [10.25, -3.5], "sd1i": [2.5, 1.0], "n1i": [20, 31], "m2i": [9.75, -2.0], "sd2i": [2.25, 1.5],
        "n2i": [22, 30], "dose": [0.5, 10.0],
    })  # fmt: skip
    path = tmp_path / "table.txt"
    path.write_bytes(FORMS[form](frame))
    table = read_table(path, measure="SMD")
    ours = ["study", "mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c", "dose"]
    assert table.columns.tolist() == ours
    assert table["study"].tolist() == frame["study"].tolist()
    np.testing.assert_array_equal(table[ours[1:]].to_numpy(), frame.iloc[:, 1:].to_numpy())


def test_parquet_excel_and_frames_give_what_csv_gives(tmp_path):
    pytest.importorskip("openpyxl")
    frame = OURS.rename(columns={"event_e": "ai", "n_e": "n1i", "event_c": "ci", "n_c": "n2i", "study": "slab"})
    frame.to_parquet(tmp_path / "table.parquet")
    with pd.ExcelWriter(tmp_path / "table.xlsx") as book:
        frame.to_excel(book, sheet_name="data", index=False)
        pd.DataFrame().to_excel(book, sheet_name="empty", index=False)
    before = frame.copy()
    for source in (frame, tmp_path / "table.parquet", str(tmp_path / "table.xlsx"), written(tmp_path, METAFOR_CSV)):
        table = read_table(source, "OR")
        pd.testing.assert_frame_equal(table.astype({"alloc": object}), OURS.astype({"alloc": object}))
    pd.testing.assert_frame_equal(frame, before)


def test_a_sheet_of_several_is_named(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        OURS.to_excel(book, sheet_name="one", index=False, startrow=2)
        OURS.iloc[:2].to_excel(book, sheet_name="two", index=False)
    assert len(read_table(path, "RR", sheet="one")) == 3
    assert len(read_table(path, "RR", sheet="two")) == 2
    for sheet, said in (
        (None, "the name of a sheet; found None; there are one, two."),
        ("x", "one of one, two; found 'x'."),
    ):
        with pytest.raises(ReadError, match=f"^book.xlsx, argument sheet: expected {re.escape(said)}$"):
            read_table(path, "RR", sheet=sheet)
    with pytest.raises(ReadError, match="argument sheet: expected None for all but Excel workbooks; found 'one'"):
        read_table(OURS, "RR", sheet="one")
    wrong = OURS.astype({"n_e": object})
    wrong.loc[1, "n_e"] = "many"
    wrong.to_excel(path, index=False)
    # row 3 of the sheet: its header is row 1
    with pytest.raises(ReadError, match=r"^book.xlsx, row 3, column n_e: expected a finite number; found many\.$"):
        read_table(path, "RR")


def test_without_openpyxl_an_excel_file_is_refused_with_what_to_install(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    path = tmp_path / "table.xlsx"
    OURS.to_excel(path, index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ReadError, match=r"openpyxl to read Excel files: pip install 'bayespip\[excel\]'"):
        read_table(path, "RR")


NAMES = {
    "ours": ("RR", ["study", "event_e", "n_e", "event_c", "n_c"]),
    "metafor": ("RR", ["slab", "ai", "n1i", "ci", "n2i"]),
    "meta": ("RR", ["studlab", "event.e", "n.e", "event.c", "n.c"]),
    "RevMan 5": ("RR", ["Name", "Events 1", "Total 1", "Events 2", "Total 2"]),
    "data package": ("RR", ["Study", "Experimental cases", "Experimental N", "Control cases", "Control N"]),
    "capitals": ("PETO", ["STUDY", "AI", "N1I", "CI", "N2I"]),
    "metafor, means": ("MD", ["slab", "m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"]),
    "meta, means": ("ROM", ["studlab", "mean.e", "sd.e", "n.e", "mean.c", "sd.c", "n.c"]),
    "RevMan 5, means": ("SMD", ["Name", "Mean 1", "SD 1", "Total 1", "Mean 2", "SD 2", "Total 2"]),
    "data package, means": (
        "SMD",
        ["Study", *(f"{arm} {x}" for arm in ("Experimental", "Control") for x in ("mean", "SD", "N"))],
    ),
    "metafor, one group": ("PR", ["slab", "xi", "ni"]),
    "metafor, correlations": ("ZCOR", ["slab", "ri", "ni"]),
    "O - E": ("HR", ["Study", "O-E", "Variance"]),
    "O - E, Peto": ("PETO", ["study", "o_e", "variance"]),
    "estimates, metafor": ("SMD", ["slab", "yi", "sei"]),
    "estimates, meta": ("OR", ["studlab", "TE", "seTE"]),
    "estimates, data package": ("GEN", ["Study", "GIV Mean", "GIV SE"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_known(name):
    measure, columns = NAMES[name]
    spec = MEASURES.get(measure) or Measure("GEN", "Generic effect", (), log=False)
    rows = [["A", *(x / 8 for x in range(1, len(columns)))], ["B", *(x / 4 for x in range(1, len(columns)))]]
    estimates = name.startswith("estimates")
    ours = ("yi", "sei") if estimates else ("o_e", "variance") if name.startswith("O - E") else spec.columns
    table = read_table(pd.DataFrame(rows, columns=columns), spec)
    assert table.columns.tolist() == ["study", *ours]
    assert table.to_numpy().tolist() == rows


def test_sizes_are_made_from_events_and_those_without():
    frame = pd.DataFrame({"slab": ["A"], "xi": [3], "mi": [7]})
    assert read_table(frame, "PR").to_numpy().tolist() == [["A", 3.0, 10.0]]
    # of one arm this way, of the other that
    frame = pd.DataFrame({"slab": ["A"], "ai": [3], "bi": [7], "ci": [2], "n2i": [12]})
    assert read_table(frame, "OR").to_numpy().tolist() == [["A", 3.0, 10.0, 2.0, 12.0]]


def test_variances_become_standard_errors_as_escalc_gives_them():
    dataset = load_reference()["datasets"]["rubin1981"]
    frame = pd.DataFrame({"slab": dataset["labels"], "yi": dataset["yi"], "vi": dataset["vi"]})
    table = read_table(frame, "MD")
    assert table.columns.tolist() == ["study", "yi", "sei"]
    np.testing.assert_allclose(table["sei"], dataset["sei"], rtol=1e-14)


# Tables that hold more than one thing


def test_what_escalc_adds_leaves_a_choice_that_the_user_makes():
    frame = OURS.assign(yi=[0.1, 0.2, 0.3], sei=[1.0, 2.0, 3.0])
    message = (
        "the table, header: expected event_e, n_e, event_c, n_c or estimates, or use='columns' or use='estimates' to "
        "say which; found both."
    )
    with pytest.raises(ReadError, match=f"^{re.escape(message)}$"):
        read_table(frame, "RR")
    columns, estimates = (read_table(frame, "RR", use=use) for use in ("columns", "estimates"))
    assert columns.columns.tolist() == OURS.columns.tolist()
    assert estimates.columns.tolist() == ["study", "yi", "sei", "year", "alloc"]
    assert effect_sizes(columns, "RR").yi.tolist() == effect_sizes(OURS, "RR").yi.tolist()
    assert effect_sizes(estimates, "RR").yi.tolist() == [0.1, 0.2, 0.3]


def test_columns_of_other_data_types_filled_with_zeros_are_not_there():
    zeros = {
        "GIV Mean": "0.0",
        "GIV SE": "0.0",
        "Experimental mean": "0.0",
        "Control mean": "0.0",
        "O-E": "0",
        "Variance": "0,0",
    }
    counts = {"Study": "A", "Experimental cases": "3", "Experimental N": "9", "Control cases": "4", "Control N": "8"}
    for measure in ("OR", "PETO"):
        table = read_table(pd.DataFrame([zeros | counts]), measure)
        assert table.iloc[:, :5].to_numpy().tolist() == [["A", 3, 9, 4, 8]]
    frame = pd.DataFrame([{**zeros, **counts, "O-E": "-1.5", "Variance": "2"}])
    table = read_table(frame, "PETO")
    assert table.iloc[:, :3].to_numpy().tolist() == [["A", -1.5, 2]]
    assert effect_sizes(table, "PETO").yi.tolist() == [-0.75]


def test_columns_that_are_not_ours_are_kept_as_they_are(tmp_path):
    text = "study,yi,sei,year,dose,rob,note\nA,1,2,1999,0.5,low,007\nB,1,2,2000,,high,\n"
    table = read_table(written(tmp_path, text), "MD")
    assert table["year"].tolist() == [1999, 2000]
    assert table["year"].dtype.kind == "i"
    assert table["dose"].tolist()[0] == 0.5
    assert math.isnan(table["dose"][1])
    assert table["rob"].tolist() == ["low", "high"]
    frame = pd.DataFrame({"study": ["A"], "yi": [1], "sei": [2], "when": [pd.Timestamp("2020-01-02")], "ok": [True]})
    kept = read_table(frame, "MD")
    assert kept["when"][0] == pd.Timestamp("2020-01-02")
    assert kept["ok"].tolist() == [True]


# What is refused


def test_studies_without_labels_are_numbered_with_a_warning(tmp_path):
    path = written(tmp_path, "ai,n1i,ci,n2i\n1,9,2,9\n3,9,4,9\n")
    with pytest.warns(
        UserWarning, match=r"^table.csv has no study labels \(study, slab\).* Study 1 to Study 2\.$"
    ) as caught:
        table = read_table(path, "RR")
    assert table["study"].tolist() == ["Study 1", "Study 2"]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("text", "measure", "message"),
    [
        ("study,ai,n1i,ci\nA,1,2,3\n", "RR", (
            "table.csv, header: expected for RR the columns event_e, n_e, event_c, n_c (or ai, n1i, ci, n2i) or yi, "
            "sei (or yi with vi, or yi with limits ci_lower, ci_upper); found study, ai, n1i, ci."
        )),
        ("study,x\nA,1\n", "HR", (
            "table.csv, header: expected for HR the columns o_e, variance or yi, sei (or yi with vi, or yi with limits "
            "ci_lower, ci_upper); found study, x."
        )),
        ("study,ai,event_e,n1i,ci,n2i\nA,1,1,2,3,4\n", "RR", (
            "table.csv, header: expected one column for event_e; found ai and event_e."
        )),
        ("study,slab,yi,sei\nA,B,1,1\n", "MD", (
            "table.csv, header: expected one column for study; found study and slab."
        )),
        ("study,yi,sei\nA,1,1\nA,1,1\n", "MD", (
            "table.csv, row 3, column study: expected another label than that of row 2; found A."
        )),
        ("study,yi,sei\nA,1,1\n ,1,1\n", "MD", "table.csv, row 3, column study: expected a label; found nothing."),
        ("study,yi,sei\nA,1,\nB,1,1\n", "MD", "table.csv, row 2, column sei: expected a number; found nothing."),
        ("study,yi,sei\nA,1,NA\nB,1,1\n", "MD", "table.csv, row 2, column sei: expected a number; found NA."),
        ("study,yi,sei\nA,one,1\n", "MD", "table.csv, row 2, column yi: expected a finite number; found one."),
        ("study,yi,sei\nA,1,1\nB,1,0\n", "MD", (
            "table.csv, row 3, column sei: expected a positive standard error; found 0."
        )),
        ("study,yi,vi\nA,1,-1\n", "MD", "table.csv, row 2, column vi: expected a positive variance; found -1."),
        ("study,yi,sei\n", "MD", "table.csv: expected at least one row below the header; found none."),
        ("study,yi,sei\nA,1\n", "MD", "table.csv, row 2: expected 3 cells; found 2."),
        ("study,yi,sei\nA,1,1\n", "EFFECT", (
            f"table.csv, argument measure: expected one of {', '.join(MEASURES)}; found 'EFFECT'."
        )),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(tmp_path, text, measure, message):
    with pytest.raises(ReadError, match=f"^{re.escape(message)}$"):
        read_table(written(tmp_path, text), measure)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"use": "arms"}, "argument use: expected one of None, columns, estimates; found 'arms'."),
        ({"scale": "log"}, "argument scale: expected one of model, display; found 'log'."),
        ({"level": 95}, "argument level: expected a probability between 0 and 1; found 95."),
    ],
)
def test_arguments_are_checked(argument, message):
    with pytest.raises(ReadError, match=f"^the table, {re.escape(message)}$"):
        read_table(OURS, "RR", **argument)


@pytest.mark.parametrize("cell", ["x", True, pd.Timestamp("2020-01-02"), math.inf, [1], "1,234"])
def test_cells_that_are_no_numbers_are_refused(cell):
    frame = pd.DataFrame({"study": ["A", "B"], "yi": pd.Series([1, cell], dtype=object), "sei": [1, 1]})
    with pytest.raises(ReadError, match=r"^the table, row 2, column yi: expected"):
        read_table(frame, "MD")


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        read_table(tmp_path / "absent.csv", "RR")
    with pytest.raises(ReadError, match="expected a file"):
        read_table(tmp_path, "RR")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing more PAR1")
    with pytest.raises(ReadError, match="a Parquet file that Arrow can read"):
        read_table(tmp_path / "broken.parquet", "RR")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data.csv", "study")
    with pytest.raises(ReadError, match=r"an Excel workbook .* found another zip archive"):
        read_table(tmp_path / "other.zip", "RR")
    with pytest.raises(ReadError, match="a column once"):
        read_table(pd.DataFrame([["A", 1, 2]], columns=["study", "yi", "yi"]), "MD")


def test_damaged_and_hostile_workbooks_are_refused(tmp_path):
    pytest.importorskip("openpyxl")
    path, other = tmp_path / "table.xlsx", tmp_path / "other.xlsx"
    OURS.to_excel(path, index=False)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'
    for content, said in ((bomb, "without document type declarations"), (b"<worksheet", "a workbook that openpyxl")):
        with zipfile.ZipFile(other, "w") as archive:
            for name, kept in members.items():
                archive.writestr(name, content if name == sheet else kept)
        with pytest.raises(ReadError, match=said):
            read_table(other, "RR")
    other.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ReadError, match="a whole zip archive"):
        read_table(other, "RR")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*has no study labels")
@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "table.xlsx"])
def test_mutated_files_are_read_or_refused(tmp_path, name):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"slab": ["A", "B"], "yi": [0.1, 0.2], "ci.lb": [-0.1, 0.0], "ci.ub": [0.3, 0.4]})
    written = {"csv": frame.to_csv, "parquet": frame.to_parquet, "xlsx": frame.to_excel}[name.rpartition(".")[2]]
    written(tmp_path / name, index=False)
    whole, random = (tmp_path / name).read_bytes(), np.random.default_rng(1)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(700):
        mutant = bytearray(whole)
        for _ in range(random.integers(1, 5)):
            at, how = random.integers(len(mutant)), random.integers(3)
            cut = at + random.integers(1, 9) if how == 1 else at + (how == 0)
            mutant[at:cut] = b"" if how == 1 else bytes([random.choice(list(b'\0\xff\n09.,;-eN"<>&'))])
        (tmp_path / name).write_bytes(mutant)
        try:
            read_table(tmp_path / name, "MD")
            outcomes["read"] += 1
        except ReadError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0
