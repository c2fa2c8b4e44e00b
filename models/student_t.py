"""Random-effects model with heavy-tailed study effects, so that one outlying trial does not rule.

With yi the estimate of study i and sei its standard error, taken as known, and nu degrees of freedom::

    yi      ~ N(theta_i, sei^2)
    theta_i ~ t_nu(mu, tau)           i = 1 ... k
    nu      ~ Gamma(2, rate 0.1), nu > 1

tau is the scale of the distribution of effects: it is their standard deviation where nu is large; for nu > 2 that is
tau sqrt(nu / (nu - 2)), and with fewer degrees of freedom there is none. mu is their median and, as nu > 1, their mean.

The t distribution as normals with a weight a study, and theta integrated out::

    weight_i  ~ Gamma(nu/2, rate nu/2)
    yi        ~ N(mu, sei^2 + tau^2 / weight_i)

which leaves mu, tau, nu and the weights to sample: a trial far from the others gets a small weight. Given these::

    theta_i   ~ N((v yi + sei^2 mu) / (v + sei^2), v sei^2 / (v + sei^2)),  v = tau^2 / weight_i
    theta_new ~ t_nu(mu, tau)

``df`` fixes nu instead.

Lee KJ, Thompson SG. Flexible parametric models for random-effects distributions. Stat Med 2008;27:418-34; Baker R,
Jackson D. A new approach to outliers in meta-analysis. Health Care Manag Sci 2008;11:121-31; of the prior on nu:
Juarez MA, Steel MFJ. Model-based clustering of non-Gaussian panel data based on skew-t distributions. J Bus Econ Stat
2010;28:52-66.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy import stats

from bayespip.effects import EffectSizes
from bayespip.exact.propriety import require_proper_posterior
from bayespip.model_parts.scale_mixtures import gamma_weights, log_normal_plus_t
from bayespip.models import About
from bayespip.models.normal_normal import pad, values

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
    question="What is the average effect, if one trial may lie far from the others?",
    likelihood="yi ~ N(theta_i, sei^2), sei known; theta_i ~ t_nu(mu, tau)",
    priors="mu: any; tau, a scale and not an SD: any; nu ~ Gamma(2, rate 0.1) above 1, or fixed",
    needs="effects and standard errors",
    reference="Lee & Thompson 2008, Stat Med 27:418; Juarez & Steel 2010, J Bus Econ Stat 28:52 (nu)",
    predictive="a new estimate of a new effect: y ~ N(theta, sei^2), theta ~ t_nu(mu, tau)",
    latent=("weight",),
)
# Juarez & Steel 2010: mean 20, 95% from 2.4 to 56. Below one degree of freedom effects have no mean.
NU_SHAPE, NU_RATE, NU_LOWER = np.float64(2), np.float64(0.1), np.float64(1)


def build(effects: EffectSizes, priors: Priors, *, df: float | None = None) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    priors
        Priors on mu and on the scale tau.
    df
        Degrees of freedom nu, above 1; None for the prior.

    Returns
    -------
    Model
        Coordinate ``study``; data ``yi`` and ``sei``, shape (k,), and the parameters of the priors; variables
        ``mu``, ``tau``, ``nu`` unless fixed, ``weight`` and the observed ``y``.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function, or df is not above 1 and finite.
    """
    _require_df(df)
    with pm.Model(coords={"study": effects.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(effects).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        nu = pm.Truncated("nu", pm.Gamma.dist(NU_SHAPE, NU_RATE), lower=NU_LOWER) if df is None else np.float64(df)
        weight = gamma_weights("weight", nu)
        pm.Normal("y", mu, pt.sqrt(data["sei"] ** 2 + tau**2 / weight), observed=data["yi"], dims="study")
    return model


def check(effects: EffectSizes, priors: Priors, *, df: float | None = None) -> None:
    """Refuse an improper posterior: with t as with normal effects the likelihood falls like tau^-k for large tau."""
    _require_df(df)
    require_proper_posterior(effects.k, priors)


def data_of(case: Case) -> EffectSizes:
    """The effects of an analysis; of a published result, those of its equal-variance member."""
    return case.effects


def complete(
    effects: EffectSizes,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    df: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of its variables.

    Returns
    -------
    dict
        ``theta``, shape (*S, k), and ``theta_new``, shape S, from the posterior; ``y``, shape (*S, k), from the
        posterior predictive distribution: a new effect, then a new estimate as precise as study i's.
    """
    mu, tau, nu = draws["mu"], draws["tau"], _nu(draws, df)
    m, t = mu[..., None], tau[..., None]
    spread = t / np.sqrt(draws["weight"])
    total = np.hypot(effects.sei, spread)
    to_mu = (effects.sei / total) ** 2
    new = m + t * rng.standard_t(nu[..., None], size=total.shape)
    return {
        "theta": rng.normal(effects.yi + to_mu * (m - effects.yi), effects.sei * (spread / total)),
        "theta_new": mu + tau * rng.standard_t(nu),
        "y": rng.normal(new, effects.sei),
    }


def draw_prior(
    effects: EffectSizes,
    priors: Priors,
    rng: np.random.Generator,
    size: tuple[int, ...] = (),
    *,
    df: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; those of studies of shape (*size, k)."""
    gamma = stats.gamma(NU_SHAPE, scale=1 / NU_RATE)
    nu = np.asarray(gamma.isf(gamma.sf(NU_LOWER) * rng.random(size)) if df is None else np.full(size, df))
    mu, tau = priors.mu.rvs(size, rng), priors.tau.rvs(size, rng)
    weight = rng.chisquare(nu[..., None], size=(*size, effects.k)) / nu[..., None]
    drawn = {
        "mu": mu,
        "tau": tau,
        "weight": weight,
        "theta": rng.normal(mu[..., None], tau[..., None] / np.sqrt(weight)),
        "theta_new": mu + tau * rng.standard_t(nu),
    }
    return drawn | ({"nu": nu} if df is None else {})


def draw_data(
    effects: EffectSizes, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> EffectSizes:
    """Estimates of as many studies, as precise, given one draw of the parameters."""
    return EffectSizes(effects.study, rng.normal(truth["theta"], effects.sei), effects.sei, effects.measure)


def log_predictive(
    effects: EffectSizes,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,  # noqa: ARG001  (by quadrature)
    *,
    df: float | None = None,
) -> NDArray[np.float64]:
    """Log density of each estimate given mu, tau and nu, theta and weight integrated out, shape (*S, k)."""
    mu, tau, nu = (v[..., None] for v in (draws["mu"], draws["tau"], _nu(draws, df)))
    return log_normal_plus_t(effects.yi - mu, effects.sei, tau, nu)


def _nu(draws: Mapping[str, NDArray[np.float64]], df: float | None) -> NDArray[np.float64]:
    return draws["nu"] if df is None else np.full(draws["mu"].shape, float(df))


def _require_df(df: float | None) -> None:
    if df is not None and not NU_LOWER < df < np.inf:
        raise ValueError(f"df must be above 1 and finite, or None for its prior; got {df!r}.")
