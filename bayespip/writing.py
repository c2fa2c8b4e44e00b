"""A review as files: a data package in Cochrane's form, and one tidy table of all study rows."""

from __future__ import annotations

import csv
import io
import math
import re
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayespip.readers.assembling import OTHER_DATA, measure_meant
from bayespip.readers.data_package import FILES, KEY, RESULT_COLUMNS, STUDY_COLUMNS, review_of_tables
from bayespip.readers.own_package import OWN_FILE, remainder
from bayespip.readers.text import clean
from bayespip.readers.vocabulary import DATA_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    import pandas as pd

    from bayespip.review import Analysis, Review
    from bayespip.settings import Settings

__all__ = ["to_data_package", "to_table"]

# The earliest that a zip can hold: the same review gives the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)

_TYPES = {
    "dichotomous": "Dichotomous", "continuous": "Continuous", "generic": "Contrast level",
    "O-E": "O-E and variance", "other": "Other data",
}  # fmt: skip
_METHODS = {"MH": "MH", "IV": "IV", "Peto": "PETO"}
_MODELS = {"fixed": "Fixed effect", "random": "Random effects"}
_TOTALS = {"total": ("true", "true"), "subgroups": ("false", "true"), "none": ("false", "false")}

_ROWS = (
    *KEY, "Analysis name", "Subgroup", "Subgroup number", "Applicability", "Study", "Study year", "GIV Mean", "GIV SE",
    "Experimental mean", "Experimental SD", "Experimental cases", "Experimental N", "Control mean", "Control SD",
    "Control cases", "Control N", "O-E", "Variance", "Weight", "Mean", "CI start", "CI end", "Footnotes", OTHER_DATA,
)  # fmt: skip
_OVERALL = (
    *KEY, "Analysis name", "Analysis group name", "Data source", "Data source eligibility", "Data type",
    "Log-scale data", "Outcome", "Intervention grouping", "Experimental intervention", "Control intervention",
    "Subgroup by", "Filter criteria", "Experimental group label", "Control group label", "Statistical method",
    "Effect measure", "Unit of effect measure", "Analysis model", "Heterogeneity estimator", "CI method",
    "Subgroup estimates", "Overall estimates", "Test for subgroup differences", "Swap event and non-event",
    "Study CI", "Estimate CI", "Graph label (left)", "Graph label (right)",
)  # fmt: skip
_SUBGROUPS = (*KEY, "Subgroup", "Subgroup number")
# As Cochrane writes the columns of results; they are read with any 2.
_RAISED = {c: c.replace("Tau2", "Tau²").replace("Chi2", "Chi²").replace("I2", "I²") for c in RESULT_COLUMNS.values()}


def to_data_package(review: Review, path: str | PathLike[str]) -> Path:
    """Write a review as a data package: a zip of CSV files that read_review and programs for Cochrane's form read.

    The tables hold what that form has a place for, numbers with all their digits; `bayespip-review.json` beside
    them holds the rest, so that reading the file gives an equal review.

    Parameters
    ----------
    review
        To write.
    path
        Of the zip, written anew.

    Raises
    ------
    OSError
        If the file cannot be written; what it held stays.
    ValueError
        If a table of the review has an index or a type of column that cannot be written.
    """
    target = Path(path)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", review.id).strip("-.") or "review"
    tables = {kind: content for kind, content in _tables(review).items() if content}
    paths = {kind: f"{stem}-{_folder(kind)}/{stem}-{kind}" for kind in tables}
    plain = review_of_tables({kind: (paths[kind], content) for kind, content in tables.items()}, target.name)
    members = {paths[kind]: content for kind, content in tables.items()}
    members[f"{stem}-{OWN_FILE}"] = remainder(review, plain, tables)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        draft.replace(target)
    return target


def _folder(kind: str) -> str:
    return "study-data" if kind in (FILES["studies"], FILES["bias"]) else "analysis-data"


def _tables(review: Review) -> dict[str, bytes]:
    """Contents of each file; empty where the review has nothing for it."""
    keys = _numbers(review.analyses)
    years = _years(review)
    overall, rows, subgroups = [], [], []
    for key, analysis in zip(keys, review.analyses, strict=True):
        settings = _writable_settings(analysis)
        start = dict(zip(KEY, map(str, key), strict=True))
        overall.append(start | _overall(analysis, settings) | _results(analysis, ""))
        numbered = [s for s in analysis.subgroups if s.number >= 1]
        subgroups += [
            start | {"Subgroup": s.name, "Subgroup number": str(s.number)} | _results(analysis, s.name)
            for s in numbered
        ]
        if settings is not None:
            rows += [start | row for row in _study_rows(analysis, settings.data_type, years)]
    results = tuple(_RAISED.values())
    return {
        FILES["rows"]: _csv(_ROWS, rows),
        FILES["overall"]: _csv((*_OVERALL, *results), overall),
        FILES["subgroups"]: _csv((*_SUBGROUPS, *results), subgroups),
        FILES["studies"]: _study_information(review.studies),
        FILES["bias"]: _risk_of_bias(review.risk_of_bias),
    }


def _numbers(analyses: Sequence[Analysis]) -> list[tuple[int, int]]:
    """Number of comparison and outcome: from ids such as "1.2", otherwise by their order."""
    matches = [re.fullmatch(r"([1-9][0-9]{0,6})\.([1-9][0-9]{0,6})", a.id) for a in analyses]
    if all(matches):
        return [(int(m[1]), int(m[2])) for m in matches if m]
    comparisons: dict[str, int] = {}
    counts: dict[int, int] = {}
    keys = []
    for analysis in analyses:
        group = comparisons.setdefault(analysis.comparison, len(comparisons) + 1)
        counts[group] = counts.get(group, 0) + 1
        keys.append((group, counts[group]))
    return keys


def _writable_settings(analysis: Analysis) -> Settings | None:
    """The settings, if the Cochrane form can say what the analysis is; otherwise it stands there as other data."""
    settings = analysis.settings
    if settings is None:
        return None
    try:
        measure_meant(replace(settings, effect_label=clean(settings.effect_label)))
    except ValueError:
        return None
    needed = settings.data_type == "other" or None not in (settings.model, settings.method)
    return settings if needed else None


def _overall(analysis: Analysis, settings: Settings | None) -> dict[str, str]:
    names = {"Analysis name": analysis.outcome, "Analysis group name": analysis.comparison}
    if settings is None:
        return names | {"Data type": _TYPES["other"], "Overall estimates": "false", "Subgroup estimates": "false"}
    overall, subgroups = _TOTALS[settings.totals]
    # Cochrane's word for ratios of any data type; read for estimates only.
    log = settings.log_data if settings.data_type == "generic" else bool(analysis.measure and analysis.measure.log)
    return names | {
        "Data source": "Custom input",
        "Data source eligibility": "#N/A",
        "Data type": _TYPES[settings.data_type],
        "Log-scale data": _truth(log),
        "Experimental group label": settings.label_e,
        "Control group label": settings.label_c,
        "Statistical method": "EXP_O_E_VAR" if settings.data_type == "O-E" else _METHODS.get(settings.method or "", ""),
        "Effect measure": settings.effect_label,
        "Analysis model": _MODELS.get(settings.model or "", ""),
        "Heterogeneity estimator": settings.tau2,
        "CI method": settings.ci,
        "Subgroup estimates": subgroups,
        "Overall estimates": overall,
        "Test for subgroup differences": _truth(settings.subgroup_test),
        "Swap event and non-event": _truth(settings.swap_events),
        "Study CI": f"{_number(100 * settings.level_study)}%",
        "Estimate CI": f"{_number(100 * settings.level_total)}%",
        "Graph label (left)": settings.label_left,
        "Graph label (right)": settings.label_right,
    }


def _results(analysis: Analysis, subgroup: str) -> dict[str, str]:
    if analysis.stored is None:
        return {}
    own = analysis.stored[analysis.stored["subgroup"] == subgroup]
    texts = dict(zip(own["quantity"], own["text"], strict=True))
    return {
        _RAISED[RESULT_COLUMNS[q]]: text for q, text in texts.items() if q in RESULT_COLUMNS and _is_result(q, text)
    }


def _is_result(quantity: str, text: str) -> bool:
    """Whether the form can hold it: a number, or a word on being estimable."""
    try:
        return quantity == "estimable" or not math.isinf(float(text))
    except ValueError:
        return False


def _study_rows(analysis: Analysis, data_type: str, years: Mapping[str, str]) -> list[dict[str, str]]:
    """A row a study; none where the form cannot hold every one of them."""
    table = analysis.studies
    columns = DATA_COLUMNS[data_type]
    if table is None or not {"study", "subgroup", "in_total", "footnote", *columns} <= set(table.columns):
        return []
    numbers = {s.name: str(s.number) for s in analysis.subgroups if s.number >= 1} | {"": ""}
    rows = []
    for record in table.to_dict("records"):
        study, subgroup = str(record["study"]), str(record["subgroup"])
        if clean(study).casefold() in ("", "#n/a") or subgroup not in numbers:
            return []
        row = {
            "Analysis name": analysis.outcome,
            "Subgroup": subgroup,
            "Subgroup number": numbers[subgroup],
            "Applicability": "SUBGROUP_AND_OVERALL" if record["in_total"] else "SUBGROUP",
            "Study": study,
            "Study year": years.get(study, ""),
            "Footnotes": str(record["footnote"]),
        }
        for name in columns:
            row[STUDY_COLUMNS.get(name, OTHER_DATA)] = _number(record[name])
        rows.append(row)
    return rows


def _years(review: Review) -> dict[str, str]:
    if review.studies is None or not {"study", "year"} <= set(review.studies.columns):
        return {}
    return {str(s): _number(y) for s, y in zip(review.studies["study"], review.studies["year"], strict=True)}


def _study_information(studies: pd.DataFrame | None) -> bytes:
    if studies is None or "study" not in studies:
        return b""
    columns = {"study": "Study", "year": "Year", "data_source": "Data source"}
    there = [c for c in columns if c in studies]
    rows = [{columns[c]: _number(record[c]) for c in there} for record in studies.to_dict("records")]
    return _csv(tuple(columns.values()), rows)


def _risk_of_bias(table: pd.DataFrame | None) -> bytes:
    if table is None or "study" not in table:
        return b""
    titles = {str(c): "Study" if c == "study" else f"Domain (judgement): {c}" for c in table.columns}
    rows = [{titles[str(c)]: _number(x) for c, x in record.items()} for record in table.to_dict("records")]
    return _csv(tuple(titles.values()), rows)


def _number(value: Any) -> str:
    """A number with all its digits, a text as it is, nothing where there is none."""
    import pandas as pd

    if pd.isna(value) or (isinstance(value, float) and math.isinf(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 and value else repr(value)
    return str(value)


def _truth(value: bool | None) -> str:
    return {True: "true", False: "false", None: ""}[value]


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """As Cochrane's are: UTF-8 with a byte-order mark. Characters that text files cannot hold are left out."""
    stream = io.StringIO(newline="")
    writer: csv.DictWriter[str] = csv.DictWriter(stream, columns, restval="")
    for row in (dict(zip(columns, columns, strict=True)), *rows):
        writer.writerow({column: text.replace("\0", "") for column, text in row.items()})
    return stream.getvalue().encode("utf-8-sig", errors="ignore")


def to_table(review: Review) -> pd.DataFrame:
    """All study rows of a review in one tidy table.

    Returns
    -------
    DataFrame
        One row a study row of an analysis, in the review's order: review, analysis, comparison, outcome, timepoint,
        measure, subgroup, in_total, study, year, then the data columns of all analyses (nan where an analysis has
        no such column), footnote last.
    """
    import pandas as pd

    parts = [_tidy(review, analysis) for analysis in review.analyses if analysis.studies is not None]
    first = ["review", "analysis", "comparison", "outcome", "timepoint", "measure", "subgroup", "in_total", "study"]
    order = [*dict.fromkeys(name for columns in DATA_COLUMNS.values() for name in columns)]
    met = dict.fromkeys(str(c) for part in parts for c in part.columns)
    data = sorted((c for c in met if c not in (*first, "footnote")), key=lambda c: order.index(c) if c in order else 99)
    columns = [*first, "year", *(c for c in data if c != "year"), "footnote"]
    filled = [part.reindex(columns=columns) for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = pd.concat([part.dropna(axis="columns", how="all") for part in filled], ignore_index=True)
    return table.reindex(columns=columns)


def _tidy(review: Review, analysis: Analysis) -> pd.DataFrame:
    assert analysis.studies is not None  # noqa: S101 - the caller has seen to it
    table = analysis.studies.copy()
    labels = {
        "review": review.id,
        "analysis": analysis.id,
        "comparison": analysis.comparison,
        "outcome": analysis.outcome,
        "timepoint": analysis.timepoint,
        "measure": analysis.measure.name if analysis.measure else "",
    }
    for name, text in labels.items():
        table[name] = text
    for name, usual in (("subgroup", ""), ("in_total", True), ("footnote", "")):
        if name not in table:
            table[name] = usual
    if "year" not in table:
        years = {s: int(y) for s, y in _years(review).items() if y.isdigit()}
        table["year"] = table["study"].map(years).astype("Int64")
    return table
