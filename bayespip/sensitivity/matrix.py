"""Conclusions side by side: what every method and prior says of every outcome, and one sentence an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.sensitivity.points import TippingRange
from bayespip.text.wording import count

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import pandas as pd

    from bayespip.sensitivity.points import TippingPoint

    Row = Mapping[Hashable, Any]

__all__ = ["RULE", "conclusion_matrix", "conclusion_rows", "sentence"]

RULE = (
    "A cell favours an arm if the interval of mu excludes no effect on the side that is better for that arm, and is "
    "unclear if it includes no effect. Where it is not stated which side is better, it says on which side of no "
    "effect the interval lies."
)
RULE_OF_FAMILIES = (
    "Where only pooled results were published: (all members) if that is so for all study data consistent with them, "
    "(some members) if for some; unclear if for none."
)
UNCLEAR, UNDEFINED = "unclear", "undefined"
CLAIM = "significant"
_SAMPLED = "PyMC"  # the cross-check, not a method of its own
_VERDICTS = ("in all members", "in some members", "in no member")
_INDEX = ["analysis", "outcome", "timepoint", "measure", "k"]


def conclusion_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Outcomes by methods and priors.

    Parameters
    ----------
    table
        Of a re-analysis; columns as in ``comparison.COLUMNS``.

    Returns
    -------
    DataFrame
        One row an outcome and number of studies (index: analysis, outcome, timepoint, measure, k); columns
        "published", the frequentist methods and the priors; empty where a method was not used for an outcome (priors
        differ between measures). ``attrs["rule"]`` states how a cell is made.

    Examples
    --------
    >>> result = bp.reanalyse(bp.load_review("bcg"), with_pymc=False)
    >>> bp.conclusion_matrix(result.table).iloc[0].value_counts().to_dict()
    {'favours BCG vaccine': 15}
    """
    rows = conclusion_rows(table)
    names = list(dict.fromkeys(rows["by"]))
    wide = rows.set_index([*_INDEX, "by"])["conclusion"].unstack("by")  # noqa: PD010  (no values to aggregate)
    order = rows[_INDEX].drop_duplicates()
    wide = wide.reindex(list(order.itertuples(index=False, name=None)))[names].fillna("")
    wide.columns.name = None
    wide.attrs["rule"] = f"{RULE} {RULE_OF_FAMILIES}"
    return wide


def conclusion_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The matrix as one row a cell.

    Parameters
    ----------
    table
        As in ``conclusion_matrix``.

    Returns
    -------
    DataFrame
        analysis, outcome, timepoint, measure, k; by ("published", a frequentist method or a prior); side ("above",
        "below" or "either" side of no effect, "unclear", "undefined"); members ("all", "some"; empty for one data
        set); and conclusion in words.
    """
    import pandas as pd

    of_mu = table[(table["parameter"] == "mu") & table["point_model"].notna()]
    of_mu = of_mu[~of_mu["method"].str.startswith(_SAMPLED)]
    fitted = of_mu[of_mu["method"] != "published"]
    counts = fitted.groupby("analysis", sort=False)["k"].unique()
    found = []
    for row in of_mu.to_dict("records"):
        published = row["method"] == "published"
        ks = counts.get(row["analysis"], []) if published else [row["k"]]
        side, members = _side(row)
        cell = {"by": row["prior"] or row["method"], "side": side, "members": members}
        cell["conclusion"] = _in_words(row, side, members)
        found += [{name: row[name] for name in _INDEX} | {"k": k} | cell for k in ks]
    return pd.DataFrame(found, columns=[*_INDEX, "by", "side", "members", "conclusion"])


def sentence(rows: pd.DataFrame, tipping: Iterable[TippingPoint | TippingRange] = ()) -> str:
    """What becomes of one outcome's claim, in a sentence.

    Parameters
    ----------
    rows
        Rows of a re-analysis's table: one analysis with one number of studies.
    tipping
        Where the claim tips, from ``tipping_point`` or ``tipping_range``.

    Returns
    -------
    str
        Such as "the published claim holds under 9 of 14 priors and 2 of 4 frequentist methods; lost once tau's
        half-normal scale exceeds 0.31".

    Raises
    ------
    ValueError
        If the rows are of several outcomes or numbers of studies, or no method was used.
    """
    fitted = rows[(rows["parameter"] == "mu") & (rows["method"] != "published")]
    fitted = fitted[~fitted["method"].str.startswith(_SAMPLED)]
    cases = fitted[["analysis", "k"]].drop_duplicates()
    if len(cases) != 1:
        got = ", ".join(f"{a} (k = {k})" for a, k in cases.itertuples(index=False)) or "none"
        raise ValueError(f"rows must be of one analysis with one number of studies; got {got}.")
    with_prior = fitted["prior"] != ""
    groups = (("prior", fitted[with_prior]), ("frequentist method", fitted[~with_prior]))
    claimed = bool((fitted["claim"] == CLAIM).all())
    how_often = _holding if claimed else _excluding
    counted = " and ".join(how_often(group.to_dict("records"), noun) for noun, group in groups if len(group))
    subject = "the published claim holds" if claimed else "the interval of mu excludes no effect"
    if not claimed and (fitted["basis"] != "study data").all():
        subject = f"no claim was published; {subject}"
    tips = [str(t) for t in tipping if claimed or _says_something(t)]
    if not claimed:
        tips = [f"this {'is ' if t.startswith('lost') else ''}{t}" for t in tips]
    return "; ".join([f"{subject} {counted}", *tips])


def _side(row: Row) -> tuple[str, str]:
    """On which side of no effect the interval lies, and for which members."""
    lower, upper = row["lower_model"], row["upper_model"]
    if np.isnan(lower) or np.isnan(upper):
        return UNDEFINED, ""
    if np.isnan(row["lower_min_model"]):
        return ("above" if lower > 0 else "below" if upper < 0 else UNCLEAR), ""
    if row["lower_min_model"] > 0:
        return "above", "all"
    if row["upper_max_model"] < 0:
        return "below", "all"
    above, below = row["lower_max_model"] > 0, row["upper_min_model"] < 0
    if above and below:
        return "either", "some"
    if above or below:
        return ("above" if above else "below"), "some"
    return UNCLEAR, "all"


def _in_words(row: Row, side: str, members: str) -> str:
    if side in (UNCLEAR, UNDEFINED):
        return side
    among = f" ({members} members)" if members else ""
    better = {"higher": "above", "lower": "below"}.get(row["favours"])
    if side == "either":
        return f"either side of no effect{among}"
    if better is None:
        return f"{side} no effect{among}"
    return f"favours {row['arm_e'] if side == better else row['arm_c']}{among}"


def _holding(rows: Sequence[Row], noun: str) -> str:
    """How often a claim holds, such as "under 9 of 14 priors"."""
    verdicts = [str(row["holds"]) for row in rows]
    of = count(len(rows), noun)
    if not any(v in _VERDICTS for v in verdicts):
        return f"under {verdicts.count('yes')} of {of}"
    return f"{_listed([verdicts.count(v) for v in _VERDICTS], _VERDICTS)} of {of}"


def _excluding(rows: Sequence[Row], noun: str) -> str:
    """How often an interval excludes no effect, on either side."""
    sides = [_side(row) for row in rows]
    of = count(len(rows), noun)
    if not any(members for _, members in sides):
        return f"under {sum(side not in (UNCLEAR, UNDEFINED) for side, _ in sides)} of {of}"
    among = [members for side, members in sides if side not in (UNCLEAR, UNDEFINED)]
    counts = [among.count("all"), among.count("some"), len(sides) - len(among)]
    return f"{_listed(counts, _VERDICTS)} of {of}"


def _listed(counts: Sequence[int], verdicts: Sequence[str]) -> str:
    return ", ".join(f"{verdict} under {n}" for n, verdict in zip(counts, verdicts, strict=True) if n)


def _says_something(tipping: TippingPoint | TippingRange) -> bool:
    """Whether the interval excludes no effect somewhere along the family."""
    points = (tipping.reference, tipping.highest) if isinstance(tipping, TippingRange) else (tipping,)
    return any(point.holds for point in points)
