"""A Matplotlib figure as SVG inside an HTML page: text stays text, ids are unique, greys follow the page's colours."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from lxml import etree
from markupsafe import Markup

from bayespip.plots.style import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["inline_svg"]

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_GREY = re.compile(r"#([0-9a-f]{2})\1\1\b")
_LONG_DECIMALS = re.compile(r"(\.\d{2})\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FAMILY = re.compile(r"font-family: [^;]*(; )?")
_UNROTATED = re.compile(r"^rotate\(-?0 [^)]*\)$")
_FILL = re.compile(r"fill: (#[0-9a-f]{6})\b")
_WHITE = "#ffffff"
_PALE = 0.4  # relative luminance
_NUMBERS = ("d", "x", "y", "points", "transform", "width", "height")


def inline_svg(figure: Figure, identifier: str, title: str, description: str = "") -> Markup:
    """A figure as an ``<svg>`` element.

    Parameters
    ----------
    figure
        Drawn, and not changed.
    identifier
        Unique on the page; every id inside the figure begins with it.
    title, description
        What it shows, for people who do not see it: the accessible name and description.

    Returns
    -------
    Markup
        Colours of equal red, green and blue are mixed from ``--ink`` and ``--paper``, so that lines and text are
        readable on a light and on a dark page; ``--tint`` is what is left of pale fills; the background is
        transparent. Coordinates have two decimals (1/7200 inch). Fonts, and how lines join, are left to the page's
        style sheet.
    """
    root = etree.fromstring(_drawn(figure), etree.XMLParser(resolve_entities=False, no_network=True))
    for element in list(root.iter(f"{_SVG}metadata", f"{_SVG}style", etree.Comment, etree.PI)):
        element.getparent().remove(element)
    for element in list(root.iter(f"{_SVG}path")):
        if element.get("style") == "fill: none":  # the transparent background
            element.getparent().remove(element)
    _rename(root, identifier)
    for element in root.iter():
        _lighten(element)
    width, height = (float(_attributes(root)[side].removesuffix("pt")) for side in ("width", "height"))
    root.attrib.clear()
    named = f"{identifier}-title" + (f" {identifier}-desc" if description else "")
    root.set("viewBox", f"0 0 {width:.2f} {height:.2f}")
    root.set("class", "figure")
    root.set("role", "img")
    root.set("aria-labelledby", named)
    root.set("style", _sizes(width / 72))
    for place, (name, text) in enumerate((("title", title), ("desc", description))):
        if text:
            element = etree.Element(f"{_SVG}{name}", id=f"{identifier}-{name}")
            element.text = text
            root.insert(place, element)
    text = etree.tostring(root, encoding="unicode")
    return Markup(re.sub(r' xmlns(:\w+)?="[^"]*"', "", text))  # noqa: S704  (serialised from a tree)


def _sizes(inches: float) -> str:
    """Larger than on paper where there is room; never so small that text is unreadable: then it scrolls."""
    return f"min-width:{0.9 * inches:.2f}in;max-width:{1.35 * inches:.2f}in"


def _drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _rename(root: etree._Element, identifier: str) -> None:
    """Prefix the ids that are used; drop the others."""
    every = [(element, _attributes(element)) for element in root.iter()]
    used = {own[_XLINK].removeprefix("#") for _, own in every if _XLINK in own}
    used |= {name for _, own in every for value in own.values() for name in _REFERENCE.findall(value)}
    for element, own in every:
        element.attrib.clear()
        for key, value in own.items():
            if key == _XLINK:
                element.set("href", f"#{identifier}-{value.removeprefix('#')}")
            elif key != "id":
                element.set(key, _REFERENCE.sub(rf"url(#{identifier}-\1)", value))
            elif value in used:
                element.set("id", f"{identifier}-{value}")


def _attributes(element: etree._Element) -> dict[str, str]:
    return {str(key): str(value) for key, value in element.attrib.items()}


def _lighten(element: etree._Element) -> None:
    """Short numbers, colours of the page, fonts of the browser, no spaces between elements."""
    if not (element.tail or "").strip():
        element.tail = None
    if len(element) and not (element.text or "").strip():
        element.text = None
    for name in _NUMBERS:
        if value := element.get(name):
            element.set(name, " ".join(_LONG_DECIMALS.sub(r"\1", value).split()))
    if _UNROTATED.match(element.get("transform", "")):
        del element.attrib["transform"]
    style = element.get("style")
    if style:
        style = _FILL.sub(_softened, _FAMILY.sub("", style))
        if not (element.tag == f"{_SVG}text" and _WHITE in style):  # white text stands on a dark patch on every page
            style = _GREY.sub(_mixed, style)
        element.set("style", _LONG_DECIMALS.sub(r"\1", style))


def _softened(fill: re.Match[str]) -> str:
    """Pale fills, under text and lines in the colour of ink, are darkened on a dark page."""
    red, green, blue = (int(fill[1][i : i + 2], 16) for i in (1, 3, 5))
    if red == green == blue or relative_luminance(red, green, blue) < _PALE:
        return fill[0]
    return f"fill: color-mix(in srgb, {fill[1]} var(--tint), var(--paper))"


def relative_luminance(red: int, green: int, blue: int) -> float:
    """From 0 to 1, of an sRGB colour with channels from 0 to 255 (W3C, WCAG 2.2, definition of relative luminance)."""
    shares = (c / 255 for c in (red, green, blue))
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mixed(grey: re.Match[str]) -> str:
    ink = 100 * (255 - int(grey[1], 16)) / 255
    if ink in (0, 100):
        return "var(--ink)" if ink else "var(--paper)"
    return f"color-mix(in srgb, var(--ink) {ink:.0f}%, var(--paper))"
