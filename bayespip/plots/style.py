"""One look for every figure: Matplotlib's settings, colours with their doubles in grey, widths of journals.

Colours: Okabe M, Ito K. Color universal design (2008). Whatever differs in colour differs in marker, dash or hatch as
well, so that grey and colour-blind readers lose nothing.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

from matplotlib import interactive, is_interactive, style

if TYPE_CHECKING:
    from collections.abc import Iterator

MM = 72 / 25.4  # points
COLUMN, PAGE = 85 * MM, 174 * MM  # widths of a journal's column and page, in points

BLACK, GREY, FAINT, PALE = "#000000", "#595959", "#8c8c8c", "#d4d4d4"
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"

# Matplotlib's settings belong to the process: one figure at a time sets them.
_SETTINGS = RLock()


@dataclass(frozen=True, slots=True)
class Look:
    """How one thing is drawn: colour, and what tells it apart without colour."""

    colour: str
    marker: str
    dash: Any = "-"


# kinds of result, in every figure alike
PUBLISHED = Look(BLACK, "s")
FREQUENTIST = Look(VERMILION, "D", (0, (4, 1.5)))
WEAK = Look(BLUE, "o")
EMPIRICAL = Look(GREEN, "^", (0, (4, 1.2, 1, 1.2)))
GIVEN = Look(PURPLE, "v", (0, (1, 1)))

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, BLACK)
_MARKERS = ("o", "D", "^", "v", "s")
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1.2, 1, 1.2)))


def looks(count: int) -> list[Look]:
    """Looks of `count` things in a series: no two of the first 28 agree in colour and dash."""
    return [
        Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)]) for i in range(count)
    ]


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings while a figure is made or saved; also a decorator: ``@drawing()``.

    Around ``savefig`` it makes text stay text in SVG, embeds TrueType in PDF and writes the same SVG every time (give
    ``metadata={"Date": None}``). Names in scripts that the font lacks show as boxes in a PNG, without a warning.
    """
    switched_on = is_interactive()
    try:
        with _SETTINGS, style.context(["default", "bayespip.plots.bayespip"]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            try:
                yield
            finally:
                # by a notebook's backend, which is loaded with the first figure: this must outlast the settings
                switched_on = is_interactive()
    finally:
        interactive(switched_on)
