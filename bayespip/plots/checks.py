"""Chains of a sampled fit, drawn by ArviZ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayespip.plots.style import MM, PAGE, drawing, looks

if TYPE_CHECKING:
    from arviz_plots import PlotCollection

    from bayespip.mcmc.fit import PymcFit

__all__ = ["plot_checks"]

VARIABLES = ("mu", "tau")  # those the sampler moves
HEIGHT = 90 * MM


def plot_checks(fit: PymcFit) -> PlotCollection:
    """Traces and ranks of mu and tau, by ArviZ's ``plot_trace`` and ``plot_rank``.

    Left the draws of every chain; right, for every chain, how far the distribution function of its ranks among the
    draws of all chains lies above that of a uniform one. Ranks are of thinned draws, because the test behind the p
    value and the marked points takes draws to be independent: of well mixed chains that are autocorrelated (AR(1),
    coefficient 0.6) it rejects nearly half at its level of 1%, and 5% of the same chains thinned.

    Parameters
    ----------
    fit
        From ``pymc_fit``.

    Returns
    -------
    PlotCollection
        ``.viz["figure"].item()`` is the Matplotlib figure; ``.viz["plot"]`` holds its Axes by variable and column
        ("trace", "rank").

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> axes = bp.plot_checks(fit).viz["plot"]
    >>> [str(name) for name in axes.data_vars]
    ['mu', 'tau']
    """
    import arviz_plots as azp

    its = fit.data["posterior"].to_dataset()[list(VARIABLES)]
    chains = looks(its.sizes["chain"])
    figure: dict[str, Any] = {"figsize": (PAGE / 72, HEIGHT / 72), "figsize_units": "inches", "layout": "constrained"}
    with drawing():
        drawn = azp.PlotCollection.grid(
            its.expand_dims(column=["trace", "rank"]),
            backend="matplotlib",
            rows=["__variable__"],
            cols=["column"],
            aes={"color": ["chain"], "linestyle": ["chain"]},
            color=[look.colour for look in chains],
            linestyle=[look.dash for look in chains],
            figure_kwargs=figure,
        )
        shared: dict[str, Any] = {"var_names": list(VARIABLES), "plot_collection": drawn}
        drawn.coords = {"column": "trace"}
        azp.plot_trace(fit.data, aes_by_visuals={"trace": ["color"]}, visuals={"trace": {"width": 0.4}}, **shared)
        drawn.coords = {"column": "rank"}
        azp.plot_rank(fit.data, thin=True, visuals={"remove_axis": False, "ecdf_lines": {"width": 0.8}}, **shared)
        drawn.coords = None
        for panels in drawn.viz["plot"].to_dataset().values():
            panels.sel(column="trace").item().set_ylabel(fit.effects.measure.model_scale, parse_math=False)
            panels.sel(column="rank").item().set_ylabel("Δ ECDF of ranks")
    return drawn
