"""Whether data like these were to be expected: of a fitted model, and of its priors before any data.

A replicate is a new estimate of a new effect, as large a study as the observed one: the "mixed" predictive
distribution, which does not use an observation twice where each study has an effect of its own.

References
----------
Gelman A, Meng XL, Stern H. Posterior predictive assessment of model fitness via realized discrepancies. Stat Sinica
1996;6:733-760. Marshall EC, Spiegelhalter DJ. Identifying outliers in Bayesian hierarchical models: a simulation-based
approach. Bayesian Analysis 2007;2:409-444 (mixed replication).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayespip.models import load
from bayespip.study_data.arm_formulas import ARM_FORMULAS, SMD_CONVENTIONS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.mcmc.fit import PymcFit
    from bayespip.priors import Priors

__all__ = ["predictive_checks", "prior_predictive"]


def predictive_checks(fit: PymcFit) -> pd.DataFrame:
    """Each study's estimate, Q and the range of the estimates against what the model predicts of such studies.

    Where the model is of counts or means, estimates are computed from observed and replicated ones alike, with 0.5
    added to the cells of a table that has an empty one.

    Parameters
    ----------
    fit
        Of any model that replicates its data.

    Returns
    -------
    DataFrame
        One row a statistic ("estimate[Trial A]", "Q", "range"): statistic; observed; the median and central interval
        of the replicates (lower, median, upper, at the fit's level); p, the probability of a replicate at least as
        large (ties count half); model scale. Small and large p alike say that the model did not expect it; with two
        studies none will be small.

    Raises
    ------
    ValueError
        If the model has no replicates from which effects can be computed.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> bp.predictive_checks(fit)["statistic"].tolist()
    ['estimate[A]', 'estimate[B]', 'Q', 'range']
    """
    import pandas as pd

    replicated, observed, given = (
        {str(name): values for name, values in fit.data[group].to_dataset().data_vars.items()}
        for group in ("posterior_predictive", "observed_data", "constant_data")
    )
    random = [name for name, values in observed.items() if values.dims == ("study",)]
    if set(random) != set(replicated):
        raise ValueError(f"{fit.model} has no replicate of one effect a study: its data are {', '.join(observed)}.")
    measure = fit.effects.measure.name
    sizes = {name: values.values for name, values in given.items()}
    seen = _statistics(*_effects({name: observed[name].values for name in random}, sizes, measure, fit.model))
    drawn = {name: replicated[name].values for name in random}
    expected = _statistics(*_effects(drawn, sizes, measure, fit.model))
    names = [*(f"estimate[{study}]" for study in fit.effects.study), "Q", "range"]
    tail = (1 - fit.level) / 2
    rows = []
    for i, name in enumerate(names):
        draws, value = expected[..., i].ravel(), float(seen[i])
        lower, median, upper = np.quantile(draws, [tail, 0.5, 1 - tail])
        p = np.mean(draws > value) + 0.5 * np.mean(draws == value)
        rows.append((name, value, lower, median, upper, p))
    return pd.DataFrame(rows, columns=["statistic", "observed", "lower", "median", "upper", "p"])


# The names that formulas of effects have for what models observe.
_COLUMNS = {"y_e": "event_e", "y_c": "event_c"}


def _effects(
    random: Mapping[str, NDArray[np.float64]], given: Mapping[str, NDArray[np.float64]], measure: str, model: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimates and variances, shape (*S, k), of effects, or of counts or means, observed or replicated."""
    if set(random) == {"y"} and "sei" in given:
        return random["y"], np.broadcast_to(given["sei"] ** 2, random["y"].shape)
    arms: dict[str, Any] = {name: np.asarray(values, dtype=float) for name, values in given.items()}
    arms |= {_COLUMNS.get(name, name): np.asarray(values, dtype=float) for name, values in random.items()}
    if "y" in arms and "n_e" in arms:  # a difference of means, of SMD in units of the SD within the arms
        none, one = np.zeros(arms["y"].shape), np.ones(arms["y"].shape)
        arms = {"sd_e": one, "sd_c": one} | arms | {"mean_e": arms["y"], "mean_c": none}
    formulas = {**ARM_FORMULAS, "SMD": SMD_CONVENTIONS["revman5"]}
    try:
        yi, vi = formulas[measure](arms)
    except KeyError as error:
        raise ValueError(f"{model} has no replicates of effects, counts or means: no {error.args[0]}.") from None
    return np.broadcast_arrays(yi, vi)  # type: ignore[return-value]  # two, for two were given


def _statistics(yi: NDArray[np.float64], vi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimates, Q about their inverse-variance mean, and range, shape (*S, k + 2)."""
    w = 1 / vi
    mean = (w * yi).sum(axis=-1, keepdims=True) / w.sum(axis=-1, keepdims=True)
    q = (w * (yi - mean) ** 2).sum(axis=-1)
    return np.concatenate([yi, np.stack([q, np.ptp(yi, axis=-1)], axis=-1)], axis=-1)


def prior_predictive(
    name: str, effects: Any, priors: Priors, *, seed: int, draws: int = 1000, **options: Hashable
) -> xr.Dataset:
    """What a model expects before it has seen the estimates, of studies as large as these.

    Parameters
    ----------
    name
        A model of ``bayespip.models``.
    effects
        Whose sizes or standard errors are used, never their estimates.
    priors
        Proper priors on mu and tau.
    seed
        Integer from 0.
    draws
        Number of draws.
    **options
        Of the model.

    Returns
    -------
    Dataset
        The model's variables from their priors, and its observed variables given them; dims draw, study and the
        model's own; model scale.

    Raises
    ------
    ValueError
        If a prior is improper.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> expected = bp.prior_predictive("normal_normal", invented, weak, seed=1)
    >>> expected["mu"].shape
    (1000,)
    """
    module, rng = load(name), np.random.default_rng(seed)
    for prior in (priors.mu, priors.tau):
        if not prior.proper:
            raise ValueError(f"the prior predictive distribution needs proper priors; {prior} on {prior.role} is not.")
    from bayespip.mcmc.sampling import structure

    drawn = module.draw_prior(effects, priors, rng, size=(draws,), **options)
    observed = [variable.name for variable in structure(name, effects, priors, options).model.observed_RVs]
    completed = module.complete(effects, drawn, rng, **options)
    arrays = drawn | {variable: completed[variable] for variable in observed}
    labels = {"study": effects.study, **(module.coords(effects) if hasattr(module, "coords") else {})}
    dims = {"theta": ("study",), "z": ("study",), **module.ABOUT.dims, **dict.fromkeys(observed, ("study",))}
    named = {v: (("draw", *dims.get(v, ())), x) for v, x in arrays.items()}
    return xr.Dataset(named, {"draw": np.arange(draws), **{dim: list(at) for dim, at in labels.items()}})
