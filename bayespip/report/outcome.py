"""What the report says of one outcome: facts, verdict, figures, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.report.explorer import explorer
from bayespip.report.outcome_figures import outcome_pictures
from bayespip.report.outcome_tables import methods_table, studies_table, tipping_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from bayespip.report.data_tables import DataTable
    from bayespip.report.figures import Picture
    from bayespip.report.subjects import Subject
    from bayespip.report.verdicts import Verdict

__all__ = ["Outcome", "outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The content of one outcome's section."""

    facts: tuple[str, ...]
    note: str
    verdict: Verdict
    figures: tuple[Picture, ...]
    tables: tuple[DataTable, ...]
    explorer: Markup
    assumptions: tuple[str, ...]


def outcome(subject: Subject, verdict: Verdict) -> Outcome:
    """Draw and tabulate one outcome; the verdict is from ``verdicts``."""
    tables = (methods_table(subject), studies_table(subject), tipping_table(subject))
    return Outcome(
        tuple(_facts(subject)),
        subject.finding.analysis.note,
        verdict,
        tuple(outcome_pictures(subject)),
        tuple(table for table in tables if table.rows),
        explorer(subject.result, subject.place, subject.id),
        subject.case.assumptions,
    )


def _facts(subject: Subject) -> Iterator[str]:
    f, case = subject.finding, subject.case
    r = f.reported
    if f.analysis.comparison:
        yield f.analysis.comparison
    yield case.measure.label.lower()
    yield f"k = {f.k}{f' ({f.k_source})' if f.k_source else ''}"
    if r is not None:
        yield f"published {f.published}{f', {r.claim}' if r.claim else ''}"
    yield f"{f.favours} is favourable" if f.favours else "favourable direction not stated"
    alone = "from the published numbers alone (consistent-with-reported)"
    yield "from the study data" if case.family is None else alone
