"""A re-analysis as Rich tables for 80 columns: two lines a method, and no number cut."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.measure import Measurement
from rich.progress import ProgressColumn
from rich.table import Table
from rich.text import Text

from bayespip.reanalysis.conclusions import CONFLICT
from bayespip.reanalysis.job import DEPENDENCE
from bayespip.reproduction import DIFFERS, tally
from bayespip.text.findings import agreement, findings, not_pooled, unfitted, unpublished
from bayespip.text.wording import count, interval, number, probability, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Task

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.sweeping.running import Swept
    from bayespip.text.findings import Finding, Line

_MOST_DIFFERENCES = 20  # that the terminal lists; reproduction.csv has all
_MOST_TABLES = 25  # outcomes of which the terminal shows every prior; of more, summary.md does
_SHORT = {"in all members": "all", "in some members": "some", "in no member": "no", "no claim": ""}


def console(width: int = 0, *, stderr: bool = False) -> Console:
    """A console at least so wide: a terminal that is narrower wraps its lines, and shows every digit."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.width >= width else Console(stderr=stderr, highlight=False, width=width)


class Rate(ProgressColumn):
    """How many are done a second, or a minute where that is less than one."""

    def render(self, task: Task) -> Text:
        """Empty before it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min")


def swept(found: Swept) -> str:
    """What a sweep gave, what it skipped, and where it lies."""
    counts = {name: f"{n:,}" for name, n in found.counts.items()}
    files = f"{counts['reviews']} of {counts['files']} files"
    lines = [
        f"{counts['pooled']} of {counts['analyses']} analyses in {files} pooled; {counts['fits']} fits.",
        f"Written to {found.folder}: pandas.read_parquet({str(found.folder / 'results')!r}).",
    ]
    rows = found.counts["skipped_files"] + found.counts["without_result"]
    if rows:
        lines.insert(1, f"What has no result, and why: {count(rows, 'row')} in skipped.csv.")
    return "\n".join(lines)


def show(result: Reanalysis) -> None:
    """Print a table an outcome, one of all outcomes, what is missing, and how the two engines agree."""
    found = findings(result)
    shown = found if len(found) <= _MOST_TABLES else ()
    tables, together = [outcome(f) for f in shown], overview(found)
    wide = Console(width=1000)
    needed = max(Measurement.get(wide, wide.options, table).maximum for table in (*tables, together))
    screen = console(needed)
    screen.print(*_reproduced(result), Text(result.review.title, style="bold"), *_legend(result, found), sep="\n")
    for finding, table in zip(shown, tables, strict=True):
        screen.print(*_heading(finding), table, sep="\n")
    screen.print("", Text("All outcomes", style="bold"), together, "", *_closing(result, found), sep="\n")


def _reproduced(result: Reanalysis) -> Iterator[Text]:
    """What the file stores, computed again: said before anything else is."""
    if len(result.reproduction):
        differing = result.reproduction[result.reproduction["verdict"] == DIFFERS]
        style = "bold red" if len(differing) else "bold"
        yield Text(f"{tally(result.reproduction)}.", style=style)
        for row in differing.head(_MOST_DIFFERENCES).itertuples():
            where = f"{row.analysis} {row.subgroup}".strip()
            yield Text(
                f"{where}, {row.quantity}: stored {row.stored:.8g}, recomputed {row.recomputed:.8g}; {row.reason}"
            )
        if len(differing) > _MOST_DIFFERENCES:
            yield Text(f"{len(differing) - _MOST_DIFFERENCES} more differ; reproduction.csv has them.")


def outcome(finding: Finding) -> Table:
    """One outcome: frequentist methods, then every prior."""
    columns: list[_Column] = [
        ("method, or\npriors", "left"),
        ("mu\ninterval", "right"),
        ("bounds of\nlimits", "right"),
        ("tau\ninterval", "right"),
        ("new\nstudy", "right"),
        (_probability_header(finding), "right"),
        ("claim\nholds", "left"),
    ]
    lines = (*finding.frequentist, *finding.bayesian, *finding.others)
    return _table(columns, [list(_cells(finding, line)) for line in lines])


def overview(found: Sequence[Finding]) -> Table:
    """One row an outcome."""
    columns: list[_Column] = [
        ("", "left"),
        ("published\ninterval", "right"),
        ("signif-\nicant", "left"),
        ("REML, HKSJ\nfloored", "right"),
        ("claim holds,\nof priors", "left"),
        ("medians", "right"),
        ("conflict", "left"),
    ]
    return _table(columns, [list(_all(f)) for f in found])


_Column = tuple[str, Literal["left", "right"]]


def _table(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> Table:
    """Without the columns that would be empty."""
    filled = [any(row[i] for row in rows) for i in range(len(columns))]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for header, justify in compress(columns, filled):
        table.add_column(header, justify=justify, no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*compress(row, filled))
    return table


def _all(f: Finding) -> Iterator[str]:
    r, null, mu = f.reported, f.null, f.headline.mu
    yield f.label.replace(" (k = ", "\nk = ").rstrip(")")
    yield f.published.replace(" (", "\n").rstrip(")") if r else ""
    yield "" if r is None or r.claim is None else ("yes" if f.claimed else "no")
    yield f"{number(mu['point'], null)}\n{interval(mu['lower'], mu['upper'], null)}"
    yield "\n".join(f"{_SHORT.get(v, v)} {n}" for v, n in f.verdicts.items() if f.claimed and n)
    yield spread(*f.medians, null)
    yield "\n".join(f"{sign} {len(of)}/{len(f.tau_priors)}" for sign, of in f.conflicts.items() if of)


def _cells(finding: Finding, line: Line) -> Iterator[str]:
    null, mu, tau, new = finding.null, line.mu, line.tau, line.theta_new
    on_tau, on_mu, kind = line.priors
    prior = f"{on_tau}{'*' if kind == 'hybrid' else ''}\n{on_mu}"
    if line.model:
        yield f"{line.model}\n{prior}"
    else:
        yield prior if on_tau else line.method.replace(", ", ",\n")
    yield f"{number(mu['point'], null)}\n{interval(mu['lower'], mu['upper'], null)}"
    ends = (spread(mu[f"{edge}_min"], mu[f"{edge}_max"], null) for edge in ("lower", "upper"))
    yield "\n".join(ends) if line.has_bounds else ""
    yield f"{number(tau['point'])}\n{interval(tau['lower'], tau['upper'])}"
    yield interval(new["lower"], new["upper"], null).replace(" to ", " to\n")
    sides = {"higher": ("above",), "lower": ("below",)}.get(finding.favours, ("above", "below"))
    yield "\n".join(probability(mu[f"prob_{side}_null"]) for side in sides)
    yield _SHORT.get(str(mu["holds"]), str(mu["holds"]))


def _probability_header(finding: Finding) -> str:
    above, below = f"P(>{finding.null:g})", f"P(<{finding.null:g})"
    return {"higher": above, "lower": below}.get(finding.favours, f"{above}\n{below}")


def _heading(finding: Finding) -> Iterator[Text]:
    a, r = finding.analysis, finding.reported
    name = ", ".join(part for part in (a.outcome, a.timepoint) if part)
    yield Text(f"\n{finding.label}  {name}", style="bold")
    measure = a.measure.name if a.measure else ""
    yield Text(f"{measure}, k = {finding.k}{f' ({finding.k_source})' if finding.k_source else ''}")
    favourable = f"{finding.favours} is favourable" if finding.favours else "favourable direction not stated"
    claim = f", {r.claim}" if r and r.claim else ""
    yield Text(f"published {finding.published}{claim}; {favourable}")


def _legend(result: Reanalysis, found: Sequence[Finding]) -> Iterator[Text]:
    yield Text(
        f"Intervals: {result.settings['level']:.3g}. New study: prediction interval of the effect in a new "
        "study. tau: on the model scale (log for ratios). * hybrid: a published tau beside another mu."
    )
    if any(f.from_published for f in found):
        yield Text(
            "Only pooled results were published: Bayesian values are the conditional posterior given the "
            "printed numbers, frequentist values those of the equal-variance member of the study data "
            "consistent with them (consistent-with-reported)."
        )
    if any(f.bayesian[0].has_bounds for f in found):
        yield Text(
            "Bounds of limits: smallest..largest lower limit over all study data consistent with the printed "
            "numbers; below it the same of the upper limit. Claim holds: in all, some or no members of them."
        )


def _closing(result: Reanalysis, found: Sequence[Finding]) -> Iterator[Text]:
    for f, text in zip(found, result.sentences["sentence"], strict=True):
        yield Text.assemble((f.label, "bold"), f": {text}.")
    yield Text("Scales are on the model scale. The matrix of conclusions stands in summary.md.\n")
    if any(f.claimed for f in found):
        yield Text("Claim holds: number of priors by whether the interval excludes no effect on the published side.")
    yield Text(
        "Medians: smallest..largest posterior median over the priors. Conflict: number of priors on tau with "
        "a prior predictive p of Q (Q), or a prior probability of a tau as large as the DL estimate (tau), "
        f"below {CONFLICT:g}."
    )
    if len(found) > 1:
        yield Text(DEPENDENCE)
    yield from _missing(result)
    if len(found) > _MOST_TABLES:
        yield Text(f"\nEvery method and prior of these {len(found)} outcomes: summary.md and comparison.csv.")
    if len(result.checks):
        counts = agreement(result.checks)
        yield Text(f"\n{counts}", style="bold red" if counts.disagree or counts.unconverged else "")


def _missing(result: Reanalysis) -> Iterator[Text]:
    """What was not published, not pooled, and not fitted."""
    missing = unpublished(result)
    if len(missing):
        yield Text("\nNot published; read the review's own data file", style="bold")
        for row in missing.itertuples():
            yield Text(f"{row.analysis}  {row.outcome}, {row.timepoint} ({row.comparison})")
    left = not_pooled(result)
    if len(left):
        yield Text("\nIn the file, and not re-analysed", style="bold")
        for row in left.itertuples():
            yield Text(f"{row.analysis}  {row.outcome}: {row.note}")
    without = unfitted(result)
    if len(without):
        yield Text("\nNot fitted", style="bold")
    for fit in without.to_dict("records"):
        priors = f" under {fit['priors']}" if fit["priors"] else ""
        yield Text(f"{fit['analysis']}, {fit['model']}{priors}: {fit['reason']}")
