"""What a re-analysis found, in plain sentences: counts and ranges, no verdict of certainty and no cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.findings import ONE_DATA_SET
from bayespip.wording import count, probabilities, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayespip.findings import Finding


def paragraph(found: Sequence[Finding]) -> str:
    """One paragraph on all findings."""
    published = [f for f in found if f.from_published]
    study_data = [f for f in found if not f.from_published]
    return " ".join([*_published(published), *(_one(f) for f in study_data), *_conflicts(found)])


def _published(found: Sequence[Finding]) -> Iterator[str]:
    if not found:
        return
    claimed = [f for f in found if f.claimed]
    results = list(dict.fromkeys(f.analysis.id for f in found))
    yield (
        f"Of {count(len(results), 'published result')} re-analysed, {len(claimed)} "
        f"{'was' if len(claimed) == 1 else 'were'} published as significant."
    )
    for f in claimed:
        yield _claim(f)
    if claimed:
        stand = [f.label for f in claimed if f.headline.excludes_null]
        names = f" ({', '.join(stand)})" if stand else ""
        yield (
            "With Cochrane's current default (REML, HKSJ floored at 1) at the equal-variance member the "
            f"interval excludes no effect for {len(stand)} of these {len(claimed)}{names}."
        )
    others = [f for f in found if not f.claimed]
    if others:
        yield _unclaimed(others)


def _claim(f: Finding) -> str:
    a, n = f.analysis, len(f.bayesian)
    about = ", ".join(part for part in (a.outcome, a.timepoint) if part)
    what = f"{f.label} ({about}; published {_name(f)} {f.published})"
    held = {v: c for v, c in f.verdicts.items() if c}
    if tuple(f.verdicts) == ONE_DATA_SET:
        holds = f"holds under {f.verdicts['yes']} of {n} priors"
    else:
        first, *rest = (f"{verdict} under {c}" for verdict, c in held.items())
        holds = "holds " + ", ".join([f"{first} of {count(n, 'prior')}", *rest])
    return f"{what}: the claim {holds}; {_range(f)}."


def _unclaimed(others: Sequence[Finding]) -> str:
    results, n = len({f.analysis.id for f in others}), len(others)
    excluding = [f for f in others if f.excluding]
    parts = [f"{f.label} under {len(f.excluding)} of {len(f.bayesian)} ({_range(f)})" for f in excluding]
    return (
        f"{count(results, 'result')} without such a claim: in {n - len(excluding)} of {n} "
        f"{'analysis' if n == 1 else 'analyses'} the central interval includes no effect under every prior"
        f"{f'; it excludes it for {"; ".join(parts)}' if parts else ''}."
    )


def _one(f: Finding) -> str:
    new = [line.theta_new for line in f.bayesian]
    wide = sum(bool(row["lower_model"] <= 0 <= row["upper_model"]) for row in new)
    n = len(f.bayesian)
    return (
        f"{f.label} ({f.analysis.outcome}; k = {f.k}): {_range(f)}; the central interval excludes no effect "
        f"under {len(f.excluding)} of {count(n, 'prior')}, the prediction interval includes it under {wide}."
    )


def _range(f: Finding) -> str:
    """Medians, and the probability of one side: the favourable one, else that of the medians."""
    low, high = f.medians
    of_medians = "above" if low + high > 2 * f.null else "below"
    side = {"higher": "above", "lower": "below"}.get(f.favours, of_medians)
    return (
        f"posterior medians {spread(low, high, f.null)}, P({_name(f)} {side} {f.null:g}) "
        f"{probabilities(*f.probabilities(side))}"
    )


def _name(f: Finding) -> str:
    return f.analysis.measure.name if f.analysis.measure else "mu"


def _conflicts(found: Sequence[Finding]) -> Iterator[str]:
    flagged = [
        f"{f.label} under {', '.join(dict.fromkeys(n for names in f.conflicts.values() for n in names))}"
        for f in found
        if any(f.conflicts.values())
    ]
    if flagged:
        yield f"Priors on tau in conflict with the data: {'; '.join(flagged)}."
