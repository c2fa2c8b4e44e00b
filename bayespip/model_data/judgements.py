"""Which trials a review's judgements put at high risk of bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayespip.readers.vocabulary import JUDGEMENTS, meaning
from bayespip.study_data.tables import column_names, study_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["judged_high"]

# Neither low nor high, in RevMan 5 and in RoB 2: what they count as is the user's to say.
BETWEEN = ("Unclear risk", "Some concerns")


def judged_high(
    study: Sequence[str], table: pd.DataFrame, *, domains: Sequence[str], unclear: str
) -> NDArray[np.bool_]:
    """Which studies a review judges to be at high risk of bias in any of some domains.

    Parameters
    ----------
    study
        Labels of k studies; a trial's further rows, "Smith 2001 [2]", are judged as the trial.
    table
        ``Review.risk_of_bias``: column study, and one a domain.
    domains
        Columns that count. There is no default: domains differ in what they can do to an effect, and trials of some
        interventions are all at high risk in one (blinding of participants in psychotherapy).
    unclear
        "high" or "low": what "unclear risk" counts as (and "some concerns" of RoB 2). Unclear mostly means that
        the report does not say, which is no finding about the trial: there is no default here either.

    Returns
    -------
    ndarray
        Booleans of shape (k,).

    Raises
    ------
    ValueError
        If a domain is not in the table, a study is not judged or stands there twice, a judgement is not understood, or
        none is at high risk.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study": ["A", "B"], "blinding": ["high risk", "low risk"]})  # invented
    >>> bp.judged_high(["A", "B"], table, domains=["blinding"], unclear="low")
    array([ True, False])
    """
    if unclear not in ("high", "low"):
        raise ValueError(f"unclear must be 'high' or 'low'; got {unclear!r}.")
    columns = column_names(table)
    if "study" not in columns:
        raise ValueError(f"table must have a column study, and one a domain; it has {', '.join(columns) or 'none'}.")
    known = [name for name in columns if name != "study"]
    names = (domains,) if isinstance(domains, str) else tuple(domains)
    if not names or not set(names) <= set(known):
        unknown = ", ".join(repr(n) for n in names if n not in known) or "none"
        raise ValueError(f"domains must be among {', '.join(known)}; got {unknown}.")
    rows = dict(zip(study_labels(table), table[list(names)].to_numpy().tolist(), strict=True))
    found, absent, odd = [], [], []
    for label in study:
        judged = rows.get(label, rows.get(label.rpartition(" [")[0]))
        if judged is None:
            absent.append(label)
            continue
        read = [meaning(JUDGEMENTS, str(word)) for word in judged]
        odd += [f"{label}, {name} ({word!r})" for name, word, r in zip(names, judged, read, strict=True) if r is None]
        found.append("High risk" in read or (unclear == "high" and any(r in BETWEEN for r in read)))
    if absent:
        raise ValueError(f"risk of bias must be judged for every study; not so for {', '.join(absent)}.")
    if odd:
        rule = "judgements must be low, unclear or high risk, or some concerns"
        raise ValueError(f"{rule}; not so for {'; '.join(odd)}.")
    if not any(found):
        raise ValueError(f"no study is at high risk in {', '.join(names)} with unclear counted as {unclear}.")
    return np.array(found)
