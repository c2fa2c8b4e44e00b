"""The outcomes of a review under other models than the normal-normal one, for the same table.

Each model says what it can take of an analysis (``data_of(case)``); what it cannot, and fits whose chains are not to
be trusted, are named with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.mcmc.diagnostics import ConvergenceError
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.models import load
from bayespip.reanalysis.comparison import Values
from bayespip.reanalysis.quantities import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from bayespip.fits import Fit
    from bayespip.priors.sets import PriorSet
    from bayespip.reanalysis.cases import Case

    Progress = Callable[[str, int, int], None]

__all__ = ["METHOD", "ModelRuns", "quantities_of", "run_models"]

METHOD = "PyMC "  # before the name of a model, in tables


@dataclass
class ModelRuns:
    """What the models gave.

    Attributes
    ----------
    values
        For each case the values of its fits.
    fits
        By case label and model, by label of the priors.
    without
        Rows analysis, k, model, prior, reason.
    """

    values: list[list[Values]]
    fits: dict[tuple[str, str], dict[str, PymcFit]] = field(default_factory=dict)
    without: list[tuple[str, int, str, str, str]] = field(default_factory=list)

    def unfitted(self) -> pd.DataFrame:
        """What could not be fitted, and why: analysis, k, model, prior, reason."""
        import pandas as pd

        return pd.DataFrame(self.without, columns=["analysis", "k", "model", "prior", "reason"])

    def trees(self, todo: Sequence[Case]) -> dict[str, xr.DataTree]:
        """The posteriors, by case label and model: one tree under all priors."""
        from bayespip.mcmc.trees import joined

        of = {case.label: case for case in todo}
        return {
            f"{label} {name}": joined(fits, analysis=of[label].analysis.id, basis=of[label].basis)
            for (label, name), fits in self.fits.items()
        }


def run_models(
    names: Sequence[str],
    todo: Sequence[Case],
    sets: Sequence[Sequence[PriorSet]],
    *,
    level: float,
    seed: int,
    report: Progress,
) -> ModelRuns:
    """Fit models to the cases of a re-analysis.

    Parameters
    ----------
    names
        Of ``bayespip.models``.
    todo, sets
        The cases, and the priors of each.
    level
        Probability of the intervals.
    seed
        Of the first fit; the others count on.
    report
        Called with a stage, the number done and the number to do.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    modules = {name: load(name) for name in names}
    runs = ModelRuns([[] for _ in todo])
    for name, module in modules.items():
        each = _of_all if hasattr(module, "data_of_cases") else _one_by_one
        total = len(todo) * max(map(len, sets), default=0)
        fit = partial(_fitted, name, level)
        for done, (i, prior, outcome) in enumerate(each(module, todo, sets, fit, seed), start=1):
            report(name, min(done, total), total)
            case = todo[i]
            label = prior.priors.label if prior else ""
            if isinstance(outcome, PymcFit):
                of = "study data" if case.family is None else "equal-variance member"
                runs.values[i].append(Values(METHOD + name, quantities_of(outcome), of, prior))
                runs.fits.setdefault((case.label, name), {})[label] = outcome
            else:
                runs.without.append((case.analysis.id, case.k, name, label, outcome))
        report(name, total, total)
    return runs


_Outcome = tuple[int, "PriorSet | None", PymcFit | str]
_Fitter = Callable[[Any, "PriorSet", int], PymcFit | str]


def _one_by_one(
    module: Any, todo: Sequence[Case], sets: Sequence[Sequence[PriorSet]], fit: _Fitter, seed: int
) -> Iterator[_Outcome]:
    """Each case under each of its priors: its number, the priors, and the fit or why there is none."""
    for i, case in enumerate(todo):
        try:
            data = module.data_of(case)
        except ValueError as error:
            yield i, None, str(error)
            continue
        for j, prior in enumerate(sets[i]):
            yield i, prior, fit(data, prior, seed + 1000 * i + j)


def _of_all(
    module: Any, todo: Sequence[Case], sets: Sequence[Sequence[PriorSet]], fit: _Fitter, seed: int
) -> Iterator[_Outcome]:
    """All cases at once, one fit a set of outcomes and priors, each case with its part of it."""
    number = {case.label: i for i, case in enumerate(todo)}
    pooled = module.data_of_cases(todo)
    for label, reason in pooled.left.items():
        yield number[label], None, reason
    seen: set[str] = set()
    for n, outcomes in enumerate(pooled.data):
        own = [number[label] for label in outcomes.outcome if label not in seen]  # one may serve in several sets
        seen |= set(outcomes.outcome)
        for j, prior in enumerate(sets[own[0]]):
            whole = fit(outcomes, prior, seed + 1000 * n + j)
            for i in own:
                part = whole if isinstance(whole, str) else whole.outcome(todo[i].label)
                yield i, next(s for s in sets[i] if s.priors.label == prior.priors.label), part


def _fitted(name: str, level: float, data: Any, prior: PriorSet, seed: int) -> PymcFit | str:
    try:
        return pymc_fit(name, data, prior.priors, seed=seed, level=level)
    except ConvergenceError as error:
        return f"did not converge: {error}"
    except ValueError as error:
        return str(error)


def quantities_of(fit: Fit) -> NDArray[np.float64]:
    """What the table holds of a fit, as QUANTITIES names it, model scale."""
    estimates = (getattr(fit, parameter) for parameter in PARAMETERS)
    return np.array([*(x for e in estimates for x in (e.point, e.lower, e.upper)), fit.prob_positive])
