"""A thousand sampled refits in one process: memory and time a refit, as they go on.

Each is `pymc_fit("normal_normal")` of another simulated data set, of 2 to 20 studies, under one of two pairs of priors;
both models are compiled before the count begins. Memory is what the process holds (resident), time its own on the
processors. Neither should grow: the growth is the slope of a line through all refits after the first fifth, while
caches fill.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.mcmc.fit import pymc_fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFITS = 1000
PAIRS = (pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5)), pr.Priors(pr.flat(), pr.half_cauchy(0.5)))


class Run(NamedTuple):
    """Seconds of processors and resident megabytes after each refit, shape (refits,)."""

    seconds: NDArray[np.float64]
    megabytes: NDArray[np.float64]

    def growth(self, values: NDArray[np.float64]) -> float:
        """Slope a refit, of those after the first fifth."""
        settled = np.arange(values.size // 5, values.size)
        return float(np.polyfit(settled, values[settled], 1)[0])


def simulated(rng: np.random.Generator) -> EffectSizes:
    k = int(rng.integers(2, 21))
    sei = np.exp(rng.normal(-1.2, 0.6, k))
    yi = rng.normal(rng.normal(0, 0.4), np.hypot(sei, 0.2))
    return EffectSizes([f"simulated {i}" for i in range(k)], yi, sei, "SMD")


def resident() -> float:
    """Megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(refits: int) -> Run:
    rng, seconds, megabytes = np.random.default_rng(1), [], []
    for pair in PAIRS:
        pymc_fit("normal_normal", simulated(rng), pair, seed=0)
    for i in range(refits):
        effects, begin = simulated(rng), time.process_time()
        pymc_fit("normal_normal", effects, PAIRS[i % 2], seed=i)
        seconds.append(time.process_time() - begin)
        megabytes.append(resident())
    return Run(np.array(seconds), np.array(megabytes))


def main() -> None:
    """Print the table."""
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
    begin = time.perf_counter()
    done = run(REFITS)
    print(f"{REFITS} refits in {time.perf_counter() - begin:.0f} s")
    print(f"{'refits':>12}{'s of processors a refit':>26}{'MB resident':>14}")
    for part in np.array_split(np.arange(REFITS), 10):
        at = f"{part[0] + 1}-{part[-1] + 1}"
        print(f"{at:>12}{np.median(done.seconds[part]):>26.3f}{np.median(done.megabytes[part]):>14.0f}")
    last, first = (
        float(np.median(done.seconds[part])) for part in (np.s_[-REFITS // 5 :], np.s_[REFITS // 5 : REFITS // 2])
    )
    print(
        f"growth of memory {1000 * done.growth(done.megabytes):.1f} MB a thousand refits; the last fifth took "
        f"{last / first:.2f} times as long a refit as those after the first fifth"
    )


if __name__ == "__main__":
    main()
