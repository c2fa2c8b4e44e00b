"""Binomial random-effects model of two-armed trials, on risk differences.

The events of both arms are binomial; nothing is added to empty cells. theta_i is the risk difference of trial i::

    event_e_i ~ Binomial(n_e_i, p_e_i)
    event_c_i ~ Binomial(n_c_i, p_c_i)      p_e_i - p_c_i = theta_i ~ N(mu, tau^2), truncated to (-1, 1)

No risk difference lies beyond -1 or 1: the normal distribution of effects ends there, and its density is divided by
what remains of it. So does the prior on mu. mu is the mean before truncation; where effects reach the ends, theta_new
shows what they are: their mean lies nearer to 0 than mu, their standard deviation is below tau.

Not every control risk allows every risk difference: Warn 2002 cuts effects off where p_e_i would leave (0, 1), which
makes their distribution depend on the control risks. Here the baseline a_i is the mean of the log odds of both arms,
half their log odds product, which goes with every risk difference (Richardson 2017). From tanh(y_i) = theta_i =
sinh(d_i / 2) / (cosh(a_i) + cosh(d_i / 2)), d_i the log odds ratio, follows::

    d_i = 2 y_i + 2 asinh(cosh(a_i) sinh(y_i))
    logit p_e_i = a_i + d_i / 2,     logit p_c_i = a_i - d_i / 2

Both risks stay between 0 and 1, exchanging the arms changes nothing but the sign, and a_i is the same parameter, with
the same choice of priors, as in ``binomial_normal``::

    "fixed"     a_i ~ N(0, 10^2)
    "random"    a_i ~ N(baseline_mean, baseline_sd^2), baseline_mean ~ N(0, 10^2), baseline_sd ~ half-normal(2)

Warn DE, Thompson SG, Spiegelhalter DJ. Bayesian random effects meta-analysis of trials with binary outcomes: methods
for the absolute risk difference and relative risk scales. Stat Med 2002;21:1601-23; Richardson TS, Robins JM, Wang L.
On modeling and estimation for the relative risk and risk difference. J Am Stat Assoc 2017;112:1121-30.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import Interval
from pymc.model.transform.conditioning import change_value_transforms

from bayespip.model_data.two_arms import counts_of, require_counts
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.model_parts.bounded_effects import bounded_between, bounded_draws, fisher_scale, inside
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
    question="What is the average risk difference, from the events themselves?",
    likelihood="event_e ~ Binomial(n_e, p_e), event_c ~ Binomial(n_c, p_c); p_e - p_c = theta_i ~ N(mu, tau^2), "
    "truncated to (-1, 1)",
    priors="mu: any proper with density at -1 and 1, truncated to (-1, 1); tau: any proper; baseline a_i, the mean log "
    "odds of the arms, ~ N(0, 10^2), or N(baseline_mean, baseline_sd^2) with baseline_mean ~ N(0, 10^2), "
    "baseline_sd ~ half-normal(2)",
    needs="events and sizes of both arms; measure RD",
    reference="Warn et al. 2002, Stat Med 21:1601; Richardson et al. 2017, J Am Stat Assoc 112:1121",
    predictive="new events of trials of the same sizes and baselines, of new effects theta ~ N(mu, tau^2), truncated",
    latent=("theta", "w", "baseline"),
    dims=on_odds_ratios.ABOUT.dims,
)
# Of a baseline's log odds and of artanh(theta), for double precision: the product of their exponentials exists.
LARGEST = 300
# Of the prior on mu between -1 and 1: with less, draws by its quantiles lose digits; it is on another scale.
LEAST_MASS = 1e-6
pad = on_odds_ratios.pad


def build(counts: Counts, priors: Priors, *, baseline: str = "fixed") -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    counts
        Events and sizes of the arms of k trials.
    priors
        Priors on mu and tau, on the risk difference scale; that on mu is truncated to (-1, 1).
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
        theta = bounded_between("theta", mu, tau, data["risk_difference"], data["error"])
        a = on_odds_ratios.baselines(data, baseline)
        y = pt.arctanh(theta)
        d = 2 * (y + pt.arcsinh(pt.cosh(a) * pt.sinh(y)))
        pm.Binomial("y_e", n=data["n_e"], logit_p=a + d / 2, observed=data["event_e"], dims="study")
        pm.Binomial("y_c", n=data["n_c"], logit_p=a - d / 2, observed=data["event_c"], dims="study")
    return change_value_transforms(model, {"mu": Interval(np.float64(-1), np.float64(1))})


def values(counts: Counts) -> dict[str, NDArray[Any]]:
    """Events and sizes; and rough risk differences with errors, and mean log odds, that only steer the sampler."""
    found = on_odds_ratios.values(counts)
    del found["log_odds_ratio"]
    # the half of Haldane in every cell, so that no error is zero
    n, m = counts.n_e + 1, counts.n_c + 1
    p, q = (counts.event_e + 0.5) / n, (counts.event_c + 0.5) / m
    return found | {"risk_difference": p - q, "error": np.sqrt(p * (1 - p) / n + q * (1 - q) / m)}


def check(counts: Counts, priors: Priors, *, baseline: str = "fixed") -> None:
    """Refuse what is no counts of a RD, no events or only events in all trials together, and unfit priors."""
    on_odds_ratios.require_baseline(baseline)
    require_counts("binomial_rd", counts, priors, "RD")
    if not np.isfinite(priors.mu.logpdf([-1, 1])).all():
        raise ValueError(f"binomial_rd needs a prior on mu with density at -1 and 1; got {priors.mu}.")
    lower, upper = priors.mu.cdf([-1, 1])
    if upper - lower < LEAST_MASS:
        raise ValueError(f"binomial_rd needs a prior on mu with mass between -1 and 1; got {priors.mu}.")


def data_of(case: Case) -> Counts:
    """The counts of a case of a review.

    Raises
    ------
    ValueError
        If it has none; the message says why.
    """
    return counts_of("binomial_rd", case, "RD")


def complete(
    counts: Counts, draws: Mapping[str, Vector], rng: np.random.Generator, **_: object
) -> dict[str, NDArray[Any]]:
    """Draws of theta_new, shape S, and of new events y_e and y_c, shape (*S, k), of new effects."""
    mu, tau, a = draws["mu"], draws["tau"], draws["baseline"]
    new = bounded_draws(mu[..., None], tau[..., None], rng, a.shape)
    event_e, event_c = on_odds_ratios.draw_events(counts, a, log_odds_ratio(np.arctanh(new), a)[0], rng)
    return {"theta_new": bounded_draws(mu, tau, rng), "y_e": event_e, "y_c": event_c}


def draw_prior(
    counts: Counts, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = (), *, baseline: str = "fixed"
) -> dict[str, Vector]:
    """The parameters from their priors, of shape size; those of trials of shape (*size, k)."""
    drawn = on_odds_ratios.draw_prior(counts, priors, rng, size, baseline=baseline)
    lower, upper = priors.mu.cdf([-1, 1])
    mu, tau = inside(priors.mu.quantile(rng.uniform(lower, upper, size))), drawn["tau"]
    theta = bounded_draws(mu[..., None], tau[..., None], rng, (*size, counts.k))
    return drawn | {"mu": mu, "theta": theta, "theta_new": bounded_draws(mu, tau, rng)}


def draw_data(counts: Counts, truth: Mapping[str, Vector], rng: np.random.Generator, **_: object) -> Counts:
    """Events of trials of the same sizes given one draw of the parameters."""
    a, y = truth["baseline"], np.arctanh(truth["theta"])
    event_e, event_c = on_odds_ratios.draw_events(counts, a, log_odds_ratio(y, a)[0], rng)
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
    mu, tau = draws["mu"], draws["tau"]
    return log_marginal_likelihood(counts, mu, tau, mean, sd, link=log_odds_ratio, effects=fisher_scale)


def log_odds_ratio(y: Vector, a: Vector) -> tuple[Vector, Vector, Vector]:
    """Log odds ratios of y = artanh(theta), theta the risk differences, and baselines; its derivatives by each."""
    y, a = np.clip(y, -LARGEST, LARGEST), np.clip(a, -LARGEST, LARGEST)
    x = np.cosh(a) * np.sinh(y)
    root = np.hypot(1, x)
    return 2 * (y + np.arcsinh(x)), 2 * (1 + np.cosh(a) * np.cosh(y) / root), 2 * np.sinh(a) * np.sinh(y) / root
