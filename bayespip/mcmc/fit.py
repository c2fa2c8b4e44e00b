"""The PyMC engine: hierarchical models sampled, checked, and kept whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.fits import Estimate
from bayespip.mcmc.diagnostics import ConvergenceError, diagnose, labels_and_draws
from bayespip.mcmc.sampling import Settings, sample, structure
from bayespip.model_data.outcomes import Outcomes
from bayespip.models import load
from bayespip.priors.scales import require_pair
from bayespip.provenance import package_version

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from types import ModuleType

    import xarray as xr
    from numpy.typing import NDArray

    from bayespip.priors import Priors

__all__ = ["ConvergenceError", "PymcFit", "pymc_fit"]

# The one remedy: smaller steps against divergences, longer chains (thinned back to as many draws) against a
# small ESS. Of chains twice as long, 2 in 8 still failed under flat mu and half-Cauchy tau with k = 2.
REMEDY_TARGET_ACCEPT = 0.999
REMEDY_LENGTH = 4

PACKAGES = ("bayespip", "pymc", "pytensor", "nutpie", "arviz", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class PymcFit:
    """A sample of a hierarchical model; everything is derived from its draws.

    Attributes
    ----------
    effects, priors
        What was fitted: effects, or the data that the model takes instead.
    model
        Name of the model.
    level
        Probability of the central intervals.
    data
        Groups posterior (the model's variables, and theta and theta_new where they exist), sample_stats,
        log_likelihood (y: of each study's data, given the variables in the posterior), log_prior (of the variables
        that do not belong to single studies; 0 where improper), posterior_predictive (what it is stands in the
        attributes), prior (draws, where proper), observed_data and constant_data; dimensions chain, draw, study
        and the model's own; provenance in the attributes; on the model scale.
    options
        Of the model.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> fit.method, dict(fit.data["posterior"].sizes)
    ('PyMC normal_normal', {'chain': 4, 'draw': 1000, 'study': 2})
    """

    effects: Any
    priors: Priors
    model: str
    level: float
    data: xr.DataTree
    options: Mapping[str, Hashable] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Engine, model and its options."""
        options = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.options.items())
        return f"PyMC {self.model}" + (f" ({options})" if options else "")

    @property
    def prior(self) -> str:
        """Name of the priors, or their densities."""
        return self.priors.label

    @property
    def mu(self) -> Estimate:
        """Average effect: median and central interval."""
        return self._estimate(self._one_outcome("mu"))

    @property
    def tau(self) -> Estimate:
        """Between-study standard deviation: median and central interval."""
        return self._estimate(self._one_outcome("tau"))

    @property
    def theta_new(self) -> Estimate:
        """Effect of a new study: median and central interval."""
        return self._estimate(self._one_outcome("theta_new"))

    @property
    def theta(self) -> Mapping[str, Estimate]:
        """Effect of each study: median and central interval."""
        draws = self._one_outcome("theta")
        return {study: self._estimate(draws[:, i]) for i, study in enumerate(self.effects.study)}

    @property
    def parameters(self) -> Mapping[str, Estimate]:
        """Median and central interval by name: "mu", "theta[Trial A]" ...; without the means of a parameterisation."""
        posterior, about = self.data["posterior"].to_dataset(), load(self.model).ABOUT
        shown = [v for v in posterior if v not in about.latent or v in about.effects]
        first = [v for v in ("mu", "tau", "theta_new", "theta") if v in shown]
        labelled = (labels_and_draws(posterior[v]) for v in dict.fromkeys([*first, *shown]))
        return {
            label: self._estimate(values.ravel())
            for labels, draws in labelled
            for label, values in zip(labels, draws, strict=True)
        }

    @property
    def effect_names(self) -> tuple[str, ...]:
        """Variables on the scale of the measure."""
        return load(self.model).ABOUT.effects  # type: ignore[no-any-return]  # modules are not typed

    @property
    def sampled(self) -> tuple[str, ...]:
        """Names of the variables that the sampler moved; the others are drawn given them."""
        return tuple(self.data.attrs["sampled"].split(", "))

    @property
    def prob_positive(self) -> float:
        """P(mu > 0 | data) on the model scale."""
        return float(np.mean(self._one_outcome("mu") > 0))

    def outcome(self, label: str) -> PymcFit:
        """The fit of one outcome, of a model of several: with the same face as a fit of that outcome alone.

        Raises
        ------
        ValueError
            If the model is of one outcome, or there is none of that label; the message lists the choices.
        """
        if not isinstance(self.effects, Outcomes):
            raise ValueError(f"{self.model} has one outcome; there is no {label!r} to select.")
        effects, rows = self.effects.select(label), self.effects.rows(label)

        def part(group: xr.Dataset) -> xr.Dataset:
            if "outcome" in group.dims:
                group = group.sel(outcome=label, drop=True)
            if "study" not in group.dims:
                return group
            # studies are rows of the data, or whole trials
            own = rows if rows[0] in group["study"] else effects.study
            return group.sel(study=list(own)).assign_coords(study=list(effects.study))

        return replace(self, effects=effects, data=self.data.map_over_datasets(part))

    def draws(self, variable: str) -> NDArray[np.float64]:
        """Posterior draws with the chains joined, shape (chains x draws, then the variable's own).

        Raises
        ------
        ValueError
            If the model has no such variable; the message lists the choices.
        """
        posterior = self.data["posterior"]
        if variable not in posterior.data_vars:
            choices = ", ".join(map(str, posterior.data_vars))
            raise ValueError(f"{self.model} has no {variable}; its variables are {choices}.")
        values = np.asarray(posterior[variable])
        return values.reshape(-1, *values.shape[2:])

    def _one_outcome(self, variable: str) -> NDArray[np.float64]:
        """Draws of a variable of which an outcome has one, or one a study."""
        values = self.draws(variable)
        if "outcome" in self.data["posterior"][variable].dims:
            outcomes = self.effects.outcome
            raise ValueError(
                f"{self.model} has a {variable} for each outcome: select one, such as outcome({outcomes[0]!r}); "
                f"the choices are {', '.join(outcomes)}."
            )
        more = [str(dim) for dim in self.data["posterior"].to_dataset()[variable].dims[2:] if dim != "study"]
        if more:
            raise ValueError(f"{self.model} has a {variable} for each {' and '.join(more)}: see parameters, or draws.")
        return values

    def _estimate(self, draws: NDArray[np.float64]) -> Estimate:
        tail = (1 - self.level) / 2
        lower, point, upper = np.quantile(draws, [tail, 0.5, 1 - tail])
        return Estimate(float(point), float(lower), float(upper))


def pymc_fit(
    name: str,
    effects: Any,
    priors: Priors,
    *,
    seed: int,
    level: float = 0.95,
    draws: int = 1000,
    tune: int = 1000,
    thin: int = 1,
    chains: int = 4,
    target_accept: float | None = None,
    cores: int | None = None,
    **options: Hashable,
) -> PymcFit:
    """Sample the posterior of a hierarchical model.

    Parameters
    ----------
    name
        A model of ``bayespip.models``.
    effects
        Effects of k studies on the model scale, or the data that the model takes instead (``bayespip models``).
    priors
        Priors on mu and tau.
    seed
        Integer from 0; the same seed gives the same draws, whatever was fitted before and on any number of
        cores.
    level
        Probability of the central intervals.
    draws, tune
        Draws kept and warm-up draws, a chain.
    thin
        Transitions a draw kept: with 4 the chains are four times as long, and as many draws are kept.
    chains
        Number of chains, at least 2; the thresholds of the diagnostics are meant for 4 or more.
    target_accept
        Acceptance rate aimed at; that of the model's ABOUT if None. It is high because with a lower one chains of
        most models diverge where two or three studies say little about tau.
    cores
        Chains run at a time; by default as many as there are processors.
    **options
        Of the model: those of its ``build``.

    Raises
    ------
    ConvergenceError
        If the sample fails its diagnostics (``diagnose``), and again after one remedy: a target_accept of at
        least 0.999 and chains four times as long, thinned to as many draws.
    ValueError
        If the posterior is improper, there is no such model, it cannot take the data, or an argument is out of
        range.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> exact = bp.exact_fit(invented, weak)
    >>> abs(fit.mu.point - exact.mu.point) < 0.05
    True
    """
    if target_accept is None:
        target_accept = load(name).ABOUT.target_accept
    settings = Settings(draws, tune, thin, chains, target_accept)
    seed = _checked_seed(seed)
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    require_pair(priors, effects.measure)
    _check(load(name), effects, priors, options)
    compiled = structure(name, effects, priors, options)
    remedy = replace(
        settings,
        tune=REMEDY_LENGTH * tune,
        thin=REMEDY_LENGTH * thin,
        target_accept=max(target_accept, REMEDY_TARGET_ACCEPT),
    )
    faults: list[str] = []
    for attempt in (settings, remedy):
        data = sample(compiled, effects, priors, attempt, seed=seed, cores=cores)
        data.attrs |= _provenance(name, effects, priors, options) | {
            "seed": str(seed),  # text, for netCDF has no integers of 64 bits without sign
            **asdict(attempt),
            "attempts": len(faults) + 1,
        }
        fit = PymcFit(effects, priors, name, level, data, options)
        table = diagnose(fit)
        bad = table[table["verdict"] != "good"]
        if bad.empty:
            return fit
        found = ", ".join(bad["variable"] + ": " + bad["verdict"])
        length = attempt.draws * attempt.thin
        faults.append(f"target_accept {attempt.target_accept:g} and chains of {length}, {found}")
    raise ConvergenceError(
        f"{name} under {priors} with k = {effects.k} did not converge (seed {seed}): with {faults[0]}; "
        f"then with {faults[1]}. Try another seed or more draws, or use exact_fit."
    )


def _check(module: ModuleType, data: Any, priors: Priors, options: Mapping[str, Any]) -> None:
    if hasattr(module, "check"):
        module.check(data, priors, **options)
        return
    for prior in (priors.mu, priors.tau):
        if not prior.proper:
            raise ValueError(f"{module.__name__.rpartition('.')[2]} needs proper priors; got {prior} on {prior.role}.")


def _checked_seed(seed: int) -> int:
    try:
        whole = index(seed)
    except TypeError:
        whole = -1
    if isinstance(seed, bool) or not 0 <= whole < 2**64:
        raise ValueError(f"seed must be an integer from 0 to 2^64 - 1; got {seed!r}.")
    return whole


def _provenance(name: str, effects: Any, priors: Priors, options: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of plain text and numbers, which every file format takes."""
    return {
        **{f"{package}_version": package_version(package) for package in PACKAGES},
        "inference_library": "nutpie",
        "model": name,
        **{f"option_{option}": str(value) for option, value in options.items()},
        "measure": effects.measure.name,
        "scale": effects.measure.model_scale,
        "priors": str(priors),
        "priors_name": priors.label,
        "mu_source": priors.mu.source,
        "tau_source": priors.tau.source,
        "posterior_predictive": load(name).ABOUT.predictive,
    }
