"""Random-effects meta-regression with regularised coefficients, the study effects integrated out.

With yi the estimate of study i, sei its standard error, taken as known, and x_i its moderators, each centred and
numbers in units of their standard deviation::

    yi      ~ N(theta_i, sei^2)
    theta_i ~ N(mu + x_i' beta, tau^2)        i = 1 ... k
    beta_j  ~ N(0, beta_sd^2)                 j = 1 ... p

so that, theta integrated out::

    yi      ~ N(mu + x_i' beta, sei^2 + tau^2)

mu is the effect at the average of the studies' moderators, and tau what they leave unexplained. The normal prior is a
ridge: with few studies a coefficient stays near zero unless the data say otherwise, and ``how_much_is_prior`` says of
each whether they do. Given mu, beta and tau::

    theta_i   ~ N((tau^2 yi + sei^2 m_i) / (sei^2 + tau^2), sei^2 tau^2 / (sei^2 + tau^2)),  m_i = mu + x_i' beta
    theta_new ~ N(mu, tau^2)                  the effect of a new study with average moderators

Berkey CS, Hoaglin DC, Mosteller F, Colditz GA. A random-effects regression model for meta-analysis. Stat Med 1995;14:
395-411; Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and interpreted? Stat Med 2002;
21:1559-73; of the ridge: Gelman A, Hill J, Vehtari A. Regression and Other Stories (2020), section 12.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.effects import EffectSizes
from bayespip.exact.propriety import require_proper_posterior
from bayespip.model_data.moderators import BETA_SD, ModeratedEffects
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
    "coords",
    "data_of",
    "draw_data",
    "draw_prior",
    "log_predictive",
    "values",
]

ABOUT = About(
    question="Do the effects differ with the studies' programme, comparator or risk of bias?",
    likelihood="yi ~ N(theta_i, sei^2), sei known; theta_i ~ N(mu + x_i' beta, tau^2)",
    priors="mu: any; tau: any; beta_j ~ N(0, beta_sd^2)",
    needs="effects, standard errors and moderators (ModeratedEffects)",
    reference="Berkey et al. 1995, Stat Med 14:395; Thompson & Higgins 2002, Stat Med 21:1559",
    predictive="a new estimate of a new effect of a study with the same moderators: y ~ N(mu + x' beta, sei^2 + tau^2)",
    dims={"beta": ("coefficient",)},
)


def build(data: ModeratedEffects, priors: Priors, *, beta_sd: float | None = None) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    data
        Effects and moderators of k studies, p columns.
    priors
        Priors on mu and tau.
    beta_sd
        Prior standard deviation of each coefficient, on the model scale: of the change that a standard deviation of a
        number, or the step between two categories, makes. None for 0.5, which only log ratios and SMDs have.

    Returns
    -------
    Model
        Coordinates ``study`` and ``coefficient``; data ``yi`` and ``sei``, shape (k,), ``x``, shape (k, p), and the
        parameters of the priors; variables ``mu``, ``tau``, ``beta``, shape (p,), and the observed ``y``. Without
        moderators it is the normal-normal model.
    """
    with pm.Model(coords={"study": data.study, **coords(data)}) as model:
        yi = pm.Data("yi", data.effects.yi, dims="study")
        sei = pm.Data("sei", data.effects.sei, dims="study")
        mean = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        if data.column:
            x = pm.Data("x", data.design, dims=("study", "coefficient"))
            mean += x @ pm.Normal("beta", 0, _scale(beta_sd), dims="coefficient")
        pm.Normal("y", mu=mean, sigma=pt.sqrt(sei**2 + tau**2), observed=yi, dims="study")
    return model


def values(data: ModeratedEffects) -> dict[str, NDArray[np.float64]]:
    """Estimates, standard errors and, if there are any, the columns of the moderators."""
    found = {"yi": data.effects.yi, "sei": data.effects.sei}
    return found | ({"x": data.design} if data.column else {})


def coords(data: ModeratedEffects) -> dict[str, tuple[str, ...]]:
    """The coefficients."""
    return {"coefficient": data.column}


def check(data: ModeratedEffects, priors: Priors, *, beta_sd: float | None = None) -> None:
    """Refuse other data, a scale of coefficients that cannot be, and an improper posterior."""
    if not isinstance(data, ModeratedEffects):
        raise ValueError(f"meta_regression needs ModeratedEffects; got {type(data).__name__}.")
    if beta_sd is None and not (data.measure.log or data.measure.name == "SMD"):
        raise ValueError(f"beta_sd must be given for {data.measure.name}, whose unit is the outcome's own; got None.")
    if beta_sd is not None and not 0 < beta_sd < np.inf:
        raise ValueError(f"beta_sd must be positive and finite; got {beta_sd!r}.")
    require_proper_posterior(data.k, priors)


def data_of(case: Case) -> NoReturn:
    """Refuses: no file of a review says which of its columns are moderators.

    Raises
    ------
    ValueError
        Always; the message says what to do.
    """
    raise ValueError(f"{case.label} has no moderators; meta_regression needs ModeratedEffects(effects, table).")


def complete(
    data: ModeratedEffects, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out: theta, shape (*S, k), theta_new, shape S, and new estimates y, (*S, k)."""
    m, t = _means(data, draws), draws["tau"][..., None]
    yi, sei = data.effects.yi, data.effects.sei
    total = np.hypot(sei, t)
    theta = rng.normal(yi + (sei / total) ** 2 * (m - yi), sei * (t / total))
    return {"theta": theta, "theta_new": rng.normal(draws["mu"], draws["tau"]), "y": rng.normal(m, total)}


def draw_prior(
    data: ModeratedEffects,
    priors: Priors,
    rng: np.random.Generator,
    size: tuple[int, ...] = (),
    *,
    beta_sd: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; coefficients of shape (*size, p), effects of (*size, k)."""
    drawn = {"mu": priors.mu.rvs(size, rng), "tau": priors.tau.rvs(size, rng)}
    if data.column:
        drawn["beta"] = rng.normal(0, _scale(beta_sd), (*size, len(data.column)))
    theta = rng.normal(_means(data, drawn), drawn["tau"][..., None])
    return drawn | {"theta": theta, "theta_new": rng.normal(drawn["mu"], drawn["tau"])}


def draw_data(
    data: ModeratedEffects, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> ModeratedEffects:
    """Estimates of as many studies, as precise and with the same moderators, given one draw of the parameters."""
    old = data.effects
    return data.with_effects(EffectSizes(old.study, rng.normal(truth["theta"], old.sei), old.sei, old.measure))


def log_predictive(
    data: ModeratedEffects,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,  # noqa: ARG001  (theta is integrated out in closed form)
    **_: object,
) -> NDArray[np.float64]:
    """Log density of each estimate given mu, beta and tau, theta integrated out, shape (*S, k)."""
    sd = np.hypot(data.effects.sei, draws["tau"][..., None])
    z = (data.effects.yi - _means(data, draws)) / sd
    return np.asarray(-0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi))


def _means(data: ModeratedEffects, draws: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Of each study the average effect of studies like it, shape (*S, k)."""
    mu = np.broadcast_to(draws["mu"][..., None], (*np.shape(draws["mu"]), data.k))
    return mu + draws["beta"] @ data.design.T if data.column else mu


def _scale(beta_sd: float | None) -> np.float64:
    return np.float64(BETA_SD if beta_sd is None else beta_sd)
