"""The catalogue of published priors: as a table, by name, by description."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bayespip.measures import MEASURES
from bayespip.priors.entries import codebook, entries
from bayespip.priors.meaning import meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from bayespip.measures import Measure
    from bayespip.priors.entries import Entry
    from bayespip.priors.types import Prior

__all__ = ["catalogue", "empirical", "published", "select"]

POOLED = "Cochrane"
_MOST_LISTED = 30


def catalogue(*, sei: ArrayLike | None = None) -> pd.DataFrame:
    """Every published prior.

    Parameters
    ----------
    sei
        Standard errors of the studies, shape (k,), on the model scale: gives the priors that depend on them their
        numbers, which are otherwise missing.

    Returns
    -------
    DataFrame
        One row a prior: name; kind; parameter (tau or mu); measure (empty: any) and scale, such as log OR; family and
        parameters, on that scale; median, lower, upper (median and central 95% of the prior itself, on that scale);
        spread (of tau, between the 2.5% and the 97.5% study effect at the median: a ratio for ratios, else a
        difference); outcome, comparison, topic (where it holds; empty: anywhere); paper, citation; status (verified or
        doubtful), doubt and checked, in words.

    Raises
    ------
    ValueError
        If sei holds a value that is not positive and finite.

    Examples
    --------
    >>> table = bp.priors.catalogue()
    >>> table.query("paper == 'Turner 2015' and topic == ''").iloc[0][["name", "family", "status"]].tolist()
    ['turner2015/mortality/pharma-placebo', 'log-normal', 'verified']
    """
    import pandas as pd

    return pd.DataFrame([_row(entry, sei) for entry in entries()], columns=list(_COLUMNS))


_COLUMNS = (
    "name", "kind", "parameter", "measure", "scale", "family", "parameters", "median", "lower", "upper", "spread",
    "outcome", "comparison", "topic", "paper", "citation", "status", "doubt", "checked",
)  # fmt: skip


def _row(entry: Entry, sei: ArrayLike | None) -> dict[str, object]:
    row: dict[str, object] = {column: getattr(entry, column, None) for column in _COLUMNS}
    measure = MEASURES.get(entry.measure)
    row["scale"] = measure.model_scale if measure else entry.measure
    if entry.parameters is None and sei is None:
        return row | dict.fromkeys(("median", "lower", "upper", "spread"), float("nan"))
    prior = entry.prior(sei)
    median, lower, upper, spread = meaning_of(prior, measure if entry.parameter == "tau" else None)
    return row | {"parameters": prior.parameters, "median": median, "lower": lower, "upper": upper, "spread": spread}


def published(name: str, *, sei: ArrayLike | None = None) -> Prior:
    """A published prior by its name in the catalogue.

    Parameters
    ----------
    name
        Such as "turner2015/mental-health/nonpharma-placebo".
    sei
        Standard errors of the studies, for the priors that take their scale from them.

    Returns
    -------
    Prior
        Its name and the measure for which it was derived on it, its citation, setting and doubts in its source.

    Raises
    ------
    ValueError
        If there is none of that name (the message lists the nearest), or it needs sei.

    Examples
    --------
    >>> print(bp.priors.published("turner2015/mental-health/nonpharma-placebo"))
    log-normal(-1.17, 0.86)
    """
    by_name = {entry.name: entry for entry in entries()}
    if name not in by_name:
        near = get_close_matches(str(name), by_name, n=5, cutoff=0.5) or list(by_name)[:5]
        raise ValueError(
            f"name must be one of the {len(by_name)} in priors.catalogue(), such as {', '.join(near)}; got {name!r}."
        )
    return by_name[name].prior(sei)


def empirical(
    measure: str | Measure,
    *,
    outcome: str | None = None,
    comparison: str | None = None,
    topic: str | None = None,
    paper: str | None = None,
    parameter: str = "tau",
) -> tuple[Prior, ...]:
    """All priors estimated from earlier meta-analyses that fit a description: an axis, never a silent first.

    Parameters
    ----------
    measure
        That of the effects. A prior is offered for the measure for which it was derived and for no other; for a
        conversion see ``converted``.
    outcome, comparison
        Outcome type and pair of interventions, in the words of the papers or part of them, such as "mental health" and
        "non-pharmacological vs. placebo" (in either order). A paper's "non-pharmacological (any)" fits every
        comparison with a non-pharmacological intervention.
    topic
        Cochrane topic or medical area; "Cochrane" is all of it. Rhodes 2015 tells respiratory, cancer and other areas
        apart: a topic stands for those it may belong to.
    paper
        Such as "Turner 2015".
    parameter
        "tau" or "mu".

    Returns
    -------
    tuple of Prior
        Named as in the catalogue. A prior fits if every property that it has and that is asked for is met, and at
        least one of them; what is not asked for is open, and gives one prior for each possibility. Rhodes 2015 comes in
        both readings of its spread, and where the printed cell is in doubt with the alternative as well.

    Raises
    ------
    ValueError
        If nothing fits; the message lists the choices.

    Examples
    --------
    >>> found = bp.priors.empirical("SMD", topic="Common Mental Disorders", paper="Bartos 2021")
    >>> [str(prior) for prior in found]
    ['inverse-gamma(1.62, 0.45)']
    """
    found = select(
        measure, outcome=outcome, comparison=comparison, topic=topic, paper=paper, parameter=parameter, kind="empirical"
    )
    return tuple(entry.prior() for entry in found)


def select(
    measure: str | Measure | None = None,
    *,
    outcome: str | None = None,
    comparison: str | None = None,
    topic: str | None = None,
    paper: str | None = None,
    parameter: str | None = None,
    kind: str | None = None,
) -> tuple[Entry, ...]:
    """The entries that fit a description, of any kind unless one is named.

    Parameters
    ----------
    measure, outcome, comparison, topic, paper, parameter
        As ``empirical``; what is None is open. Priors for any measure fit every measure.
    kind
        Such as "empirical"; the choices stand in the catalogue.

    Raises
    ------
    ValueError
        If nothing fits; the message lists the choices.
    """
    found = list(entries())
    if kind is not None:
        found = _narrowed(found, "kind", {kind}, kind)
    if parameter is not None:
        found = _narrowed(found, "parameter", {parameter}, parameter)
    if measure is not None:
        name = measure if isinstance(measure, str) else measure.name
        # a measure without priors of its own still has those for any
        wide = {name, ""} if name in {*MEASURES, *(e.measure for e in found)} else {name}
        found = _narrowed(found, "measure", wide, name)
    if paper is not None:
        found = _narrowed(found, "paper", _matching({e.paper for e in found}, paper), paper)
    asked = {"outcome": outcome, "comparison": comparison, "topic": topic}
    wanted: dict[str, set[str]] = {}
    for column, query in asked.items():
        if query is not None:
            values = {getattr(e, column) for e in found} - {""}
            wanted[column] = _MATCH[column](values, query)
            if not wanted[column]:
                raise ValueError(f"{column} must be one of {_listed(values)}; got {query!r}.")
    fit = tuple(e for e in found if _fits(e, wanted))
    if not fit:
        together = " and ".join(f"{column} {query!r}" for column, query in asked.items() if query is not None)
        raise ValueError(f"no published prior has {together} together; see priors.catalogue().")
    return fit


def _narrowed(found: Sequence[Entry], column: str, wanted: set[str], query: str) -> list[Entry]:
    kept = [e for e in found if getattr(e, column) in wanted]
    if not kept:
        raise ValueError(f"{column} must be one of {_listed({getattr(e, column) for e in found})}; got {query!r}.")
    return kept


def _fits(entry: Entry, wanted: dict[str, set[str]]) -> bool:
    """Whether all that is asked of it and that it has is met, and something is."""
    asked = [column for column in wanted if getattr(entry, column)]
    return all(getattr(entry, column) in wanted[column] for column in asked) and bool(asked or not wanted)


def _naming(values: set[str], query: str) -> set[str]:
    """The values in which the query stands at the start of a word; in any case."""
    # "pharmacological" does not stand at the start of a word in "non-pharmacological"
    starts = re.compile(rf"(?<![\w-]){re.escape(query.casefold().strip())}")
    return {v for v in values if query.strip() and starts.search(v.casefold())}


def _matching(values: set[str], query: str) -> set[str]:
    """The value that is the query, else those that name it."""
    return {v for v in values if v.casefold() == query.casefold().strip()} or _naming(values, query)


_SIDES = re.compile(r"(?P<non>non-?\s?pharma\w*)|(?P<drug>pharma\w*)|(?P<control>placebo|control)")
_PAIR = re.compile(r"\bvs?\b|\bversus\b|\band\b|\w-(?:placebo|pharma|nonpharma|any)\b")

_ANY = re.compile(r"\bany\b")


def _comparisons(values: set[str], query: str) -> set[str]:
    """For a pair, the comparisons of these kinds of intervention in either order; else those that name it."""
    sides = _sides(query)
    if not sides or not _PAIR.search(query.casefold()):
        return _naming(values, query)
    if _ANY.search(query.casefold()):
        return {v for v in values if sides <= _sides(v)}
    return {v for v in values if _sides(v) == sides or (_ANY.search(v) and _sides(v) <= sides)}


def _sides(text: str) -> frozenset[str]:
    """The kinds of intervention that a comparison names."""
    return frozenset(str(found.lastgroup) for found in _SIDES.finditer(text.casefold()))


def _topics(values: set[str], query: str) -> set[str]:
    """The topic, and the medical areas of Rhodes 2015 to which it may belong."""
    areas = codebook()["tables"]["rhodes2015"]["areas"]
    known = {e.topic for e in entries() if e.paper.startswith("Bartos")} - {POOLED}
    topics = _matching(values, query)
    for topic in _matching(known, query):
        topics |= values & ({area for area, of in areas.items() if topic in of} or {"other"})
    return topics


_MATCH = {"outcome": _naming, "comparison": _comparisons, "topic": _topics}


def _listed(values: set[str]) -> str:
    """Choices in one sentence; long lists are cut, and say where the rest is."""
    named = sorted(repr(v) for v in values if v)
    rest = len(named) - _MOST_LISTED
    listed = ", ".join(named[:_MOST_LISTED])
    return listed if rest <= 0 else f"{listed}, and {rest} more in priors.catalogue()"
