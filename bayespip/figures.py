"""The figure of a re-analysis: a forest plot of every outcome, published, frequentist and Bayesian.

Lengths are in points (1/72 inch). Colours: Okabe M, Ito K. Color universal design (2008); kinds of result differ
in marker as well.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip import forest
from bayespip.forest_layout import FAMILY, FONT, GAP, LINE, WRAPPED, Layout, layout, tick_label, ticks, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayespip.forest import Panel, Row

__all__ = ["plot_comparison", "save_comparison"]

MM = 72 / 25.4
WIDTH, MARGIN, GUTTER = 190 * MM, 3 * MM, 4 * MM  # a journal's full width
SMALLEST_PLOT = 25 * MM
BOUNDS = "bounds over all data consistent with what was published"
BOUNDS_COLOUR, FAINT = "#d4d4d4", "#8c8c8c"
LEGEND_LINE = 1.25  # in lines of text


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of result is drawn and named."""

    label: str
    colour: str
    marker: str


STYLES = {
    forest.PUBLISHED: Style("published", "#000000", "s"),
    forest.FREQUENTIST: Style("Cochrane's current default", "#D55E00", "D"),
    forest.WEAK: Style("Bayesian, weakly informative priors", "#0072B2", "o"),
    forest.EMPIRICAL: Style("Bayesian, empirical pair of priors", "#009E73", "^"),
    forest.GIVEN: Style("Bayesian, priors given", "#CC79A7", "v"),
}
# Matplotlib's settings belong to the process: one writer at a time sets them.
_SETTINGS = Lock()


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle of the figure, from its left and top edge."""

    left: float
    top: float
    width: float
    height: float


def plot_comparison(table: pd.DataFrame, *, analyses: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Forest plot of all results of one effect measure.

    Each outcome shows the published result, Cochrane's current default (REML, HKSJ) and the posterior of mu under
    the first weakly informative prior on tau with every prior on mu, and under the empirical pairs or the priors
    that were given; point and interval, with their bounds as a light bar where only pooled results were
    published. Other rows of the table are not drawn.

    Parameters
    ----------
    table
        ``Reanalysis.table``.
    analyses
        Ids of those to show, in the table's order; all if None.
    ax
        Where to draw; labels and notes stay within its rectangle. A figure of 190 mm width if None.

    Returns
    -------
    Axes
        Ratios on a log axis, differences on a linear one; one y tick a result.

    Raises
    ------
    ValueError
        If an analysis is unknown, there is nothing to draw, the results have several measures, or ax is too
        small for the text.
    """
    found = forest.results(table, analyses)
    drawn = forest.panels(found)
    if not drawn:
        names = ", ".join(dict.fromkeys(found["analysis"])) or "none"
        raise ValueError(f"analyses must have a result to draw; not so for {names}.")
    if len(drawn) > 1:
        ids = {p.measure.name: dict.fromkeys(b.analysis for b in p.blocks) for p in drawn}
        listed = "; ".join(f"{name}: {', '.join(its)}" for name, its in ids.items())
        raise ValueError(f"analyses must share one effect measure in a plot; choose from {listed}.")
    text, handles = forest.note(found, drawn), _handles(drawn)
    if ax is None:
        import matplotlib.pyplot as plt

        inner = WIDTH - 2 * MARGIN
        height = layout(drawn[0], inner).height + GAP + _footer_height(handles, text, inner)
        figure = plt.figure(figsize=(WIDTH / 72, (height + 2 * MARGIN) / 72), layout="none")
        ax = figure.add_axes((0, 0, 1, 1))
        cell = Cell(MARGIN, MARGIN, inner, height)
    else:
        cell = _cell_of(ax)
    panel = layout(drawn[0], cell.width)
    footer = Cell(cell.left, cell.top + panel.height + GAP, cell.width, _footer_height(handles, text, cell.width))
    _require_room(cell, panel, footer)
    _draw_panel(ax, panel, cell)
    _draw_footer(ax, handles, text, footer)
    return ax


def save_comparison(table: pd.DataFrame, folder: str | Path) -> None:
    """Write the figure of all outcomes to comparison.png (300 dpi) and comparison.svg.

    One panel an effect measure, in two columns of a page of 190 mm width where there are several.

    Parameters
    ----------
    table
        ``Reanalysis.table``.
    folder
        An existing folder.
    """
    from matplotlib import style

    target = Path(folder)
    # A salt of its own and no date: the same table gives the same SVG.
    with _SETTINGS, style.context(["default", {"svg.hashsalt": "bayespip"}]), warnings.catch_warnings():
        # names in scripts that Matplotlib's font lacks show as boxes in the PNG, and are whole in the tables
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = _figure(table)
        figure.savefig(target / "comparison.png", format="png", dpi=300)
        figure.savefig(target / "comparison.svg", format="svg", metadata={"Date": None})


def _figure(table: pd.DataFrame) -> Figure:
    """All panels, then the footer, each at the foot of the shorter column."""
    from matplotlib.figure import Figure

    found = forest.results(table, None)
    drawn = forest.panels(found)
    handles, text = _handles(drawn), forest.note(found, drawn)
    columns = 2 if len(drawn) > 1 else 1
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GUTTER) / columns
    laid = [layout(panel, width) for panel in drawn]
    feet, cells = [float(MARGIN)] * columns, []
    for height in (*(panel.height for panel in laid), _footer_height(handles, text, width)):
        column = int(np.argmin(feet))
        cells.append(Cell(MARGIN + column * (width + GUTTER), feet[column], width, height))
        feet[column] += height + 2 * GAP
    figure = Figure(figsize=(WIDTH / 72, (max(feet) - 2 * GAP + MARGIN) / 72))
    for panel, cell in zip(laid, cells[:-1], strict=True):
        _draw_panel(figure.add_axes((0, 0, 1, 1), label=panel.panel.measure.name), panel, cell)
    last = figure.axes[-1] if figure.axes else figure.add_axes((0, 0, 1, 1), frame_on=False, xticks=[], yticks=[])
    _draw_footer(last, handles, text, cells[-1])
    return figure


def _cell_of(ax: Axes) -> Cell:
    """The rectangle of an Axes."""
    (width, height), box = _size(ax), ax.get_position()
    return Cell(box.x0 * width, (1 - box.y1) * height, box.width * width, box.height * height)


def _size(ax: Axes) -> tuple[float, float]:
    """Width and height of the figure."""
    root = ax.get_figure(root=True)
    assert root is not None  # noqa: S101  (an Axes that was removed from its figure cannot be drawn on)
    width, height = root.get_size_inches()
    return float(width) * 72, float(height) * 72


def _require_room(cell: Cell, panel: Layout, footer: Cell) -> None:
    wide = cell.width - panel.plot_width + SMALLEST_PLOT
    high = panel.height + GAP + footer.height
    # Rounding of the figure's size is no lack of room.
    if cell.width < wide - 1 or cell.height < high - 1:
        raise ValueError(
            f"ax must be at least {wide / MM:.0f} mm wide and {high / MM:.0f} mm high for the text of "
            f"{len(panel.rows)} results; it has {cell.width / MM:.0f} by {cell.height / MM:.0f} mm."
        )


def _draw_panel(ax: Axes, panel: Layout, cell: Cell) -> None:
    """Put the Axes between the columns of its cell and draw everything."""
    width, height = _size(ax)
    bottom = height - cell.top - panel.depth
    left = cell.left + panel.labels_width
    ax.set_position((left / width, bottom / height, panel.plot_width / width, panel.depth / height))
    ax.set_ylim(panel.depth, 0)
    _draw_axis(ax, panel)
    _draw_text(ax, panel)
    measure = panel.panel.measure
    tops, bottoms = zip(*panel.spans, strict=True)
    ax.vlines([measure.null] * len(tops), tops, bottoms, colors=FAINT, lw=0.6, zorder=0)
    for kind, style in STYLES.items():
        drawn = [(row, y) for row, y in zip(panel.panel.rows, panel.rows, strict=True) if row.kind == kind]
        if drawn:
            _draw_results(ax, [row for row, _ in drawn], [y for _, y in drawn], style)


def _draw_axis(ax: Axes, panel: Layout) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    measure = panel.panel.measure
    ax.set_xscale("log" if measure.log else "linear")
    ax.set_xlim(*panel.panel.limits)
    ax.xaxis.set_major_locator(FixedLocator(ticks(*panel.panel.limits, panel.plot_width, log=measure.log)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick_label(x)))
    ax.tick_params(axis="x", labelsize=FONT, labelfontfamily=FAMILY, length=2, width=0.6, pad=1.5)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.spines["bottom"].set_linewidth(0.6)
    scale = f"{measure.label}{', log axis' if measure.log else ''}"
    ax.set_xlabel(scale, fontsize=FONT, family=FAMILY, labelpad=1.5)


def _draw_text(ax: Axes, panel: Layout) -> None:
    """Labels left of the plot, numbers right of it, headings across."""
    font: dict[str, Any] = {"fontsize": FONT, "family": FAMILY, "parse_math": False}
    ax.set_yticks(panel.rows, panel.labels, ha="left", va="center_baseline", **font)
    ax.tick_params(axis="y", length=0, pad=panel.labels_width)

    def write(text: str, y: float, side: float, offset: float, **more: Any) -> None:
        if text:
            ax.annotate(
                text, (side, y), xycoords=("axes fraction", "data"), xytext=(offset, 0), textcoords="offset points",
                va="center_baseline", annotation_clip=False, **font, **more,
            )  # fmt: skip

    for row, y in zip(panel.panel.rows, panel.rows, strict=True):
        write(row.numbers, y, 1, panel.numbers_width, ha="right")
    for line in panel.headings:
        start = -panel.labels_width
        write(line.bold, line.y, 0, start, weight="bold")
        write(line.plain, line.y, 0, start + line.indent)
        write(line.right, line.y, 1, panel.numbers_width, ha="right")


def _draw_results(ax: Axes, rows: Sequence[Row], ys: Sequence[float], style: Style) -> None:
    """Bounds, intervals and points of one kind; arrowheads where the axis cuts them."""
    y = np.array(ys)
    left, right = ax.get_xlim()

    def segment(start: list[float], end: list[float], colour: str, zorder: int, **line: Any) -> None:
        low, high = np.array(start), np.array(end)
        ax.hlines(y, np.clip(low, left, right), np.clip(high, left, right), colors=colour, zorder=zorder, **line)
        for edge, cut, marker in ((left, low < left, "<"), (right, high > right, ">")):
            if cut.any():
                ax.plot(
                    np.full(cut.sum(), edge), y[cut], ls="", marker=marker, ms=3.6, mew=0, color=colour,
                    zorder=zorder, clip_on=False,
                )  # fmt: skip

    segment([r.lower_min for r in rows], [r.upper_max for r in rows], BOUNDS_COLOUR, 1, lw=0.66 * LINE)
    segment([r.lower for r in rows], [r.upper for r in rows], style.colour, 2, lw=0.9)
    ax.plot(
        [r.point for r in rows], y, ls="", marker=style.marker, ms=3.2, mew=0, color=style.colour, zorder=3,
        label=style.label,
    )  # fmt: skip


def _handles(drawn: Sequence[Panel]) -> list[Artist]:
    """Legend entries of what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = [row for panel in drawn for row in panel.rows]
    handles: list[Artist] = [
        Line2D([], [], color=s.colour, marker=s.marker, ms=3.2, mew=0, lw=0.9, label=s.label)
        for kind, s in STYLES.items()
        if any(row.kind == kind for row in rows)
    ]
    if any(not np.isnan(row.lower_min) for row in rows):
        handles.append(Patch(facecolor=BOUNDS_COLOUR, label=BOUNDS))
    return handles


def _footer_height(handles: Sequence[Artist], text: Sequence[str], width: float) -> float:
    return LINE * LEGEND_LINE * len(handles) + WRAPPED * len(_lines(text, width)) + GAP


def _lines(text: Sequence[str], width: float) -> list[str]:
    """Every sentence begins a line."""
    return [line for sentence in text for line in wrapped(sentence, width)]


def _draw_footer(ax: Axes, handles: list[Artist], text: Sequence[str], cell: Cell) -> None:
    """Legend, and the note below it."""
    width, height = _size(ax)
    top = height - cell.top
    figure = ax.get_figure(root=True)
    if handles and figure is not None:
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(cell.left / width, top / height), frameon=False,
            bbox_transform=figure.transFigure, borderpad=0, borderaxespad=0, handlelength=3,
            prop={"family": FAMILY, "size": FONT}, labelspacing=LEGEND_LINE * LINE / FONT - 1,
        )  # fmt: skip
    ax.annotate(
        "\n".join(_lines(text, cell.width)),
        (cell.left, top - LINE * LEGEND_LINE * len(handles) - GAP / 2),
        xycoords="figure points",
        va="top",
        fontsize=FONT,
        family=FAMILY,
        parse_math=False,
        annotation_clip=False,
    )
