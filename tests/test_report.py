"""The report as a file: what stands in it, that names are text, that every call gives what it says."""

import ast
import base64
import json
import re
import zlib
from dataclasses import replace
from functools import cache
from importlib.resources import files

import pytest
from lxml import html
from reports import FORMULA, NAMES, SCRIPT, hostile, many, small
from simulated import simulated

import bayespip as bp
from bayespip.report.html import prose, render, write_report
from bayespip.report.svg import inline_svg, relative_luminance

AA = 4.5  # contrast of text: WCAG 2.2, success criterion 1.4.3
SECTIONS = ["overview", "summary", "all", "outcomes", "audit", "priors", "diagnostics", "assumptions", "methods",
            "provenance", "cite"]  # fmt: skip


@cache
def page(make):
    return html.document_fromstring(render(make()))


@cache
def from_file():
    """A simulated review as a file would store it: stored results, subgroups, analyses that are not pooled."""
    return bp.reanalyse(simulated(), with_pymc=False)


def text(element):
    return " ".join(element.text_content().split())


def test_every_section_is_there_and_in_the_contents():
    found = page(small)
    assert [s.get("id") for s in found.xpath("//main/section")] == SECTIONS
    assert [a.get("href") for a in found.xpath("//nav//ol//a")] == [
        f"#{s.get('id')}" for s in found.xpath("//main/section")
    ]
    assert [a.get("id") for a in found.xpath("//article")] == ["outcome-P1", "outcome-P2", "outcome-P13"]


def test_the_overview_says_what_was_read_and_whether_it_came_back():
    overview = text(page(small).get_element_by_id("overview"))
    assert "3 of 19 published results" in overview
    assert "Only pooled results were published" in overview


@pytest.mark.slow
def test_the_overview_counts_what_was_reproduced():
    overview = text(page(from_file).get_element_by_id("overview"))
    assert re.search(r"(?<!\d)5 of 5 results reproduced\b", overview), overview


@pytest.mark.slow
def test_what_was_left_out_stands_with_its_reason():
    left_out = text(page(from_file).get_element_by_id("left-out"))
    assert "the review does not pool it" in left_out
    assert "Costs" in left_out


def test_provenance_names_seed_versions_and_the_hash_of_every_file():
    provenance, result = text(page(small).get_element_by_id("provenance")), small()
    for name, version in result.settings["versions"].items():
        assert f"{name} {version}" in provenance
    assert result.settings["commit"].rstrip("+") in provenance
    assert len(result.review.sources) > 1
    for name, digest in result.review.sources:
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert f"{name} SHA-256 {digest}" in provenance.replace(name + "SHA", name + " SHA")


def test_numbers_of_a_table_are_those_of_the_frame_to_the_last_digit():
    rows = page(small).get_element_by_id("outcome-P2-methods").xpath(".//tbody/tr")[1:]
    mu = small().table.query("analysis == 'P2' and parameter == 'mu' and method != 'published'")
    shown = [[float(x) for x in json.loads(row.xpath("*[@class='number']")[0].get("data-v"))] for row in rows]
    assert shown == mu[["point", "lower", "upper"]].to_numpy().tolist()


@pytest.mark.slow
@pytest.mark.parametrize("make", [small, hostile])
def test_every_call_gives_what_stands_above_it(make):
    """What a reader copies into a notebook works there."""
    import matplotlib.pyplot as plt

    found = page(make)
    calls = {text(c): c for c in found.xpath("//code[@class='call']") if text(c)}
    assert len(calls) > 15
    for call, element in calls.items():
        *before, last = ast.parse(call).body
        names = {"bp": bp, "result": make()}
        exec(compile(ast.Module(before, []), "<report>", "exec"), names)  # noqa: S102  (what the report says)
        value = eval(compile(ast.Expression(last.value), "<report>", "eval"), names)  # noqa: S307
        if element.getparent().tag == "figcaption":
            assert value.get_figure() is not None, call
            plt.close(value.get_figure(root=True))
        elif not isinstance(value, bp.EffectSizes):
            assert len(value) > 0, call


def test_nothing_is_loaded_from_elsewhere():
    found = page(small)
    assert found.xpath("//*[@src]") == []
    assert {link.get("href") for link in found.xpath("//link")} == {"data:,"}
    styles = "".join(style.text for style in found.xpath("//style"))
    assert "url(" not in styles
    assert "@import" not in styles
    assert found.xpath("//meta[@http-equiv]/@content")[0].startswith("default-src 'none';")
    assert {a.get("href") for a in found.xpath("//a") if not a.get("href").startswith("#")} == {
        "https://doi.org/10.1080/02646838.2016.1222357"
    }


def test_hostile_names_are_text():
    found, tame = page(hostile), page(small)
    assert len(found.xpath("//script")) == len(tame.xpath("//script"))
    assert found.xpath("//b | //i") == []
    studies = [th.text_content() for th in found.get_element_by_id("outcome-1-1-studies").xpath(".//tbody//th")]
    assert studies == list(NAMES)
    drawn = " ".join(t.text_content() for t in found.xpath("//*[local-name()='svg']//*[local-name()='text']"))
    assert SCRIPT in drawn
    assert FORMULA in text(found.get_element_by_id("audit"))


def test_ids_are_unique_and_every_reference_is_answered():
    for make in (small, hostile):
        found = page(make)
        ids = found.xpath("//@id")
        assert len(ids) == len(set(ids))
        wanted = {h[1:] for h in found.xpath("//@href") if h.startswith("#")}
        wanted |= set(re.findall(r"url\(#([^)]+)\)", html.tostring(found, encoding="unicode")))
        wanted |= {i for names in found.xpath("//@aria-labelledby") for i in names.split()}
        assert wanted <= set(ids)


@pytest.mark.slow
def test_a_long_review_is_packed_and_unpacks_to_the_same(monkeypatch):
    plain = html.document_fromstring(render(many(3))).xpath("//article")
    monkeypatch.setattr("bayespip.report.html.MOST_INLINE", 2)
    packed = html.document_fromstring(render(many(3))).xpath("//article")
    for whole, article in zip(plain, packed, strict=True):
        (script,) = article.xpath(".//script[@class='packed']")
        body = zlib.decompress(base64.b64decode(script.text)).decode()
        assert text(html.fragment_fromstring(f"<div>{body}</div>")) in text(whole)
        assert text(whole.find("h3")) == text(article.find("h3"))


def test_a_report_that_cannot_be_made_leaves_the_old_file(tmp_path):
    file = tmp_path / "report.html"
    file.write_text("an earlier report", encoding="utf-8")
    broken = replace(small(), sentences=small().sentences.iloc[:0])
    with pytest.raises(ValueError, match="zip"):
        broken.report(file)
    assert file.read_text(encoding="utf-8") == "an earlier report"
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_two_hundred_outcomes_stay_under_forty_megabytes(monkeypatch):
    """Each as large as those of a file under all default priors."""
    whole = len(render(from_file()).encode())
    monkeypatch.setattr("bayespip.report.html.MOST_INLINE", 0)
    packed = render(from_file())
    sections = [len(body) for body in re.findall(r'class="packed">([^<]+)<', packed)]
    assert len(sections) == len(from_file().cases)
    assert sum(sections) / len(sections) * 200 + len(packed) < 40e6
    assert whole / len(sections) * 19 < 8e6


@pytest.mark.slow
def test_a_report_is_written_whole_and_is_the_same_again(tmp_path):
    one, two = (write_report(many(2), tmp_path / f"{i}.html") for i in range(2))
    assert one.read_bytes() == two.read_bytes()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["0.html", "1.html"]


def test_emphasis_is_the_only_markup_of_our_sentences():
    assert prose("**P.** *a* < b & <i>") == "<strong>P.</strong> <em>a</em> &lt; b &amp; &lt;i&gt;"


def colours(css):
    """The variables of each colour scheme."""
    blocks = re.findall(r":root \{([^}]*)\}", css)[:2]
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for block in blocks]
    assert all(len(scheme) >= 6 for scheme in schemes)
    return dict(zip(("light", "dark"), schemes, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "panel"])
@pytest.mark.parametrize("front", ["ink", "soft", "link"])
def test_text_stands_out_from_its_ground(scheme, ground, front):
    of = colours((files("bayespip.report") / "report.css").read_text(encoding="utf-8"))[scheme]
    light, dark = sorted((relative_luminance(*bytes.fromhex(of[name][1:])) for name in (ground, front)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= AA


def test_figures_follow_the_page_and_keep_their_text():
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    ax.plot([0, 1], [1, 0], color="#000000", marker="s")
    ax.fill_between([0, 1], [0, 1], color="#d4d4d4")
    ax.set_title(f"{SCRIPT} & 'q'", parse_math=False)
    ax.text(0, 0, "on a dark patch", color="#ffffff")
    ax.bar([0.5], [1], color=["#9ad0f5"])
    drawn = inline_svg(figure, "one", "Simulated <title>", "What it shows")
    plt.close(figure)
    assert drawn.startswith("<svg ")
    assert "xmlns" not in drawn
    assert "&lt;script&gt;" in drawn
    assert '<title id="one-title">Simulated &lt;title&gt;</title>' in drawn
    assert "#000000" not in drawn
    assert re.search(r"color-mix\(in srgb, var\(--ink\) 17%, var\(--paper\)\)", drawn)
    assert "fill: color-mix(in srgb, #9ad0f5 var(--tint), var(--paper))" in drawn
    assert re.search(r"fill: #ffffff[^>]*>on a dark patch", drawn)
    assert {i.startswith("one-") for i in re.findall(r'\bid="([^"]+)"', drawn)} == {True}
