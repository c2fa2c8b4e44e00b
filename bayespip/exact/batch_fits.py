"""Summaries of one analysis under many priors: a compiled loop that needs no interpreter lock."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0917  (compiled functions are given their arrays one by one)

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numba as nb
import numpy as np

from bayespip.exact.batch_mixtures import limits, probability_above
from bayespip.exact.batch_nodes import (
    Density,
    Study,
    component,
    log_likelihood,
    new_panels,
    new_tree,
    plant,
    resolve,
)
from bayespip.exact.batch_tau import log_quantile, tau_marginal, tau_moments, tau_shortest
from bayespip.exact.posterior import given_tau_compiled
from bayespip.exact.quadrature import NODES, ORDER, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

PARAMETERS = ("mu", "tau", "theta_new")
STATISTICS = ("mean", "sd", "median", "lower", "upper", "shortest_lower", "shortest_upper")
STUDY_STATISTICS = STATISTICS[:5]
_NEGLIGIBLE = 1e-14  # components lighter than this are left out of distribution functions
_NO_PRECISION = np.empty(0)


class Analyses(NamedTuple):
    """Studies of all analyses one after another, shape (1, studies), those of analysis a from start[a] on.

    Effects less the centre of their analysis.
    """

    start: Integers
    yi: Floats
    vi: Floats
    centre: Floats


class Densities(NamedTuple):
    """Priors on tau one after another: panels, breaks and roots from their starts on, roots by lattice."""

    edge_start: Integers
    edges: Floats
    coefficients: Floats
    break_start: Integers
    breaks: Floats
    root_start: Integers
    at_roots: Floats
    log_mass_below: Floats
    lattice: Integers
    lattice_start: Integers
    lattice_edges: Floats


class MuPriors(NamedTuple):
    """Normal components of the priors on mu: those of analysis a under prior m from start[a, m] to stop[a, m]."""

    location: Floats
    start: Integers
    stop: Integers
    precision: Floats
    log_weight: Floats


class Pairs(NamedTuple):
    """Pairs of priors, those of a lattice together: their places in the results, which on mu and which on tau.

    By analysis and place: how many moments of tau to resolve; 0 where there is no result.
    """

    place: Integers
    mu: Integers
    tau: Integers
    moments: Integers


class Results(NamedTuple):
    """By analysis and pair: parameters x statistics, log evidence with P(mu > 0); by study: its effect, shrinkage."""

    summaries: Floats
    scalars: Floats
    studies: Floats
    shrinkage: Floats
    resolved: NDArray[np.bool_]


class Mixture(NamedTuple):
    """Components of the posterior of mu, with tau squared."""

    weight: Floats
    mean: Floats
    variance: Floats
    tau2: Floats


@nb.njit(nogil=True)
def _density(densities, t):
    edges = slice(densities.edge_start[t], densities.edge_start[t + 1])
    # t priors before this one have had an edge more than panels each
    inside = slice(densities.edge_start[t] - t, densities.edge_start[t + 1] - t - 1)
    breaks = slice(densities.break_start[t], densities.break_start[t + 1])
    roots = slice(densities.root_start[t], densities.root_start[t + 1])
    return Density(
        densities.edges[edges], densities.coefficients[inside], densities.breaks[breaks], densities.at_roots[roots],
        densities.log_mass_below[t],
    )  # fmt: skip


@nb.njit(nogil=True)
def _mu_prior(mu_priors, a, m, analyses):
    span = slice(mu_priors.start[a, m], mu_priors.stop[a, m])
    location = mu_priors.location[m]
    return location - analyses.centre[a], mu_priors.precision[span], mu_priors.log_weight[span], location


@nb.njit(nogil=True)
def _log_tau_zero(yi, vi, mu_prior):
    """Below it tau^2 changes the likelihood, and the spread of what is normal given tau, by less than 1e-12."""
    farthest, narrowest = 0.0, vi.min()
    if mu_prior[1].size:
        narrowest = min(narrowest, 1 / mu_prior[1].max())
    for i in range(yi.size):
        distance = abs(yi[i])
        if mu_prior[1].size:
            distance = max(distance, abs(yi[i] - mu_prior[0]))
        farthest = max(farthest, distance / math.sqrt(vi[i]))
    return math.log(1e-6 * math.sqrt(narrowest) / (1 + farthest))


@nb.njit(nogil=True)
def _fit(a, p, tree, panels, analyses, density, mu_prior, moments, probabilities, deviates, results):
    studies = slice(analyses.start[a], analyses.start[a + 1])
    yi, vi = analyses.yi[0, studies], analyses.vi[0, studies]
    study = Study(analyses.yi[:, studies], analyses.vi[:, studies], _log_tau_zero(yi, vi, mu_prior))
    flat = (0.0, _NO_PRECISION, _NO_PRECISION)
    log_flat, mean, variance = given_tau_compiled(study.yi, study.vi, np.zeros(1), flat)
    at_zero = (log_flat[0, 0, 0], mean[0, 0, 0], variance[0, 0, 0])
    log_zero = log_likelihood(at_zero[0], at_zero[1], at_zero[2], mu_prior)
    n = resolve(panels, tree, study, density, mu_prior, moments, log_zero)
    if n < 0:
        return False
    log_below = density.log_mass_below + log_zero
    highest = max(panels.largest[:n, 0].max(), log_below)
    total = math.exp(log_below - highest)
    for j in range(n):
        total += math.exp(panels.largest[j, 0] - highest) * panels.integral[j, 0]
    # relative to the largest, because a log evidence of 1e10 has lost the digits that weights need
    scale, below = (highest, total), math.exp(log_below - highest) / total
    # means are kept relative to the prior's location where that is what mu is pulled to
    near_prior = mu_prior[1].size > 0 and mu_prior[1][0] * at_zero[2] > 1
    origin, shift = (mu_prior[3], mu_prior[0]) if near_prior else (analyses.centre[a], 0.0)
    mixture = _mixture(panels, n, tree, study, mu_prior, near_prior, scale, at_zero, below)
    out = results.summaries[a, p]
    tau = tau_marginal(panels, n, tree, scale, below)
    tau_moments(tau, out[1])
    for q in range(probabilities.size):
        out[1, 2 + q] = math.exp(log_quantile(tau, probabilities[q]))
    tau_shortest(tau, tree, (study, density, mu_prior), probabilities[2] - probabilities[1], out[1, 5:])
    kept = mixture.weight > _NEGLIGIBLE
    weight, mean = mixture.weight[kept], mixture.mean[kept]
    for parameter in (0, 2):
        spread = mixture.variance + mixture.tau2 if parameter == 2 else mixture.variance
        _moments(mixture.weight, mixture.mean, spread, out[parameter])
        per_sd = 1 / np.sqrt(spread[kept])
        limits(weight, mean, per_sd, probabilities, deviates, out[parameter, 2:])
        out[parameter, 0] += origin
        out[parameter, 2:] += origin
        if parameter == 0:
            results.scalars[a, p, 1] = probability_above(weight, mean, per_sd, -origin)
    results.scalars[a, p, 0] = highest + math.log(total)
    if results.studies.shape[0]:
        for i in range(yi.size):
            of_study = results.studies[studies][i, p]
            pull = _shrunk(mixture, yi[i] - shift, vi[i], probabilities, deviates, of_study)
            results.shrinkage[studies][i, p] = pull
            of_study[0] += origin
            of_study[2:] += origin
    return True


@nb.njit(nogil=True)
def _mixture(panels, n, tree, study, mu_prior, near_prior, scale, at_zero, below):
    """Components over all nodes, those of a constant likelihood as one."""
    components = max(mu_prior[1].size, 1)
    room = (n * ORDER + 1) * components
    weight, mean, variance, tau2 = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    at_none, c = below, 0
    for j in range(n):
        panel = panels.panel[j]
        lower, half = tree.lower[panel], tree.half[panel]
        constant = lower + 2 * half <= study.log_zero
        for i in range(ORDER):
            w = half * WEIGHTS[i] * math.exp(panels.values[j, i] - scale[0]) / scale[1]
            if constant:
                at_none += w
            elif w > 0.0:
                t = math.exp(lower + half * (1 + NODES[i]))
                given = (tree.log_flat[panel, i], tree.mean[panel, i], tree.variance[panel, i])
                c = _add(weight, mean, variance, tau2, c, w, given, mu_prior, near_prior, t * t)
    c = _add(weight, mean, variance, tau2, c, at_none, at_zero, mu_prior, near_prior, 0.0)
    return Mixture(weight[:c], mean[:c], variance[:c], tau2[:c])


@nb.njit(nogil=True)
def _add(weight, mean, variance, tau2, c, w, given, mu_prior, near_prior, t2):
    """A node's components from place c on; the place after them."""
    components = mu_prior[1].size
    if components == 0:
        weight[c], mean[c], variance[c], tau2[c] = w, given[1], given[2], t2
        return c + 1
    total = log_likelihood(given[0], given[1], given[2], mu_prior) if components > 1 else 0.0
    for b in range(components):
        log_share, v, from_data, from_prior = component(given[0], given[1], given[2], mu_prior, b)
        weight[c] = w * math.exp(log_share - total) if components > 1 else w
        mean[c], variance[c], tau2[c] = from_prior if near_prior else from_data, v, t2
        c += 1
    return c


@nb.njit(nogil=True)
def _moments(weight, mean, variance, out):
    """Mean and SD of a mixture."""
    average, total = 0.0, 0.0
    for c in range(weight.size):
        average += weight[c] * mean[c]
    for c in range(weight.size):
        total += weight[c] * (variance[c] + (mean[c] - average) ** 2)
    out[0], out[1] = average, math.sqrt(total)


@nb.njit(nogil=True)
def _shrunk(mixture, y, v, probabilities, deviates, out):
    """The effect of a study, pulled towards mu; how much, on average."""
    pull = v / (v + mixture.tau2)
    mean = y + pull * (mixture.mean - y)
    variance = (1 - pull) * v + pull * pull * mixture.variance
    _moments(mixture.weight, mean, variance, out)
    kept = mixture.weight > _NEGLIGIBLE
    limits(mixture.weight[kept], mean[kept], 1 / np.sqrt(variance[kept]), probabilities, deviates, out[2:])
    return (mixture.weight * pull).sum()


def _fingerprint() -> int:
    """Of the files that the loop below is compiled from."""
    folder = Path(__file__).parent
    names = ("batch_fits", "batch_mixtures", "batch_nodes", "batch_tau", "posterior", "prior_panels", "quadrature")
    return crc32(b"".join(folder.joinpath(f"{name}.py").read_bytes() for name in names))


def _compiled(fingerprint: int):
    # Numba's cache notices a change of this file alone, and of what the function encloses: hence the fingerprint,
    # and no cache of the functions above, which would serve what they called when they were compiled
    @nb.njit(cache=True, nogil=True)
    def run(analyses, densities, mu_priors, pairs, probabilities, deviates, results, block):
        """Fit the analyses and pairs of a block (first, last, first pair, last pair); the fingerprint of the code."""
        tree, panels = new_tree(), new_panels()
        first, last, first_pair, last_pair = block
        for a in range(first, last):
            planted = -1
            for p in range(first_pair, last_pair):
                place = pairs.place[p]
                if pairs.moments[a, place] == 0:
                    continue
                t = pairs.tau[p]
                if densities.lattice[t] != planted:
                    planted = densities.lattice[t]
                    span = densities.lattice_start
                    plant(tree, densities.lattice_edges[span[planted] : span[planted + 1]])
                mu_prior = _mu_prior(mu_priors, a, pairs.mu[p], analyses)
                results.resolved[a, place] = _fit(
                    a, place, tree, panels, analyses, _density(densities, t), mu_prior, pairs.moments[a, place],
                    probabilities, deviates, results,
                )  # fmt: skip
        return fingerprint

    return run


run = _compiled(_fingerprint())
