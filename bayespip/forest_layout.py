"""Where the text of a forest plot stands: lines, columns and heights, in points (1/72 inch).

Text is measured with the font that Matplotlib carries, so that columns and lines fit it wherever it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

if TYPE_CHECKING:
    from bayespip.forest import Panel

FAMILY, FONT = "DejaVu Sans", 6.0
LINE, GAP, SPACE = 6.9, 4.0, 6.0
FOOT = 24.0  # ticks and label below the axis
# Rasterised glyphs are set on whole pixels and so run a little wider than their outlines.
_SLACK = 1.03
_LABELS_AT_MOST = 0.4  # of a panel's width


@dataclass(frozen=True, slots=True)
class Heading:
    """One line of a heading: bold and plain text from the left, plain text at the right."""

    y: float
    bold: str
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
        head = _heading(block.title, block.detail, block.direction, width, y)
        headings += head
        top = y = y + LINE * len(head)
        for row in block.rows:
            lines = wrapped(row.label, labels_width)
            rows.append(y + LINE * len(lines) / 2)
            labels.append("\n".join(lines))
            y += LINE * len(lines)
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
    lines = [[text, "", ""] for text in wrapped(bold, width, "bold")]
    for column, text in ((1, plain), (2, right)):
        for part in [text] if _fits(lines[-1], text, width) else wrapped(text, width):
            if not _fits(lines[-1], part, width):
                lines.append(["", "", ""])
            lines[-1][column] = part
    return [Heading(top + LINE * (i + 0.5), *line) for i, line in enumerate(lines)]


def _fits(line: list[str], text: str, width: float) -> bool:
    taken = [text_width(part, weight) for part, weight in zip(line, ("bold", *["normal"] * 2), strict=True)]
    return sum(taken) + text_width(text) + SPACE * sum(bool(part) for part in line) <= width
