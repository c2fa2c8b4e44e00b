"""Time of a refit of each model, and what compiling once is worth: python benchmarks/models.py [MODEL ...]

Prints, for the first design of every model (bayespip/calibration/designs.py) with 2, 5 and 10 studies, the first fit
with its compilation and the median of refits to other simulated data, with the processor time of one; pooled_tau on 19
simulated outcomes and on the bundled review's reference members; and effective draws a second of normal_normal beside a
plain pm.sample of the same model. Ratios are within this run: to the target, and of one to the other.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import arviz as az
import numpy as np
import pymc as pm

from bayespip import ConvergenceError, load_review, pymc_fit
from bayespip.calibration.designs import Design, designs, outcomes
from bayespip.calibration.ranks import _simulated
from bayespip.models import available, load
from bayespip.reanalysis.cases import cases, pooled_results

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (2, 5, 10)
REFITS = 5
TARGET = 0.25  # seconds of a refit of the first five models with at most ten studies
FIRST = ("normal_normal", "binomial_normal", "binomial_rr", "binomial_rd", "normal_arms", "student_t")
TARGET_POOLED = 5.0  # seconds of pooled_tau on 19 outcomes


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processors; not a number where chains did not converge."""
    wall, processors = time.perf_counter(), time.process_time()
    try:
        work()
    except ConvergenceError:
        return np.nan, np.nan
    return time.perf_counter() - wall, time.process_time() - processors


def datasets(design: Design, k: int, n: int) -> list[Any]:
    """Simulated data that the model takes."""
    rng, module = np.random.default_rng(k), load(design.model)
    return [_simulated(module, design.data(k), design.priors, rng, dict(design.options))[1] for _ in range(n)]


def refits(design: Design, k: int, target: float | None) -> None:
    first, *others = datasets(design, k, REFITS + 1)

    def fit(data: Any, seed: int) -> tuple[float, float]:
        return timed(lambda: pymc_fit(design.model, data, design.priors, seed=seed, **design.options))

    compiling, _ = fit(first, 0)
    times = np.array([fit(data, seed) for seed, data in enumerate(others, start=1)])
    line(f"{design.label}, k = {k}", times, compiling, target)


def line(title: str, times: np.ndarray, compiling: float, target: float | None) -> None:
    failed = int(np.isnan(times[:, 0]).sum())
    wall, processors = np.nanmedian(times, axis=0) if failed < len(times) else (np.nan, np.nan)
    ratio = f"  {wall / target:5.2f} of {target:g} s" if target else ""
    said = f"  {failed} did not converge" if failed else ""
    print(
        f"{title:<46} {wall:7.3f} s  {processors:7.3f} s of processors  first {compiling:6.1f} s{ratio}{said}",
        flush=True,
    )


def pooled() -> None:
    """Nineteen simulated outcomes of two studies, and the bundled review's."""
    design, labels = designs("pooled_tau")[0], "ABCDEFGHIJKLMNOPQRS"
    form = f"{len(labels)} outcomes"
    many = Design("pooled_tau", lambda k: outcomes(k, labels, shared=False), design.priors, form=form)
    refits(many, 2, TARGET_POOLED)
    review = load_review("pip")
    found, _ = cases(review.id, pooled_results(review), review.studies)
    sets = load("pooled_tau").data_of_cases(found).data

    def fit() -> None:
        for seed, data in enumerate(sets):
            pymc_fit("pooled_tau", data, design.priors, seed=seed)

    compiling, _ = timed(fit)
    times = np.array([timed(fit) for _ in range(3)])
    line(f"pooled_tau, the bundled review, {len(sets)} sets of outcomes", times, compiling, TARGET_POOLED)


def against_plain_sampling() -> None:
    """Effective draws of mu a second: a compiled model with new data beside pm.sample of a new one."""
    design = designs("normal_normal")[0]
    data = datasets(design, 5, 4)
    pymc_fit("normal_normal", data[0], design.priors, seed=0)

    def ours(i: int) -> Any:
        return pymc_fit("normal_normal", data[i], design.priors, seed=i).data

    def plain(i: int) -> Any:
        with load("normal_normal").build(data[i], design.priors):
            return pm.sample(1000, tune=1000, chains=4, target_accept=0.99, random_seed=i, progressbar=False)

    speed = {}
    for name, sample in (("pymc_fit", ours), ("pm.sample", plain)):
        rates = []
        for i in (1, 2, 3):
            begin = time.perf_counter()
            tree = sample(i)
            rates.append(float(az.ess(tree["posterior"].to_dataset()[["mu"]])["mu"]) / (time.perf_counter() - begin))
        speed[name] = statistics.median(rates)
        print(f"normal_normal, k = 5, by {name:<12} {speed[name]:10.0f} effective draws of mu a second", flush=True)
    print(f"pymc_fit : pm.sample = {speed['pymc_fit'] / speed['pm.sample']:.1f} : 1", flush=True)


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
    chosen = sys.argv[1:] or available()
    for name in chosen:
        for k in SIZES:
            refits(designs(name)[0], k, TARGET if name in FIRST else None)
    if "pooled_tau" in chosen:
        pooled()
    if "normal_normal" in chosen:
        against_plain_sampling()


if __name__ == "__main__":
    main()
