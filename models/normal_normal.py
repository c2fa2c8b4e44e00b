"""Normal-normal random-effects model with the study effects integrated out.

With yi the estimate of study i and sei its standard error, taken as known::

    yi      ~ N(theta_i, sei^2)
    theta_i ~ N(mu, tau^2)            i = 1 ... k

so that, theta integrated out::

    yi      ~ N(mu, sei^2 + tau^2)

which leaves mu and tau to sample and has no funnel. The rest follows in closed form, given mu and tau::

    theta_i   ~ N((tau^2 yi + sei^2 mu) / (sei^2 + tau^2), sei^2 tau^2 / (sei^2 + tau^2))
    theta_new ~ N(mu, tau^2)          the effect of a new study
    y_rep_i   ~ N(mu, sei^2 + tau^2)  a new estimate as precise as study i's, of a new effect

Hedges LV, Olkin I. Statistical Methods for Meta-Analysis (1985), chapter 9; Rover C. Bayesian random-effects
meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6), sections 2.1 and 2.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.priors import Priors

__all__ = ["build", "complete"]


def build(effects: EffectSizes, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    priors
        Priors on mu and tau.

    Returns
    -------
    Model
        Coordinate ``study``; data ``yi`` and ``sei``, shape (k,), and the parameters of the priors
        (``mu_mean``, ``tau_scale`` ...); variables ``mu``, ``tau`` and the observed ``y``. All data can be
        replaced, also by those of another number of studies.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function.
    """
    with pm.Model(coords={"study": effects.study}) as model:
        yi = pm.Data("yi", effects.yi, dims="study")
        sei = pm.Data("sei", effects.sei, dims="study")
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        pm.Normal("y", mu=mu, sigma=pt.sqrt(sei**2 + tau**2), observed=yi, dims="study")
    return model


def complete(
    effects: EffectSizes, mu: NDArray[np.float64], tau: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of mu and tau.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    mu, tau
        Posterior draws of one shape S.
    rng
        Source of randomness.

    Returns
    -------
    dict
        ``theta``, shape (*S, k), and ``theta_new``, shape S, from the posterior; ``y``, shape (*S, k), from
        the posterior predictive distribution of the marginal model (a new effect, then a new estimate).
    """
    m, t = mu[..., None], tau[..., None]
    total = np.hypot(effects.sei, t)
    to_mu = (effects.sei / total) ** 2
    theta_sd = effects.sei * (t / total)
    return {
        "theta": rng.normal(effects.yi + to_mu * (m - effects.yi), theta_sd),
        "theta_new": rng.normal(mu, tau),
        "y": rng.normal(m, total),
    }
