"""The effect of a new study, and how probably it lies beyond thresholds that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayespip import decisions
from bayespip.plots.axes import draw_intervals, effect_axis, null_line, settle, start
from bayespip.plots.style import BLACK, BLUE, COLUMN, GREY, MM, PALE, PURPLE, SKY, VERMILION, drawing
from bayespip.text import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bayespip.decisions import Beyond, ExactPosterior
    from bayespip.exact.marginals import Marginal
    from bayespip.measures import Measure

__all__ = ["plot_predictive"]

HEIGHT = 75 * MM
# The axis: all but two in a thousand, as long as that is no more than five quartile ranges from the median (of a
# normal distribution it is 2.3).
_TAIL, _QUARTILE_RANGES = 0.001, 5.0
_WORTH_SAYING = 0.0025  # probability beyond the axis
_GRID = 401
_ROW = 0.09  # of the density's height: from one interval beneath it to the next


class _Area(NamedTuple):
    """A part of the density: its name, probability, limits on the model scale, colour and hatch."""

    name: str
    probability: float
    lower: float
    upper: float
    colour: str
    hatch: str


@drawing()
def plot_predictive(
    fit: ExactPosterior,
    difference: float | Sequence[float] | None = None,
    *,
    favours: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Predictive distribution of the effect in a new study, divided at thresholds.

    Areas are probabilities, also on the log axis of a ratio. Beneath the density stand the median and central
    interval of the new study's effect and of the average effect.

    Parameters
    ----------
    fit
        An exact fit.
    difference, favours
        As in ``decisions.beyond``: with a direction, the parts are named benefit and harm.
    ax
        Where to draw; text stays within its rectangle. A figure as wide as a journal's column if None.

    Raises
    ------
    ValueError
        As ``decisions.beyond``, or if ax is too small for the text.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> axes = bp.plot_predictive(bp.exact_fit(invented, weak), 0.8, favours="lower")
    >>> axes.get_xscale()
    'log'
    """
    new, average = (_exact(fit, name) for name in ("theta_new", "mu"))
    measure = new.measure
    areas = _areas(decisions.beyond(new, difference, favours=favours), measure)
    low, high = _limits(new, areas)
    x = np.union1d(_grid(new, low, high), [area.upper for area in areas[:-1]])
    density = _density(new, x)
    ax, cell = start(ax, COLUMN, HEIGHT)
    beyond = float(new.cdf(low)) + new.prob_greater(high)
    effect_axis(ax, measure, tuple(measure.display([low, high]).tolist()), label="Effect in a new study")
    if beyond > _WORTH_SAYING:
        ax.set_xlabel(f"{ax.get_xlabel()} ({wording.probability(beyond)} lies beyond the axis)")
    ax.set_ylim(-2.7 * _ROW * density.max(), 1.05 * density.max())
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    for area in areas:
        inside = (x >= area.lower) & (x <= area.upper)
        ax.fill_between(
            measure.display(x[inside]), density[inside], fc=area.colour, hatch=area.hatch, hatchcolor="white", lw=0
        )
    ax.plot(measure.display(x), density, color=BLACK, lw=1)
    ax.axhline(0, color=BLACK, lw=0.4)
    null_line(ax, measure)
    for row, (marginal, colour, marker) in enumerate(zip((new, average), _COLOURS, _MARKERS, strict=True), 1):
        _draw_interval(ax, marginal, -row * _ROW * density.max(), colour, marker)
    settle(ax, cell, legend=_handles(areas, new, average))
    return ax


_COLOURS, _MARKERS = (BLACK, GREY), ("o", "D")


def _exact(fit: object, name: str) -> Marginal:
    """The fit's posterior of that name; refused if it has no distribution function."""
    marginal: Any = getattr(fit, name, None)
    decisions.require_posterior(marginal)
    return marginal  # type: ignore[no-any-return]


def _areas(found: Beyond, measure: Measure) -> list[_Area]:
    lower, upper = measure.model([found.lower, found.upper])
    below, above = (SKY, ""), (PURPLE, "////")
    names = {"below": "", "above": ""}
    if found.favours is not None:
        better, worse = ("above", "below") if found.favours == "higher" else ("below", "above")
        names = {better: " (benefit)", worse: " (harm)"}
        looks = {better: (BLUE, ""), worse: (VERMILION, "////")}
        below, above = looks["below"], looks["above"]
    low, high = (_written(wording.number(limit, measure.null)) for limit in (found.lower, found.upper))
    areas = [
        _Area(f"{measure.name} below {low}{names['below']}", found.below, -np.inf, lower, *below),
        _Area(f"{measure.name} from {low} to {high}", found.between, lower, upper, PALE, ""),
        _Area(f"{measure.name} above {high}{names['above']}", found.above, upper, np.inf, *above),
    ]
    return areas if lower < upper else [areas[0], areas[2]]


def _limits(marginal: Marginal, areas: Sequence[_Area]) -> tuple[float, float]:
    """Of the axis, model scale: thresholds, no effect and the bulk of the distribution."""
    first, q1, median, q3, last = marginal.quantile([_TAIL, 0.25, 0.5, 0.75, 1 - _TAIL])
    reach = _QUARTILE_RANGES * (q3 - q1)
    inside = [0.0, *(area.upper for area in areas[:-1]), *(area.lower for area in areas[1:])]
    low, high = min(max(first, median - reach), *inside), max(min(last, median + reach), *inside)
    margin = 0.03 * (high - low)
    return float(low - margin), float(high + margin)


def _grid(marginal: Marginal, low: float, high: float) -> NDArray[np.float64]:
    """Where the density is drawn, model scale: evenly along the axis and evenly in probability."""
    below, within = (float(p) for p in marginal.cdf([low, high]))
    by_probability = marginal.quantile(np.linspace(below, within, _GRID)[1:-1])
    return np.unique(np.concatenate([np.linspace(low, high, _GRID), by_probability]))


def _density(marginal: Marginal, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per unit of the axis: of the model scale for differences and log axes, of r for Fisher's z."""
    density = marginal.pdf(x)
    return density if marginal.measure.log else density * np.exp(-marginal.measure.log_slope(x))


def _draw_interval(ax: Axes, marginal: Marginal, y: float, colour: str, marker: str) -> None:
    point, lower, upper = marginal.measure.display([marginal.point, marginal.lower, marginal.upper])
    draw_intervals(ax, [y], [lower], [upper], colour, lw=1.2)
    ax.plot([point], [y], ls="", marker=marker, ms=4, mew=0, color=colour)


def _handles(areas: Sequence[_Area], new: Marginal, average: Marginal) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Patch(
            facecolor=area.colour, hatch=area.hatch, hatchcolor="white", lw=0,
            label=f"{area.name}: probability {wording.probability(area.probability)}",
        )
        for area in areas
    ]  # fmt: skip
    for name, marginal, colour, marker in zip(
        ("effect in a new study", "average effect"), (new, average), _COLOURS, _MARKERS, strict=True
    ):
        shown = marginal.measure.display([marginal.point, marginal.lower, marginal.upper])
        point, lower, upper = (wording.number(float(value), marginal.measure.null) for value in shown)
        label = _written(f"{name}: median {point}, {100 * marginal.level:g}% {lower} to {upper}")
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4, mew=0, lw=1.2, label=label))
    return handles


def _written(numbers: str) -> str:
    """With true minus signs, as on the axis."""
    return numbers.replace("-", "−")
