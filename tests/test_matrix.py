"""The conclusion matrix and its sentences, from tables of re-analyses."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import bayespip as bp
from bayespip.fits import Estimate
from bayespip.sensitivity.matrix import RULE, RULE_OF_FAMILIES, conclusion_matrix, conclusion_rows, sentence
from bayespip.sensitivity.points import TippingPoint, TippingRange

NAN = math.nan


def row(method="exact", prior="", *, mu, bounds=None, holds="no claim", favours="higher", claim="", **more):
    """A row of a re-analysis's table for mu: limits on the model scale, and their extremes over members."""
    lower_min, lower_max, upper_min, upper_max = bounds or (NAN,) * 4
    identity = {"analysis": "P1", "outcome": "attachment", "timepoint": "", "comparison": "PIP versus control"}
    identity |= {"arm_e": "PIP", "arm_c": "control"}
    identity |= {"measure": "RR", "k": 2, "method": method, "prior": prior, "parameter": "mu", "favours": favours}
    identity |= {"basis": "consistent-with-reported"}
    limits = {"point_model": sum(mu) / 2, "lower_model": mu[0], "upper_model": mu[1]}
    limits |= {"lower_min_model": lower_min, "lower_max_model": lower_max}
    limits |= {"upper_min_model": upper_min, "upper_max_model": upper_max}
    return identity | limits | {"holds": holds, "claim": claim} | more


ABOVE, AROUND, BELOW = (0.1, 0.5), (-0.1, 0.5), (-0.5, -0.1)


@pytest.mark.parametrize(
    ("cell", "conclusion"),
    [
        (row(mu=ABOVE), "favours PIP"),
        (row(mu=BELOW), "favours control"),
        (row(mu=AROUND), "unclear"),
        (row(mu=(0.0, 0.5)), "unclear"),  # a limit on no effect does not exclude it
        (row(mu=ABOVE, favours="lower"), "favours control"),
        (row(mu=BELOW, favours="lower"), "favours PIP"),
        (row(mu=ABOVE, favours="not stated"), "above no effect"),
        (row(mu=BELOW, favours="not stated"), "below no effect"),
        (row(mu=ABOVE, comparison="PIP versus control", arm_e="control", arm_c="PIP"), "favours control"),
        (row(mu=(NAN, NAN), point_model=0.1), "undefined"),
        (row(mu=ABOVE, bounds=(0.05, 0.2, 0.4, 0.6)), "favours PIP (all members)"),
        (row(mu=ABOVE, bounds=(-0.05, 0.2, 0.4, 0.6)), "favours PIP (some members)"),
        (row(mu=AROUND, bounds=(-0.3, -0.1, 0.4, 0.6)), "unclear"),
        (row(mu=BELOW, bounds=(-0.7, -0.3, -0.2, -0.1)), "favours control (all members)"),
        (row(mu=BELOW, bounds=(-0.7, -0.3, -0.2, 0.1)), "favours control (some members)"),
        (row(mu=AROUND, bounds=(-0.7, 0.1, -0.2, 0.9)), "either side of no effect (some members)"),
    ],
)
def test_a_cell(cell, conclusion):
    found = conclusion_rows(pd.DataFrame([cell]))
    assert list(found["conclusion"]) == [conclusion]


def test_the_matrix_has_a_row_an_outcome_and_k_and_a_column_a_method():
    rows = [
        row("published", mu=ABOVE, k=pd.NA),
        row("REML, HKSJ", mu=AROUND, k=1),
        row("exact", "HN", mu=ABOVE, k=1),
        row("PyMC normal-normal", "HN", mu=BELOW, k=1),
        row("exact", "HN", mu=BELOW, k=2),
        row("exact", "HC", mu=AROUND, k=2),
        row("exact", "HN", mu=AROUND, parameter="tau", k=2),
        row("published", mu=(NAN, NAN), analysis="P2", k=pd.NA),
        row("exact", "HC", mu=BELOW, analysis="P3", favours="lower", measure="SMD"),
    ]
    matrix = conclusion_matrix(pd.DataFrame(rows))
    assert list(matrix.columns) == ["published", "REML, HKSJ", "HN", "HC"]
    assert list(matrix.index.get_level_values("analysis")) == ["P1", "P1", "P3"]
    assert list(matrix.index.get_level_values("k")) == [1, 2, 2]
    expected = [
        ["favours PIP", "unclear", "favours PIP", ""],
        ["favours PIP", "", "favours control", "unclear"],
        ["", "", "", "favours PIP"],
    ]
    assert matrix.to_numpy().tolist() == expected
    assert matrix.attrs["rule"] == f"{RULE} {RULE_OF_FAMILIES}"


def tip(holds):
    return TippingPoint("tau", "half-normal", "flat", "claim", "above", holds, (1e-4, 1e5), Estimate(NAN, NAN, NAN))


TIPS, ALWAYS = tip(((0.0, 0.31),)), tip(())


def test_a_sentence_counts_priors_and_frequentist_methods_apart():
    rows = [row(prior=f"p{i}", mu=ABOVE, holds="yes" if i < 9 else "no", claim="significant") for i in range(14)]
    rows += [row(f"f{i}", mu=ABOVE, holds="yes" if i < 1 else "no", claim="significant") for i in range(4)]
    rows.append(row("PyMC normal-normal", "p0", mu=ABOVE, holds="yes", claim="significant"))
    rows.append(row("published", mu=ABOVE, claim="significant"))
    text = sentence(pd.DataFrame(rows), [TIPS])
    assert text == (
        "the published claim holds under 9 of 14 priors and under 1 of 4 frequentist methods; lost once tau's "
        "half-normal scale exceeds 0.31"
    )
    assert sentence(pd.DataFrame(rows), [ALWAYS]).endswith("does not hold whatever tau's half-normal scale")


def test_a_sentence_over_members():
    verdicts = ["in all members"] * 2 + ["in some members"] * 3 + ["in no member"]
    inside = (0.1, 0.2, 0.4, 0.6)
    rows = [row(prior=f"p{i}", mu=ABOVE, bounds=inside, holds=v, claim="significant") for i, v in enumerate(verdicts)]
    assert sentence(pd.DataFrame(rows)) == (
        "the published claim holds in all members under 2, in some members under 3, in no member under 1 of 6 priors"
    )


def test_a_sentence_where_nothing_was_claimed():
    rows = [row(prior="a", mu=ABOVE), row(prior="b", mu=AROUND), row("f", mu=BELOW)]
    text = sentence(pd.DataFrame(rows), [ALWAYS, TIPS])
    assert text == (
        "no claim was published; the interval of mu excludes no effect under 1 of 2 priors and under 1 of 1 "
        "frequentist method; this is lost once tau's half-normal scale exceeds 0.31"
    )
    some, none = (-0.05, 0.2, 0.4, 0.6), (-0.3, -0.1, 0.4, 0.6)
    rows = [row(prior="a", mu=ABOVE, bounds=some), row(prior="b", mu=AROUND, bounds=none)]
    text = sentence(pd.DataFrame(rows), [TippingRange(ALWAYS, ALWAYS, ALWAYS)])
    assert text.endswith("excludes no effect in some members under 1, in no member under 1 of 2 priors")


def test_rows_of_several_outcomes_are_refused():
    with pytest.raises(ValueError, match=r"one number of studies; got P1 \(k = 1\), P1 \(k = 2\)"):
        sentence(pd.DataFrame([row(mu=ABOVE, k=1), row(mu=ABOVE, k=2)]))
    with pytest.raises(ValueError, match="got none"):
        sentence(pd.DataFrame([row("published", mu=ABOVE)]))


def test_a_whole_reanalysis():
    result = bp.reanalyse(bp.load_review("bcg"), with_pymc=False)
    matrix = conclusion_matrix(result.table)
    assert len(matrix) == 1
    assert (matrix.to_numpy() == "favours BCG vaccine").all()  # 13 trials, RR about 0.5
    assert matrix.shape[1] == result.table[result.table["parameter"] == "mu"].shape[0]
    text = sentence(result.table)
    n = int((result.table["prior"] != "").sum() / 3)
    assert text.startswith(f"the interval of mu excludes no effect under {n} of {n} priors")
    assert not np.any(matrix == "")
