"""The catalogue of published priors as Rich tables, every doubt and source in words below them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bayespip.measures import MEASURES
from bayespip.priors.entries import codebook, entries
from bayespip.priors.lookup import select
from bayespip.priors.meaning import figure, meaning_of
from bayespip.text.terminal import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayespip.priors.entries import Entry

__all__ = ["overview", "priors_table", "show_priors"]


def show_priors(
    measure: str | None = None,
    *,
    outcome: str | None = None,
    comparison: str | None = None,
    topic: str | None = None,
    paper: str | None = None,
    parameter: str | None = None,
    everything: bool = False,
) -> None:
    """Print the published priors that fit a description; without one, an overview by paper.

    Parameters
    ----------
    measure, outcome, comparison, topic, paper, parameter
        As ``priors.empirical``; all are open unless given.
    everything
        Print the whole catalogue instead of the overview.

    Raises
    ------
    ValueError
        If nothing fits; the message lists the choices.
    """
    description = {
        "outcome": outcome, "comparison": comparison, "topic": topic, "paper": paper, "parameter": parameter,
    }  # fmt: skip
    screen = console()
    if measure is None and not any(description.values()) and not everything:
        screen.print(overview(), "", *_advice(), sep="\n")
        return
    found = select(measure, **description)
    doubts = _numbered(doubt for entry in found for doubt in entry.doubts)
    screen.print(priors_table(found, doubts, measure), *_notes(found, doubts), sep="\n")


def overview() -> Table:
    """How many priors each paper gives, for which measures, and how sure they are."""
    table = _table("paper", "priors", "on", "measures", "family", "status")
    for paper in dict.fromkeys(entry.paper for entry in entries()):
        found = [entry for entry in entries() if entry.paper == paper]
        table.add_row(
            paper,
            str(len(found)),
            ", ".join(sorted({e.parameter for e in found}, reverse=True)),
            ", ".join(dict.fromkeys(e.measure or "any" for e in found)),
            ", ".join(dict.fromkeys(e.family for e in found)),
            ", ".join(f"{n} {status}" for status, n in Counter(e.status for e in found).items()),
        )
    return table


def priors_table(found: Sequence[Entry], doubts: dict[str, int], measure: str | None = None) -> Table:
    """One prior two lines: its name and density; median, 95% interval and implied spread; status.

    Parameters
    ----------
    found
        What to show.
    doubts
        Number of each doubt, printed below the status.
    measure
        That on which the spread under priors for any measure is shown.
    """
    table = _table("prior\ndensity, on the scale", "median\n95%", "spread of\neffects", "status\ndoubt")
    for entry in found:
        numbers = ", ".join(str(doubts[doubt]) for doubt in entry.doubts)
        values, spread = _numbers(entry, entry.measure or measure or "")
        status = f"{entry.status}\n[{numbers}]" if numbers else entry.status
        table.add_row(*map(Text, (f"{entry.name}\n{_density(entry)}", values, spread, status)))
    return table


def _density(entry: Entry) -> str:
    measure = MEASURES.get(entry.measure)
    scale = measure.model_scale if measure else entry.measure or "any measure"
    what = f"{entry.family}(from sei)" if entry.parameters is None else str(entry.prior())
    return f"{entry.parameter} {what}, {scale}"


def _numbers(entry: Entry, measure_name: str) -> tuple[str, str]:
    """Median and interval, and the spread: a factor for ratios, else a difference."""
    if entry.parameters is None:
        return "from sei", ""
    measure, prior = MEASURES.get(measure_name), entry.prior()
    if not prior.proper:
        return "improper", ""
    m = meaning_of(prior, measure if entry.parameter == "tau" else None)
    spread = f"{'×' if measure and measure.log else ''}{figure(m.spread)}" if entry.parameter == "tau" else ""
    return f"{figure(m.median)}\n{figure(m.lower)} to {figure(m.upper)}", spread


def _notes(found: Sequence[Entry], doubts: dict[str, int]) -> Iterator[Text]:
    yield Text(
        "\nMedian and central 95% of the prior, on its scale. Spread of effects: between the 2.5% and the 97.5% study "
        "effect at the median tau, a factor (×) for ratios."
    )
    if doubts:
        yield Text("\nDoubts", style="bold")
    for doubt, number in doubts.items():
        yield Text(f"[{number}] {doubt}")
    yield Text("\nSources", style="bold")
    for citation, checked in dict.fromkeys((e.citation, e.checked) for e in found):
        yield Text(f"{citation}. Checked: {checked}.")
    yield Text(f"\n{codebook()['not_compared']}")


def _advice() -> Iterator[Text]:
    yield Text("Narrow it with --measure RR, --topic 'Common Mental Disorders', --outcome, --comparison or --paper.")
    for missing in codebook()["not_obtained"]:
        yield Text(f"Not in it: {missing['citation']} ({missing['what']}): {missing['reason']}.")
    yield Text(codebook()["not_compared"])


def _numbered(texts: Iterator[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts), start=1)}


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
