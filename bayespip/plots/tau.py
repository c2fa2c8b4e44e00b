"""What the studies say about tau: prior, likelihood, posterior, and the estimators of the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayespip.plots.axes import draw_intervals, plain_axis, settle, start, strip_beneath, tau_label
from bayespip.plots.style import BLACK, COLUMN, GREY, PALE, drawing, looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from bayespip.sensitivity.evidence import TauEvidence

__all__ = ["plot_tau"]

_HEADROOM = 1.08
_ROW, _DENSITIES, _REST = 8.6, 105.0, 45.0  # a line of the strip; heights of the rest of a new figure, in points


@drawing()
def plot_tau(data: TauEvidence, *, ax: Axes | None = None) -> Axes:
    """Prior and posterior of tau, its likelihood, its estimators and its Q-profile interval.

    Parameters
    ----------
    data
        From ``tau_evidence``; a handful of priors can be told apart.
    ax
        Where to draw; all text stays within its rectangle. A figure of 85 mm width if None.

    Returns
    -------
    Axes
        Densities against tau on the model scale: thick posteriors, thin priors in the same colour and dash. The
        marginal (restricted) likelihood of tau is a grey area as high as the highest posterior. A child beneath has
        one row an estimator, and the Q-profile interval, with an arrowhead where it goes on.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> axes = bp.plot_tau(bp.tau_evidence(invented, [weak]))
    >>> axes.get_xscale()
    'linear'
    """
    priors = [str(p) for p in data.curves["prior"].to_numpy()]
    rows = data.table[data.table["kind"] != "posterior"]
    ax, cell = start(ax, COLUMN, _DENSITIES + _REST + 9 * (len(priors) + 2) + _ROW * len(rows))
    taus = data.curves["tau"].to_numpy()
    posterior, prior = (data.curves[f"{name}_density"].to_numpy() for name in ("posterior", "prior"))
    top = _top(posterior)
    plain_axis(ax, "x", (0.0, float(taus.max())))
    plain_axis(ax, "y", (0.0, _HEADROOM * top)).set_label_text("Density")
    ax.fill_between(taus, top * data.curves["marginal"].to_numpy(), color=PALE, lw=0, zorder=0)
    handles: list[Artist] = []
    for name, before, after, look in zip(priors, prior, posterior, looks(len(priors)), strict=True):
        ax.plot(taus, np.where(np.isfinite(before), before, np.nan), color=look.colour, ls=look.dash, lw=0.6)
        shown = np.where(np.isfinite(after), after, np.nan)
        handles += ax.plot(taus, shown, color=look.colour, ls=look.dash, lw=1.4, label=name)
    handles.append(Line2D([], [], color=GREY, lw=0.6, label="thin: the prior of the same colour"))
    handles.append(Patch(facecolor=PALE, label="likelihood of τ (marginal), scaled"))
    strip = strip_beneath(ax, _ROW * len(rows))
    _draw_strip(strip, rows)
    strip.set_xlabel(tau_label(data.effects.measure))
    settle(ax, cell, legend=handles)
    return ax


def _top(posterior: np.ndarray) -> float:
    """Height of the highest posterior; of one that rises without end at zero, twice what it has beside it."""
    finite = np.where(np.isfinite(posterior), posterior, 0.0)
    return float(min(finite.max(initial=0.0), 2 * finite[:, 1:].max(initial=0.0))) or 1.0


def _draw_strip(ax: Axes, rows: pd.DataFrame) -> None:
    """One row an estimator, and the interval, from the top."""
    at = np.arange(len(rows))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(at, list(rows["name"]))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    lower, upper, point = (rows[name].to_numpy(dtype=float) for name in ("lower", "upper", "point"))
    draw_intervals(ax, at, lower, upper, BLACK, lw=1)
    draw_intervals(ax, at, point, point, BLACK)  # an arrowhead for an estimate beyond the axis
    inside = point <= ax.get_xlim()[1]
    if inside.any():
        ax.plot(point[inside], at[inside], ls="", marker="|", ms=6, mew=1.2, color=BLACK, clip_on=False)
    for y, note in zip(at, rows["note"], strict=True):
        if note.startswith("one study"):
            ax.annotate("not estimable from one study", (0, y), xytext=(4, 0), textcoords="offset points", va="center")
