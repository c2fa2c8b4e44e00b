"""The far side's probability over scales, against the exact engine at every scale."""

from __future__ import annotations

import numpy as np
import pytest

import bayespip as bp
from bayespip import priors as pr
from bayespip.sensitivity.curves import MuCurve, TauCurve
from bayespip.sensitivity.grid import SCALE_FAMILIES

RNG = np.random.default_rng(4)
YI = RNG.normal(0.4, 0.5, (3, 3))
VI = RNG.uniform(0.02, 0.4, (3, 3))
SCALES = np.geomspace(1e-3, 1e3, 7)
PANELS = 1e-6  # what the fixed panels leave
DRAFT = 1e-4  # tolerance of the nodes that serve every prior on mu
MUS = [pr.flat(), pr.normal(0.1, 0.8), pr.student_t(0, 0.3, 4), pr.normal_mixture([0.4, 0.6], [0.2, 1.0])]


def exact(priors: bp.Priors, *, above: bool) -> list[float]:
    fits = [
        bp.exact_fit(bp.EffectSizes(list("abc"), y, np.sqrt(v), "SMD"), priors) for y, v in zip(YI, VI, strict=True)
    ]
    return [fit.mu.cdf(0.0) if above else fit.prob_positive for fit in fits]


@pytest.mark.parametrize("mu", MUS, ids=str)
@pytest.mark.parametrize("family", SCALE_FAMILIES)
def test_along_the_scale_of_tau(family, mu):
    make = SCALE_FAMILIES[family]
    found = TauCurve(make, mu, SCALES)(YI, VI, above=True)
    for j, scale in enumerate(SCALES):
        if family == "half-cauchy" and scale > 100:
            continue  # 3e-5 of its mass lies beyond the last panel
        np.testing.assert_allclose(found[:, j], exact(bp.Priors(mu, make(scale)), above=True), atol=PANELS)


@pytest.mark.parametrize("family", SCALE_FAMILIES)
def test_a_scale_family_is_one_call(family):
    make = SCALE_FAMILIES[family]
    slow, fast = (TauCurve(make, pr.flat(), SCALES, flag)(YI, VI, above=True) for flag in (False, True))
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_along_the_sd_of_a_sceptical_prior():
    tau = pr.half_normal(0.5)
    for above in (True, False):
        found = MuCurve(tau, SCALES)(YI, VI, above=above)
        for j, scale in enumerate(SCALES):
            target = exact(bp.Priors(pr.normal(0, scale), tau), above=above)
            np.testing.assert_allclose(found[:, j], target, atol=DRAFT)


def test_both_sides_add_up_and_batches_do_not_matter():
    yi, vi = np.tile(YI, (100, 1)), np.tile(VI, (100, 1))
    curve = TauCurve(pr.half_normal, pr.flat(), SCALES)
    below, above = (curve(yi, vi, above=side) for side in (False, True))
    np.testing.assert_allclose(below + above, 1, rtol=1e-12)
    np.testing.assert_allclose(above[-3:], curve(YI, VI, above=True), rtol=1e-12)


def test_extreme_heterogeneity_leaves_the_common_effect_at_tiny_scales():
    """At Q = 10^6 no likelihood is left at tau below 1e-3 beside its maximum."""
    yi, vi = np.array([[0.0, 10.0, 20.0]]), np.full((1, 3), 1e-4)
    found = TauCurve(pr.half_normal, pr.flat(), np.array([1e-5, 1e-4, 1.0]))(yi, vi, above=True)
    assert np.isfinite(found).all()
    assert found[0, 0] == pytest.approx(0, abs=1e-12)
