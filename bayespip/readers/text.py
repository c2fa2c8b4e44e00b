"""From bytes to text, from marked-up text to a name, from a cell to a number."""

from __future__ import annotations

import codecs
import html
import math
import re
import unicodedata
from dataclasses import dataclass
from html.entities import html5
from typing import TYPE_CHECKING

from bayespip.readers.errors import ReadError

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["BLOCKS", "MISSING", "Decoded", "clean", "decode", "level", "number", "read_bytes", "year_or_none"]

# Half as much again as the 20 MB that are planned for: what is larger is no review's data.
MAX_BYTES = 32 * 2**20

# What files hold for "no number" (spreadsheets: #N/A; RevMan, being Java: NaN).
MISSING = frozenset({"", "#n/a", "n/a", "na", "nan", "null", "-", "\N{EN DASH}"})

# A year of publication outside these is a slip of the pen.
YEARS = range(1700, 2101)

# Text encodings that a file may declare; no other codec of Python's, some of which run for minutes.
_ENCODINGS = re.compile(
    r"utf-8|utf-16(-le|-be)?|utf-32(-le|-be)?|ascii|iso8859-\d+|cp125\d|cp437|cp850|cp932|mac-roman|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5|shift_jis|euc_jp|euc_kr"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")

# Elements of RevMan 5's and HTML's running text; anything else in pointed brackets is the author's.
BLOCKS = frozenset(
    ("BR", "P", "DIV", "UL", "OL", "LI", "TABLE", "TR", "TD", "TH", "FLOW", "HEADING", "H1", "H2", "H3", "H4", "H5")
)  # fmt: skip
_INLINE = "B|I|U|EM|STRONG|SUB|SUP|SPAN|FONT|A|LINK|STRIKE|SMALL|BIG|CODE|DELETED|INSERTED"
_BLOCK = re.compile(rf"</?(?:{'|'.join(sorted(BLOCKS))})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Names are escaped twice, rarely three times.
_ESCAPED_AT_MOST = 4

_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_COMMA_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?")
_POINT_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]+)?")
_SPACE_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}( [0-9]{3})+([.,][0-9]+)?")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, and how it was decoded.

    Attributes
    ----------
    text
        Without byte-order mark; line ends as in the file.
    notes
        Where the bytes were not what the file says they are, as sentences.
    """

    text: str
    notes: tuple[str, ...] = ()


def read_bytes(path: str | PathLike[str]) -> bytes:
    """The bytes of a regular file of at most MAX_BYTES.

    Raises
    ------
    ReadError
        If there is no such file, or it cannot be read, is empty or too large.
    """
    from pathlib import Path

    try:
        file = Path(path)
        if not file.is_file():
            found = "a folder" if file.is_dir() else "something else" if file.exists() else "no such file"
            raise ReadError(str(path), "", expected="a file", found=found)
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(str(path), "", expected="a readable file", found=error) from None
    if len(data) > MAX_BYTES:
        raise ReadError(file.name, "", expected=f"at most {MAX_BYTES // 2**20} MB", found="more")
    if not data.strip(b"\0 \t\r\n"):
        raise ReadError(file.name, "", expected="a review's data", found="nothing" if not data else "blanks only")
    return data


def decode(data: bytes, file: str) -> Decoded:
    """Text of a file: by its byte-order mark, else UTF-8 where that fits, else what XML declares, else Windows-1252.

    Bytes beyond ASCII that form valid UTF-8 are UTF-8 whatever is declared: in a single-byte encoding that would
    be a chance of nearly nothing. A declared ISO-8859-1 is read as Windows-1252, its superset in printable
    characters, as the WHATWG Encoding Standard has it.

    Raises
    ------
    ReadError
        If the declared encoding is none of text, the bytes do not fit the encoding, or a NUL is met.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    declared = _declared(data, file)
    notes: tuple[str, ...] = ()
    if encoding is None and data[:2] in (b"<\0", b"\0<"):
        encoding = "utf-16-le" if data[:2] == b"<\0" else "utf-16-be"
    if encoding is None:
        text = _utf8(data)
        wide = declared is not None and declared.startswith(("utf-16", "utf-32"))
        if text is not None:
            if not data.isascii() and declared not in (None, "utf-8"):
                notes = (f"The file declares the encoding {declared} and is UTF-8; it was read as UTF-8.",)
            return _without_nul(Decoded(text, notes), file)
        if declared in (None, "utf-8", "ascii", "iso8859-1", "cp1252") or wide:
            if declared not in (None, "iso8859-1", "cp1252"):
                notes = (f"The file declares the encoding {declared}, which does not fit; read as Windows-1252.",)
            return _without_nul(Decoded(_windows(data), notes), file)
        encoding = declared
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        raise ReadError(file, "", expected=f"text encoded in {encoding}", found=error) from None
    return _without_nul(Decoded(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), notes), file)


def _declared(data: bytes, file: str) -> str | None:
    match = _DECLARED.match(data[:400])
    if match is None:
        return None
    name = match[1].decode("ascii")
    try:
        known = codecs.lookup(name).name
    except LookupError:
        known = ""
    if not _ENCODINGS.fullmatch(known):
        raise ReadError(file, "line 1", expected="a declared encoding of text, such as UTF-8", found=name)
    return known


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _windows(data: bytes) -> str:
    """As Windows-1252; its five unassigned bytes as in ISO-8859-1."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        table = {b: bytes([b]).decode("cp1252", errors="ignore") or chr(b) for b in range(0x80, 0xA0)}
        return data.decode("latin-1").translate(table)


def _without_nul(decoded: Decoded, file: str) -> Decoded:
    at = decoded.text.find("\0")
    if at >= 0:
        line = decoded.text.count("\n", 0, at) + 1
        column = at - decoded.text.rfind("\n", 0, at)
        raise ReadError(file, f"line {line}, column {column}", expected="text", found="a NUL character")
    return decoded


def clean(text: str | None) -> str:
    """A name or note as a reader sees it: markup removed, entities decoded, whitespace collapsed; "" for None.

    Only markup of running text is removed ("<B>", "<sub>", "<BR/>"); "p < 0.05" and "<script>" stay as they are.
    """
    result = text or ""
    for _ in range(_ESCAPED_AT_MOST):
        before = result
        result = _ENTITY.sub(_character, _TAG.sub("", _BLOCK.sub(" ", result)))
        if result == before:
            break
    result = " ".join(result.split())
    return "".join(c for c in result if unicodedata.category(c) != "Cc") if not result.isprintable() else result


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name.startswith("#"):
        return html.unescape(f"&{name};")
    return html5.get(f"{name};", match[0])


def number(text: str | None, *, decimal: str = ".") -> float:
    """The number that a cell holds; nan where it holds none (MISSING).

    Parameters
    ----------
    text
        The cell.
    decimal
        Decimal mark of the file, "." or ",".

    Raises
    ------
    ValueError
        If it is no finite number, or could be two: with a decimal point, "1,234" is a thousand or one and a bit.
    """
    cell = " ".join((text or "").split()).replace("\N{MINUS SIGN}", "-")
    if cell.casefold() in MISSING:
        return math.nan
    if decimal not in (".", ","):
        raise ValueError(f"decimal must be '.' or ','; got {decimal!r}.")
    other = "," if decimal == "." else "."
    groups = _COMMA_GROUPS if decimal == "." else _POINT_GROUPS
    if groups.fullmatch(cell):
        if cell.count(other) == 1 and decimal not in cell:
            raise ValueError(f"a number without doubt; {cell!r} may be a thousand or a fraction")
        cell = cell.replace(other, "")
    elif _SPACE_GROUPS.fullmatch(cell):
        cell = cell.replace(" ", "")
    # One comma that cannot part thousands is a decimal comma, whatever the file's mark.
    plain = cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell
    if not _PLAIN.fullmatch(plain) or not math.isfinite(float(plain)):
        raise ValueError("a finite number")
    return float(plain)


def level(text: str | None) -> float:
    """The probability of an interval, stored in percent: "95", "95%" or "97.5" gives 0.95 or 0.975.

    Raises
    ------
    ValueError
        If it is no number between 0 and 100.
    """
    percent = number((text or "").strip().removesuffix("%"))
    if not 0 < percent < 100:
        raise ValueError("a level in percent, between 0 and 100")
    return percent / 100


def year_or_none(text: str | None) -> int | None:
    """The year of publication, or None where the text holds no year in YEARS."""
    match = re.fullmatch(r"([0-9]{4})(\.0+)?", (text or "").strip())
    return int(match[1]) if match and int(match[1]) in YEARS else None
