"""Probabilities of events whose risks follow beta distributions."""

import numpy as np
from scipy.stats import betabinom, binom

from bayespip.model_parts.beta_risks import beyond_binomial


def test_beta_binomial_probabilities_are_those_of_scipy() -> None:
    y, n = np.array([0, 4, 23, 300, 0]), np.array([10, 23, 23, 1000, 5000])
    for p, r in ((0.2, 0.01), (0.5, 3.0), (0.01, 1e-3), (0.97, 40.0)):
        expected = betabinom.logpmf(y, n, p / r, (1 - p) / r) - binom.logpmf(y, n, p)
        np.testing.assert_allclose(beyond_binomial(y, n, *map(np.array, (p, 1 - p, r))), expected, rtol=1e-9, atol=1e-9)


def test_where_the_dispersion_is_tiny_they_exceed_the_binomial_by_its_first_order() -> None:
    y, n, p, r = np.array([0, 4, 23]), np.array([10, 23, 23]), 0.2, 1e-14
    # of the rising factorials: a (a + 1) ... (a + m - 1) = a^m (1 + m (m - 1) / (2 a) + ...)
    first = r / 2 * (y * (y - 1) / p + (n - y) * (n - y - 1) / (1 - p) - n * (n - 1))
    np.testing.assert_allclose(beyond_binomial(y, n, *map(np.array, (p, 1 - p, r))), first, atol=1e-13)
