"""Ratings of certainty by GRADE, which only people can give, and the statements that go with them.

The statements are those of GRADE guidelines 26: Santesso N, Glenton C, Dahm P, et al. Informative statements to
communicate the findings of systematic reviews of interventions. J Clin Epidemiol 2020;119:126-135. A rating weighs
risk of bias, inconsistency, indirectness, imprecision and publication bias; no number that is computed here sets it,
and without one no word of these statements is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.text.arm_names import arm_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bayespip.text.findings import Finding

__all__ = ["LEVELS", "SIZES", "Rating", "as_ratings"]

LEVELS = ("high", "moderate", "low", "very low")
SIZES = ("large", "moderate", "small", "trivial")
# How each level says "results in a large reduction", "reduces", and "results in little to no difference in".
_VERBS = {"high": ("results", "s"), "moderate": ("probably results", "probably "), "low": ("may result", "may ")}
_COUNTED = ("RR", "OR", "PETO", "RD", "HR")  # above no effect, more events; a score's direction must be stated


@dataclass(frozen=True, slots=True)
class Rating:
    """A user's rating of one outcome.

    Attributes
    ----------
    level
        Certainty of the evidence: one of LEVELS.
    size
        Of the effect, one of SIZES, as judged by the user; empty if not judged.

    Raises
    ------
    ValueError
        If either is not one of the choices.
    """

    level: str
    size: str = ""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"a rating must be one of {', '.join(LEVELS)}; got {self.level!r}.")
        if self.size not in ("", *SIZES):
            raise ValueError(f"the size of an effect must be one of {', '.join(SIZES)}; got {self.size!r}.")

    def __str__(self) -> str:
        size = f", the effect as {self.size}" if self.size else ""
        return f"The user of this report rated the certainty of the evidence as {self.level}{size} (GRADE)"

    def statement(self, f: Finding) -> str:
        """The rating, named as the user's, and the informative statement that goes with it.

        Its direction is that of the published estimate, else of REML's. No direction is given where it is not stated
        whether more of a score is better, and none where the interval includes no effect and the user judged no size:
        the statements that name a direction are meant for effects that matter.
        """
        said = self._informative(f)
        return f"{self}: {said}" if said else f"{self}; no statement follows without a judgement of the effect's size."

    def _informative(self, f: Finding) -> str:
        arm, outcome = arm_names(f.analysis)[0], f.analysis.outcome
        if self.level == "very low":
            return f"the evidence is very uncertain about the effect of {arm} on {outcome}."
        results, verb = _VERBS[self.level]
        if self.size == "trivial":
            return f"{arm} {results} in little to no difference in {outcome}."
        direction = _direction(f)
        if not direction or not (self.size or f.claimed):
            return ""
        if self.size == "large":
            noun = {"increase": "increase", "reduce": "reduction"}[direction]
            return f"{arm} {results} in a large {noun} in {outcome}."
        does = f"{direction}s" if self.level == "high" else f"{verb}{direction}"
        if self.level == "moderate":
            does += "s"
        return f"{arm} {does} {outcome}{' slightly' if self.size == 'small' else ''}."


def as_ratings(given: Mapping[str, str | tuple[str, str]] | None, labels: Collection[str]) -> dict[str, Rating]:
    """Ratings by the label of an outcome.

    Parameters
    ----------
    given
        One of LEVELS, or a pair of it and one of SIZES, by label ("P1", "P7 (k = 1)"); None for none.
    labels
        Of the re-analysis, ``Finding.label``.

    Raises
    ------
    ValueError
        If a label is unknown, or a rating is not one of the choices; the message lists them.
    """
    found = {}
    for label, rating in (given or {}).items():
        if label not in labels:
            raise ValueError(f"ratings must be of {', '.join(labels)}; got {label!r}.")
        try:
            found[label] = Rating(rating) if isinstance(rating, str) else Rating(*rating)
        except (TypeError, ValueError) as error:
            raise ValueError(f"ratings[{label!r}]: {error}") from None
    return found


def _direction(f: Finding) -> str:
    """Which way the estimate points: "increase" or "reduce"; empty where a score's direction is not stated."""
    measure, r = f.analysis.measure, f.reported
    if measure is None or (measure.name not in _COUNTED and not f.favours):
        return ""
    effect = f.headline.mu["point_model"] if r is None else float(r.measure.model(r.estimate.value))
    return "increase" if effect > 0 else "reduce"
