"""Assurance: how probably one more trial settles a question, by its size.

With y the studies so far and y_new the estimate of a trial still to come,

    P(rule met) = integral 1[rule met by p(mu | y, y_new)] p(y_new | y) dy_new

is the predictive probability of the results that meet the rule: their edges are found by root finding, not by
simulation.

O'Hagan A, Stevens JW, Campbell MJ. Assurance in clinical trial design. Pharm Stat 2005;4:187-201; Sutton AJ et al.
Evidence-based sample size calculations based upon updated meta-analysis. Stat Med 2007;26:2479-2500.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import elementwise

from bayespip.decisions import require_direction
from bayespip.exact import mixtures
from bayespip.exact.posterior import posterior
from bayespip.model_data.new_trials import TrialSize
from bayespip.new_evidence.prediction import Prediction, predict_trial
from bayespip.new_evidence.robust_fit import fit_exactly, parts_of, weighted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.exact.fit import ExactFit
    from bayespip.exact.marginals import MixtureMarginal
    from bayespip.measures import Measure
    from bayespip.new_evidence.robust_fit import RobustFit
    from bayespip.new_evidence.robust_priors import RobustPriors
    from bayespip.priors import Priors

    Array = NDArray[np.float64]

__all__ = ["SuccessRule", "assurance"]

TOLERANCE = 1e-10  # of the posterior given a predicted result
_BEYOND = 1e-9  # predictive probability left out at either end
# Panels and Gauss-Legendre nodes over the predicted results, in arsinh of their distance from the median.
_PANELS, _ORDER = 24, 8
_NO_WEIGHT = 1e-14  # components lighter than this do not reach the digits of a width


@dataclass(frozen=True, slots=True)
class SuccessRule:
    """When a question counts as settled: the posterior probability of an effect on one side is large enough.

    With 0.975 that is a central 95% interval wholly on that side.

    Attributes
    ----------
    favours
        "higher" or "lower": the side; "either".
    prob
        Posterior probability asked for, above 1/2.
    difference
        Threshold on the display scale, beyond which mu has to be; None: no effect.

    Raises
    ------
    ValueError
        If an attribute is none of the choices or out of range, or there is a difference with "either".

    Examples
    --------
    >>> bp.SuccessRule("lower", prob=0.95, difference=0.8)
    SuccessRule(favours='lower', prob=0.95, difference=0.8)
    """

    favours: str
    prob: float = 0.975
    difference: float | None = None

    def __post_init__(self) -> None:
        if self.favours == "either":
            if self.difference is not None:
                raise ValueError(f"difference needs a side: favours 'higher' or 'lower'; got {self.difference!r}.")
        else:
            require_direction(self.favours, needed=True)
        if not 0.5 < self.prob < 1:
            raise ValueError(f"prob must lie in (0.5, 1); got {self.prob!r}.")

    def threshold(self, measure: Measure) -> float:
        """On the model scale."""
        if self.difference is None:
            return 0.0
        low, high = measure.limits
        if not (math.isfinite(self.difference) and low < self.difference < high):
            scale = f"between {low:g} and {high:g}, on the display scale of {measure.name}"
            raise ValueError(f"difference must be finite and lie {scale}; got {self.difference!r}.")
        return float(measure.model(self.difference))

    def probability(self, below: Array, above: Array) -> Array:
        """That which is compared with ``prob``."""
        return {"higher": above, "lower": below, "either": np.maximum(below, above)}[self.favours]

    def __str__(self) -> str:
        sign = {"higher": ">", "lower": "<", "either": "> or <"}[self.favours]
        return f"P(mu {sign} {'no effect' if self.difference is None else f'{self.difference:g}'}) >= {self.prob:g}"


def assurance(
    effects: EffectSizes,
    priors: Priors | RobustPriors,
    trials: Sequence[float | TrialSize],
    rule: SuccessRule,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Probability that, with one more trial, a rule is met, by its size.

    Parameters
    ----------
    effects, priors
        Studies so far and the priors.
    trials
        Each a standard error on the model scale or a size.
    rule
        When the question counts as settled.
    level
        Of the intervals whose width is expected.

    Returns
    -------
    DataFrame
        One row a trial: n_e, n_c (nan where a standard error was given), se_new, rule, prob_now (the posterior
        probability that the rule looks at, without the trial), assurance, error (of the assurance: how far it is
        from that found with half as many nodes, and the predictive probability left out), width_now,
        expected_width (of the central interval of mu on the model scale; nan where the predicted result has no
        mean), notes.

    Raises
    ------
    ValueError
        As for ``exact_fit``; or if there are no trials, or a standard error does not follow from a size.

    Notes
    -----
    Results that meet the rule are sought between 192 predicted ones: two edges between neighbours would be missed.
    However large one trial is, it shows the effect of its own setting, theta_new, and not mu: where tau may be large
    the assurance stays below P(mu beyond the threshold).

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> table = bp.assurance(invented, weak, [0.3, 0.15], bp.SuccessRule("lower"))
    >>> print(table[["se_new", "prob_now", "assurance", "expected_width"]].round(3).to_string(index=False))
     se_new  prob_now  assurance  expected_width
       0.30     0.939      0.541           1.257
       0.15     0.939      0.640           1.185
    """
    import pandas as pd

    if not len(trials):
        raise ValueError("trials must hold at least one standard error or size; got none.")
    fit = fit_exactly(effects, priors, level=level)
    rows = []
    for trial in trials:
        prediction = predict_trial(fit, trial)
        found = _assured(fit, prediction, rule)
        size = (trial.n_e, trial.n_c) if isinstance(trial, TrialSize) else (math.nan, math.nan)
        rows.append((*size, prediction.se_new, str(rule), *found, " ".join(prediction.notes)))
    return pd.DataFrame(rows, columns=_ASSURANCE)


_ASSURANCE = [
    "n_e", "n_c", "se_new", "rule", "prob_now", "assurance", "error", "width_now", "expected_width", "notes",
]  # fmt: skip


class _Assured(NamedTuple):
    """The numbers of a row of ``assurance``."""

    prob_now: float
    assurance: float
    error: float
    width_now: float
    expected_width: float


def _assured(fit: ExactFit | RobustFit, prediction: Prediction, rule: SuccessRule) -> _Assured:
    y_new, t = prediction.y_new, rule.threshold(fit.effects.measure)
    y, weight = _predicted(y_new)
    after = _After(fit, prediction.se_new, y)
    components = after(y)
    below, above = (mixtures.probabilities(*components, np.array([t]), side)[:, 0] for side in (False, True))
    margin = rule.probability(below, above) - rule.prob

    def margin_at(x: Array) -> Array:
        given = after(x)
        sides = (mixtures.probabilities(*given, np.array([t]), side)[:, 0] for side in (False, True))
        return rule.probability(*sides) - rule.prob

    assured, rough = (_probability_met(y[s], margin[s], margin_at, y_new) for s in (slice(None), slice(None, None, 2)))
    now = rule.probability(np.array([fit.mu.cdf(t)]), np.array([fit.mu.prob_greater(t)]))
    expected = math.nan
    if math.isfinite(y_new.mean):
        p = np.array([(1 - fit.level) / 2, (1 + fit.level) / 2])
        limits = mixtures.quantiles(*components, p, precision=TOLERANCE, negligible=_NO_WEIGHT)
        expected = float(weight @ (limits[:, 1] - limits[:, 0]))
    error = 2 * _BEYOND + abs(assured - rough)
    return _Assured(float(now[0]), assured, error, fit.mu.upper - fit.mu.lower, expected)


def _probability_met(y: Array, margin: Array, margin_at: Callable[[Array], Array], y_new: MixtureMarginal) -> float:
    """Predictive probability of results with a margin of at least zero, known at nodes in their order."""
    met = margin >= 0
    change = np.flatnonzero(met[1:] != met[:-1])
    edges = elementwise.find_root(margin_at, (y[change], y[change + 1])).x if change.size else np.empty(0)
    # the results between two edges all meet the rule or all fail it, as those beyond the last nodes do
    cuts = np.concatenate([[0.0], y_new.cdf(edges), [1.0]])
    return math.fsum(np.diff(cuts)[int(not met[0]) :: 2])


def _predicted(y_new: MixtureMarginal) -> tuple[Array, Array]:
    """Predicted results and their probabilities: quadrature nodes, nearly logarithmic in heavy tails."""
    low, first, middle, third, high = y_new.quantile([_BEYOND, 0.25, 0.5, 0.75, 1 - _BEYOND])
    scale = third - first
    ends = np.linspace(np.arcsinh((low - middle) / scale), np.arcsinh((high - middle) / scale), _PANELS + 1)
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    half = np.diff(ends)[:, None] / 2
    x = (ends[:-1, None] + half * (1 + nodes)).ravel()
    y = middle + scale * np.sinh(x)
    return y, (half * weights).ravel() * scale * np.cosh(x) * y_new.pdf(y)


class _After:
    """Posterior of mu once the new trial has shown y: its normal components, shape (B, C) each."""

    def __init__(self, fit: ExactFit | RobustFit, se_new: float, y: Array) -> None:
        self._effects, self._variance = fit.effects, se_new**2
        self._parts = parts_of(fit.priors)
        # panels that resolve the posteriors of all predicted results serve those between them
        yi, vi = self._studies(y)
        self._edges = [posterior(yi, vi, p, tolerance=TOLERANCE).panels.edges for _, p in self._parts]

    def __call__(self, y: Array) -> tuple[Array, Array, Array]:
        yi, vi = self._studies(y)
        pairs = zip(self._parts, self._edges, strict=True)
        nodes = [posterior(yi, vi, p, tolerance=TOLERANCE, edges=e) for (_, p), e in pairs]
        return weighted([w for w, _ in self._parts], nodes)

    def _studies(self, y: Array) -> tuple[Array, Array]:
        e, column = self._effects, y[:, None]
        yi = np.hstack([np.broadcast_to(e.yi, (len(y), e.k)), column])
        return yi, np.hstack([np.broadcast_to(e.vi, (len(y), e.k)), np.full_like(column, self._variance)])
