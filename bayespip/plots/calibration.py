"""Ranks of simulation-based calibration against the uniform distribution.

References
----------
Sailynoja T, Burkner PC, Vehtari A. Graphical test for discrete uniformity. Stat Comput 2022;32:32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Patch

from bayespip.calibration.ranks import PROB, ecdfs
from bayespip.plots.axes import plain_axis, settle, start
from bayespip.plots.style import COLUMN, FAINT, PALE, drawing, looks

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["plot_calibration"]

_NAMED = 7  # curves that a legend can tell apart
_HEIGHT = 235.0  # points


@drawing()
def plot_calibration(data: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """How far the ranks of each parameter are from uniform.

    Parameters
    ----------
    data
        From ``calibration.sbc``.
    ax
        Where to draw; all text stays within its rectangle. A figure of 85 mm width if None.

    Returns
    -------
    Axes
        Distribution function of the ranks minus that of the uniform distribution, a curve a parameter, and the band
        that holds all curves of a right model at once with probability 0.999 (Bonferroni over the parameters).
    """
    names = [str(name) for name in data["parameter"].values]
    ax, cell = start(ax, COLUMN, _HEIGHT)
    at, found, lower, upper = ecdfs(data)
    curves = [(name, curve - at) for name, curve in zip(names, found, strict=True)]
    edges = [float(abs(edge - at).max()) for edge in (lower, upper)]
    reach = 1.15 * max(*edges, *(float(abs(curve).max()) for _, curve in curves))
    ax.set_xlim(0, 1)
    plain_axis(ax, "y", (-reach, reach)).set_label_text("ECDF of the ranks − uniform")
    ax.set_xlabel("Rank of the true value among the draws")
    ax.fill_between(at, lower - at, upper - at, color=PALE, lw=0, zorder=0)
    ax.axhline(0, color=FAINT, lw=0.6, zorder=1)
    handles = [
        ax.plot(at, curve, color=look.colour, ls=look.dash, lw=0.8, label=name)[0]
        for (name, curve), look in zip(curves, looks(len(curves)), strict=True)
    ]
    band = Patch(facecolor=PALE, label=f"band of all {len(names)} curves, {100 * PROB:g}%")
    settle(ax, cell, legend=[*(handles if len(handles) <= _NAMED else []), band])
    return ax
