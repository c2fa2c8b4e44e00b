"""The specification curve: every specification once, in order, with dots at its own choices."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_text import misplaced, room, simulated
from reanalyses import published, study_data

import bayespip as bp
from bayespip import priors as pr


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def grid():
    return bp.prior_grid(simulated(5))


def drawn(ax):
    """Place to point of every marker, arrowheads left out."""
    found = {}
    for line in ax.lines:
        if line.get_marker() in ("s", "D", "o") and len(line.get_xdata()):
            found |= dict(
                zip(np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist(), strict=True)
            )
    return [found[x] for x in sorted(found)]


def dots(ax):
    """By label, the places of its dots."""
    (strip,) = ax.child_axes
    labels = {
        y: t.get_text().replace("\n", " ") for y, t in zip(strip.get_yticks(), strip.get_yticklabels(), strict=True)
    }
    found = {label: [] for label in labels.values()}
    for collection in strip.collections:
        for x, y in collection.get_offsets():
            found[labels[y]].append(int(x))
    return found


def of_mu(table):
    return table[table["parameter"] == "mu"]


def test_every_specification_stands_once_from_smallest_to_largest(grid):
    points = drawn(bp.plot_sensitivity(grid))
    expected = np.sort(of_mu(grid)["point"].to_numpy())
    np.testing.assert_allclose(np.sort(points), expected, rtol=0)
    shortest = np.log(of_mu(grid)["upper"] / of_mu(grid)["lower"]).min()
    assert (np.diff(np.log(points)) > -1e-3 * shortest).all()


def test_dots_name_the_choices_of_the_specification_above_them(grid):
    ax = bp.plot_sensitivity(grid)
    its, points = dots(ax), drawn(ax)
    family, scale, mu = its["prior on τ: uniform"], its["scale of τ's prior: 0.25"], its["prior on μ: flat"]
    (place,) = set(family) & set(scale) & set(mu)
    rows = of_mu(grid)
    row = rows[(rows["family"] == "uniform") & (rows["scale"] == 0.25) & (rows["prior_mu"] == "flat")]
    assert points[place] == row["point"].item()
    (place,) = set(its["τ²: REML"]) & set(its["interval: HKSJ floored"])
    assert points[place] == rows.loc[rows["method"] == "REML, HKSJ floored", "point"].item()
    bayesian = (rows["prior"] != "").sum()
    for axis in ("prior on τ", "scale of τ's prior", "prior on μ"):
        assert sum(len(x) for label, x in its.items() if label.startswith(f"{axis}:")) == bayesian


def test_open_markers_are_those_whose_interval_includes_no_effect(grid):
    ax = bp.plot_sensitivity(grid)
    rows = of_mu(grid)
    includes = rows[(rows["lower_model"] <= 0) & (rows["upper_model"] >= 0)]["point"]
    points = [
        y for line in ax.lines if line.get_marker() in ("D", "o") and line.get_markerfacecolor() == "white"
        for y in line.get_ydata()
    ]  # fmt: skip
    np.testing.assert_array_equal(np.sort(points), np.sort(includes))


def test_priors_without_a_scale_are_told_apart_by_name():
    chosen = [bp.Priors(pr.flat(), pr.inverse_gamma(a, 0.4), name=f"invented {a}") for a in (1, 2)]
    assert "prior on τ: inverse-gamma" in dots(bp.plot_sensitivity(bp.prior_grid(simulated(3), chosen)))


def test_bounds_and_cut_intervals_of_a_published_result():
    rows = published().table
    ax = bp.plot_sensitivity(rows[rows["analysis"] == "P1"])
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("consistent with what was published" in text.replace("\n", " ") for text in words)
    mu = of_mu(rows[(rows["analysis"] == "P1") & (rows["prior"] == "weak")]).iloc[0]
    segments = [path[:, 1] for lines in ax.collections for path in lines.get_segments() if len(path)]
    for low, high in (("lower", "upper"), ("lower_min", "upper_max")):
        assert any(np.allclose(s, [mu[low], mu[high]], rtol=1e-12) for s in segments)
    bottom, top = ax.get_ylim()
    heads = {(line.get_marker(), y) for line in ax.lines for y in line.get_ydata() if line.get_marker() in ("v", "^")}
    assert heads == {("v", bottom), ("^", top)}
    assert dots(ax)["result: as printed"] == [drawn(ax).index(8.93)]


def test_a_table_of_several_cases_is_refused_by_name():
    rows = published().table
    with pytest.raises(ValueError, match="one analysis; got P1, P2, P7, P13"):
        bp.plot_sensitivity(rows)
    with pytest.raises(ValueError, match="one k; got 1, 2"):
        bp.plot_sensitivity(rows[rows["analysis"] == "P7"])
    with pytest.raises(ValueError, match="rows of mu"):
        bp.plot_sensitivity(rows[rows["analysis"] == "N9"])
    with pytest.raises(ValueError, match="ax must be at least"):
        bp.plot_sensitivity(study_data().table, ax=room((50, 40)))


@pytest.mark.parametrize("size", [(85, 150), (174, 150), (260, 190), None])
def test_no_text_leaves_the_figure_or_meets_other_text(grid, size):
    for table in (grid, study_data().table):
        assert misplaced(bp.plot_sensitivity(table, ax=room(size) if size else None)) == ([], [])
