"""Leaving studies out: how well each is predicted by the others, and models compared by it.

With two to five studies the importance sampling of PSIS-LOO is at its limits, and a refit costs a tenth of a second:
so every study is left out in earnest, and the Pareto k of the short cut stands beside.

References
----------
Vehtari A, Gelman A, Gabry J. Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC. Stat
Comput 2017;27:1413-1432. Yao Y et al. Using stacking to average Bayesian predictive distributions. Bayesian Analysis
2018;13:917-1003. Sivula T, Magnusson M, Vehtari A. Uncertainty in Bayesian leave-one-out cross-validation based model
comparison. arXiv:2008.10296 (why a few observations say little).
"""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import arviz as az
import numpy as np
import xarray as xr
from arviz_stats import SamplingWrapper, reloo

from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.models import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["FEW", "compare_models", "leave_one_out"]

# Fewer studies than this, and the standard error of a difference is itself not known: Sivula et al., section 5,
# find it unreliable even below 100 observations.
FEW = 10


def leave_one_out(fit: PymcFit) -> pd.DataFrame:
    """How well each study is predicted by the others, by refits without it.

    Parameters
    ----------
    fit
        Of a model that has ``log_predictive``; at least two studies.

    Returns
    -------
    DataFrame
        One row a study: study; elpd, the log density of its data given the other studies, its own effect
        integrated out; elpd_psis, the same by Pareto smoothed importance sampling, and its pareto_k (above 0.7 it
        is not to be trusted).

    Raises
    ------
    ValueError
        If there is one study, the model has no ``log_predictive``, or the posterior without a study is improper.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> bp.leave_one_out(fit)["study"].tolist()
    ['A', 'B']
    """
    import pandas as pd

    exact, psis = _both(fit)
    return pd.DataFrame(
        {
            "study": list(fit.effects.study),
            "elpd": exact.elpd_i.values,
            "elpd_psis": psis.elpd_i.values,
            "pareto_k": psis.pareto_k.values,
        }
    )


def compare_models(fits: Mapping[str, PymcFit]) -> pd.DataFrame:
    """Models of the same data compared by how well they predict each study from the others.

    Parameters
    ----------
    fits
        By the name under which each is shown; two or more.

    Returns
    -------
    DataFrame
        ArviZ's comparison, best first: rank, elpd (sum over the studies, by refits), se, elpd_diff and its standard
        error dse, p_worse, the weight of each model by stacking ...; ``attrs["caution"]`` says how little it means
        where there are few studies.

    Raises
    ------
    ValueError
        If there are fewer than two fits, or their data differ.

    Warns
    -----
    UserWarning
        If there are fewer than ten studies.

    Examples
    --------
    >>> import warnings
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> wide = bp.Priors(weak.mu, bp.priors.half_normal(1))
    >>> fits = {str(p.tau): bp.pymc_fit("normal_normal", invented, p, seed=1) for p in (weak, wide)}
    >>> with warnings.catch_warnings(action="ignore", category=UserWarning):  # two studies: it says little
    ...     table = bp.compare_models(fits)
    ...
    >>> len(table)
    2
    """
    if len(fits) < 2:
        raise ValueError(f"fits must be two or more; got {', '.join(fits) or 'none'}.")
    (first, one), *others = fits.items()
    for name, other in others:
        if not _same_data(one, other):
            raise ValueError(f"fits must be of the same data; those of {first} and {name} differ.")
    exact = {name: _both(fit)[0] for name, fit in fits.items()}
    table: pd.DataFrame = az.compare(exact, round_to="none")
    k = one.effects.k
    if k < FEW:
        caution = (
            f"with {k} studies a difference in elpd and its standard error say next to nothing about which model "
            "predicts better, and the weights follow single studies; compare what the models conclude instead."
        )
        table.attrs["caution"] = caution
        warnings.warn(caution, UserWarning, stacklevel=2)
    return table


def _same_data(one: PymcFit, other: PymcFit) -> bool:
    a, b = (fit.data["observed_data"].to_dataset() for fit in (one, other))
    return one.effects.study == other.effects.study and a.equals(b)


class _Refits(SamplingWrapper):  # type: ignore[misc]  # ArviZ publishes no types
    """The same model without a study, as ArviZ's reloo asks for it."""

    def __init__(self, fit: PymcFit, tree: xr.DataTree) -> None:
        super().__init__(model=None, idata_orig=tree)
        self.fit = fit

    def sel_observations(self, idx: int) -> tuple[Any, Any]:
        data = self.fit.effects
        alone = np.arange(data.k) == idx
        return _taken(data, ~alone), _taken(data, alone)

    def sample(self, modified_observed_data: Any) -> PymcFit:
        attrs, options = self.fit.data.attrs, self.fit.options
        settings: dict[str, Any] = {name: attrs[name] for name in ("draws", "tune", "thin", "chains", "target_accept")}
        return pymc_fit(
            self.fit.model,
            modified_observed_data,
            self.fit.priors,
            seed=int(attrs["seed"]),
            level=self.fit.level,
            **(settings | dict(options)),
        )

    def get_inference_data(self, fitted_model: PymcFit) -> xr.DataTree:
        return fitted_model.data

    def log_likelihood__i(self, excluded_obs: Any, idata__i: xr.DataTree) -> xr.DataArray:
        density = _log_predictive(self.fit, excluded_obs, idata__i)
        return xr.DataArray(density[..., 0], dims=("chain", "draw"))


def _both(fit: PymcFit) -> tuple[Any, Any]:
    """Leave-one-out by refits, and by importance sampling."""
    if fit.effects.k < 2:
        raise ValueError(f"leaving a study out needs two or more; got {fit.effects.k}.")
    if not hasattr(load(fit.model), "log_predictive"):
        raise ValueError(f"{fit.model} cannot leave studies out: it has no predictive density of a study.")
    density = xr.DataArray(
        _log_predictive(fit, fit.effects, fit.data),
        dims=("chain", "draw", "study"),
        coords={"study": np.array(fit.effects.study)},
    )
    groups = {"posterior": fit.data["posterior"].to_dataset(), "log_likelihood": xr.Dataset({"y": density})}
    groups["observed_data"] = xr.Dataset({"y": density.isel(chain=0, draw=0, drop=True)})
    tree = xr.DataTree.from_dict(groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ warns of a large Pareto k: the refits answer it
        psis = az.loo(tree, pointwise=True)
        exact = reloo(_Refits(fit, tree), loo_orig=psis, k_threshold=-np.inf, pointwise=True)
    return exact, psis


def _log_predictive(fit: PymcFit, data: Any, tree: xr.DataTree) -> NDArray[np.float64]:
    posterior = tree["posterior"].to_dataset()
    latent = load(fit.model).ABOUT.latent
    draws = {str(name): values.values for name, values in posterior.data_vars.items() if name not in latent}
    rng = np.random.default_rng(int(fit.data.attrs["seed"]))
    density: NDArray[np.float64] = load(fit.model).log_predictive(data, draws, rng, **fit.options)
    return density


def _taken(data: Any, chosen: NDArray[np.bool_]) -> Any:
    """The chosen studies of frozen data whose fields have one entry a study, or are of the whole."""
    if hasattr(data, "take"):
        return data.take(np.flatnonzero(chosen))
    kept = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray) and value.shape[:1] == (data.k,):
            value = value[chosen]
        elif isinstance(value, tuple) and len(value) == data.k:
            value = tuple(v for v, keep in zip(value, chosen, strict=True) if keep)
        kept[field.name] = value
    return type(data)(**kept)
