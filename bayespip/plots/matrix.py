"""Conclusions of all outcomes under all methods and priors, as a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.patches import Patch, Rectangle

from bayespip.plots.axes import plot_size, settle, start
from bayespip.plots.rows import LINE, SPACE, label_rows, require_room, rows
from bayespip.plots.style import BLUE, FAINT, ORANGE, PAGE, SKY, VERMILION, drawing
from bayespip.plots.text import FONT, text_width, wrapped
from bayespip.sensitivity.matrix import conclusion_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["plot_matrix"]

_LABELS_AT_MOST = 0.4  # of the width
_NAMES = (110.0, 170.0, 240.0)  # lengths of a column's name, which stands upright; the first that fits the columns
_LEGEND = 60.0  # and the margins of a new figure
_GAP = 0.6  # between cells


@dataclass(frozen=True, slots=True)
class _State:
    """How a conclusion is drawn: ground, sign, the sign's colour, and what it says."""

    ground: str
    sign: str
    ink: str
    words: str


# In all members (or for the one data set) full colour; in some a light ground with the sign in brackets. The signs
# tell all states apart without colour.
_SOME = ", in some members only"
_STATES = {
    ("experimental", True): _State(BLUE, "+", "white", "favours {experimental}"),
    ("experimental", False): _State("#cfe3f1", "(+)", "black", f"favours {{experimental}}{_SOME}"),
    ("control", True): _State(VERMILION, "−", "white", "favours {control}"),
    ("control", False): _State("#f8dcc8", "(−)", "black", f"favours {{control}}{_SOME}"),
    ("above", True): _State(SKY, "↑", "black", "above no effect (better side not stated)"),
    ("above", False): _State("#dff0fa", "(↑)", "black", f"above no effect{_SOME}"),
    ("below", True): _State(ORANGE, "↓", "black", "below no effect (better side not stated)"),
    ("below", False): _State("#fbeccc", "(↓)", "black", f"below no effect{_SOME}"),
    ("either", False): _State("#e6e6e6", "(↕)", "black", "either side of no effect, each in some members"),
    ("unclear", True): _State("white", "·", "black", "unclear: the interval includes no effect"),
    ("undefined", True): _State("white", "?", "black", "undefined"),
}


@dataclass(frozen=True, slots=True)
class _Map:
    """What stands where.

    Attributes
    ----------
    outcomes, columns
        Labels of the rows; names of methods and priors.
    cells
        Row, column and state of every conclusion.
    ends
        Columns before which a new kind begins: methods, priors.
    arms
        Names for the legend.
    """

    outcomes: list[str]
    columns: list[str]
    cells: list[tuple[int, int, _State]]
    ends: list[int]
    arms: dict[str, str]


@drawing()
def plot_matrix(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Which conclusion every method and prior reaches on every outcome: ``conclusion_matrix`` as a map.

    Parameters
    ----------
    data
        ``Reanalysis.table``.
    ax
        Where to draw; text stays within its rectangle. A figure as wide as a journal's page, wider if need be, if
        None.

    Returns
    -------
    Axes
        One y tick an outcome and number of studies, one x tick a method or prior; a cell is a rectangle with a sign,
        and there is none where a method was not used.

    Raises
    ------
    ValueError
        If there is nothing to draw, or ax is too small for the text.

    Examples
    --------
    >>> result = bp.reanalyse(bp.load_review("bcg"), with_pymc=False)
    >>> axes = bp.plot_matrix(result.table)
    >>> len(axes.get_yticks())
    1
    """
    found = _map(data)
    columns = len(found.columns)
    its = rows(found.outcomes, _LABELS_AT_MOST * PAGE)
    text = its.width + 5 * SPACE
    names, wide = _upright(found.columns, (PAGE - text) / columns)
    long = max(text_width(line) for name in names for line in name.split("\n"))
    ax, cell = start(ax, max(PAGE, text + columns * wide), its.depth + long + _LEGEND)
    ax.set_position(cell)
    its = rows(found.outcomes, _LABELS_AT_MOST * plot_size(ax)[0])
    names, wide = _upright(found.columns, (plot_size(ax)[0] - its.width - SPACE) / columns)
    ax.set_xlim(-0.5, columns - 0.5)
    label_rows(ax, its)
    ax.xaxis.tick_top()
    ax.set_xticks(range(columns), names, rotation=90, ha="center", va="bottom", parse_math=False)
    ax.tick_params(axis="x", length=0, pad=SPACE)
    ax.spines["bottom"].set_visible(False)
    settle(ax, cell, legend=_handles(found))
    across, down = plot_size(ax)
    require_room(across, columns * wide, f"{columns} columns")
    require_room(down, its.depth, f"{len(found.outcomes)} outcomes")
    feet = [0.0, *((a + b) / 2 for a, b in zip(its.middles, its.middles[1:], strict=False)), its.depth]
    _draw_cells(ax, found, its.middles, feet)
    return ax


def _upright(columns: Sequence[str], room: float) -> tuple[list[str], float]:
    """Names of the columns in lines that fit them, if any do; and how wide a column they need."""
    for length in _NAMES:
        names = [wrapped(name, length) for name in columns]
        wide = max(map(len, names)) * LINE
        if wide <= room:
            break
    return ["\n".join(lines) for lines in names], wide


def _map(data: pd.DataFrame) -> _Map:
    conclusions = conclusion_rows(data)
    if conclusions.empty:
        raise ValueError("data must have results for mu; got none.")
    about = data.drop_duplicates("analysis").set_index("analysis")
    comparisons = list(dict.fromkeys(about.loc[list(dict.fromkeys(conclusions["analysis"])), "comparison"]))
    columns = list(dict.fromkeys(conclusions["by"]))
    priors = set(data["prior"])
    keys: dict[tuple[str, str], int] = {}
    outcomes: list[str] = []
    cells = []
    for row in conclusions.to_dict("records"):
        key = str(row["analysis"]), str(row["k"])
        if key not in keys:
            keys[key] = len(outcomes)
            comparison = str(about.loc[row["analysis"], "comparison"]) if len(comparisons) > 1 else ""
            parts = (f"{row['analysis']} {row['outcome']}", comparison, row["timepoint"], f"k = {row['k']}")
            outcomes.append(", ".join(str(part) for part in parts if part))
        side = _named(str(row["side"]), str(about.loc[row["analysis"], "favours"]))
        cells.append((keys[key], columns.index(row["by"]), _STATES[side, row["members"] != "some"]))
    kinds = [(name in priors, name == "published") for name in columns]
    ends = [i for i in range(1, len(columns)) if kinds[i] != kinds[i - 1]]
    return _Map(outcomes, columns, cells, ends, _arms(about.loc[list(dict.fromkeys(conclusions["analysis"]))]))


def _named(side: str, favours: str) -> str:
    """The arm that a side of no effect favours; the side itself where that is not stated."""
    better = {"higher": "above", "lower": "below"}.get(favours)
    if better is None or side not in ("above", "below"):
        return side
    return "experimental" if side == better else "control"


def _arms(data: pd.DataFrame) -> dict[str, str]:
    """Names of the arms where those of all outcomes are the same."""
    pairs = data[["arm_e", "arm_c"]].drop_duplicates().to_numpy()
    arm, other = pairs[0] if len(pairs) == 1 else ("the experimental arm", "the control arm")
    return {"experimental": str(arm), "control": str(other)}


def _draw_cells(ax: Axes, found: _Map, middles: Sequence[float], feet: Sequence[float]) -> None:
    width, _ = plot_size(ax)
    across = _GAP * len(found.columns) / width
    for row, column, state in found.cells:
        top, bottom = feet[row], feet[row + 1]
        corner = (column - 0.5 + across / 2, top + _GAP / 2)
        edge = FAINT if state.ground == "white" else "none"
        high = bottom - top - _GAP
        ax.add_patch(Rectangle(corner, 1 - across, high, facecolor=state.ground, edgecolor=edge, lw=0.3, clip_on=False))
        ax.text(
            column, middles[row], state.sign, ha="center", va="center", color=state.ink, fontsize=FONT, clip_on=False
        )
    for end in found.ends:
        ax.axvline(end - 0.5, color="black", lw=0.8)


def _handles(found: _Map) -> list[Artist]:
    shown = {state for _, _, state in found.cells}
    return [
        Patch(facecolor=state.ground, edgecolor=FAINT, lw=0.3, label=f"{state.sign} {state.words.format(**found.arms)}")
        for state in _STATES.values()
        if state in shown
    ]
