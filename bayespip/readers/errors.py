"""The one error of every reader."""

from __future__ import annotations

__all__ = ["ReadError"]

# Of what a file holds, so much is shown: enough to find it by.
_SHOWN = 80


class ReadError(ValueError):
    """A file that cannot be read as what it is taken for.

    Attributes
    ----------
    file
        Its name, without folders.
    place
        Where in it, such as "line 12, attribute YEAR" or "row 3, column Study"; "" where the whole file is meant.
    expected
        What should stand there.
    found
        What stands there.

    Examples
    --------
    >>> try:
    ...     bp.read_table("absent.csv", "RR")
    ... except bp.ReadError as error:
    ...     print(error.file, "|", error.expected)
    ...
    absent.csv | a file
    """

    def __init__(self, file: str, place: str, *, expected: str, found: object) -> None:
        self.file, self.place, self.expected = file, place, expected
        self.found = _short(found)
        where = f"{file}, {place}" if place else file
        super().__init__(f"{where}: expected {expected}; found {self.found}.")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.file, self.place, self.expected, self.found)


def _rebuild(file: str, place: str, expected: str, found: str) -> ReadError:
    return ReadError(file, place, expected=expected, found=found)


def _short(found: object) -> str:
    """On one line, free of control characters, and of bounded length."""
    text = "".join(c if c.isprintable() else " " for c in str(found)[: 2 * _SHOWN]).strip()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
