"""Effect sizes from two arms: what must hold of any study."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_rows import counts, moments

from bayespip.effects import effect_sizes

# The same sums in another order.
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}

sizes = st.integers(2, 500)
arm_counts = sizes.flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
# Means and SDs as papers print them, so that the smallest SD is not lost beside the largest mean.
means = st.integers(-10_000, 10_000).map(lambda x: x / 100)
spreads = st.integers(10, 5_000).map(lambda x: x / 100)
arm_moments = st.tuples(means, spreads, sizes)


def informative(arms):
    (a, n), (c, m) = arms
    return 0 < a + c < n + m


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
@given(arms=st.tuples(arm_counts, arm_counts).filter(informative))
def test_swapping_arms_flips_the_sign_of_count_measures(measure, arms):
    one, two = arms
    es, swapped = (effect_sizes(counts(("A", *x, *y)), measure) for x, y in ((one, two), (two, one)))
    np.testing.assert_allclose(swapped.yi, -es.yi, **ROUNDING)
    np.testing.assert_allclose(swapped.sei, es.sei, **ROUNDING)


@given(arms=st.tuples(arm_counts, arm_counts).filter(informative))
def test_counting_non_events_flips_odds_ratios_and_risk_differences(arms):
    table = counts(("A", *arms[0], *arms[1]))
    others = table.assign(event_e=table["n_e"] - table["event_e"], event_c=table["n_c"] - table["event_c"])
    for measure in ("OR", "RD"):
        es, flipped = effect_sizes(table, measure), effect_sizes(others, measure)
        np.testing.assert_allclose(flipped.yi, -es.yi, **ROUNDING)
        np.testing.assert_allclose(flipped.sei, es.sei, **ROUNDING)


@pytest.mark.parametrize(("measure", "smd"), [("MD", "revman5"), ("SMD", "revman5"), ("SMD", "metafor")])
@given(one=arm_moments, two=arm_moments)
def test_swapping_arms_flips_the_sign_of_mean_differences(measure, smd, one, two):
    es, swapped = (effect_sizes(moments(("A", *x, *y)), measure, smd=smd) for x, y in ((one, two), (two, one)))
    np.testing.assert_allclose(swapped.yi, -es.yi, **ROUNDING)
    np.testing.assert_allclose(swapped.sei, es.sei, **ROUNDING)


@given(one=arm_moments, two=arm_moments, unit=st.floats(0.01, 100), origin=means)
def test_another_unit_scales_md_and_leaves_smd(one, two, unit, origin):
    table = moments(("A", *one, *two))
    other = table.assign(
        **{m: origin + unit * table[m] for m in ("mean_e", "mean_c")},
        **{s: unit * table[s] for s in ("sd_e", "sd_c")},
    )
    md, md_other = effect_sizes(table, "MD"), effect_sizes(other, "MD")
    # The difference of two means near origin + unit * mean carries their rounding error.
    np.testing.assert_allclose(md_other.yi, unit * md.yi, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(md_other.sei, unit * md.sei, **ROUNDING)
    for smd in ("revman5", "metafor"):
        es, es_other = effect_sizes(table, "SMD", smd=smd), effect_sizes(other, "SMD", smd=smd)
        np.testing.assert_allclose(es_other.yi, es.yi, rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(es_other.sei, es.sei, rtol=1e-8)


@given(rows=st.permutations([("A", 0, 9, 2, 8), ("B", 3, 9, 3, 8), ("C", 5, 50, 9, 60), ("D", 7, 7, 3, 7)]))
def test_rows_keep_their_effects_in_any_order(rows):
    es = effect_sizes(counts(*rows), "RR")
    alone = {row[0]: effect_sizes(counts(row), "RR") for row in rows}
    assert es.study == tuple(row[0] for row in rows)
    assert es.yi.tolist() == [alone[s].yi[0] for s in es.study]
    assert es.sei.tolist() == [alone[s].sei[0] for s in es.study]
