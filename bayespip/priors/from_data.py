"""Priors on tau that take their scale from the studies' standard errors.

They look at how precise the studies are, never at their effects. As bayesmeta names them (Rover C. J Stat Softw
2020;93(6), section 2.3); with sei the standard errors and k their number:

- uniform shrinkage: s0^2 / (s0^2 + tau^2) is uniform, s0^2 = k / sum(sei^-2) (Daniels MJ. Can J Stat 1999;27:567);
- DuMouchel: s0 / (s0 + tau) is uniform, the same s0 (DuMouchel WH. Technical report, National Institute of
  Statistical Sciences, 1994), a Lomax of shape 1;
- uniform I2: tau^2 / (tau^2 + s^2) is uniform, s^2 the typical variance of Higgins JPT, Thompson SG. Stat Med
  2002;21:1539, equation 9;
- Jeffreys: the root of the Fisher information of tau, sqrt(sum (tau / (sei^2 + tau^2))^2), improper with tail
  1 / tau (Tibshirani R. Biometrika 1989;76:604; Bodnar O et al. Stat Med 2017;36:378).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.priors.types import GivenDensity, Prior

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["du_mouchel", "jeffreys", "uniform_i2", "uniform_shrinkage"]


def uniform_shrinkage(sei: ArrayLike) -> Prior:
    """Uniform on the shrinkage s0^2 / (s0^2 + tau^2) of a study with the harmonic mean of the variances.

    Parameters
    ----------
    sei
        Standard errors of the studies on the model scale, shape (k,).

    Raises
    ------
    ValueError
        If one is not positive and finite.

    Examples
    --------
    >>> bp.priors.uniform_shrinkage([0.31, 0.42]).quantile(0.5).round(3).item()
    0.353
    """
    return Prior("uniform-shrinkage", (_harmonic(sei),), "uniform shrinkage, Daniels MJ. Can J Stat 1999;27:567-578")


def du_mouchel(sei: ArrayLike) -> Prior:
    """DuMouchel's prior s0 / (s0 + tau)^2: a Lomax of shape 1, median s0; parameters as ``uniform_shrinkage``.

    Examples
    --------
    >>> print(bp.priors.du_mouchel([0.31, 0.42]))
    lomax(0.35273, 1)
    """
    source = "DuMouchel WH. National Institute of Statistical Sciences, Technical report, 1994"
    return Prior("lomax", (_harmonic(sei), 1.0), source)


def uniform_i2(sei: ArrayLike) -> Prior:
    """Uniform on I2 = tau^2 / (tau^2 + s^2).

    Parameters
    ----------
    sei
        Standard errors of two studies or more on the model scale, shape (k,).

    Raises
    ------
    ValueError
        If one is not positive and finite, or there is only one.

    Examples
    --------
    >>> bp.priors.uniform_i2([0.31, 0.42]).quantile(0.5).round(3).item()  # I2 of a half
    0.369
    """
    values = _checked(sei)
    if values.size < 2:
        raise ValueError("the prior that is uniform on I2 needs two studies or more; got one.")
    weights = (values.min() / values) ** 2  # relative, so that no square leaves the range of doubles
    total = weights.sum()
    typical = (values.size - 1) * total / (total**2 - (weights**2).sum())
    source = "uniform on I2, with the typical variance of Higgins JPT, Thompson SG. Stat Med 2002;21:1539-1558"
    return Prior("uniform-shrinkage", (float(values.min() * math.sqrt(typical)),), source)


def jeffreys(sei: ArrayLike) -> Prior:
    """Jeffreys' prior of tau given mu: improper, so that with a flat prior on mu the posterior needs two studies.

    Parameters
    ----------
    sei
        Standard errors of the studies on the model scale, shape (k,): those of the effects that are fitted.

    Raises
    ------
    ValueError
        If one is not positive and finite.

    Examples
    --------
    >>> bp.priors.jeffreys([0.31, 0.42]).proper
    False
    """
    values = tuple(map(float, _checked(sei)))
    given = GivenDensity("Jeffreys", _JeffreysDensity(values), 1.0, proper=False)
    return Prior("jeffreys", (values,), "Bodnar O et al. Stat Med 2017;36:378-399", given)


@dataclass(frozen=True, slots=True)
class _JeffreysDensity:
    sei: tuple[float, ...]

    def __call__(self, tau: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.asarray(tau, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_tau = np.log(values)
            terms = 2 * log_tau[..., None] - 2 * np.logaddexp(2 * np.log(self.sei), 2 * log_tau[..., None])
        largest = terms.max(axis=-1)
        with np.errstate(invalid="ignore"):
            inside = largest + np.log(np.exp(terms - largest[..., None]).sum(axis=-1))
        return np.where(values > 0, inside / 2, -np.inf)


def _harmonic(sei: ArrayLike) -> float:
    """Root of the harmonic mean of the variances."""
    values = _checked(sei)
    return float(values.min() / math.sqrt(((values.min() / values) ** 2).mean()))


def _checked(sei: ArrayLike) -> NDArray[np.float64]:
    values = np.atleast_1d(np.asarray(sei, dtype=float))
    if values.ndim != 1 or not values.size or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"sei must be positive and finite, one a study; got {values.tolist()}.")
    return values
