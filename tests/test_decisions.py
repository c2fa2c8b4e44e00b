"""Probabilities beyond a difference that matters, absolute effects and numbers needed to treat."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayespip import exact_fit, frequentist_fit
from bayespip import priors as pr
from bayespip.absolute import RISK_MEASURES, NumberNeeded, absolute_effect, absolute_table
from bayespip.averaging import average
from bayespip.decisions import beyond, decision_table, new_study_harm
from bayespip.effects import EffectSizes
from bayespip.exact.marginals import MixtureMarginal
from bayespip.measures import MEASURES

PRECISE = 1e-12  # closed forms against the same closed forms
PRIORS = pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5))


def normal(mean, sd, measure="RR", level=0.95):
    """A posterior that is one normal."""
    one = np.ones(1)
    return MixtureMarginal("mu", MEASURES[measure], level, mean, sd, (), one, mean * one, sd * one)


def fit(measure="OR", level=0.95):
    effects = EffectSizes(["a", "b", "c"], [-0.6, -0.2, -0.5], [0.3, 0.25, 0.4], measure)
    return exact_fit(effects, PRIORS, level=level)


@pytest.mark.parametrize(
    ("measure", "difference", "low", "high"),
    [
        ("RR", 0.8, math.log(0.8), -math.log(0.8)),
        ("RR", 1.25, -math.log(1.25), math.log(1.25)),
        ("OR", (0.9, 1.5), math.log(0.9), math.log(1.5)),
        ("SMD", 0.2, -0.2, 0.2),
        ("MD", -0.2, -0.2, 0.2),
        ("RD", (-0.05, 0.0), -0.05, 0.0),
        ("ZCOR", 0.1, -math.atanh(0.1), math.atanh(0.1)),
        ("RR", None, 0.0, 0.0),
    ],
)
def test_thresholds_are_on_the_display_scale(measure, difference, low, high):
    found = beyond(normal(-0.1, 0.3, measure), difference)
    truth = stats.norm(-0.1, 0.3)
    assert found.below == pytest.approx(truth.cdf(low), abs=PRECISE)
    assert found.above == pytest.approx(truth.sf(high), abs=PRECISE)
    assert found.between == pytest.approx(truth.cdf(high) - truth.cdf(low), abs=PRECISE)
    assert (found.lower, found.upper) == pytest.approx(tuple(MEASURES[measure].display([low, high])), rel=1e-15)


def test_small_tails_are_not_differences_from_one():
    found = beyond(normal(0.0, 0.05, "MD"), 0.5, favours="higher")
    assert found.benefit == pytest.approx(stats.norm.sf(10), rel=1e-9)
    assert found.harm == pytest.approx(stats.norm.cdf(-10), rel=1e-9)


@pytest.mark.parametrize(("favours", "benefit", "harm"), [("lower", "below", "above"), ("higher", "above", "below")])
def test_the_direction_decides_which_tail_is_benefit(favours, benefit, harm):
    exact = fit()
    found = beyond(exact.mu, 0.9, favours=favours)
    assert (found.benefit, found.harm) == (getattr(found, benefit), getattr(found, harm))
    assert new_study_harm(exact, favours, 0.9) == getattr(beyond(exact.theta_new, 0.9), harm)
    table = decision_table(exact, favours, 0.9).set_index(["parameter", "rule"])
    assert table.loc[("mu", "important"), "prob_benefit"] == found.benefit
    assert table.loc[("theta_new", "any"), "prob_harm"] == new_study_harm(exact, favours)
    sums = table[["prob_benefit", "prob_between", "prob_harm"]].sum(axis=1)
    assert sums.to_numpy() == pytest.approx(np.ones(4), abs=PRECISE)
    assert table.loc[("mu", "any"), ["lower", "upper"]].tolist() == [1, 1]
    # a new study is less certain than the average
    doubt = table["prob_benefit"].xs("any", level="rule").sub(0.5).abs()
    assert doubt["theta_new"] < doubt["mu"]


def test_probabilities_are_integrals_of_the_density():
    exact = fit()
    x = np.linspace(math.log(1.1), 12, 400_001)
    assert beyond(exact.theta_new, 1.1).above == pytest.approx(np.trapezoid(exact.theta_new.pdf(x), x), abs=1e-8)


def test_a_spike_at_no_effect_is_neither_benefit_nor_harm():
    averaged = average(EffectSizes(["a", "b"], [-0.4, 0.1], [0.3, 0.3], "OR"), PRIORS)
    found = beyond(averaged.mu, favours="lower")
    assert found.between == pytest.approx(averaged.mu.spike, abs=PRECISE)
    assert found.benefit + found.harm == pytest.approx(averaged.effect.posterior_prob, abs=PRECISE)
    # the median lies in the spike: no difference at all
    absolute = absolute_effect(averaged.mu, 0.2, favours="lower", level=0.5)
    assert (absolute.difference.point, absolute.number_needed.point) == (0, math.inf)
    assert absolute.prob_fewer() == pytest.approx(found.below, abs=PRECISE)


# Cochrane Handbook 5.1, sections 12.5.4.1 to 12.5.4.3: its worked examples.
@pytest.mark.parametrize(
    ("measure", "effect", "control_risk", "fewer", "number"),
    [
        ("RR", 0.92, 0.3, 24, 42),
        ("OR", 0.73, 0.3, 62, 17),
        ("RD", -0.12, None, 120, 9),
        ("RD", -0.22, None, 220, 5),
    ],
)
def test_examples_of_the_handbook(measure, effect, control_risk, fewer, number):
    mu = normal(float(MEASURES[measure].model(effect)), 1e-6, measure)
    found = absolute_effect(mu, control_risk, favours="lower")
    assert round(-found.per_1000.point) == fewer
    assert str(found.number_needed).startswith(f"NNTB {number} (")


def test_altmans_interval_through_infinity():
    """Altman 1998: risk reduced by 10%, 95% interval -5% to 25%: NNTB 10 (NNTB 4 to infinity to NNTH 20)."""
    mu = normal(-0.10, 0.15 / stats.norm.ppf(0.975), "RD")
    for favours, sign in (("lower", 1), ("higher", -1)):
        absolute = absolute_effect(normal(sign * mu.mean, mu.sd, "RD"), favours=favours)
        found = absolute.number_needed
        assert (found.point, found.first, found.last) == pytest.approx((10, 4, -20), rel=1e-12)
        assert found.crosses_infinity
        worse = absolute.prob_more if favours == "lower" else absolute.prob_fewer
        assert worse(50) == pytest.approx(0.025, abs=PRECISE)
        assert str(found) == "NNTB 10 (NNTB 4 to ∞ to NNTH 20)"
        assert [n in found for n in (3.9, 4.1, 1e9, -1e9, -20.1, -19.9)] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("number", "text", "crosses"),
    [
        (NumberNeeded(10, 4, 50.2), "NNTB 10 (NNTB 4 to 51)", False),
        (NumberNeeded(-10, -50.2, -4), "NNTH 10 (NNTH 4 to 51)", False),
        (NumberNeeded(10, 4, math.inf), "NNTB 10 (NNTB 4 to ∞)", False),
        (NumberNeeded(-10, math.inf, -4), "NNTH 10 (NNTH 4 to ∞)", False),
        (NumberNeeded(math.inf, 4, -4), "∞ (NNTB 4 to ∞ to NNTH 4)", True),
        (NumberNeeded(-30, 4, -3.2), "NNTH 30 (NNTB 4 to ∞ to NNTH 4)", True),
        (NumberNeeded(1 / 0.05, 1 / 0.07, 1 / 0.01), "NNTB 20 (NNTB 15 to 100)", False),
    ],
)
def test_numbers_needed_in_words(number, text, crosses):
    assert str(number) == text
    assert number.crosses_infinity is crosses
    assert number.point in number


def survival(x, c):
    return 1 - (1 - c) ** np.exp(x)


# As textbooks write them; the package's own forms avoid their cancellation.
RISKS = {
    "RR": lambda x, c: c * np.exp(x),
    "OR": lambda x, c: np.exp(x) * c / (1 - c + np.exp(x) * c),
    "PETO": lambda x, c: np.exp(x) * c / (1 - c + np.exp(x) * c),
    "HR": survival,
    "RD": lambda x, c: c + x,
}


@pytest.mark.parametrize("measure", list(RISK_MEASURES))
@given(st.floats(-0.3, 0.3), st.floats(0.01, 0.1), st.floats(0.32, 0.5))
def test_risks_follow_the_textbook_and_limits_are_quantiles(measure, mean, sd, control_risk):
    mu = normal(mean, sd if measure != "RD" else sd / 100, measure)
    found = absolute_effect(mu, control_risk, favours="lower")
    x = mu.quantile([0.5, 0.025, 0.975])
    expected = RISKS[measure](x, control_risk)
    risk = found.risk
    assert [risk.point, risk.lower, risk.upper] == pytest.approx(expected, abs=1e-14)
    # and back: 2.5% of the posterior lies beyond each limit
    assert found.prob_fewer(-found.per_1000.lower) == pytest.approx(0.025, abs=1e-9)
    assert found.prob_more(found.per_1000.upper) == pytest.approx(0.025, abs=1e-9)
    assert found.prob_more() + found.prob_fewer() == pytest.approx(1, abs=PRECISE)


@pytest.mark.parametrize("measure", ["RR", "OR", "HR", "RD"])
def test_tiny_effects_keep_their_digits(measure):
    """At no effect the derivative of the risk: c (RR), c (1 - c) (OR), -(1 - c) log(1 - c) (HR), 1 (RD)."""
    c, x = 0.2, 1e-12
    slope = {"RR": c, "OR": c * (1 - c), "HR": -(1 - c) * math.log(1 - c), "RD": 1.0}[measure]
    assert RISK_MEASURES[measure].difference(x, c) == pytest.approx(slope * x, rel=1e-11)
    assert RISK_MEASURES[measure].difference(-x, c) == pytest.approx(-slope * x, rel=1e-11)


@pytest.mark.parametrize(("measure", "most"), [("OR", 0.8), ("PETO", 0.8), ("HR", 0.8)])
def test_odds_and_hazard_ratios_give_risks_however_large(measure, most):
    found = absolute_effect(normal(0.0, 500.0, measure), 0.2, favours="higher")
    assert (found.difference.lower, found.difference.upper) == pytest.approx((-0.2, most), abs=PRECISE)
    assert str(found.number_needed) == "∞ (NNTB 2 to ∞ to NNTH 5)"


@pytest.mark.parametrize(
    ("marginal", "control_risk", "message"),
    [
        (
            normal(0.2, 0.3),
            0.6,
            r"RR x control_risk .* anywhere in the 95% interval of mu; .* 2\.199 x 0\.6 = 1\.319\. .* at most 0\.4548",
        ),
        (normal(0.0, 1e4), 0.1, "RR x control_risk must not exceed 1"),
        (normal(0.3, 0.3, "RD"), 0.3, r"control_risk \+ RD must lie in 0 to 1 .* upper limit it is 0.3 \+ 0.888 = "),
        (normal(-0.3, 0.01, "RD"), 0.3, r"must lie in 0 to 1 .* lower limit it is 0.3 \+ -0.3196 = -0.0196"),
        (normal(0.5, 0.5, "RD"), None, "RD must lie in -1 to 1 anywhere .* upper limit it is 1.48"),
        (normal(0, 1, "SMD"), 0.3, "absolute effects need one of RR, OR, PETO, HR, RD; mu is SMD"),
        (normal(0, 1, "OR"), None, "control_risk must be given for OR; got None"),
        (normal(0, 1, "OR"), 1.0, r"control_risk must lie in \(0, 1\); got 1.0"),
        (0.3, 0.2, "marginal must be a posterior with a distribution function.* got float"),
    ],
)
def test_refused_absolute_effects(marginal, control_risk, message):
    with pytest.raises(ValueError, match=message):
        absolute_effect(marginal, control_risk)


def test_a_risk_ratio_is_refused_only_beyond_its_interval():
    mu = normal(0.2, 0.3)
    largest = 1 / math.exp(mu.upper)
    assert absolute_effect(mu, largest * (1 - 1e-12)).risk.upper == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match="RR x control_risk must not exceed 1"):
        absolute_effect(mu, largest * (1 + 1e-9))
    assert absolute_effect(mu, largest * 1.05, level=0.8).level == 0.8


def test_absolute_effects_at_several_control_risks():
    table = absolute_table(fit().mu, [0.1, 0.3], favours="lower")
    assert table["control_risk"].tolist() == [0.1, 0.3]
    one = absolute_effect(fit().mu, 0.3, favours="lower")
    last = table.iloc[1]
    assert last["per_1000"] == one.per_1000.point
    assert last["number_needed"] == str(one.number_needed)
    assert (last["nnt_first"], last["nnt_last"]) == (one.number_needed.first, one.number_needed.last)
    assert last["prob_more"] == pytest.approx(fit().prob_positive, abs=PRECISE)
    assert last["prob_fewer"] == pytest.approx(1 - fit().prob_positive, abs=PRECISE)
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: beyond(normal(0, 1), 0), "difference must be finite and lie between 0 and inf.* RR; got 0"),
        (lambda: beyond(normal(0, 1), (1.2, 0.8)), r"two thresholds, smaller first, .*\(1\) between; got \(1.2, 0.8\)"),
        (lambda: beyond(normal(0, 1, "MD"), (0.1, 0.2)), r"with no effect \(0\) between"),
        (lambda: beyond(normal(0, 1), (0.8, 1, 1.2)), "difference must be one number or two"),
        (lambda: beyond(normal(0, 1), math.nan), "difference must be finite"),
        (lambda: beyond(normal(0, 1), favours="down"), "favours must be one of higher, lower; got 'down'"),
        (lambda: beyond(normal(0, 1)).benefit, "favours must be 'higher' or 'lower' to tell benefit from harm"),
        (lambda: decision_table(fit(), None), "favours must be one of higher, lower; got None"),
        (lambda: new_study_harm(frequentist_fit(fit().effects), "lower"), "FrequentistFit has none"),
        (lambda: beyond(frequentist_fit(fit().effects).mu), "got Estimate"),
        (
            lambda: absolute_effect(normal(0, 0.1), 0.3).number_needed,
            "favours must be 'higher' or 'lower' for a number",
        ),
        (lambda: absolute_effect(normal(0, 0.1), 0.3).prob_fewer(400), r"-400 per 1000 gives -0.1"),
        (lambda: absolute_effect(normal(0, 0.1, "RD")).risk, "control_risk must be given for a risk"),
        (lambda: absolute_effect(normal(0, 0.1), 0.3, level=1.0), r"level must lie in \(0, 1\)"),
        (lambda: absolute_table(normal(0, 0.1), [0.3], favours=None), "favours must be one of"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
