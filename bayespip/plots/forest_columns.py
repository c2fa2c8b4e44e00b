"""The columns of text beside a forest plot, and which of them have room; lengths are in points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.plots.bias import letters
from bayespip.plots.comparison_rows import numbers_of
from bayespip.plots.style import MM
from bayespip.plots.text import SMALL, text_width, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.plots.forest_rows import Forest, Interval, Pooled, Study

__all__ = ["SPACE", "Columns", "columns"]

SPACE = 5.0
DOT = 8.5  # from one dot to the next
_PLOT_AT_LEAST = 25 * MM
_LABELS_AT_MOST = 0.3  # of the width
_HEAD = 42.0  # a head is wrapped to its cells, or to this


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head in lines, a text a row, its width."""

    head: tuple[str, ...]
    cells: tuple[str, ...]
    width: float


@dataclass(frozen=True, slots=True)
class Columns:
    """What stands left and right of the plot.

    Attributes
    ----------
    labels
        Of every row, in lines.
    labels_width
        Of the column of labels.
    left, right
        Further columns, from the left.
    domains
        Letters of the risk of bias, right of all; empty where they have no room.
    """

    labels: tuple[tuple[str, ...], ...]
    labels_width: float
    left: tuple[Column, ...]
    right: tuple[Column, ...]
    domains: tuple[str, ...]

    @property
    def left_width(self) -> float:
        """From the left edge to the plot."""
        return self.labels_width + SPACE + sum(column.width + SPACE for column in self.left)

    @property
    def right_width(self) -> float:
        """From the plot to the right edge."""
        return sum(column.width + SPACE for column in self.right) + (SPACE + DOT * len(self.domains))

    @property
    def head_lines(self) -> int:
        """Lines of the highest head."""
        return max(len(column.head) for column in (*self.left, *self.right))


def columns(its: Forest, width: float) -> Columns:
    """All columns that leave the plot 25 mm; what has no room is left out, first what stands last here.

    Estimates; sizes of the arms; weights; risk of bias; intervals for a new study.
    """
    rows: list[Study | Pooled] = [*its.studies, *its.pooled]
    labels = tuple(tuple(wrapped(row.label, _LABELS_AT_MOST * width, SMALL)) for row in rows)
    labels_width = max(text_width(line, SMALL) for lines in labels for line in lines)
    percent = f"{100 * its.level:g}%"
    empty = [""] * len(its.pooled)

    def printed(interval: Interval) -> str:
        known = not np.isnan(interval.point)
        return numbers_of(interval.point, interval.lower, interval.upper, its.measure) if known else ""

    own = [printed(s.own) for s in its.studies] + [printed(p.mu) for p in its.pooled]
    estimate = _column(f"{its.measure.name} ({percent} interval)", own)
    arms = [_column(name, [s.arms[i] for s in its.studies] + empty) for i, name in enumerate(its.arms)]
    weight = _column("Weight", [f"{s.weight:.1f}%" for s in its.studies] + empty)
    limits = [
        f"({_printed_limits(printed(p.new))})" if np.isfinite([p.new.lower, p.new.upper]).all() else ""
        for p in its.pooled
    ]
    new = _column(f"New study, {percent}", [""] * len(its.studies) + limits)
    wanted = {
        "arms": any(its.arms), "weight": bool(its.weights_of), "domains": bool(its.domains), "new": any(limits),
    }  # fmt: skip
    kept = [name for name, there in wanted.items() if there]
    while True:
        found = Columns(
            labels,
            labels_width,
            tuple(arms) if "arms" in kept else (),
            (estimate, *([weight] if "weight" in kept else []), *([new] if "new" in kept else [])),
            tuple(letters(len(its.domains))) if "domains" in kept else (),
        )
        if not kept or width - found.left_width - found.right_width >= _PLOT_AT_LEAST:
            return found
        kept.pop()


def _column(head: str, cells: Sequence[str]) -> Column:
    widest = max(text_width(cell, SMALL) for cell in cells) if cells else 0.0
    lines = wrapped(head, max(widest, _HEAD), SMALL)
    return Column(tuple(lines), tuple(cells), max(widest, *(text_width(line, SMALL) for line in lines)))


def _printed_limits(text: str) -> str:
    """The limits of "0.48 (0.24, 0.95)"."""
    return text.partition("(")[2].removesuffix(")")
