"""Between-study variance: Q-profile limits and likelihood maxima by their definitions; located bad data."""

from math import inf, nan
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayespip.frequentist.heterogeneity import q_profile, tau2_estimate

ROUNDING = 1e-12
"""Of a log-likelihood of about 20, computed in two ways."""
QUANTILE = 1e-10
"""Relative: SciPy's chi-square quantile and the root, both in double precision."""

SETS = st.integers(2, 8).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-5, 5), min_size=k, max_size=k).map(np.array),
        st.lists(st.floats(0.1, 2), min_size=k, max_size=k).map(np.array),
    )
)


@given(SETS, st.floats(0.5, 0.99))
def test_q_at_the_profile_limits_is_the_chi_square_quantile(data: Any, level: float) -> None:
    y, s = data
    lower, upper = q_profile(y, s**2, level)

    def q(tau2: float) -> mpmath.mpf:
        w = [1 / (mpmath.mpf(si) ** 2 + tau2) for si in s.tolist()]
        mu = mpmath.fdot(w, y.tolist()) / sum(w)
        return sum(wi * (yi - mu) ** 2 for wi, yi in zip(w, y.tolist(), strict=True))

    for limit, p in ((lower, (1 + level) / 2), (upper, (1 - level) / 2)):
        quantile = stats.chi2.ppf(p, y.size - 1)
        if limit > 0:
            assert float(q(float(limit))) == pytest.approx(quantile, rel=QUANTILE)
        else:
            assert q(0) <= quantile * (1 + QUANTILE)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize(
    ("y", "s"),
    [
        (
            [0.7, 0.8, -0.9, 0.7, 1.3, 0.3, -0.2, 1.1, 1.1, 1.1],
            [0.6, 0.5, 1.5, 1, 0.3, 0.9, 0.2, 0.6, 1.3, 0.7],
        ),
        ([2.1, -0.7, -0.7, 1.5], [1.0, 0.3, 0.3, 3.0]),
        (
            [28.39, 7.94, -2.75, 6.82, -0.64, 0.63, 18.01, 12.16],
            [14.9, 10.2, 16.3, 11, 9.4, 11.4, 10.4, 17.6],
        ),
    ],
    ids=["two peaks", "peak at 0 and inside", "peak at 0"],
)
def test_the_likelihood_is_highest_at_its_estimate(method: str, y: list[float], s: list[float]) -> None:
    def log_likelihood(tau2: Any) -> Any:
        """From the multivariate normal density of the data (ML) or of its contrasts (REML)."""
        contrasts = np.eye(len(y))[1:] - np.eye(len(y))[:1]
        values = []
        for t in np.atleast_1d(tau2):
            cov = np.diag(np.square(s) + t)
            w = 1 / np.diag(cov)
            mean = np.full(len(y), np.average(y, weights=w))
            if method == "ML":
                values.append(stats.multivariate_normal.logpdf(y, mean, cov))
            else:
                values.append(stats.multivariate_normal.logpdf(contrasts @ y, cov=contrasts @ cov @ contrasts.T))
        return np.array(values)

    estimate = float(tau2_estimate(y, np.square(s), method))
    everywhere = np.linspace(0, np.ptp(y) ** 2, 4001)
    assert log_likelihood(estimate)[0] >= log_likelihood(everywhere).max() - ROUNDING


@pytest.mark.parametrize(
    ("yi", "vi", "message"),
    [
        ([[0, 1], [0, nan]], [[1, 1], [1, 1]], "yi must be finite; not so at index (1, 1): nan."),
        ([0, 1], [1, 0], "vi must be positive and finite; not so at index (1,): 0."),
        ([0, 1], [1, inf], "vi must be positive and finite; not so at index (1,): inf."),
        ([0, 1], [1], "yi and vi must have one shape (..., k) with k >= 1; got (2,) and (1,)."),
        ([], [], "yi and vi must have one shape (..., k) with k >= 1; got (0,) and (0,)."),
    ],
)
def test_wrong_data_are_located(yi: Any, vi: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        tau2_estimate(yi, vi)
    assert str(caught.value) == message
