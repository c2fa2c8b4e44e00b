"""Random-effects model with one more trial, whose estimate is still to come.

With yi the estimate of study i and sei its standard error, theta_i integrated out as in ``normal_normal``, and se_new
the standard error that the new trial will have::

    yi        ~ N(mu, sei^2 + tau^2)          i = 1 ... k
    theta_new ~ N(mu, tau^2)
    y_new     ~ N(theta_new, se_new^2)        not observed: predicted

Where there is earlier evidence, believed with weight w, mu has a robust prior: a mixture of the evidence, normal or
the normals of a meta-analytic-predictive distribution, and of a vague normal component, which is the prior on mu::

    mu ~ w sum_j share_j N(m_j, s_j^2) + (1 - w) N(mu_mean, mu_sd^2)

Data that contradict the evidence discard it. ``bayespip.predict_trial``, ``robust_fit`` and ``assurance`` give all of
this exactly; the model has it among those that are sampled.

Schmidli H, Gsteiger S, Roychoudhury S, O'Hagan A, Spiegelhalter D, Neuenschwander B. Robust meta-analytic-predictive
priors in clinical trials with historical control information. Biometrics 2014;70:1023-1032; O'Hagan A, Stevens JW,
Campbell MJ. Assurance in clinical trial design. Pharm Stat 2005;4:187-201.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.exact.propriety import require_proper_posterior
from bayespip.models import About, normal_normal

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from numpy.typing import NDArray

    from bayespip.model_data.new_trials import TrialToCome
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
    "kind",
    "log_predictive",
    "values",
]

ABOUT = About(
    question="What will one more trial show, and how much is earlier evidence worth beside the studies?",
    likelihood="yi ~ N(mu, sei^2 + tau^2), sei known; y_new ~ N(theta_new, se_new^2), theta_new ~ N(mu, tau^2)",
    priors="mu: any, or a robust mixture of earlier evidence and a vague normal; tau: any",
    needs="effects and standard errors, and the standard error of the trial to come",
    reference="Schmidli et al. 2014, Biometrics 70:1023; O'Hagan et al. 2005, Pharm Stat 4:187",
    predictive="a new estimate of a new effect: y ~ N(mu, sei^2 + tau^2)",
    effects=("mu", "theta", "theta_new", "y_new"),
)


def build(data: TrialToCome, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    data
        Studies so far, the standard error of the trial to come, and earlier evidence if there is any.
    priors
        Priors on mu and tau; beside earlier evidence that on mu is its vague component.

    Returns
    -------
    Model
        Coordinate ``study``, and ``component`` where there is earlier evidence; data ``yi``, ``sei``, shape (k,), the
        parameters of the priors, and of the mixture ``component_weight``, ``component_mean`` and ``component_sd``,
        the vague one last; variables ``mu``, ``tau`` and the observed ``y``.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function.
    """
    with pm.Model(coords={"study": data.study, **coords(data)}) as model:
        read = values(data)
        yi, sei = (pm.Data(name, read[name], dims="study") for name in ("yi", "sei"))
        mu = _robust(read, priors) if data.earlier else priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        pm.Normal("y", mu=mu, sigma=pt.sqrt(sei**2 + tau**2), observed=yi, dims="study")
    return model


def _robust(read: Mapping[str, NDArray[np.float64]], priors: Priors) -> Any:
    """Normals about the earlier evidence, and the vague one, whose parameters are those of the prior on mu."""
    names = ("component_weight", "component_mean", "component_sd")
    weight, means, sds = (pm.Data(name, read[name], dims="component") for name in names)
    mean, sd = (pm.Data(f"mu_{n}", np.float64(v)) for n, v in zip(("mean", "sd"), priors.mu.parameters, strict=True))
    means, sds = pt.set_subtensor(means[-1], mean), pt.set_subtensor(sds[-1], sd)  # type: ignore[no-untyped-call]
    return pm.NormalMixture("mu", w=weight, mu=means, sigma=sds)


def values(data: TrialToCome) -> dict[str, NDArray[np.float64]]:
    """Estimates and standard errors; of earlier evidence the components of the prior on mu."""
    found = normal_normal.values(data.effects)
    if data.earlier:
        weight, mean, sd = np.array([(w, *p.parameters) for w, p in data.earlier.components]).T
        found |= {"component_weight": weight, "component_mean": mean, "component_sd": sd}
    return found


def coords(data: TrialToCome) -> dict[str, tuple[str, ...]]:
    """Labels of the components of a robust prior."""
    if not data.earlier:
        return {}
    many = len(data.earlier.components) - 1
    return {"component": (*(f"evidence {i + 1}" for i in range(many)), "vague")}


def kind(data: TrialToCome) -> Hashable:
    """Whether there is earlier evidence."""
    return "robust" if data.earlier else "plain"


def data_of(case: Case) -> NoReturn:
    """A review does not know the trials still to come."""
    raise ValueError(
        f"{case.analysis.id} is of the studies so far; new_trial needs the standard error of the trial to come: "
        "pymc_fit('new_trial', TrialToCome(effects, se_new), priors), or predict_trial."
    )


def check(data: TrialToCome, priors: Priors, **_: object) -> None:
    """Refuse an improper posterior, and a robust prior that is not that of the model."""
    require_proper_posterior(data.k, priors)
    if data.earlier is None:
        return
    if not 0 < data.earlier.weight < 1:
        raise ValueError(
            f"earlier must have a weight between 0 and 1; got {data.earlier.weight:g}: without a mixture, leave "
            "earlier out and give the component as the prior on mu."
        )
    if priors.mu.family != "normal" or data.earlier.vague != priors.mu:
        raise ValueError(
            f"the vague component of earlier must be the prior on mu, and normal; got {data.earlier.vague} and "
            f"{priors.mu}."
        )
    other = [str(p) for _, p in data.earlier.evidence if p.family != "normal"]
    if other:
        raise ValueError(f"earlier evidence must be of normal components; got {', '.join(other)}.")
    if data.earlier.measure not in ("", data.measure.name):
        raise ValueError(f"the earlier evidence is of {data.earlier.measure}, the effects are {data.measure.name}.")


def complete(
    data: TrialToCome, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of mu and tau: as ``normal_normal``, and ``y_new``, shape S."""
    found = normal_normal.complete(data.effects, draws, rng)
    return found | {"y_new": rng.normal(found["theta_new"], data.se_new)}


def draw_prior(
    data: TrialToCome, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; the study effects of shape (*size, k)."""
    drawn = normal_normal.draw_prior(data.effects, priors, rng, size)
    if data.earlier:
        weight, mean, sd = np.array([(w, *p.parameters) for w, p in data.earlier.components]).T
        which = rng.choice(len(weight), size=size, p=weight)
        mu = rng.normal(mean[which], sd[which])
        moved = np.asarray(mu - drawn["mu"])
        drawn |= {"mu": mu, "theta": drawn["theta"] + moved[..., None], "theta_new": drawn["theta_new"] + moved}
    return drawn | {"y_new": rng.normal(drawn["theta_new"], data.se_new)}


def draw_data(
    data: TrialToCome, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> TrialToCome:
    """Estimates of as many studies, as precise, given one draw of the parameters; the new trial is still to come."""
    return replace(data, effects=normal_normal.draw_data(data.effects, truth, rng))


def log_predictive(
    data: TrialToCome, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> NDArray[np.float64]:
    """Log density of each estimate given mu and tau, theta integrated out, shape (*S, k)."""
    return normal_normal.log_predictive(data.effects, draws, rng)
