"""The outcomes that a report has sections of: each finding with what was fitted, and its id on the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.text.findings import findings

if TYPE_CHECKING:
    from bayespip.priors.sets import PriorSet
    from bayespip.reanalysis.cases import Case
    from bayespip.reanalysis.job import Reanalysis
    from bayespip.text.findings import Finding

__all__ = ["Subject", "subjects"]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One outcome with one number of studies.

    Attributes
    ----------
    result
        The re-analysis.
    place
        Of its case among ``result.cases``.
    finding
        All results on it.
    id
        Of its section; the ids of its figures and tables begin with it.
    """

    result: Reanalysis
    place: int
    finding: Finding
    id: str

    @property
    def case(self) -> Case:
        """What was fitted."""
        return self.result.cases[self.place]

    @property
    def sets(self) -> tuple[PriorSet, ...]:
        """Its priors."""
        return self.result.sets[self.place]

    @property
    def about(self) -> str:
        """Outcome and time."""
        return ", ".join(part for part in (self.finding.analysis.outcome, self.finding.analysis.timepoint) if part)

    @property
    def words(self) -> str:
        """What a search finds it by, in lower case."""
        case, reported = self.case, self.finding.reported
        named = reported.studies_named if reported else ()
        studies = case.effects.study if case.family is None else named
        parts = (self.finding.label, self.about, case.analysis.comparison, case.measure.name, case.measure.label)
        return " ".join((*parts, *studies)).lower()


def subjects(result: Reanalysis) -> tuple[Subject, ...]:
    """One an analysis and number of studies, in the review's order; ids are made of labels, and all different."""
    found: list[Subject] = []
    taken: set[str] = set()
    places = {(case.analysis.id, case.k): place for place, case in enumerate(result.cases)}
    for finding in findings(result):
        name = "outcome-" + (re.sub(r"[^A-Za-z0-9]+", "-", finding.label).strip("-") or "x")
        while name in taken:
            name += "_"
        taken.add(name)
        found.append(Subject(result, places[finding.analysis.id, finding.k], finding, name))
    return tuple(found)
