"""Absolute effects at a control risk: risk differences and numbers needed to treat.

References
----------
Cochrane Handbook 5.1, section 12.5.4: risks from RD, RR, OR and a control risk; limits by substitution.
Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bayespip.decisions import prob_less, require_direction, require_posterior
from bayespip.fits import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from bayespip.exact.marginals import Marginal

__all__ = ["RISK_MEASURES", "AbsoluteEffect", "NumberNeeded", "RiskMeasure", "absolute_effect", "absolute_table"]

PER = 1000
_ROUNDING = 1e-9  # of a number needed: 1 / 0.05 may come out a little above 20
_LOG_MAX = 700.0  # exp of it is still a double


@dataclass(frozen=True, slots=True)
class RiskMeasure:
    """How a measure and a control risk c give a risk difference, and back.

    Attributes
    ----------
    name
        Of the measure.
    difference
        (effect on the model scale, c) to the risk difference.
    effect
        (risk difference, c) to the effect on the model scale; the risk c + difference lies in (0, 1).
    bounded
        Whether every effect gives a risk between 0 and 1.
    """

    name: str
    difference: Callable[[float, float], float]
    effect: Callable[[float, float], float]
    bounded: bool


def _expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return math.inf


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _from_odds_ratio(mu: float, c: float) -> float:
    """Handbook 12.5.4.3: OR c / (1 - c + OR c) - c, without its cancellation near OR = 1 or its overflow."""
    t = math.exp(-abs(mu))
    denominator = (1 - c) * t + c if mu > 0 else 1 - c + c * t
    return math.copysign(c * (1 - c) * -math.expm1(-abs(mu)) / denominator, mu)


def _from_hazard_ratio(mu: float, c: float) -> float:
    """1 - (1 - c)^HR - c, where c is the risk by the time of interest (Altman & Andersen 1999, BMJ 319:1492)."""
    return -(1 - c) * _expm1(_expm1(mu) * math.log1p(-c))


RISK_MEASURES: Mapping[str, RiskMeasure] = {
    m.name: m
    for m in (
        RiskMeasure("RR", lambda mu, c: c * _expm1(mu), lambda d, c: math.log1p(d / c), bounded=False),
        RiskMeasure("OR", _from_odds_ratio, lambda d, c: _logit(c + d) - _logit(c), bounded=True),
        RiskMeasure("PETO", _from_odds_ratio, lambda d, c: _logit(c + d) - _logit(c), bounded=True),
        RiskMeasure(
            "HR",
            _from_hazard_ratio,
            lambda d, c: math.log(math.log1p(-(c + d)) / math.log1p(-c)),
            bounded=True,
        ),
        RiskMeasure("RD", lambda mu, c: mu, lambda d, c: d, bounded=False),
    )
}


@dataclass(frozen=True, slots=True)
class NumberNeeded:
    """A number needed to treat with its interval, as 1 / benefit: NNTB if positive, NNTH if negative.

    Attributes
    ----------
    point
        At the median; infinite where that is no difference.
    first, last
        Ends of the interval from the largest benefit to the smallest (or largest harm). Where ``first`` is
        positive and ``last`` negative, it runs from NNTB ``first`` through infinity to NNTH ``-last`` and holds
        no number between these two.
    """

    point: float
    first: float
    last: float

    @property
    def crosses_infinity(self) -> bool:
        """Whether both benefit and harm lie in the interval."""
        return math.isfinite(self.first) and math.isfinite(self.last) and self.first > 0 > self.last

    def __contains__(self, number: float) -> bool:
        """Whether a number needed (positive for benefit, negative for harm) lies in the interval."""
        return 1 / self.last <= 1 / number <= 1 / self.first

    def __str__(self) -> str:
        """Altman's form, such as "NNTB 10 (NNTB 4 to ∞ to NNTH 20)".

        Rounded up, by the convention of the Cochrane Handbook (5.1, section 12.5.4).
        """
        if self.crosses_infinity:
            limits = f"{_named(self.first)} to ∞ to {_named(self.last)}"
        else:
            low, high = sorted((self.first, self.last), key=abs)
            limits = f"{_named(low)} to {_whole(high)}"
        return f"{_named(self.point)} ({limits})"


def _named(number: float) -> str:
    return "∞" if math.isinf(number) else f"{'NNTB' if number > 0 else 'NNTH'} {_whole(number)}"


def _whole(number: float) -> str:
    if math.isinf(number):
        return "∞"
    return f"{math.ceil(abs(number) * (1 - _ROUNDING))}"


@dataclass(frozen=True, eq=False)
class AbsoluteEffect:
    """Absolute effect at one control risk.

    Attributes
    ----------
    marginal
        Posterior of mu or of a new study's effect.
    control_risk
        In (0, 1); None for RD where none was given.
    favours
        Direction of the risk that favours the experimental arm, "higher" or "lower"; None if not stated.
    level
        Probability of the intervals.
    difference
        Risk difference, experimental minus control: posterior median and central interval.
    """

    marginal: Marginal = field(repr=False)
    control_risk: float | None
    favours: str | None
    level: float
    difference: Estimate

    @property
    def per_1000(self) -> Estimate:
        """Events more (or, negative, fewer) per 1,000 treated."""
        d = self.difference
        return Estimate(PER * d.point, PER * d.lower, PER * d.upper)

    @property
    def risk(self) -> Estimate:
        """Risk in the experimental arm.

        Raises
        ------
        ValueError
            If there is no control risk.
        """
        c, d = self._control_risk(), self.difference
        return Estimate(c + d.point, c + d.lower, c + d.upper)

    @property
    def number_needed(self) -> NumberNeeded:
        """Number needed to treat.

        Raises
        ------
        ValueError
            If ``favours`` is not stated.
        """
        if self.favours is None:
            raise ValueError("favours must be 'higher' or 'lower' for a number needed to treat; it is not stated.")
        d = self.difference
        if self.favours == "higher":
            return NumberNeeded(_reciprocal(d.point), _reciprocal(d.upper), _reciprocal(d.lower))
        return NumberNeeded(_reciprocal(-d.point), _reciprocal(-d.lower), _reciprocal(-d.upper))

    def prob_more(self, events: float = 0.0) -> float:
        """P(more than so many events more per 1,000); of a negative number: that many fewer."""
        return self.marginal.prob_greater(self._effect(events))

    def prob_fewer(self, events: float = 0.0) -> float:
        """P(more than so many events fewer per 1,000)."""
        return prob_less(self.marginal, self._effect(-events))

    def _effect(self, events: float) -> float:
        """The effect on the model scale of so many events more per 1,000."""
        spec, d = RISK_MEASURES[self.marginal.measure.name], events / PER
        if self.control_risk is None:
            return spec.effect(d, math.nan)
        if not 0 < self.control_risk + d < 1:
            raise ValueError(
                f"events must leave a risk between 0 and 1; with control_risk {self.control_risk:g}, "
                f"{events:+g} per {PER} gives {self.control_risk + d:g}."
            )
        return spec.effect(d, self.control_risk)

    def _control_risk(self) -> float:
        if self.control_risk is None:
            raise ValueError("control_risk must be given for a risk in the experimental arm; got None.")
        return self.control_risk


def absolute_effect(
    marginal: Marginal,
    control_risk: float | None = None,
    *,
    favours: str | None = None,
    level: float | None = None,
) -> AbsoluteEffect:
    """Absolute effect of a risk ratio, odds ratio, hazard ratio or risk difference.

    Parameters
    ----------
    marginal
        Posterior such as ``fit.mu``, ``fit.theta_new`` or ``averaged.mu``.
    control_risk
        Risk without the experimental intervention, in (0, 1), taken as known; by the time of interest for HR. May
        be left out for RD, whose difference does not depend on it.
    favours
        Whether a "higher" or a "lower" risk favours the experimental arm; numbers needed to treat need it.
    level
        Probability of the interval; that of the marginal if None.

    Raises
    ------
    ValueError
        If the measure has no risk, an argument is out of range, or a risk in the experimental arm leaves 0 to 1
        anywhere in the interval, as a risk ratio times the control risk can.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> found = bp.absolute_effect(bp.exact_fit(invented, weak).mu, 0.3, favours="lower")
    >>> round(found.per_1000.point), str(found.number_needed)
    (-130, 'NNTB 8 (NNTB 5 to ∞ to NNTH 15)')
    """
    require_posterior(marginal)
    spec = RISK_MEASURES.get(marginal.measure.name)
    if spec is None:
        choices = ", ".join(RISK_MEASURES)
        raise ValueError(f"absolute effects need one of {choices}; {marginal.name} is {marginal.measure.name}.")
    require_direction(favours)
    if control_risk is None and spec.name != "RD":
        raise ValueError(f"control_risk must be given for {spec.name}; got None.")
    if control_risk is not None and not 0 < control_risk < 1:
        raise ValueError(f"control_risk must lie in (0, 1); got {control_risk!r}.")
    level = marginal.level if level is None else level
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    effects = marginal.quantile(np.array([0.5, (1 - level) / 2, (1 + level) / 2]))
    c = math.nan if control_risk is None else control_risk
    if not spec.bounded:
        _require_risks(marginal, c, effects[1:].tolist(), level)
    return AbsoluteEffect(
        marginal, control_risk, favours, level, Estimate(*(spec.difference(x, c) for x in effects.tolist()))
    )


def absolute_table(
    marginal: Marginal,
    control_risks: Iterable[float],
    *,
    favours: str,
    level: float | None = None,
) -> pd.DataFrame:
    """Absolute effects at several control risks.

    Parameters
    ----------
    marginal, favours, level
        As for ``absolute_effect``.
    control_risks
        Each in (0, 1).

    Returns
    -------
    DataFrame
        One row a control risk: measure, parameter, control_risk, risk, risk_lower, risk_upper, per_1000,
        per_1000_lower, per_1000_upper (events more or, negative, fewer), number_needed (in words), nnt, nnt_first,
        nnt_last (NNTB positive, NNTH negative), crosses_infinity, prob_fewer, prob_more, level.

    Raises
    ------
    ValueError
        As for ``absolute_effect``.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> table = bp.absolute_table(bp.exact_fit(invented, weak).mu, [0.1, 0.3], favours="lower")
    >>> print(table[["control_risk", "per_1000", "number_needed"]].round(1).to_string(index=False))
     control_risk  per_1000                     number_needed
              0.1     -43.4 NNTB 24 (NNTB 14 to ∞ to NNTH 43)
              0.3    -130.1   NNTB 8 (NNTB 5 to ∞ to NNTH 15)
    """
    import pandas as pd

    require_direction(favours, needed=True)
    rows = []
    for c in control_risks:
        a = absolute_effect(marginal, c, favours=favours, level=level)
        nnt = a.number_needed
        estimates = (x for e in (a.risk, a.per_1000) for x in (e.point, e.lower, e.upper))
        numbers = (str(nnt), nnt.point, nnt.first, nnt.last, nnt.crosses_infinity)
        chances = (a.prob_fewer(), a.prob_more(), a.level)
        rows.append((marginal.measure.name, marginal.name, c, *estimates, *numbers, *chances))
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = [
    "measure", "parameter", "control_risk", "risk", "risk_lower", "risk_upper",
    "per_1000", "per_1000_lower", "per_1000_upper",
    "number_needed", "nnt", "nnt_first", "nnt_last", "crosses_infinity", "prob_fewer", "prob_more", "level",
]  # fmt: skip


def _require_risks(marginal: Marginal, c: float, limits: list[float], level: float) -> None:
    """Refuse RR and RD whose interval holds impossible risks; c is nan where there is no control risk."""
    where = f"anywhere in the {100 * level:g}% interval of {marginal.name}"
    if marginal.measure.log:
        rr = math.exp(min(limits[1], _LOG_MAX))
        if c * rr > 1:
            raise ValueError(
                f"RR x control_risk must not exceed 1 {where}; at its upper limit {rr:.4g} x {c:g} = {c * rr:.4g}. "
                f"Choose a control_risk of at most {1 / rr:.4g}, or pool odds ratios."
            )
        return
    known = not math.isnan(c)
    least, rule = (0, "control_risk + RD must lie in 0 to 1") if known else (-1, "RD must lie in -1 to 1")
    for end, d in zip(("lower", "upper"), limits, strict=True):
        risk = c + d if known else d
        if not least <= risk <= 1:
            shown = f"{c:g} + {d:.4g} = {risk:.4g}" if known else f"{d:.4g}"
            raise ValueError(f"{rule} {where}; at its {end} limit it is {shown}.")


def _reciprocal(x: float) -> float:
    return 1 / x if x else math.inf
