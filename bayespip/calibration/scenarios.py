"""Worlds from which meta-analyses are simulated: how many trials, how precise, how far their true effects differ.

In all of them theta_i ~ N(mu, tau^2) is the true effect of trial i; mu and tau are fixed, or drawn anew for each
replicate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayespip.measures import MEASURES
from bayespip.priors import Prior, log_normal
from bayespip.study_data.arm_formulas import ARM_FORMULAS, is_uninformative

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = ["TRIALS", "Arms", "Errors", "Replicates", "Scenario", "simulated"]

# Standard error of a log odds ratio of N participants in two equal arms, half of whom have the event: sqrt(16 / N).
_UNIT_SD = 4.0
# Participants of a trial in 258 Cochrane reviews: median 118, quartiles 60 and 241. Mallett S, Clarke M. Int J Technol
# Assess Health Care 2002;18:820-3. A log-normal distribution of that median and ratio of quartiles.
_MEDIAN_SIZE, _QUARTILES = 118.0, (60.0, 241.0)
_SD_LOG_SIZE = math.log(_QUARTILES[1] / _QUARTILES[0]) / (2 * 0.6744897501960817)  # the normal distribution's quartile


def _require_all(rule: str, values: Sequence[float], holds: Callable[[float], bool]) -> None:
    bad = [value for value in values if not holds(value)]
    if bad or not values:
        raise ValueError(f"{rule}, one or more of them; got {', '.join(map(repr, bad)) or 'none'}.")


def _require_prior(name: str, prior: Prior, role: str) -> None:
    if prior.role != role:
        raise ValueError(f"{name} needs a prior on {role} to be drawn from; got {prior}, which is on {prior.role}.")
    if not prior.proper or prior.given:
        raise ValueError(f"{name} must be drawn from a proper family of priors; got {prior}.")


class Estimates(NamedTuple):
    """What trials report, shape (replicates, k); those that say nothing of the effect are not `informative`."""

    yi: Vector
    sei: Vector
    informative: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Errors:
    """Trials whose estimates are normal, with known standard errors.

    Attributes
    ----------
    name
        Used in tables.
    sei
        Standard errors on the model scale, taken in turn by the trials; or their distribution (a prior on tau serves),
        from which each trial's is drawn.

    Raises
    ------
    ValueError
        If a standard error is not positive and finite, or there is none.

    Examples
    --------
    >>> bp.calibration.Errors("ours", (0.25, 0.4)).sei
    (0.25, 0.4)
    """

    name: str
    sei: tuple[float, ...] | Prior

    def __post_init__(self) -> None:
        if isinstance(self.sei, Prior):
            _require_prior("sei", self.sei, "tau")
        else:
            _require_all("sei must be positive and finite", self.sei, lambda s: 0 < s < math.inf)

    def estimates(self, theta: Vector, rng: np.random.Generator) -> Estimates:
        """Estimates of true effects, shape (replicates, k)."""
        drawn = self.sei.rvs(theta.shape, rng) if isinstance(self.sei, Prior) else _in_turn(self.sei, theta)
        return Estimates(rng.normal(theta, drawn), drawn, np.ones(theta.shape, dtype=bool))


@dataclass(frozen=True, slots=True)
class Arms:
    """Trials of two arms whose events are binomial, and whose log odds ratios are then analysed.

    Empty cells are treated as ``effect_sizes`` treats them: 0.5 in each cell of such a trial, and a trial without
    events, or with events in everybody, is left out.

    Attributes
    ----------
    name
        Used in tables.
    n
        Participants of each arm, taken in turn by the trials.
    risk
        Probability of the event in the control arm, taken in turn by the trials.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, a risk is not within (0, 1), or there is none.

    Examples
    --------
    >>> bp.calibration.Arms("small", (25, 40), (0.2,)).risk
    (0.2,)
    """

    name: str
    n: tuple[int, ...]
    risk: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_all("n must be a positive whole number", self.n, lambda n: n > 0 and n == int(n))
        _require_all("risk must lie in (0, 1)", self.risk, lambda p: 0 < p < 1)

    def estimates(self, theta: Vector, rng: np.random.Generator) -> Estimates:
        """Log odds ratios of simulated counts, shape (replicates, k)."""
        n, risk = _in_turn(self.n, theta), _in_turn(self.risk, theta)
        odds = risk / (1 - risk) * np.exp(theta)
        event_c = rng.binomial(n.astype(int), risk)
        event_e = rng.binomial(n.astype(int), odds / (1 + odds))
        counts = {"event_e": event_e.astype(float), "n_e": n, "event_c": event_c.astype(float), "n_c": n}
        yi, vi = ARM_FORMULAS["OR"](counts)
        return Estimates(yi, np.sqrt(vi), ~is_uninformative(counts))


def _in_turn(values: tuple[float, ...], like: Vector) -> Vector:
    return np.broadcast_to(np.resize(np.asarray(values, dtype=float), like.shape[-1]), like.shape)


TRIALS: Mapping[str, Errors | Arms] = {
    trials.name: trials
    for trials in (
        Errors("equal", (_UNIT_SD / math.sqrt(100),)),
        Errors("very unequal", (_UNIT_SD / math.sqrt(100), _UNIT_SD / math.sqrt(1000))),
        Errors("as in Cochrane", log_normal(math.log(_UNIT_SD) - math.log(_MEDIAN_SIZE) / 2, _SD_LOG_SIZE / 2)),
        Arms("rare events", (100,), (0.02,)),
    )
}
"""Trials by name, for log odds ratios.

"equal": 100 participants each, standard error 0.4. "very unequal": every second one has ten times as many.
"as in Cochrane": sizes drawn from those of Cochrane reviews. "rare events": two arms of 100 participants; in the
control arm 2% have the event.
"""


@dataclass(frozen=True, slots=True, init=False)
class Scenario:
    """A world to simulate meta-analyses from.

    Attributes
    ----------
    k
        Number of trials, 2 or more.
    tau
        Between-study SD on the model scale, or its distribution.
    trials
        What a trial reports: an ``Errors`` or ``Arms``, or the name of one in TRIALS.
    mu
        Average effect on the model scale, or its distribution.
    measure
        Of the effects; "OR" for ``Arms``. Priors derived for another measure are refused.

    Raises
    ------
    ValueError
        If k is not a whole number from 2, tau is negative or not finite, mu is not finite, a distribution is improper
        or of the other parameter, or there are no such trials or measure; the message lists the choices.

    Examples
    --------
    >>> scenario = bp.calibration.Scenario(k=2, tau=0.3, trials=bp.calibration.Errors("ours", (0.25, 0.4)), mu=0.4)
    >>> scenario.k, scenario.trials.name
    (2, 'ours')
    """

    k: int
    tau: float | Prior
    trials: Errors | Arms
    mu: float | Prior
    measure: str

    def __init__(
        self,
        k: int,
        tau: float | Prior,
        trials: Errors | Arms | str = "equal",
        *,
        mu: float | Prior = 0.0,
        measure: str = "OR",
    ) -> None:
        if k != int(k) or k < 2:
            raise ValueError(f"k must be a whole number from 2; got {k!r}.")
        for name, value, lowest in (("mu", mu, -math.inf), ("tau", tau, 0.0)):
            if isinstance(value, Prior):
                _require_prior(name, value, name)
            elif not (math.isfinite(value) and value >= lowest):
                rule = "finite and not negative" if name == "tau" else "finite"
                raise ValueError(f"{name} must be {rule}, or a prior to draw it from; got {value!r}.")
        if isinstance(trials, str) and trials not in TRIALS:
            raise ValueError(f"trials must be Errors, Arms, or one of {', '.join(TRIALS)}; got {trials!r}.")
        reported = TRIALS[trials] if isinstance(trials, str) else trials
        if measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}; got {measure!r}.")
        if isinstance(reported, Arms) and measure != "OR":
            raise ValueError(f"measure must be OR for trials of two arms, as {reported.name!r}; got {measure!r}.")
        tau, mu = (value if isinstance(value, Prior) else float(value) for value in (tau, mu))
        for field, given in (("k", int(k)), ("tau", tau), ("trials", reported), ("mu", mu), ("measure", measure)):
            object.__setattr__(self, field, given)


class Replicates(NamedTuple):
    """Simulated meta-analyses: the truth, shape (replicates,), and the estimates of the trials."""

    mu: Vector
    tau: Vector
    trials: Estimates


def simulated(scenario: Scenario, replicates: int, rng: np.random.Generator) -> Replicates:
    """Meta-analyses drawn from a scenario."""
    mu, tau = (
        value.rvs(replicates, rng) if isinstance(value, Prior) else np.full(replicates, float(value))
        for value in (scenario.mu, scenario.tau)
    )
    theta = mu[:, None] + tau[:, None] * rng.standard_normal((replicates, scenario.k))
    return Replicates(mu, tau, scenario.trials.estimates(theta, rng))
