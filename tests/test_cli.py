"""The commands as a user types them."""

import errno
import os
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import bayespip as bp
from bayespip.cli import app
from bayespip.text.terminal import show
from bayespip.text.wording import interval

COMMANDS = typer.main.get_command(app)
ENVIRONMENT = {"COLUMNS": "80", "NO_COLOR": "1", "TERMINAL_WIDTH": "80"}


@pytest.fixture
def run():
    runner = CliRunner(env=ENVIRONMENT)
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_help_names_the_commands_and_gives_examples(run):
    shown = run("--help")
    assert shown.exit_code == 0
    assert set(COMMANDS.commands) >= {"reanalyse", "report", "models", "sbc", "reviews", "audit", "priors"}
    for part in (*COMMANDS.commands, "--version", "--install-completion", "bayespip reanalyse pip --out results"):
        assert part in shown.output
    assert run().output.strip() == shown.output.strip()


@pytest.mark.parametrize("name", list(COMMANDS.commands))
def test_help_of_a_command_gives_examples_that_it_can_read(run, name):
    command = COMMANDS.commands[name]
    shown = run(name, "--help")
    assert shown.exit_code == 0
    _, *examples = command.epilog.split("\n\n")
    assert examples
    for example in examples:
        program, called, *arguments = shlex.split(example)
        assert (program, called) == ("bayespip", name)
        assert " ".join(example.split()[:3]) in shown.output
        command.make_context(name, arguments)  # refuses an option or a value that the command does not have


def test_options_of_the_main_job_are_in_its_help(run):
    shown = run("reanalyse", "--help").output
    for part in ("--out", "--only", "--no-bounds", "--no-pymc", "--pooling", "--level", "--model", "--seed"):
        assert part in shown


def test_version(run):
    shown = run("--version")
    assert (shown.exit_code, shown.output) == (0, f"bayespip {bp.__version__}\n")


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
        (
            ("dentistry",),
            "Error: review must be a file that exists or one of bcg, coaching, pip; got 'dentistry'. A file is looked",
        ),
        ((".",), "Error: review must be a file that exists or one of bcg, coaching, pip; got '.', which is a folder."),
        (("pip", "--only", "P99"), "Error: analyses must be among P1, P2,"),
        (("pip", "--model", "magic"), "Error: model must be one of attachment, "),
        (
            ("pip", "--only", "P1", "--pooling", "Peto"),
            "Error: pip P1: pooling must be one of IV, MH; got 'Peto'.",
        ),
        (("bcg", "--level", "95"), "Error: level must lie in (0, 1); got 95.0."),
        (
            ("pip", "--only", "N1"),
            "Error: nothing to pool in pip: neither study data nor a published result for N1. `bayespip audit` shows",
        ),
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
    assert shown.stderr.strip() == f"Error: out must be a folder; {file} is a file. Name another with --out."


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
    monkeypatch.setattr("bayespip.reanalysis.job.reanalyse", lambda *_, **__: disagreeing)
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
    message = f"Error: out must be a file, such as report.html; {tmp_path} is a folder. Name another with --out."
    assert shown.stderr.strip() == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (("dentistry",), "A file is looked for from this folder; `bayespip reviews` describes the bundled reviews."),
        ((__file__,), "A table of your own is read in Python, by bayespip.read_table."),
        (("pip", "--only", "P99"), "Without --only all are pooled."),
        (("pip", "--model", "magic"), "`bayespip models` says what each is for."),
        (("pip", "--only", "N1"), "`bayespip audit` shows what the review does say."),
    ],
)
def test_an_error_ends_with_what_to_do(run, tmp_path, arguments, step):
    shown = run("reanalyse", *arguments, "--out", tmp_path)
    assert shown.exit_code == 1
    assert shown.stderr.strip().endswith(f". {step}")


def test_what_the_system_refuses_is_said_with_the_file(run, tmp_path, monkeypatch):
    """Rights do not bind every user who runs the tests, so the system's refusal is put in its place."""
    refusal = PermissionError(errno.EACCES, "Permission denied", "secret.rm5")
    monkeypatch.setattr("bayespip.readers.files.read_review", lambda _: (_ for _ in ()).throw(refusal))
    (tmp_path / "secret.rm5").touch()
    shown = run("audit", tmp_path / "secret.rm5")
    assert shown.exit_code == 1
    assert shown.stderr.strip() == "Error: secret.rm5: permission denied."


@pytest.mark.parametrize("option", ["--k", "--replicates"])
def test_calibration_needs_at_least_one(run, option):
    shown = run("sbc", "normal_normal", option, "0")
    assert shown.exit_code == 2
    assert "should be greater than or equal to 1" in " ".join(shown.stderr.split())


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


STARTS = """
import sys
from bayespip.cli import app
try:
    app(prog_name="bayespip")
finally:
    print(sorted({"arviz", "matplotlib", "pandas", "pymc", "scipy", "xarray"} & set(sys.modules)), file=sys.stderr)
"""


def started(*arguments, **environment):
    """What a fresh process prints, and which engines it had loaded at its end."""
    command = [sys.executable, "-c", STARTS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    return done.stdout.split(), done.stderr.splitlines()[-1]


def test_the_command_line_starts_without_the_engines():
    shown, loaded = started("--version")
    assert (shown, loaded) == (["bayespip", bp.__version__], "[]")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bayespip re", {"reanalyse", "report", "reviews"}),
        ("bayespip reanalyse ", {"bcg", "coaching", "pip"}),
        ("bayespip reanalyse pip --model norm", {"normal_arms", "normal_normal"}),
        ("bayespip reanalyse pip --no-p", {"--no-pymc"}),
    ],
)
def test_the_shell_completes_without_loading_the_engines(words, expected):
    place = str(len(shlex.split(words)) - (not words.endswith(" ")))
    shown, loaded = started(_BAYESPIP_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=place)
    assert (set(shown), loaded) == (expected, "[]")


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
