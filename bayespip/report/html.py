"""The report as one HTML file that needs no network."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bayespip.auditing import audit
from bayespip.auditing.tables import MEANING
from bayespip.reanalysis.job import DEPENDENCE
from bayespip.report import overview
from bayespip.report import review_tables as tables
from bayespip.report.explorer import explorer_head
from bayespip.report.methods import methods
from bayespip.report.outcome import outcome
from bayespip.report.plain_language import HEADINGS, plain_language
from bayespip.report.review_figures import comparison_pictures, matrix_pictures
from bayespip.report.subjects import subjects
from bayespip.report.verdicts import RULES, verdicts
from bayespip.text.sentences import paragraph
from bayespip.text.summary import FROM_PUBLISHED, HOW_TO_READ, conflict_rule, extent
from bayespip.text.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.report.subjects import Subject
    from bayespip.text.findings import Finding

    Ratings = Mapping[str, str | tuple[str, str]]

__all__ = ["render", "write_report"]

# Outcomes that stand in the page as they are; of more, each is held compressed and unpacked when it comes into view.
MOST_INLINE = 40
_SECTIONS = {
    "overview": "Overview",
    "summary": "Plain-language summary",
    "all": "All outcomes",
    "outcomes": "Outcome by outcome",
    "left-out": "Left out",
    "audit": "What the review says against itself",
    "reproduction": "The original, reproduced",
    "priors": "Priors",
    "diagnostics": "Diagnostics",
    "assumptions": "Assumptions",
    "methods": "Methods, ready to paste",
    "provenance": "Provenance",
    "cite": "How to cite",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One outcome's section as it stands in the page."""

    id: str
    heading: str
    words: str
    body: str


def write_report(result: Reanalysis, file: str | Path, *, ratings: Ratings | None = None) -> Path:
    """Write the report of a re-analysis.

    Parameters
    ----------
    result
        From ``reanalyse``.
    file
        Where to; an existing file is replaced when the new one is whole.
    ratings
        The user's GRADE ratings by outcome, as of ``plain_language``; without one no word of certainty is used.

    Returns
    -------
    Path
        The file: one HTML page with its figures, tables and scripts, which needs no network.

    Raises
    ------
    OSError
        If the file cannot be written; what it held stays.
    """
    target = Path(file)
    page = render(result, ratings=ratings)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        draft.write_text(page, encoding="utf-8")
        draft.replace(target)
    return target


def render(result: Reanalysis, *, ratings: Ratings | None = None) -> str:
    """The report as a page of HTML; names from the review stand there as text, whatever they hold."""
    environment = _environment()
    those = subjects(result)
    packed = len(those) > MOST_INLINE
    context: dict[str, Any] = {
        "result": result,
        "outcomes": tuple(_entries(result, those, environment, packed=packed)),
        "packed": packed,
        "about": _about(result, [s.finding for s in those]),
        "headings": HEADINGS,
        "tables": _tables(result, those),
        "comparison": tuple(comparison_pictures(result)),
        "matrix": tuple(matrix_pictures(result)),
        "summary": plain_language(result, ratings),
        "methods": methods(result, rated=bool(ratings)),
        "explorer": explorer_head(),
        "css": _asset("report.css"),
        "js": _asset("report.js"),
    }
    absent = {name for name in ("left-out", "reproduction") if not context["tables"][name]}
    context["sections"] = {name: heading for name, heading in _SECTIONS.items() if name not in absent}
    return environment.get_template("page.html.j2").render(context)


def _entries(
    result: Reanalysis, those: Sequence[Subject], environment: Environment, *, packed: bool
) -> Iterator[Entry]:
    template, said = environment.get_template("outcome.html.j2"), verdicts(result)
    # what is computed leaves the interpreter lock; what is drawn, while a template is filled, does not
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        computed = list(pool.map(lambda subject: outcome(subject, said[subject.finding.label]), those))
    for subject, its in zip(those, computed, strict=True):
        html = template.render(outcome=its)
        body = base64.b64encode(zlib.compress(html.encode(), 9)).decode() if packed else Markup(html)  # noqa: S704
        yield Entry(subject.id, f"{subject.finding.label} {subject.about}", subject.words, body)


def _about(result: Reanalysis, found: Sequence[Finding]) -> dict[str, Any]:
    """What is said of the review as a whole."""
    families = FROM_PUBLISHED if any(f.from_published for f in found) else ""
    return {
        "extent": extent(result, found),
        "reproduced": overview.reproduced(result),
        "found": paragraph(found),
        "dependence": DEPENDENCE if len(found) > 1 else "",
        "reading": [*HOW_TO_READ.split("\n\n"), *families.split("\n\n"), RULES],
        "audit": MEANING,
        "conflicts": conflict_rule(found),
        "engines": overview.engines(result),
        "provenance": tuple(overview.provenance(result)),
    }


def _tables(result: Reanalysis, those: Sequence[Subject]) -> dict[str, Any]:
    """By the name of their section; None where there is nothing to show."""
    made = {
        "all": tables.glance_table(those),
        "left-out": tables.left_out_table(result),
        "audit": tables.audit_table(audit(result.review)),
        "reproduction": tables.reproduction_table(result),
        "priors": tables.priors_table(result),
        "conflicts": tables.conflicts_table([s.finding for s in those]),
        "diagnostics": tables.checks_table(result),
        "unfitted": tables.unfitted_table(result),
        "assumptions": tables.assumptions_table(result),
    }
    return {name: table if table.rows else None for name, table in made.items()}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bayespip.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": _json, "count": count, "prose": prose, "zip": zip}
    return environment


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def prose(text: str) -> Markup:
    """Text with Markdown's emphasis, as our own sentences use it."""
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", marked))  # noqa: S704  (escaped above)


def _asset(name: str) -> Markup:
    return Markup((files("bayespip.report") / name).read_text(encoding="utf-8"))  # noqa: S704  (our own)
