"""Numbers as people read them: the same in the terminal and in the summary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayespip.review import Printed

UNDEFINED = "undefined"
_LONGEST_PRINTED = 8  # characters
_MOST_DECIMALS = 9


def number(x: float, null: float = 0.0) -> str:
    """A number on the display scale.

    Parameters
    ----------
    x
        What to show; nan is "undefined".
    null
        No effect: 1 for ratios, which get two decimals but never less than two significant digits; 0 for
        differences and for tau, which get two decimals.

    Returns
    -------
    str
        A number that is not the null never reads as the null (1.00004 stays 1.00004): it decides whether an
        interval excludes no effect.
    """
    if math.isnan(x):
        return UNDEFINED
    if x == 0 or math.isinf(x):
        return f"{x + 0.0:g}"
    size = abs(x)
    if size >= 1e6 or size < 10.0**-_MOST_DECIMALS or (null == 1 and not 1e-3 <= size < 1e4):
        mantissa, exponent = f"{x:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2
    if null == 1 and size < 0.1:
        decimals = 1 - math.floor(math.log10(size))
    text = f"{x:.{decimals}f}"
    while float(text) == null != x and decimals < _MOST_DECIMALS:
        decimals += 1
        text = f"{x:.{decimals}f}"
    return text


def printed(x: Printed, null: float = 0.0) -> str:
    """A published number as printed; one of more digits than people print, as files store them, like any other."""
    return str(x) if len(str(x)) <= _LONGEST_PRINTED else number(x.value, null)


def interval(lower: float, upper: float, null: float = 0.0) -> str:
    """Such as "1.25 to 63.7"; "undefined" if a limit is."""
    if math.isnan(lower) or math.isnan(upper):
        return UNDEFINED
    return f"{number(lower, null)} to {number(upper, null)}"


def estimate(point: float, lower: float, upper: float, null: float = 0.0) -> str:
    """Such as "8.93 (1.25 to 63.7)"."""
    return f"{number(point, null)} ({interval(lower, upper, null)})"


def spread(smallest: float, largest: float, null: float = 0.0) -> str:
    """Smallest and largest value of one quantity, such as "2.02..3.05"; once if they read the same."""
    low, high = number(smallest, null), number(largest, null)
    return low if low == high else f"{low}..{high}"


def probability(p: float) -> str:
    """Three decimals; never 1.000 for less than one, nor 0.000 for more than zero; empty for nan."""
    if math.isnan(p):
        return ""
    if p >= 0.9995:
        return "1" if p == 1 else ">0.999"
    if p < 0.0005:
        return "0" if p == 0 else "<0.001"
    return f"{p:.3f}"


def probabilities(smallest: float, largest: float) -> str:
    """Smallest and largest probability, such as "0.865..0.998"; once if they read the same."""
    low, high = probability(smallest), probability(largest)
    return low if low == high else f"{low}..{high}"


def count(n: int, noun: str, plural: str = "") -> str:
    """Such as "1 prior", "14 priors" or, with its plural, "2 studies"."""
    return f"{n} {noun}" if n == 1 else f"{n} {plural or f'{noun}s'}"
