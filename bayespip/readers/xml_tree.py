"""XML of unknown origin to a tree: no entity is expanded, nothing is fetched, depth and sizes are bounded.

Not well-formed text, which hand-edited files have, is repaired only where nothing can be lost: a stray "&" or "<"
is taken as the character, and so is markup that is not closed within a name. Whatever else is refused; lxml's
own recovery is not used, because it drops what it does not understand.
"""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from html.entities import html5
from itertools import islice
from typing import TYPE_CHECKING, cast

from lxml import etree

from bayespip.readers.errors import ReadError
from bayespip.readers.text import BLOCKS, clean

if TYPE_CHECKING:
    from bayespip.readers.text import Decoded

__all__ = ["line_of", "parse_xml", "text_of"]

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,400}\?>")
# A document type without declarations of its own.
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]{0,400}>")
# Three times the < and = in 20 MB of reviews (1.1 million), and many times their &: each costs memory or time.
MAX_MARKUP, MAX_REFERENCES = 3_500_000, 500_000
# Hand-edited files are small and have few stray characters; with more of either it is no XML, and not worth a repair.
MAX_STRAY, MAX_MENDED = 1000, 2_000_000
# Not allowed in XML 1.0, in no spelling.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_PREDEFINED = {"amp", "lt", "gt", "quot", "apos"}

_ATTRIBUTE = r"""\s++[\w:.-]++\s*+=\s*+(?:"[^"]{0,20000}"|'[^']{0,20000}')"""
# In this order at each place: a whole tag, what begins like a comment or the like, a stray character.
_PIECE = re.compile(rf"<(?:/?+[A-Za-z_][\w:.-]*+(?:{_ATTRIBUTE})*+\s*+/?+>|!--|!\[CDATA\[|\?)|<|&")
_KNOWN_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);")
_STRAY = re.compile(rf"{_KNOWN_REFERENCE.pattern}|[&<]")

_ROWS = r"COMPARISON|STUDY|QUALITY_ITEM(?:_DATA_ENTRY)?|[A-Z]+_(?:OUTCOME|SUBGROUP|DATA)"
_ROW = re.compile(rf"<\s*+({_ROWS})(?=[\s/>])")
_NAMES = "NAME|TITLE|FOOTNOTE|EFFECT_MEASURE|GROUP_LABEL_[12]|GRAPH_LABEL_[12]"
_NAME = re.compile(rf"<({_NAMES})(\s[^<>]*+)?+>((?:[^<]++|<(?!/?+(?:{_NAMES}|{_ROWS})[\s/>]))*+)</\1>")


def parse_xml(decoded: Decoded, file: str) -> tuple[etree._Element, tuple[str, ...]]:
    """The root element, without comments and processing instructions; and what was repaired, as sentences.

    Raises
    ------
    ReadError
        If the text declares entities, is deeper than 256 levels, has a text of more than 10 MB, or is not well
        formed in a way that is not safely repaired; with line and column.
    """
    text = _DECLARATION.sub(_blank, decoded.text, count=1)
    text = _without_doctype(text, file)
    _refuse_floods(text, file)
    notes = list(decoded.notes)
    text = _plain_characters(text, notes)
    try:
        return _strict(text), tuple(notes)
    except etree.XMLSyntaxError as error:
        first = error
    mended, places = _mend(text) if len(text) <= MAX_MENDED else ("", [])
    if 0 < len(places) <= MAX_STRAY:
        try:
            root = _strict(mended)
        except etree.XMLSyntaxError:
            pass
        else:
            _refuse_loss(text, root, file)
            lines = ", ".join(str(_place(text, p)[0]) for p in places[:5]) + (" ..." if len(places) > 5 else "")
            notes.append(f"The XML is not well formed: {len(places)} stray & or < (line {lines}) were read as text.")
            return root, tuple(notes)
    line, column = first.position
    raise ReadError(file, f"line {line}, column {column}", expected="well-formed XML", found=_reason(first))


def _blank(match: re.Match[str]) -> str:
    """In place of a match its line ends, so that lines keep their numbers."""
    return "\n" * match[0].count("\n")


def _without_doctype(text: str, file: str) -> str:
    """Entities, which bombs and leaks are made of, are declared within a document type; RevMan writes none."""
    at = text.find("<!DOCTYPE")
    plain = _DOCTYPE.match(text, at) if at >= 0 else None
    declared = text.find("<!ENTITY") if at < 0 or plain else at
    if declared >= 0:
        line, column = _place(text, declared)
        found = text[declared : declared + 40]
        raise ReadError(file, f"line {line}, column {column}", expected="no entity declarations", found=found)
    return text if plain is None else f"{text[:at]}{_blank(plain)}{text[plain.end() :]}"


def _refuse_floods(text: str, file: str) -> None:
    for limit, characters in ((MAX_MARKUP, "<="), (MAX_REFERENCES, "&")):
        count = sum(text.count(c) for c in characters)
        if count > limit:
            raise ReadError(file, "", expected=f"at most {limit} of {' and '.join(characters)}", found=count)


def _strict(text: str) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        encoding="utf-8",
    )
    return etree.fromstring(text.encode("utf-8"), parser)


def _reason(error: etree.XMLSyntaxError) -> str:
    return str(error.msg or "a syntax error").partition(", line ")[0]


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _plain_characters(text: str, notes: list[str]) -> str:
    """Without characters that XML forbids, and with those that HTML's entities stand for."""
    text, n = _FORBIDDEN.subn(" ", text)
    if n:
        notes.append(f"{n} control characters, which XML forbids, were read as spaces.")
    seen: Counter[str] = Counter()

    def character(match: re.Match[str]) -> str:
        name = match[1]
        if name in _PREDEFINED:
            return match[0]
        if name.startswith("#"):
            code = int(f"0{name[1:]}", 0) if name[1] in "xX" else int(name[1:])
            allowed = code < 0x110000 and not _FORBIDDEN.match(chr(code))
            seen[match[0]] += not allowed
            return match[0].replace("X", "x", 1) if allowed else " "
        found = html5.get(f"{name};")
        seen[match[0]] += found is not None
        return match[0] if found is None else escape(found)

    text = _REFERENCE.sub(character, text)
    names = [reference for reference, count in seen.items() if count]
    if names:
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        notes.append(f"Entities that XML does not define ({shown}) were read as the characters they stand for.")
    return text


def _mend(text: str) -> tuple[str, list[int]]:
    """With stray & and < escaped, first within names, then anywhere; and where they stood, MAX_STRAY + 1 at most."""
    places: list[int] = []

    def name(match: re.Match[str]) -> str:
        inner = match[3]
        if len(places) > MAX_STRAY or _stands(inner):
            return match[0]
        places.append(match.start())
        return f"<{match[1]}{match[2] or ''}>{_STRAY.sub(_escaped, inner)}</{match[1]}>"

    def piece(match: re.Match[str]) -> str:
        found = match[0]
        if len(places) > MAX_STRAY or _KNOWN_REFERENCE.match(match.string, match.start()):
            return found
        mended = _escaped(match) if len(found) == 1 else f"<{_STRAY.sub(_escaped, found[1:])}"
        if mended != found:
            places.append(match.start())
        return mended

    return _PIECE.sub(piece, _NAME.sub(name, text)), sorted(places)


def _stands(inner: str) -> bool:
    if "<" not in inner and "&" not in inner:
        return True
    try:
        _strict(f"<x>{inner}</x>")
    except etree.XMLSyntaxError:
        return False
    return True


def _escaped(match: re.Match[str]) -> str:
    return {"&": "&amp;", "<": "&lt;"}.get(match[0], match[0])


def _refuse_loss(text: str, root: etree._Element, file: str) -> None:
    """Every row that the text seems to hold is in the tree, else ReadError."""
    there = Counter(_ROW.findall(text))
    read = Counter(element.tag for element in root.iter() if element.tag in there)
    for tag, count in there.items():
        if read[tag] != count:
            raise ReadError(file, "", expected=f"well-formed XML with {count} {tag}", found=f"{read[tag]} after repair")


def line_of(element: etree._Element, text: str) -> int:
    """The line on which an element begins; libxml2 itself counts to 65535 and guesses beyond."""
    near = cast("int", element.sourceline)  # lxml's stubs leave its type open
    if near < 65535:
        return near
    before = 0
    for other in element.getroottree().iter(element.tag):
        if other is element:
            break
        before += 1
    starts = re.finditer(rf"<{re.escape(element.tag)}(?=[\s/>])", text)
    return next((_place(text, m.start())[0] for m in islice(starts, before, None)), near)


def text_of(element: etree._Element | None) -> str:
    """The text of an element and of all within it, cleaned; "" for None."""
    if element is None:
        return ""
    if not len(element):
        return clean(element.text)
    pieces: list[str] = []
    for event, node in etree.iterwalk(element, events=("start", "end")):
        if node.tag.upper() in BLOCKS:
            pieces.append(" ")
        pieces.append((node.text if event == "start" else node.tail if node is not element else None) or "")
    return clean("".join(pieces))
