"""The comparison of all outcomes, read from its Axes and files."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from reanalyses import IDS, published, study_data

from bayespip import MEASURES, plot_comparison
from bayespip.plots.axes import ticks
from bayespip.plots.comparison import BOUNDS, _figure, save_comparison
from bayespip.plots.comparison_rows import numbers_of

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


def crowded(table):
    """Forty outcomes, with names, limits and levels that are hard to place."""
    copies = []
    for i in range(40):
        copy = table[table["analysis"] == RATIOS[i % 3] if i % 4 else table["analysis"] == "P13"].copy()
        copy["analysis"] = f"A{i + 1}"
        if not i % 5:
            copy["outcome"] = "A name that no trialist would have thought of, $\\frac$ " * 3 + "x" * 150
        if not i % 7:
            copy["comparison"] = "A treatment of which the name fills a line or more than one versus waiting list"
        if i == 9:
            copy.loc[copy["method"] == "published", "level"] = 0.9
        copy["prior"] = copy["prior"].replace("wide", "priors elicited from several experts in this field")
        copies.append(copy)
    table = pd.concat([*copies, table[table["value_of"] == "not published"]], ignore_index=True)
    endless = (table["analysis"] == "A2") & (table["prior"] == "weak")
    table.loc[endless, ["lower", "lower_min"]] = 0.0
    table.loc[endless, ["lower_model", "lower_min_model"]] = -np.inf
    table.loc[endless, ["upper", "upper_max", "upper_model", "upper_max_model"]] = np.inf
    return table


def boxes(figure):
    """Where every text stands at the resolution of the saved figure."""
    figure.set_dpi(300)
    FigureCanvasAgg(figure).draw()
    found = []
    for ax in figure.axes:
        legend = ax.get_legend().get_texts() if ax.get_legend() else []
        found += [*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels(), ax.xaxis.label, *legend]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_text()]


def shares_a_place(one, other):
    # a pixel of three hundred to the inch, because glyphs are set on whole ones
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 1 and down > 1


@pytest.mark.parametrize("many", [False, True])
def test_no_text_leaves_the_figure_or_meets_other_text(table, many):
    figure = _figure(crowded(table)) if many else _figure(table[table["analysis"] == "P1"])
    assert len(figure.axes) == (2 if many else 1)
    found = boxes(figure)
    width, height = figure.canvas.get_width_height()
    for text, box in found:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    assert [(a, b) for (a, one), (b, other) in combinations(found, 2) if shares_a_place(one, other)] == []


def test_no_text_is_smaller_than_six_points_at_the_width_of_a_journal(table):
    figure = _figure(table)
    assert figure.get_figwidth() * 25.4 == pytest.approx(174)
    texts = [t for ax in figure.axes for t in (*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels(), ax.xaxis.label)]
    assert min(text.get_fontsize() for text in texts) >= 6


def test_saved_figure_has_one_panel_a_measure_with_every_published_outcome(table):
    figure = _figure(table)
    assert [ax.get_label() for ax in figure.axes] == ["RR", "SMD"]
    assert [ax.get_xscale() for ax in figure.axes] == ["log", "linear"]
    written = [text for ax in figure.axes for text in texts(ax)]
    for analysis in (i for i in IDS if i.startswith("P")):
        assert analysis in written


def test_every_measure_has_axes_of_its_own_in_one_column_or_two(table):
    wide = Figure(figsize=(8, 5)).add_subplot()
    assert plot_comparison(table, analyses=["P1", "P13"], ax=wide) is wide
    narrow = Figure(figsize=(4, 8)).add_subplot()
    plot_comparison(table, analyses=["P1", "P13"], ax=narrow)
    for ax in (wide, narrow):
        ratios, differences = ax.figure.axes
        assert (ratios.get_label(), ratios.get_xscale()) == ("RR", "log")
        assert (differences.get_label(), differences.get_xscale()) == ("SMD", "linear")
    assert wide.figure.axes[1].get_position().x0 > wide.get_position().x1
    assert narrow.figure.axes[1].get_position().y1 < narrow.get_position().y0


def test_what_was_not_published_is_counted_and_named(table):
    last = texts(_figure(table).axes[-1])[-1].replace("\n", " ")
    assert "Not published, so not shown: 1 outcome named without numbers" in last
    assert "N9 Attachment change: stable secure" in last
    alone = _figure(table[table["value_of"] == "not published"])
    assert "N9" in texts(alone.axes[0])[0]


def test_number_of_studies_stands_in_every_heading(axes):
    found = texts(axes)
    assert "Infant attachment: secure, post-intervention, k = 2" in found
    assert "Infant attachment: avoidant, post-intervention, k = 2 (inferred)" in found
    assert {"if k = 1", "if k = 2"} <= set(found)


def test_rows_stand_in_the_order_of_the_table_from_the_top(axes):
    assert list(axes.get_yticks()) == sorted(axes.get_yticks())
    bottom, top = axes.get_ylim()
    assert top < min(axes.get_yticks()) < max(axes.get_yticks()) < bottom
    assert labels(axes)[:4] == ["published", "REML, HKSJ", "weak", "wide"]


def test_intervals_reach_their_limits_or_end_in_an_arrowhead(table, axes):
    left, right = axes.get_xlim()
    mu = table[(table["analysis"] == "P1") & (table["parameter"] == "mu")]
    segments = np.array([path for lines in axes.collections for path in lines.get_segments() if len(path) == 2])
    weak = mu[mu["prior"] == "weak"].iloc[0]
    for low, high in (("lower", "upper"), ("lower_min", "upper_max")):
        assert (np.isclose(segments[:, :, 0], [weak[low], weak[high]], rtol=1e-12).all(axis=1)).any()
    default = mu[mu["method"] == "REML, HKSJ"].iloc[0]
    assert default["lower"] < left < right < default["upper"]
    y = axes.get_yticks()[1]
    for marker, edge in (("<", left), (">", right)):
        heads = [line for line in axes.lines if line.get_marker() == marker]
        assert any(((line.get_xdata() == edge) & (line.get_ydata() == y)).any() for line in heads)
    assert all(left <= x <= right for line in axes.lines for x in line.get_xdata())


def test_kinds_differ_in_marker_and_in_colour():
    legend = plot_comparison(study_data().table).get_legend()
    lines = legend.get_lines()
    assert len({line.get_marker() for line in lines}) == len({line.get_color() for line in lines}) == 3
    plt.close("all")


@pytest.mark.parametrize(
    ("limits", "width", "expected"),
    [
        ((0.3, 4.0), 100, [0.5, 1, 2]),
        ((0.31, 1.03), 300, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ((0.31, 1.03), 71, [0.5, 0.75, 1.0]),
        ((0.007, 150), 110, [0.01, 0.1, 1, 10, 100]),
        ((0.0007, 1500), 71, [0.01, 1, 100]),
        ((0.93, 1.08), 100, [0.96, 1.0, 1.04, 1.08]),
    ],
)
def test_ticks_of_a_log_axis_are_round_and_as_few_as_fit(limits, width, expected):
    np.testing.assert_allclose(ticks(*limits, width, log=True), expected, rtol=1e-12)


def test_ticks_of_a_linear_axis_are_round_and_as_few_as_fit():
    assert ticks(-1.1, 1.3, 110, log=False) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert len(ticks(-11_000_000, 13_000_000, 71, log=False)) < 5


def test_a_given_axes_keeps_its_rectangle_or_is_refused(table):
    figure = Figure(figsize=(8, 5))
    left, right = figure.subplots(1, 2)
    middle = right.get_position().x0 * figure.get_figwidth() * figure.dpi
    assert plot_comparison(table, analyses=["P1"], ax=left) is left
    FigureCanvasAgg(figure).draw()
    for text in (*left.texts, *left.get_yticklabels(), *left.get_legend().get_texts()):
        assert text.get_window_extent().x1 < middle
    side = Figure(figsize=(10, 5)).subfigures(1, 2)[1]
    ax = plot_comparison(table, analyses=["P1"], ax=side.add_subplot())
    FigureCanvasAgg(side.figure).draw()
    for text in (*ax.texts, *ax.get_yticklabels(), *ax.get_legend().get_texts()):
        assert text.get_window_extent().x0 > side.bbox.x0, text
    with pytest.raises(ValueError, match=r"ax must be at least \d+ mm wide and \d+ mm high .* it has"):
        plot_comparison(table, analyses=RATIOS, ax=Figure(figsize=(3, 1)).add_subplot())


def test_a_table_read_back_from_csv_gives_the_same_figure(table, tmp_path, axes):
    table.to_csv(tmp_path / "comparison.csv", index=False)
    again = plot_comparison(pd.read_csv(tmp_path / "comparison.csv"), analyses=RATIOS)
    assert (texts(again), labels(again)) == (texts(axes), labels(axes))


def test_points_are_drawn_where_the_table_has_them(table, axes):
    mu = table[(table["analysis"] == "P1") & (table["parameter"] == "mu")]
    row = mu[mu["prior"] == "weak"]
    drawn = np.concatenate([np.ravel(line.get_xdata()) for line in axes.lines])
    assert np.isclose(drawn, row["point"].item(), rtol=1e-12).any()


def test_an_unknown_analysis_or_one_without_results_is_refused_by_name(table):
    with pytest.raises(ValueError, match="P99"):
        plot_comparison(table, analyses=["P99"])
    with pytest.raises(ValueError, match="analyses must have a result to draw; not so for N9"):
        plot_comparison(table, analyses=["N9"])
    with pytest.raises(ValueError, match="missing: prior_kind, favours"):
        plot_comparison(table.drop(columns=["prior_kind", "favours"]))


def test_files_are_whole_and_the_same_every_time(table, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_comparison(table, tmp_path / name)
    for name, start in (("comparison.png", b"\x89PNG"), ("comparison.svg", b"<?xml")):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert first.startswith(start)
        assert first == second


def test_saving_works_in_threads_and_leaves_no_state(table, tmp_path):
    one = table[table["analysis"] == "P13"]
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    before, figures = dict(mpl.rcParams), plt.get_fignums()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda folder: save_comparison(one, folder), folders))
    assert (dict(mpl.rcParams), plt.get_fignums()) == (before, figures)
    svg = [(folder / "comparison.svg").read_bytes() for folder in folders]
    assert svg[0] == svg[1]
    assert b"<dc:date>" not in svg[0]


def test_only_no_effect_reads_as_no_effect():
    assert numbers_of(1.001, 0.5, 0.9999, MEASURES["RR"]) == "1.001 (0.50, 0.9999)"
    assert numbers_of(1.0, 0.09, 1.0, MEASURES["RR"]) == "1.00 (0.09, 1.00)"
    assert numbers_of(-0.001, -0.0012, 0.0, MEASURES["SMD"]) == "−0.001 (−0.001, 0.00)"
