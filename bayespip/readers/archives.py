"""Wanted members of a zip archive, zips within it included: read in memory, under limits; nothing is ever written."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from bayespip.readers.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["wanted_members"]

# A Cochrane package has about 15 members: a hundred figures would be many.
MAX_MEMBERS = 5_000
# The Library's download holds the data as a zip within the zip.
MAX_DEPTH = 3
# Of all that is unpacked: several times the largest reviews, whose tables have some 10 MB, and far below 1 GB.
MAX_UNPACKED = 96 * 2**20
# Deflate packs a run of one byte 1,032 times; tables of numbers, 3 to 30 times. Small members may be runs.
MAX_RATIO = 400
SMALL = 2**20

# What begins every entry of a zip's directory (APPNOTE.TXT 4.3.12): no fewer of these than members.
_ENTRY = b"PK\x01\x02"
# Methods of packing whose output is bounded while it is unpacked; bzip2 and LZMA unpack whole blocks.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, LookupError,
    ArithmeticError,
)  # fmt: skip


def wanted_members(data: bytes, file: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Contents of the members with wanted names; all others are passed over unopened, other than zips.

    Parameters
    ----------
    data
        The archive.
    file
        Its name, for messages.
    wanted
        Says of a member's name in lower case, without folders, whether it is wanted.

    Returns
    -------
    dict
        By path within the archive, in its order; a member of a zip within it is named "inner.zip/member".

    Raises
    ------
    ReadError
        If the archive or a wanted member is broken, encrypted or packed by an unknown method, a name leaves
        the archive or is met twice, or a limit of this module is passed.
    """
    found: dict[str, bytes] = {}
    left = MAX_UNPACKED
    for path, content in _members(data, file, "", wanted, 1):
        left -= len(content)
        if left < 0:
            raise ReadError(file, path, expected=f"at most {MAX_UNPACKED // 2**20} MB when unpacked", found="more")
        if path.lower().endswith(".zip"):
            continue
        if path in found:
            raise ReadError(file, path, expected="one member of this name", found="two")
        found[path] = content
    return found


def _members(
    data: bytes, file: str, prefix: str, wanted: Callable[[str], bool], depth: int
) -> Iterator[tuple[str, bytes]]:
    """Path and content of every wanted member and, before those in it, of every zip."""
    if depth > MAX_DEPTH:
        raise ReadError(file, prefix, expected=f"zips nested at most {MAX_DEPTH} deep", found="one more")
    if data.count(_ENTRY) > MAX_MEMBERS:
        raise ReadError(file, prefix, expected=f"at most {MAX_MEMBERS} members", found=f"{data.count(_ENTRY)}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _BROKEN as error:
        raise ReadError(file, prefix, expected="a whole zip archive", found=error) from None
    with archive:
        for info in archive.infolist():
            name = _safe(info.orig_filename, file, prefix)
            path, kind = prefix + name, name.rpartition("/")[2].lower()
            if name.endswith("/") or not (wanted(kind) or kind.endswith(".zip")):
                continue
            content = _content(archive, info, file, path)
            yield path, content
            if kind.endswith(".zip"):
                yield from _members(content, file, f"{path}/", wanted, depth + 1)


def _safe(name: str, file: str, prefix: str) -> str:
    """The name with forward slashes, if it stays within the archive."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise ReadError(file, prefix, expected="names of members that stay within the archive", found=repr(name))
    return "/".join(parts)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: str, path: str) -> bytes:
    """Of one member, unpacked no further than the limits allow, whatever size its entry claims."""
    if info.flag_bits & 1:
        raise ReadError(file, path, expected="a member without password", found="an encrypted one")
    if info.compress_type not in _METHODS:
        raise ReadError(file, path, expected="a member stored or deflated", found=f"method {info.compress_type}")
    most = min(MAX_UNPACKED, max(SMALL, MAX_RATIO * info.compress_size))
    try:
        with archive.open(info) as stream:
            content = stream.read(most + 1)
    except _BROKEN as error:
        raise ReadError(file, path, expected="a whole member", found=error) from None
    if len(content) > most:
        limit = f"at most {MAX_UNPACKED // 2**20} MB, and {MAX_RATIO} times its packed size"
        raise ReadError(file, path, expected=limit, found="more")
    return content
