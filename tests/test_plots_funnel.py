"""Funnel and risk of bias, read from their Axes; the settings of all figures."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from plot_text import SIZES, misplaced, room, simulated

import bayespip as bp
from bayespip.plots import drawing
from bayespip.plots.axes import draw_intervals, sides_of
from bayespip.plots.bias import JUDGEMENTS, judgement
from bayespip.plots.style import looks
from bayespip.plots.text import text_width, wrapped

CASES = [(2, None), (2, SIZES[0]), (8, SIZES[1]), (40, None), (40, SIZES[2])]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def judged(k):
    """Simulated judgements in three domains, one with a long name."""
    words = np.array(["Low risk", "unclear", "High risk", "Some concerns", None], dtype=object)
    drawn = np.random.default_rng(k).choice(words, (3, k))
    names = ("random_sequence_generation", "Blinding of participants and personnel: all outcomes but death", "other")
    study = [f"Simulated {i}" + " of the study group with a long name" * (i % 7 == 0) for i in range(k)]
    return pd.DataFrame({"study": study} | dict(zip(names, drawn, strict=True)))


@pytest.mark.parametrize(("k", "size"), CASES)
def test_no_text_of_a_funnel_is_clipped_or_meets_other_text(k, size):
    fit = bp.frequentist_fit(simulated(k, extreme=k == 8))
    assert misplaced(bp.plot_funnel(fit, ax=room(size) if size else None)) == ([], [])


@pytest.mark.parametrize(("k", "size"), [*CASES[:-1], (40, (120, 260))])
def test_no_text_of_risk_of_bias_is_clipped_or_meets_other_text(k, size):
    assert misplaced(bp.plot_rob(judged(k), ax=room(size) if size else None)) == ([], [])


def test_funnel_has_the_studies_and_contours_at_their_p_values():
    effects = simulated(8)
    ax = bp.plot_funnel(bp.frequentist_fit(effects))
    (points,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert_allclose(points.get_xdata(), np.exp(effects.yi), rtol=1e-14)
    assert_allclose(points.get_ydata(), effects.sei, rtol=1e-14)
    deepest, top = ax.get_ylim()
    assert deepest > effects.sei.max() > top == 0
    edges = sorted(float(area.get_paths()[0].vertices[:, 0].max()) for area in ax.collections)
    assert_allclose(np.log(edges) / deepest, [1.644854, 1.959964, 2.575829], rtol=1e-6)


def test_funnel_of_counts_is_refused_by_name():
    class Counted:
        effects, method = object(), "PyMC binomial-normal"

    with pytest.raises(ValueError, match=r"must be a fit of effect sizes; got one of object \(PyMC binomial-normal\)"):
        bp.plot_funnel(Counted())


def test_traffic_light_and_summary_say_what_the_table_says():
    table = bp.load_review("pip").risk_of_bias
    ax = bp.plot_rob(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(table["study"])
    assert [t.get_text() for t in ax.get_xticklabels()] == list("ABCDEFG")
    symbols = {"low": "+", "unclear": "?", "high": "−"}
    drawn = {(round(t.get_position()[0]), t.get_position()[1]): t.get_text() for t in ax.texts}
    for x, name in enumerate(table.columns[1:]):
        for y, said in zip(ax.get_yticks(), table[name], strict=True):
            assert drawn[x, y] == symbols[said]
    (summary,) = ax.child_axes
    assert next(t.get_text().replace("\n", " ") for t in summary.get_yticklabels()) == "A random sequence generation"
    low = [bar.get_width() for bar in summary.patches if to_hex(bar.get_facecolor()) == JUDGEMENTS[0].fill]
    assert low == [(table[name] == "low").sum() for name in table.columns[1:]]


@pytest.mark.parametrize(
    ("text", "label"),
    [("Low risk", "low risk"), ("high", "high risk"), ("Unclear risk of bias", "unclear risk"),
     ("Some concerns", "some concerns"), (None, "not judged"), ("", "not judged"), ("Yes", "low risk")],
)  # fmt: skip
def test_judgements_are_read_from_their_words(text, label):
    assert judgement(text).label == label


def test_judgements_darken_with_the_risk():
    grey = [np.dot(to_rgb(j.fill), (0.2126, 0.7152, 0.0722)) for j in JUDGEMENTS]
    assert grey[0] > grey[2] > grey[3]
    assert len({j.symbol for j in JUDGEMENTS}) == len(JUDGEMENTS)


def test_a_table_without_judgements_is_refused():
    with pytest.raises(ValueError, match="a column study and one a domain, and a row a study; got study"):
        bp.plot_rob(pd.DataFrame({"study": ["Simulated 1"]}))


# What all figures share -----------------------------------------------------------------------------------------------


def test_settings_are_left_as_they_were():
    before = dict(mpl.rcParams)
    bp.plot_funnel(bp.frequentist_fit(simulated(2)))
    assert dict(mpl.rcParams) == before


def test_files_hold_text_as_text_and_truetype(tmp_path):
    ax = bp.plot_funnel(bp.frequentist_fit(simulated(2)))
    with drawing():
        ax.figure.savefig(tmp_path / "funnel.svg", metadata={"Date": None})
        ax.figure.savefig(tmp_path / "funnel.pdf")
        ax.figure.savefig(tmp_path / "funnel.png")
    svg = (tmp_path / "funnel.svg").read_text(encoding="utf-8")
    assert ">Risk ratio, log axis</text>" in svg
    assert "DejaVu Sans" in svg
    assert "sans-serif" in svg
    pdf = (tmp_path / "funnel.pdf").read_bytes()
    assert b"/FontFile2" in pdf or b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    assert plt.imread(tmp_path / "funnel.png").shape[1] == pytest.approx(85 / 25.4 * 300, abs=1)


def test_styles_given_by_a_user_do_not_change_a_figure():
    with mpl.style.context("dark_background"):
        ax = bp.plot_funnel(bp.frequentist_fit(simulated(2)))
    assert ax.xaxis.label.get_color() == "black"
    assert to_hex(ax.figure.get_facecolor()) == "#ffffff"


def test_a_series_differs_in_colour_and_in_dash():
    many = looks(28)
    assert len({(look.colour, str(look.dash)) for look in many}) == 28
    assert len({str(look.dash) for look in many[:4]}) == len({look.marker for look in many[:4]}) == 4


@pytest.mark.parametrize(
    ("favours", "sides"),
    [
        ("higher", ("← favours Sitting", "favours Walking →")),
        ("lower", ("← favours Walking", "favours Sitting →")),
        (None, ("", "")),
        ("not stated", ("", "")),
    ],
)
def test_sides(favours, sides):
    assert sides_of(favours, ("Walking", "Sitting")) == sides


def test_intervals_are_cut_with_arrows_and_unknown_ones_left_out():
    ax = Figure().add_subplot()
    ax.set_xlim(0, 1)
    draw_intervals(ax, [1, 2, 3], [-np.inf, 0.2, np.nan], [0.5, 3.0, 7.0])
    heads = {line.get_marker(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}
    assert heads == {"<": ([0], [1]), ">": ([1], [2])}


def test_lines_are_broken_at_spaces_and_hyphens():
    lines = wrapped("favours parent-infant psychotherapy from -0.5", 60)
    assert lines[0] == "favours parent-"
    assert all(text_width(line) <= 60 for line in lines)
    assert "".join(lines).replace(" ", "") == "favoursparent-infantpsychotherapyfrom-0.5"
    assert all(text_width(line) <= 60 for line in wrapped("x" * 200, 60))


def test_no_figure_needs_a_library_at_import(root):
    import subprocess
    import sys

    code = "import sys, bayespip; bad = {'matplotlib', 'pandas'} & set(sys.modules); assert not bad, bad"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
