"""Power-scaling: how the posterior moves when a prior, or the likelihood, is raised to a power near one.

References
----------
Kallioinen N, Paananen T, Burkner PC, Vehtari A. Detecting and diagnosing prior and likelihood sensitivity with
power-scaling. Stat Comput 2024;34:57. The sensitivity is the rate at which the cumulative Jensen-Shannon distance
of the power-scaled posterior grows with log2 of the power, by Pareto-smoothed importance sampling (ArviZ).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from bayespip.exact.posterior import LOG_TAU_MAX
from bayespip.exact.quadrature import adapt
from bayespip.priors import Priors, density, normal, student_t
from bayespip.reanalysis.quantities import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.mcmc.fit import PymcFit
    from bayespip.priors import Prior

__all__ = ["CONFLICT", "DOMINATES", "NONE", "power_scaled", "power_scaling"]

THRESHOLD = 0.05  # Kallioinen et al 2024, section 2.4
CONFLICT = "prior-data conflict"
DOMINATES = "prior dominates (weak likelihood)"
NONE = "none"
_SCALED = {"prior of mu": ("mu",), "prior of tau": ("tau",), "both priors": ("mu", "tau")}
_COLUMNS = ("scaled", "parameter", "prior_sensitivity", "likelihood_sensitivity", "diagnosis")


def power_scaling(fit: PymcFit, *, threshold: float = THRESHOLD) -> pd.DataFrame:
    """Sensitivity of mu, tau and a new study's effect to the powers of the priors and of the likelihood.

    Parameters
    ----------
    fit
        From ``pymc_fit``; its group log_prior holds the log densities of mu and of tau, each on its own scale (not
        its logarithm), without which powers of a prior would mean something else.
    threshold
        Sensitivity from which a posterior counts as sensitive.

    Returns
    -------
    DataFrame
        One row a scaled prior ("prior of mu", "prior of tau", "both priors") and parameter: the two sensitivities
        and the diagnosis: "prior-data conflict" (both sensitive), "prior dominates (weak likelihood)" (the prior
        only), or "none". An improper flat prior has no power: nan, and "none".

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> table = bp.power_scaling(fit)
    >>> table.loc[table["parameter"] == "tau", ["scaled", "diagnosis"]].values.tolist()
    [['prior of mu', 'none'], ['prior of tau', 'prior-data conflict'], ['both priors', 'prior-data conflict']]
    """
    import pandas as pd

    return pd.DataFrame(list(_rows(fit, threshold)), columns=_COLUMNS)


def power_scaled(priors: Priors, power: float, on: str) -> Priors:
    """The priors with one of them raised to a power and normalised again: what power-scaling approximates.

    Parameters
    ----------
    priors
        Priors on mu and tau.
    power
        Positive; below 1 flattens, above 1 sharpens.
    on
        "mu" or "tau".

    Raises
    ------
    ValueError
        If an argument is none of the choices, or the power of a density does not integrate.
    """
    if on not in PARAMETERS[:2]:
        raise ValueError(f"on must be 'mu' or 'tau'; got {on!r}.")
    if not power > 0:
        raise ValueError(f"power must be positive; got {power!r}.")
    if on == "mu":
        return Priors(_mu_power(priors.mu, power), priors.tau)
    return Priors(priors.mu, _tau_power(priors.tau, power))


def _rows(fit: PymcFit, threshold: float) -> Iterator[dict[str, Any]]:
    likelihood = _sensitivity(fit, "likelihood", ("y",))
    proper = {"mu": fit.priors.mu.proper, "tau": fit.priors.tau.proper}
    for scaled, names in _SCALED.items():
        having = tuple(name for name in names if proper[name])
        prior = _sensitivity(fit, "prior", having) if having else dict.fromkeys(PARAMETERS, math.nan)
        for parameter in PARAMETERS:
            of_prior, of_likelihood = prior[parameter], likelihood[parameter]
            diagnosis = NONE
            if of_prior >= threshold:
                diagnosis = CONFLICT if of_likelihood >= threshold else DOMINATES
            yield dict(zip(_COLUMNS, (scaled, parameter, of_prior, of_likelihood, diagnosis), strict=True))


def _sensitivity(fit: PymcFit, group: str, names: tuple[str, ...]) -> dict[str, float]:
    import arviz as az

    found = az.psense(fit.data, var_names=list(PARAMETERS), group=group, group_var_names=list(names))
    return {parameter: float(found[parameter]) for parameter in PARAMETERS}


def _mu_power(mu: Prior, power: float) -> Prior:
    """Powers of normals are normal, those of Student-t are Student-t: (1 + z^2 / df)^-power (df + 1) / 2."""
    if mu.family == "flat":
        return mu
    if mu.family == "normal":
        mean, sd = mu.parameters
        return normal(mean, sd / math.sqrt(power))
    if mu.family != "student-t":
        raise ValueError(f"powers are known of flat, normal and Student-t priors on mu; got {mu}.")
    location, scale, df = mu.parameters
    new = power * (df + 1) - 1
    if not new > 0:
        raise ValueError(f"{mu} to the power {power:g} does not integrate: power (df + 1) must exceed 1.")
    return student_t(location, scale * math.sqrt(df / new), new)


def _tau_power(tau: Prior, power: float) -> Prior:
    """Normalised by the quadrature of the exact engine."""
    if not tau.proper:
        return tau
    if not power * tau.tail > 1:
        raise ValueError(
            f"{tau} to the power {power:g} does not integrate: its tail falls like tau^-{power * tau.tail:g}."
        )

    def log_in_log(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(power * tau.logpdf(np.exp(x)) + x)[None]

    panels = adapt(log_in_log, -LOG_TAU_MAX, min(LOG_TAU_MAX, math.log(tau.upper_bound)))
    log_integral = float(logsumexp(panels.log_values[0], b=panels.weights))
    return density(
        lambda t: power * tau.logpdf(t) - log_integral, f"{tau}^{power:g}", tail=power * tau.tail, source=tau.source
    )
