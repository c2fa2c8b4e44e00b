"""The forest-style figure, read from its Axes and files."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from reanalyses import published, study_data

from bayespip.figures import BOUNDS, plot_comparison, save_comparison

RATIOS = ["P1", "P2", "P7"]


@pytest.fixture(scope="module")
def table():
    return published().table


@pytest.fixture
def axes(table):
    ax = plot_comparison(table, analyses=RATIOS)
    yield ax
    plt.close("all")


def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_ratios_stand_on_a_log_axis_and_differences_on_a_linear_one(table, axes):
    assert axes.get_xscale() == "log"
    assert plot_comparison(table, analyses=["P13"]).get_xscale() == "linear"


def test_every_outcome_shows_published_cochranes_default_and_priors(axes):
    found = labels(axes)
    assert found.count("published") == len(RATIOS)
    # P7 is fitted for one and for two studies
    assert found.count("REML, HKSJ") == len(RATIOS) + 1
    assert found.count("weak") == found.count("wide") == len(RATIOS) + 1


def test_default_priors_are_named_on_both_axes():
    found = labels(plot_comparison(study_data().table))
    assert {"τ HN(0.5), μ flat", "τ HN(0.5), μ N(0, 2.82²)", "Bartos Cochrane", "REML, HKSJ"} <= set(found)
    assert "published" not in found


def test_rows_do_not_share_a_place(axes):
    ticks = axes.get_yticks()
    assert len(np.unique(ticks)) == len(ticks) == len(labels(axes))


def test_sides_are_named_outcome_by_outcome(table, axes):
    assert "favours PIP →" in texts(axes)
    assert "← favours PIP" in texts(axes)
    without = texts(plot_comparison(table, analyses=["P13"]))
    assert "direction not stated" in without
    assert not any("favours" in text for text in without)


def test_published_numbers_are_those_of_the_paper(axes):
    assert "8.93 (1.25, 63.70)" in texts(axes)
    assert "0.48 (0.24, 0.95)" in texts(axes)


def test_bounds_are_named_where_there_are_any(table, axes):
    assert BOUNDS in [text.get_text() for text in axes.get_legend().get_texts()]
    without = table.assign(**{c: np.nan for c in table if c.removesuffix("_model").endswith(("_min", "_max"))})
    legend = plot_comparison(without, analyses=["P1"]).get_legend()
    assert BOUNDS not in [text.get_text() for text in legend.get_texts()]


def test_no_text_leaves_the_figure(table):
    ax = plot_comparison(table, analyses=RATIOS)
    figure = ax.get_figure()
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for text in (*ax.texts, *ax.get_yticklabels(), *ax.get_legend().get_texts()):
        box = text.get_window_extent()
        assert box.x0 >= -1, text.get_text()
        assert box.y0 >= -1, text.get_text()
        assert box.x1 <= width + 1, text.get_text()
        assert box.y1 <= height + 1, text.get_text()


def test_points_are_drawn_where_the_table_has_them(table, axes):
    mu = table[(table["analysis"] == "P1") & (table["parameter"] == "mu")]
    row = mu[mu["prior"] == "weak"]
    drawn = np.concatenate([np.ravel(line.get_xdata()) for line in axes.lines])
    assert np.isclose(drawn, row["point"].item(), rtol=1e-12).any()


def test_several_measures_or_an_unknown_analysis_are_refused_by_name(table):
    with pytest.raises(ValueError, match="one effect measure"):
        plot_comparison(table, analyses=["P1", "P13"])
    with pytest.raises(ValueError, match="P99"):
        plot_comparison(table, analyses=["P99"])


def test_files_are_whole_and_the_same_every_time(table, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_comparison(table, tmp_path / name)
    for name, start in (("comparison.png", b"\x89PNG"), ("comparison.svg", b"<?xml")):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert first.startswith(start)
        assert first == second
