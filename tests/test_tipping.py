"""Tipping points: against closed forms, independent integration, and the exact engine on both sides of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import bayespip as bp
from bayespip import priors as pr
from bayespip.sensitivity.grid import SCALE_FAMILIES
from bayespip.sensitivity.tipping import SCEPTICAL, tipping_point

TWO = bp.EffectSizes(["a", "b"], [0.9, 0.7], [0.2, 0.3], "OR")
THREE = bp.EffectSizes(list("abc"), [-0.9, -0.4, -0.7], [0.2, 0.25, 0.2], "OR")
CLOSED_FORM = 1e-9
INTEGRATED = 1e-8  # scipy's quad up to tau = 1e9, beyond which a half-Cauchy has no more
Z = stats.norm.isf(0.025)


def no_heterogeneity() -> pr.Prior:
    """A tau so small that its square vanishes beside any variance here."""
    return pr.half_normal(1e-9)


@pytest.mark.parametrize("sei", [[0.2], [0.3, 0.4], [0.2, 0.3, 0.5, 0.3]])
def test_the_sceptical_prior_of_a_common_effect_in_closed_form(sei):
    """Held et al 2022, section 2: variance of the sufficiently sceptical prior = SE^2 / (z^2 / z_alpha^2 - 1).

    Its 97.5% point is Matthews's scepticism limit (U - L)^2 / (4 sqrt(U L)).
    """
    k = len(sei)
    effects = bp.EffectSizes([str(i) for i in range(k)], np.linspace(1.0, 0.8, k), sei, "OR")
    total = (1 / effects.vi).sum()
    m, se = (effects.yi / effects.vi).sum() / total, total**-0.5
    point = tipping_point(effects, SCEPTICAL, tau=no_heterogeneity())
    assert point.answer == "tips"
    assert point.scale == pytest.approx(se / math.sqrt((m / se / Z) ** 2 - 1), rel=CLOSED_FORM)
    lower, upper = m - Z * se, m + Z * se
    assert Z * point.scale == pytest.approx((upper - lower) ** 2 / (4 * math.sqrt(upper * lower)), rel=CLOSED_FORM)
    assert point.holds == ((point.scale, math.inf),)
    assert str(point).startswith("lost once the SD of a sceptical normal prior on mu falls below")


def far_side(effects: bp.EffectSizes, tau: pr.Prior) -> float:
    """P(mu <= 0) under a flat mu, by quad over tau."""

    def parts(t):
        w = 1 / (effects.vi + t**2)
        mean = (w * effects.yi).sum() / w.sum()
        q = (w * (effects.yi - mean) ** 2).sum()
        weight = math.exp(-q / 2) * math.sqrt(w.prod() / w.sum()) * math.exp(float(tau.logpdf(t)))
        return weight, weight * stats.norm.sf(mean * math.sqrt(w.sum()))

    edges = [e for e in (0, 0.05, 0.2, 0.5, 1, 2, 5, 20, 100, 1e3, 1e5, 1e8) if e < tau.upper_bound]
    edges.append(min(tau.upper_bound, 1e9))
    pairs = list(pairwise(edges))
    whole, far = (
        sum(integrate.quad(lambda t, i=i: parts(t)[i], a, b, epsrel=1e-12, epsabs=0, limit=200)[0] for a, b in pairs)
        for i in (0, 1)
    )
    return far / whole


@pytest.mark.parametrize("family", SCALE_FAMILIES)
@pytest.mark.parametrize("claim", ["interval", 0.9])
def test_the_scale_of_tau_by_independent_integration(family, claim):
    point = tipping_point(TWO, family, claim)
    tail = 0.025 if claim == "interval" else 0.1
    assert far_side(TWO, SCALE_FAMILIES[family](point.scale)) == pytest.approx(tail, rel=INTEGRATED)


@pytest.mark.parametrize(
    ("effects", "mu", "family"),
    [
        *((TWO, pr.flat(), family) for family in SCALE_FAMILIES),
        (THREE, pr.flat(), lambda s: pr.half_t(s, 4)),
        (THREE, pr.normal(0, 2.82), "uniform"),
        (TWO, pr.student_t(0, 0.5, 3), "half-normal"),
    ],
)
def test_the_interval_first_covers_no_effect_there(effects, mu, family):
    point = tipping_point(effects, family, mu=mu)
    assert point.answer == "tips"
    make = SCALE_FAMILIES[family] if isinstance(family, str) else family
    sign = 1 if point.side == "above" else -1

    def nearest(scale):
        fit = bp.exact_fit(effects, bp.Priors(mu, make(scale)))
        return fit.mu.lower if sign > 0 else -fit.mu.upper

    assert nearest(point.scale) == pytest.approx(0, abs=1e-9)
    assert nearest(point.scale * (1 - 1e-4)) > 0 > nearest(point.scale * (1 + 1e-4))
    at = point.interval_at
    assert (at.lower if sign > 0 else at.upper) == pytest.approx(0, abs=1e-9)
    assert at.lower <= at.point <= at.upper
    assert f"exceeds {point.scale:.3g}" in str(point)


def test_an_interval_is_a_probability_and_weaker_claims_are_lost_later():
    interval = tipping_point(TWO)
    assert tipping_point(TWO, claim=0.975).scale == pytest.approx(interval.scale, rel=1e-9)
    assert tipping_point(TWO, level=0.9).scale == pytest.approx(tipping_point(TWO, claim=0.95).scale, rel=1e-9)
    scales = [tipping_point(TWO, claim=claim).scale for claim in (0.99, 0.975, 0.95, 0.9)]
    assert scales == sorted(scales)
    assert tipping_point(TWO, SCEPTICAL, tau=pr.half_normal(0.2), claim=0.9).scale < (
        tipping_point(TWO, SCEPTICAL, tau=pr.half_normal(0.2)).scale
    )


def test_never_and_always_are_answers():
    strong = bp.EffectSizes(list("abcdefgh"), np.linspace(1.9, 2.1, 8), [0.1] * 8, "OR")
    never = tipping_point(strong)
    assert (never.answer, never.scale, never.holds) == ("never", math.inf, ((0.0, math.inf),))
    assert str(never) == "holds whatever tau's half-normal scale"
    assert np.isnan(never.interval_at.lower)
    # the limit of large scales is the improper uniform prior, under which the interval excludes no effect too
    assert bp.exact_fit(strong, bp.Priors(pr.flat(), pr.uniform(0, math.inf))).mu.lower > 0
    none = bp.EffectSizes(["a", "b"], [0.1, -0.1], [0.2, 0.2], "OR")
    for family, more in (("half-normal", {}), (SCEPTICAL, {"tau": pr.half_normal(0.5)})):
        always = tipping_point(none, family, side="above", **more)
        assert (always.answer, always.holds) == ("always", ())
        assert str(always).startswith("does not hold whatever")
    assert tipping_point(none, side="above").scale == 0
    assert tipping_point(none, SCEPTICAL, tau=pr.half_normal(0.5), side="above").scale == math.inf
    assert tipping_point(strong, side="below").answer == "always"


def test_a_claim_that_is_gained_and_lost_again():
    """A precise study of no effect among imprecise ones of a large effect: heterogeneity first helps the claim."""
    effects = bp.EffectSizes(list("abcd"), [0.02, 1.0, 1.1, 0.9], [0.05, 0.4, 0.4, 0.4], "SMD")
    point = tipping_point(effects, side="above")
    scales = np.geomspace(1e-3, 1e3, 200)
    lower = np.array([bp.exact_fit(effects, bp.Priors(pr.flat(), pr.half_normal(s))).mu.lower for s in scales])
    inside = np.zeros(len(scales), dtype=bool)
    for a, b in point.holds:
        inside |= (scales > a) & (scales < b)
    np.testing.assert_array_equal(lower > 0, inside)
    ((start, end),) = point.holds
    assert start > 0
    assert point.scale == end
    assert str(point) == f"holds only where tau's half-normal scale is {start:.3g} to {end:.3g}"


def test_one_study_under_a_flat_mu_always_tips_in_the_end():
    one = bp.EffectSizes(["a"], [5.0], [0.5], "SMD")
    point = tipping_point(one)
    assert point.answer == "tips"
    assert bp.exact_fit(one, bp.Priors(pr.flat(), pr.half_normal(point.scale))).mu.lower == pytest.approx(0, abs=1e-8)


@settings(max_examples=6)
@given(st.floats(0.2, 5), st.sampled_from(["half-normal", "uniform", SCEPTICAL]))
def test_units_and_signs(factor, family):
    more = {"tau": pr.half_normal(0.2)} if family == SCEPTICAL else {}
    base = tipping_point(TWO, family, **more)
    scaled = bp.EffectSizes(["a", "b"], -factor * TWO.yi, factor * TWO.sei, "MD")
    if more:
        more = {"tau": pr.half_normal(0.2 * factor)}
    again = tipping_point(scaled, family, **more)
    assert again.scale == pytest.approx(factor * base.scale, rel=1e-8)
    assert (base.side, again.side) == ("above", "below")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "gamma"}, "family must be one of half-normal, .*sceptical normal.*got 'gamma'"),
        ({"claim": "benefit"}, "claim must be 'interval' or a probability such as 0.95; got 'benefit'"),
        ({"claim": 0.4}, r"probability in \(0.5, 1\); got 0.4"),
        ({"side": "left"}, "side must be 'above' or 'below'"),
        ({"level": 1.0}, r"level must lie in \(0, 1\); got 1.0"),
        ({"family": SCEPTICAL}, "give tau"),
        ({"family": SCEPTICAL, "tau": pr.half_normal(1), "mu": pr.flat()}, "give tau, .* and not mu"),
        ({"tau": pr.half_normal(1)}, "give mu, not tau"),
        ({"family": SCEPTICAL, "tau": pr.published("bartos2021/SMD/cochrane/tau")}, "derived for SMD, not for OR"),
        ({"family": SCEPTICAL, "tau": pr.uniform(0, math.inf)}, "improper for k = 2"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tipping_point(TWO, **arguments)
