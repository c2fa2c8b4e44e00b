"""How study effects are drawn together as tau grows smaller.

Rubin DB. Estimation in parallel randomized experiments. J Educ Stat 1981;6:377-401, figure 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.special import ndtri

from bayespip.exact.posterior import given_tau, mu_prior_components
from bayespip.plots.axes import effect_axis, null_line, plain_axis, settle, start, strip_beneath, tau_label
from bayespip.plots.style import BLACK, COLUMN, GREY, PALE, drawing, looks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bayespip.exact.fit import ExactFit

    Array = NDArray[np.float64]

__all__ = ["conditional_effects", "plot_shrinkage"]

_TAUS = 201
_BEYOND = 1.25  # of the upper limit of tau
_STRIP = 42.0  # points
_NAMED = 12  # studies that can be told apart by dash and colour


def conditional_effects(fit: ExactFit, taus: Array) -> tuple[Array, Array, Array]:
    """Posterior means of the effects and of mu, given tau, on the model scale.

    Parameters
    ----------
    fit
        From ``exact_fit``.
    taus
        Shape (N,), not negative.

    Returns
    -------
    theta, mu, sd
        E(theta_i | tau, y) of shape (k, N); E(mu | tau, y) and SD(mu | tau, y) of shape (N,).

    References
    ----------
    Rover 2020, J Stat Softw 93(6), section 2.
    """
    effects = fit.effects
    yi, vi = effects.yi[None], effects.vi[None]
    given = given_tau(yi, vi, np.asarray(taus, dtype=float), mu_prior_components(fit.priors.mu, yi, vi))
    weight = np.exp(given.log_likelihood[0] - given.log_marginal()[0])
    mu = (weight * given.mean[0]).sum(axis=0)
    variance = (weight * (given.variance[0] + (given.mean[0] - mu) ** 2)).sum(axis=0)
    pull = effects.vi[:, None] / (effects.vi[:, None] + np.asarray(taus) ** 2)
    return effects.yi[:, None] + pull * (mu - effects.yi[:, None]), mu, np.sqrt(variance)


@drawing()
def plot_shrinkage(data: ExactFit, *, ax: Axes | None = None) -> Axes:
    """Conditional effects against tau, with the posterior of tau beneath.

    Parameters
    ----------
    data
        From ``exact_fit``.
    ax
        Where to draw; all text stays within its rectangle. A figure of 85 mm width if None.

    Returns
    -------
    Axes
        Each study's posterior mean given tau, and that of mu with its interval given tau (normal), on the display
        scale; marks at the right edge show the studies' own estimates. The child beneath has the posterior
        density of tau with its median and interval. Up to 12 studies are named; more are grey.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> axes = bp.plot_shrinkage(bp.exact_fit(invented, weak))
    >>> axes.get_yscale()
    'log'
    """
    effects, measure = data.effects, data.effects.measure
    last = _BEYOND * max(data.tau.upper, float(np.sqrt(effects.vi.mean())) / 2)
    taus = last * np.linspace(0.0, 1.0, _TAUS)
    theta, mu, sd = conditional_effects(data, taus)
    z = float(ndtri((1 + data.level) / 2))
    named = effects.k <= _NAMED
    ax, cell = start(ax, COLUMN, 210 + 9 * (effects.k + 1 if named else 3))
    shown = np.concatenate([theta.ravel(), mu, effects.yi, [measure.model(measure.null)]])
    margin = 0.05 * (np.ptp(shown) or 1.0)
    low, high = measure.display([shown.min() - margin, shown.max() + margin])
    plain_axis(ax, "x", (0.0, last))
    effect_axis(ax, measure, (float(low), float(high)), which="y")
    null_line(ax, measure, which="y")
    band = measure.display([mu - z * sd, mu + z * sd])
    ax.fill_between(taus, *band, color=PALE, alpha=0.6, lw=0, zorder=0)
    _draw_effects(ax, taus, measure.display(theta), measure.display(effects.yi), named)
    ax.plot(taus, measure.display(mu), color=BLACK, lw=1.6)
    strip = strip_beneath(ax, _STRIP)
    _draw_posterior(strip, data, taus)
    settle(ax, cell, legend=_key(data, named))
    return ax


def _draw_effects(ax: Axes, taus: Array, theta: Array, own: Array, named: bool) -> None:
    """A line a study, and at the right edge a mark at its own estimate."""
    for line, estimate, look in zip(theta, own, looks(len(own)), strict=True):
        colour, dash = (look.colour, look.dash) if named else (GREY, "-")
        ax.plot(taus, line, color=colour, ls=dash, lw=0.9 if named else 0.5)
        ax.plot(taus[-1:], [estimate], ls="", marker="_", ms=5, mew=1.2, color=colour, clip_on=False)


def _draw_posterior(ax: Axes, fit: ExactFit, taus: Array) -> None:
    """Density of tau, its interval dark, its median a line."""
    density = fit.tau.pdf(np.append(taus, fit.tau.point))
    density = np.where(np.isfinite(density), density, np.nan)
    # a density that rises without end at zero is cut at twice what it has beside it
    top = min(np.nanmax(density), 2 * np.nanmax(density[1:]))
    plain_axis(ax, "y", (0.0, 1.1 * float(top)))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    inside = (taus >= fit.tau.lower) & (taus <= fit.tau.upper)
    ax.fill_between(taus, density[:-1], where=inside, color=PALE, lw=0)
    ax.plot(taus, density[:-1], color=BLACK, lw=1)
    ax.vlines(fit.tau.point, 0, min(float(density[-1]), top), colors=BLACK, lw=0.8, linestyles=(0, (2, 1)))
    ax.set_xlabel(tau_label(fit.effects.measure))


def _key(fit: ExactFit, named: bool) -> list[Artist]:
    effects, level = fit.effects, f"{100 * fit.level:g}%"
    series = zip(effects.study, looks(effects.k), strict=True)
    studies = [Line2D([], [], color=look.colour, ls=look.dash, lw=0.9, label=name) for name, look in series]
    grey = Line2D([], [], color=GREY, lw=0.5, label=f"{effects.k} studies")
    return [
        Line2D([], [], color=BLACK, lw=1.6, label=f"average effect μ given τ, with {level} interval"),
        Patch(facecolor=PALE, edgecolor=BLACK, lw=0.5, label=f"beneath: posterior of τ, median and {level} interval"),
        Line2D([], [], ls="", marker="_", ms=5, mew=1.2, color=GREY, label="the study's own estimate"),
        *(studies if named else [grey]),
    ]
