"""Simulation-based calibration: whether a posterior has the probabilities it claims.

Parameters are drawn from the priors, data from the model given them, and the posterior of those data is sampled. Over
many replicates the place of each true value among its posterior draws is uniform, if simulator, model and sampler
agree. The simulator of each model (``draw_prior``, ``draw_data``) is written without PyMC. Of the exact engine, which
draws nothing, the place is its distribution function at the true value.

References
----------
Talts S, Betancourt M, Simpson D, Vehtari A, Gelman A. Validating Bayesian inference algorithms with simulation-based
calibration. arXiv:1804.06788. Sailynoja T, Burkner PC, Vehtari A. Graphical test for discrete uniformity and its
applications in goodness-of-fit evaluation and multiple sample comparison. Stat Comput 2022;32:32 (the bands).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import labels_and_draws
from bayespip.mcmc.sampling import Settings, Structure, sample, structure
from bayespip.models import load

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.priors import Priors

__all__ = ["ENGINE", "PROB", "ecdfs", "sbc", "sbc_table"]

ENGINE = "exact"  # the exact engine among the names of models; normal_normal simulates its data

RANKS = 100  # of a true value among 99 draws, thinned from the chains so that they are nearly independent
SETTINGS = Settings(draws=99, tune=500, thin=5, chains=4, target_accept=0.95)
# That all curves of a right model lie in their bands: with some 40 designs and sizes one false alarm in 25 runs of all.
PROB = 0.999
BAND_SIMULATIONS = 50_000  # from which ArviZ finds the width of a band so far out
TRIES = 1000  # of drawing data that the model accepts, a replicate


def sbc(
    name: str, data: Any, priors: Priors, *, replicates: int = 200, seed: int = 1, **options: Hashable
) -> xr.Dataset:
    """Places of true values in their posteriors, over data sets simulated from the model.

    Data that the model refuses (no event at all, say) are drawn again: choosing among data sets by the data alone
    leaves the ranks uniform.

    Parameters
    ----------
    name
        A model of ``bayespip.models``, or "exact": the exact engine.
    data
        Their design is that of the simulated data: the studies, their sizes or standard errors.
    priors
        Proper priors on mu and tau.
    replicates
        Number of data sets.
    seed
        Integer from 0.
    **options
        Of the model.

    Returns
    -------
    Dataset
        ``pit``, dims replicate and parameter (mu, tau, theta[Trial A] ...): the share of posterior draws below the
        true value, ties and the rank's own width spread at random, so uniform on (0, 1) if all is well; of the exact
        engine the posterior probability below it;
        ``divergences``, dims replicate; attributes model, k, replicates, seed, priors, refused (data sets drawn again).

    Raises
    ------
    ValueError
        If a prior is improper, the model refuses 1,000 data sets in a row, or the exact engine is given options.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> ranks = bp.calibration.sbc("normal_normal", invented, weak, replicates=10)
    >>> dict(ranks.sizes)
    {'replicate': 10, 'parameter': 5}
    """
    if name == ENGINE and options:
        raise ValueError(f"the exact engine takes no options; got {', '.join(options)}.")
    module = load("normal_normal" if name == ENGINE else name)
    pits, divergences, refused = [], [], 0
    labels: list[str] = []
    for child in np.random.SeedSequence(seed).spawn(replicates):
        rng = np.random.default_rng(child)
        truth, replica, again = _simulated(module, data, priors, rng, options)
        refused += again
        if name == ENGINE:
            labels, places, diverging = _computed(replica, priors, truth)
        else:
            labels, places, diverging = _sampled(structure(name, replica, priors, options), replica, priors, truth, rng)
        pits.append(places)
        divergences.append(diverging)
    return xr.Dataset(
        {"pit": (("replicate", "parameter"), np.array(pits)), "divergences": ("replicate", divergences)},
        {"replicate": np.arange(replicates), "parameter": labels},
        attrs={
            "model": name,
            **{f"option_{option}": str(value) for option, value in options.items()},
            "k": data.k,
            "replicates": replicates,
            "seed": seed,
            "priors": str(priors),
            "refused": refused,
        },
    )


def _simulated(
    module: Any, data: Any, priors: Priors, rng: np.random.Generator, options: dict[str, Hashable]
) -> tuple[dict[str, NDArray[np.float64]], Any, int]:
    """True values, data, and how many data sets the model refused before."""
    reason: ValueError | None = None
    for again in range(TRIES):
        truth = module.draw_prior(data, priors, rng, **options)
        try:
            replica = module.draw_data(data, truth, rng, **options)
            if hasattr(module, "check"):
                module.check(replica, priors, **options)
        except ValueError as error:
            reason = error
            continue
        return truth, replica, again
    raise ValueError(f"{TRIES} simulated data sets in a row were refused; the last because: {reason}")


def _sampled(
    compiled: Structure,
    replica: Any,
    priors: Priors,
    truth: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
) -> tuple[list[str], NDArray[np.float64], int]:
    """Parameters, the places of their true values among draws, and the number of divergent transitions."""
    tree = sample(compiled, replica, priors, SETTINGS, seed=int(rng.integers(2**63)), cores=None)
    posterior = tree["posterior"].to_dataset()
    found = [(*labels_and_draws(posterior[v]), np.ravel(truth[v])) for v in truth if v in posterior]
    labels = [label for names, _, _ in found for label in names]
    places = np.concatenate([_pit(draws, true, rng) for _, draws, true in found])
    return labels, places, int(tree["sample_stats"]["diverging"].sum())


def _computed(
    replica: EffectSizes, priors: Priors, truth: Mapping[str, NDArray[np.float64]]
) -> tuple[list[str], NDArray[np.float64], int]:
    """The same by the exact engine: posterior probabilities below the true values."""
    fit = exact_fit(replica, priors)
    marginals = {m.name: m for m in (fit.mu, fit.tau, *fit.theta.values(), fit.theta_new)}
    true = [truth["mu"], truth["tau"], *truth["theta"], truth["theta_new"]]
    return list(marginals), np.array([m.cdf(t) for m, t in zip(marginals.values(), true, strict=True)]), 0


def _pit(draws: NDArray[np.float64], true: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Of each element, shapes (element, chain, draw) and (element,), the place of the true value, in (0, 1)."""
    flat = draws.reshape(len(draws), -1)
    thinned = flat[:, :: max(1, flat.shape[1] // (RANKS - 1))][:, : RANKS - 1]
    below = (thinned < true[:, None]).sum(axis=1)
    ties = rng.integers(0, (thinned == true[:, None]).sum(axis=1) + 1)
    return np.asarray((below + ties + rng.random(len(draws))) / RANKS)


def sbc_table(ranks: xr.Dataset, prob: float = PROB) -> pd.DataFrame:
    """Whether the ranks of each parameter look uniform.

    Parameters
    ----------
    ranks
        From ``sbc``.
    prob
        Probability that all parameters of a right model lie inside their bands (Bonferroni over the parameters,
        simultaneous along each curve).

    Returns
    -------
    DataFrame
        One row a parameter: parameter; mean of the ranks (0.5 if there is no bias) and its z; distance, the largest
        between their distribution function and the diagonal; inside, whether the curve stays in its band; and of a
        central 50% and 95% interval the coverage found.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> table = bp.calibration.sbc_table(bp.calibration.sbc("normal_normal", invented, weak, replicates=10))
    >>> len(table)
    5
    """
    import pandas as pd

    names = ranks["parameter"].values
    at, curves, lower, upper = ecdfs(ranks, prob)
    rows = []
    for name, found in zip(names, curves, strict=True):
        values = ranks["pit"].sel(parameter=name).values
        rows.append(
            {
                "parameter": str(name),
                "mean": values.mean(),
                "z": (values.mean() - 0.5) * np.sqrt(12 * len(values)),
                "distance": np.abs(found - at).max(),
                "inside": bool(((found >= lower) & (found <= upper)).all()),
                "coverage_50": np.mean(np.abs(values - 0.5) <= 0.25),
                "coverage_95": np.mean(np.abs(values - 0.5) <= 0.475),
            }
        )
    return pd.DataFrame(rows)


def ecdfs(ranks: xr.Dataset, prob: float = PROB) -> tuple[NDArray[np.float64], ...]:
    """Distribution functions of the ranks, and the band about them.

    Parameters
    ----------
    ranks
        From ``sbc``.
    prob
        As in ``sbc_table``.

    Returns
    -------
    at, curves, lower, upper
        Points from 0 to 1, shape (n + 1,); the functions there, shape (parameters, n + 1); the band.
    """
    values = ranks["pit"].values
    at, lower, upper = _band(values.shape[0], 1 - (1 - prob) / values.shape[1])
    curves = np.array([np.searchsorted(np.sort(v), at, side="right") / len(v) for v in values.T])
    curves[:, 0] = 0.0
    return at, curves, lower, upper


@cache
def _band(n: int, prob: float) -> tuple[NDArray[np.float64], ...]:
    """ArviZ's simultaneous band of the distribution function of n uniform values."""
    from arviz_stats.ecdf_utils import ecdf_pit

    at, _, lower, upper = ecdf_pit((np.arange(n) + 0.5) / n, prob, BAND_SIMULATIONS)
    return at, lower, upper
