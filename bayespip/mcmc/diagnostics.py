"""Whether a sample is good enough to be reported.

References
----------
Vehtari A, Gelman A, Simpson D, Carpenter B, Burkner PC. Rank-normalization, folding, and localization: an
improved R-hat for assessing convergence of MCMC. Bayesian Analysis 2021;16:667-718 (R-hat, ESS, MCSE of
quantiles). Betancourt M. Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo.
arXiv:1604.00695 (E-BFMI).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import arviz as az
import numpy as np
import pandas as pd

from bayespip.exact.propriety import moment_exists

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from bayespip.mcmc.fit import PymcFit

__all__ = ["ESS_MIN", "RHAT_MAX", "ConvergenceError", "diagnose", "labels_and_draws"]

RHAT_MAX = 1.01  # Vehtari et al. 2021, section 4
ESS_MIN = 400  # Vehtari et al. 2021, section 4: 50 for each half of four chains
TAILS = (0.05, 0.95)  # whose smaller ESS is the tail ESS: Vehtari et al. 2021, section 4.3


class ConvergenceError(RuntimeError):
    """A sample that fails its diagnostics; the message names the variable and the figure.

    Examples
    --------
    >>> issubclass(bp.ConvergenceError, RuntimeError)
    True
    """


def diagnose(fit: PymcFit, variables: Sequence[str] | None = None) -> pd.DataFrame:
    """Convergence and precision of a sampled fit.

    Parameters
    ----------
    fit
        A fit by ``pymc_fit``.
    variables
        Variables of its posterior. By default those the sampler moved; what a model integrates out or predicts
        (in the marginal one theta and theta_new) are independent draws given them.

    Returns
    -------
    DataFrame
        One row a variable (``theta[study]`` for each study, and so for other dimensions):

        - variable;
        - rhat: the larger of rank-normalised and folded R-hat; ess_bulk, ess_tail;
        - mcse_mean (nan where the posterior has no variance), mcse_lower, mcse_median, mcse_upper: Monte
          Carlo standard errors of the mean and of the points the fit shows, model scale;
        - divergences, share_max_depth (of draws with a transition cut short) and ebfmi (the smallest of the
          chains), all of the whole sample;
        - verdict: "good", or what fails.

    Raises
    ------
    ValueError
        If a variable is not in the posterior; the message lists the choices.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> fit = bp.pymc_fit("normal_normal", invented, weak, seed=1)
    >>> bp.diagnose(fit)["verdict"].unique().tolist()
    ['good']
    """
    labels, draws = _stacked(fit, fit.sampled if variables is None else variables)
    axes = {"chain_axis": -2, "draw_axis": -1}
    lower = (1 - fit.level) / 2
    points = {"mcse_lower": lower, "mcse_median": 0.5, "mcse_upper": 1 - lower}
    stats = fit.data["sample_stats"]
    table = pd.DataFrame(
        {
            "variable": labels,
            "rhat": az.rhat(draws, **axes),
            "ess_bulk": az.ess(draws, method="bulk", **axes),
            "ess_tail": az.ess(draws, method="tail", prob=TAILS, **axes),
            "mcse_mean": az.mcse(draws, method="mean", **axes),
            **{name: az.mcse(draws, method="quantile", prob=p, **axes) for name, p in points.items()},
            "divergences": int(stats["diverging"].sum()),
            "ebfmi": stats.attrs["ebfmi"],
            "share_max_depth": float(stats["reached_max_treedepth"].mean()),
        }
    )
    table.loc[[not _has_variance(fit, label) for label in labels], "mcse_mean"] = np.nan
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    return table


def _stacked(fit: PymcFit, variables: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Labels and draws, shape (variable, chain, draw)."""
    posterior = fit.data["posterior"]
    choices = [str(name) for name in posterior.data_vars]
    if not variables or not set(variables) <= set(choices):
        got = ", ".join(variables) or "none"
        raise ValueError(f"variables must be among {', '.join(choices)}; got {got}.")
    found = [labels_and_draws(posterior.to_dataset()[name]) for name in variables]
    return [label for labels, _ in found for label in labels], np.concatenate([draws for _, draws in found])


def labels_and_draws(variable: xr.DataArray) -> tuple[list[str], NDArray[np.float64]]:
    """Of a variable of a posterior the label of each element, such as theta[Trial A], and their draws.

    Returns
    -------
    list of str
    ndarray
        Shape (element, chain, draw).
    """
    stacked = np.asarray(variable).reshape(*variable.shape[:2], -1)
    coords = product(*(variable[dim].values for dim in variable.dims[2:]))
    labels = [f"{variable.name}[{', '.join(map(str, at))}]" if at else str(variable.name) for at in coords]
    return labels, np.moveaxis(stacked, -1, 0)


def _has_variance(fit: PymcFit, label: str) -> bool:
    """Whether its posterior has a second moment; every theta has one (see ``propriety``).

    The rule is that of the normal-normal model, in whose tails the data say most; of other variables none is known.
    """
    return label not in ("mu", "tau", "theta_new") or moment_exists(fit.effects.k, fit.priors, 2, label)


def _verdict(row: pd.Series[Any]) -> str:
    """What fails, asked so that a nan fails too."""
    faults = [] if row["rhat"] <= RHAT_MAX else [f"R-hat {row['rhat']:.4f} exceeds {RHAT_MAX}"]
    for kind in ("bulk", "tail"):
        ess = row[f"ess_{kind}"]
        if not ess >= ESS_MIN:
            faults.append(f"{kind} ESS {ess:.0f} is below {ESS_MIN}")
    if row["divergences"]:
        faults.append(f"{row['divergences']} divergent transitions")
    return "; ".join(faults) or "good"
