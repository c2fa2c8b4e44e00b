"""What a review gives to fit: one case an analysis and number of studies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bayespip.effects import EffectSizes, effect_sizes
from bayespip.frequentist.pooling import COLUMNS, pool
from bayespip.measures import BINARY, CONTINUOUS
from bayespip.published_only.consistent import BASIS, Family, consistent_studies
from bayespip.published_only.trials import control_trials, largest_arm
from bayespip.readers.results import reported_of
from bayespip.study_data.arm_formulas import has_empty_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from bayespip.measures import Measure
    from bayespip.review import Analysis, Review
    from bayespip.settings import Settings

# For a result whose number of studies was not published: the design allows either.
UNSTATED_K = (1, 2)
USUAL_LEVEL = 0.95  # of intervals, where nothing is said of another


@dataclass(frozen=True)
class Case:
    """One analysis to fit.

    Attributes
    ----------
    analysis
        Of the review.
    k
        Number of studies.
    effects
        The study data; or the family's equal-variance member, which only illustrates.
    family
        The study data consistent with the published result; None where study data are at hand.
    assumptions
        Sentences about what is taken for granted.
    sd
        Of mean differences: the standard deviation within the studies' arms, pooled; None where it is not known.
    """

    analysis: Analysis
    k: int
    effects: EffectSizes
    family: Family | None
    assumptions: tuple[str, ...]
    sd: float | None = None

    @property
    def measure(self) -> Measure:
        """Effect measure."""
        return self.effects.measure

    @property
    def basis(self) -> str:
        """Basis of every number computed from this case, as in the tables."""
        return "study data" if self.family is None else BASIS

    @property
    def label(self) -> str:
        """The analysis's id; with k where it is fitted for more than one."""
        reported = self.analysis.reported
        several = self.family is not None and reported is not None and reported.k is None
        return f"{self.analysis.id}-k{self.k}" if several else self.analysis.id


@dataclass(frozen=True)
class LeftOut:
    """An analysis of which nothing is fitted, and why."""

    analysis: Analysis
    reason: str


def pooled_results(review: Review) -> tuple[Analysis, ...]:
    """The review's analyses, those that pool subgroups without a total over them as one analysis a subgroup.

    A subgroup's id is its analysis's with the subgroup's number, "4.1.2"; where the file gives one number to several
    subgroups, with its place among them.
    """
    return tuple(part for analysis in review for part in _parts(analysis))


def _parts(analysis: Analysis) -> Iterator[Analysis]:
    settings = analysis.settings
    if settings is None or settings.totals != "subgroups" or not analysis.subgroups:
        yield analysis
        return
    stored = analysis.stored
    numbers = [s.number for s in analysis.subgroups]
    if len(set(numbers)) < len(numbers):
        numbers = list(range(1, len(numbers) + 1))
    for number, subgroup in zip(numbers, analysis.subgroups, strict=True):
        rows = analysis.rows(subgroup.name).assign(subgroup="", in_total=True)
        own = None if stored is None else stored[stored["subgroup"] == subgroup.name].assign(subgroup="")
        total = replace(settings, totals="total")
        yield replace(
            analysis,
            id=f"{analysis.id}.{number}",
            outcome=f"{analysis.outcome}: {subgroup.name}",
            studies=rows,
            settings=total,
            subgroups=(),
            stored=own,
            reported=None if own is None else reported_of(own, analysis.measure, total, analysis.favours),
        )


def cases(
    review_id: str, analyses: Sequence[Analysis], trials: pd.DataFrame | None = None, *, pooling: str = "IV"
) -> tuple[tuple[Case, ...], tuple[LeftOut, ...]]:
    """What of these analyses can be fitted, in their order, and what cannot.

    Parameters
    ----------
    review_id
        For messages.
    analyses
        From ``pooled_results``.
    trials
        The review's table of trials, for the sizes of arms where only pooled results were published.
    pooling
        As in ``consistent_studies``.

    Raises
    ------
    ValueError
        If a published result has no study data that agree with it; the message names it and says why.
    """
    found: list[Case] = []
    left: list[LeftOut] = []
    for analysis in analyses:
        if analysis.studies is not None:
            try:
                found.append(_with_studies(analysis))
            except ValueError as error:
                left.append(LeftOut(analysis, str(error)))
        elif analysis.reported is not None:
            try:
                found += _published(analysis, trials, pooling)
            except ValueError as error:
                raise ValueError(f"{review_id} {analysis.id}: {error}") from None
    return tuple(found), tuple(left)


def _with_studies(analysis: Analysis) -> Case:
    settings, measure = analysis.settings, analysis.measure
    if settings is None:
        if measure is None:
            raise ValueError("its effect measure is not known.")
        rows = analysis.rows()
        effects = effect_sizes(rows, measure)
        assumptions = tuple(_about_table(rows, effects, measure))
        return Case(analysis, effects.k, effects, None, assumptions, _standard_deviation(rows, measure))
    if measure is None:
        raise ValueError(f"data of the type {settings.data_type!r} are not pooled.")
    rows = analysis.rows()
    if rows.empty:
        raise ValueError("it holds no studies.")
    if settings.totals != "total":
        raise ValueError("the review does not pool it.")
    pooled = pool(rows, settings, measure)
    if pooled is None:
        raise ValueError(f"no study is estimable: {_with_data(rows, settings)}.")
    used = rows[rows["study"].isin(pooled.effects.study)]
    excluded = _with_data(rows[rows["study"].isin(pooled.excluded)], settings)
    assumptions = (*_about_pooling(used, settings, measure), *_about_rows(analysis, excluded))
    return Case(analysis, pooled.effects.k, pooled.effects, None, assumptions, _standard_deviation(used, measure))


def _with_data(rows: pd.DataFrame, settings: Settings) -> str:
    """Studies with their data, so that a reader sees why they are not estimable: no events, or impossible numbers."""
    columns = COLUMNS[settings.data_type]
    return ", ".join(
        f"{row['study']} ({', '.join(f'{name} {row[name]:g}' for name in columns)})" for _, row in rows.iterrows()
    )


def _standard_deviation(rows: pd.DataFrame, measure: Measure) -> float | None:
    """Within arms, pooled over all of them with weights n - 1."""
    if measure.name != "MD" or not set(CONTINUOUS) <= set(rows):
        return None
    squares = [(n - 1) * sd**2 for n, sd in ((rows["n_e"], rows["sd_e"]), (rows["n_c"], rows["sd_c"]))]
    df = float((rows["n_e"] + rows["n_c"] - 2).sum())
    return math.sqrt(float(sum(x.sum() for x in squares)) / df) if df > 0 else None


def _about_pooling(rows: pd.DataFrame, settings: Settings, measure: Measure) -> Iterator[str]:
    """How the effects of a file's studies are computed, and what of it differs from the review, as sentences."""
    if settings.swap_events:
        yield "Events and non-events change places before anything is computed, as the review's settings say."
    if settings.model == "fixed" and len(rows) > 1:
        yield (
            "The stored result assumes one effect in all studies (fixed effect); here effects may differ between them, "
            "but for the row of the common effect."
        )
    if settings.method == "MH" and len(rows) > 1:
        yield (
            "The review pools by Mantel-Haenszel; here every study enters with its own effect and standard error, "
            "which need not give the stored result to the last digit."
        )
    if settings.data_type == "dichotomous":
        yield from _about_empty_cells(rows, measure)
    if settings.level_total != USUAL_LEVEL:
        yield f"The stored interval, and so the claim, is of {100 * settings.level_total:g}%."


def _about_table(rows: pd.DataFrame, effects: EffectSizes, measure: Measure) -> Iterator[str]:
    """How the effects of a user's own table are computed, as sentences."""
    if measure.columns != BINARY or not set(BINARY) <= set(rows) or "yi" in rows:
        return
    used = rows["study"].isin(effects.study)
    if not used.all():
        yield f"Not estimable, and so left out: {', '.join(rows['study'][~used])}."
    yield from _about_empty_cells(rows[used], measure)


def _about_empty_cells(rows: pd.DataFrame, measure: Measure) -> Iterator[str]:
    """Which studies have 0.5 added, as a sentence."""
    if measure.name == "PETO":
        return
    empty = has_empty_cell({name: rows[name].to_numpy(dtype=float) for name in BINARY})
    if empty.any():
        where = "all four cells" if measure.log else "all four cells in the variance"
        yield f"0.5 is added to {where} of studies with an empty one: {', '.join(rows['study'][empty])}."


def _about_rows(analysis: Analysis, excluded: str) -> Iterator[str]:
    """What was done with the rows of a file, as sentences."""
    studies = analysis.studies
    assert studies is not None  # noqa: S101  (the caller's branch)
    total = studies[studies["in_total"]]
    if excluded:
        yield f"Not estimable, and so left out: {excluded}."
    again = list(dict.fromkeys(total["study"][total["study"].duplicated()]))
    if again:
        yield (
            f"Every row counts as an independent study, also where one trial has several: {', '.join(map(str, again))}."
        )
    only = list(dict.fromkeys(studies["study"][~studies["in_total"]]))
    if only:
        yield f"Entered in a subgroup only, and so not in the total: {', '.join(map(str, only))}."


def _published(analysis: Analysis, trials: pd.DataFrame | None, pooling: str) -> list[Case]:
    reported = analysis.reported
    assert reported is not None  # noqa: S101  (the caller's branch)
    sizes, arm = None, None
    about_sizes: tuple[str, ...] = ()
    if trials is not None:
        sizes, about_sizes = control_trials(trials)
        arm = largest_arm(trials)
    found = []
    for k in (reported.k,) if reported.k is not None else UNSTATED_K:
        family = consistent_studies(reported, k=k, pooling=pooling, trials=sizes, largest_arm=arm)
        more = about_sizes if reported.measure.name == "SMD" else ()
        found.append(Case(analysis, k, family.illustration(), family, (*family.assumptions, *more)))
    return found
