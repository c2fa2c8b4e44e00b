"""Densities of sums of normal and Student-t deviates: against SciPy."""

import numpy as np
import pytest
from scipy import stats

from bayespip.model_parts.scale_mixtures import log_normal_plus_t, log_normal_plus_two_t

TOLERANCE = 1e-8  # what scale_mixtures states of its rule
TOLERANCE_TWO = 1e-4
DEGREES = [1, 1.5, 4, 30, 1e3, 1e6]


@pytest.mark.parametrize("df", DEGREES)
def test_without_the_normal_it_is_a_t_distribution(df: float) -> None:
    x = np.array([0, 0.3, -1, 4, 7.0])
    np.testing.assert_allclose(log_normal_plus_t(x, 0.0, 1.3, df), stats.t(df, scale=1.3).logpdf(x), atol=TOLERANCE)


def test_without_the_t_it_is_a_normal_distribution() -> None:
    x = np.array([0, 0.3, -1, 4])
    np.testing.assert_allclose(log_normal_plus_t(x, 0.7, 0.0, 3), stats.norm(0, 0.7).logpdf(x), atol=TOLERANCE)


def _convolved(x: np.ndarray, sd: float, scale: float, df: float) -> np.ndarray:
    """By the trapezoidal rule in s, u = scale sinh(s) the t deviate, as far as the normal factor reaches."""
    s = np.linspace(-9, 9, 200_001)[:, None]
    u = scale * np.sinh(s)
    integrand = stats.t.pdf(np.sinh(s), df) * np.cosh(s) * stats.norm.pdf(x - u, 0, sd)
    return np.log(integrand.sum(axis=0) * (s[1] - s[0]))


@pytest.mark.parametrize("df", [1.2, 3, 20])
@pytest.mark.parametrize("ratio", [0.05, 1, 10])
def test_the_sum_is_the_convolution(df: float, ratio: float) -> None:
    x = np.array([0.0, 1.0, 3.0])
    found = log_normal_plus_t(x, 1.0, ratio, df)
    np.testing.assert_allclose(found, _convolved(x, 1.0, ratio, df), atol=TOLERANCE)


def test_shapes_broadcast() -> None:
    found = log_normal_plus_t(np.zeros(3), np.ones((5, 4, 1)), np.ones((4, 1)), np.array([2, 3, 4]))
    assert found.shape == (5, 4, 3)


@pytest.mark.parametrize("dfs", [(1, 1), (4, 6), (30, 2)])
def test_two_t_deviates(dfs: tuple[float, float]) -> None:
    scales = (0.7, 0.4)
    x, sd = np.array([0.0, 0.9, 3.0]), np.array([0.3, 0.3, 1.0])
    t = np.linspace(-14, 14, 4001)  # the trapezoidal rule in t, u = sinh(t): the other deviate, to 6e5
    u, step = np.sinh(t)[:, None], (t[1] - t[0]) * np.cosh(t)[:, None]
    one = log_normal_plus_t(x - u, sd, scales[0], dfs[0]) + stats.t(dfs[1], scale=scales[1]).logpdf(u)
    expected = np.log((step * np.exp(one)).sum(axis=0))
    np.testing.assert_allclose(log_normal_plus_two_t(x, sd, scales, dfs), expected, atol=TOLERANCE_TWO)
