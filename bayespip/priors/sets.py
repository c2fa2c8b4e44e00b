"""The default priors of a re-analysis: two axes, mu and tau, each choice with name and source.

Why these: docs/decisions/default-priors.md. Scales on SMD are those on log odds ratios times sqrt(3)/pi, the SD
of a logistic variable turned round (Chinn 2000, Stat Med 19:3127), to three digits; those on other log ratios
are the ones derived for log odds ratios, kept as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import MEASURES, Measure, as_measure
from bayespip.priors import (
    Prior,
    Priors,
    flat,
    half_cauchy,
    half_normal,
    inverse_gamma,
    normal,
    student_t,
    uniform,
)
from bayespip.priors.entries import table
from bayespip.priors.from_data import du_mouchel, uniform_shrinkage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike

__all__ = ["POOLED_TOPIC", "TOPICS", "PriorSet", "default_priors"]

GUNHAN = "Gunhan BK, Rover C, Friede T. Res Synth Methods 2020;11:74-90, derived for log odds ratios"
FRIEDE = "Friede T, Rover C, Wandel S, Neuenschwander B. Res Synth Methods 2017;8:79-91"
ROVER = "Rover C et al. Res Synth Methods 2021;12:448-474"
GELMAN = "Gelman A. Bayesian Analysis 2006;1:515-534"
BARTOS = {
    "SMD": "Bartos F et al. Stat Med 2021, doi 10.1002/sim.9170",
    "OR": "Bartos F et al. 2023, arXiv 2306.11468",
    "RR": "Bartos F et al. 2023, arXiv 2306.11468",
    "RD": "Bartos F et al. 2023, arXiv 2306.11468",
    "HR": "Bartos F et al. 2023, arXiv 2306.11468",
}
# A Peto odds ratio estimates an odds ratio: the pairs of that serve, and their source says so.
_EMPIRICAL_OF = {"PETO": "OR"}
POOLED_TOPIC = "Cochrane"
# Short names in tables; other topics go by their own.
TOPICS = {
    "Common Mental Disorders": "CMD",
    "Developmental, Psychosocial and Learning Problems": "DPLP",
    POOLED_TOPIC: "Cochrane",
}
_SMD_FACTOR = math.sqrt(3) / math.pi
_ENOUGH_FOR_FLAT = 3  # studies, for a flat mu beside the improper uniform tau (propriety.py)


@dataclass(frozen=True, slots=True)
class PriorSet:
    """Priors with the two names under which tables show them.

    Attributes
    ----------
    priors
        What is fitted; its ``name`` joins the two.
    mu, tau
        Names of the choices on the two axes.
    kind
        "weakly informative", "empirical pair", or "hybrid": the published tau beside another mu.
    """

    priors: Priors
    mu: str
    tau: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a scale for log odds becomes: times `size` in the words of the label, times `sd` as well in the density."""

    size: float
    sd: float = 1.0
    label: str = ""
    note: str = ""

    def scaled(self, scale: float) -> float:
        return float(f"{scale * self.size:.3g}")


def default_priors(
    measure: str | Measure,
    *,
    topics: Sequence[str] = (POOLED_TOPIC,),
    sd: float | None = None,
    sei: ArrayLike | None = None,
) -> tuple[PriorSet, ...]:
    """The default priors for a measure.

    Parameters
    ----------
    measure
        Ratios and SMD have informed scales, of their own or those of log odds ratios; RD has published pairs; MD has
        those of SMD times `sd`. For the rest (MD without sd, PR, COR, ZCOR, differences in a file's own unit) no
        scale is known: a flat prior on mu beside priors on tau that take theirs from `sei`, uniform shrinkage and
        DuMouchel's, and beside the improper uniform one, which wants three studies.
    topics
        Cochrane topics of the published empirical priors (``priors.catalogue`` lists them); "Cochrane" is the pool
        of all, and serves, once, for topics of which a measure has no prior (HR has the pool only).
    sd
        Standard deviation of the outcome, in its unit; for MD only.
    sei
        Standard errors of the studies, where no scale is known; without them the improper uniform alone is left.

    Returns
    -------
    tuple of PriorSet

    Raises
    ------
    ValueError
        If a topic is unknown (the message lists the choices), or sd is not positive and finite.
    """
    measure = as_measure(measure)
    if sd is not None and not 0 < sd < math.inf:
        raise ValueError(f"sd must be positive and finite; got {sd!r}.")
    known = list(dict.fromkeys(row["topic"] for row in table("bartos")))
    unknown = [t for t in topics if t not in known]
    if unknown:
        raise ValueError(f"topics must be among {'; '.join(known)}; got {'; '.join(map(repr, unknown))}.")
    unit = _unit(measure, sd)
    mus, taus, pairs = _weak_mu(unit), _weak_tau(unit), _empirical(measure, unit, topics)
    if not taus and not pairs:
        return tuple(_set(("flat", flat()), tau, "weakly informative") for tau in _without_scale(sei))
    sets = [_set(mu, tau, "weakly informative") for mu in mus for tau in taus]
    for mu, tau in pairs:
        sets.append(_set(mu, tau, "empirical pair"))
        sets += [_set(other, tau, "hybrid") for other in mus]
    return tuple(sets)


_Named = tuple[str, Prior]


def _set(mu: _Named, tau: _Named, kind: str) -> PriorSet:
    hybrid = "hybrid: " if kind == "hybrid" else ""
    name = f"{hybrid}tau {tau[0]}, mu {mu[0]}"
    return PriorSet(Priors(mu[1], tau[1], name=name), mu[0], tau[0], kind)


def _weak_mu(unit: _Unit | None) -> list[_Named]:
    choices = [("flat", flat())]
    if unit is not None:
        sd = unit.scaled(2.82)
        spread = f"({sd:g}{unit.label})²" if unit.label else f"{sd:g}²"
        choices.append((f"N(0, {spread})", normal(0, sd * unit.sd, GUNHAN + unit.note)))
    return choices


def _weak_tau(unit: _Unit | None) -> list[_Named]:
    if unit is None:
        return []
    rows: tuple[tuple[str, Callable[[float, str], Prior], float, str], ...] = (
        ("HN", half_normal, 0.5, FRIEDE),
        ("HN", half_normal, 1.0, FRIEDE),
        ("HC", half_cauchy, 0.5, ROVER),
        ("U", lambda scale, source: uniform(0, scale, source), 2.0, GELMAN),
    )
    choices = []
    for short, family, scale, source in rows:
        value = unit.scaled(scale)
        shown = f"{value:g}{unit.label}"
        label = f"U(0, {shown})" if short == "U" else f"{short}({shown})"
        choices.append((label, family(value * unit.sd, source + unit.note)))
    return choices


def _unit(measure: Measure, sd: float | None) -> _Unit | None:
    """How long a unit of log odds is on the measure's model scale; None where that is not known."""
    if measure.log:
        return _Unit(1.0)
    if measure == MEASURES["SMD"]:
        return _Unit(_SMD_FACTOR, note="; scale times sqrt(3)/pi for SMD")
    if measure == MEASURES["MD"] and sd is not None:
        note = f"; scale times sqrt(3)/pi for SMD, times the studies' standard deviation {sd:.4g}"
        return _Unit(_SMD_FACTOR, sd, " SD", note)
    return None


def _without_scale(sei: ArrayLike | None) -> list[_Named]:
    """Priors on tau that need no unit; the improper one only where it gives a posterior, or there is no other."""
    improper = ("uniform (improper)", uniform(0, math.inf, GELMAN))
    if sei is None:
        return [improper]
    of_data = [("uniform shrinkage", uniform_shrinkage(sei)), ("DuMouchel", du_mouchel(sei))]
    return [*of_data, improper] if np.size(sei) >= _ENOUGH_FOR_FLAT else of_data


def _empirical(measure: Measure, unit: _Unit | None, topics: Sequence[str]) -> list[tuple[_Named, _Named]]:
    """The published pairs of mu and tau, one a topic, of a measure in MEASURES; another measure has none."""
    if measure != MEASURES.get(measure.name):
        return []
    of_smd = unit is not None and bool(unit.label)
    name = "SMD" if of_smd else _EMPIRICAL_OF.get(measure.name, measure.name)
    rows = {row["topic"]: row for row in table("bartos") if row["measure"] == name and row["tau_family"]}
    found = dict.fromkeys(topic if topic in rows else POOLED_TOPIC for topic in topics) if rows else {}
    note = "" if name == measure.name else f", of {MEASURES[name].label.lower()}s"
    if unit is not None and of_smd:
        note = f", of SMDs, times the studies' standard deviation {unit.sd:.4g}"
    sd, label = (unit.sd, " × SD") if unit is not None and of_smd else (1.0, "")
    return [_pair(rows[topic], sd, label, f"{BARTOS[name]}, {topic}{note}") for topic in found]


def _pair(row: Mapping[str, str], sd: float, label: str, source: str) -> tuple[_Named, _Named]:
    location, scale, df = (float(row[c]) for c in ("mu_location", "mu_scale", "mu_df"))
    location, scale = location * sd, scale * sd
    name, first = f"Bartos {TOPICS.get(row['topic'], row['topic'])}{label}", float(row["tau_first"])
    if row["tau_family"] == "half-normal":
        tau = half_normal(first * sd, source)
    else:
        tau = inverse_gamma(first, float(row["tau_second"]) * sd, source)
    return (name, student_t(location, scale, df, source)), (name, tau)
