"""The explorer in a real browser: what it shows when it is moved is what exact_fit says."""

import math
import re
import shutil
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from reanalyses import published, study_data

import bayespip as bp
from bayespip.report.explorer import explorer, explorer_head
from bayespip.text import wording

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]
WIDTHS = {1280: 900, 390: 844}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # containers run as root, where Chromium has no sandbox
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@cache
def page_of(make, index):
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Explorer</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{explorer_head()}<body>{explorer(make(), index, 'x')}</body>"
    )


@pytest.fixture
def opened(browser, tmp_path):
    contexts, heard = [], []

    def visit(make, index, width=1280, scheme="light"):
        file = tmp_path / "explorer.html"
        file.write_text(page_of(make, index), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("svg.forest path.curve", state="attached")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert heard == []


def fit_shown(page, make):
    """The call that the page shows, made."""
    call = page.locator("code.call").inner_text()
    return eval(call, {"bp": bp, "math": math, "result": make()})  # noqa: S307


def require_shown(page, make):
    """Every number shown is exact_fit's, written as everywhere else."""
    fit = fit_shown(page, make)
    measure = fit.effects.measure

    def row(marginal, *, model=False):
        limits = (marginal.point, marginal.lower, marginal.upper)
        none = 0.0 if model else measure.null
        return [wording.number(float(x if model else measure.display(x)), none) for x in limits]

    page.locator("details").evaluate("one => { one.open = true }")
    rows = page.locator("tbody tr").evaluate_all("rows => rows.map(r => [...r.cells].map(c => c.textContent))")
    expected = [row(fit.mu), row(fit.tau, model=True), row(fit.theta_new), *map(row, fit.theta.values())]
    assert [cells[1:] for cells in rows] == expected
    assert [cells[0] for cells in rows[3:]] == list(fit.effects.study)
    says = page.locator(".says").inner_text()
    point, lower, upper = expected[0]
    assert f"{measure.name} {point} ({lower} to {upper})" in says
    assert "excludes no effect" in says if fit.mu.lower > 0 or fit.mu.upper < 0 else "includes no effect" in says
    above = "above" in re.search(r"P\(μ (\w+)", says)[1]
    p = fit.prob_positive if above else 1 - fit.prob_positive
    assert f") = {wording.probability(p)}" in says
    return fit


@pytest.mark.parametrize(("make", "index"), [(study_data, 0), (published, 0), (published, 4)])
def test_the_slider_moves_by_keyboard_to_the_numbers_of_exact_fit(opened, make, index):
    page = opened(make, index)
    first = require_shown(page, make)
    in_use = make().sets[index][0].priors
    assert (str(first.priors.mu), str(first.priors.tau)) == (str(in_use.mu), str(in_use.tau))
    page.locator("input[name$=family][value='0']").check()
    slider = page.locator("input[type=range]")
    slider.focus()
    scales = []
    for key in ("Home", "ArrowRight", "ArrowRight", "End", "ArrowLeft"):
        page.keyboard.press(key)
        scales.append(require_shown(page, make).priors.tau.parameters[0])
    assert scales[0] < scales[1] < scales[2] < scales[4] < scales[3]
    assert page.locator(".scale output").inner_text() == f"{scales[4]:.3g}"
    assert f"scale {scales[4]:.3g}" in slider.get_attribute("aria-valuetext")


def test_families_and_priors_on_mu_are_chosen_by_keyboard(opened):
    page = opened(study_data, 0)
    page.locator("input[name$=family]:checked").focus()
    seen = set()
    for _ in range(page.locator("input[name$=family]").count()):
        page.keyboard.press("ArrowRight")
        seen.add(require_shown(page, study_data).priors.tau.family)
    assert {"half-normal", "half-cauchy", "exponential", "uniform"} < seen
    page.locator("input[name$=mu]:checked").focus()
    mus = set()
    for _ in range(page.locator("input[name$=mu]").count()):
        page.keyboard.press("ArrowDown")
        mus.add(str(require_shown(page, study_data).priors.mu))
    assert mus == {str(s.priors.mu) for s in study_data().sets[0]}
    page.locator(".reset").press("Enter")
    first, in_use = require_shown(page, study_data).priors, study_data().sets[0][0].priors
    assert (str(first.mu), str(first.tau)) == (str(in_use.mu), str(in_use.tau))


def test_pictures_move_with_the_prior(opened):
    page = opened(study_data, 0)
    page.locator("input[name$=family][value='0']").check()
    page.locator("input[type=range]").press("Home")

    def drawn():
        return page.locator("svg path, svg line").evaluate_all(
            "all => all.map(e => e.outerHTML).filter(t => /pooled|curve|new/.test(t))"
        )

    narrow = drawn()
    page.locator("input[type=range]").press("End")
    wide = drawn()
    assert sum(a != b for a, b in zip(narrow, wide, strict=False)) > len(narrow) / 2
    assert not any("NaN" in text for text in (*narrow, *wide))


def test_a_published_claim_and_the_range_over_possible_studies_are_told(opened):
    says = opened(published, 0).locator(".says").inner_text()
    assert "for the possible studies shown" in says
    assert re.search(r"over the possible studies (\S+ to )?[<>]?\d", says)
    assert re.search(r"The published claim of an effect .*in (all|some|none) of the possible sets of studies\.", says)


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("make", "index"), [(study_data, 0), (published, 0)])
def test_fits_the_screen_and_no_name_runs_into_the_plot(opened, width, scheme, make, index):
    page = opened(make, index, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    left = page.locator("svg.forest .domain").bounding_box()["x"]
    for name in page.locator("svg.forest text.name").all():
        box = name.bounding_box()
        assert box["x"] + box["width"] <= left + 1
    labels = [tick.bounding_box() for tick in page.locator("svg.forest .tick text").all()]
    assert len(labels) >= 2
    ordered = sorted(labels, key=lambda box: box["x"])
    assert all(a["x"] + a["width"] < b["x"] for a, b in pairwise(ordered))


def test_the_numbers_are_announced_and_the_pictures_described(opened):
    page = opened(study_data, 0)
    says = page.locator(".says")
    assert (says.get_attribute("role"), says.get_attribute("aria-live")) == ("status", "polite")
    for name in ("forest", "heterogeneity"):
        assert len(page.locator(f"svg.{name}").get_attribute("aria-label")) > 40
    assert page.get_by_label("Scale of the prior on τ").count() == 1
    assert page.get_by_role("group", name="Prior on τ").count() == 1
    assert page.get_by_role("group", name="Prior on μ").count() == 1


def test_numbers_are_written_as_in_the_tables(opened):
    page = opened(study_data, 0)
    rng = np.random.default_rng(1)
    drawn = [
        *rng.uniform(-1e7, 1e7, 200).tolist(),
        *rng.uniform(-2, 2, 200).tolist(),
        *np.exp(rng.uniform(-20, 20, 400)).tolist(),
    ]
    drawn += [
        1.00004,
        0.99996,
        1 - 1e-7,
        1e-10,
        123.4,
        99.96,
        9.996,
        0.0996,
        1e6,
        1e-3,
        999999.6,
        -0.001,
        0.0,
        math.inf,
    ]
    for none in (0, 1):
        usable = [x for x in drawn if none == 0 or x > 0]
        written = page.evaluate("([xs, none]) => xs.map(x => bayespipExplorer.write(x, none))", [usable, none])
        assert written == [wording.number(x, none) for x in usable]
    shares = [0.0, 1e-9, 0.0004, 0.0005, 0.0123, 0.5012, 0.9994, 0.9996, 1 - 1e-12, 1.0]
    written = page.evaluate("ps => ps.map(bayespipExplorer.writeProbability)", shares)
    assert written == [wording.probability(p) for p in shares]
