"""The results of one review as the bytes of a Parquet file, which says itself what it was made from.

The same review and settings give the same bytes: one schema, no time of day, no name of a machine.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["SCHEMA", "Left", "Part", "key_of", "part", "read_facts"]

_TEXT = (
    "analysis", "outcome", "timepoint", "comparison", "measure", "basis", "value_of", "method", "prior", "prior_mu",
    "prior_tau", "prior_kind", "parameter", "favours", "claim",
)  # fmt: skip
_NUMBERS = (
    "point", "lower", "upper", "level", "prob_above_null", "prob_favours", "point_model", "lower_model", "upper_model",
    "mean_model", "sd_model", "log_evidence",
)  # fmt: skip
SCHEMA = pa.schema(
    [*((name, pa.string()) for name in _TEXT), ("k", pa.int64()), *((name, pa.float64()) for name in _NUMBERS)]
)
_FACTS = b"bayespip"  # key of the file's metadata


@dataclass(frozen=True, slots=True)
class Left:
    """What of a review has no result, and why.

    Attributes
    ----------
    analysis
        Its id.
    k
        Number of studies; None where it is not known.
    method, prior
        What has none; empty where nothing of the analysis has.
    reason
        A sentence.
    """

    analysis: str
    k: int | None
    method: str
    prior: str
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """One review's results.

    Attributes
    ----------
    key
        Of the review, in the dataset.
    data
        The Parquet file.
    """

    key: str
    data: bytes


def key_of(review_id: str) -> str:
    """A review's id as a value of a partition: no sign that a path or a URL has a use for, and never a number.

    Readers take a column of digits for numbers, and the leading zeros are gone.
    """
    key = re.sub(r"[^A-Za-z0-9._-]+", "-", review_id).strip("-.")
    return f"review-{key}".rstrip("-") if not key or re.fullmatch(r"[0-9.eE_-]+", key) else key


def part(key: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], left: Sequence[Left]) -> Part:
    """The part of a review.

    Parameters
    ----------
    key
        From ``key_of``.
    rows
        Columns as in SCHEMA; numbers that a row does not name, or that are nan, are null.
    facts
        What the manifest says of the review.
    left
        What has no result.
    """
    text = json.dumps({**facts, "left": [asdict(one) for one in left]}, ensure_ascii=False)
    missing = dict.fromkeys(_TEXT, "")
    columns = [pa.array([r.get(f.name, missing.get(f.name)) for r in rows], f.type, from_pandas=True) for f in SCHEMA]
    table = pa.Table.from_arrays(columns, schema=SCHEMA.with_metadata({_FACTS: text.encode()}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return Part(key, sink.getvalue().to_pybytes())


def read_facts(file: Path) -> dict[str, Any] | None:
    """What a part says of itself; None of a file that is no part, or damaged."""
    try:
        metadata = pq.read_metadata(file).metadata or {}
        return dict(json.loads(metadata[_FACTS]))
    except (pa.ArrowInvalid, OSError, KeyError, ValueError):
        return None
