"""How sceptical a prior must be before a claim is lost: tipping points in the scale of a prior on tau or on mu.

The claim "the central interval of mu excludes no effect on this side" is P(mu on this side) > (1 + level) / 2, so
that intervals and probabilities are one kind of claim. Nothing is taken to be monotone: the whole range of scales
is scanned, and every crossing is found by the exact engine.

References
----------
Matthews RAJ. Beyond 'significance': principles and practice of the analysis of credibility. R Soc Open Sci
2018;5:171047. Held L, Matthews R, Ott M, Pawel S. Reverse-Bayes methods for evidence assessment and research
synthesis. Res Synth Methods 2022;13:295-314: the sceptical normal prior on mu, here with tau unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import optimize
from scipy.special import ndtr

from bayespip.exact import mixtures
from bayespip.exact.fit import exact_fit
from bayespip.exact.posterior import given_tau, mu_prior_components, posterior
from bayespip.exact.propriety import require_proper_posterior
from bayespip.fits import Estimate
from bayespip.priors import Priors, flat, normal
from bayespip.priors.scales import require_measure
from bayespip.reanalysis.quantities import mixture
from bayespip.sensitivity.curves import MuCurve, TauCurve
from bayespip.sensitivity.grid import SCALE_FAMILIES
from bayespip.sensitivity.points import TippingPoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.measures import Measure
    from bayespip.priors import Prior
    from bayespip.sensitivity.curves import Curve

    Array = NDArray[np.float64]

__all__ = ["SCEPTICAL", "Question", "tipping_point"]

SCEPTICAL = "sceptical normal"
"""The family N(0, scale^2) on mu."""

# Scales searched: from where a prior on tau, or from where one on mu, is no longer felt.
_SMALLEST, _LARGEST = 1e-3, 1e6  # times the smallest standard error; times the largest distance there is
_A_DECADE = 8  # scales scanned; a claim lost and regained between two of them is not seen
_ROOT = 1e-10  # relative precision of a tipping point
_TOUCHES = 1e-9  # of a log probability: no crossing


@dataclass(frozen=True)
class Question:
    """A claim, and the family of priors along which it is asked.

    Attributes
    ----------
    on
        Whose prior is varied.
    family
        Its name.
    make
        From the scale to both priors.
    beside
        The prior that stays.
    claim
        In words.
    tail
        Probability of the far side of no effect below which the claim holds.
    above
        Whether the claim is of mu above no effect.
    level
        Of intervals.
    """

    on: Literal["tau", "mu"]
    family: str
    make: Callable[[float], Priors]
    beside: Prior
    claim: str
    tail: float
    above: bool
    level: float

    def curve(self, scales: Array) -> Curve:
        """The far side's probability at these scales, for many study data sets."""
        if self.on == "mu":
            return MuCurve(self.beside, scales)
        return TauCurve(lambda scale: self.make(scale).tau, self.beside, scales, self.family in SCALE_FAMILIES)

    def excess(self, effects: EffectSizes, scale: float) -> float:
        """Log of the far side's probability over the largest that the claim allows: negative where it holds."""
        nodes = posterior(effects.yi[None], effects.vi[None], self.make(scale))
        far = mixtures.probabilities(*mixture(nodes), np.zeros(1), not self.above)[0, 0]
        return math.log(far / self.tail) if far > 0 else -math.inf


def tipping_point(
    effects: EffectSizes,
    family: str | Callable[[float], Prior] = "half-normal",
    claim: str | float = "interval",
    *,
    mu: Prior | None = None,
    tau: Prior | None = None,
    side: str | None = None,
    level: float = 0.95,
) -> TippingPoint:
    """The scale of a prior at which a claim about mu is lost.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    family
        Of the prior on tau: a name in SCALE_FAMILIES, or a function from scale to prior. SCEPTICAL: the prior on
        mu is N(0, scale^2), and ``tau`` stays.
    claim
        "interval": the central interval of mu excludes no effect. A number such as 0.975, 0.95 or 0.9: the
        probability of the side is larger than that.
    mu
        Prior on mu while that on tau varies; flat if None.
    tau
        Prior on tau, needed while that on mu varies.
    side
        "above" or "below" no effect; that of the common-effect mean if None.
    level
        Of the interval.

    Returns
    -------
    TippingPoint
        Its scale has a relative error below 1e-9.

    Raises
    ------
    ValueError
        If an argument is none of the choices, a prior was derived for another measure, or the posterior under such
        priors is improper.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> print(bp.tipping_point(invented, "half-normal", "interval"))
    lost once tau's half-normal scale exceeds 0.208
    """
    above = is_above(side, float((effects.yi / effects.vi).sum()))
    question = question_of(effects.k, effects.measure, family, claim, mu=mu, tau=tau, above=above, level=level)
    return answer(question, effects)


def question_of(
    k: int,
    measure: Measure,
    family: str | Callable[[float], Prior],
    claim: str | float,
    *,
    mu: Prior | None,
    tau: Prior | None,
    above: bool,
    level: float,
) -> Question:
    """The question that these arguments ask of k studies; errors as in ``tipping_point``."""
    tail, words = allowed_tail(claim, level)
    for given in (mu, tau):
        if given is not None:
            require_measure(given, measure)
    if family == SCEPTICAL:
        if tau is None or mu is not None:
            raise ValueError(f"{SCEPTICAL!r} varies the prior on mu: give tau, such as half_normal(0.5), and not mu.")
        require_proper_posterior(k, Priors(flat(), tau))
        return Question("mu", SCEPTICAL, lambda s: Priors(normal(0.0, s), tau), tau, words, tail, above, level)
    if tau is not None:
        raise ValueError(f"a family of priors on tau varies tau: give mu, not tau; or the family {SCEPTICAL!r}.")
    beside = flat() if mu is None else mu
    if callable(family):
        make, name = family, f"given {family(1.0).family}"
    elif family in SCALE_FAMILIES:
        make, name = SCALE_FAMILIES[family], family
    else:
        choices = ", ".join((*SCALE_FAMILIES, SCEPTICAL))
        raise ValueError(f"family must be one of {choices}, or a function from scale to prior; got {family!r}.")
    require_proper_posterior(k, Priors(beside, make(1.0)))
    return Question("tau", name, lambda s: Priors(beside, make(s)), beside, words, tail, above, level)


def allowed_tail(claim: str | float, level: float) -> tuple[float, str]:
    """Probability of the far side below which the claim holds, and the claim in words."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    if isinstance(claim, str):
        if claim != "interval":
            raise ValueError(f"claim must be 'interval' or a probability such as 0.95; got {claim!r}.")
        return (1 - level) / 2, f"the {100 * level:g}% interval of mu excludes no effect"
    if not 0.5 < claim < 1:
        raise ValueError(f"claim must be 'interval' or a probability in (0.5, 1); got {claim!r}.")
    return 1 - claim, f"P(mu on this side of no effect) > {claim:g}"


def is_above(side: str | None, estimate: float) -> bool:
    """Whether the claim is of mu above no effect: as asked, or as the estimate says."""
    if side not in (None, "above", "below"):
        raise ValueError(f"side must be 'above' or 'below' no effect, or None; got {side!r}.")
    return estimate > 0 if side is None else side == "above"


def scales_between(smallest: float, largest: float, a_decade: int) -> Array:
    """At least so many scales a decade, evenly in their logarithm."""
    return np.geomspace(smallest, largest, math.ceil(a_decade * math.log10(largest / smallest)) + 1)


def answer(question: Question, effects: EffectSizes) -> TippingPoint:
    """Where the claim holds for one study data set."""
    yi, vi = effects.yi[None], effects.vi[None]
    size = float(max(effects.sei.max(), np.abs(effects.yi).max()))
    scales = scales_between(_SMALLEST * float(effects.sei.min()), _LARGEST * size, _A_DECADE)
    far = question.curve(scales)(yi, vi, above=question.above)[0]
    held = np.concatenate([[_at_zero(question, effects)], far]) < question.tail
    ends = [_SMALLEST * float(scales[0]), *map(float, scales)]
    changes = np.flatnonzero(held[1:] != held[:-1])
    roots = [r for i in changes if (r := _root(question, effects, ends[i], ends[i + 1])) is not None]
    holds = _ranges(roots, lambda scale: question.excess(effects, scale) < 0, (ends[0], ends[-1]))
    point = TippingPoint(
        question.on, question.family, str(question.beside), question.claim, "above" if question.above else "below",
        holds, (float(scales[0]), float(scales[-1])), Estimate(math.nan, math.nan, math.nan),
    )  # fmt: skip
    if point.answer != "tips":
        return point
    fit = exact_fit(effects, question.make(point.scale), level=question.level)
    return replace(point, interval_at=Estimate(fit.mu.point, fit.mu.lower, fit.mu.upper))


def _ranges(
    roots: list[float], holds_at: Callable[[float], bool], ends: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """The ranges between crossings in which a claim holds, each tried at its geometric middle."""
    inner = [ends[0], *roots, ends[1]]
    found: list[tuple[float, float]] = []
    for (a, b), (low, high) in zip(pairwise([0.0, *roots, math.inf]), pairwise(inner), strict=True):
        if holds_at(math.sqrt(low * high)):
            touching = bool(found) and found[-1][1] == a
            found = [*found[:-1], (found[-1][0], b)] if touching else [*found, (a, b)]
    return tuple(found)


def _at_zero(question: Question, effects: EffectSizes) -> float:
    """The far side's probability at scale zero: under the common effect, or under a prior that says mu = 0."""
    if question.on == "mu":
        return 0.5
    yi, vi = effects.yi[None], effects.vi[None]
    given = given_tau(yi, vi, np.zeros(1), mu_prior_components(question.beside, yi, vi))
    share = np.exp(given.log_likelihood - given.log_marginal()[:, None])
    return float((share * ndtr((-1 if question.above else 1) * given.mean / np.sqrt(given.variance))).sum())


def _root(question: Question, effects: EffectSizes, a: float, b: float) -> float | None:
    """Where the claim is lost or regained between two scales; None where the exact curve only touches."""

    def excess(log_scale: float) -> float:
        return question.excess(effects, math.exp(log_scale))

    ends = math.log(a), math.log(b)
    at_a, at_b = (excess(x) for x in ends)
    if at_a * at_b > 0:
        near, value = min(((a, at_a), (b, at_b)), key=lambda end: abs(end[1]))
        return near if abs(value) < _TOUCHES else None
    return math.exp(optimize.brentq(excess, *ends, xtol=_ROOT, rtol=_ROOT))
