"""A trial still to come: what it will show, and what is believed once it has.

With the studies y so far, theta_new ~ N(mu, tau^2) and an estimate of standard error s::

    y_new | y ~ integral N(theta_new, s^2) p(theta_new | y)

a mixture of normals over the exact engine's nodes. Given y_new the posterior is that of k + 1 studies.

Rover C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6), section 2.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bayespip.effects import EffectSizes
from bayespip.model_data.new_trials import TrialSize, require_standard_error
from bayespip.new_evidence.outside import Evidence, require_same_question
from bayespip.new_evidence.robust_fit import fit_exactly

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.exact.fit import ExactFit
    from bayespip.exact.marginals import MixtureMarginal
    from bayespip.new_evidence.robust_fit import RobustFit
    from bayespip.new_evidence.robust_priors import RobustPriors
    from bayespip.priors import Priors

__all__ = ["Prediction", "predict_trial", "updated_fit"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a trial still to come will show.

    Attributes
    ----------
    y_new
        Predictive distribution of its estimate, on the model scale.
    se_new
        Its standard error.
    notes
        What must be read beside the numbers.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> coming = bp.predict_trial(bp.exact_fit(invented, weak), bp.TrialSize(100, 100, control_risk=0.3))
    >>> round(coming.se_new, 3), round(coming.prob_significant, 3)
    (0.269, 0.572)
    """

    y_new: MixtureMarginal
    se_new: float
    notes: tuple[str, ...] = field(default=())

    @property
    def prob_significant_above(self) -> float:
        """P(its own interval, y_new +- z se_new at the fit's level, lies above no effect)."""
        return self.y_new.prob_greater(self._edge)

    @property
    def prob_significant_below(self) -> float:
        """P(its own interval lies below no effect)."""
        return float(self.y_new.cdf(-self._edge))

    @property
    def prob_significant(self) -> float:
        """P(its own interval excludes no effect)."""
        return self.prob_significant_above + self.prob_significant_below

    @property
    def prob_positive(self) -> float:
        """P(y_new > 0) on the model scale."""
        return self.y_new.prob_greater(0.0)

    @property
    def _edge(self) -> float:
        return float(ndtri((1 + self.y_new.level) / 2)) * self.se_new

    def table(self) -> pd.DataFrame:
        """One row: measure, se_new, point, lower, upper (display scale), level, probabilities, mean and sd, notes.

        Probabilities: prob_positive, prob_significant and its two sides, above and below. ``mean_model`` and
        ``sd_model`` are on the model scale.
        """
        import pandas as pd

        y = self.y_new
        shown = np.asarray(y.measure.display([y.point, y.lower, y.upper])).tolist()
        significant = self.prob_significant, self.prob_significant_above, self.prob_significant_below
        row = (y.measure.name, self.se_new, *shown, y.level, self.prob_positive, *significant, y.mean, y.sd)
        return pd.DataFrame([(*row, " ".join(self.notes))], columns=_PREDICTION)


_PREDICTION = [
    "measure", "se_new", "point", "lower", "upper", "level", "prob_positive", "prob_significant",
    "prob_significant_above", "prob_significant_below", "mean_model", "sd_model", "notes",
]  # fmt: skip


def predict_trial(fit: ExactFit | RobustFit, trial: float | TrialSize) -> Prediction:
    """Predictive distribution of the estimate of one more trial like those fitted.

    Parameters
    ----------
    fit
        Of the studies so far.
    trial
        Standard error of its estimate on the model scale, or its size.

    Raises
    ------
    ValueError
        If the standard error is not positive and finite, or does not follow from the size.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> coming = bp.predict_trial(bp.exact_fit(invented, weak), 0.3)
    >>> round(coming.prob_positive, 3)
    0.159
    """
    se = _standard_error(trial, fit)
    new = fit.theta_new
    notes = tuple(note.replace("theta_new", "y_new") for note in new.notes)
    y_new = replace(new, name="y_new", sd=math.hypot(new.sd, se), sd_given=np.hypot(new.sd_given, se), notes=notes)
    return Prediction(y_new, se, notes)


def updated_fit(
    effects: EffectSizes, priors: Priors | RobustPriors, new: EffectSizes | Evidence, *, level: float = 0.95
) -> ExactFit | RobustFit:
    """The fit with the results of new trials added.

    Parameters
    ----------
    effects
        Studies so far.
    priors
        As before they came.
    new
        Of the new trials, in the same measure; or outside evidence on the same question, with an interval.
    level
        Probability of the intervals.

    Raises
    ------
    ValueError
        If the measures differ or a study is there already; or if outside evidence is in another measure, of another
        intervention, without an interval, or counts trials twice: the message names measure and intervention.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> new = bp.EffectSizes(["C"], [-0.5], [0.2], "RR")  # invented
    >>> round(bp.updated_fit(invented, weak, new).mu.point, 3)
    -0.531
    """
    if isinstance(new, Evidence):
        require_same_question(new, effects.measure, "pooled")
        obstacle = f"it counts trials twice: {new.counted_twice}" if new.counted_twice else ""
        if new.se is None:
            obstacle = "; ".join(part for part in ("it has no standard error", obstacle) if part)
        if obstacle or new.se is None:
            raise ValueError(
                f"{new.id} ({new.measure.name}, {new.intervention}) cannot be pooled: {obstacle}. "
                "It can enter a robust prior, with a weight: robust_prior."
            )
        new = EffectSizes([new.id], new.measure.model([new.estimate]), [new.se], new.measure)
    return fit_exactly(_with(effects, new), priors, level=level)


def _with(effects: EffectSizes, new: EffectSizes) -> EffectSizes:
    if new.measure.name != effects.measure.name:
        raise ValueError(f"new must be in the measure of the studies, {effects.measure.name}; got {new.measure.name}.")
    yi, sei = np.concatenate([effects.yi, new.yi]), np.concatenate([effects.sei, new.sei])
    return EffectSizes([*effects.study, *new.study], yi, sei, effects.measure)


def _standard_error(trial: float | TrialSize, fit: ExactFit | RobustFit) -> float:
    measure = fit.effects.measure
    if isinstance(trial, TrialSize):
        return trial.standard_error(measure, float(measure.display(fit.mu.point)))
    return require_standard_error(float(trial))
