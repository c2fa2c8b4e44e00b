"""Truncated normal effects: against SciPy's distribution, on both scales, and their draws."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayespip.model_parts.bounded_effects import bounded_between, bounded_draws, fisher_scale

PARAMETERS = [(0.1, 0.05), (0.9, 0.5), (-0.4, 30.0), (0.999, 0.01), (0.0, 1e-4)]
LOGP_TOLERANCE = 1e-9  # relative or absolute: SciPy's own difference of two distribution functions


def _truncated(mean: float, sd: float) -> stats.rv_continuous:
    return stats.truncnorm((-1 - mean) / sd, (1 - mean) / sd, mean, sd)


def test_the_variable_has_the_density_and_its_transform_the_jacobian() -> None:
    with pm.Model(coords={"study": range(4)}) as model:
        mean, sd = pm.Data("mean", 0.0), pm.Data("sd", 1.0)
        steering = np.array([0.2, -0.5, 0.9, 0.0]), np.array([0.1, 0.3, 0.02, 50.0])
        x = bounded_between("x", mean, sd, *steering)
    value = model.rvs_to_values[x]
    back = model.rvs_to_transforms[x].backward(value, *x.owner.inputs)
    natural = pm.compile([value], back, mode="FAST_COMPILE")
    plain = model.compile_logp(jacobian=False, sum=False, mode="FAST_COMPILE")
    with_jacobian = model.compile_logp(sum=False, mode="FAST_COMPILE")
    rng = np.random.default_rng(1)
    for m, s in PARAMETERS:
        pm.set_data({"mean": m, "sd": s}, model=model)
        z, step = rng.normal(size=4), 1e-5
        at, point = natural(z), {value.name: z}
        np.testing.assert_allclose(plain(point)[0], _truncated(m, s).logpdf(at), rtol=LOGP_TOLERANCE, atol=1e-7)
        slope = (natural(z + step) - natural(z - step)) / (2 * step)
        # the quotient loses digits of x where x hardly moves
        rounding = 1e-8 + 4 * np.finfo(float).eps / (step * slope.min())
        np.testing.assert_allclose(with_jacobian(point)[0] - plain(point)[0], np.log(slope), atol=rounding)


@pytest.mark.parametrize(("mean", "sd"), PARAMETERS)
def test_the_scale_of_fisher_has_the_density_and_its_derivatives(mean: float, sd: float) -> None:
    v = np.array([-1.5, -0.3, 0.0, 0.2, 1.1]) * min(1, sd / (1 - mean**2))
    y, slope, density, score, information = fisher_scale(np.float64(mean), np.float64(sd), v)
    x = np.tanh(y)
    expected = _truncated(mean, sd).logpdf(x) + np.log1p(-(x**2)) + np.log(2 * np.pi) / 2
    np.testing.assert_allclose(density, expected, rtol=LOGP_TOLERANCE, atol=1e-7)
    np.testing.assert_array_equal(slope, 1)
    step = 1e-5 * min(1, sd)
    around = [fisher_scale(np.float64(mean), np.float64(sd), v + h)[2] for h in (step, -step)]
    np.testing.assert_allclose(score, (around[0] - around[1]) / (2 * step), rtol=1e-4, atol=1e-4 / min(1, sd))
    assert (information > 0).all()


@pytest.mark.parametrize(("mean", "sd"), PARAMETERS)
def test_draws_are_of_the_distribution(mean: float, sd: float) -> None:
    drawn = bounded_draws(mean, sd, np.random.default_rng(2), 20_000)
    assert (np.abs(drawn) < 1).all()
    assert stats.kstest(drawn, _truncated(mean, sd).cdf).pvalue > 1e-3


def test_draws_take_the_shape_of_their_parameters() -> None:
    rng = np.random.default_rng(3)
    assert bounded_draws(np.zeros((2, 3, 1)), 0.1, rng, (2, 3, 4)).shape == (2, 3, 4)
    assert bounded_draws(np.zeros((2, 3)), np.full((2, 3), 0.2), rng).shape == (2, 3)
