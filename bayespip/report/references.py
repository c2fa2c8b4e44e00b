"""The works that a methods paragraph cites: numbered in the order of citation, and as BibTeX."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Citations", "Reference", "bibtex", "known", "of_source"]

_MOST_AUTHORS = 6  # named before "et al.": Vancouver style (ICMJE, Samples of Formatted References)
_ACCENTS = {"ö": '{\\"o}', "ü": '{\\"u}', "š": "{\\v s}"}


@dataclass(frozen=True, slots=True)
class Reference:
    """One work.

    Attributes
    ----------
    key
        For citation.
    title
        Of the work.
    authors
        Each as "Family Initials".
    year
        None where it is not known.
    journal, volume, number, pages, publisher, doi
        Empty where there is none.
    more_authors
        Whether there are more than are named.
    sources
        Beginnings under which the source of a prior names this work.
    """

    key: str
    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    journal: str = ""
    volume: str = ""
    number: str = ""
    pages: str = ""
    publisher: str = ""
    doi: str = ""
    more_authors: bool = False
    sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In Vancouver style."""
        named = self.authors[:_MOST_AUTHORS]
        authors = ", ".join([*named, "et al"] if self.more_authors or len(self.authors) > len(named) else named)
        parts = [part for part in (authors, self.title) if part]
        if self.journal:
            where = f";{self.volume}{f'({self.number})' if self.number else ''}:{self.pages}"
            parts.append(f"{self.journal} {self.year}{where if self.volume else f':{self.pages}'}")
        else:
            parts.append(", ".join(str(part) for part in (self.publisher, self.year) if part))
        if self.doi:
            parts.append(f"doi:{self.doi}")
        return f"{'. '.join(part.rstrip('.') for part in parts if part)}."

    @property
    def bibtex(self) -> str:
        """As a BibTeX entry."""
        kind = "article" if self.journal else "techreport" if self.publisher else "misc"
        names = [", ".join(author.rsplit(" ", 1)) for author in self.authors]
        authors = " and ".join([*names, "others"] if self.more_authors else names)
        values = {
            "author": authors, "title": self.title, "journal": self.journal, "year": str(self.year or ""),
            "volume": self.volume, "number": self.number, "pages": self.pages.replace("-", "--"),
            "institution": self.publisher, "doi": self.doi,
        }  # fmt: skip
        latex = {name: _latex(value, doi=name == "doi") for name, value in values.items() if value}
        latex["title"] = f"{{{latex['title']}}}"  # keeps its capitals
        lines = [f"  {name} = {{{value}}}," for name, value in latex.items()]
        return "\n".join([f"@{kind}{{{self.key},", *lines, "}"])


def _latex(text: str, *, doi: bool) -> str:
    """Accents that old BibTeX cannot sort, and characters that LaTeX reads."""
    if doi:
        return re.sub(r"[{}\\]", "", text)
    plain = re.sub(r"[{}\\]", "", text)  # a brace without its fellow ends the entry
    escaped = re.sub(r"([&%$#_])", r"\\\1", plain)
    return "".join(_ACCENTS.get(character, character) for character in escaped)


@cache
def known() -> dict[str, Reference]:
    """The works that methods here come from, by key."""
    table = tomllib.loads((files("bayespip.report") / "references.toml").read_text(encoding="utf-8"))
    return {key: _reference(key, row) for key, row in table.items()}


def _reference(key: str, row: dict[str, Any]) -> Reference:
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
    return Reference(key, **fields)


def of_source(source: str) -> Reference | None:
    """The work that a prior's source begins with; None if it is not among those known."""
    return next((r for r in known().values() if any(source.startswith(s) for s in r.sources)), None)


@dataclass
class Citations:
    """Numbers references in the order in which they are first cited.

    Attributes
    ----------
    cited
        The references so far.
    """

    cited: list[Reference] = field(default_factory=list)

    def __call__(self, *references: str | Reference) -> str:
        """Such as "[3, 4]" for keys of ``known``, or for references of one's own."""
        numbers = []
        for reference in references:
            work = known()[reference] if isinstance(reference, str) else reference
            if work not in self.cited:
                self.cited.append(work)
            numbers.append(self.cited.index(work) + 1)
        return f"[{', '.join(str(n) for n in sorted(set(numbers)))}]"


def bibtex(references: tuple[Reference, ...]) -> str:
    """The references as a BibTeX file."""
    return "\n\n".join(reference.bibtex for reference in references) + "\n"
