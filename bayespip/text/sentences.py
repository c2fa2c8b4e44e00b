"""What a re-analysis found, in plain sentences: counts and ranges, no verdict of certainty and no cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.text.findings import ONE_DATA_SET
from bayespip.text.wording import count, probabilities, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayespip.text.findings import Finding


def paragraph(found: Sequence[Finding]) -> str:
    """One paragraph on all findings."""
    published = [f for f in found if f.from_published]
    stored = [f for f in found if not f.from_published and f.reported]
    alone = [f for f in found if not f.from_published and not f.reported]
    return " ".join([*_published(published), *_stored(stored), *(_one(f) for f in alone), *_conflicts(found)])


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
            "With REML and HKSJ (Cochrane's current default), floored at 1, at the equal-variance member the "
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


def _stored(found: Sequence[Finding]) -> Iterator[str]:
    """Results read from a file, whose claim is their stored interval."""
    if not found:
        return
    claimed, others = [f for f in found if f.claimed], [f for f in found if not f.claimed]
    yield (
        f"Of {count(len(found), 'pooled result')} re-analysed study by study, {len(claimed)} "
        f"{'has' if len(claimed) == 1 else 'have'} a stored interval that excludes no effect."
    )
    if claimed:
        every = [f for f in claimed if f.verdicts["yes"] == len(f.bayesian)]
        none = [f for f in claimed if not f.verdicts["yes"]]
        some = [f for f in claimed if f not in every and f not in none]
        several, single = [f for f in claimed if f.k > 1], [f for f in claimed if f.k == 1]
        stand = [f for f in several if f.headline.excludes_null]
        yield (
            f"On the same side the central interval of mu excludes it under every prior for {_listed(every)}; under "
            f"some for {_listed(some, verdicts=True)}; under none for {_listed(none)}. With REML and HKSJ "
            f"(Cochrane's current default), floored at 1, the interval excludes no effect for {len(stand)} of the "
            f"{len(several)} of these with two studies or more."
        )
        if single:
            names = _listed(single)
            yield f"Of one study, which says nothing of tau: {names}; there the prior alone widens the interval."
        fixed = [f for f in several if f.analysis.settings is not None and f.analysis.settings.model == "fixed"]
        if fixed:
            yield (
                "A stored interval that assumes one effect in all studies (fixed effect), where here effects may "
                f"differ under every prior: {_listed(fixed)}. What changes there may change by that alone: see the "
                "row of the common effect."
            )
    if others:
        excluding = [f for f in others if f.excluding]
        yield (
            f"{count(len(others), 'result')} whose stored interval includes no effect: under some prior the central "
            f"interval excludes it for {_listed(excluding)}."
        )
    predicted = [
        f
        for f in found
        if all(line.theta_new["lower_model"] <= 0 <= line.theta_new["upper_model"] for line in f.bayesian)
    ]
    yield f"Under every prior the prediction interval of a new study includes no effect for {len(predicted)}."


def _listed(found: Sequence[Finding], *, verdicts: bool = False) -> str:
    """Their number, and who they are."""
    names = [f"{f.label}{f' ({f.verdicts["yes"]} of {len(f.bayesian)})' if verdicts else ''}" for f in found]
    return f"{len(names)} ({', '.join(names)})" if names else "none"


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
