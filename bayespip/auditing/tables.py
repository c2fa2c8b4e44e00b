"""The findings of an audit as a Rich table that reads in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bayespip.auditing.wording import CERTAINTIES
from bayespip.text.wording import count

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.review import Review

_STYLES = {"impossible": "bold red", "inconsistent": "yellow", "unusual": ""}
MEANING = (
    "Rounding of every printed number is allowed for. impossible: nothing that prints so can agree under the named "
    "method; inconsistent: it agrees only under another method than the stated one (normal interval and test, inverse "
    "variance, DerSimonian-Laird), or two statements differ; unusual: possible, but to be looked at. That nothing is "
    "found is no proof: an error that changes all numbers alike leaves no contradiction."
)


def show_audit(review: Review, findings: pd.DataFrame, console: Console | None = None) -> None:
    """Print the findings of ``audit``, most certain first within each analysis, and what the words mean.

    Parameters
    ----------
    review
        For its title, and for how many results were checked.
    findings
        From ``audit(review)``.
    console
        To print to; a new one on stdout if None.
    """
    screen = console or Console(highlight=False)
    screen.print(Text(review.title, style="bold"))
    if len(findings):
        screen.print(audit_table(findings))
    screen.print(Text(_summary(review, findings)), Text(MEANING), sep="\n\n")


def audit_table(findings: pd.DataFrame) -> Table:
    """One row a finding."""
    table = Table(box=None, padding=(0, 2, 1, 0), pad_edge=False)
    for header in ("", "how sure", "finding"):
        table.add_column(header, no_wrap=header != "finding", overflow="fold")
    order = findings["how_sure"].map(CERTAINTIES.index)
    place = findings["analysis"].map({name: i for i, name in enumerate(findings["analysis"].unique())})
    ranked = findings.assign(place=place, order=order).sort_values(["place", "order"], kind="stable")
    for row in ranked.to_dict("records"):
        sure = Text(row["how_sure"], style=_STYLES[row["how_sure"]])
        table.add_row(row["analysis"] or "review", sure, Text(row["sentence"]))
    return table


def _summary(review: Review, findings: pd.DataFrame) -> str:
    checked = count(sum(a.reported is not None for a in review), "published result")
    numbers = findings["how_sure"].value_counts()
    found = ", ".join(f"{numbers[word]} {word}" for word in CERTAINTIES if word in numbers)
    return f"{checked} checked: {found or 'nothing found'}."
