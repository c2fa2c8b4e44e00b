"""Sampling a compiled model: a structure is compiled once a process, a refit swaps its data.

A structure is a model and the families of its priors. Everything else (studies, their number, the priors'
parameters) is data of the compiled model, sampled by nutpie; ``models`` says what a model provides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import arviz as az
import numpy as np
import nutpie
import pyarrow as pa
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph.replace import vectorize_graph

from bayespip.compiling import compile_sampler
from bayespip.models import load
from bayespip.priors import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.priors import Priors

__all__ = ["Settings", "Structure", "sample", "structure"]

# What is kept of nutpie's statistics, under the names of ArviZ's schema.
SAMPLE_STATS = {
    "diverging": "diverging",
    "energy": "energy",
    "logp": "lp",
    "mean_tree_accept": "acceptance_rate",
    "step_size": "step_size",
    "n_steps": "n_steps",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Length of the chains and the acceptance rate aimed at.

    Attributes
    ----------
    draws, tune
        Draws kept and warm-up draws, a chain.
    thin
        Transitions a draw kept: a chain runs tune + draws x thin of them.
    chains
        Number of chains; two at least, for R-hat compares them.
    target_accept
        Between 0 and 1; higher means smaller steps.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    draws: int
    tune: int
    thin: int
    chains: int
    target_accept: float

    def __post_init__(self) -> None:
        for name, least in (("draws", 4), ("tune", 1), ("thin", 1), ("chains", 2)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept must lie in (0, 1); got {self.target_accept!r}.")


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """A model compiled for sampling.

    Attributes
    ----------
    module
        The model's module: its ``build`` and ``complete``.
    model
        The PyMC model, whose data stand for those of the current fit.
    sampler
        The model as compiled by nutpie.
    densities
        From draws of the unconstrained mu and tau, each of shape (chain, draw), to mu and tau, the log priors
        of mu and of tau, all of shape (chain, draw), and the log likelihood of y, shape (chain, draw, k).
    """

    module: ModuleType
    model: pm.Model
    sampler: Any
    densities: Callable[[NDArray[np.float64], NDArray[np.float64]], list[NDArray[np.float64]]]


_compiled: dict[tuple[str, str, str], Structure] = {}


def structure(name: str, effects: EffectSizes, priors: Priors) -> Structure:
    """The compiled model of that name for these families of priors.

    Parameters
    ----------
    name
        A model of ``bayespip.models``.
    effects, priors
        Those of the first fit; their values are replaced in every fit.

    Raises
    ------
    ValueError
        If there is no such model, or a prior has no PyMC variable.
    """
    key = (name, priors.mu.family, priors.tau.family)
    if key not in _compiled:
        module = load(name)
        model = module.build(effects, priors)
        _compiled[key] = Structure(module, model, compile_sampler(model), _densities(model))
    return _compiled[key]


def _densities(model: pm.Model) -> Any:
    """Parameters and log densities of many draws, by vectorising those of one.

    FAST_COMPILE evaluates each operation by NumPy over all draws: compiled in 0.2 s, evaluated in 2 ms.
    """
    parameters = [model["mu"], model["tau"]]
    inputs = [pt.matrix(model.rvs_to_values[variable].name, dtype="float64") for variable in parameters]
    draws = []
    for variable, drawn in zip(parameters, inputs, strict=True):
        transform = model.rvs_to_transforms[variable]
        draws.append(transform.backward(drawn, *variable.owner.inputs) if transform else drawn)
    one = [*(pm.logp(variable, variable) for variable in parameters), pm.logp(model["y"], model["yi"])]
    many = vectorize_graph(one, replace=dict(zip(parameters, draws, strict=True)))
    return pm.compile(inputs, [*draws, *many], mode="FAST_COMPILE")


def sample(
    compiled: Structure,
    effects: EffectSizes,
    priors: Priors,
    settings: Settings,
    *,
    seed: int,
    cores: int | None,
) -> xr.DataTree:
    """Draws and everything that is derived from them draw by draw.

    Parameters
    ----------
    compiled
        Structure of the priors' families.
    effects, priors
        Studies and priors; any number of studies.
    settings
        Length of the chains and the acceptance rate.
    seed
        From 0 to 2^64 - 1.
    cores
        Chains run at a time; the draws do not depend on it.

    Returns
    -------
    DataTree
        The groups described at ``PymcFit``.
    """
    inputs = _inputs(effects, priors)
    # The starting points and the densities read the model's own data; the sampler reads the copy given to it.
    pm.set_data(inputs, model=compiled.model, coords={"study": effects.study})
    trace = nutpie.sample(
        compiled.sampler.with_data(**inputs),
        draws=settings.draws * settings.thin,
        tune=settings.tune,
        chains=settings.chains,
        target_accept=settings.target_accept,
        seed=seed,
        cores=cores,
        progress_bar=False,
        return_raw_trace=True,  # its own conversion to a DataTree takes as long as the sampling
    )
    batches, stats = trace.get_arrow_trace()
    if any(batch.num_rows != settings.tune + settings.draws * settings.thin for batch in batches):
        raise KeyboardInterrupt  # which nutpie answers with a shorter trace
    values = (compiled.model.rvs_to_values[compiled.model[name]].name for name in ("mu", "tau"))
    mu, tau, *log_prior, log_likelihood = compiled.densities(*(_column(batches, v, settings) for v in values))
    rng = np.random.default_rng(seed)
    completed = compiled.module.complete(effects, mu, tau, rng)
    groups = {
        "posterior": {"mu": mu, "tau": tau, "theta": completed["theta"], "theta_new": completed["theta_new"]},
        "sample_stats": {new: _column(stats, old, settings) for old, new in SAMPLE_STATS.items()},
        "log_likelihood": {"y": log_likelihood},
        "log_prior": dict(zip(("mu", "tau"), log_prior, strict=True)),
        "posterior_predictive": {"y": completed["y"]},
        "prior": _prior_draws(priors, settings.draws, rng),
        "observed_data": {"y": effects.yi},
        "constant_data": {"sei": effects.sei},
    }
    datasets = {name: _dataset(arrays, effects.study) for name, arrays in groups.items() if arrays}
    energy = _column(stats, "energy", replace(settings, thin=1))
    datasets["sample_stats"].attrs["ebfmi"] = float(np.min(az.bfmi(energy)))
    return xr.DataTree.from_dict(datasets)


def _inputs(effects: EffectSizes, priors: Priors) -> dict[str, Any]:
    """Everything that changes between fits, under the names of the model's data."""
    inputs: dict[str, Any] = {"yi": effects.yi, "sei": effects.sei}
    for role, prior in (("mu", priors.mu), ("tau", priors.tau)):
        names = FAMILIES[prior.family].parameters
        inputs |= {f"{role}_{name}": value for name, value in zip(names, prior.parameters, strict=True)}
    return inputs


def _column(batches: Sequence[Any], name: str, settings: Settings) -> NDArray[Any]:
    """One column of nutpie's record batches (one a chain) after the warm-up, shape (chain, draw).

    Of the transitions of a kept draw the last counts, but a mark such as diverging if any of them has it.
    """
    chains = [pa.array(batch.column(name)).to_numpy(zero_copy_only=False) for batch in batches]
    column = np.stack(chains)[:, settings.tune :].reshape(len(chains), -1, settings.thin)
    kept = column.any(axis=-1) if column.dtype == bool else column[..., -1]
    return kept.astype(np.int64) if kept.dtype == np.uint64 else kept


def _prior_draws(priors: Priors, size: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """One chain of draws from the priors that are proper, and of a new study's effect if both are."""
    both = {"mu": priors.mu, "tau": priors.tau}
    drawn = {name: prior.rvs((1, size), rng) for name, prior in both.items() if prior.proper}
    if len(drawn) == len(both):
        drawn["theta_new"] = rng.normal(drawn["mu"], drawn["tau"])
    return drawn


def _dataset(arrays: Mapping[str, NDArray[Any]], study: tuple[str, ...]) -> xr.Dataset:
    """Arrays of shape (k,), (chain, draw) or (chain, draw, k) with these dimensions named."""
    dims = {1: ("study",), 2: ("chain", "draw"), 3: ("chain", "draw", "study")}
    variables = {name: (dims[array.ndim], array) for name, array in arrays.items()}
    sizes = {dim: n for names, array in variables.values() for dim, n in zip(names, array.shape, strict=True)}
    labels = {dim: np.array(study) if dim == "study" else np.arange(n) for dim, n in sizes.items()}
    return xr.Dataset(variables, labels)
