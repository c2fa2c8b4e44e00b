"""The tipping curve: its table is the exact engine's, its figure shows where the claim is lost."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_text import SIZES, misplaced, room

import bayespip as bp
from bayespip import priors as pr
from bayespip.fits import Estimate
from bayespip.sensitivity import TippingCurve, TippingPoint
from bayespip.sensitivity.points import TippingRange

THREE = bp.EffectSizes(["simulated a", "simulated b", "simulated c"], [0.3, 1.4, 0.6], [0.35, 0.5, 0.3], "OR")
BATCH = 1e-7  # what exact_batch promises of exact_fit is 1e-8 posterior SDs


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def curve():
    return bp.tipping_curve(THREE)


def vertical(ax):
    return [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]


def words(ax):
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("row", [0, 30, -1])
def test_every_row_is_the_fit_under_that_prior(curve, row):
    its = curve.table.iloc[row]
    fit = bp.exact_fit(THREE, bp.Priors(pr.flat(), pr.half_normal(its["scale"])))
    model = [fit.mu.point, fit.mu.lower, fit.mu.upper]
    np.testing.assert_allclose(its[["point_model", "lower_model", "upper_model"]].astype(float), model, atol=BATCH)
    np.testing.assert_allclose(its[["point", "lower", "upper"]].astype(float), np.exp(model), rtol=BATCH)
    assert its["prob_side"] == pytest.approx(fit.prob_positive, abs=BATCH)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"claim": 0.95},
        {"family": "sceptical normal", "tau": pr.half_normal(0.5), "claim": 0.9},
        {"family": "uniform", "side": "below"},
        {"family": pr.half_cauchy, "level": 0.8},
    ],
)
def test_the_claim_holds_at_the_scales_at_which_the_point_says_it_does(question):
    curve = bp.tipping_curve(THREE, **question)
    point = bp.tipping_point(THREE, **question)
    assert (curve.point.row, curve.point.holds) == (point.row, point.holds)
    scale = curve.table["scale"].to_numpy()
    inside = np.zeros(len(scale), dtype=bool)
    for start, end in curve.point.holds:
        inside |= (scale > start) & (scale < end)
    np.testing.assert_array_equal(curve.table["prob_side"] > curve.threshold, inside)
    for end in (e for holds in curve.point.holds for e in holds if 0 < e < np.inf):
        assert scale[0] < end < scale[-1]


def test_limits_of_mu_are_drawn_and_the_tip_is_marked(curve):
    ax = bp.plot_tipping(curve)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for edge in ("lower", "point", "upper"):
        assert any(np.array_equal(line.get_ydata(), curve.table[edge]) for line in ax.lines)
    assert curve.point.scale in vertical(ax)
    assert "lost once τ's half-normal scale exceeds 0.583" in words(ax)
    assert "where the interval lies above no effect" in words(ax)


def test_a_claim_about_a_probability_is_drawn_as_one():
    curve = bp.tipping_curve(THREE, "half-cauchy", 0.95)
    ax = bp.plot_tipping(curve)
    assert ax.get_yscale() == "linear"
    assert any(np.array_equal(line.get_ydata(), curve.table["prob_side"]) for line in ax.lines)
    assert any(set(line.get_ydata()) == {0.95} for line in ax.lines)
    assert ax.get_xlabel().replace("\n", " ") == "Scale of the half-cauchy prior on τ (log OR, log axis)"


def test_a_claim_that_never_tips_has_no_line():
    strong = bp.EffectSizes([f"simulated {i}" for i in range(12)], np.full(12, 1.0), np.full(12, 0.2), "MD")
    curve = bp.tipping_curve(strong)
    assert curve.point.answer == "never"
    ax = bp.plot_tipping(curve)
    assert not any(ax.get_xlim()[0] < x < ax.get_xlim()[1] for x in vertical(ax))
    assert "holds whatever τ's half-normal scale" in words(ax)


def of_members(curve):
    """The same curve with a range: points made up, as no search is needed to draw them."""
    none = Estimate(np.nan, np.nan, np.nan)
    low, high = (
        TippingPoint("tau", "half-normal", "flat", curve.point.claim, "above", ((0.0, s),), (1e-3, 1e3), none)
        for s in (0.4, 0.9)
    )
    its = TippingRange(curve.point, low, high)
    return TippingCurve(its, curve.measure, curve.level, curve.threshold, curve.is_of_interval, curve.table)


def test_over_a_family_a_band_spans_the_members(curve):
    ax = bp.plot_tipping(of_members(curve))
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches if p.get_hatch()]
    assert spans == [pytest.approx((0.4, 0.9))]
    assert "at the equal-variance member (0.4 to 0.9 over the members)" in words(ax)


@pytest.mark.slow
def test_a_family_is_drawn_at_its_equal_variance_member():
    family = bp.consistent_studies(bp.load_review("pip")["P2"].reported)
    curve = bp.tipping_curve(family)
    assert curve.point.row == bp.tipping_point(family.illustration(), side=curve.point.side).row
    assert curve.tipping.row == bp.tipping_range(family).row


@pytest.mark.parametrize("size", [*SIZES, (60, 60), None])
def test_no_text_leaves_the_figure_or_meets_other_text(curve, size):
    assert misplaced(bp.plot_tipping(of_members(curve), ax=room(size) if size else None)) == ([], [])
