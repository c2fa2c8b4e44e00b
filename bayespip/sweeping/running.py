"""The sweep itself: files in, a dataset of results out, resumed wherever it was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bayespip.sweeping.folder import begin
from bayespip.sweeping.reviews import Task, pool_review
from bayespip.sweeping.settings import settings_of
from bayespip.sweeping.sources import content, sources
from bayespip.sweeping.workers import client_of, computed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from os import PathLike
    from pathlib import Path

    from bayespip.priors import Priors
    from bayespip.priors.sets import PriorSet
    from bayespip.sweeping.folder import Folder
    from bayespip.sweeping.parts import Part
    from bayespip.sweeping.sources import Source

__all__ = ["Swept", "sweep"]


@dataclass(frozen=True, slots=True)
class Swept:
    """A finished sweep.

    Attributes
    ----------
    folder
        Where it lies: ``results``, ``manifest.json``, ``skipped.csv``.
    counts
        files; reviews (files with results) and skipped_files; of the reviews analyses, pooled (those with a result),
        fits (an analysis under a method and prior), rows of the dataset, and without_result (rows of skipped.csv).
    """

    folder: Path
    counts: Mapping[str, int]


def sweep(
    files: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    priors: Sequence[str | Priors | PriorSet] | None = None,
    topics: Sequence[str] | None = None,
    models: Sequence[str] = (),
    level: float = 0.95,
    seed: int = 1,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Swept:
    """Pool every analysis of many reviews, and write the results as one dataset.

    Killed at any moment and called again with the same arguments, it goes on where it was, and the folder becomes the
    same to the byte. A file that has changed since is pooled again, one that is new is added.

    Parameters
    ----------
    files
        Reviews' files as ``read_review`` takes them, and names of bundled reviews.
    out
        Folder for the dataset ``results`` (Parquet, one partition a review), ``manifest.json`` and ``skipped.csv``.
    priors
        Names of default prior sets ("tau HN(0.5), mu flat") or of their kinds ("weakly informative", "empirical pair",
        "hybrid"), which stand for what a measure has of them, and priors for every measure; all defaults if None
        (``priors.sets.default_priors``).
    topics
        Cochrane topics of the empirical priors; those of each review, or all of Cochrane, if None.
    models
        Models to sample as well, under the same priors.
    level
        Probability of the intervals.
    seed
        From which each review has its own, as the manifest says.
    workers
        Processes on this machine; more than one needs the extra ``dask``, and a script that calls this under
        ``if __name__ == "__main__":``. No result depends on it.
    scheduler
        Address of a Dask scheduler, whose workers do the work instead.
    progress
        Called with a stage, the number of files done and the number of all.

    Returns
    -------
    Swept
        The folder, and counts.

    Raises
    ------
    ValueError
        If an argument is out of its choices, files are missing, or the folder holds a sweep with other settings; the
        message names what differs. If the workers have other versions of the packages.
    OSError
        If the folder cannot be written to, or the scheduler does not answer or is lost. What is finished is whole.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> with TemporaryDirectory() as out:
    ...     done = bp.sweep(["bcg"], out, priors=["tau HN(0.5), mu flat"])
    ...     table = pd.read_parquet(f"{out}/results")
    ...
    >>> done.counts["fits"], len(table)
    (5, 15)
    """
    settings = settings_of(priors, topics, models, level, seed)
    plan = sources(files)
    report = progress or (lambda stage, done, total: None)
    with client_of(workers, scheduler) as client:
        folder = begin(out, settings, plan)
        book = _Book(folder, plan)
        report("reviews", len(book), len(plan))
        work = partial(pool_review, settings, threads=None if client is None else 1)
        try:
            for i, outcome in computed(book.tasks(), work, client):
                book.settle(i, outcome)
                report("reviews", len(book), len(plan))
            counts = folder.finish(plan, book.keys, book.reasons())
        finally:
            folder.tidy()
    report("reviews", len(plan), len(plan))
    return Swept(folder.path, counts)


class _Book:
    """What has become of each file.

    Attributes
    ----------
    folder, plan
        Where results go; the files.
    keys
        Keys of the parts there are, by the number of the file.
    """

    def __init__(self, folder: Folder, plan: Sequence[Source]) -> None:
        self.folder, self.plan = folder, plan
        self._refused = {i: source.refused for i, source in enumerate(plan) if source.refused}
        self._repeats: dict[int, str] = {}
        done = folder.done()
        self.keys = {i: done[s.digest] for i, s in enumerate(plan) if not s.refused and s.digest in done}
        self._owner = {key.casefold(): i for i, key in self.keys.items()}

    def __len__(self) -> int:
        """Files that are settled."""
        return len(self.keys) + len(self._refused) + len(self._repeats)

    def tasks(self) -> Iterator[Task]:
        """What is left to compute, read when its turn has come; a file that cannot be read is settled instead."""
        for i, source in enumerate(self.plan):
            if i in self.keys or i in self._refused:
                continue
            try:
                data = content(source)
            except ValueError as error:  # ReadError is one
                self._refused[i] = str(error)
            else:
                yield Task(i, source.name, source.digest, source.bundled, data)

    def settle(self, i: int, outcome: Part | str) -> None:
        """Write a result; of two files with one key the first in the list has it, in whatever order they come."""
        if isinstance(outcome, str):
            self._refused[i] = outcome
            return
        key = outcome.key.casefold()  # a disk may not tell them apart
        owner = self._owner.get(key, i)
        if owner < i:
            self._repeats[i] = key
            return
        if owner > i:
            self._repeats[owner] = key
            self.folder.drop(self.keys.pop(owner))
        self.folder.put(outcome)
        self.keys[i], self._owner[key] = outcome.key, i

    def reasons(self) -> dict[int, str]:
        """Why files have no part."""
        first = {i: self.plan[self._owner[key]].name for i, key in self._repeats.items()}
        return self._refused | {
            i: f"it is the same review as {name}, by its id; rename the file if it is another."
            for i, name in first.items()
        }
