"""The default priors of a re-analysis: two axes, mu and tau, each choice with name and source.

Why these: docs/decisions/default-priors.md. Scales on SMD are those on log odds ratios times sqrt(3)/pi, the SD
of a logistic variable turned round (Chinn 2000, Stat Med 19:3127), to three digits; those on log risk ratios
are the ones derived for log odds ratios, kept as they are.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from bayespip.measures import Measure, as_measure
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
}
POOLED_TOPIC = "Cochrane"
TOPICS = {
    "Common Mental Disorders": "CMD",
    "Developmental, Psychosocial and Learning Problems": "DPLP",
    POOLED_TOPIC: "Cochrane",
}
_SMD_FACTOR = math.sqrt(3) / math.pi


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


def default_priors(measure: str | Measure, *, topics: Sequence[str] = (POOLED_TOPIC,)) -> tuple[PriorSet, ...]:
    """The default priors for a measure.

    Parameters
    ----------
    measure
        Ratios, RD and SMD have informed scales; for MD, whose unit is the instrument's, the flat priors on mu and
        tau that need no scale (they want three studies).
    topics
        Cochrane topics of the published empirical priors; "Cochrane" is the pool of all.

    Returns
    -------
    tuple of PriorSet

    Raises
    ------
    ValueError
        If a topic is unknown; the message lists the choices.
    """
    measure = as_measure(measure)
    unknown = [t for t in topics if t not in TOPICS]
    if unknown:
        raise ValueError(f"topics must be among {'; '.join(TOPICS)}; got {'; '.join(map(repr, unknown))}.")
    if measure.name == "MD":
        improper = uniform(0, math.inf, GELMAN)
        return (_set(("flat", flat()), ("uniform (improper)", improper), "weakly informative"),)
    mus = _weak_mu(measure)
    sets = [_set(mu, tau, "weakly informative") for mu in mus for tau in _weak_tau(measure)]
    for topic in topics:
        mu, tau = _bartos(measure, topic)
        sets.append(_set(mu, tau, "empirical pair"))
        sets += [_set(other, tau, "hybrid") for other in mus]
    return tuple(sets)


_Named = tuple[str, Prior]


def _set(mu: _Named, tau: _Named, kind: str) -> PriorSet:
    hybrid = "hybrid: " if kind == "hybrid" else ""
    name = f"{hybrid}tau {tau[0]}, mu {mu[0]}"
    return PriorSet(Priors(mu[1], tau[1], name=name), mu[0], tau[0], kind)


def _weak_mu(measure: Measure) -> list[_Named]:
    choices = [("flat", flat())]
    if measure.log or measure.name == "SMD":
        sd = _scaled(2.82, measure)
        choices.append((f"N(0, {sd:g}²)", normal(0, sd, GUNHAN + _smd_note(measure))))
    return choices


def _weak_tau(measure: Measure) -> list[_Named]:
    if not (measure.log or measure.name == "SMD"):
        return []
    note = _smd_note(measure)
    rows: tuple[tuple[str, Callable[[float, str], Prior], float, str], ...] = (
        ("HN", half_normal, 0.5, FRIEDE),
        ("HN", half_normal, 1.0, FRIEDE),
        ("HC", half_cauchy, 0.5, ROVER),
        ("U", lambda scale, source: uniform(0, scale, source), 2.0, GELMAN),
    )
    choices = []
    for short, family, scale, source in rows:
        value = _scaled(scale, measure)
        label = f"U(0, {value:g})" if short == "U" else f"{short}({value:g})"
        choices.append((label, family(value, source + note)))
    return choices


def _scaled(scale: float, measure: Measure) -> float:
    return float(f"{scale * _SMD_FACTOR:.3g}") if measure.name == "SMD" else scale


def _smd_note(measure: Measure) -> str:
    return "; scale times sqrt(3)/pi for SMD" if measure.name == "SMD" else ""


def _bartos(measure: Measure, topic: str) -> tuple[_Named, _Named]:
    table = (files("bayespip.data") / "bartos_priors.csv").read_text(encoding="utf-8").splitlines()
    row = next(r for r in csv.DictReader(table) if r["measure"] == measure.name and r["topic"] == topic)
    source = f"{BARTOS[measure.name]}, {topic}"
    location, scale, df = (float(row[c]) for c in ("mu_location", "mu_scale", "mu_df"))
    name = f"Bartos {TOPICS[topic]}"
    first = float(row["tau_first"])
    if row["tau_family"] == "half-normal":
        tau = half_normal(first, source)
    else:
        tau = inverse_gamma(first, float(row["tau_second"]), source)
    return (name, student_t(location, scale, df, source)), (name, tau)
