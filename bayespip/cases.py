"""What a review gives to fit: one case an analysis and number of studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.consistent import BASIS, Family, consistent_studies
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.trials import control_trials, largest_arm

if TYPE_CHECKING:
    from bayespip.measures import Measure
    from bayespip.review import Analysis, Review

# For a result whose number of studies was not published: the design allows either.
UNSTATED_K = (1, 2)


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
    """

    analysis: Analysis
    k: int
    effects: EffectSizes
    family: Family | None
    assumptions: tuple[str, ...]

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


def cases(review: Review, *, pooling: str = "IV") -> tuple[Case, ...]:
    """Every analysis of a review that can be fitted, in its order.

    Analyses with neither study data nor a published result give none.

    Raises
    ------
    ValueError
        If an analysis cannot be fitted; the message names it and says why.
    """
    found: list[Case] = []
    for analysis in review:
        try:
            if analysis.studies is not None and analysis.measure is not None:
                effects = effect_sizes(analysis.studies, analysis.measure)
                found.append(Case(analysis, effects.k, effects, None, ()))
            elif analysis.reported is not None:
                found += _published(review, analysis, pooling)
        except ValueError as error:
            raise ValueError(f"{review.id} {analysis.id}: {error}") from None
    return tuple(found)


def _published(review: Review, analysis: Analysis, pooling: str) -> list[Case]:
    reported = analysis.reported
    assert reported is not None  # noqa: S101  (the caller's branch)
    trials, arm = None, None
    about_sizes: tuple[str, ...] = ()
    if review.studies is not None:
        trials, about_sizes = control_trials(review.studies)
        arm = largest_arm(review.studies)
    found = []
    for k in (reported.k,) if reported.k is not None else UNSTATED_K:
        family = consistent_studies(reported, k=k, pooling=pooling, trials=trials, largest_arm=arm)
        more = about_sizes if reported.measure.name == "SMD" else ()
        found.append(Case(analysis, k, family.illustration(), family, (*family.assumptions, *more)))
    return found
