"""README's table is what the package computes, and its example runs."""

import re
from pathlib import Path

import pytest
import rm5_files

import bayespip as bp
from bayespip.wording import estimate, spread

README = Path(__file__).parents[1] / "README.md"
ANALYSES = ("P1", "P2", "P5", "P9", "P13")
BEGIN, END = "<!-- table: tests/test_readme.py -->", "<!-- end of table -->"


def lines(table):
    """README's table from the tidy one."""
    mu = table[table["parameter"] == "mu"]
    priors = "τ half-normal, μ flat | τ half-normal, μ normal | τ and μ from Bartos"
    yield f"| | published | REML, HKSJ floored | {priors} | claim holds |"
    yield "|---|---|---|---|---|---|---|"
    for analysis in ANALYSES:
        rows = mu[mu["analysis"] == analysis]
        published = rows[rows["method"] == "published"].iloc[0]
        exact = rows[rows["method"] == "exact normal-normal"]
        weak, pair = (exact[exact["prior_kind"] == kind] for kind in ("weakly informative", "empirical pair"))
        half_normal = weak[weak["prior_tau"] == weak["prior_tau"].iloc[0]]
        shown = [rows[rows["method"] == "REML, HKSJ floored"].iloc[0], *half_normal.iloc, pair.iloc[0]]
        counts = exact["holds"].value_counts()
        places = (("all", "in all members"), ("some", "in some members"), ("none", "in no member"))
        holds = ", ".join(f"{counts.get(name, 0)} {short}" for short, name in places)
        reported = bp.load_review("pip")[analysis].reported
        cells = [
            f"**{analysis}** {published['outcome']} ({published['measure']}, k = {published['k']})",
            f"{reported.estimate} ({reported.ci_lower} to {reported.ci_upper})",
            *(cell(row) for row in shown),
            holds if reported.claim == "significant" else "no claim",
        ]
        yield f"| {' | '.join(cells)} |"


def cell(row):
    null = 1 if row["measure"] == "RR" else 0
    value = estimate(row["point"], row["lower"], row["upper"], null)
    bounds = (spread(row[f"{edge}_min"], row[f"{edge}_max"], null) for edge in ("lower", "upper"))
    return f"{value}<br>[{'; '.join(bounds)}]"


@pytest.mark.slow
def test_the_table_is_what_the_package_computes():
    result = bp.reanalyse(bp.load_review("pip"), analyses=ANALYSES, with_pymc=False)
    printed = README.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip().splitlines()
    assert printed == list(lines(result.table))


def test_the_tipping_point_it_quotes_is_the_computed_one():
    effects = bp.consistent_studies(bp.load_review("pip")["P2"].reported).illustration()
    found = bp.tipping_point(effects, "half-normal", "interval")
    assert f'print(bp.tipping_point(effects, "half-normal", "interval"))  # "{found}"' in README.read_text("utf-8")


def test_the_example_runs(tmp_path, monkeypatch):
    data = [rm5_files.row("DICH", study, EVENTS_1=n) for study, n in (("STD-A", "3"), ("STD-B", "4"))]
    outcomes = (rm5_files.outcome("DICH", *data, no=no) for no in (1, 2))
    (tmp_path / "CD010534.rm5").write_text(rm5_files.review(*outcomes), encoding="utf-8")
    (tmp_path / "mine.csv").write_text("study,ai,n1i,ci,n2i\nA,3,20,5,21\nB,4,22,9,25\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})  # noqa: S102  (our own README)
