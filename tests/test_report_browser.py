"""The report in a real browser: Debian's Chromium, driven by Playwright."""

import csv
import io
import shutil
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from reports import FORMULA, LONG, NAMES, RTL, SCRIPT, bundled, hostile, many, small

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # containers run as root, where Chromium has no sandbox
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each report, written once."""
    folder = tmp_path_factory.mktemp("reports")
    made = {}

    def of(make):
        if make not in made:
            made[make] = make().report(folder / f"{len(made)}.html")
        return made[make].as_uri()

    return of


@pytest.fixture
def opened(browser, files):
    """Open a report; no console message, error or request may come up until the test ends."""
    contexts, heard = [], []

    def visit(make=small, width="desktop", scheme="light", hash_=""):
        wide, high = WIDTHS[width]
        context = browser.new_context(
            viewport={"width": wide, "height": high}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or heard.append(r.url))
        page.goto(files(make) + hash_)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert heard == []


def column(page, table, place):
    return page.locator(f"#{table} tbody tr > :nth-child({place})").all_text_contents()


@pytest.mark.parametrize("make", [small, hostile])
@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_without_an_error_and_fits_the_screen(opened, make, width, scheme):
    page = opened(make, width, scheme)
    sizes = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert sizes[0] <= sizes[1] == WIDTHS[width][0]
    assert page.locator("svg.figure").count() > 3


def test_a_numeric_column_sorts_up_and_down_by_value(opened):
    page = opened()
    header = page.locator("#all-outcomes thead th", has_text="posterior medians")
    place = header.evaluate("th => th.cellIndex") + 1
    values = f"rows => rows.map(row => Number(JSON.parse(row.cells[{place - 1}].dataset.v)[0]))"
    before = page.locator("#all-outcomes tbody tr").evaluate_all(values)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert page.locator("#all-outcomes tbody tr").evaluate_all(values) == sorted(before)
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert page.locator("#all-outcomes tbody tr").evaluate_all(values) == sorted(before, reverse=True)
    assert before != sorted(before)


def test_rows_without_a_value_stand_last_in_both_directions(opened):
    page = opened()
    table = page.locator("table[id$='-methods']").first
    name = table.get_attribute("id")
    header = table.locator("thead th", has_text="new study")
    place = header.evaluate("th => th.cellIndex") + 1
    for _ in range(2):
        header.locator("button").click()
        shown = column(page, name, place)
        filled = [text not in ("", "undefined") for text in shown]
        assert filled == sorted(filled, reverse=True)
        assert True in filled
        assert False in filled


def test_every_link_leads_somewhere(opened):
    page = opened()
    links = page.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    inside = [link for link in links if link.startswith("#")]
    assert len(inside) > 20
    for link in dict.fromkeys(inside):
        page.locator(f"a[href='{link}']").first.evaluate("a => a.click()")
        assert page.evaluate("location.hash") == link
        top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", link[1:])
        assert top < WIDTHS["desktop"][1], link
    outside = set(links) - set(inside)
    assert outside == {"https://doi.org/10.1080/02646838.2016.1222357"}


def test_search_leaves_the_outcomes_that_have_every_word(opened):
    page = opened()
    page.locator("#search").fill("Attachment AVOIDANT")
    visible = page.locator(".outcome:visible h3").all_text_contents()
    assert [text.split()[0] for text in visible] == ["P2"]
    total = page.locator(".outcome").count()
    assert page.locator("#found").inner_text() == f"1 of {total} outcomes"
    page.locator("#search").fill("")
    assert page.locator(".outcome:visible").count() == total
    assert page.locator("#found").inner_text() == f"{total} outcomes"


def downloaded(page, table):
    with page.expect_download() as waiting:
        page.locator(f"button[data-table='{table}']").click()
    content = waiting.value.path().read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_a_table_is_downloaded_at_full_precision(opened):
    rows = downloaded(opened(), "outcome-P1-methods")
    mu = small().table.query("analysis == 'P1' and parameter == 'mu'")
    tau = small().table.query("analysis == 'P1' and parameter == 'tau'")
    assert [float(row["mu_lower"]) for row in rows] == mu["lower"].tolist()
    assert [float(row["tau_point"]) for row in rows[1:]] == tau["point"].tolist()


def test_a_name_that_is_a_formula_is_text_in_a_spreadsheet(opened):
    rows = downloaded(opened(hostile), "outcome-1-1-studies")
    assert [row["study"] for row in rows] == [f"'{n}" if n == FORMULA else n for n in NAMES]
    assert min(float(row["effect"]) for row in rows) > 0


def test_hostile_names_are_text(opened):
    page = opened(hostile)
    assert page.title() != "broken"
    assert column(page, "outcome-1-1-studies", 1) == list(NAMES)
    assert page.locator("script").count() == opened().locator("script").count()
    headings = page.locator(".outcome h3").all_text_contents()
    assert headings == [f"1.1 Recovery {SCRIPT}", f"1.2 {RTL}", f"1.3 {LONG}"]
    for name in (SCRIPT, RTL, FORMULA):
        assert page.locator("svg.figure text", has_text=name).count() > 0


def test_works_by_keyboard(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    unreachable = page.evaluate("""() => [...document.querySelectorAll('a, button, input, summary, select, .scroll')]
        .filter(e => e.checkVisibility() && e.tabIndex < 0).length""")
    assert unreachable == 0


def test_headings_nest_and_images_and_tables_are_named(opened):
    page = opened()
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    named = page.locator("svg.figure").evaluate_all("""all => all.map(
        e => e.getAttribute('aria-labelledby').split(' ').map(i => document.getElementById(i).textContent))""")
    assert all(all(texts) and len(texts) == 2 for texts in named)
    assert page.locator("table:not(:has(caption)):not(.explorer table)").count() == 0
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_prints_every_section(opened, tmp_path):
    page = opened()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 1 + page.locator(".outcome").count()


def test_the_bundled_review_is_small_and_fits_the_screen(opened, files):
    size = len(Path(unquote(urlsplit(files(bundled)).path)).read_bytes())
    assert size < 8e6
    page = opened(bundled)
    assert page.locator(".outcome").count() == len(bundled().cases)
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS["desktop"][0]


def test_long_reviews_unpack_an_outcome_when_it_comes_into_view(opened, monkeypatch):
    monkeypatch.setattr("bayespip.report.html.MOST_INLINE", 2)
    page = opened(lambda: many(6))
    assert page.locator("script.packed").count() > 0
    last = page.locator(".outcome").last
    assert last.locator("svg.figure").count() == 0
    page.locator("#outcome-links a").last.click()
    last.locator("svg.figure").first.wait_for()
    page.locator("#load-all").click()
    page.wait_for_function("document.querySelectorAll('script.packed').length === 0")
    page.wait_for_function("[...document.querySelectorAll('.outcome')].every(o => o.querySelector('table'))")
