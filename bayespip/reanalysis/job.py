"""The main job: a review's outcomes pooled again, beside the published and the frequentist results.

For every analysis, in this order: the published result as printed; frequentist methods; the exact posterior under
each prior; PyMC as a cross-check; and, where only pooled results were published, the bounds over all study data
consistent with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayespip.exact.fit import exact_fit
from bayespip.models import load
from bayespip.priors.sets import POOLED_TOPIC, PriorSet
from bayespip.provenance import commit, versions
from bayespip.published_only.bounds import bounds
from bayespip.published_only.conditional import admissible, conditional
from bayespip.reanalysis.agreement import ROW, CrossCheck, cross_check
from bayespip.reanalysis.cases import Case, LeftOut, cases
from bayespip.reanalysis.comparison import EXTREMES, Values, as_frame, extremes_of, published_row, rows_of
from bayespip.reanalysis.model_runs import quantities_of, run_models
from bayespip.reanalysis.quantities import EXACT, FREQUENTIST, PARAMETERS, SAMPLED, Bayesian, Frequentist
from bayespip.reanalysis.selection import chosen_analyses, require_some, with_priors
from bayespip.reproduction import reproduce
from bayespip.sensitivity.robustness import sentences, tipping_frame, tipping_points

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from bayespip.priors import Priors
    from bayespip.reanalysis.quantities import Method
    from bayespip.review import Analysis, Review

__all__ = ["Reanalysis", "reanalyse"]

DEPENDENCE = (
    "The outcomes share trials and participants and are not independent; nothing is adjusted for the number of "
    "outcomes, priors or methods compared."
)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Reanalysis:
    """A review pooled again.

    Attributes
    ----------
    review
        What was re-analysed.
    analyses
        Its analyses, those asked for; subgroups that are pooled without a total are analyses of their own
        (``cases.pooled_results``).
    table
        Tidy table: one row an analysis, number of studies, method, prior and parameter; columns as in
        ``comparison.COLUMNS``, display scale with the model scale beside it.
    trees
        Sampled posteriors by analysis label, of other models by label and model: ArviZ DataTrees with a dimension
        ``prior``.
    checks
        The two engines compared: one row an analysis and prior.
    extremes
        The study data that attain the bounds (possible data, never data): one row a method, prior, quantity, end
        and study; model scale.
    assumptions
        One row an analysis and sentence.
    priors
        One row a measure and prior: axis ("mu" or "tau"), the name in the table, density and source.
    tipping
        Where each conclusion tips: one row an analysis, number of studies and question; columns as in
        ``sensitivity.robustness.TIPPING``.
    sentences
        What becomes of each claim: one row an analysis and number of studies.
    reproduction
        The results that the review's file stores, computed again as RevMan does (``Review.reproduce``); empty where
        none are stored.
    settings
        level, seed, pooling, analyses (those asked for, or None), bounds, pymc, models (if any), versions, commit (of
        a checkout).
    cases
        What was fitted: one an analysis and number of studies.
    sets
        The priors of each case.
    unfitted
        What the models asked for could not fit: analysis, k, model, prior, reason.

    Examples
    --------
    >>> result = bp.reanalyse(bp.load_review("bcg"), with_pymc=False)
    >>> [analysis.id for analysis in result.analyses], result.settings["level"]
    (['1.1'], 0.95)
    """

    review: Review
    analyses: tuple[Analysis, ...]
    table: pd.DataFrame
    trees: dict[str, xr.DataTree]
    checks: pd.DataFrame
    extremes: pd.DataFrame
    assumptions: pd.DataFrame
    priors: pd.DataFrame
    tipping: pd.DataFrame
    sentences: pd.DataFrame
    reproduction: pd.DataFrame
    settings: dict[str, Any]
    cases: tuple[Case, ...]
    sets: tuple[tuple[PriorSet, ...], ...]
    unfitted: pd.DataFrame

    def report(self, file: str | Path, *, ratings: Mapping[str, str | tuple[str, str]] | None = None) -> Path:
        """Write the report, one HTML file that needs no network: see ``report.html.write_report``."""
        from bayespip.report.html import write_report

        return write_report(self, file, ratings=ratings)

    def save(self, folder: str | Path) -> Path:
        """Write the tables, posterior.nc, summary.md, report.html and the figure.

        Tables: comparison.csv and .parquet, tipping.csv, assumptions.csv, checks.csv, extremes.csv, reproduction.csv.
        Files are written beside the
        folder's others under a temporary name and moved into place when all are whole, so that an error leaves
        earlier results as they were.
        """
        from bayespip.reanalysis.saving import save

        return save(self, folder)


def reanalyse(
    review: Review,
    priors: Sequence[Priors | PriorSet] | None = None,
    *,
    analyses: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    level: float = 0.95,
    pooling: str = "IV",
    with_bounds: bool = True,
    with_pymc: bool = True,
    models: Sequence[str] = (),
    seed: int = 1,
    progress: Progress | None = None,
) -> Reanalysis:
    """Pool every outcome of a review again.

    Parameters
    ----------
    review
        From ``load_review`` or ``read_review``.
    priors
        Priors for all analyses; the defaults for each measure if None (``priors.sets.default_priors``).
    analyses
        Ids of the analyses wanted, as ``pooled_results`` numbers them ("4.1" is all of its subgroups); all if None.
    topics
        Cochrane topics of the empirical priors; the review's own, or all of Cochrane, if None.
    level
        Probability of the intervals.
    pooling
        "IV" or "MH": how published Qs were computed (``consistent_studies``).
    with_bounds
        Bounds over the study data consistent with published results.
    with_pymc
        Sample every posterior with PyMC as well.
    models
        Other models to fit beside the normal-normal one, under the same priors (``bayespip models`` lists them); of
        a published result on its equal-variance member.
    seed
        Of everything random; the same seed gives the same tables.
    progress
        Called with a stage, the number done and the number to do.

    Raises
    ------
    ValueError
        If a published result or a posterior under the priors given is impossible; the message names it. If there is
        no analysis of an id, nothing to fit, or two priors have one label. An analysis of study data that cannot be
        pooled stands in the table with the reason instead.

    Examples
    --------
    >>> result = bp.reanalyse(bp.load_review("bcg"), with_pymc=False)
    >>> rows = result.table.query("parameter == 'mu'").head(5)
    >>> print(rows[["method", "prior", "point", "lower", "upper"]].round(2).to_string(index=False))
                 method                prior  point  lower  upper
           common, Wald                        0.65   0.60   0.70
               DL, Wald                        0.49   0.34   0.70
             REML, HKSJ                        0.49   0.33   0.73
     REML, HKSJ floored                        0.49   0.33   0.73
    exact normal-normal tau HN(0.5), mu flat   0.49   0.34   0.71
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    for name in models:
        load(name)
    chosen = chosen_analyses(review, analyses)
    fittable, left = cases(review.id, chosen, review.studies, pooling=pooling)
    fitted, its_priors, improper = with_priors(fittable, priors, topics or review.topics or (POOLED_TOPIC,))
    reasons = {out.analysis.id: out.reason for out in (*left, *improper)}
    require_some(fitted, review, chosen, reasons)
    report = progress or (lambda stage, done, total: None)
    outcomes = _each("posteriors", lambda i: _values(fitted[i], its_priors[i], level, seed), len(fitted), report)
    reasons |= {out.analysis.id: out.reason for out in outcomes if isinstance(out, LeftOut)}
    kept = [i for i, out in enumerate(outcomes) if not isinstance(out, LeftOut)]
    todo, sets, values = [fitted[i] for i in kept], [its_priors[i] for i in kept], [outcomes[i] for i in kept]
    require_some(todo, review, chosen, reasons)
    trees, checks = _sample(todo, sets, level, seed, report) if with_pymc else ({}, {})
    if with_bounds and any(case.family for case in todo):
        found = _each("bounds", lambda i: _with_bounds(todo[i], sets[i], values[i], level, seed), len(todo), report)
        values = list(found)
    tipped = partial(tipping_points, level=level, with_bounds=with_bounds)
    tips = _each("tipping points", lambda i: tipped(todo[i]), len(todo), report)
    runs = run_models(models, todo, sets, level=level, seed=seed, report=report)
    trees |= runs.trees(todo)
    sampled = _checked(todo, sets, checks)
    every = [[*own, *checked, *others] for own, checked, others in zip(values, sampled, runs.values, strict=True)]
    table = as_frame(_rows(chosen, reasons, todo, every, level))
    settings = {"level": level, "seed": seed, "pooling": pooling, "bounds": with_bounds, "pymc": with_pymc}
    settings |= {"models": tuple(models)} if models else {}
    settings |= {"analyses": None if analyses is None else tuple(a.id for a in chosen)}
    settings |= {"versions": versions(), "commit": commit()}
    return Reanalysis(
        review,
        chosen,
        table,
        trees,
        _checks_frame(todo, sets, checks),
        _extremes_frame(todo, values),
        _assumptions_frame(todo),
        _priors_frame(todo, sets),
        tipping_frame(todo, tips),
        sentences(todo, tips, table),
        reproduce(review),
        settings,
        tuple(todo),
        tuple(sets),
        runs.unfitted(),
    )


def _rows(
    chosen: Sequence[Analysis],
    reasons: Mapping[str, str],
    todo: Sequence[Case],
    values: Sequence[Sequence[Values]],
    level: float,
) -> list[dict[str, Any]]:
    """Of every analysis its published row, then those of its cases; of one left out a row that says why."""
    of_data = {case.analysis.id: case.k for case in todo if case.family is None}
    rows: list[dict[str, Any]] = []
    for analysis in chosen:
        if analysis.reported is not None or analysis.studies is None or analysis.id in reasons:
            rows.append(published_row(analysis, k=of_data.get(analysis.id), not_pooled=reasons.get(analysis.id, "")))
        for case, own in zip(todo, values, strict=True):
            if case.analysis is analysis:
                rows += [row for v in own for row in rows_of(case, v, level)]
    return rows


def _each(stage: str, work: Callable[[int], Any], count: int, report: Progress) -> list[Any]:
    """Results of work(0), ..., work(count - 1), computed on all processors: the kernels leave the interpreter lock."""
    report(stage, 0, count)
    results: list[Any] = [None] * count
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        futures = {pool.submit(work, i): i for i in range(count)}
        for done, future in enumerate(as_completed(futures), start=1):
            results[futures[future]] = future.result()
            report(stage, done, count)
    return results


def _values(case: Case, sets: Sequence[PriorSet], level: float, seed: int) -> list[Values] | LeftOut:
    """Values of one case without bounds; of study data that no engine can pool, the reason: the others go on."""
    try:
        return _computed(case, sets, level, seed)
    except (ValueError, ArithmeticError) as error:
        if case.family is not None:
            raise
        return LeftOut(case.analysis, f"its posterior cannot be computed: {error}")


def _computed(case: Case, sets: Sequence[PriorSet], level: float, seed: int) -> list[Values]:
    """Frequentist methods, then the exact engine under each prior."""
    yi, vi = case.effects.yi[None], case.effects.vi[None]
    of = "study data" if case.family is None else "equal-variance member"
    found = [Values(m.name, m.quantities(yi, vi)[0], of) for m in _frequentist(level)]
    members = admissible(case.family, seed=seed) if case.family else None
    for s in sets:
        if case.family is None:
            found.append(Values(EXACT, quantities_of(exact_fit(case.effects, s.priors, level=level)), of, s))
        else:
            averaged = conditional(case.family, Bayesian(s.priors, level), members=members)
            found.append(Values(EXACT, averaged.quantities, "conditional posterior", s))
    return found


def _with_bounds(
    case: Case, sets: Sequence[PriorSet], values: Sequence[Values], level: float, seed: int
) -> list[Values]:
    """The same values with their bounds over the family."""
    if case.family is None:
        return list(values)
    methods: list[Method] = [*_frequentist(level), *(Bayesian(s.priors, level) for s in sets)]
    found = bounds(case.family, methods, seed=seed)
    return [replace(v, bounds=b) for v, b in zip(values, found, strict=True)]


def _frequentist(level: float) -> list[Frequentist]:
    return [Frequentist(tau2, ci, level) for tau2, ci in FREQUENTIST]


def _sample(
    todo: Sequence[Case], sets: Sequence[Sequence[PriorSet]], level: float, seed: int, report: Progress
) -> tuple[dict[str, xr.DataTree], dict[tuple[str, str], CrossCheck]]:
    """Sample every analysis under every prior; one tree an analysis."""
    from bayespip.mcmc.trees import joined

    total = sum(len(s) for s in sets)
    report("PyMC", 0, total)
    checks: dict[tuple[str, str], CrossCheck] = {}
    trees = {}
    for case, its_sets in zip(todo, sets, strict=True):
        for s in its_sets:
            fit_seed = seed + len(checks)
            checks[case.label, s.priors.label] = cross_check(case.effects, s.priors, seed=fit_seed, level=level)
            report("PyMC", len(checks), total)
        fits = {s.priors.label: checks[case.label, s.priors.label].fit for s in its_sets}
        kept = {label: fit for label, fit in fits.items() if fit is not None}
        if kept:
            trees[case.label] = joined(kept, analysis=case.analysis.id, basis=case.basis)
    return trees, checks


def _sampled(case: Case, prior: PriorSet, check: CrossCheck) -> Values:
    of = "study data" if case.family is None else "equal-variance member"
    if check.fit is None:
        return Values(SAMPLED, np.full(3 * len(PARAMETERS) + 1, np.nan), of, prior, note=check.note)
    return Values(SAMPLED, quantities_of(check.fit), of, prior, note=check.note)


def _checked(
    todo: Sequence[Case], sets: Sequence[Sequence[PriorSet]], checks: Mapping[tuple[str, str], CrossCheck]
) -> list[list[Values]]:
    """Of each case the sampled values under its priors; none where nothing was sampled."""
    if not checks:
        return [[] for _ in todo]
    return [
        [_sampled(case, s, checks[case.label, s.priors.label]) for s in its_sets]
        for case, its_sets in zip(todo, sets, strict=True)
    ]


def _extremes_frame(todo: Sequence[Case], values: Sequence[Sequence[Values]]) -> pd.DataFrame:
    rows = [row for case, own in zip(todo, values, strict=True) for v in own for row in extremes_of(case, v)]
    return pd.DataFrame(rows, columns=EXTREMES)


def _assumptions_frame(todo: Sequence[Case]) -> pd.DataFrame:
    rows = [(case.analysis.id, case.k, sentence) for case in todo for sentence in case.assumptions]
    return pd.DataFrame(rows, columns=["analysis", "k", "assumption"])


def _priors_frame(todo: Sequence[Case], sets: Sequence[Sequence[PriorSet]]) -> pd.DataFrame:
    rows = dict.fromkeys(
        (case.measure.name, axis, name, str(prior), prior.source)
        for axis in ("tau", "mu")
        for case, its_sets in zip(todo, sets, strict=True)
        for s in its_sets
        for name, prior in [(getattr(s, axis), getattr(s.priors, axis))]
    )
    return pd.DataFrame(list(rows), columns=["measure", "axis", "name", "density", "source"])


def _checks_frame(
    todo: Sequence[Case], sets: Sequence[Sequence[PriorSet]], checks: dict[tuple[str, str], CrossCheck]
) -> pd.DataFrame:
    rows = [
        {"analysis": case.analysis.id, "k": case.k, "prior": s.priors.label} | checks[case.label, s.priors.label].row()
        for case, its_sets in zip(todo, sets, strict=True)
        for s in its_sets
        if checks
    ]
    return pd.DataFrame(rows, columns=["analysis", "k", "prior", *ROW])
