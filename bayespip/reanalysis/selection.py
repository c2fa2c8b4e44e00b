"""Which analyses of a review are pooled again, and under which priors; what cannot be, with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.exact.propriety import require_proper_posterior
from bayespip.priors.sets import PriorSet, default_priors
from bayespip.reanalysis.cases import LeftOut, pooled_results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case
    from bayespip.review import Analysis, Review

__all__ = ["chosen_analyses", "require_some", "with_priors"]


def chosen_analyses(review: Review, analyses: Sequence[str] | None) -> tuple[Analysis, ...]:
    """The analyses of these ids, as ``pooled_results`` numbers them; all if None.

    Raises
    ------
    ValueError
        If an id is unknown, or none is given; the message lists the choices.
    """
    pooled = pooled_results(review)
    if analyses is None:
        return pooled
    found = tuple(a for a in pooled if a.id in analyses or a.id.rpartition(".")[0] in analyses)
    known = (*review.ids, *(a.id for a in pooled))
    unknown = [i for i in analyses if i not in known]
    if unknown or not analyses:
        got = ", ".join(map(repr, unknown)) or "none"
        raise ValueError(f"analyses must be among {', '.join(dict.fromkeys(known))}; got {got}.")
    return found


def require_some(todo: Sequence[Case], review: Review, chosen: Sequence[Analysis], reasons: Mapping[str, str]) -> None:
    """Refuse to go on with nothing to fit, and say of every analysis why."""
    if not todo:
        raise ValueError(f"nothing to pool in {review.id}: {_why_nothing(chosen, reasons)}.")


def _why_nothing(chosen: Sequence[Analysis], reasons: Mapping[str, str]) -> str:
    """Each reason once, with the analyses that have it."""
    by: dict[str, list[str]] = {}
    for analysis, reason in reasons.items():
        by.setdefault(reason.rstrip("."), []).append(analysis)
    why = [f"{', '.join(ids)}: {reason}" for reason, ids in by.items()]
    silent = ", ".join(a.id for a in chosen if a.id not in reasons)
    if silent:
        why.append(f"neither study data nor a published result for {silent}")
    return "; ".join(why) or "it holds no analyses"


def with_priors(
    fittable: Sequence[Case], given: Sequence[Priors | PriorSet] | None, topics: Sequence[str]
) -> tuple[list[Case], list[tuple[PriorSet, ...]], list[LeftOut]]:
    """The cases with their priors; those that have no proper posterior under the default priors are left out."""
    todo, sets, left = [], [], []
    for case in fittable:
        its = _prior_sets(case, given, topics)
        try:
            for s in its:
                require_proper_posterior(case.k, s.priors)
        except ValueError as error:
            if given is not None:
                raise ValueError(f"{case.label}: {error}") from None
            left.append(LeftOut(case.analysis, f"{error} Give a prior with a scale in its unit."))
            continue
        todo.append(case)
        sets.append(its)
    return todo, sets, left


def _prior_sets(case: Case, given: Sequence[Priors | PriorSet] | None, topics: Sequence[str]) -> tuple[PriorSet, ...]:
    if given is None:
        return default_priors(case.measure, topics=topics, sd=case.sd, sei=case.effects.sei)
    sets = tuple(p if isinstance(p, PriorSet) else PriorSet(p, str(p.mu), str(p.tau), "given") for p in given)
    labels = [s.priors.label for s in sets]
    if not sets or len(set(labels)) < len(labels):
        raise ValueError(f"priors must be at least one, with different names; got {', '.join(labels) or 'none'}.")
    return sets
