"""Beta-binomial model of two-armed trials: the risks of each arm follow a beta distribution.

The events of both arms are binomial; nothing is added to empty cells, and no trial is left out::

    event_e_i ~ Binomial(n_e_i, risk_e_i),    risk_e_i ~ Beta(p_e s, (1 - p_e) s),    p_e = expit(b + mu / 2)
    event_c_i ~ Binomial(n_c_i, risk_c_i),    risk_c_i ~ Beta(p_c s, (1 - p_c) s),    p_c = expit(b - mu / 2)

so that, the risks integrated out, events are beta-binomial (Kuss 2015), with one intraclass correlation in both arms,
rho = 1 / (1 + s). b, the mean of the log odds of the two mean risks, has the vague prior N(0, 10^2) (Gunhan 2020).

Heterogeneity is rho in the paper; tau here is what it amounts to on the log odds scale::

    tau^2 = rho / (1 - rho) (1 / (p_e (1 - p_e)) + 1 / (p_c (1 - p_c)))

By the delta method, where tau is small, that is the variance of the trials' true log odds ratios, theta_i = logit
risk_e_i - logit risk_c_i; elsewhere the latter exceeds it. So mu and tau are not quite those of ``binomial_normal``:

- mu is the log odds ratio of the *mean risks*, exp(mu) what two whole populations of trials would show; there it is the
  mean of the trials' log odds ratios. The more risks vary, the nearer to 0 is the first of the two.
- The two arms of a trial are no more alike than arms of different trials. Differences between the trials' baselines
  are heterogeneity of effects here, so that tau is larger, by far where baselines differ.

theta_i is not normal: the difference of two logits of beta variates, drawn given the events in closed form.

Kuss O. Statistical methods for meta-analyses including information from studies without any events - add nothing to
nothing and succeed nevertheless. Stat Med 2015;34:1097-1116; Felsch M, Beckmann L, Bender R, Kuss O, Skipka G, Mathes
T. Performance of several types of beta-binomial models in comparison to standard approaches for meta-analyses with
very few studies. BMC Med Res Methodol 2022;22:319; Gunhan BK, Rover C, Friede T. Random-effects meta-analysis of few
studies involving rare events. Res Synth Methods 2020;11:74-90 (the prior on b).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import expit, gammaln, log_expit

from bayespip.model_data.two_arms import counts_of, require_counts
from bayespip.model_parts.beta_risks import beyond_binomial
from bayespip.models import About

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bayespip.model_data.two_arms import Counts
    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

    Array = NDArray[np.float64]

__all__ = ["ABOUT", "build", "check", "complete", "data_of", "draw_data", "draw_prior", "log_predictive", "values"]

ABOUT = About(
    question="What is the odds ratio of the average risks, from the events themselves?",
    likelihood="event_e ~ Binomial(n_e, risk_e), risk_e ~ Beta(p_e s, (1 - p_e) s), p_e = expit(b + mu/2); event_c ~ "
    "Binomial(n_c, risk_c), risk_c ~ Beta(p_c s, (1 - p_c) s), p_c = expit(b - mu/2); rho = 1/(1 + s)",
    priors="mu: any proper; tau, tau^2 = (1/(p_e (1 - p_e)) + 1/(p_c (1 - p_c))) / s: any proper; b ~ N(0, 10^2)",
    needs="events and sizes of both arms; measure OR",
    reference="Kuss 2015, Stat Med 34:1097; Felsch et al. 2022, BMC Med Res Methodol 22:319",
    predictive="new events of trials of the same sizes and of new risks",
    dims={"risk_e": ("study",), "risk_c": ("study",)},
)
# Gunhan et al. 2020, section 2.2: vague on the log odds scale.
BASELINE_SD = np.float64(10)


def build(counts: Counts, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    counts
        Events and sizes of the arms of k trials.
    priors
        Priors on mu and tau, on the log odds ratio scale.

    Returns
    -------
    Model
        Coordinate ``study``; data ``event_e``, ``n_e``, ``event_c`` and ``n_c``, shape (k,), and the parameters of
        the priors; variables ``mu``, ``tau``, ``baseline`` (b), ``rho`` and the observed ``y_e`` and ``y_c``.
    """
    with pm.Model(coords={"study": counts.study}) as model:
        data = {name: pm.Data(name, value, dims="study") for name, value in values(counts).items()}
        mu = priors.mu.to_pymc("mu")
        tau = priors.tau.to_pymc("tau")
        baseline = pm.Normal("baseline", 0, BASELINE_SD)
        of_e, of_c = baseline + mu / 2, baseline - mu / 2
        r = _dispersion(tau, of_e, of_c, cosh=pt.cosh)
        pm.Deterministic("rho", r / (1 + r))
        for arm, log_odds in (("e", of_e), ("c", of_c)):
            parameters = (data[f"n_{arm}"], log_odds, r)
            pm.CustomDist(f"y_{arm}", *parameters, logp=_logp, observed=data[f"event_{arm}"], dims="study")
    return model


def _logp(events: Any, n: Any, log_odds: Any, r: Any) -> Any:
    """As of ``pm.BetaBinomial``, without its rounding where r is small."""
    p, q = pm.math.sigmoid(log_odds), pm.math.sigmoid(-log_odds)
    binomial = pm.logp(pm.Binomial.dist(n=n, logit_p=log_odds), events)
    return binomial + beyond_binomial(events, n, p, q, r, log1p=pt.log1p)


def _dispersion(tau: Any, of_e: Any, of_c: Any, cosh: Callable[[Any], Any] = np.cosh) -> Any:
    """1/s, from the log odds of the mean risks: 1 / (p (1 - p)) = 2 + 2 cosh(logit p)."""
    return tau**2 / (4 + 2 * cosh(of_e) + 2 * cosh(of_c))


def values(counts: Counts) -> dict[str, NDArray[np.int64]]:
    """Events and sizes."""
    return {"event_e": counts.event_e, "n_e": counts.n_e, "event_c": counts.event_c, "n_c": counts.n_c}


def check(counts: Counts, priors: Priors) -> None:
    """Refuse what is no counts of an OR, no events or only events in all trials together, and improper priors."""
    require_counts("beta_binomial", counts, priors, "OR")


def data_of(case: Case) -> Counts:
    """The counts of a case of a review.

    Raises
    ------
    ValueError
        If it has none; the message says why.
    """
    return counts_of("beta_binomial", case, "OR")


def complete(counts: Counts, draws: Mapping[str, Array], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw what the model integrates out and predicts.

    Returns
    -------
    dict
        ``risk_e``, ``risk_c`` and ``theta``, shape (*S, k), given the events; ``theta_new``, shape S; new events
        ``y_e`` and ``y_c``, shape (*S, k), of new risks.
    """
    of_e, of_c = _beta(draws)
    events = ((counts.event_e, counts.n_e), (counts.event_c, counts.n_c))
    found = (
        _logit_beta(a[..., None] + y, b[..., None] + n - y, rng)
        for (a, b), (y, n) in zip((of_e, of_c), events, strict=True)
    )
    logit_e, logit_c = found
    shape = logit_e.shape
    new = (_logit_beta(a[..., None], b[..., None], rng, shape) for a, b in (of_e, of_c))
    y_e, y_c = (rng.binomial(n, expit(logit)) for n, logit in zip((counts.n_e, counts.n_c), new, strict=True))
    return {
        "risk_e": expit(logit_e),
        "risk_c": expit(logit_c),
        "theta": logit_e - logit_c,
        "theta_new": _logit_beta(*of_e, rng) - _logit_beta(*of_c, rng),
        "y_e": y_e,
        "y_c": y_c,
    }


def draw_prior(
    counts: Counts, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> dict[str, Array]:
    """The parameters from their priors, of shape size; risks and effects of trials of shape (*size, k)."""
    drawn = {"mu": priors.mu.rvs(size, rng), "tau": priors.tau.rvs(size, rng)}
    drawn["baseline"] = np.asarray(rng.normal(0, BASELINE_SD, size))
    (of_e, of_c), r = _beta(drawn), _dispersion(drawn["tau"], *_log_odds(drawn))
    shape = (*size, counts.k + 1)
    logit_e, logit_c = (_logit_beta(a[..., None], b[..., None], rng, shape) for a, b in (of_e, of_c))
    theta = logit_e - logit_c
    risks = {"risk_e": expit(logit_e[..., 1:]), "risk_c": expit(logit_c[..., 1:])}
    return drawn | risks | {"rho": r / (1 + r), "theta": theta[..., 1:], "theta_new": theta[..., 0]}


def draw_data(counts: Counts, truth: Mapping[str, Array], rng: np.random.Generator) -> Counts:
    """Events of trials of the same sizes given one draw of the parameters."""
    event_e, event_c = rng.binomial(counts.n_e, truth["risk_e"]), rng.binomial(counts.n_c, truth["risk_c"])
    return type(counts)(counts.study, event_e, counts.n_e, event_c, counts.n_c, counts.measure)


def log_predictive(
    counts: Counts,
    draws: Mapping[str, Array],
    rng: np.random.Generator,  # noqa: ARG001  (the risks are integrated out in closed form)
) -> Array:
    """Log probability of each trial's events given mu, tau and b, shape (*S, k)."""
    log_odds = _log_odds(draws)
    r = _dispersion(draws["tau"], *log_odds)[..., None]
    total = np.zeros(())
    for x, y, n in zip(log_odds, (counts.event_e, counts.event_c), (counts.n_e, counts.n_c), strict=True):
        of = x[..., None]
        binomial = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1) + y * log_expit(of) + (n - y) * log_expit(-of)
        total = total + binomial + beyond_binomial(y, n, expit(of), expit(-of), r)
    return np.asarray(total)


def _log_odds(draws: Mapping[str, Array]) -> tuple[Array, Array]:
    """Of the mean risks of the two arms, shape S."""
    return draws["baseline"] + draws["mu"] / 2, draws["baseline"] - draws["mu"] / 2


def _beta(draws: Mapping[str, Array]) -> list[tuple[Array, Array]]:
    """Parameters of the risks' beta distributions, of each arm two, shape S."""
    log_odds = _log_odds(draws)
    s = 1 / _dispersion(draws["tau"], *log_odds)
    return [(expit(x) * s, expit(-x) * s) for x in log_odds]


def _logit_beta(a: Array, b: Array, rng: np.random.Generator, shape: tuple[int, ...] | None = None) -> Array:
    """Log odds of beta variates, also where these are nearly 0 or 1."""
    return _log_gamma(a, rng, shape) - _log_gamma(b, rng, shape)


def _log_gamma(a: Array, rng: np.random.Generator, shape: tuple[int, ...] | None) -> Array:
    """Log of a gamma variate with shape parameter a, as that with a + 1 times a uniform one to the power 1/a."""
    size = np.shape(a) if shape is None else shape
    return np.asarray(np.log(rng.standard_gamma(a + 1, size)) - rng.standard_exponential(size) / a)
