"""The outcomes of a review, in sets that a model of several outcomes can take together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayespip.fits import compare
from bayespip.mcmc.fit import pymc_fit
from bayespip.measures import MEASURES
from bayespip.model_data.outcomes import Outcomes
from bayespip.published_only.bounds import sample
from bayespip.published_only.variances import TrialSizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bayespip.effects import EffectSizes
    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

__all__ = ["MEMBERS", "ReviewOutcomes", "outcomes_of", "over_members"]

# Of the study data consistent with a published result; of those with equal heterogeneity the one with the smaller Q.
MEMBERS = ("equal variances", "least heterogeneous", "most heterogeneous")


@dataclass(frozen=True)
class ReviewOutcomes:
    """What of a review's cases can be analysed together.

    Attributes
    ----------
    data
        Sets of outcomes on one scale, none of a set known to share a trial; every case that is in any is in at least
        one, and the first that has it is as good as the others.
    left
        Label of each case that is in none, to the reason.
    """

    data: tuple[Outcomes, ...]
    left: Mapping[str, str]


def outcomes_of(
    cases: Sequence[Case], *, blocks: Sequence[Sequence[str]] = (), member: str = "equal variances"
) -> ReviewOutcomes:
    """The outcomes of a review in sets on one scale that share no trial.

    Two outcomes are held to share trials, and so enter different sets, if

    - they have a study in common, or name one;
    - their numbers of trials leave no other possibility, among the trials that may have entered them;
    - they are categories of one outcome ("Infant attachment: secure", "Infant attachment: avoidant") in one comparison
      at one time, published without study data;
    - they are one result, analysed for two numbers of studies;
    - or ``blocks`` puts them together.

    Parameters
    ----------
    cases
        Of one review; of results published without study data a member of the family stands in.
    blocks
        Groups of labels of cases that share trials.
    member
        Which one: "equal variances" (the illustration), "least heterogeneous" or "most heterogeneous" of a sample.

    Raises
    ------
    ValueError
        If member is not one of the choices, or a block names a case that is not there.
    """
    if member not in MEMBERS:
        raise ValueError(f"member must be one of {', '.join(MEMBERS)}; got {member!r}.")
    by_label = {case.label: case for case in cases}
    unknown = sorted({label for block in blocks for label in block} - by_label.keys())
    if unknown:
        raise ValueError(f"blocks must be of cases among {', '.join(by_label)}; got {', '.join(unknown)}.")
    data: list[Outcomes] = []
    left: dict[str, str] = {}
    for scale, group in _by_scale(cases).items():
        reason = _not_comparable(group)
        if reason:
            left |= dict.fromkeys((case.label for case in group), reason)
            continue
        names = {case.label for case in group}
        given = [[label for label in block if label in names] for block in blocks]
        together = Outcomes({case.label: _effects(case, member) for case in group}, blocks=[*given, *_blocks(group)])
        sets = together.apart()
        if len(sets[0].outcome) == 1:
            why = (
                f"every other outcome on the scale {scale} shares trials with it"
                if len(group) > 1
                else (f"no other outcome is on the scale {scale}")
            )
            left |= dict.fromkeys(names, f"{why}: there is none to learn its tau from.")
            continue
        data += [Outcomes(some.effects, assumptions=_assumptions(some, by_label, member)) for some in sets]
    return ReviewOutcomes(tuple(data), left)


def over_members(
    cases: Sequence[Case],
    priors: Priors,
    *,
    seed: int,
    blocks: Sequence[Sequence[str]] = (),
    level: float = 0.95,
    across: str = "log-normal",
) -> pd.DataFrame:
    """``pooled_tau`` on three members of every family: how far the result depends on what was not published.

    Three members do not bound a family: their range is within the bounds of ``bounds``.

    Parameters
    ----------
    cases, blocks
        As in ``outcomes_of``.
    priors
        On each mu_j, and on the typical tau.
    seed, level, across
        As in ``pymc_fit`` and the model.

    Returns
    -------
    DataFrame
        The columns of ``compare`` and member; one row an outcome (its label in ``analysis``), member and parameter
        mu, tau or theta_new. Cases with study data have the same data under every member.
    """
    tables = []
    for member in MEMBERS:
        seen: set[str] = set()
        for some in outcomes_of(cases, blocks=blocks, member=member).data:
            fit = pymc_fit("pooled_tau", some, priors, seed=seed, level=level, across=across)
            new = [label for label in some.outcome if label not in seen]
            tables += [compare(fit.outcome(label), analysis=label).assign(member=member) for label in new]
            seen |= set(new)
    table = pd.concat(tables, ignore_index=True)
    return table[table["parameter"].isin(("mu", "tau", "theta_new"))].reset_index(drop=True)


def _by_scale(cases: Iterable[Case]) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.measure.model_scale].append(case)
    return groups


def _not_comparable(group: Sequence[Case]) -> str:
    """Why tau of these outcomes has no common unit, or nothing."""
    measure = group[0].measure
    if measure.name == "MD":
        return "mean differences are in the unit of their instrument: tau of different outcomes cannot be compared."
    if MEASURES.get(measure.name) != measure:
        return f"the unit of {measure.name} is not known: tau of different outcomes cannot be compared."
    return ""


def _effects(case: Case, member: str) -> EffectSizes:
    if case.family is None or case.k == 1 or member == MEMBERS[0]:
        return case.effects
    points, data = sample(case.family, at_vertices=False, seed=1)
    order = np.lexsort((points.q, data.tau2))
    chosen = order[0 if member == MEMBERS[1] else -1]
    return case.family.effects(data.yi[chosen], data.vi[chosen])


def _blocks(group: Sequence[Case]) -> list[tuple[str, str]]:
    """Pairs that are held to share trials."""
    possible = {case.label: _possible_trials(case) for case in group}
    return [
        (one.label, other.label)
        for one, other in combinations(group, 2)
        if _same_source(one, other) or _must_share(possible[one.label], possible[other.label])
    ]


def _possible_trials(case: Case) -> tuple[frozenset[str], ...]:
    """The sets of trials of which one is that of the case; none where nothing is known."""
    reported = case.analysis.reported
    if case.family is None:
        return (frozenset(case.effects.study),)
    if reported is not None and len(reported.studies_named) == case.k:
        return (frozenset(reported.studies_named),)
    limits: Any = case.family.limits
    return tuple(map(frozenset, limits.names)) if isinstance(limits, TrialSizes) else ()


def _must_share(one: Sequence[frozenset[str]], other: Sequence[frozenset[str]]) -> bool:
    return bool(one and other) and all(a & b for a in one for b in other)


def _same_source(one: Case, other: Case) -> bool:
    """Whether they are one result, or categories of one outcome."""
    if one.analysis.id == other.analysis.id:
        return True
    if one.family is None or other.family is None:
        return False
    a, b = one.analysis, other.analysis
    of_a, colon, _ = a.outcome.partition(":")
    of_b = b.outcome.partition(":")[0]
    return bool(colon) and (of_a, a.comparison, a.timepoint) == (of_b, b.comparison, b.timepoint)


def _assumptions(some: Outcomes, cases: Mapping[str, Case], member: str) -> list[str]:
    """What is taken for granted of a set, as sentences."""
    illustrated = [label for label in some.outcome if cases[label].family is not None]
    if not illustrated:
        return []
    unsure = [label for label in illustrated if len(_possible_trials(cases[label])) != 1]
    of, which = ", ".join(illustrated), f"the members called {member!r}"
    found = [f"Of {of} only pooled results were published; these are {which} of the study data that give them."]
    if unsure:
        found.append(f"Taken to share no trials, though it was not published which ones {', '.join(unsure)} pool.")
    return found
