"""Random-effects model of the arms' means, whose standard deviations are estimated too and not taken as known.

In arm a (e or c) of trial i, mean, SD and size are mean_a, s_a and n_a; sigma_a is the true SD::

    mean_a                         ~ N(m_a, sigma_a^2 / n_a)
    (n_a - 1) s_a^2 / sigma_a^2    ~ chi^2 with n_a - 1 degrees of freedom

The effect of the trial is theta_i = m_e - m_c (measure MD), or in units of the SD common to both arms of the trial
theta_i = (m_e - m_c) / sigma (SMD), and::

    theta_i ~ N(mu, tau^2)         i = 1 ... k

Each trial has its own m_c and SDs, in its own unit, with the reference prior p(m_c, sigma) proportional to 1 / sigma;
m_c is integrated out, and so is theta_i. Of sigma given s remains weight = s^2 / sigma^2 ~ Gamma(f/2, rate f/2), where
f is n_a - 1 or, of the pooled SD, n_e + n_c - 2. Let y = mean_e - mean_c, or for SMD that over the pooled SD s::

    MD     y ~ N(mu, tau^2 + s_e^2 / (n_e weight_e) + s_c^2 / (n_c weight_c))
    SMD    y ~ N(mu / sqrt(weight), (tau^2 + 1/n_e + 1/n_c) / weight)

so that given theta_i the difference has a Behrens-Fisher distribution, with equal variances Student's t; and the SMD a
noncentral t: Cohen's d needs no correction by Hedges, whose J takes out the bias that this likelihood has not.

Two trials of ten say little of their own precision; with sei taken as known they say too much.

Box GEP, Tiao GC. Bayesian Inference in Statistical Analysis (1973), sections 2.4 to 2.6; Hedges LV. Distribution
theory for Glass's estimator of effect size and related estimators. J Educ Stat 1981;6:107-128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.stats import nct

from bayespip.exact.propriety import require_proper_posterior
from bayespip.model_data.two_arms import Means, means_of, require_means
from bayespip.model_parts.scale_mixtures import gamma_weights, log_normal_plus_t, log_normal_plus_two_t
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
    "kind",
    "log_predictive",
    "pad",
    "values",
]

ABOUT = About(
    question="What is the average difference of means, where small trials do not know their own precision?",
    likelihood="mean ~ N(m, sigma^2/n), (n - 1) s^2 / sigma^2 ~ chi^2 in each arm; theta_i ~ N(mu, tau^2)",
    priors="mu: any; tau: any; of each trial p(m_c, sigma) proportional to 1 / sigma",
    needs="means, SDs and sizes of both arms; measure MD or SMD",
    reference="Box & Tiao 1973, sections 2.4 to 2.6; Hedges 1981, J Educ Stat 6:107 (SMD)",
    predictive="a new difference of means of a new effect, the SDs as in the posterior (SMD: over the observed SD)",
    latent=("weight", "weight_e", "weight_c"),
    dims={"weight": ("study",), "weight_e": ("study",), "weight_c": ("study",)},
    target_accept=0.95,
)
MEASURES = ("MD", "SMD")


def build(means: Means, priors: Priors, *, equal_variances: bool = False) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    means
        Means, SDs and sizes of the arms of k trials; measure MD or SMD.
    priors
        Priors on mu and tau, in the outcome's unit (MD) or in SDs (SMD).
    equal_variances
        Whether the arms of a trial have one SD; those of an SMD have by definition.

    Returns
    -------
    Model
        Coordinate ``study``; data ``yi`` (the difference of means, or Cohen's d), sizes and, for MD, SDs, shape (k,),
        and the parameters of the priors; variables ``mu``, ``tau``, ``weight``, or ``weight_e`` and ``weight_c``,
        shape (k,), and the observed ``y``.
    """
    with pm.Model(coords={"study": means.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(means).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        weights = {name: gamma_weights(name, df) for name, df in _degrees(means, data, equal=equal_variances).items()}
        unit, variance = _unit_and_variance(data, weights)
        pm.Normal("y", mu * unit, pt.sqrt((tau * unit) ** 2 + variance), observed=data["yi"], dims="study")
    return model


def values(means: Means) -> dict[str, NDArray[np.float64]]:
    """What of the arms the measure takes."""
    sizes = {"n_e": means.n_e, "n_c": means.n_c}
    if kind(means) == "SMD":
        return {"yi": means.difference / means.sd, **sizes}
    return {"yi": means.difference, "sd_e": means.sd_e, "sd_c": means.sd_c, **sizes}


def kind(means: Means) -> str:
    """The measure."""
    return means.measure.name


def _degrees(means: Means, data: Mapping[str, Any], *, equal: bool) -> dict[str, Any]:
    """Of each weight its degrees of freedom."""
    if equal or kind(means) == "SMD":
        return {"weight": data["n_e"] + data["n_c"] - 2}
    return {"weight_e": data["n_e"] - 1, "weight_c": data["n_c"] - 1}


def _unit_and_variance(data: Mapping[str, Any], weights: Mapping[str, Any]) -> tuple[Any, Any]:
    """Of theta its unit on the scale of y, and of y its variance given theta; PyMC's variables or arrays."""
    n_e, n_c = data["n_e"], data["n_c"]
    if "sd_e" not in data:
        return weights["weight"] ** -0.5, (1 / n_e + 1 / n_c) / weights["weight"]
    square_e, square_c = data["sd_e"] ** 2, data["sd_c"] ** 2
    if "weight" in weights:
        pooled = ((n_e - 1) * square_e + (n_c - 1) * square_c) / (n_e + n_c - 2)
        return 1.0, pooled * (1 / n_e + 1 / n_c) / weights["weight"]
    return 1.0, square_e / (n_e * weights["weight_e"]) + square_c / (n_c * weights["weight_c"])


def check(means: Means, priors: Priors, **_: object) -> None:
    """Refuse other data, arms of one participant, and an improper posterior: the likelihood falls like tau^-k."""
    require_means("normal_arms", means, MEASURES)
    require_proper_posterior(means.k, priors)


def data_of(case: Case) -> Means:
    """The means of a case of a review.

    Raises
    ------
    ValueError
        If it has none, or they are not of an MD or SMD; the message says so.
    """
    means = means_of("normal_arms", case)
    require_means("normal_arms", means, MEASURES)
    return means


def pad(means: Means, size: int) -> Means:
    """The same trials and some without information."""
    return means.filled(size)


def complete(
    means: Means, draws: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object
) -> dict[str, NDArray[np.float64]]:
    """Draw what the model integrates out, given draws of its variables.

    Returns
    -------
    dict
        ``theta``, shape (*S, k), and ``theta_new``, shape S, from the posterior; ``y``, shape (*S, k), from the
        posterior predictive distribution: a new effect, then a new difference of means.
    """
    mu, tau = draws["mu"], draws["tau"]
    m, t, data = mu[..., None], tau[..., None], values(means)
    unit, variance = _unit_and_variance(data, draws)
    own = np.sqrt(variance) / unit
    total = np.hypot(own, t)
    found = data["yi"] / unit
    return {
        "theta": rng.normal(found + (own / total) ** 2 * (m - found), own * (t / total)),
        "theta_new": rng.normal(mu, tau),
        "y": unit * rng.normal(m, total),
    }


def draw_prior(
    means: Means,
    priors: Priors,
    rng: np.random.Generator,
    size: tuple[int, ...] = (),
    *,
    equal_variances: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """The parameters from their priors, of shape size; those of trials, of shape (*size, k), given their observed SDs.

    The prior on the SDs is improper; given the observed ones it is not, and all else is independent of these.
    """
    mu, tau = priors.mu.rvs(size, rng), priors.tau.rvs(size, rng)
    shape = (*size, means.k)
    degrees = _degrees(means, values(means), equal=equal_variances)
    return {
        "mu": mu,
        "tau": tau,
        **{name: rng.chisquare(df, shape) / df for name, df in degrees.items()},
        "theta": mu[..., None] + tau[..., None] * rng.normal(size=shape),
        "theta_new": rng.normal(mu, tau),
    }


def draw_data(means: Means, truth: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, **_: object) -> Means:
    """Means of as many trials of these sizes and SDs, given one draw of the parameters."""
    unit, variance = _unit_and_variance(values(means), truth)
    y = rng.normal(unit * truth["theta"], np.sqrt(variance))
    difference = y * means.sd if kind(means) == "SMD" else y
    arms = (means.mean_c + difference, means.sd_e, means.n_e, means.mean_c, means.sd_c, means.n_c)
    return type(means)(means.study, *arms, means.measure)


def log_predictive(
    means: Means,
    draws: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,  # noqa: ARG001  (by quadrature)
    *,
    equal_variances: bool = False,
) -> NDArray[np.float64]:
    """Log density of each y given mu, tau and the observed SDs, theta and weights integrated out, shape (*S, k)."""
    m, t = draws["mu"][..., None], draws["tau"][..., None]
    y, per_n = values(means)["yi"], 1 / means.n_e + 1 / means.n_c
    if kind(means) == "SMD":
        scale = np.sqrt(t**2 + per_n)
        return np.asarray(nct.logpdf(y / scale, means.df, m / scale) - np.log(scale))
    if equal_variances:
        return log_normal_plus_t(y - m, t, means.sd * np.sqrt(per_n), means.df)
    scales = np.stack([means.sd_e / np.sqrt(means.n_e), means.sd_c / np.sqrt(means.n_c)], axis=1)
    degrees = np.stack([means.n_e, means.n_c], axis=1) - 1
    each = zip(y, scales, degrees, strict=True)
    return np.stack([log_normal_plus_two_t(d - draws["mu"], draws["tau"], s, f) for d, s, f in each], axis=-1)
