"""The command line."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bayespip.review import Review

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Bayesian re-analysis of published meta-analyses, beside the published and the frequentist results.",
)
_EXAMPLES = """Examples:

bayespip reanalyse pip --out results

bayespip reanalyse pip --out results --only P1 --only P13 --no-pymc

bayespip reanalyse CD010534.rm5 --out results

bayespip reanalyse CD010534-data.zip --out results --only 1.2 --only 4.1
"""


@app.command(epilog=_EXAMPLES)
def reanalyse(  # noqa: PLR0917  (Typer passes them by name)
    source: Annotated[str, typer.Argument(help="A review's file (.rm5, .csv, .zip), or the name of a bundled review.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    only: Annotated[list[str] | None, typer.Option(help="Id of an analysis; repeat for more.")] = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Cochrane topic of the published priors; repeat for more.")
    ] = None,
    bounds: Annotated[bool, typer.Option(help="Bounds over the study data consistent with results.")] = True,
    pymc: Annotated[bool, typer.Option(help="Sample with PyMC as well, as a cross-check.")] = True,
    pooling: Annotated[str, typer.Option(help="Mean about which printed Qs are taken: IV or MH.")] = "IV",
    level: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 1,
) -> None:
    """Pool a review's outcomes again and compare."""
    with _errors():
        review = _review(source)
        from bayespip.findings import agreement
        from bayespip.reanalysis import reanalyse as pool_again
        from bayespip.saving import writable
        from bayespip.terminal import console, show

        writable(out)

        with _progress() as progress:
            result = pool_again(
                review,
                analyses=only or None,
                topics=topic or None,
                level=level,
                pooling=pooling,
                with_bounds=bounds,
                with_pymc=pymc,
                seed=seed,
                progress=progress,
            )
        folder = result.save(out)
    show(result)
    console().print(f"\nWritten to {folder}; read summary.md first.", markup=False, soft_wrap=True)
    if agreement(result.checks).disagree:
        _fail("PyMC and the exact engine disagree; the fits are named in checks.csv.")


@app.command()
def reviews() -> None:
    """List the bundled reviews."""
    from rich.table import Table

    from bayespip.catalogue import list_reviews
    from bayespip.terminal import console

    table = Table.grid(padding=(0, 2))
    for row in list_reviews().itertuples():
        table.add_row(str(row.name), f"{row.title}\n{row.data}\n{row.doi}")
    console().print(table)


@app.command()
def audit(source: Annotated[str, typer.Argument(help="A review's file, or the name of a bundled review.")]) -> None:
    """Check what a review published against itself."""
    with _errors():
        review = _review(source)
        from bayespip.auditing import audit as check
        from bayespip.auditing.tables import show_audit

        findings = check(review)
    show_audit(review, findings)


@app.command()
def priors(  # noqa: PLR0917  (Typer passes them by name)
    measure: Annotated[str | None, typer.Option(help="Effect measure, such as OR, RR, RD, SMD or HR.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Outcome type, or part of its name.")] = None,
    comparison: Annotated[str | None, typer.Option(help="Such as 'non-pharmacological vs. placebo'.")] = None,
    topic: Annotated[str | None, typer.Option(help="Cochrane topic or medical area.")] = None,
    paper: Annotated[str | None, typer.Option(help="Such as 'Turner 2015'.")] = None,
    parameter: Annotated[str | None, typer.Option(help="tau or mu.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole catalogue.")] = False,
) -> None:
    """Published priors on heterogeneity and effect: what each means, its source, what is in doubt."""
    from bayespip.priors.tables import show_priors

    with _errors():
        show_priors(
            measure, outcome=outcome, comparison=comparison, topic=topic, paper=paper, parameter=parameter,
            everything=everything,
        )  # fmt: skip


def _review(source: str) -> Review:
    """The review in a file, or the bundled one of that name."""
    from pathlib import Path

    from bayespip.catalogue import REVIEWS, load_review
    from bayespip.readers import read_review

    if Path(source).is_file():
        return read_review(source)
    if source in REVIEWS:
        return load_review(source)
    raise ValueError(f"review must be a file that exists or one of {', '.join(REVIEWS)}; got {source!r}.")


def _fail(message: str) -> None:
    from bayespip.terminal import console

    console(stderr=True).print(f"Error: {message}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def _errors() -> Iterator[None]:
    """What a user can mend is said in one message, without a traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        _fail(str(error))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage, on stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bayespip.terminal import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True)) as bars:
        tasks = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show
