"""Multivariate random effects: several outcomes of the same trials, correlated within and between trials.

With y_i the estimates of trial i on the outcomes that it reports, S_i the covariance of their sampling errors and
Sigma that of the effects, on these outcomes::

    y_i     ~ N(theta_i, S_i)       S_i[j, l]   = rho_within sei_ij sei_il    (sei_ij^2 for j = l), taken as known
    theta_i ~ N(mu, Sigma)          Sigma[j, l] = rho_between tau_j tau_l     (tau_j^2 for j = l)
    mu_j    ~ priors.mu, each
    tau_j   = tau_typical x ratio_j, tau_typical ~ priors.tau                 as in ``pooled_tau``
    rho_between ~ uniform(0, 1)

rho_within is given: a review hardly ever reports it, and it is not in the data (``correlation_grid`` shows how far it
matters). A trial need not report all outcomes; what it does not report is learned from what it does.

theta integrated out, y_i ~ N(mu, V) with V = S_i + Sigma: a diagonal matrix and two of rank one::

    V = diag(a) + rho_within s s' + rho_between t t',   a = (1 - rho_within) s^2 + (1 - rho_between) t^2

(s the sei, t the tau), which is inverted by Woodbury's identity without a matrix in memory. With both correlations 0
the posterior is that of ``pooled_tau``.

One correlation serves every pair of outcomes, so all should be coded in the direction in which they go together; the
categories of one outcome, of which more of one is less of another, are not for this model. Then rho_between is
positive, and a prior that says so is better than one on (-1, 1), which is not as vague as it looks (Burke et al.).

Jackson D, Riley R, White IR. Multivariate meta-analysis: potential and promise. Stat Med 2011;30:2481-2498; Mavridis D,
Salanti G. A practical introduction to multivariate meta-analysis. Stat Methods Med Res 2013;22:133-158; Burke DL,
Bujkiewicz S, Riley RD. Stat Methods Med Res, doi 10.1177/0962280216631361 (priors on the between-study correlation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.model_data.outcomes import Outcomes
from bayespip.model_parts.common_tau import draw_tau, require_across
from bayespip.models import About
from bayespip.models.pooled_tau import common_tau
from bayespip.published_only.consistent import BASIS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

    Array = NDArray[np.float64]

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
    question="What do several outcomes of the same trials say together, about their effects and heterogeneity?",
    likelihood="y_i ~ N(theta_i, S_i), S_i known but for its correlation rho_within, which is given; "
    "theta_i ~ N(mu, Sigma) with SDs tau_j and one correlation rho_between",
    priors="mu_j: any, each; tau_j as in pooled_tau; rho_between uniform on (0, 1)",
    needs="effects and standard errors of several outcomes on one scale (Outcomes with rho_within), trials by label",
    reference="Jackson, Riley & White 2011, Stat Med 30:2481; Mavridis & Salanti 2013, Stat Methods Med Res 22:133",
    predictive="new estimates of new effects on the outcomes that the trial reports: y_i ~ N(mu, S_i + Sigma)",
    latent=("z",),
    dims={"theta": ("study", "outcome"), "theta_new": ("outcome",)},
)
LOG_2_PI = np.float64(np.log(2 * np.pi))


def build(outcomes: Outcomes, priors: Priors, *, across: str = "log-normal") -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    outcomes
        Effects of T trials on J outcomes, with ``rho_within``.
    priors
        Priors on each mu_j, and on the typical tau.
    across
        Distribution of the tau_j about the typical one: "log-normal" or "half-normal".

    Returns
    -------
    Model
        Coordinates ``study`` (the trials) and ``outcome``; data ``yi``, ``sei`` and ``reported`` (1 or 0), shape
        (T, J), ``rho_within`` and the parameters of the priors; variables as in ``pooled_tau``, and ``rho_between``;
        the observed ``y``, a trial's outcomes together. The number of trials may change with the data.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function, or across is not one of the choices.
    """
    require_across(across)
    of_trials = ("study", "outcome")
    with pm.Model(coords=coords(outcomes)) as model:
        given = {name: pm.Data(name, x, dims=of_trials if x.ndim else None) for name, x in values(outcomes).items()}
        mu = priors.mu.to_pymc("mu", dims="outcome")
        tau = common_tau(priors.tau, across)
        rho = pm.Uniform("rho_between", np.float64(0), np.float64(1))
        parameters = (mu, tau, rho, given["sei"], given["reported"], given["rho_within"])
        signature = "(j),(j),(),(j),(j),()->(j)"
        pm.CustomDist("y", *parameters, logp=_logp, signature=signature, observed=given["yi"], dims=of_trials)
    return model


def _logp(  # noqa: PLR0917  (in the order of PyMC's parameters)
    y: Any, mu: Any, tau: Any, rho_between: Any, sei: Any, reported: Any, rho_within: Any
) -> Any:
    """Log density of each trial's estimates, shape (T,): see the module's formulas."""
    error = pt.switch(reported, y - mu, 0)
    a = (1 - rho_within) * sei**2 + (1 - rho_between) * tau**2
    w = reported / a
    g_s, g_t, g_st = (w * sei**2).sum(-1), (w * tau**2).sum(-1), (w * sei * tau).sum(-1)
    r_s, r_t = (w * sei * error).sum(-1), (w * tau * error).sum(-1)
    m_s, m_t, both = 1 + rho_within * g_s, 1 + rho_between * g_t, rho_within * rho_between * g_st
    determinant = m_s * m_t - both * g_st
    taken = (rho_within * m_t * r_s**2 - 2 * both * r_s * r_t + rho_between * m_s * r_t**2) / determinant
    square = (w * error**2).sum(-1) - taken
    return -0.5 * (square + (reported * (pt.log(a) + LOG_2_PI)).sum(-1) + pt.log(determinant))


def values(outcomes: Outcomes) -> dict[str, Array]:
    """Estimates and standard errors by trial and outcome, which are reported, and the correlation within trials.

    Where an outcome is not reported they are 0 and 1, which nothing reads; PyMC takes no nan.
    """
    return {
        "yi": outcomes.by_trial(outcomes.yi, 0.0),
        "sei": outcomes.by_trial(outcomes.sei, 1.0),
        "reported": outcomes.reported.astype(float),
        "rho_within": np.asarray(outcomes.rho_within, dtype=float),
    }


def coords(outcomes: Outcomes) -> dict[str, tuple[str, ...]]:
    """The trials and the outcomes."""
    return {"study": outcomes.trials, "outcome": outcomes.outcome}


def data_of(case: Case) -> Outcomes:
    """Refuses: no review prints how the errors of two outcomes of one trial are correlated."""
    raise ValueError(
        f"{case.label} alone is one outcome, and multivariate needs several of the same trials with the correlation "
        "of their errors, which no review prints: build them as Outcomes(effects, rho_within=...)."
    )


def check(outcomes: Outcomes, priors: Priors, *, across: str = "log-normal") -> None:
    """Refuse other data, unknown trials, no rho_within, and an improper prior on the typical tau."""
    require_across(across)
    if not isinstance(outcomes, Outcomes):
        raise ValueError(
            f"multivariate needs Outcomes, the effects of several outcomes; got {type(outcomes).__name__}."
        )
    if len(outcomes.outcome) < 2:
        raise ValueError(f"multivariate needs at least two outcomes; got {outcomes.outcome[0]} alone.")
    possible = [label for label, of in outcomes.effects.items() if any(s.startswith(BASIS) for s in of.study)]
    if possible:
        raise ValueError(
            f"multivariate needs to know which trial reports which outcome; of {', '.join(possible)} there are only "
            "possible study data, which belong to no trial."
        )
    if outcomes.rho_within is None:
        raise ValueError(
            "multivariate needs rho_within, the correlation between sampling errors of outcomes of a trial: "
            "Outcomes(..., rho_within=0.5) or outcomes.with_rho(0.5); it got none."
        )
    if not priors.tau.proper:
        raise ValueError(f"multivariate needs a proper prior on the typical tau; got {priors.tau}.")


def complete(outcomes: Outcomes, draws: Mapping[str, Array], rng: np.random.Generator, **_: object) -> dict[str, Array]:
    """Draw what the model integrates out, given draws of mu, tau and rho_between.

    The study effects by conditioning a draw of effects and estimates on the estimates found (Matheron's rule).

    Returns
    -------
    dict
        ``theta``, shape (*S, T, J), also of outcomes that a trial does not report, and ``theta_new``, shape (*S, J),
        from the posterior; ``y``, shape (*S, T, J), from the posterior predictive distribution, nan where not reported.
    """
    size = (*draws["rho_between"].shape, *outcomes.reported.shape)
    drawn = _effects(draws, rng, size)
    found = outcomes.by_trial(outcomes.yi, 0.0)
    weight = _solved(outcomes, draws, found - _estimates(outcomes, drawn, rng))[0]
    tau, rho = draws["tau"][..., None, :], draws["rho_between"][..., None, None]
    moved = tau * ((1 - rho) * tau * weight + rho * (tau * weight).sum(-1, keepdims=True))
    return {
        "theta": drawn + moved,
        "theta_new": _effects(draws, rng, (*size[:-2], 1, size[-1]))[..., 0, :],
        "y": _estimates(outcomes, _effects(draws, rng, size), rng),
    }


def draw_prior(
    outcomes: Outcomes,
    priors: Priors,
    rng: np.random.Generator,
    size: tuple[int, ...] = (),
    *,
    across: str = "log-normal",
) -> dict[str, Array]:
    """The parameters from their priors, shape (*size, J) or size; theta (*size, T, J)."""
    count = len(outcomes.outcome)
    drawn = {"mu": priors.mu.rvs((*size, count), rng), **draw_tau(priors.tau, across, rng, size, count)}
    drawn["rho_between"] = np.asarray(rng.uniform(size=size))
    trials = _effects(drawn, rng, (*size, len(outcomes.trials) + 1, count))
    return drawn | {"theta": trials[..., 1:, :], "theta_new": trials[..., 0, :]}


def draw_data(outcomes: Outcomes, truth: Mapping[str, Array], rng: np.random.Generator, **_: object) -> Outcomes:
    """Estimates of the same trials and outcomes, as precise, given one draw of the parameters."""
    drawn = _estimates(outcomes, truth["theta"], rng)
    return outcomes.with_yi(drawn[outcomes.trial, outcomes.index])


def log_predictive(
    outcomes: Outcomes,
    draws: Mapping[str, Array],
    rng: np.random.Generator,  # noqa: ARG001  (theta is integrated out in closed form)
    **_: object,
) -> Array:
    """Log density of each trial's estimates given mu, tau and rho_between, theta integrated out, shape (*S, T)."""
    error = outcomes.by_trial(outcomes.yi, 0.0) - draws["mu"][..., None, :]
    weight, log_determinant = _solved(outcomes, draws, error)
    square = (np.where(outcomes.reported, error, 0) * weight).sum(-1)
    return np.asarray(-0.5 * (square + log_determinant + outcomes.reported.sum(-1) * LOG_2_PI))


def _effects(draws: Mapping[str, Array], rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Effects of new trials, shape (*S, T, J)."""
    mu, tau = draws["mu"][..., None, :], draws["tau"][..., None, :]
    z = _correlated(rng.normal(size=size), draws["rho_between"][..., None, None], np.ones(size[-2:]))
    return np.asarray(mu + tau * z)


def _estimates(outcomes: Outcomes, theta: Array, rng: np.random.Generator) -> Array:
    """Estimates of these effects, shape (*S, T, J), nan where not reported."""
    reported = outcomes.reported
    errors = _correlated(rng.normal(size=theta.shape), np.asarray(outcomes.rho_within), reported)
    return np.where(reported, theta + outcomes.by_trial(outcomes.sei, 1.0) * errors, np.nan)


def _correlated(z: Array, rho: Array, reported: NDArray[Any]) -> Array:
    """Standard normals, those reported of each trial with correlation rho: its symmetric root, applied to z."""
    n = reported.sum(-1, keepdims=True)
    own = np.sqrt(1 - rho)
    # 1 + (n - 1) rho is 0 at the end of what is valid, where rounding may leave it below
    along = np.sqrt(np.maximum(1 + (n - 1) * rho, 0))
    return np.asarray(own * z + (along - own) * (z * reported).sum(-1, keepdims=True) / n)


def _solved(outcomes: Outcomes, draws: Mapping[str, Array], error: Array) -> tuple[Array, Array]:
    """V^-1 error of each trial, 0 where not reported, shape (*S, T, J), and log det V, shape (*S, T)."""
    s, t = outcomes.by_trial(outcomes.sei, 1.0), draws["tau"][..., None, :]
    within, between = np.asarray(outcomes.rho_within), draws["rho_between"][..., None, None]
    e = np.where(outcomes.reported, error, 0)
    a = (1 - within) * s**2 + (1 - between) * t**2
    w = outcomes.reported / a
    g_s, g_t, g_st, r_s, r_t = ((w * x).sum(-1, keepdims=True) for x in (s**2, t**2, s * t, s * e, t * e))
    m_s, m_t, both = 1 + within * g_s, 1 + between * g_t, within * between * g_st
    determinant = m_s * m_t - both * g_st
    along_s = (within * m_t * r_s - both * r_t) / determinant
    along_t = (between * m_s * r_t - both * r_s) / determinant
    log_determinant = np.where(outcomes.reported, np.log(a), 0).sum(-1) + np.log(determinant)[..., 0]
    return np.asarray(w * (e - s * along_s - t * along_t)), np.asarray(log_determinant)
