"""The studies of an .rm5 file, and their risk of bias."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bayespip.readers.errors import ReadError
from bayespip.readers.results import text_column
from bayespip.readers.text import clean, year_or_none
from bayespip.readers.vocabulary import JUDGEMENTS, meaning, unique_names
from bayespip.readers.xml_tree import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from lxml import etree

__all__ = ["read_risk_of_bias", "read_studies"]


def read_studies(root: etree._Element, file: str, notes: list[str]) -> tuple[dict[str, str], pd.DataFrame]:
    """Names of all studies by id (also excluded ones), and the table of the included: study, year, data_source."""
    import pandas as pd

    names: dict[str, str] = {}
    for study in root.iterfind("STUDIES_AND_REFERENCES/STUDIES//STUDY"):
        key = (study.get("ID") or "").strip()
        if not key:
            place = f"line {study.sourceline}, attribute ID of STUDY"
            raise ReadError(file, place, expected="the id of a study", found="nothing")
        if key in names:
            notes.append(f"The study id {key} stands more than once; its first name, {names[key]}, is used.")
        names.setdefault(key, clean(study.get("NAME")) or key)
    included = root.findall("STUDIES_AND_REFERENCES/STUDIES/INCLUDED_STUDIES/STUDY")
    labels = [clean(s.get("NAME")) or s.get("ID", "").strip() for s in included]
    notes += [f"{n} included studies are named {label}." for label, n in Counter(labels).items() if n > 1]
    table = {
        "study": text_column(labels),
        "year": pd.array([_year(s, label, notes) for s, label in zip(included, labels, strict=True)], dtype="Int64"),
    }
    sources = [clean(s.get("DATA_SOURCE")) for s in included]
    if any(sources):
        table["data_source"] = text_column(sources)
    return names, pd.DataFrame(table)


def _year(study: etree._Element, name: str, notes: list[str]) -> int | None:
    text = clean(study.get("YEAR"))
    year = year_or_none(text)
    if text and year is None:
        notes.append(f"The year of {name}, {text!r}, is no year of publication; it is left out.")
    return year


def read_risk_of_bias(
    root: etree._Element, names: Mapping[str, str], studies: pd.DataFrame, file: str, notes: list[str]
) -> pd.DataFrame | None:
    """One row an included study, one column a domain (or domain and group of outcomes); None where none is judged."""
    import pandas as pd

    columns: dict[tuple[str, str], dict[str, str]] = {}
    titles: dict[tuple[str, str], str] = {}
    for n, item in enumerate(root.iter("QUALITY_ITEM")):
        groups = {g.get("ID", ""): text_of(g.find("NAME")) for g in item.iter("QUALITY_ITEM_GROUP")}
        title = text_of(item.find("NAME")) or f"Domain {n + 1}"
        for entry in item.iter("QUALITY_ITEM_DATA_ENTRY"):
            study, group = entry.get("STUDY_ID", "").strip(), entry.get("GROUP_ID", "").strip()
            if not study:
                place = f"line {entry.sourceline}, attribute STUDY_ID of {entry.tag}"
                raise ReadError(file, place, expected="the id of a study", found="nothing")
            column = (str(n), group)
            titles.setdefault(column, f"{title}: {groups.get(group) or group}" if group else title)
            columns.setdefault(column, {})[names.get(study, study)] = _judgement(entry, title, notes)
    if not columns:
        return None
    labels = unique_names([titles[c] for c in columns])
    table = {"study": studies["study"].array}
    for label, judged in zip(labels, columns.values(), strict=True):
        table[label] = text_column([judged.get(s) for s in studies["study"]])
    absent = sorted({s for judged in columns.values() for s in judged} - set(studies["study"]))
    if absent:
        notes.append(f"Risk of bias is judged of {', '.join(absent)}, not among the included studies; left out.")
    return pd.DataFrame(table)


def _judgement(entry: etree._Element, title: str, notes: list[str]) -> str:
    text = clean(entry.get("RESULT"))
    judgement = meaning(JUDGEMENTS, text)
    if judgement is None and text:
        notes.append(f"The judgement {text!r} ({title}) is none of RevMan 5's; it is kept as it stands.")
    return judgement or text
