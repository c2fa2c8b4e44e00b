"""The posterior of (mu, tau) on a grid: for models whose likelihood of both is known without sampling."""

from collections.abc import Callable

import numpy as np

from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit

MCSE_BOUND = 5  # Monte Carlo standard errors: of 12 quantiles one lies farther once in 150,000 runs
POINTS = 240


def quantiles(
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray], fit: PymcFit
) -> dict[str, tuple[np.ndarray, float]]:
    """2.5, 50 and 97.5% points of mu and tau, and the step of the grid.

    The grid covers, and exceeds by a third of their range, the draws of a fit; log_density takes mu and tau of one
    shape and gives the log posterior density, up to a constant.
    """
    mu, tau = fit.draws("mu"), fit.draws("tau")
    margin = (mu.max() - mu.min()) / 3
    at_mu = np.linspace(mu.min() - margin, mu.max() + margin, POINTS)
    at_tau = np.linspace(0, 4 / 3 * tau.max(), POINTS + 1)
    at_tau = (at_tau[1:] + at_tau[:-1]) / 2  # midpoints: the density need not vanish at zero
    density = log_density(*(a.ravel() for a in np.meshgrid(at_mu, at_tau, indexing="ij")))
    mass = np.exp(density - density.max()).reshape(POINTS, POINTS)
    return {
        name: (_quantiles(at, mass.sum(axis=axis)), at[1] - at[0])
        for name, at, axis in (("mu", at_mu, 1), ("tau", at_tau, 0))
    }


def _quantiles(at: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Each point stands for an interval about it, across which the mass is spread."""
    step = at[1] - at[0]
    below = np.concatenate([[0], np.cumsum(mass)]) / mass.sum()
    return np.interp([0.025, 0.5, 0.975], below, np.append(at - step / 2, at[-1] + step / 2))


def assert_agrees(fit: PymcFit, log_density: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    """Within MCSE_BOUND Monte Carlo standard errors, and a hundredth of the grid's step."""
    table = diagnose(fit, ["mu", "tau"]).set_index("variable")
    for name, (expected, step) in quantiles(log_density, fit).items():
        shown = getattr(fit, name)
        errors = table.loc[name, ["mcse_lower", "mcse_median", "mcse_upper"]].to_numpy(dtype=float)
        distance = np.abs(np.array([shown.lower, shown.point, shown.upper]) - expected)
        assert (distance <= MCSE_BOUND * errors + step / 100).all(), (name, distance, errors)
