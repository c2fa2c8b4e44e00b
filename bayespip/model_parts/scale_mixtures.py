"""Student-t distributions as scale mixtures of normals, whose gamma weights are sampled or integrated out.

If w ~ Gamma(df/2, rate df/2) and x | w ~ N(m, s^2 / w), then x ~ t_df(m, s).

Andrews DF, Mallows CL. Scale mixtures of normal distributions. J R Stat Soc B 1974;36:99-102; Trefethen LN, Weideman
JAC. The exponentially convergent trapezoidal rule. SIAM Review 2014;56:385-458.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["gamma_weights", "log_normal_plus_t", "log_normal_plus_two_t"]


class _StandardisedLog(Transform):  # type: ignore[misc]  # PyMC publishes no types
    """log(w) sqrt(a) of w ~ Gamma(a, rate a).

    Its spread is near one whatever a; that of log(w), 1/sqrt(a), makes a funnel where a is a parameter.
    """

    name = "standardised_log"

    def forward(self, value: Any, *inputs: Any) -> Any:
        return pt.log(value) * pt.sqrt(inputs[2])

    def backward(self, value: Any, *inputs: Any) -> Any:
        return pt.exp(value / pt.sqrt(inputs[2]))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return value / pt.sqrt(inputs[2]) - pt.log(inputs[2]) / 2


def gamma_weights(name: str, df: Any) -> Any:
    """The weights of the studies as a PyMC variable, inside a model context: Gamma(df/2, rate df/2), dims study."""
    return pm.Gamma(name, df / 2, df / 2, dims="study", default_transform=_StandardisedLog())


# Beyond, the density of a weight is below exp(-REACH) of its peak.
REACH = 80.0


def _weight_rule(df: ArrayLike, nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and log weights of a rule for expectations over w ~ Gamma(df/2, rate df/2).

    The trapezoidal rule in log w, whose density is analytic and falls exponentially to the left and faster to the
    right.

    Parameters
    ----------
    df
        Degrees of freedom, any shape S.
    nodes
        Their number.

    Returns
    -------
    ndarray
        w, shape (nodes, *S).
    ndarray
        Logarithms of the weights, of the same shape.
    """
    from scipy.special import gammaln

    a = np.asarray(df, dtype=float) / 2
    # where a (1 + log w - w) = -REACH, to leading order for large and for small a, and a little beyond
    left, right = -(REACH / a + np.sqrt(2 * REACH / a)), np.log(1 + REACH / a + np.sqrt(2 * REACH / a))
    share = np.linspace(0, 1, nodes).reshape(-1, *(1 for _ in a.shape))
    at = left + share * (right - left)
    log_density = a * np.log(a) - gammaln(a) + a * (at - np.exp(at))
    return np.exp(at), log_density + np.log((right - left) / (nodes - 1))


NODES = 400  # relative error of densities below 1e-8 for df of at least 1; twice as many leave 1e-15


def log_normal_plus_t(x: ArrayLike, sd: ArrayLike, scale: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Log density at x of the sum of N(0, sd^2) and of scale times a Student-t deviate.

    Parameters
    ----------
    x, sd, scale, df
        Of shapes that broadcast; one of sd and scale may be zero.

    Returns
    -------
    ndarray
        Of the shape they broadcast to.
    """
    x, variance, square = np.asarray(x, dtype=float), np.square(sd), np.square(scale)
    total = np.full(np.broadcast_shapes(x.shape, np.shape(sd), np.shape(scale), np.shape(df)), -np.inf)
    for weight, log_share in zip(*_weight_rule(df, NODES), strict=True):
        v = variance + square / weight
        np.logaddexp(total, log_share - 0.5 * (x**2 / v + np.log(2 * np.pi * v)), out=total)
    return total


BINS = 1000  # of the variance of a sum, on a log scale
TAIL = 1e-12  # probability of its lowest and of its highest bin


def log_normal_plus_two_t(
    x: NDArray[np.float64], sd: NDArray[np.float64], scales: Sequence[float], dfs: Sequence[float]
) -> NDArray[np.float64]:
    """Log density at x of the sum of N(0, sd^2) and of two scaled Student-t deviates, relative error about 1e-4.

    Given its weights the sum is normal. Their joint distribution is made once into one of the variance they give, in
    bins so narrow that the normal density hardly bends within one.

    Parameters
    ----------
    x, sd
        Of shapes that broadcast.
    scales, dfs
        Two each.
    """
    (w_1, p_1), (w_2, p_2) = (_weight_rule(df, NODES) for df in dfs)
    spread = (scales[0] ** 2 / w_1[:, None] + scales[1] ** 2 / w_2).ravel()
    share = np.exp(p_1[:, None] + p_2).ravel()
    order = np.argsort(spread)
    below = np.cumsum(share[order])
    low, high = spread[order][np.searchsorted(below, [TAIL, below[-1] - TAIL])]
    edges = np.linspace(np.log(low), np.log(high), BINS - 1)
    within = np.digitize(np.log(spread), edges)
    mass = np.bincount(within, share, BINS)
    used = mass > 0
    mean = np.exp(np.bincount(within, share * np.log(spread), BINS)[used] / mass[used])
    total = np.full(np.broadcast_shapes(x.shape, sd.shape), -np.inf)
    for v, log_mass in zip(mean, np.log(mass[used]), strict=True):
        variance = sd**2 + v
        np.logaddexp(total, log_mass - 0.5 * (x**2 / variance + np.log(2 * np.pi * variance)), out=total)
    return total
