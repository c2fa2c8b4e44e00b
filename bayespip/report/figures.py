"""The figures of the report: what each shows, in words, and the call that draws it again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.plots import drawing
from bayespip.report.svg import inline_svg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Picture", "picture"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the report, drawn when it is asked for.

    Attributes
    ----------
    draw
        Makes a figure of its own.
    identifier
        Unique on the page.
    title
        What it is.
    caption
        What it shows, and how to read it; with the title, for people who do not see it.
    call
        In Python.
    wide
        Whether it takes the page's whole width.
    """

    draw: Callable[[], Axes]
    identifier: str
    title: str
    caption: str
    call: str
    wide: bool

    @property
    def svg(self) -> Markup:
        """The drawing for a page of HTML, which carries title and description."""
        with self._drawn() as figure:
            return inline_svg(figure, self.identifier, self.title, self.caption)

    def save(self, file: Path) -> None:
        """Write the drawing, in the format of the file's name."""
        with self._drawn() as figure:
            figure.savefig(file)

    @contextmanager
    def _drawn(self) -> Iterator[Figure]:
        import matplotlib.pyplot as plt

        with drawing():
            figure = self.draw().get_figure(root=True)
            assert figure is not None  # noqa: S101  (Axes just made have one)
            try:
                yield figure
            finally:
                plt.close(figure)


def picture(
    draw: Callable[[], Axes], identifier: str, *, title: str, caption: str, call: str, wide: bool = False
) -> Picture:
    """A figure of the report; as Picture."""
    return Picture(draw, identifier, title, caption, call, wide)
