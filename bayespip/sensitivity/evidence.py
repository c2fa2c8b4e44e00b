"""How much these k studies say about tau: its likelihoods, its estimators, its posterior, and what was learnt.

References
----------
Veroniki AA et al. Methods to estimate the between-study variance. Res Synth Methods 2016;7:55-79.
Viechtbauer W. Q-profile interval. Stat Med 2007;26:37-52.
Kullback S, Leibler RA. Ann Math Stat 1951;22:79-86; in bits, the information gained (Lindley DV. Ann Math Stat
1956;27:986-1005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.exact.fit import exact_fit
from bayespip.exact.posterior import given_tau, mu_prior_components
from bayespip.frequentist.heterogeneity import TAU2_METHODS, pooled_mean, q_profile, tau2_estimate
from bayespip.priors.scales import require_pair
from bayespip.priors.sets import default_priors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

    from bayespip.effects import EffectSizes
    from bayespip.exact.fit import ExactFit
    from bayespip.priors import Priors

    Array = NDArray[np.float64]

__all__ = ["TauEvidence", "divergence", "relative_likelihood", "tau_evidence"]

ESTIMATORS = tuple(name for name in TAU2_METHODS if name != "common")
COLUMNS = (
    "kind", "name", "point", "lower", "upper", "profile_likelihood", "marginal_likelihood",
    "prior_median", "divergence_bits", "note",
)  # fmt: skip
_GRID = 201  # taus of the curves, spaced like squares: dense where the densities bend
_BEYOND = 1.25  # of the largest tau shown, to which the curves reach
_ONE_STUDY = "one study: every tau explains it; not estimable"


@dataclass(frozen=True, eq=False)
class TauEvidence:
    """What k studies say about the between-study standard deviation, on the model scale.

    Attributes
    ----------
    effects
        The studies.
    table
        One row an estimator, the Q-profile interval, and one row a prior: kind ("estimator", "interval",
        "posterior"), name; point (estimate or posterior median), lower, upper; profile_likelihood and
        marginal_likelihood at the point, relative to their maxima; prior_median and divergence_bits (posterior
        from prior) where there is a prior; note.
    curves
        On dimensions tau and prior: profile and marginal (likelihoods relative to their maxima), prior_density and
        posterior_density.
    """

    effects: EffectSizes
    table: pd.DataFrame
    curves: xr.Dataset

    def tidy(self) -> pd.DataFrame:
        """The curves as one row a tau and curve: columns curve, prior ("" for likelihoods), tau, value."""
        import pandas as pd

        likelihoods = self.curves[["profile", "marginal"]].to_dataframe().reset_index()
        densities = self.curves[["prior_density", "posterior_density"]].to_dataframe().reset_index()
        parts = [
            likelihoods.melt("tau", ["profile", "marginal"], var_name="curve").assign(prior=""),
            densities.melt(["tau", "prior"], ["prior_density", "posterior_density"], var_name="curve"),
        ]
        return pd.concat(parts, ignore_index=True)[["curve", "prior", "tau", "value"]]


def tau_evidence(
    effects: EffectSizes,
    priors: Sequence[Priors] | None = None,
    *,
    level: float = 0.95,
    taus: ArrayLike | None = None,
) -> TauEvidence:
    """Likelihood, estimates and posteriors of tau.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    priors
        Priors on mu and tau; if None, every default prior on tau once, each beside the first mu that it has.
    level
        Of the Q-profile interval and of the posterior intervals.
    taus
        Where the curves are drawn, shape (N,), not negative; chosen if None. The Q-profile interval may reach far
        beyond them.

    Returns
    -------
    TauEvidence
        The marginal (restricted) likelihood has mu integrated out under a flat prior. A posterior that does not
        exist has a row of nan with the reason in its note, and no curve.

    Raises
    ------
    ValueError
        If two priors have one label, one was derived for another measure, or a tau is negative or not finite.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> table = bp.tau_evidence(invented).table
    >>> print(table.query("kind == 'interval'")[["name", "lower", "upper"]].round(2).to_string(index=False))
             name  lower  upper
    Q-profile 95%    0.0  12.86
    """
    chosen = _default(effects) if priors is None else list(priors)
    labels = [p.label for p in chosen]
    if len(set(labels)) < len(labels):
        raise ValueError(f"priors must have different names; got {', '.join(labels)}.")
    fits: dict[str, ExactFit | str] = {}
    for p in chosen:
        require_pair(p, effects.measure)
        try:
            fits[p.label] = exact_fit(effects, p, level=level)
        except ValueError as error:
            fits[p.label] = str(error)
    rows = [*_estimates(effects, level), *(_posterior(effects, p, fits[p.label]) for p in chosen)]
    import pandas as pd

    table = pd.DataFrame(rows, columns=COLUMNS)
    return TauEvidence(effects, table, _curves(effects, chosen, fits, _grid(effects, table, taus)))


def divergence(fit: ExactFit) -> float:
    """Kullback-Leibler divergence of the posterior of tau from its prior, in bits; nan if the prior is improper.

    The posterior is prior times L(tau) / Z, so it is the posterior mean of log2 L(tau) - log2 Z.
    """
    if not fit.priors.tau.proper:
        return math.nan
    nodes, effects = fit.nodes, fit.effects
    yi, vi = effects.yi[None], effects.vi[None]
    given = given_tau(yi, vi, nodes.tau, mu_prior_components(fit.priors.mu, yi, vi))
    weight = nodes.weight[0].sum(axis=0)
    nats = float((weight * (given.log_marginal()[0] - fit.log_evidence)).sum())
    return max(nats, 0.0) / math.log(2)


def relative_likelihood(effects: EffectSizes, taus: ArrayLike, *, restricted: bool) -> Array:
    """Profile (mu maximised) or marginal (mu integrated under a flat prior) likelihood of tau over its maximum.

    Parameters
    ----------
    effects
        Effects of k studies.
    taus
        Any shape, not negative.
    restricted
        Whether marginal.
    """
    at = np.asarray(taus, dtype=float)
    best = np.nan_to_num(tau2_estimate(effects.yi, effects.vi, "REML" if restricted else "ML"))
    value = _log_likelihood(effects, at**2, restricted=restricted)
    return np.exp(np.minimum(value - _log_likelihood(effects, best, restricted=restricted), 0.0))


def _log_likelihood(effects: EffectSizes, tau2: Array, *, restricted: bool) -> Array:
    at = pooled_mean(effects.yi, effects.vi, np.asarray(tau2))
    value = np.log(at.w).sum(-1) - at.q
    return np.asarray((value - np.log(at.total) if restricted else value) / 2)


def _default(effects: EffectSizes) -> list[Priors]:
    by_tau: dict[str, Priors] = {}
    for s in default_priors(effects.measure):
        by_tau.setdefault(s.tau, s.priors)
    return list(by_tau.values())


def _estimates(effects: EffectSizes, level: float) -> Iterator[dict[str, Any]]:
    note = _ONE_STUDY if effects.k == 1 else ""
    for name in ESTIMATORS:
        tau = float(np.sqrt(tau2_estimate(effects.yi, effects.vi, name)))
        yield {"kind": "estimator", "name": name, "point": tau, "note": note} | _heights(effects, tau)
    lower, upper = (float(np.sqrt(t)) for t in q_profile(effects.yi, effects.vi, level))
    if upper == 0:
        note = "empty: Q is below its lower quantile even at tau = 0; shown as 0 to 0"
    yield {"kind": "interval", "name": f"Q-profile {level:.0%}", "lower": lower, "upper": upper, "note": note}


def _posterior(effects: EffectSizes, priors: Priors, fit: ExactFit | str) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": "posterior", "name": priors.label}
    if isinstance(fit, str):
        return row | {"note": fit}
    tau, prior = fit.tau, priors.tau
    has_median = prior.proper and not prior.given
    note = "" if prior.proper else f"{prior} is improper: no divergence of the posterior from it exists"
    row |= {"point": tau.point, "lower": tau.lower, "upper": tau.upper, "note": note}
    row |= {"prior_median": float(prior.quantile(0.5)) if has_median else math.nan}
    return row | {"divergence_bits": divergence(fit)} | _heights(effects, tau.point)


def _heights(effects: EffectSizes, tau: float) -> dict[str, float]:
    return {
        "profile_likelihood": float(relative_likelihood(effects, tau, restricted=False)),
        "marginal_likelihood": float(relative_likelihood(effects, tau, restricted=True)),
    }


def _grid(effects: EffectSizes, table: pd.DataFrame, taus: ArrayLike | None) -> Array:
    """Taus of the curves: to beyond every estimate and posterior limit, but not to the Q-profile limit."""
    if taus is not None:
        given = np.atleast_1d(np.asarray(taus, dtype=float))
        bad = given[~(np.isfinite(given) & (given >= 0))]
        if bad.size:
            raise ValueError(f"taus must be finite and at least 0; got {bad[0]:g}.")
        return given
    shown = table[table["kind"] != "interval"]
    reach = [float(np.sqrt(effects.vi.mean())), shown["point"].max(), shown["upper"].max()]
    return _BEYOND * float(np.nanmax(reach)) * np.linspace(0.0, 1.0, _GRID) ** 2


def _curves(effects: EffectSizes, priors: Sequence[Priors], fits: dict[str, ExactFit | str], taus: Array) -> xr.Dataset:
    import xarray as xr

    fitted = [(p, fit) for p in priors if not isinstance(fit := fits[p.label], str)]
    shape = (len(fitted), taus.size)
    with np.errstate(divide="ignore"):  # some densities are infinite at zero
        before = np.array([np.exp(p.tau.logpdf(taus)) for p, _ in fitted]).reshape(shape)
        after = np.array([fit.tau.pdf(taus) for _, fit in fitted]).reshape(shape)
    return xr.Dataset(
        {
            "profile": ("tau", relative_likelihood(effects, taus, restricted=False)),
            "marginal": ("tau", relative_likelihood(effects, taus, restricted=True)),
            "prior_density": (("prior", "tau"), before),
            "posterior_density": (("prior", "tau"), after),
        },
        {"tau": taus, "prior": np.array([p.label for p, _ in fitted], dtype=object)},
        {"measure": effects.measure.name, "k": effects.k},
    )
