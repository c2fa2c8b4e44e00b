"""Power-scaling: powers of priors in closed form; sensitivities against exact power-scaled posteriors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

import bayespip as bp
from bayespip import priors as pr
from bayespip.sensitivity.scaled_priors import CONFLICT, DOMINATES, NONE, power_scaled, power_scaling

EFFECTS = bp.EffectSizes(list("abc"), [0.3, 1.4, 0.6], [0.35, 0.5, 0.3], "OR")
AT = np.array([0.05, 0.3, 1.0, 2.5])
NORMALISED = 1e-10


@pytest.mark.parametrize("power", [0.8, 0.99, 1.25])
@pytest.mark.parametrize(
    ("prior", "closed_form"),
    [
        (pr.half_normal(0.5), lambda a: pr.half_normal(0.5 / math.sqrt(a))),
        (pr.exponential(0.7), lambda a: pr.exponential(0.7 / a)),
        (pr.half_cauchy(0.4), lambda a: pr.half_t(0.4 / math.sqrt(2 * a - 1), 2 * a - 1)),
        (pr.inverse_gamma(1.4, 0.2), lambda a: pr.inverse_gamma(2.4 * a - 1, 0.2 * a)),
        (pr.log_normal(-1.3, 0.9), lambda a: pr.log_normal(-1.3 + (1 - a) * 0.81 / a, 0.9 / math.sqrt(a))),
        (pr.uniform(0, 3), lambda a: pr.uniform(0, 3)),
    ],
    ids=lambda x: str(x) if isinstance(x, pr.Prior) else "",
)
def test_powers_of_priors_on_tau_in_closed_form(prior, closed_form, power):
    found = power_scaled(bp.Priors(pr.flat(), prior), power, "tau").tau
    np.testing.assert_allclose(found.logpdf(AT), closed_form(power).logpdf(AT), rtol=1e-9, atol=NORMALISED)
    assert found.tail == pytest.approx(power * prior.tail)


@pytest.mark.parametrize("power", [0.7, 1.3])
@pytest.mark.parametrize("prior", [pr.normal(0.2, 1.5), pr.student_t(0.1, 0.4, 3)], ids=str)
def test_powers_of_priors_on_mu_are_of_their_family(prior, power):
    found = power_scaled(bp.Priors(prior, pr.half_normal(1)), power, "mu").mu
    ratio = power * prior.logpdf(AT) - found.logpdf(AT)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)
    assert found.family == prior.family


def test_flat_priors_have_no_power():
    priors = bp.Priors(pr.flat(), pr.uniform(0, math.inf))
    assert power_scaled(priors, 2.0, "mu").mu == priors.mu
    assert power_scaled(priors, 2.0, "tau").tau == priors.tau


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((bp.Priors(pr.flat(), pr.half_normal(1)), 1.0, "theta"), "on must be 'mu' or 'tau'"),
        ((bp.Priors(pr.flat(), pr.half_normal(1)), 0.0, "tau"), "power must be positive; got 0.0"),
        ((bp.Priors(pr.flat(), pr.half_cauchy(1)), 0.5, "tau"), "does not integrate: its tail"),
        ((bp.Priors(pr.student_t(0, 1, 2), pr.half_normal(1)), 0.3, "mu"), r"power \(df \+ 1\) must exceed 1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        power_scaled(*arguments)


def exact_sensitivity(effects, priors, on, parameter, limits):
    """Cumulative Jensen-Shannon distance per log2 of the power, between exact distribution functions.

    Kallioinen et al 2024, equations 8 to 10, over the range of the draws, on which the distance depends.
    """
    x = np.linspace(*limits, 20_001)

    def cdf(p):
        return getattr(bp.exact_fit(effects, p), parameter).cdf(x)

    def one_sided(p, q):
        def part(a, b):
            return a * np.log2(2 * a / (a + b), where=a > 0, out=np.zeros_like(a)) + (b - a) / (2 * math.log(2))

        total = integrate.simpson(part(p, q) + part(q, p), x=x)
        return math.sqrt(max(total, 0) / integrate.simpson(p + q, x=x))

    base, grades = cdf(priors), []
    for power in (0.99, 1.01):
        moved = cdf(power_scaled(priors, power, on))
        distance = max(one_sided(base, moved), one_sided(1 - base, 1 - moved))
        grades.append(distance / abs(math.log2(power)))
    return sum(grades) / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effects", "priors"),
    [
        (EFFECTS, bp.Priors(pr.normal(0, 0.6), pr.half_normal(0.5))),
        (bp.EffectSizes(list("ab"), [2.0, 2.6], [0.3, 0.3], "OR"), bp.Priors(pr.normal(0, 0.5), pr.half_normal(0.2))),
    ],
    ids=["ordinary", "conflict"],
)
def test_sensitivities_against_exact_power_scaled_posteriors(effects, priors):
    """Monte Carlo: 16,000 draws leave a few percent of a sensitivity."""
    fit = bp.pymc_fit("normal_normal", effects, priors, seed=3, draws=4000)
    table = power_scaling(fit).set_index(["scaled", "parameter"])
    for on in ("mu", "tau"):
        for parameter in ("mu", "tau", "theta_new"):
            draws = fit.draws(parameter)
            exact = exact_sensitivity(effects, priors, on, parameter, (draws.min(), draws.max()))
            found = table.loc[(f"prior of {on}", parameter), "prior_sensitivity"]
            assert found == pytest.approx(exact, rel=0.1, abs=0.005), (on, parameter)


@pytest.mark.slow
def test_diagnoses_in_words():
    far = bp.EffectSizes(list("abc"), [2.0, 2.2, 2.6], [0.3, 0.3, 0.3], "OR")
    conflict = power_scaling(
        bp.pymc_fit("normal_normal", far, bp.Priors(pr.normal(0, 0.5), pr.half_normal(0.3)), seed=1)
    )
    assert conflict.set_index(["scaled", "parameter"]).loc[("prior of mu", "mu"), "diagnosis"] == CONFLICT
    one = bp.EffectSizes(["a"], [0.3], [2.0], "OR")
    weak = power_scaling(bp.pymc_fit("normal_normal", one, bp.Priors(pr.normal(0, 0.5), pr.half_normal(0.3)), seed=1))
    assert weak.set_index(["scaled", "parameter"]).loc[("prior of tau", "tau"), "diagnosis"] == DOMINATES
    many = bp.EffectSizes([str(i) for i in range(30)], np.linspace(-1, 2, 30), [0.2] * 30, "OR")
    free = power_scaling(bp.pymc_fit("normal_normal", many, bp.Priors(pr.flat(), pr.half_normal(2)), seed=1))
    assert (free["diagnosis"] == NONE).all()
    assert free.loc[free["scaled"] == "prior of mu", "prior_sensitivity"].isna().all()
    assert free.loc[free["scaled"] != "prior of mu", "prior_sensitivity"].notna().all()
    assert len(free) == 9
