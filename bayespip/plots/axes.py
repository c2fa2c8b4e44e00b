"""What the figures share: Axes that keep their text within a rectangle, scales and ticks, arrows, names of sides.

A plot function begins with ``start(ax, ...)``, draws, and ends with ``settle(ax, cell)``: whatever the size of the
figure, labels and ticks then stand within the rectangle that the Axes had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

import numpy as np
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from bayespip.plots.style import BLACK, FAINT, MM
from bayespip.plots.text import FONT, LINE_HEIGHT, SMALL, text_width, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import ArrayLike

    from bayespip.measures import Measure

MARGIN = 2 * MM
SMALLEST_PLOT = 12 * MM
_APART = 4.5  # between the labels of two ticks
_BELOW_TICKS = 12.5  # from the axis to what stands under its tick labels
_GAP = 5.0  # between Axes and the strip beneath
_ROUNDS = 6  # ticks change with the size of the Axes, and the size with the ticks


def start(ax: Axes | None, width: float, height: float) -> tuple[Axes, Bbox]:
    """The Axes to draw on, dressed, and the rectangle its text must keep to.

    Parameters
    ----------
    ax
        The user's Axes; a new figure if None.
    width, height
        Of a new figure, in points.

    Returns
    -------
    ax, cell
        The rectangle is in fractions of the figure: the Axes' own, or a new figure less its margin.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(width / 72, height / 72), layout="none")
        ax = figure.add_axes(margins(width, height))
    dress(ax)
    return ax, ax.get_position().frozen()


def margins(width: float, height: float) -> tuple[float, float, float, float]:
    """The rectangle, from left, bottom, width and height, that a figure's margins leave, in fractions of it."""
    across, down = MARGIN / width, MARGIN / height
    return across, down, 1 - 2 * across, 1 - 2 * down


def dress(ax: Axes) -> None:
    """Spines, ticks and font as in the style file, also on Axes that were made before and for ticks still to come."""
    ax.tick_params(labelsize=FONT, length=2, width=0.6, pad=1.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_linewidth(0.6)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set(fontsize=FONT, parse_math=False)
        axis.labelpad = 2


def room_width(ax: Axes | None, width: float) -> float:
    """Width of the cell that ``start(ax, width, ...)`` gives, in points."""
    return width - 2 * MARGIN if ax is None else plot_size(ax)[0]


def plot_size(ax: Axes) -> tuple[float, float]:
    """Width and height of the Axes, in points."""
    box = ax.get_window_extent()
    scale = 72 / _root(ax).dpi
    return box.width * scale, box.height * scale


def settle(
    ax: Axes, cell: Bbox, *, legend: Sequence[Artist] = (), sides: tuple[str, str] = ("", ""), note: str = ""
) -> None:
    """Place the Axes so that all its text stands within the cell: the last step of a plot.

    Labels of the axes are wrapped to their length. Children, as of ``strip_beneath``, move along.

    Parameters
    ----------
    ax
        Drawn whole; labels and ticks set.
    cell
        From ``start``.
    legend
        Handles that carry their labels; they stand along the top of the cell, in as many columns as fit.
    sides
        What lies left and right of no effect, written under the ends of the x axis (``sides_of``).
    note
        Sentences along the bottom of the cell.

    Raises
    ------
    ValueError
        If there is no room for a plot beside the text.
    """
    room = _below_legend(ax, legend, cell) if legend else cell
    room = _above_note(ax, note, room) if note else room
    beside = [*([ax.get_legend()] if legend else []), *(ax.texts[-1:] if note else [])]
    texts = _side_texts(ax) if any(sides) else None
    below = [(child.xaxis.label, 0) for child in ax.child_axes]
    labels = [(t, t.get_text(), which) for t, which in ((ax.xaxis.label, 0), (ax.yaxis.label, 1), *below)]
    ax.set_position(room)
    for _ in range(_ROUNDS):
        lengths = plot_size(ax)
        for label, words, which in labels:
            label.set_text("\n".join(wrapped(words, lengths[which])))
        if texts:
            lines = [wrapped(side, lengths[0] / 2 - _APART) for side in sides]
            for text, its in zip(texts, lines, strict=True):
                text.set_text("\n".join(its))
            ax.xaxis.labelpad = 2 + max(map(len, lines)) * FONT * LINE_HEIGHT
        before = ax.get_position()
        after = _within(ax, room, beside)
        _require_room(ax, cell, after)
        ax.set_position(after)
        if np.allclose(before.extents, after.extents, rtol=0, atol=1e-4):
            return


def strip_beneath(ax: Axes, height: float, *, shared: bool = True) -> Axes:
    """A child beneath the Axes, `height` points high.

    Its x axis is shared, with tick labels and x label below the child only, or its own.
    """
    child = ax.inset_axes((0, -0.3, 1, 0.2), sharex=ax if shared else None)

    def place(_: Axes, __: object) -> Bbox:
        figure = ax.get_figure()
        assert figure is not None  # noqa: S101
        # not figure.bbox, which is the cut while a figure is saved with bbox_inches="tight", as notebooks do
        point = _root(ax).dpi / 72 / figure.transSubfigure.transform_bbox(Bbox.unit()).height
        at = ax.get_position()
        return Bbox.from_extents(at.x0, at.y0 - (height + _GAP) * point, at.x1, at.y0 - _GAP * point)

    child.set_axes_locator(place)  # type: ignore[arg-type]
    dress(child)
    if shared:
        ax.tick_params(labelbottom=False)
    return child


def _side_texts(ax: Axes) -> list[Any]:
    return [
        ax.annotate(
            "", (x, 0), xycoords="axes fraction", xytext=(0, -_BELOW_TICKS), textcoords="offset points", va="top",
            ha=ha, annotation_clip=False, fontsize=FONT, parse_math=False,
        )
        for x, ha in ((0, "left"), (1, "right"))
    ]  # fmt: skip


def _below_legend(ax: Axes, handles: Sequence[Artist], cell: Bbox) -> Bbox:
    """What the cell has left below a legend along its top; long labels are wrapped."""
    figure = ax.get_figure()
    assert figure is not None  # noqa: S101  (an Axes that was removed from its figure cannot be drawn on)
    width = cell.width * figure.bbox.width * 72 / _root(ax).dpi
    key = 3.8 * FONT  # the handle and its space
    labels = ["\n".join(wrapped(str(h.get_label()), width - key - FONT)) for h in handles]
    widths = [max(map(text_width, label.split("\n"))) + key + 1.5 * FONT for label in labels]
    fitting = (n for n in range(len(widths), 1, -1) if sum(max(c) for c in np.array_split(widths, n)) <= width)
    legend = ax.legend(
        handles=handles, labels=labels, loc="upper left", ncols=next(fitting, 1), fontsize=FONT, frameon=False,
        bbox_to_anchor=(cell.x0, cell.y1), bbox_transform=figure.transSubfigure, borderpad=0, borderaxespad=0,
        handlelength=3, labelspacing=0.3, columnspacing=1.5,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    taken = figure.transSubfigure.inverted().transform_bbox(legend.get_window_extent()).height
    space = FONT * _root(ax).dpi / 72 / figure.bbox.height
    return Bbox.from_extents(cell.x0, cell.y0, cell.x1, cell.y1 - taken - space)


def _above_note(ax: Axes, note: str, cell: Bbox) -> Bbox:
    """What the cell has left above small print along its bottom."""
    figure = ax.get_figure()
    assert figure is not None  # noqa: S101
    point = _root(ax).dpi / 72
    lines = wrapped(note, cell.width * figure.bbox.width / point, SMALL)
    ax.text(
        cell.x0, cell.y0, "\n".join(lines), fontsize=SMALL, va="bottom", parse_math=False,
        transform=figure.transSubfigure,
    )  # fmt: skip
    taken = (len(lines) * SMALL * LINE_HEIGHT + SMALL / 2) * point / figure.bbox.height
    return Bbox.from_extents(cell.x0, cell.y0 + taken, cell.x1, cell.y1)


def _within(ax: Axes, cell: Bbox, beside: Sequence[Artist | None]) -> Bbox:
    """The position of the Axes at which its text, but for what stands beside the cell, ends at the cell's edges."""
    figure = ax.get_figure()
    assert figure is not None  # noqa: S101
    tight = ax.get_tightbbox(
        bbox_extra_artists=[artist for artist in ax.get_default_bbox_extra_artists() if artist not in beside]
    )
    assert tight is not None  # noqa: S101  (only invisible Axes have none)
    around, at = figure.transSubfigure.inverted().transform_bbox(tight), ax.get_position()
    beyond = np.array([[1], [-1]]) * np.maximum([at.p0 - around.p0, around.p1 - at.p1], 0)
    return Bbox(cell.get_points() + beyond)


def _require_room(ax: Axes, cell: Bbox, found: Bbox) -> None:
    figure = ax.get_figure()
    assert figure is not None  # noqa: S101
    unit = np.array([figure.bbox.width, figure.bbox.height]) * 72 / _root(ax).dpi
    plot, room = (found.p1 - found.p0) * unit, cell.size * unit
    if (plot < SMALLEST_PLOT - 0.5).any():
        wide, high = np.ceil((room - plot + SMALLEST_PLOT) / MM)
        raise ValueError(
            f"ax must be at least {wide:.0f} mm wide and {high:.0f} mm high for its text; "
            f"it has {room[0] / MM:.0f} by {room[1] / MM:.0f} mm."
        )


def _root(ax: Axes) -> Any:
    return ax.get_figure(root=True)


# Scales ---------------------------------------------------------------------------------------------------------------


def effect_axis(ax: Axes, measure: Measure, limits: tuple[float, float], *, which: str = "x", label: str = "") -> None:
    """An axis of effects on the display scale: logarithmic with plain ticks for ratios, with its label.

    Parameters
    ----------
    ax
        Where.
    measure
        Of the effects.
    limits
        Display scale; for ratios positive.
    which
        "x" or "y".
    label
        In front of the measure's, such as "Average effect".
    """
    axis = plain_axis(ax, which, limits, log=measure.log)
    name = f"{measure.label}{', log axis' if measure.log else ''}"
    axis.set_label_text(f"{label}: {name[0].lower()}{name[1:]}" if label else name)


def plain_axis(ax: Axes, which: str, limits: tuple[float, float], *, log: bool = False) -> Axis:
    """An axis with as many round ticks as have room, written out; returns it, for its label."""
    axis: Axis = getattr(ax, f"{which}axis")
    getattr(ax, f"set_{which}scale")("log" if log else "linear")
    getattr(ax, f"set_{which}lim")(*limits)
    axis.set_major_locator(RoomyLocator(log=log))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: tick_label(x)))
    return axis


def tau_label(measure: Measure) -> str:
    """Label of an axis of tau, which stays on the model scale."""
    return f"Between-study SD τ ({measure.model_scale})"


class RoomyLocator(Locator):
    """Round ticks whose labels stand apart on the axis as long as it is when drawn."""

    def __init__(self, *, log: bool) -> None:
        self.log = log

    @override
    def __call__(self) -> Any:
        axis: Any = self.axis
        return self.tick_values(*sorted(axis.get_view_interval()))

    @override
    def tick_values(self, vmin: float, vmax: float) -> Any:
        axis: Any = self.axis
        width, height = plot_size(axis.axes)
        if axis.axis_name == "x":
            return np.array(ticks(vmin, vmax, width, log=self.log))
        return np.array(ticks(vmin, vmax, height, log=self.log, upright=True))


def ticks(
    left: float, right: float, length: float, *, log: bool, size: float = FONT, upright: bool = False
) -> list[float]:
    """Three to seven round numbers whose labels stand apart on an axis of that length; fewer where none do.

    On a log axis one digit times powers of ten, as long as there are so many.

    Parameters
    ----------
    left, right
        Limits.
    length
        In points.
    log
        Whether the axis is logarithmic.
    size
        Of the labels, in points.
    upright
        Whether the axis is a y axis.
    """
    choices: list[Sequence[float]] = [MaxNLocator(most).tick_values(left, right) for most in (5, 3, 2, 1)]
    if log:
        decades = range(int(np.floor(np.log10(left))), int(np.ceil(np.log10(right))) + 1)
        fine = [[m * 10.0**d for d in decades for m in digits] for digits in ((1, 2, 5), range(1, 10))]
        wide = [[10.0**d for d in decades if not d % step] for step in range(1, len(decades))]
        choices = [*fine, *wide, *choices]
    else:
        plain = [MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(left, right) for most in (6, 4, 3)]
        choices = [*plain, *choices]
    inside = [[float(x) for x in choice if left <= x <= right] for choice in choices]
    scale = np.log if log else np.asarray
    first, last = scale([left, right])
    for least in (3, 2):
        for found in inside:
            places = length * (scale(found) - first) / (last - first)
            taken = np.array([size if upright else text_width(tick_label(x), size) for x in found])
            apart = np.diff(places) >= (taken[1:] + taken[:-1]) / 2 + _APART
            if least <= len(found) <= 7 and apart.all():
                return found
    return []


def tick_label(x: float) -> str:
    """A number under the axis."""
    return f"{x:g}".replace("-", "−")


# Effects --------------------------------------------------------------------------------------------------------------


def null_line(ax: Axes, measure: Measure, *, which: str = "x") -> None:
    """A thin line at no effect."""
    draw = ax.axvline if which == "x" else ax.axhline
    draw(measure.null, color=FAINT, lw=0.6, zorder=0)


def sides_of(favours: str | None, arms: tuple[str, str]) -> tuple[str, str]:
    """What lies left and right of no effect: "← favours control", "favours PIP →"; empty where it is not stated.

    Parameters
    ----------
    favours
        The direction that favours the experimental arm, as in an Analysis.
    arms
        Names of the experimental and the control arm (``arm_names``).
    """
    if favours not in ("higher", "lower"):
        return "", ""
    arm, other = arms
    left, right = (other, arm) if favours == "higher" else (arm, other)
    return f"← favours {left}", f"favours {right} →"


def draw_intervals(
    ax: Axes, y: ArrayLike, lower: ArrayLike, upper: ArrayLike, colour: str = BLACK, *, zorder: float = 2, **line: Any
) -> None:
    """Horizontal intervals; where the axis cuts one, it ends in an arrowhead. Set the limits of x first.

    Parameters
    ----------
    ax
        Where.
    y, lower, upper
        Places and limits, shape (N,), display scale; nothing is drawn for nan.
    colour, zorder, **line
        As in ``Axes.hlines``.
    """
    at, low, high = (np.asarray(x, dtype=float) for x in (y, lower, upper))
    left, right = sorted(ax.get_xlim())
    ax.hlines(at, np.clip(low, left, right), np.clip(high, left, right), colors=colour, zorder=zorder, **line)
    known = ~np.isnan(low) & ~np.isnan(high)
    for edge, cut, marker in ((left, known & (low < left), "<"), (right, known & (high > right), ">")):
        if cut.any():
            ax.plot(
                np.full(cut.sum(), edge), at[cut], ls="", marker=marker, ms=3.6, mew=0, color=colour, zorder=zorder,
                clip_on=False,
            )  # fmt: skip
