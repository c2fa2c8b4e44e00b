"""Priors carried from one measure to another: by the distribution of the rescaled variable, and named."""

import math

import numpy as np
import pytest

from bayespip import priors as pr

FACTOR = math.sqrt(3) / math.pi
PROPER = [
    pr.normal(0.3, 2.82),
    pr.student_t(-0.1, 0.43, 5),
    pr.truncated_student_t(0.35, 0.102, 3, 0.1),
    pr.normal_mixture([0.4, 0.6], [0.61, 1.42]),
    pr.half_normal(0.5),
    pr.half_t(0.4, 3),
    pr.half_cauchy(0.276),
    pr.exponential(0.7),
    pr.log_normal(-1.78, 0.87),
    pr.log_t(-1.72, 1.295, 5),
    pr.inverse_gamma(1.71, 0.73),
    pr.root_inverse_gamma(1.14, 0.08),
    pr.uniform_shrinkage([0.2, 0.3]),
    pr.lomax(0.3, 2.5),
    pr.uniform(0.1, 2.0),
]


def test_every_proper_family_can_be_rescaled():
    assert {prior.family for prior in PROPER} == {name for name, f in pr.FAMILIES.items() if f.scaled}
    assert {name for name, f in pr.FAMILIES.items() if not f.scaled} == {"flat", "improper uniform", "jeffreys"}


@pytest.mark.parametrize("prior", PROPER, ids=str)
def test_the_rescaled_prior_is_that_of_the_rescaled_variable(prior):
    p = np.array([0.01, 0.3, 0.5, 0.9])
    scaled = prior.scaled(1.7)
    assert (scaled.family, scaled.role) == (prior.family, prior.role)
    np.testing.assert_allclose(scaled.quantile(p), 1.7 * prior.quantile(p), rtol=1e-12, atol=1e-14)
    x = prior.quantile(p)
    np.testing.assert_allclose(scaled.logpdf(1.7 * x), prior.logpdf(x) - math.log(1.7), rtol=1e-12, atol=1e-12)


def test_log_odds_ratios_become_standardised_mean_differences():
    prior = pr.published("turner2015/mental-health/nonpharma-placebo")
    smd = pr.converted(prior, "SMD")
    assert smd.quantile(0.5) == pytest.approx(FACTOR * prior.quantile(0.5), rel=1e-14)
    assert (smd.measure, smd.name) == ("SMD", "turner2015/mental-health/nonpharma-placebo as SMD")
    assert smd.source.startswith(prior.source)
    assert "sqrt(3)/pi, from log OR to SMD: Chinn" in smd.source
    back = pr.converted(smd, "OR")
    assert back.parameters == pytest.approx(prior.parameters, rel=1e-14)
    assert pr.converted(prior, "OR") is prior


def test_a_prior_of_the_user_is_converted_if_its_measure_is_given():
    smd = pr.converted(pr.half_normal(0.5), "SMD", measure="OR")
    assert smd.parameters == pytest.approx((0.5 * FACTOR,), rel=1e-15)
    with pytest.raises(ValueError, match=r"measure must be given: half-normal\(0.5\) does not say"):
        pr.converted(pr.half_normal(0.5), "SMD")


def test_what_cannot_be_defended_is_refused():
    prior = pr.published("turner2015/any")
    with pytest.raises(ValueError, match="turner2015/any was derived for OR; there is no defensible conversion to RR"):
        pr.converted(prior, "RR")
    with pytest.raises(ValueError, match="cannot be rescaled: its density is improper"):
        pr.converted(pr.uniform(0, math.inf), "SMD", measure="OR")
    with pytest.raises(ValueError, match="factor must be positive and finite; got 0"):
        pr.half_normal(1).scaled(0)


def test_a_prior_for_another_measure_is_refused_by_name():
    prior = pr.published("turner2015/any")
    pr.require_measure(prior, "OR")
    pr.require_measure(pr.half_normal(0.5), "SMD")
    with pytest.raises(
        ValueError, match=r"turner2015/any was derived for OR, not for SMD; priors.converted\(prior, 'SMD'\)"
    ):
        pr.require_measure(prior, "SMD")
    with pytest.raises(ValueError, match=r"turner2015/any was derived for OR, not for MD\.$"):
        pr.require_measure(prior, "MD")
