"""What a prior says in words, and the numbers in them."""

import math

import pytest
from scipy import stats

from bayespip import priors as pr
from bayespip.priors.meaning import figure, meaning_of

HALF_NORMAL = pr.half_normal(0.5)


def test_a_prior_on_tau_tells_its_median_interval_and_the_spread_of_true_effects():
    assert HALF_NORMAL.meaning("OR") == (
        "median tau 0.34, 95% 0.016 to 1.1; 95% of true effects within a factor 3.8 of each other (median tau)"
    )
    assert HALF_NORMAL.meaning("SMD") == (
        "median tau 0.34, 95% 0.016 to 1.1; 95% of true effects within 1.3 of each other (median tau)"
    )
    assert HALF_NORMAL.meaning() == HALF_NORMAL.meaning("SMD")


def test_a_prior_on_mu_is_told_on_the_display_scale():
    assert pr.normal(0, 2.82).meaning("OR") == "median OR 1, 95% 0.0040 to 251"
    assert pr.student_t(0, 0.43, 5).meaning("SMD") == "median SMD 0, 95% -1.1 to 1.1"
    assert pr.normal(0, 2.82).meaning() == "median mu 0, 95% -5.5 to 5.5"


def test_an_improper_prior_says_nothing_by_itself():
    for prior in (pr.flat(), pr.uniform(0, math.inf), pr.jeffreys([0.2, 0.3])):
        assert prior.meaning("RR") == (
            f"improper: no median of {prior.role}, no interval; what it says depends on the data"
        )
        assert all(math.isnan(value) for value in meaning_of(prior, "RR"))


def test_the_numbers_are_quantiles_and_the_width_of_a_normal_distribution():
    prior = pr.log_normal(-1.28, 0.87)
    m = meaning_of(prior, "OR")
    assert (m.lower, m.median, m.upper) == tuple(prior.quantile([0.025, 0.5, 0.975]))
    low, high = stats.norm(0.2, m.median).ppf([0.025, 0.975])
    assert m.spread == pytest.approx(math.exp(high - low), rel=1e-12)
    assert meaning_of(prior, "RD").spread == pytest.approx(high - low, rel=1e-12)
    assert meaning_of(pr.half_normal(1e4), "OR").spread == math.inf


def test_a_density_of_the_user_has_quantiles_by_quadrature():
    gamma = stats.gamma(2, scale=0.3)
    m = meaning_of(pr.density(gamma.logpdf, "gamma(2, 0.3)", tail=math.inf))
    assert m[:3] == pytest.approx(gamma.ppf([0.5, 0.025, 0.975]), rel=1e-9)


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match=r"measure must be one of .*got 'log OR'"):
        HALF_NORMAL.meaning("log OR")


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.337, "0.34"),
        (0.0157, "0.016"),
        (0.997, "1.0"),
        (9.96, "10"),
        (129.4, "129"),
        (1, "1"),
        (0, "0"),
        (-0.0234, "-0.023"),
        (1234567.8, "1.2e6"),
        (1e-5, "1.0e-5"),
        (math.inf, "inf"),
        (math.nan, ""),
    ],
)
def test_figures_have_two_significant_digits(x, text):
    assert figure(x) == text
