"""Priors on tau as polynomials: they follow the log density of every family, and find every jump."""

import math

import numpy as np
import pytest
from scipy import stats

from bayespip import priors as pr
from bayespip.exact.prior_panels import at_nodes, prior_panels
from bayespip.exact.quadrature import NODES, ORDER
from bayespip.priors.lookup import select

# Of max(1, |log density|), where the density is no less than exp(-600) of its largest.
FOLLOWED = 1e-11
SEI = [0.2, 0.35, 0.5]


def worst_difference(prior, seed=1):
    """Largest relative difference of polynomials and density, at the nodes of random panels."""
    panels, rng, worst, out = prior_panels(prior), np.random.default_rng(seed), 0.0, np.empty(ORDER)
    for lower in rng.uniform(max(panels.lower, -60), min(panels.upper, 20), 100):
        half = min(rng.choice([0.02, 0.3, 2.0]), (panels.upper - lower) / 2)
        at_nodes(panels.edges, panels.coefficients, lower, half, out)
        x = lower + half * (1 + NODES)
        wanted = prior.logpdf(np.exp(x)) + x
        matters = wanted > panels.at_roots.max() - 600
        difference = np.abs(out - wanted)[matters] / np.maximum(1, np.abs(wanted[matters]))
        worst = max(worst, difference.max(initial=0.0))
    return worst


def test_every_published_prior_is_followed():
    priors = [entry.prior(SEI) for entry in select(parameter="tau")]
    assert len(priors) > 400
    bad = {str(prior): worst for prior in priors[::4] if (worst := worst_difference(prior)) > FOLLOWED}
    assert not bad


@pytest.mark.parametrize(
    "prior",
    [
        pr.half_normal(1e-9),
        pr.half_normal(1e6),
        pr.half_t(0.01, 1.5),
        pr.log_t(-3, 0.05, 3),
        pr.log_normal(-20, 2),
        pr.log_normal(math.log(0.4), 1e-3),
        pr.inverse_gamma(30, 10),
        pr.lomax(0.5, 1.05),
        pr.uniform(0, 2),
        pr.uniform(0.3, 0.7),
        pr.uniform(0, 1e-9),
        pr.uniform(0, math.inf),
        pr.jeffreys(SEI),
        pr.density(stats.gamma(0.5).logpdf, "gamma(0.5)", tail=math.inf),
    ],
    ids=str,
)
def test_priors_of_every_scale_are_followed(prior):
    assert worst_difference(prior) <= FOLLOWED


def test_a_prior_next_to_a_point_is_followed_at_its_top():
    prior = pr.log_normal(math.log(0.4), 1e-7)
    panels, out = prior_panels(prior), np.empty(ORDER)
    lower = math.log(0.4) - 3e-7
    at_nodes(panels.edges, panels.coefficients, lower, 3e-7, out)
    x = lower + 3e-7 * (1 + NODES)
    # the last digit of tau is 1e-9 of this prior's width
    assert out == pytest.approx(prior.logpdf(np.exp(x)) + x, abs=1e-7)


@pytest.mark.parametrize(("lower", "upper"), [(0.3, 0.7), (1.0, 2.0), (math.exp(0.01), math.exp(3.99))])
def test_jumps_are_found_wherever_they_are(lower, upper):
    """At exp(0.01) the jump hides between the edge of a panel and the nearest node; at 1 it is the edge."""

    def logpdf(t):
        return np.where((t > lower) & (t < upper), 0.0, -math.inf)

    panels = prior_panels(pr.density(logpdf, f"plateau({lower:g}, {upper:g})", tail=math.inf, proper=False))
    for jump in (lower, upper):
        assert np.abs(panels.breaks - math.log(jump)).min() < 1e-11
    out = np.empty(ORDER)
    at_nodes(panels.edges, panels.coefficients, math.log(lower) + 1e-9, 1e-3, out)
    assert np.isfinite(out).all()
    at_nodes(panels.edges, panels.coefficients, math.log(upper) + 1e-9, 1e-3, out)
    assert np.isneginf(out).all()


def test_a_step_between_two_finite_densities_is_found():
    def logpdf(t):
        return np.where(t < 0.5, 0.0, -2.0)

    panels = prior_panels(pr.density(logpdf, "step", tail=0.0, proper=False))
    assert np.abs(panels.breaks - math.log(0.5)).min() < 1e-11


def test_panels_end_where_the_support_does():
    panels = prior_panels(pr.uniform(0.3, 0.7))
    assert (panels.edges[0], panels.edges[-1]) == pytest.approx((math.log(0.3), math.log(0.7)), rel=1e-15)
    assert prior_panels(pr.uniform(0, 2)).edges[-1] == math.log(2)


def test_the_mass_below_the_smallest_tau_is_kept_where_it_is_not_negligible():
    heavy = pr.log_t(-1, 0.9, 5)
    assert prior_panels(heavy).log_mass_below == pytest.approx(math.log(heavy.cdf(math.exp(-300.0))), rel=1e-12)
    assert prior_panels(pr.half_normal(0.5)).log_mass_below == -math.inf
