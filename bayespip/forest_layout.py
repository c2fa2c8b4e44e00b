"""Where the text of a forest plot stands: lines, columns, heights and ticks, in points (1/72 inch).

Text is measured with the font that Matplotlib carries, so that columns and lines fit it wherever it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.forest import Panel

FAMILY, FONT = "DejaVu Sans", 6.0
LINE, GAP, SPACE = 6.7, 3.6, 4.5
WRAPPED = 1.2 * FONT  # how far apart Matplotlib sets the lines of one text in this font
FOOT = 22.0  # ticks and label below the axis
# Rasterised glyphs are set on whole pixels and so run a little wider than their outlines.
_SLACK = 1.02
_LABELS_AT_MOST = 0.4  # of a panel's width


@dataclass(frozen=True, slots=True)
class Heading:
    """One line of a heading: bold text from the left, plain text after it, and plain text at the right."""

    y: float
    bold: str
    indent: float
    plain: str
    right: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A panel's text in its place; y counts down from the panel's top.

    Attributes
    ----------
    panel
        What is laid out.
    width, depth
        Of the panel with its labels; of its rows and headings.
    labels_width, numbers_width
        Of the columns left and right of the plot, with their space.
    headings
        Lines above blocks.
    rows
        Middle of every row.
    labels
        Of every row, wrapped.
    spans
        Top and bottom of every block's rows.
    """

    panel: Panel
    width: float
    depth: float
    labels_width: float
    numbers_width: float
    headings: tuple[Heading, ...]
    rows: tuple[float, ...]
    labels: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]

    @property
    def height(self) -> float:
        """With the axis."""
        return self.depth + FOOT

    @property
    def plot_width(self) -> float:
        """Of the plot between the two columns."""
        return self.width - self.labels_width - self.numbers_width


def text_width(text: str, weight: str = "normal") -> float:
    """Width of one line of text."""
    font = FontProperties(family=FAMILY, size=FONT, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) * _SLACK


def wrapped(text: str, width: float, weight: str = "normal") -> list[str]:
    """Lines no wider than `width`; a word that is wider is broken."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, weight) <= width:
            lines[-1] = longer
            continue
        lines = [*lines, ""] if lines[-1] else lines
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, weight) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def layout(panel: Panel, width: float) -> Layout:
    """Every line of a panel of that width."""
    labels_width = min(max(text_width(row.label) for row in panel.rows), _LABELS_AT_MOST * width)
    numbers = [text_width(row.numbers) for row in panel.rows]
    headings, rows, labels, spans = [], [], [], []
    caption = f"{panel.measure.name} ({' or '.join(panel.levels)} interval)"
    headings += _heading(panel.measure.label, panel.comparison, caption, width, 0.0)
    y = LINE * len(headings)
    for block in panel.blocks:
        y += GAP if block.direction else 0.0
        head = _heading(block.analysis, block.title, block.direction, width, y)
        headings += head
        top = y = y + LINE * len(head)
        for row in block.rows:
            lines = wrapped(row.label, labels_width)
            high = LINE + WRAPPED * (len(lines) - 1)
            rows.append(y + high / 2)
            labels.append("\n".join(lines))
            y += high
        spans.append((top, y))
    return Layout(
        panel,
        width,
        y + GAP / 2,
        labels_width + SPACE,
        max(numbers) + SPACE,
        tuple(headings),
        tuple(rows),
        tuple(labels),
        tuple(spans),
    )


def _heading(bold: str, plain: str, right: str, width: float, top: float) -> list[Heading]:
    """One line where it fits; what does not goes to further lines, and never into other text."""
    indent = text_width(bold, "bold") + SPACE / 2
    lines = [[text, ""] for text in wrapped(plain, width - indent)]
    if indent + text_width(lines[-1][0]) + SPACE + text_width(right) <= width:
        lines[-1][1] = right
    else:
        lines += [["", text] for text in wrapped(right, width)]
    return [Heading(top + LINE * (i + 0.5), "" if i else bold, indent, *line) for i, line in enumerate(lines)]


def ticks(left: float, right: float, width: float, *, log: bool) -> list[float]:
    """Three to seven round numbers whose labels stand apart on an axis of that width; fewer where none do.

    On a log axis one digit times powers of ten, as long as there are so many.
    """
    choices: list[Sequence[float]] = [MaxNLocator(most).tick_values(left, right) for most in (5, 3, 2, 1)]
    if log:
        decades = range(int(np.floor(np.log10(left))), int(np.ceil(np.log10(right))) + 1)
        fine = [[m * 10.0**d for d in decades for m in digits] for digits in ((1, 2, 5), range(1, 10))]
        wide = [[10.0**d for d in decades if not d % step] for step in range(1, len(decades))]
        choices = [*fine, *wide, *choices]
    inside = [[float(x) for x in choice if left <= x <= right] for choice in choices]
    scale = np.log if log else np.asarray
    start, end = scale([left, right])
    for least in (3, 2):
        for found in inside:
            places = width * (scale(found) - start) / (end - start)
            taken = np.array([text_width(tick_label(x)) for x in found])
            apart = np.diff(places) >= (taken[1:] + taken[:-1]) / 2 + SPACE
            if least <= len(found) <= 7 and apart.all():
                return found
    return []


def tick_label(x: float) -> str:
    """A number under the axis."""
    return f"{x:g}".replace("-", "−")
