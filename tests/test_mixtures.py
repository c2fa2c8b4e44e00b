"""Mixtures of normals: quantiles invert distribution functions, far out and across sixteen orders of size."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespip.exact import mixtures

# In probability, relative to the smaller tail: a few rounding errors of a sum of some components.
INVERSE = 1e-13
TAILS = np.array([1e-300, 1e-100, 1e-12, 1e-6, 0.025, 0.3, 0.5, 0.7, 0.975, 1 - 1e-6, 1 - 1e-12])

CASES = {
    "one": ([1.0], [0.3], [2.0]),
    "bimodal": ([0.5, 0.5], [-10.0, 10.0], [0.5, 0.5]),
    "bimodal, uneven": ([0.9, 0.1], [0.0, 1000.0], [1.0, 1e-3]),
    "sds from 1e-8 to 1e8": ([0.2] * 5, [0.0, 1e-3, 1.0, -5.0, 1e3], [1e-8, 1e-4, 1.0, 1e4, 1e8]),
    "light and wide": ([1 - 1e-10, 1e-10], [0.0, 0.0], [1.0, 1e6]),
    "far from zero": ([0.4, 0.6], [1e6, 1e6 + 1], [1.0, 0.1]),
    "a mean in the gap": ([0.8, 0.2], [0.0, 48.0], [0.1, 1.0]),  # where Newton starts the density is below 1e-300
    "a spike": ([0.999, 0.001], [0.0, 0.1], [1.0, 1e-8]),
}


def arrays(case):
    return tuple(np.array([values], dtype=float) for values in case)


def exact_tails(case, x):
    """P(X < x) and P(X > x) at 40 digits."""
    with mp.workdps(40):
        below = mp.fsum(w * mp.ncdf((mp.mpf(x) - m) / s) for w, m, s in zip(*case, strict=True))
        above = mp.fsum(w * mp.ncdf((m - mp.mpf(x)) / s) for w, m, s in zip(*case, strict=True))
        return below, above


@pytest.mark.parametrize("name", CASES)
def test_quantiles_invert_the_distribution_function(name):
    mixture = arrays(CASES[name])
    x = mixtures.quantiles(*mixture, TAILS)[0]
    assert (np.diff(x) > 0).all()
    assert np.isfinite(x).all()
    below = mixtures.probabilities(*mixture, x, upper=False)[0]
    above = mixtures.probabilities(*mixture, x, upper=True)[0]
    tail, wanted = np.where(TAILS <= 0.5, below, above), np.where(TAILS <= 0.5, TAILS, 1 - TAILS)
    # moving x by its own last digit moves the probability by this much
    step = np.spacing(np.abs(x)) * mixtures.densities(*mixture, x)[0]
    assert (np.abs(tail - wanted) <= INVERSE * wanted + step).all()


@pytest.mark.parametrize("p", [1e-12, 0.025, 0.5, 0.9, 1 - 1e-9])
@pytest.mark.parametrize("name", CASES)
def test_quantiles_are_those_of_mpmath(name, p):
    x = mixtures.quantiles(*arrays(CASES[name]), np.array([p]))[0, 0]
    below, above = exact_tails(CASES[name], x)
    with mp.workdps(40):
        density = mp.fsum(w * mp.npdf(x, m, s) for w, m, s in zip(*CASES[name], strict=True))
        error = (below - p) if p <= 0.5 else (1 - mp.mpf(p)) - above
        assert abs(error) <= INVERSE * min(p, 1 - p) + 2 * np.spacing(abs(x)) * density


@pytest.mark.parametrize("name", CASES)
def test_probabilities_and_densities_are_those_of_mpmath(name):
    mixture = arrays(CASES[name])
    for x in (-1e4, -20.0, -1e-9, 0.0, 0.1, 3.0, 1e6 + 0.5):
        below, above = exact_tails(CASES[name], x)
        with mp.workdps(40):
            density = mp.fsum(w * mp.npdf(mp.mpf(x), m, s) for w, m, s in zip(*CASES[name], strict=True))
        at = np.array([x])
        # beyond 39 standard deviations a component counts as nothing
        nothing = 1e-300
        # exp(-z^2 / 2) loses about z^2 / 2 units in the last place, and z^2 / 2 is below 760
        assert mixtures.probabilities(*mixture, at, upper=False)[0, 0] == pytest.approx(
            float(below), rel=1e-12, abs=nothing
        )
        assert mixtures.probabilities(*mixture, at, upper=True)[0, 0] == pytest.approx(
            float(above), rel=1e-12, abs=nothing
        )
        assert mixtures.densities(*mixture, at)[0, 0] == pytest.approx(float(density), rel=1e-12, abs=nothing)


def test_the_median_of_a_symmetric_mixture_is_its_centre():
    mixture = arrays(([0.1, 0.2, 0.7], [0.0, 0.0, 0.0], [0.1, 1.0, 30.0]))
    assert abs(mixtures.quantiles(*mixture, np.array([0.5]))[0, 0]) < 1e-15


def test_the_quantiles_of_zero_and_one_are_infinite():
    found = mixtures.quantiles(*arrays(CASES["bimodal"]), np.array([0.0, 1.0]))
    assert found.tolist() == [[-math.inf, math.inf]]


def test_a_batch_gives_what_each_mixture_gives_alone():
    single = [arrays(CASES[name]) for name in ("bimodal", "bimodal, uneven", "far from zero")]
    batch = tuple(np.concatenate(part) for part in zip(*single, strict=True))
    together = mixtures.quantiles(*batch, TAILS)
    alone = np.concatenate([mixtures.quantiles(*one, TAILS) for one in single])
    assert np.array_equal(together, alone)


def test_components_of_negligible_weight_are_passed_over():
    mixture = arrays(([1.0 - 1e-6, 1e-6], [0.0, 1e9], [1.0, 1.0]))
    p = np.array([0.25, 0.9])
    kept = mixtures.quantiles(*arrays(([1.0 - 1e-6], [0.0], [1.0])), p)
    assert np.array_equal(mixtures.quantiles(*mixture, p, negligible=1e-5), kept)


def test_a_coarser_precision_stays_within_it():
    mixture, p = arrays(CASES["bimodal, uneven"]), np.array([0.025, 0.5, 0.85])
    fine, coarse = mixtures.quantiles(*mixture, p), mixtures.quantiles(*mixture, p, precision=1e-5)
    assert (np.abs(fine - coarse) <= 1e-5).all()


@given(
    components=st.lists(
        st.tuples(
            st.floats(0.01, 1),
            st.floats(-100, 100),
            st.floats(-8, 8).map(lambda e: 10.0**e),
        ),
        min_size=1,
        max_size=6,
    ),
    p=st.floats(1e-12, 1 - 1e-12),
)
def test_quantiles_invert_any_mixture(components, p):
    weight, mean, sd = (np.array([column]) for column in zip(*components, strict=True))
    weight = weight / weight.sum()
    x = mixtures.quantiles(weight, mean, sd, np.array([p]))[0]
    upper = p > 0.5
    tail = mixtures.probabilities(weight, mean, sd, x, upper=upper)[0, 0]
    wanted = 1 - p if upper else p
    step = np.spacing(np.abs(x[0])) * mixtures.densities(weight, mean, sd, x)[0, 0]
    assert abs(tail - wanted) <= INVERSE * wanted + step
