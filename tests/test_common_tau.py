"""The common distribution of tau: what the typical tau's prior means for the tau of one outcome."""

import numpy as np
import pytest
from scipy import stats

from bayespip import priors as p
from bayespip.model_parts.common_tau import SPREAD, draw_tau, implied_tau

TYPICAL = [p.half_normal(0.5), p.half_cauchy(0.5), p.log_normal(-1.5, 0.6)]
QUADRATURE = 1e-9  # relative: the brute-force rule below, with 4,001 x 200 nodes, is good to about 1e-12
AT = np.array([1e-4, 0.05, 0.3, 1.0, 5.0])


@pytest.mark.parametrize("typical", TYPICAL, ids=str)
def test_the_log_normal_density_is_the_double_integral(typical: p.Prior) -> None:
    z = np.linspace(-10, 10, 4001)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    spread = 4.5 * (nodes + 1) / 2
    weight = (weights * 2.25 * stats.halfnorm(scale=SPREAD).pdf(spread))[:, None] * stats.norm.pdf(z) * 0.005
    log_ratio = spread[:, None] * z
    for tau in AT:
        expected = (weight * np.exp(typical.logpdf(tau * np.exp(-log_ratio)) - log_ratio)).sum()
        assert np.exp(implied_tau(typical).logpdf(tau)) == pytest.approx(expected, rel=QUADRATURE)


def test_a_half_normal_ratio_to_a_log_normal_typical_tau_is_an_integral_in_closed_form() -> None:
    # typical tau fixed at m, as a narrow log-normal: tau ~ half-normal(m / 0.6745)
    narrow = implied_tau(p.log_normal(np.log(0.4), 0.05), "half-normal")
    assert np.exp(narrow.logpdf(AT)) == pytest.approx(
        [
            stats.norm.expect(lambda u, t=t: stats.halfnorm(scale=0.4 * np.exp(0.05 * u) / stats.norm.ppf(0.75)).pdf(t))
            for t in AT
        ],
        rel=1e-6,  # of SciPy's adaptive rule
        abs=1e-12,
    )


@pytest.mark.parametrize("across", ["log-normal", "half-normal"])
@pytest.mark.parametrize("typical", TYPICAL, ids=str)
def test_the_density_is_that_of_the_draws_and_integrates_to_one(typical: p.Prior, across: str) -> None:
    x = np.linspace(-60, 60, 3001)
    mass = np.exp(implied_tau(typical, across).logpdf(np.exp(x)) + x) * (x[1] - x[0])
    assert mass.sum() == pytest.approx(1, abs=1e-8)  # of the rule, with nodes 0.04 apart in log tau
    drawn = draw_tau(typical, across, np.random.default_rng(4), (20_000,), 1)["tau"].ravel()
    assert stats.kstest(np.log(drawn), lambda v: np.interp(v, x, np.cumsum(mass) - mass / 2)).pvalue > 0.01


@pytest.mark.parametrize("across", ["log-normal", "half-normal"])
def test_the_typical_tau_is_the_median(across: str) -> None:
    drawn = draw_tau(p.half_normal(0.5), across, np.random.default_rng(2), (4000,), 25)
    below = (drawn["tau"] < drawn["tau_typical"][:, None]).mean()
    assert abs(below - 0.5) < 5 * 0.5 / np.sqrt(100_000)


def test_the_tail_is_the_heavier_of_the_two() -> None:
    assert implied_tau(p.half_normal(0.5)).tail == 3  # of the ratio: 1 / 0.5 + 1
    assert implied_tau(p.half_cauchy(0.5)).tail == 2
    assert implied_tau(p.half_normal(0.5), "half-normal").tail == np.inf


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="across must be one of log-normal, half-normal; got 'normal'"):
        implied_tau(p.half_normal(0.5), "normal")
    for prior, shown in ((p.uniform(0, np.inf), "improper uniform"), (p.uniform(0, 2), "uniform")):
        with pytest.raises(ValueError, match=f"typical must be a proper prior .* without an upper bound; got {shown}"):
            implied_tau(prior)
