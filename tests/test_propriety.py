"""Which posteriors and moments exist: the rules against the tails of the posterior, computed numerically."""

import math

import numpy as np
import pytest
from scipy import integrate

from bayespip import priors as p
from bayespip.exact.propriety import moment_exists, require_proper_posterior

YI, SEI = np.array([0.3, -0.2, 0.9, 0.1]), np.array([0.2, 0.5, 0.4, 0.3])
SLOPE_TOLERANCE = 0.01  # the tails are reached only to the order of (sei / tau)^2 and tau^2 / scale^2
CONSTANT = p.density(np.zeros_like, "constant", tail=0, proper=False)


def _log_likelihood(mu: float, tau: float, k: int) -> float:
    variance = SEI[:k] ** 2 + tau**2
    return float(-0.5 * np.sum(np.log(variance) + (YI[:k] - mu) ** 2 / variance))


def _log_tail_of_tau(tau: float, k: int, mu: p.Prior) -> float:
    """Log marginal posterior density of tau under a flat prior on tau, up to a constant."""
    peak = _log_likelihood(0.0, tau, k)

    def integrand(x: float) -> float:
        return math.exp(_log_likelihood(x, tau, k) - peak + float(mu.logpdf(x)))

    # under a proper prior the mass lies within its scale (1), under a flat one within tau
    width = 40 * (1.0 if mu.proper else tau)
    return peak + math.log(integrate.quad(integrand, -width, width, limit=500, points=[0.0])[0])


def _log_tail_of_mu(mu: float, k: int, priors: p.Priors) -> float:
    """Log marginal posterior density of mu, up to a constant."""
    peak = _log_likelihood(mu, mu, k)

    def integrand(t: float) -> float:
        return math.exp(_log_likelihood(mu, mu * t, k) - peak + float(priors.tau.logpdf(mu * t))) * mu

    integral = integrate.quad(integrand, 0, 5)[0] + integrate.quad(integrand, 5, np.inf)[0]
    return peak + math.log(integral) + float(priors.mu.logpdf(mu))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize(("mu", "exponent"), [(p.flat(), -1), (p.normal(0, 1), 0)])
def test_the_likelihood_of_tau_falls_as_the_rule_says(k: int, mu: p.Prior, exponent: int) -> None:
    near, far = (_log_tail_of_tau(tau, k, mu) for tau in (1e3, 1e4))
    assert (far - near) / math.log(10) == pytest.approx(-(k + exponent), abs=SLOPE_TOLERANCE)


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("mu", [p.flat(), p.student_t(0, 0.5, 1), p.student_t(0, 0.5, 4)])
@pytest.mark.parametrize("tau", [p.half_cauchy(0.5), p.lomax(0.3, 2), p.half_t(0.5, 4)])
def test_the_posterior_of_mu_falls_as_the_rule_says(k: int, mu: p.Prior, tau: p.Prior) -> None:
    near, far = (_log_tail_of_mu(x, k, p.Priors(mu, tau)) for x in (1e3, 1e4))
    expected = -(tau.tail + mu.tail + k - 1)
    assert (far - near) / math.log(10) == pytest.approx(expected, abs=SLOPE_TOLERANCE)


@pytest.mark.parametrize(
    ("mu", "tau", "fewest"),
    [
        (p.flat(), p.uniform(0, math.inf), 3),
        (p.normal(0, 1), p.uniform(0, math.inf), 2),
        (p.student_t(0, 1, 1), p.uniform(0, math.inf), 2),
        (p.flat(), CONSTANT, 3),
        (p.flat(), p.density(lambda tau: -0.5 * np.log(tau), "sqrt", tail=0.5, proper=False), 2),
        (p.normal(0, 1), p.density(lambda tau: -0.5 * np.log(tau), "sqrt", tail=0.5, proper=False), 1),
        (p.flat(), p.half_cauchy(1), 1),
        (p.flat(), p.half_normal(1), 1),
        (p.flat(), p.lomax(1, 0.1), 1),
    ],
)
def test_the_fewest_studies_for_a_proper_posterior(mu: p.Prior, tau: p.Prior, fewest: int) -> None:
    priors = p.Priors(mu, tau)
    for k in range(fewest, 5):
        require_proper_posterior(k, priors)
    for k in range(1, fewest):
        with pytest.raises(ValueError, match=f"at least {fewest} studies are needed"):
            require_proper_posterior(k, priors)


def test_the_message_names_k_a_the_rule_and_the_way_out() -> None:
    priors = p.Priors(p.flat(), p.uniform(0, math.inf))
    with pytest.raises(ValueError, match="improper") as caught:
        require_proper_posterior(2, priors)
    assert str(caught.value) == (
        "the posterior under mu flat, tau improper uniform is improper for k = 2 studies: with a flat prior "
        "on mu, a prior on tau with tail tau^-a needs a + k - 1 > 1; here a = 0 gives 1, and at least 3 "
        "studies are needed. Choose a proper prior on tau such as half_normal(0.5), or a proper prior on mu "
        "such as normal(0, 2.82)."
    )
    with pytest.raises(ValueError, match=r"needs a \+ k > 1; here a = 0 gives 1, and at least 2") as caught:
        require_proper_posterior(1, p.Priors(p.normal(0, 1), p.uniform(0, math.inf)))
    assert str(caught.value).endswith("half_normal(0.5).")


@pytest.mark.parametrize(
    ("power", "integrable"), [(-1.0, False), (-1.5, False), (-0.9, True), (0.0, True), (1.0, True)]
)
def test_a_density_that_explodes_at_zero_is_refused_for_any_k(power: float, integrable: bool) -> None:
    tau = p.density(lambda x: power * np.log(x), "power", tail=-power, proper=False)
    priors = p.Priors(p.normal(0, 1), tau)
    if integrable:
        require_proper_posterior(10, priors)
        assert moment_exists(10, priors, 1, "tau")
    else:
        with pytest.raises(ValueError, match=r"improper for any number of studies.*not integrable at zero"):
            require_proper_posterior(10, priors)
        assert not moment_exists(10, priors, 1, "tau")


@pytest.mark.parametrize(
    ("k", "mu", "tau", "of", "last"),
    [
        # the largest whole order that exists, from the exponents a + k - 1, a + k and a + b + k - 1
        (2, p.flat(), p.half_cauchy(1), "tau", 1),
        (2, p.flat(), p.half_cauchy(1), "mu", 1),
        (1, p.flat(), p.half_cauchy(1), "tau", 0),
        (2, p.normal(0, 1), p.half_cauchy(1), "tau", 2),
        (3, p.flat(), p.uniform(0, math.inf), "tau", 0),
        (4, p.flat(), p.uniform(0, math.inf), "theta_new", 1),
        (2, p.student_t(0, 1, 1), p.half_cauchy(1), "tau", 2),
        (2, p.student_t(0, 1, 1), p.half_cauchy(1), "mu", 3),
        (2, p.student_t(0, 1, 1), p.half_cauchy(1), "theta_new", 2),
        (3, p.student_t(0, 1, 3), p.half_t(1, 2), "mu", 7),
    ],
)
def test_moments_exist_up_to_an_order(k: int, mu: p.Prior, tau: p.Prior, of: str, last: int) -> None:
    priors = p.Priors(mu, tau)
    found = [order for order in range(1, 12) if moment_exists(k, priors, order, of)]
    assert found == list(range(1, last + 1))


def test_all_moments_exist_where_the_tail_is_light() -> None:
    assert all(
        moment_exists(1, p.Priors(mu, tau), 20, of)
        for mu in (p.flat(), p.normal(0, 1), p.student_t(0, 1, 1))
        for tau in (p.half_normal(1), p.uniform(0, 2), p.log_normal(0, 1), p.exponential(1))
        for of in ("tau", "mu", "theta_new")
    )
    assert moment_exists(1, p.Priors(p.normal(0, 1), p.half_cauchy(1)), 20, "mu")


def test_no_moment_exists_where_the_posterior_is_improper() -> None:
    flat = p.uniform(0, math.inf)
    assert not moment_exists(1, p.Priors(p.student_t(0, 1, 9), flat), 1, "mu")
    assert not moment_exists(1, p.Priors(p.normal(0, 1), flat), 0.5, "mu")


def test_a_wrong_order_or_quantity_is_refused() -> None:
    priors = p.Priors(p.flat(), p.half_normal(1))
    with pytest.raises(ValueError, match="order must be positive; got 0"):
        moment_exists(3, priors, 0, "tau")
    with pytest.raises(ValueError, match="of must be one of tau, mu, theta_new; got 'theta'"):
        moment_exists(3, priors, 1, "theta")
