"""The specification curve: mu under every prior and method, and beneath it which is which.

References
----------
Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav 2020;4:1208-14.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayespip.plots.axes import effect_axis, null_line, plot_size, settle, start, strip_beneath
from bayespip.plots.rows import LINE, SPACE, label_rows, measure_of, reach, require_room, rows
from bayespip.plots.style import BLACK, FAINT, FREQUENTIST, PAGE, PALE, PUBLISHED, WEAK, Look, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["plot_sensitivity"]

_SPREAD = "smallest lower to largest upper limit over data consistent with what was published"
_CURVE = 200.0  # height of the curve of a new figure, with its legend
_LABELS_AT_MOST = 0.35  # of the width
_PUBLISHED, _FREQUENTIST, _BAYESIAN = "published", "frequentist", "Bayesian"
_LOOKS = {_PUBLISHED: PUBLISHED, _FREQUENTIST: FREQUENTIST, _BAYESIAN: WEAK}
_SAME = 1e-4  # of the shortest interval: points no further apart are one
_SAMPLED = "PyMC"  # the cross-check of a re-analysis, not a specification of its own
_THICKEST, _THINNEST, _LARGEST, _SMALLEST = 1.4, 0.3, 3.4, 1.2  # lines and markers, by the room of a specification


@dataclass(frozen=True, slots=True)
class _Curve:
    """Specifications from the smallest median or estimate to the largest; equal ones by the length of the interval.

    Attributes
    ----------
    table
        One row each, sorted; with a column ``kind``.
    choices
        Of every axis: its choices, and which of them each specification has made, as text ("" for none).
    """

    table: pd.DataFrame
    choices: tuple[tuple[str, list[str], list[str]], ...]


@drawing()
def plot_sensitivity(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Average effect and interval under every prior and method, sorted, with dots that say which is which.

    A filled marker says that the interval excludes no effect. Over a family of study data light bars reach from the
    smallest lower to the largest upper limit.

    Parameters
    ----------
    data
        From ``prior_grid``, or the rows of one analysis with one number of studies of ``Reanalysis.table``.
    ax
        Where to draw; text stays within its rectangle. A figure as wide as a journal's page if None.

    Returns
    -------
    Axes
        That of the curve; its child holds the dots, one row a choice.

    Raises
    ------
    ValueError
        If there is nothing to draw, the rows are of several analyses or numbers of studies, or ax is too small for
        the text.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> axes = bp.plot_sensitivity(bp.prior_grid(invented))
    >>> axes.get_yscale()
    'log'
    """
    found = _checked(data)
    measure, curve = measure_of(found), _curve(found)
    labels = [label for _, names, _ in curve.choices for label in names]
    ax, cell = start(ax, PAGE, _CURVE + len(labels) * (LINE + 1))
    ax.set_position(cell)
    its = rows(labels, _LABELS_AT_MOST * plot_size(ax)[0], padding=1.0)
    model = {name: curve.table[f"{name}_model"] for name in ("point", "lower", "upper", "lower_min", "upper_max")}
    low, high = reach(model["point"], *_widest(model), always=[0.0])
    effect_axis(ax, measure, tuple(measure.display([low, high]).tolist()), which="y", label="Average effect")
    ax.set_xlim(-0.5, len(curve.table) - 0.5)
    ax.set_xticks([])
    null_line(ax, measure, which="y")
    room = (plot_size(ax)[0] - its.width - SPACE) / len(curve.table)
    _draw_curve(ax, curve.table, room)
    strip = strip_beneath(ax, its.depth)
    _draw_dots(strip, curve, its.middles, room)
    strip.set_xticks([])
    strip.spines["bottom"].set_visible(False)
    strip.set_xlabel("")
    label_rows(strip, its)
    settle(ax, cell, legend=_handles(curve.table))
    require_room(plot_size(ax)[0], _THINNEST * len(curve.table), f"{len(curve.table)} specifications")
    return ax


def _checked(data: pd.DataFrame) -> pd.DataFrame:
    found = data[(data["parameter"] == "mu") & data["point_model"].notna()]
    found = found[~found["method"].str.startswith(_SAMPLED)].fillna({"prior": ""})
    if found.empty:
        raise ValueError("data must have rows of mu with numbers; got none.")
    for column in ("analysis", "k"):
        several = [str(value) for value in found[column].dropna().unique()] if column in found else []
        if len(several) > 1:
            raise ValueError(f"data must be of one {column}; got {', '.join(several)}.")
    return found


def _curve(found: pd.DataFrame) -> _Curve:
    """Sort the specifications, and read off what each of them chose."""
    kind = np.where(found["prior"] != "", _BAYESIAN, _FREQUENTIST)
    kind = np.where(found["method"] == _PUBLISHED, _PUBLISHED, kind)
    length = (found["upper_model"] - found["lower_model"]).to_numpy(dtype=float)
    unit = _SAME * float(np.nanmin(length, initial=np.inf))
    point = (found["point_model"] / unit).round() if 0 < unit < np.inf else found["point_model"]
    order = found.assign(kind=kind)
    place = np.lexsort((np.nan_to_num(length, nan=np.inf), point))
    table = order.iloc[place].reset_index(drop=True)
    choices = [_choices(name, its(order), its(table)) for name, its in _AXES.items() if _has(its, order)]
    return _Curve(table, tuple(choices))


def _choices(name: str, first: list[str], sorted_: list[str]) -> tuple[str, list[str], list[str]]:
    """Names of the choices in the order in which they first come, and what every specification chose."""
    known = [choice for choice in dict.fromkeys(first) if choice]
    if name == _SCALE:
        known.sort(key=float)
    return name, [f"{name}: {choice}" for choice in known], [f"{name}: {c}" if c else "" for c in sorted_]


def _has(its: Any, table: pd.DataFrame) -> bool:
    return any(its(table))


def _part(place: int) -> Any:
    """Of a frequentist method such as "REML, HKSJ floored"; the first is the whole of another, such as "published"."""

    def of(table: pd.DataFrame) -> list[str]:
        parts = [str(method).split(", ", 1) for method in table["method"]]
        frequentist = table["kind"] == _FREQUENTIST
        return [p[place] if f and place < len(p) else "" for p, f in zip(parts, frequentist, strict=True)]

    return of


def _published(table: pd.DataFrame) -> list[str]:
    return ["as printed" if kind == _PUBLISHED else "" for kind in table["kind"]]


def _tau(table: pd.DataFrame) -> list[str]:
    """Family of the prior on tau, as far as its scale says the rest; else the prior's name."""
    if "prior_tau" in table:
        return [str(name) for name in table["prior_tau"].fillna("")]
    return [
        "" if not prior else str(prior) if np.isnan(scale) else str(family)
        for prior, family, scale in zip(table["prior"], table["family"], table["scale"], strict=True)
    ]


def _scale(table: pd.DataFrame) -> list[str]:
    if "scale" not in table:
        return [""] * len(table)
    return ["" if np.isnan(scale) else f"{scale:g}" for scale in table["scale"]]


def _mu(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table["prior_mu"].fillna("")]


_SCALE = "scale of τ's prior"
_AXES = {
    "result": _published,
    "τ²": _part(0),
    "interval": _part(1),
    "prior on τ": _tau,
    _SCALE: _scale,
    "prior on μ": _mu,
}


def _widest(model: dict[str, pd.Series[float]]) -> tuple[pd.Series[float], pd.Series[float]]:
    """Limits with their bounds where there are any."""
    return model["lower_min"].fillna(model["lower"]), model["upper_max"].fillna(model["upper"])


def _draw_curve(ax: Axes, table: pd.DataFrame, room: float) -> None:
    width = float(np.clip(0.35 * room, _THINNEST, _THICKEST))
    size = float(np.clip(0.8 * room, _SMALLEST, _LARGEST))
    x = np.arange(len(table))
    _draw_upright(ax, x, table[["lower_min", "upper_max"]], PALE, zorder=1, width=2.5 * width)
    for kind, look in _LOOKS.items():
        of = (table["kind"] == kind).to_numpy()
        its = table[of]
        _draw_upright(ax, x[of], its[["lower", "upper"]], look.colour, zorder=2, width=width)
        excludes = ((its["lower_model"] > 0) | (its["upper_model"] < 0)).to_numpy()
        for shown, face in ((excludes, look.colour), (~excludes, "white")):
            ax.plot(
                x[of][shown], its["point"][shown], ls="", marker=look.marker, ms=size, mfc=face, mec=look.colour,
                mew=min(0.6, width), zorder=3,
            )  # fmt: skip


def _draw_upright(ax: Axes, x: Any, limits: pd.DataFrame, colour: str, *, zorder: float, width: float) -> None:
    """Vertical intervals, with arrowheads where the axis cuts them."""
    bottom, top = ax.get_ylim()
    low, high = limits.to_numpy(dtype=float).T
    ax.vlines(x, np.clip(low, bottom, top), np.clip(high, bottom, top), colors=colour, zorder=zorder, lw=width)
    for edge, cut, marker in ((bottom, low < bottom, "v"), (top, high > top, "^")):
        if cut.any():
            ax.plot(
                x[cut], np.full(cut.sum(), edge), ls="", marker=marker, ms=max(2.4 * width, _SMALLEST), mew=0,
                color=colour, zorder=zorder, clip_on=False,
            )  # fmt: skip


def _draw_dots(strip: Axes, curve: _Curve, middles: Sequence[float], room: float) -> None:
    """One row a choice; thin lines part the axes of choice."""
    size = float(np.clip(0.7 * room, _SMALLEST, _LARGEST))
    colours = [_LOOKS[kind].colour for kind in curve.table["kind"]]
    row = 0
    for i, (_, names, chosen) in enumerate(curve.choices):
        if i:
            strip.axhline((middles[row - 1] + middles[row]) / 2, color=FAINT, lw=0.4)
        for name in names:
            at = [x for x, choice in enumerate(chosen) if choice == name]
            strip.scatter(at, [middles[row]] * len(at), s=size**2, c=[colours[x] for x in at], lw=0, marker="o")
            row += 1


def _handles(table: pd.DataFrame) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], color=look.colour, marker=look.marker, ms=_LARGEST, mew=0, lw=1, label=kind)
        for kind, look in _handle_looks(table)
    ]
    level = " or ".join(f"{100 * value:g}%" for value in dict.fromkeys(table["level"]))
    handles.append(
        Line2D([], [], ls="", marker="o", ms=_LARGEST, mfc="white", mec=BLACK, mew=0.6,
               label=f"open: {level} interval includes no effect")
    )  # fmt: skip
    if table["lower_min"].notna().any():
        handles.append(Patch(facecolor=PALE, label=_SPREAD))
    return handles


def _handle_looks(table: pd.DataFrame) -> list[tuple[str, Look]]:
    return [(kind, look) for kind, look in _LOOKS.items() if (table["kind"] == kind).any()]
