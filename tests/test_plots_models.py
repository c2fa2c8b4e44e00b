"""Fits side by side: what compare says stands in the three panels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from plot_text import misplaced, room, simulated

import bayespip as bp
from bayespip import priors as pr


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def compared(k=5, measure="RR", scales=(0.1, 0.5)):
    effects = simulated(k, measure, extreme=True)
    bayesian = [bp.exact_fit(effects, bp.Priors(pr.flat(), pr.half_normal(s))) for s in scales]
    return bp.compare(bp.frequentist_fit(effects), bp.frequentist_fit(effects, "common", "Wald"), *bayesian)


def test_each_panel_has_every_point_of_its_parameter_in_the_order_of_the_fits():
    table = compared()
    ax = bp.plot_models(table)
    for panel, parameter in zip([ax, *ax.child_axes], ("mu", "tau", "theta_new"), strict=True):
        markers = [(line.get_ydata()[0], line.get_xdata()[0]) for line in panel.lines if line.get_marker() in "Dov"]
        assert [x for _, x in sorted(markers)] == list(table.loc[table["parameter"] == parameter, "point"])
    assert [panel.get_xscale() for panel in (ax, *ax.child_axes)] == ["log", "linear", "log"]


def test_labels_name_method_and_prior_and_numbers_are_those_of_the_table():
    ax = bp.plot_models(compared())
    labels = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    assert labels[:2] == ["REML, HKSJ floored", "common effect, Wald"]
    assert "tau" in labels[2]
    row = compared().iloc[0]
    assert ax.texts[0].get_text() == f"{row['point']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
    # the common effect has no interval of tau
    assert [text.get_text() for text in ax.child_axes[0].texts if text.get_text() == "0"] == ["0"]


def test_intervals_that_the_axis_cuts_end_in_arrowheads():
    two = bp.EffectSizes(["simulated a", "simulated b"], [0.3, 1.9], [0.3, 0.4], "MD")
    fits = [bp.exact_fit(two, bp.Priors(pr.flat(), pr.half_normal(s))) for s in (0.1, 0.2, 0.5, 100.0)]
    ax = bp.plot_models(bp.compare(*fits))
    edges = {line.get_marker(): line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("<", ">")}
    assert edges == {"<": ax.get_xlim()[0], ">": ax.get_xlim()[1]}


def test_fits_of_different_data_are_refused():
    with pytest.raises(ValueError, match="one measure; got RR, SMD"):
        bp.plot_models(pd.concat([compared(), compared(measure="SMD")]))
    with pytest.raises(ValueError, match="one k; got 5, 6"):
        bp.plot_models(pd.concat([compared(), compared(6)]))
    with pytest.raises(ValueError, match="missing: theta_new"):
        bp.plot_models(compared().query("parameter != 'theta_new'"))
    with pytest.raises(ValueError, match="differ in method or prior; not so for REML, HKSJ floored: "):
        bp.plot_models(pd.concat([compared(), compared()]))
    with pytest.raises(ValueError, match="ax"):
        bp.plot_models(compared(), ax=room((50, 30)))


@pytest.mark.parametrize("size", [(85, 120), (174, 120), (120, 160), None])
@pytest.mark.parametrize("measure", ["RR", "MD"])
def test_no_text_leaves_the_figure_or_meets_other_text(size, measure):
    assert misplaced(bp.plot_models(compared(measure=measure), ax=room(size) if size else None)) == ([], [])


def test_forty_fits_fit():
    ax = bp.plot_models(compared(scales=np.geomspace(0.01, 10, 38)))
    assert len(ax.get_yticks()) == 40
    assert misplaced(ax) == ([], [])
