"""What becomes of a claim along a family of priors, and where it tips."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bayespip.plots.axes import effect_axis, plain_axis, settle, start
from bayespip.plots.style import BLACK, BLUE, COLUMN, FAINT, GREY, MM, PALE, VERMILION, drawing
from bayespip.sensitivity.points import TippingRange

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bayespip.sensitivity.paths import TippingCurve
    from bayespip.sensitivity.points import TippingPoint

__all__ = ["plot_tipping"]

HEIGHT = 75 * MM
_REACH = 1.5  # interval widths that the y axis goes beyond the medians
_INTERVAL = "#9ecae1"  # lightness between the black line on it and the ground


@drawing()
def plot_tipping(data: TippingCurve, *, ax: Axes | None = None) -> Axes:
    """How a claim about mu fares as the scale of a prior grows.

    Of a claim about the interval: median and interval of mu against the scale. Of a claim about a probability: that
    mu lies on the claim's side of no effect, with the probability asked for. The ground is grey where the claim
    holds; a line stands where it is lost or regained, and over a family of study data a hatched band from the
    smallest to the largest tipping point of its members.

    Parameters
    ----------
    data
        From ``tipping_curve``.
    ax
        Where to draw; text stays within its rectangle. A figure as wide as a journal's column if None.

    Raises
    ------
    ValueError
        If ax is too small for the text.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> axes = bp.plot_tipping(bp.tipping_curve(invented, "half-normal", "interval"))
    >>> axes.get_yscale()
    'log'
    """
    table, point, measure = data.table, data.point, data.measure
    scale = table["scale"].to_numpy()
    ax, cell = start(ax, COLUMN, HEIGHT)
    plain_axis(ax, "x", (float(scale[0]), float(scale[-1])), log=True)
    ax.set_xlabel(f"{_name(point)} ({measure.model_scale}, log axis)")
    handles = [_mark_holds(ax, data)]
    if data.is_of_interval:
        lower, upper, median = (table[edge].to_numpy() for edge in ("lower", "upper", "point"))
        effect_axis(ax, measure, tuple(measure.display(_limits(data)).tolist()), which="y", label="Average effect")
        ax.axhline(measure.null, color=GREY, lw=0.6, zorder=2.5)
        band = ax.fill_between(scale, lower, upper, color=_INTERVAL, lw=0, label=f"{100 * data.level:g}% interval of μ")
        ax.plot(scale, lower, color=BLUE, lw=0.6)
        ax.plot(scale, upper, color=BLUE, lw=0.6)
        handles = [*ax.plot(scale, median, color=BLACK, lw=1.2, label="median of μ"), band, *handles]
    else:
        probability = table["prob_side"].to_numpy()
        lowest = min(float(probability.min()), 0.5)
        plain_axis(ax, "y", (lowest, 1.0)).set_label_text(f"Probability that μ is {point.side} no effect")
        asked = ax.axhline(data.threshold, color=GREY, lw=0.8, ls=(0, (4, 1.5)), label=f"asked for: {data.threshold:g}")
        line = ax.plot(scale, probability, color=BLUE, lw=1.2, label=f"probability that μ is {point.side} no effect")
        handles = [*line, asked, *handles]
    settle(ax, cell, legend=[*handles, *_mark_tips(ax, data)])
    return ax


def _name(point: TippingPoint) -> str:
    """Of the scale that varies."""
    if point.on == "mu":
        return "SD of a sceptical normal prior on μ"
    what = "Upper limit" if point.family == "uniform" else "Scale"
    return f"{what} of the {point.family} prior on τ"


def _limits(data: TippingCurve) -> NDArray[np.float64]:
    """Of the y axis, model scale: no effect, all medians, and the intervals as far as they say something.

    Toward scales that say next to nothing an interval may widen without end.
    """
    table = data.table
    lower, upper, median = (table[f"{edge}_model"].to_numpy() for edge in ("lower", "upper", "point"))
    inside = np.append(median, 0.0)
    tips = _finite_ends(data.point)
    at = np.interp(np.log(tips or [1.0]), np.log(table["scale"]), upper - lower)
    width = float(at.max()) if tips else float(np.median(upper - lower))
    low, high = max(lower.min(), inside.min() - _REACH * width), min(upper.max(), inside.max() + _REACH * width)
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.04 * (high - low)
    return np.array([low - margin, high + margin])


def _finite_ends(point: TippingPoint) -> list[float]:
    """Where a claim is lost or regained, increasing."""
    return [end for holds in point.holds for end in holds if 0 < end < math.inf]


def _mark_holds(ax: Axes, data: TippingCurve) -> Artist:
    """Grey ground where the claim holds; returns its legend entry."""
    from matplotlib.patches import Patch

    left, right = ax.get_xlim()
    for start_, end in data.point.holds:
        ax.axvspan(max(start_, left), min(end, right), color=PALE, alpha=0.55, lw=0, zorder=0)
    side = f"{data.point.side} no effect"
    held = f"the interval lies {side}" if data.is_of_interval else f"P(μ {side}) > {data.threshold:g}"
    return Patch(facecolor=PALE, alpha=0.55, label=f"where {held}")


def _mark_tips(ax: Axes, data: TippingCurve) -> list[Artist]:
    """Lines where the claim tips, a band over the members; returns their legend entries, in the claim's words."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    for end in _finite_ends(data.point):
        ax.axvline(end, color=VERMILION, lw=1.0, zorder=3)
    colour = VERMILION if _finite_ends(data.point) else "none"
    handles: list[Artist] = [Line2D([], [], color=colour, lw=1.0, label=_written(str(data.point)))]
    if isinstance(data.tipping, TippingRange):
        left, right = ax.get_xlim()
        low, high = (min(max(p.scale, left), right) for p in (data.tipping.lowest, data.tipping.highest))
        ax.axvspan(low, high, facecolor="none", hatch="////", hatchcolor=FAINT, lw=0, zorder=0.5)
        members = str(data.tipping).removeprefix(str(data.point)).strip(", ")
        handles.append(Patch(facecolor="none", hatch="////", hatchcolor=FAINT, lw=0, label=_written(members)))
    return handles


def _written(sentence: str) -> str:
    return sentence.replace("tau", "τ").replace("on mu", "on μ")
