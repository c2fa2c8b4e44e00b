"""Does a review's file agree with itself? Every result that RevMan stored, beside the same result recomputed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import numpy as np

from bayespip.frequentist.mantel_haenszel import CONVENTIONS, OF_RISK_DIFFERENCES
from bayespip.frequentist.pooling import Pooled, SubgroupTest, pool, subgroup_test

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from bayespip.measures import Measure
    from bayespip.review import Analysis, Review
    from bayespip.settings import Settings

__all__ = ["COLUMNS", "QUANTITIES", "SUBGROUP_TEST", "Tally", "reproduce", "tally"]

COLUMNS = ("analysis", "subgroup", "quantity", "stored", "recomputed", "difference", "verdict", "reason")
QUANTITIES = ("effect", "lower", "upper", "z", "p", "tau2", "chi2", "df", "i2", "p_chi2")
SUBGROUP_TEST = ("q", "df_q", "p_q", "i2_q")
REPRODUCED, DIFFERS, NOT_STORED = "reproduced", "differs", "not stored"

# Relative; absolute for values below it, because rounding noise is stored for 0.
TOLERANCE = 1e-6
# Absolute, on p-values: RevMan's tail of the chi-squared distribution is good to 1e-7, and can be negative.
P_TOLERANCE = 1e-6
P_VALUES = ("p", "p_chi2", "p_q")
HETEROGENEITY = ("tau2", "chi2", "i2", "p_chi2")

_Row = tuple[str, str, str, float, float, float, str, str]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many results, totals and subgroups, are reproduced in all their quantities.

    Attributes
    ----------
    reproduced
        Results without a quantity that differs.
    results
        Results that are stored.
    """

    reproduced: int
    results: int

    def __str__(self) -> str:
        if not self.results:
            return "no stored results to reproduce"
        return f"{self.reproduced} of {self.results} results reproduced"


def reproduce(review: Review) -> pd.DataFrame:
    """Recompute every total, subgroup and subgroup test that a review's file stores.

    Parameters
    ----------
    review
        Read from a file.

    Returns
    -------
    DataFrame
        One row a quantity, in the review's order: analysis, subgroup ("" for the total), quantity (QUANTITIES, and
        of the total SUBGROUP_TEST), stored, recomputed, difference (recomputed - stored), verdict ("reproduced",
        "differs", "not stored") and reason. Ratios are on the display scale, I2 is in percent, z has no sign. Where
        the review pools subgroups only, or nothing, there is no row for what it does not pool.

    Notes
    -----
    "reproduced": equal within 1e-6, relative (absolute below 1e-6, and for p-values), or within half a unit of the
    last digit that the file writes. Files cut trailing zeros, so the longest number of the file tells how many
    digits that is.
    """
    import pandas as pd

    unit = _last_digit(review)
    # A file may hold any numbers: what overflows is not finite, and differs.
    with np.errstate(all="ignore"):
        rows = [row for analysis in review.analyses for row in _analysis_rows(analysis, unit)]
    types = dict.fromkeys(COLUMNS, "str") | dict.fromkeys(("stored", "recomputed", "difference"), "float64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def tally(reproduction: pd.DataFrame) -> Tally:
    """Count the results in a frame that `reproduce` made: those whose effect, or subgroup test, is stored.

    A value that differs counts against its result whatever it is.
    """
    judged = reproduction[reproduction["verdict"] != NOT_STORED]
    pair = [judged["analysis"], judged["subgroup"]]
    differs = judged["verdict"] == DIFFERS
    is_result = (differs | judged["quantity"].isin(["effect", "q"])).groupby(pair).any()
    good = ~differs.groupby(pair).any() & is_result
    return Tally(int(good.sum()), int(is_result.sum()))


def _last_digit(review: Review) -> float:
    """A unit of the last decimal that the file writes."""
    places = [
        _decimals(text)
        for analysis in review.analyses
        if analysis.stored is not None
        for quantity, text in zip(analysis.stored["quantity"], analysis.stored["text"], strict=True)
        if quantity in QUANTITIES or quantity in SUBGROUP_TEST
    ]
    return 10.0 ** -max(0, *places, 0)


def _decimals(text: str) -> int:
    try:
        exponent = Decimal(text).as_tuple().exponent
    except InvalidOperation:
        return 0
    return -exponent if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class _Result:
    """A total or a subgroup of an analysis, what the file stores of it, and the same pooled."""

    analysis: Analysis
    settings: Settings
    measure: Measure
    subgroup: str
    texts: Mapping[str, str]
    unit: float
    pooled: Pooled | None
    problem: str = ""
    remark: str = ""

    def stored(self, quantity: str) -> float:
        try:
            return float(self.texts[quantity])
        except (KeyError, ValueError):
            return math.nan

    @property
    def estimable(self) -> bool:
        """What the file says."""
        return self.texts.get("estimable", "YES").upper() != "NO"

    @property
    def void(self) -> bool:
        """Is the stored interval from 0 to 0? That is none, whatever the measure."""
        return all(self.stored(name) == 0 for name in ("effect", "lower", "upper"))

    def verdict(self, quantity: str, recomputed: float) -> str:
        stored = self.stored(quantity)
        if math.isnan(stored):
            return NOT_STORED
        relative = TOLERANCE * (abs(stored) if abs(stored) >= TOLERANCE else 1)
        bar = P_TOLERANCE if quantity in P_VALUES else relative
        return REPRODUCED if abs(recomputed - stored) <= max(bar, self.unit / 2) else DIFFERS

    def row(self, quantity: str, recomputed: float, verdict: str, reason: str) -> _Row:
        stored = self.stored(quantity)
        return self.analysis.id, self.subgroup, quantity, stored, recomputed, recomputed - stored, verdict, reason


def _analysis_rows(analysis: Analysis, unit: float) -> Iterator[_Row]:
    settings, measure = analysis.settings, analysis.measure
    if settings is None or measure is None or analysis.studies is None or settings.totals == "none":
        return
    texts: dict[str, dict[str, str]] = {}
    if analysis.stored is not None:
        columns = (analysis.stored[name] for name in ("subgroup", "quantity", "text"))
        for subgroup, quantity, text in zip(*columns, strict=True):
            texts.setdefault(subgroup, {})[quantity] = text
    total, *subgroups = (
        _pooled(_Result(analysis, settings, measure, name, texts.get(name, {}), unit, None))
        for name in ("", *(s.name for s in analysis.subgroups))
    )
    if settings.totals == "total":
        yield from _pooled_rows(total)
    yield from _subgroup_test_rows(total, [s.pooled for s in subgroups if s.pooled is not None])
    for result in subgroups:
        yield from _pooled_rows(result)


def _pooled(result: _Result) -> _Result:
    """The result pooled: of risk differences by the first convention about empty cells that the file bears out."""
    rows = result.analysis.rows(result.subgroup)
    open_to_doubt = result.settings.method == "MH" and result.measure.name == "RD"
    found: list[_Result] = []
    for name in OF_RISK_DIFFERENCES if open_to_doubt else OF_RISK_DIFFERENCES[:1]:
        try:
            pooled = pool(rows, result.settings, result.measure, convention=name)
        except ValueError as error:
            return replace(result, problem=f"cannot be pooled: {error}")
        remark = f"with {CONVENTIONS[name].label}" if found else ""
        found.append(replace(result, pooled=pooled, remark=remark))
        if pooled is None or all(result.verdict(q, x) != DIFFERS for q, x in _comparable(pooled).items()):
            return found[-1]
    return found[0]


def _comparable(pooled: Pooled) -> dict[str, float]:
    values = _values(pooled)
    return {q: x for q, x in values.items() if pooled.df or q not in HETEROGENEITY}


def _pooled_rows(result: _Result) -> Iterator[_Row]:
    if result.problem:
        for quantity in QUANTITIES:
            yield result.row(quantity, math.nan, result.verdict(quantity, math.nan), result.problem)
    elif result.pooled is None or not result.estimable:
        yield _not_estimable(result)
    else:
        for quantity, value in _values(result.pooled).items():
            yield _judged(result, result.pooled, quantity, value)


def _judged(result: _Result, pooled: Pooled, quantity: str, value: float) -> _Row:
    if result.void:
        reason = "the file holds zeros in place of a result: it was saved before one was computed"
        return result.row(quantity, value, NOT_STORED, reason)
    if pooled.df == 0 and quantity in HETEROGENEITY:
        reason = "one study has no heterogeneity, whatever the file holds"
        return result.row(quantity, value, NOT_STORED, reason)
    verdict = result.verdict(quantity, value)
    reasons = {REPRODUCED: result.remark, NOT_STORED: "the file does not store it"}
    return result.row(quantity, value, verdict, reasons.get(verdict) or _explanation(result, quantity, verdict))


def _explanation(result: _Result, quantity: str, verdict: str) -> str:
    """Of a value that differs: which other convention about empty cells gives it."""
    if verdict != DIFFERS:
        return ""
    if result.settings.data_type == "dichotomous":
        rows = result.analysis.rows(result.subgroup)
        for name, convention in CONVENTIONS.items():
            other = pool(rows, result.settings, result.measure, convention=name)
            if other is not None and result.verdict(quantity, _values(other)[quantity]) == REPRODUCED:
                return f"the file's value is that with {convention.label}"
    return "no known convention gives the file's value"


def _not_estimable(result: _Result) -> _Row:
    if result.pooled is not None:
        return result.row("effect", _values(result.pooled)["effect"], DIFFERS, "the file calls it not estimable")
    if result.estimable and not result.void and not math.isnan(result.stored("effect")):
        return result.row("effect", math.nan, DIFFERS, "no study is estimable")
    return result.row("effect", math.nan, NOT_STORED, "no study is estimable")


def _values(pooled: Pooled) -> dict[str, float]:
    """The quantities as files store them."""
    limits = pooled.effects.measure.display([pooled.estimate, pooled.lower, pooled.upper])
    test, heterogeneity = (abs(pooled.z), pooled.p), (pooled.tau2, pooled.q, pooled.df, 100 * pooled.i2, pooled.p_q)
    return dict(zip(QUANTITIES, (float(x) for x in (*limits, *test, *heterogeneity)), strict=True))


def _subgroup_test_rows(total: _Result, subgroups: list[Pooled]) -> Iterator[_Row]:
    test = subgroup_test(subgroups)
    if test is None or total.settings.subgroup_test is False:
        return
    reason = ""
    if total.settings.model == "fixed" and total.pooled is not None and total.verdict("q", test.q) == DIFFERS:
        # RevMan 5.0 had the partition of Q; with inverse-variance weights the two are one.
        partition = SubgroupTest(total.pooled.q - sum(s.q for s in subgroups), test.df)
        if total.verdict("q", partition.q) == REPRODUCED:
            test, reason = partition, "as the total's chi-squared less that of the subgroups, the test of RevMan 5.0"
    reasons = {NOT_STORED: "the file does not store it", DIFFERS: "no known form of the test gives the file's value"}
    for quantity, value in zip(SUBGROUP_TEST, (test.q, float(test.df), test.p, 100 * test.i2), strict=True):
        verdict = total.verdict(quantity, value)
        yield total.row(quantity, value, verdict, reasons.get(verdict, reason))
