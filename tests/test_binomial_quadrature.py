"""The likelihood of a trial with its parameters integrated out: closed forms, and sums that must be one."""

import numpy as np
import pytest
from scipy import special, stats

from bayespip.model_data.two_arms import Counts
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.models import load

# Simulated: an ordinary trial, one empty arm, no events, a large trial, everyone in one arm.
SIMULATED = Counts(
    "abcde", [4, 0, 0, 505, 9], [123, 20, 10, 88391, 9], [11, 3, 0, 499, 4], [139, 22, 12, 88391, 8], "OR"
)
PARAMETERS = [(-0.5, 0.5, 0.0, 10.0), (0.5, 2.0, -2.0, 1.5), (0.3, 0.1, -3.0, 0.3)]
RISK_RATIOS = load("binomial_rr").log_odds_ratio
FINE = 121
DEFAULT_ERROR = 3e-3  # of a log probability at the default number of nodes: less than that of 4,000 draws


def _given_effect(i: int, theta: float, mean: float, sd: float) -> float:
    """Probability of trial i's events given theta, by Gauss-Legendre panels over the baseline."""
    x, w = special.roots_legendre(20)
    edges = np.linspace(mean - 9 * sd, mean + 9 * sd, 61)
    half = np.diff(edges)[:, None] / 2
    a = edges[:-1, None] + half * (x + 1)
    events = stats.binom.pmf(SIMULATED.event_e[i], SIMULATED.n_e[i], special.expit(a + theta / 2))
    others = stats.binom.pmf(SIMULATED.event_c[i], SIMULATED.n_c[i], special.expit(a - theta / 2))
    return float((half * w * events * others * stats.norm.pdf(a, mean, sd)).sum())


@pytest.mark.parametrize("i", [0, 1, 2, 4])
def test_without_heterogeneity_it_is_an_integral_over_the_baseline(i: int) -> None:
    found = log_marginal_likelihood(SIMULATED, 0.4, 0.0, -1.0, 2.0, nodes=FINE)[i]
    assert found == pytest.approx(np.log(_given_effect(i, 0.4, -1.0, 2.0)), abs=1e-8)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_probabilities_of_all_possible_events_add_up_to_one(parameters: tuple[float, ...]) -> None:
    event_e, event_c = (x.ravel() for x in np.meshgrid(np.arange(5), np.arange(8)))
    n_e, n_c = np.full(40, 4), np.full(40, 7)
    every = Counts(range(40), event_e, n_e, event_c, n_c, "OR")
    found = log_marginal_likelihood(every, *parameters, nodes=FINE)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_more_nodes_change_nothing(parameters: tuple[float, ...]) -> None:
    fine = log_marginal_likelihood(SIMULATED, *parameters, nodes=FINE)
    np.testing.assert_allclose(fine, log_marginal_likelihood(SIMULATED, *parameters, nodes=2 * FINE), atol=2e-8)
    np.testing.assert_allclose(log_marginal_likelihood(SIMULATED, *parameters), fine, atol=DEFAULT_ERROR)


def test_both_heterogeneity_and_baselines_are_integrated_over() -> None:
    z, w = special.roots_hermitenorm(40)
    nodes = np.array([_given_effect(0, 0.2 + 0.6 * x, -2.0, 0.7) for x in z])
    expected = np.log((w * nodes).sum() / w.sum())
    assert log_marginal_likelihood(SIMULATED, 0.2, 0.6, -2.0, 0.7, nodes=FINE)[0] == pytest.approx(expected, abs=1e-8)


@pytest.mark.slow
def test_tables_of_a_tiny_trial_on_risk_ratios_against_panels() -> None:
    event_e, event_c = (x.ravel() for x in np.meshgrid(np.arange(5), np.arange(8)))
    every = Counts(range(40), event_e, np.full(40, 4), event_c, np.full(40, 7), "RR")
    mu, tau, mean, sd = PARAMETERS[0]
    x, w = special.roots_legendre(12)
    edges_a, edges_z = np.linspace(-90, 90, 61), np.linspace(-9, 9, 19)
    a, z = ((e[:-1, None] + np.diff(e)[:, None] / 2 * (x + 1)).ravel() for e in (edges_a, edges_z))
    w_a, w_z = ((np.diff(e)[:, None] / 2 * w).ravel() for e in (edges_a, edges_z))
    theta = mu + tau * z
    # by the risks themselves: p_c solves p_e p_c / ((1 - p_e) (1 - p_c)) = exp(2 a), p_e = exp(theta) p_c
    ratio, odds = np.exp(theta), np.exp(-2 * a[:, None])
    p_c = 2 / (1 + ratio + np.sqrt((1 - ratio) ** 2 + 4 * ratio * odds))
    p_e = np.minimum(ratio * p_c, 1)
    weight = (w_a * stats.norm.pdf(a, mean, sd))[:, None] * (w_z * stats.norm.pdf(z))
    binom = stats.binom.pmf
    expected = [(weight * binom(i, 4, p_e) * binom(j, 7, p_c)).sum() for i, j in zip(event_e, event_c, strict=True)]
    found = np.exp(log_marginal_likelihood(every, mu, tau, mean, sd, link=RISK_RATIOS, nodes=FINE))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(
        np.exp(log_marginal_likelihood(every, mu, tau, mean, sd, link=RISK_RATIOS)), expected, rtol=1e-2
    )


def test_shapes_and_a_trial_without_participants() -> None:
    mu, tau = np.zeros((2, 3)), np.full((2, 3), 0.4)
    found = log_marginal_likelihood(SIMULATED.filled(6), mu, tau, 0.0, 1.0)
    assert found.shape == (2, 3, 6)
    # no participants: probability one, up to the integral of the normal density itself
    np.testing.assert_allclose(found[..., 5], 0, atol=1e-5)


def test_exchanging_the_arms_changes_the_sign_of_the_effect() -> None:
    s = SIMULATED
    other = Counts(s.study, s.event_c, s.n_c, s.event_e, s.n_e, "OR")
    one, two = log_marginal_likelihood(s, 0.7, 0.5, -1.0, 2.0), log_marginal_likelihood(other, -0.7, 0.5, -1.0, 2.0)
    np.testing.assert_allclose(one, two, rtol=1e-9)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_probabilities_add_up_to_one_on_risk_ratios_too(parameters: tuple[float, ...]) -> None:
    event_e, event_c = (x.ravel() for x in np.meshgrid(np.arange(5), np.arange(8)))
    every = Counts(range(40), event_e, np.full(40, 4), event_c, np.full(40, 7), "RR")
    found = log_marginal_likelihood(every, *parameters, link=RISK_RATIOS, nodes=FINE)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)  # 40 trials of 11 participants, flat on one side
    fine = log_marginal_likelihood(SIMULATED, *parameters, link=RISK_RATIOS, nodes=FINE)
    np.testing.assert_allclose(
        fine, log_marginal_likelihood(SIMULATED, *parameters, link=RISK_RATIOS, nodes=2 * FINE), atol=1e-5
    )
