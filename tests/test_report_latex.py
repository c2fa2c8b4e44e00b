"""LaTeX tables: every cell of the comparison, names escaped, and compiled where LaTeX is."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reanalyses import published, study_data

from bayespip.report.latex import escaped, latex_comparison, latex_outcome
from bayespip.text.findings import findings
from bayespip.text.summary import first_tables

HOSTILE = r"<script> \input{/etc/passwd} 50% & a_b #1 $x$ ~ ^ {\bf} " + '"'


def rows(table):
    return [line for line in table.splitlines() if line.endswith(r"\\") and " & " in line]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.13 (-0.64 to 0.38)", "$-$0.13 ($-$0.64 to 0.38)"),
        ("[5.0e-5..5.7e-5; 8442]", r"[$5.0 \times 10^{-5}$..$5.7 \times 10^{-5}$; 8442]"),
        ("-1.2e-5 to 3.0e6", r"$-1.2 \times 10^{-5}$ to $3.0 \times 10^{6}$"),
        ("COVID-19, 4.1.2, 3-4 weeks", "COVID-19, 4.1.2, 3-4 weeks"),
        ("50% & a_b #1 {x} \\y", r"50\% \& a\_b \#1 \{x\} \textbackslash{}y"),
        ("N(0, 2.82²)", r"N(0, 2.82\textsuperscript{2})"),
        (">0.999", r"\textgreater{}0.999"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_is_escaped_and_numbers_are_mathematics(text, shown):
    assert escaped(text) == shown


@given(st.text())
def test_no_text_opens_or_closes_anything(text):
    shown = escaped(text)
    bare = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}", "", shown)
    bare = re.sub(r"\\[&%$#_{}]", "", bare)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not set("%&#_~") & set(bare)


def test_the_comparison_has_a_row_an_outcome_with_the_cells_of_the_summary():
    table = latex_comparison(published())
    assert table.startswith(r"% \usepackage{booktabs,longtable,array}")
    expected = [row for _, _, own in first_tables(findings(published())) for row in own]
    body = [row for row in rows(table) if not row.startswith("outcome")]
    assert len(body) == len(expected) == 5
    for row, cells in zip(body, expected, strict=True):
        for cell in cells:
            assert " \\newline ".join(escaped(line) for line in cell.split("<br>")) in row
    for rule in ("toprule", "midrule", "bottomrule"):
        assert rf"\{rule}" in table


def test_columns_are_together_as_wide_as_the_text():
    for table in latex_comparison(published()).split(r"\end{longtable}")[:-1]:
        shares = [float(x) for x in re.findall(r"dimexpr ([\d.]+)\\linewidth", table)]
        assert sum(shares) == pytest.approx(1, abs=1e-3)  # each is rounded to four decimals
        assert all(row.count(" & ") == len(shares) - 1 for row in rows(table))


def test_an_outcome_has_a_row_a_method_and_prior():
    (f,) = findings(study_data())
    body = [row for row in rows(latex_outcome(study_data(), "1.1")) if not row.startswith("method")]
    assert len(body) == len(f.frequentist) + len(f.bayesian)
    with pytest.raises(ValueError, match=r"label must be one of 1\.1; got 'P1'"):
        latex_outcome(study_data(), "P1")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["pdflatex", "xelatex"])
def test_latex_sets_the_tables(engine, tmp_path):
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    result = study_data()
    hostile = replace(result, analyses=(replace(result.analyses[0], outcome=HOSTILE),))
    text = latex_comparison(published()) + latex_comparison(hostile) + latex_outcome(hostile, "1.1")
    packages = r"\usepackage[a4paper,landscape,margin=15mm]{geometry}\usepackage{booktabs,longtable,array}"
    (tmp_path / "t.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}\small {text}\end{{document}}", encoding="utf-8"
    )
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
