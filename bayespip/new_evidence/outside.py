"""Earlier and later evidence on a review's question, and what may be done with it.

Evidence in another measure or of another intervention is shown beside a result, neither predicted nor pooled.
Evidence that includes the review's own trials, or trials of its intervention, would count them twice: it may serve as
a sensitivity analysis with a mixture weight of at most one half, and every output says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bayespip.catalogue import load_external_facts, load_review
from bayespip.measures import Measure, as_measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["LARGEST_WEIGHT", "Evidence", "beside", "external_evidence", "require_same_question"]

# Of evidence that counts trials twice: it never outweighs the vague component beforehand.
LARGEST_WEIGHT = 0.5
_Z95 = float(ndtri(0.975))  # of a published 95% interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One result from outside a review.

    Attributes
    ----------
    id
        Short name.
    what
        Intervention, comparator and outcome, in words.
    measure
        Its effect measure; a name is accepted.
    estimate, lower, upper
        Effect and its 95% interval on the display scale; the limits nan where not given.
    intervention
        What was done.
    same_intervention
        Whether that is, or includes, the review's intervention.
    counted_twice
        Why it would count trials twice; "" if it does not.
    source
        Where it was read.

    Raises
    ------
    ValueError
        If the measure is unknown, or the estimate not on its scale.

    Examples
    --------
    >>> one = bp.external_evidence("pip")[0]
    >>> one.what, one.estimate, one.same_intervention
    ('VIPP-PMH versus usual care: maternal sensitivity (observer-rated), month 5', 1.94, False)
    """

    id: str
    what: str
    measure: Measure
    estimate: float
    lower: float = math.nan
    upper: float = math.nan
    intervention: str
    same_intervention: bool
    counted_twice: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "measure", as_measure(self.measure))
        low, high = self.measure.limits
        if not (math.isfinite(self.estimate) and low < self.estimate < high):
            raise ValueError(
                f"estimate must be finite and between {low:g} and {high:g}, as {self.measure.name} is; "
                f"got {self.estimate!r} for {self.id}."
            )

    @property
    def se(self) -> float | None:
        """Standard error on the model scale, from the 95% interval; None where there is none."""
        limits = self.measure.model(np.array([self.lower, self.upper]))
        width = float(limits[1] - limits[0])
        return width / (2 * _Z95) if math.isfinite(width) else None

    def obstacles(self, measure: Measure) -> tuple[str, ...]:
        """Why it is no evidence on an effect in this measure, as clauses."""
        found = []
        if self.measure.name != measure.name:
            found.append(f"it is {self.measure.name}, the review's result {measure.name}")
        if not self.same_intervention:
            found.append(f"it is of {self.intervention}, another intervention than the review's")
        return tuple(found)

    def use(self, measure: Measure) -> str:
        """What may be done with it beside a result in this measure, as a sentence."""
        obstacles = self.obstacles(measure)
        if obstacles:
            return f"Shown beside, neither predicted nor pooled: {'; '.join(obstacles)}."
        if self.counted_twice:
            return f"Sensitivity only, weight at most {LARGEST_WEIGHT:g}. COUNTS TRIALS TWICE: {self.counted_twice}."
        return "Earlier evidence for a robust prior."


def external_evidence(name: str) -> tuple[Evidence, ...]:
    """The evidence that a bundled review has from outside, in the order of its table.

    Parameters
    ----------
    name
        As of ``load_review``.

    Raises
    ------
    ValueError
        If there is no review of that name; the message lists the choices.

    Examples
    --------
    >>> [(one.id, one.measure.name) for one in bp.external_evidence("pip")]
    [('barnicot-m5', 'RR'), ('barnicot-m8', 'RR'), ('bk2003-sensitivity', 'SMD'), ('bk2003-attachment', 'SMD')]
    """
    table, facts = load_review(name).external, load_external_facts(name)
    if table is None:
        return ()
    return tuple(
        Evidence(
            id=row["id"],
            what=row["what"] + (f", {row['timepoint']}" if row["timepoint"] else ""),
            measure=row["measure"],
            estimate=float(row["estimate"]),
            lower=float(row["ci_lower"]),
            upper=float(row["ci_upper"]),
            source=row["source"],
            **facts[row["id"]],
        )
        for row in table.to_dict("records")
    )


def require_same_question(evidence: Evidence, measure: Measure, doing: str) -> None:
    """Refuse evidence in another measure or of another intervention.

    Raises
    ------
    ValueError
        If it is; the message names both.
    """
    obstacles = evidence.obstacles(measure)
    if obstacles:
        raise ValueError(f"{evidence.id} cannot be {doing}: {'; '.join(obstacles)}. It can be shown beside.")


def beside(evidence: Sequence[Evidence], measure: str | Measure) -> pd.DataFrame:
    """Outside evidence as printed, with what may be done with it beside a result in a measure.

    Returns
    -------
    DataFrame
        One row each: id, what, intervention, measure, estimate, lower, upper (display scale), use, source.
    """
    import pandas as pd

    spec = as_measure(measure)
    rows = [
        (e.id, e.what, e.intervention, e.measure.name, e.estimate, e.lower, e.upper, e.use(spec), e.source)
        for e in evidence
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = ["id", "what", "intervention", "measure", "estimate", "lower", "upper", "use", "source"]
