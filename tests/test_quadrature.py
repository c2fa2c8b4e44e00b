"""Quadrature in log tau: closed forms, spikes, jumps, long tails, cumulative integrals and their inverse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayespip.exact.quadrature import NODES, ORDER, WEIGHTS, Panels, adapt, cumulative, panel_nodes

LOWER, UPPER = math.log(1e-9), 300.0
# Panels are split until the last coefficients are below 1e-12 of the integral; a few panels add up.
RESOLVED = 1e-11
# A jump stays inside a panel of at most 1e-12; the highest here is 50 with respect to log tau.
JUMP = 1e-10


def in_log(logpdf):
    """A log density of tau as a log integrand in x = log tau, a batch of one."""
    return lambda x: (logpdf(np.exp(x)) + x)[None]


def integral(panels, power=0.0):
    return np.exp(panels.log_values + power * panels.x) @ panels.weights


def uniform_density(lower, upper):
    def logpdf(t):
        with np.errstate(divide="ignore"):
            return np.log(np.where((t > lower) & (t < upper), 1 / (upper - lower), 0.0))

    return logpdf


def test_the_rule_is_exact_for_polynomials():
    assert sum(WEIGHTS) == pytest.approx(2, rel=1e-15)
    for degree in range(2 * ORDER):
        exact = 2 / (degree + 1) if degree % 2 == 0 else 0.0
        assert WEIGHTS @ NODES**degree == pytest.approx(exact, abs=1e-15)


@pytest.mark.parametrize("scale", [1e-4, 0.5, 1.0, 1e5])
def test_half_normal_moments(scale):
    panels = adapt(in_log(stats.halfnorm(scale=scale).logpdf), LOWER + math.log(scale), UPPER, moments=(0, 1, 2))
    # the mass below the range, which is what the posterior keeps at tau = 0
    assert integral(panels)[0] == pytest.approx(1 - stats.halfnorm.cdf(1e-9), rel=RESOLVED)
    assert integral(panels, 1)[0] == pytest.approx(scale * math.sqrt(2 / math.pi), rel=RESOLVED)
    assert integral(panels, 2)[0] == pytest.approx(scale**2, rel=RESOLVED)


def test_half_cauchy_moments_of_fractional_order():
    """E tau^s = 1 / cos(pi s / 2) for |s| < 1: the tail of order 0.9 is followed for 300 units of log tau."""
    panels = adapt(in_log(stats.halfcauchy.logpdf), LOWER, UPPER, moments=(0.0, 0.5, 0.9))
    assert integral(panels)[0] == pytest.approx(1 - stats.halfcauchy.cdf(1e-9), rel=RESOLVED)
    for order in (0.5, 0.9):
        assert integral(panels, order)[0] == pytest.approx(1 / math.cos(math.pi * order / 2), rel=RESOLVED)


def test_a_density_that_diverges_at_zero():
    """Gamma(0.1): half of its mass lies below 6e-4 and a tenth below 1e-10."""
    distribution = stats.gamma(0.1)
    panels = adapt(in_log(distribution.logpdf), -300.0, UPPER, moments=(0, 1))
    assert integral(panels)[0] == pytest.approx(1, rel=RESOLVED)
    assert integral(panels, 1)[0] == pytest.approx(0.1, rel=RESOLVED)


@pytest.mark.parametrize("sdlog", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("centre", [-7.13, 0.0, 2.2345])
def test_a_spike_is_found_however_narrow(sdlog, centre):
    panels = adapt(lambda x: stats.norm(centre, sdlog).logpdf(x)[None], LOWER, UPPER)
    # beside the rounding error of a node, as a share of the spike's width
    assert integral(panels)[0] == pytest.approx(1, rel=RESOLVED + 1e-15 * abs(centre) / sdlog)


def test_two_integrands_are_both_resolved():
    narrow, wide = stats.norm(-3, 0.05), stats.norm(2, 1.5)
    panels = adapt(lambda x: np.stack([narrow.logpdf(x), wide.logpdf(x)]), LOWER, UPPER)
    assert integral(panels) == pytest.approx(1, rel=RESOLVED)
    assert panels.log_values.shape == (2, panels.x.size)


@pytest.mark.parametrize(("lower", "upper"), [(0.3, 0.7), (0.5, 0.51), (1e-3, 50.0)])
def test_jumps_cost_next_to_nothing(lower, upper):
    panels = adapt(in_log(uniform_density(lower, upper)), -300.0, UPPER, moments=(0, 1, 2))
    assert integral(panels)[0] == pytest.approx(1, rel=JUMP)
    assert integral(panels, 1)[0] == pytest.approx((lower + upper) / 2, rel=JUMP)


def test_a_density_that_is_zero_wherever_tried_is_refused():
    with pytest.raises(ValueError, match="must be positive somewhere; it is zero at all"):
        adapt(lambda x: np.full((1, x.size), -np.inf), -3.0, 3.0)


def test_a_density_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match=r"it is nan at tau = 0\.0497871"):
        adapt(lambda x: np.full((1, x.size), np.nan), -3.0, 3.0)


def test_a_density_that_is_nothing_but_noise_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="too rough to integrate"):
        adapt(lambda x: rng.normal(size=(1, x.size)), -3.0, 3.0)


@pytest.mark.parametrize("constant", [1e6, -1e12])
def test_rounding_of_large_log_values_is_not_chased(constant):
    """A log value of 1e12 has a last digit of 1e-4: the integral cannot be had to more."""
    panels = adapt(lambda x: stats.norm(0, 1).logpdf(x)[None] + constant, LOWER, UPPER)
    assert len(panels.edges) < 100
    assert integral(Panels(panels.edges, panels.log_values - constant))[0] == pytest.approx(
        1, abs=1e-15 * abs(constant)
    )


def test_values_stand_at_their_own_nodes_after_splitting():
    integrand = in_log(stats.lognorm(0.02, scale=0.3).logpdf)
    panels = adapt(integrand, LOWER, UPPER)
    assert len(panels.edges) > 4
    assert np.array_equal(panels.log_values, integrand(panel_nodes(panels.edges)))


def polynomial_panels():
    edges = np.array([-3.0, -1.0, -0.5, 2.0])
    return edges, Panels(edges, np.empty((0, 0))).x


def test_cumulative_integrals_of_a_polynomial_are_exact():
    edges, x = polynomial_panels()
    total = cumulative(edges, np.stack([3 * x**2, 1 + 0 * x]))
    at = np.linspace(-3, 2, 41)
    expected = np.stack([at**3 + 27, at + 3])
    assert total(np.stack([at, at])) == pytest.approx(expected, abs=1e-13)
    assert total(np.array([[-9.0, 9.0], [-9.0, 9.0]])) == pytest.approx(np.array([[0, 35], [0, 5]]), abs=1e-13)


@pytest.mark.parametrize("distribution", [stats.halfnorm(scale=0.5), stats.lognorm(0.87, scale=0.3)])
def test_cumulative_integrals_are_the_distribution_function(distribution):
    panels = adapt(in_log(distribution.logpdf), LOWER, UPPER)
    total = cumulative(panels.edges, np.exp(panels.log_values))
    tau = np.array([1e-4, 0.01, 0.1, 0.3, 0.5, 1.0, 2.0])
    below = distribution.cdf(math.exp(panels.edges[0]))
    assert total(np.log(tau)[None])[0] == pytest.approx(distribution.cdf(tau) - below, rel=RESOLVED)


@given(
    scale=st.floats(1e-3, 1e3),
    p=st.lists(st.floats(1e-3, 1 - 1e-3), min_size=1, max_size=5),
)
def test_inverse_and_integral_undo_each_other(scale, p):
    panels = adapt(in_log(stats.halfnorm(scale=scale).logpdf), LOWER, UPPER)
    total = cumulative(panels.edges, np.exp(panels.log_values))
    x = total.inverse(np.array([p]))
    assert total(x)[0] == pytest.approx(np.array(p), abs=1e-14)
    below = stats.halfnorm(scale=scale).cdf(math.exp(panels.edges[0]))
    exact = stats.halfnorm(scale=scale).ppf(np.array(p) + below)
    assert np.exp(x[0]) == pytest.approx(exact, rel=1e-9)


def test_the_inverse_is_clipped_to_the_range():
    edges, x = polynomial_panels()
    total = cumulative(edges, np.ones((1, x.size)))
    assert total.inverse(np.array([[-1.0, 0.0, 5.0, 6.0]]))[0] == pytest.approx([-3, -3, 2, 2], abs=1e-14)
