"""Figures of the heterogeneity, read from their Axes: evidence on tau, shrinkage, joint posterior."""

from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.testing import assert_allclose
from plot_text import SIZES, boxes, misplaced, room, simulated
from scipy.integrate import trapezoid

import bayespip as bp
from bayespip import priors
from bayespip.plots.joint import MASSES, joint_density
from bayespip.plots.shrinkage import conditional_effects

HALF_NORMAL = bp.Priors(priors.flat(), priors.half_normal(0.5), name="HN(0.5)")
STUDENT = bp.Priors(priors.student_t(0, 1, 3), priors.half_cauchy(0.5), name="t and HC(0.5), of eleven experts")
SEVERAL = (HALF_NORMAL, STUDENT)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fit(k, prior=HALF_NORMAL, **more):
    return bp.exact_fit(simulated(k, **more), prior)


FIGURES = {
    "plot_tau": lambda k: bp.tau_evidence(simulated(k), SEVERAL),
    "plot_shrinkage": lambda k: fit(k, long=k < 40),
    "plot_joint": lambda k: fit(k, STUDENT),
}


def test_a_figure_cut_to_its_text_as_notebooks_cut_it_loses_nothing(monkeypatch):
    ax = bp.plot_tau(FIGURES["plot_tau"](3))
    strip, gaps = ax.child_axes[0], []
    draw = strip.draw
    monkeypatch.setattr(strip, "draw", lambda renderer: (draw(renderer), gaps.append(ax.bbox.y0 - strip.bbox.y1)))
    for cut in (None, "tight"):
        ax.figure.savefig(BytesIO(), dpi=144, bbox_inches=cut)
    assert_allclose(gaps, gaps[0], rtol=1e-6)
    dpi, kept = ax.figure.dpi, ax.figure.get_tightbbox()
    for artist in (ax.get_legend(), strip.xaxis.label, ax.yaxis.label):
        inside = artist.get_window_extent().extents / dpi
        assert (inside >= [kept.x0 - 1e-6, kept.y0 - 1e-6] * 2).all()
        assert (inside <= [kept.x1 + 1e-6, kept.y1 + 1e-6] * 2).all()


@pytest.mark.parametrize(
    ("k", "size"), [(2, None), (2, SIZES[2]), (8, SIZES[0]), (8, SIZES[1]), (40, None), (40, SIZES[2])]
)
@pytest.mark.parametrize("name", list(FIGURES))
def test_no_text_is_clipped_or_meets_other_text(name, k, size):
    # 8 long names need a page
    if name == "plot_shrinkage" and k == 8 and size is not None:
        size = (size[0], 190)
    ax = getattr(bp, name)(FIGURES[name](k), ax=None if size is None else room(size))
    assert misplaced(ax) == ([], [])


@pytest.mark.parametrize("name", list(FIGURES))
def test_text_keeps_to_the_rectangle_of_the_axes_given(name):
    figure = plt.figure(figsize=(9, 7))
    ax = figure.add_axes((0.45, 0.3, 0.5, 0.6))
    assert getattr(bp, name)(FIGURES[name](2), ax=ax) is ax
    FigureCanvasAgg(figure).draw()
    width, height = figure.canvas.get_width_height()
    drawn = [box for _, box in boxes(ax, figure.dpi)]
    assert min(box.x0 for box in drawn) > 0.45 * width - 1
    assert max(box.x1 for box in drawn) < 0.95 * width + 1
    assert min(box.y0 for box in drawn) > 0.3 * height - 1
    assert max(box.y1 for box in drawn) < 0.9 * height + 1


@pytest.mark.parametrize("name", list(FIGURES))
def test_axes_without_room_are_refused_with_what_is_needed(name):
    with pytest.raises(ValueError, match=r"ax must be at least \d+ mm wide and \d+ mm high .* it has 10 by 10 mm"):
        getattr(bp, name)(FIGURES[name](2), ax=room((10.4, 10.4)))


def test_tau_shows_curves_estimators_and_interval_as_computed():
    evidence = bp.tau_evidence(simulated(8), SEVERAL)
    ax = bp.plot_tau(evidence)
    drawn = [line.get_ydata() for line in ax.lines]
    for prior in (p.name for p in SEVERAL):
        for name in ("prior_density", "posterior_density"):
            curve = evidence.curves[name].sel(prior=prior).to_numpy()
            assert any(line.shape == curve.shape and np.array_equal(line, curve) for line in drawn)
    (strip,) = ax.child_axes
    table = evidence.table[evidence.table["kind"] != "posterior"]
    assert [t.get_text() for t in strip.get_yticklabels()] == list(table["name"])
    points = table["point"].dropna().to_numpy()
    (marks,) = [line for line in strip.lines if line.get_marker() == "|"]
    assert_allclose(marks.get_xdata(), points, rtol=1e-15)
    interval = table[table["kind"] == "interval"].iloc[0]
    ends = np.concatenate([s[:, 0] for c in strip.collections for s in c.get_segments() if len(s)])
    assert np.isclose(ends, interval["lower"]).any()
    assert np.isclose(ends, min(interval["upper"], ax.get_xlim()[1])).any()


def test_an_endless_prior_density_does_not_hide_the_posteriors():
    gamma = priors.density(lambda t: -0.5 * np.log(np.pi * t) - t, "endless at zero", tail=np.inf)
    endless = bp.Priors(priors.flat(), gamma, name="endless at zero")
    ax = bp.plot_tau(bp.tau_evidence(simulated(8), [endless, HALF_NORMAL]))
    curve = bp.tau_evidence(simulated(8), [HALF_NORMAL]).curves["posterior_density"].to_numpy()
    assert curve.max() < ax.get_ylim()[1] < 100 * curve.max()


def test_one_study_says_that_tau_cannot_be_estimated():
    prior = bp.Priors(priors.normal(0, 1), priors.half_normal(0.5), name="proper")
    ax = bp.plot_tau(bp.tau_evidence(simulated(1), [prior]))
    assert [t.get_text() for t in ax.child_axes[0].texts] == ["not estimable from one study"] * 9
    assert misplaced(ax) == ([], [])


@pytest.mark.parametrize("prior", [HALF_NORMAL, STUDENT], ids=lambda p: p.name)
def test_conditional_effects_average_to_the_marginal_ones(prior):
    """Integrated over the posterior of tau they are the posterior means of theta and mu."""
    its = fit(5, prior)
    tau = its.tau.quantile(np.linspace(0, 1 - 1e-7, 4001))
    theta, mu, sd = conditional_effects(its, tau)
    mass = np.diff(its.tau.cdf(tau))
    at = lambda x: float((mass * (x[1:] + x[:-1]) / 2).sum())  # noqa: E731
    # trapezoids of 4,000 steps of equal probability
    assert_allclose([at(row) for row in theta], [m.mean for m in its.theta.values()], atol=1e-4)
    assert_allclose(at(mu), its.mu.mean, atol=1e-4)
    # law of total variance; the half-Cauchy tail beyond the last quantile carries some
    if prior is HALF_NORMAL:
        assert_allclose(at(sd**2) + at((mu - its.mu.mean) ** 2), its.mu.sd**2, rtol=1e-3)


def test_without_heterogeneity_all_effects_are_one_and_with_much_their_own():
    its = fit(5)
    theta, mu, _ = conditional_effects(its, np.array([0.0, 1e6]))
    assert_allclose(theta[:, 0], mu[0], rtol=1e-14)
    assert_allclose(theta[:, 1], its.effects.yi, atol=1e-9)


def test_shrinkage_draws_a_line_a_study_on_the_display_scale():
    its = fit(3)
    ax = bp.plot_shrinkage(its)
    assert ax.get_yscale() == "log"
    lines = [line for line in ax.lines if len(line.get_xdata()) > 100]
    assert len(lines) == 4  # three studies and mu
    theta, _, _ = conditional_effects(its, lines[0].get_xdata())
    assert_allclose([line.get_ydata() for line in lines[:3]], np.exp(theta), rtol=1e-14)
    assert {"Simulated 1", "Simulated 2", "Simulated 3"} <= {t.get_text() for t in ax.get_legend().get_texts()}


@pytest.mark.parametrize("prior", [HALF_NORMAL, STUDENT], ids=lambda p: p.name)
def test_joint_density_has_the_marginals_of_the_fit(prior):
    its = fit(4, prior)
    mu = its.mu.quantile([0.1, 0.5, 0.8])
    log_tau = np.linspace(-14, np.log(its.tau.quantile(1 - 1e-9)), 4001)
    tau = np.exp(log_tau)
    integral = trapezoid(joint_density(its, mu, tau) * tau[:, None], log_tau, axis=0)
    assert_allclose(integral, its.mu.pdf(mu), rtol=1e-5)
    some, wide = its.tau.quantile([0.1, 0.6]), np.linspace(-30, 30, 60_001)
    assert_allclose(trapezoid(joint_density(its, wide, some), wide), its.tau.pdf(some), rtol=1e-5)


def test_contours_hold_the_share_of_draws_that_they_claim():
    its = fit(4)
    ax = bp.plot_joint(its)
    (contours,) = [c for c in ax.collections if hasattr(c, "levels")]
    draws = its.to_datatree(20_000, seed=1)["posterior"]
    mu, tau = (np.ravel(draws[name]) for name in ("mu", "tau"))
    near = np.round(tau, 6)
    density = np.array([joint_density(its, [m], [t])[0, 0] for m, t in zip(mu[:4000], near[:4000], strict=True)])
    shares = [(density >= level).mean() for level in contours.levels]
    # four standard errors of a share of 4,000 draws
    assert_allclose(shares, MASSES, atol=4 * np.sqrt(0.25 / 4000))


def test_joint_takes_one_fit_of_each_engine():
    its = fit(4)
    with pytest.raises(
        ValueError, match="an exact fit and a sampled one; got exact normal-normal, exact normal-normal"
    ):
        bp.plot_joint([its, its])
    with pytest.raises(ValueError, match="got none"):
        bp.plot_joint([])


def test_curves_of_a_series_differ_without_colour():
    ax = bp.plot_tau(bp.tau_evidence(simulated(8), SEVERAL))
    thick = [line for line in ax.lines if line.get_linewidth() > 1]
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in thick}) == len(SEVERAL)
