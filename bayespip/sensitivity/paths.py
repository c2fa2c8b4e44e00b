"""A conclusion along a family of priors: mu, its interval and the probability of a claim at scale after scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.exact.batches import exact_batch
from bayespip.published_only.consistent import Family
from bayespip.sensitivity.members import tipping_range
from bayespip.sensitivity.points import TippingRange
from bayespip.sensitivity.tipping import question_of, scales_between, tipping_point

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.measures import Measure
    from bayespip.priors import Prior
    from bayespip.sensitivity.points import TippingPoint
    from bayespip.sensitivity.tipping import Question

__all__ = ["TippingCurve", "tipping_curve"]

# Scales shown: from where a prior is no longer felt among these studies, to where it says next to nothing; in units
# of the smallest standard error and of the largest distance there is, and a factor beyond every tipping point.
_SMALLEST, _LARGEST, _BEYOND = 0.1, 10.0, 3.0
_A_DECADE = 24
_EDGES = {"point": "median", "lower": "lower", "upper": "upper"}


@dataclass(frozen=True, slots=True, eq=False)
class TippingCurve:
    """What a family of priors makes of a claim, scale by scale.

    Attributes
    ----------
    tipping
        Where the claim tips: for one data set, or over a family of them.
    measure
        The effect measure.
    level
        Probability of the intervals.
    threshold
        The claim holds where the probability of its side of no effect is larger: (1 + level) / 2 for an interval.
    is_of_interval
        Whether the claim is that the interval excludes no effect.
    table
        One row a scale, increasing: scale; point (median), lower and upper of mu on the display scale; the same on
        the model scale (``_model``); prob_side, the probability that mu is on the claim's side. For a family of
        data, at the equal-variance member.
    """

    tipping: TippingPoint | TippingRange
    measure: Measure
    level: float
    threshold: float
    is_of_interval: bool
    table: pd.DataFrame

    @property
    def point(self) -> TippingPoint:
        """Where the claim tips for the data of ``table``."""
        return self.tipping.reference if isinstance(self.tipping, TippingRange) else self.tipping


def tipping_curve(
    data: EffectSizes | Family,
    family: str | Callable[[float], Prior] = "half-normal",
    claim: str | float = "interval",
    *,
    mu: Prior | None = None,
    tau: Prior | None = None,
    side: str | None = None,
    level: float = 0.95,
) -> TippingCurve:
    """The claim's tipping point and the posterior of mu around it.

    Parameters
    ----------
    data
        Effects of k studies on the model scale; or the family of study data consistent with a published result.
    family, claim, mu, tau, side, level
        As in ``tipping_point``.

    Raises
    ------
    ValueError
        As in ``tipping_point``.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> curve = bp.tipping_curve(invented, "half-normal", "interval")
    >>> print(curve.tipping)
    lost once tau's half-normal scale exceeds 0.208
    """
    found: TippingPoint | TippingRange
    if isinstance(data, Family):
        found = tipping_range(data, family, claim, mu=mu, tau=tau, side=side, level=level)
        effects, point = data.illustration(), found.reference
    else:
        found = point = tipping_point(data, family, claim, mu=mu, tau=tau, side=side, level=level)
        effects = data
    above = point.side == "above"
    question = question_of(effects.k, effects.measure, family, claim, mu=mu, tau=tau, above=above, level=level)
    table = _table(effects, question, _scales(effects, found))
    return TippingCurve(found, effects.measure, level, 1 - question.tail, claim == "interval", table)


def _scales(effects: EffectSizes, found: TippingPoint | TippingRange) -> NDArray[np.float64]:
    points = (found.reference, found.lowest, found.highest) if isinstance(found, TippingRange) else (found,)
    tips = [end for p in points for holds in p.holds for end in holds if 0 < end < math.inf]
    size = float(max(effects.sei.max(), np.abs(effects.yi).max()))
    smallest = min([_SMALLEST * float(effects.sei.min()), *(t / _BEYOND for t in tips)])
    return scales_between(smallest, max([_LARGEST * size, *(t * _BEYOND for t in tips)]), _A_DECADE)


def _table(effects: EffectSizes, question: Question, scales: NDArray[np.float64]) -> pd.DataFrame:
    import pandas as pd

    fitted = exact_batch([effects], [question.make(float(s)) for s in scales], level=question.level).isel(analysis=0)
    reasons = [str(r) for r in fitted["reason"].values if r]
    if reasons:
        raise ValueError(reasons[0])
    model = {edge: fitted[f"mu_{name}"].to_numpy() for edge, name in _EDGES.items()}
    positive = fitted["prob_positive"].to_numpy()
    return pd.DataFrame(
        {"scale": scales}
        | {edge: effects.measure.display(values) for edge, values in model.items()}
        | {f"{edge}_model": values for edge, values in model.items()}
        | {"prob_side": positive if question.above else 1 - positive}
    )
