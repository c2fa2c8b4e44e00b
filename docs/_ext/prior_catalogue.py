"""The directive ``prior-catalogue``: the published priors as a table that prior-catalogue.js sorts and filters."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import bayespip as bp
from bayespip.priors.meaning import figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from sphinx.application import Sphinx

__all__ = ["PriorCatalogue", "catalogue_html", "setup"]

SETTING = ("outcome", "comparison", "topic")
CHOICES = ("parameter", "measure", "paper", "kind", "status")  # what a reader may filter by
HEADINGS = ("name", "on", "scale", "density", "median", "2.5%", "97.5%", "holds for", "paper", "status")
NUMBERS = ("median", "2.5%", "97.5%")


class PriorCatalogue(SphinxDirective):
    """``bayespip.priors.catalogue()``, whole."""

    def run(self) -> list[nodes.Node]:
        """One raw HTML node."""
        return [nodes.raw("", catalogue_html(), format="html")]


def catalogue_html() -> str:
    """Filters and table."""
    rows = [{str(k): v for k, v in row.items()} for row in bp.priors.catalogue().to_dict("records")]
    choices = "".join(_select(name, sorted({str(row[name]) for row in rows} - {""})) for name in CHOICES)
    heads = "".join(
        f'<th{" class=number" if name in NUMBERS else ""}><button type="button">{name}</button></th>'
        for name in HEADINGS
    )
    body = "\n".join(_row(row) for row in rows)
    return (
        '<div id="prior-catalogue"><form role="search">'
        '<input type="search" placeholder="such as mental health" aria-label="Text in any column">'
        f'{choices}<output aria-live="polite">{len(rows)} priors</output></form>'
        f'<div class="pst-scrollable-table-container"><table class="table">'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table></div></div>"
    )


def _select(name: str, choices: Sequence[str]) -> str:
    options = "".join(f"<option>{escape(choice)}</option>" for choice in choices)
    return f'<select name="{name}" aria-label="{name}"><option value="">any {name}</option>{options}</select>'


def _row(row: dict[str, Any]) -> str:
    data = " ".join(f'data-{name}="{escape(str(row[name]))}"' for name in CHOICES)
    return f"<tr {data}>{''.join(_cells(row))}</tr>"


def _cells(row: dict[str, Any]) -> Iterator[str]:
    given = row["parameters"]
    numbers = "from sei" if given is None else ", ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in given)
    yield f"<td><code>{escape(row['name'])}</code></td>"
    yield f"<td>{row['parameter']}</td><td>{escape(row['scale']) or 'any'}</td>"
    yield f"<td>{escape(row['family'])}({numbers})</td>"
    for name in ("median", "lower", "upper"):
        value = "" if math.isnan(row[name]) else f' data-v="{row[name]!r}"'
        yield f'<td class="number"{value}>{figure(row[name])}</td>'
    yield f"<td>{escape('; '.join(str(row[name]) for name in SETTING if row[name]))}</td>"
    yield f'<td title="{escape(row["citation"])}">{escape(row["paper"])}</td>'
    doubt = f"<details><summary>{row['status']}</summary>{escape(row['doubt'])}</details>"
    yield f"<td>{doubt if row['doubt'] else row['status']}</td>"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and the script on the pages that need it."""
    app.add_directive("prior-catalogue", PriorCatalogue)
    app.add_js_file("prior-catalogue.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
