"""The figures of the whole review."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bayespip.plots import plot_comparison, plot_matrix
from bayespip.report.figures import Picture, picture
from bayespip.sensitivity.matrix import RULE, RULE_OF_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayespip.reanalysis.job import Reanalysis

__all__ = ["comparison_pictures", "matrix_pictures"]


def comparison_pictures(result: Reanalysis) -> Iterator[Picture]:
    """Every outcome as published, by Cochrane's current default and under priors."""
    yield picture(
        lambda: plot_comparison(result.table),
        "comparison",
        title="Every outcome: published, Cochrane's current default, and Bayesian",
        caption="Points are estimates or posterior medians, lines their intervals.",
        call="bp.plot_comparison(result.table)",
        wide=True,
    )


def matrix_pictures(result: Reanalysis) -> Iterator[Picture]:
    """What every method and prior concludes, a map for outcomes of one measure that have the same priors."""
    rule = f"{RULE}{f' {RULE_OF_FAMILIES}' if any(case.family for case in result.cases) else ''}"
    together: dict[tuple[str, ...], list[str]] = {}
    for case, sets in zip(result.cases, result.sets, strict=True):
        key = (case.measure.label, *(s.priors.label for s in sets))
        together.setdefault(key, []).append(case.analysis.id)
    for number, ((label, *_), ids) in enumerate(together.items(), start=1):
        if len(ids) > 1:
            own = list(dict.fromkeys(ids))
            yield picture(
                partial(plot_matrix, result.table[result.table["analysis"].isin(own)]),
                f"matrix-{number}",
                title=f"{label}: what every method and prior concludes of every outcome",
                caption=rule,
                call=f"bp.plot_matrix(result.table[result.table['analysis'].isin({own!r})])",
                wide=True,
            )
