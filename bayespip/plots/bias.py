"""Risk of bias as judged by the review: traffic light and summary.

McGuinness LA, Higgins JPT. Risk-of-bias VISualization (robvis). Res Synth Methods 2021;12:55-61, whose colours are
replaced by ones that colour-blind readers can tell apart; the symbols are Cochrane's.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bayespip.plots.axes import plot_size, room_width, settle, start, strip_beneath
from bayespip.plots.rows import label_rows, require_room, rows
from bayespip.plots.style import BLACK, COLUMN, GREY, drawing
from bayespip.plots.text import SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

    from bayespip.plots.rows import Rows

__all__ = ["Judgement", "domains", "judgement", "letters", "plot_rob"]

_LABELS_AT_MOST = 0.45  # of the width
_DOT, _BAR = 6.6, 7.5  # points
_REST = 82.0  # of a new figure: legend, letters, axis and margins


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judgement, how it is drawn, and the words that begin its text in files."""

    label: str
    symbol: str
    fill: str
    words: tuple[str, ...]


# from light to dark, so that grey keeps their order
JUDGEMENTS = (
    Judgement("low risk", "+", "#9ad0f5", ("low", "yes")),
    Judgement("unclear risk", "?", "#f0c75e", ("unclear",)),
    Judgement("some concerns", "!", "#e8a13a", ("some", "moderate")),
    Judgement("high risk", "−", "#b5541c", ("high", "serious", "critical", "no")),
)
NOT_JUDGED = Judgement("not judged", "", "#ffffff", ())


def judgement(text: object) -> Judgement:
    """The judgement that a review's words mean: "Low risk", "unclear", "Some concerns"; else "not judged"."""
    first = str(text).strip().lower().partition(" ")[0]
    return next((j for j in JUDGEMENTS if first in j.words), NOT_JUDGED)


def domains(table: pd.DataFrame) -> list[str]:
    """The columns that hold judgements.

    Raises
    ------
    ValueError
        If there is no column study, or nothing beside it.
    """
    found = [str(column) for column in table.columns if column != "study"]
    if "study" not in table.columns or not found or table.empty:
        has = ", ".join(map(str, table.columns)) or "no columns"
        raise ValueError(f"data must have a column study and one a domain, and a row a study; got {has}.")
    return found


def letters(count: int) -> list[str]:
    """Short names of columns: A to Z, then AA, AB ..."""
    singles = string.ascii_uppercase
    return [*singles, *("".join(pair) for pair in product(singles, singles))][:count]


@drawing()
def plot_rob(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Risk of bias: a traffic light of studies by domains, and beneath it the summary, which names the domains.

    Parameters
    ----------
    data
        ``Review.risk_of_bias``: column study, and one a domain.
    ax
        Where to draw; all text stays within its rectangle. A figure of 85 mm width if None.

    Returns
    -------
    Axes
        The traffic light: one y tick a study, one x tick, a letter, a domain. The child beneath has a bar a domain:
        the shares of studies so judged.

    Raises
    ------
    ValueError
        If the table has no judgements, or ax is too small for the text.

    Examples
    --------
    >>> axes = bp.plot_rob(bp.load_review("pip").risk_of_bias)
    >>> len(axes.get_yticks())
    8
    """
    names = domains(data)
    judged = [[judgement(text) for text in data[name]] for name in names]
    width = _LABELS_AT_MOST * room_width(ax, COLUMN)
    studies = rows([str(s) for s in data["study"]], width)
    keys = rows([f"{a} {n.replace('_', ' ')}" for a, n in zip(letters(len(names)), names, strict=True)], width)
    ax, cell = start(ax, COLUMN, studies.depth + keys.depth + _REST)
    _draw_lights(ax, studies, judged)
    strip = strip_beneath(ax, keys.depth, shared=False)
    _draw_summary(strip, keys, judged)
    strip.set_xlabel(f"Studies, of {len(data)}")
    settle(ax, cell, legend=_key([j for column in judged for j in column]))
    require_room(plot_size(ax)[1], studies.depth, f"{len(data)} studies")
    return ax


def _draw_lights(ax: Axes, studies: Rows, judged: Sequence[Sequence[Judgement]]) -> None:
    label_rows(ax, studies)
    ax.set_xlim(-0.5, len(judged) - 0.5)
    ax.set_xticks(range(len(judged)), letters(len(judged)))
    ax.tick_params(axis="x", length=0, labelbottom=False, labeltop=True, bottom=False)
    ax.spines[:].set_visible(False)
    for x, column in enumerate(judged):
        for y, its in zip(studies.middles, column, strict=True):
            draw_light(ax, x, y, its)


def draw_light(ax: Axes, x: float, y: float, its: Judgement, transform: Transform | None = None) -> None:
    """One dot with its symbol, in data coordinates or those given."""
    where = transform or ax.transData
    dot = Line2D([x], [y], ls="", marker="o", ms=_DOT, mfc=its.fill, mec=GREY, mew=0.4, transform=where)
    ax.add_artist(dot).set_clip_on(False)
    ax.text(x, y, its.symbol, ha="center", va="center", fontsize=SMALL, color=BLACK, transform=where)


def _draw_summary(ax: Axes, keys: Rows, judged: Sequence[Sequence[Judgement]]) -> None:
    """A bar a domain, from low to high risk."""
    label_rows(ax, keys)
    for y, column in zip(keys.middles, judged, strict=True):
        begun = 0
        for its in (*JUDGEMENTS, NOT_JUDGED):
            count = column.count(its)
            ax.barh(y, count, _BAR, begun, color=its.fill, edgecolor=GREY, lw=0.4)
            begun += count
    ax.set_xlim(0, len(judged[0]))
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.spines[["left", "top", "right"]].set_visible(False)


def _key(judged: Sequence[Judgement]) -> list[Line2D]:
    return [
        Line2D([], [], ls="", marker="o", ms=_DOT, mfc=j.fill, mec=GREY, mew=0.4, label=f"{j.symbol} {j.label}".strip())
        for j in (*JUDGEMENTS, NOT_JUDGED)
        if j in judged
    ]
