"""RevMan 5's own file (.rm5, XML) to a Review."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bayespip.readers.errors import ReadError
from bayespip.readers.results import reported_total, stored_table, text_column
from bayespip.readers.text import decode, level, number
from bayespip.readers.vocabulary import DATA_COLUMNS, METHODS, MODELS, favoured, meaning, measure_of, unique_names
from bayespip.readers.xml_studies import read_risk_of_bias, read_studies
from bayespip.readers.xml_tree import line_of, parse_xml, text_of
from bayespip.review import Analysis, Review
from bayespip.settings import Settings, Subgroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from lxml import etree

__all__ = ["read_rm5"]

# The first part of an element's name, such as DICH_OUTCOME.
_TYPES = {"DICH": "dichotomous", "CONT": "continuous", "IV": "generic", "IPD": "O-E", "OTHER": "other"}
_ROW_KINDS = ("_OUTCOME", "_SUBGROUP", "_DATA")

_ATTRIBUTES = {
    "event_e": "EVENTS_1", "n_e": "TOTAL_1", "event_c": "EVENTS_2", "n_c": "TOTAL_2",
    "mean_e": "MEAN_1", "sd_e": "SD_1", "mean_c": "MEAN_2", "sd_c": "SD_2",
    "yi": "ESTIMATE", "sei": "SE", "o_e": "O_E", "variance": "VAR",
}  # fmt: skip
# RevMan asks for these only on request (SHOW_PARTICIPANTS) or not always.
_OPTIONAL = {"generic": ("n_e", "n_c"), "O-E": ("event_e", "n_e", "event_c", "n_c")}

_STORED = {
    "effect": "EFFECT_SIZE", "lower": "CI_START", "upper": "CI_END", "z": "Z", "p": "P_Z", "tau2": "TAU2",
    "chi2": "CHI2", "df": "DF", "i2": "I2", "p_chi2": "P_CHI2", "k": "STUDIES", "n_e": "TOTAL_1", "n_c": "TOTAL_2",
    "event_e": "EVENTS_1", "event_c": "EVENTS_2", "weight": "WEIGHT", "estimable": "ESTIMABLE",
    "q": "Q", "p_q": "P_Q", "i2_q": "I2_Q",
}  # fmt: skip

_TOTALS = {"YES": "total", "SUB": "subgroups", "NO": "none"}
_YES_NO = {"YES": True, "NO": False}


@dataclass
class _File:
    """What every part of the reader needs: the file's name and text, its studies by id, and the notes so far."""

    name: str
    text: str
    studies: Mapping[str, str]
    notes: list[str]
    unknown: set[str] = field(default_factory=set)
    read: Counter[str] = field(default_factory=Counter)

    def error(self, element: etree._Element, what: str, expected: str, found: object) -> ReadError:
        line = line_of(element, self.text)
        place = f"line {line}, {what} of {element.tag}" if what else f"line {line}"
        return ReadError(self.name, place, expected=expected, found=found)

    def required(self, element: etree._Element, attribute: str, expected: str) -> str:
        value = element.get(attribute)
        if value is None:
            raise self.error(element, f"attribute {attribute}", expected, "no such attribute")
        return value.strip()

    def chosen[T](self, element: etree._Element, attribute: str, choices: Mapping[str, T]) -> T:
        expected = f"one of {', '.join(choices)}"
        value = self.required(element, attribute, expected)
        if value.upper() not in choices:
            raise self.error(element, f"attribute {attribute}", expected, repr(value))
        return choices[value.upper()]

    def counted(self, element: etree._Element) -> int:
        """Number of a comparison, outcome or subgroup."""
        expected = "a whole number"
        value = self.required(element, "NO", expected)
        if not re.fullmatch(r"[0-9]{1,6}", value):
            raise self.error(element, "attribute NO", expected, repr(value))
        return int(value)

    def study(self, element: etree._Element) -> str:
        key = self.required(element, "STUDY_ID", "the id of a study")
        if not key:
            raise self.error(element, "attribute STUDY_ID", "the id of a study", "nothing")
        if key not in self.studies and key not in self.unknown:
            self.unknown.add(key)
            self.notes.append(f"{key} has data and no entry among the studies; its id stands for its name.")
        return self.studies.get(key, key)


def read_rm5(data: bytes, file: str) -> Review:
    """A review from the bytes of an .rm5 file.

    Parameters
    ----------
    data
        The whole file.
    file
        Its name, for messages and the review's id.

    Returns
    -------
    Review
        With every analysis, also those without studies or totals, in the file's order; what was repaired or is odd
        stands in `notes`. Its id is the Cochrane number where the file or its name has one, else the name.

    Raises
    ------
    ReadError
        If it is not well-formed XML (after safe repairs), not a RevMan 5 review, or an attribute that the analysis
        needs is absent or not of its kind; with line and attribute.
    """
    decoded = decode(data, file)
    root, repairs = parse_xml(decoded, file)
    if root.tag != "COCHRANE_REVIEW":
        raise ReadError(file, f"line {root.sourceline}", expected="<COCHRANE_REVIEW>", found=f"<{root.tag}>")
    notes = list(repairs)
    names, table = read_studies(root, file, notes)
    source = _File(file, decoded.text, names, notes)
    analyses: list[Analysis] = []
    for comparison in root.iterfind("ANALYSES_AND_DATA/COMPARISON"):
        analyses += _comparison(comparison, source)
    _refuse_unread(root, source)
    _refuse_repeated(analyses, source)
    if not analyses:
        notes.append("The file holds no analyses.")
    version = " ".join(filter(None, ("RevMan", root.get("REVMAN_SUB_VERSION") or root.get("REVMAN_VERSION"))))
    return Review(
        id=_review_id(root, file),
        title=text_of(root.find("COVER_SHEET/TITLE")),
        doi=(root.get("DOI") or "").strip(),
        provenance=f"Read from {file}, a review's own file as {version} writes it.",
        analyses=tuple(analyses),
        studies=table,
        risk_of_bias=read_risk_of_bias(root, names, table, file, notes),
        notes=tuple(notes),
    )


def _review_id(root: etree._Element, file: str) -> str:
    match = re.search(r"\bCD[0-9]{6}|(?<![A-Za-z])CD[0-9]{6}", f"{root.get('DOI') or ''} {file}")
    return match[0] if match else re.sub(r"\.[^.]*$", "", file)


def _comparison(comparison: etree._Element, source: _File) -> list[Analysis]:
    number_, name = source.counted(comparison), text_of(comparison.find("NAME"))
    return [
        _analysis(outcome, f"{number_}.{source.counted(outcome)}", name, source)
        for outcome in comparison
        if outcome.tag.endswith("_OUTCOME") and outcome.tag.removesuffix("_OUTCOME") in _TYPES
    ]


def _analysis(outcome: etree._Element, key: str, comparison: str, source: _File) -> Analysis:
    prefix = outcome.tag.removesuffix("_OUTCOME")
    settings = _settings(outcome, prefix, key, source)
    source.read[outcome.tag] += 1
    try:
        measure = measure_of(settings.data_type, settings.effect_label, settings.log_data, settings.method)
    except ValueError as error:
        raise source.error(outcome, "attribute EFFECT_MEASURE", "an effect measure", error) from None
    groups = outcome.findall(f"{prefix}_SUBGROUP")
    source.read[f"{prefix}_SUBGROUP"] += len(groups)
    names = unique_names([text_of(g.find("NAME")) for g in groups])
    subgroups = tuple(Subgroup(source.counted(g), name) for g, name in zip(groups, names, strict=True))
    results = {"": _results(outcome)} | {n: _results(g) for g, n in zip(groups, names, strict=True)}
    rows = [(row, "") for row in outcome.iterfind(f"{prefix}_DATA")]
    rows += [(row, n) for g, n in zip(groups, names, strict=True) for row in g.iterfind(f"{prefix}_DATA")]
    favours = favoured(settings)
    return Analysis(
        id=key,
        comparison=comparison,
        outcome=text_of(outcome.find("NAME")),
        timepoint="",
        measure=measure,
        studies=_study_table(rows, settings.data_type, key, source),
        reported=reported_total(results[""], settings, measure, favours),
        favours=favours,
        settings=settings,
        subgroups=subgroups,
        stored=stored_table(results),
        note=" ".join(filter(None, (text_of(f) for e in (outcome, *groups) for f in e.iterfind("FOOTNOTE")))),
    )


def _settings(outcome: etree._Element, prefix: str, key: str, source: _File) -> Settings:
    data_type = _TYPES[prefix]
    pooled = data_type != "other"
    return Settings(
        data_type=data_type,
        method=_method(outcome, data_type, source),
        # O-E analyses may store no model: RevMan pools them with fixed effect.
        model=_model(outcome, data_type, source) if pooled else None,
        totals=source.chosen(outcome, "TOTALS", _TOTALS) if pooled else "none",
        subgroup_test=_YES_NO.get(outcome.get("SUBGROUP_TEST", "").upper()),
        level_study=_level(outcome, "CI_STUDY", key, source) if pooled else 0.95,
        level_total=_level(outcome, "CI_TOTAL", key, source) if pooled else 0.95,
        swap_events=source.chosen(outcome, "SWAP_EVENTS", _YES_NO) if outcome.get("SWAP_EVENTS") else None,
        log_data=source.chosen(outcome, "LOG_DATA", _YES_NO) if data_type == "generic" else None,
        effect_label=_effect_label(outcome, data_type, source),
        label_e=text_of(outcome.find("GROUP_LABEL_1")),
        label_c=text_of(outcome.find("GROUP_LABEL_2")),
        label_left=text_of(outcome.find("GRAPH_LABEL_1")),
        label_right=text_of(outcome.find("GRAPH_LABEL_2")),
    )


def _method(outcome: etree._Element, data_type: str, source: _File) -> str | None:
    """MH, IV or Peto is a choice for dichotomous data only; elsewhere the data type implies it."""
    if data_type == "dichotomous":
        value = source.required(outcome, "METHOD", "one of MH, IV, PETO")
        method = meaning(METHODS, value)
        if method is None:
            raise source.error(outcome, "attribute METHOD", "one of MH, IV, PETO", repr(value))
        return method
    return {"O-E": "Peto", "other": None}.get(data_type, "IV")


def _model(outcome: etree._Element, data_type: str, source: _File) -> str:
    if data_type == "O-E" and outcome.get("RANDOM") is None:
        return "fixed"
    return source.chosen(outcome, "RANDOM", {"NO": MODELS["no"], "YES": MODELS["yes"]})


def _level(outcome: etree._Element, attribute: str, key: str, source: _File) -> float:
    text = (outcome.get(attribute) or "").strip()
    if not text:
        source.notes.append(f"{key} stores no {attribute}; intervals are taken as of 95%.")
        return 0.95
    try:
        return level(text)
    except ValueError as error:
        raise source.error(outcome, f"attribute {attribute}", str(error), repr(text)) from None


def _effect_label(outcome: etree._Element, data_type: str, source: _File) -> str:
    """Of generic and O-E data in the authors' own words, an element; of the others a code, an attribute."""
    if data_type in ("dichotomous", "continuous"):
        return source.required(outcome, "EFFECT_MEASURE", "an effect measure")
    return (outcome.get("EFFECT_MEASURE") or "").strip() or text_of(outcome.find("EFFECT_MEASURE"))


def _results(element: etree._Element) -> dict[str, str]:
    return {quantity: element.get(attribute, "").strip() for quantity, attribute in _STORED.items()}


def _study_table(rows: list[tuple[etree._Element, str]], data_type: str, key: str, source: _File) -> pd.DataFrame:
    """The rows in the file's order, columns as DATA_COLUMNS says."""
    import pandas as pd

    names = [source.study(row) for row, _ in rows]
    for row, _ in rows:
        source.read[row.tag] += 1
    _note_repeated(list(zip(names, (group for _, group in rows), strict=True)), key, source)
    columns: dict[str, object] = {
        "study": text_column(names),
        "subgroup": text_column([group for _, group in rows]),
        # RevMan 5 leaves rows out of a total only all together, by TOTALS.
        "in_total": np.full(len(rows), fill_value=True),
    }
    if data_type == "other":
        columns["text"] = text_column([_cells(row) for row, _ in rows])
    else:
        for column in DATA_COLUMNS[data_type]:
            columns[column] = np.array([_number(row, column, data_type, source) for row, _ in rows], dtype=float)
    columns["footnote"] = text_column([text_of(row.find("FOOTNOTE")) for row, _ in rows])
    return pd.DataFrame(columns)


def _number(row: etree._Element, column: str, data_type: str, source: _File) -> float:
    attribute = _ATTRIBUTES[column]
    text = row.get(attribute)
    if text is None and column not in _OPTIONAL.get(data_type, ()):
        raise source.error(row, f"attribute {attribute}", "a number", "no such attribute")
    try:
        return number(text)
    except ValueError as error:
        raise source.error(row, f"attribute {attribute}", str(error), repr(text)) from None


def _cells(row: etree._Element) -> str:
    """Cells of a row of "other data", or its text; without its footnote."""
    cells = [text_of(cell) for cell in row.iter("TD")]
    return " | ".join(cells) or " ".join(filter(None, (text_of(e) for e in row if e.tag != "FOOTNOTE")))


def _note_repeated(places: list[tuple[str, str]], key: str, source: _File) -> None:
    for (name, group), count in Counter(places).items():
        if count > 1:
            where = f" in {group}" if group else ""
            source.notes.append(f"{key}: {name} stands {count} times{where}; every row is kept.")


def _refuse_unread(root: etree._Element, source: _File) -> None:
    """No row stands where it is not read, and no row is of an unknown type: nothing is lost silently."""
    for element in root.iterfind("ANALYSES_AND_DATA//*"):
        prefix, underscore, kind = element.tag.rpartition("_")
        if underscore + kind in _ROW_KINDS and prefix not in _TYPES:
            known = ", ".join(f"{p}_{kind}" for p in _TYPES)
            raise source.error(element, "", f"one of {known}", f"<{element.tag}>")
    for tag in (prefix + kind for prefix in _TYPES for kind in _ROW_KINDS):
        there, read = sum(1 for _ in root.iter(tag)), source.read[tag]
        if there != read:
            expected = f"every {tag} in an analysis of its type ({there} in the file)"
            raise ReadError(source.name, "", expected=expected, found=f"{read} so placed")


def _refuse_repeated(analyses: list[Analysis], source: _File) -> None:
    for key, count in Counter(a.id for a in analyses).items():
        if count > 1:
            raise ReadError(source.name, f"analysis {key}", expected="one analysis of that number", found=count)
