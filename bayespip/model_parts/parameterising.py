"""Parameters of studies written so that samplers find a posterior without funnels, whatever the data say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["along_axes", "multinormal_between", "normal_between"]


def normal_between(name: str, mean: Any, sd: Any, estimate: Any, error: Any, *, deviation: str) -> Any:
    """A variable x_i ~ N(mean, sd^2) of each study, in the current PyMC model.

    Were the data of study i an estimate e_i ~ N(x_i, s_i^2), x_i would have a normal distribution given them, mean
    and sd. It is written as that mean and standard deviation and a deviation z_i::

        x_i = (sd^2 e_i + s_i^2 mean) / (s_i^2 + sd^2) + s_i sd / sqrt(s_i^2 + sd^2) z_i
        z_i ~ N(sd (mean - e_i) / (s_i sqrt(s_i^2 + sd^2)), 1 + sd^2 / s_i^2)

    which is x_i ~ N(mean, sd^2) for every e_i and s_i: they steer the sampler and do not enter the posterior. Where
    they fit the data, z_i is nearly standard normal and independent of mean and sd a posteriori; where s_i is large
    or sd small, this is the non-centred form. Between the two: Papaspiliopoulos O, Roberts GO, Skold M. A general
    framework for the parametrization of hierarchical models. Stat Sci 2007;22:59-73.

    Parameters
    ----------
    name, deviation
        Of x and of z.
    mean, sd
        Of the distribution between studies.
    estimate, error
        e_i and s_i > 0, along the dimension ``study``.

    Returns
    -------
    TensorVariable
        x, a deterministic variable along ``study``.
    """
    return pm.Deterministic(name, _between(mean, sd, estimate, error, deviation, ("study",)), dims="study")


def multinormal_between(  # noqa: PLR0917  (as of normal_between)
    name: str,
    mean: Any,
    sd: Any,
    correlation: NDArray[np.float64],
    axes: Any,
    estimate: Any,
    error: Any,
    *,
    deviation: str,
    dims: tuple[str, str, str],
) -> Any:
    """Variables x_i ~ N(mean, sd^2 P) of each study, several at once, in the current PyMC model.

    With W_i' P W_i the identity, the elements of v_i = W_i' x_i are independent, with means W_i' mean and SD sd, and
    x_i = P W_i v_i. If the data of study i were an estimate e_i ~ N(x_i, S_i), ``along_axes`` gives the W_i for which
    the elements of W_i' e_i are independent too: each v_ij is then written as in ``normal_between``.

    Parameters
    ----------
    name, deviation
        Of x and of z.
    mean, sd, correlation
        Of the distribution between studies: shape (m,), a number, and P, shape (m, m).
    axes, estimate, error
        From ``along_axes``: they steer the sampler and do not enter the posterior.
    dims
        Names of the dimensions of studies, of the m variables, and of the m deviations.

    Returns
    -------
    TensorVariable
        x, a deterministic variable along the first two of dims.
    """
    study, variable, axis = dims
    v = _between((axes * mean[None, :, None]).sum(1), sd, estimate, error, deviation, (study, axis))
    x = (axes * v[:, None, :]).sum(2) @ correlation
    return pm.Deterministic(name, x, dims=(study, variable))


def along_axes(
    estimate: NDArray[np.float64], covariance: NDArray[np.float64], correlation: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of k estimates e_i with covariances S_i the axes along which they are independent, and so what has correlation P.

    Returns
    -------
    axes
        W_i, with W_i' P W_i the identity and W_i' S_i W_i diagonal, shape (k, m, m).
    estimate, error
        W_i' e_i, and the roots of that diagonal, shape (k, m).
    """
    root = np.linalg.inv(np.linalg.cholesky(correlation))
    variances, turned = np.linalg.eigh(root @ covariance @ root.T)
    axes = root.T @ turned
    return axes, (axes * estimate[..., None]).sum(1), np.sqrt(variances)


def _between(  # noqa: PLR0917  (as of normal_between)
    mean: Any, sd: Any, estimate: Any, error: Any, deviation: str, dims: tuple[str, ...]
) -> Any:
    total = pt.sqrt(error**2 + sd**2)
    z = pm.Normal(deviation, sd * (mean - estimate) / (error * total), total / error, dims=dims)
    return (sd**2 * estimate + error**2 * mean) / total**2 + error * sd / total * z
