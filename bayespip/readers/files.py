"""A review's file, whatever its form: the kind is told by its content, not by its name."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bayespip.readers.errors import ReadError
from bayespip.readers.text import decode, read_bytes

if TYPE_CHECKING:
    from os import PathLike

    from bayespip.review import Review

__all__ = ["read_review", "review_of"]

# A ZIP archive, and an empty one.
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def read_review(path: str | PathLike[str]) -> Review:
    """A review from its file.

    Parameters
    ----------
    path
        RevMan 5's own file (.rm5), RevMan 5's CSV export, or the data package of the Cochrane Library (.zip).

    Returns
    -------
    Review
        With every analysis of the file; what was repaired or is odd stands in its `notes`.

    Raises
    ------
    ReadError
        If the file is absent, of none of these kinds, or damaged; the message says where, what was expected and
        what was found.

    Examples
    --------
    >>> try:
    ...     bp.read_review("CD010534.rm5")  # the review's own file; here it is absent
    ... except bp.ReadError as error:
    ...     print(error)
    ...
    CD010534.rm5: expected a file; found no such file.
    """
    return review_of(read_bytes(path), Path(path).name)


def review_of(data: bytes, file: str) -> Review:
    """A review from the content of its file, as ``read_review``; the name is for messages and provenance."""
    return replace(_read(data, file), sources=((file, sha256(data).hexdigest()),))


def _read(data: bytes, file: str) -> Review:
    if data.startswith(_ZIP):
        from bayespip.readers.data_package import read_data_package

        return read_data_package(data, file)
    start = decode(data, file).text.lstrip()[:2000]
    if start.startswith("<"):
        from bayespip.readers.rm5 import read_rm5

        return read_rm5(data, file)
    header = start.partition("\n")[0].casefold()
    if "comparison number" in header:
        from bayespip.readers.revman_csv import read_revman_csv

        return read_revman_csv(data, file)
    if "analysis group" in header:
        from bayespip.readers.data_package import read_data_package

        return read_data_package(data, file)
    expected = "a RevMan 5 file (.rm5), its CSV export, or a data package of the Cochrane Library (.zip)"
    raise ReadError(file, "line 1", expected=expected, found=start or "nothing")
