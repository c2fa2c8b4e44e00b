"""A prior derived for one effect measure, carried to another where that is defensible.

A log odds ratio times sqrt(3) / pi is a standardised mean difference if the outcome behind the dichotomy is
logistic, whose standard deviation is pi / sqrt(3) (Chinn S. Stat Med 2000;19:3127-3131). There is no such factor
between odds ratios and risk ratios or risk differences: it would depend on the risk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayespip.measures import Measure
    from bayespip.priors.types import Prior, Priors

__all__ = ["converted", "require_measure", "require_pair"]

_ROOT3_PI = math.sqrt(3) / math.pi
_CHINN = "Chinn S. Stat Med 2000;19:3127-3131"
FACTORS = {
    ("OR", "SMD"): (_ROOT3_PI, f"scale times sqrt(3)/pi, from log OR to SMD: {_CHINN}"),
    ("SMD", "OR"): (1 / _ROOT3_PI, f"scale times pi/sqrt(3), from SMD to log OR: {_CHINN}"),
}


def converted(prior: Prior, to: str | Measure, *, measure: str | Measure | None = None) -> Prior:
    """A prior for another measure, the conversion named in its source.

    Parameters
    ----------
    prior
        On mu or tau.
    to
        Measure that is wanted.
    measure
        Measure for which the prior was derived; a published prior knows its own.

    Raises
    ------
    ValueError
        If the prior's measure is not known, or there is no defensible conversion; the message lists those there are.

    Examples
    --------
    >>> prior = bp.priors.converted(bp.priors.half_normal(0.5), "SMD", measure="OR")
    >>> prior.parameters[0]
    0.27566444771089604
    """
    wanted, known = _name(to), _name(measure) if measure else prior.measure
    if not known:
        raise ValueError(f"measure must be given: {prior.label} does not say for which it was derived.")
    if known == wanted:
        return prior
    if (known, wanted) not in FACTORS:
        choices = ", ".join(f"{a} to {b}" for a, b in FACTORS)
        raise ValueError(
            f"{prior.label} was derived for {known}; there is no defensible conversion to {wanted}, only {choices}."
        )
    factor, note = FACTORS[known, wanted]
    scaled = prior.scaled(factor, note)
    return scaled.renamed(f"{prior.name} as {wanted}" if prior.name else "", wanted)


def require_measure(prior: Prior, measure: str | Measure) -> None:
    """Refuse a prior that was derived for another measure.

    Raises
    ------
    ValueError
        If it was; the message names both, and the conversion if there is one. A prior that names no measure passes.

    Examples
    --------
    >>> prior = bp.priors.published("turner2015/mental-health/nonpharma-placebo")  # for OR
    >>> try:
    ...     bp.priors.require_measure(prior, bp.MEASURES["SMD"])
    ... except ValueError as error:
    ...     print(str(error).split(";")[0])
    ...
    turner2015/mental-health/nonpharma-placebo was derived for OR, not for SMD
    """
    name = _name(measure)
    if prior.measure in ("", name):
        return
    helps = f"; priors.converted(prior, {name!r}) carries it over" if (prior.measure, name) in FACTORS else ""
    raise ValueError(f"{prior.label} was derived for {prior.measure}, not for {name}{helps}.")


def require_pair(priors: Priors, measure: str | Measure | None = None) -> None:
    """Refuse what is no pair of priors, and for a measure a pair of which one was derived for another.

    Raises
    ------
    ValueError
        If it is so; the message says what is expected.
    """
    if not (hasattr(priors, "mu") and hasattr(priors, "tau")):
        raise ValueError(f"priors must be a pair, bp.Priors(mu=..., tau=...); got {priors}.")
    if measure is not None:
        for prior in (priors.mu, priors.tau):
            require_measure(prior, measure)


def _name(measure: str | Measure) -> str:
    return measure if isinstance(measure, str) else measure.name
