"""Speed of the batch engine: `python benchmarks/exact_batch.py`.

Prints, with filled compilation caches unless it says otherwise: compilation; the whole catalogue of priors on tau for
one analysis, under a flat and a normal mu; 10,000 simulated analyses under 10 pairs of priors; one analysis through
exact_fit; largest memory; ratios within this run.
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np

from bayespip import priors as pr
from bayespip.batches import exact_batch
from bayespip.effects import EffectSizes
from bayespip.exact import exact_fit
from bayespip.prior_panels import prior_panels
from bayespip.priors.lookup import select

if TYPE_CHECKING:
    from collections.abc import Callable

ANALYSES, REPEATS = 10_000, 5
# Cochrane reviews' analyses of two studies or more: median 4 studies, 90% at most 13, 131 at most
MEDIAN_K, UPPER_K, MOST_K = 4, 13, 131
COMPILE = """
import time
begin = time.perf_counter()
from bayespip.batches import exact_batch
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
    return taken / fits


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
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
    compilation()
    effects = simulated(200, seed=2)
    catalogue(next(e for e in effects if e.k == MEDIAN_K))
    one = single(next(e for e in effects if e.k == MEDIAN_K))
    fit = many()
    line("largest memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "GB")
    print(f"a fit through exact_fit : through exact_batch = {one / fit:.1f} : 1")


if __name__ == "__main__":
    main()
