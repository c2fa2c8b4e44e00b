"""The Cochrane Library's data package: a zip of CSV files, or the zip that holds it.

Source: RevMan's knowledge base, "Data package specification" (documentation.cochrane.org/revman-kb): version 1
until 23 September 2024; the later version adds the estimator of tau2, the interval method and the sides' labels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bayespip.readers.archives import wanted_members
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
from bayespip.readers.errors import ReadError
from bayespip.readers.own_package import OWN_FILE, with_remainder
from bayespip.readers.package_subgroups import package_subgroups
from bayespip.readers.text import clean, decode
from bayespip.readers.vocabulary import DATA_COLUMNS, JUDGEMENTS, METHODS, MODELS, TYPES, meaning, unique_names
from bayespip.review import Review
from bayespip.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from bayespip.readers.csv_table import CsvRow, CsvTable
    from bayespip.readers.package_subgroups import PackageSubgroups
    from bayespip.review import Analysis

__all__ = ["FILES", "KEY", "RESULT_COLUMNS", "STUDY_COLUMNS", "read_data_package", "review_of_tables"]

# What the package's files are called, after the review's number and a hyphen.
FILES: Mapping[str, str] = {
    "rows": "data-rows.csv",
    "overall": "overall-estimates-and-settings.csv",
    "subgroups": "subgroup-estimates.csv",
    "studies": "study-information.csv",
    "bias": "risk-of-bias.csv",
}
# What a review of diagnostic tests has in place of these.
_DIAGNOSTIC = "parameters.csv"

KEY = ("Analysis group", "Analysis number")
# Column of data-rows.csv for each column of Analysis.studies.
STUDY_COLUMNS: Mapping[str, str] = {
    "event_e": "Experimental cases", "n_e": "Experimental N", "event_c": "Control cases", "n_c": "Control N",
    "mean_e": "Experimental mean", "sd_e": "Experimental SD", "mean_c": "Control mean", "sd_c": "Control SD",
    "yi": "GIV Mean", "sei": "GIV SE", "o_e": "O-E", "variance": "Variance",
}  # fmt: skip
# Of the results, Cochrane's files have no number of studies, no word on whether one is estimable, and of the
# total no weight: those columns are this package's own.
RESULT_COLUMNS: Mapping[str, str] = {
    "effect": "Mean", "lower": "CI start", "upper": "CI end", "z": "Effect Z", "p": "Effect P",
    "tau2": "Heterogeneity Tau2", "chi2": "Heterogeneity Chi2", "df": "Heterogeneity df",
    "i2": "Heterogeneity I2", "p_chi2": "Heterogeneity P",
    "n_e": "Experimental N", "n_c": "Control N", "event_e": "Experimental cases", "event_c": "Control cases",
    "weight": "Weight", "k": "Studies", "estimable": "Estimable",
    "q": "Subgroup Chi2", "df_q": "Subgroup df", "p_q": "Subgroup P", "i2_q": "Subgroup I2",
}  # fmt: skip
TAU2_WORDS: Mapping[str, str] = {
    "dl": "DL", "dersimonianlaird": "DL", "dersimonianandlaird": "DL",
    "reml": "REML", "restrictedmaximumlikelihood": "REML",
}  # fmt: skip
CI_WORDS: Mapping[str, str] = {
    "wald": "Wald", "waldtype": "Wald",
    "hksj": "HKSJ", "hartungknapp": "HKSJ", "hartungknappsidikjonkman": "HKSJ",
}  # fmt: skip
# Whether a row enters its subgroup, the total, or both.
_APPLICABILITY: Mapping[str, str] = {
    "subgroupandoverall": "both", "overallandsubgroup": "both", "both": "both",
    "subgroup": "subgroup", "subgrouponly": "subgroup",
    "overall": "overall", "overallonly": "overall",
}  # fmt: skip

_BIAS = re.compile(r"\s*domain\s*\(judge?ment\)\s*:?\s*(?P<domain>.*)", re.IGNORECASE | re.DOTALL)


def read_data_package(data: bytes, file: str) -> Review:
    """A review from its data package.

    Zeros stand for missing in two places: a result whose effect and both limits are 0 is none, and columns of
    another data type hold 0.0 and are not read.

    Parameters
    ----------
    data
        The zip.
    file
        Its name.

    Raises
    ------
    ReadError
        If it is no whole data package of one review of interventions; the message names file, row and column.
    """
    if not data.startswith(b"PK"):
        lone = "the whole data package (.zip): one file of it does not hold the settings and the studies together"
        raise ReadError(file, "", expected=lone, found="a single CSV file")
    names = (*FILES.values(), OWN_FILE, _DIAGNOSTIC)
    members = wanted_members(data, file, lambda name: _of_kind(name, names) is not None)
    found: dict[str, tuple[str, bytes]] = {}
    for path, content in members.items():
        kind = _of_kind(path.rpartition("/")[2].lower(), names)
        assert kind is not None  # noqa: S101 - wanted_members returns no others
        if kind in found:
            raise ReadError(file, path, expected=f"the package of one review, with one {kind}", found="another")
        found[kind] = path, content
    if _DIAGNOSTIC in found:
        raise ReadError(file, found[_DIAGNOSTIC][0], expected="a review of interventions", found="one of tests")
    _, own = found.pop(OWN_FILE, (None, None))
    review = review_of_tables(found, file)
    if own is None:
        return review
    return with_remainder(review, own, {kind: content for kind, (_, content) in found.items()}, file)


def _of_kind(name: str, kinds: tuple[str, ...]) -> str | None:
    return next((kind for kind in kinds if name == kind or name.endswith(f"-{kind}")), None)


def review_of_tables(found: Mapping[str, tuple[str, bytes]], file: str) -> Review:
    """The review that the package's tables give.

    Parameters
    ----------
    found
        Of each kind of file (FILES), its path and contents.
    file
        Name of the archive.
    """
    tables: dict[str, CsvTable] = {}
    notes: list[str] = []
    for short, kind in FILES.items():
        if kind in found:
            path, content = found[kind]
            decoded = decode(content, path)
            notes.extend(decoded.notes)
            tables[short] = parse_csv(decoded.text, path, distinct=short != "bias")
    if ("rows" in tables) != ("overall" in tables):
        missing = FILES["overall" if "rows" in tables else "rows"]
        raise ReadError(file, "", expected=f"a data package with {missing}", found=", ".join(sorted(found)))
    if not tables:
        expected = f"a data package, with {FILES['rows']} and {FILES['overall']}"
        raise ReadError(file, "", expected=expected, found="none of its files")
    analyses = _analyses(tables, notes) if "rows" in tables else ()
    if not analyses:
        notes.append("The file holds no analyses.")
    name = _name(next(iter(found.values()))[0], file)
    return Review(
        id=name,
        title=name,
        doi="",
        provenance=f"Read from {file}, a data package of the Cochrane Library.",
        analyses=analyses,
        studies=_studies(tables, notes),
        risk_of_bias=_risk_of_bias(tables.get("bias")),
        notes=tuple(dict.fromkeys(notes)),
    )


def _name(path: str, file: str) -> str:
    """The review's number, which leads the files' names; else the archive's name."""
    base = path.rpartition("/")[2]
    kind = _of_kind(base.lower(), tuple(FILES.values())) or ""
    return base[: -len(kind)].rstrip("-").strip() or re.sub(r"(?i)\.zip$", "", file)


@dataclass(slots=True)
class _Collected:
    """Of one analysis, the rows of each file."""

    overall: CsvRow
    rows: list[CsvRow] = field(default_factory=list)
    subgroups: list[CsvRow] = field(default_factory=list)


def _analyses(tables: Mapping[str, CsvTable], notes: list[str]) -> tuple[Analysis, ...]:
    overall, rows, subgroups = (tables.get(short) for short in ("overall", "rows", "subgroups"))
    assert overall is not None and rows is not None  # noqa: S101, PT018 - the caller has seen to it
    overall.require(*KEY, "Analysis name", "Analysis group name", "Data type", "Statistical method",
                    "Effect measure", "Analysis model", "Mean", "CI start", "CI end")  # fmt: skip
    rows.require(*KEY, "Study")
    collected: dict[tuple[int, int], _Collected] = {}
    for row in overall:
        if (key := _key(row)) in collected:
            raise row.error("Analysis number", f"analysis {key[0]}.{key[1]} once")
        collected[key] = _Collected(row)
    for row in rows:
        _of(collected, row).rows.append(row)
    if subgroups is not None:
        subgroups.require(*KEY, "Subgroup", "Subgroup number", "Mean", "CI start", "CI end")
        for row in subgroups:
            _of(collected, row).subgroups.append(row)
    return tuple(_analysis(key, parts, rows, notes) for key, parts in collected.items())


def _key(row: CsvRow) -> tuple[int, int]:
    return row.whole(KEY[0], 1), row.whole(KEY[1], 1)


def _of(collected: Mapping[tuple[int, int], _Collected], row: CsvRow) -> _Collected:
    if (key := _key(row)) not in collected:
        raise row.error("Analysis number", f"an analysis of {FILES['overall']}, which has no {key[0]}.{key[1]}")
    return collected[key]


def _analysis(key: tuple[int, int], parts: _Collected, table: CsvTable, notes: list[str]) -> Analysis:
    row, label = parts.overall, f"{key[0]}.{key[1]}"
    settings = _settings(row, label, notes)
    columns = [STUDY_COLUMNS[c] for c in DATA_COLUMNS[settings.data_type] if c in STUDY_COLUMNS]
    if parts.rows:
        table.require(*columns)
    groups = package_subgroups(parts.rows, parts.subgroups, label, notes)
    results = {"": results_of(row, RESULT_COLUMNS)}
    results |= {groups.of(r): results_of(r, RESULT_COLUMNS) for r in parts.subgroups if groups.is_one(r)}
    studies = [_study_row(r, settings.data_type, groups) for r in parts.rows]
    notes.extend(repeated_studies(label, studies))
    return assembled(
        key,
        (row.name("Analysis group name"), row.name("Analysis name")),
        settings,
        measure_in(row, "Effect measure", settings),
        subgroups=groups.all,
        rows=studies,
        results=results,
    )


def _settings(row: CsvRow, label: str, notes: list[str]) -> Settings:
    data_type = word(row, "Data type", TYPES, needed=True)
    assert data_type is not None  # noqa: S101 - word raises where it is needed and absent
    by_type = {"continuous": "IV", "generic": "IV", "O-E": "Peto"}
    total, parts = row.truth("Overall estimates"), row.truth("Subgroup estimates")
    return Settings(
        data_type=data_type,
        method=by_type.get(data_type) or word(row, "Statistical method", METHODS, needed=data_type != "other"),
        model=word(row, "Analysis model", MODELS, needed=data_type != "other"),
        # Version 1 names neither: it has these two only.
        tau2=_choice(row, "Heterogeneity estimator", TAU2_WORDS, label, notes) or "DL",
        ci=_choice(row, "CI method", CI_WORDS, label, notes) or "Wald",
        totals="total" if total is not False else "subgroups" if parts is not False else "none",
        subgroup_test=row.truth("Test for subgroup differences"),
        level_study=level_of(row, ("Study CI", "CI/PI level")),
        level_total=level_of(row, ("Estimate CI", "CI/PI level")),
        swap_events=swapped(row, "Effect measure") if data_type == "dichotomous" else None,
        log_data=row.truth("Log-scale data") if data_type == "generic" else None,
        effect_label=row.name("Effect measure"),
        label_e=row.name("Experimental group label"),
        label_c=row.name("Control group label"),
        label_left=row.name("Graph label (left)"),
        label_right=row.name("Graph label (right)"),
    )


def _choice(row: CsvRow, column: str, words: Mapping[str, str], label: str, notes: list[str]) -> str | None:
    """What the package names; None, and a note, for what is not known here."""
    text = row.name(column)
    if text and meaning(words, text) is None:
        notes.append(f"{label}: the {column.lower()} {text!r} is not known here; RevMan 5's stands in its place.")
    return meaning(words, text)


def _study_row(row: CsvRow, data_type: str, groups: PackageSubgroups) -> StudyRow:
    study = row.name("Study")
    if not study:
        raise row.error("Study", "the name of a study")
    applies = meaning(_APPLICABILITY, row.name("Applicability") or "both")
    if applies is None:
        raise row.error("Applicability", "one of SUBGROUP_AND_OVERALL, SUBGROUP, OVERALL")
    subgroup = "" if applies == "overall" else groups.of(row)
    columns = [STUDY_COLUMNS[name] for name in DATA_COLUMNS[data_type] if name in STUDY_COLUMNS]
    data = tuple(row.number(c) for c in columns) if columns else (row.name(OTHER_DATA),)
    return StudyRow(study, subgroup, applies != "subgroup", data, row.name("Footnotes"))


def _studies(tables: Mapping[str, CsvTable], notes: list[str]) -> pd.DataFrame:
    """Review.studies from study-information.csv; where the package has none, from the studies with data."""
    if "studies" in tables:
        table = tables["studies"]
        table.require("Study")
        year = "Year" if table.has("Year") else "Study year"
        found = [(r.name("Study"), r.name(year)) for r in table]
        studies, odd = studies_of(found, {r.name("Study"): r.name("Data source") for r in table})
    else:
        studies, odd = studies_of([(r.name("Study"), r.name("Study year")) for r in tables.get("rows", ())])
    notes.extend(odd)
    return studies


def _risk_of_bias(table: CsvTable | None) -> pd.DataFrame | None:
    """One row a study, one column a domain, in words; None where no domain is judged."""
    import pandas as pd

    if table is None:
        return None
    table.require("Study")
    matches = [(i, _BIAS.fullmatch(column)) for i, column in enumerate(table.header)]
    domains = [(i, clean(match["domain"])) for i, match in matches if match]
    if not domains or not table.records:
        return None
    columns = {"study": pd.array([row.name("Study") for row in table], dtype="str")}
    for label, (i, _) in zip(unique_names([name for _, name in domains]), domains, strict=True):
        words = [clean(row.cells[i]) for row in table]
        columns[label] = pd.array([meaning(JUDGEMENTS, w) or w or None for w in words], dtype="str")
    return pd.DataFrame(columns)
