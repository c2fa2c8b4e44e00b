"""Effects between -1 and 1, such as risk differences: normal distributions truncated there.

With m and t the mean and standard deviation before truncation, and -1 < m < 1::

    p(x) = phi((x - m) / t) / (t M),    M = (erf((1 - m) / (t sqrt 2)) + erf((1 + m) / (t sqrt 2))) / 2

Both terms of the mass M are positive: no digits are lost, however large or small t is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from scipy.special import erf, ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = ["bounded_between", "bounded_draws", "fisher_scale", "inside"]

ROOT_2 = np.sqrt(np.float64(2))
LOG_ROOT_2_PI = np.log(np.float64(2 * np.pi)) / 2
LARGEST = np.nextafter(1.0, 0.0)  # of an effect
LARGEST_FISHER = 300  # of artanh, for double precision


class _Steered(Transform):  # type: ignore[misc]  # PyMC publishes no types
    """The deviation z of artanh(x) from where an estimate e of error s, and m and t, lead one to expect it.

    As in ``parameterising.normal_between``, on the scale of artanh: were that of x normal with mean M and standard
    deviation T, and that of e normal about it, z would be standard normal given e. M and T follow from m and t: where
    t is small they are artanh(m) and t / (1 - m^2), and where m is near 1 they stay finite. They steer the sampler
    and do not enter the posterior, since the density is that of x.
    """

    name = "steered"

    def forward(self, value: Any, *inputs: Any) -> Any:
        centre, scale = _expected(*inputs[-4:])
        return (pt.arctanh(value) - centre) / scale

    def backward(self, value: Any, *inputs: Any) -> Any:
        centre, scale = _expected(*inputs[-4:])
        return pt.tanh(centre + scale * value)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        centre, scale = _expected(*inputs[-4:])
        at = centre + scale * value
        # log(1 - tanh^2), which does not underflow
        return np.float64(2) * (np.log(np.float64(2)) - at - pt.softplus(np.float64(-2) * at)) + pt.log(scale)


def _expected(mean: Any, sd: Any, estimate: Any, error: Any) -> tuple[Any, Any]:
    middle, spread = pt.arctanh(mean / pt.sqrt(1 + sd**2)), sd / (1 - mean**2 + sd)
    seen, noise = pt.arctanh(estimate), error / (1 - estimate**2)
    total = spread**2 + noise**2
    return (spread**2 * seen + noise**2 * middle) / total, spread * noise / pt.sqrt(total)


def bounded_between(name: str, mean: Any, sd: Any, estimate: Any, error: Any) -> Any:
    """A variable x_i ~ N(mean, sd^2) truncated to (-1, 1) of each study, in the current PyMC model.

    Parameters
    ----------
    name
        Of x.
    mean, sd
        Before truncation; -1 < mean < 1.
    estimate, error
        Rough ones of each study, along the dimension ``study``, between -1 and 1 and positive: they steer the
        sampler and do not enter the posterior.
    """

    def logp(value: Any, mean: Any, sd: Any, *_: Any) -> Any:
        mass = (pt.erf((1 - mean) / (sd * ROOT_2)) + pt.erf((1 + mean) / (sd * ROOT_2))) / 2
        return -(((value - mean) / sd) ** 2) / 2 - pt.log(sd) - LOG_ROOT_2_PI - pt.log(mass)

    def random(mean: Any, sd: Any, *_: Any, rng: Any = None, size: Any = None) -> Any:
        return bounded_draws(mean, sd, rng, size)

    def support_point(rv: Any, size: Any, mean: Any, *_: Any) -> Any:  # noqa: ARG001  (PyMC calls it so)
        return mean + pt.zeros(rv.shape)

    parts = {"logp": logp, "random": random, "support_point": support_point}
    return pm.CustomDist(name, mean, sd, estimate, error, **parts, transform=_Steered(), dims="study")


def bounded_draws(mean: Any, sd: Any, rng: np.random.Generator, size: Any = None) -> Vector:
    """Draws from N(mean, sd^2) truncated to (-1, 1), of shape size, or that of mean and sd."""
    mean, sd = np.asarray(mean), np.asarray(sd)
    lower, upper = ndtr((-1 - mean) / sd), ndtr((1 - mean) / sd)
    u = rng.random(np.broadcast_shapes(mean.shape, sd.shape) if size is None else size)
    drawn: Vector = mean + sd * ndtri(lower + u * (upper - lower))
    return inside(drawn)


def inside(x: Vector) -> Vector:
    """What rounding put on the edges, as the nearest numbers between them."""
    return np.asarray(np.clip(x, -LARGEST, LARGEST))


def fisher_scale(mean: Vector, sd: Vector, v: Vector) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    """The truncated normal on the scale y = artanh(x) = artanh(mean) + v, for ``log_marginal_likelihood``."""
    y = np.arctanh(mean) + v
    x = np.tanh(y)
    slope = 1 / np.cosh(np.clip(y, -LARGEST_FISHER, LARGEST_FISHER)) ** 2
    mass = (erf((1 - mean) / (sd * ROOT_2)) + erf((1 + mean) / (sd * ROOT_2))) / 2
    log_slope = 2 * (np.log(2) - np.logaddexp(y, -y))
    z = (x - mean) / sd
    density = -(z**2) / 2 - np.log(sd * mass) + log_slope
    return y, np.ones_like(y), density, -z / sd * slope - 2 * x, (slope / sd) ** 2 + 2 * slope
