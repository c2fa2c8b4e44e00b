"""Marginal posteriors as functions: intervals of either kind on either scale, modes, quantiles, tails."""

import math

import numpy as np
import pytest
from scipy import stats

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit

YI, SEI = np.array([0.3, 0.8, -0.1]), np.array([0.2, 0.35, 0.5])
HALF_NORMAL = pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5))
FLAT = pr.Priors(pr.flat(), pr.half_normal(0.5))


def fit_of(yi=YI, sei=SEI, priors=FLAT, measure="MD"):
    return exact_fit(EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, measure), priors)


def width(interval):
    return interval[1] - interval[0]


KINDS = [("central", "model"), ("central", "display"), ("shortest", "model"), ("shortest", "display")]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("name", ["mu", "tau", "theta_new"])
def test_every_interval_has_its_probability(name, level):
    fit = fit_of([0.3, 0.8], [0.2, 0.35], HALF_NORMAL, "OR")
    marginal = getattr(fit, name)
    for kind, scale in KINDS:
        lower, upper = marginal.interval(level, kind, scale)
        if scale == "display" and name != "tau":
            lower, upper = math.log(lower), math.log(upper)
        assert marginal.cdf(upper) - marginal.cdf(lower) == pytest.approx(level, abs=1e-11)


@pytest.mark.parametrize("name", ["mu", "tau", "theta_new"])
def test_no_interval_is_shorter_than_the_shortest(name):
    fit = fit_of([0.3, 0.8], [0.2, 0.35], HALF_NORMAL, "OR")
    marginal = getattr(fit, name)
    for scale in ("model", "display"):
        shortest = width(marginal.interval(kind="shortest", scale=scale))
        below = np.linspace(0.0005, 0.0495, 99)
        others = marginal.quantile([below, below + 0.95])
        if scale == "display" and name != "tau":
            others = np.exp(others)
        assert shortest <= (others[1] - others[0]).min() * (1 + 1e-12)


def test_the_shortest_ratio_is_not_the_exponential_of_the_shortest_log_ratio():
    mu = fit_of([0.3, 0.8], [0.2, 0.35], HALF_NORMAL, "OR").mu
    on_display = mu.interval(kind="shortest", scale="display")
    exponential = tuple(np.exp(mu.interval(kind="shortest")))
    assert width(on_display) < 0.95 * width(exponential)
    assert on_display[0] < exponential[0]
    # a central interval is the same on either scale
    assert mu.interval(scale="display") == pytest.approx(tuple(np.exp(mu.interval())), rel=1e-15)


def test_at_a_shortest_ratio_interval_both_ends_have_the_same_density():
    mu = fit_of([0.3, 0.8], [0.2, 0.35], HALF_NORMAL, "OR").mu
    lower, upper = mu.interval(kind="shortest", scale="display")
    densities = mu.pdf(np.log([lower, upper])) / np.array([lower, upper])
    assert densities[0] == pytest.approx(densities[1], rel=1e-9)


def test_correlations_are_shown_and_their_shortest_interval_sought_on_their_own_scale():
    mu = fit_of([0.9, 1.4], [0.2, 0.35], HALF_NORMAL, "ZCOR").mu
    assert mu.interval(scale="display") == pytest.approx(tuple(np.tanh(mu.interval())), rel=1e-15)
    lower, upper = mu.interval(kind="shortest", scale="display")
    assert mu.cdf(np.arctanh(upper)) - mu.cdf(np.arctanh(lower)) == pytest.approx(0.95, abs=1e-11)
    # d artanh(r) / dr = 1 / (1 - r^2)
    densities = mu.pdf(np.arctanh([lower, upper])) / (1 - np.array([lower, upper]) ** 2)
    assert densities[0] == pytest.approx(densities[1], rel=1e-9)
    below = np.linspace(0.0005, 0.0495, 99)
    others = np.tanh(mu.quantile([below, below + 0.95]))
    assert width((lower, upper)) <= (others[1] - others[0]).min() * (1 + 1e-12)
    assert width((lower, upper)) < 0.95 * width(np.tanh(mu.interval(kind="shortest")))


def test_a_ratio_with_nearly_nothing_below_its_shortest_interval():
    """Normal on the log scale with SD s: both ends have the same density iff their z sum to -2 s."""
    fit = fit_of([0.0], [3.0], pr.Priors(pr.flat(), pr.half_normal(1e-9)), "OR")
    lower, upper = np.log(fit.mu.interval(kind="shortest", scale="display")) / 3.0
    assert lower + upper == pytest.approx(-6.0, abs=1e-6)
    assert upper == pytest.approx(stats.norm.ppf(0.95), abs=1e-9)


def test_heavy_tails_of_a_log_ratio_neither_overflow_nor_warn():
    fit = fit_of([0.3, 0.8], [0.2, 0.35], pr.Priors(pr.flat(), pr.half_cauchy(5.0)), "OR")
    lower, upper = fit.theta_new.interval(kind="shortest", scale="display")
    assert 0 <= lower < upper
    assert fit.theta_new.interval(0.999999, scale="display")[1] == math.inf
    probability = fit.theta_new.cdf(math.log(upper)) - (fit.theta_new.cdf(math.log(lower)) if lower else 0.0)
    assert probability == pytest.approx(0.95, abs=1e-11)


def test_the_shortest_interval_of_tau_begins_at_zero_where_its_density_falls():
    fit = fit_of([0.3, 0.35], [0.2, 0.35])
    assert fit.tau.interval(kind="shortest") == (0.0, pytest.approx(float(fit.tau.quantile(0.95))))
    assert fit.tau.mode == 0.0


def test_the_shortest_interval_of_tau_ends_where_its_support_does():
    fit = fit_of([-3.0, 3.0], [0.1, 0.1], pr.Priors(pr.flat(), pr.uniform(0, 1)))
    lower, upper = fit.tau.interval(kind="shortest")
    assert upper == pytest.approx(1.0, abs=1e-12)
    assert lower == pytest.approx(float(fit.tau.quantile(0.05)), abs=1e-12)
    assert fit.tau.mode == pytest.approx(1.0, abs=1e-12)


def test_the_mode_is_where_the_density_is_highest():
    fit = fit_of([0.1, 1.9], [0.1, 0.3], pr.Priors(pr.normal(0, 0.3), pr.half_normal(0.5)))
    for marginal in (fit.mu, fit.tau, fit.theta_new, *fit.theta.values()):
        x = np.concatenate([marginal.quantile(np.linspace(0.001, 0.999, 1999)), [marginal.mode]])
        assert marginal.pdf(marginal.mode) == marginal.pdf(x).max()
        nearby = marginal.mode + np.array([-1e-4, 1e-4]) * marginal.sd
        assert (marginal.pdf(nearby) <= marginal.pdf(marginal.mode)).all()


def test_the_higher_of_two_modes_is_taken():
    """Prior and data in conflict: mu is near the prior if tau is large, near the data if it is small."""
    fit = fit_of([3.0, 3.2], [0.3, 0.3], pr.Priors(pr.student_t(0.0, 0.1, 1.0), pr.half_normal(1.0)))
    x = np.linspace(-1, 4, 1001)
    density = fit.mu.pdf(x)
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])) + 1
    assert peaks.size == 2
    assert fit.mu.mode == pytest.approx(x[peaks[density[peaks].argmax()]], abs=1e-2)


def test_a_density_without_a_maximum_has_no_mode():
    prior = pr.density(lambda t: stats.gamma(0.5).logpdf(t), "gamma(0.5)", tail=math.inf)
    assert math.isnan(fit_of(priors=pr.Priors(pr.flat(), prior)).tau.mode)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95, math.nan])
def test_a_level_outside_zero_to_one_is_refused(level):
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\); got"):
        fit_of().mu.interval(level)


def test_unknown_kinds_and_scales_are_refused_with_the_choices():
    mu = fit_of().mu
    with pytest.raises(ValueError, match="kind must be one of central, shortest; got 'HPD'"):
        mu.interval(kind="HPD")
    with pytest.raises(ValueError, match="scale must be one of model, display; got 'log'"):
        mu.interval(scale="log")


@pytest.mark.parametrize("name", ["mu", "tau"])
def test_quantiles_of_what_is_no_probability_are_refused(name):
    marginal = getattr(fit_of(), name)
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\]; got"):
        marginal.quantile([0.5, 1.5])
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\]; got"):
        marginal.quantile(math.nan)


def test_functions_keep_the_shape_of_what_they_are_given():
    fit = fit_of()
    for marginal in (fit.mu, fit.tau):
        for function in (marginal.pdf, marginal.cdf, marginal.quantile):
            assert function(0.5).shape == ()
            assert function([[0.1, 0.2, 0.3]]).shape == (1, 3)


def test_quantiles_at_the_ends_are_the_ends_of_the_support():
    fit = fit_of()
    assert fit.mu.quantile([0, 1]).tolist() == [-math.inf, math.inf]
    assert fit.tau.quantile([0, 1]).tolist() == [0, math.inf]
    bounded = fit_of(priors=pr.Priors(pr.flat(), pr.uniform(0.3, 0.7)))
    assert bounded.tau.quantile([0, 1]) == pytest.approx([0.3, 0.7], rel=1e-12)


def test_the_upper_tail_of_tau_does_not_cancel():
    """Far out the posterior under k = 1 and a flat mu is the prior: 2 / (pi x) of a half-Cauchy."""
    fit = fit_of([0.4], [0.3], pr.Priors(pr.flat(), pr.half_cauchy(1.0)))
    # about 1e-17 of the posterior lies beyond the last panel: of a tail of 6e-13 that is a few 1e-5
    for x in (1e3, 1e6, 1e9, 1e12):
        assert fit.tau.prob_greater(x) == pytest.approx(2 / math.pi * math.atan(1 / x), rel=1e-4 if x > 1e9 else 1e-7)
    assert fit.tau.prob_greater(-1.0) == 1
    assert fit.tau.prob_greater(0.0) == 1
