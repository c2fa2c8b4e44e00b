"""Speed of a sweep: `python benchmarks/sweep.py`.

Simulated reviews, pooled in this process and by clusters of one and two workers, once their caches are filled: with
the exact engine under all default priors, and with binomial_normal under one. Reviews a second by the clock, ratios
within this run, and processor seconds, which other programs on the machine disturb less; from these, what 100
workers would need for 600,000 analyses.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client, LocalCluster

from bayespip.measures import MEASURES
from bayespip.readers.assembling import StudyRow, study_table
from bayespip.review import Analysis, Review
from bayespip.settings import Settings
from bayespip.sweeping import sweep
from bayespip.sweeping.folder import begin
from bayespip.sweeping.parts import Part
from bayespip.sweeping.reviews import Task, pool_review
from bayespip.sweeping.settings import settings_of
from bayespip.sweeping.workers import computed
from bayespip.writing import to_data_package

if TYPE_CHECKING:
    from collections.abc import Iterator

# Cochrane reviews' analyses of two studies or more: median 4 studies, 90% at most 13, 131 at most
MEDIAN_K, UPPER_K, MOST_K = 4, 13, 131
EXACT_REVIEWS, EXACT_ANALYSES = 30, 10
SAMPLED_REVIEWS, SAMPLED_ANALYSES = 12, 4
MODEL, PRIOR = "binomial_normal", "tau HN(0.5), mu N(0, 2.82²)"
ALL, WORKERS = 600_000, 100
DICHOTOMOUS = Settings(
    data_type="dichotomous",
    method="IV",
    model="random",
    effect_label="Odds Ratio",
    swap_events=False,
    label_e="New",
    label_c="Old",
    label_left="Favours new",
    label_right="Favours old",
)


@dataclass(frozen=True)
class Cost:
    """Of a sweep: seconds by the clock, and of the workers' processors."""

    clock: float
    workers: float
    counts: dict[str, int]

    @property
    def reviews_a_second(self) -> float:
        return self.counts["reviews"] / self.clock


def simulated(folder: Path, count: int, analyses: int) -> list[Path]:
    """Data packages of simulated reviews, with as many studies an analysis as Cochrane reviews have."""
    rng = np.random.default_rng(1)
    spread = math.log(UPPER_K / MEDIAN_K) / 1.2816
    paths = []
    for n in range(count):
        sizes = np.exp(rng.normal(math.log(MEDIAN_K), spread, analyses)).round().clip(2, MOST_K).astype(int)
        made = tuple(analysis(rng, i, k) for i, k in enumerate(sizes, start=1))
        review = Review(
            id=f"simulated-{n}", title="Simulated", doi="", provenance="Simulated; no trial was run.", analyses=made
        )
        paths.append(to_data_package(review, folder / f"simulated-{n}.zip"))
    return paths


def analysis(rng: np.random.Generator, number: int, k: int) -> Analysis:
    rows = []
    for i in range(k):
        n_e, n_c = rng.integers(20, 200, 2)
        base = rng.normal(-1.0, 0.6)
        risks = 1 / (1 + np.exp(-(base + np.array([rng.normal(-0.3, 0.3), 0.0]))))
        data = (rng.binomial(n_e, risks[0]), n_e, rng.binomial(n_c, risks[1]), n_c)
        rows.append(StudyRow(f"Trial {i}", "", in_total=True, data=tuple(map(float, data)), footnote=""))
    table = study_table("dichotomous", rows)
    return Analysis(
        id=f"1.{number}", comparison="New against old", outcome=f"Outcome {number}", timepoint="",
        measure=MEASURES["OR"], studies=table, settings=DICHOTOMOUS,
    )  # fmt: skip


def cost(files: list[Path], client: Client | None = None, **options: Any) -> Cost:
    """One sweep into a new folder."""

    def of_workers() -> float:
        return sum(client.run(time.process_time).values()) if client else 0.0

    address = client.scheduler.address if client else None
    with tempfile.TemporaryDirectory() as out:
        before, start = of_workers(), time.perf_counter()
        done = sweep(files, out, scheduler=address, **options)
        clock = time.perf_counter() - start
        return Cost(clock, of_workers() - before, dict(done.counts))


def sent_and_written(file: Path, count: int = 300) -> float:
    """Reviews a second that one client, with the scheduler in its process, sends out, gets back and writes.

    The workers do nothing: they answer with as many bytes as a part has.
    """
    data = file.read_bytes()
    settings = settings_of(None, None, (), 0.95, 1)
    made = pool_review(settings, Task(0, file.name, "", bundled=False, content=data))
    assert isinstance(made, Part)
    size = len(made.data)
    tasks = (Task(n, file.name, "", bundled=False, content=data) for n in range(count))
    with (
        tempfile.TemporaryDirectory() as out,
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        folder = begin(out, settings, ())
        start = time.perf_counter()
        for number, answer in computed(tasks, lambda _: bytes(size), client):
            folder.put(Part(f"simulated-{number}", answer))
        return count / (time.perf_counter() - start)


@contextmanager
def workers(count: int, files: list[Path], **options: Any) -> Iterator[Client]:
    """A cluster on this machine, each of whose workers has pooled these files once: compiled what they need."""
    start = time.perf_counter()
    settings = settings_of(options.get("priors"), None, options.get("models", ()), 0.95, 1)
    tasks = [Task(n, file.name, "", bundled=False, content=file.read_bytes()) for n, file in enumerate(files)]

    def once() -> None:
        for task in tasks:
            pool_review(settings, task, threads=1)

    with (
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.gather([client.submit(once, workers=[worker], pure=False) for worker in client.nthreads()])
        line(f"{count} worker(s) started, all compiled", time.perf_counter() - start, "s")
        yield client


def line(title: str, value: float, unit: str, note: str = "") -> None:
    print(f"{title:<58}{value:10.3f} {unit:<12}{note}", flush=True)


def measured(title: str, files: list[Path], warm: list[Path], **options: Any) -> Cost:
    """In this process, by one worker and by two; that of one worker is returned."""
    print(f"\n{title}")
    cost(warm, **options)
    here = cost(files, **options)
    line("in this process, all its threads", here.reviews_a_second, "reviews/s", _analyses(here))
    found = {}
    for count in (1, 2):
        with workers(count, warm, **options) as client:
            found[count] = cost(files, client, **options)
        line(f"{count} worker(s)", found[count].reviews_a_second, "reviews/s", _analyses(found[count]))
    line("2 workers : 1 worker, by the clock", found[1].clock / found[2].clock, ": 1")
    line("1 worker : this process, by the clock", here.clock / found[1].clock, ": 1")
    line("a worker's processor time an analysis", 1e3 * found[1].workers / found[1].counts["pooled"], "ms")
    return found[1]


def _analyses(of: Cost) -> str:
    rate = of.counts["pooled"] / of.clock
    return f"{rate:8.1f} analyses/s, {of.counts['fits'] / of.clock:8.1f} fits/s"


def projected(title: str, one: Cost, reviews_a_second: float) -> None:
    """What WORKERS need if an analysis costs each what it cost one, and whether one client keeps up with them."""
    spent, a_review = one.workers / one.counts["pooled"], one.counts["pooled"] / one.counts["reviews"]
    line(f"{title}: {ALL:,} analyses, {WORKERS} workers", ALL * spent / WORKERS / 60, "min")
    line(f"{title}: reviews that they finish", WORKERS / (spent * a_review), "reviews/s")
    line(f"{title}: one client sends and writes them all in", ALL / a_review / reviews_a_second / 60, "min")


def main() -> None:
    """Print the table."""
    today = datetime.now(UTC).date()
    print(f"{today}, {os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        make = partial(simulated, Path(name))
        many = make(EXACT_REVIEWS, EXACT_ANALYSES)
        print(f"{EXACT_REVIEWS} simulated reviews of {EXACT_ANALYSES} analyses; of the model {SAMPLED_REVIEWS} of "
              f"{SAMPLED_ANALYSES}")  # fmt: skip
        exact = measured("exact engine, all default priors of odds ratios", many, many[:2])
        options: dict[str, Any] = {"priors": [PRIOR], "models": [MODEL]}
        few = make(SAMPLED_REVIEWS, SAMPLED_ANALYSES)
        sampled = measured(f"{MODEL}, one prior", few, few, **options)
        print()
        rate = sent_and_written(many[-1])
        line("a client sends out, gets back and writes", rate, "reviews/s")
        projected("exact", exact, rate)
        projected(MODEL, sampled, rate)
        with tempfile.TemporaryDirectory() as out:
            sweep(few, out)
            start = time.perf_counter()
            sweep(few, out)
            again = time.perf_counter() - start
        line("a sweep that is done, started again", 1e3 * again / len(few), "ms/review")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
