"""Sizes of the trials that may have entered an analysis, from a review's table of trials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_ARM = re.compile(r"\s*(?P<label>.*?)\s+(?P<size>\d+)\b")


def control_trials(studies: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Trials of the comparison with control, with the sizes of the two arms compared.

    Parameters
    ----------
    studies
        A review's ``studies``: columns study, arms ("PIP 50; CBT 43; routine care 52": the experimental arm
        first, the control last), n_randomised, comparator (one entry a further arm, separated by semicolons),
        cluster_randomised ("yes" or "no") and in_control_comparison ("yes" or "no").

    Returns
    -------
    trials
        Columns study, n_e, n_c, cluster_randomised, as ``consistent_studies`` takes them.
    assumptions
        Sentences: which sizes are not published and were taken as equal shares of the randomised.
    """
    import pandas as pd

    rows, assumed = [], []
    for trial in studies[studies["in_control_comparison"] == "yes"].itertuples():
        sizes = [int(m["size"]) for m in map(_ARM.match, str(trial.arms).split(";")) if m]
        if len(sizes) >= 2:
            n_e, n_c = float(sizes[0]), float(sizes[-1])
        else:
            arms = 1 + len(str(trial.comparator).split(";"))
            n_e = n_c = float(str(trial.n_randomised)) / arms
            shares = f"{arms} equal shares of its {trial.n_randomised:g} randomised"
            assumed.append(f"arm sizes of {trial.study} are not published: {shares}")
        rows.append((trial.study, n_e, n_c, trial.cluster_randomised == "yes"))
    return pd.DataFrame(rows, columns=["study", "n_e", "n_c", "cluster_randomised"]), tuple(assumed)


def largest_arm(studies: pd.DataFrame) -> int:
    """Participants in the largest arm whose size is known."""
    sizes = [_ARM.match(arm) for arms in studies["arms"].dropna() for arm in str(arms).split(";")]
    return max(int(m["size"]) for m in sizes if m)
