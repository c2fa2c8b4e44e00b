"""ArviZ's plots of the chains: the sample's own draws, chain by chain."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_text import simulated

import bayespip as bp
from bayespip import priors as pr

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fit():
    return bp.pymc_fit("normal_normal", simulated(5), bp.Priors(pr.flat(), pr.half_normal(0.5)), seed=1)


@pytest.fixture(scope="module")
def drawn(fit):
    yield bp.plot_checks(fit)
    plt.close("all")


def panel(drawn, variable, column):
    return drawn.viz["plot"][variable].sel(column=column).item()


@pytest.mark.parametrize("variable", ["mu", "tau"])
def test_traces_are_the_draws(fit, drawn, variable):
    lines = panel(drawn, variable, "trace").lines
    draws = fit.data["posterior"][variable].to_numpy()
    for chain, line in zip(draws, lines, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), chain)
    assert panel(drawn, variable, "trace").get_ylabel() == "log RR"


@pytest.mark.parametrize("variable", ["mu", "tau"])
def test_every_chain_has_its_rank_curve_and_differs_without_colour(fit, drawn, variable):
    ax = panel(drawn, variable, "rank")
    curves = [line for line in ax.lines if len(line.get_xdata()) > 50]
    assert len(curves) == fit.data["posterior"].sizes["chain"]
    assert len({line.get_color() for line in curves}) == len(curves)
    assert len({str(line._unscaled_dash_pattern) for line in curves}) == len(curves)
    bottom, top = ax.get_ylim()
    assert all(bottom <= y <= top for line in curves for y in line.get_ydata())
    # thinned, so that the test of uniformity is of nearly independent draws
    assert all(len(line.get_xdata()) < fit.data["posterior"].sizes["draw"] for line in curves)


def test_variables_are_named_and_no_text_leaves_the_figure(drawn):
    figure = drawn.viz["figure"].item()
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    assert [ax.get_title() for ax in figure.axes] == ["mu", "mu", "tau", "tau"]
    for ax in figure.axes:
        for text in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label):
            box = text.get_window_extent()
            assert box.x0 >= 0, text.get_text()
            assert box.x1 <= width, text.get_text()
            assert box.y0 >= 0, text.get_text()
            assert box.y1 <= height, text.get_text()
