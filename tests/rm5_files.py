"""RevMan 5 files of the tests' own, written as RevMan writes them; and where the real ones are."""

from html import escape
from pathlib import Path

import pytest

FORMATS = Path(__file__).parents[1].parent / "shared" / "formats"
REAL = (
    "Fleiss1993.rm5",
    "cochrane/CD003188StatsDataOnly.rm5",
    "cochrane/CD004976StatsDataOnly.rm5",
    "cochrane/CD007868StatsDataOnly.rm5",
)

# What each type of analysis must store; a test overrides or adds.
SETTINGS = {
    "DICH": {"METHOD": "MH", "EFFECT_MEASURE": "RR", "RANDOM": "YES", "TOTALS": "YES", "SWAP_EVENTS": "NO"},
    "CONT": {"EFFECT_MEASURE": "MD", "RANDOM": "YES", "TOTALS": "YES"},
    "IV": {"RANDOM": "YES", "TOTALS": "YES", "LOG_DATA": "YES"},
    "IPD": {"TOTALS": "YES"},
    "OTHER": {},
}
ROWS = {
    "DICH": {"EVENTS_1": "3", "TOTAL_1": "20", "EVENTS_2": "5", "TOTAL_2": "21"},
    "CONT": {"MEAN_1": "1.5", "SD_1": "0.5", "TOTAL_1": "20", "MEAN_2": "1.9", "SD_2": "0.6", "TOTAL_2": "21"},
    "IV": {"ESTIMATE": "-0.25", "SE": "0.125", "TOTAL_1": "0", "TOTAL_2": "0"},
    "IPD": {"O_E": "-2.5", "VAR": "4.0"},
    "OTHER": {},
}
LABELS = ("Exercise", "Waiting list", "Favours exercise", "Favours waiting list")


def real(name: str) -> Path:
    """A real file, read in place; the test is skipped where it is absent."""
    path = FORMATS / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: real review files are kept beside the repository")
    return path


def element(tag: str, attributes: dict[str, str | None], inner: str = "") -> str:
    """An attribute of None is left out."""
    stored = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value is not None)
    return f"<{tag}{stored}>{inner}</{tag}>\n"


def row(kind: str, study: str = "STD-A", inner: str = "", **attributes: str | None) -> str:
    return element(f"{kind}_DATA", {"STUDY_ID": study, **ROWS[kind], **attributes}, inner)


def subgroup(kind: str, no: int, name: str, *rows: str, **attributes: str | None) -> str:
    inner = f"<NAME>{name}</NAME>{''.join(rows)}"
    return element(f"{kind}_SUBGROUP", {"NO": str(no), **attributes}, inner)


def outcome(
    kind: str, *parts: str, no: int = 1, name: str = "Pain", labels=LABELS, measure: str = "", **attributes: str | None
) -> str:
    tags = ("GROUP_LABEL_1", "GROUP_LABEL_2", "GRAPH_LABEL_1", "GRAPH_LABEL_2")
    inner = f"<NAME>{name}</NAME>" + "".join(f"<{t}>{x}</{t}>\n" for t, x in zip(tags, labels, strict=True))
    inner += f"<EFFECT_MEASURE>{measure}</EFFECT_MEASURE>" if measure else ""
    stored = {"NO": str(no), "CI_STUDY": "95", "CI_TOTAL": "95", **SETTINGS[kind], **attributes}
    return element(f"{kind}_OUTCOME", stored, inner + "".join(parts))


def review(*outcomes: str, studies: str | None = None, quality: str = "", title: str = "A review") -> str:
    """One comparison with these outcomes; studies A, B and C of 2001 to 2003 unless given."""
    listed = studies or "".join(
        f'<STUDY ID="STD-{x}" NAME="{x} 200{i}" YEAR="200{i}" DATA_SOURCE="PUB"/>\n' for i, x in enumerate("ABC", 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<COCHRANE_REVIEW REVMAN_VERSION="5">\n'
        f"<COVER_SHEET><TITLE>{title}</TITLE></COVER_SHEET>\n<STUDIES_AND_REFERENCES><STUDIES><INCLUDED_STUDIES>\n"
        f"{listed}</INCLUDED_STUDIES></STUDIES></STUDIES_AND_REFERENCES>\n"
        f"<QUALITY_ITEMS>{quality}</QUALITY_ITEMS>\n<ANALYSES_AND_DATA>\n"
        f'<COMPARISON NO="1"><NAME>Exercise for pain</NAME>\n{"".join(outcomes)}</COMPARISON>\n'
        "</ANALYSES_AND_DATA>\n</COCHRANE_REVIEW>\n"
    )
