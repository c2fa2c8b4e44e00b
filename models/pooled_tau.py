"""Random effects of several outcomes whose between-study SDs come from one distribution.

With yi the estimate of row i, study i's effect on outcome j(i), and sei its standard error, taken as known::

    yi      ~ N(theta_i, sei^2)
    theta_i ~ N(mu_j, tau_j^2)        j = j(i), the outcome of row i
    tau_j   = tau_typical x ratio_j   j = 1 ... J
    mu_j    ~ priors.mu, each
    tau_typical ~ priors.tau          the median of the common distribution of the tau_j

with, by ``across``::

    "log-normal"     ratio_j = exp(tau_spread z_j),  z_j ~ N(0, 1),  tau_spread ~ half-normal(0.5)
    "half-normal"    ratio_j = |z_j| / 0.6745

theta integrated out, yi ~ N(mu_j, sei^2 + tau_j^2). Two studies say next to nothing about a tau; here an outcome with
two learns its tau from the others too. The estimates of different outcomes are taken to be independent: outcomes that
share trials are refused (see ``multivariate``).

With one outcome it is ``normal_normal`` under the prior ``common_tau.implied_tau(priors.tau, across)`` on tau.

Higgins JPT, Whitehead A. Borrowing strength from external trials in a meta-analysis. Stat Med 1996;15:2733-2749 (tau
from other meta-analyses); Turner RM et al. Stat Med 2015;34:984-998 (log-normal heterogeneity across meta-analyses).
Priors: ``bayespip.model_parts.common_tau``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.model_data.outcomes import Outcomes
from bayespip.model_parts.common_tau import HALF_NORMAL_MEDIAN, SPREAD, draw_tau, require_across
from bayespip.models import About

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bayespip.model_data.review_outcomes import ReviewOutcomes
    from bayespip.priors import Prior, Priors
    from bayespip.reanalysis.cases import Case

__all__ = [
    "ABOUT",
    "build",
    "check",
    "common_tau",
    "complete",
    "coords",
    "data_of_cases",
    "draw_data",
    "draw_prior",
    "log_predictive",
    "values",
]

ABOUT = About(
    question="What is the heterogeneity of an outcome of two or three studies, learned from the review's others too?",
    likelihood="yi ~ N(theta_i, sei^2), sei known; theta_i ~ N(mu_j, tau_j^2) for the outcome j of row i",
    priors="mu_j: any, each; tau_j = tau_typical x ratio_j; tau_typical: any proper; ratio_j log-normal with spread "
    "half-normal(0.5), or half-normal",
    needs="effects and standard errors of several outcomes (Outcomes) on one scale that share no trials",
    reference="Higgins & Whitehead 1996, Stat Med 15:2733; Turner 2015, Stat Med 34:984",
    predictive="a new estimate of a new effect on the row's outcome: y ~ N(mu_j, sei^2 + tau_j^2)",
    latent=("z",),
    dims={"theta_new": ("outcome",)},
)


def build(outcomes: Outcomes, priors: Priors, *, across: str = "log-normal") -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    outcomes
        Effects of J outcomes, k rows in all.
    priors
        Priors on each mu_j, and on the typical tau.
    across
        Distribution of the tau_j about the typical one: "log-normal" or "half-normal".

    Returns
    -------
    Model
        Coordinates ``study`` (the rows) and ``outcome``; data ``yi``, ``sei`` and ``of_outcome`` (the number of the
        row's outcome), shape (k,), and the parameters of the priors; variables ``mu`` and ``z``, shape (J,),
        ``tau_typical`` and, if log-normal, ``tau_spread``; deterministic ``tau``, shape (J,); the observed ``y``.
        The number of rows may change with the data, that of outcomes may not.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function, or across is not one of the choices.
    """
    require_across(across)
    with pm.Model(coords={"study": outcomes.study, "outcome": outcomes.outcome}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(outcomes).items()}
        mu = priors.mu.to_pymc("mu", dims="outcome")
        tau = common_tau(priors.tau, across)
        row = data["of_outcome"]
        pm.Normal("y", mu=mu[row], sigma=pt.sqrt(data["sei"] ** 2 + tau[row] ** 2), observed=data["yi"], dims="study")
    return model


def common_tau(typical: Prior, across: str) -> Any:
    """The variables of the common distribution and, from them, tau of each outcome; inside a model context."""
    scale = typical.to_pymc("tau", variable="tau_typical")
    if across == "half-normal":
        ratio = pm.HalfNormal("z", np.float64(1), dims="outcome") / HALF_NORMAL_MEDIAN
    else:
        ratio = pt.exp(pm.HalfNormal("tau_spread", SPREAD) * pm.Normal("z", 0, np.float64(1), dims="outcome"))
    return pm.Deterministic("tau", scale * ratio, dims="outcome")


def data_of_cases(cases: Sequence[Case]) -> ReviewOutcomes:
    """The outcomes of a review in sets that share no trials: see ``review_outcomes.outcomes_of``."""
    from bayespip.model_data.review_outcomes import outcomes_of

    return outcomes_of(cases)


def values(outcomes: Outcomes) -> dict[str, NDArray[Any]]:
    """Estimates, standard errors, and the number of each row's outcome."""
    return {"yi": outcomes.yi, "sei": outcomes.sei, "of_outcome": outcomes.index}


def coords(outcomes: Outcomes) -> dict[str, tuple[str, ...]]:
    """The outcomes."""
    return {"outcome": outcomes.outcome}


def check(outcomes: Outcomes, priors: Priors, *, across: str = "log-normal") -> None:
    """Refuse other data, an improper prior on the typical tau, and outcomes that share trials."""
    require_across(across)
    if not isinstance(outcomes, Outcomes):
        raise ValueError(f"pooled_tau needs Outcomes, the effects of several outcomes; got {type(outcomes).__name__}.")
    if not priors.tau.proper:
        raise ValueError(f"pooled_tau needs a proper prior on the typical tau; got {priors.tau}.")
    outcomes.require_apart("pooled_tau")


def complete(
    outcomes: Outcomes, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of mu and tau, each of shape (*S, J).

    Returns
    -------
    dict
        ``theta``, shape (*S, k), and ``theta_new``, a new study's effect on each outcome, shape (*S, J), from the
        posterior; ``y``, shape (*S, k), from the posterior predictive distribution (a new effect, then a new estimate).
    """
    mu, tau, total = _of_rows(outcomes, draws)
    to_mu = (outcomes.sei / total) ** 2
    return {
        "theta": rng.normal(outcomes.yi + to_mu * (mu - outcomes.yi), outcomes.sei * (tau / total)),
        "theta_new": rng.normal(draws["mu"], draws["tau"]),
        "y": rng.normal(mu, total),
    }


def draw_prior(
    outcomes: Outcomes,
    priors: Priors,
    rng: np.random.Generator,
    size: tuple[int, ...] = (),
    *,
    across: str = "log-normal",
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors: of outcomes of shape (*size, J), of rows (*size, k), else of shape size."""
    count = len(outcomes.outcome)
    drawn = {"mu": priors.mu.rvs((*size, count), rng), **draw_tau(priors.tau, across, rng, size, count)}
    mu, tau = _of_rows(outcomes, drawn)[:2]
    return drawn | {"theta": rng.normal(mu, tau), "theta_new": rng.normal(drawn["mu"], drawn["tau"])}


def draw_data(
    outcomes: Outcomes, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> Outcomes:
    """Estimates of as many studies, as precise, given one draw of the parameters."""
    return outcomes.with_yi(rng.normal(truth["theta"], outcomes.sei))


def log_predictive(
    outcomes: Outcomes,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,  # noqa: ARG001  (theta is integrated out in closed form)
    **_: object,
) -> NDArray[np.float64]:
    """Log density of each estimate given its outcome's mu and tau, theta integrated out, shape (*S, k)."""
    mu, total = _of_rows(outcomes, draws)[::2]
    return np.asarray(-0.5 * ((outcomes.yi - mu) / total) ** 2 - np.log(total) - 0.5 * np.log(2 * np.pi))


def _of_rows(
    outcomes: Outcomes, draws: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each row mu and tau of its outcome, and the SD of its estimate about mu, shape (*S, k)."""
    mu, tau = draws["mu"][..., outcomes.index], draws["tau"][..., outcomes.index]
    return mu, tau, np.hypot(outcomes.sei, tau)
