"""Binomial random-effects model of two-armed trials, on log risk ratios.

The events of both arms are binomial; nothing is added to empty cells. theta_i is the log risk ratio of trial i::

    event_e_i ~ Binomial(n_e_i, p_e_i)
    event_c_i ~ Binomial(n_c_i, p_c_i)      log(p_e_i / p_c_i) = theta_i ~ N(mu, tau^2)

Not every control risk allows every risk ratio, so the control risk is no good second parameter: Warn 2002 cuts effects
off where p_e_i would pass 1. Here the baseline a_i is the mean of the log odds of both arms, half their log odds
product, which goes with every risk ratio (Richardson 2017). In closed form, with d_i the log odds ratio::

    d_i = theta_i + 2 asinh(exp(a_i) sinh(theta_i / 2))
    logit p_e_i = a_i + d_i / 2,     logit p_c_i = a_i - d_i / 2

Both risks stay between 0 and 1, exchanging the arms changes nothing but the sign, and a_i is the same parameter, with
the same choice of priors, as in ``binomial_normal``::

    "fixed"     a_i ~ N(0, 10^2)
    "random"    a_i ~ N(baseline_mean, baseline_sd^2), baseline_mean ~ N(0, 10^2), baseline_sd ~ half-normal(2)

theta_i, and a_i where random, are sampled as deviations z_i and w_i (see ``normal_between``).

Warn DE, Thompson SG, Spiegelhalter DJ. Bayesian random effects meta-analysis of trials with binary outcomes: methods
for the absolute risk difference and relative risk scales. Stat Med 2002;21:1601-23; Richardson TS, Robins JM, Wang L.
On modeling and estimation for the relative risk and risk difference. J Am Stat Assoc 2017;112:1121-30.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.model_data.two_arms import counts_of, require_counts
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.model_parts.parameterising import normal_between
from bayespip.models import About
from bayespip.models import binomial_normal as on_odds_ratios

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.model_data.two_arms import Counts
    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

    Vector = NDArray[np.float64]

__all__ = [
    "ABOUT",
    "build",
    "check",
    "complete",
    "data_of",
    "draw_data",
    "draw_prior",
    "log_odds_ratio",
    "log_predictive",
    "pad",
    "values",
]

ABOUT = About(
    question="What is the average risk ratio, from the events themselves?",
    likelihood="event_e ~ Binomial(n_e, p_e), event_c ~ Binomial(n_c, p_c); log(p_e/p_c) = theta_i ~ N(mu, tau^2)",
    priors="mu, tau: any proper; baseline a_i, the mean log odds of the arms, ~ N(0, 10^2), or "
    "N(baseline_mean, baseline_sd^2) with baseline_mean ~ N(0, 10^2), baseline_sd ~ half-normal(2)",
    needs="events and sizes of both arms; measure RR",
    reference="Warn et al. 2002, Stat Med 21:1601; Richardson et al. 2017, J Am Stat Assoc 112:1121",
    predictive=on_odds_ratios.ABOUT.predictive,
    latent=on_odds_ratios.ABOUT.latent,
    dims=on_odds_ratios.ABOUT.dims,
)
# Of a baseline's log odds, for double precision; thirty prior standard deviations away.
LARGEST = 300
pad, draw_prior = on_odds_ratios.pad, on_odds_ratios.draw_prior


def build(counts: Counts, priors: Priors, *, baseline: str = "fixed") -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    counts
        Events and sizes of the arms of k trials.
    priors
        Priors on mu and tau, on the log risk ratio scale.
    baseline
        "fixed" or "random".

    Returns
    -------
    Model
        Coordinate ``study``; data ``event_e``, ``n_e``, ``event_c`` and ``n_c``, shape (k,), and the parameters of
        the priors; variables ``mu``, ``tau``, ``theta``, ``baseline`` and the observed ``y_e`` and ``y_c``.

    Raises
    ------
    ValueError
        If baseline is not one of the choices.
    """
    on_odds_ratios.require_baseline(baseline)
    with pm.Model(coords={"study": counts.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(counts).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        theta = normal_between("theta", mu, tau, data["log_risk_ratio"], data["error"], deviation="z")
        a = on_odds_ratios.baselines(data, baseline)
        d = theta + 2 * pt.arcsinh(pt.exp(a) * pt.sinh(theta / 2))
        pm.Binomial("y_e", n=data["n_e"], logit_p=a + d / 2, observed=data["event_e"], dims="study")
        pm.Binomial("y_c", n=data["n_c"], logit_p=a - d / 2, observed=data["event_c"], dims="study")
    return model


def values(counts: Counts) -> dict[str, NDArray[Any]]:
    """Events and sizes; and rough log risk ratios with errors, and mean log odds, that only steer the sampler."""
    found = on_odds_ratios.values(counts)
    del found["log_odds_ratio"]
    # the half of Pettigrew, Gart & Thomas (1986), Biometrika 73:425-35, so that they exist
    a, n, c, m = counts.event_e + 0.5, counts.n_e + 0.5, counts.event_c + 0.5, counts.n_c + 0.5
    # not the variance of all events, zero where everyone has it: at least that of two non-events less
    error = np.sqrt((n - a + 1) / (a * n) + (m - c + 1) / (c * m))
    return found | {"log_risk_ratio": np.log(a / n) - np.log(c / m), "error": error}


def check(counts: Counts, priors: Priors, *, baseline: str = "fixed") -> None:
    """Refuse what is no counts of a RR, no events or only events in all trials together, and improper priors."""
    on_odds_ratios.require_baseline(baseline)
    require_counts("binomial_rr", counts, priors, "RR")


def data_of(case: Case) -> Counts:
    """The counts of a case of a review.

    Raises
    ------
    ValueError
        If it has none; the message says why.
    """
    return counts_of("binomial_rr", case, "RR")


def complete(
    counts: Counts, draws: Mapping[str, Vector], rng: np.random.Generator, **_: object
) -> dict[str, NDArray[Any]]:
    """Draws of theta_new, shape S, and of new events y_e and y_c, shape (*S, k), of new effects."""
    mu, tau, a = draws["mu"], draws["tau"], draws["baseline"]
    new = mu[..., None] + tau[..., None] * rng.normal(size=a.shape)
    event_e, event_c = on_odds_ratios.draw_events(counts, a, log_odds_ratio(new, a)[0], rng)
    return {"theta_new": rng.normal(mu, tau), "y_e": event_e, "y_c": event_c}


def draw_data(counts: Counts, truth: Mapping[str, Vector], rng: np.random.Generator, **_: object) -> Counts:
    """Events of trials of the same sizes given one draw of the parameters."""
    a, theta = truth["baseline"], truth["theta"]
    event_e, event_c = on_odds_ratios.draw_events(counts, a, log_odds_ratio(theta, a)[0], rng)
    return type(counts)(counts.study, event_e, counts.n_e, event_c, counts.n_c, counts.measure)


def log_predictive(
    counts: Counts,
    draws: Mapping[str, Vector],
    rng: np.random.Generator,  # noqa: ARG001  (by quadrature)
    *,
    baseline: str = "fixed",
) -> Vector:
    """Log probability of each trial's events given mu, tau and the distribution of baselines, shape (*S, k)."""
    mean, sd = on_odds_ratios.distribution_of_baselines(draws, baseline)
    return log_marginal_likelihood(counts, draws["mu"], draws["tau"], mean, sd, link=log_odds_ratio)


def log_odds_ratio(theta: Vector, a: Vector) -> tuple[Vector, Vector, Vector]:
    """Log odds ratios of log risk ratios and baselines, and their derivatives by each."""
    odds = np.exp(np.minimum(a, LARGEST))
    x = odds * np.sinh(theta / 2)
    root = np.hypot(1, x)
    return theta + 2 * np.arcsinh(x), 1 + odds * np.cosh(theta / 2) / root, 2 * x / root
