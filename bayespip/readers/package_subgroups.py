"""The subgroups of an analysis in a data package: which of them a row is in, under which name and number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.readers.vocabulary import unique_names
from bayespip.settings import Subgroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayespip.readers.csv_table import CsvRow

__all__ = ["PackageSubgroups", "package_subgroups"]

_NAME, _NUMBER = "Subgroup", "Subgroup number"


@dataclass(frozen=True, slots=True)
class PackageSubgroups:
    """The subgroups of one analysis.

    Attributes
    ----------
    numbered
        Whether rows give the number of their subgroup, or only its name.
    known
        Each subgroup by its number, or by its name as in the file.
    repeated
        Names that several subgroups have and no number tells apart: one subgroup here.
    """

    numbered: bool
    known: Mapping[int | str, Subgroup]
    repeated: frozenset[str]

    @property
    def all(self) -> tuple[Subgroup, ...]:
        """By number."""
        return tuple(sorted(self.known.values(), key=lambda s: s.number))

    def of(self, row: CsvRow) -> str:
        """Unique name of the row's subgroup; "" for none."""
        key = _key(row, numbered=self.numbered)
        return self.known[key].name if key in self.known else ""

    def is_one(self, row: CsvRow) -> bool:
        """Whether a stored result is that of one subgroup here, not of one of several under its name."""
        return row.name(_NAME) not in self.repeated


def _key(row: CsvRow, *, numbered: bool) -> int | str:
    if not numbered:
        return row.name(_NAME)
    return row.whole(_NUMBER, 0) if row.name(_NUMBER) else 0


def package_subgroups(
    rows: Sequence[CsvRow], results: Sequence[CsvRow], label: str, notes: list[str]
) -> PackageSubgroups:
    """The subgroups that an analysis's studies and stored results name.

    Parameters
    ----------
    rows, results
        Of data-rows.csv and of subgroup-estimates.csv.
    label
        The analysis's id, for notes.
    notes
        Told of subgroups that cannot be told apart.
    """
    in_groups = [r for r in rows if r.name(_NAME) or r.name(_NUMBER)]
    numbered = bool(in_groups) and all(r.name(_NUMBER) for r in in_groups)
    listed: dict[str, list[int]] = {}
    for row in results:
        listed.setdefault(row.name(_NAME), []).append(row.whole(_NUMBER, 1))
    repeated = frozenset(name for name, numbers in listed.items() if len(numbers) > 1 and not numbered)
    notes.extend(
        f"{label}: {len(listed[name])} subgroups are named {name!r} and their studies are not told apart; they are "
        "one here, without stored results."
        for name in sorted(repeated)
    )
    found: dict[int | str, tuple[int, str]] = {}
    for name, numbers in listed.items():
        for number in numbers if numbered else numbers[:1]:
            found[number if numbered else name] = number, name
    for row in in_groups:
        key = _key(row, numbered=numbered)
        if key and key not in found:
            free = max((number for number, _ in found.values()), default=0) + 1
            found[key] = key if isinstance(key, int) else free, row.name(_NAME)
    ordered = sorted(found, key=lambda k: found[k][0])
    names = unique_names([found[key][1] for key in ordered])
    known = {key: Subgroup(found[key][0], name) for key, name in zip(ordered, names, strict=True)}
    return PackageSubgroups(numbered, known, repeated)
