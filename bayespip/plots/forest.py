"""The forest plot of one outcome: studies as they are and as the model draws them together, and every pooled result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from bayespip.plots.axes import draw_intervals, effect_axis, margins, plot_size, room_width, settle, start
from bayespip.plots.bias import JUDGEMENTS, NOT_JUDGED, draw_light
from bayespip.plots.comparison import BOUNDS, LOOKS
from bayespip.plots.comparison_rows import EMPIRICAL, FREQUENTIST, GIVEN, WEAK
from bayespip.plots.forest_columns import DOT, SPACE, Columns, columns
from bayespip.plots.forest_rows import Pooled, Study, forest
from bayespip.plots.rows import require_room
from bayespip.plots.style import BLACK, BLUE, FAINT, GREY, PAGE, PALE, drawing
from bayespip.plots.text import LINE_HEIGHT, SMALL, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from bayespip.effects import EffectSizes
    from bayespip.fits import Fit
    from bayespip.plots.forest_rows import Forest
    from bayespip.review import Analysis

__all__ = ["plot_forest"]

_LINE = SMALL * LINE_HEIGHT
_PADDING = 1.2
_MORE = 300.0  # enough, in points, for what stands above and below the lines


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: a study, a pooled result, or text across; the middle is counted down from the top."""

    row: Study | Pooled | None
    index: int
    text: str
    bold: bool
    middle: float
    height: float


@drawing()
def plot_forest(
    data: Fit | Sequence[Fit] | pd.DataFrame,
    *,
    analysis: Analysis | None = None,
    effects: EffectSizes | None = None,
    risk_of_bias: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Forest plot of one outcome.

    Parameters
    ----------
    data
        A fit, several fits of the same studies, or a tidy table of one analysis (``compare``; the rows of
        ``Reanalysis.table``): every average effect in it is a row. Sampled results that the table has by the exact
        engine as well are not repeated.
    analysis
        Adds the title, the published result (to fits; a table has it), the sides, and the arms' events and sizes.
    effects
        The studies, where `data` is a table, or fits of counts; those of the fits otherwise.
    risk_of_bias
        ``Review.risk_of_bias``: a dot a domain beside each study.
    ax
        Where to draw; all text stays within its rectangle. A figure of 174 mm width if None. Columns without room
        are left out: first the intervals for a new study, then risk of bias, weights, arms.

    Returns
    -------
    Axes
        Ratios on a log axis. A study's square has an area in proportion to its weight at the tau of the first
        random-effects method; below it stands its shrunken estimate by the first Bayesian result. A pooled result is a
        thick interval of mu on the thin one for the effect of a new study; a pale bar bounds the interval of mu over
        the data consistent with what was published. Arrowheads: it goes on beyond the axis.

    Raises
    ------
    ValueError
        If the data hold no result, several analyses or different studies, or ax is too small for the text.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> axes = bp.plot_forest([bp.frequentist_fit(invented), bp.exact_fit(invented, weak)])
    >>> axes.get_xscale()
    'log'
    """
    its = forest(data, analysis, effects, risk_of_bias)
    beside = columns(its, room_width(ax, PAGE))
    height = 0.0
    if ax is None:
        # what the text leaves of a figure of this width that is high enough tells how high it must be
        depth = _depth(its, beside, room_width(None, PAGE))
        high = 2 * depth + _MORE
        trial, _ = _frame(Figure(figsize=(PAGE / 72, high / 72)).add_axes(margins(PAGE, high)), high, its, beside)
        height = high - plot_size(trial)[1] + depth
    ax, lines = _frame(ax, height, its, beside)
    _draw_studies(ax, [line for line in lines if isinstance(line.row, Study)], its)
    _draw_pooled(ax, [line for line in lines if isinstance(line.row, Pooled)])
    return ax


def _frame(ax: Axes | None, height: float, its: Forest, beside: Columns) -> tuple[Axes, list[_Line]]:
    """Axis and text, all in place; and the lines in which results are to be drawn."""
    width = room_width(ax, PAGE)
    ax, cell = start(ax, PAGE, height)
    title = _title(its, width)
    lines, head, depth = _lines(its, beside, title)
    ax.set_ylim(depth, 0)
    effect_axis(ax, its.measure, its.limits)
    ax.spines["left"].set_visible(False)
    first = lines[0].middle - lines[0].height / 2
    ax.plot([its.measure.null] * 2, [first, depth], color=FAINT, lw=0.6, zorder=0)
    _write(ax, lines, beside, title, head)
    _draw_lights(ax, lines, beside)
    settle(ax, cell, legend=_handles(its), sides=its.sides, note=_note(its, beside))
    require_room(plot_size(ax)[1], depth, f"{len(its.studies) + len(its.pooled)} rows")
    return ax, lines


def _title(its: Forest, width: float) -> list[str]:
    return wrapped(its.title, width, SMALL, "bold") if its.title else []


def _depth(its: Forest, beside: Columns, width: float) -> float:
    """Height of all lines."""
    return _lines(its, beside, _title(its, width))[2]


def _lines(its: Forest, beside: Columns, title: Sequence[str]) -> tuple[list[_Line], float, float]:
    """All lines from the top, the middle of the heads, and the depth of all."""
    y = _LINE * len(title) + (_PADDING if title else 0)
    heads = _LINE * beside.head_lines
    middle, y = y + heads / 2, y + heads + _PADDING
    found: list[_Line] = []

    def add(row: Study | Pooled | None, index: int, text: str, height: float, *, bold: bool = False) -> None:
        nonlocal y
        found.append(_Line(row, index, text, bold, y + height / 2, height))
        y += height

    rows: list[Study | Pooled] = [*its.studies, *its.pooled]
    for index, row in enumerate(rows):
        height = _LINE * len(beside.labels[index]) + _PADDING
        if isinstance(row, Study):
            add(row, index, "", max(height, 1.35 * _LINE) if its.shrunken_by else height)
            continue
        before = its.pooled[index - len(its.studies) - 1] if index > len(its.studies) else None
        if before is None and its.studies:
            add(None, index, "Average effect", 1.5 * _LINE, bold=True)
        if row.group and (before is None or before.group != row.group):
            add(None, index, row.group, 1.2 * _LINE)
        add(row, index, "", height)
    return found, middle, y


def _write(ax: Axes, lines: Sequence[_Line], beside: Columns, title: Sequence[str], head: float) -> None:
    """Labels, columns, their heads, and the title."""
    rows = [line for line in lines if line.row is not None]
    labels = ["\n".join(beside.labels[line.index]) for line in rows]
    ax.set_yticks([line.middle for line in rows], labels, ha="left", va="center_baseline", parse_math=False)
    ax.tick_params(axis="y", length=0, pad=beside.left_width, labelsize=SMALL)

    def write(text: str, y: float, side: float, offset: float, **more: Any) -> None:
        if text:
            ax.annotate(
                text, (side, y), xycoords=("axes fraction", "data"), xytext=(offset, 0), textcoords="offset points",
                annotation_clip=False, fontsize=SMALL, parse_math=False, **({"va": "center_baseline"} | more),
            )  # fmt: skip

    for side, columns_there, start_at in ((0.0, beside.left, beside.labels_width + SPACE - beside.left_width),
                                          (1.0, beside.right, SPACE)):  # fmt: skip
        right = start_at
        for column in columns_there:
            right += column.width
            write("\n".join(column.head), head, side, right, ha="right", va="center")
            for line in rows:
                write(column.cells[line.index], line.middle, side, right, ha="right")
            right += SPACE
    for letter, x in zip(beside.domains, _dots(beside), strict=True):
        write(letter, head, 1.0, x, ha="center")
    for line in lines:
        write(line.text, line.middle, 0.0, -beside.left_width, ha="left", weight="bold" if line.bold else "normal")
    write("\n".join(title), 0.0, 0.0, -beside.left_width, ha="left", va="top", weight="bold")


def _dots(beside: Columns) -> list[float]:
    """Middles of the dots, from the plot's right edge."""
    first = beside.right_width - DOT * (len(beside.domains) - 0.5)
    return [first + DOT * i for i in range(len(beside.domains))]


def _draw_lights(ax: Axes, lines: Sequence[_Line], beside: Columns) -> None:
    root = ax.get_figure(root=True)
    assert root is not None  # noqa: S101  (an Axes that was removed from its figure cannot be drawn on)
    at = blended_transform_factory(ax.transAxes, ax.transData)
    for i, x in enumerate(_dots(beside)):
        where = at + ScaledTranslation(x / 72, 0, root.dpi_scale_trans)
        for line in lines:
            if isinstance(line.row, Study) and line.row.judged:
                draw_light(ax, 1.0, line.middle, line.row.judged[i], where)


def _draw_studies(ax: Axes, lines: Sequence[_Line], its: Forest) -> None:
    """Own estimates, and below each the one drawn to the others."""
    most = max((line.row.weight for line in lines if isinstance(line.row, Study)), default=np.nan)
    for line in lines:
        study = line.row
        assert isinstance(study, Study)  # noqa: S101  (chosen by the caller)
        apart = min(0.24 * line.height, 0.36 * _LINE) if its.shrunken_by else 0.0
        y = line.middle - apart
        draw_intervals(ax, [y], [study.own.lower], [study.own.upper], BLACK, lw=0.8)
        size = 5.2 * np.sqrt(study.weight / most) if study.weight > 0 else 3.2
        ax.plot([study.own.point], [y], ls="", marker="s", ms=max(float(size), 1.2), mew=0, color=BLACK, zorder=3)
        y, own = line.middle + apart, study.shrunken
        draw_intervals(ax, [y], [own.lower], [own.upper], BLUE, lw=0.6)
        ax.plot([own.point], [y], ls="", marker="o", ms=2.6, mew=0.6, mec=BLUE, mfc="white", zorder=3)


def _draw_pooled(ax: Axes, lines: Sequence[_Line]) -> None:
    for line in lines:
        row = line.row
        assert isinstance(row, Pooled)  # noqa: S101  (chosen by the caller)
        y, look = [line.middle], LOOKS[row.kind][1]
        draw_intervals(ax, y, [row.bounds.lower], [row.bounds.upper], PALE, zorder=1, lw=0.66 * _LINE)
        draw_intervals(ax, y, [row.new.lower], [row.new.upper], look.colour, lw=0.5)
        draw_intervals(ax, y, [row.mu.lower], [row.mu.upper], look.colour, lw=1.6)
        ax.plot([row.mu.point], y, ls="", marker=look.marker, ms=4, mew=0.4, mec="white", mfc=look.colour, zorder=3)


def _handles(its: Forest) -> list[Artist]:
    handles: list[Artist] = []
    if its.studies:
        handles.append(Line2D([], [], color=BLACK, marker="s", ms=4, mew=0, lw=0.8, label="study"))
    if its.studies and its.shrunken_by:
        name = f"study, drawn to the others ({its.shrunken_by})"
        handles.append(Line2D([], [], color=BLUE, marker="o", ms=2.6, mew=0.6, mfc="white", lw=0.6, label=name))
    there = {row.kind for row in its.pooled}
    names = {FREQUENTIST: "frequentist", GIVEN: "Bayesian, other priors" if there & {WEAK, EMPIRICAL} else "Bayesian"}
    for kind, (name, look) in LOOKS.items():
        if kind in there:
            label = names.get(kind, name)
            handles.append(Line2D([], [], color=look.colour, marker=look.marker, ms=4, mew=0, lw=1.6, label=label))
    if any(np.isfinite(row.new.upper) for row in its.pooled):
        handles.append(Line2D([], [], color=GREY, lw=0.5, label="thin: effect of a new study"))
    if any(not np.isnan(row.bounds.lower) for row in its.pooled):
        handles.append(Patch(facecolor=PALE, label=BOUNDS))
    return handles


def _note(its: Forest, beside: Columns) -> str:
    """What the columns mean, in sentences."""
    sentences = []
    if its.weights_of and its.studies:
        sentences.append(f"Weights and squares: {its.weights_of}.")
    if beside.left:
        sentences.append("Arms: events/participants, or participants." if _counts(its) else "Arms: participants.")
    if beside.domains:
        named = "; ".join(f"{a} {n.replace('_', ' ')}" for a, n in zip(beside.domains, its.domains, strict=True))
        judged = {j for study in its.studies for j in study.judged}
        symbols = ", ".join(f"{j.symbol or 'blank'} {j.label}" for j in (*JUDGEMENTS, NOT_JUDGED) if j in judged)
        sentences.append(f"Risk of bias: {named}; {symbols}.")
    return " ".join(sentences)


def _counts(its: Forest) -> bool:
    return any("/" in text for study in its.studies for text in study.arms)
