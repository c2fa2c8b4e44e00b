"""The bundled reviews, and published results read from a table.

Each review has a TOML codebook in bayespip.data that names its tables, their sources and every column.
Published numbers are read as text, so that their printed precision survives.
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections import Counter
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bayespip.measures import as_measure
from bayespip.review import CLAIMS, DIRECTIONS, Analysis, Printed, Reported, Review

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.resources.abc import Traversable

    import pandas as pd

__all__ = ["REVIEWS", "list_reviews", "load_external_facts", "load_review", "load_stated"]

REVIEWS = ("bcg", "coaching", "pip")
NOT_PUBLISHED = "not published; read the review's own data file"
NOT_STATED = "not stated"


def load_review(name: str) -> Review:
    """A bundled review.

    Parameters
    ----------
    name
        "pip": the parent-infant psychotherapy review (Barlow 2016), 19 published results and 10 outcomes
        named without numbers; "bcg": 13 trials of BCG vaccine (Colditz 1994); "coaching": eight schools
        (Rubin 1981).

    Returns
    -------
    Review
        Its `provenance` says what is public and what is not.

    Raises
    ------
    ValueError
        If there is no review of that name; the message lists the choices.

    Examples
    --------
    >>> review = bp.load_review("pip")
    >>> len(review.analyses), review["P1"].outcome
    (29, 'Infant attachment: secure')
    """
    data, codebook = files("bayespip.data"), _codebook(name)
    tables = codebook["tables"]
    read = dict.fromkeys((f"{name}.toml", *(table["file"] for table in tables.values())))
    frames = {
        role: _frame(data / table["file"], table["columns"])
        for role, table in tables.items()
        if role not in ("reported", "not_reported")
    }
    analyses = [_study_data(entry, frames) for entry in codebook.get("analyses", ())]
    if "reported" in tables:
        analyses += published_results(data / tables["reported"]["file"])
    if "not_reported" in tables:
        analyses += _unpublished(data / tables["not_reported"]["file"])
    return Review(
        id=name,
        title=codebook["title"],
        doi=codebook["doi"],
        provenance=codebook["provenance"],
        analyses=tuple(analyses),
        studies=frames.get("studies"),
        risk_of_bias=frames.get("risk_of_bias"),
        arms=frames.get("arms"),
        external=frames.get("external"),
        topics=tuple(codebook.get("prior_topics", ())),
        sources=tuple((file, sha256((data / file).read_bytes()).hexdigest()) for file in read),
    )


def _codebook(name: str) -> dict[str, Any]:
    if name not in REVIEWS:
        raise ValueError(f"review must be one of {', '.join(REVIEWS)}; got {name!r}.")
    return tomllib.loads((files("bayespip.data") / f"{name}.toml").read_text(encoding="utf-8"))


STATED = ("kind", "about", "value", "place", "quotation")
"""Columns of a review's statements."""


def load_stated(name: str) -> pd.DataFrame | None:
    """What a bundled review says in words of its studies and results, for ``audit``.

    Parameters
    ----------
    name
        As of ``load_review``.

    Returns
    -------
    DataFrame or None
        One row a statement, all text: kind (the codebook in bayespip.data lists the kinds), about (a comparison, the
        id of an analysis, or "" for the review), value (names of studies separated by semicolons), place (section of
        the publication), quotation (as printed). None if none is recorded.

    Raises
    ------
    ValueError
        If there is no review of that name; the message lists the choices.
    """
    import pandas as pd

    rows = _codebook(name).get("stated")
    return pd.DataFrame(rows, columns=list(STATED), dtype="str") if rows else None


def load_external_facts(name: str) -> dict[str, dict[str, Any]]:
    """What the codebook says of a bundled review's evidence from outside, by the id in ``Review.external``.

    Of each: ``intervention``; ``same_intervention``, whether it is or includes the review's; ``counted_twice``, why it
    would count trials twice, or "".
    """
    return dict(_codebook(name).get("external", {}))


def list_reviews() -> pd.DataFrame:
    """The bundled reviews.

    Returns
    -------
    DataFrame
        One row a review: name, title, analyses (their number), data (what there is of them, such as
        "19 published, 10 not published"), doi.

    Examples
    --------
    >>> print(bp.list_reviews()[["name", "analyses", "doi"]].to_string(index=False))
        name  analyses                              doi
         bcg         1 10.1001/jama.1994.03510330076038
    coaching         1        10.3102/10769986006004377
         pip        29    10.1080/02646838.2016.1222357
    """
    import pandas as pd

    rows = []
    for name in REVIEWS:
        review = load_review(name)
        bases = Counter(analysis.basis for analysis in review)
        data = ", ".join(f"{number} {basis}" for basis, number in bases.items())
        rows.append((name, review.title, len(review), data, review.doi))
    return pd.DataFrame(rows, columns=["name", "title", "analyses", "data", "doi"])


def published_results(file: Traversable) -> tuple[Analysis, ...]:
    """Published pooled results, one a row of a CSV table.

    Parameters
    ----------
    file
        Columns id, comparison, outcome, timepoint, measure, k, n, estimate, ci_lower, ci_upper, p, q, df,
        p_q, tau2, i2_percent, favours_pip, claim, studies_named, k_source; numbers as printed, empty where
        there is none.

    Returns
    -------
    tuple of Analysis
        In the order of the rows. Impossible numbers are kept; `Reported.problems` flags them.

    Raises
    ------
    ValueError
        If a column is missing, a row has too few or too many cells, an id repeats, or a cell is not what
        its column takes; the message names file, row (the header is row 1), column, rule and value.
    """
    rows = _rows(file, ("id", *_TEXTS, *_CELLS))
    seen: dict[str, int] = {}
    results = []
    for number, row in rows:
        place = f"{file.name}, row {number}"
        first = seen.setdefault(row["id"], number)
        if not row["id"] or first != number:
            rule = f"must be unique; it stands in row {first} too" if row["id"] else "must not be empty"
            raise ValueError(f"{place}, column id: {rule}; got {row['id']!r}.")
        values: dict[str, Any] = {}
        for column, (field, read) in _CELLS.items():
            try:
                values[field] = read(row[column])
            except ValueError as error:
                raise ValueError(f"{place}, column {column}: {error}") from None
        reported = Reported(**values)
        known: dict[str, Any] = {"measure": reported.measure, "reported": reported, "favours": reported.favours}
        results.append(Analysis(id=row["id"], **known, **_texts(row)))
    return tuple(results)


def _optional[T](read: Callable[[str], T]) -> Callable[[str], T | None]:
    return lambda text: read(text) if text else None


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number; got {text!r}.") from None


def _choice(choices: Sequence[str], none: str) -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        if text not in (*choices, none):
            raise ValueError(f"must be one of {', '.join(choices)} or {none or 'empty'}; got {text!r}.")
        return None if text == none else text

    return read


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(";") if name.strip())


_TEXTS = ("comparison", "outcome", "timepoint")
# Column of the table: field of Reported, and how its cell is read.
_CELLS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "measure": ("measure", as_measure),
    "k": ("k", _optional(_integer)),
    "n": ("n", _optional(_integer)),
    "estimate": ("estimate", Printed),
    "ci_lower": ("ci_lower", Printed),
    "ci_upper": ("ci_upper", Printed),
    "p": ("p", _optional(Printed)),
    "q": ("q", _optional(Printed)),
    "df": ("df", _optional(_integer)),
    "p_q": ("p_q", _optional(Printed)),
    "tau2": ("tau2", _optional(Printed)),
    "i2_percent": ("i2", _optional(Printed)),
    "favours_pip": ("favours", _choice(DIRECTIONS, none=NOT_STATED)),
    "claim": ("claim", _choice(CLAIMS, none="")),
    "studies_named": ("studies_named", _names),
    "k_source": ("k_source", str),
}


def _rows(file: Traversable, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Row number (the header is row 1) and cells, stripped."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name} must be a CSV table in UTF-8: {error}.") from None
    header = [name.strip() for name in table[0]] if table else []
    missing = [column for column in needed if column not in header]
    if missing:
        raise ValueError(
            f"{file.name} must have the columns {', '.join(needed)}; missing {', '.join(missing)}; "
            f"present: {', '.join(header) or 'none'}."
        )
    rows = []
    for number, cells in enumerate(table[1:], start=2):
        if len(cells) != len(header):
            raise ValueError(f"{file.name}, row {number}: must have {len(header)} cells; got {len(cells)}.")
        rows.append((number, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
    if not rows:
        raise ValueError(f"{file.name} must have at least one row below its header; got none.")
    return rows


def _unpublished(file: Traversable) -> list[Analysis]:
    """Outcomes named without numbers, with ids of ours: shown, never filled in."""
    rows = _rows(file, (*_TEXTS, "note"))
    return [
        Analysis(
            id=f"N{order}",
            note=f"{NOT_PUBLISHED}. {row['note']}".rstrip(". ") + ".",
            **_texts(row),
        )
        for order, (_, row) in enumerate(rows, start=1)
    ]


def _study_data(entry: dict[str, str], frames: dict[str, pd.DataFrame]) -> Analysis:
    measure, studies = as_measure(entry["measure"]), frames[entry["table"]]
    known: dict[str, Any] = {"measure": measure, "studies": studies, "favours": entry["favours"]}
    return Analysis(id=entry["id"], note=entry["note"], **known, **_texts(entry))


def _texts(cells: dict[str, str]) -> dict[str, Any]:
    return {column: cells[column] for column in _TEXTS}


def _frame(file: Traversable, columns: dict[str, dict[str, str]]) -> pd.DataFrame:
    """A table as text, except the columns that the codebook calls numbers (nan where empty)."""
    import pandas as pd

    rows = [row for _, row in _rows(file, tuple(columns))]
    frame = pd.DataFrame(rows, columns=list(columns), dtype="str")
    for name, column in columns.items():
        if column.get("type") == "number":
            frame[name] = pd.to_numeric(frame[name])
    return frame
