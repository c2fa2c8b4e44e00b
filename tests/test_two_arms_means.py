"""Means of two arms as data of a model: values, labels and what is refused."""

import numpy as np
import pandas as pd
import pytest

from bayespip.effects import effect_sizes
from bayespip.model_data.two_arms import Means

# Simulated.
TABLE = pd.DataFrame(
    {
        "study": ["a", "b"], "mean_e": [3.0, 5.0], "sd_e": [1.0, 2.0], "n_e": [10, 20],
        "mean_c": [2.0, 5.5], "sd_c": [1.5, 2.5], "n_c": [12, 18.5],
    }
)  # fmt: skip


def test_a_table_gives_its_columns_read_only() -> None:
    means = Means.from_table(TABLE, "SMD")
    assert (means.study, means.k, means.measure.name) == (("a", "b"), 2, "SMD")
    for name in ("mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c"):
        values = getattr(means, name)
        np.testing.assert_array_equal(values, TABLE[name])
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_differences_and_pooled_sds_are_those_of_the_effects() -> None:
    means = Means.from_table(TABLE, "SMD")
    np.testing.assert_allclose(means.difference, effect_sizes(TABLE, "MD").yi)
    total = means.n_e + means.n_c
    np.testing.assert_allclose(means.df, total - 2)
    hedges = 1 - 3 / (4 * total - 9)
    np.testing.assert_allclose(means.difference / means.sd * hedges, effect_sizes(TABLE, "SMD").yi, rtol=1e-14)


@pytest.mark.parametrize("measure", ["MD", "SMD"])
def test_trials_that_fill_a_structure_have_no_precision(measure: str) -> None:
    filled = Means.from_table(TABLE, measure).filled(5)
    assert filled.study == ("a", "b", "none 1", "none 2", "none 3")
    np.testing.assert_array_equal(filled.n_e[:2], TABLE["n_e"])
    if measure == "SMD":
        assert (1 / filled.n_e[2:] > 1e19).all()
    else:
        assert (filled.sd_e[2:] ** 2 / filled.n_e[2:] > 1e18).all()


BAD = [
    ({"sd_e": [1.0, 0.0]}, r"sd_e must be positive; not so for b \(row 2: 0\)"),
    ({"n_c": [12, -1]}, r"n_c must be positive; not so for b \(row 2: -1\)"),
    ({"mean_e": [np.nan, 1]}, "mean_e must be a finite number; not so for a"),
    ({"study": ["a", "a"]}, "study labels must be unique"),
    ({"n_e": [1, 20], "n_c": [2, 20]}, r"n_e \+ n_c must be at least 4 for SMD; not so for a"),
]


@pytest.mark.parametrize(("columns", "message"), BAD, ids=[next(iter(c)) + str(i) for i, (c, _) in enumerate(BAD)])
def test_what_cannot_be_is_refused(columns: dict[str, list], message: str) -> None:
    table = TABLE.assign(**columns)
    with pytest.raises(ValueError, match=message):
        Means.from_table(table, "SMD")
    with pytest.raises(ValueError, match="must"):
        Means(table["study"], *(table[name] for name in TABLE.columns[1:]), "SMD")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="missing sd_c"):
        Means.from_table(TABLE.drop(columns="sd_c"), "MD")


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"sd_e must have one value a trial, shape \(2,\); got \(1,\)"):
        Means("ab", [1, 2], [1], [5, 5], [1, 2], [1, 1], [5, 5], "MD")
