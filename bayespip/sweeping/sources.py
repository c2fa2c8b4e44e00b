"""The files of a sweep: what each holds by its digest, and which repeat another."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bayespip.catalogue import REVIEWS, load_review
from bayespip.readers.text import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

__all__ = ["Source", "content", "sources"]

_NAMED = 5  # of the files that are missing, in an error


@dataclass(frozen=True, slots=True)
class Source:
    """A review's file, or the name of a bundled review.

    Attributes
    ----------
    name
        As given.
    digest
        SHA-256 of its content (hexadecimal), of a bundled review that of the digests of its files; "" of a file that
        cannot be read.
    bundled
        Whether it is the name of a bundled review.
    refused
        Why it is left out whatever it holds: it cannot be read, or repeats an earlier file; "" otherwise.
    """

    name: str
    digest: str
    bundled: bool = False
    refused: str = ""


def sources(files: Sequence[str | PathLike[str]]) -> tuple[Source, ...]:
    """The files of a sweep, in the order given.

    Raises
    ------
    ValueError
        If there are none, or some are neither files nor bundled reviews.
    """
    names = [str(file) for file in files]
    missing = [name for name in names if not Path(name).is_file() and name not in REVIEWS]
    if missing or not names:
        shown = ", ".join(map(repr, missing[:_NAMED])) or "none"
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ValueError(f"files must exist or be among {', '.join(REVIEWS)}; got {shown}{more}.")
    found: list[Source] = []
    first: dict[str, str] = {}
    for name in names:
        source = _source(name)
        if source.digest and source.digest in first:
            same = f"its content is that of {first[source.digest]}, which stands for both."
            source = Source(name, source.digest, source.bundled, same)
        elif source.digest:
            first[source.digest] = name
        found.append(source)
    return tuple(found)


def _source(name: str) -> Source:
    if not Path(name).is_file():
        joined = "".join(digest for _, digest in load_review(name).sources)
        return Source(name, sha256(joined.encode()).hexdigest(), bundled=True)
    try:
        with Path(name).open("rb") as stream:
            return Source(name, file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        return Source(name, "", refused=f"it cannot be read: {error.strerror}.")


def content(source: Source) -> bytes:
    """The bytes of its file; none of a bundled review, which every machine has.

    Raises
    ------
    ReadError
        If it cannot be read, is empty or too large.
    ValueError
        If it is no longer what its digest says.
    """
    if source.bundled:
        return b""
    data = read_bytes(source.name)
    if sha256(data).hexdigest() != source.digest:
        raise ValueError("its content changed while the sweep ran; start again to pool what it holds now.")
    return data
