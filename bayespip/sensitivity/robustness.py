"""How robust each outcome's conclusion is: where it tips, and one sentence on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bayespip.sensitivity.matrix import sentence
from bayespip.sensitivity.members import tipping_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.reanalysis.cases import Case
    from bayespip.sensitivity.points import TippingPoint, TippingRange

    Tips = tuple[TippingPoint, TippingPoint] | tuple[TippingRange, TippingRange]

TIPPING = (
    "analysis", "k", "on", "family", "beside", "claim", "side", "answer", "scale", "answer_min", "scale_min",
    "answer_max", "scale_max", "sentence",
)  # fmt: skip


def tipping_points(case: Case, *, level: float, with_bounds: bool) -> Tips:
    """Where the interval of mu first covers no effect, along two scales (``sensitivity.tipping_members.tipping_of``).

    On the side of the published estimate, or of the pooled one where none was published; over the family's members
    if asked for.
    """
    if case.family is not None and with_bounds:
        return tipping_of(case.family, level=level)
    reported = case.analysis.reported
    side = None
    if reported is not None:
        side = "above" if reported.measure.model(reported.estimate.value) > 0 else "below"
    return tipping_of(case.effects, side=side, level=level)


def tipping_frame(todo: Sequence[Case], tips: Sequence[Tips]) -> pd.DataFrame:
    """One row a case and question; columns as in TIPPING."""
    rows: list[dict[str, Any]] = [
        {"analysis": case.analysis.id, "k": case.k} | tip.row
        for case, both in zip(todo, tips, strict=True)
        for tip in both
    ]
    return pd.DataFrame(rows, columns=list(TIPPING))


def sentences(todo: Sequence[Case], tips: Sequence[Tips], table: pd.DataFrame) -> pd.DataFrame:
    """One sentence a case: analysis, k, sentence."""
    of = dict(iter(table.groupby(["analysis", "k"])))
    said = [
        (case.analysis.id, case.k, sentence(of[case.analysis.id, case.k], both))
        for case, both in zip(todo, tips, strict=True)
    ]
    return pd.DataFrame(said, columns=["analysis", "k", "sentence"])
