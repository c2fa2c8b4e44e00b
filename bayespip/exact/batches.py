"""Many analyses under many priors at once: ``exact_fit`` for a list of each, as one Dataset.

What a result costs and what it says depend on its analysis and its priors alone. See docs/decisions/exact-engine.md.
"""

from __future__ import annotations

import os
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtri

from bayespip.effects import require_effects
from bayespip.exact.batch_fits import (
    PARAMETERS,
    STATISTICS,
    STUDY_STATISTICS,
    Analyses,
    Densities,
    MuPriors,
    Pairs,
    Results,
    run,
)
from bayespip.exact.posterior import MuPrior, mu_prior_components
from bayespip.exact.prior_panels import prior_panels
from bayespip.exact.propriety import missing_moment, require_proper_posterior, resolvable_moments
from bayespip.priors.scales import require_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.exact.prior_panels import PriorPanels
    from bayespip.measures import Measure
    from bayespip.priors import Prior, Priors

__all__ = ["exact_batch"]

_DATA_FREE = ("flat", "normal", "normal mixture")  # priors on mu whose components do not depend on the data
_NO_COMPONENTS = MuPrior(0.0, np.empty(0), np.empty(0))
_UNRESOLVED = (
    "the posterior of tau is too rough to integrate, or the effects lie too far apart, or too far from the priors, in "
    "their standard errors: doubles do not hold it."
)
_BLOCK = 64  # analyses, or pairs of priors, that one thread takes at a time


def exact_batch(
    effects: Sequence[EffectSizes],
    priors: Sequence[Priors],
    *,
    level: float = 0.95,
    studies: bool = False,
    threads: int | None = None,
) -> xr.Dataset:
    """Posteriors of many analyses under many priors, by the quadrature of ``exact_fit``.

    Parameters
    ----------
    effects
        A analyses, of any number of studies each, on the model scale.
    priors
        P pairs of priors, as for ``exact_fit``.
    level
        Probability of the intervals.
    studies
        Whether the effects of all studies are summarised as well.
    threads
        Threads at work; all processors if None. No result depends on it.

    Returns
    -------
    Dataset
        Dimensions analysis and prior; the latter's labels are those of the priors. For each of mu, tau and theta_new
        the variables ``<parameter>_mean``, ``_sd``, ``_median``, ``_lower`` and ``_upper`` (central interval),
        ``_shortest_lower`` and ``_shortest_upper`` (the shortest connected one) on the model scale;
        ``prob_positive``, P(mu > 0); ``log_evidence``, as in ``ExactFit``; ``reason``, empty, or why there is no
        result: all of a pair's values are nan where ``exact_fit`` raises that error. With ``studies``, the first five
        of ``theta`` and ``shrinkage``, the posterior mean of vi / (vi + tau^2), along dimension study, which runs
        through all studies of all analyses; its coordinates ``study_analysis`` and ``study_label`` say which. Moments
        that do not exist are inf or nan, as in ``ExactFit``.

    Raises
    ------
    ValueError
        If there are no effects or priors, level is not in (0, 1), threads is not positive, or a prior's density is
        nan, zero wherever tried or too rough; the message names it.

    Notes
    -----
    Within ``1e-8 max(|exact_fit|, posterior SD)`` of ``exact_fit``. A result is the same to the last bit whatever
    else is in the call.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> batch = bp.exact_batch([invented], [weak])
    >>> batch["mu_median"].round(3).item(), batch["prob_positive"].round(3).item()
    (-0.569, 0.061)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    for name, given in (("effects", effects), ("priors", priors)):
        if not isinstance(given, Sized):
            raise ValueError(f"{name} must be a list; got one {type(given).__name__}: put it in brackets.")
        if not len(given):
            raise ValueError(f"{name} must hold at least one; got none.")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be positive; got {threads!r}.")
    for one in effects:
        require_effects(one)
    for pair in priors:
        require_pair(pair)
    known = _known(effects, priors)
    analyses = _joined_studies(effects)
    mus, taus = list(dict.fromkeys(p.mu for p in priors)), list(dict.fromkeys(p.tau for p in priors))
    densities = _joined_densities([prior_panels(t) for t in taus])
    of_tau = np.array([taus.index(p.tau) for p in priors])
    place = np.argsort(densities.lattice[of_tau], kind="stable")
    of_mu = np.array([mus.index(p.mu) for p in priors])
    pairs = Pairs(place, of_mu[place], of_tau[place], known.moments)
    results = _empty(len(effects), len(priors), analyses.yi.size if studies else 0)
    probabilities = np.array([0.5, (1 - level) / 2, (1 + level) / 2])
    common = (analyses, densities, _mu_priors(mus, effects), pairs)

    def work(block: tuple[int, int, int, int]) -> None:
        run(*common, probabilities, ndtri(probabilities), results, block)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        list(pool.map(work, _blocks(len(effects), len(priors))))
    return _dataset(effects, priors, level, results, known, studies=studies)


class _Known(NamedTuple):
    """What number of studies, measure and priors decide, by analysis and pair.

    Moments of tau to resolve (0 where there is no result), by parameter what stands for a mean and an SD that cannot
    be had (0 where it can), and the reason for no result.
    """

    moments: NDArray[np.int64]
    missing: NDArray[np.float64]
    reason: NDArray[np.object_]


def _known(effects: Sequence[EffectSizes], priors: Sequence[Priors]) -> _Known:
    kinds: dict[tuple[int, Measure], EffectSizes] = {}
    which = np.empty(len(effects), dtype=int)
    for a, one in enumerate(effects):
        kinds.setdefault((one.k, one.measure), one)
        which[a] = list(kinds).index((one.k, one.measure))
    shape = len(kinds), len(priors)
    moments, reason = np.zeros(shape, dtype=np.int64), np.full(shape, "", dtype=object)
    missing = np.zeros((*shape, len(PARAMETERS), 2))
    for i, one in enumerate(kinds.values()):
        for j, pair in enumerate(priors):
            try:
                _require(one, pair)
            except ValueError as error:
                reason[i, j] = str(error)
                continue
            moments[i, j] = len(resolvable_moments(one.k, pair))
            for at, parameter in enumerate(PARAMETERS):
                first = missing_moment(one.k, pair, parameter)
                if first:
                    order, value, _ = first
                    missing[i, j, at] = (value, np.nan) if order == 1 else (0.0, value)
    return _Known(moments[which], missing[which], reason[which])


def _require(effects: EffectSizes, priors: Priors) -> None:
    """Raise what ``exact_fit`` raises."""
    require_pair(priors, effects.measure)
    require_proper_posterior(effects.k, priors)
    mu_prior_components(priors.mu, effects.yi, effects.vi)


def _starts(sizes: Iterable[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum([*sizes])]).astype(np.int64)


def _joined_studies(effects: Sequence[EffectSizes]) -> Analyses:
    centre = np.array([(e.yi / e.vi).sum() / (1 / e.vi).sum() for e in effects])
    yi = np.concatenate([e.yi - c for e, c in zip(effects, centre, strict=True)])
    vi = np.concatenate([e.vi for e in effects])
    return Analyses(_starts(e.k for e in effects), yi[None], vi[None], centre)


def _joined_densities(panels: Sequence[PriorPanels]) -> Densities:
    lattices = list(dict.fromkeys(p.lattice for p in panels))
    return Densities(
        _starts(p.edges.size for p in panels),
        np.concatenate([p.edges for p in panels]),
        np.concatenate([p.coefficients for p in panels]),
        _starts(p.breaks.size for p in panels),
        np.concatenate([p.breaks for p in panels]),
        _starts(p.roots for p in panels),
        np.concatenate([p.at_roots for p in panels]),
        np.array([p.log_mass_below for p in panels]),
        np.array([lattices.index(p.lattice) for p in panels]),
        _starts(roots + 1 for _, _, roots in lattices),
        np.concatenate([np.linspace(lower, upper, roots + 1) for lower, upper, roots in lattices]),
    )


def _mu_priors(priors: Sequence[Prior], effects: Sequence[EffectSizes]) -> MuPriors:
    """Components by prior, and by analysis where they depend on the data (Student-t)."""
    found: list[MuPrior] = []
    at = np.empty((len(effects), len(priors)), dtype=int)
    for m, prior in enumerate(priors):
        if prior.family == "student-t":
            at[:, m] = np.arange(len(effects)) + len(found)
            found += [mu_prior_components(prior, e.yi, e.vi) for e in effects]
        else:
            at[:, m] = len(found)
            supported = prior.family in _DATA_FREE
            found.append(mu_prior_components(prior, effects[0].yi, effects[0].vi) if supported else _NO_COMPONENTS)
    start = _starts(f.precision.size for f in found)
    location = np.array([found[i].location for i in at[0]])
    return MuPriors(
        location,
        start[at],
        start[at + 1],
        np.concatenate([f.precision for f in found]),
        np.concatenate([f.log_weight for f in found]),
    )


def _empty(analyses: int, pairs: int, studies: int) -> Results:
    return Results(
        np.full((analyses, pairs, len(PARAMETERS), len(STATISTICS)), np.nan),
        np.full((analyses, pairs, 2), np.nan),
        np.full((studies, pairs, len(STUDY_STATISTICS)), np.nan),
        np.full((studies, pairs), np.nan),
        np.zeros((analyses, pairs), dtype=bool),
    )


def _blocks(analyses: int, pairs: int) -> Iterator[tuple[int, int, int, int]]:
    for a in range(0, analyses, _BLOCK):
        for p in range(0, pairs, _BLOCK):
            yield a, min(a + _BLOCK, analyses), p, min(p + _BLOCK, pairs)


def _dataset(
    effects: Sequence[EffectSizes],
    priors: Sequence[Priors],
    level: float,
    results: Results,
    known: _Known,
    *,
    studies: bool,
) -> xr.Dataset:
    import xarray as xr

    reason = np.where((known.moments > 0) & ~results.resolved, _UNRESOLVED, known.reason)
    moments = results.summaries[..., :2]
    moments[known.missing != 0] = known.missing[known.missing != 0]
    moments[reason != ""] = np.nan
    pair = ("analysis", "prior")
    variables: dict[str, tuple[tuple[str, ...], NDArray[np.generic]]] = {
        f"{parameter}_{statistic}": (pair, results.summaries[:, :, i, j])
        for i, parameter in enumerate(PARAMETERS)
        for j, statistic in enumerate(STATISTICS)
    }
    variables |= {
        "prob_positive": (pair, results.scalars[..., 1]),
        "log_evidence": (pair, results.scalars[..., 0]),
        "reason": (pair, reason),
    }
    coords: dict[str, object] = {"analysis": np.arange(len(effects)), "prior": [p.label for p in priors]}
    if studies:
        of_study = ("study", "prior")
        variables |= {f"theta_{s}": (of_study, results.studies[..., j]) for j, s in enumerate(STUDY_STATISTICS)}
        variables["shrinkage"] = (of_study, results.shrinkage)
        coords["study_analysis"] = ("study", np.repeat(np.arange(len(effects)), [e.k for e in effects]))
        coords["study_label"] = ("study", np.array([label for e in effects for label in e.study], dtype=object))
    return xr.Dataset(variables, coords, {"level": level})
