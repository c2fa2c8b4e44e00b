"""Two engines on the same data: PyMC draws against the exact posterior, for every analysis and prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import ConvergenceError, diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.effects import EffectSizes
    from bayespip.priors import Priors

MODEL = "normal_normal"
LIMIT = 5.0  # Monte Carlo standard errors
REPEAT_THIN = 4  # a fit outside is repeated with chains so many times as long
ROW = (
    "agrees",
    "deviation_mcse",
    "first_deviation_mcse",
    "repeated",
    "rhat_max",
    "ess_min",
    "divergences",
    "note",
)
_NEW_SEED = 1_000_003  # added to the seed of a repeated fit


@dataclass(frozen=True)
class CrossCheck:
    """One sampled fit and how it compares with the exact engine.

    Attributes
    ----------
    fit
        None if it did not pass its diagnostics, even when repeated.
    diagnostics
        Table of ``diagnose``; None with the fit.
    deviation
        Largest distance of the 2.5, 50 and 97.5% points of mu and tau, in Monte Carlo standard errors.
    first_deviation
        The same of the first fit, where it was repeated.
    repeated
        Whether a second fit was needed.
    note
        Why there is no fit, or that the engines disagree; empty if all is well.
    """

    fit: PymcFit | None
    diagnostics: pd.DataFrame | None
    deviation: float
    first_deviation: float
    repeated: bool
    note: str

    @property
    def agrees(self) -> bool:
        """Whether the fit stands and agrees."""
        return self.fit is not None and self.deviation <= LIMIT

    def row(self) -> dict[str, object]:
        """The columns of ROW."""
        found: dict[str, object] = {"agrees": self.agrees, "deviation_mcse": self.deviation}
        found |= {"first_deviation_mcse": self.first_deviation, "repeated": self.repeated, "note": self.note}
        if self.diagnostics is not None:
            found["rhat_max"] = self.diagnostics["rhat"].max()
            found["ess_min"] = self.diagnostics[["ess_bulk", "ess_tail"]].to_numpy().min()
            found["divergences"] = self.diagnostics["divergences"].max()
        return found


def cross_check(effects: EffectSizes, priors: Priors, *, seed: int, level: float = 0.95) -> CrossCheck:
    """Sample with PyMC, compare with the exact engine, and repeat once what fails or lies outside."""
    exact = exact_fit(effects, priors, level=level)
    expected = [q for m in (exact.mu, exact.tau) for q in (m.lower, m.point, m.upper)]

    def once(seed: int, thin: int) -> tuple[PymcFit, pd.DataFrame, float]:
        fit = pymc_fit(MODEL, effects, priors, seed=seed, level=level, thin=thin)
        table = diagnose(fit).set_index("variable")
        found = [q for e in (fit.mu, fit.tau) for q in (e.lower, e.point, e.upper)]
        columns = ["mcse_lower", "mcse_median", "mcse_upper"]
        errors = table.loc[["mu", "tau"], columns].to_numpy(dtype=float).ravel()
        return fit, table, float(np.max(np.abs(np.subtract(found, expected)) / errors))

    first = float("nan")
    try:
        fit, table, deviation = once(seed, 1)
        if deviation <= LIMIT:
            return CrossCheck(fit, table, deviation, deviation, repeated=False, note="")
        first = deviation
    except ConvergenceError:
        pass
    try:
        fit, table, deviation = once(seed + _NEW_SEED, REPEAT_THIN)
    except ConvergenceError as error:
        return CrossCheck(None, None, float("nan"), first, repeated=True, note=f"did not converge: {error}")
    note = "" if deviation <= LIMIT else f"disagrees with the exact engine by {deviation:.1f} Monte Carlo errors"
    return CrossCheck(fit, table, deviation, first, repeated=True, note=note)
