"""Normal-normal random-effects model in which trials at high risk of bias have a bias of elicited size.

With yi the estimate of study i and sei its standard error, taken as known, and x_i = 1 if it is at high risk::

    yi      ~ N(theta_i + x_i b_i, sei^2)
    b_i     ~ N(bias_mean_i, bias_sd_i^2)      elicited, independent between studies
    theta_i ~ N(mu, tau^2)                     i = 1 ... k

so that, theta and b integrated out::

    yi      ~ N(mu + x_i bias_mean_i, sei^2 + x_i bias_sd_i^2 + tau^2)

which is ``normal_normal`` on the estimates yi - x_i bias_mean_i with variances sei^2 + x_i bias_sd_i^2: with bias
(0, 0) on the estimates as published. theta_i and theta_new are effects without bias.
Given theta_i and yi, for x_i = 1::

    b_i ~ N(bias_mean_i + w (yi - theta_i - bias_mean_i), w sei^2),  w = bias_sd_i^2 / (bias_sd_i^2 + sei^2)

bias_mean and bias_sd have no default. The biases are independent: what is not known about their common mean is not in
bias_sd (it would make the trials' errors correlate), and is to be tried as a grid (``bias_sensitivity``).

Turner RM, Spiegelhalter DJ, Smith GCS, Thompson SG. Bias modelling in evidence synthesis. J R Stat Soc A
2009;172:21-47 (additive bias, elicited for each study); Welton NJ, Ades AE, Carlin JB, Altman DG, Sterne JAC. Models
for potentially biased evidence in meta-analysis using empirically based priors. J R Stat Soc A 2009;172:119-136 (of
trials at high risk; its mean bias, from other meta-analyses, is shared by them and uncertain, here it is given).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.exact.propriety import require_proper_posterior
from bayespip.model_data.bias import BiasedEffects, no_case
from bayespip.models import About, normal_normal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

__all__ = ["ABOUT", "build", "check", "complete", "data_of", "draw_data", "draw_prior", "log_predictive", "values"]

ABOUT = About(
    question="What is the average effect, if trials at high risk of bias are off by as much as the user says?",
    likelihood="yi ~ N(theta_i + x_i b_i, sei^2), sei known, x_i = 1 at high risk; theta_i ~ N(mu, tau^2)",
    priors="mu: any; tau: any; b_i ~ N(bias_mean_i, bias_sd_i^2), elicited, without default",
    needs="effects and standard errors, which trials are at high risk, and the size of their bias (BiasedEffects)",
    reference="Turner 2009, J R Stat Soc A 172:21; Welton 2009, J R Stat Soc A 172:119",
    predictive="a new estimate of a new effect, with a new bias where the study is at high risk: "
    "y ~ N(mu + bias_mean, sei^2 + bias_sd^2 + tau^2)",
    dims={"bias": ("study",)},
)


def build(biased: BiasedEffects, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    biased
        Effects of k studies on the model scale, with the bias of those at high risk.
    priors
        Priors on mu and tau.

    Returns
    -------
    Model
        Coordinate ``study``; data ``yi``, ``sei``, ``bias_mean`` and ``bias_sd``, shape (k,), the last two 0 for
        studies not at high risk, and the parameters of the priors; variables ``mu``, ``tau`` and the observed ``y``.
        All data can be replaced, also by those of another number of studies.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function.
    """
    with pm.Model(coords={"study": biased.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(biased).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        sd = pt.sqrt(data["sei"] ** 2 + data["bias_sd"] ** 2 + tau**2)
        pm.Normal("y", mu=mu + data["bias_mean"], sigma=sd, observed=data["yi"], dims="study")
    return model


def values(biased: BiasedEffects) -> dict[str, NDArray[np.float64]]:
    """Estimates and standard errors, mean and SD of the biases."""
    return {"yi": biased.yi, "sei": biased.sei, "bias_mean": biased.bias_mean, "bias_sd": biased.bias_sd}


def check(biased: BiasedEffects, priors: Priors) -> None:
    """Refuse other data, and an improper posterior."""
    if not isinstance(biased, BiasedEffects):
        raise ValueError(f"bias_adjusted needs BiasedEffects, with the size of bias; got {type(biased).__name__}.")
    require_proper_posterior(biased.k, priors)


def data_of(case: Case) -> NoReturn:
    """Nothing: the size of bias is the user's elicitation, and stands in no review."""
    no_case(case, "bias_adjusted", "BiasedEffects(effects, high_risk, bias_mean, bias_sd, favours=...)")


def complete(
    biased: BiasedEffects, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of mu and tau, of one shape S.

    Returns
    -------
    dict
        ``theta`` and ``bias`` (what was added to the effect of each study, model scale; 0 where it is not at high
        risk), shape (*S, k), and ``theta_new``, shape S, from the posterior; ``y``, shape (*S, k), from the posterior
        predictive distribution: a new effect, a new bias, a new estimate.
    """
    found = normal_normal.complete(biased.adjusted, draws, rng)
    share = biased.bias_sd**2 / (biased.bias_sd**2 + biased.sei**2)
    surprise = biased.yi - found["theta"] - biased.bias_mean
    bias = rng.normal(biased.bias_mean + share * surprise, biased.sei * np.sqrt(share))
    return found | {"bias": bias, "y": found["y"] + biased.bias_mean}


def draw_prior(
    biased: BiasedEffects, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; study effects and biases of shape (*size, k)."""
    bias = rng.normal(biased.bias_mean, biased.bias_sd, size=(*size, biased.k))
    return normal_normal.draw_prior(biased.effects, priors, rng, size) | {"bias": bias}


def draw_data(
    biased: BiasedEffects, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> BiasedEffects:
    """Estimates of as many studies, as precise and as much at risk, given one draw of the parameters."""
    return biased.with_yi(rng.normal(truth["theta"] + truth["bias"], biased.sei))


def log_predictive(
    biased: BiasedEffects, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Log density of each estimate given mu and tau, theta and bias integrated out, shape (*S, k)."""
    return normal_normal.log_predictive(biased.adjusted, draws, rng)
