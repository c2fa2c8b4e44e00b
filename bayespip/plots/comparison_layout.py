"""Where the text of the comparison stands: lines, columns and heights, in points (1/72 inch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.plots import text
from bayespip.plots.text import LINE_HEIGHT, SMALL

if TYPE_CHECKING:
    from bayespip.plots.comparison_rows import Panel

LINE, GAP, SPACE = 6.7, 3.6, 4.5
WRAPPED = LINE_HEIGHT * SMALL
FOOT = 22.0  # ticks and label below the axis
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


def text_width(line: str, weight: str = "normal") -> float:
    """Width of one line of text in small print."""
    return text.text_width(line, SMALL, weight)


def wrapped(words: str, width: float, weight: str = "normal") -> list[str]:
    """Lines of small print no wider than `width`."""
    return text.wrapped(words, width, SMALL, weight)


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
    lines = [[line, ""] for line in wrapped(plain, width - indent)]
    if indent + text_width(lines[-1][0]) + SPACE + text_width(right) <= width:
        lines[-1][1] = right
    else:
        lines += [["", line] for line in wrapped(right, width)]
    return [Heading(top + LINE * (i + 0.5), "" if i else bold, indent, *line) for i, line in enumerate(lines)]
