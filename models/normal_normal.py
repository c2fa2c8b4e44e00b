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

For teaching, ``parameterisation`` keeps the study effects as parameters: "centred" as written first, which has a
funnel where tau is small, or "non-centred", theta_i = mu + tau z_i with z_i ~ N(0, 1). The posterior is the same.

Hedges LV, Olkin I. Statistical Methods for Meta-Analysis (1985), chapter 9; Rover C. Bayesian random-effects
meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6), sections 2.1 and 2.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.effects import EffectSizes
from bayespip.exact.propriety import require_proper_posterior
from bayespip.models import About

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

__all__ = [
    "ABOUT",
    "build",
    "check",
    "complete",
    "data_of",
    "draw_data",
    "draw_prior",
    "log_predictive",
    "pad",
    "values",
]

ABOUT = About(
    question="What is the average effect, and how much do the studies' effects differ?",
    likelihood="yi ~ N(theta_i, sei^2), sei known; theta_i ~ N(mu, tau^2)",
    priors="mu: any; tau: any",
    needs="effects and standard errors",
    reference="Hedges & Olkin 1985, chapter 9; Rover 2020, J Stat Softw 93(6)",
    predictive="a new estimate of a new effect: y ~ N(mu, sei^2 + tau^2)",
    latent=("z", "theta"),
)
PARAMETERISATIONS = ("marginal", "centred", "non-centred")
# Of a study that fills a structure: its likelihood is flat to the last digit wherever theta may be.
NO_INFORMATION = 1e10


def build(effects: EffectSizes, priors: Priors, *, parameterisation: str = "marginal") -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    priors
        Priors on mu and tau.
    parameterisation
        "marginal" (theta integrated out), "centred" or "non-centred".

    Returns
    -------
    Model
        Coordinate ``study``; data ``yi`` and ``sei``, shape (k,), and the parameters of the priors
        (``mu_mean``, ``tau_scale`` ...); variables ``mu``, ``tau`` and the observed ``y``. All data can be
        replaced; of the marginal model also by those of another number of studies.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function, or parameterisation is not one of the choices.
    """
    if parameterisation not in PARAMETERISATIONS:
        raise ValueError(f"parameterisation must be one of {', '.join(PARAMETERISATIONS)}; got {parameterisation!r}.")
    with pm.Model(coords={"study": effects.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(effects).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        mean, sd = mu, data["sei"]
        if parameterisation == "marginal":
            sd = pt.sqrt(data["sei"] ** 2 + tau**2)
        elif parameterisation == "centred":
            mean = pm.Normal("theta", mu, tau, dims="study")
        else:
            mean = pm.Deterministic("theta", mu + tau * pm.Normal("z", 0, 1, dims="study"), dims="study")
        pm.Normal("y", mu=mean, sigma=sd, observed=data["yi"], dims="study")
    return model


def values(effects: EffectSizes) -> dict[str, NDArray[np.float64]]:
    """Estimates and standard errors."""
    return {"yi": effects.yi, "sei": effects.sei}


def data_of(case: Case) -> EffectSizes:
    """The effects of an analysis; of a published result, those of its equal-variance member."""
    return case.effects


def check(effects: EffectSizes, priors: Priors, **_: object) -> None:
    """Refuse an improper posterior."""
    require_proper_posterior(effects.k, priors)


def pad(effects: EffectSizes, size: int) -> EffectSizes:
    """The same studies and some without information."""
    more = size - effects.k
    return EffectSizes(
        [*effects.study, *(f"none {i + 1}" for i in range(more))],
        np.append(effects.yi, np.zeros(more)),
        np.append(effects.sei, np.full(more, NO_INFORMATION)),
        effects.measure,
    )


def complete(
    effects: EffectSizes,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    parameterisation: str = "marginal",
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of mu and tau.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    draws
        Posterior draws of ``mu`` and ``tau``, of one shape S.
    rng
        Source of randomness.
    parameterisation
        As in ``build``.

    Returns
    -------
    dict
        ``theta`` (unless it is in the draws), shape (*S, k), and ``theta_new``, shape S, from the posterior; ``y``,
        shape (*S, k), from the posterior predictive distribution of the marginal model (a new effect, then a new
        estimate).
    """
    mu, tau = draws["mu"], draws["tau"]
    m, t = mu[..., None], tau[..., None]
    total = np.hypot(effects.sei, t)
    found = {}
    if parameterisation == "marginal":
        to_mu = (effects.sei / total) ** 2
        found["theta"] = rng.normal(effects.yi + to_mu * (m - effects.yi), effects.sei * (t / total))
    return found | {"theta_new": rng.normal(mu, tau), "y": rng.normal(m, total)}


def draw_prior(
    effects: EffectSizes,
    priors: Priors,
    rng: np.random.Generator,
    size: tuple[int, ...] = (),
    *,
    parameterisation: str = "marginal",
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; the study effects of shape (*size, k)."""
    mu, tau = priors.mu.rvs(size, rng), priors.tau.rvs(size, rng)
    z = rng.normal(size=(*size, effects.k))
    drawn = {"mu": mu, "tau": tau, "theta": mu[..., None] + tau[..., None] * z, "theta_new": rng.normal(mu, tau)}
    return drawn | ({"z": z} if parameterisation == "non-centred" else {})


def draw_data(
    effects: EffectSizes, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> EffectSizes:
    """Estimates of as many studies, as precise, given one draw of the parameters."""
    return EffectSizes(effects.study, rng.normal(truth["theta"], effects.sei), effects.sei, effects.measure)


def log_predictive(
    effects: EffectSizes,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,  # noqa: ARG001  (theta is integrated out in closed form)
    **_: object,
) -> NDArray[np.float64]:
    """Log density of each estimate given mu and tau, theta integrated out, shape (*S, k)."""
    sd = np.hypot(effects.sei, draws["tau"][..., None])
    z = (effects.yi - draws["mu"][..., None]) / sd
    return np.asarray(-0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi))
