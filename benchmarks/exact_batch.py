"""Speed of the batch engine: `python benchmarks/exact_batch.py [--most ANALYSES]`.

Prints, with filled compilation caches unless it says otherwise: compilation; the whole catalogue of priors on tau for
one analysis, under a flat and a normal mu; one analysis through exact_fit; 10,000 simulated analyses under 10 pairs of
priors, all summaries, beside a roofline; 100 to a million analyses (or ``--most``) under one pair; largest memory after
each; ratios within this run.

The roofline is the time of the arithmetic that no program which uses these nodes could leave out, at the rates that
loops of nothing else reach on one thread in this run. For every study and node of the likelihood, computed once an
analysis: a logarithm, two divisions, eight flops. For every node of a posterior: an exponential, four flops a
Chebyshev term of the prior's polynomial. For every component of a mixture, of mu and of theta_new: for each of five
limits once an erfc and an exponential with ten flops, a square root and a division (ten flops), and for P(mu > 0) an
erfc. Nodes are counted by resolving each posterior again. Iterations, searching, moments of tau and its limits,
bookkeeping and memory are what is left.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact import batch_fits, batches
from bayespip.exact.batch_nodes import Study, log_likelihood, new_panels, new_tree, plant, resolve
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit
from bayespip.exact.posterior import given_tau_compiled
from bayespip.exact.prior_panels import prior_panels
from bayespip.exact.quadrature import ORDER
from bayespip.priors.lookup import select

if TYPE_CHECKING:
    from collections.abc import Callable

ANALYSES, REPEATS = 10_000, 5
MOST, AT_ONCE = 1_000_000, 100_000
COUNTED = 200  # analyses whose nodes are counted
LIMITS = 5  # of a mixture: median, central and shortest interval
# Cochrane reviews' analyses of two studies or more: median 4 studies, 90% at most 13, 131 at most
MEDIAN_K, UPPER_K, MOST_K = 4, 13, 131
COMPILE = """
import time
begin = time.perf_counter()
from bayespip.exact.batches import exact_batch
from bayespip import priors as pr
from bayespip.effects import EffectSizes
exact_batch([EffectSizes("ab", [0.1, 0.4], [0.2, 0.3], "SMD")], [pr.Priors(pr.flat(), pr.half_normal(0.5))])
print(time.perf_counter() - begin)
"""
TAUS = (
    pr.half_normal(0.5),
    pr.half_normal(1.0),
    pr.half_cauchy(0.5),
    pr.uniform(0, 2),
    pr.log_normal(-1.07, 0.87),
)
PAIRS = [pr.Priors(mu, tau) for mu in (pr.flat(), pr.normal(0, 2.82)) for tau in TAUS]


def simulated(count: int, seed: int) -> list[EffectSizes]:
    """Analyses with as many studies as Cochrane reviews have."""
    rng = np.random.default_rng(seed)
    spread = math.log(UPPER_K / MEDIAN_K) / 1.2816
    sizes = np.clip(np.round(np.exp(rng.normal(math.log(MEDIAN_K), spread, count))), 2, MOST_K).astype(int)
    found = []
    for k in sizes:
        sei = np.exp(rng.normal(-1.2, 0.6, k))
        yi = rng.normal(rng.normal(0, 0.4), np.hypot(sei, abs(rng.normal(0, 0.3))))
        found.append(EffectSizes([str(i) for i in range(k)], yi, sei, "OR"))
    return found


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Times of several runs, sorted."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return sorted(times)


def line(title: str, value: float, unit: str, note: str = "") -> None:
    print(f"{title:<62}{value:10.3f} {unit:<4}{note}", flush=True)


def compilation() -> None:
    with tempfile.TemporaryDirectory() as cache:
        for title in ("first call in a process, empty compilation cache", "first call in a process, filled cache"):
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, check=True)
            line(title, float(done.stdout), "s")


def catalogue(effects: EffectSizes) -> None:
    """Every published prior on tau, taken as derived for this measure."""
    taus = [entry.prior(effects.sei).renamed("") for entry in select(parameter="tau")]
    for mu in (pr.flat(), pr.normal(0, 2.82)):
        pairs = [pr.Priors(mu, tau) for tau in taus]

        def afresh(pairs: list[pr.Priors] = pairs) -> None:
            prior_panels.cache_clear()
            exact_batch([effects], pairs)

        title = f"catalogue, {len(pairs)} priors on tau, k = {effects.k}, mu {mu}"
        for when, work in (("first", afresh), ("later", lambda pairs=pairs: exact_batch([effects], pairs))):
            times = seconds(work)
            line(f"{title}: {when} analysis", statistics.median(times), "s", f"(fastest {times[0]:.3f})")


def many() -> float:
    """Seconds a fit."""
    effects = simulated(ANALYSES, seed=1)
    sizes = np.array([e.k for e in effects])
    print(f"k: median {np.median(sizes):g}, 90% {np.quantile(sizes, 0.9):g}, max {sizes.max()}")
    fits = ANALYSES * len(PAIRS)
    taken = seconds(lambda: exact_batch(effects, PAIRS), 1)[0]
    line(f"{ANALYSES} analyses x {len(PAIRS)} pairs of priors", taken, "s", f"({fits / taken:.0f} fits a second)")
    part = effects[: ANALYSES // 10]
    alone = seconds(lambda: exact_batch(part, PAIRS, threads=1), 1)[0] * 10
    line("the same on one thread, from a tenth of them", alone, "s", f"(1 thread : all = {alone / taken:.2f} : 1)")
    least = roofline(effects[:COUNTED])
    line("roofline of one fit on one thread", 1e6 * least, "us", f"(fit : roofline = {alone / fits / least:.1f} : 1)")
    return taken / fits


@nb.njit(nogil=True)
def counts(analyses, densities, mu_priors, pairs):  # type: ignore[no-untyped-def]
    """Study-nodes of the likelihood, nodes of posteriors, and those with weight, over all fits."""
    tree, panels = new_tree(), new_panels()
    found = np.zeros(3)
    flat = (0.0, np.empty(0), np.empty(0))
    for a in range(analyses.start.size - 1):
        studies = slice(analyses.start[a], analyses.start[a + 1])
        planted = -1
        for p in range(pairs.place.size):
            t = pairs.tau[p]
            if densities.lattice[t] != planted:
                if planted >= 0:
                    found[0] += tree.known[: tree.used[0]].sum() * ORDER * (studies.stop - studies.start)
                planted = densities.lattice[t]
                span = densities.lattice_start
                plant(tree, densities.lattice_edges[span[planted] : span[planted + 1]])
            mu_prior = batch_fits._mu_prior(mu_priors, a, pairs.mu[p], analyses)
            yi, vi = analyses.yi[:, studies], analyses.vi[:, studies]
            study = Study(yi, vi, batch_fits._log_tau_zero(yi[0], vi[0], mu_prior))
            log_flat, mean, variance = given_tau_compiled(yi, vi, np.zeros(1), flat)
            at_zero = log_likelihood(log_flat[0, 0, 0], mean[0, 0, 0], variance[0, 0, 0], mu_prior)
            density = batch_fits._density(densities, t)
            n = resolve(panels, tree, study, density, mu_prior, pairs.moments[a, pairs.place[p]], at_zero)
            found[1] += n * ORDER
            cut = panels.largest[:n, 0].max() + math.log(batch_fits._NEGLIGIBLE)
            found[2] += (panels.values[:n] > cut).sum() * max(mu_prior[1].size, 1)
        found[0] += tree.known[: tree.used[0]].sum() * ORDER * (studies.stop - studies.start)
    return found


@nb.njit(nogil=True)
def logarithms(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in x:
        total += math.log(value)
    return total


@nb.njit(nogil=True)
def exponentials(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in x:
        total += math.exp(-value)
    return total


@nb.njit(nogil=True)
def error_functions(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in x:
        total += math.erfc(value)
    return total


@nb.njit(nogil=True)
def divisions(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in x:
        total += 1.0 / value
    return total


@nb.njit(nogil=True)
def flops(x):  # type: ignore[no-untyped-def]
    """Eight multiplications and additions a value, in four chains."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for value in x:
        a, b, c, d = a * 0.5 + value, b * 0.25 + value, c * 0.75 + value, d * 0.125 + value
    return a + b + c + d


def roofline(effects: list[EffectSizes]) -> float:
    """Seconds a fit under ``PAIRS``; see the module's docstring."""
    mus, taus = list(dict.fromkeys(p.mu for p in PAIRS)), list(dict.fromkeys(p.tau for p in PAIRS))
    densities = batches._joined_densities([prior_panels(t) for t in taus])
    of_tau = np.array([taus.index(p.tau) for p in PAIRS])
    place = np.argsort(densities.lattice[of_tau], kind="stable")
    of_mu = np.array([mus.index(p.mu) for p in PAIRS])
    pairs = batch_fits.Pairs(place, of_mu[place], of_tau[place], batches._known(effects, PAIRS).moments)
    found = counts(batches._joined_studies(effects), densities, batches._mu_priors(mus, effects), pairs)
    likelihood, nodes, components = found / (len(effects) * len(PAIRS))
    line("nodes of a posterior, on average", nodes, "", f"({components:.0f} with weight; {likelihood:.0f} study-nodes)")
    x = np.random.default_rng(1).uniform(0.1, 3.0, 100_000)
    cost: dict[Callable[..., float], float] = {}
    for loop, each in ((logarithms, 1), (exponentials, 1), (error_functions, 1), (divisions, 1), (flops, 8)):
        loop(x)
        cost[loop] = seconds(lambda loop=loop: loop(x), 20)[0] / (x.size * each)
    print("ns each: " + ", ".join(f"{loop.__name__} {1e9 * c:.2f}" for loop, c in cost.items()))
    study_node = cost[logarithms] + 2 * cost[divisions] + 8 * cost[flops]
    node = cost[exponentials] + 4 * ORDER * cost[flops]
    limit = cost[error_functions] + cost[exponentials] + 10 * cost[flops]
    mixture = 2 * (LIMITS * limit + cost[divisions] + 10 * cost[flops]) + cost[error_functions]
    return float(likelihood * study_node + nodes * node + components * mixture)


def growth(most: int) -> None:
    """Time and memory from a hundred analyses on, a hundred thousand a call at most."""
    size = 100
    while size <= most:
        taken = 0.0
        for first in range(0, size, AT_ONCE):
            effects = simulated(min(size - first, AT_ONCE), seed=first)
            taken += seconds(lambda effects=effects: exact_batch(effects, PAIRS[:1]), 1)[0]
        line(
            f"{size} analyses x 1 pair of priors", taken, "s", f"({size / taken:.0f} fits a second; {memory():.2f} GB)"
        )
        size *= 10


def memory() -> float:
    """Largest so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def single(effects: EffectSizes) -> float:
    """Median seconds of exact_fit with its nine limits."""
    total = []
    for pair in PAIRS:
        exact_fit(effects, pair)
        nodes = seconds(lambda pair=pair: exact_fit(effects, pair), 20)

        def summarised(pair: pr.Priors = pair) -> None:
            fit = exact_fit(effects, pair)
            _ = [(m.point, m.lower, m.upper) for m in (fit.mu, fit.tau, fit.theta_new)]

        full = seconds(summarised, 20)
        line(f"exact_fit, {pair}", 1e3 * statistics.median(nodes), "ms", f"({1e3 * full[10]:.2f} with all limits)")
        total.append(full[10])
    return statistics.median(total)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--most", type=int, default=MOST, help="most analyses in the table of growth (%(default)s)")
    most = parser.parse_args().most
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
    compilation()
    effects = simulated(200, seed=2)
    catalogue(next(e for e in effects if e.k == MEDIAN_K))
    one = single(next(e for e in effects if e.k == MEDIAN_K))
    fit = many()
    line("largest memory", memory(), "GB")
    print(f"a fit through exact_fit : through exact_batch = {one / fit:.1f} : 1")
    growth(most)


if __name__ == "__main__":
    main()
