"""What a prior says, for people who do not think in tau: quantiles, and how far apart true effects then are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayespip.measures import Measure, as_measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.priors.types import Prior

__all__ = ["Meaning", "meaning", "meaning_of"]

# From the 2.5% to the 97.5% study effect, in units of tau
WIDTH = 2 * 1.959963984540054  # the 97.5% quantile of a standard normal distribution
_PROBABILITIES = (0.025, 0.5, 0.975)
_LOG_TAU_MAX = 300.0  # exp(300)^2 is still a double


class Meaning(NamedTuple):
    """Median and central 95% of a prior, and what its median implies; nan where there is none.

    Attributes
    ----------
    median, lower, upper
        Of tau on the model scale; of mu on the display scale of the measure.
    spread
        For tau, between the 2.5% and the 97.5% study effect at the median: their ratio exp(2 * 1.96 * tau) where
        the measure is a ratio, otherwise their difference 2 * 1.96 * tau on the model scale.
    """

    median: float
    lower: float
    upper: float
    spread: float


def meaning_of(prior: Prior, measure: str | Measure | None = None) -> Meaning:
    """The numbers behind ``meaning``; parameters as there.

    Raises
    ------
    ValueError
        If the measure is unknown; the message lists the choices.
    """
    measure = None if measure is None else as_measure(measure)
    if not prior.proper:
        return Meaning(math.nan, math.nan, math.nan, math.nan)
    lower, median, upper = _quantiles(prior)
    if prior.role == "tau":
        width = WIDTH * median
        return Meaning(median, lower, upper, _exp(width) if measure and measure.log else width)
    if measure:
        lower, median, upper = measure.display([lower, median, upper]).tolist()
    return Meaning(median, lower, upper, math.nan)


def meaning(prior: Prior, measure: str | Measure | None = None) -> str:
    """A prior in words.

    Parameters
    ----------
    prior
        On mu or tau.
    measure
        That of the effects. Without it mu stays on the model scale, and the spread is given as a difference there.

    Returns
    -------
    str
        Such as "median tau 0.34, 95% 0.016 to 1.1; 95% of true effects within a factor 3.8 of each other (median
        tau)".

    Raises
    ------
    ValueError
        If the measure is unknown; the message lists the choices.
    """
    measure = None if measure is None else as_measure(measure)
    if not prior.proper:
        return f"improper: no median of {prior.role}, no interval; what it says depends on the data"
    m = meaning_of(prior, measure)
    what = prior.role if prior.role == "tau" or measure is None else measure.name
    values = f"median {what} {figure(m.median)}, 95% {figure(m.lower)} to {figure(m.upper)}"
    if prior.role == "mu":
        return values
    distance = f"a factor {figure(m.spread)}" if measure and measure.log else f"{figure(m.spread)}"
    return f"{values}; 95% of true effects within {distance} of each other (median tau)"


def figure(x: float) -> str:
    """Two significant digits, all those before the decimal point, and whole numbers as they are; empty for nan."""
    if math.isnan(x):
        return ""
    if math.isinf(x) or (x == round(x) and abs(x) < 1e6):
        return f"{x + 0.0:g}"
    rounded = float(f"{x:.1e}")
    if not 1e-4 <= abs(rounded) < 1e6:
        mantissa, exponent = f"{x:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{x:.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"


def _quantiles(prior: Prior) -> list[float]:
    if not prior.given:
        return [float(q) for q in prior.quantile(_PROBABILITIES)]
    from bayespip.exact.quadrature import adapt, cumulative

    def in_log(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return (prior.logpdf(np.exp(x)) + x)[None]

    panels = adapt(in_log, -_LOG_TAU_MAX, _LOG_TAU_MAX)
    below = cumulative(panels.edges, np.exp(panels.log_values))
    return [float(q) for q in np.exp(below.inverse(np.array([_PROBABILITIES]) * below.at_edges[0, -1]))[0]]


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf
