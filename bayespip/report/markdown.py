"""Text from files inside Markdown: shown as it is, whatever it holds."""

from __future__ import annotations

import re

__all__ = ["escaped"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~^$@])")  # of CommonMark, and of Pandoc's tables, citations and mathematics


def escaped(text: str) -> str:
    """The text with every character that Markdown would read escaped, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
