"""The report as a document: Markdown, or Word and PDF through Pandoc, with its figures."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from bayespip.report.markdown import escaped
from bayespip.report.methods import methods
from bayespip.report.outcome_figures import outcome_pictures
from bayespip.report.plain_language import plain_language
from bayespip.report.review_figures import comparison_pictures
from bayespip.report.subjects import subjects
from bayespip.report.verdicts import RULES, verdicts
from bayespip.text.summary import summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.report.figures import Picture

__all__ = ["FORMATS", "PDF_ENGINES", "require_programs", "write_document"]

FORMATS = ("md", "docx", "pdf")
# In the order of preference, with the format of figures that each embeds as lines and text. WeasyPrint comes first: it
# takes characters that a font lacks from another, where LaTeX leaves them out.
PDF_ENGINES = {"weasyprint": "svg", "xelatex": "pdf"}
_FIGURES = {"md": "png", "docx": "png"}
# Neither TeX nor mathematics is read from the text: names come from files.
_READER = "commonmark+pipe_tables+raw_html"
_INSTALL = "https://pandoc.org/installing.html; on Debian and Ubuntu: apt install pandoc; on macOS: brew install pandoc"


@dataclass(frozen=True, slots=True)
class _Converter:
    """Programs that write a format; empty where none is needed."""

    pandoc: str = ""
    engine: str = ""


def write_document(
    result: Reanalysis,
    file: str | Path,
    *,
    format: str,  # noqa: A002  (as the command line has it)
    ratings: Mapping[str, str | tuple[str, str]] | None = None,
) -> Path:
    """Write the report of a re-analysis as a document.

    Parameters
    ----------
    result
        From ``reanalyse``.
    file
        Where to; replaced when the new one is whole. Figures of Markdown go into a folder beside it.
    format
        "md", "docx" or "pdf". Word and PDF need Pandoc; PDF also one of PDF_ENGINES.
    ratings
        The user's GRADE ratings, as of ``plain_language``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If there is no such format, or a rating is not one of the choices.
    OSError
        If the file cannot be written, or a program that is needed is not installed (the message says what to
        install) or fails (the message has its last words).
    """
    converter, target = _converter(format), Path(file)
    plain = plain_language(result, ratings)  # first, because it can be refused
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        draft = Path(folder)
        figures = draft / (f"{target.stem}_figures" if format == "md" else "figures")
        figures.mkdir()
        suffix = PDF_ENGINES[converter.engine] if converter.engine else _FIGURES[format]
        text = _document(result, str(plain), figures, suffix, rated=bool(ratings))
        source = draft / "report.md"
        source.write_text(text, encoding="utf-8")
        if format == "md":
            _move_into(target.parent / figures.name, figures)
            source.replace(target)
        else:
            _converted(converter, source, format, result.review.title).replace(target)
    return target


def require_programs(format: str) -> None:  # noqa: A002
    """Refuse a format that cannot be written here, before anything is computed; errors as of ``write_document``."""
    _converter(format)


def _converter(format: str) -> _Converter:  # noqa: A002
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {format!r}.")
    if format == "md":
        return _Converter()
    pandoc = shutil.which("pandoc")
    if pandoc is None:
        raise FileNotFoundError(f"format {format} needs pandoc, which is not installed ({_INSTALL}).")
    if format == "docx":
        return _Converter(pandoc)
    engine = next((name for name in PDF_ENGINES if shutil.which(name)), None)
    if engine is None:
        raise FileNotFoundError(
            f"format pdf needs one of {', '.join(PDF_ENGINES)} beside pandoc, and none is installed "
            "(on Debian and Ubuntu: apt install weasyprint, or texlive-xetex)."
        )
    return _Converter(pandoc, engine)


def _converted(converter: _Converter, source: Path, format: str, title: str) -> Path:  # noqa: A002
    """Run Pandoc on the text; its folder holds the figures."""
    written = source.with_suffix(f".{format}")
    room = files("bayespip.report")
    with as_file(room / "document.lua") as lua, as_file(room / "document.css") as css:
        command = [converter.pandoc, source.name, "--from", _READER, "--output", written.name, "--standalone"]
        command += ["--lua-filter", str(lua), "--metadata", f"pagetitle={title}", "--metadata", "lang=en-GB"]
        if converter.engine == "weasyprint":
            command += ["--pdf-engine", converter.engine, "--css", str(css)]
        elif converter.engine:
            command += ["--pdf-engine", converter.engine, "--variable", "geometry:a4paper,landscape,margin=15mm"]
        done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode or not written.is_file():
        said = done.stderr.strip()[-1000:] or f"exit code {done.returncode}"
        raise ChildProcessError(f"pandoc could not write format {format}: {said}")
    return written


def _move_into(folder: Path, drafts: Path) -> None:
    """Put figures where those of an earlier run lie; other files of the folder stay."""
    folder.mkdir(exist_ok=True)
    for file in drafts.iterdir():
        file.replace(folder / file.name)


def _document(result: Reanalysis, plain: str, figures: Path, suffix: str, *, rated: bool) -> str:
    """The text, with the figures that it shows drawn into their folder."""
    about, _, rest = summary(result).partition("\n## ")
    parts = [
        about.strip(),
        plain.strip(),
        "## All outcomes",
        *_shown(comparison_pictures(result), figures, suffix),
        "## Verdicts",
        escaped(RULES),
        *_verdicts(result, figures, suffix),
        f"## {rest}".strip(),
        str(methods(result, rated=rated)).strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _verdicts(result: Reanalysis, figures: Path, suffix: str) -> Iterator[str]:
    said = verdicts(result)
    for subject in subjects(result):
        yield f"### {escaped(f'{subject.finding.label} {subject.about}')}"
        yield escaped(str(said[subject.finding.label]))
        yield from _shown(outcome_pictures(subject), figures, suffix)


def _shown(pictures: Iterator[Picture] | Sequence[Picture], figures: Path, suffix: str) -> Iterator[str]:
    for picture in pictures:
        name = f"{picture.identifier}.{suffix}"
        picture.save(figures / name)
        yield f"![{escaped(picture.title)}](<{figures.name}/{name}>)"
        yield f"**{escaped(picture.title)}.** {escaped(picture.caption)}"
