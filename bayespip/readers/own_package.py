"""What the Cochrane form of a data package has no place for, as JSON beside its tables: written and read back.

The tables are read like any others. The JSON holds, of the review and of each analysis, the fields of which the
tables give another value, and the tables' SHA-256. Where a table was changed afterwards, the JSON is left out of
account and a note says so: an edited number is never overruled.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from bayespip.measures import MEASURES, Measure
from bayespip.readers.errors import ReadError
from bayespip.review import Analysis, Printed, Reported, Review
from bayespip.settings import Settings, Subgroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["OWN_FILE", "remainder", "with_remainder"]

OWN_FILE = "bayespip-review.json"
FORMAT = 1

# What depends on the archive's name, and so is always kept.
_ALWAYS = ("id", "title", "doi", "provenance")
_CLASSES = {c.__name__: c for c in (Measure, Printed, Reported, Settings, Subgroup)}
_DTYPES = ("float64", "int64", "bool", "str", "object", "Int64", "Float64", "boolean", "string")
_WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def remainder(review: Review, plain: Review, tables: Mapping[str, bytes]) -> bytes:
    """The JSON by which the review that the tables give becomes the review that was written.

    Parameters
    ----------
    review
        As it is.
    plain
        As the tables alone give it: the same analyses, in the same order.
    tables
        Contents by kind of file.

    Raises
    ------
    ValueError
        If a table of the review has an index or a type of column that cannot be written.
    """
    # where it was read from is said anew by whoever reads it
    own = {f.name: getattr(review, f.name) for f in fields(Review) if f.compare and f.name != "analyses"}
    content = {
        "format": FORMAT,
        "tables": _digests(tables),
        "review": {
            name: _encoded(value)
            for name, value in own.items()
            if name in _ALWAYS or not _equal(value, getattr(plain, name))
        },
        "analyses": [_difference(a, b) for a, b in zip(review.analyses, plain.analyses, strict=True)],
    }
    return json.dumps(content, indent=1, allow_nan=False).encode("ascii")


def with_remainder(plain: Review, own: bytes, tables: Mapping[str, bytes], file: str) -> Review:
    """The review that was written, of the tables and what stands beside them.

    Raises
    ------
    ReadError
        If the JSON is not as `remainder` writes it.
    """
    try:
        content = json.loads(own)
        if content["format"] != FORMAT or content["tables"] != _digests(tables):
            note = f"{OWN_FILE} in {file} is not of these tables, or of another version; it was left out of account."
            return replace(plain, notes=(*plain.notes, note))
        analyses = tuple(
            replace(a, **{name: _decoded(value) for name, value in changed.items()})
            for a, changed in zip(plain.analyses, content["analyses"], strict=True)
        )
        return replace(plain, analyses=analyses, **{n: _decoded(v) for n, v in content["review"].items()})
    except _WRONG as error:
        raise ReadError(file, OWN_FILE, expected="the JSON that bayespip writes", found=repr(error)) from None


def _digests(tables: Mapping[str, bytes]) -> dict[str, str]:
    return {kind: hashlib.sha256(content).hexdigest() for kind, content in sorted(tables.items())}


def _difference(analysis: Analysis, plain: Analysis) -> dict[str, Any]:
    return {
        f.name: _encoded(getattr(analysis, f.name))
        for f in fields(Analysis)
        if not _equal(getattr(analysis, f.name), getattr(plain, f.name))
    }


def _equal(a: object, b: object) -> bool:
    """Frames by values and types."""
    import pandas as pd

    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        return a.equals(b)
    return type(a) is type(b) and a == b


def _encoded(value: Any) -> Any:
    """JSON for what a Review is made of; what JSON has no form for is an object whose one key begins with $."""
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        return {"$frame": _encoded_frame(value)}
    if is_dataclass(value):
        name = type(value).__name__
        if isinstance(value, Measure) and value == MEASURES.get(value.name):
            return {"$measure": value.name}
        if name not in _CLASSES:
            raise ValueError(f"a {name} cannot be written.")
        return {f"${name}": {f.name: _encoded(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, tuple | list):
        return [_encoded(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"a {type(value).__name__} cannot be written; got {value!r}.")


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(v) for v in value)
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "$frame":
        return _decoded_frame(content)
    if tag == "$measure":
        return MEASURES[content]
    if tag == "$float":
        return float(content)
    return _CLASSES[tag.removeprefix("$")](**{name: _decoded(v) for name, v in content.items()})


def _encoded_frame(table: pd.DataFrame) -> list[Any]:
    """Name, type and values of each column."""
    import pandas as pd

    if not table.index.equals(pd.RangeIndex(len(table))):
        raise ValueError("tables of a review are written without index; reset_index() first.")
    columns = []
    for name, column in table.items():
        kind = str(column.dtype)
        if kind not in _DTYPES or not isinstance(name, str):
            raise ValueError(f"columns must be of type {', '.join(_DTYPES)}; {name!r} is {kind}.")
        absent = column.isna() if kind != "object" else pd.Series(False, index=column.index)
        values = [None if gone else _encoded(x) for x, gone in zip(column.tolist(), absent, strict=True)]
        columns.append([name, kind, values])
    return [len(table), *columns]


def _decoded_frame(content: list[Any]) -> pd.DataFrame:
    import pandas as pd

    rows, *columns = content
    table = {}
    for name, kind, values in columns:
        if kind not in _DTYPES or len(values) != rows:
            raise ValueError(f"column {name!r} is not as it is written.")
        table[name] = pd.Series([_decoded(v) for v in values], dtype=kind)
    return pd.DataFrame(table, index=pd.RangeIndex(rows))
