"""What the report says of the review as a whole: extent, reproduction, diagnostics, provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.reanalysis.agreement import LIMIT
from bayespip.reproduction import tally
from bayespip.text.findings import agreement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayespip.reanalysis.job import Reanalysis

__all__ = ["engines", "provenance", "reproduced"]


def reproduced(result: Reanalysis) -> str:
    """Whether the review's own numbers come back from its study data."""
    if len(result.reproduction):
        found = tally(result.reproduction)
        if found.results:
            return (
                f"{found}. Every total, subgroup and test for subgroup differences that the file stores was computed "
                "again from its study data, as RevMan does."
            )
        return "The file stores no results to compare with."
    if any(case.family is not None for case in result.cases):
        return (
            "Only pooled results were published: there are no study data to compute them from. Every number here is "
            "computed from the study data that would give exactly the printed numbers, and is labelled "
            "consistent-with-reported."
        )
    return "The source has study data and stores no pooled results to compare with."


def engines(result: Reanalysis) -> str:
    """Which engines ran, and whether they agree."""
    exact = (
        "Bayesian values of the normal-normal model are computed by quadrature (the exact engine), which has no chains "
        "to diagnose."
    )
    others = result.settings.get("models", ())
    if others:
        exact += f" Other models are sampled by PyMC: {', '.join(others)}; what they could not fit stands below."
    if result.checks.empty:
        return f"{exact} PyMC was not run beside it."
    return (
        f"{exact} {agreement(result.checks)} They agree if the median and the interval's limits of mu and of tau lie "
        f"within {LIMIT:g} Monte Carlo standard errors of the exact ones."
    )


def provenance(result: Reanalysis) -> Iterator[tuple[str, str]]:
    """What it takes to compute the same again, as terms and texts."""
    s = result.settings
    yield "Source", result.review.provenance
    yield "Software", ", ".join(f"{name} {version}" for name, version in s["versions"].items())
    if s["commit"]:
        changed = s["commit"].endswith("+")
        yield "Commit", f"{s['commit'].rstrip('+')}{' with uncommitted changes' if changed else ''}"
    yield "Seed", str(s["seed"])
    yield "Intervals", f"{100 * s['level']:g}%, central"
    pooling = {"IV": "inverse-variance", "MH": "Mantel-Haenszel"}
    yield "Published Q", f"taken about the {pooling[s['pooling']]} mean"
    only = s["analyses"]
    yield "Analyses", "all" if only is None else f"those asked for: {', '.join(only)}"
    yield "Bounds", "searched over all consistent study data" if s["bounds"] else "not computed"
    yield "Again", _call(result)


def _call(result: Reanalysis) -> str:
    s = result.settings
    options = [] if s["analyses"] is None else [f"analyses={list(s['analyses'])!r}"]
    options += [f"level={s['level']!r}", f"pooling={s['pooling']!r}", f"with_bounds={s['bounds']}"]
    options += [f"with_pymc={s['pymc']}", f"seed={s['seed']}"]
    return f"bp.reanalyse(review, {', '.join(options)})"
