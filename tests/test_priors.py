"""Priors: one declaration a family, held to the same density in SciPy and in PyMC."""

import math

import mpmath
import numpy as np
import pymc as pm
import pytest
from scipy import integrate, stats

from bayespip import priors as p

PROPER = {
    "normal": p.normal(0.3, 2.82),
    "student-t": p.student_t(-0.1, 0.43, 5),
    "half-normal": p.half_normal(0.5),
    "half-t": p.half_t(0.4, 3),
    "half-cauchy": p.half_cauchy(0.276),
    "exponential": p.exponential(0.7),
    "log-normal": p.log_normal(-1.78, 0.87),
    "inverse-gamma": p.inverse_gamma(1.71, 0.73),
    "lomax": p.lomax(0.3, 2.5),
    "uniform": p.uniform(0.1, 2.0),
    "log-t": p.log_t(-1.72, 1.295, 5),
    "root-inverse-gamma": p.root_inverse_gamma(1.14, 0.08),
    "uniform-shrinkage": p.uniform_shrinkage([0.2, 0.5, 0.35]),
    "truncated student-t": p.truncated_student_t(0.35, 0.102, 3, 0.1),
    "normal mixture": p.normal_mixture([0.32, 0.31, 0.30, 0.07], [0.61, 1.42, 2.16, 5.64]),
}
UNIFORM = {"flat": p.flat(), "improper uniform": p.uniform(0, math.inf)}
IMPROPER = UNIFORM | {"jeffreys": p.jeffreys([0.2, 0.5, 0.35])}
PROPER_PRIORS = [pytest.param(prior, id=name) for name, prior in PROPER.items()]
ON_TAU = [pytest.param(prior, id=name) for name, prior in PROPER.items() if prior.role == "tau"]
LOGP_TOLERANCE = 1e-12  # relative, where |logp| > 1: both are closed forms in double precision
# PyMC 6.4 writes the log of the integer 2 in these two densities, which PyTensor evaluates in single
# precision. The constant cancels in every posterior.
SINGLE_PRECISION_LOG_2 = {"half-t", "half-cauchy"}


def test_every_family_is_tested() -> None:
    assert set(PROPER) | set(IMPROPER) == set(p.FAMILIES)
    assert all(name == prior.family for name, prior in (PROPER | IMPROPER).items())


@pytest.mark.parametrize("prior", [*PROPER_PRIORS, *(pytest.param(v, id=k) for k, v in IMPROPER.items())])
def test_pymc_and_scipy_agree_on_the_density(prior: p.Prior) -> None:
    x = np.concatenate([np.random.default_rng(1).uniform(0.11, 1.99, 20), [0.101, 1.9999]])
    with pm.Model() as model:
        variable = prior.to_pymc("x")
    value = variable.type("value")
    logp = model.compile_fn(pm.logp(variable, value), inputs=[value], point_fn=False)
    by_pymc = np.array([float(logp(v)) for v in x])
    if prior.family in SINGLE_PRECISION_LOG_2:
        by_pymc += math.log(2) - float(np.log(np.float32(2)))
    np.testing.assert_allclose(by_pymc, prior.logpdf(x), rtol=LOGP_TOLERANCE, atol=LOGP_TOLERANCE)


SCIPY = {
    "half-normal": stats.halfnorm(scale=0.5),
    "half-t": stats.t(3, scale=0.4),
    "half-cauchy": stats.halfcauchy(scale=0.276),
    "exponential": stats.expon(scale=0.7),
    "log-normal": stats.lognorm(0.87, scale=math.exp(-1.78)),
    "inverse-gamma": stats.invgamma(1.71, scale=0.73),
    "log-t": stats.t(5, -1.72, 1.295),
}


@pytest.mark.parametrize("name", SCIPY)
def test_densities_that_go_round_scipy_are_scipys_from_end_to_end(name: str) -> None:
    x = np.concatenate([np.geomspace(1e-130, 1e130, 261), [0.101, 0.5, 1.9999, math.inf]])
    if name == "log-t":
        with np.errstate(invalid="ignore"):  # at infinity: inf - inf
            expected = SCIPY[name].logpdf(np.log(x)) - np.log(x)
        at_zero = math.inf
    else:
        with np.errstate(over="ignore", divide="ignore"):
            expected = SCIPY[name].logpdf(x) + (math.log(2) if name == "half-t" else 0.0)
            at_zero = float(SCIPY[name].logpdf(0.0)) + (math.log(2) if name == "half-t" else 0.0)
    np.testing.assert_allclose(PROPER[name].logpdf(x), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(PROPER[name].logpdf([0.0, -1.0]), [at_zero, -math.inf], rtol=1e-13)
    if p.FAMILIES[name].logpdf:
        assert math.isnan(PROPER[name].logpdf(math.nan))


def test_the_smallest_quantiles_of_log_t_are_zero_not_infinite() -> None:
    assert p.log_t(-1.72, 1.295, 5).quantile([0.0, 5e-324, 1e-300, 1e-200]).tolist() == [0.0] * 4
    assert p.log_t(-1.72, 1.295, 1e6).quantile(1e-300) == pytest.approx(
        math.exp(-1.72 + 1.295 * stats.norm.ppf(1e-300))
    )


def test_every_density_that_goes_round_scipy_is_compared() -> None:
    assert {name for name, family in p.FAMILIES.items() if family.logpdf} <= set(SCIPY)


@pytest.mark.parametrize("df", [0.5, 1.0, 4.0, 1e3, 1e8])
def test_half_t_holds_for_few_and_many_degrees_of_freedom(df: float) -> None:
    x = np.geomspace(1e-3, 30, 40)
    expected = [float(mpmath.log(2 * half_t(mpmath.mpf(v), mpmath.mpf(df)))) for v in x]
    np.testing.assert_allclose(p.half_t(1.0, df).logpdf(x), expected, rtol=1e-12, atol=1e-12)


def half_t(x: mpmath.mpf, df: mpmath.mpf) -> mpmath.mpf:
    """Density of Student's t in 40 digits."""
    with mpmath.workdps(40):
        constant = mpmath.gammaprod([(df + 1) / 2], [df / 2]) / mpmath.sqrt(df * mpmath.pi)
        return constant * (1 + x * x / df) ** (-(df + 1) / 2)


def other_parameters(prior: p.Prior, rng: np.random.Generator) -> tuple[object, ...]:
    """Random parameters of a prior's family: locations shifted, everything else stretched."""
    if prior.family == "uniform":
        return tuple(np.sort(rng.uniform(0, 4, size=2)))
    values = []
    for name, value in zip(p.FAMILIES[prior.family].parameters, prior.parameters, strict=True):
        if name in ("mean", "location", "meanlog", "lower"):
            values.append(value + rng.normal())
        elif name == "weights":
            values.append(tuple(rng.dirichlet(np.ones(len(value)))))
        else:
            stretched = np.asarray(value) * np.exp(rng.normal(size=np.shape(value)) / 2)
            values.append(tuple(stretched) if isinstance(value, tuple) else float(stretched))
    return tuple(values)


@pytest.mark.parametrize("prior", [*(PROPER | IMPROPER).values()], ids=lambda prior: prior.family)
def test_pymc_and_scipy_agree_for_other_parameters_at_random_points(prior: p.Prior) -> None:
    rng = np.random.default_rng(8)
    with pm.Model() as model:
        variable = prior.to_pymc("x")
    value = variable.type("value")
    logp = model.compile_fn(pm.logp(variable, value), inputs=[value], point_fn=False)
    for _ in range(20):
        parameters = other_parameters(prior, rng)
        names = p.FAMILIES[prior.family].parameters
        pm.set_data({f"x_{n}": v for n, v in zip(names, parameters, strict=True)}, model=model)
        other = p.jeffreys(parameters[0]) if prior.family == "jeffreys" else p.Prior(prior.family, parameters)
        x = other.quantile(rng.uniform()) if other.proper else rng.lognormal()
        offset = math.log(2) - float(np.log(np.float32(2))) if prior.family in SINGLE_PRECISION_LOG_2 else 0.0
        assert float(logp(x)) + offset == pytest.approx(float(other.logpdf(x)), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("prior", ON_TAU)
def test_tau_is_never_negative(prior: p.Prior) -> None:
    assert prior.logpdf(-0.01) == -math.inf
    with pm.Model() as model:
        variable = prior.to_pymc("x")
    value = variable.type("value")
    assert model.compile_fn(pm.logp(variable, value), inputs=[value], point_fn=False)(-0.01) == -math.inf
    assert prior.cdf(0.0) == 0


@pytest.mark.parametrize("prior", PROPER_PRIORS)
def test_the_parameters_are_data_of_the_model(prior: p.Prior) -> None:
    with pm.Model() as model:
        prior.to_pymc("x")
    names = [f"x_{name}" for name in p.FAMILIES[prior.family].parameters]
    for name, value in zip(names, prior.parameters, strict=True):
        np.testing.assert_array_equal(model[name].get_value(), value)


@pytest.mark.parametrize("prior", [pr for pr in (PROPER | IMPROPER).values() if pr.role == "mu"], ids=str)
def test_a_prior_on_mu_serves_many_variables(prior: p.Prior) -> None:
    with pm.Model(coords={"outcome": ["a", "b", "c"]}) as model:
        variable = prior.to_pymc("mu", variable="effect", dims="outcome")
    assert model.named_vars_to_dims == {"effect": ("outcome",)}
    assert all(start.shape == (3,) for start in model.initial_point().values())
    assert {v.name for v in model.data_vars} == {f"mu_{name}" for name in p.FAMILIES[prior.family].parameters}
    value = variable.type("value")
    x = np.array([0.4, 0.7, 1.5])
    logp = model.compile_fn(pm.logp(variable, value), inputs=[value], point_fn=False)(x)
    np.testing.assert_allclose(logp, prior.logpdf(x), rtol=LOGP_TOLERANCE, atol=LOGP_TOLERANCE)


@pytest.mark.parametrize("prior", PROPER_PRIORS)
def test_the_density_integrates_to_the_distribution_function(prior: p.Prior) -> None:
    a, b = 0.15, 1.6
    inside = integrate.quad(lambda x: math.exp(float(prior.logpdf(x))), a, b, epsabs=1e-13)[0]
    assert inside == pytest.approx(float(prior.cdf(b) - prior.cdf(a)), abs=1e-12)


@pytest.mark.parametrize("prior", PROPER_PRIORS)
def test_quantiles_invert_the_distribution_function(prior: p.Prior) -> None:
    probabilities = np.array([1e-6, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 1e-6])
    np.testing.assert_allclose(prior.cdf(prior.quantile(probabilities)), probabilities, rtol=1e-9)


@pytest.mark.parametrize("prior", PROPER_PRIORS)
def test_draws_follow_the_distribution_function(prior: p.Prior) -> None:
    draws = prior.rvs((4, 500), np.random.default_rng(20))
    assert draws.shape == (4, 500)
    assert stats.kstest(draws.ravel(), prior.cdf).pvalue > 0.01
    np.testing.assert_array_equal(draws, prior.rvs((4, 500), np.random.default_rng(20)))


@pytest.mark.parametrize("prior", PROPER_PRIORS)
def test_pymc_draws_follow_the_distribution_function(prior: p.Prior) -> None:
    with pm.Model():
        variable = prior.to_pymc("x")
    draws = pm.draw(variable, draws=2000, random_seed=3, mode="FAST_COMPILE")
    assert stats.kstest(draws, prior.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("prior", "median", "q95"),
    [
        (
            p.log_normal(-3.95 / 2, 1.34 / 2),
            0.1388,
            0.4177,
        ),  # Turner 2015, all-cause mortality, drug v placebo
        (p.inverse_gamma(1.43, 0.2), 0.1795, 1.2929),  # Bartos 2023, log RR, Common Mental Disorders
        (p.inverse_gamma(1.63, 0.45), 0.3431, 2.0630),  # Bartos 2021, SMD, Common Mental Disorders
        (p.half_normal(0.102), 0.0688, 0.1999),  # Bartos 2023, risk difference, Back and Neck
    ],
)
def test_medians_of_published_priors(prior: p.Prior, median: float, q95: float) -> None:
    assert prior.quantile([0.5, 0.95]) == pytest.approx([median, q95], abs=5.1e-5)  # printed to four places


def test_medians_in_units_of_the_scale() -> None:
    assert p.half_normal(0.5).quantile(0.5) == pytest.approx(0.337, abs=5e-4)  # Friede 2017
    assert p.half_cauchy(0.276).quantile(0.5) == pytest.approx(0.276, rel=1e-14)
    assert p.exponential(0.7).quantile(0.5) == pytest.approx(0.7 * math.log(2), rel=1e-14)
    assert p.lomax(0.7, 1.0).quantile(0.5) == pytest.approx(0.7, rel=1e-14)
    assert p.log_normal(-1.78, 0.87).quantile(0.5) == pytest.approx(math.exp(-1.78), rel=1e-14)
    assert p.half_t(0.5, 1).quantile(0.5) == pytest.approx(0.5, rel=1e-14)


def test_half_t_holds_half_cauchy_and_half_normal() -> None:
    x = np.linspace(0, 3, 7)
    np.testing.assert_allclose(p.half_t(0.7, 1).logpdf(x), p.half_cauchy(0.7).logpdf(x), rtol=1e-13)
    np.testing.assert_allclose(p.half_t(0.7, 1e9).logpdf(x), p.half_normal(0.7).logpdf(x), rtol=1e-7)


@pytest.mark.parametrize("prior", ON_TAU)
def test_the_tail_exponent_is_that_of_the_density(prior: p.Prior) -> None:
    if prior.family == "log-t":  # a power of log tau besides: (log tau)^-(df + 1)
        logs = np.array([600.0, 700.0])  # the logs of 1e260 and 1e304
        power = np.diff(prior.logpdf(np.exp(logs)) + prior.tail * logs) / np.diff(np.log(logs))
        assert power == pytest.approx(-6, abs=0.05)
        return
    if not math.isfinite(prior.tail):
        far = prior.quantile(1.0)
        assert np.isfinite(far) or prior.logpdf(1e6) - prior.logpdf(1e5) < -10 * math.log(10)
        return
    slope = (prior.logpdf(1e7) - prior.logpdf(1e6)) / math.log(10)
    assert slope == pytest.approx(-prior.tail, abs=1e-4)


def test_improper_priors_have_a_density_and_nothing_else() -> None:
    for prior in IMPROPER.values():
        assert not prior.proper
        assert math.isfinite(prior.logpdf(3.0))
        for call in (lambda q=prior: q.cdf(1.0), lambda q=prior: q.quantile(0.5)):
            with pytest.raises(ValueError, match=f"does not exist for {prior}: the density is improper"):
                call()
        with pytest.raises(ValueError, match="rvs does not exist"):
            prior.rvs(3, np.random.default_rng(1))
    assert [prior.logpdf(3.0) for prior in UNIFORM.values()] == [0, 0]
    assert IMPROPER["improper uniform"].logpdf(-1.0) == -math.inf
    assert IMPROPER["flat"].logpdf(-1.0) == 0


def test_a_density_of_the_user() -> None:
    prior = p.density(lambda tau: stats.gamma(2, scale=0.3).logpdf(tau), "gamma(2, 0.3)", tail=math.inf)
    assert (prior.role, prior.proper, prior.tail, str(prior)) == ("tau", True, math.inf, "gamma(2, 0.3)")
    assert prior.logpdf(0.4) == pytest.approx(float(stats.gamma(2, scale=0.3).logpdf(0.4)), rel=1e-15)
    with pytest.raises(ValueError, match=r"gamma\(2, 0.3\) is a density given .* only the exact engine"):
        prior.to_pymc("tau")
    with pytest.raises(ValueError, match=r"quantile is not available for gamma\(2, 0.3\)"):
        prior.quantile(0.5)


def test_a_density_that_does_not_integrate_to_one_is_refused() -> None:
    with pytest.raises(ValueError, match="'twice' must integrate to one over tau > 0; its integral is 2"):
        p.density(lambda tau: math.log(2) + stats.halfnorm.logpdf(tau), "twice", tail=math.inf)
    assert not p.density(np.zeros_like, "flat", tail=0, proper=False).proper


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: p.half_normal(0), "half-normal: scale must be positive; got 0"),
        (lambda: p.half_t(1, -2), "half-t: df must be positive; got -2"),
        (lambda: p.normal(math.nan, 1), "normal: mean must be finite; got nan"),
        (lambda: p.normal(0, math.inf), "normal: sd must be finite; got inf"),
        (lambda: p.lomax(1, 0), "lomax: shape must be positive; got 0"),
        (lambda: p.uniform(1, 1), "uniform needs 0 <= lower < upper.*got 1, 1"),
        (lambda: p.uniform(-1, 1), "uniform needs 0 <= lower < upper.*got -1, 1"),
        (lambda: p.Priors(p.half_normal(1), p.half_normal(1)), "half-normal.*is a prior on tau, not on mu"),
        (
            lambda: p.Priors(p.flat(), p.normal(0, 1)),
            "normal.*is a prior on mu, not on tau; choose one of half-",
        ),
        (
            lambda: p.Priors(0.5, p.half_normal(1)),
            r"mu must be a prior such as priors.normal\(0, 2.82\); got 0.5",
        ),
    ],
)
def test_bad_priors_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_labels() -> None:
    priors = p.Priors(p.flat(), p.half_normal(0.5))
    assert str(priors) == priors.label == "mu flat, tau half-normal(0.5)"
    assert priors.named("weak").label == "weak"
    assert priors.named("weak").tau == priors.tau
    assert p.half_normal(0.5) == p.half_normal(0.5, source="")
