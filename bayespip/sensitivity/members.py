"""Tipping points over a family of study data: the members where a claim is lost first and last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bayespip.published_only.bounds import bounds
from bayespip.published_only.consistent import Family
from bayespip.reanalysis.quantities import QUANTITIES, TOLERANCE
from bayespip.sensitivity.grid import middle_scale
from bayespip.sensitivity.points import TippingPoint, TippingRange
from bayespip.sensitivity.tipping import (
    SCEPTICAL,
    Question,
    answer,
    is_above,
    question_of,
    scales_between,
    tipping_point,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.priors import Prior
    from bayespip.sensitivity.curves import Curve

    Array = NDArray[np.float64]

__all__ = ["tipping_of", "tipping_range"]

# Scales between which a member's tipping point is sought by interpolation: of typical standard errors.
_SEARCH_RANGE, _SEARCH_A_DECADE = (0.05, 100.0), 3


def tipping_range(
    data: Family,
    family: str | Callable[[float], Prior] = "half-normal",
    claim: str | float = "interval",
    *,
    mu: Prior | None = None,
    tau: Prior | None = None,
    side: str | None = None,
    level: float = 0.95,
    steps: int | None = None,
    seed: int = 1,
) -> TippingRange:
    """Tipping points over the study data that are consistent with a published result.

    Parameters
    ----------
    data
        From ``consistent_studies``.
    family, claim, mu, tau, side, level
        As in ``tipping_point``; the side is that of the published estimate if None.
    steps, seed
        Of the search among members, as in ``bounds``.

    Returns
    -------
    TippingRange
        At the equal-variance member, and the smallest and largest over all members: found by the search that finds
        the bounds, with the tipping scale itself as the quantity.

    Examples
    --------
    >>> family = bp.consistent_studies(bp.load_review("pip")["P9"].reported)
    >>> print(bp.tipping_range(family, "half-normal", "interval"))
    lost once tau's half-normal scale exceeds 0.893 at the equal-variance member (0.454 to 1.02 over the members)
    """
    above = is_above(side, float(data.measure.model(data.reported.estimate.value)))
    question = question_of(data.k, data.measure, family, claim, mu=mu, tau=tau, above=above, level=level)
    method = _Scale(question, question.curve(_search_scales(data)))
    found = bounds(data, [method], steps=steps, seed=seed)[0]
    members = (data.effects(found.yi[end, -1], found.vi[end, -1]) for end in (0, 1))
    low, high = sorted((answer(question, effects) for effects in members), key=lambda point: point.scale)
    return TippingRange(answer(question, data.illustration()), low, high)


def tipping_of(
    data: EffectSizes | Family, *, claim: str | float = "interval", side: str | None = None, level: float = 0.95
) -> tuple[TippingPoint, TippingPoint] | tuple[TippingRange, TippingRange]:
    """The two tipping points that are shown for every outcome.

    Parameters
    ----------
    data
        Study effects, or the family of study data consistent with a published result.
    claim, side, level
        As in ``tipping_point``.

    Returns
    -------
    tuple
        Along the scale of a half-normal prior on tau, beside a flat mu; and along the SD of a sceptical normal prior
        on mu, beside a half-normal prior on tau whose scale is the middle one of the default grid.
    """
    effects = data.illustration() if isinstance(data, Family) else data
    middle = middle_scale(effects)
    if isinstance(data, Family):
        return (
            tipping_range(data, "half-normal", claim, side=side, level=level),
            tipping_range(data, SCEPTICAL, claim, tau=middle, side=side, level=level),
        )
    return (
        tipping_point(data, "half-normal", claim, side=side, level=level),
        tipping_point(data, SCEPTICAL, claim, tau=middle, side=side, level=level),
    )


def _search_scales(data: Family) -> Array:
    """Scales for the search among members, by the published standard error and the published effect."""
    m, s = (float(x) for x in data.printed.centre)
    low, high = _SEARCH_RANGE
    return scales_between(low * s, high * max(s, abs(m)), _SEARCH_A_DECADE)


@dataclass(frozen=True)
class _Scale:
    """The tipping scale as a quantity, for ``bounds``: in the place of P(mu > 0), all others nan.

    In log scale, interpolated between the scales of the curve. Where a member tips at none of them, its distance
    from doing so at the end continues the quantity, that the search may climb there too.
    """

    question: Question
    curve: Curve

    @property
    def name(self) -> str:
        """As in the protocol ``quantities.Method``."""
        return f"tipping point of {self.question.family}"

    def quantities(self, yi: Array, vi: Array, tolerance: float = TOLERANCE) -> Array:
        """See ``quantities.Method``."""
        del tolerance
        out = np.full((len(yi), len(QUANTITIES)), np.nan)
        out[:, -1] = self._log_scale(yi, vi)
        return out

    def chosen(self, yi: Array, vi: Array, which: NDArray[np.intp]) -> Array:
        """See ``quantities.Method``."""
        del which
        return self._log_scale(yi, vi)

    def _log_scale(self, yi: Array, vi: Array) -> Array:
        far = self.curve(yi, vi, above=self.question.above)
        tiny = np.finfo(float).tiny
        # how many SDs of a normal the far side's probability is from the largest that the claim allows
        margin = ndtri(self.question.tail) - ndtri(np.clip(far, tiny, 1 - 1e-16))
        x = np.log(self.curve.scales)
        if self.question.on == "mu":  # from the flat prior downwards
            return -_first_loss(-x[::-1], margin[:, ::-1])
        return _first_loss(x, margin)


def _first_loss(x: Array, margin: Array) -> Array:
    """Where margins, shape (B, S), first fall to zero along x; continued beyond both ends by the margin there."""
    lost = margin <= 0
    at = lost.argmax(axis=1)
    rows = np.arange(len(margin))
    before = np.maximum(at - 1, 0)
    gap = margin[rows, before] - margin[rows, at]
    share = np.divide(margin[rows, before], gap, out=np.zeros(len(gap)), where=gap > 0)
    found = x[before] + share * (x[at] - x[before])
    found = np.where(lost[:, 0], x[0] + margin[:, 0], found)
    return np.asarray(np.where(lost.any(axis=1), found, x[-1] + margin.min(axis=1)))
