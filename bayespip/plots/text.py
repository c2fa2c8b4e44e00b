"""How wide text is, and where it breaks, before it is drawn; lengths are in points (1/72 inch).

Text is measured with the font that Matplotlib carries, so that columns and lines fit it wherever it is drawn.
"""

from __future__ import annotations

import re
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FAMILY, FONT, SMALL = "DejaVu Sans", 7.0, 6.0  # small: of forests, which are tables
LINE_HEIGHT = 1.28  # at most, in sizes of the font: how far apart Matplotlib sets the lines of one text
# Rasterised glyphs are set on whole pixels and so run wider than their outlines: up to 8% at 72 to 300 dpi.
_SLACK = 1.08
_PARTS = re.compile(r" ?(?:\S*?[^\W\d]-(?=[^\W\d])|\S+)")


@lru_cache(maxsize=8192)
def text_width(text: str, size: float = FONT, weight: str = "normal") -> float:
    """Width of one line of text."""
    font = FontProperties(family=FAMILY, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) * _SLACK


def wrapped(text: str, width: float, size: float = FONT, weight: str = "normal") -> list[str]:
    """Lines no wider than `width`, broken at spaces and hyphens; a word that is wider is broken anywhere."""
    lines = [""]
    for part in _PARTS.findall(" ".join(text.split())):
        word = part.strip()
        longer = f"{lines[-1]}{part}".strip()
        if text_width(longer, size, weight) <= width:
            lines[-1] = longer
            continue
        lines = [*lines, ""] if lines[-1] else lines
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, size, weight) > width:
                lines.append("")
            lines[-1] += letter
    return lines
