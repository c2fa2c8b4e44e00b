"""The command line."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bayespip.reanalysis import Reanalysis
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

bayespip report CD010534.rm5 --out report.html --no-pymc

bayespip reanalyse CD010534-data.zip --out results --only 1.2 --only 4.1
"""


Source = Annotated[str, typer.Argument(help="A review's file (.rm5, .csv, .zip), or the name of a bundled review.")]
Only = Annotated[list[str] | None, typer.Option(help="Id of an analysis; repeat for more.")]
Topic = Annotated[list[str] | None, typer.Option(help="Cochrane topic of the published priors; repeat for more.")]
Bounds = Annotated[bool, typer.Option(help="Bounds over the study data consistent with results.")]
Pymc = Annotated[bool, typer.Option(help="Sample with PyMC as well, as a cross-check.")]
Pooling = Annotated[str, typer.Option(help="Mean about which printed Qs are taken: IV or MH.")]
Level = Annotated[float, typer.Option(help="Probability of the intervals.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Model = Annotated[
    list[str] | None, typer.Option(help="Another model to fit as well (`bayespip models`); repeat for more.")
]


@app.command(epilog=_EXAMPLES)
def reanalyse(  # noqa: PLR0917  (Typer passes them by name)
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    only: Only = None,
    topic: Topic = None,
    bounds: Bounds = True,
    pymc: Pymc = True,
    pooling: Pooling = "IV",
    level: Level = 0.95,
    model: Model = None,
    seed: Seed = 1,
) -> None:
    """Pool a review's outcomes again and compare."""
    with _errors():
        review = _review(source)
        from bayespip.findings import agreement
        from bayespip.saving import writable
        from bayespip.terminal import console, show

        writable(out)
        options = {"level": level, "pooling": pooling, "with_bounds": bounds, "with_pymc": pymc, "seed": seed}
        options["models"] = model or ()
        result = _pooled_again(review, only, topic, options)
        folder = result.save(out)
    show(result)
    console().print(f"\nWritten to {folder}; open report.html, or read summary.md.", markup=False, soft_wrap=True)
    if agreement(result.checks).disagree:
        _fail("PyMC and the exact engine disagree; the fits are named in checks.csv.")


@app.command()
def report(  # noqa: PLR0917  (Typer passes them by name)
    source: Source,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    only: Only = None,
    topic: Topic = None,
    bounds: Bounds = True,
    pymc: Pymc = True,
    pooling: Pooling = "IV",
    level: Level = 0.95,
    model: Model = None,
    seed: Seed = 1,
    format: Annotated[str, typer.Option(help="html, md, docx or pdf; the last two need Pandoc.")] = "html",  # noqa: A002
) -> None:
    """Pool a review's outcomes again and write the report: one HTML file that needs no network, or a document."""
    with _errors():
        from bayespip.report.documents import FORMATS, require_programs, write_document

        if format not in ("html", *FORMATS):
            raise ValueError(f"format must be one of html, {', '.join(FORMATS)}; got {format!r}.")
        if format != "html":
            require_programs(format)
        review = _review(source)
        from bayespip.saving import writable
        from bayespip.terminal import console

        if out.is_dir():
            raise IsADirectoryError(f"out must be a file, such as report.html; {out} is a folder.")
        writable(out.parent).mkdir(parents=True, exist_ok=True)
        options = {"level": level, "pooling": pooling, "with_bounds": bounds, "with_pymc": pymc, "seed": seed}
        options["models"] = model or ()
        result = _pooled_again(review, only, topic, options)
        file = result.report(out) if format == "html" else write_document(result, out, format=format)
    console().print(f"Written to {file}.", markup=False, soft_wrap=True)


@app.command()
def models(
    source: Annotated[
        str | None, typer.Option("--for", help="A review's file or name: which models its data ask for, and why.")
    ] = None,
) -> None:
    """List the models: what each asks, assumes and needs, and how it was calibrated."""
    from bayespip.model_tables import show_choice, show_models

    with _errors():
        if source is None:
            show_models()
        else:
            show_choice(_review(source))


@app.command()
def sbc(
    model: Annotated[list[str] | None, typer.Argument(help="Names of models; all if none is given.")] = None,
    k: Annotated[list[int] | None, typer.Option(help="Number of studies; repeat for more.")] = None,
    replicates: Annotated[int, typer.Option(help="Simulated data sets each.")] = 200,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    out: Annotated[Path | None, typer.Option(help="Folder for calibration.csv and the figures.")] = None,
) -> None:
    """Calibrate models by simulation: whether their posteriors have the probabilities they claim."""
    from bayespip.calibration.designs import designs
    from bayespip.calibration.records import calibrate, save
    from bayespip.model_tables import show_calibration
    from bayespip.models import available

    with _errors():
        chosen = [design for name in model or available() for design in designs(name)]
        with _progress() as progress:
            table, ranks = calibrate(chosen, sizes=k, replicates=replicates, seed=seed, report=progress)
        if out is not None:
            save(table, ranks, out)
    show_calibration(table)
    if not table["inside"].all():
        _fail("ranks of some parameters are not uniform; they are named above.")


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


def _pooled_again(
    review: Review, only: list[str] | None, topic: list[str] | None, options: Mapping[str, Any]
) -> Reanalysis:
    """The re-analysis that these options ask for, with its progress shown."""
    from bayespip.reanalysis import reanalyse as pool_again

    with _progress() as progress:
        return pool_again(review, analyses=only or None, topics=topic or None, progress=progress, **options)


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
