"""What a review says, as frozen values: numbers as printed, published results, analyses, the review itself.

Nothing here corrects or completes a review. Published reviews contain reversed intervals and impossible
numbers: a Review holds and flags them (`problems`), and what cannot be fitted is an error when it is fitted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bayespip.measures import Measure, as_measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path

    import pandas as pd

    from bayespip.settings import Settings, Subgroup

__all__ = ["Analysis", "Printed", "Reported", "Review"]

CLAIMS = ("significant", "not significant")
DIRECTIONS = ("higher", "lower")

_NUMBER = re.compile(r"(?P<below><\s*)?(?P<number>[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Printed:
    """A number and the precision with which it was printed.

    Attributes
    ----------
    text
        As printed: "8.93", "-0.13", "0.000"; or a bound on a non-negative quantity: "<0.001".

    Raises
    ------
    ValueError
        If text is not a string, or not such a number.
    """

    text: str

    def __post_init__(self) -> None:
        _read(self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def value(self) -> float:
        """The number; nan where only a bound was printed."""
        below, number, _ = _read(self.text)
        return math.nan if below else float(number)

    @property
    def lower(self) -> float:
        """Smallest number that prints so: half a unit of the last printed digit below; 0 for "<x"."""
        below, number, half = _read(self.text)
        return 0.0 if below else float(number - half)

    @property
    def upper(self) -> float:
        """Largest number that prints so. For "<x" it is x; "<0.000" is read as below what rounds to 0.000."""
        below, number, half = _read(self.text)
        return float(number if below and number > 0 else number + half)


def _read(text: str) -> tuple[bool, Decimal, Decimal]:
    """Is it a bound only; the number; half a unit of its last printed digit. Decimal, so both are exact."""
    if not isinstance(text, str):
        raise ValueError(f"must be text, such as '8.93', to keep the printed precision; got {text!r}.")
    # U+2212 is the minus sign of typeset papers.
    match = _NUMBER.fullmatch(text.strip().replace("\N{MINUS SIGN}", "-"))
    if match is None or (match["below"] and match["number"].startswith("-")):
        raise ValueError(f"must be a number as printed, such as 8.93, -0.13 or <0.001; got {text!r}.")
    number = Decimal(match["number"])
    return bool(match["below"]), number, Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A pooled result as its authors published it, on the display scale.

    Attributes
    ----------
    measure
        Effect measure; its name is accepted.
    estimate, ci_lower, ci_upper
        Pooled effect and the limits of its interval. For every Printed, the text as printed is accepted.
    k, k_source
        Number of studies, None where it was not stated; and where it comes from, such as "stated in the paper".
    n, p
        Participants in the analysis; p-value of the test of no effect.
    q, df, p_q
        Cochran's Q (chi-squared), its degrees of freedom and p-value.
    tau2, i2
        Between-study variance; I2 in percent.
    level
        Of the interval.
    claim
        "significant", "not significant", or None.
    favours
        The direction that favours the experimental arm, "higher" or "lower"; None where it is not stated.
    studies_named
        Studies that the authors name for this result.

    Raises
    ------
    ValueError
        If a number is not as Printed requires, or measure, claim or favours is not one of the choices.

    Examples
    --------
    >>> bp.Reported(measure="RR", estimate="0.48", ci_lower="0.24", ci_upper="0.95", k=2).estimate
    Printed(text='0.48')
    """

    measure: Measure
    estimate: Printed
    ci_lower: Printed
    ci_upper: Printed
    k: int | None = None
    k_source: str = ""
    n: int | None = None
    p: Printed | None = None
    q: Printed | None = None
    df: int | None = None
    p_q: Printed | None = None
    tau2: Printed | None = None
    i2: Printed | None = None
    level: float = 0.95
    claim: str | None = None
    favours: str | None = None
    studies_named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "measure", as_measure(self.measure))
        object.__setattr__(self, "studies_named", tuple(self.studies_named))
        for name in ("estimate", "ci_lower", "ci_upper", "p", "q", "p_q", "tau2", "i2"):
            object.__setattr__(self, name, _as_printed(name, getattr(self, name)))
        for name, choices in (("claim", CLAIMS), ("favours", DIRECTIONS)):
            value = getattr(self, name)
            if value not in (None, *choices):
                raise ValueError(f"{name} must be one of {', '.join(choices)} or None; got {value!r}.")

    def problems(self) -> tuple[str, ...]:
        """What cannot be, as sentences: impossible numbers, an interval that is no interval; often empty.

        Whether possible numbers agree (an I2 with its Q, a p with its interval) is another question.
        """
        found = [
            f"{name} must be {rule}; got {value}."
            for name, rule, value, good in self._rules()
            if value is not None and not good
        ]
        e, low, high = self.estimate, self.ci_lower, self.ci_upper
        if low.value > high.value:
            found.append(f"the interval is reversed: {low} to {high}.")
        elif e.upper < low.lower or e.lower > high.upper:
            found.append(f"the estimate lies outside its interval: {e} ({low} to {high}).")
        return tuple(found)

    def _rules(self) -> Iterator[tuple[str, str, object, bool]]:
        """Name, rule, value, whether the value keeps the rule; a value of None keeps every rule."""
        for name, count in (("k", self.k), ("n", self.n), ("df", self.df)):
            yield name, "at least 1", count, count is None or count >= 1
        yield "level", "between 0 and 1", self.level, 0 < self.level < 1
        interval = (("estimate", self.estimate), ("ci_lower", self.ci_lower), ("ci_upper", self.ci_upper))
        for name, x in interval:
            yield name, "a number, not a bound", x, not math.isnan(x.value)
            if self.measure.log:
                yield name, f"positive for a ratio ({self.measure.name})", x, not x.value <= 0
        for name, y in (("q", self.q), ("tau2", self.tau2)):
            yield name, "at least 0", y, y is None or not y.value < 0
        for name, y, most in (("p", self.p, 1), ("p_q", self.p_q, 1), ("i2", self.i2, 100)):
            yield name, f"between 0 and {most}", y, y is None or not (y.value < 0 or y.value > most)


def _as_printed(name: str, value: object) -> Printed | None:
    if value is None or isinstance(value, Printed):
        return value
    try:
        return Printed(value)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Analysis:
    """One outcome of a review: study data, or only what was published, or neither.

    Attributes
    ----------
    id
        Such as "1.2" or "P1"; unique in its review.
    comparison, outcome, timepoint, note
        As the review words them, and what a reader must know besides.
    measure
        Effect measure, or the name of one of ``MEASURES``; None where it is not known.
    studies
        One row a study, columns as `effect_sizes` takes them (of a file: also subgroup, "" for none, in_total,
        footnote; a study that enters with several arms has several rows); or None.
    reported
        The published pooled result; or None.
    favours
        The direction that favours the experimental arm, "higher" or "lower"; None where it is not stated.
    settings
        How the review pools it, of a file; or None.
    subgroups
        In the file's order; empty where there are none.
    stored
        The results that a file stores: columns subgroup ("" for the total), quantity, text; or None.

    Examples
    --------
    >>> len(bp.load_review("bcg")["1.1"].studies)
    13
    """

    id: str
    comparison: str
    outcome: str
    timepoint: str
    measure: Measure | None = None
    studies: pd.DataFrame | None = None
    reported: Reported | None = None
    favours: str | None = None
    settings: Settings | None = None
    subgroups: tuple[Subgroup, ...] = ()
    stored: pd.DataFrame | None = None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "subgroups", tuple(self.subgroups))
        object.__setattr__(self, "measure", None if self.measure is None else as_measure(self.measure))
        if self.favours not in (None, *DIRECTIONS):
            raise ValueError(f"favours must be one of {', '.join(DIRECTIONS)} or None; got {self.favours!r}.")

    @property
    def basis(self) -> str:
        """What there is to pool: "study data", "published" (pooled numbers only) or "not published"."""
        if self.studies is not None:
            return "study data"
        return "published" if self.reported is not None else "not published"

    def rows(self, subgroup: str = "") -> pd.DataFrame:
        """The study rows of a subgroup, or with "" those that enter the total, under unique labels.

        A study that stands there more than once (arms of one trial) is labelled "Smith 2001", "Smith 2001 [2]".

        Raises
        ------
        ValueError
            If there is no such subgroup, or no study data.
        """
        if self.studies is None:
            raise ValueError(f"{self.id} has no study data.")
        names = [s.name for s in self.subgroups]
        if subgroup and subgroup not in names:
            raise ValueError(f"subgroup of {self.id} must be one of {', '.join(names) or 'none'}; got {subgroup!r}.")
        table = self.studies
        if subgroup:
            table = table[table["subgroup"] == subgroup]
        elif "in_total" in table:
            table = table[table["in_total"]]
        earlier = table.groupby("study").cumcount()
        labels = [f"{s} [{n + 1}]" if n else str(s) for s, n in zip(table["study"], earlier, strict=True)]
        return table.assign(study=labels).reset_index(drop=True)

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Review:
    """A systematic review: `review["P1"]` is an analysis; iterating gives all, in the review's order.

    Attributes
    ----------
    id
        Short name, such as "pip".
    title, doi
        Of the publication.
    provenance
        Where the numbers come from, and what is not public.
    analyses
        Every outcome, also those of which nothing was published.
    studies
        One row a trial: design, sizes, the comparisons it entered; or None.
    risk_of_bias
        One row a trial, one column a domain; or None.
    arms
        Arm-level data verified in public sources; or None.
    external
        Earlier and later evidence on the same question; or None.
    topics
        Cochrane topics whose published priors are plausible here (``priors.sets.TOPICS``); empty: all of Cochrane.
    notes
        What was met while a file was read, as sentences: repaired text, impossible years, values not understood.
    sources
        Name and SHA-256 (hexadecimal) of every file it was read from. Two reviews that differ in these alone are equal.

    Raises
    ------
    ValueError
        If an analysis id repeats.

    Examples
    --------
    >>> [(analysis.id, analysis.outcome) for analysis in bp.load_review("bcg")]
    [('1.1', 'Tuberculosis')]
    """

    id: str
    title: str
    doi: str
    provenance: str
    analyses: tuple[Analysis, ...]
    studies: pd.DataFrame | None = None
    risk_of_bias: pd.DataFrame | None = None
    arms: pd.DataFrame | None = None
    external: pd.DataFrame | None = None
    topics: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "analyses", tuple(self.analyses))
        repeated = sorted(i for i, times in Counter(self.ids).items() if times > 1)
        if repeated:
            raise ValueError(f"analysis ids of {self.id} must be unique; repeated: {', '.join(repeated)}.")

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the analyses, in the review's order."""
        return tuple(a.id for a in self.analyses)

    def __getitem__(self, key: str) -> Analysis:
        for analysis in self.analyses:
            if analysis.id == key:
                return analysis
        raise KeyError(f"analysis must be one of {', '.join(self.ids)}; got {key!r}")

    def __iter__(self) -> Iterator[Analysis]:
        return iter(self.analyses)

    def __len__(self) -> int:
        return len(self.analyses)

    def problems(self) -> tuple[str, ...]:
        """The problems of every published result, each sentence led by the analysis's id."""
        return tuple(f"{a.id}: {p}" for a in self.analyses if a.reported for p in a.reported.problems())

    def reproduce(self) -> pd.DataFrame:
        """Recompute every result that the review's file stores: see ``reproduction.reproduce``."""
        from bayespip.reproduction import reproduce

        return reproduce(self)

    def to_data_package(self, path: str | PathLike[str]) -> Path:
        """Write the review as a data package: see ``writing.to_data_package``."""
        from bayespip.writing import to_data_package

        return to_data_package(self, path)

    def to_table(self) -> pd.DataFrame:
        """All study rows in one tidy table: see ``writing.to_table``."""
        from bayespip.writing import to_table

        return to_table(self)

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    __hash__ = None  # type: ignore[assignment]


def _same(one: Any, other: Any) -> bool:
    """Field by field; frames by .equals, because == on a DataFrame gives a DataFrame."""
    if type(one) is not type(other):
        return False
    return all(_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.compare)


def _equal(a: Any, b: Any) -> bool:
    if hasattr(a, "equals"):
        return bool(a.equals(b))
    return not hasattr(b, "equals") and bool(a == b)
