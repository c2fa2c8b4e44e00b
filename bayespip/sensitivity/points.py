"""What a search for a tipping point answers, as values and as sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bayespip.fits import Estimate

__all__ = ["TippingPoint", "TippingRange"]


@dataclass(frozen=True, slots=True)
class TippingPoint:
    """Where a claim is lost along a family of priors.

    Attributes
    ----------
    on
        "tau" or "mu": whose prior is varied.
    family
        Its family; the prior on mu of a ``SCEPTICAL`` one is N(0, scale^2).
    beside
        The other prior, which stays.
    claim
        In words.
    side
        "above" or "below" no effect.
    holds
        Ranges of the scale in which the claim holds, increasing; 0 and infinity stand for the ends of the search.
    searched
        Smallest and largest scale tried.
    interval_at
        Median and central interval of mu at ``scale``; nan where there is none.
    """

    on: str
    family: str
    beside: str
    claim: str
    side: str
    holds: tuple[tuple[float, float], ...]
    searched: tuple[float, float]
    interval_at: Estimate

    @property
    def answer(self) -> Literal["tips", "never", "always"]:
        """Whether the claim "tips" at ``scale``, or is "never" or "always" lost at the scales tried."""
        if not self.holds:
            return "always"
        return "never" if self.holds == ((0.0, math.inf),) else "tips"

    @property
    def scale(self) -> float:
        """Where the claim is first lost, coming from no heterogeneity (tau) or from a flat prior (mu).

        0 (tau) or infinity (mu) if it is always lost, infinity or 0 if never. A claim that does not hold at that
        end but does elsewhere has the scale at which it is lost again, else that from which it holds.
        """
        if self.answer != "tips":
            return math.inf if (self.answer == "never") == (self.on == "tau") else 0.0
        if self.on == "tau":
            start, end = self.holds[0]
            return end if math.isfinite(end) else start
        start, end = self.holds[-1]
        return start if start > 0 else end

    @property
    def row(self) -> dict[str, Any]:
        """Its fields for a table, without the ranges."""
        names = ("on", "family", "beside", "claim", "side", "answer", "scale")
        return {name: getattr(self, name) for name in names} | {"sentence": str(self)}

    def __str__(self) -> str:
        """Such as "lost once tau's half-normal scale exceeds 0.31"."""
        what = "tau's half-normal scale" if self.family == "half-normal" else f"the scale of tau's {self.family} prior"
        what = "the SD of a sceptical normal prior on mu" if self.on == "mu" else what
        if self.answer == "always":
            return f"does not hold whatever {what}"
        if self.answer == "never":
            return f"holds whatever {what}"
        (start, end), *more = self.holds
        if not more and start == 0:
            return f"lost once {what} exceeds {end:.3g}"
        if not more and math.isinf(end):
            return f"lost once {what} falls below {start:.3g}"
        ranges = (f"{a:.3g} to {b:.3g}" if math.isfinite(b) else f"{a:.3g} and more" for a, b in self.holds)
        return f"holds only where {what} is {' or '.join(ranges)}"


@dataclass(frozen=True, slots=True)
class TippingRange:
    """Tipping points over a family of consistent study data.

    Attributes
    ----------
    reference
        At the equal-variance member.
    lowest, highest
        At the members where the scale is smallest and largest; "never" and "always" count as the ends.
    """

    reference: TippingPoint
    lowest: TippingPoint
    highest: TippingPoint

    @property
    def row(self) -> dict[str, Any]:
        """The reference's row, with answer and scale at both ends."""
        ends = {"min": self.lowest, "max": self.highest}
        more = {f"{name}_{end}": getattr(p, name) for name in ("answer", "scale") for end, p in ends.items()}
        return self.reference.row | more | {"sentence": str(self)}

    def __str__(self) -> str:
        """The reference's sentence, and the range over the members."""
        if {p.answer for p in (self.reference, self.lowest, self.highest)} in ({"always"}, {"never"}):
            return f"{self.reference}, in every member"
        low, high = (_bound(p) for p in (self.lowest, self.highest))
        members = f"{low} in all members" if low == high else f"{low} to {high} over the members"
        return f"{self.reference} at the equal-variance member ({members})"


def _bound(point: TippingPoint) -> str:
    return f"{point.scale:.3g}" if point.answer == "tips" else f"{point.answer} lost"
