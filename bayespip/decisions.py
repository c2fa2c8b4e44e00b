"""Probabilities that decisions need: of a difference that matters, of benefit, of harm in a new study.

All are exact: read off the posterior's distribution function, not counted among draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bayespip.exact.marginals import Marginal
from bayespip.review import DIRECTIONS

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.measures import Measure

    Difference = float | Sequence[float] | None

__all__ = [
    "Beyond",
    "beyond",
    "decision_table",
    "new_study_harm",
    "prob_less",
    "require_direction",
    "require_posterior",
]


class ExactPosterior(Protocol):
    """A fit whose posteriors have distribution functions, such as ExactFit."""

    @property
    def mu(self) -> Marginal:
        """Posterior of the average effect."""

    @property
    def theta_new(self) -> Marginal:
        """Posterior predictive distribution of the effect in a new study."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Probabilities below, between and above two thresholds.

    Attributes
    ----------
    lower, upper
        Thresholds on the display scale.
    below, between, above
        P(< lower), P(lower to upper), P(> upper).
    favours
        Direction that favours the experimental arm, "higher" or "lower"; None if not stated.

    Examples
    --------
    >>> bp.decisions.Beyond(0.8, 1.25, below=0.9, between=0.09, above=0.01, favours="lower").benefit
    0.9
    """

    lower: float
    upper: float
    below: float
    between: float
    above: float
    favours: str | None

    @property
    def benefit(self) -> float:
        """Probability beyond the threshold on the side that favours the experimental arm."""
        return self.above if self._favoured() == "higher" else self.below

    @property
    def harm(self) -> float:
        """Probability beyond the threshold on the other side."""
        return self.below if self._favoured() == "higher" else self.above

    def _favoured(self) -> str:
        if self.favours is None:
            raise ValueError("favours must be 'higher' or 'lower' to tell benefit from harm; it is not stated.")
        return self.favours


def beyond(marginal: Marginal, difference: Difference = None, *, favours: str | None = None) -> Beyond:
    """Probabilities that an effect is smaller, not larger, or larger than a minimal important difference.

    Parameters
    ----------
    marginal
        Posterior such as ``fit.mu``, ``fit.theta_new`` or ``averaged.mu``.
    difference
        Minimal important difference on the display scale, meant in both directions: 0.8 or 1.25 for a ratio
        gives 0.8 and 1.25, 0.2 for a difference -0.2 and 0.2. Or both thresholds, smaller first, such as
        (0.8, 1.1). None: no effect, so that ``below`` and ``above`` are P(< null) and P(> null).
    favours
        Direction that favours the experimental arm, "higher" or "lower".

    Raises
    ------
    ValueError
        If marginal is no exact posterior, a threshold is not on the measure's scale, the two are out of order or
        do not lie to both sides of no effect, or favours is not one of the choices.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> found = bp.decisions.beyond(bp.exact_fit(invented, weak).mu, 0.8, favours="lower")
    >>> round(found.benefit, 3), round(found.between, 3), round(found.harm, 3)
    (0.84, 0.136, 0.024)
    """
    require_posterior(marginal)
    require_direction(favours)
    measure = marginal.measure
    low, high = _thresholds(measure, difference)
    below, above = prob_less(marginal, low), marginal.prob_greater(high)
    between = float(marginal.cdf(high)) - below
    lower, upper = np.asarray(measure.display([low, high])).tolist()
    return Beyond(lower, upper, below, between, above, favours)


def new_study_harm(fit: ExactPosterior, favours: str, difference: Difference = None) -> float:
    """P(the effect in a new study is harmful), or harmful by more than a minimal important difference.

    Parameters
    ----------
    fit
        An exact fit.
    favours
        Direction that favours the experimental arm, "higher" or "lower".
    difference
        As for ``beyond``.

    Raises
    ------
    ValueError
        As for ``beyond``.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> round(bp.decisions.new_study_harm(bp.exact_fit(invented, weak), "lower"), 3)
    0.118
    """
    return beyond(_marginal(fit, "theta_new"), difference, favours=favours).harm


def decision_table(fit: ExactPosterior, favours: str, difference: Difference = None) -> pd.DataFrame:
    """Probabilities of benefit and harm, on average and in a new study.

    Parameters
    ----------
    fit, favours, difference
        As for ``new_study_harm``.

    Returns
    -------
    DataFrame
        One row a parameter (mu, theta_new) and rule (any, and important where a difference is given): measure,
        parameter, rule, favours, lower, upper (thresholds on the display scale), prob_benefit, prob_between,
        prob_harm.

    Raises
    ------
    ValueError
        As for ``beyond``.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> table = bp.decisions.decision_table(bp.exact_fit(invented, weak), "lower", 0.8)
    >>> print(table[["parameter", "rule", "prob_benefit", "prob_harm"]].round(3).to_string(index=False))
    parameter      rule  prob_benefit  prob_harm
           mu       any         0.939      0.061
           mu important         0.840      0.024
    theta_new       any         0.882      0.118
    theta_new important         0.782      0.067
    """
    import pandas as pd

    require_direction(favours, needed=True)
    rules = {"any": None} | ({} if difference is None else {"important": difference})
    rows = []
    for parameter in ("mu", "theta_new"):
        marginal = _marginal(fit, parameter)
        for rule, value in rules.items():
            b = beyond(marginal, value, favours=favours)
            common = (marginal.measure.name, parameter, rule, favours, b.lower, b.upper)
            rows.append((*common, b.benefit, b.between, b.harm))
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = [
    "measure", "parameter", "rule", "favours", "lower", "upper", "prob_benefit", "prob_between", "prob_harm",
]  # fmt: skip


def prob_less(marginal: Marginal, x: float) -> float:
    """P(X < x), without the spike that a model average may have at x.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> round(bp.decisions.prob_less(bp.exact_fit(invented, weak).mu, 0.0), 3)
    0.939
    """
    return float(marginal.cdf(math.nextafter(x, -math.inf)))


def require_posterior(marginal: object) -> None:
    """Refuse what has no distribution function.

    Examples
    --------
    >>> try:
    ...     bp.decisions.require_posterior(0.5)
    ... except ValueError as error:
    ...     print(str(error).rsplit("; ")[-1])
    ...
    got float.
    """
    if not isinstance(marginal, Marginal):
        raise ValueError(
            "marginal must be a posterior with a distribution function, such as mu or theta_new of exact_fit or "
            f"mu of average; got {type(marginal).__name__}."
        )


def require_direction(favours: str | None, *, needed: bool = False) -> None:
    """Refuse a direction that is none of the choices.

    Examples
    --------
    >>> try:
    ...     bp.decisions.require_direction("up")
    ... except ValueError as error:
    ...     print(error)
    ...
    favours must be one of higher, lower; got 'up'.
    """
    if favours not in DIRECTIONS and (needed or favours is not None):
        raise ValueError(f"favours must be one of {', '.join(DIRECTIONS)}; got {favours!r}.")


def _marginal(fit: object, parameter: str) -> Marginal:
    marginal = getattr(fit, parameter, None)
    if not isinstance(marginal, Marginal):
        raise ValueError(
            f"fit must have an exact posterior of {parameter}, as exact_fit gives; {type(fit).__name__} has none."
        )
    return marginal


def _thresholds(measure: Measure, difference: Difference) -> tuple[float, float]:
    """Both thresholds on the model scale."""
    if difference is None:
        return 0.0, 0.0
    given = [float(x) for x in (difference if isinstance(difference, Sequence) else [difference])]
    if len(given) not in (1, 2):
        raise ValueError(f"difference must be one number or two; got {difference!r}.")
    bottom, top = measure.limits
    if not all(math.isfinite(x) and bottom < x < top for x in given):
        scale = f"between {bottom:g} and {top:g}, on the display scale of {measure.name}"
        raise ValueError(f"difference must be finite and lie {scale}; got {difference!r}.")
    model = np.asarray(measure.model(given)).tolist()
    low, high = (-abs(model[0]), abs(model[0])) if len(given) == 1 else model
    if not low <= 0 <= high:
        raise ValueError(
            f"difference must be two thresholds, smaller first, with no effect ({measure.null:g}) between; "
            f"got {difference!r}."
        )
    return low, high
