"""The commands as a user types them."""

import re
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from bayespip.cli import app
from bayespip.terminal import show
from bayespip.wording import interval

ENVIRONMENT = {"COLUMNS": "80", "NO_COLOR": "1", "TERMINAL_WIDTH": "80"}


@pytest.fixture
def run():
    runner = CliRunner(env=ENVIRONMENT)
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_help_names_the_commands(run):
    shown = run("--help")
    assert shown.exit_code == 0
    assert "reanalyse" in shown.output
    assert "reviews" in shown.output


def test_help_of_a_command_gives_examples(run):
    shown = run("reanalyse", "--help")
    assert shown.exit_code == 0
    for part in ("--out", "--only", "--no-bounds", "--no-pymc", "--pooling", "--level", "--seed"):
        assert part in shown.output
    assert "bayespip reanalyse pip --out results" in shown.output


def test_reviews_are_listed_with_what_there_is_of_them(run):
    shown = run("reviews")
    assert shown.exit_code == 0
    for part in ("bcg", "coaching", "pip", "19 published", "10 not published", "1 study data"):
        assert part in shown.output
    assert shown.output.count("10.1080/02646838.2016.1222357") == 1
    assert max(map(len, shown.output.splitlines())) <= 80


def test_one_outcome_in_eighty_columns(run, tmp_path):
    shown = run("reanalyse", "pip", "--out", tmp_path, "--only", "P1", "--only", "N9", "--no-pymc", "--no-bounds")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert max(map(len, lines[:-1])) <= 80  # the last line has the folder's name
    assert any(line.startswith("P1  Infant attachment: secure") for line in lines)
    assert "published 8.93 (1.25 to 63.70), significant; higher is favourable" in lines
    # Every prior stands there with both its names, and every number whole.
    for name in (
        "HN(0.5)",
        "HN(1)",
        "HC(0.5)",
        "U(0, 2)",
        "Bartos CMD",
        "Bartos DPLP*",
        "N(0, 2.82²)",
        "flat",
    ):
        assert name in shown.stdout
    assert "…" not in shown.stdout
    table = pd.read_csv(tmp_path / "comparison.csv").query("parameter == 'mu' and method != 'published'")
    for lower, upper in zip(table["lower"], table["upper"], strict=True):
        assert interval(lower, upper, 1) in shown.stdout
    assert "Not published; read the review's own data file" in lines
    assert any(line.startswith("N9  Attachment change: stable secure") for line in lines)
    assert "P2  " not in shown.stdout
    assert {f.name for f in tmp_path.iterdir()} >= {"comparison.csv", "summary.md"}
    assert "summary.md" in lines[-1]


def test_study_data_need_no_columns_about_claims(run, tmp_path):
    shown = run("reanalyse", "bcg", "--out", tmp_path, "--no-pymc", "--level", "0.9", "--seed", "3")
    assert shown.exit_code == 0, shown.output
    for absent in ("claim", "bounds of", "consistent-with-reported", "not independent"):
        assert absent not in shown.stdout
    assert "Intervals: 0.9." in shown.stdout
    assert re.search(r"posteriors .*1/1", shown.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dentistry",), "Error: review must be a file that exists or one of bcg, coaching, pip; got 'dentistry'."),
        (("pip", "--only", "P99"), "Error: analyses must be among P1, P2,"),
        (
            ("pip", "--only", "P1", "--pooling", "Peto"),
            "Error: pip P1: pooling must be one of IV, MH; got 'Peto'.",
        ),
        (("bcg", "--level", "95"), "Error: level must lie in (0, 1); got 95.0."),
        (("pip", "--only", "N1"), "Error: nothing to pool in pip:"),
    ],
)
def test_an_error_is_one_line_without_a_traceback_and_nothing_is_written(run, tmp_path, arguments, message):
    (tmp_path / "summary.md").write_text("an earlier run", encoding="utf-8")
    shown = run("reanalyse", *arguments, "--out", tmp_path, "--no-pymc", "--no-bounds")
    assert shown.exit_code == 1
    (line,) = shown.stderr.strip().splitlines()
    assert line.startswith(message)
    assert shown.stdout == ""
    assert [f.name for f in tmp_path.iterdir()] == ["summary.md"]
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == "an earlier run"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(run, tmp_path):
    file = tmp_path / "results"
    file.write_text("", encoding="utf-8")
    shown = run("reanalyse", "pip", "--out", file)
    assert shown.exit_code == 1
    assert shown.stderr.strip() == f"Error: out must be a folder; {file} is a file."


def test_a_disagreement_of_the_engines_is_an_error_after_all_is_written(run, tmp_path, monkeypatch):
    """A fit whose engines disagree cannot be had on demand, so one is made from a good one."""
    from dataclasses import replace

    from reanalyses import study_data

    columns = [
        "analysis",
        "k",
        "prior",
        "agrees",
        "deviation_mcse",
        "first_deviation_mcse",
        "repeated",
        "rhat_max",
        "ess_min",
        "divergences",
    ]
    note = "disagrees with the exact engine by 7.0 Monte Carlo errors"
    row = dict(zip(columns, ("1.1", 13, "tau HN(0.5), mu flat", False, 7.0, 6.0, True, 1.001, 900.0, 0), strict=True))
    disagreeing = replace(study_data(), checks=pd.DataFrame([row | {"note": note}]))
    monkeypatch.setattr("bayespip.reanalysis.reanalyse", lambda *_, **__: disagreeing)
    shown = run("reanalyse", "bcg", "--out", tmp_path)
    assert shown.exit_code == 1
    assert "1 PyMC fit beside the exact engine: 1 converged, 1 repeated, 1 disagree." in shown.stdout
    assert shown.stderr.strip().startswith("Error: PyMC and the exact engine disagree")
    assert "7.0 Monte Carlo errors" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_the_report_is_one_file(run, tmp_path):
    file = tmp_path / "new" / "report.html"
    shown = run("report", "bcg", "--out", file, "--no-pymc")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[-1] == f"Written to {file}."
    assert [f.name for f in file.parent.iterdir()] == ["report.html"]
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_report_in_the_place_of_a_folder_is_refused_before_anything_is_computed(run, tmp_path):
    shown = run("report", "bcg", "--out", tmp_path)
    assert shown.exit_code == 1
    assert shown.stderr.strip() == f"Error: out must be a file, such as report.html; {tmp_path} is a folder."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_both_engines_from_the_command_line(run, tmp_path):
    shown = run("reanalyse", "coaching", "--out", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"3 PyMC fits beside the exact engine: 3 converged, \d repeated, 0 disagree\.", shown.stdout)
    assert {f.name for f in tmp_path.iterdir()} >= {"posterior.nc", "checks.csv"}


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_no_number_is_cut_however_narrow_the_terminal(monkeypatch, capsys, columns):
    from reanalyses import published

    monkeypatch.setenv("COLUMNS", columns)
    show(published())
    shown = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "1000")
    show(published())
    numbers = re.compile(r"[-<>]?\d[\d.e-]*")
    assert numbers.findall(shown) == numbers.findall(capsys.readouterr().out)


def test_the_command_line_starts_without_the_engines():
    heavy = {"arviz", "matplotlib", "pandas", "pymc", "scipy"}
    code = f"import sys, bayespip.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_audit_of_the_bundled_review_prints_its_contradictions(run):
    shown = run("audit", "pip")
    assert shown.exit_code == 0, shown.output
    assert "It repeats the chi-squared, 3.71." in " ".join(shown.stdout.split())
    assert "randomised 846; those of the 8 trials add up to 905" in " ".join(shown.stdout.split())


def test_published_priors_are_listed_and_a_wrong_topic_is_named(run):
    shown = run("priors", "--measure", "SMD", "--topic", "Common Mental Disorders", "--paper", "Bartos")
    assert shown.exit_code == 0, shown.output
    assert "inverse-gamma(1.62, 0.45)" in shown.stdout
    assert "Bartos F" in shown.stdout
    wrong = run("priors", "--measure", "SMD", "--topic", "Astrology")
    assert wrong.exit_code == 1
    assert "Astrology" in wrong.output


def test_a_topic_puts_its_priors_on_the_axis(run, tmp_path):
    shown = run("reanalyse", "bcg", "--out", tmp_path, "--no-pymc", "--topic", "Infectious Diseases")
    assert shown.exit_code == 0, shown.output
    assert "Bartos Infectious Diseases" in shown.stdout
    assert "Bartos Cochrane" not in shown.stdout
