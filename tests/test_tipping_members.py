"""Tipping points over families of study data: against random members, and against the bounds of the probability."""

from __future__ import annotations

import numpy as np
import pytest

import bayespip as bp
from bayespip import priors as pr
from bayespip.published_only.bounds import bounds, sample
from bayespip.published_only.consistent import consistent_studies
from bayespip.reanalysis.quantities import Bayesian
from bayespip.sensitivity.members import _first_loss, tipping_of, tipping_range
from bayespip.sensitivity.tipping import SCEPTICAL, tipping_point

REVIEW = bp.load_review("pip")
SEARCH = 0.01  # what repeated searches for a bound may differ by, here relative to the scale
PROBABILITY = 1e-3  # where the bounds of a probability near 0.975 end up


def test_no_random_member_lies_outside_and_the_ends_are_attained():
    family = consistent_studies(REVIEW["P3"].reported)
    found = tipping_range(family)
    _, members = sample(family, at_vertices=True, seed=7, size=256)
    points = [
        tipping_point(family.effects(y, v), side="below")
        for y, v in zip(members.yi[::20], members.vi[::20], strict=True)
    ]
    scales = [p.scale for p in points]
    assert len(scales) > 5
    assert found.lowest.scale <= min(scales) * (1 + SEARCH)
    assert found.highest.scale >= max(scales) * (1 - SEARCH)
    assert found.lowest.scale < found.reference.scale < found.highest.scale
    assert found.reference.scale == tipping_point(family.illustration(), side="below").scale


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_at_the_ends_the_bound_of_the_probability_is_the_claim(end):
    """Where the first member loses the claim, the smallest P over all members is 0.975; where the last, the largest."""
    family = consistent_studies(REVIEW["P3"].reported)
    scale = getattr(tipping_range(family), end).scale
    b = bounds(family, [Bayesian(bp.Priors(pr.flat(), pr.half_normal(scale)))])[0]
    below = [1 - p for p in b.of("prob_positive")]
    assert (min(below) if end == "lowest" else max(below)) == pytest.approx(0.975, abs=PROBABILITY)


def test_a_sceptical_prior_over_members():
    family = consistent_studies(REVIEW["P1"].reported)
    found = tipping_range(family, SCEPTICAL, tau=pr.half_normal(0.5))
    assert found.lowest.scale < found.reference.scale < found.highest.scale
    assert found.reference.side == "above"  # as published, RR 8.93
    b = bounds(family, [Bayesian(bp.Priors(pr.normal(0, found.highest.scale), pr.half_normal(0.5)))])[0]
    assert b.of("prob_positive")[0] == pytest.approx(0.975, abs=PROBABILITY)


def test_one_study_has_no_members_but_the_corners_of_its_rounding():
    family = consistent_studies(REVIEW["P7"].reported, k=1)
    found = tipping_range(family, claim=0.6)
    assert found.lowest.answer == "tips"
    assert found.lowest.scale <= found.reference.scale <= found.highest.scale


def test_the_two_that_are_shown():
    effects = bp.EffectSizes(["a", "b"], [0.9, 0.7], [0.2, 0.3], "OR")
    on_tau, on_mu = tipping_of(effects)
    assert on_tau == tipping_point(effects)
    assert on_mu == tipping_point(effects, SCEPTICAL, tau=pr.half_normal(0.5))
    assert on_mu.row["beside"] == "half-normal(0.5)"
    assert on_tau.row["sentence"] == str(on_tau)
    family = consistent_studies(REVIEW["P7"].reported, k=1)
    on_tau, on_mu = tipping_of(family, claim=0.6)
    assert on_tau == tipping_range(family, claim=0.6)
    assert (on_mu.reference.on, on_mu.reference.beside) == ("mu", "half-normal(0.5)")
    assert on_mu.row["scale_min"] <= on_mu.row["scale"] <= on_mu.row["scale_max"]
    differences = bp.EffectSizes(["a", "b"], [3.0, 4.0], [1.0, 1.0], "MD")
    assert tipping_of(differences)[1].beside == "half-normal(1)"  # the typical standard error


def test_first_loss_is_interpolated_and_continued_beyond_both_ends():
    x = np.array([0.0, 1.0, 2.0])
    margin = np.array([[1.0, -1.0, -2.0], [3.0, 1.0, -0.5], [-0.2, 1.0, 1.0], [3.0, 2.0, 0.7], [1.0, 0.0, 1.0]])
    np.testing.assert_allclose(_first_loss(x, margin), [0.5, 1 + 1 / 1.5, -0.2, 2.7, 1.0])


def test_bad_arguments_are_named():
    family = consistent_studies(REVIEW["P3"].reported)
    with pytest.raises(ValueError, match="family must be one of"):
        tipping_range(family, "gamma")
