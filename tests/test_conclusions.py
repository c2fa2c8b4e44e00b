"""Published claims, and whether a prior expected such data."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from bayespip import priors
from bayespip.catalogue import load_review
from bayespip.effects import EffectSizes
from bayespip.frequentist.fit import frequentist_fit
from bayespip.published_only.consistent import consistent_studies
from bayespip.reanalysis.conclusions import _exceeds, claim_holds, prior_predictive_p, prior_prob_of_dl_tau
from bayespip.review import Reported

CONTOUR = 1e-10  # the contour's 64 nodes leave 4e-12 up to 100 degrees of freedom
QUADRATURE = 1e-8  # 64 Gauss-Legendre nodes over the prior leave 2e-9 under a half-normal


def reported(claim, estimate="2.0", lower="1.1", upper="3.6", measure="RR"):
    return Reported(measure=measure, estimate=estimate, ci_lower=lower, ci_upper=upper, k=2, claim=claim)


ABOVE, BELOW = reported("significant"), reported("significant", "0.5", "0.28", "0.91")
HIGHER = reported("significant", "0.4", "0.1", "0.7", "SMD")


@pytest.mark.parametrize(
    ("result", "lower", "upper", "members", "verdict"),
    [
        (ABOVE, (0.1, 0.1), (1.0, 1.0), False, "yes"),
        (ABOVE, (-0.1, -0.1), (1.0, 1.0), False, "no"),
        (ABOVE, (-1.0, -1.0), (-0.1, -0.1), False, "no"),  # excludes no effect, on the other side
        (BELOW, (-1.0, -1.0), (-0.1, -0.1), False, "yes"),
        (BELOW, (-1.0, -1.0), (0.1, 0.1), False, "no"),
        (BELOW, (0.1, 0.1), (1.0, 1.0), False, "no"),
        (HIGHER, (0.1, 0.1), (1.0, 1.0), False, "yes"),
        (ABOVE, (0.0, 0.0), (1.0, 1.0), False, "no"),  # a limit on no effect does not exclude it
        (ABOVE, (0.1, 0.3), (1.0, 2.0), True, "in all members"),
        (ABOVE, (-0.1, 0.3), (1.0, 2.0), True, "in some members"),
        (ABOVE, (-0.3, -0.1), (1.0, 2.0), True, "in no member"),
        (BELOW, (-2.0, -1.0), (-0.3, -0.1), True, "in all members"),
        (BELOW, (-2.0, -1.0), (-0.3, 0.1), True, "in some members"),
        (BELOW, (-2.0, -1.0), (0.1, 0.3), True, "in no member"),
        (ABOVE, (math.nan, math.nan), (math.nan, math.nan), False, "undefined"),
        (BELOW, (math.nan, math.nan), (math.nan, math.nan), True, "undefined"),
        (reported("not significant"), (0.1, 0.1), (1.0, 1.0), False, "no claim"),
        (reported(None), (0.1, 0.1), (1.0, 1.0), True, "no claim"),
        (None, (0.1, 0.1), (1.0, 1.0), False, "no claim"),
    ],
)
def test_a_claim_holds_if_the_interval_excludes_no_effect_on_its_side(result, lower, upper, members, verdict):
    assert claim_holds(result, lower, upper, members=members) == verdict


@pytest.mark.parametrize("df", [1, 2, 3, 12, 40, 100])
def test_equal_weights_give_a_chi_squared(df):
    for q in (1e-6, 0.5, df / 2, df, 2 * df, 300.0):
        found = _exceeds(q, np.full((1, df), 1.7))
        assert found == pytest.approx([stats.chi2.sf(q / 1.7, df)], abs=CONTOUR)


def test_pairs_of_equal_weights_give_a_sum_of_exponentials():
    """Two equal weights w are an exponential of mean 2 w; sums of different ones have a closed form."""
    means = 2 * np.array([1.0, 50.0, 4000.0])
    factors = [np.prod([m / (m - other) for other in means if other != m]) for m in means]
    for q in (1.0, 100.0, 3000.0, 20000.0):
        exact = sum(c * math.exp(-q / m) for c, m in zip(factors, means, strict=True))
        found = _exceeds(q, np.repeat(means / 2, 2)[None])
        assert found == pytest.approx([exact], abs=CONTOUR)


@pytest.mark.parametrize(
    "tau",
    [priors.half_normal(0.5), priors.half_cauchy(0.5), priors.inverse_gamma(1.43, 0.2), priors.uniform(0, 2)],
)
def test_two_studies_agree_with_quadrature_over_tau(tau):
    """Q / (1 + 2 tau^2 / (v_1 + v_2)) is a chi-squared on 1 df."""
    effects = EffectSizes(["a", "b"], [0.1, 2.3], [0.8, 0.7], "RR")
    total = effects.vi.sum()
    q = 2.2**2 / total

    def integrand(t):
        return float(np.exp(tau.logpdf(t))) * stats.chi2.sf(q / (1 + 2 * t**2 / total), 1)

    edges = [0, 0.2, 2, 10, np.inf] if tau.upper_bound == math.inf else [0, 0.2, tau.upper_bound]
    exact = sum(integrate.quad(integrand, a, b, epsabs=1e-12)[0] for a, b in pairwise(edges))
    assert prior_predictive_p(effects, tau) == pytest.approx(exact, abs=QUADRATURE)


@pytest.mark.parametrize("tau", [priors.half_normal(0.5), priors.half_cauchy(0.3)])
def test_five_studies_agree_with_simulation(tau):
    sei = np.array([0.1, 0.2, 0.4, 0.5, 1.0])
    effects = EffectSizes(list("abcde"), [0.1, 0.9, -0.2, 1.4, 0.3], sei, "SMD")
    rng = np.random.default_rng(20)
    draws = 200_000
    spread = np.sqrt(sei**2 + tau.rvs(draws, rng)[:, None] ** 2)
    y = rng.normal(size=(draws, 5)) * spread
    w = 1 / sei**2
    q = (w * (y - (y @ w / w.sum())[:, None]) ** 2).sum(axis=1)
    simulated = float(np.mean(q >= frequentist_fit(effects).q))
    error = math.sqrt(simulated * (1 - simulated) / draws)
    assert 0.05 < simulated < 0.95
    assert abs(prior_predictive_p(effects, tau) - simulated) < 5 * error


def test_agreeing_studies_never_conflict():
    effects = EffectSizes(["a", "b", "c"], [0.3, 0.3, 0.3], [0.1, 0.2, 0.3], "SMD")
    assert prior_predictive_p(effects, priors.half_normal(0.5)) == pytest.approx(1)
    assert prior_prob_of_dl_tau(effects, priors.half_normal(0.5)) == 1


@pytest.mark.parametrize("of", [prior_predictive_p, prior_prob_of_dl_tau])
def test_nothing_is_said_of_one_study_or_an_improper_prior(of):
    two = EffectSizes(["a", "b"], [0.1, 2.3], [0.8, 0.7], "RR")
    one = EffectSizes(["a"], [0.1], [0.8], "RR")
    assert math.isnan(of(one, priors.half_normal(0.5)))
    assert math.isnan(of(two, priors.uniform(0, math.inf)))


def test_a_tau_of_1_21_is_rare_under_a_half_normal_of_a_half():
    """Two studies of variance 1 have DerSimonian and Laird's tau2 = Q - 1 = d^2 / 2 - 1."""
    d = math.sqrt(2 * (1 + 1.21**2))
    effects = EffectSizes(["a", "b"], [0.0, d], [1.0, 1.0], "RR")
    assert frequentist_fit(effects, "DL").tau.point == pytest.approx(1.21, abs=1e-12)
    p = prior_prob_of_dl_tau(effects, priors.half_normal(0.5))
    assert p == pytest.approx(2 * stats.norm.sf(1.21 / 0.5), abs=1e-12)
    assert round(p, 4) == 0.0155


def test_p1_conflicts_with_the_narrow_prior_on_tau_only():
    """Its equal-variance member has a tau of 1.2113, so 0.0154 where 1.21 gives 0.0155."""
    effects = consistent_studies(load_review("pip")["P1"].reported).illustration()
    tau = frequentist_fit(effects, "DL").tau.point
    assert round(tau, 2) == 1.21
    assert prior_prob_of_dl_tau(effects, priors.half_normal(0.5)) == pytest.approx(
        2 * stats.norm.sf(tau / 0.5), abs=1e-9
    )
    assert prior_prob_of_dl_tau(effects, priors.half_normal(1.0)) > 0.2
