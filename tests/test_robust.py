"""Robust priors and their exact posteriors: closed forms, limits of the weight, what counts trials twice."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad, simpson, trapezoid

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.fits import compare
from bayespip.new_evidence.outside import Evidence, external_evidence
from bayespip.new_evidence.robust_fit import RobustFit, fit_exactly, robust_fit
from bayespip.new_evidence.robust_priors import (
    RobustPrior,
    RobustPriors,
    map_components,
    robust_prior,
    unit_information,
)

PAIR = EffectSizes(["simulated 1", "simulated 2"], [0.1, 0.9], [0.2, 0.3], "SMD")
VAGUE, TAU = p.normal(0, 2), p.half_normal(0.5)
QUADRATURE = 1e-8  # relative: two adaptive quadratures
EXACT = 1e-12  # relative: the same numbers, added in another order
EARLIER = {e.id: e for e in external_evidence("pip")}["bk2003-sensitivity"]


def _prior(weight: float, **more: object) -> RobustPriors:
    return RobustPriors(robust_prior(0.3, 0.15, weight=weight, vague=VAGUE, measure="SMD", **more), TAU)


def test_the_density_is_that_of_the_mixture() -> None:
    prior = _prior(0.3).mu
    x = np.linspace(-3, 3, 13)
    expected = 0.3 * stats.norm(0.3, 0.15).pdf(x) + 0.7 * stats.norm(0, 2).pdf(x)
    np.testing.assert_allclose(np.exp(prior.logpdf(x)), expected, rtol=EXACT)
    assert quad(lambda m: float(np.exp(prior.logpdf(m))), -30, 30, points=[0, 0.3])[0] == pytest.approx(1, rel=1e-9)
    assert prior.cdf(0.3) == pytest.approx(0.15 + 0.7 * stats.norm(0, 2).cdf(0.3), rel=EXACT)


@pytest.mark.parametrize(("weight", "mu"), [(0.0, VAGUE), (1.0, p.normal(0.3, 0.15))])
def test_with_weight_0_or_1_it_is_one_of_the_components(weight: float, mu: p.Prior) -> None:
    found, expected = robust_fit(PAIR, _prior(weight)), exact_fit(PAIR, p.Priors(mu, TAU))
    for name in ("mu", "tau", "theta_new"):
        for end in ("point", "lower", "upper"):
            assert getattr(getattr(found, name), end) == pytest.approx(getattr(getattr(expected, name), end), rel=EXACT)
    assert found.log_evidence == pytest.approx(expected.log_evidence, rel=EXACT)
    assert found.weight_of_evidence == weight


def test_the_posterior_is_that_of_an_independent_quadrature() -> None:
    priors = _prior(0.3)
    fit = robust_fit(PAIR, priors)

    tau, step = np.linspace(0, 5, 1001), 0.002
    parts = []
    for mu in (np.arange(-8, step / 2, step), np.arange(0, 8 + step / 2, step)):
        log_likelihood = stats.norm(mu[:, None, None], np.hypot(PAIR.sei, tau[:, None])).logpdf(PAIR.yi).sum(axis=-1)
        prior = priors.mu.logpdf(mu)[:, None] + stats.halfnorm(scale=0.5).logpdf(tau)
        parts.append(simpson(trapezoid(np.exp(log_likelihood + prior), tau), mu))
    below, above = parts
    assert fit.log_evidence == pytest.approx(math.log(below + above), rel=QUADRATURE)
    assert fit.prob_positive == pytest.approx(above / (below + above), rel=QUADRATURE)


def test_the_weight_is_updated_by_the_evidence_for_each_component() -> None:
    near, far = exact_fit(PAIR, p.Priors(p.normal(0.3, 0.15), TAU)), exact_fit(PAIR, p.Priors(VAGUE, TAU))
    odds = 0.3 / 0.7 * math.exp(near.log_evidence - far.log_evidence)
    fit = robust_fit(PAIR, _prior(0.3))
    assert fit.weight_of_evidence == pytest.approx(odds / (1 + odds), rel=EXACT)
    w = fit.weight_of_evidence
    assert fit.mu.mean == pytest.approx(w * near.mu.mean + (1 - w) * far.mu.mean, rel=EXACT)
    second = w * (near.mu.sd**2 + near.mu.mean**2) + (1 - w) * (far.mu.sd**2 + far.mu.mean**2)
    assert fit.mu.sd == pytest.approx(math.sqrt(second - fit.mu.mean**2), rel=1e-10)
    for name in ("tau", "mu"):
        for end, prob in (("lower", 0.025), ("point", 0.5), ("upper", 0.975)):
            x = getattr(getattr(fit, name), end)
            mixed = w * getattr(near, name).cdf(x) + (1 - w) * getattr(far, name).cdf(x)
            assert mixed == pytest.approx(prob, rel=QUADRATURE)


def test_data_that_contradict_the_evidence_discard_it() -> None:
    weights = []
    for distance in (0, 1, 2, 4, 6):
        far = EffectSizes(["a", "b", "c"], np.array([0.3, 0.4, 0.2]) + distance, [0.1, 0.1, 0.1], "SMD")
        fit, alone = robust_fit(far, _prior(0.5)), exact_fit(far, p.Priors(VAGUE, TAU))
        weights.append(fit.weight_of_evidence)
    assert weights[0] > 0.8
    assert (np.diff(weights) < 0).all()
    assert weights[-1] < 1e-6
    assert fit.mu.point == pytest.approx(alone.mu.point, rel=1e-5)


def test_it_enters_comparisons_and_names_each_study() -> None:
    fit = fit_exactly(PAIR, _prior(0.3))
    assert isinstance(fit, RobustFit)
    table = compare(fit, fit_exactly(PAIR, p.Priors(VAGUE, TAU)))
    assert set(table["parameter"]) == {"mu", "tau", "theta_new", "theta[simulated 1]", "theta[simulated 2]"}
    assert table["method"].tolist()[0] == "exact normal-normal, robust prior"
    assert "0.3 normal(0.3, 0.15) + 0.7 normal(0, 2)" in table["prior"][0]


@pytest.mark.parametrize("sign", [1, -1])
def test_evidence_that_counts_trials_twice_is_marked_in_every_output(sign: int) -> None:
    prior = robust_prior(EARLIER, weight=0.5, sd=0.2, sign=sign, vague=VAGUE)
    assert prior.evidence[0][1].parameters == (sign * 0.33, 0.2)
    fit = robust_fit(PAIR, RobustPriors(prior, TAU))
    assert "COUNTS TRIALS TWICE" in fit.method
    assert "[counts trials twice]" in fit.prior
    for notes in (fit.notes, fit.mu.notes, fit.theta_new.notes, fit.theta["simulated 1"].notes):
        assert any("COUNTS TRIALS TWICE" in note and "Bakermans-Kranenburg" in note for note in notes)
    assert compare(fit)["method"].str.contains("COUNTS TRIALS TWICE").all()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"weight": 0.51, "sd": 0.2, "sign": 1}, "weight must be at most 0.5 for evidence that counts trials twice"),
        ({"weight": 0.5, "sign": 1}, "needs its standard error se or, where it has none, sd: .* got neither"),
        ({"weight": 0.5, "sign": 1, "se": 0.1, "sd": 0.2}, "got se 0.1 and sd 0.2"),
        ({"weight": 0.5, "sd": 0.2}, "sign must be 1 or -1 for bk2003-sensitivity .*got None"),
        ({"weight": 0.5, "sd": 0.2, "sign": 1, "measure": "RR"}, "cannot be made a prior: it is SMD, .* RR"),
        ({"weight": -0.1, "sd": 0.2, "sign": 1}, r"weight must lie in \[0, 1\]; got -0.1"),
        ({"weight": 0.5, "sd": 0.2, "sign": 1, "vague": p.flat()}, "vague must be a proper prior on mu .*got flat"),
        ({"weight": 0.5, "sd": 0.2, "sign": 1, "vague": TAU}, "vague must be a proper prior on mu .*got half-normal"),
    ],
)
def test_what_may_not_be_done_with_it_is_refused(more: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        robust_prior(EARLIER, **({"vague": VAGUE} | more))


def test_a_weight_above_one_half_is_for_evidence_that_counts_nothing_twice() -> None:
    assert _prior(0.9).mu.weight == 0.9
    with pytest.raises(ValueError, match=r"at most 0.5 .*earlier evidence: two trials are in both\); got 0.9"):
        _prior(0.9, counted_twice="two trials are in both")


def test_evidence_with_an_interval_has_its_standard_error() -> None:
    given = {"id": "x", "what": "invented", "intervention": "same", "same_intervention": True, "measure": "RR"}
    evidence = Evidence(**given, estimate=0.8, lower=0.8 / 1.5, upper=0.8 * 1.5)
    prior = robust_prior(evidence, weight=0.7, vague=VAGUE, sign=1)
    mean, sd = prior.evidence[0][1].parameters
    assert mean == pytest.approx(math.log(0.8), rel=EXACT)
    assert sd == pytest.approx(math.log(1.5) / stats.norm.ppf(0.975), rel=EXACT)
    with pytest.raises(ValueError, match="the robust prior is of RR, the effects are SMD"):
        robust_fit(PAIR, RobustPriors(prior, TAU))
    with pytest.raises(ValueError, match="se of x follows from its interval"):
        robust_prior(evidence, 0.1, weight=0.7, vague=VAGUE, sign=1)
    with pytest.raises(ValueError, match="sign must be 1 for x"):
        robust_prior(evidence, weight=0.7, vague=VAGUE, sign=-1)
    with pytest.raises(ValueError, match="measure must be given with an estimate"):
        robust_prior(0.8, 0.1, weight=0.7, vague=VAGUE)


def test_unit_information_is_worth_one_participant() -> None:
    # of an MD with SD 3 in either arm and equal arms, v = 4 * 9 / N: one participant has 36
    n = np.array([40, 60, 100])
    effects = EffectSizes(["a", "b", "c"], [1.0, 2.0, 3.0], 6 / np.sqrt(n), "MD")
    prior = unit_information(effects, n)
    assert prior.parameters == pytest.approx((0.0, 6.0), rel=EXACT)
    with pytest.raises(ValueError, match="was derived for MD, not for SMD"):
        robust_prior(0.3, 0.1, weight=0.5, vague=prior, measure="SMD")
    with pytest.raises(ValueError, match="n must be positive and finite, one for each of 3 studies"):
        unit_information(effects, [40, 60])


def test_few_normals_stand_for_a_predictive_distribution() -> None:
    fit = exact_fit(PAIR, p.Priors(VAGUE, TAU))
    x = np.linspace(-8, 8, 2001)
    distance = {}
    for count in (4, 12, 24):
        components = map_components(fit, count)
        assert len(components) <= count
        prior = RobustPrior(weight=1.0, evidence=components, vague=VAGUE)
        distance[count] = np.abs(prior.cdf(x) - fit.theta_new.cdf(x)).max()
        mean = math.fsum(w * q.parameters[0] for w, q in components)
        second = math.fsum(w * (q.parameters[1] ** 2 + q.parameters[0] ** 2) for w, q in components)
        assert mean == pytest.approx(fit.theta_new.mean, rel=1e-8)
        assert math.sqrt(second - mean**2) == pytest.approx(fit.theta_new.sd, rel=1e-8)
    assert distance[12] < 0.002 < distance[4] < 0.01
    assert distance[24] <= distance[12]
    with pytest.raises(ValueError, match="components must be at least 2; got 1"):
        map_components(fit, 1)
    with pytest.raises(ValueError, match=r"theta_new with a standard deviation.*with k = 2 it has none"):
        map_components(exact_fit(PAIR, p.Priors(p.flat(), p.half_cauchy(0.5))))


def test_a_predictive_prior_carries_its_evidence_over() -> None:
    components = map_components(exact_fit(PAIR, p.Priors(VAGUE, TAU)))
    later = EffectSizes(["c"], [0.5], [0.2], "SMD")
    prior = robust_prior(components, weight=1.0, vague=VAGUE, measure="SMD")
    fit = robust_fit(later, RobustPriors(prior, p.half_normal(1e-8)))
    # without heterogeneity between the later studies: precision-weighted, component by component
    v, m = np.array([q.parameters[1] ** 2 for _, q in components]), np.array([q.parameters[0] for _, q in components])
    w = np.array([w for w, _ in components]) * stats.norm.pdf(0.5, m, np.sqrt(v + 0.04))
    mean = float((w * (m / v + 0.5 / 0.04) / (1 / v + 1 / 0.04)).sum() / w.sum())
    assert fit.mu.mean == pytest.approx(mean, rel=1e-10)
    with pytest.raises(ValueError, match="se and sd have no meaning beside components"):
        robust_prior(components, 0.2, weight=1.0, vague=VAGUE)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ((), r"shares are positive and sum to one; got \[\]"),
        (((0.5, VAGUE), (0.4, VAGUE)), r"sum to one; got \[0.5, 0.4\]"),
        (((1.5, VAGUE), (-0.5, VAGUE)), r"shares are positive and sum to one; got \[1.5, -0.5\]"),
        (((1.0, p.flat()),), "evidence must be of proper priors on mu; got flat"),
    ],
)
def test_components_that_are_no_distribution_are_refused(evidence: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RobustPrior(weight=0.5, evidence=evidence, vague=VAGUE)
