"""The command line."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.review import Review


def _examples(*lines: str) -> str:
    """The end of a command's help: paragraphs, which Typer does not run together."""
    return "\n\n".join(("Examples:", *lines))


def _bundled(incomplete: str) -> list[str]:
    """For shell completion; where no name fits, the shell completes files."""
    from bayespip.catalogue import REVIEWS

    return [name for name in REVIEWS if name.startswith(incomplete)]


def _models(incomplete: str) -> list[str]:
    """For shell completion."""
    from bayespip.models import available

    return [name for name in available() if name.startswith(incomplete)]


def _show_version(wanted: bool) -> None:
    if wanted:
        import bayespip

        typer.echo(f"bayespip {bayespip.__version__}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    epilog=_examples(
        "bayespip reanalyse pip --out results",
        "bayespip reanalyse CD010534.rm5 --out results",
        "bayespip COMMAND --help, for the options and examples of a command",
    ),
)


_SOURCE = "A review's file (.rm5, .csv, .zip), or the name of a bundled review."
Source = Annotated[str, typer.Argument(help=_SOURCE, autocompletion=_bundled)]
Only = Annotated[list[str] | None, typer.Option(help="Id of an analysis; repeat for more.")]
Topic = Annotated[list[str] | None, typer.Option(help="Cochrane topic of the published priors; repeat for more.")]
Bounds = Annotated[bool, typer.Option(help="Bounds over the study data consistent with results.")]
Pymc = Annotated[bool, typer.Option(help="Sample with PyMC as well, as a cross-check.")]
Pooling = Annotated[str, typer.Option(help="Mean about which printed Qs are taken: IV or MH.")]
Level = Annotated[float, typer.Option(help="Probability of the intervals.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Model = Annotated[
    list[str] | None,
    typer.Option(help="Another model to fit as well (`bayespip models`); repeat for more.", autocompletion=_models),
]


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Bayesian re-analysis of published meta-analyses, beside the published and the frequentist results."""


@app.command(
    epilog=_examples(
        "bayespip reanalyse pip --out results",
        "bayespip reanalyse pip --out results --only P1 --only P13 --no-pymc",
        "bayespip reanalyse CD010534.rm5 --out results",
        "bayespip reanalyse CD010534-data.zip --out results --only 1.2 --model binomial_normal",
    )
)
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
        from bayespip.reanalysis.saving import writable
        from bayespip.text.findings import agreement
        from bayespip.text.terminal import console, show

        writable(out)
        options = {"level": level, "pooling": pooling, "with_bounds": bounds, "with_pymc": pymc, "seed": seed}
        options["models"] = model or ()
        result = _pooled_again(review, only, topic, options)
        folder = result.save(out)
    show(result)
    console().print(f"\nWritten to {folder}; open report.html, or read summary.md.", markup=False, soft_wrap=True)
    if agreement(result.checks).disagree:
        _fail("PyMC and the exact engine disagree; the fits are named in checks.csv.")


@app.command(
    epilog=_examples(
        "bayespip report bcg --out report.html --no-pymc",
        "bayespip report CD010534.rm5 --out report.docx --format docx",
    )
)
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
        from bayespip.reanalysis.saving import writable
        from bayespip.text.terminal import console

        if out.is_dir():
            raise IsADirectoryError(f"out must be a file, such as report.html; {out} is a folder.")
        writable(out.parent).mkdir(parents=True, exist_ok=True)
        options = {"level": level, "pooling": pooling, "with_bounds": bounds, "with_pymc": pymc, "seed": seed}
        options["models"] = model or ()
        result = _pooled_again(review, only, topic, options)
        file = result.report(out) if format == "html" else write_document(result, out, format=format)
    console().print(f"Written to {file}.", markup=False, soft_wrap=True)


@app.command(epilog=_examples("bayespip models", "bayespip models --for bcg"))
def models(
    source: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="A review's file or name: which models its data ask for, and why.",
            autocompletion=_bundled,
        ),
    ] = None,
) -> None:
    """List the models: what each asks, assumes and needs, and how it was calibrated."""
    from bayespip.text.model_tables import show_choice, show_models

    with _errors():
        if source is None:
            show_models()
        else:
            show_choice(_review(source))


@app.command(
    epilog=_examples("bayespip sbc normal_normal --k 2 --k 5", "bayespip sbc --replicates 1000 --out calibration")
)
def sbc(
    model: Annotated[
        list[str] | None, typer.Argument(help="Names of models, or exact for that engine; all if none is given.")
    ] = None,
    k: Annotated[list[int] | None, typer.Option(help="Number of studies; repeat for more.", min=1)] = None,
    replicates: Annotated[int, typer.Option(help="Simulated data sets each.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    out: Annotated[Path | None, typer.Option(help="Folder for calibration.csv and the figures.")] = None,
) -> None:
    """Calibrate models and engine by simulation: whether posteriors have the probabilities they claim."""
    from bayespip.calibration.designs import designs
    from bayespip.calibration.ranks import ENGINE
    from bayespip.calibration.records import calibrate
    from bayespip.models import available
    from bayespip.text.model_tables import show_calibration

    with _errors():
        chosen = [design for name in model or (ENGINE, *available()) for design in designs(name)]
        with _progress() as progress:
            table = calibrate(chosen, sizes=k, replicates=replicates, seed=seed, folder=out, report=progress)
    show_calibration(table)
    if not table["inside"].all():
        _fail("ranks of some parameters are not uniform; they are named above.")


@app.command(
    epilog=_examples(
        'bayespip sweep reviews/*.rm5 --out swept --priors "weakly informative" --workers 8',
        'bayespip sweep bcg coaching --out swept --priors "tau HN(0.5), mu flat" --model binomial_normal',
    )
)
def sweep(  # noqa: PLR0917  (Typer passes them by name)
    files: Annotated[list[str], typer.Argument(help="Reviews' files (.rm5, .csv, .zip), or names of bundled reviews.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; that of a sweep that was stopped goes on.")],
    priors: Annotated[
        list[str] | None,
        typer.Option(
            help="Default prior sets by kind (weakly informative, empirical pair, hybrid) or name; repeat for more."
        ),
    ] = None,
    topic: Topic = None,
    level: Level = 0.95,
    model: Model = None,
    seed: Seed = 1,
    workers: Annotated[int, typer.Option(help="Processes on this machine; more than one needs bayespip[dask].")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; needs bayespip[dask].")] = None,
) -> None:
    """Pool every analysis of many reviews again: one dataset, resumed wherever it was stopped."""
    with _errors():
        from bayespip.sweeping import sweep as pool_all

        options: dict[str, Any] = {"level": level, "seed": seed, "workers": workers, "scheduler": scheduler}
        options |= {"priors": priors or None, "topics": topic or None, "models": model or ()}
        with _progress() as progress:
            found = pool_all(files, out, progress=progress, **options)
    from bayespip.text.terminal import console, swept

    console().print(swept(found), markup=False, soft_wrap=True)
    if not found.counts["reviews"]:
        _fail(f"no file could be pooled; {found.folder / 'skipped.csv'} says why.")


@app.command(epilog=_examples("bayespip reviews"))
def reviews() -> None:
    """List the bundled reviews."""
    from rich.table import Table

    from bayespip.catalogue import list_reviews
    from bayespip.text.terminal import console

    table = Table.grid(padding=(0, 2))
    for row in list_reviews().itertuples():
        table.add_row(str(row.name), f"{row.title}\n{row.data}\n{row.doi}")
    console().print(table)


@app.command(epilog=_examples("bayespip audit pip", "bayespip audit CD010534.rm5"))
def audit(source: Source) -> None:
    """Check what a review published against itself."""
    with _errors():
        review = _review(source)
        from bayespip.auditing import audit as check
        from bayespip.auditing.tables import show_audit

        findings = check(review)
    show_audit(review, findings)


@app.command(
    epilog=_examples(
        'bayespip priors --measure SMD --topic "Common Mental Disorders"',
        'bayespip priors --paper "Turner 2015" --outcome mortality',
        "bayespip priors --all",
    )
)
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
    found = ", which is a folder" if Path(source).is_dir() else ""
    raise ValueError(f"review must be a file that exists or one of {', '.join(REVIEWS)}; got {source!r}{found}.")


def _fail(message: str) -> None:
    from bayespip.text.terminal import console

    console(stderr=True).print(f"Error: {message}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def _pooled_again(
    review: Review, only: list[str] | None, topic: list[str] | None, options: Mapping[str, Any]
) -> Reanalysis:
    """The re-analysis that these options ask for, with its progress shown."""
    from bayespip.reanalysis.job import reanalyse as pool_again

    with _progress() as progress:
        return pool_again(review, analyses=only or None, topics=topic or None, progress=progress, **options)


# What to do about a refusal whose message has these words; the others list their choices.
_NEXT_STEPS = {
    "review must be": "A file is looked for from this folder; `bayespip reviews` describes the bundled reviews.",
    "expected a RevMan 5 file": "A table of your own is read in Python, by bayespip.read_table.",
    "nothing to pool": "`bayespip audit` shows what the review does say.",
    "model must be one of": "`bayespip models` says what each is for.",
    "analyses must be among": "Without --only all are pooled.",
    "out must be": "Name another with --out.",
}


def _with_next_step(error: ValueError | OSError) -> str:
    message = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        message = f"{error.filename}: {error.strerror.lower()}."
    return " ".join((message, *(step for words, step in _NEXT_STEPS.items() if words in message)))


@contextmanager
def _errors() -> Iterator[None]:
    """What a user can mend is said in one message, without a traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        _fail(_with_next_step(error))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage, on stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    from bayespip.text.terminal import Rate, console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), Elapsed(), Remaining())
    with Progress(*columns, console=console(stderr=True)) as bars:
        tasks = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, completed=done)  # done before: not of the rate
            bars.update(tasks[stage], completed=done, total=total)

        yield show
