"""RevMan 5's CSV export of data and analyses (File, Export, Data and analyses) to a Review.

The author of the export chooses its columns; those read here, and what follows where one is absent, are in
docs/reading-files.md. Names of columns as R's meta (Schwarzer 2007) reads them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING

from bayespip.readers.assembling import (
    OTHER_DATA,
    StudyRow,
    assembled,
    level_of,
    measure_in,
    repeated_studies,
    results_of,
    studies_of,
    swapped,
    word,
)
from bayespip.readers.csv_table import parse_csv
from bayespip.readers.text import decode
from bayespip.readers.vocabulary import DATA_COLUMNS, METHODS, MODELS, TYPES, unique_names
from bayespip.review import Review
from bayespip.settings import Settings, Subgroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayespip.readers.csv_table import CsvRow, CsvTable
    from bayespip.review import Analysis

__all__ = ["read_revman_csv"]

_COMPARISON, _OUTCOME, _SUBGROUP = _NUMBERS = ("Comparison Number", "Outcome Number", "Subgroup Number")
_TYPE = "Data Type"
_LOG = "Entered data are on log scale (Generic Inverse Variance only)"

# Column for each column of Analysis.studies; of generic data the effect is the displayed one.
_DATA: Mapping[str, str] = {
    "event_e": "Events 1", "n_e": "Total 1", "event_c": "Events 2", "n_c": "Total 2",
    "mean_e": "Mean 1", "sd_e": "SD 1", "mean_c": "Mean 2", "sd_c": "SD 2",
    "yi": "Effect Estimate", "sei": "SE", "o_e": "O-E", "variance": "Var",
}  # fmt: skip
_ALSO = {"Var": "Variance"}
_RESULT: Mapping[str, str] = {
    "effect": "Effect Estimate", "lower": "CI Start", "upper": "CI End", "z": "Z", "p": "P(Z)", "tau2": "Tau2",
    "chi2": "Q", "df": "df", "i2": "I2(Q)", "p_chi2": "P(Q)", "n_e": "Total 1", "n_c": "Total 2",
    "event_e": "Events 1", "event_c": "Events 2", "weight": "Weight",
}  # fmt: skip
_SUBGROUP_TEST: Mapping[str, str] = {"q": "Qint", "p_q": "P(Qint)", "i2_q": "I2(Qint)"}
_COUNTED = ("dichotomous", "O-E")
_TOTALS: Mapping[str, str] = {
    "yes": "total", "total": "total", "totals": "total", "totalsandsubtotals": "total",
    "sub": "subgroups", "subtotals": "subgroups", "subtotalsonly": "subgroups",
    "no": "none", "none": "none", "nototals": "none",
}  # fmt: skip
# Weights are stored with 8 digits; those of one total add up to 100, those of n separate subgroups to 100 n.
_WEIGHT_ERROR = 1e-4


@dataclass(slots=True)
class _Outcome:
    """The rows of one outcome: its header, those of its subgroups by number, its studies."""

    header: CsvRow
    subgroups: dict[int, CsvRow] = field(default_factory=dict)
    studies: list[CsvRow] = field(default_factory=list)


def read_revman_csv(data: bytes, file: str) -> Review:
    """A review from RevMan 5's CSV export.

    Zeros stand for missing where a result's effect and both limits are 0: no such result is stored.

    Parameters
    ----------
    data
        The file.
    file
        Its name, of which the review's id is made.

    Raises
    ------
    ReadError
        If a column that is needed is absent, a row has too few cells or its header is, or a number is none; the
        message names row and column.
    """
    decoded = decode(data, file)
    # "Risk of bias tables", the wizard's last field, gives rows of any length.
    table = parse_csv(decoded.text, file, ragged=True)
    table.require(*_NUMBERS, "Name", _TYPE, "Statistical Method", "Effect Measure", "Analysis Model")
    comparisons, outcomes = _sorted_rows(table)
    notes = list(decoded.notes)
    analyses = tuple(_analysis(key, comparisons[key[0]], parts, notes) for key, parts in outcomes.items())
    found = [(r.name("Name"), r.name("Year of study")) for parts in outcomes.values() for r in parts.studies]
    studies, odd = studies_of(found)
    if not analyses:
        notes.append("The file holds no analyses.")
    name = re.sub(r"(?i)\.(csv|txt|tsv)$", "", file)
    return Review(
        id=name,
        title=name,
        doi="",
        provenance=f"Read from {file}, a CSV export of RevMan 5.",
        analyses=analyses,
        studies=studies,
        notes=tuple(dict.fromkeys([*notes, *odd])),
    )


def _sorted_rows(table: CsvTable) -> tuple[dict[int, str], dict[tuple[int, int], _Outcome]]:
    """Names of the comparisons, and the rows of each outcome.

    A row without outcome number is a comparison; one with a data type heads an outcome or subgroup; any other is
    a study.
    """
    comparisons: dict[int, str] = {}
    outcomes: dict[tuple[int, int], _Outcome] = {}
    for row in table:
        comparison, outcome, subgroup = (_count(row, column) for column in _NUMBERS)
        if outcome == 0:
            if comparison in comparisons:
                raise row.error(_COMPARISON, "a comparison once")
            comparisons[comparison] = row.name("Name")
        elif row.name(_TYPE) and subgroup == 0:
            if (comparison, outcome) in outcomes:
                raise row.error(_OUTCOME, f"outcome {comparison}.{outcome} once")
            outcomes[comparison, outcome] = _Outcome(row)
        else:
            _place(row, outcomes.get((comparison, outcome)), subgroup)
    for (comparison, _), parts in outcomes.items():
        if comparison not in comparisons:
            raise parts.header.error(_COMPARISON, "a comparison that has a row of its own")
    return comparisons, outcomes


def _place(row: CsvRow, parts: _Outcome | None, subgroup: int) -> None:
    """A subgroup's or a study's row to its outcome."""
    if parts is None:
        raise row.error(_TYPE, "a data type, in the outcome's first row")
    if not row.name(_TYPE):
        parts.studies.append(row)
    elif subgroup in parts.subgroups:
        raise row.error(_SUBGROUP, "a subgroup of an outcome once")
    else:
        parts.subgroups[subgroup] = row


def _count(row: CsvRow, column: str) -> int:
    """Empty is 0, as at a comparison's outcome."""
    return row.whole(column, 1 if column == _COMPARISON else 0) if row.name(column) else 0


def _analysis(key: tuple[int, int], comparison: str, parts: _Outcome, notes: list[str]) -> Analysis:
    row, label = parts.header, f"{key[0]}.{key[1]}"
    numbers = sorted({*parts.subgroups, *(_count(r, _SUBGROUP) for r in parts.studies)} - {0})
    unnamed = [str(n) for n in numbers if n not in parts.subgroups]
    if unnamed:
        notes.append(f"{label}: subgroup {', '.join(unnamed)} has studies and no row of its own, so no name.")
    names = unique_names([parts.subgroups[n].name("Name") if n in parts.subgroups else "" for n in numbers])
    named = dict(zip(numbers, names, strict=True))
    settings = _settings(parts, label, notes)
    columns = {q: c for q, c in _RESULT.items() if settings.data_type in _COUNTED or not q.startswith("event")}
    # Where there are no subgroups to compare, the export fills the test for their differences with 0 and 1.
    whole = {**columns, **_SUBGROUP_TEST} if len(named) > 1 else columns
    results = {"": results_of(row, whole)} | {named[n]: results_of(r, columns) for n, r in parts.subgroups.items()}
    needed = [_column(row, c) for c in DATA_COLUMNS[settings.data_type] if c in _DATA]
    if parts.studies:
        row.table.require(*needed)
    studies = [_study_row(r, settings, named.get(_count(r, _SUBGROUP), "")) for r in parts.studies]
    notes.extend(repeated_studies(label, studies))
    return assembled(
        key,
        (comparison, row.name("Name")),
        settings,
        measure_in(row, "Effect Measure", settings),
        subgroups=[Subgroup(n, name) for n, name in named.items()],
        rows=studies,
        results=results,
    )


def _column(row: CsvRow, name: str) -> str:
    """The column of the export for one of ours, under the name it has there."""
    column = _DATA[name]
    return column if row.table.has(column) else _ALSO.get(column, column)


def _settings(parts: _Outcome, label: str, notes: list[str]) -> Settings:
    row = parts.header
    data_type = word(row, _TYPE, TYPES, needed=True)
    assert data_type is not None  # noqa: S101 - word raises where it is needed and absent
    pooled = data_type != "other"
    by_type = {"continuous": "IV", "generic": "IV", "O-E": "Peto"}
    level_study = level_of(row, ("Study Confidence Interval",))
    return Settings(
        data_type=data_type,
        method=by_type.get(data_type) or (word(row, "Statistical Method", METHODS, needed=True) if pooled else None),
        model=word(row, "Analysis Model", MODELS, needed=True) if pooled else None,
        totals=_totals(parts, label, notes) if pooled else "none",
        subgroup_test=row.truth("Test for subgroup differences"),
        level_study=level_study,
        level_total=level_of(row, ("Total Confidence Interval",)),
        swap_events=swapped(row, "Effect Measure") if data_type == "dichotomous" else None,
        log_data=_log_data(parts, level_study, label, notes) if data_type == "generic" else None,
        effect_label=row.name("Effect Measure"),
        label_e=row.name("Group Label 1"),
        label_c=row.name("Group Label 2"),
        label_left=row.name("Left Graph Label"),
        label_right=row.name("Right Graph Label"),
    )


def _totals(parts: _Outcome, label: str, notes: list[str]) -> str:
    """What is pooled, as the export says; where it leaves that out, as the weight of the outcome's row tells.

    A total's weight is 100. Without a total it is 0, or the sum of the subgroups' own hundreds.
    """
    row = parts.header
    if row.name("Totals"):
        return word(row, "Totals", _TOTALS, needed=True) or "total"
    weight = row.number("Weight")
    if math.isnan(weight) or abs(weight - 100) < _WEIGHT_ERROR:
        return "total"
    notes.append(f"{label}: its weight is {weight:g}, not 100, so it is read as one without a total.")
    return "subgroups" if parts.subgroups else "none"


def _log_data(parts: _Outcome, level: float, label: str, notes: list[str]) -> bool:
    """Whether estimates are shown exponentiated: as the export says, else as effect, SE and interval agree."""
    said = parts.header.truth(_LOG)
    if said is not None:
        return said
    votes = Counter(filter(None, (_scale(r, level) for r in parts.studies)))
    if len(votes) == 1:
        return next(iter(votes)) == "log"
    ratio = bool(re.search(r"ratio|^(or|rr|hr|rom)$", parts.header.name("Effect Measure"), re.IGNORECASE))
    how = "a ratio, so estimates are logarithms" if ratio else "no ratio, so estimates are no logarithms"
    notes.append(f"{label}: the export does not say whether data are on the log scale; its measure is {how}.")
    return ratio


def _scale(row: CsvRow, level: float) -> str | None:
    """Whether the row's interval is effect -/+ z SE as shown ("plain") or in logarithms ("log"); else None."""
    columns = ("Effect Estimate", "SE", "CI Start", "CI End")
    effect, se, lower, upper = (float(row.plain(c) or "nan") for c in columns)
    if not (se > 0 and lower < upper):
        return None
    half = NormalDist().inv_cdf((1 + level) / 2) * se
    # Displayed numbers have 8 decimals, and logarithms of small ones fewer digits.
    plain = math.isclose(upper - lower, 2 * half, rel_tol=1e-4) and math.isclose(
        effect, (lower + upper) / 2, rel_tol=1e-4, abs_tol=1e-4 * half
    )
    log = lower > 0 and math.isclose(math.log(upper / lower), 2 * half, rel_tol=1e-4)
    return None if plain == log else "log" if log else "plain"


def _study_row(row: CsvRow, settings: Settings, subgroup: str) -> StudyRow:
    study = row.name("Name")
    if not study:
        raise row.error("Name", "the name of a study")
    columns = [name for name in DATA_COLUMNS[settings.data_type] if name in _DATA]
    data = tuple(_datum(row, name, settings) for name in columns) if columns else (row.name(OTHER_DATA),)
    # Totals are left out for whole outcomes only.
    return StudyRow(study, subgroup, in_total=True, data=data, footnote=row.name("Footnotes"))


def _datum(row: CsvRow, name: str, settings: Settings) -> float:
    """One value; of data on the log scale the export holds the exponential of what was entered."""
    column = _column(row, name)
    value = row.number(column)
    if name != "yi" or not settings.log_data or math.isnan(value):
        return value
    if value < 0:
        raise row.error(column, "a positive ratio")
    return math.log(value) if value else math.nan
