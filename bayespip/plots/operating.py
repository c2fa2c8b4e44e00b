"""What intervals of the average effect do over many simulated meta-analyses: coverage and width against tau."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayespip.plots.axes import dress, plain_axis, settle, start
from bayespip.plots.style import FAINT, PAGE, drawing, looks
from bayespip.plots.text import FONT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["plot_operating"]

_HEIGHT = 260.0  # points
_GAP = 0.04  # between panels, of the width
_SPLIT = 0.54  # of the height, for coverage
_NEEDED = ("k", "tau", "method", "prior", "level", "coverage", "width")


@drawing()
def plot_operating(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Coverage and mean width of the intervals of mu against tau, a line a method.

    Parameters
    ----------
    data
        Rows of ``calibration.operating_characteristics``, joined over scenarios that differ in k and in a fixed tau
        alone; rows whose tau was drawn are left out.
    ax
        Where to draw; text stays within its rectangle. A figure as wide as a journal's page if None.

    Returns
    -------
    Axes
        Its children are the panels: for each number of trials, coverage above (a line at the level) and width below (on
        a log axis).

    Raises
    ------
    ValueError
        If a column is missing, no row has a fixed tau, two rows are of the same k, tau and method, or ax is too small
        for the text.
    """
    table = _checked(data)
    sizes = sorted(table["k"].unique())
    names = list(dict.fromkeys(table["name"]))
    ax, cell = start(ax, PAGE, _HEIGHT)
    ax.set_axis_off()
    coverage = (100 * min(table["coverage"].min(), table["level"].min()) - 2, 100.5)
    width = (0.9 * table["width"].min(), 1.1 * table["width"].max())
    taus = (0.0, max(1.02 * table["tau"].max(), 0.1))
    handles: list[Line2D] = []
    for column, k in enumerate(sizes):
        upper, lower = (_panel(ax, column, len(sizes), row) for row in (0, 1))
        plain_axis(upper, "y", coverage)
        plain_axis(lower, "y", width, log=True)
        upper.axhline(100 * table["level"].iloc[0], color=FAINT, lw=0.6, zorder=0)
        upper.set_title(f"{k} trials", fontsize=FONT, pad=3)
        its = table[table["k"] == k]
        handles = _draw(upper, its, names, "coverage", 100.0)
        _draw(lower, its, names, "width", 1.0)
        for panel, label in ((upper, "Coverage (%)"), (lower, "Mean width, log axis")):
            plain_axis(panel, "x", taus)
            panel.tick_params(labelbottom=panel is lower, labelleft=column == 0)
            panel.set_ylabel("" if column else label)
        if column == len(sizes) // 2:
            lower.set_xlabel("Between-study SD τ")
    settle(ax, cell, legend=handles)
    return ax


def _checked(data: pd.DataFrame) -> pd.DataFrame:
    missing = [column for column in _NEEDED if column not in data]
    if missing:
        raise ValueError(f"data must have the columns {', '.join(_NEEDED)}; missing: {', '.join(missing)}.")
    import pandas as pd

    tau = pd.to_numeric(data["tau"], errors="coerce")
    table = data.assign(tau=tau, prior=data["prior"].fillna(""))[tau.notna().to_numpy()]
    if table.empty:
        raise ValueError("data must have rows with a fixed tau; got none.")
    names = [prior or method for method, prior in zip(table["method"], table["prior"], strict=True)]
    table = table.assign(name=names).sort_values("tau", kind="stable")
    twice = table[table.duplicated(["k", "tau", "name"])]
    if len(twice):
        k, tau_, name = twice.iloc[0][["k", "tau", "name"]]
        raise ValueError(
            f"data must have one row for each k, tau and method; several for {name}, k = {k}, tau {tau_:g}."
        )
    order = list(dict.fromkeys(names))
    return table.sort_values("name", key=lambda its: its.map(order.index), kind="stable")


def _panel(ax: Axes, column: int, columns: int, row: int) -> Axes:
    """A child: coverage in row 0, width below it."""
    width = (1 - _GAP * (columns - 1)) / columns
    bottom, height = (1 - _SPLIT, _SPLIT) if row == 0 else (0.0, 1 - _SPLIT - _GAP)
    child = ax.inset_axes((column * (width + _GAP), bottom, width, height))
    dress(child)
    return child


def _draw(panel: Axes, its: pd.DataFrame, names: list[str], column: str, factor: float) -> list[Line2D]:
    lines = []
    for name, look in zip(names, looks(len(names)), strict=True):
        rows = its[its["name"] == name]
        lines += panel.plot(
            rows["tau"], factor * np.asarray(rows[column]), color=look.colour, ls=look.dash, marker=look.marker, ms=2.5,
            lw=0.9, label=name,
        )  # fmt: skip
    return lines
