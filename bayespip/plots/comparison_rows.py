"""What the comparison shows: rows, blocks and axis limits, computed before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.measures import MEASURES, Measure
from bayespip.priors.sets import POOLED_TOPIC, TOPICS
from bayespip.reanalysis.comparison import NOT_POOLED
from bayespip.reanalysis.quantities import EXACT, Frequentist
from bayespip.text.wording import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

PUBLISHED, NOT_PUBLISHED = "published", "not published"
WITHOUT_NUMBERS = (NOT_PUBLISHED, NOT_POOLED)
FREQUENTIST = "frequentist"
COCHRANE_DEFAULT = Frequentist("REML", "HKSJ").name
EMPIRICAL, WEAK, HYBRID, GIVEN = "empirical pair", "weakly informative", "hybrid", "given"
_IDENTITY = ("analysis", "outcome", "timepoint", "comparison", "measure", "k_source", "value_of", "method", "prior")
_TEXT = (*_IDENTITY, "prior_mu", "prior_tau", "prior_kind", "parameter", "favours")
_SHOWN = ("point", "lower", "upper", "lower_min", "upper_max")
_NEEDED = (*_TEXT, "k", "level", *_SHOWN, *(f"{name}_model" for name in _SHOWN))


@dataclass(frozen=True, slots=True)
class Row:
    """One result.

    Attributes
    ----------
    label
        Method or prior.
    kind
        "published", "frequentist", "weakly informative", "empirical pair" or "given".
    point, lower, upper
        Display scale; nan where there is none.
    lower_min, upper_max
        Bounds of the interval over the data consistent with what was published; nan where there are none.
    numbers
        The result in print.
    """

    label: str
    kind: str
    point: float
    lower: float
    upper: float
    lower_min: float
    upper_max: float
    numbers: str


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one analysis and number of studies, under a heading.

    Attributes
    ----------
    analysis
        Its id.
    title
        Outcome, time point and k; of a second block of the same analysis k alone.
    direction
        Which side favours the experimental arm; empty in a second block.
    rows
        In the table's order.
    """

    analysis: str
    title: str
    direction: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """All results of one effect measure.

    Attributes
    ----------
    measure
        Their measure.
    comparison
        Of all blocks; empty where they differ and each names its own.
    levels
        Probabilities of the intervals, as percentages.
    limits
        Of the axis, display scale.
    blocks
        One or more an analysis.
    """

    measure: Measure
    comparison: str
    levels: tuple[str, ...]
    limits: tuple[float, float]
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> list[Row]:
        """Rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def is_cut(self) -> bool:
        """Whether an interval or its bounds pass the limits."""
        left, right = self.limits
        return any(
            np.fmin(row.lower, row.lower_min) < left or np.fmax(row.upper, row.upper_max) > right for row in self.rows
        )


def results(table: pd.DataFrame, analyses: Sequence[str] | None) -> pd.DataFrame:
    """The rows on mu, of the analyses asked for, with empty text where there is none.

    Raises
    ------
    ValueError
        If a column is missing or an analysis unknown; the message lists the choices.
    """
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise ValueError(f"table must have the columns of Reanalysis.table; missing: {', '.join(missing)}.")
    known = list(dict.fromkeys(table["analysis"]))
    unknown = [a for a in analyses or () if a not in known]
    if unknown:
        raise ValueError(f"analyses must be among {', '.join(known)}; got {', '.join(map(repr, unknown))}.")
    found = table[table["parameter"] == "mu"]
    if analyses is not None:
        found = found[found["analysis"].isin(list(analyses))]
    return found.fillna(dict.fromkeys(_TEXT, ""))


def panels(found: pd.DataFrame) -> tuple[Panel, ...]:
    """One panel a measure, of those analyses that have a result; `found` comes from `results`."""
    chosen = found[~found["value_of"].isin(WITHOUT_NUMBERS) & _is_shown(found)]
    by_name = ((name, chosen[chosen["measure"] == name]) for name in dict.fromkeys(chosen["measure"]))
    return tuple(_panel(_measure(name, its), its) for name, its in by_name)


def _measure(name: str, found: pd.DataFrame) -> Measure:
    """The measure of that name; of a file's own measure the table's two scales tell whether it is a ratio."""
    if name in MEASURES:
        return MEASURES[name]
    return Measure(name, name, (), log=bool((found["point"] != found["point_model"]).any()))


def note(found: pd.DataFrame, drawn: Sequence[Panel]) -> tuple[str, ...]:
    """What a reader of the figure must know, in sentences."""
    labels = {row.label for panel in drawn for row in panel.rows}
    sentences = []
    if any(label.startswith(COCHRANE_DEFAULT) for label in labels):
        sentences.append(f"{COCHRANE_DEFAULT}: restricted maximum likelihood, Hartung-Knapp-Sidik-Jonkman interval.")
    if (found["value_of"] == "conditional posterior").any():
        sentences.append(
            "Where only pooled results were published, Bayesian results are the posterior given the printed numbers, "
            f"and {COCHRANE_DEFAULT} is that of the equal-variance member of the data consistent with them."
        )
    if any("HN(" in label for label in labels):
        sentences.append("HN(s): half-normal of scale s.")
    topics = {short: "all topics" if topic == POOLED_TOPIC else topic for topic, short in TOPICS.items()}
    pairs = [f"{short}, {topic}" for short, topic in topics.items() if any(f"Bartos {short}" in x for x in labels)]
    if any("Bartos " in label for label in labels):
        named = f" ({'; '.join(pairs)})" if pairs else ""
        sentences.append(f"Bartos: published pair of priors on μ and τ{named}.")
    if any(panel.is_cut for panel in drawn):
        sentences.append("Arrowheads: the interval, or its bound, goes on beyond the axis.")
    silent = found[found["value_of"] == NOT_PUBLISHED]
    if len(silent):
        names = "; ".join(
            f"{comparison}: {', '.join(f'{a} {o}' for a, o in zip(rows['analysis'], rows['outcome'], strict=True))}"
            for comparison, rows in silent.groupby("comparison", sort=False)
        )
        count = f"{len(silent)} outcome{'s' if len(silent) > 1 else ''}"
        sentences.append(f"Not published, so not shown: {count} named without numbers ({names}).")
    if drawn:
        sentences.append("Other priors and methods stand in the table, comparison.csv.")
    return tuple(sentences)


def _is_shown(found: pd.DataFrame) -> pd.Series[bool]:
    """Published, Cochrane's default, the first weakly informative tau with every mu, and the priors run as pairs."""
    weak = found[found["prior_kind"] == WEAK].groupby("measure")["prior_tau"].first()
    first = found["prior_tau"] == found["measure"].map(weak)
    prior = ~found["prior_kind"].isin([WEAK, HYBRID]) | ((found["prior_kind"] == WEAK) & first)
    return found["method"].isin([PUBLISHED, COCHRANE_DEFAULT]) | ((found["method"] == EXACT) & prior)


def _panel(measure: Measure, found: pd.DataFrame) -> Panel:
    comparisons = list(dict.fromkeys(found["comparison"]))
    levels = tuple(f"{100 * level:g}%" for level in dict.fromkeys(found["level"]))
    blocks: list[Block] = []
    for analysis, its in found.groupby("analysis", sort=False):
        # A published result whose k was not stated stands once, above the results for each k.
        for k, rows in its.groupby("k", sort=False, dropna=False):
            title, direction = _heading(rows.iloc[0], k, with_comparison=len(comparisons) > 1)
            if blocks and blocks[-1].analysis == analysis:
                title, direction = f"if {_k(rows.iloc[0], k)}", ""
            its_rows = tuple(_row(r, measure, len(levels) > 1) for r in rows.to_dict("records"))
            blocks.append(Block(str(analysis), title, direction, its_rows))
    comparison = comparisons[0] if len(comparisons) == 1 else ""
    return Panel(measure, comparison, levels, _limits(found, measure), tuple(blocks))


def _heading(first: pd.Series[Any], k: object, *, with_comparison: bool) -> tuple[str, str]:
    """Title and direction of a block."""
    parts = (first["outcome"], first["comparison"] if with_comparison else "", first["timepoint"], _k(first, k))
    favoured = f"favours {first['arm_e']}"
    directions = {"higher": f"{favoured} →", "lower": f"← {favoured}"}
    return ", ".join(p for p in parts if p), directions.get(str(first["favours"]), "direction not stated")


def _k(first: pd.Series[Any], k: Any) -> str:
    import pandas as pd

    if pd.isna(k):
        return "k not stated"
    inferred = " (inferred)" if str(first["k_source"]).startswith("inferred") else ""
    return f"k = {int(k)}{inferred}"


def _row(record: dict[Any, Any], measure: Measure, with_level: bool) -> Row:
    kind = _kind(record)
    level = f", {100 * record['level']:g}%" if with_level else ""
    point, lower, upper, least, most = (float(record[name]) for name in _SHOWN)
    numbers = numbers_of(point, lower, upper, measure)
    return Row(_label(record, kind) + level, kind, point, lower, upper, least, most, numbers)


def _kind(record: dict[Any, Any]) -> str:
    if record["method"] == EXACT:
        return record["prior_kind"] if record["prior_kind"] in (EMPIRICAL, WEAK) else GIVEN
    return PUBLISHED if record["method"] == PUBLISHED else FREQUENTIST


def _label(record: dict[Any, Any], kind: str) -> str:
    if kind == EMPIRICAL:
        return str(record["prior_tau"])
    if kind == WEAK:
        return f"τ {record['prior_tau']}, μ {record['prior_mu']}"
    return str(record["prior"] or record["method"])


def numbers_of(point: float, lower: float, upper: float, measure: Measure) -> str:
    """A result in print: point and interval, or the point alone."""
    shown = _ratio if measure.log else _difference
    if np.isnan(point):
        return "not estimable"
    if np.isnan(lower) or np.isnan(upper):
        return shown(point)
    return f"{shown(point)} ({shown(lower)}, {shown(upper)})"


def _ratio(x: float) -> str:
    """Two decimals, below 0.1 two digits; published ratios have no digits to add, and only 1 reads as 1."""
    if x > 1000:
        return ">1000"
    if x < 0.001:
        return "<0.001"
    two = f"{x:.2f}"
    if float(two) == 1 != x:
        return number(x, null=1)
    return two if x >= 0.1 or float(two) == x else f"{x:.2g}"


def _difference(x: float) -> str:
    two = f"{x + 0.0:.2f}"
    return (number(x) if float(two) == 0 != x else two).replace("-", "−")


def _limits(found: pd.DataFrame, measure: Measure) -> tuple[float, float]:
    """All points and no effect, and the intervals as far as one median length beyond the outermost point."""
    values = {name: found[f"{name}_model"].to_numpy(dtype=float) for name in _SHOWN}
    inside = np.append(_finite(values["point"]), measure.model(measure.null))
    low, high = float(inside.min()), float(inside.max())
    lengths = _finite(values["upper"] - values["lower"])
    reach = float(np.median(lengths)) if lengths.size else 0.0
    lowest = _finite(np.concatenate([values["lower"], values["lower_min"]]), -np.inf)
    highest = _finite(np.concatenate([values["upper"], values["upper_max"]]), np.inf)
    left = max(low - reach, float(lowest.min(initial=low)))
    right = min(high + reach, float(highest.max(initial=high)))
    margin = 0.03 * (right - left) or 1.0
    start, end = measure.display([left - margin, right + margin])
    return float(start), float(end)


def _finite(x: NDArray[np.float64], also: float = np.nan) -> NDArray[np.float64]:
    return np.asarray(x[np.isfinite(x) | (x == also)])
