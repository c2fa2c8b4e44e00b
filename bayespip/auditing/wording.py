"""A finding of the audit, and how implied numbers read."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bayespip.review import Printed

_DIGITS = 4
_TAIL = 1e-3  # relative error of the software's tail probabilities: RevMan 5 is off by 3e-5 at 1e-8, 6e-4 at 1e-12

CERTAINTIES = ("impossible", "inconsistent", "unusual")


class Finding(NamedTuple):
    """One contradiction.

    Attributes
    ----------
    check
        What was compared.
    printed, implied
        What is printed, and what the other numbers or statements imply.
    how_sure
        "impossible": nothing that prints so can agree under the named method; "inconsistent": it agrees only under
        another method than the stated one, or two statements differ; "unusual": possible, but to be looked at.
    sentence
        All of it in words.
    """

    check: str
    printed: str
    implied: str
    how_sure: str
    sentence: str


def p_limits(p: Printed) -> tuple[float, float]:
    """Smallest and largest p-value that prints so, within 0 to 1."""
    return max(p.lower * (1 - _TAIL), 0.0), min(p.upper * (1 + _TAIL), 1.0)


def between(low: float, high: float) -> str:
    """A range whose ends are rounded outwards to four significant digits: "0.007413 to 0.008294"."""
    if math.isinf(high):
        return f"at least {downwards(low)}"
    ends = downwards(low), upwards(high)
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def downwards(x: float) -> str:
    """Four significant digits, never more than x."""
    return _round(x, ROUND_FLOOR)


def upwards(x: float) -> str:
    """Four significant digits, never less than x."""
    return _round(x, ROUND_CEILING)


def _round(x: float, mode: str) -> str:
    # 12 digits first, so that 0.15000000000000002 is 0.15
    number = Decimal(f"{x:.11e}")
    if number == 0:
        return "0"
    unit = Decimal(1).scaleb(number.adjusted() - _DIGITS + 1)
    return f"{float(number.quantize(unit, rounding=mode)):.{_DIGITS}g}"
