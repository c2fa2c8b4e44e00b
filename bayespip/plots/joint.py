"""The joint posterior of the average effect and the heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from bayespip.exact.fit import ExactFit
from bayespip.exact.posterior import given_tau, mu_prior_components
from bayespip.plots.axes import effect_axis, null_line, plain_axis, settle, start, tau_label
from bayespip.plots.style import BLACK, BLUE, COLUMN, VERMILION, drawing

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from bayespip.mcmc.fit import PymcFit

    Array = NDArray[np.float64]

__all__ = ["joint_density", "plot_joint"]

MASSES = (0.95, 0.8, 0.5)  # within the contours, from the outermost
_WIDTHS, _DASHES = (0.8, 1.2, 1.6), (":", "--", "-")
_GRID = 241
_TAIL = 0.002  # of mu and of tau, left out on each side
_DRAWS = 2000  # at most, shown as points


def joint_density(fit: ExactFit, mu: ArrayLike, tau: ArrayLike) -> Array:
    """Joint posterior density of mu and tau, exact.

    Parameters
    ----------
    fit
        From ``exact_fit``.
    mu, tau
        Model scale; shapes (M,) and (N,), tau not negative.

    Returns
    -------
    Density, shape (N, M): p(tau | y) p(mu | tau, y), the second a normal or a mixture of normals.
    """
    effects = fit.effects
    yi, vi = effects.yi[None], effects.vi[None]
    taus, at = np.asarray(tau, dtype=float), np.asarray(mu, dtype=float)
    given = given_tau(yi, vi, taus, mu_prior_components(fit.priors.mu, yi, vi))
    weight = np.exp(given.log_likelihood[0] - given.log_marginal()[0])[:, :, None]
    mean, variance = given.mean[0][:, :, None], given.variance[0][:, :, None]
    normal = np.exp(-((at - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    return np.asarray((weight * normal).sum(axis=0) * fit.tau.pdf(taus)[:, None])


@drawing()
def plot_joint(data: ExactFit | PymcFit | Sequence[ExactFit | PymcFit], *, ax: Axes | None = None) -> Axes:
    """Joint posterior of mu and tau: contours of the exact engine, points of the draws of PyMC.

    Parameters
    ----------
    data
        A fit, or an exact fit and a sampled one of the same data and priors: then the points should follow the
        contours.
    ax
        Where to draw; all text stays within its rectangle. A figure of 85 mm width if None.

    Returns
    -------
    Axes
        Vertically tau on the model scale, horizontally mu on the display scale. Contours hold 50, 80 and 95% of the
        posterior (highest density on the model scale, where they are closed at tau = 0 by the axis); a cross marks the
        medians.

    Raises
    ------
    ValueError
        If there is not one fit, or one of each engine; or ax is too small for the text.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> axes = bp.plot_joint(bp.exact_fit(invented, weak))
    >>> axes.get_xscale()
    'log'
    """
    fits = list(data) if isinstance(data, Sequence) else [data]
    exact = [fit for fit in fits if isinstance(fit, ExactFit)]
    sampled = [fit for fit in fits if not isinstance(fit, ExactFit)]
    if not fits or len(exact) > 1 or len(sampled) > 1:
        got = ", ".join(fit.method for fit in fits) or "none"
        raise ValueError(f"data must be one fit, or an exact fit and a sampled one; got {got}.")
    first = fits[0]
    measure = first.effects.measure
    mu, tau = _range(exact, sampled)
    ax, cell = start(ax, COLUMN, 210.0)
    low, high = measure.display(mu)
    effect_axis(ax, measure, (float(low), float(high)), label="Average effect μ")
    plain_axis(ax, "y", tau).set_label_text(tau_label(measure))
    null_line(ax, measure)
    handles = [_draw_points(ax, fit) for fit in sampled]
    for fit in exact:
        handles += _draw_contours(ax, fit, mu, tau)
    ax.plot(measure.display(first.mu.point), first.tau.point, ls="", marker="+", ms=6, mew=1.2, color=BLACK, zorder=4)
    handles.append(Line2D([], [], ls="", marker="+", ms=6, mew=1.2, color=BLACK, label="medians"))
    settle(ax, cell, legend=handles)
    return ax


def _range(exact: Sequence[ExactFit], sampled: Sequence[PymcFit]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of mu and tau, model scale: nearly all of the posterior."""
    ends, highest = [_TAIL, 1 - _TAIL], 1 - 5 * _TAIL
    if exact:
        mu, tau = exact[0].mu.quantile(ends), float(exact[0].tau.quantile(highest))
    else:
        mu, tau = np.quantile(sampled[0].draws("mu"), ends), float(np.quantile(sampled[0].draws("tau"), highest))
    return (float(mu[0]), float(mu[1])), (0.0, tau)


def _draw_points(ax: Axes, fit: PymcFit) -> Artist:
    """Draws, evenly thinned to a number that can be seen."""
    mu, tau = fit.draws("mu"), fit.draws("tau")
    step = max(1, -(-mu.size // _DRAWS))
    shown = fit.effects.measure.display(mu[::step])
    ax.plot(shown, tau[::step], ls="", marker=".", ms=2, mew=0, color=VERMILION, alpha=0.5, zorder=1, rasterized=True)
    return Line2D([], [], ls="", marker=".", ms=5, mew=0, color=VERMILION, label=f"draws ({fit.method})")


def _draw_contours(ax: Axes, fit: ExactFit, mu: tuple[float, float], tau: tuple[float, float]) -> list[Artist]:
    mus, taus = np.linspace(*mu, _GRID), np.linspace(*tau, _GRID)
    density = joint_density(fit, mus, taus)
    density = np.where(np.isfinite(density), density, np.nanmax(density[np.isfinite(density)]))
    weights = np.outer(*(_trapezoids(grid) for grid in (taus, mus)))
    ax.contour(
        fit.effects.measure.display(mus), taus, density, levels=_levels(density, weights), colors=BLUE,
        linewidths=_WIDTHS, linestyles=_DASHES, zorder=2,
    )  # fmt: skip
    styles = zip(MASSES, _WIDTHS, _DASHES, strict=True)
    return [Line2D([], [], color=BLUE, lw=w, ls=dash, label=f"{100 * m:g}% within") for m, w, dash in styles]


def _trapezoids(grid: Array) -> Array:
    """Weights of the trapezoidal rule."""
    weights = np.full(grid.size, grid[1] - grid[0])
    weights[[0, -1]] /= 2
    return weights


def _levels(density: Array, weights: Array) -> list[float]:
    """Densities above which there is each mass, lowest first."""
    order = np.argsort(density, axis=None)[::-1]
    mass = np.cumsum((density * weights).flat[order])
    return [float(density.flat[order[min(int(np.searchsorted(mass, m)), order.size - 1)]]) for m in MASSES]
