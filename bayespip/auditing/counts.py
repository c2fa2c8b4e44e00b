"""Numbers of studies and participants of a published result, against the review's tables."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from bayespip.auditing.wording import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from bayespip.review import Analysis, Reported

_SIZE = re.compile(r".*?\s(\d+)\b")


def counts(analysis: Analysis, trials: pd.DataFrame | None) -> Iterator[Finding]:
    """Compare k and n of a published result with the studies named, the review's trials, and its own study data."""
    reported = analysis.reported
    if reported is None:
        return
    yield from _degrees(reported, None if analysis.studies is None else len(analysis.rows()))
    yield from _named(reported, trials)
    if analysis.studies is not None:
        yield from _rows(analysis, reported)
    elif trials is not None:
        yield from _participants(reported, trials)
    k, n = reported.k, reported.n
    fewest = 0 if k is None else 2 * k if "n_e" in reported.measure.columns else k
    if n is not None and n < fewest:
        text = f"{k} studies have {fewest} participants or more; printed are {n}."
        yield Finding("n and k", f"n = {n}", f"at least {fewest}", "impossible", text)


def _degrees(reported: Reported, rows: int | None) -> Iterator[Finding]:
    """Compare df with k, or with the rows of the study data where there are any: a study may have several."""
    k, df = reported.k, reported.df
    if k is None or df is None or df == k - 1 or (rows is not None and df < rows):
        return
    text = f"{k} studies have {k - 1} degrees of freedom; printed are {df}."
    text += " A study that enters more than once" if df >= k else " A study without events, which enters no ratio,"
    yield Finding("k and df", f"k = {k}, df = {df}", f"k = {df + 1}", "inconsistent", f"{text} would explain it.")


def _named(reported: Reported, trials: pd.DataFrame | None) -> Iterator[Finding]:
    names, k = reported.studies_named, reported.k
    if names and k is not None and len(names) != k:
        printed, text = f"k = {k}", f"{k} studies are counted, {len(names)} named: {', '.join(names)}."
        # a study may be named for what it adds to the text; that not all are named is common
        sure = "inconsistent" if len(names) > k else "unusual"
        yield Finding("k and studies named", printed, f"k = {len(names)}", sure, text)
    if trials is None or "study" not in trials:
        return
    unknown = ", ".join(name for name in names if name not in set(trials["study"]))
    if unknown:
        text = f"{unknown}: named for this result, not among the review's trials."
        yield Finding("studies named", unknown, "among the trials", "inconsistent", text)
    if k is not None and k > len(trials):
        text = f"{k} studies are pooled; the review has {len(trials)} trials."
        yield Finding("k and trials", f"k = {k}", f"at most {len(trials)}", "inconsistent", text)


def _participants(reported: Reported, trials: pd.DataFrame) -> Iterator[Finding]:
    """Compare n with all who were randomised: in the studies named, if all are, or in the k largest."""
    n, k, names = reported.n, reported.k, reported.studies_named
    if n is None or k is None or not {"study", "n_randomised"} <= set(trials):
        return
    if trials["n_randomised"].isna().any():
        return
    randomised = trials.set_index("study")["n_randomised"]
    if len(names) == k and all(name in randomised for name in names):
        most, whose = float(randomised[list(names)].sum()), ", ".join(names)
    else:
        most, whose = float(randomised.nlargest(k).sum()), f"the {k} largest trials"
    if n > most:
        text = f"{n} participants are counted; {whose} randomised {most:g}."
        yield Finding("n and trials", f"n = {n}", f"at most {most:g}", "inconsistent", text)


def _rows(analysis: Analysis, reported: Reported) -> Iterator[Finding]:
    """Compare k and n with the study data of the analysis itself."""
    rows = analysis.rows()
    if reported.k is not None and reported.k > len(rows):
        text = f"{reported.k} studies are counted; the study data have {len(rows)} rows."
        yield Finding("k and study data", f"k = {reported.k}", f"at most {len(rows)}", "inconsistent", text)
    if reported.n is not None and {"n_e", "n_c"} <= set(rows):
        total = float(rows["n_e"].sum() + rows["n_c"].sum())
        if round(total) != reported.n:
            text = f"{reported.n} participants are counted; the arms add up to {total:g}."
            yield Finding("n and study data", f"n = {reported.n}", f"n = {total:g}", "inconsistent", text)


def arms(trials: pd.DataFrame) -> Iterator[Finding]:
    """Arm sizes of each trial against the number randomised, where all arms are listed or already exceed it."""
    if not {"study", "arms", "n_randomised", "comparator"} <= set(trials):
        return
    for row in trials.to_dict("records"):
        listed, total = str(row["arms"]), float(row["n_randomised"])
        sizes = [int(m[1]) for m in map(_SIZE.match, listed.split(";")) if m]
        added, complete = sum(sizes), len(sizes) > len(str(row["comparator"]).split(";"))
        if not sizes or math.isnan(total) or added == total or (added < total and not complete):
            continue
        text = f"{row['study']}: the arms add up to {added} ({listed}); randomised were {total:g}."
        sure = "impossible" if added > total else "unusual"
        yield Finding("arms and randomised", f"{total:g} randomised", f"{added} in arms", sure, text)
