"""Effect sizes from two arms: against metafor's escalc and RevMan's own files, by hand, and by properties."""

import math
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_data import load_reference

from bayespip.effects import EffectSizes, effect_sizes
from bayespip.measures import BINARY, CONTINUOUS, MEASURES

# escalc's values are stored with 15 digits; both sides carry a few rounding errors.
ESCALC = {"rtol": 1e-10, "atol": 1e-14}
# RevMan stores 16 digits: only rounding errors remain.
REVMAN = {"rtol": 1e-12, "atol": 1e-14}
# The same sums in another order.
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}

BINARY_SETS = (
    "bcg_rr",
    "bcg_rd",
    "bcg_rr_2study",
    "crins2014_ar",
    "crins2014_ar_randomized",
    "crins2014_srr",
    "goralczyk2011_ar",
    "sidikjonkman2007",
    "peto1980",
    "nielweise2007",
)
REVMAN_FILES = (
    "cochrane/CD003188StatsDataOnly.rm5",
    "cochrane/CD004976StatsDataOnly.rm5",
    "cochrane/CD007868StatsDataOnly.rm5",
)
FORMATS = Path(__file__).parents[2] / "shared" / "formats"


def frame(columns, *rows):
    return pd.DataFrame(rows, columns=["study", *columns])


def counts(*rows):
    return frame(BINARY, *rows)


def moments(*rows):
    return frame(CONTINUOUS, *rows)


def binary_table(dataset):
    names = {"ai": "event_e", "n1i": "n_e", "ci": "event_c", "n2i": "n_c"}
    return pd.DataFrame(dataset["table"]).rename(columns=names).assign(study=unique(dataset["labels"]))


def unique(labels):
    """Labels made unique: nielweise2007 has none of its own, goralczyk2011 repeats a year."""
    return [f"{i} {label}" for i, label in enumerate(labels, start=1)]


def test_every_binary_data_set_of_the_reference_is_compared():
    datasets = load_reference()["datasets"]
    assert sorted(BINARY_SETS) == sorted(n for n, d in datasets.items() if "escalc_RR" in d.get("binary", {}))


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
@pytest.mark.parametrize("name", BINARY_SETS)
def test_counts_give_what_escalc_gives(name, measure):
    dataset = load_reference()["datasets"][name]
    table = binary_table(dataset)
    empty = (table["event_e"] == 0) & (table["event_c"] == 0)
    full = (table["event_e"] == table["n_e"]) & (table["event_c"] == table["n_c"])
    kept = np.ones(len(table), dtype=bool)
    # escalc keeps a study without events, though all it says is the correction; RR and OR here do not.
    if measure != "RD" and (empty | full).any():
        kept = ~(empty | full).to_numpy()
        with pytest.warns(UserWarning, match=re.escape(table["study"][~kept].item())):
            es = effect_sizes(table, measure)
    else:
        es = effect_sizes(table, measure)
    assert es.study == tuple(table["study"][kept])
    escalc = dataset["binary"][f"escalc_{measure}"]
    np.testing.assert_allclose(es.yi, np.array(escalc["yi"])[kept], **ESCALC)
    np.testing.assert_allclose(es.vi, np.array(escalc["vi"])[kept], **ESCALC)


@pytest.mark.parametrize(("measure", "options"), [("MD", {}), ("SMD", {"smd": "metafor"})])
def test_moments_give_what_escalc_gives(measure, options):
    dataset = load_reference()["datasets"]["normand1999_md"]
    names = {"m1i": "mean_e", "sd1i": "sd_e", "n1i": "n_e", "m2i": "mean_c", "sd2i": "sd_c", "n2i": "n_c"}
    table = pd.DataFrame(dataset["table"]).rename(columns=names).assign(study=dataset["labels"])
    es = effect_sizes(table, measure, **options)
    np.testing.assert_allclose(es.yi, dataset["raw"][f"escalc_{measure}"]["yi"], **ESCALC)
    np.testing.assert_allclose(es.vi, dataset["raw"][f"escalc_{measure}"]["vi"], **ESCALC)


def revman_outcomes(file, kind):
    path = FORMATS / file
    if not path.exists():
        pytest.skip(f"RevMan files not here: ../shared/formats/{file}")
    for outcome in ET.parse(path).getroot().iter(f"{kind}_OUTCOME"):  # noqa: S314 - a file of our own
        studies = list(outcome.iter(f"{kind}_DATA"))
        if studies:
            yield outcome.get("EFFECT_MEASURE"), studies


def revman_table(studies, columns):
    rows = [[f"{i} {s.get('STUDY_ID')}", *(float(s.get(c)) for c in columns)] for i, s in enumerate(studies)]
    ours = {"EVENTS": "event", "TOTAL": "n", "MEAN": "mean", "SD": "sd"}
    arms = {"1": "e", "2": "c"}
    return frame([f"{ours[c[:-2]]}_{arms[c[-1]]}" for c in columns], *rows)


def assert_as_stored(es, studies):
    stored = np.array([float(s.get("EFFECT_SIZE")) for s in studies])
    np.testing.assert_allclose(es.measure.display(es.yi), stored, **REVMAN)
    np.testing.assert_allclose(es.sei, [float(s.get("SE")) for s in studies], **REVMAN)


@pytest.mark.parametrize("file", REVMAN_FILES)
def test_counts_give_what_revman_stored(file):
    compared = 0
    for measure, studies in revman_outcomes(file, "DICH"):
        table = revman_table(studies, ["EVENTS_1", "TOTAL_1", "EVENTS_2", "TOTAL_2"])
        estimable = [s for s in studies if s.get("ESTIMABLE") == "YES"]
        if len(estimable) == len(studies):
            assert_as_stored(effect_sizes(table, measure), studies)
        elif estimable:
            with pytest.warns(UserWarning, match="excluded"):
                assert_as_stored(effect_sizes(table, measure), estimable)
        else:
            with pytest.raises(ValueError, match="no study is left"):
                effect_sizes(table, measure)
        compared += len(estimable)
    assert compared > 0


@pytest.mark.parametrize("file", [REVMAN_FILES[0], REVMAN_FILES[2]])
def test_moments_give_what_revman_stored(file):
    compared = 0
    columns = ["MEAN_1", "SD_1", "TOTAL_1", "MEAN_2", "SD_2", "TOTAL_2"]
    for measure, studies in revman_outcomes(file, "CONT"):
        estimable = [s for s in studies if s.get("ESTIMABLE") == "YES"]
        assert_as_stored(effect_sizes(revman_table(estimable, columns), measure, smd="revman5"), estimable)
        compared += len(estimable)
    assert compared > 0


@pytest.mark.parametrize(
    ("measure", "yi", "vi"),
    [
        ("RR", math.log(1 / 7), Fraction(2) - Fraction(1, 11) + Fraction(2, 7) - Fraction(1, 11)),
        ("OR", math.log(1 / 9.8), Fraction(2) + Fraction(2, 21) + Fraction(2, 7) + Fraction(2, 15)),
        ("RD", -3 / 11, Fraction(21, 4 * 1331) + Fraction(105, 4 * 1331)),
    ],
)
def test_a_zero_cell_adds_half_to_all_four_cells_of_that_study_only(measure, yi, vi):
    # 0 of 10 against 3 of 10 becomes 0.5, 10.5, 3.5, 7.5: the odds are 1/21 and 7/15.
    whole = ("Whole", 5, 20, 10, 25)
    es = effect_sizes(counts(("Zero", 0, 10, 3, 10), whole), measure)
    np.testing.assert_allclose(es.yi[0], yi, rtol=1e-14)
    np.testing.assert_allclose(es.vi[0], float(vi), rtol=1e-14)
    alone = effect_sizes(counts(whole), measure)
    assert (es.yi[1], es.sei[1]) == (alone.yi[0], alone.sei[0])


def test_mean_differences_by_hand():
    es = effect_sizes(moments(("A", 11, 2, 8, 9.5, 3, 6)), "MD")
    assert (es.yi[0], es.vi[0]) == (1.5, pytest.approx(4 / 8 + 9 / 6, rel=1e-15))


def test_hedges_g_by_hand():
    # Pooled SD 2, d = 1; N = 12: J = 1 - 3/39 = 12/13 (revman5), gamma(5)/(sqrt(5) gamma(4.5)) (metafor).
    table = moments(("A", 11, 2, 6, 9, 2, 6))
    revman, metafor = effect_sizes(table, "SMD"), effect_sizes(table, "SMD", smd="metafor")
    g = 12 / 13
    assert revman.yi[0] == pytest.approx(g, rel=1e-14)
    assert revman.vi[0] == pytest.approx(12 / 36 + g**2 / 16.12, rel=1e-14)
    # gamma(4.5) = 105 sqrt(pi) / 16
    g = 24 / (math.sqrt(5) * 105 * math.sqrt(math.pi) / 16)
    assert metafor.yi[0] == pytest.approx(g, rel=1e-14)
    assert metafor.vi[0] == pytest.approx(1 / 3 + g**2 / 24, rel=1e-14)


def test_exact_j_keeps_its_digits_in_large_studies():
    mpmath = pytest.importorskip("mpmath")
    eps = np.finfo(float).eps
    for n in (2, 50, 5_000, 9_999, 500_000):
        with mpmath.workdps(40):
            half = mpmath.mpf(2 * n - 2) / 2
            j = mpmath.gamma(half) / (mpmath.sqrt(half) * mpmath.gamma(half - mpmath.mpf(1) / 2))
        es = effect_sizes(moments(("A", 1, 1, n, 0, 1, n)), "SMD", smd="metafor")
        # exp of a difference of log-gammas, each rounded, up to where an asymptotic series takes over.
        assert es.yi[0] == pytest.approx(float(j), rel=4 * eps * (1 + math.lgamma(min(n, 10_001))))


def test_cluster_adjusted_counts_need_not_be_whole():
    es = effect_sizes(counts(("Sleed 2013", 7.4, 41.2, 10.3, 35.1)), "RR")
    assert es.yi[0] == pytest.approx(math.log(7.4 * 35.1 / (41.2 * 10.3)), rel=1e-14)


def test_yi_and_sei_are_taken_as_they_are():
    es = effect_sizes(frame(["yi", "sei"], ("A", -0.5, 0.2), ("B", "0.25", 1)), "OR")
    assert es.study == ("A", "B")
    assert es.yi.tolist() == [-0.5, 0.25]
    assert es.sei.tolist() == [0.2, 1.0]
    assert es.measure.name == "OR"


SILENT = counts(("Empty", 0, 10, 0, 12), ("Full", 8, 8, 9, 9), ("Some", 2, 10, 4, 12))


@pytest.mark.parametrize("measure", ["RR", "OR"])
def test_studies_empty_or_full_in_both_arms_are_excluded_from_ratios_by_name(measure):
    with pytest.warns(UserWarning, match="cannot be estimated") as caught:
        es = effect_sizes(SILENT, measure)
    assert es.study == ("Some",)
    assert str(caught[0].message) == (
        f"{measure} cannot be estimated where both arms are empty or both are full; excluded: "
        "Empty (0 of 10, 0 of 12), Full (8 of 8, 9 of 9)."
    )
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"no study is left: Empty \(0 of 10, 0 of 12\)"):
        effect_sizes(SILENT[:2], measure)


def test_they_stay_in_risk_differences():
    assert effect_sizes(SILENT, "RD").study == ("Empty", "Full", "Some")


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


@pytest.mark.parametrize(
    ("row", "measure", "message"),
    [
        ((1, "five", 2, 8), "RR", "n_e must be a finite number; not so for B (row 2: 'five')."),
        ((1, None, 2, "x"), "OR", "n_e must be a finite number; not so for B (row 2: nan)."),
        ((1, 9, math.nan, 8), "RD", "event_c must be a finite number; not so for B (row 2: nan)."),
        ((1, 9, 2, math.inf), "RR", "n_c must be a finite number; not so for B (row 2: inf)."),
        ((0, 0, 2, 8), "RR", "n_e must be positive; not so for B (row 2: 0)."),
        ((1, 9, 2, -8), "RR", "n_c must be positive; not so for B (row 2: -8)."),
        ((-1, 9, 2, 8), "RR", "event_e must not be negative; not so for B (row 2: -1)."),
        ((1, 9, 12, 8), "OR", "event_c must not exceed n_c; not so for B (row 2: 12 of 8)."),
    ],
)
def test_bad_counts_are_refused(row, measure, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(counts(("A", 3, 9, 4, 8), ("B", *row)), measure)


@pytest.mark.parametrize(
    ("row", "measure", "message"),
    [
        ((1, -2, 9, 0, 1, 9), "MD", "sd_e must be positive; not so for B (row 2: -2)."),
        ((1, 2, 9, 0, 0, 9), "SMD", "sd_c must be positive; not so for B (row 2: 0)."),
        ((1, 2, 0, 0, 1, 9), "MD", "n_e must be positive; not so for B (row 2: 0)."),
        ((1, 2, 1, 0, 1, 2), "SMD", "n_e + n_c must be at least 4 for SMD; not so for B (row 2: 3)."),
        (("", 2, 9, 0, 1, 9), "MD", "mean_e must be a finite number; not so for B (row 2: '')."),
    ],
)
def test_bad_moments_are_refused(row, measure, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(moments(("A", 1, 2, 9, 0, 2, 9), ("B", *row)), measure)


@pytest.mark.parametrize("sei", [0, -0.1])
def test_sei_must_be_positive(sei):
    with pytest.raises(ValueError, match=rf"^sei must be positive; not so for B \(row 2: {sei}\)\.$"):
        effect_sizes(frame(["yi", "sei"], ("A", 1, 1), ("B", 1, sei)), "MD")


def test_bad_labels_are_refused():
    row = (3, 9, 4, 8)
    with pytest.raises(ValueError, match=r"^study labels must be unique; A stands in rows 1 and 3\.$"):
        effect_sizes(counts(("A", *row), ("B", *row), ("A", *row)), "RR")
    for missing in (None, " ", math.nan):
        with pytest.raises(ValueError, match=r"^study must have a label in every row; row 2 has none\.$"):
            effect_sizes(counts(("A", *row), (missing, *row)), "RR")


def test_missing_columns_are_named_beside_those_needed_and_present():
    table = counts(("A", 3, 9, 4, 8))
    message = (
        "RR needs the columns study and either event_e, n_e, event_c, n_c or yi, sei; missing event_c; "
        "present: study, event_e, n_e, n_c."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(table.drop(columns="event_c"), "RR")
    with pytest.raises(ValueError, match="missing study;"):
        effect_sizes(table.drop(columns="study"), "RR")
    with pytest.raises(ValueError, match="missing mean_e, sd_e, mean_c, sd_c;"):
        effect_sizes(table, "SMD")


def test_tables_that_leave_a_choice_are_refused():
    table = counts(("A", 3, 9, 4, 8))
    with pytest.raises(ValueError, match="not both"):
        effect_sizes(table.assign(yi=1, sei=1), "RR")
    with pytest.raises(ValueError, match="column names of table must be unique; repeated: n_e"):
        effect_sizes(pd.concat([table, table[["n_e"]]], axis=1), "RR")


def test_there_must_be_a_table_with_studies_and_a_known_measure():
    table = counts(("A", 3, 9, 4, 8))
    with pytest.raises(ValueError, match=r"no rows \(k = 0\)"):
        effect_sizes(table[:0], "RR")
    with pytest.raises(ValueError, match="table must be a DataFrame; got list"):
        effect_sizes([1, 2], "RR")
    with pytest.raises(ValueError, match="measure must be one of RR, OR, RD, MD, SMD; got 'HR'"):
        effect_sizes(table, "HR")
    with pytest.raises(ValueError, match="smd must be one of revman5, metafor; got 'cohen'"):
        effect_sizes(table, "RR", smd="cohen")


def test_effect_sizes_are_read_only_and_do_not_share_the_callers_arrays():
    yi = np.array([0.1, 0.2])
    es = EffectSizes(["A", "B"], yi, [1, 2], "SMD")
    yi[0] = 9
    assert es.yi[0] == 0.1
    assert es.k == 2
    assert es.vi.tolist() == [1, 4]
    assert es.measure is MEASURES["SMD"]
    with pytest.raises(ValueError, match="read-only"):
        es.yi[0] = 1


@pytest.mark.parametrize(
    ("study", "yi", "sei", "message"),
    [
        ([], [], [], "effects need at least one study; got none (k = 0)."),
        (["A"], [1, 2], [1, 1], "study, yi and sei must have one entry a study; got 1, 2 and 2."),
        (["A", "A"], [1, 2], [1, 1], "study labels must be unique; repeated: A."),
        (["A", "B"], [1, math.nan], [1, 1], "yi must be finite; not so for B (nan)."),
        (["A", "B"], [1, 2], [1, 0], "sei must be positive and finite; not so for B (0)."),
        (["A"], ["x"], [1], "yi must be numbers"),
        (["A"], 1, [1], "yi must have one dimension; got shape ()."),
    ],
)
def test_impossible_effects_are_refused(study, yi, sei, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        EffectSizes(study, yi, sei, "MD")
