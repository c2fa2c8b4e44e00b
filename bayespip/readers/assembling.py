"""The parts of an analysis that RevMan's CSV export and the Cochrane data package have in common."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from bayespip.readers.results import reported_total, stored_table
from bayespip.readers.text import level, year_or_none
from bayespip.readers.vocabulary import DATA_COLUMNS, favoured, meaning, measure_of
from bayespip.review import Analysis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from bayespip.measures import Measure
    from bayespip.readers.csv_table import CsvRow
    from bayespip.settings import Settings, Subgroup

__all__ = [
    "OTHER_DATA",
    "StudyRow",
    "assembled",
    "level_of",
    "measure_in",
    "measure_meant",
    "repeated_studies",
    "results_of",
    "studies_of",
    "study_table",
    "swapped",
    "word",
]

# Where the text of "other data" stands: a column of our own, since neither form has one.
OTHER_DATA = "Other data"
# Counts of a result, which are kept where the result itself is none; the rest is what zeros may stand for.
_COUNTS = ("df", "k", "n_e", "n_c", "event_e", "event_c", "weight", "estimable")

_NON_EVENT = re.compile(r"\s*\(non-?events?\)\s*$", re.IGNORECASE)


class StudyRow(NamedTuple):
    """A study as it enters an analysis: one row of Analysis.studies."""

    study: str
    subgroup: str
    in_total: bool
    data: tuple[float, ...] | tuple[str, ...]
    footnote: str


def study_table(data_type: str, rows: Sequence[StudyRow]) -> pd.DataFrame:
    """Analysis.studies: study, subgroup, in_total, the columns of the data type, footnote."""
    import pandas as pd

    names = DATA_COLUMNS[data_type]
    kind = "str" if data_type == "other" else "float64"
    columns: dict[str, pd.Series] = {
        "study": pd.Series([r.study for r in rows], dtype="str"),
        "subgroup": pd.Series([r.subgroup for r in rows], dtype="str"),
        "in_total": pd.Series([r.in_total for r in rows], dtype="bool"),
    }
    for i, name in enumerate(names):
        columns[name] = pd.Series([r.data[i] for r in rows], dtype=kind)
    columns["footnote"] = pd.Series([r.footnote for r in rows], dtype="str")
    return pd.DataFrame(columns)


def results_of(row: CsvRow, columns: Mapping[str, str]) -> dict[str, str]:
    """The stored quantities of one total or subgroup, as text with a decimal point.

    Zeros that stand for missing: a result whose effect and both limits are 0 is none, since no interval has
    width 0; its counts are kept, its effect, tests and heterogeneity are not.

    Parameters
    ----------
    row
        Where they stand.
    columns
        Of each quantity, the column.
    """
    cells = {q: row.cell(c).upper() if q == "estimable" else row.plain(c) for q, c in columns.items()}
    texts = {q: text for q, text in cells.items() if text}
    interval = [texts.get(name, "") for name in ("effect", "lower", "upper")]
    if all(t and float(t) == 0 for t in interval):
        return {q: t for q, t in texts.items() if q in _COUNTS}
    return texts


def word(row: CsvRow, column: str, words: Mapping[str, str], *, needed: bool) -> str | None:
    """Our word for the file's in a column; None where the cell is empty and need not be filled."""
    text = row.name(column)
    if not text and not needed:
        return None
    found = meaning(words, text)
    if found is None:
        raise row.error(column, f"one of {', '.join(dict.fromkeys(words.values()))}")
    return found


def repeated_studies(label: str, rows: Sequence[StudyRow]) -> list[str]:
    """A note on every study that stands more than once in a subgroup: arms of one trial, all kept."""
    return [
        f"{label}: {study} stands {times} times{f' in {group}' if group else ''}; every row is kept."
        for (study, group), times in Counter((r.study, r.subgroup) for r in rows).items()
        if times > 1
    ]


def level_of(row: CsvRow, columns: Sequence[str]) -> float:
    """The level of an interval, stored in percent in the first of these columns that has one; else 0.95."""
    column = next((c for c in columns if row.name(c)), None)
    if column is None:
        return 0.95
    try:
        return level(row.cell(column))
    except ValueError as error:
        raise row.error(column, str(error)) from None


def swapped(row: CsvRow, measure_column: str) -> bool | None:
    """Whether events and non-events change places: as the file says, else as "Risk Ratio (Non-event)" tells."""
    said = row.truth("Swap event and non-event")
    return True if said is None and _NON_EVENT.search(row.name(measure_column)) else said


def measure_meant(settings: Settings) -> Measure | None:
    """The effect measure that the file's words mean, as vocabulary.measure_of; "(Non-event)" is no part of it.

    Raises
    ------
    ValueError
        If they are not known.
    """
    label = _NON_EVENT.sub("", settings.effect_label)
    return measure_of(settings.data_type, label, settings.log_data, settings.method)


def measure_in(row: CsvRow, column: str, settings: Settings) -> Measure | None:
    """The effect measure of a row."""
    try:
        return measure_meant(settings)
    except ValueError as error:
        raise row.error(column, str(error).rstrip(".")) from None


def assembled(
    number: tuple[int, int],
    names: tuple[str, str],
    settings: Settings,
    measure: Measure | None,
    *,
    subgroups: Iterable[Subgroup],
    rows: Sequence[StudyRow],
    results: Mapping[str, Mapping[str, str]],
) -> Analysis:
    """An analysis from its parts.

    Parameters
    ----------
    number, names
        Number and name of the comparison and of the outcome.
    settings, measure, subgroups
        As in Analysis.
    rows
        Of its studies, in the file's order.
    results
        Of the total ("") and each subgroup, the stored quantities.
    """
    favours = favoured(settings)
    return Analysis(
        id=f"{number[0]}.{number[1]}",
        comparison=names[0],
        outcome=names[1],
        timepoint="",
        measure=measure,
        studies=study_table(settings.data_type, rows),
        reported=reported_total(results.get("", {}), measure=measure, settings=settings, favours=favours),
        favours=favours,
        settings=settings,
        subgroups=tuple(subgroups),
        stored=stored_table(results),
    )


def studies_of(
    found: Iterable[tuple[str, str]], sources: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Review.studies from the name and year of each study as often as they are met; and notes on the years.

    Parameters
    ----------
    found
        Name and text of the year ("" where there is none).
    sources
        Data source of each study, where the file has them.
    """
    import pandas as pd

    years: dict[str, int | None] = {}
    notes: list[str] = []
    for study, text in found:
        year = year_or_none(text)
        if text and year is None:
            notes.append(f"The year of {study}, {text!r}, is no year of publication; it is left out.")
        if years.get(study) not in (None, year) and year is not None:
            notes.append(f"{study} has the years {years[study]} and {year}; the first is kept.")
            continue
        years[study] = years.get(study) or year
    columns = {
        "study": pd.Series(list(years), dtype="str"),
        "year": pd.Series(list(years.values()), dtype="Int64"),
    }
    if sources is not None and any(sources.values()):
        columns["data_source"] = pd.Series([sources.get(s, "") for s in years], dtype="str")
    return pd.DataFrame(columns), list(dict.fromkeys(notes))
