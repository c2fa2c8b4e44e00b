"""The models, their calibration, and which one a review asks for, as Rich text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bayespip.calibration.records import on_record
from bayespip.models import available, load
from bayespip.reanalysis.model_choice import suggestions
from bayespip.text.terminal import console
from bayespip.text.wording import count

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.review import Review

__all__ = ["show_calibration", "show_choice", "show_models"]

_FIELDS = ("likelihood", "priors", "needs", "reference")


def show_models() -> None:
    """Print what each model asks, assumes and needs, and how it was calibrated."""
    screen = console()
    for name in available():
        about = load(name).ABOUT
        table = Table.grid(padding=(0, 2))
        for field in _FIELDS:
            table.add_row(field, Text(getattr(about, field)))
        table.add_row("calibration", Text(on_record(name)))
        screen.print(Text.assemble((name, "bold"), f"  {about.question}"), table, "", sep="\n")
    screen.print(Text("bayespip models --for FILE says which of them a review's data ask for."))


def show_choice(review: Review) -> None:
    """Print the models that the data of a review ask for, and why."""
    screen = console()
    found = suggestions(review)
    screen.print(Text(review.title, style="bold"))
    for suggestion in found:
        screen.print(Text.assemble((suggestion.model, "bold"), f"  {suggestion.analysis}: {suggestion.reason}."))
    rest = "Everything else" if found else "Nothing in these data asks for another model: everything"
    screen.print(Text(f"{rest} is for normal_normal, which every re-analysis fits."))


def show_calibration(table: pd.DataFrame) -> None:
    """Print, a design and number of studies, how many parameters have uniform ranks, and name those that have not."""
    screen = console()
    for (design, k), its in table.groupby(["design", "k"], sort=False):
        inside = its["inside"].to_numpy(dtype=bool)
        head = f"{design}, k = {k}: {inside.sum()} of {count(len(its), 'parameter')} inside the 99.9% bands"
        screen.print(Text(f"{head}; {count(int(its['replicates'].iloc[0]), 'data set')}."))
        for row in its[~inside].to_dict("records"):
            screen.print(Text(f"  {row['parameter']}: largest distance {row['distance']:.3f}", style="red"))
