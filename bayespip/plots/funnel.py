"""The funnel plot, with contours of significance.

References
----------
Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Contour-enhanced meta-analysis funnel plots help distinguish
publication bias from other causes of asymmetry. J Clin Epidemiol 2008;61:991-6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.special import ndtri

from bayespip.effects import EffectSizes
from bayespip.plots.axes import effect_axis, null_line, plain_axis, settle, start
from bayespip.plots.style import BLACK, COLUMN, FREQUENTIST, GREY, WEAK, drawing

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from bayespip.fits import Fit
    from bayespip.plots.style import Look

__all__ = ["plot_funnel"]

# Peters 2008: two-sided p above 0.1, between 0.1, 0.05 and 0.01, and below
_CONTOURS = ((0.1, "#ffffff", "p > 0.1"), (0.05, "#e8e8e8", "0.05 to 0.1"), (0.01, "#cfcfcf", "0.01 to 0.05"))
_BELOW = ("#b3b3b3", "p < 0.01")
_GRID = 101


@drawing()
def plot_funnel(data: Fit, *, ax: Axes | None = None) -> Axes:
    """Funnel plot of the studies of a fit, with contours of significance about no effect.

    Parameters
    ----------
    data
        A fit of effect sizes: they are drawn, and its average effect.
    ax
        Where to draw; all text stays within its rectangle. A figure of 85 mm width if None.

    Returns
    -------
    Axes
        Effects on the display scale against standard errors on the model scale, zero on top. The areas hold the
        studies that have those two-sided p-values (Wald); the dashed line is the average effect, the dotted ones the
        funnel of studies about it without heterogeneity, 1.96 standard errors wide for a fit of 95%.

    Raises
    ------
    ValueError
        If the fit is of counts or of other data without standard errors, or ax is too small for the text.

    Examples
    --------
    >>> effects = bp.effect_sizes(bp.load_review("bcg")["1.1"].studies, "RR")
    >>> axes = bp.plot_funnel(bp.frequentist_fit(effects))
    >>> axes.get_xscale()
    'log'
    """
    effects = data.effects
    if not isinstance(effects, EffectSizes):
        raise ValueError(f"data must be a fit of effect sizes; got one of {type(effects).__name__} ({data.method}).")
    measure = effects.measure
    handles = _key(data)
    ax, cell = start(ax, COLUMN, 200.0)
    deepest = 1.06 * float(effects.sei.max())
    z = float(ndtri((1 + data.level) / 2))
    sides = np.concatenate([effects.yi, [data.mu.point - z * deepest, data.mu.point + z * deepest]])
    centre = float(measure.model(measure.null))
    # the outermost contour is shown at least at the largest standard error drawn
    reach = max(float(np.abs(sides - centre).max()), -float(ndtri(0.005)) * deepest) * 1.04
    low, high = (float(x) for x in measure.display([centre - reach, centre + reach]))
    effect_axis(ax, measure, (low, high))
    plain_axis(ax, "y", (deepest, 0.0)).set_label_text(f"Standard error ({measure.model_scale})")
    _draw_contours(ax, data, deepest, centre)
    null_line(ax, measure)
    errors = np.linspace(0.0, deepest, _GRID)
    for side in (-z, z):
        ax.plot(measure.display(data.mu.point + side * errors), errors, color=BLACK, ls=(0, (1, 1.5)), lw=0.8)
    ax.plot(measure.display([data.mu.point] * 2), [0, deepest], color=_look(data).colour, ls=(0, (4, 1.5)), lw=1)
    ax.plot(
        measure.display(effects.yi), effects.sei, ls="", marker="o", ms=3.6, mfc=BLACK, mec="white", mew=0.4,
        clip_on=False, zorder=3,
    )  # fmt: skip
    settle(ax, cell, legend=handles)
    return ax


def _draw_contours(ax: Axes, data: Fit, deepest: float, centre: float) -> None:
    """From the outermost in: each area covers the middle of the one before."""
    measure = data.effects.measure
    errors = np.linspace(0.0, deepest, _GRID)
    ax.set_facecolor(_BELOW[0])
    for p, colour, _ in reversed(_CONTOURS):
        half = -float(ndtri(p / 2)) * errors
        left, right = measure.display(centre - half), measure.display(centre + half)
        ax.fill_betweenx(errors, left, right, color=colour, lw=0, zorder=0)


def _look(data: Fit) -> Look:
    return WEAK if data.prior else FREQUENTIST


def _key(data: Fit) -> list[Artist]:
    name = ", ".join(part for part in (data.method, data.prior) if part)
    percent = f"{100 * data.level:g}%"
    areas = [Patch(facecolor=c, edgecolor=GREY, lw=0.4, label=label) for _, c, label in _CONTOURS]
    return [
        Line2D([], [], ls="", marker="o", ms=3.6, mfc=BLACK, mec="white", mew=0.4, label="study"),
        Line2D([], [], color=_look(data).colour, ls=(0, (4, 1.5)), lw=1, label=f"average effect ({name})"),
        Line2D([], [], color=BLACK, ls=(0, (1, 1.5)), lw=0.8, label=f"{percent} of studies if τ = 0"),
        *areas,
        Patch(facecolor=_BELOW[0], edgecolor=GREY, lw=0.4, label=_BELOW[1]),
    ]
