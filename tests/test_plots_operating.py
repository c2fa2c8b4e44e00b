"""The figure of operating characteristics: every line is its rows, and no text is lost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from plot_text import SIZES, misplaced, room

from bayespip.plots import plot_operating

METHODS = [("DL, Wald", ""), ("REML, HKSJ", ""), ("exact normal-normal", "half-normal(0.5)")]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def invented(sizes=(2, 5), taus=(0.0, 0.5, 1.0)):
    """Invented characteristics."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"k": k, "tau": tau, "method": method, "prior": prior, "level": 0.95, "coverage": rng.uniform(0.7, 1),
         "width": rng.uniform(0.5, 15)}
        for k in sizes for tau in taus for method, prior in METHODS
    )  # fmt: skip


def test_every_line_is_its_rows_in_the_panel_of_its_number_of_trials():
    table = invented()
    panels = plot_operating(table.sample(frac=1, random_state=1).sort_values("k", ascending=False)).child_axes
    assert [panel.get_title() for panel in panels] == ["2 trials", "", "5 trials", ""]
    for panel, k, column, factor in zip(panels, (2, 2, 5, 5), ("coverage", "width") * 2, (100, 1) * 2, strict=True):
        drawn = {line.get_label(): line.get_xydata() for line in panel.lines if not line.get_label().startswith("_")}
        assert set(drawn) == {prior or method for method, prior in METHODS}
        for method, prior in METHODS:
            rows = table[(table["k"] == k) & (table["method"] == method) & (table["prior"] == prior)]
            np.testing.assert_allclose(drawn[prior or method], rows[["tau", column]] * [1, factor])
    assert panels[1].get_yscale() == "log"
    level = [line.get_ydata()[0] for line in panels[0].lines if line.get_label().startswith("_")]
    assert level == [95]


def test_legend_names_the_methods_and_looks_differ():
    ax = plot_operating(invented())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [prior or method for method, prior in METHODS]
    lines = [line for line in ax.child_axes[0].lines if not line.get_label().startswith("_")]
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines}) == len(METHODS)


def test_rows_whose_tau_was_drawn_are_left_out():
    table = invented((2,))
    drawn = table.assign(tau="half-normal(0.5)").iloc[:3]
    both = plot_operating(pd.concat([table, drawn])).child_axes[0]
    assert max(len(line.get_xdata()) for line in both.lines) == 3
    with pytest.raises(ValueError, match="must have rows with a fixed tau; got none"):
        plot_operating(drawn)


@pytest.mark.parametrize("sizes", [(2, 10), (2, 3, 4, 5, 10)])
def test_text_stays_inside_and_apart(sizes):
    ax = room(SIZES[2]) if len(sizes) == 2 else None
    assert misplaced(plot_operating(invented(sizes), ax=ax)) == ([], [])


def test_what_cannot_be_drawn_is_refused_by_name():
    table = invented((2,))
    with pytest.raises(ValueError, match="missing: width"):
        plot_operating(table.drop(columns="width"))
    with pytest.raises(ValueError, match=r"several for DL, Wald, k = 2, tau 0\."):
        plot_operating(pd.concat([table, table]))
    with pytest.raises(ValueError, match="ax must be at least"):
        plot_operating(table, ax=room((30, 20)))
