"""What a review says in words, against its tables and against itself.

``stated`` holds one quoted fact a row (see ``catalogue.load_stated``); the contradictions are computed from it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scipy import special

from bayespip.auditing.heterogeneity import df_of, least_q, q_ranges
from bayespip.auditing.wording import Finding, upwards
from bayespip.catalogue import STATED
from bayespip.published_only.trials import control_trials
from bayespip.published_only.variances import trial_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from bayespip.review import Reported, Review

Placed = tuple[str, Finding]
"""Id of the analysis ("" for the review), and the finding."""

KINDS = (
    "number of studies",
    "studies",
    "only in",
    "number of results",
    "randomised",
    "heterogeneity",
    "interval",
)
_COUNTS = ("number of studies", "number of results", "randomised")
_OF_A_RESULT = ("heterogeneity", "interval")
# Columns of a table of trials that say how large each arm is.
_SIZES = {"study", "arms", "n_randomised", "comparator", "cluster_randomised", "in_control_comparison"}
_ALPHA = 0.05
# Share of the randomised that is analysed, and design effect of a cluster trial: the defaults of consistent_studies.
_ANALYSED, _CLUSTER_FACTOR = (0.5, 1.0), 2.0


def statements(review: Review, stated: pd.DataFrame) -> Iterator[Placed]:
    """All contradictions in which a statement takes part."""
    of_the_review = (
        *_numbers(stated),
        *_lists(review, stated),
        *_only(stated),
        *_years(stated),
        *_totals(review, stated),
    )
    yield from (("", finding) for finding in of_the_review)
    for row in _of(stated, "interval"):
        yield from ((row["about"], finding) for finding in _limits(row))
    yield from _called_significant(review, stated)
    yield from _silent(review, stated)


def check_stated(review: Review, stated: pd.DataFrame) -> None:
    """Refuse statements that cannot be compared; the message names column, rule and value."""
    missing = [column for column in STATED if column not in stated]
    if missing:
        raise ValueError(f"stated must have the columns {', '.join(STATED)}; missing {', '.join(missing)}.")
    for row in stated.to_dict("records"):
        kind, about, value = row["kind"], row["about"], row["value"]
        if kind not in KINDS:
            raise ValueError(f"kind of stated must be one of {', '.join(KINDS)}; got {kind!r}.")
        if kind in _OF_A_RESULT and about not in review.ids:
            raise ValueError(f"about of a stated {kind} must be one of {', '.join(review.ids)}; got {about!r}.")
        if kind in _COUNTS and not str(value).isdecimal():
            raise ValueError(f"value of a stated {kind} must be a whole number; got {value!r}.")


def _of(stated: pd.DataFrame, kind: str) -> list[dict[str, str]]:
    chosen = stated.loc[stated["kind"] == kind, list(STATED)]
    return [dict(zip(STATED, map(str, row), strict=True)) for row in chosen.itertuples(index=False)]


def _names(row: dict[str, str]) -> list[str]:
    return [name.strip() for name in row["value"].split(";")]


def _numbers(stated: pd.DataFrame) -> Iterator[Finding]:
    """Numbers of studies that differ between places, or from the length of the list beside them."""
    numbers = _of(stated, "number of studies")
    for about in dict.fromkeys(row["about"] for row in numbers):
        said = [(row["value"], row["place"]) for row in numbers if row["about"] == about]
        first, *others = dict.fromkeys(value for value, _ in said)
        if others:
            text = f"Studies of {about or 'the review'}: {'; '.join(f'{value} ({place})' for value, place in said)}."
            yield Finding("number of studies", first, " or ".join(others), "inconsistent", text)
    for row in _of(stated, "studies"):
        here = (row["about"], row["place"])
        for number in (n["value"] for n in numbers if (n["about"], n["place"]) == here):
            names = _names(row)
            if int(number) != len(names):
                text = f"{row['place']}: {number} studies are counted, {len(names)} named: {', '.join(names)}."
                yield Finding("number of studies named", number, str(len(names)), "inconsistent", text)


def _lists(review: Review, stated: pd.DataFrame) -> Iterator[Finding]:
    """Each list of a comparison's studies against the other lists of it and the studies named for its results."""
    lists = _of(stated, "studies")
    for row in lists:
        listed: dict[str, list[str]] = {}
        for other in lists:
            if other["about"] == row["about"]:
                for name in _names(other):
                    listed.setdefault(name, []).append(other["place"])
        for analysis in review:
            if analysis.reported is not None and analysis.comparison == row["about"]:
                for name in analysis.reported.studies_named:
                    listed.setdefault(name, []).append(analysis.id)
        for name, places in listed.items():
            if name not in _names(row):
                where = ", ".join(places)
                text = f"{name} is among the studies of {row['about']} in {where}, and missing in {row['place']}."
                yield Finding("lists of studies", f"{name}: {where}", "listed", "inconsistent", text)


def _only(stated: pd.DataFrame) -> Iterator[Finding]:
    """A study said to be in one comparison only, and listed for another."""
    for row in _of(stated, "only in"):
        for other in _of(stated, "studies"):
            for name in _names(row):
                if other["about"] != row["about"] and name in _names(other):
                    where = f"{row['about']} only ({row['place']})"
                    text = f"{name} is said to be in {where}, and listed for {other['about']} ({other['place']})."
                    printed = f"{name}: {row['about']} only"
                    yield Finding("one comparison only", printed, other["about"], "impossible", text)


def _years(stated: pd.DataFrame) -> Iterator[Finding]:
    """The year with which a study is cited against that of its name."""
    for row in (*_of(stated, "studies"), *_of(stated, "only in")):
        years: dict[str, list[str]] = {}
        for surname, _, year in (name.rpartition(" ") for name in _names(row)):
            years.setdefault(surname, []).append(year)
        for surname, those in years.items():
            cited = re.findall(rf"\b{re.escape(surname)}\b[^0-9;]*(\d{{4}})", row["quotation"])
            if cited and not set(cited) & set(those):
                name = f"{surname} {', '.join(those)}"
                text = f"{row['place']}: {name} is cited as {surname} {', '.join(cited)}."
                yield Finding("year of a study", f"{surname} {cited[0]}", name, "unusual", text)


def _totals(review: Review, stated: pd.DataFrame) -> Iterator[Finding]:
    """Randomised participants, trials and published results, against the tables."""
    trials, tables = review.studies, []
    if trials is not None:
        whose = f"those of the {len(trials)} trials add up to"
        if "n_randomised" in trials and trials["n_randomised"].notna().all():
            tables.append(("randomised", "", whose, f"{trials['n_randomised'].sum():g}"))
        tables.append(("number of studies", "", "the table of trials has", str(len(trials))))
    for comparison in dict.fromkeys(a.comparison for a in review if a.reported is not None):
        there = sum(a.comparison == comparison and a.reported is not None for a in review)
        tables.append(("number of results", comparison, "the table of results has", str(there)))
    for kind, about, words, total in tables:
        for row in _of(stated, kind):
            if row["about"] == about and row["value"] != total:
                text = f"{row['place']}: {kind} {row['value']}; {words} {total}."
                yield Finding(kind, row["value"], total, "inconsistent", text)


def _limits(row: dict[str, str]) -> Iterator[Finding]:
    """An interval is printed as two numbers."""
    after = row["value"].partition("CI")[2]
    numbers = re.findall(r"-?\d*\.?\d+", after)
    if len(numbers) != 2:
        shown = f"{len(numbers)} numbers ({', '.join(numbers)})"
        text = f"{row['place']}: {shown} where an interval has two: {row['value']}."
        yield Finding("printed interval", row["value"], "2 limits", "unusual", text)


def _called_significant(review: Review, stated: pd.DataFrame) -> Iterator[Placed]:
    for row in _of(stated, "heterogeneity"):
        reported = review[row["about"]].reported
        p = reported.p_q if reported else None
        if row["value"] == "significant" and p is not None and p.lower > _ALPHA:
            text = f"Heterogeneity is called significant at p = {p}: it is at the level 0.1, not at {_ALPHA:g}."
            if p.upper > 0.1:
                text = f"Heterogeneity is called significant at p = {p}."
            yield row["about"], Finding("heterogeneity and its p", "significant", f"p of Q {p}", "unusual", text)


def _silent(review: Review, stated: pd.DataFrame) -> Iterator[Placed]:
    """Results without a word on heterogeneity that have more of it than others where it is called out."""
    said = {row["about"] for row in _of(stated, "heterogeneity")}
    called = [(r.p_q, i) for i in sorted(said) if (r := review[i].reported) is not None and r.p_q is not None]
    if not called or review.studies is None or not set(review.studies).issuperset(_SIZES):
        return
    mildest, where = max(called, key=lambda pair: pair[0].lower)
    trials, _ = control_trials(review.studies)
    for analysis in review:
        if analysis.reported is None or analysis.id in said or analysis.studies is not None:
            continue
        found = _least_heterogeneity(analysis.reported, trials)
        if found is not None and found[1] < mildest.lower:
            q, p, df = *found, df_of(analysis.reported)
            implied = f"Q above {q:.1f} on {df} df, p below {upwards(p)}"
            text = (
                f"Nothing is said of heterogeneity, but the interval and the trials' sizes imply {implied}; it is "
                f"called out for {where} at p = {mildest}. The review's silence is no evidence of homogeneity."
            )
            yield analysis.id, Finding("heterogeneity not mentioned", "", implied, "unusual", text)


def _least_heterogeneity(reported: Reported, trials: pd.DataFrame) -> tuple[float, float] | None:
    """Least Q and its p that sizes of the trials allow; None where they say nothing, or Q was printed."""
    df = df_of(reported)
    if reported.measure.name != "SMD" or df is None or not 1 <= df < len(trials) or q_ranges(reported, df):
        return None
    sizes = trial_sizes(
        trials, df + 1, share=_ANALYSED, cluster_factor=_CLUSTER_FACTOR, n=None, n_tolerance=0.0
    )  # fmt: skip
    q = least_q(reported, sizes)
    return q, float(special.chdtrc(df, q))
