"""A trial still to come where only pooled results were published: over the study data consistent with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bayespip.exact import mixtures
from bayespip.model_data.new_trials import TrialSize, require_standard_error
from bayespip.new_evidence.planning import assurance
from bayespip.new_evidence.prediction import predict_trial
from bayespip.new_evidence.robust_fit import fit_exactly, parts_of, weighted
from bayespip.published_only.bounds import bounds
from bayespip.reanalysis.quantities import DRAFT, QUANTITIES, TOLERANCE, Bayesian

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.new_evidence.planning import SuccessRule
    from bayespip.new_evidence.robust_priors import RobustPriors
    from bayespip.priors import Priors
    from bayespip.published_only.bounds import Bounds
    from bayespip.published_only.consistent import Family

    Array = NDArray[np.float64]

__all__ = ["assurance_over_members", "predict_over_members"]

BASIS = "consistent-with-reported: equal-variance member, smallest and largest over all members"
_SOME = (
    "consistent-with-reported: equal-variance member, smallest and largest over {} members that are extreme for y_new"
)
_SHOWN = ("point", "lower", "upper", "prob_positive", "prob_significant_above", "prob_significant_below")


def predict_over_members(
    data: Family,
    priors: Priors | RobustPriors,
    trial: float | TrialSize,
    *,
    level: float = 0.95,
    steps: int | None = None,
    seed: int = 1,
) -> pd.DataFrame:
    """``predict_trial`` over the study data that are consistent with a published result.

    Parameters
    ----------
    data
        From ``consistent_studies``.
    priors
        As for ``exact_fit`` or ``robust_fit``.
    trial
        Standard error of the new estimate on the model scale, or its size; the standard error of a size is that at
        the published effect, unless it has its own.
    level
        Of the interval, and of the trial's own.
    steps, seed
        Of the search among members, as in ``bounds``.

    Returns
    -------
    DataFrame
        One row a quantity: quantity (point, lower and upper of y_new on the display scale; prob_positive and the
        probability of a significant result on either side), reference (at the equal-variance member), lowest,
        highest, se_new, basis, notes.
    """
    import pandas as pd

    se = _planned(trial, data)
    prediction = predict_trial(fit_exactly(data.illustration(), priors, level=level), se)
    y = prediction.y_new
    reference = [y.point, y.lower, y.upper, *(getattr(prediction, name) for name in _SHOWN[3:])]
    found = _extremes(data, priors, se, level=level, steps=steps, seed=seed)
    notes = " ".join(prediction.notes)
    rows = []
    for i, (name, value) in enumerate(zip(_SHOWN, reference, strict=True)):
        # the search ends at least where it began
        ends = np.array([value, min(found.lowest[i], value), max(found.highest[i], value)])
        shown = data.measure.display(ends) if name in _SHOWN[:3] else ends
        rows.append((name, *shown.tolist(), se, BASIS, notes))
    return pd.DataFrame(rows, columns=["quantity", "reference", "lowest", "highest", "se_new", "basis", "notes"])


def assurance_over_members(
    data: Family,
    priors: Priors | RobustPriors,
    trials: Sequence[float | TrialSize],
    rule: SuccessRule,
    *,
    level: float = 0.95,
    steps: int | None = None,
    seed: int = 1,
) -> pd.DataFrame:
    """``assurance`` over study data that are consistent with a published result.

    Parameters
    ----------
    data, priors, level, steps, seed
        As for ``predict_over_members``.
    trials, rule
        As for ``assurance``.

    Returns
    -------
    DataFrame
        The columns of ``assurance`` at the equal-variance member; of prob_now, assurance and expected_width also
        ``<name>_lowest`` and ``<name>_highest``: over the members at which a quantity of the first trial's result is
        extreme, which need not be the extremes over all; basis.
    """
    sizes = [_planned(trial, data) for trial in trials]
    table = assurance(data.illustration(), priors, sizes, rule, level=level)
    members = _members(data, _extremes(data, priors, sizes[0], level=level, steps=steps, seed=seed))
    others = [assurance(member, priors, sizes, rule, level=level) for member in members]
    for name in ("prob_now", "assurance", "expected_width"):
        values = np.array([t[name].to_numpy(dtype=float) for t in (table, *others)])
        table[f"{name}_lowest"], table[f"{name}_highest"] = values.min(axis=0), values.max(axis=0)
    for name in ("n_e", "n_c"):
        table[name] = [getattr(t, name) if isinstance(t, TrialSize) else math.nan for t in trials]
    return table.assign(basis=_SOME.format(len(members)))


def _planned(trial: float | TrialSize, data: Family) -> float:
    if isinstance(trial, TrialSize):
        return trial.standard_error(data.measure, float(data.reported.estimate.value))
    return require_standard_error(float(trial))


def _extremes(
    data: Family, priors: Priors | RobustPriors, se: float, *, level: float, steps: int | None, seed: int
) -> Bounds:
    parts = parts_of(priors)
    method = _Predicted(priors.label, tuple(w for w, _ in parts), tuple(Bayesian(p, level) for _, p in parts), se)
    return bounds(data, [method], steps=steps, seed=seed)[0]


def _members(data: Family, found: Bounds) -> list[EffectSizes]:
    """The members that are extreme for a quantity, each once."""
    rows = range(len(_SHOWN))
    pairs = [(found.yi[end, i], found.vi[end, i]) for end in (0, 1) for i in rows]
    distinct = {(tuple(y), tuple(v)): data.effects(y, v) for y, v in pairs}
    return list(distinct.values())


@dataclass(frozen=True)
class _Predicted:
    """The quantities of y_new, for ``bounds``: in the places of the first of QUANTITIES, all others nan."""

    name: str
    weights: tuple[float, ...]
    engines: tuple[Bayesian, ...]
    se: float

    def quantities(self, yi: Array, vi: Array, tolerance: float = TOLERANCE) -> Array:
        """See ``quantities.Method``."""
        nodes = [engine.posterior(yi, vi, tolerance) for engine in self.engines]
        weight, mean, sd = weighted(self.weights, nodes, new_study=True)
        sd = np.hypot(sd, self.se)
        edge = float(ndtri((1 + self.engines[0].level) / 2)) * self.se
        p = self.engines[0].probabilities
        limits = mixtures.quantiles(weight, mean, sd, p, precision=tolerance, negligible=tolerance * 1e-3)
        above = mixtures.probabilities(weight, mean, sd, np.array([0.0, edge]), True)
        below = mixtures.probabilities(weight, mean, sd, np.array([-edge]), False)
        out = np.full((len(yi), len(QUANTITIES)), np.nan)
        out[:, : len(_SHOWN)] = np.concatenate([limits, above, below], axis=1)
        return out

    def chosen(self, yi: Array, vi: Array, which: NDArray[np.intp]) -> Array:
        """See ``quantities.Method``."""
        return np.asarray(self.quantities(yi, vi, DRAFT)[np.arange(len(which)), which])
