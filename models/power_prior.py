"""Normal-normal random-effects model in which trials at high risk of bias count for less: a power prior.

With yi the estimate of study i and sei its standard error, taken as known, the likelihood of a trial at high risk
enters to a fixed power a0_i, from 0 (left out) to 1 (counted whole); that of the others to the power 1::

    L(theta_i) = N(yi | theta_i, sei^2)^a0_i = c_i N(yi | theta_i, sei^2 / a0_i),  c_i free of all parameters
    theta_i    ~ N(mu, tau^2)                                                      i = 1 ... k

so that, theta integrated out, study i contributes N(yi | mu, sei^2 / a0_i + tau^2): ``normal_normal`` with larger
standard errors, sei / sqrt(a0_i), as if the trial had a share a0_i of its participants. a0 has no default.

The power is on the likelihood of the study's own effect, before theta is integrated out. The other choice is the
marginal likelihood N(yi | mu, sei^2 + tau^2) to the power a0: there c_i has a factor (sei^2 + tau^2)^((1 - a0) / 2),
so that it is the posterior of no data whose distribution could be written down, nor one of the exact engine's. The two
differ: here a trial's weight in mu is 1 / (sei^2 / a0 + tau^2), so that where tau is large against sei a moderate
discount takes little weight from it; there it is a0 / (sei^2 + tau^2).

A likelihood to a power is no density of the data: hence no ``log_predictive``.

Ibrahim JG, Chen MH. Power prior distributions for regression models. Stat Sci 2000;15:46-60 (with a0 fixed, and the
trials at low risk as the current study).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.effects import EffectSizes
from bayespip.exact.propriety import require_proper_posterior
from bayespip.model_data.bias import NO_WEIGHT, DiscountedEffects, no_case
from bayespip.models import About, normal_normal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

__all__ = ["ABOUT", "build", "check", "complete", "data_of", "draw_data", "draw_prior", "values"]

ABOUT = About(
    question="What is the average effect, if trials at high risk of bias count for less?",
    likelihood="N(yi | theta_i, sei^2) to the power a0_i, sei known; theta_i ~ N(mu, tau^2)",
    priors="mu: any; tau: any; a0_i fixed by the user, without default, 1 for trials not at high risk",
    needs="effects and standard errors, which trials are at high risk, and their weight a0 (DiscountedEffects)",
    reference="Ibrahim & Chen 2000, Stat Sci 15:46",
    predictive="a new estimate of a new effect, as precise as published: y ~ N(mu, sei^2 + tau^2)",
)


def build(discounted: DiscountedEffects, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    discounted
        Effects of k studies on the model scale, with the power of each one's likelihood.
    priors
        Priors on mu and tau.

    Returns
    -------
    Model
        Coordinate ``study``; data ``yi``, ``sei`` and ``a0``, shape (k,), and the parameters of the priors; variables
        ``mu``, ``tau`` and the observed ``y``. All data can be replaced, also by those of another number of studies.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function.
    """
    with pm.Model(coords={"study": discounted.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(discounted).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        # a0 = 0: a standard error so large that the likelihood is flat to the last digit
        sd = pt.sqrt(data["sei"] ** 2 / pt.maximum(data["a0"], np.float64(NO_WEIGHT)) + tau**2)
        pm.Normal("y", mu=mu, sigma=sd, observed=data["yi"], dims="study")
    return model


def values(discounted: DiscountedEffects) -> dict[str, NDArray[np.float64]]:
    """Estimates, standard errors as published, and powers."""
    return {"yi": discounted.yi, "sei": discounted.sei, "a0": discounted.a0}


def check(discounted: DiscountedEffects, priors: Priors) -> None:
    """Refuse other data, no study left, and an improper posterior."""
    if not isinstance(discounted, DiscountedEffects):
        raise ValueError(f"power_prior needs DiscountedEffects, with a0; got {type(discounted).__name__}.")
    require_proper_posterior(discounted.adjusted.k, priors)


def data_of(case: Case) -> NoReturn:
    """Nothing: the discount is the user's, and stands in no review."""
    no_case(case, "power_prior", "DiscountedEffects(effects, high_risk, a0)")


def complete(
    discounted: DiscountedEffects, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of mu and tau, of one shape S.

    Returns
    -------
    dict
        ``theta``, shape (*S, k), and ``theta_new``, shape S, from the posterior; ``y``, shape (*S, k), a new estimate
        of a new effect as precise as the study's own is published.
    """
    found = normal_normal.complete(_as_counted(discounted), draws, rng)
    mu, tau = draws["mu"][..., None], draws["tau"][..., None]
    return found | {"y": rng.normal(mu, np.hypot(discounted.sei, tau))}


def draw_prior(
    discounted: DiscountedEffects, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; the study effects of shape (*size, k)."""
    return normal_normal.draw_prior(discounted.effects, priors, rng, size)


def draw_data(
    discounted: DiscountedEffects, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> DiscountedEffects:
    """Estimates as imprecise as the studies count, sei / sqrt(a0), given one draw of the parameters.

    The posterior is that of data with these errors: it is calibrated for them, and for the errors as published it is
    wider than they warrant.
    """
    return discounted.with_yi(rng.normal(truth["theta"], discounted.discounted_sei))


def _as_counted(discounted: DiscountedEffects) -> EffectSizes:
    return EffectSizes(discounted.study, discounted.yi, discounted.discounted_sei, discounted.measure)
