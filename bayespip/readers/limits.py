"""A standard error from the limits of an interval, if they lie symmetrically about the estimate."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayespip.measures import Measure
    from bayespip.readers.sheets import Sheet

__all__ = ["standard_error"]

# Of limits with all digits of a double: what a few rounding errors do to them, in interval lengths.
_COMPUTED = 1e-9


def standard_error(
    table: Sheet, columns: tuple[str, ...], i: int, *, study: str, measure: Measure, written: Measure, level: float
) -> float:
    """Half the length of a Wald interval over its normal quantile, on the model scale.

    Parameters
    ----------
    table
        Where the numbers stand.
    columns
        Of the estimate, the lower and the upper limit.
    i
        Row, from 0.
    study
        Its label, for messages.
    measure
        Effect measure.
    written
        A measure with the scale on which the numbers are written.
    level
        Probability of the interval.

    Raises
    ------
    ReadError
        If a number is missing or not possible, the limits are not in order, or their distances from the estimate
        differ by more than half a unit of the last printed digits allows.
    """
    from scipy.special import ndtri

    numbers = [_possible(table, column, i, written) for column in columns]
    estimate, lower, upper = (float(written.model(x)) for x in numbers)
    if not lower < upper:
        raise table.error(columns[1], i, f"a lower limit below the upper one of {table.text(columns[2], i)}")
    (e_low, e_high), (l_low, l_high), (u_low, u_high) = (
        _rounded(table.text(column, i), x, written) for column, x in zip(columns, numbers, strict=True)
    )
    slack = _COMPUTED * (upper - lower)
    # Some estimate and limits that print so are symmetric iff the ranges of 2 e and of l + u meet.
    if 2 * e_high + slack < l_low + u_low or l_high + u_high + slack < 2 * e_low:
        otherwise = "" if written.limits == measure.limits else " (numbers on the display scale need scale='display')"
        raise table.error(
            columns[0],
            i,
            f"the estimate of {study} in the middle of its interval on the {'log' if measure.log else 'model'} scale, "
            f"where it is {estimate - lower:.6g} above the lower and {upper - estimate:.6g} below the upper "
            f"limit{otherwise}",
        )
    return (upper - lower) / (2 * float(ndtri((1 + level) / 2)))


def _possible(table: Sheet, column: str, i: int, written: Measure) -> float:
    value, (low, high) = table.number(column, i), written.limits
    if not low < value < high:
        raise table.error(column, i, f"a number between {low:g} and {high:g}")
    return value


def _rounded(text: str, value: float, written: Measure) -> tuple[float, float]:
    """Smallest and largest number, on the model scale, that prints as this one."""
    half, (low, high) = _half_unit(text, value), written.limits
    # Within the open display scale: its ends have no place on the model scale.
    ends = max(value - half, math.nextafter(low, value)), min(value + half, math.nextafter(high, value))
    return float(written.model(ends[0])), float(written.model(ends[1]))


def _half_unit(text: str, value: float) -> float:
    """Half a unit of the last digit that is written."""
    written = text.replace("\N{MINUS SIGN}", "-")
    written = written.replace(",", ".") if written.count(",") == 1 and "." not in written else written
    try:
        exponent = Decimal(written).as_tuple().exponent
    except InvalidOperation:
        exponent = Decimal(repr(value)).as_tuple().exponent
    return float(Decimal(5).scaleb(int(exponent) - 1))
