"""Time of the bundled review's sensitivity analysis: grid, tipping points and matrix, each over all members.

Prints, after a run that fills the compilation caches: the grid of priors with its extremes over the study data
consistent with each published result; the tipping points of the interval (scale of tau, scepticism about mu) over the
same data, those of P > 0.95 and P > 0.9 at the equal-variance member; the matrix with its sentences, which read the
table of a re-analysis (here without the bounds it would have, which are as many columns filled). All cases share the
processors; seconds of processor time stand beside the clock's, for a machine that has other work to do.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import bayespip as bp
from bayespip.reanalysis.cases import cases, pooled_results
from bayespip.sensitivity.grid import middle_scale, prior_grid
from bayespip.sensitivity.matrix import conclusion_matrix, sentence
from bayespip.sensitivity.members import tipping_of
from bayespip.sensitivity.tipping import SCEPTICAL, tipping_point

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayespip.published_only.consistent import Family

TARGET = 30.0  # seconds on two processors


def timed(title: str, work: Callable[[Any], Any], items: Sequence[Any]) -> tuple[float, list[Any]]:
    begin, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(work, items))
    seconds = time.perf_counter() - begin
    print(f"{title:<60}{seconds:8.2f} s{time.process_time() - used:8.2f} s of processors", flush=True)
    return seconds, found


def tips(family: Family) -> list[Any]:
    one, tau = family.illustration(), middle_scale(family.illustration())
    side = "above" if float(family.measure.model(family.reported.estimate.value)) > 0 else "below"
    return [
        *tipping_of(family),
        *(tipping_point(one, "half-normal", claim, side=side) for claim in (0.95, 0.9)),
        *(tipping_point(one, SCEPTICAL, claim, tau=tau, side=side) for claim in (0.95, 0.9)),
    ]


def main() -> None:
    """Print the table."""
    review = bp.load_review("pip")
    fittable, _ = cases(review.id, pooled_results(review), review.studies)
    families = [case.family for case in fittable]
    families.sort(key=lambda family: -family.k * family.limits.designs)  # the longest first
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {len(families)} cases", flush=True)
    tips(families[-1])
    prior_grid(families[-1])
    result = bp.reanalyse(review, with_pymc=False, with_bounds=False)
    grid, grids = timed("grid with extremes over members", prior_grid, families)
    points, found = timed("tipping points, over members and at the reference", tips, families)
    outcomes = [rows for _, rows in result.table.dropna(subset="k").groupby(["analysis", "k"])]
    outcomes = [rows for rows in outcomes if (rows["method"] != "published").any()]
    sentences, _ = timed("sentences", sentence, outcomes)
    matrix, _ = timed("matrix", conclusion_matrix, [result.table])
    total = grid + points + sentences + matrix
    print(f"{sum(map(len, grids))} rows of grids, {sum(map(len, found))} tipping points")
    print(f"grid + tipping points + matrix {total:.1f} s : target {TARGET:.0f} s = {total / TARGET:.2f} : 1")


if __name__ == "__main__":
    main()
