"""The predictive figure: areas are the exact probabilities, on every scale."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_text import SIZES, misplaced, room, simulated
from scipy.integrate import trapezoid

import bayespip as bp
from bayespip import decisions
from bayespip import priors as pr

PRIORS = bp.Priors(pr.flat(), pr.half_normal(0.5))


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def fitted(measure="RR", k=8):
    return bp.exact_fit(simulated(k, measure), PRIORS)


def areas(ax):
    """Of every filled part, on the axis as it is drawn."""
    found = []
    for collection in ax.collections:
        if collection.get_hatch() is None and not len(collection.get_facecolor()):
            continue
        paths = collection.get_paths()
        if len(paths) == 1 and len(paths[0].vertices) > 10:
            x, y = paths[0].vertices.T
            x = np.log(x) if ax.get_xscale() == "log" else x
            found.append(abs(trapezoid(y, x)))
    return found


@pytest.mark.parametrize(
    ("measure", "difference"), [("RR", 0.8), ("RR", (0.5, 1.1)), ("SMD", 0.2), ("ZCOR", 0.1), ("OR", None)]
)
def test_areas_are_probabilities_on_every_scale(measure, difference):
    fit = fitted(measure)
    b = decisions.beyond(fit.theta_new, difference)
    expected = [p for p in (b.below, b.between, b.above) if p > 0]
    # what lies beyond the axis, and the trapezoid rule
    np.testing.assert_allclose(areas(bp.plot_predictive(fit, difference)), expected, atol=0.003)


def test_legend_states_each_probability_and_calls_it_benefit_or_harm():
    fit = fitted()
    b = decisions.beyond(fit.theta_new, 0.8, favours="lower")
    words = [
        text.get_text().replace("\n", " ")
        for text in bp.plot_predictive(fit, 0.8, favours="lower").get_legend().get_texts()
    ]
    assert words[0] == f"RR below 0.80 (benefit): probability {b.benefit:.3f}"
    assert words[1] == f"RR from 0.80 to 1.25: probability {b.between:.3f}"
    assert words[2] == f"RR above 1.25 (harm): probability {b.harm:.3f}"
    neutral = [text.get_text() for text in bp.plot_predictive(fit, 0.8).get_legend().get_texts()]
    assert not any("benefit" in text or "harm" in text for text in neutral)


def test_intervals_of_new_study_and_average_stand_beneath():
    fit = fitted()
    ax = bp.plot_predictive(fit)
    segments = [
        path[:, 0] for lines in ax.collections if hasattr(lines, "get_segments") for path in lines.get_segments()
    ]
    for marginal in (fit.theta_new, fit.mu):
        expected = np.exp([marginal.lower, marginal.upper])
        assert any(np.allclose(s, expected, rtol=1e-12) for s in segments if len(s) == 2)


def test_what_lies_beyond_the_axis_is_said():
    two = bp.EffectSizes(["simulated a", "simulated b"], [0.3, 1.9], [0.3, 0.4], "OR")
    fit = bp.exact_fit(two, bp.Priors(pr.flat(), pr.half_cauchy(1)))
    ax = bp.plot_predictive(fit)
    low, high = np.log(ax.get_xlim())
    beyond = float(fit.theta_new.cdf(low)) + fit.theta_new.prob_greater(high)
    assert f"({beyond:.3f} lies beyond the axis)" in ax.get_xlabel().replace("\n", " ")
    assert "beyond" not in bp.plot_predictive(fitted("SMD")).get_xlabel()


@pytest.mark.parametrize("size", [*SIZES, None])
@pytest.mark.parametrize("measure", ["RR", "ZCOR"])
def test_no_text_leaves_the_figure_or_meets_other_text(size, measure):
    ax = bp.plot_predictive(fitted(measure), 0.3, favours="higher", ax=room(size) if size else None)
    assert misplaced(ax) == ([], [])


def test_only_exact_fits_are_drawn():
    with pytest.raises(ValueError, match="posterior with a distribution function"):
        bp.plot_predictive(bp.frequentist_fit(simulated(3)))
