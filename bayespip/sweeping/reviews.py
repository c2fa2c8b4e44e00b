"""One review of a sweep: its file's content to its part of the dataset.

As ``reanalyse`` pools it, without bounds, cross-checks and sentences, and with the exact engine in batches: analyses
under the same priors together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayespip.catalogue import load_review
from bayespip.exact.batches import exact_batch
from bayespip.published_only.conditional import admissible, conditional
from bayespip.readers.files import review_of
from bayespip.reanalysis.cases import cases, pooled_results
from bayespip.reanalysis.comparison import published_row
from bayespip.reanalysis.quantities import EXACT, FREQUENTIST, PARAMETERS, Bayesian, Frequentist
from bayespip.sweeping.parts import SCHEMA, Left, Part, key_of, part
from bayespip.sweeping.settings import require_same_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayespip.priors.sets import PriorSet
    from bayespip.reanalysis.cases import Case
    from bayespip.review import Analysis, Review
    from bayespip.sweeping.settings import Settings

__all__ = ["Task", "pool_review", "seed_of"]

_STATISTICS = ("median", "lower", "upper", "mean", "sd")
_SEEDS = 2**48  # each review's is below: room for those counted on from it, and exact in JSON
_one_at_a_time = Lock()  # a compiled model has one set of data in a process; a worker may have several threads


class Task(NamedTuple):
    """One review to pool: its number in the sweep, name, digest and content (none of a bundled one)."""

    number: int
    name: str
    digest: str
    bundled: bool
    content: bytes


class _Result(NamedTuple):
    """Of one case under one method; quantities as QUANTITIES names them, moments of shape (3, 2): mean and SD."""

    method: str
    value_of: str
    quantities: NDArray[np.float64]
    prior: PriorSet | None = None
    moments: NDArray[np.float64] | None = None
    log_evidence: float = math.nan


@dataclass
class _Found:
    """What a review gives, while it is pooled: results by place of their case, and what has none."""

    cases: list[Case] = field(default_factory=list)
    results: list[list[_Result]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def leave(self, case: Case, method: str, prior: str, reason: str) -> None:
        self.left.append(Left(case.analysis.id, case.k, method, prior, reason))


def seed_of(settings: Settings, digest: str) -> int:
    """The seed of a review: of its content, so that neither order nor company of the files matters."""
    return int.from_bytes(sha256(f"{settings.seed} {digest}".encode()).digest()[:8]) % _SEEDS


def pool_review(settings: Settings, task: Task, *, threads: int | None = None) -> Part | str:
    """A review's part of the dataset; of a file that cannot be read or pooled, why.

    Parameters
    ----------
    settings
        Of the sweep.
    task
        The review.
    threads
        Of the exact engine; no result depends on them.

    Raises
    ------
    ValueError
        If the versions here are not those of the settings.
    OSError
        If the machine, not the file, is to blame: a disk that is full.
    """
    require_same_versions(settings)
    try:
        review = load_review(task.name) if task.bundled else review_of(task.content, Path(task.name).name)
        return _part(review, settings, task.digest, threads)
    except ValueError as error:
        return str(error)
    except Exception as error:  # whatever a file provokes costs that file
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return f"{type(error).__name__}: {error}"


def _part(review: Review, settings: Settings, digest: str, threads: int | None) -> Part:
    seed = seed_of(settings, digest)
    found, analyses = _Found(), pooled_results(review)
    for analysis in analyses:
        _to_fit(analysis, review, found)
    sets = [settings.prior_sets(case, review.topics) for case in found.cases]
    for case, own in zip(found.cases, sets, strict=True):
        if not own:
            found.leave(case, EXACT, "", f"the priors asked for are not among those of {case.measure.name}.")
    _frequentist(found, settings.level)
    _exact(found, sets, settings.level, seed, threads)
    if settings.models:
        with _one_at_a_time:
            _sampled(found, sets, settings, seed)
    rows = [row for analysis in analyses for row in _rows(analysis, found, settings.level)]
    pooled = {case.analysis.id for case, own in zip(found.cases, found.results, strict=True) if own}
    facts = {
        "review": key_of(review.id), "title": review.title, "doi": review.doi, "source": digest, "seed": seed,
        "analyses": len(analyses), "pooled": len(pooled), "fits": sum(map(len, found.results)), "rows": len(rows),
    }  # fmt: skip
    return part(key_of(review.id), rows, facts, found.left)


def _to_fit(analysis: Analysis, review: Review, found: _Found) -> None:
    """Add the cases of an analysis, or why it has none."""
    try:
        own, left = cases(review.id, [analysis], review.studies)
    except ValueError as error:
        found.left.append(Left(analysis.id, None, "", "", str(error)))
        return
    found.left += [Left(analysis.id, None, "", "", out.reason) for out in left]
    if not own and not left:
        found.left.append(Left(analysis.id, None, "", "", "neither study data nor a published result."))
    found.cases += own
    found.results += [[] for _ in own]


def _frequentist(found: _Found, level: float) -> None:
    """All methods on all cases, those of one k together."""
    for tau2, ci in FREQUENTIST:
        method = Frequentist(tau2, ci, level)

        def work(group: Sequence[Case], method: Frequentist = method) -> list[NDArray[np.float64]]:
            yi, vi = (np.array([getattr(case.effects, name) for case in group]) for name in ("yi", "vi"))
            return list(method.quantities(yi, vi))

        for i, got in _in_groups(found.cases, [case.k for case in found.cases], work):
            if isinstance(got, str):
                found.leave(found.cases[i], method.name, "", got)
            else:
                of = "study data" if found.cases[i].family is None else "equal-variance member"
                found.results[i].append(_Result(method.name, of, got))


def _exact(found: _Found, sets: Sequence[Sequence[PriorSet]], level: float, seed: int, threads: int | None) -> None:
    """The exact engine: study data in batches, published results over their families."""

    def work(group: Sequence[tuple[Case, Sequence[PriorSet]]]) -> list[list[_Result | str]]:
        return _batch([case for case, _ in group], group[0][1], level, threads)

    pairs = list(zip(found.cases, sets, strict=True))
    with_data = [i for i, (case, own) in enumerate(pairs) if case.family is None and own]
    keys = [tuple(s.priors for s in sets[i]) for i in with_data]
    results: dict[int, list[_Result | str] | str] = {
        with_data[n]: got for n, got in _in_groups([pairs[i] for i in with_data], keys, work)
    }
    results |= {i: _published(case, own, level, seed) for i, (case, own) in enumerate(pairs) if case.family and own}
    for i, got in sorted(results.items()):
        each = [got] * len(sets[i]) if isinstance(got, str) else got
        for s, one in zip(sets[i], each, strict=True):
            if isinstance(one, str):
                found.leave(found.cases[i], EXACT, s.priors.label, one)
            else:
                found.results[i].append(one)


def _batch(
    group: Sequence[Case], sets: Sequence[PriorSet], level: float, threads: int | None
) -> list[list[_Result | str]]:
    """Of each case, under each of the priors, the result or why there is none."""
    data = exact_batch([c.effects for c in group], [s.priors for s in sets], level=level, threads=threads)
    values = np.array([[data[f"{p}_{s}"].values for s in _STATISTICS] for p in PARAMETERS])  # (3, 5, case, prior)
    positive, evidence, reason = (data[name].values for name in ("prob_positive", "log_evidence", "reason"))

    def result(a: int, j: int) -> _Result | str:
        if reason[a, j]:
            return str(reason[a, j])
        quantities = np.append(values[:, :3, a, j].ravel(), positive[a, j])
        return _Result(EXACT, "study data", quantities, sets[j], values[:, 3:, a, j], float(evidence[a, j]))

    return [[result(a, j) for j in range(len(sets))] for a in range(len(group))]


def _published(case: Case, sets: Sequence[PriorSet], level: float, seed: int) -> list[_Result | str] | str:
    """Given the printed numbers alone, under each of the priors."""
    assert case.family is not None  # noqa: S101  (the caller's choice)

    def result(s: PriorSet) -> _Result | str:
        assert case.family is not None  # noqa: S101
        try:
            averaged = conditional(case.family, Bayesian(s.priors, level), members=members)
        except (ValueError, ArithmeticError) as error:
            return str(error)
        return _Result(EXACT, "conditional posterior", averaged.quantities, s)

    try:
        members = admissible(case.family, seed=seed)
    except ValueError as error:
        return str(error)
    return [result(s) for s in sets]


def _sampled(found: _Found, sets: Sequence[Sequence[PriorSet]], settings: Settings, seed: int) -> None:
    """The models asked for, as ``reanalyse`` runs them."""
    from bayespip.reanalysis.model_runs import METHOD, run_models

    todo = [i for i, own in enumerate(sets) if own]
    its_cases, its_sets = [found.cases[i] for i in todo], [sets[i] for i in todo]
    runs = run_models(
        settings.models, its_cases, its_sets, level=settings.level, seed=seed, report=lambda stage, done, total: None
    )
    for i, values in zip(todo, runs.values, strict=True):
        found.results[i] += [_Result(v.method, v.value_of, v.quantities, v.prior) for v in values]
    found.left += [Left(analysis, k, METHOD + model, prior, why) for analysis, k, model, prior, why in runs.without]


def _in_groups[Item, Out](
    items: Sequence[Item], keys: Sequence[Hashable], work: Callable[[Sequence[Item]], Sequence[Out]]
) -> Iterator[tuple[int, Out | str]]:
    """The place of each item with what work gives for it among those of its key, or with the error it meets alone."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    for places in groups.values():
        yield from zip(places, _each(work, [items[i] for i in places]), strict=True)


def _each[Item, Out](work: Callable[[Sequence[Item]], Sequence[Out]], group: Sequence[Item]) -> list[Out | str]:
    """One that cannot be computed costs itself alone: a group that holds it is halved until it stands apart."""
    try:
        return list(work(group))
    except (ValueError, ArithmeticError) as error:
        if len(group) == 1:
            return [str(error)]
        half = len(group) // 2
        return [*_each(work, group[:half]), *_each(work, group[half:])]


def _rows(analysis: Analysis, found: _Found, level: float) -> Iterator[dict[str, Any]]:
    """What the dataset holds of an analysis: the published result, then those of its cases."""
    own = [(c, r) for c, r in zip(found.cases, found.results, strict=True) if c.analysis is analysis]
    if analysis.reported is not None:
        k = next((case.k for case, _ in own if case.family is None), None)
        row = published_row(analysis, k=k)
        yield {name: row[name] for name in SCHEMA.names if name in row}
    for case, results in own:
        for result in results:
            yield from _of_result(case, result, level)


def _of_result(case: Case, result: _Result, level: float) -> Iterator[dict[str, Any]]:
    """One row a parameter; both scales, and on the model scale the moments."""
    analysis, measure, prior = case.analysis, case.measure, result.prior
    reported, above = analysis.reported, float(result.quantities[-1])
    common = {
        "analysis": analysis.id, "outcome": analysis.outcome, "timepoint": analysis.timepoint,
        "comparison": analysis.comparison, "measure": measure.name, "k": case.k, "basis": case.basis,
        "value_of": result.value_of, "method": result.method, "prior": prior.priors.label if prior else "",
        "prior_mu": prior.mu if prior else "", "prior_tau": prior.tau if prior else "",
        "prior_kind": prior.kind if prior else "", "favours": analysis.favours or "not stated",
        "claim": (reported.claim if reported else None) or "", "level": level, "log_evidence": result.log_evidence,
    }  # fmt: skip
    for i, parameter in enumerate(PARAMETERS):
        model = result.quantities[3 * i : 3 * i + 3]
        shown = model if parameter == "tau" else measure.display(model)
        row = common | {"parameter": parameter}
        row |= zip(("point", "lower", "upper"), map(float, shown), strict=True)
        row |= zip(("point_model", "lower_model", "upper_model"), map(float, model), strict=True)
        if result.moments is not None:
            row |= zip(("mean_model", "sd_model"), map(float, result.moments[i]), strict=True)
        if parameter == "mu":
            row["prob_above_null"] = above
            row["prob_favours"] = {"higher": above, "lower": 1 - above}.get(analysis.favours or "", math.nan)
        yield row
