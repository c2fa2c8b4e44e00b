"""The example scripts: short, and they run as they are, from another folder, without a warning."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bayespip as bp

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST = 40  # lines


def run(name, *arguments, folder):
    """What the script prints; without a display, and with warnings as errors."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_there_are_three_and_none_is_long():
    lengths = {path.stem: len(path.read_text(encoding="utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert sorted(lengths) == ["many_reviews", "one_outcome_many_priors", "one_review"]
    assert max(lengths.values()) <= LONGEST


@pytest.fixture
def simulated(tmp_path):
    """Two simulated trials as a CSV of risk ratios."""
    file = tmp_path / "simulated.csv"
    file.write_text("study,ai,n1i,ci,n2i\nsimulated 1,3,20,9,21\nsimulated 2,4,22,11,25\n", encoding="utf-8")
    return file


def test_one_outcome_many_priors(simulated, tmp_path):
    printed = run("one_outcome_many_priors", simulated, "--out", "priors", folder=tmp_path)
    grid = pd.read_csv(tmp_path / "priors" / "priors.csv")
    assert (tmp_path / "priors" / "priors.png").read_bytes().startswith(b"\x89PNG")
    effects = bp.effect_sizes(bp.read_table(simulated, "RR"), "RR")
    fit = bp.exact_fit(effects, bp.Priors(bp.priors.flat(), bp.priors.half_normal(0.5)))
    row = grid.query("prior == 'tau half-normal(0.5), mu flat' and parameter == 'mu'").iloc[0]
    assert list(row[["point_model", "lower_model", "upper_model"]]) == pytest.approx(
        [fit.mu.point, fit.mu.lower, fit.mu.upper], rel=1e-9
    )
    assert f"interval: {bp.tipping_point(effects, 'half-normal', 'interval')}" in printed


def test_many_reviews(tmp_path):
    printed = run("many_reviews", "coaching", "--out", "swept", folder=tmp_path)
    assert "reviews: 1" in printed
    table = pd.read_parquet(tmp_path / "swept" / "results").query("parameter == 'mu'")
    excludes = (table["lower_model"] > 0) | (table["upper_model"] < 0)
    assert "Analyses of any number of studies" in printed
    assert "five studies or fewer" not in printed
    for way, share in zip(table["method"], excludes, strict=True):
        if way != "exact normal-normal":
            line = next(line for line in printed.splitlines() if f" {way} " in line)
            assert float(line.split()[-2]) == share


@pytest.mark.slow
def test_one_review(tmp_path):
    printed = run("one_review", "coaching", "--out", "one", "--report", folder=tmp_path)
    table = pd.read_csv(tmp_path / "one" / "comparison.csv")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"comparison.csv", "comparison.png", "report.html"}
    assert table["method"].iloc[0] == "common, Wald"
    assert f"{table['point'].iloc[0]:.6f}" in printed
    assert "reproduced" not in printed
