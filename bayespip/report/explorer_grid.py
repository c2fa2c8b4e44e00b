"""The priors that the explorer offers: families of priors on tau along a grid of scales, beside the priors in use."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayespip.exact.posterior import mu_prior_components
from bayespip.priors import Priors, normal_mixture
from bayespip.sensitivity.grid import SCALE_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.priors import Prior
    from bayespip.priors.sets import PriorSet
    from bayespip.reanalysis.cases import Case

__all__ = ["Grid", "TauFamily", "grid_of"]

# Preferred numbers, ten a decade (ISO 3:1973, R10): round, and they hold 0.5, 1 and 2 of the default priors.
_PREFERRED = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)
# In units of log odds: from "small" to beyond "fairly extreme" heterogeneity (sensitivity.grid.SCALES)
_SMALLEST, _LARGEST = 0.1, 5.0
SCALES = tuple(
    x for decade in (-1, 0) for x in (round(p * 10.0**decade, 3) for p in _PREFERRED) if _SMALLEST <= x <= _LARGEST
)
_PER_TYPICAL_SE = 2.0  # typical standard errors in that unit where no scale is known: 0.5 of it is then one of them
# Of the normal components of a Student-t prior on mu: half as many as exact_fit has, and numbers within 1e-7 of an
# interval's width of its own (tests/test_report_explorer.py).
_COMPONENTS = 1e-5


@dataclass(frozen=True, slots=True)
class TauFamily:
    """Priors on tau that the explorer offers under one name.

    Attributes
    ----------
    name
        "half-normal", ...; of a single prior, its name in the tables.
    priors
        One a scale, or the one.
    scales
        Increasing, on the model scale; empty for a single prior, which has no slider.
    """

    name: str
    priors: tuple[Prior, ...]
    scales: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """All pairs of a prior on mu and one on tau that the explorer offers.

    Attributes
    ----------
    mus
        Name in the tables and prior, those in use.
    families
        Of priors on tau.
    start
        Places of the first pair shown, the first in use: in mus, and in ``taus``.
    """

    mus: tuple[tuple[str, Prior], ...]
    families: tuple[TauFamily, ...]
    start: tuple[int, int]

    @property
    def taus(self) -> tuple[Prior, ...]:
        """All priors on tau, family by family."""
        return tuple(tau for family in self.families for tau in family.priors)

    def pairs(self, case: Case) -> list[Priors]:
        """What is fitted, mu by mu and tau by tau."""
        mus = [_in_fewer_components(mu, case) for _, mu in self.mus]
        return [Priors(mu, tau) for mu in mus for tau in self.taus]


def grid_of(case: Case, sets: Sequence[PriorSet]) -> Grid:
    """The explorer's grid: SCALE_FAMILIES at SCALES of the measure, and every prior in use that is none of these.

    Parameters
    ----------
    case
        What was fitted.
    sets
        The priors in use.
    """
    scales = _scales(case)
    families = [TauFamily(name, tuple(make(s) for s in scales), scales) for name, make in SCALE_FAMILIES.items()]
    offered = {_density(tau) for family in families for tau in family.priors}
    mus: dict[_Density, tuple[str, Prior]] = {}
    taus: dict[_Density, TauFamily] = {}
    for s in sets:
        mus.setdefault(_density(s.priors.mu), (s.mu, s.priors.mu))
        if _density(s.priors.tau) not in offered:
            taus.setdefault(_density(s.priors.tau), TauFamily(s.tau, (s.priors.tau,), ()))
    grid = Grid(tuple(mus.values()), (*families, *taus.values()), (0, 0))
    first = [_density(tau) for tau in grid.taus].index(_density(sets[0].priors.tau))
    return replace(grid, start=(0, first))


_Density = tuple[object, ...]


def _density(prior: Prior) -> _Density:
    """What makes two priors one, whatever their sources."""
    return prior.family, prior.parameters, prior.given


def _scales(case: Case) -> tuple[float, ...]:
    """SCALES in the measure's unit, to three digits, as the default priors have them (``priors.sets``)."""
    measure = case.measure
    if measure.log:
        return SCALES
    of_smd = tuple(float(f"{math.sqrt(3) / math.pi * s:.3g}") for s in SCALES)
    if measure.name == "SMD":
        return of_smd
    if case.sd is not None:
        return tuple(s * case.sd for s in of_smd)
    typical = _PER_TYPICAL_SE / math.sqrt(float(np.mean(1 / case.effects.vi)))
    return tuple(float(f"{typical * s:.3g}") for s in SCALES)


def _in_fewer_components(mu: Prior, case: Case) -> Prior:
    """A Student-t prior about zero as the mixture of normals that it is; any other as it stands."""
    if mu.family != "student-t" or mu.parameters[0] != 0:
        return mu
    parts = mu_prior_components(mu, case.effects.yi, case.effects.vi, _COMPONENTS)
    weight = np.exp(parts.log_weight)
    return normal_mixture((weight / weight.sum()).tolist(), (1 / np.sqrt(parts.precision)).tolist()).renamed(
        mu.name, mu.measure
    )
