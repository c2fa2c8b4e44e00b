"""Binomial-normal random-effects model of two-armed trials, on log odds ratios.

The events of both arms are binomial; nothing is added to empty cells. With a_i the baseline of trial i, the mean of
the log odds of its arms, and theta_i its log odds ratio::

    event_e_i ~ Binomial(n_e_i, expit(a_i + theta_i / 2))
    event_c_i ~ Binomial(n_c_i, expit(a_i - theta_i / 2))
    theta_i   ~ N(mu, tau^2)                                i = 1 ... k

``baseline`` says what is assumed of the a_i::

    "fixed"     a_i ~ N(0, 10^2)                each trial its own, a vague prior (Gunhan 2020)
    "random"    a_i ~ N(baseline_mean, baseline_sd^2)
                baseline_mean ~ N(0, 10^2), baseline_sd ~ half-normal(2)

These are models 3 and 5 of Jackson 2018, and metafor's rma.glmm with model "UM.FS" and "UM.RS" and its default
coding = 1/2: half the effect in each arm. Written so, both arms vary equally between trials, and exchanging the arms
changes nothing but the sign. With theta_i in one arm only (coding = 1 and 0) a random baseline would be that of the
other arm. With fixed baselines under a flat prior the coding does not matter, for a_i is integrated over all values;
metafor maximises over it, and there it does.

theta_i, and a_i where random, are sampled as deviations z_i and w_i (see ``normal_between``).

Simmonds MC, Higgins JPT. A general framework for the use of logistic regression models in meta-analysis. Stat Methods
Med Res 2016;25:2858-77; Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven random-effects
models for meta-analyses that estimate the summary odds ratio. Stat Med 2018;37:1059-85; Gunhan BK, Rover C, Friede T.
Random-effects meta-analysis of few studies involving rare events. Res Synth Methods 2020;11:74-90.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from scipy.special import expit

from bayespip.model_data.two_arms import counts_of, require_counts
from bayespip.model_parts.binomial_quadrature import log_marginal_likelihood
from bayespip.model_parts.parameterising import normal_between
from bayespip.models import About

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.model_data.two_arms import Counts
    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

__all__ = [
    "ABOUT",
    "baselines",
    "build",
    "check",
    "complete",
    "data_of",
    "distribution_of_baselines",
    "draw_data",
    "draw_events",
    "draw_prior",
    "log_predictive",
    "pad",
    "require_baseline",
    "values",
]

ABOUT = About(
    question="What is the average odds ratio, from the events themselves?",
    likelihood="event_e ~ Binomial(n_e, expit(a_i + theta_i/2)), event_c ~ Binomial(n_c, expit(a_i - theta_i/2)); "
    "theta_i ~ N(mu, tau^2)",
    priors="mu, tau: any proper; baseline a_i ~ N(0, 10^2), or N(baseline_mean, baseline_sd^2) with "
    "baseline_mean ~ N(0, 10^2), baseline_sd ~ half-normal(2)",
    needs="events and sizes of both arms; measure OR",
    reference="Jackson et al. 2018, Stat Med 37:1059, models 3 and 5; Gunhan et al. 2020, Res Synth Methods 11:74",
    predictive="new events of trials of the same sizes and baselines, of new effects theta ~ N(mu, tau^2)",
    latent=("z", "theta", "w", "baseline"),
    dims={"baseline": ("study",)},
    target_accept=0.95,
)
BASELINES = ("fixed", "random")
# Gunhan et al. 2020, section 2.2: vague on the log odds scale.
BASELINE_SD = np.float64(10)
# Half-normal: median 1.35, with which two thirds of trials have risks of, say, 2% to 23%; 95% below 3.9.
BASELINE_SD_SCALE = np.float64(2)


def build(counts: Counts, priors: Priors, *, baseline: str = "fixed") -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    counts
        Events and sizes of the arms of k trials.
    priors
        Priors on mu and tau, on the log odds ratio scale.
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
    require_baseline(baseline)
    with pm.Model(coords={"study": counts.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(counts).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        theta = normal_between("theta", mu, tau, data["log_odds_ratio"], data["error"], deviation="z")
        a = baselines(data, baseline)
        pm.Binomial("y_e", n=data["n_e"], logit_p=a + theta / 2, observed=data["event_e"], dims="study")
        pm.Binomial("y_c", n=data["n_c"], logit_p=a - theta / 2, observed=data["event_c"], dims="study")
    return model


def baselines(data: Mapping[str, Any], baseline: str) -> Any:
    """The a_i in the current PyMC model."""
    if baseline == "fixed":
        return pm.Normal("baseline", 0, BASELINE_SD, dims="study")
    mean = pm.Normal("baseline_mean", 0, BASELINE_SD)
    sd = pm.HalfNormal("baseline_sd", BASELINE_SD_SCALE)
    return normal_between("baseline", mean, sd, data["log_odds"], data["log_odds_error"], deviation="w")


def values(counts: Counts) -> dict[str, NDArray[Any]]:
    """Events and sizes; and rough log odds ratios with errors, and mean log odds, that only steer the sampler."""
    arms = {"event_e": counts.event_e, "n_e": counts.n_e, "event_c": counts.event_c, "n_c": counts.n_c}
    # Haldane's half in every cell, so that they exist
    a, c = counts.event_e + 0.5, counts.event_c + 0.5
    b, d = counts.n_e + 1 - a, counts.n_c + 1 - c
    of_e, of_c = np.log(a / b), np.log(c / d)
    error = np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    log_odds = {"log_odds": (of_e + of_c) / 2, "log_odds_error": error / 2}
    return arms | log_odds | {"log_odds_ratio": of_e - of_c, "error": error}


def check(counts: Counts, priors: Priors, *, baseline: str = "fixed") -> None:
    """Refuse what is no counts of an OR, no events or only events in all trials together, and improper priors."""
    require_baseline(baseline)
    require_counts("binomial_normal", counts, priors, "OR")


def data_of(case: Case) -> Counts:
    """The counts of a case of a review.

    Raises
    ------
    ValueError
        If it has none; the message says why.
    """
    return counts_of("binomial_normal", case, "OR")


def pad(counts: Counts, size: int) -> Counts:
    """The same trials and some without participants."""
    return counts.filled(size)


def complete(
    counts: Counts, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> dict[str, NDArray[Any]]:
    """Draws of theta_new, shape S, and of new events y_e and y_c, shape (*S, k), of new effects."""
    mu, tau, a = draws["mu"], draws["tau"], draws["baseline"]
    new = mu[..., None] + tau[..., None] * rng.normal(size=a.shape)
    events = draw_events(counts, a, new, rng)
    return {"theta_new": rng.normal(mu, tau), "y_e": events[0], "y_c": events[1]}


def draw_prior(
    counts: Counts, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = (), *, baseline: str = "fixed"
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; those of trials of shape (*size, k)."""
    mu, tau = priors.mu.rvs(size, rng), priors.tau.rvs(size, rng)
    m, t = mu[..., None], tau[..., None]
    drawn = {"mu": mu, "tau": tau, "theta_new": rng.normal(mu, tau)}
    drawn["theta"] = m + t * rng.normal(size=(*size, counts.k))
    w = rng.normal(size=(*size, counts.k))
    if baseline == "fixed":
        return drawn | {"baseline": BASELINE_SD * w}
    mean = np.asarray(rng.normal(0, BASELINE_SD, size))
    sd = np.asarray(abs(rng.normal(0, BASELINE_SD_SCALE, size)))
    return drawn | {"baseline_mean": mean, "baseline_sd": sd, "baseline": mean[..., None] + sd[..., None] * w}


def draw_data(
    counts: Counts, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> Counts:
    """Events of trials of the same sizes given one draw of the parameters."""
    event_e, event_c = draw_events(counts, truth["baseline"], truth["theta"], rng)
    return type(counts)(counts.study, event_e, counts.n_e, event_c, counts.n_c, counts.measure)


def log_predictive(
    counts: Counts,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,  # noqa: ARG001  (by quadrature)
    *,
    baseline: str = "fixed",
) -> NDArray[np.float64]:
    """Log probability of each trial's events given mu, tau and the distribution of baselines, shape (*S, k)."""
    mean, sd = distribution_of_baselines(draws, baseline)
    return log_marginal_likelihood(counts, draws["mu"], draws["tau"], mean, sd)


def distribution_of_baselines(draws: Mapping[str, Any], baseline: str) -> tuple[Any, Any]:
    """Mean and standard deviation of the a_i."""
    return (0, BASELINE_SD) if baseline == "fixed" else (draws["baseline_mean"], draws["baseline_sd"])


def draw_events(
    counts: Counts, a: NDArray[np.float64], theta: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Events of both arms given baselines and log odds ratios."""
    return rng.binomial(counts.n_e, expit(a + theta / 2)), rng.binomial(counts.n_c, expit(a - theta / 2))


def require_baseline(baseline: str) -> None:
    """Refuse what is no choice of baselines."""
    if baseline not in BASELINES:
        raise ValueError(f"baseline must be one of {', '.join(BASELINES)}; got {baseline!r}.")
