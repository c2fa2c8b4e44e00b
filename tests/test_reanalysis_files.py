"""A review's file re-analysed end to end: what the file stores comes back, and nothing in it is lost or invented."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from rm5_files import outcome, real, review, row
from simulated import MEANS, mean_differences, pooled_sd, simulated
from typer.testing import CliRunner

import bayespip as bp
from bayespip import priors
from bayespip.cli import app
from bayespip.plots import comparison_rows
from bayespip.reanalysis.cases import pooled_results
from bayespip.text.findings import findings
from bayespip.text.summary import summary

# Results, totals and subgroups, that each file stores, and one of its analyses.
FILES = {
    "Fleiss1993.rm5": (1, "1.1"),
    "Fleiss1993.zip": (1, "1.2"),
    "Fleiss1993_CR.csv": (2, "1.2"),
    "cochrane/CD003188StatsDataOnly.rm5": (71, "1.4"),
    "cochrane/CD004976StatsDataOnly.rm5": (19, "1.1"),
    "cochrane/CD007868StatsDataOnly.rm5": (23, "4.1"),
}
# Of the largest, some analyses of each kind; the slow tests run them whole.
SOME = {
    "cochrane/CD003188StatsDataOnly.rm5": ("1.1", "1.2", "1.4", "2.1", "2.3", "2.4"),
    "cochrane/CD004976StatsDataOnly.rm5": ("1.1", "1.2", "1.3", "2.1"),
}
TWO = (
    bp.Priors(priors.normal(0, 2.82, "Gunhan 2020"), priors.half_normal(0.5, "Friede 2017"), name="weak"),
    bp.Priors(priors.flat(), priors.half_cauchy(0.5, "Rover 2021"), name="wide"),
)
LEFT_OUT = {"1.4": "the review does not pool it.", "1.5": "data of the type 'other' are not pooled."}
DL = "DL, Wald"


@cache
def read(name):
    return bp.read_review(real(name))


@cache
def again(name):
    """A real file under two priors."""
    return bp.reanalyse(read(name), TWO, analyses=SOME.get(name), with_pymc=False)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The simulated review as a file."""
    return simulated().to_data_package(tmp_path_factory.mktemp("file") / "simulated.zip")


@pytest.fixture(scope="module")
def ours(package):
    """The same under the default priors, read from the file."""
    return bp.reanalyse(bp.read_review(package), with_pymc=False)


@pytest.fixture(scope="module")
def typed(package, tmp_path_factory):
    """The same from the command line: what it prints, and the folder."""
    out = tmp_path_factory.mktemp("results")
    return run(package, "--out", out, "--no-pymc").stdout, out


def run(source, *options):
    arguments = [str(x) for x in ("reanalyse", source, *options)]
    shown = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1", "TERMINAL_WIDTH": "80"}).invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    return shown


def rows(result, method, parameter="mu", **more):
    found = result.table[(result.table["method"] == method) & (result.table["parameter"] == parameter)]
    for column, value in more.items():
        found = found[found[column] == value]
    return found.set_index("analysis")


def stored(analysis, quantity, subgroup=""):
    table = analysis.stored
    return float(table[(table["subgroup"] == subgroup) & (table["quantity"] == quantity)]["text"].item())


# The file against itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_first_line_counts_what_is_reproduced(name, tmp_path):
    count, only = FILES[name]
    path = real(name)
    shown = run(path, "--out", tmp_path, "--no-pymc", "--only", only).stdout.splitlines()
    assert shown[0] == f"{count} of {count} results reproduced."
    assert f"**{count} of {count} results reproduced.**" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    written = pd.read_csv(
        tmp_path / "reproduction.csv", keep_default_na=False, na_values={"stored": "", "recomputed": ""}
    )
    made = read(name).reproduce()
    assert list(written.columns) == list(made.columns)
    assert (written["analysis"].astype(str) == made["analysis"]).all()
    assert (written["subgroup"] == made["subgroup"]).all()
    assert_allclose(written["stored"], made["stored"], rtol=1e-15)
    assert_allclose(written["recomputed"], made["recomputed"], rtol=1e-15)


def test_the_simulated_review_is_reproduced(typed, ours):
    """Its stored results come from the plain formulas, so this is no circle."""
    shown, out = typed
    assert shown.splitlines()[0] == "5 of 5 results reproduced."
    assert "**5 of 5 results reproduced.**" in (out / "summary.md").read_text(encoding="utf-8")
    assert set(ours.reproduction["verdict"]) == {"reproduced", "not stored"}
    assert pd.read_csv(out / "reproduction.csv").shape == ours.reproduction.shape


@pytest.mark.parametrize("name", FILES)
def test_every_result_that_is_shown_is_in_the_reproduction_and_no_other(name):
    """Totals where the file asks for them, subgroups where it asks for those, each whether it is stored or not."""
    asked = set()
    for analysis in read(name):
        if analysis.measure is None or analysis.settings.totals == "none":
            continue
        asked |= {(analysis.id, s.name) for s in analysis.subgroups}
        if analysis.settings.totals == "total":
            asked.add((analysis.id, ""))
    found = read(name).reproduce()
    effects = found[found["quantity"] == "effect"]
    assert not effects.duplicated(["analysis", "subgroup"]).any()
    assert set(zip(effects["analysis"], effects["subgroup"], strict=True)) == asked


def test_a_file_that_contradicts_itself_is_told_at_once(tmp_path):
    data = [row("DICH", f"STD-{x}", EVENTS_1=str(e)) for x, e in zip("ABC", (3, 7, 9), strict=True)]
    result = {"EFFECT_SIZE": "0.93", "CI_START": "0.51", "CI_END": "1.74", "ESTIMABLE": "YES", "DF": "2"}
    (tmp_path / "odd.rm5").write_text(review(outcome("DICH", *data, **result)), encoding="utf-8")
    shown = run(tmp_path / "odd.rm5", "--out", tmp_path / "out", "--no-pymc").stdout.splitlines()
    assert shown[0] == "0 of 1 results reproduced."
    assert any(line.startswith("1.1, effect: stored 0.93, recomputed ") for line in shown)
    assert "| 1.1 |  | effect | 0.93 |" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


# The review's own method, from the engines ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "analyses"), [("cochrane/CD003188StatsDataOnly.rm5", 3), ("cochrane/CD007868StatsDataOnly.rm5", 19)]
)
def test_dersimonian_and_laird_give_what_the_file_stores(name, analyses):
    """Of random effects by inverse variance; with Mantel-Haenszel, RevMan's Q is about another mean."""
    found, compared = rows(again(name), DL), 0
    for analysis in pooled_results(read(name)):
        settings = analysis.settings
        if analysis.id in found.index and (settings.method, settings.model) == ("IV", "random"):
            mu = found.loc[analysis.id]
            wanted = [stored(analysis, quantity) for quantity in ("effect", "lower", "upper")]
            assert_allclose([mu["point"], mu["lower"], mu["upper"]], wanted, rtol=1e-9, atol=1e-9)
            compared += 1
    assert compared == analyses


def test_dersimonian_and_laird_give_what_the_simulated_file_stores(ours):
    found = rows(ours, DL)
    for analysis in pooled_results(ours.review):
        if analysis.id in found.index:
            mu = found.loc[analysis.id]
            wanted = [stored(analysis, quantity) for quantity in ("effect", "lower", "upper")]
            assert_allclose([mu["point"], mu["lower"], mu["upper"]], wanted, rtol=1e-9)
            tau = rows(ours, DL, "tau").loc[analysis.id, "point"]
            assert tau**2 == pytest.approx(stored(analysis, "tau2"), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in FILES if name != "Fleiss1993.zip"])
def test_a_claim_is_what_the_stored_interval_says(name):
    judged = 0
    for analysis in again(name).analyses:
        if analysis.reported is None or analysis.id not in rows(again(name), DL).index:
            continue
        lower, upper = stored(analysis, "lower"), stored(analysis, "upper")
        excludes = not lower <= analysis.measure.null <= upper
        held = rows(again(name), "exact normal-normal").loc[[analysis.id]]
        assert set(held["claim"]) == {"significant" if excludes else "not significant"}
        above = stored(analysis, "effect") > analysis.measure.null
        for _, mu in held.iterrows():
            same_side = mu["lower_model"] > 0 if above else mu["upper_model"] < 0
            assert mu["holds"] == (("yes" if same_side else "no") if excludes else "no claim")
        judged += 1
    assert judged


# Nothing lost, nothing invented ---------------------------------------------------------------------------------------


def test_subgroups_without_a_total_stay_subgroups():
    result = again("cochrane/CD007868StatsDataOnly.rm5")
    assert {"4.1.1", "4.1.2"} < set(result.table["analysis"])
    assert "4.1" not in set(result.table["analysis"])
    assert not len(result.reproduction.query("analysis == '4.1' and subgroup == ''"))


@pytest.mark.parametrize(
    ("only", "parts"), [(["4.1"], ["4.1.1", "4.1.2"]), (["4.1.1"], ["4.1.1"]), (["4.1", "4.1.2"], ["4.1.1", "4.1.2"])]
)
def test_a_subgroup_is_asked_for_by_its_own_number_or_its_analysis(only, parts):
    result = bp.reanalyse(read("cochrane/CD007868StatsDataOnly.rm5"), TWO, analyses=only, with_pymc=False)
    assert list(dict.fromkeys(result.table["analysis"])) == parts
    assert result.settings["analyses"] == tuple(parts)


@pytest.mark.parametrize("name", FILES)
def test_every_analysis_is_in_the_table_fitted_or_with_its_reason(name):
    result = again(name)
    chosen = SOME.get(name)
    everything = [a.id for a in pooled_results(read(name)) if chosen is None or a.id in chosen]
    assert list(dict.fromkeys(result.table["analysis"])) == everything
    reasons = result.table[result.table["note"].str.startswith("not pooled: ")]
    fitted = rows(result, DL).index
    assert sorted([*fitted, *reasons["analysis"]]) == sorted(everything)


def test_what_is_left_out_is_named_with_its_reason_everywhere(ours, typed):
    notes = ours.table.set_index("analysis")["note"]
    text, (shown, _) = summary(ours), typed
    for analysis, reason in LEFT_OUT.items():
        assert notes[analysis] == f"not pooled: {reason}"
        name = ours.review[analysis].outcome
        assert f"| {analysis} | {name} | not pooled: {reason} |" in text
        assert f"{analysis}  {name}: not pooled: {reason}" in " ".join(shown.split("\n"))


def test_rows_say_they_are_study_data_and_how_many(ours):
    fitted = ours.table[ours.table["method"] != "published"]
    assert set(fitted["basis"]) == {"study data"}
    counts = fitted.groupby("analysis")["k"].unique()
    assert {a: list(k) for a, k in counts.items()} == {"1.1": [3], "1.2": [3], "1.3.1": [2], "1.3.2": [2], "1.6": [2]}
    # Two studies on a scale of unknown unit: priors that take theirs from the standard errors.
    assert set(fitted[fitted["analysis"] == "1.6"]["prior_tau"]) == {"", "uniform shrinkage", "DuMouchel"}
    left_out = "Not estimable, and so left out: Trial C 2003 (event_e 0, n_e 12, event_c 0, n_c 11)."
    assert (ours.assumptions["assumption"] == left_out).any()


# Priors and directions ------------------------------------------------------------------------------------------------


def test_priors_of_mean_differences_are_on_the_scale_of_the_outcome(ours):
    """The weakly informative tau of an SMD, 0.5 sqrt(3) / pi, to three digits as the label has it, times the SD."""
    label = "HN(0.276 SD)"
    mu = rows(ours, "exact normal-normal", prior_tau=label, prior_mu="flat").loc["1.2"]
    by_hand = bp.exact_fit(
        bp.EffectSizes("ABC", *mean_differences(), "MD"),
        bp.Priors(priors.flat(), priors.half_normal(0.276 * pooled_sd())),
    )
    assert_allclose([mu["point"], mu["lower"], mu["upper"]],
                    [by_hand.mu.point, by_hand.mu.lower, by_hand.mu.upper], rtol=1e-9)  # fmt: skip
    source = ours.priors.query("measure == 'MD' and name == @label")["source"].item()
    assert f"the studies' standard deviation {pooled_sd():.4g}" in source


def test_a_mean_difference_in_other_units_has_the_same_conclusions(package):
    """Minutes or hours: every interval is 60 times as long."""
    review = bp.read_review(package)
    minutes, hours = (
        bp.reanalyse(scaled(review, 1 / unit), analyses=["1.2"], with_pymc=False).table.query("method != 'published'")
        for unit in (1, 60)
    )
    for column in ("point", "lower", "upper"):
        assert_allclose(minutes[column], 60 * hours[column], rtol=1e-6, atol=1e-9)
    assert_allclose(minutes["prob_below_null"], hours["prob_below_null"], atol=1e-7)


def scaled(review, factor):
    from dataclasses import replace

    pain = review["1.2"]
    moments = [c for c in pain.studies if c.startswith(("mean", "sd"))]
    assert len(moments) == len(MEANS[0]) - 2
    other = replace(pain, studies=pain.studies.assign(**{c: factor * pain.studies[c] for c in moments}), stored=None)
    return replace(review, analyses=(replace(other, reported=None),))


@pytest.mark.parametrize(
    ("analysis", "favours", "side", "arrow"),
    [("1.1", "higher", "above", "favours experimental arm →"), ("1.2", "lower", "below", "← favours experimental arm")],
)
def test_beneficial_means_the_same_everywhere(ours, analysis, favours, side, arrow):
    """Direction comes from the sides of the review's forest plot, and is handled once."""
    assert ours.review[analysis].favours == favours
    mu = rows(ours, "exact normal-normal").loc[[analysis]]
    assert set(mu["favours"]) == {favours}
    assert (mu["prob_favours"] == mu[f"prob_{side}_null"]).all()
    assert mu["prob_favours"].notna().all()
    assert next(f for f in findings(ours) if f.analysis.id == analysis).favours == favours
    block = summary(ours).split(f"### {analysis} ")[1].split("###")[0]
    assert f"{favours} is favourable" in block
    shown = mu.iloc[0]["prob_favours"]
    assert f" {shown:.3f} |" in block or ">0.999 |" in block
    panels = comparison_rows.panels(comparison_rows.results(ours.table, [analysis]))
    assert [b.direction for p in panels for b in p.blocks] == [arrow.replace("experimental arm", "Exercise")]


def test_one_file_in_three_forms_has_one_reanalysis():
    """Of the analysis on which the forms agree; the package is of a version without names of the sides."""
    found = [again(name).table.query("analysis == '1.1' and method != 'published'") for name in list(FILES)[:3]]
    numbers = [f.set_index(["method", "prior", "parameter"])[["point", "lower", "upper"]] for f in found]
    for other in numbers[1:]:
        pd.testing.assert_frame_equal(other, numbers[0], rtol=1e-9)


# What a user gives instead of a review's file -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.rm5", b"", "expected a review's data; found nothing"),
        ("paper.pdf", b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n", "expected a RevMan 5 file"),
        ("page.rm5", b"<!DOCTYPE html><html><body>Access denied</body></html>", "expected <COCHRANE_REVIEW>"),
        ("mine.csv", b"study,ai,n1i,ci,n2i\nA,1,20,3,20\n", "expected a RevMan 5 file"),
        ("review.docx", b"PK\x03\x04" + bytes(60), "expected a whole zip archive"),
        ("none.rm5", review().encode(), "nothing to pool in none: it holds no analyses."),
        ("apart.rm5", review(*(outcome("DICH", row("DICH"), no=i, TOTALS="NO") for i in (1, 2))).encode(),
         "nothing to pool in apart: 1.1, 1.2: the review does not pool it."),
    ],
)  # fmt: skip
def test_what_is_no_review_or_cannot_be_pooled_is_one_line_and_writes_nothing(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    shown = CliRunner().invoke(app, ["reanalyse", str(tmp_path / name), "--out", str(tmp_path / "out"), "--no-pymc"])
    assert shown.exit_code == 1
    (line,) = (text for text in shown.stderr.splitlines() if text.strip())
    assert line.startswith("Error: ")
    assert message in line
    assert shown.stdout == ""
    assert not (tmp_path / "out").exists()


def test_the_name_of_a_file_does_not_matter(tmp_path):
    found = [again(name).table for name in ("Fleiss1993.rm5", "Fleiss1993.zip")]
    for name, expected in zip(("data.txt", "download"), found, strict=True):
        source = "Fleiss1993.rm5" if name.endswith("txt") else "Fleiss1993.zip"
        (tmp_path / name).write_bytes(real(source).read_bytes())
        renamed = bp.reanalyse(bp.read_review(tmp_path / name), TWO, with_pymc=False)
        pd.testing.assert_frame_equal(renamed.table, expected)


def test_names_are_shown_as_they_are_and_do_no_harm(tmp_path):
    names = (
        "&lt;script&gt;alert(1)&lt;/script&gt; | [bold]x[/bold] $\\frac{ `a`",
        "\u05db\u05d0\u05d1 \u0623\u0644\u0645",
        "w" * 200,
    )
    trials = [row("DICH", f"STD-{x}", EVENTS_1=e) for x, e in zip("ABC", "387", strict=True)]
    outcomes = [outcome("DICH", *trials, no=i, name=name) for i, name in enumerate(names, 1)]
    (tmp_path / "odd.rm5").write_text(review(*outcomes), encoding="utf-8")
    shown = run(tmp_path / "odd.rm5", "--out", tmp_path / "out", "--no-pymc").stdout
    assert "[bold]x[/bold]" in shown
    assert "\u05db\u05d0\u05d1" in shown
    text = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    tables = [line for line in text.splitlines() if line.startswith("| 1.1 ")]
    assert tables
    assert all(" \\| " in line for line in tables)


# Whole files ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_from_the_command_line(name, tmp_path):
    count, _ = FILES[name]
    shown = run(real(name), "--out", tmp_path, "--no-pymc")
    assert shown.stdout.splitlines()[0] == f"{count} of {count} results reproduced."
    table = pd.read_csv(
        tmp_path / "comparison.csv", keep_default_na=False, na_values={"point": ""}, dtype={"analysis": str}
    )
    assert list(dict.fromkeys(table["analysis"])) == [a.id for a in pooled_results(read(name))]
    bayesian = table[table["method"] == "exact normal-normal"]
    assert bayesian["point"].notna().all()
    assert set(bayesian.groupby("analysis")["prior"].nunique()) <= {8, 11}
    assert {f.name for f in Path(tmp_path).iterdir()} >= {"comparison.png", "summary.md", "reproduction.csv"}


@pytest.mark.slow
def test_both_engines_agree_on_a_file(tmp_path):
    shown = run(real("Fleiss1993_CR.csv"), "--out", tmp_path)
    assert shown.stdout.splitlines()[0] == "2 of 2 results reproduced."
    checks = pd.read_csv(tmp_path / "checks.csv")
    assert set(checks["analysis"].astype(str)) == {"1.1", "1.2"}
    assert checks["agrees"].all()
    assert (checks["rhat_max"] < 1.01).all()
    assert np.isfinite(checks["deviation_mcse"]).all()
    assert (tmp_path / "posterior.nc").is_file()
