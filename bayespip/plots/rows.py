"""Rows of labelled results: how high they are, what is written left of them, how far their axes reach.

Lengths are in points (1/72 inch); y counts down from the top of the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import MEASURES, Measure
from bayespip.plots.style import MM
from bayespip.plots.text import FONT, LINE_HEIGHT, text_width, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

LINE = FONT * LINE_HEIGHT
SPACE = 4.0  # between text and what is beside it
_ROUNDING = 1.0  # of the figure's size, which is no lack of room


@dataclass(frozen=True, slots=True)
class Rows:
    """Labels in lines, and the rows they need.

    Attributes
    ----------
    labels
        Wrapped.
    width
        Of the widest line.
    middles
        Of every row.
    depth
        Of all rows together.
    """

    labels: tuple[str, ...]
    width: float
    middles: tuple[float, ...]
    depth: float


def rows(labels: Sequence[str], width: float, *, lines: int = 1, padding: float = 2.0) -> Rows:
    """Rows as high as their labels, wrapped to a width, and at least so many lines; with so much space between."""
    its = [wrapped(label, width) for label in labels]
    heights = [LINE * max(len(one), lines) + padding for one in its]
    feet = list(accumulate(heights))
    middles = tuple(foot - height / 2 for foot, height in zip(feet, heights, strict=True))
    widest = max((text_width(line) for one in its for line in one), default=0.0)
    return Rows(tuple("\n".join(one) for one in its), widest, middles, sum(heights))


def label_rows(ax: Axes, its: Rows) -> None:
    """Write the labels left of the Axes, and let it show all rows, the first on top."""
    ax.set_ylim(its.depth, 0)
    ax.set_yticks(its.middles, its.labels, ha="left", va="center_baseline", parse_math=False)
    ax.tick_params(axis="y", length=0, pad=its.width + SPACE)
    ax.spines["left"].set_visible(False)


def require_room(have: float, need: float, what: str) -> None:
    """Refuse Axes in which rows or columns would meet."""
    if have < need - _ROUNDING:
        raise ValueError(f"ax is too small: {what} need {need / MM:.0f} mm beside the text; it leaves {have / MM:.0f}.")


def reach(point: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, always: Sequence[float] = ()) -> tuple[float, float]:
    """Limits of an axis: all points, and intervals as far as one median length beyond the outermost point.

    Parameters
    ----------
    point, lower, upper
        Model scale, any shape; those not finite are left out.
    always
        Values that must be inside, such as no effect.
    """
    points, low, high = (np.asarray(x, dtype=float).ravel() for x in (point, lower, upper))
    inside = np.concatenate([points[np.isfinite(points)], always])
    lengths = (high - low)[np.isfinite(high - low)]
    length = float(np.median(lengths)) if lengths.size else 0.0
    first, last = float(inside.min(initial=math.inf)), float(inside.max(initial=-math.inf))
    left = max(first - length, float(np.nanmin(np.append(low, first))))
    right = min(last + length, float(np.nanmax(np.append(high, last))))
    margin = 0.03 * (right - left) or 1.0
    return left - margin, right + margin


def measure_of(table: pd.DataFrame) -> Measure:
    """The measure of a tidy table; of a file's own measure the two scales tell whether it is a ratio."""
    name = str(table["measure"].iloc[0])
    if name in MEASURES:
        return MEASURES[name]
    of_effects = table[table["parameter"] != "tau"]
    return Measure(name, name, (), log=bool((of_effects["point"] != of_effects["point_model"]).any()))
