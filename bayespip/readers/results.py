"""The results that a file stores, as text; and of the total, what the review reports."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bayespip.readers.text import number
from bayespip.readers.vocabulary import QUANTITIES
from bayespip.review import Printed, Reported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from pandas.api.extensions import ExtensionArray

    from bayespip.measures import Measure
    from bayespip.settings import Settings

__all__ = ["reported_of", "reported_total", "stored_table", "text_column"]


def stored_table(results: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Analysis.stored: one row a stored quantity.

    Parameters
    ----------
    results
        Of each subgroup ("" for the total) the text of each quantity (QUANTITIES); empty text is not stored.
    """
    import pandas as pd

    rows = [
        (subgroup, quantity, text)
        for subgroup, texts in results.items()
        for quantity in QUANTITIES
        if (text := texts.get(quantity, "").strip())
    ]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    named = zip(("subgroup", "quantity", "text"), columns, strict=True)
    return pd.DataFrame({name: text_column(list(values)) for name, values in named})


def text_column(values: Sequence[str | None]) -> ExtensionArray:
    """A column of text, NaN for None: what dtype="str" gives, in half the time, which thousands of tables need."""
    import pandas as pd

    return pd.array(values, dtype=_text_type())


@cache
def _text_type() -> pd.StringDtype[None]:
    import numpy as np
    import pandas as pd

    return pd.StringDtype(na_value=np.nan)


def reported_of(
    stored: pd.DataFrame, measure: Measure | None, settings: Settings, favours: str | None
) -> Reported | None:
    """``reported_total`` of the total's rows of a stored table."""
    total = stored[stored["subgroup"] == ""]
    return reported_total(dict(zip(total["quantity"], total["text"], strict=True)), settings, measure, favours)


def reported_total(
    texts: Mapping[str, str], settings: Settings, measure: Measure | None, favours: str | None
) -> Reported | None:
    """The total as the review reports it; None where there is no total, it is not estimable or not stored.

    Parameters
    ----------
    texts
        The stored quantities of the total.
    settings, measure, favours
        Of the analysis.

    Notes
    -----
    The heterogeneity of fewer than two studies, and tau2 of a fixed-effect analysis, are written as zeros by
    RevMan; they are no results and are left out. The claim is what the stored interval says: "significant" where it
    excludes no effect; limits in the wrong order claim nothing.
    """
    if measure is None or settings.totals != "total" or texts.get("estimable", "YES").upper() != "YES":
        return None
    estimate, lower, upper = (_printed(texts, name) for name in ("effect", "lower", "upper"))
    if estimate is None or lower is None or upper is None:
        return None
    n_e, n_c, df = (_count(texts, name) for name in ("n_e", "n_c", "df"))
    several = bool(df)
    claim = "not significant" if lower.value <= measure.null <= upper.value else "significant"
    return Reported(
        measure=measure,
        estimate=estimate,
        ci_lower=lower,
        ci_upper=upper,
        k=_count(texts, "k"),
        k_source="stored in the file" if _count(texts, "k") else "",
        n=(n_e + n_c) or None if n_e is not None and n_c is not None else None,
        p=_printed(texts, "p"),
        q=_printed(texts, "chi2") if several else None,
        df=df if several else None,
        p_q=_printed(texts, "p_chi2") if several else None,
        tau2=_printed(texts, "tau2") if several and settings.model == "random" else None,
        i2=_printed(texts, "i2") if several else None,
        level=settings.level_total,
        claim=claim if lower.value <= upper.value else None,
        favours=favours,
    )


def _printed(texts: Mapping[str, str], name: str) -> Printed | None:
    try:
        return Printed(texts.get(name, ""))
    except ValueError:
        return None


def _count(texts: Mapping[str, str], name: str) -> int | None:
    """A whole number, also where it is written with a decimal point: "7.0"."""
    try:
        value = number(texts.get(name))
    except ValueError:
        return None
    return int(value) if value.is_integer() else None
