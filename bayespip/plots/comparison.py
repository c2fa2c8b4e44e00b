"""The picture of a whole review: every outcome, published, frequentist and Bayesian.

Lengths are in points (1/72 inch).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.plots import comparison_rows as rows_of
from bayespip.plots.axes import MARGIN, draw_intervals, tick_label, ticks
from bayespip.plots.comparison_layout import GAP, LINE, WRAPPED, Layout, layout, wrapped
from bayespip.plots.style import EMPIRICAL, FAINT, FREQUENTIST, GIVEN, MM, PAGE, PALE, PUBLISHED, WEAK, drawing
from bayespip.plots.text import SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayespip.plots.comparison_rows import Panel, Row
    from bayespip.plots.style import Look

__all__ = ["plot_comparison", "save_comparison"]

GUTTER = 4 * MM
SMALLEST_PLOT, SMALLEST_COLUMN = 25 * MM, 75 * MM
BOUNDS = "bounds over all data consistent with what was published"
LEGEND_LINE = 1.25  # in lines of text
LOOKS = {
    rows_of.PUBLISHED: ("published", PUBLISHED),
    rows_of.FREQUENTIST: ("Cochrane's current default", FREQUENTIST),
    rows_of.WEAK: ("Bayesian, weakly informative priors", WEAK),
    rows_of.EMPIRICAL: ("Bayesian, empirical pair of priors", EMPIRICAL),
    rows_of.GIVEN: ("Bayesian, priors given", GIVEN),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle of the figure, from its left and top edge."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Page:
    """Panels and footer in their places, from the page's left and top edge.

    Attributes
    ----------
    panels
        Laid out, one a measure.
    cells
        Of the panels, then of the footer.
    height
        Of all.
    handles, text
        Legend and note of the footer.
    """

    panels: tuple[Layout, ...]
    cells: tuple[Cell, ...]
    height: float
    handles: list[Artist]
    text: tuple[str, ...]


@drawing()
def plot_comparison(table: pd.DataFrame, *, analyses: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Forest plot of all results of a review.

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
        Where to draw; labels and notes stay within its rectangle. A figure of 174 mm width if None.

    Returns
    -------
    Axes
        Of the first effect measure; each further measure has Axes of its own in the same figure. Ratios on a log
        axis, differences on a linear one; one y tick a result. The Axes are labelled by their measures.

    Raises
    ------
    ValueError
        If an analysis is unknown, there is nothing to draw, or ax is too small for the text.

    Examples
    --------
    >>> result = bp.reanalyse(bp.load_review("bcg"), with_pymc=False)
    >>> axes = bp.plot_comparison(result.table)
    >>> axes.get_xscale()
    'log'
    """
    found = rows_of.results(table, analyses)
    drawn = rows_of.panels(found)
    if not drawn:
        names = ", ".join(dict.fromkeys(found["analysis"])) or "none"
        raise ValueError(f"analyses must have a result to draw; not so for {names}.")
    if ax is None:
        import matplotlib.pyplot as plt

        page = _page(found, drawn, PAGE - 2 * MARGIN)
        ax = _new_axes(plt.figure(figsize=_size_of(page), layout="none"))
        left = top = MARGIN
    else:
        room = _cell_of(ax)
        page = _page(found, drawn, room.width)
        _require_room(room, page)
        left, top = room.left, room.top
    _draw(ax, page, left, top)
    return ax


def save_comparison(table: pd.DataFrame, folder: str | Path) -> None:
    """Write the figure of all outcomes to comparison.png (300 dpi) and comparison.svg.

    Parameters
    ----------
    table
        ``Reanalysis.table``.
    folder
        An existing folder.
    """
    target = Path(folder)
    with drawing():
        figure = _figure(table)
        figure.savefig(target / "comparison.png", format="png")
        figure.savefig(target / "comparison.svg", format="svg", metadata={"Date": None})


def _figure(table: pd.DataFrame) -> Figure:
    """As ``plot_comparison``, but known to no window, and with the note alone where there is nothing to draw."""
    from matplotlib.figure import Figure

    found = rows_of.results(table, None)
    page = _page(found, rows_of.panels(found), PAGE - 2 * MARGIN)
    figure = Figure(figsize=_size_of(page))
    _draw(_new_axes(figure), page, MARGIN, MARGIN)
    return figure


def _new_axes(figure: Figure) -> Axes:
    return figure.add_axes((0, 0, 1, 1))


def _size_of(page: Page) -> tuple[float, float]:
    """Of a figure for the page, in inches."""
    return PAGE / 72, (page.height + 2 * MARGIN) / 72


def _page(found: pd.DataFrame, drawn: Sequence[Panel], width: float) -> Page:
    """All panels, then the footer, each at the foot of the shorter column."""
    handles, text = _handles(drawn), rows_of.note(found, drawn)
    columns = 2 if len(drawn) > 1 and width >= 2 * SMALLEST_COLUMN + GUTTER else 1
    each = (width - (columns - 1) * GUTTER) / columns
    laid = tuple(layout(panel, each) for panel in drawn)
    feet, cells = [0.0] * columns, []
    for height in (*(panel.height for panel in laid), _footer_height(handles, text, each)):
        column = int(np.argmin(feet))
        cells.append(Cell(column * (each + GUTTER), feet[column], each, height))
        feet[column] += height + 2 * GAP
    return Page(laid, tuple(cells), max(feet) - 2 * GAP, handles, text)


def _draw(ax: Axes, page: Page, left: float, top: float) -> None:
    """The first panel on `ax`, the others on Axes beside it; footer below."""
    figure = ax.get_figure()
    assert figure is not None  # noqa: S101  (an Axes that was removed from its figure cannot be drawn on)
    cells = [Cell(left + c.left, top + c.top, c.width, c.height) for c in page.cells]
    axes = [ax, *(figure.add_axes((0, 0, 1, 1), label=p.panel.measure.name) for p in page.panels[1:])]
    if page.panels:
        ax.set_label(page.panels[0].panel.measure.name)
    else:
        ax.set_axis_off()
    for its, panel, cell in zip(axes, page.panels, cells, strict=False):
        _draw_panel(its, panel, cell)
    _draw_footer(axes[-1], page.handles, page.text, cells[-1])


def _cell_of(ax: Axes) -> Cell:
    """The rectangle of an Axes."""
    (width, height), box = _size(ax), ax.get_position()
    return Cell(box.x0 * width, (1 - box.y1) * height, box.width * width, box.height * height)


def _size(ax: Axes) -> tuple[float, float]:
    """Width and height of the figure, or of the part of one that the Axes lie in."""
    figure, root = ax.get_figure(), ax.get_figure(root=True)
    assert figure is not None  # noqa: S101
    assert root is not None  # noqa: S101
    return figure.bbox.width * 72 / root.dpi, figure.bbox.height * 72 / root.dpi


def _require_room(room: Cell, page: Page) -> None:
    narrow = min(panel.plot_width for panel in page.panels)
    wide, high = room.width - narrow + SMALLEST_PLOT, page.height
    # Rounding of the figure's size is no lack of room.
    if narrow < SMALLEST_PLOT - 1 or room.height < high - 1:
        raise ValueError(
            f"ax must be at least {wide / MM:.0f} mm wide and {high / MM:.0f} mm high for the text of "
            f"{sum(len(panel.rows) for panel in page.panels)} results; it has {room.width / MM:.0f} by "
            f"{room.height / MM:.0f} mm."
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
    for kind, (name, look) in LOOKS.items():
        drawn = [(row, y) for row, y in zip(panel.panel.rows, panel.rows, strict=True) if row.kind == kind]
        if drawn:
            _draw_results(ax, [row for row, _ in drawn], [y for _, y in drawn], name, look)


def _draw_axis(ax: Axes, panel: Layout) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    measure = panel.panel.measure
    ax.set_xscale("log" if measure.log else "linear")
    ax.set_xlim(*panel.panel.limits)
    ax.xaxis.set_major_locator(FixedLocator(ticks(*panel.panel.limits, panel.plot_width, log=measure.log, size=SMALL)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick_label(x)))
    ax.tick_params(axis="x", labelsize=SMALL, length=2, width=0.6, pad=1.5)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.spines["bottom"].set_linewidth(0.6)
    scale = f"{measure.label}{', log axis' if measure.log else ''}"
    ax.set_xlabel(scale, fontsize=SMALL, labelpad=1.5)


def _draw_text(ax: Axes, panel: Layout) -> None:
    """Labels left of the plot, numbers right of it, headings across."""
    font: dict[str, Any] = {"fontsize": SMALL, "parse_math": False}
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


def _draw_results(ax: Axes, rows: Sequence[Row], ys: Sequence[float], name: str, look: Look) -> None:
    """Bounds, intervals and points of one kind; arrowheads where the axis cuts them."""
    draw_intervals(ax, ys, [r.lower_min for r in rows], [r.upper_max for r in rows], PALE, zorder=1, lw=0.66 * LINE)
    draw_intervals(ax, ys, [r.lower for r in rows], [r.upper for r in rows], look.colour, lw=0.9)
    ax.plot(
        [r.point for r in rows], ys, ls="", marker=look.marker, ms=3.2, mew=0, color=look.colour, zorder=3,
        label=name,
    )  # fmt: skip


def _handles(drawn: Sequence[Panel]) -> list[Artist]:
    """Legend entries of what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = [row for panel in drawn for row in panel.rows]
    handles: list[Artist] = [
        Line2D([], [], color=look.colour, marker=look.marker, ms=3.2, mew=0, lw=0.9, label=name)
        for kind, (name, look) in LOOKS.items()
        if any(row.kind == kind for row in rows)
    ]
    if any(not np.isnan(row.lower_min) for row in rows):
        handles.append(Patch(facecolor=PALE, label=BOUNDS))
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
    figure = ax.get_figure()
    if handles and figure is not None:
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(cell.left / width, top / height), frameon=False,
            bbox_transform=figure.transSubfigure, borderpad=0, borderaxespad=0, handlelength=3,
            fontsize=SMALL, labelspacing=LEGEND_LINE * LINE / SMALL - 1,
        )  # fmt: skip
    ax.annotate(
        "\n".join(_lines(text, cell.width)),
        (cell.left, top - LINE * LEGEND_LINE * len(handles) - GAP / 2),
        xycoords="subfigure points",
        va="top",
        fontsize=SMALL,
        parse_math=False,
        annotation_clip=False,
    )
