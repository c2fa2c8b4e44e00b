"""How far a result depends on the correlation within trials, which reviews do not report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayespip.model_data.outcomes import Outcomes
    from bayespip.priors import Priors

__all__ = ["RHOS", "correlation_grid"]

RHOS = (0.0, 0.25, 0.5, 0.75, 0.95)


def correlation_grid(
    outcomes: Outcomes,
    priors: Priors,
    *,
    seed: int,
    rhos: Sequence[float] = RHOS,
    level: float = 0.95,
    across: str = "log-normal",
) -> pd.DataFrame:
    """``multivariate`` under several correlations within trials.

    Parameters
    ----------
    outcomes
        Effects of several outcomes of the same trials; their own ``rho_within`` is not used.
    priors
        On each mu_j, and on the typical tau.
    rhos
        Correlations between the sampling errors of two outcomes of a trial.
    seed, level, across
        As in ``pymc_fit`` and the model.

    Returns
    -------
    DataFrame
        The columns of ``compare`` and rho_within; one row a correlation, outcome (its label in ``analysis``) and
        parameter.

    Raises
    ------
    ValueError
        If a correlation gives no valid covariance; before anything is fitted.
    """
    import pandas as pd

    from bayespip.fits import compare
    from bayespip.mcmc.fit import pymc_fit

    tables = []
    for some in [outcomes.with_rho(rho) for rho in rhos]:
        fit = pymc_fit("multivariate", some, priors, seed=seed, level=level, across=across)
        tables += [
            compare(fit.outcome(label), analysis=label).assign(rho_within=some.rho_within) for label in some.outcome
        ]
    return pd.concat(tables, ignore_index=True)
