"""README's table is what the package computes, its links lead somewhere; test_docs runs its examples."""

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

import bayespip as bp
from bayespip.text.wording import estimate, spread

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


def test_every_file_it_names_is_there():
    places = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert "docs/comparison.png" in places
    assert [place for place in places if not (README.parent / place).exists()] == []


def test_its_badges_are_true():
    project = tomllib.loads((README.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = [c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    shown = re.findall(r"https://img\.shields\.io/badge/([^)]*)-blue", README.read_text(encoding="utf-8"))
    assert [unquote(badge) for badge in shown] == [f"python-{' | '.join(pythons)}", f"licence-{project['license']}"]


def test_its_picture_is_small_enough_for_a_page():
    assert 20_000 < (README.parent / "docs/comparison.png").stat().st_size < 300_000
