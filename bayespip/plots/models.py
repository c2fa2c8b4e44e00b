"""Several fits of the same data, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.transforms import Bbox

from bayespip.plots.axes import (
    draw_intervals,
    dress,
    effect_axis,
    null_line,
    plain_axis,
    plot_size,
    settle,
    start,
    tau_label,
)
from bayespip.plots.rows import LINE, SPACE, label_rows, measure_of, reach, require_room, rows
from bayespip.plots.style import FREQUENTIST, GIVEN, PAGE, PUBLISHED, WEAK, Look, drawing
from bayespip.plots.text import FONT, text_width, wrapped
from bayespip.text import wording

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from bayespip.measures import Measure

__all__ = ["plot_models"]

NAMES = {"mu": "Average effect", "tau": "", "theta_new": "Effect in a new study"}
_LABELS_AT_MOST = 0.27  # of the width
_GAP = 12.0  # between panels, for the outer halves of their tick labels
_FEET = 60.0  # ticks and labels below the rows of a new figure
_BELOW_TICKS = 12.5  # from the axis to what stands under its tick labels
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # of numbers, over the line of no effect
_SMALLEST = 34.0  # a panel with two tick labels


@drawing()
def plot_models(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Average effect, heterogeneity and effect in a new study under several methods or priors.

    Parameters
    ----------
    data
        From ``compare``, or the rows of one analysis with one number of studies of ``Reanalysis.table``; one row of
        the figure a method and prior, in their order.
    ax
        Where to draw; text stays within its rectangle. A figure as wide as a journal's page if None.

    Returns
    -------
    Axes
        That of mu; its children are those of tau and theta_new. Every interval has its numbers above it where there
        is room for them.

    Raises
    ------
    ValueError
        If the fits are not of one analysis, measure and number of studies, two have the same method and prior, one of
        mu, tau and theta_new is missing throughout, or ax is too small for the text.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> axes = bp.plot_models(bp.compare(bp.frequentist_fit(invented), bp.exact_fit(invented, weak)))
    >>> axes.get_xscale()
    'log'
    """
    found = _checked(data)
    measure = measure_of(found)
    fits = list(dict.fromkeys(zip(found["method"], found["prior"], strict=True)))
    labels = [f"{method}: {prior}" if prior else str(method) for method, prior in fits]
    numbers = {p: _numbers(found, fits, p, measure) for p in NAMES}
    ax, cell = start(ax, PAGE, _FEET + len(labels) * (2.6 * LINE))
    ax.set_position(cell)
    whole = plot_size(ax)[0]
    its = rows(labels, _LABELS_AT_MOST * whole, lines=2)
    width = (whole - its.width - SPACE) / len(NAMES) - _GAP
    require_room(width, _SMALLEST, f"{len(NAMES)} panels, each of which")
    written = max(text_width(text) for texts in numbers.values() for text in texts) <= width
    panels = [ax, *(_panel_beside(ax, i, width) for i in range(1, len(NAMES)))]
    for panel, parameter in zip(panels, NAMES, strict=True):
        _scale(panel, parameter, found, measure)
        if panel is not ax:
            _label_beneath(panel, width)
        _draw(panel, found[found["parameter"] == parameter], fits, its.middles)
        if written:
            _write(panel, numbers[parameter], its.middles)
        panel.set_ylim(its.depth, 0)
    label_rows(ax, its)
    settle(ax, cell)
    require_room(plot_size(ax)[1], its.depth, f"{len(labels)} rows")
    return ax


def _checked(data: pd.DataFrame) -> pd.DataFrame:
    found = data[data["parameter"].isin(list(NAMES)) & data["point_model"].notna()]
    for column in ("analysis", "measure", "k"):
        several = [str(value) for value in found[column].dropna().unique()]
        if len(several) > 1:
            raise ValueError(f"data must be of one {column}; got {', '.join(several)}.")
    missing = [name for name in NAMES if name not in set(found["parameter"])]
    if missing:
        raise ValueError(f"data must have rows of {', '.join(NAMES)}; missing: {', '.join(missing)}.")
    found = found.fillna({"prior": ""})
    repeated = found[found.duplicated(["method", "prior", "parameter"])]
    if len(repeated):
        names = ", ".join(dict.fromkeys(repeated["method"] + ": " + repeated["prior"]))
        raise ValueError(f"data must have fits that differ in method or prior; not so for {names}.")
    return found


def _panel_beside(ax: Axes, place: int, width: float) -> Axes:
    """A child right of the Axes, as wide as it will be and as high."""
    child = ax.inset_axes((1.1, 0, 1, 1))

    def position(_: Axes, __: object) -> Bbox:
        at = ax.get_position()
        point = at.width / plot_size(ax)[0]
        left = at.x1 + (_GAP + (place - 1) * (width + _GAP)) * point
        return Bbox.from_extents(left, at.y0, left + width * point, at.y1)

    child.set_axes_locator(position)  # type: ignore[arg-type]
    dress(child)
    child.spines["left"].set_visible(False)
    child.set_yticks([])
    return child


def _label_beneath(panel: Axes, width: float) -> None:
    """The label of a child's x axis as wide as the child, whatever the width of the Axes on the way to its place."""
    text = "\n".join(wrapped(panel.get_xlabel(), width))
    panel.set_xlabel("")
    panel.annotate(
        text, (0.5, 0), xycoords="axes fraction", xytext=(0, -_BELOW_TICKS), textcoords="offset points", ha="center",
        va="top", fontsize=FONT, annotation_clip=False, parse_math=False,
    )  # fmt: skip


def _scale(panel: Axes, parameter: str, found: pd.DataFrame, measure: Measure) -> None:
    its = found[found["parameter"] == parameter]
    model = [its[f"{edge}_model"] for edge in ("point", "lower", "upper")]
    low, high = reach(*model, always=[0.0])
    if parameter == "tau":
        plain_axis(panel, "x", (0.0, high)).set_label_text(tau_label(measure))
        return
    effect_axis(panel, measure, tuple(measure.display([low, high]).tolist()), label=NAMES[parameter])
    null_line(panel, measure)


def _draw(panel: Axes, its: pd.DataFrame, fits: list[tuple[str, str]], middles: tuple[float, ...]) -> None:
    for row in its.to_dict("records"):
        look = _look(row["method"], row["prior"])
        y = middles[fits.index((row["method"], row["prior"]))] + LINE / 2
        draw_intervals(panel, [y], [row["lower"]], [row["upper"]], look.colour, lw=1.0)
        panel.plot([row["point"]], [y], ls="", marker=look.marker, ms=3.4, color=look.colour, zorder=3, clip_on=False)


def _look(method: str, prior: str) -> Look:
    if method == "published":
        return PUBLISHED
    if not prior:
        return FREQUENTIST
    return GIVEN if method.startswith("PyMC") else WEAK


def _numbers(found: pd.DataFrame, fits: list[tuple[str, str]], parameter: str, measure: Measure) -> list[str]:
    its = found[found["parameter"] == parameter].set_index(["method", "prior"])
    null = 0.0 if parameter == "tau" else measure.null
    texts = []
    for fit in fits:
        if fit not in its.index:
            texts.append("")
            continue
        row: Any = its.loc[fit]
        point, lower, upper = (float(row[edge]) for edge in ("point", "lower", "upper"))
        undefined = np.isnan(lower) and np.isnan(upper)
        text = wording.number(point, null) if undefined else wording.estimate(point, lower, upper, null)
        texts.append(text.replace("-", "−"))
    return texts


def _write(panel: Axes, texts: list[str], middles: tuple[float, ...]) -> None:
    for text, y in zip(texts, middles, strict=True):
        panel.annotate(
            text, (0.5, y - LINE / 2), xycoords=("axes fraction", "data"), ha="center", va="center_baseline",
            fontsize=FONT, annotation_clip=False, parse_math=False, bbox=_GROUND,
        )  # fmt: skip
